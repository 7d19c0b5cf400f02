//! The providers of price lists by the names that the meter has for them (`meter/src/provider/catalogue.rs`).

/// How a price list names a provider, and how the meter does.
pub(super) struct Known {
    /// The list's name.
    pub list: &'static str,
    /// The meter's names; more than one where the provider has several services with the same prices.
    pub meter: &'static [&'static str],
}

const fn known(list: &'static str, meter: &'static [&'static str]) -> Known {
    Known { list, meter }
}

/// Those of genai-prices, by the provider's `id`.
const GENAI: &[Known] = &[
    known("aws", &["aws.bedrock"]),
    known("azure", &["azure.ai.openai", "azure.ai.inference"]),
    known("github-copilot", &["github"]),
    known("google", &["gcp.gemini", "gcp.vertex_ai"]),
    known("mistral", &["mistral_ai"]),
    known("moonshotai", &["moonshot_ai"]),
    known("voyageai", &["voyage"]),
    known("x-ai", &["x_ai"]),
    known("zhipuai", &["zai"]),
];

/// Those of LiteLLM, by `litellm_provider`.
const LITELLM: &[Known] = &[
    known("azure", &["azure.ai.openai"]),
    known("azure_ai", &["azure.ai.inference"]),
    known("azure_text", &["azure.ai.openai"]),
    known("bedrock", &["aws.bedrock"]),
    known("bedrock_converse", &["aws.bedrock"]),
    known("bedrock_mantle", &["aws.bedrock"]),
    known("bigmodel", &["zai"]),
    known("codestral", &["mistral_ai"]),
    known("cohere_chat", &["cohere"]),
    known("dashscope", &["alibaba"]),
    known("fireworks_ai", &["fireworks"]),
    known("fireworks_ai-embedding-models", &["fireworks"]),
    known("gemini", &["gcp.gemini"]),
    known("github_copilot", &["github"]),
    known("jina_ai", &["jina"]),
    known("mistral", &["mistral_ai"]),
    known("moonshot", &["moonshot_ai"]),
    known("nvidia_nim", &["nvidia"]),
    known("text-completion-codestral", &["mistral_ai"]),
    known("text-completion-openai", &["openai"]),
    known("together_ai", &["together"]),
    known("vercel_ai_gateway", &["vercel"]),
    known("watsonx", &["ibm.watsonx.ai"]),
    known("xai", &["x_ai"]),
];

/// The meter's names of a provider of genai-prices; what neither knows keeps its name, which a configuration can give
/// to its hosts. One name stands for every provider behind Hugging Face's router.
pub(super) fn of_genai(id: &str) -> Vec<String> {
    let id = if service_of_genai(id).is_some() { "huggingface" } else { id };
    of(GENAI, id)
}

/// The service behind Hugging Face's router that a provider of genai-prices is.
pub(super) fn service_of_genai(id: &str) -> Option<&str> {
    id.strip_prefix("huggingface_")
}

/// The meter's names of a provider of LiteLLM.
pub(super) fn of_litellm(provider: &str) -> Vec<String> {
    if provider == "vertex_ai" || provider.starts_with("vertex_ai-") {
        return vec!["gcp.vertex_ai".to_owned()];
    }
    of(LITELLM, provider)
}

/// Providers whose service responds under another one's name too: what that one does not name is sold at these prices.
const ALSO: &[Known] = &[known("azure", &["azure.ai.inference"]), known("azure_ai", &["azure.ai.openai"])];

/// The meter's names of providers that sell LiteLLM's provider's models, too.
pub(super) fn also_of_litellm(provider: &str) -> Vec<String> {
    let known = ALSO.iter().filter(|known| known.list == provider);
    known.flat_map(|known| known.meter).map(|&name| name.to_owned()).collect()
}

fn of(list: &[Known], name: &str) -> Vec<String> {
    match list.iter().find(|known| known.list == name) {
        Some(known) => known.meter.iter().map(|&name| name.to_owned()).collect(),
        None => vec![name.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_the_names_are_the_meters() {
        let known: Vec<&str> = meter::provider::known().map(|(name, _)| name).collect();
        for name in GENAI.iter().chain(LITELLM).chain(ALSO).flat_map(|known| known.meter) {
            assert!(known.contains(name), "{name}");
        }
        assert_eq!(of_genai("huggingface_novita"), ["huggingface"]);
        assert_eq!(of_genai("anthropic"), ["anthropic"]);
        assert_eq!(of_litellm("vertex_ai-anthropic_models"), ["gcp.vertex_ai"]);
        assert_eq!(of_litellm("groq"), ["groq"]);
    }
}

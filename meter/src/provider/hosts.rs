//! The providers by their hosts: data, one row each.
//!
//! Names are the well-known values of OpenTelemetry's `gen_ai.provider.name` where there is one.

/// A provider.
struct Provider {
    name: &'static str,
    /// Host names. A star stands for any text that has at least one character.
    hosts: &'static [&'static str],
}

const fn provider(name: &'static str, hosts: &'static [&'static str]) -> Provider {
    Provider { name, hosts }
}

const PROVIDERS: &[Provider] = &[
    provider("openai", &["api.openai.com", "*.api.openai.com"]),
    provider("anthropic", &["api.anthropic.com"]),
    provider("azure.ai.openai", &["*.openai.azure.com", "*.cognitiveservices.azure.com", "*.azure-api.net"]),
    provider(
        "azure.ai.inference",
        &["*.services.ai.azure.com", "*.models.ai.azure.com", "models.inference.ai.azure.com"],
    ),
    provider(
        "aws.bedrock",
        &[
            "bedrock-runtime*.amazonaws.com",
            "*.bedrock-runtime*.amazonaws.com",
            "bedrock-agent-runtime*.amazonaws.com",
            "bedrock-mantle.*.api.aws",
        ],
    ),
    provider("gcp.gemini", &["generativelanguage.googleapis.com", "cloudcode-pa.googleapis.com"]),
    provider("gcp.vertex_ai", &["aiplatform.googleapis.com", "*-aiplatform.googleapis.com", "claude.googleapis.com"]),
    provider("cohere", &["api.cohere.ai", "api.cohere.com", "*.api.cohere.com"]),
    provider("mistral_ai", &["api.mistral.ai", "codestral.mistral.ai"]),
    provider("groq", &["api.groq.com"]),
    provider("deepseek", &["api.deepseek.com"]),
    provider("x_ai", &["api.x.ai", "*.api.x.ai"]),
    provider("perplexity", &["api.perplexity.ai"]),
    provider("moonshot_ai", &["api.moonshot.ai", "api.moonshot.cn"]),
    provider("ibm.watsonx.ai", &["*.ml.cloud.ibm.com"]),
    provider("openrouter", &["openrouter.ai"]),
    provider("vercel", &["ai-gateway.vercel.sh"]),
    provider("together", &["api.together.xyz", "api.together.ai"]),
    provider("fireworks", &["api.fireworks.ai"]),
    provider("cerebras", &["api.cerebras.ai"]),
    provider("deepinfra", &["api.deepinfra.com"]),
    provider("nvidia", &["integrate.api.nvidia.com"]),
    provider("sambanova", &["api.sambanova.ai"]),
    provider("novita", &["api.novita.ai"]),
    provider(
        "huggingface",
        &["router.huggingface.co", "api-inference.huggingface.co", "*.endpoints.huggingface.cloud"],
    ),
    provider("zai", &["api.z.ai", "open.bigmodel.cn"]),
    provider("minimax", &["api.minimax.io", "api.minimaxi.com", "api.minimax.chat"]),
    provider("alibaba", &["dashscope*.aliyuncs.com", "*.maas.aliyuncs.com"]),
    provider("baidu", &["qianfan.baidubce.com", "aip.baidubce.com"]),
    provider("tencent", &["hunyuan.tencentcloudapi.com", "api.hunyuan.cloud.tencent.com"]),
    provider("cloudflare", &["api.cloudflare.com", "gateway.ai.cloudflare.com"]),
    provider("databricks", &["*.cloud.databricks.com", "*.azuredatabricks.net", "*.gcp.databricks.com"]),
    provider("snowflake", &["*.snowflakecomputing.com"]),
    provider("replicate", &["api.replicate.com"]),
    provider("ai21", &["api.ai21.com"]),
    provider("voyage", &["api.voyageai.com"]),
    provider("jina", &["api.jina.ai"]),
    provider("writer", &["api.writer.com"]),
    provider("ollama", &["ollama.com"]),
    provider("aleph_alpha", &["api.aleph-alpha.com"]),
    provider(
        "github",
        &["models.github.ai", "models.inference.ai.azure.com", "api.githubcopilot.com", "api.*.githubcopilot.com"],
    ),
    provider("crusoe", &["*.crusoecloud.com"]),
    provider("heroku", &["*.inference.heroku.com"]),
];

/// Providers that give no usage in a stream of chat completions unless asked by `stream_options.include_usage`, and are
/// known to take it. Others give it anyway, or may refuse an option that they do not know.
const TAKES_INCLUDE_USAGE: &[&str] = &["openai", "azure.ai.openai", "alibaba", "databricks", "deepseek", "nvidia"];

/// Those of them that, once asked, say `"usage":null` in every other chunk, and only then.
const SAYS_NULL: &[&str] = &["openai", "azure.ai.openai"];

/// The longest name of a host in the DNS; longer ones are nobody's.
const MAX_HOST: usize = 253;

/// Whether a provider is to be asked for usage.
pub(super) fn takes_include_usage(provider: &str) -> bool {
    TAKES_INCLUDE_USAGE.contains(&provider)
}

/// Whether a provider that was asked for usage says in every other chunk that there is none yet.
pub(super) fn says_null_usage(provider: &str) -> bool {
    SAYS_NULL.contains(&provider)
}

/// The provider of a host, which may carry a port.
pub(super) fn provider_of(host: &[u8]) -> Option<&'static str> {
    let is = |pattern: &&str| is_host(pattern, host);
    PROVIDERS.iter().find(|provider| provider.hosts.iter().any(is)).map(|provider| provider.name)
}

/// Whether a host, which may carry a port, is what a pattern says.
pub(super) fn is_host(pattern: &str, host: &[u8]) -> bool {
    let name = match host.iter().rposition(|&byte| byte == b':') {
        Some(colon) if !host.ends_with(b"]") => host.get(..colon).unwrap_or(host),
        _ => host,
    };
    name.len() <= MAX_HOST && matches(pattern.as_bytes(), name)
}

/// Whether a name is what a pattern says. Work is bounded by the product of two short lengths.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.iter().position(|&byte| byte == b'*') {
        None => pattern.eq_ignore_ascii_case(name),
        Some(star) => {
            let (head, tail) =
                (pattern.get(..star).unwrap_or_default(), pattern.get(star.saturating_add(1)..).unwrap_or_default());
            let Some((start, rest)) = name.split_at_checked(head.len()) else { return false };
            // At least one character for the star, then the tail somewhere.
            start.eq_ignore_ascii_case(head)
                && (1..=rest.len()).any(|skip| matches(tail, rest.get(skip..).unwrap_or_default()))
        }
    }
}

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
    provider(
        "azure.ai.openai",
        &[
            "*.openai.azure.com",
            "*.openai.azure.us",
            "*.cognitiveservices.azure.com",
            "*.cognitiveservices.azure.us",
            "*.azure-api.net",
            "*.azure-api.us",
        ],
    ),
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
            "bedrock-runtime*.api.aws",
            "bedrock-mantle.*.api.aws",
            "*.bedrock-mantle*.amazonaws.com",
        ],
    ),
    provider("gcp.gemini", &["generativelanguage.googleapis.com", "cloudcode-pa.googleapis.com"]),
    provider(
        "gcp.vertex_ai",
        &[
            "aiplatform.googleapis.com",
            "*-aiplatform.googleapis.com",
            "aiplatform.*.rep.googleapis.com",
            "claude.googleapis.com",
        ],
    ),
    provider("cohere", &["api.cohere.ai", "api.cohere.com", "*.api.cohere.com"]),
    provider("mistral_ai", &["api.mistral.ai", "codestral.mistral.ai"]),
    provider("groq", &["api.groq.com"]),
    provider("deepseek", &["api.deepseek.com"]),
    provider("x_ai", &["api.x.ai", "*.api.x.ai"]),
    provider("perplexity", &["api.perplexity.ai"]),
    provider("moonshot_ai", &["api.moonshot.ai", "api.moonshot.cn", "api.kimi.com"]),
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
    provider(
        "alibaba",
        &["dashscope.aliyuncs.com", "dashscope*.aliyuncs.com", "*.dashscope.aliyuncs.com", "*.maas.aliyuncs.com"],
    ),
    provider("baidu", &["qianfan.baidubce.com", "aip.baidubce.com"]),
    provider("volcengine", &["ark.*.volces.com", "ark.*.bytepluses.com"]),
    provider("tencent", &["hunyuan.tencentcloudapi.com", "api.hunyuan.cloud.tencent.com"]),
    provider("cloudflare", &["api.cloudflare.com", "gateway.ai.cloudflare.com"]),
    provider(
        "databricks",
        &["*.cloud.databricks.com", "*.azuredatabricks.net", "*.gcp.databricks.com", "*.databricks.azure.us"],
    ),
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

/// The providers with their hosts, for the documentation and for what checks names.
pub fn known() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    PROVIDERS.iter().map(|provider| (provider.name, provider.hosts))
}

/// The longest name of a host in the DNS; longer ones are nobody's.
pub(super) const MAX_HOST: usize = 253;

/// The provider of a cluster that is named after its host.
pub(super) fn provider_of_cluster(cluster: &str) -> Option<&'static str> {
    provider_of(host_of_cluster(cluster)?.as_bytes())
}

/// The host that a cluster is named after, plainly or as Istio does: `outbound|443||api.openai.com`.
pub(super) fn host_of_cluster(cluster: &str) -> Option<&str> {
    let host = match cluster.split('|').collect::<Vec<_>>().as_slice() {
        [_direction, _port, _subset, host] => host,
        _ => cluster,
    };
    host.contains('.').then_some(host)
}

/// The provider of this very name.
pub(super) fn provider_named(name: &str) -> Option<&'static str> {
    PROVIDERS.iter().find(|provider| provider.name == name).map(|provider| provider.name)
}

/// The provider by host and path, where a host has several services: Foundry's has Azure OpenAI's under `/openai`.
pub(super) fn by_path(provider: &'static str, path: &[u8]) -> &'static str {
    if depends_on_path(provider) && super::paths::has(path, &[b"openai"]) { "azure.ai.openai" } else { provider }
}

/// Whether a host is Hugging Face's router, whose paths name the service that responds.
pub(super) fn is_router(host: &[u8]) -> bool {
    is_same(host, b"router.huggingface.co")
}

/// Whether a provider's hosts have services of another one under other paths.
pub(super) fn depends_on_path(provider: &str) -> bool {
    provider == "azure.ai.inference"
}

/// The provider of a host, which may carry a port. What could not be shown as it is, is nobody's: it would not be the same any
/// more where it was read as a text.
pub(super) fn provider_of(host: &[u8]) -> Option<&'static str> {
    if !host.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let is = |pattern: &&str| is_host(pattern, host);
    PROVIDERS.iter().find(|provider| provider.hosts.iter().any(is)).map(|provider| provider.name)
}

/// Whether a host, which may carry a port, is what a pattern says.
pub(super) fn is_host(pattern: &str, host: &[u8]) -> bool {
    let name = without_port(host);
    name.len() <= MAX_HOST && matches(pattern.as_bytes(), name)
}

/// Whether two hosts, which may carry ports, are the same.
pub(super) fn is_same(host: &[u8], other: &[u8]) -> bool {
    without_port(host).eq_ignore_ascii_case(without_port(other))
}

/// Whether a certificate for `name` is one for a host, by the rules of TLS: a star is one whole label, the first.
pub(super) fn covers(name: &str, host: &[u8]) -> bool {
    let (name, host) = (name.as_bytes(), without_port(host));
    match name.strip_prefix(b"*.") {
        None => name.eq_ignore_ascii_case(host),
        Some(domain) => {
            let dot = host.iter().position(|&byte| byte == b'.').filter(|&dot| dot > 0);
            let rest = dot.and_then(|dot| host.get(dot.saturating_add(1)..));
            domain.contains(&b'.') && rest.is_some_and(|rest| rest.eq_ignore_ascii_case(domain))
        }
    }
}

/// Whether a name is what a pattern says: a star stands for any text that has at least one character. Work is bounded by the
/// product of the lengths, whatever the number of stars.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // From the end, where nearly all patterns fail at once.
    let mut ends = pattern.iter().rev().zip(name.iter().rev());
    match ends.find(|(wanted, byte)| **wanted == b'*' || !wanted.eq_ignore_ascii_case(byte)) {
        None => pattern.len() == name.len(),
        Some((b'*', _)) => name.len() >= pattern.len() && matches_stars(pattern, name),
        Some(_) => false,
    }
}

/// The same, from the beginning.
fn matches_stars(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0usize, 0usize);
    // Behind the last star, and where its text ends; what an earlier star could take, the last one can take as well.
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(at), name.get(seen)) {
            (None, None) => return true,
            (Some(b'*'), Some(_)) => {
                (at, seen) = (at.saturating_add(1), seen.saturating_add(1));
                star = Some((at, seen));
            }
            (Some(wanted), Some(byte)) if wanted.eq_ignore_ascii_case(byte) => {
                (at, seen) = (at.saturating_add(1), seen.saturating_add(1));
            }
            _ => match star {
                Some((behind, end)) if end < name.len() => {
                    (at, seen) = (behind, end.saturating_add(1));
                    star = Some((at, seen));
                }
                _ => return false,
            },
        }
    }
}

pub(super) fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|&byte| byte == b':') {
        Some(colon) if !host.ends_with(b"]") => host.get(..colon).unwrap_or(host),
        _ => host,
    }
}

//! Which requests are LLM calls, by method, host and path.

use super::Api;

/// How sure it is that a request is an LLM call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// Host and path say so.
    Known,
    /// The path says so; the request's body must name a model or the answer must bear the API's mark.
    Path,
    /// Nothing says so yet; the answer must bear an API's mark.
    Shape,
}

/// What a request is thought to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The provider that the host belongs to.
    pub provider: Option<&'static str>,
    /// The API that the path belongs to.
    pub api: Option<Api>,
    /// How sure that is.
    pub certainty: Certainty,
}

/// A provider: data.
struct Provider {
    name: &'static str,
    /// Host names; one that begins with a dot stands for every name that ends with it.
    hosts: &'static [&'static str],
}

const PROVIDERS: &[Provider] = &[
    Provider { name: "openai", hosts: &["api.openai.com", ".api.openai.com"] },
    Provider { name: "anthropic", hosts: &["api.anthropic.com"] },
];

/// The ends of paths; longer ones first where one is the end of another.
const PATHS: &[(&str, Api)] = &[
    ("/chat/completions", Api::OpenAiChat),
    ("/v1/responses", Api::OpenAiResponses),
    ("/v1/responses/compact", Api::OpenAiResponses),
    ("/v1/messages", Api::AnthropicMessages),
];

/// What a request is thought to be; `None`: no LLM call. Only the call that creates an answer counts: retrieving it
/// again repeats its usage.
pub fn detect(method: &[u8], host: &[u8], path: &[u8], by_shape: bool) -> Option<Target> {
    if method != b"POST" {
        return None;
    }
    let path = path.split(|&byte| byte == b'?' || byte == b'#').next().unwrap_or_default();
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let api = PATHS.iter().find(|(end, _)| path.ends_with(end.as_bytes())).map(|(_, api)| *api);
    match (provider(host), api) {
        (Some(provider), Some(api)) => {
            Some(Target { provider: Some(provider), api: Some(api), certainty: Certainty::Known })
        }
        // A known host's other paths are known not to be calls.
        (Some(_), None) => None,
        (None, Some(api)) => Some(Target { provider: None, api: Some(api), certainty: Certainty::Path }),
        (None, None) => by_shape.then_some(Target { provider: None, api: None, certainty: Certainty::Shape }),
    }
}

fn provider(host: &[u8]) -> Option<&'static str> {
    let name = match host.iter().rposition(|&byte| byte == b':') {
        Some(colon) if !host.ends_with(b"]") => host.get(..colon).unwrap_or(host),
        _ => host,
    };
    let is = |pattern: &&str| {
        let pattern = pattern.as_bytes();
        match pattern.first() {
            Some(b'.') => name
                .len()
                .checked_sub(pattern.len())
                .and_then(|at| name.get(at..))
                .is_some_and(|end| end.eq_ignore_ascii_case(pattern)),
            _ => name.eq_ignore_ascii_case(pattern),
        }
    };
    PROVIDERS.iter().find(|provider| provider.hosts.iter().any(is)).map(|provider| provider.name)
}

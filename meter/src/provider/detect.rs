//! Which requests are LLM calls, by method, host and path.

use super::{Api, hosts, paths};

/// How sure it is that a request is an LLM call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// Host and path say so.
    Known,
    /// The path says so; the request's body must name a model or the answer must have an API's counts.
    Path,
    /// Nothing says so yet; the answer must have an API's counts or bear its mark.
    Shape,
}

/// What a request is thought to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The provider that the host belongs to.
    pub provider: Option<&'static str>,
    /// The API that the path belongs to.
    pub api: Option<Api>,
    /// In the words of OpenTelemetry's `gen_ai.operation.name`.
    pub operation: Option<&'static str>,
    /// The model that the path names.
    pub model: Option<String>,
    /// How sure that is.
    pub certainty: Certainty,
}

impl Target {
    /// An API and nothing else.
    pub(super) fn of(api: Api) -> Target {
        Target { provider: None, api: Some(api), operation: None, model: None, certainty: Certainty::Shape }
    }
}

/// What a request is thought to be; `None`: no LLM call. Only the call that creates an answer counts: retrieving it
/// again repeats its usage.
pub fn detect(method: &[u8], host: &[u8], path: &[u8], by_shape: bool) -> Option<Target> {
    if method != b"POST" {
        return None;
    }
    let path = path.split(|&byte| byte == b'?' || byte == b'#').next().unwrap_or_default();
    let path = path.strip_suffix(b"/").unwrap_or(path);
    if paths::is_not_own(path) {
        return None;
    }
    let (provider, row) = (hosts::provider_of(host), paths::row_of(path));
    let certainty = match (provider, row) {
        (Some(_), Some(_)) => Certainty::Known,
        (None, Some(_)) => Certainty::Path,
        (_, None) if by_shape => Certainty::Shape,
        (_, None) => return None,
    };
    Some(Target {
        provider,
        api: row.map(|row| row.api),
        operation: row.map(|row| row.operation),
        model: paths::model_of(path),
        certainty,
    })
}

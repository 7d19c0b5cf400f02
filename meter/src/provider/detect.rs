//! Which requests are LLM calls, by method, host and path.

use std::borrow::Cow;

use super::{Api, hosts, paths};
use crate::config::Detect;

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
    pub provider: Option<Cow<'static, str>>,
    /// The API that the path belongs to.
    pub api: Option<Api>,
    /// In the words of OpenTelemetry's `gen_ai.operation.name`.
    pub operation: Option<&'static str>,
    /// The model that the path names.
    pub model: Option<String>,
    /// The host takes `stream_options.include_usage`, and gives no usage without it.
    pub takes_include_usage: bool,
    /// The host takes it somewhere, but this path is not known.
    pub may_take_include_usage: bool,
    /// How sure that is.
    pub certainty: Certainty,
}

impl Target {
    /// Whether the host, once asked for usage, says in every other chunk that there is none yet.
    pub fn says_null_usage(&self) -> bool {
        self.provider.as_deref().is_some_and(hosts::says_null_usage)
    }

    /// Whether the host belongs to a provider.
    pub fn is(&self, provider: &str) -> bool {
        self.provider.as_deref() == Some(provider)
    }

    /// An API and nothing else.
    pub(super) fn of(api: Api) -> Target {
        Target {
            provider: None,
            api: Some(api),
            operation: None,
            model: None,
            takes_include_usage: false,
            may_take_include_usage: false,
            certainty: Certainty::Shape,
        }
    }
}

/// What a request is thought to be; `None`: no LLM call. Only the call that creates an answer counts: retrieving it
/// again repeats its usage.
pub fn detect(method: &[u8], host: &[u8], path: &[u8], detect: &Detect) -> Option<Target> {
    if method != b"POST" {
        return None;
    }
    let path = path.split(|&byte| byte == b'?' || byte == b'#').next().unwrap_or_default();
    let normal = paths::normal_path(path);
    let with_slashes = paths::with_slashes(&normal);
    let spellings = || [Some(&*normal), with_slashes.as_deref()].into_iter().flatten();
    if spellings().any(paths::is_not_own) {
        return None;
    }
    let row = spellings().find_map(paths::row_of);
    let rule = detect.rules.iter().find(|rule| {
        let path_fits = rule.path.as_deref().is_none_or(|pattern| paths::ends_with(&normal, pattern));
        path_fits && hosts::is_host(&rule.host, host)
    });
    let provider = match rule {
        Some(rule) => Some(Cow::Owned(rule.provider.clone())),
        None => hosts::provider_of(host).map(Cow::Borrowed),
    };
    // A rule that names a path or an API knows what it maps.
    let mapped = rule.is_some_and(|rule| rule.path.is_some() || rule.api.is_some());
    let certainty = match (&provider, row) {
        _ if mapped => Certainty::Known,
        (Some(_), Some(_)) => Certainty::Known,
        (None, Some(_)) => Certainty::Path,
        (_, None) if detect.by_shape => Certainty::Shape,
        (_, None) => return None,
    };
    let api = rule.and_then(|rule| rule.api).or(row.map(|row| row.api));
    let takes_option = match rule {
        Some(rule) => rule.include_usage,
        None => provider.as_deref().is_some_and(hosts::takes_include_usage),
    };
    let operation = row.map(|row| row.operation);
    Some(Target {
        provider,
        api,
        operation,
        model: paths::model_of(path),
        takes_include_usage: takes_option
            && api == Some(Api::OpenAiChat)
            && matches!(operation, None | Some("chat" | "text_completion")),
        may_take_include_usage: takes_option && api.is_none(),
        certainty,
    })
}

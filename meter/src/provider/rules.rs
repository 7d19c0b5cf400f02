//! What the configuration says of which requests are calls, and whose.

use wire::record::ProviderSource;

use super::{Api, Destination, hosts};

/// Which requests are LLM calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detect {
    /// Whether responses of unknown hosts and paths are recognised by the shape of their body.
    pub by_shape: bool,
    /// Whether the host that a client asks for is where the call goes.
    pub trust_host: bool,
    /// Providers, in the order in which they are asked: the first that matches wins.
    pub rules: Vec<Rule>,
}

/// Says which provider serves the calls that meet all of its conditions, of which it has one at least beside the path's end. Names may
/// have stars.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Envoy's cluster.
    pub cluster: Option<String>,
    /// Envoy's route.
    pub route: Option<String>,
    /// The beginning of the path.
    pub prefix: Option<String>,
    /// The host.
    pub host: Option<String>,
    /// The end of the path; none: every path.
    pub path: Option<String>,
    /// The provider's name.
    pub provider: String,
    /// The API spoken; none: the path and the response decide.
    pub api: Option<Api>,
    /// Whether `stream_options.include_usage` is taken; none: as the provider of that name does.
    pub include_usage: Option<bool>,
}

impl Rule {
    /// By what it knows the provider: of its conditions the one that a client can bend least. Rules are asked in this order.
    pub fn source(&self) -> ProviderSource {
        match self {
            Rule { cluster: Some(_), .. } => ProviderSource::RuleCluster,
            Rule { route: Some(_), .. } => ProviderSource::RuleRoute,
            Rule { prefix: Some(_), .. } => ProviderSource::RulePrefix,
            _ => ProviderSource::RuleHost,
        }
    }

    /// Whether it is for calls that go there; asks only for what it names.
    pub(super) fn leads(&self, to: &dyn Destination) -> bool {
        let fits = |pattern: &str, name: Option<&str>| {
            name.is_some_and(|name| hosts::matches(pattern.as_bytes(), name.as_bytes()))
        };
        self.cluster.as_deref().is_none_or(|pattern| fits(pattern, to.cluster()))
            && self.route.as_deref().is_none_or(|pattern| fits(pattern, to.route()))
    }

    /// Whether it is for a host.
    pub(super) fn is_for(&self, host: &[u8]) -> bool {
        self.host.as_deref().is_none_or(|pattern| hosts::is_host(pattern, host))
    }
}

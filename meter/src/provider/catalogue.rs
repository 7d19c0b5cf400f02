//! The providers, each one value: where it is, the paths of its API, what it takes and what it says. To add one: copy a constant
//! of `others.rs`, and name it in [`PROVIDERS`]. What is left out of a constant is as it is with most ([`Provider::of`]).

use super::asking::IncludeUsage;
use super::paths::{self, Path};
use super::plain::Plain;
use super::region::InHost;
use super::sellers::SELLERS;
use super::{anthropic, azure, bedrock, cohere, gemini, hosts, openai, others};

/// All that is known of a provider by its name.
#[derive(Debug)]
pub(super) struct Provider {
    /// Its name: the well-known value of OpenTelemetry's `gen_ai.provider.name`, where there is one.
    pub name: &'static str,
    /// Its hosts. A star stands for any text that has at least one character.
    pub hosts: &'static [&'static str],
    /// The names of hosts that have a region in them, where regions have prices of their own.
    pub regions: &'static [InHost],
    /// The paths that its API has brought; they are calls on any host. Those of the APIs that many speak are OpenAI's.
    pub paths: &'static [Path],
    /// Counts that say how many tokens went in and came out and nothing else ([`Api::Plain`](super::Api::Plain)), under names of
    /// its own; read at any host.
    pub plain: &'static [Plain],
    /// Paths whose responses have counts that are not charged there: they only count, or tell of another call.
    pub not_own: &'static [&'static str],
    /// Which streams may be asked for their usage by `stream_options.include_usage`. None: it gives counts unasked, or is not
    /// known to take the option.
    pub include_usage: Option<&'static IncludeUsage>,
    /// Headers of its responses can have counts ([`HEADERS`](super::HEADERS)), whatever the API.
    pub counts_in_headers: bool,
    /// Its responses say their region in `x-ms-region`.
    pub region_in_header: bool,
    /// Its hosts have services of another provider, below this segment of the path.
    pub below: Option<(&'static str, &'static str)>,
    /// It is a gateway to the services of others.
    pub gateway: Option<&'static Gateway>,
    /// This host of its is a router: the path names the service behind it.
    pub router: Option<&'static str>,
    /// Its OpenAI-style counts have reasoning in the total only, and not in the output.
    pub reasoning_in_total_only: bool,
    /// Its OpenAI-style counts have reasoning neither in the output nor in the total.
    pub reasoning_in_no_total: bool,
    /// The reasoning of its research models is priced beside the completion, and is in no total.
    pub research_beside: bool,
    /// What is written into a cache by a call of its own is charged as input, and not the storage alone.
    pub charges_cache_writes: bool,
    /// It serves the service tier that a request asks for, or refuses the request, and says nothing of it in its response.
    pub serves_tier_asked: bool,
    /// Its reranks have no counts, and cost by so many documents.
    pub documents_per_search: Option<u64>,
    /// The shortest sound that it charges for, seconds.
    pub least_audio_s: u64,
}

/// A gateway: the service that a call is for stands in its path behind so many segments, or in front of the name of its model.
#[derive(Debug)]
pub(super) struct Gateway {
    /// The first segment of such paths.
    pub first: &'static [u8],
    /// How many segments stand before the service.
    pub before: usize,
    /// Services by the gateway's names for them, and whose they are.
    pub services: &'static [(&'static str, &'static str)],
}

impl Gateway {
    fn service(&self, name: &[u8]) -> Option<&'static str> {
        let is = |(known, _): &&(&str, &str)| known.as_bytes().eq_ignore_ascii_case(name);
        self.services.iter().find(is).map(|(_, provider)| *provider)
    }

    /// By a path without its query.
    fn by_path(&self, path: &[u8]) -> Option<&'static str> {
        let mut segments = path.split(|&byte| byte == b'/').filter(|segment| !segment.is_empty());
        let mut rest = segments.clone().skip(self.before);
        (segments.next() == Some(self.first)).then(|| self.service(rest.next()?)).flatten()
    }
}

impl Provider {
    /// One that speaks APIs as others do, and of which nothing else is known.
    pub(super) const fn of(name: &'static str, hosts: &'static [&'static str]) -> Provider {
        Provider {
            name,
            hosts,
            regions: &[],
            paths: &[],
            plain: &[],
            not_own: &[],
            include_usage: None,
            counts_in_headers: false,
            region_in_header: false,
            below: None,
            gateway: None,
            router: None,
            reasoning_in_total_only: false,
            reasoning_in_no_total: false,
            research_beside: false,
            charges_cache_writes: false,
            serves_tier_asked: false,
            documents_per_search: None,
            least_audio_s: 0,
        }
    }

    /// The provider by a path, where its hosts have services of another one, too.
    pub(super) fn by_path(&'static self, path: &[u8]) -> &'static str {
        match self.below {
            Some((segment, other)) if paths::has(path, &[segment.as_bytes()]) => other,
            _ => self.gateway.and_then(|gateway| gateway.by_path(path)).unwrap_or(self.name),
        }
    }

    /// The provider by the name of the model that a gateway is asked for: `openai/gpt-5`.
    pub(super) fn by_model(&self, model: &str) -> Option<&'static str> {
        self.gateway?.service(model.split_once('/')?.0.as_bytes())
    }
}

/// Every provider of which more is known than its hosts, before [`SELLERS`]. Of several that a host fits the first has it.
#[rustfmt::skip]
pub(super) const PROVIDERS: &[&Provider] = &[
    &openai::OPENAI,
    &anthropic::ANTHROPIC,
    &azure::OPENAI, &azure::INFERENCE,
    &bedrock::BEDROCK,
    &gemini::GEMINI, &gemini::VERTEX,
    &cohere::COHERE,
    &others::MISTRAL, &others::GROQ, &others::DEEPSEEK, &others::XAI, &others::PERPLEXITY, &others::MOONSHOT, &others::WATSONX,
    &others::OPENROUTER, &others::VERCEL, &others::TOGETHER, &others::FIREWORKS, &others::CEREBRAS, &others::DEEPINFRA,
    &others::NVIDIA, &others::SAMBANOVA, &others::NOVITA, &others::HUGGING_FACE, &others::ZAI, &others::MINIMAX,
    &others::ALIBABA, &others::BAIDU, &others::VOLCENGINE, &others::TENCENT, &others::CLOUDFLARE, &others::DATABRICKS,
    &others::SNOWFLAKE, &others::REPLICATE, &others::AI21, &others::VOYAGE, &others::JINA, &others::WRITER, &others::OLLAMA,
    &others::ALEPH_ALPHA, &others::GITHUB, &others::CRUSOE, &others::HEROKU, &others::OCI, &others::ELEVENLABS, &others::DEEPGRAM,
];

/// Every provider.
pub(super) fn all() -> impl Iterator<Item = &'static Provider> {
    PROVIDERS.iter().copied().chain(SELLERS)
}

/// The providers with their hosts, for the documentation and for what checks names.
pub fn known() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    all().map(|provider| (provider.name, provider.hosts))
}

/// The provider of this very name.
pub(super) fn named(name: &str) -> Option<&'static Provider> {
    all().find(|provider| provider.name == name)
}

/// The name of the provider that a cluster is named after, by its own name.
pub(crate) fn provider_named(name: &str) -> Option<&'static str> {
    named(name).map(|provider| provider.name)
}

/// The provider of a host, which may carry a port. What could not be shown as it is, is nobody's: it would not be the same any
/// more where it was read as a text.
pub fn provider_of(host: &[u8]) -> Option<&'static str> {
    if !host.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let is = |pattern: &&str| hosts::is_host(pattern, host);
    all().find(|provider| provider.hosts.iter().any(is)).map(|provider| provider.name)
}

/// The provider of a cluster that is named after its host.
pub fn provider_of_cluster(cluster: &str) -> Option<&'static str> {
    provider_of(hosts::host_of_cluster(cluster)?.as_bytes())
}

/// The provider by host and path, where a host has several services.
pub(super) fn by_path(provider: &'static str, path: &[u8]) -> &'static str {
    named(provider).map_or(provider, |provider| provider.by_path(path))
}

/// Whether a provider's hosts have services of another one under other paths.
pub(super) fn depends_on_path(provider: &str) -> bool {
    named(provider).is_some_and(|provider| provider.below.is_some() || provider.gateway.is_some())
}

/// Whether a host is a router, whose paths name the service that responds.
pub(super) fn is_router(host: &[u8]) -> bool {
    PROVIDERS.iter().filter_map(|provider| provider.router).any(|router| hosts::is_same(host, router.as_bytes()))
}

/// What is known of a path without its query: of several patterns that it ends with, the longest.
pub(super) fn path(path: &[u8]) -> Option<&'static Path> {
    let all = PROVIDERS.iter().flat_map(|provider| provider.paths);
    all.filter(|known| paths::ends_with(path, known.pattern)).max_by_key(|known| known.segments())
}

/// Whether a path's response is known to have no usage of its own.
pub(super) fn is_not_own(path: &[u8]) -> bool {
    PROVIDERS.iter().flat_map(|provider| provider.not_own).any(|pattern| paths::ends_with(path, pattern))
}

#[cfg(test)]
mod tests {
    use super::*;

    cases! {
        fn contract_a_name_is_one_providers_and_what_it_refers_to_is_there() {
            for (index, provider) in all().enumerate() {
                assert!(all().take(index).all(|other| other.name != provider.name), "{}", provider.name);
                assert!(provider.below.is_none_or(|(_, other)| named(other).is_some()), "{}", provider.name);
                let behind = provider.gateway.map_or(&[][..], |gateway| gateway.services);
                assert!(behind.iter().all(|(_, other)| named(other).is_some()), "{}", provider.name);
                assert!(provider.router.is_none_or(|router| provider.hosts.contains(&router)), "{}", provider.name);
                // A host that one provider has before another, it has alone: none is without a host of its own.
                let own = |host: &&str| provider_of(host.replace('*', "x").as_bytes()) == Some(provider.name);
                assert!(provider.hosts.iter().any(own), "{}", provider.name);
            }
        }

        fn contract_hosts_that_are_asked_are_the_providers_own() {
            for provider in all() {
                for host in provider.include_usage.map_or(&[][..], |asking| asking.hosts) {
                    assert_eq!(provider_of(host.replace('*', "x").as_bytes()), Some(provider.name), "{host}");
                }
            }
        }

        fn contract_no_path_has_two_meanings() {
            let all: Vec<&Path> = PROVIDERS.iter().flat_map(|provider| provider.paths).collect();
            for (index, one) in all.iter().enumerate() {
                let written = format!("/{}", one.pattern.replace('*', "x"));
                assert_eq!(path(written.as_bytes()), Some(*one), "{written}");
                for other in &all[..index] {
                    let both = other.segments() == one.segments() && paths::ends_with(written.as_bytes(), other.pattern);
                    assert!(!both, "{} {}", one.pattern, other.pattern);
                }
            }
        }
    }
}

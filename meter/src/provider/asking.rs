//! Who is asked for usage by `stream_options.include_usage`: only providers that are known to take it, for one that does not know
//! it responds with 400, and the client would have had a response.
//!
//! [`IncludeUsage`] is for providers that give no counts in a stream of chat completions unless asked. Others give them anyway
//! (Mistral, Perplexity, Cerebras, OpenRouter, Z.ai, MiniMax, watsonx) or may refuse the option: Mistral's API does
//! (openai-agents-python#442), and whatever is only compatible may (an old vLLM: higress#3041).

use super::{catalogue, hosts, paths};

/// Which streams of a provider may be asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IncludeUsage {
    /// Its hosts that take the option; none named: all.
    pub hosts: &'static [&'static str],
    /// It takes it for text completions, too.
    pub completions: bool,
    /// Once asked, and only then, it says `"usage":null` in every other chunk.
    pub says_null: bool,
    /// Where on these hosts it takes it.
    pub only: Where,
    /// How the names of models begin that take it; none named: all but those of `not_models`.
    pub models: &'static [&'static str],
    /// What is in the names of models that do not.
    pub not_models: &'static [&'static str],
    /// Members of a request that it does not take it with, out of [`BARRING`].
    pub not_with: &'static [&'static str],
}

/// On which paths and in which versions an API takes the option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// On all.
    Everywhere,
    /// `api-version` is a date not before this one, or the path has no date: `/openai/v1/…`.
    AzureVersion(&'static str),
    /// Where this is the path's first segment.
    OwnPath(&'static str),
}

impl IncludeUsage {
    /// All streams of chat completions.
    pub(super) const ANY: IncludeUsage = IncludeUsage {
        hosts: &[],
        completions: false,
        says_null: false,
        only: Where::Everywhere,
        models: &[],
        not_models: &[],
        not_with: &[],
    };

    /// Those of text completions, too.
    pub(super) const AND_COMPLETIONS: IncludeUsage = IncludeUsage { completions: true, ..IncludeUsage::ANY };
}

/// The members of Azure's "on your data", and of an extension of its vision models.
pub(super) const AZURE_DATA: &[&str] = &["data_sources", "dataSources", "enhancements"];

/// The members of a request that some provider does not take the option with.
pub(crate) const BARRING: &[&str] = AZURE_DATA;

/// What is known of the provider that a call seems to go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asking(Known);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Known {
    /// The provider has no need of it, or does not take it.
    #[default]
    No,
    /// The configuration says that it takes it.
    Told { says_null: bool },
    /// It takes it somewhere, but not as far as is known on this host, on this path or in this version.
    NotHere,
    /// It takes it, for some models and requests at least.
    Streams(&'static IncludeUsage),
}

impl Asking {
    /// Of a provider by its name: whether it takes the option at all, `told` if the configuration says so.
    pub(super) fn of(provider: Option<&str>, told: Option<bool>) -> Asking {
        let known = provider.and_then(|provider| catalogue::named(provider)?.include_usage);
        Asking(match (told, known) {
            (Some(false), _) | (None, None) => Known::No,
            (Some(true), known) => Known::Told { says_null: known.is_some_and(|known| known.says_null) },
            (None, Some(known)) => Known::Streams(known),
        })
    }

    /// The same of a call: where it goes, what for, its path without the query, as servers read it, and the query.
    pub(super) fn at(self, host: Option<&[u8]>, operation: Option<&str>, path: &[u8], query: &[u8]) -> Asking {
        let known = match (self.0, operation) {
            (_, operation) if !matches!(operation, None | Some("chat" | "text_completion")) => Known::No,
            (Known::Streams(known), operation) => {
                let is_host = |host: &[u8]| known.hosts.iter().any(|pattern| hosts::is_host(pattern, host));
                let here = (known.hosts.is_empty() || host.is_some_and(is_host))
                    && (known.completions || operation != Some("text_completion"))
                    && known.only.takes(path, query);
                if here { Known::Streams(known) } else { Known::NotHere }
            }
            (known, _) => known,
        };
        Asking(known)
    }

    /// Whether only some hosts of the provider take it.
    pub(super) fn depends_on_host(&self) -> bool {
        matches!(self.0, Known::Streams(known) if !known.hosts.is_empty())
    }

    /// Whether it takes it for some models or requests only.
    pub(crate) fn depends_on_request(&self) -> bool {
        let depends = |known: &IncludeUsage| {
            !(known.models.is_empty() && known.not_models.is_empty() && known.not_with.is_empty())
        };
        matches!(self.0, Known::Streams(known) if depends(known))
    }

    /// Whether the provider takes the option somewhere and gives no counts without it.
    pub fn is_known(&self) -> bool {
        !matches!(self.0, Known::No)
    }

    /// Whether it takes it here, for some models and requests at least.
    pub fn is_here(&self) -> bool {
        matches!(self.0, Known::Told { .. } | Known::Streams(_))
    }

    /// Whether it takes it for a model, by every name that the request has for it, and with these members.
    pub(crate) fn takes<'a>(&self, mut models: impl Iterator<Item = &'a str>, members: u8) -> bool {
        let Known::Streams(known) = self.0 else { return self.is_here() };
        let barred = |(member, bit): (&&str, u8)| members & bit != 0 && known.not_with.contains(member);
        if BARRING.iter().zip(bits()).any(barred) {
            return false;
        }
        models.all(|model| {
            let model = model.to_ascii_lowercase();
            let begins = |start: &&str| model.starts_with(start);
            (known.models.is_empty() || known.models.iter().any(begins))
                && !known.not_models.iter().any(|part| model.contains(part))
        })
    }

    /// Whether the provider, once asked, says in every other chunk that there is no usage yet.
    pub fn says_null(&self) -> bool {
        match self.0 {
            Known::Told { says_null } => says_null,
            Known::Streams(known) => known.says_null,
            Known::No | Known::NotHere => false,
        }
    }
}

/// A bit for each of [`BARRING`].
pub(crate) fn bits() -> impl Iterator<Item = u8> {
    (0..u8::BITS).filter_map(|place| 1u8.checked_shl(place))
}

impl Where {
    fn takes(self, path: &[u8], query: &[u8]) -> bool {
        match self {
            Where::Everywhere => true,
            Where::AzureVersion(first) => is_azure_version(first, path, query),
            Where::OwnPath(first) => {
                path.split(|&byte| byte == b'/').find(|segment| !segment.is_empty()) == Some(first.as_bytes())
            }
        }
    }
}

/// Whether a request to Azure is for a version of the API not before `first`.
fn is_azure_version(first: &str, path: &[u8], query: &[u8]) -> bool {
    let version = query.split(|&byte| byte == b'&').find_map(|pair| {
        let name = pair.get(..VERSION.len())?;
        name.eq_ignore_ascii_case(VERSION).then(|| pair.get(VERSION.len()..).unwrap_or_default())
    });
    let is_dated = |version: &[u8]| version.first().is_some_and(u8::is_ascii_digit);
    match version {
        // Dates compare as texts; what is behind them (`-preview`) makes no difference.
        Some(version) if is_dated(version) => version.get(..first.len()) >= Some(first.as_bytes()),
        // `preview`, `latest` or nothing.
        _ => paths::has(path, &[b"openai", b"v1"]),
    }
}

const VERSION: &[u8] = b"api-version=";

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a call may be asked: `None`, not here; else whether its model and members allow it.
    fn taken(provider: &str, host: &str, path: &str, models: &[&str], members: u8) -> Option<bool> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let asking =
            Asking::of(Some(provider), None).at(Some(host.as_bytes()), Some("chat"), path.as_bytes(), query.as_bytes());
        asking.is_here().then(|| asking.takes(models.iter().copied(), members))
    }

    cases! {
        fn contract_azure_is_asked_in_versions_that_take_it() {
            let host = "x.openai.azure.com";
            for (path, taken_there) in [
                ("/openai/deployments/d/chat/completions?api-version=2024-10-21", true),
                ("/openai/deployments/d/chat/completions?api-version=2024-09-01-preview", true),
                ("/openai/deployments/d/chat/completions?x=1&API-Version=2025-04-01-preview&y", true),
                ("/openai/v1/chat/completions", true),
                ("/openai/v1/chat/completions?api-version=preview", true),
                ("/gateway/openai/v1/chat/completions?", true),
                ("/openai/v1/chat/completions?api-version=2024-06-01", false),
                ("/openai/deployments/d/chat/completions?api-version=2024-08-01-preview", false),
                ("/openai/deployments/d/chat/completions?api-version=2023-05-15", false),
                ("/openai/deployments/d/chat/completions?api-version=", false),
                ("/openai/deployments/d/chat/completions?api-version=2024", false),
                ("/openai/deployments/v1/chat/completions", false),
                ("/chat/completions?api-version-x=2024-10-21", false),
            ] {
                assert_eq!(taken("azure.ai.openai", host, path, &["gpt-4o"], 0), taken_there.then_some(true), "{path}");
            }
        }

        fn contract_what_a_request_has_in_it_can_bar_the_question() {
            let azure = |members| taken("azure.ai.openai", "", "/openai/v1/chat/completions", &["d"], members);
            assert_eq!([azure(0), azure(1), azure(2), azure(4), azure(8)].map(Option::unwrap), [true, false, false, false, true]);
            assert_eq!(taken("openai", "", "/v1/chat/completions", &["m"], 1), Some(true));
        }

        fn contract_models_are_asked_where_they_are_known() {
            let path = "/serving-endpoints/chat/completions";
            for (models, expected) in [
                (&["databricks-meta-llama-3-3-70b-instruct"][..], true),
                (&["databricks-gpt-oss-120b", "databricks-gpt-oss-120b"], true),
                (&["databricks-claude-sonnet-4-5"], false),
                (&["Databricks-CLAUDE-3-7"], false),
                (&["databricks-llama", "databricks-claude"], false),
                (&["my-anthropic-endpoint"], false),
                (&["my-endpoint"], false),
            ] {
                assert_eq!(taken("databricks", "x.cloud.databricks.com", path, models, 0), Some(expected), "{models:?}");
            }
            assert_eq!(taken("azure.ai.openai", "", "/openai/v1/chat/completions", &["Mistral-Large-3"], 0), Some(false));
            assert_eq!(taken("openai", "", "/v1/chat/completions", &["claude"], 0), Some(true));
        }

        fn contract_hosts_of_one_provider_differ() {
            let here = |provider: &str, host: &str, path: &str| taken(provider, host, path, &["m"], 0).is_some();
            assert!(here("aws.bedrock", "bedrock-mantle.eu-west-1.api.aws", "/v1/chat/completions"));
            assert!(!here("aws.bedrock", "bedrock-runtime.eu-west-1.amazonaws.com", "/openai/v1/chat/completions"));
            assert!(here("github", "models.github.ai:443", "/inference/chat/completions"));
            assert!(!here("github", "api.githubcopilot.com", "/chat/completions"));
            assert!(here("huggingface", "router.huggingface.co", "/v1/chat/completions"));
            assert!(!here("huggingface", "router.huggingface.co", "/together/v1/chat/completions"));
            assert!(!here("mistral_ai", "api.mistral.ai", "/v1/chat/completions"));
        }

        fn contract_the_configuration_knows_better() {
            let told = |told| Asking::of(Some("databricks"), Some(told)).at(None, Some("chat"), b"/x", b"");
            assert!(told(true).takes(["claude"].into_iter(), 255));
            assert!(!told(false).is_known());
            assert!(!Asking::of(Some("vllm"), None).is_known());
            let embeddings = Asking::of(Some("openai"), None).at(None, Some("embeddings"), b"/v1/embeddings", b"");
            assert!(!embeddings.is_known());
        }

        fn contract_members_that_bar_the_question_are_all_looked_for() {
            let all = catalogue::all().filter_map(|provider| provider.include_usage);
            for known in all {
                assert!(known.not_with.iter().all(|member| BARRING.contains(member)), "{known:?}");
            }
        }
    }
}

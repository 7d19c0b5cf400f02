//! Who takes `stream_options.include_usage`: data, one row each. Asked is only where it is known to be taken: a provider that
//! does not know it responds with 400, and the client would have had a response.
//!
//! A row is for providers that give no counts in a stream of chat completions unless asked. Others give them anyway
//! (Mistral, Perplexity, Together, Cerebras, OpenRouter, Z.ai, MiniMax, watsonx) or may refuse the option: Mistral's API does
//! (openai-agents-python#442), and whatever is only compatible may (an old vLLM: higress#3041).

use super::{hosts, paths};

/// What is known of a provider.
#[derive(PartialEq, Eq)]
struct Row {
    provider: &'static str,
    /// Its hosts that take it; none named: all.
    hosts: &'static [&'static str],
    /// It takes it for text completions, too.
    completions: bool,
    /// Once asked, and only then, it says `"usage":null` in every other chunk.
    says_null: bool,
    /// Only some versions of its API take it.
    versions: Versions,
    /// How the names of models begin that take it; none named: all but those of `not_models`.
    models: &'static [&'static str],
    /// What is in the names of models that do not.
    not_models: &'static [&'static str],
    /// Members of a request that it does not take it with.
    not_with: &'static [&'static str],
}

/// Which versions of an API take the option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Versions {
    All,
    /// `api-version` is a date not before this one, or the path has no date: `/openai/v1/…`.
    Azure(&'static str),
}

const ANY: Row = Row {
    provider: "",
    hosts: &[],
    completions: false,
    says_null: false,
    versions: Versions::All,
    models: &[],
    not_models: &[],
    not_with: &[],
};

const ROWS: &[Row] = &[
    Row { provider: "openai", completions: true, says_null: true, ..ANY },
    // The option came with 2024-09-01-preview and stayed in 2024-10-21 (azure-rest-api-specs#29157, #30810, griptape#1640);
    // 2023-05-15 responds with 400 (openai-python#1469). "On your data" does not take it in any version (openai-python#2296), and
    // its requests had other names once (`dataSources`). Foundry serves other makers' models under the same path.
    Row {
        provider: "azure.ai.openai",
        completions: true,
        says_null: true,
        versions: Versions::Azure("2024-09-01"),
        not_models: &["claude", "mistral", "ministral", "codestral", "devstral", "magistral", "pixtral"],
        not_with: AZURE_DATA,
        ..ANY
    },
    // Converse and InvokeModel have no such option (litellm#9916); of `/openai/v1` on bedrock-runtime nothing is known.
    Row { provider: "aws.bedrock", hosts: &["bedrock-mantle.*.api.aws"], not_models: CLAUDE, ..ANY },
    Row { provider: "alibaba", completions: true, ..ANY },
    // This one, Volcengine, Moonshot and xAI take it by new-api's list of those that do (`relay/common/relay_info.go`).
    Row { provider: "baidu", hosts: &["qianfan.baidubce.com"], ..ANY },
    Row { provider: "crusoe", ..ANY },
    // In front of Claude it responds with 400 (opencode#4698, obsidian-copilot#2148), and a name that is not its own may stand for
    // any model of any maker. Of Gemini behind it nothing is known.
    Row { provider: "databricks", models: &["databricks-"], not_models: &["claude", "anthropic", "gemini"], ..ANY },
    Row { provider: "deepseek", completions: true, ..ANY },
    // Its newer models give counts only if asked (vercel/ai#16087, langchain#36977).
    Row { provider: "fireworks", completions: true, ..ANY },
    Row { provider: "github", hosts: &["models.github.ai"], not_models: MISTRAL, ..ANY },
    // Its own counts (`x_groq`) are not complete (celeste-python#351).
    Row { provider: "groq", ..ANY },
    // The router's own path; behind those of single providers are their APIs, and a dedicated endpoint runs any server.
    Row { provider: "huggingface", hosts: &["router.huggingface.co"], ..ANY },
    Row { provider: "moonshot_ai", ..ANY },
    Row { provider: "nvidia", completions: true, ..ANY },
    Row { provider: "ollama", completions: true, ..ANY },
    // "Include usage to get generation metrics" (langchain-sambanova).
    Row { provider: "sambanova", ..ANY },
    // As recorded, for Claude, too.
    Row { provider: "snowflake", ..ANY },
    Row { provider: "volcengine", ..ANY },
    // Older models give counts unasked (zed#45812, langchain#626).
    Row { provider: "x_ai", completions: true, ..ANY },
];

const CLAUDE: &[&str] = &["claude", "anthropic"];
const MISTRAL: &[&str] = &["mistral", "ministral", "codestral"];

/// The members of Azure's "on your data", and of an extension of its vision models.
const AZURE_DATA: &[&str] = &["data_sources", "dataSources", "enhancements"];

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
    Row(&'static Row),
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.provider)
    }
}

impl Asking {
    /// Of a provider by its name: whether it takes the option at all, `told` if the configuration says so.
    pub(super) fn of(provider: Option<&str>, told: Option<bool>) -> Asking {
        let row = provider.and_then(|provider| ROWS.iter().find(|row| row.provider == provider));
        Asking(match (told, row) {
            (Some(false), _) | (None, None) => Known::No,
            (Some(true), row) => Known::Told { says_null: row.is_some_and(|row| row.says_null) },
            (None, Some(row)) => Known::Row(row),
        })
    }

    /// The same of a call: where it goes, what for, its path without the query, as servers read it, and the query.
    pub(super) fn at(self, host: Option<&[u8]>, operation: Option<&str>, path: &[u8], query: &[u8]) -> Asking {
        let known = match (self.0, operation) {
            (_, operation) if !matches!(operation, None | Some("chat" | "text_completion")) => Known::No,
            (Known::Row(row), operation) => {
                let is_host = |host: &[u8]| row.hosts.iter().any(|pattern| hosts::is_host(pattern, host));
                let here = (row.hosts.is_empty() || host.is_some_and(is_host))
                    && (row.completions || operation != Some("text_completion"))
                    && row.versions.take(path, query)
                    && !(row.provider == "huggingface" && is_single(path));
                if here { Known::Row(row) } else { Known::NotHere }
            }
            (known, _) => known,
        };
        Asking(known)
    }

    /// Whether only some hosts of the provider take it.
    pub(super) fn depends_on_host(&self) -> bool {
        matches!(self.0, Known::Row(row) if !row.hosts.is_empty())
    }

    /// Whether it takes it for some models or requests only.
    pub(crate) fn depends_on_request(&self) -> bool {
        let depends = |row: &Row| !(row.models.is_empty() && row.not_models.is_empty() && row.not_with.is_empty());
        matches!(self.0, Known::Row(row) if depends(row))
    }

    /// Whether the provider takes the option somewhere and gives no counts without it.
    pub fn is_known(&self) -> bool {
        !matches!(self.0, Known::No)
    }

    /// Whether it takes it here, for some models and requests at least.
    pub fn is_here(&self) -> bool {
        matches!(self.0, Known::Told { .. } | Known::Row(_))
    }

    /// Whether it takes it for a model, by every name that the request has for it, and with these members.
    pub(crate) fn takes<'a>(&self, mut models: impl Iterator<Item = &'a str>, members: u8) -> bool {
        let Known::Row(row) = self.0 else { return self.is_here() };
        let barred = |(member, bit): (&&str, u8)| members & bit != 0 && row.not_with.contains(member);
        if BARRING.iter().zip(bits()).any(barred) {
            return false;
        }
        models.all(|model| {
            let model = model.to_ascii_lowercase();
            let begins = |start: &&str| model.starts_with(start);
            (row.models.is_empty() || row.models.iter().any(begins))
                && !row.not_models.iter().any(|part| model.contains(part))
        })
    }

    /// Whether the provider, once asked, says in every other chunk that there is no usage yet.
    pub fn says_null(&self) -> bool {
        match self.0 {
            Known::Told { says_null } => says_null,
            Known::Row(row) => row.says_null,
            Known::No | Known::NotHere => false,
        }
    }
}

/// A bit for each of [`BARRING`].
pub(crate) fn bits() -> impl Iterator<Item = u8> {
    (0..u8::BITS).filter_map(|place| 1u8.checked_shl(place))
}

impl Versions {
    fn take(self, path: &[u8], query: &[u8]) -> bool {
        let Versions::Azure(first) = self else { return true };
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
}

const VERSION: &[u8] = b"api-version=";

/// Whether a path of Hugging Face's router is that of a single provider behind it: `/together/v1/…`.
fn is_single(path: &[u8]) -> bool {
    path.split(|&byte| byte == b'/').find(|segment| !segment.is_empty()) != Some(b"v1")
}

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

        fn contract_each_row_is_a_provider_and_its_hosts_are_its_own() {
            for row in ROWS {
                assert_eq!(hosts::provider_named(row.provider), Some(row.provider));
                for host in row.hosts {
                    let host = host.replace('*', "x");
                    assert_eq!(hosts::provider_of(host.as_bytes()), Some(row.provider), "{host}");
                }
                assert!(row.not_with.iter().all(|member| BARRING.contains(member)));
            }
        }
    }
}

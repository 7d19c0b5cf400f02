//! The catalogue of keys: the one place that names them, their limits, defaults and meaning.

use serde_json::Value;
use wire::event::MAX_TAGS;
use wire::for_readers;
use wire::identity::{ALLOWED, tenant};

use crate::identity::Hash;
use crate::provider::Api;
use crate::signals::Signal;

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An object with the keys below it.
    Object,
    /// A list of at most so many objects, with the keys below `[]`.
    Objects(usize),
    /// A text of 1 to so many bytes, visible ASCII only.
    Text(usize),
    /// A text, or a list of 1 to 8 texts, each as in `Text`.
    Texts(usize),
    /// A list of 1 to so many trust domains of SPIFFE; `*` stands for every one.
    TrustDomains(usize),
    /// A text, as in `Text`, that begins with a slash.
    Prefix(usize),
    /// A list of at most so many names of headers.
    Headers(usize),
    /// An object of at most so many members: hashes of API keys, and their tenants.
    Hashes(usize),
    /// A list of these words.
    Words(&'static [&'static str]),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number from .0 to .1.
    Number(u64, u64),
    /// `true` or `false`.
    Bool,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its path; `[]` stands for any element of a list.
    pub path: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds without it, as JSON; empty: nothing.
    pub default: &'static str,
    /// One sentence for the reader of a table.
    pub help: &'static str,
}

const fn key(path: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Key {
    Key { path, kind, default, help: for_readers(help) }
}

/// Where a tenant can come from.
const SOURCES: &[&str] = &["spiffe", "certificate", "jwt", "xfcc", "api_key", "header", "node"];

/// Every key.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key("collector", Kind::Object, "", "where events are sent; without it there are only metrics and records in access logs"),
    key("collector.cluster", Kind::Texts(256), "", "Envoy's cluster of the collector; of several names each dispatch goes to the first that Envoy has a cluster for"),
    key("collector.alias", Kind::Text(63), "", "Envoy Gateway's name for the collector, a `name` in the `backends` of the EnvoyExtensionPolicy: dispatches go to the cluster that the route of the worker's last call has for it, and to `cluster` if there is none"),
    key("collector.authority", Kind::Text(256), "\"meshmeter-collector\"", "the `:authority` of dispatches"),
    key("collector.path", Kind::Text(1024), "\"/v1/events\"", "the `:path` of dispatches; any CloudEvents ingest will do"),
    key("collector.token_env", Kind::Text(128), "\"MESHMETER_INGEST_TOKEN\"", "the environment variable of the VM that holds the bearer token; no variable, no token"),
    key("collector.timeout_ms", Kind::Number(100, 60_000), "5000", "how long to wait for the collector's response"),
    key("collector.heartbeat_ms", Kind::Number(0, 300_000), "15000", "after this time without a dispatch, a worker that has counted something tells the collector how far, which also keeps the connection warm; only sent to a collector that shows that it reads statements; 0: never"),
    key("batch", Kind::Object, "{}", "when a batch is sent: as soon as one of the bounds is reached"),
    key("batch.max_events", Kind::Number(1, 1000), "100", "events in a batch"),
    key("batch.max_bytes", Kind::Number(16_384, 4_194_304), "262144", "bytes in a batch"),
    key("batch.max_age_ms", Kind::Number(100, 60_000), "1000", "age of the oldest event"),
    key("outbox", Kind::Object, "{}", "the queue of events that are not acknowledged yet, one per worker"),
    key("outbox.max_bytes", Kind::Number(65_536, 268_435_456), "8388608", "its bound; an event that does not fit is dropped, counted, and leaves a gap in the sequence"),
    key("journal", Kind::Object, "{}", "where records are written besides the access log"),
    key("journal.log", Kind::Bool, "false", "also write each record to Envoy's own log (standard error, level `info`), before the client has the end of its response, so that not even SIGKILL loses one. The access log is written by a separate thread, which on a busy machine is some milliseconds late"),
    key("tenant", Kind::Objects(16), r#"[{"from":"spiffe"},{"from":"jwt"},{"from":"header","name":"x-tenant-id"}]"#, "where the tenant comes from: the first source that shows anything decides"),
    key("tenant[].from", Kind::Word(SOURCES), "", "`spiffe`: the SPIFFE ID of the client certificate, or of Istio's peer; `certificate`: another name in the client certificate; `jwt`: claim that jwt_authn verified; `xfcc`: certificate that a proxy in front verified; `api_key`: API key, known by its hash; `header`: request header; `node`: metadata of Envoy's node"),
    key("tenant[].pattern", Kind::Text(256), "", "not with `api_key`: what the whole identity must look like, such as `spiffe://prod.example/ns/{ns}/sa/{sa}`; a name in braces stands for one character or more, up to a `/` or to the character behind the brace; without it the identity itself is the tenant. Of entries that follow each other and look at the same identity, the first whose pattern matches decides"),
    key("tenant[].tenant", Kind::Text(128), "", "beside `pattern`: the tenant that it makes, such as `org/{ns}/{sa}`"),
    key("tenant[].take", Kind::Word(&["namespace", "path", "trust_domain"]), "\"namespace\"", "`spiffe` without `pattern`: the part of the ID that is the tenant; `namespace` is that of `/ns/NAMESPACE/sa/ACCOUNT`, and the path must be such a one"),
    key("tenant[].trust_domains", Kind::TrustDomains(16), "", "`spiffe` only: the trust domains that count, `*` for all that the listener accepts; without it that of `pattern`, or the proxy's own, that of the certificate it presents to the caller (as Istio's proxies do); a caller from any other is `invalid`"),
    key("tenant[].san", Kind::Word(&["uri", "dns", "email"]), "\"uri\"", "`certificate` and `xfcc`: the kind of name; there must be one of that kind. `email` with `certificate` only"),
    key("tenant[].claim", Kind::Texts(128), "\"tenant\"", "`jwt` only: the claim; an array is a path into nested claims, where a number picks an element of a list"),
    key("tenant[].payload_key", Kind::Text(256), "\"jwt_payload\"", "`jwt` only: jwt_authn's `payload_in_metadata`"),
    key("tenant[].element", Kind::Word(&["first", "matching"]), "", "`jwt` only: the claim is a list of strings, and this element counts: the `first`, or the one that `pattern` matches; several that match as different tenants are `invalid`"),
    key("tenant[].hops", Kind::Number(0, 8), "0", "`xfcc` only: how many elements at the end of `x-forwarded-client-cert` to pass over, because proxies of yours added them behind the one that counts"),
    key("tenant[].metadata", Kind::Texts(128), "\"NAMESPACE\"", "`node` only: the path of a string in the metadata of Envoy's node; Istio has `NAMESPACE`, `WORKLOAD_NAME`, `[\"LABELS\",\"app\"]`"),
    key("tenant[].headers", Kind::Headers(8), "[\"authorization\",\"x-api-key\",\"api-key\",\"x-goog-api-key\"]", "`api_key` only: the headers that may hold the key; of `authorization` the scheme `Bearer`"),
    key("tenant[].secret_env", Kind::Text(128), "\"MESHMETER_HASH_KEY\"", "`api_key` only: the environment variable of the VM that holds the secret of the hash, at least 16 characters"),
    key("tenant[].keys", Kind::Hashes(1000), "", "`api_key` only: the hash of each API key, as `meshmeter hash-key` prints it, and its tenant"),
    key("tenant[].name", Kind::Text(128), "\"x-tenant-id\"", "`header` only: the header's name"),
    key("tenant[].trusted", Kind::Bool, "false", "`header` and `xfcc`: whether the header counts; if not, it changes nothing, and requests that carry it are counted"),
    key("tags", Kind::Objects(MAX_TAGS), "[]", "facts about a call that its record keeps, by name, such as a team or an application: `{\"name\":\"team\",\"from\":\"jwt\"}`. Never in metrics"),
    key("tags[].name", Kind::Text(64), "", "the tag's name in the record; unique"),
    key("tags[].from", Kind::Word(&["jwt", "header"]), "", "`jwt`: claim that jwt_authn verified; `header`: request header"),
    key("tags[].claim", Kind::Texts(128), "", "`jwt` only: the claim; an array is a path into nested claims; without it the tag's name"),
    key("tags[].payload_key", Kind::Text(256), "\"jwt_payload\"", "`jwt` only: jwt_authn's `payload_in_metadata`"),
    key("tags[].header", Kind::Text(128), "", "`header` only: the header's name; without it the tag's name"),
    key("tags[].trusted", Kind::Bool, "false", "`header` only: whether the header counts, because no client can send it past the proxy; if not, it gives no tag"),
    key("session", Kind::Object, "{}", "how a client names its session"),
    key("session.headers", Kind::Headers(8), "[\"x-claude-code-session-id\",\"session-id\",\"session_id\",\"x-session-id\"]", "the headers that name it, the first that is present: those of Claude Code and Codex, and what others use. The client's word: it proves nothing"),
    key("agent", Kind::Object, "{}", "how a client names its agent"),
    key("agent.headers", Kind::Headers(8), "[\"x-claude-code-agent-id\",\"x-openai-subagent\"]", "the headers that name it, likewise"),
    key("publish", Kind::Words(Signal::WORDS), "[\"tenant\",\"input_tokens\",\"output_tokens\"]", "the [values](tracing.md#values) that are written into the filter state, for access logs, span attributes and rate limits; each costs about a microsecond per call"),
    key("metrics", Kind::Object, "{}", "the cost of metrics"),
    key("metrics.max_series", Kind::Number(1, 100_000), "2000", "sets of tenant, provider and model in use per worker, of which one tenant gets an eighth at most; a model past that becomes `overflow`, and so does a tenant when there is no room at all; the totals stay right"),
    key("detect", Kind::Object, "{}", "how calls are found"),
    key("detect.by_shape", Kind::Bool, "true", "recognise calls to unknown hosts and paths by the shape of the response's body"),
    key("detect.trust_host", Kind::Bool, "false", "take the host that a client asks for as where the call went; right only where no route sends a host anywhere but to itself, as with a dynamic forward proxy"),
    key("providers", Kind::Objects(64), "[]", "which provider responds to which calls, before anything else that is known: rules with `cluster` first, then with `route`, then with `prefix`, then the others; in each rank the first that matches. A rule matches if all its conditions do; it has at least one of `cluster`, `route`, `prefix` and `host`"),
    key("providers[].cluster", Kind::Text(256), "", "Envoy's cluster; `*` matches any text"),
    key("providers[].route", Kind::Text(256), "", "Envoy's route; `*` matches any text"),
    key("providers[].prefix", Kind::Prefix(256), "", "the beginning of the path as the client asks for it, by segments (`/openai`). The client's word: use it only where Envoy sends it to that provider and nowhere else"),
    key("providers[].host", Kind::Text(253), "", "the host name without port, as Envoy asks the upstream for it or as the client does; `*` matches any text. The client's word: use it only where Envoy sends it to that provider and nowhere else"),
    key("providers[].path", Kind::Text(256), "", "the end of the path, by segments (`v2/ask`); a segment `*` is any; without it every path"),
    key("providers[].provider", Kind::Text(64), "", "the name in metrics, records and the price book"),
    key("providers[].api", Kind::Word(Api::WORDS), "", "the API; without it the path and the response decide"),
    key("providers[].include_usage", Kind::Bool, "", "whether it accepts `stream_options.include_usage`, so that streams are asked for their usage; without it as is known of `provider`"),
    key("include_usage", Kind::Bool, "true", "ask OpenAI-style streams for their usage where the client did not, at hosts known to accept it, and remove the extra chunk from the response"),
    key("include_usage_else", Kind::Word(&["pass", "refuse"]), "\"pass\"", "what happens to a stream that accepts the option, does not ask by itself and cannot be asked: `pass`: the record and a metric say why; `refuse`: the client gets a 400 that says why, and how to ask"),
    key("budgets", Kind::Object, "", "hold the collector's [budgets](budgets.md#in-the-plugin): calls for which there is no room are refused before they leave; `{}` takes the defaults, and without this key nothing is held. Needs `collector`"),
    key("budgets.path", Kind::Prefix(1024), "\"/v1/leases\"", "the `:path` at which the collector gives leases"),
    key("budgets.without_collector", Kind::Word(&["open", "closed"]), "\"open\"", "what happens to calls when what this worker holds is used up, or out of date, and the collector has been away for 10 seconds or was never heard: `open`: they pass, and `meshmeter_budget_unheld_total` counts them; `closed`: they are refused"),
    key("budgets.assume_output_tokens", Kind::Number(1, 10_000_000), "131072", "what a call that does not limit its output (`max_tokens` and the like) is taken to write at most, tokens. A lower number lets more such calls run at once, and a limit can be exceeded by what they write beyond it"),
    key("budgets.assume_input_tokens", Kind::Number(0, 10_000_000), "1048576", "what a call is taken to read at most beside what its request shows, tokens, where it may read more: files, sound, video, what the provider keeps or finds itself. As above for a lower number"),
];

/// The default of a key, null where there is none.
pub(super) fn default(path: &str) -> Value {
    let key = KEYS.iter().find(|key| key.path == path);
    key.and_then(|key| wire::read_json(key.default.as_bytes()).ok()).unwrap_or(Value::Null)
}

/// Keys that must be there as soon as what holds them is, and what they name.
pub(super) const REQUIRED: &[(&str, &str)] = &[
    ("tenant[].from", "spiffe, certificate, jwt, xfcc, api_key, header, node"),
    ("providers[].provider", "the provider's name"),
    ("tags[].name", "the tag's name"),
    ("tags[].from", "jwt, header"),
];

/// Keys that mean nothing without another.
pub(super) const NEEDED: &[(&str, &str)] = &[("budgets", "collector")];

/// Of the entries of this list none may have the same value of this key as another.
pub(super) const UNIQUE: (&str, &str) = ("tags", "name");

/// Of these keys one at least must be there, as soon as what holds them is.
pub(super) const ANY_OF: &[(&str, &[&str])] =
    &[("collector", &["cluster", "alias"]), ("providers[]", &["cluster", "route", "prefix", "host"])];

/// The values of `from` that a key of an entry belongs to; none: all of them.
pub(super) fn sources_of(path: &str) -> &'static [&'static str] {
    match path {
        "tenant[].take" | "tenant[].trust_domains" => &["spiffe"],
        "tenant[].pattern" | "tenant[].tenant" => &["spiffe", "certificate", "jwt", "xfcc", "header", "node"],
        "tenant[].san" => &["certificate", "xfcc"],
        "tenant[].hops" => &["xfcc"],
        "tenant[].metadata" => &["node"],
        "tenant[].headers" | "tenant[].secret_env" | "tenant[].keys" => &["api_key"],
        "tenant[].claim" | "tenant[].payload_key" | "tenant[].element" | "tags[].claim" | "tags[].payload_key" => {
            &["jwt"]
        }
        "tenant[].trusted" => &["header", "xfcc"],
        "tenant[].name" | "tags[].header" | "tags[].trusted" => &["header"],
        _ => &[],
    }
}

impl Kind {
    /// What is allowed, to follow "must be".
    pub fn allowed(&self) -> String {
        match self {
            Kind::Object => "an object".to_owned(),
            Kind::Objects(max) => format!("an array of at most {max} objects"),
            Kind::Text(max) => format!("a string of 1 to {max} printable ASCII characters without spaces"),
            Kind::Prefix(max) => {
                format!("a string of 1 to {max} printable ASCII characters without spaces that begins with a slash")
            }
            Kind::Texts(max) => {
                format!(
                    "a string of 1 to {max} printable ASCII characters without spaces, or an array of 1 to 8 of them"
                )
            }
            Kind::TrustDomains(max) => format!(
                "an array of 1 to {max} trust domains (lower-case letters, digits, dots, hyphens, underscores and colons) or `*`"
            ),
            Kind::Headers(max) => {
                format!(
                    "an array of at most {max} header names (letters, digits, hyphens and underscores, at most 128)"
                )
            }
            Kind::Hashes(max) => format!(
                "an object of at most {max} members: 64 hexadecimal digits in lower case, and a tenant, which {ALLOWED}"
            ),
            Kind::Words(words) => format!("an array of any of {}", words.join(", ")),
            Kind::Word(words) => format!("one of {}", words.join(", ")),
            Kind::Number(min, max) => format!("an integer from {min} to {max}"),
            Kind::Bool => "true or false".to_owned(),
        }
    }

    /// The same as a type, for the table of the documentation.
    pub fn notation(&self) -> String {
        match self {
            Kind::Object => "object".to_owned(),
            Kind::Objects(max) => format!("array of objects, at most {max}"),
            Kind::Text(max) => format!("string, 1–{max} printable ASCII"),
            Kind::Prefix(max) => format!("string, 1–{max} printable ASCII, begins with `/`"),
            Kind::Texts(max) => format!("string, 1–{max} printable ASCII, or array of 1–8 of these"),
            Kind::TrustDomains(max) => format!("array of strings, 1–{max}: trust domains (`a-z0-9.-_:`) or `*`"),
            Kind::Headers(max) => format!("array of strings, at most {max}: header names (`A-Za-z0-9-_`, 1–128)"),
            Kind::Hashes(max) => format!("object, at most {max}: 64 hexadecimal digits to tenant"),
            Kind::Words(_) => "array of strings".to_owned(),
            Kind::Word(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            Kind::Number(min, max) => format!("integer, {min}–{max}"),
            Kind::Bool => "boolean".to_owned(),
        }
    }

    /// Whether a value is of this kind and within its limits; members are checked by their own keys.
    pub(super) fn admits(&self, value: &Value) -> bool {
        match (self, value) {
            (Kind::Object, Value::Object(_)) | (Kind::Bool, Value::Bool(_)) => true,
            (Kind::Objects(max), Value::Array(list)) => list.len() <= *max,
            (Kind::Text(max) | Kind::Texts(max), Value::String(text)) => {
                (1..=*max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
            }
            (Kind::Prefix(max), Value::String(text)) => text.starts_with('/') && Kind::Text(*max).admits(value),
            (Kind::Texts(max), Value::Array(list)) => {
                (1..=8).contains(&list.len())
                    && list.iter().all(|text| text.is_string() && Kind::Text(*max).admits(text))
            }
            (Kind::TrustDomains(max), Value::Array(list)) => {
                (1..=*max).contains(&list.len()) && list.iter().all(|name| name.as_str().is_some_and(is_trust_domain))
            }
            (Kind::Headers(max), Value::Array(list)) => {
                list.len() <= *max && list.iter().all(|name| name.as_str().is_some_and(is_header))
            }
            (Kind::Hashes(max), Value::Object(map)) => {
                let is_tenant = |value: &Value| value.as_str().is_some_and(|text| tenant(text.as_bytes()).is_some());
                map.len() <= *max && map.iter().all(|(hash, value)| Hash::parse(hash).is_some() && is_tenant(value))
            }
            (Kind::Words(words), Value::Array(list)) => {
                list.len() <= words.len()
                    && list.iter().all(|word| word.as_str().is_some_and(|word| words.contains(&word)))
            }
            (Kind::Word(words), Value::String(text)) => words.contains(&text.as_str()),
            (Kind::Number(min, max), value) => value.as_u64().is_some_and(|number| (*min..=*max).contains(&number)),
            _ => false,
        }
    }
}

fn is_header(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn is_trust_domain(text: &str) -> bool {
    let clean = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_:".contains(&byte));
    text == "*" || ((1..=255).contains(&text.len()) && clean)
}

//! The plugin configuration: JSON in, checked values out; every problem names its key and what is allowed.

mod check;
mod keys;
mod tenant;

pub use check::Problems;
pub use keys::{KEYS, Key, Kind};

use serde_json::Value;

use crate::identity::{HashKey, Shows, TagRule, TenantSource, ValueSource};
use crate::provider::{Api, Detect, Rule};
use crate::signals::Signal;

/// The checked configuration. Every value lies within the limits of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where events go; without it there are records and metrics only.
    pub collector: Option<Collector>,
    /// When a batch is sent.
    pub batch: Batch,
    /// The bound of the queue of unacknowledged events, bytes.
    pub outbox_max_bytes: usize,
    /// Whether each record is written to Envoy's own log too.
    pub journal_log: bool,
    /// Where the tenant comes from: the first that shows anything decides.
    pub tenant: Vec<TenantSource>,
    /// The headers that name the client's session, in lower case: the first that is there counts.
    pub session_headers: Vec<String>,
    /// The headers that name the client's agent, likewise.
    pub agent_headers: Vec<String>,
    /// The tags of a call.
    pub tags: Vec<TagRule>,
    /// What is written into the filter state.
    pub publish: Vec<Signal>,
    /// The bound of label sets per worker.
    pub max_series: usize,
    /// Which requests are LLM calls, beside the built-in hosts and paths.
    pub detect: Detect,
    /// Whether streams are asked for their usage.
    pub include_usage: bool,
    /// Whether streams that are not asked are refused.
    pub refuses_unasked: bool,
    /// How budgets are held; none: they are not.
    pub budgets: Option<Budgets>,
}

/// How budgets are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// The `:path` of requests for leases.
    pub path: String,
    /// Whether calls are refused where no lease can be had, because the collector is away.
    pub is_closed: bool,
    /// What a call without a limit of its output is taken to write at most, tokens.
    pub assume_output_tokens: u64,
    /// What a call is taken to read at most beside what its request shows, where it may read more.
    pub assume_input_tokens: u64,
}

impl Config {
    /// Takes the secrets by which API keys are known from the environment of the VM. Returns the variables that hold none, or
    /// too short a one: keys that depend on them name nobody.
    #[cold]
    pub fn take_secrets(&mut self, env: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let mut missing = Vec::new();
        for source in &mut self.tenant {
            let Shows::ApiKey(keys) = &mut source.shows else { continue };
            keys.hash_key = env(&keys.secret_env).as_deref().and_then(HashKey::new);
            if keys.hash_key.is_none() {
                missing.push(keys.secret_env.clone());
            }
        }
        missing
    }
}

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// Envoy's cluster; of several names the first that Envoy has a cluster for.
    pub clusters: Vec<String>,
    /// The name by which a route of Envoy Gateway knows the cluster; it goes before `clusters`.
    pub alias: Option<String>,
    /// The `:authority` of the calls.
    pub authority: String,
    /// The `:path` of the calls.
    pub path: String,
    /// The environment variable of the VM that holds the bearer token.
    pub token_env: String,
    /// How long to wait for a response.
    pub timeout_ms: u64,
    /// After so long without a call an idle worker says how far it has counted; 0: never.
    pub heartbeat_ms: u64,
}

impl Collector {
    /// Which collector it is: VMs that name the same one take over from each other what is not delivered yet.
    pub fn address(&self) -> String {
        let mut address = [self.clusters.join(",").as_str(), self.authority.as_str(), self.path.as_str()].join(" ");
        if let Some(alias) = &self.alias {
            address.push(' ');
            address.push_str(alias);
        }
        address
    }

    /// Its clusters, for the reader of a log.
    pub fn clusters_in_words(&self) -> String {
        let alias = self.alias.as_ref().map(|alias| format!("alias {alias}"));
        let clusters = (!self.clusters.is_empty()).then(|| format!("cluster {}", self.clusters.join(" or ")));
        alias.into_iter().chain(clusters).collect::<Vec<_>>().join(" or ")
    }
}

/// When a batch is sent: as soon as one of the bounds is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Events in a batch.
    pub max_events: usize,
    /// Bytes in a batch.
    pub max_bytes: usize,
    /// The age of the oldest event.
    pub max_age_ms: u64,
}

/// Checks a configuration. Nothing at all is the same as `{}`.
#[cold]
pub fn parse(json: &[u8]) -> Result<Config, Problems> {
    let json = if json.trim_ascii().is_empty() { b"{}" } else { json };
    let value = wire::read_json(json).map_err(|error| Problems::one("", &format!("not JSON: {error}")))?;
    check::check(&value)?;
    let reader = Reader(&value);
    let collector = value.get("collector").map(|collector| Collector {
        clusters: texts(collector.get("cluster")).unwrap_or_default(),
        alias: collector.get("alias").and_then(Value::as_str).map(str::to_owned),
        authority: reader.text("collector.authority"),
        path: reader.text("collector.path"),
        token_env: reader.text("collector.token_env"),
        timeout_ms: reader.number("collector.timeout_ms"),
        heartbeat_ms: reader.number("collector.heartbeat_ms"),
    });
    let budgets = value.get("budgets").map(|_| Budgets {
        path: reader.text("budgets.path"),
        is_closed: reader.text("budgets.without_collector") == "closed",
        assume_output_tokens: reader.number("budgets.assume_output_tokens"),
        assume_input_tokens: reader.number("budgets.assume_input_tokens"),
    });
    Ok(Config {
        collector,
        batch: Batch {
            max_events: reader.size("batch.max_events"),
            max_bytes: reader.size("batch.max_bytes"),
            max_age_ms: reader.number("batch.max_age_ms"),
        },
        outbox_max_bytes: reader.size("outbox.max_bytes"),
        journal_log: reader.bool("journal.log"),
        tenant: reader.tenant(),
        session_headers: reader.headers("session.headers"),
        agent_headers: reader.headers("agent.headers"),
        tags: reader.tags(),
        publish: reader.signals(),
        max_series: reader.size("metrics.max_series"),
        detect: Detect {
            by_shape: reader.bool("detect.by_shape"),
            trust_host: reader.bool("detect.trust_host"),
            rules: reader.rules(),
        },
        include_usage: reader.bool("include_usage"),
        refuses_unasked: reader.text("include_usage_else") == "refuse",
        budgets,
    })
}

/// Reads checked values, a key's default where it is absent.
struct Reader<'a>(&'a Value);

impl Reader<'_> {
    fn value(&self, path: &str) -> Value {
        let found = path.split('.').try_fold(self.0, |value, segment| value.get(segment));
        found.cloned().unwrap_or_else(|| keys::default(path))
    }

    fn text(&self, path: &str) -> String {
        self.value(path).as_str().unwrap_or_default().to_owned()
    }

    fn number(&self, path: &str) -> u64 {
        self.value(path).as_u64().unwrap_or_default()
    }

    fn size(&self, path: &str) -> usize {
        usize::try_from(self.number(path)).unwrap_or(usize::MAX)
    }

    fn bool(&self, path: &str) -> bool {
        self.value(path).as_bool().unwrap_or_default()
    }

    fn tenant(&self) -> Vec<TenantSource> {
        let list = self.value("tenant");
        list.as_array().into_iter().flatten().filter_map(tenant::source).collect()
    }

    fn headers(&self, path: &str) -> Vec<String> {
        let list = self.value(path);
        list.as_array().into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_ascii_lowercase())).collect()
    }

    fn signals(&self) -> Vec<Signal> {
        let words = texts(Some(&self.value("publish"))).unwrap_or_default();
        let is_wanted = |signal: &&Signal| words.iter().any(|word| word == signal.spec().word);
        Signal::ALL.iter().filter(is_wanted).copied().collect()
    }

    fn tags(&self) -> Vec<TagRule> {
        let list = self.value("tags");
        let rule = |entry: &Value| {
            let name = entry.get("name")?.as_str()?.to_owned();
            let header = entry.get("header").and_then(Value::as_str).unwrap_or(&name);
            let from = value_source(entry, "tags[]", &name, header)?;
            Some(TagRule { name, from })
        };
        list.as_array().into_iter().flatten().filter_map(rule).collect()
    }

    fn rules(&self) -> Vec<Rule> {
        let list = self.value("providers");
        let rule = |entry: &Value| {
            let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
            Some(Rule {
                cluster: text("cluster"),
                route: text("route"),
                prefix: text("prefix"),
                host: text("host"),
                path: text("path"),
                provider: text("provider")?,
                api: text("api").as_deref().and_then(Api::from_word),
                include_usage: entry.get("include_usage").and_then(Value::as_bool),
            })
        };
        let mut rules: Vec<Rule> = list.as_array().into_iter().flatten().filter_map(rule).collect();
        // The order of the words is the rank; rules of one rank keep theirs.
        rules.sort_by_key(|rule| rule.source() as u8);
        rules
    }
}

/// The claim or the header that an entry of a list names; `claim_else` is the claim where it names none.
fn value_source(entry: &Value, list: &str, claim_else: &str, header: &str) -> Option<ValueSource> {
    match entry.get("from")?.as_str()? {
        "jwt" => Some(ValueSource::Jwt {
            claim: texts(entry.get("claim")).unwrap_or_else(|| vec![claim_else.to_owned()]),
            payload_key: or_default(entry, list, "payload_key"),
        }),
        "header" => Some(ValueSource::Header {
            name: header.to_ascii_lowercase(),
            trusted: entry.get("trusted").and_then(Value::as_bool).unwrap_or_default(),
        }),
        _ => None,
    }
}

/// A text of an entry, or its key's default.
fn or_default(entry: &Value, list: &str, key: &str) -> String {
    let value = entry.get(key).cloned().unwrap_or_else(|| keys::default(&format!("{list}.{key}")));
    value.as_str().unwrap_or_default().to_owned()
}

/// One text or several.
fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    match value? {
        Value::Array(list) => Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        text => Some(vec![text.as_str()?.to_owned()]),
    }
}

#[cfg(test)]
mod tests;

//! Label sets in use: defined once, found again without allocation, capped.

use wire::identity::{OVERFLOW, UNKNOWN};
use wire::record::{Flag, Outcome, Record};
use wire::usage::Class;

use super::Metric;
use super::room::{self, Room};

/// The model of calls that failed before a model responded: the name in the request is whatever the client made up.
const NO_RESPONSE: &str = "no_response";
/// Histograms are dear (6 KB each in Envoy, five of them in a set): there are so many times fewer sets of them.
const FEWER_DISTRIBUTIONS: usize = 4;
/// Budgets with their reasons that are counted under their names; the others are counted together.
const MAX_BUDGETS: usize = 1000;

/// Where metrics live.
pub trait Registry {
    /// Defines a metric with these values of its labels, or finds it again; `None` if that fails.
    fn define(&mut self, metric: Metric, values: &[&str]) -> Option<u32>;
    /// Adds to a counter or gauge.
    fn add(&mut self, id: u32, amount: i64);
    /// Records a value of a histogram, or sets a gauge.
    fn record(&mut self, id: u32, value: u64);
}

/// An id that is defined when it is first needed: a metric nobody has touched does not exist.
#[derive(Clone, Copy, Debug, Default)]
struct Id(Option<u32>);

impl Id {
    fn get(&mut self, registry: &mut impl Registry, metric: Metric, values: &[&str]) -> Option<u32> {
        if self.0.is_none() {
            self.0 = registry.define(metric, values);
        }
        self.0
    }

    fn add(&mut self, registry: &mut impl Registry, metric: Metric, values: &[&str], amount: i64) {
        if amount != 0
            && let Some(id) = self.get(registry, metric, values)
        {
            registry.add(id, amount);
        }
    }

    fn record(&mut self, registry: &mut impl Registry, metric: Metric, values: &[&str], value: u64) {
        if let Some(id) = self.get(registry, metric, values) {
            registry.record(id, value);
        }
    }
}

/// The ids of one tenant, provider and model.
#[derive(Debug, Default)]
struct Series {
    tokens: Vec<(Class, Id)>,
    calls: Vec<([&'static str; 3], Id)>,
}

/// The ids of one provider and model.
#[derive(Debug, Default)]
struct Distributions {
    duration: Id,
    time_to_first_token: Id,
    time_per_output_token: Id,
    input: Id,
    output: Id,
}

/// Counts records. One per VM: the ids belong to it.
#[derive(Debug)]
pub struct Telemetry {
    /// By tenant, provider and model.
    series: Room<Series>,
    /// By provider, model and operation; the tenant whose call brought a set is its owner.
    distributions: Room<Distributions>,
    plain: [Id; Metric::ALL.len()],
    /// Refusals by budget and reason.
    budgets: Vec<(Box<str>, &'static str, Id)>,
    /// Of metrics with one label, whose values are few.
    words: Vec<(Metric, &'static str, Id)>,
    /// By provider: there are as many as the configuration and the meter name.
    by_provider: Vec<(Metric, Box<str>, Id)>,
    key: String,
}

impl Telemetry {
    /// No metrics yet; `max_series` bounds the label sets.
    pub fn new(max_series: usize) -> Self {
        Telemetry {
            series: Room::new(max_series),
            distributions: Room::new(max_distributions(max_series)),
            plain: [Id::default(); Metric::ALL.len()],
            budgets: Vec::new(),
            words: Vec::new(),
            by_provider: Vec::new(),
            key: String::new(),
        }
    }

    /// Changes the bound; label sets in use stay.
    pub fn set_max_series(&mut self, max_series: usize) {
        self.series.set_max(max_series);
        self.distributions.set_max(max_distributions(max_series));
    }

    /// Adds to a metric without labels.
    pub fn add(&mut self, registry: &mut impl Registry, metric: Metric, amount: i64) {
        if let Some(id) = self.plain.get_mut(metric as usize) {
            id.add(registry, metric, &[], amount);
        }
    }

    /// Adds one to a metric whose only label is a reason.
    pub fn count_reason(&mut self, registry: &mut impl Registry, metric: Metric, reason: &'static str) {
        if let Some(id) = self.word(metric, reason) {
            id.add(registry, metric, &[reason], 1);
        }
    }

    /// Counts a call that a budget has refused, or would have.
    pub fn count_budget(&mut self, registry: &mut impl Registry, budget: &str, reason: &'static str) {
        let find = |budgets: &[(Box<str>, &'static str, Id)], name: &str| {
            budgets.iter().position(|(known, word, _)| **known == *name && *word == reason)
        };
        let mut known = find(&self.budgets, budget);
        let mut name = budget;
        if known.is_none() && self.budgets.len() >= MAX_BUDGETS {
            name = OVERFLOW;
            known = find(&self.budgets, name);
        }
        let index = known.unwrap_or_else(|| {
            self.budgets.push((name.into(), reason, Id::default()));
            self.budgets.len().saturating_sub(1)
        });
        if let Some((_, _, id)) = self.budgets.get_mut(index) {
            id.add(registry, Metric::BudgetRefused, &[name, reason], 1);
        }
    }

    /// Sets a gauge without labels. All VMs set the same one.
    pub fn set(&mut self, registry: &mut impl Registry, metric: Metric, value: u64) {
        if let Some(id) = self.plain.get_mut(metric as usize) {
            id.record(registry, metric, &[], value);
        }
    }

    /// Sets a gauge whose only label is this word to 1.
    pub fn inform(&mut self, registry: &mut impl Registry, metric: Metric, word: &'static str) {
        if let Some(id) = self.word(metric, word) {
            id.record(registry, metric, &[word], 1);
        }
    }

    fn word(&mut self, metric: Metric, word: &'static str) -> Option<&mut Id> {
        let known = self.words.iter().position(|(known, other, _)| *known == metric && *other == word);
        let index = known.unwrap_or_else(|| {
            self.words.push((metric, word, Id::default()));
            self.words.len().saturating_sub(1)
        });
        self.words.get_mut(index).map(|(_, _, id)| id)
    }

    /// Counts one more of a provider.
    pub fn of_provider(&mut self, registry: &mut impl Registry, metric: Metric, provider: &str) {
        let known = self.by_provider.iter().position(|(known, other, _)| *known == metric && **other == *provider);
        let index = known.unwrap_or_else(|| {
            self.by_provider.push((metric, provider.into(), Id::default()));
            self.by_provider.len().saturating_sub(1)
        });
        if let Some((_, _, id)) = self.by_provider.get_mut(index) {
            id.add(registry, metric, &[provider], 1);
        }
    }

    /// Counts a record in every metric it belongs to.
    pub fn record(&mut self, registry: &mut impl Registry, record: &Record) {
        let now_ns = record.started_ns.saturating_add(record.duration_us.saturating_mul(1000));
        let (model, kind) = model(record);
        self.series(registry, record, model, kind, now_ns);
        if record.part.is_some() {
            // Its tokens are real; a call, or a time, of its own it has not.
            return;
        }
        self.distributions(registry, record, model, kind, now_ns);
        // Of a call that was refused before it was sent nothing is missing: no provider has counted it.
        if let Some(reason) = record.missing_reason.filter(|_| record.outcome != Outcome::Refused) {
            self.count_reason(registry, Metric::UsageMissing, reason.as_str());
        }
        if record.flags.contains(Flag::UnknownUsage) {
            self.of_provider(registry, Metric::UnknownUsage, &record.provider);
        }
        if let Some(reason) = record.usage_not_asked {
            self.count_reason(registry, Metric::NotAsked, reason.as_str());
        }
    }

    /// A model that finds no room is counted with others of its tenant; a tenant that finds none, with other tenants.
    fn series(&mut self, registry: &mut impl Registry, record: &Record, model: &str, kind: room::Kind, now_ns: u64) {
        let (tenant, provider) = (record.identity.tenant.as_str(), record.provider.as_str());
        let mut labels = [tenant, provider, model];
        key(&mut self.key, &labels);
        let mut found = self.series.has(&self.key, tenant, kind, now_ns);
        if !found {
            self.add(registry, Metric::SeriesOverflow, 1);
            labels = [tenant, OVERFLOW, OVERFLOW];
            key(&mut self.key, &labels);
            found = self.series.has(&self.key, tenant, room::Kind::Overflow, now_ns);
        }
        if !found {
            labels = [OVERFLOW, provider, OVERFLOW];
            key(&mut self.key, &labels);
        }
        match self.series.get(&self.key, now_ns) {
            Some(series) => series.count(registry, record, labels),
            None => self.series.rest(&self.key).count(registry, record, labels),
        }
    }

    fn distributions(
        &mut self,
        registry: &mut impl Registry,
        record: &Record,
        model: &str,
        kind: room::Kind,
        now_ns: u64,
    ) {
        let (provider, operation) = (record.provider.as_str(), record.operation.as_str());
        let mut labels = [provider, model, operation];
        key(&mut self.key, &labels);
        if !self.distributions.has(&self.key, &record.identity.tenant, kind, now_ns) {
            labels = [provider, OVERFLOW, operation];
            key(&mut self.key, &labels);
        }
        match self.distributions.get(&self.key, now_ns) {
            Some(ids) => ids.record(registry, record, labels),
            None => self.distributions.rest(&self.key).record(registry, record, labels),
        }
    }
}

impl Distributions {
    fn record(&mut self, registry: &mut impl Registry, record: &Record, labels: [&str; 3]) {
        let ms = |micros: u64| micros / 1000;
        self.duration.record(registry, Metric::Duration, &labels, ms(record.duration_us));
        if let (true, Some(time)) = (record.stream, record.time_to_first_token_us) {
            self.time_to_first_token.record(registry, Metric::TimeToFirstToken, &labels, ms(time));
        }
        if let Some(time) = record.time_per_output_token_us {
            self.time_per_output_token.record(registry, Metric::TimePerOutputToken, &labels, ms(time));
        }
        if let Some(tokens) = record.usage.input_total() {
            self.input.record(registry, Metric::InputTokens, &labels, tokens);
        }
        if let Some(tokens) = record.usage.output_total() {
            self.output.record(registry, Metric::OutputTokens, &labels, tokens);
        }
    }
}

impl Series {
    fn count(&mut self, registry: &mut impl Registry, record: &Record, [tenant, provider, model]: [&str; 3]) {
        for (class, count) in record.usage.iter() {
            let known = self.tokens.iter().position(|(known, _)| *known == class);
            let index = known.unwrap_or_else(|| {
                self.tokens.push((class, Id::default()));
                self.tokens.len().saturating_sub(1)
            });
            if let Some((_, id)) = self.tokens.get_mut(index) {
                let amount = i64::try_from(count).unwrap_or(i64::MAX);
                id.add(registry, Metric::Tokens, &[tenant, provider, model, class.token_type()], amount);
            }
        }
        if record.part.is_some() {
            return;
        }
        let ended = [record.outcome.as_str(), record.evidence.as_str(), status(record.status)];
        let known = self.calls.iter().position(|(known, _)| *known == ended);
        let index = known.unwrap_or_else(|| {
            self.calls.push((ended, Id::default()));
            self.calls.len().saturating_sub(1)
        });
        if let Some((_, id)) = self.calls.get_mut(index) {
            let [outcome, evidence, status] = ended;
            let labels = [tenant, provider, model, record.operation.as_str(), outcome, evidence, status];
            id.add(registry, Metric::Calls, &labels, 1);
        }
    }
}

/// The class of an HTTP status. Apart from the other errors of a client: that it came too often.
fn status(status: Option<u64>) -> &'static str {
    match status {
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(429) => "429",
        Some(400..=499) => "4xx",
        Some(500..=599) => "5xx",
        _ => "none",
    }
}

/// The model to count under. A name that only the request gives counts if the model is known to have worked.
fn model(record: &Record) -> (&str, room::Kind) {
    let worked = record.outcome == Outcome::Completed || !record.usage.is_empty();
    match (&record.response_model, &record.request_model) {
        (Some(model), _) => (model, room::Kind::Model),
        (None, Some(model)) if worked => (model, room::Kind::Model),
        (None, None) if worked => (UNKNOWN, room::Kind::Model),
        _ => (NO_RESPONSE, room::Kind::NoResponse),
    }
}

fn max_distributions(max_series: usize) -> usize {
    (max_series / FEWER_DISTRIBUTIONS).max(1)
}

/// Writes a key into a buffer that keeps its memory. Labels have no control characters.
fn key(buffer: &mut String, parts: &[&str]) {
    buffer.clear();
    for part in parts {
        buffer.push_str(part);
        buffer.push('\0');
    }
}

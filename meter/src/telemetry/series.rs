//! Label sets in use: defined once, found again without allocation, capped.

use std::collections::HashMap;

use super::{Kind, Metric, stat_name};
use crate::record::{Evidence, Outcome, Record};
use crate::usage::Class;

/// The tenant and model of whatever came after the cap was reached.
const OVERFLOW: &str = "overflow";
const UNKNOWN: &str = "unknown";

/// Where metrics live.
pub trait Registry {
    /// Defines a metric or finds it again; `None` if that fails.
    fn define(&mut self, kind: Kind, name: &str) -> Option<u32>;
    /// Adds to a counter or gauge.
    fn add(&mut self, id: u32, amount: i64);
    /// Records a value of a histogram.
    fn record(&mut self, id: u32, value: u64);
}

/// An id that is defined when it is first needed: a metric nobody has touched does not exist.
#[derive(Clone, Copy, Debug, Default)]
struct Id(Option<u32>);

impl Id {
    fn get(&mut self, registry: &mut impl Registry, metric: Metric, values: &[&str]) -> Option<u32> {
        if self.0.is_none() {
            self.0 = registry.define(metric.spec().kind, &stat_name(metric, values));
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
    tokens: [Id; Class::ALL.len()],
    calls: Vec<(Outcome, Evidence, Id)>,
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
    max_series: usize,
    series: HashMap<String, Series>,
    distributions: HashMap<String, Distributions>,
    plain: [Id; Metric::ALL.len()],
    reasons: Vec<(Metric, &'static str, Id)>,
    key: String,
}

impl Telemetry {
    /// No metrics yet; `max_series` bounds the label sets.
    pub fn new(max_series: usize) -> Self {
        Telemetry {
            max_series,
            series: HashMap::new(),
            distributions: HashMap::new(),
            plain: [Id::default(); Metric::ALL.len()],
            reasons: Vec::new(),
            key: String::new(),
        }
    }

    /// Changes the bound; label sets in use stay.
    pub fn set_max_series(&mut self, max_series: usize) {
        self.max_series = max_series;
    }

    /// Adds to a metric without labels.
    pub fn add(&mut self, registry: &mut impl Registry, metric: Metric, amount: i64) {
        if let Some(id) = self.plain.get_mut(metric as usize) {
            id.add(registry, metric, &[], amount);
        }
    }

    /// Adds one to a metric whose only label is a reason.
    pub fn count_reason(&mut self, registry: &mut impl Registry, metric: Metric, reason: &'static str) {
        let known = self.reasons.iter().position(|(known, word, _)| *known == metric && *word == reason);
        let index = known.unwrap_or_else(|| {
            self.reasons.push((metric, reason, Id::default()));
            self.reasons.len().saturating_sub(1)
        });
        if let Some((_, _, id)) = self.reasons.get_mut(index) {
            id.add(registry, metric, &[reason], 1);
        }
    }

    /// Counts a record in every metric it belongs to.
    pub fn record(&mut self, registry: &mut impl Registry, record: &Record) {
        let model = record.model().unwrap_or(UNKNOWN);
        let (tenant, model) = self.room(registry, &record.identity.tenant, &record.provider, model);
        let labels = [tenant, record.provider.as_str(), model];
        let series = self.series.entry(std::mem::take(&mut self.key)).or_default();
        series.count(registry, record, labels);
        if record.part.is_some() {
            // Its tokens are real; a call, or a time, of its own it has not.
            return;
        }
        self.distributions(registry, record, model);
        if let Some(reason) = record.missing_reason {
            self.count_reason(registry, Metric::UsageMissing, reason.as_str());
        }
        if let Some(reason) = record.usage_not_asked {
            self.count_reason(registry, Metric::NotAsked, reason.as_str());
        }
    }

    /// The tenant and model to count under; `self.key` is theirs.
    fn room<'a>(
        &mut self,
        registry: &mut impl Registry,
        tenant: &'a str,
        provider: &str,
        model: &'a str,
    ) -> (&'a str, &'a str) {
        key(&mut self.key, &[tenant, provider, model]);
        if self.series.contains_key(&self.key) || self.series.len() < self.max_series {
            return (tenant, model);
        }
        self.add(registry, Metric::SeriesOverflow, 1);
        key(&mut self.key, &[OVERFLOW, provider, OVERFLOW]);
        (OVERFLOW, OVERFLOW)
    }

    fn distributions(&mut self, registry: &mut impl Registry, record: &Record, model: &str) {
        let (provider, operation) = (record.provider.as_str(), record.operation.as_str());
        key(&mut self.key, &[provider, model, operation]);
        if !self.distributions.contains_key(&self.key) {
            self.distributions.insert(self.key.clone(), Distributions::default());
        }
        let Some(ids) = self.distributions.get_mut(&self.key) else { return };
        let labels = [provider, model, operation];
        let ms = |micros: u64| micros / 1000;
        ids.duration.record(registry, Metric::Duration, &labels, ms(record.duration_us));
        if let (true, Some(time)) = (record.stream, record.time_to_first_token_us) {
            ids.time_to_first_token.record(registry, Metric::TimeToFirstToken, &labels, ms(time));
        }
        if let Some(time) = record.time_per_output_token_us {
            ids.time_per_output_token.record(registry, Metric::TimePerOutputToken, &labels, ms(time));
        }
        if let Some(tokens) = record.usage.input_total() {
            ids.input.record(registry, Metric::CallTokens, &[provider, model, "input"], tokens);
        }
        if let Some(tokens) = record.usage.output_total() {
            ids.output.record(registry, Metric::CallTokens, &[provider, model, "output"], tokens);
        }
    }
}

impl Series {
    fn count(&mut self, registry: &mut impl Registry, record: &Record, [tenant, provider, model]: [&str; 3]) {
        for (class, count) in record.usage.iter() {
            if let Some(id) = self.tokens.get_mut(class as usize) {
                let amount = i64::try_from(count).unwrap_or(i64::MAX);
                id.add(registry, Metric::Tokens, &[tenant, provider, model, class.token_type()], amount);
            }
        }
        if record.part.is_some() {
            return;
        }
        let (outcome, evidence) = (record.outcome, record.evidence);
        let known = self.calls.iter().position(|(known, how_good, _)| *known == outcome && *how_good == evidence);
        let index = known.unwrap_or_else(|| {
            self.calls.push((outcome, evidence, Id::default()));
            self.calls.len().saturating_sub(1)
        });
        if let Some((_, _, id)) = self.calls.get_mut(index) {
            let labels = [tenant, provider, model, record.operation.as_str(), outcome.as_str(), evidence.as_str()];
            id.add(registry, Metric::Calls, &labels, 1);
        }
    }
}

/// Writes a key into a buffer that keeps its memory. Labels have no control characters.
fn key(buffer: &mut String, parts: &[&str]) {
    buffer.clear();
    for part in parts {
        buffer.push_str(part);
        buffer.push('\0');
    }
}

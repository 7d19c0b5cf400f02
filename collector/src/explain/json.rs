//! An explanation as JSON: counts are numbers, amounts exact decimal texts, what is unknown is absent.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::rating::{RatingOf, rating};
use super::{Chain, Explanation, Step};
use crate::gaps::time;
use crate::store::entry::Kind;
use crate::terminal;

#[derive(Serialize)]
struct Document<'a> {
    /// The entry that was asked for.
    asked: String,
    /// The CloudEvent as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Box<RawValue>>,
    /// The provider's usage objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_usage: Option<Box<RawValue>>,
    usage: Counts<'a>,
    entries: Vec<Entry<'a>>,
    /// The entry that is charged now.
    #[serde(skip_serializing_if = "Option::is_none")]
    charged: Option<String>,
}

/// Counts by class.
struct Counts<'a>(Option<&'a wire::usage::Usage>);

impl Serialize for Counts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let counts = self.0.into_iter().flat_map(|usage| usage.iter());
        serializer.collect_map(counts.map(|(class, count)| (class.name(), count)))
    }
}

#[derive(Serialize)]
struct Entry<'a> {
    entry: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refers: Option<String>,
    written: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    tenant: &'a str,
    provider: &'a str,
    model: &'a str,
    evidence: &'static str,
    charge: String,
    cost: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<RatingOf<'a>>,
    /// What an entry says that is about no call.
    #[serde(skip_serializing_if = "Option::is_none")]
    says: Option<Box<RawValue>>,
    /// The day on which it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    counts_on: Option<&'a str>,
    /// The closed month that it adjusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    adjusts: Option<&'a str>,
    /// What has closed the month in which it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_by: Option<String>,
    hash: String,
    chain: &'static str,
}

impl Explanation {
    /// As JSON.
    pub fn json(&self) -> Result<String, String> {
        let event = self.event.as_ref().and_then(|event| event.as_ref().ok());
        let document = Document {
            asked: self.asked.to_string(),
            event: self.sent.clone().and_then(raw),
            raw_usage: event.and_then(|event| event.record.raw_usage.clone()).and_then(raw),
            usage: Counts(event.map(|event| &event.record.usage)),
            entries: self.steps.iter().map(|step| entry(step, self.sent.is_some())).collect(),
            charged: self.charged.as_ref().map(|entry| entry.id.to_string()),
        };
        let text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())?;
        Ok(terminal::json(&text) + "\n")
    }
}

/// A text that is JSON, as it is.
fn raw(text: String) -> Option<Box<RawValue>> {
    RawValue::from_string(text).ok()
}

fn entry(step: &Step, has_call: bool) -> Entry<'_> {
    let crate::store::entry::Entry { id, kind, refers, received_ns, tenant, provider, model, .. } = &step.entry;
    let counts = step.counts.as_ref();
    Entry {
        entry: id.to_string(),
        kind: Kind::as_str(*kind),
        refers: refers.map(|id| id.to_string()),
        written: time(*received_ns),
        reason: step.entry.reason.as_deref(),
        tenant,
        provider,
        model,
        evidence: step.entry.evidence.as_str(),
        charge: step.entry.charge.to_string(),
        cost: step.entry.cost.to_string(),
        rating: step.rating.as_ref().and_then(|rating| rating.as_ref().ok()).map(rating),
        says: step.entry.event.clone().filter(|_| !has_call).and_then(raw),
        counts_on: counts.map(|counts| counts.day.as_str()),
        adjusts: counts.map(|counts| counts.adjusts.as_str()).filter(|month| !month.is_empty()),
        closed_by: counts.and_then(|counts| counts.closed).map(|id| id.to_string()),
        hash: step.entry.hash.to_string(),
        chain: Chain::as_str(step.chain),
    }
}

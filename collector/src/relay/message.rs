//! An entry as a message: JSON in the words of `meshmeter explain`. Amounts and counts have the sign with which they enter the
//! ledger's sums, so that sums over all messages are those of the ledger.

use std::collections::BTreeMap;

use relay::Message;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::explain::rating::{RatingOf, rating};
use crate::gaps::time;
use crate::ledger::correct::{rating_of, share_of_written};
use crate::ledger::share::Share;
use crate::store::entry::Kind;
use crate::store::sums::{Counted, Group};
use crate::store::{StoreError, WrittenEntry};

/// A member of a message, for the reference.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its type in JSON.
    pub form: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn field(name: &'static str, form: &'static str, meaning: &'static str) -> Field {
    Field { name, form, meaning }
}

/// What a message can have. What is not known, or says nothing of an entry, is absent.
pub const FIELDS: &[Field] = &[
    field("entry", "string", "where the entry stands, `WRITER:NUMBER`; also the message's key"),
    field("kind", "string", "what it says, in the words of [the ledger](ledger.md)"),
    field(
        "refers",
        "string",
        "the entry that it is about: what a reversal takes back, a correction replaces, a copy repeats",
    ),
    field("written", "string", "when it was written, UTC, RFC 3339"),
    field("began", "string", "when the call began; of `month_closed` the begin of the month"),
    field("emitter", "string", "who counted the call"),
    field("sequence", "integer", "the emitter's number of it; `EMITTER-SEQUENCE` is the id of its event"),
    field("reason", "string", "why a person made it"),
    field("tenant", "string", "who is charged"),
    field("provider", "string", "the provider"),
    field("model", "string", "the model that is charged for"),
    field("evidence", "string", "how good the counts are"),
    field("charge", "string", "exact decimal, USD: what the tenant pays; negative in a reversal"),
    field("cost", "string", "exact decimal, USD: what the provider charges; negative in a reversal"),
    field("calls", "integer", "calls that it adds: 1, 0 for a part of a call, -1 in a reversal"),
    field(
        "usage",
        "object of integers",
        "what it adds to the counts, by [class](events.md#fields); negative in a reversal",
    ),
    field("counts_on", "string", "the day (UTC) on which it counts"),
    field("adjusts", "string", "the closed month that it adjusts, if it counts in another one"),
    field("rating", "object", "how the charge was found, as `meshmeter explain` shows it"),
    field(
        "event",
        "object",
        "the call's [event](events.md), a CloudEvent, as it was sent; only in the record of a call",
    ),
    field("says", "object", "what an entry says that is about no call: a budget, the month that is closed"),
    field("hash", "string", "the entry's hash in its chain, 64 hex digits; also the header `meshmeter-hash`"),
];

#[derive(Serialize)]
struct Document<'a> {
    entry: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refers: Option<String>,
    written: String,
    began: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    emitter: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    tenant: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    provider: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'static str>,
    charge: String,
    cost: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<BTreeMap<&'static str, i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counts_on: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    adjusts: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<RatingOf<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    says: Option<Box<RawValue>>,
    hash: String,
}

/// An entry as a message.
pub(super) fn message(written: &WrittenEntry) -> Result<Message, StoreError> {
    let entry = &written.entry;
    let share = share_of_written(written).map_err(StoreError::Unusable)?;
    let group = share.as_ref().and_then(|_| Group::of_entry(entry));
    let rated = entry.rating.as_ref().map(|_| rating_of(entry)).transpose().map_err(StoreError::Unusable)?;
    let is_about_call = entry.kind.is_record() || entry.refers.is_some();
    let event = entry.event.as_deref().and_then(raw);
    let (event, says) = if entry.kind.is_record() { (event, None) } else { (None, event) };
    let document = Document {
        entry: entry.id.to_string(),
        kind: Kind::as_str(entry.kind),
        refers: entry.refers.map(|id| id.to_string()),
        written: time(entry.received_ns),
        began: time(entry.started_ns),
        emitter: &entry.emitter,
        sequence: Some(entry.sequence).filter(|_| !entry.emitter.is_empty()),
        reason: entry.reason.as_deref(),
        tenant: &entry.tenant,
        provider: &entry.provider,
        model: &entry.model,
        evidence: is_about_call.then_some(entry.evidence.as_str()),
        charge: entry.charge.to_string(),
        cost: entry.cost.to_string(),
        calls: share.as_ref().map(calls),
        usage: share.as_ref().map(|share| usage(share)),
        counts_on: group.as_ref().map(|group| group.day.as_str()),
        adjusts: group.as_ref().map(|group| group.adjusts.as_str()).filter(|month| !month.is_empty()),
        rating: rated.as_ref().map(rating),
        event,
        says,
        hash: entry.hash.to_string(),
    };
    let json = serde_json::to_string(&document);
    Ok(Message {
        writer: entry.id.writer,
        entry: entry.id.number,
        hash: entry.hash.to_string(),
        kind: Kind::as_str(entry.kind),
        json: json.map_err(|error| StoreError::Unusable(format!("entry {}: {error}", entry.id)))?,
    })
}

/// JSON as it is, in one line: in JSON, ends of lines are between values only.
fn raw(text: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(text.replace(['\n', '\r'], " ")).ok()
}

fn calls(share: &Share) -> i64 {
    let calls = share.iter().filter(|(counted, _)| *counted == Counted::Calls);
    calls.fold(0, |all: i64, (_, sum)| all.saturating_add(sum.quantity))
}

fn usage(share: &Share) -> BTreeMap<&'static str, i64> {
    let counts = share.iter().filter_map(|(counted, sum)| match counted {
        Counted::Usage(class) => Some((class.name(), sum.quantity)),
        _ => None,
    });
    counts.collect()
}

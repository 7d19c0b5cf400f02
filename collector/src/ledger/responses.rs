//! The same answer of a provider seen by two meters, such as a sidecar and a gateway: one call, charged once.
//!
//! A response id alone proves nothing: small servers give every answer the same. Two records are of one call if
//! provider, response id and part are the same, different emitters counted them, they were under way at the same time,
//! and their counts agree where both were reported.

use std::collections::BTreeSet;

use meter::event::Event;
use meter::record::{Evidence, Record};
use sha2::{Digest, Sha256};

use super::entry::EntryId;

const NS_PER_HOUR: i64 = 3_600_000_000_000;
const NS_PER_DAY: i64 = 24 * NS_PER_HOUR;
/// How far the clocks of two hosts may be apart.
const CLOCK_SKEW_NS: i64 = 2_000_000_000;

/// An answer's place in the store: the day keeps what is looked for close together, and lets old days be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseKey {
    /// The day on which the call began, counted from 1970-01-01.
    pub day: i64,
    /// The beginning of the SHA-256 of provider, response id and part.
    pub response: i64,
}

/// The record that holds an answer: the one that is charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its entry.
    pub entry: EntryId,
    /// Who counted it.
    pub emitter: String,
    /// When the call began.
    pub started_ns: i64,
    /// When it ended.
    pub ended_ns: i64,
    /// Its input and output, if the provider reported them.
    pub reported: Option<(i64, i64)>,
}

impl Holder {
    /// What an event says of the answer it saw; `entry` is where it will stand.
    pub fn of(event: &Event, entry: EntryId) -> Holder {
        let record = &event.record;
        let started_ns = i64::try_from(record.started_ns).unwrap_or(i64::MAX);
        let duration_ns = i64::try_from(record.duration_us).unwrap_or(i64::MAX).saturating_mul(1000);
        let total = |total: Option<u64>| total.map_or(0, |total| i64::try_from(total).unwrap_or(i64::MAX));
        let reported = (record.evidence == Evidence::Reported)
            .then(|| (total(record.usage.input_total()), total(record.usage.output_total())));
        let ended_ns = started_ns.saturating_add(duration_ns);
        Holder { entry, emitter: event.emitter.clone(), started_ns, ended_ns, reported }
    }

    /// Whether both saw the same call.
    pub fn is_same_call(&self, other: &Holder) -> bool {
        let before = |a: &Holder, b: &Holder| a.started_ns <= b.ended_ns.saturating_add(CLOCK_SKEW_NS);
        self.emitter != other.emitter
            && before(self, other)
            && before(other, self)
            && (self.reported == other.reported || self.reported.is_none() || other.reported.is_none())
    }
}

/// The entries that may be taken back when another meter brings the counts.
pub fn without_counts<'a>(holders: impl Iterator<Item = &'a Holder>) -> BTreeSet<EntryId> {
    holders.filter(|holder| holder.reported.is_none()).map(|holder| holder.entry).collect()
}

/// Where an answer is to be looked for, its own place first; empty if the provider gave it no id.
pub fn keys(record: &Record) -> Vec<ResponseKey> {
    let Some(id) = record.response_id.as_deref().filter(|id| !id.is_empty()) else { return Vec::new() };
    let Ok(started_ns) = i64::try_from(record.started_ns) else { return Vec::new() };
    let mut sha = Sha256::new();
    for text in [record.provider.as_str(), id, record.part.as_deref().unwrap_or("")] {
        sha.update((text.len() as u64).to_le_bytes());
        sha.update(text);
    }
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(sha.finalize());
    places(i64::from_le_bytes([a, b, c, d, e, f, g, h]), started_ns)
}

/// Where the record of an answer may be, its own place first. Around midnight the other meter may have begun on the
/// other day.
pub fn places(response: i64, started_ns: i64) -> Vec<ResponseKey> {
    let key = |ns: i64| ResponseKey { day: ns.div_euclid(NS_PER_DAY), response };
    let own = key(started_ns);
    let near = [key(started_ns.saturating_sub(NS_PER_HOUR)), key(started_ns.saturating_add(NS_PER_HOUR))];
    std::iter::once(own).chain(near.into_iter().filter(|near| *near != own)).collect()
}

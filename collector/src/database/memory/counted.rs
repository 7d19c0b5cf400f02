//! The entries that count, whenever they do.

use super::Memory;
use crate::store::entry::{Entry, Kind};
use crate::store::{CountedEntry, Span};
use crate::tenant::is_within;

/// Entries of closed months that were taken back later, each with when that was written and the day on which it counts.
pub fn adjusted(memory: &Memory) -> impl Iterator<Item = (Entry, i64, String)> {
    memory.entries.iter().filter(|entry| entry.kind == Kind::Reversal).filter_map(|reversal| {
        let billed = reversal.billed.clone()?;
        let entry = memory.entries.iter().find(|entry| Some(entry.id) == reversal.refers)?;
        Some((memory.with_event(entry), reversal.received_ns, billed))
    })
}

/// Those that stand, and those that were taken back after their month was closed.
pub fn counted(memory: &Memory, span: &Span) -> Vec<CountedEntry> {
    let standing = memory.standing().map(|entry| CountedEntry { entry, taken_back: None });
    let taken_back = adjusted(memory)
        .map(|(entry, received_ns, billed)| CountedEntry { entry, taken_back: Some((received_ns, billed)) });
    let is_theirs =
        |counted: &CountedEntry| span.tenant.as_deref().is_none_or(|path| is_within(&counted.entry.tenant, path));
    standing.chain(taken_back).filter(is_theirs).collect()
}

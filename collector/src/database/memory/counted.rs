//! The entries that count, whenever they do.

use super::Memory;
use crate::store::entry::Kind;
use crate::store::{CountedEntry, Span};
use crate::tenant::is_within;

/// Those that stand, and those that were taken back after their month was closed.
pub fn counted(memory: &Memory, span: &Span) -> Vec<CountedEntry> {
    let mut all: Vec<CountedEntry> = memory.standing().map(|entry| CountedEntry { entry, taken_back: None }).collect();
    for reversal in memory.entries.iter().filter(|entry| entry.kind == Kind::Reversal) {
        let entry = memory.entries.iter().find(|entry| Some(entry.id) == reversal.refers);
        if let (Some(day), Some(entry)) = (&reversal.billed, entry) {
            let taken_back = Some((reversal.received_ns, day.clone()));
            all.push(CountedEntry { entry: memory.with_event(entry), taken_back });
        }
    }
    all.retain(|counted| span.tenant.as_deref().is_none_or(|path| is_within(&counted.entry.tenant, path)));
    all
}

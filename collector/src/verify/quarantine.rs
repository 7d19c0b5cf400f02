//! What was settled in quarantine: the entry that settled it is in a chain, and is about that event.

use std::collections::BTreeMap;

use super::{Failure, broken};
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::{Reader, Whose};
use crate::terminal::printable;

/// An emitter and its number, of an event that has one.
type Number = Option<(String, i64)>;

/// Settled events whose entries were not found yet, by these.
pub(super) struct Settled(BTreeMap<EntryId, Vec<Number>>);

impl Settled {
    /// None was found yet.
    pub fn of(reader: &dyn Reader) -> Result<Settled, Failure> {
        let mut settled: BTreeMap<EntryId, Vec<Number>> = BTreeMap::new();
        reader.quarantined(Whose::All, &mut |kept| {
            if let Some(entry) = kept.released {
                settled.entry(entry).or_default().push(kept.last.number);
            }
            Ok(())
        })?;
        Ok(Settled(settled))
    }

    /// An entry of a chain.
    pub fn add(&mut self, entry: &Entry) {
        let Some(mut numbers) = self.0.remove(&entry.id) else { return };
        let is_its = |number: &Number| {
            number.as_ref().is_some_and(|(emitter, number)| (emitter, *number) == (&entry.emitter, entry.sequence))
        };
        // Two events that contradict each other are settled by two entries, but of one number.
        if let Some(at) = numbers.iter().position(|number| settles(entry, is_its(number))) {
            numbers.swap_remove(at);
        }
        if !numbers.is_empty() {
            self.0.insert(entry.id, numbers);
        }
    }

    /// The entry of each must have been found.
    pub fn check(self) -> Result<(), Failure> {
        let left = self.0.into_iter().find_map(|(entry, numbers)| Some((entry, numbers.into_iter().next()?)));
        let Some((entry, number)) = left else { return Ok(()) };
        let event = number.map_or_else(String::new, |(emitter, number)| format!(" {}-{number}", printable(&emitter)));
        broken(format!("the event{event} in quarantine is settled by entry {entry}, which is not about it"))
    }
}

/// Whether an entry can have settled an event: its record, or under a name of its own, or that nobody can read it.
fn settles(entry: &Entry, is_its_number: bool) -> bool {
    match entry.kind {
        Kind::Dismissal => true,
        kind => kind.is_record() && (is_its_number || entry.emitter.starts_with("release:")),
    }
}

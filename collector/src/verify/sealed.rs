//! Months that are sealed: an entry says up to where, and that is where the chain passes.

use std::collections::BTreeMap;

use super::{Failure, broken};
use crate::store::Reader;
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::sealing::{Said, Sealed, counts_in};

/// What is sealed, and what the chains say of it.
pub(super) struct Seals {
    sealed: Vec<Sealed>,
    said: BTreeMap<EntryId, Option<Said>>,
    passed: usize,
    /// The first sealed entry that counts in a month that is not sealed.
    late: Option<EntryId>,
}

impl Seals {
    /// Nothing is said yet.
    pub fn of(reader: &dyn Reader) -> Result<Seals, Failure> {
        Ok(Seals { sealed: reader.sealed()?, said: BTreeMap::new(), passed: 0, late: None })
    }

    /// An entry of a chain.
    pub fn add(&mut self, entry: &Entry) {
        if matches!(entry.kind, Kind::Sealed | Kind::Unsealed) {
            self.said.insert(entry.id, Said::read(entry));
        }
        let is_late =
            |sealed: &Sealed| sealed.covers(entry.id) && counts_in(entry).is_some_and(|month| month >= sealed.before);
        if self.late.is_none() && self.sealed.iter().any(is_late) {
            self.late = Some(entry.id);
        }
        let is_end = |sealed: &&Sealed| sealed.end.entry == entry.id && sealed.end.hash == entry.hash;
        self.passed = self.passed.saturating_add(self.sealed.iter().filter(is_end).count());
    }

    /// What is sealed must be what the entries say.
    pub fn check(self) -> Result<(), Failure> {
        if self.passed != self.sealed.len() {
            return broken("the ledger is sealed up to entries that are not in its chains".to_owned());
        }
        if let Some(late) = self.late {
            return broken(format!("entry {late}: is sealed, and counts in a month that is not"));
        }
        for Sealed { end, before, said, pin, .. } in &self.sealed {
            let is_so = |said: &&Said| said.before() == Some(*before) && said.pin() == Some(*pin);
            let said_so = self.said.get(said).and_then(|said| said.as_ref()).filter(is_so);
            if !said_so.and_then(Said::ends).is_some_and(|ends| ends.contains(end)) {
                return broken(format!("entry {said}: does not say that the chain is sealed up to {}", end.entry));
            }
        }
        Ok(())
    }
}

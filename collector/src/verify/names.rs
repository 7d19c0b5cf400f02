//! Names that were replaced: an entry says so of each, with a digest of what was replaced.

use std::collections::BTreeSet;

use super::{Failure, broken};
use crate::store::Reader;
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::forgetting::{Attested, Forgotten};

/// What the chains say of names.
pub(super) struct Names {
    /// The entries that say it and were read back.
    said: BTreeSet<EntryId>,
    attested: Attested,
    problem: Option<String>,
}

impl Names {
    /// Nothing yet.
    pub fn of(reader: &dyn Reader) -> Result<Names, Failure> {
        let (mut said, mut all) = (BTreeSet::new(), Vec::new());
        for entry in reader.forgotten()? {
            match Forgotten::read(&entry) {
                Some(forgotten) => all.push(forgotten),
                None => return broken(format!("entry {}: does not say which name was replaced", entry.id)),
            }
            said.insert(entry.id);
        }
        let pseudonyms: BTreeSet<&str> = all.iter().map(|forgotten| forgotten.pseudonym.as_str()).collect();
        if pseudonyms.len() != all.len() {
            return broken("two entries say of one pseudonym what it stands for".to_owned());
        }
        Ok(Names { said, attested: Attested::of(all), problem: None })
    }

    /// An entry of a chain.
    pub fn add(&mut self, entry: &Entry) {
        if entry.kind == Kind::Forgotten && !self.said.remove(&entry.id) {
            self.problem
                .get_or_insert(format!("entry {}: says that a name was replaced, and is not read back", entry.id));
        }
        if !self.attested.add(entry) {
            let id = entry.id;
            self.problem.get_or_insert(format!(
                "entry {id}: a name was replaced, and no entry says so: if meshmeter forget was interrupted, run it again"
            ));
        }
    }

    /// What was replaced must be what the entries say.
    pub fn check(self) -> Result<(), Failure> {
        if let Some(problem) = self.problem {
            return broken(problem);
        }
        if let Some(id) = self.said.first() {
            return broken(format!("entry {id}: is read back, and is in no chain"));
        }
        for (forgotten, entries, sha256) in self.attested.into_found() {
            if (forgotten.entries, &forgotten.sha256) != (entries, &sha256) {
                return broken(format!("what {} stands for is not what was replaced", forgotten.pseudonym));
            }
        }
        Ok(())
    }
}

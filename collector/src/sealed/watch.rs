//! How many months are sealed, and whether the archive is still there: its manifests as the ledger has them pinned, and each file
//! with its length. What is in the files is checked where they are read, and by `verify`.

use std::collections::{BTreeMap, BTreeSet};

use warehouse::Written;

use super::archive::Archived;
use super::archives::{Archives, Settings};
use crate::store::sealing::Sealed;
use crate::store::{Dimension, Reader, Selection, StoreError};

/// Files that are looked at at a time: in a bucket each is a request.
const FILES: usize = 1000;
/// Problems that are told.
const TOLD: usize = 3;

/// What was seen of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Months that are sealed.
    pub months: usize,
    /// Months of which something was not there.
    pub broken: usize,
    /// What was not there, the first of it.
    pub problems: Vec<String>,
}

/// Counts the months that are sealed, again and again.
#[derive(Debug, Default)]
pub struct Months(Option<(Vec<Sealed>, usize)>);

impl Months {
    /// What is sealed, if anything is, and how many months that are. Only when that has changed, the sums are read.
    pub fn sealed(&mut self, reader: &dyn Reader) -> Result<Option<(Vec<Sealed>, usize)>, StoreError> {
        let sealed = reader.sealed()?;
        let Some(before) = sealed.iter().map(|sealed| sealed.before).max() else {
            self.0 = None;
            return Ok(None);
        };
        if self.0.as_ref().is_none_or(|(known, _)| *known != sealed) {
            let mut months = BTreeSet::new();
            let until = before.first_day().yesterday().ok();
            reader.totals(&Selection { until, ..Selection::default() }, &[Dimension::Month], &mut |total| {
                months.extend(total.key);
                Ok(())
            })?;
            self.0 = Some((sealed, months.len().max(1)));
        }
        Ok(self.0.clone())
    }
}

/// Looks at the archive of a ledger again and again.
pub struct Watcher {
    archives: Archives,
    /// Files that were not there, by their paths: their months, and why.
    broken: BTreeMap<String, (String, String)>,
    /// Where the next look begins.
    next: usize,
}

impl Watcher {
    /// Nothing was looked at yet.
    pub fn of(settings: Settings) -> Watcher {
        Watcher { archives: Archives::new(settings), broken: BTreeMap::new(), next: 0 }
    }

    /// Looks at the manifests, at the files that were not there before, and at some of the others: at all, one look after the other.
    pub fn look(&mut self, sealed: &[Sealed], months: usize) -> Seen {
        let found = self.archives.manifests(sealed).and_then(|archived| self.files(&archived, sealed));
        if let Err(problem) = found {
            return Seen { months, broken: months, problems: vec![problem.to_string()] };
        }
        let broken: BTreeSet<&String> = self.broken.values().map(|(month, _)| month).collect();
        let problems = self.broken.values().map(|(_, problem)| problem.clone()).take(TOLD).collect();
        Seen { months, broken: broken.len(), problems }
    }

    /// An error if the archive does not respond: then nothing is known of the files.
    fn files(&mut self, archived: &Archived, sealed: &[Sealed]) -> Result<(), StoreError> {
        let files = archived.files(sealed);
        let known = std::mem::take(&mut self.broken);
        let (again, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| known.contains_key(&file.path));
        if self.next >= others.len() {
            self.next = 0;
        }
        let some = others.iter().skip(self.next).take(FILES);
        for file in again.iter().chain(some) {
            if let Err(problem) = self.file(archived, file) {
                // What was known of the others still is.
                self.broken.extend(known);
                return Err(problem);
            }
        }
        self.next = self.next.saturating_add(FILES);
        Ok(())
    }

    fn file(&mut self, archived: &Archived, file: &Written) -> Result<(), StoreError> {
        match archived.is_there(file) {
            Err(problem @ StoreError::Away(_)) => Err(problem),
            Err(problem) => {
                self.broken.insert(file.path.clone(), (file.month.clone(), problem.to_string()));
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

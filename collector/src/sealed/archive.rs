//! The archive: the export of all entries to which months were sealed.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use warehouse::{Archive, End, Error, Kept, Place, Position, Written, place};
use wire::record::Evidence;

use super::archives::Silence;
use crate::money::Charge;
use crate::store::entry::{Entry, EntryId, Hash, Kind};
use crate::store::names::Names;
use crate::store::sealing::{Pin, Sealed};
use crate::store::{Each, Head, StoreError};

/// An archive that is open.
pub struct Archived {
    archive: Archive,
    /// What of it was compared with the ledger.
    compared: Mutex<Vec<(EntryId, Hash)>>,
    silence: Arc<Silence>,
}

impl Archived {
    /// Opens the one at a place.
    pub fn open(place: &str, settings: &place::Settings) -> Result<Archived, StoreError> {
        Archived::with(place, settings, Arc::default(), Archive::open)
    }

    /// Opens the one at a place of which these files are meant. An error if its manifests are others, before any file is read.
    pub(super) fn pinned(
        place: &str,
        settings: &place::Settings,
        Pin { commits, manifests }: Pin,
        silence: Arc<Silence>,
    ) -> Result<Archived, StoreError> {
        let commits = u64::try_from(commits).unwrap_or_default();
        Archived::with(place, settings, silence, |place| Archive::open_pinned(place, commits, &manifests.0))
    }

    fn with(
        place: &str,
        settings: &place::Settings,
        silence: Arc<Silence>,
        open: impl FnOnce(Arc<dyn Place>) -> Result<Archive, Error>,
    ) -> Result<Archived, StoreError> {
        let archive = place::open_to_read(place, settings).and_then(|place| open(Arc::from(place)));
        let archive = archive.map_err(|error| silence.failed(error))?;
        Ok(Archived { archive, compared: Mutex::default(), silence })
    }

    /// Its files that have entries of these, by their months.
    pub(super) fn files(&self, sealed: &[Sealed]) -> Vec<Arc<Written>> {
        let first = |sealed: &Sealed| Position { writer: sealed.end.entry.writer, entry: 1 };
        let last = |sealed: &Sealed| Position { entry: sealed.end.entry.number, ..first(sealed) };
        let is_needed = |file: &&Arc<Written>| {
            let can_have =
                |of: &Sealed| file.first <= last(of) && file.last >= first(of) && file.month < of.before.to_string();
            sealed.iter().any(can_have)
        };
        self.archive.files().iter().filter(is_needed).cloned().collect()
    }

    /// Whether a file is there, and as long as it was.
    pub(super) fn is_there(&self, file: &Written) -> Result<(), StoreError> {
        self.archive.is_there(file).map_err(|error| self.failed(error))
    }

    /// The first of its files that have all up to these entries.
    pub fn pin(&self, heads: &[Head]) -> Result<Pin, StoreError> {
        let end = |head: &Head| {
            let position = Position { writer: head.entry.writer, entry: head.entry.number };
            End { position, hash: head.hash.0 }
        };
        let ends: Vec<End> = heads.iter().map(end).collect();
        let commits = self.archive.commit_of(&ends).map_err(|error| self.failed(error))?;
        let pin = commits.and_then(|commits| {
            let manifests = Hash(self.archive.digest(commits)?);
            Some(Pin { commits: i64::try_from(commits).ok()?, manifests })
        });
        pin.ok_or_else(|| self.unusable("does not have all that is to be sealed"))
    }

    /// Whether it was found to have what is sealed.
    pub(super) fn covers(&self, sealed: &[Sealed]) -> bool {
        let compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        sealed.iter().all(|sealed| compared.contains(&(sealed.end.entry, sealed.end.hash)))
    }

    /// Whether it is of this ledger: it has the last entry that is sealed of each chain.
    pub(super) fn is_of(&self, sealed: &[Sealed]) -> Result<(), StoreError> {
        for Sealed { end, .. } in sealed {
            let id = end.entry;
            match self.entry(id)? {
                Some(entry) if entry.hash == end.hash => {}
                Some(_) => return Err(self.unusable(&format!("has another entry {id} than was sealed"))),
                None => return Err(self.unusable(&format!("has no entry {id}, up to which the ledger is sealed"))),
            }
        }
        let mut compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        *compared = sealed.iter().map(|sealed| (sealed.end.entry, sealed.end.hash)).collect();
        Ok(())
    }

    fn unusable(&self, problem: &str) -> StoreError {
        self.failed(Error::of(self.archive.name(), problem))
    }

    fn failed(&self, error: Error) -> StoreError {
        self.silence.failed(error)
    }

    /// Entries of a chain behind a number up to another, in their order; with months only those that count in them, with a tenant
    /// only its own and those of what is below it.
    pub fn entries(
        &self,
        behind: EntryId,
        until: i64,
        months: Option<RangeInclusive<String>>,
        tenant: Option<&str>,
        each: Each<'_, Entry>,
    ) -> Result<(), StoreError> {
        let mut stopped = None;
        let mut pass = |kept: Kept| {
            let passed = entry(kept).and_then(&mut *each);
            passed.map_err(|error| {
                stopped = Some(error);
                Error::new(String::new())
            })
        };
        let read = self.archive.entries(behind.writer, behind.number, until, months, tenant, &mut pass);
        match stopped {
            Some(error) => Err(error),
            None => read.map_err(|error| self.failed(error)),
        }
    }

    /// An entry.
    pub fn entry(&self, id: EntryId) -> Result<Option<Entry>, StoreError> {
        let position = Position { writer: id.writer, entry: id.number };
        self.archive.entry(position).map_err(|error| self.failed(error))?.map(entry).transpose()
    }

    /// The record of a number.
    pub fn record(&self, (emitter, sequence): &(String, i64)) -> Result<Option<Entry>, StoreError> {
        self.archive.record(emitter, *sequence, None).map_err(|error| self.failed(error))?.map(entry).transpose()
    }
}

/// An entry as the ledger had it.
fn entry(kept: Kept) -> Result<Entry, StoreError> {
    let at = |position: Position| EntryId { writer: position.writer, number: position.entry };
    let id = at(kept.position);
    let unknown = |what: &str, word: &str| StoreError::unknown(&format!("entry {id}: {what}"), word);
    let billed = kept.billed().map(|day| day.to_string());
    Ok(Entry {
        id,
        kind: Kind::from_word(&kept.kind).ok_or_else(|| unknown("kind", &kept.kind))?,
        emitter: kept.emitter,
        sequence: kept.sequence,
        refers: kept.refers.map(at),
        started_ns: kept.started_ns,
        received_ns: kept.received_ns,
        tenant: kept.tenant,
        provider: kept.provider,
        model: kept.model,
        evidence: Evidence::from_word(&kept.evidence).ok_or_else(|| unknown("evidence", &kept.evidence))?,
        charge: Charge::from_yocto_usd(kept.charge),
        cost: Charge::from_yocto_usd(kept.cost),
        rating: kept.rating,
        reason: kept.reason,
        event: kept.event,
        billed,
        hash: Hash(kept.hash),
        names: Names::from_bytes(kept.salt.as_deref())
            .ok_or_else(|| StoreError::Unusable(format!("entry {id}: its salt cannot be read")))?,
    })
}

/// A place by a name that means the same wherever it is read: of a directory the whole path.
pub fn whole_name(place: &str) -> Result<String, String> {
    if place.contains("://") {
        return Ok(place.trim_end_matches('/').to_owned());
    }
    let path = Path::new(place).canonicalize().map_err(|error| format!("{place}: {error}"))?;
    path.to_str().map(str::to_owned).ok_or_else(|| format!("{place}: its path is not UTF-8"))
}

//! The archive: the export of all entries to which months were sealed.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use warehouse::{Archive, End, Error, Kept, Place, Position, place};
use wire::record::Evidence;

use crate::money::Charge;
use crate::store::entry::{Entry, EntryId, Hash, Kind};
use crate::store::names::Names;
use crate::store::sealing::{Pin, Sealed};
use crate::store::{Each, Head, StoreError};

/// Where the archive is, if not where the ledger says, and how it is reached.
#[derive(Clone, Default)]
pub struct Settings {
    /// The place, if it was moved.
    pub place: Option<String>,
    /// The address of its object store.
    pub endpoint: Option<String>,
    /// The certificates (PEM) that vouch for that, instead of the public ones.
    pub authorities: Option<Vec<u8>>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("place", &self.place).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// The archive of a ledger, opened when it is first needed.
#[derive(Default)]
pub struct Archives {
    settings: Settings,
    open: Mutex<Option<(Where, Arc<Archived>)>>,
}

/// The archive that has what is sealed.
pub fn open(settings: &Settings, sealed: &[Sealed]) -> Result<Arc<Archived>, StoreError> {
    Archives::new(settings.clone()).of(sealed)
}

/// Place and address, and which of its files.
type Where = (String, Option<String>, Pin);

impl Archives {
    /// None is open yet.
    pub fn new(settings: Settings) -> Archives {
        Archives { settings, open: Mutex::default() }
    }

    /// The archive that has what is sealed.
    pub fn of(&self, sealed: &[Sealed]) -> Result<Arc<Archived>, StoreError> {
        let Some(first) = sealed.first() else { return Err(StoreError::Unusable("nothing is sealed".to_owned())) };
        let at = match &self.settings.place {
            Some(place) => (place.clone(), self.settings.endpoint.clone(), first.pin),
            None => (first.place.clone(), self.settings.endpoint.clone().or_else(|| first.endpoint.clone()), first.pin),
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, archived)) = open.as_ref().filter(|(known, archived)| *known == at && archived.covers(sealed)) {
            return Ok(archived.clone());
        }
        let (place, endpoint, pin) = at.clone();
        let archived = Archived::pinned(&place, endpoint, self.settings.authorities.clone(), pin)?;
        archived.is_of(sealed)?;
        let archived = Arc::new(archived);
        *open = Some((at, archived.clone()));
        Ok(archived)
    }
}

/// An archive that is open.
pub struct Archived {
    archive: Archive,
    /// What of it was compared with the ledger.
    compared: Mutex<Vec<(EntryId, Hash)>>,
}

impl Archived {
    /// Opens the one at a place.
    pub fn open(place: &str, endpoint: Option<String>, authorities: Option<Vec<u8>>) -> Result<Archived, StoreError> {
        Archived::with(place, endpoint, authorities, Archive::open)
    }

    /// Opens the one at a place of which these files are meant. An error if its manifests are others, before any file is read.
    fn pinned(
        place: &str,
        endpoint: Option<String>,
        authorities: Option<Vec<u8>>,
        Pin { commits, manifests }: Pin,
    ) -> Result<Archived, StoreError> {
        let commits = u64::try_from(commits).unwrap_or_default();
        Archived::with(place, endpoint, authorities, |place| Archive::open_pinned(place, commits, &manifests.0))
    }

    fn with(
        place: &str,
        endpoint: Option<String>,
        authorities: Option<Vec<u8>>,
        open: impl FnOnce(Arc<dyn Place>) -> Result<Archive, Error>,
    ) -> Result<Archived, StoreError> {
        let settings = place::Settings { endpoint, authorities };
        let archive = place::open_to_read(place, &settings).and_then(|place| open(Arc::from(place)));
        Ok(Archived { archive: archive.map_err(failed)?, compared: Mutex::default() })
    }

    /// The first of its files that have all up to these entries.
    pub fn pin(&self, heads: &[Head]) -> Result<Pin, StoreError> {
        let end = |head: &Head| {
            let position = Position { writer: head.entry.writer, entry: head.entry.number };
            End { position, hash: head.hash.0 }
        };
        let ends: Vec<End> = heads.iter().map(end).collect();
        let commits = self.archive.commit_of(&ends).map_err(failed)?;
        let pin = commits.and_then(|commits| {
            let manifests = Hash(self.archive.digest(commits)?);
            Some(Pin { commits: i64::try_from(commits).ok()?, manifests })
        });
        pin.ok_or_else(|| self.unusable("does not have all that is to be sealed"))
    }

    /// Whether it was found to have what is sealed.
    fn covers(&self, sealed: &[Sealed]) -> bool {
        let compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        sealed.iter().all(|sealed| compared.contains(&(sealed.end.entry, sealed.end.hash)))
    }

    /// Whether it is of this ledger: it has the last entry that is sealed of each chain.
    fn is_of(&self, sealed: &[Sealed]) -> Result<(), StoreError> {
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
        failed(Error::of(self.archive.name(), problem))
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
            None => read.map_err(failed),
        }
    }

    /// An entry.
    pub fn entry(&self, id: EntryId) -> Result<Option<Entry>, StoreError> {
        let position = Position { writer: id.writer, entry: id.number };
        self.archive.entry(position).map_err(failed)?.map(entry).transpose()
    }

    /// The record of a number.
    pub fn record(&self, (emitter, sequence): &(String, i64)) -> Result<Option<Entry>, StoreError> {
        self.archive.record(emitter, *sequence, None).map_err(failed)?.map(entry).transpose()
    }
}

fn failed(error: Error) -> StoreError {
    StoreError::Unusable(format!("the archive of sealed months: {error}"))
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

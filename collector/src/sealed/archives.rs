//! Which archive a ledger has, opened when it is first needed, and for how long one that does not respond is not asked again.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use warehouse::place;
use warehouse::place::Patience;

use super::archive::Archived;
use crate::store::StoreError;
use crate::store::sealing::{Pin, Sealed};

/// For so long an archive that did not respond is not asked again, where somebody waits for each response: who asks meanwhile
/// hears so at once.
const SILENT_FOR: Duration = Duration::from_secs(30);

/// Where the archive is, if not where the ledger says, and how it is reached.
#[derive(Clone, Default)]
pub struct Settings {
    /// The place, if it was moved.
    pub place: Option<String>,
    /// The address of its object store.
    pub endpoint: Option<String>,
    /// The certificates (PEM) that vouch for that, instead of the public ones.
    pub authorities: Option<Vec<u8>>,
    /// How long it may take to respond.
    pub patience: Patience,
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
    silence: Arc<Silence>,
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
        Archives { settings, open: Mutex::default(), silence: Arc::default() }
    }

    /// The archive that has what is sealed.
    pub fn of(&self, sealed: &[Sealed]) -> Result<Arc<Archived>, StoreError> {
        let at = self.at(sealed)?;
        let mut open = lock(&self.open);
        if self.settings.patience == Patience::Short {
            // Of those who waited here for one that did not respond each would wait as long again.
            self.silence.check()?;
        }
        if let Some((_, archived)) = open.as_ref().filter(|(known, archived)| *known == at && archived.covers(sealed)) {
            return Ok(archived.clone());
        }
        let archived = Arc::new(self.opened(&at)?);
        archived.is_of(sealed)?;
        *open = Some((at, archived.clone()));
        Ok(archived)
    }

    /// The same, opened anew, and without reading any of its files.
    pub fn manifests(&self, sealed: &[Sealed]) -> Result<Archived, StoreError> {
        self.opened(&self.at(sealed)?)
    }

    fn at(&self, sealed: &[Sealed]) -> Result<Where, StoreError> {
        let Some(first) = sealed.first() else { return Err(StoreError::Unusable("nothing is sealed".to_owned())) };
        let endpoint = self.settings.endpoint.clone();
        Ok(match &self.settings.place {
            Some(place) => (place.clone(), endpoint, first.pin),
            None => (first.place.clone(), endpoint.or_else(|| first.endpoint.clone()), first.pin),
        })
    }

    fn opened(&self, (place, endpoint, pin): &Where) -> Result<Archived, StoreError> {
        let Settings { authorities, patience, .. } = self.settings.clone();
        let settings = place::Settings { endpoint: endpoint.clone(), authorities, patience };
        Archived::pinned(place, &settings, *pin, self.silence.clone())
    }
}

/// Whether an archive responds: since when it does not, and what was said then.
#[derive(Default)]
pub struct Silence(Mutex<Option<(Instant, String)>>);

impl Silence {
    /// An error if it did not respond just now.
    fn check(&self) -> Result<(), StoreError> {
        match &*lock(&self.0) {
            Some((since, problem)) if since.elapsed() < SILENT_FOR => Err(StoreError::Away(problem.clone())),
            _ => Ok(()),
        }
    }

    /// What is said of an error; that it does not respond is noted.
    pub fn failed(&self, error: warehouse::Error) -> StoreError {
        let problem = format!("the archive of sealed months: {error}");
        if !error.is_away() {
            return StoreError::Unusable(problem);
        }
        *lock(&self.0) = Some((Instant::now(), problem.clone()));
        StoreError::Away(problem)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

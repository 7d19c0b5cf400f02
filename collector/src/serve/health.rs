//! `/livez`: the process does its work or should be started anew. `/readyz`: what it is sent now will be stored.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use tokio::sync::oneshot;

use super::space::{self, Room, Space};
use super::writer::Work;
use super::{App, log, responses};
use crate::ingest::refusal::{Busy, Refusal};

/// A transaction that succeeded so lately proves that the next one can.
const FRESH: Duration = Duration::from_secs(5);
/// How long a response to the question holds, so that nobody keeps the database busy with asking.
const HOLDS: Duration = Duration::from_secs(1);
/// How long the writer may take to try.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of how well things are. Written by the writer and by who looks at the disk.
#[derive(Debug)]
pub struct Condition {
    stored: Mutex<(Instant, bool)>,
    disk_is_full: AtomicBool,
}

impl Condition {
    /// All is well: the database has just been opened.
    pub fn new() -> Arc<Condition> {
        let stored = Mutex::new((Instant::now(), true));
        Arc::new(Condition { stored, disk_is_full: AtomicBool::new(false) })
    }

    /// A transaction has succeeded or failed.
    pub fn stored(&self, well: bool) {
        *self.stored.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), well);
    }

    fn last(&self) -> (Instant, bool) {
        *self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error if nothing more should be written.
    pub fn disk(&self) -> Result<(), Refusal> {
        if self.disk_is_full.load(Ordering::Relaxed) { Err(Refusal::Busy(Busy::Disk)) } else { Ok(()) }
    }
}

/// The disk on which the ledger is.
#[derive(Debug)]
pub struct Disk {
    ledger: PathBuf,
    directory: PathBuf,
    /// Bytes that must stay free.
    min_free: u64,
    space: Space,
}

impl Disk {
    /// That of a ledger; what is seen there is told to `space`.
    pub fn of(ledger: &Path, min_free: u64, space: Space) -> Disk {
        let directory = ledger.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new(".")).to_owned();
        Disk { ledger: ledger.to_owned(), directory, min_free, space }
    }

    /// Looks at it once. What cannot be asked for is not held against it.
    pub fn look(&self, condition: &Condition) {
        let Ok(disk) = rustix::fs::statvfs(&self.directory) else { return self.space.set(None) };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let size = disk.f_blocks.saturating_mul(disk.f_frsize);
        self.space.set(Some(Room { free, size, ledger: space::of_ledger(&self.ledger) }));
        let is_full = free < self.min_free;
        if condition.disk_is_full.swap(is_full, Ordering::Relaxed) == is_full {
            return;
        }
        let min = self.min_free;
        let directory = self.directory.display();
        if is_full {
            log::error(&format!(
                "{directory}: {free} bytes are free, --min-free is {min}: nothing is taken until more are"
            ));
        } else {
            log::info(&format!("{directory}: {free} bytes are free again: events are taken"));
        }
    }
}

/// What `/readyz` said last, and when.
pub type Said = tokio::sync::Mutex<Option<(Instant, Result<(), Refusal>)>>;

/// Live is: the writer lives. Whether it gets on is not asked: to start it anew would not make a database faster.
pub async fn live(State(app): State<Arc<App>>) -> Result<&'static str, Refusal> {
    if app.jobs.is_closed() { Err(Refusal::Busy(Busy::Writer)) } else { Ok("ok\n") }
}

/// Ready is: the database responds, and a transaction succeeds.
pub async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, Refusal> {
    let mut said = app.ready.lock().await;
    let result = match &*said {
        Some((at, result)) if at.elapsed() < HOLDS => result.clone(),
        _ => {
            let result = examine(&app).await;
            *said = Some((Instant::now(), result.clone()));
            result
        }
    };
    result.map(|()| "ok\n")
}

async fn examine(app: &App) -> Result<(), Refusal> {
    app.condition.disk()?;
    let reader = app.reader.clone();
    let response = responses::blocking(move || reader.ping().map_err(|error| error.to_string())).await;
    response.map_err(|problem| {
        // Whoever asks is not known: the reason is for the operator.
        log::often("not ready", || format!("the database does not respond: {problem}"));
        Refusal::Busy(Busy::Database)
    })?;
    let (at, well) = app.condition.last();
    if well && at.elapsed() < FRESH {
        return Ok(());
    }
    let (done, outcome) = oneshot::channel();
    let sent = app.jobs.try_send(Work::Probe(done));
    if app.jobs.is_closed() {
        return Err(Refusal::Busy(Busy::Writer));
    }
    // With a full queue the last transaction must do.
    let well = if sent.is_ok() { matches!(tokio::time::timeout(PATIENCE, outcome).await, Ok(Ok(true))) } else { well };
    if well { Ok(()) } else { Err(Refusal::Busy(Busy::NotWritable)) }
}

//! The ledger in one SQLite file: one connection that writes, short-lived ones that read.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use crate::store::{Changes, Keys, Known, Store, StoreError};
use crate::terminal;
use files::Files;

mod backup;
mod booked;
mod budgets;
mod checks;
mod coarse;
mod counted;
mod files;
mod forget;
mod known;
mod migrate;
mod open;
mod place;
mod prune;
mod quarantine;
mod read;
mod sealing;
mod totals;
mod write;

pub(super) use backup::{read as read_all, restore};
pub use open::SqliteReader;

/// "mesh" in ASCII: tells our file from another program's.
const APPLICATION_ID: i32 = 0x6d65_7368;
/// The schema's version.
const VERSION: usize = 9;
const SCHEMA: &str = include_str!("schema.sql");
/// How long to wait for someone else's lock. Shorter than the senders' timeout, so that they hear of it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a command tries to get someone else's lock, each millisecond: half a minute.
const TRIES: i32 = 30_000;
/// Statements kept prepared: all that a transaction uses.
const STATEMENTS: usize = 80;
/// Pages kept in memory, KiB: those that a minute of events touches, so that they are not read and written in between.
const CACHE_KIB: i64 = 64 << 10;
/// Pages of the log before it is copied into the file (128 MiB): a page that many commits change is copied once.
const WAL_PAGES: i64 = if cfg!(test) { 64 } else { 32768 };
/// What the log takes of the disk, bytes, once whoever read long and kept it from being emptied has ended.
const WAL_BYTES: i64 = 2 * WAL_PAGES * 4096;
/// The chain that grows: a file that was restored from PostgreSQL may have others.
const WRITER: i64 = 1;

/// The connection that writes.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    files: Files,
}

impl Sqlite {
    /// Opens the database, creates it if there is none, brings its schema up to date.
    pub fn open(path: &Path) -> Result<Sqlite, StoreError> {
        Sqlite::open_waiting(path, |connection| connection.busy_timeout(BUSY_TIMEOUT))
    }

    /// The same, for a command beside a collector. SQLite itself tries ever more rarely, and then hardly ever finds the moment
    /// between two transactions of one who writes all the time.
    pub fn open_patiently(path: &Path) -> Result<Sqlite, StoreError> {
        Sqlite::open_waiting(path, wait_patiently)
    }

    fn open_waiting(
        path: &Path,
        wait: impl FnOnce(&mut Connection) -> rusqlite::Result<()>,
    ) -> Result<Sqlite, StoreError> {
        files::begin(path);
        let mut connection = Connection::open(path)?;
        wait(&mut connection)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        version(&connection, path)?;
        // An acknowledged event must survive a power cut: WAL syncs at every commit only with FULL.
        to_wal(&connection)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", WAL_BYTES)?;
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version = version(&tx, path)?;
        if version < VERSION {
            match version {
                0 => tx.execute_batch(SCHEMA)?,
                1 => migrate::from_1(&tx)?,
                version => {
                    if version == 2 {
                        migrate::from_2(&tx)?;
                    }
                    if version <= 3 {
                        migrate::from_3(&tx)?;
                    }
                    if version <= 4 {
                        migrate::from_4(&tx)?;
                    }
                    if version <= 5 {
                        migrate::from_5(&tx)?;
                    }
                    if version <= 6 {
                        migrate::from_6(&tx)?;
                    }
                    if version <= 7 {
                        migrate::from_7(&tx)?;
                    }
                    migrate::from_8(&tx)?;
                }
            }
            #[cfg(feature = "forgetful")]
            tx.execute_batch("DROP INDEX ledger_numbers")?;
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            tx.pragma_update(None, "user_version", i64::try_from(VERSION).unwrap_or(i64::MAX))?;
        }
        tx.commit()?;
        let files = Files::of(path)?;
        Ok(Sqlite { connection, files })
    }
}

impl Store for Sqlite {
    fn transact(&mut self, keys: &Keys, decide: &mut dyn FnMut(Known) -> Changes) -> Result<(), StoreError> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let known = known::known(&tx, keys)?;
        let before = known.sums.clone();
        let changes = decide(known);
        write::changes(&tx, &changes)?;
        coarse::changed(&tx, &before, &changes.sums)?;
        forget::changes(&tx, &changes.forget)?;
        sealing::changes(&tx, &changes.seal)?;
        prune::changes(&tx, &changes.prune)?;
        tx.commit()?;
        // Whoever opens the ledger after this must find what was written.
        self.look()
    }

    /// Writes the version once more: a page of the log, and a sync.
    fn probe(&mut self) -> Result<(), StoreError> {
        self.look()?;
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.pragma_update(None, "user_version", i64::try_from(VERSION).unwrap_or(i64::MAX))?;
        tx.commit()?;
        self.look()
    }

    fn scrub(&mut self) -> Result<bool, StoreError> {
        let is_done = forget::scrub(&mut self.connection)?;
        self.look().map(|()| is_done)
    }

    fn is_sparse(&self) -> Result<bool, StoreError> {
        let sql = "SELECT freelist_count * 4 > page_count FROM pragma_freelist_count, pragma_page_count";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    fn look(&self) -> Result<(), StoreError> {
        self.files.look()
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::Database(Box::new(error))
    }
}

/// Turns the journal into a write-ahead log. SQLite does not wait for others there, whatever its busy timeout is.
fn to_wal(connection: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
                    && begun.elapsed() < BUSY_TIMEOUT =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
}

/// Tries for long to get a lock that somebody else has.
fn wait_patiently(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(|tries| {
        std::thread::sleep(Duration::from_millis(1));
        tries < TRIES
    }))
}

/// The schema's version; 0 for an empty database.
fn version(connection: &Connection, path: &Path) -> Result<usize, StoreError> {
    let unusable = |problem: &str| unusable(path, problem);
    let not_ours = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => unusable("is not a database of meshmeter"),
        _ => error.into(),
    };
    // In one statement, for another process may be at making the very same database.
    let (id, version, tables): (i32, i64, i64) = connection
        .query_row(
            "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
             FROM pragma_application_id, pragma_user_version",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .map_err(not_ours)?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    match (id, version) {
        (0, 0) if tables == 0 => Ok(0),
        (APPLICATION_ID, version) if version > VERSION => Err(unusable("was written by a later version of meshmeter")),
        (APPLICATION_ID, version) => Ok(version),
        _ => Err(unusable("is a database of another program")),
    }
}

fn unusable(path: &Path, problem: impl std::fmt::Display) -> StoreError {
    StoreError::Unusable(format!("{}: {problem}", terminal::file(path)))
}

#[cfg(test)]
mod tests;

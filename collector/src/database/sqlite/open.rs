//! How a ledger is opened that is only read: it may be in use, or a copy where nothing can be written, and it is never made.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::{Access, access};

use super::{BUSY_TIMEOUT, VERSION, WAL_BYTES, unusable, version};
use crate::store::StoreError;

/// How long is waited for the log at most, and for whoever writes to begin.
const LOG_PATIENCE: Duration = Duration::from_secs(5);
const WRITER_PATIENCE: Duration = Duration::from_millis(300);

/// Connections that read, one per question, or one for all as of one moment: they never wait for the writer.
#[derive(Clone, Debug)]
pub struct SqliteReader {
    path: PathBuf,
    held: Option<Arc<Mutex<Opened>>>,
}

/// A database that is open to be read.
#[derive(Debug)]
struct Opened {
    connection: Connection,
    /// Its file, and what that was, if it is read as one that nobody writes to.
    still: Option<(PathBuf, Still)>,
}

impl SqliteReader {
    /// A reader of the database at this path.
    pub fn new(path: &Path) -> SqliteReader {
        SqliteReader { path: path.to_owned(), held: None }
    }

    /// The same, for whom all questions are of this moment.
    pub fn at_one_moment(&self) -> Result<SqliteReader, StoreError> {
        let opened = self.open()?;
        // The moment is that of the first question within the transaction.
        opened.connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;")?;
        Ok(SqliteReader { path: self.path.clone(), held: Some(Arc::new(Mutex::new(opened))) })
    }

    /// Asks one question.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &self.held {
            None => self.open()?.ask(&self.path, question),
            Some(held) => held.lock().unwrap_or_else(PoisonError::into_inner).ask(&self.path, question),
        }
    }

    /// Waits while the log is long and somebody writes: whoever does empties it once nobody reads.
    pub(super) fn let_the_log_be_emptied(&self) {
        let Ok(real) = fs::canonicalize(&self.path) else { return };
        let log = log_of(&real);
        let look =
            || [&real, &log].map(|file| fs::metadata(file).ok().map(|about| (about.len(), about.modified().ok())));
        let is_long =
            || fs::metadata(&log).is_ok_and(|log| i64::try_from(log.len()).is_ok_and(|bytes| bytes > WAL_BYTES));
        let (begun, mut seen) = (Instant::now(), (look(), Instant::now()));
        while self.held.is_none() && is_long() && begun.elapsed() < LOG_PATIENCE {
            thread::sleep(Duration::from_millis(10));
            let now = look();
            if now != seen.0 {
                seen = (now, Instant::now());
            } else if seen.1.elapsed() > WRITER_PATIENCE {
                return;
            }
        }
    }

    fn open(&self) -> Result<Opened, StoreError> {
        let path = &self.path;
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => unusable(path, "there is no such file"),
            _ => unusable(path, error),
        };
        // Never opened beside SQLite: when any descriptor of a file is closed, the process loses all its locks on it (POSIX), the
        // writer's too, and the next program that reads the ledger would take its log away.
        access(path, Access::READ_OK).map_err(|error| failed(error.into()))?;
        // SQLite's log lies beside the file itself, not beside a link to it.
        let real = fs::canonicalize(path).map_err(failed)?;
        let (connection, still) = match open(&real) {
            Ok(connection) => (connection, None),
            Err(error) if needs_to_write(&error) => {
                let still = Still::of(&real).map_err(failed)?;
                if still.has_log {
                    let problem = "its log (-wal) cannot be read where nothing can be written: copy both files to where that \
                                   is allowed, or let the collector end, which empties the log, before you copy";
                    return Err(unusable(path, problem));
                }
                (open_still(&real)?, Some((real, still)))
            }
            Err(error) => return Err(error.into()),
        };
        match version(&connection, path)? {
            VERSION => {}
            0 => return Err(unusable(path, "has no ledger yet, `meshmeter serve` makes one")),
            _ => return Err(unusable(path, "is of an earlier version, `meshmeter serve` brings it up to date")),
        }
        Ok(Opened { connection, still })
    }
}

impl Opened {
    fn ask<T>(
        &self,
        path: &Path,
        question: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let response = question(&self.connection)?;
        match &self.still {
            Some((real, still)) if *still != Still::of(real).map_err(|error| unusable(path, error))? => {
                Err(unusable(path, "was written to while it was read; ask again"))
            }
            _ => Ok(response),
        }
    }
}

/// Asks several questions as of one moment.
pub(super) fn at_one_moment<T>(
    connection: &Connection,
    questions: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    if connection.is_autocommit() {
        questions(&*connection.unchecked_transaction()?)
    } else {
        // It is held as of one already.
        questions(connection)
    }
}

/// Opens it as it must be if somebody writes to it: its log is read too, for which SQLite writes beside it.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // The file is not looked into before.
    match connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())) {
        Err(error) if needs_to_write(&error) => Err(error),
        // What else may be wrong with it is told by its version.
        _ => Ok(connection),
    }
}

fn needs_to_write(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// Opens it as a file that nobody writes to. If that is not so after all, [`Still`] tells.
fn open_still(path: &Path) -> rusqlite::Result<Connection> {
    let escape = |byte: &u8| match byte {
        b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(*byte).to_string(),
        byte => format!("%{byte:02x}"),
    };
    let path: String = path.as_os_str().as_bytes().iter().map(escape).collect();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)
}

/// The log of a file.
fn log_of(path: &Path) -> PathBuf {
    let mut log = OsString::from(path);
    log.push("-wal");
    log.into()
}

/// What changes when somebody writes.
#[derive(Debug, PartialEq, Eq)]
struct Still {
    has_log: bool,
    length: u64,
    modified: Option<SystemTime>,
}

impl Still {
    fn of(path: &Path) -> io::Result<Still> {
        let about = fs::metadata(path)?;
        Ok(Still {
            has_log: fs::metadata(log_of(path)).is_ok_and(|log| log.len() > 0),
            length: about.len(),
            modified: about.modified().ok(),
        })
    }
}

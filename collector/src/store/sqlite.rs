//! The store in one SQLite file: one connection that writes, short-lived ones that read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use meter::event::Event;
use meter::record::Evidence;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::ranges::{Place, Range, place};
use super::rollup::Sums;
use super::{Batch, Counted, RollupRow, Selection, StoreError, Taken};

/// "mesh" in ASCII: tells our file from another program's.
const APPLICATION_ID: i32 = 0x6d65_7368;
/// The schema, one step per version.
const STEPS: &[&str] = &[include_str!("schema.sql")];
/// How long to wait for someone else's lock. Shorter than the senders' timeout, so that they hear of it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Statements kept prepared: all that a transaction uses.
const STATEMENTS: usize = 32;

/// The connection that writes.
pub struct Ledger(Connection);

impl Ledger {
    /// Opens the database, creates it if there is none, brings its schema up to date.
    pub fn open(path: &Path) -> Result<Ledger, StoreError> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        version(&connection, path)?;
        // An acknowledged event must survive a power cut: WAL syncs at every commit only with FULL.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version = version(&tx, path)?;
        for step in STEPS.iter().skip(version) {
            tx.execute_batch(step)?;
        }
        if version < STEPS.len() {
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            tx.pragma_update(None, "user_version", i64::try_from(STEPS.len()).unwrap_or(i64::MAX))?;
        }
        tx.commit()?;
        Ok(Ledger(connection))
    }

    /// Takes batches in one transaction: when it returns, all of them are on the disk, or none.
    pub fn append(&mut self, batches: &[&Batch], received_ns: i64) -> Result<Vec<Taken>, StoreError> {
        let tx = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut sums = Sums::default();
        let mut all = Vec::with_capacity(batches.len());
        for batch in batches {
            let mut taken = Taken::default();
            for arrival in *batch {
                let bytes = arrival.bytes.get();
                let outcome = match &arrival.decoded {
                    Ok(event) => record(&tx, &mut sums, event, bytes, received_ns)?,
                    Err(reason) => Outcome::Refused(reason.clone()),
                };
                let count = match outcome {
                    Outcome::New => &mut taken.accepted,
                    Outcome::Duplicate => &mut taken.duplicates,
                    Outcome::Refused(reason) => {
                        bury(&tx, bytes, &reason, received_ns)?;
                        &mut taken.dead_letters
                    }
                };
                *count = count.saturating_add(1);
            }
            all.push(taken);
        }
        sums.write(&tx)?;
        tx.commit()?;
        Ok(all)
    }
}

enum Outcome {
    New,
    Duplicate,
    Refused(String),
}

fn record(
    tx: &Transaction<'_>,
    sums: &mut Sums,
    event: &Event,
    bytes: &str,
    received_ns: i64,
) -> Result<Outcome, StoreError> {
    let Ok(sequence) = i64::try_from(event.sequence) else {
        return Ok(Outcome::Refused("data.sequence: does not fit in 64 bits".to_owned()));
    };
    let Some((started_ns, day)) = start(event.record.started_ns) else {
        return Ok(Outcome::Refused("time: must be before the year 2262".to_owned()));
    };
    let place = find(tx, &event.emitter, sequence)?;
    if place == Place::Inside {
        return Ok(Outcome::Duplicate);
    }
    if let Err(reason) = sums.add(tx, &day, event)? {
        return Ok(Outcome::Refused(reason));
    }
    put(tx, &event.emitter, sequence, place)?;
    let record = &event.record;
    tx.prepare_cached(
        "INSERT INTO ledger (emitter, sequence, id, started_ns, received_ns, tenant, provider, request_model,
         response_model, evidence, event) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        event.emitter,
        sequence,
        event.id,
        started_ns,
        received_ns,
        record.identity.tenant,
        record.provider,
        record.request_model,
        record.response_model,
        record.evidence.as_str(),
        bytes,
    ])?;
    Ok(Outcome::New)
}

/// The start as the ledger keeps it, and its day in UTC.
fn start(started_ns: u64) -> Option<(i64, String)> {
    let started_ns = i64::try_from(started_ns).ok()?;
    let time = Timestamp::from_nanosecond(i128::from(started_ns)).ok()?;
    Some((started_ns, time.to_zoned(TimeZone::UTC).date().to_string()))
}

fn find(tx: &Transaction<'_>, emitter: &str, sequence: i64) -> Result<Place, StoreError> {
    let range = |row: &Row<'_>| Ok(Range { first: row.get(0)?, last: row.get(1)? });
    let below = tx
        .prepare_cached(
            "SELECT first, last FROM emitter_ranges WHERE emitter = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1",
        )?
        .query_row(params![emitter, sequence], range)
        .optional()?;
    let above = tx
        .prepare_cached("SELECT first, last FROM emitter_ranges WHERE emitter = ?1 AND first = ?2 + 1")?
        .query_row(params![emitter, sequence], range)
        .optional()?;
    Ok(place(sequence, below, above))
}

fn put(tx: &Transaction<'_>, emitter: &str, sequence: i64, place: Place) -> Result<(), StoreError> {
    let set_last = "UPDATE emitter_ranges SET last = ?3 WHERE emitter = ?1 AND first = ?2";
    match place {
        Place::Inside => {}
        Place::Alone => {
            tx.prepare_cached("INSERT INTO emitter_ranges (emitter, first, last) VALUES (?1, ?2, ?2)")?
                .execute(params![emitter, sequence])?;
        }
        Place::After { first } => {
            tx.prepare_cached(set_last)?.execute(params![emitter, first, sequence])?;
        }
        Place::Before { .. } => {
            tx.prepare_cached("UPDATE emitter_ranges SET first = ?2 WHERE emitter = ?1 AND first = ?2 + 1")?
                .execute(params![emitter, sequence])?;
        }
        Place::Between { first, last } => {
            tx.prepare_cached("DELETE FROM emitter_ranges WHERE emitter = ?1 AND first = ?2 + 1")?
                .execute(params![emitter, sequence])?;
            tx.prepare_cached(set_last)?.execute(params![emitter, first, last])?;
        }
    }
    Ok(())
}

fn bury(tx: &Transaction<'_>, bytes: &str, reason: &str, received_ns: i64) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO dead_letters (event, reason, deliveries, first_received_ns, last_received_ns)
         VALUES (?1, ?2, 1, ?3, ?3)
         ON CONFLICT DO UPDATE SET deliveries = deliveries + 1, last_received_ns = excluded.last_received_ns",
    )?
    .execute(params![bytes, reason, received_ns])?;
    Ok(())
}

/// The schema's version; 0 for an empty database.
fn version(connection: &Connection, path: &Path) -> Result<usize, StoreError> {
    let unusable = |problem: &str| StoreError::Unusable(format!("{}: {problem}", path.display()));
    let not_ours = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => unusable("is not a database of meshmeter"),
        _ => error.into(),
    };
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(not_ours)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (id, version) {
        (0, 0) if tables == 0 => Ok(0),
        (APPLICATION_ID, version) if version > STEPS.len() => {
            Err(unusable("was written by a later version of meshmeter"))
        }
        (APPLICATION_ID, version) => Ok(version),
        _ => Err(unusable("is a database of another program")),
    }
}

/// Connections that read, one per question: they never wait for the writer.
#[derive(Clone)]
pub struct Reader(PathBuf);

impl Reader {
    /// A reader of the database at this path.
    pub fn new(path: &Path) -> Reader {
        Reader(path.to_owned())
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        if !self.0.exists() {
            return Err(StoreError::Unusable(format!("{}: there is no such file", self.0.display())));
        }
        let connection =
            Connection::open_with_flags(&self.0, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        match version(&connection, &self.0)? {
            version if version == STEPS.len() => Ok(connection),
            _ => Err(StoreError::Unusable(format!(
                "{}: has no ledger yet, `meshmeter serve` makes one",
                self.0.display()
            ))),
        }
    }

    /// Whether the database answers.
    pub fn ping(&self) -> Result<(), StoreError> {
        self.connect()?.query_row("SELECT EXISTS (SELECT 1 FROM rollup)", [], |_| Ok(()))?;
        Ok(())
    }

    /// Reads the rollup, one row after the other, all of them as of one moment.
    pub fn rollup<E: From<StoreError>>(
        &self,
        selection: &Selection,
        mut each: impl FnMut(RollupRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let connection = self.connect()?;
        let mut select = connection
            .prepare(
                "SELECT day, tenant, provider, model, evidence, class, quantity FROM rollup
             WHERE day >= coalesce(?1, '') AND day <= coalesce(?2, '9999-12-31')
             AND (?3 IS NULL OR tenant = ?3 OR substr(tenant, 1, length(?3) + 1) = ?3 || '/')
             ORDER BY day, tenant, provider, model, evidence, class",
            )
            .map_err(StoreError::from)?;
        let text = |date: Option<jiff::civil::Date>| date.map(|date| date.to_string());
        let key = params![text(selection.since), text(selection.until), selection.tenant];
        let mut rows = select.query(key).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            each(read(row)?)?;
        }
        Ok(())
    }
}

fn read(row: &Row<'_>) -> Result<RollupRow, StoreError> {
    let (day, evidence, class): (String, String, String) = (row.get(0)?, row.get(4)?, row.get(5)?);
    let unknown = |column: &str, value: &str| {
        StoreError::Unusable(format!(
            "rollup.{column}: this version does not know \"{value}\"; use the version that wrote it"
        ))
    };
    Ok(RollupRow {
        day: day.parse().map_err(|_| unknown("day", &day))?,
        tenant: row.get(1)?,
        provider: row.get(2)?,
        model: row.get(3)?,
        evidence: Evidence::from_word(&evidence).ok_or_else(|| unknown("evidence", &evidence))?,
        counted: Counted::from_name(&class).ok_or_else(|| unknown("class", &class))?,
        quantity: row.get(6)?,
    })
}

#[cfg(test)]
mod tests;

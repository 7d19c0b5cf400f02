//! Names that are replaced.

use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, Row, Transaction, params};

use super::read::known_word;
use super::{coarse, place, wait_patiently};
use crate::store::StoreError;
use crate::store::forgetting::{Ended, ForgetChanges, Pending, Replaced};
use crate::store::names::Names;

/// How long to try to write the file anew and to empty its log while others write and read.
const PATIENCE: Duration = Duration::from_secs(10);

/// How personal fields are sealed, from a column.
pub fn names(row: &Row<'_>, column: usize) -> rusqlite::Result<Names> {
    let bytes = row.get_ref(column)?.as_blob_or_null()?;
    known_word(column, "salt", |_| Names::from_bytes(bytes))
}

/// The names that are being replaced.
pub fn pending(connection: &Connection) -> Result<Vec<Pending>, StoreError> {
    let mut select =
        connection.prepare("SELECT digest, salt, pseudonym, begun_ns FROM forgetting ORDER BY begun_ns, digest")?;
    let rows = select.query_map([], |row| {
        Ok(Pending { digest: row.get(0)?, salt: row.get(1)?, pseudonym: row.get(2)?, begun_ns: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What a transaction does about names.
pub fn changes(tx: &Transaction<'_>, changes: &ForgetChanges) -> Result<(), StoreError> {
    let ForgetChanges { begun, replaced, quarantined, ended } = changes;
    if let Some(Pending { digest, salt, pseudonym, begun_ns }) = begun {
        tx.execute(
            "INSERT INTO forgetting (digest, salt, pseudonym, begun_ns) VALUES (?1, ?2, ?3, ?4)",
            params![digest, salt, pseudonym, begun_ns],
        )?;
    }
    for Replaced { entry, before, tenant, event, names } in replaced {
        let mut put =
            tx.prepare_cached("UPDATE ledger SET tenant = ?3, event = ?4, salt = ?5 WHERE entry = ?1 AND salt IS ?2")?;
        let done = put.execute(params![place::key(*entry), before.to_bytes(), tenant, event, names.to_bytes()])?;
        if done != 1 {
            return Err(StoreError::Unusable(format!("entry {entry}: somebody else replaces names; run it again")));
        }
    }
    for event in quarantined {
        tx.prepare_cached("UPDATE quarantined SET digest = ?2, event = ?3 WHERE digest = ?1")?.execute(params![
            event.before,
            event.after,
            event.bytes
        ])?;
    }
    ended.as_ref().map_or(Ok(()), |ended| end(tx, ended))
}

fn end(tx: &Transaction<'_>, ended: &Ended) -> Result<(), StoreError> {
    tx.execute("DELETE FROM forgetting WHERE digest = ?1", [ended.digest])?;
    let Some(tenant) = &ended.tenant else { return Ok(()) };
    let within = |column: &str| format!("({column} = ?1 OR substr({column}, 1, length(?1) + 1) = ?1 || '/')");
    // A group is left if anything of it is: what counts nothing beside it was counted, too.
    let is_something = "o.quantity <> 0 OR o.unpriced <> 0 OR o.fallback <> 0 OR trim(o.charge, '-0.') <> ''
        OR trim(coalesce(o.cost, ''), '-0.') <> ''";
    tx.execute(
        &format!(
            "DELETE FROM rollup WHERE {} AND NOT EXISTS (SELECT 1 FROM rollup o WHERE o.day = rollup.day
             AND o.adjusts = rollup.adjusts AND o.tenant = rollup.tenant AND o.provider = rollup.provider
             AND o.model = rollup.model AND o.evidence = rollup.evidence AND ({is_something}))",
            within("rollup.tenant")
        ),
        [tenant],
    )?;
    tx.execute(
        &format!("DELETE FROM budget_balances WHERE {} AND trim(spent, '-0.') = ''", within("subject")),
        [tenant],
    )?;
    tx.execute(&format!("DELETE FROM budget_leases WHERE {}", within("subject")), [tenant])?;
    coarse::refill(tx)
}

/// Writes the file anew, without what was free in it, and empties its log. False if somebody else does not let it.
pub fn scrub(connection: &mut Connection) -> Result<bool, StoreError> {
    let begun = Instant::now();
    let mut is_written = false;
    loop {
        if !is_written {
            match connection.execute_batch("VACUUM") {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
                done => {
                    done?;
                    is_written = true;
                }
            }
        }
        if is_written && empty_log(connection)? {
            return Ok(true);
        }
        if begun.elapsed() >= PATIENCE {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether nobody was in the way. It does not wait: whoever waits here for those who read keeps all others from writing.
fn empty_log(connection: &mut Connection) -> Result<bool, StoreError> {
    connection.busy_timeout(Duration::ZERO)?;
    let is_busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    wait_patiently(connection)?;
    Ok(!is_busy?)
}

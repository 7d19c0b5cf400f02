//! What is kept for a time only.

use rusqlite::{Connection, Row, Transaction, params};

use super::place;
use super::read::each_row;
use crate::store::StoreError;
use crate::store::pruning::{Held, Page, PruneChanges};
use crate::store::responses::ResponseKey;

/// Where other meters' records are recognised.
pub fn held(connection: &Connection, page: Page) -> Result<Vec<Held>, StoreError> {
    let sql = "SELECT r.day, r.response, r.proof,
            EXISTS (SELECT 1 FROM possible_copies p WHERE p.day = r.day AND p.response = r.response)
        FROM responses r WHERE (r.day, r.response, r.proof) > (?1, ?2, ?3) AND r.day <= ?4
        ORDER BY r.day, r.response, r.proof LIMIT ?5";
    let Page { behind: ResponseKey { day, response, proof }, until_day, most } = page;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let read = |row: &Row<'_>| {
        let key = ResponseKey { day: row.get(0)?, response: row.get(1)?, proof: row.get(2)? };
        Ok(Held { key, has_pair: row.get(3)? })
    };
    let mut held = Vec::new();
    let mut each = |row| {
        held.push(row);
        Ok(())
    };
    each_row(connection, sql, params![day, response, proof, until_day, most], read, &mut each)?;
    Ok(held)
}

/// What a transaction lets go.
pub fn changes(tx: &Transaction<'_>, changes: &PruneChanges) -> Result<(), StoreError> {
    let PruneChanges { quarantined, possible, responses } = changes;
    let mut empty = tx
        .prepare_cached("UPDATE quarantined SET event = x'', reason = '' WHERE digest = ?1 AND released IS NOT NULL")?;
    for digest in quarantined {
        empty.execute([digest])?;
    }
    let mut drop = tx.prepare_cached(
        "DELETE FROM possible_copies WHERE day = ?1 AND response = ?2 AND slot = ?3 AND first = ?4 AND second = ?5
         AND records = ?6",
    )?;
    for (key, noted) in possible {
        let (first, second) = (place::key(noted.first), place::key(noted.second));
        drop.execute(params![key.day, key.response, key.slot, first, second, noted.records])?;
    }
    let mut drop = tx.prepare_cached(
        "DELETE FROM responses WHERE day = ?1 AND response = ?2 AND proof = ?3
         AND NOT EXISTS (SELECT 1 FROM possible_copies p WHERE p.day = ?1 AND p.response = ?2)",
    )?;
    for key in responses {
        drop.execute([key.day, key.response, key.proof])?;
    }
    Ok(())
}

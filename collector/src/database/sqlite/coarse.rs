//! The sums of sums in SQLite: added to in the transaction that changes the rollup, or made of it anew.

use std::collections::HashMap;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Transaction, params, params_from_iter};

use super::read::sum;
use crate::database::coarse::{Changed, Packed, add_to, amounts, merged, pack};
use crate::store::StoreError;
use crate::store::sums::{Counted, Group, GroupSums, Sum};

/// Adds what a transaction changes. `before`: the sums of the same groups as they were.
pub fn changed(
    tx: &Transaction<'_>,
    before: &HashMap<Group, GroupSums>,
    after: &[(Group, Counted, Sum)],
) -> Result<(), StoreError> {
    let Changed { days, months } = Changed::of(before, after);
    let mut read = tx.prepare_cached(
        "SELECT counts FROM rollup_days WHERE day = ?1 AND adjusts = ?2 AND provider = ?3 AND model = ?4 AND evidence = ?5",
    )?;
    let mut put = tx.prepare_cached("INSERT OR REPLACE INTO rollup_days VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for ([day, adjusts, provider, model, evidence], more) in days {
        let known: Option<Vec<u8>> =
            read.query_row(params![day, adjusts, provider, model, evidence], |row| row.get(0)).optional()?;
        put.execute(params![day, adjusts, provider, model, evidence, merged(known.as_deref(), &more)?])?;
    }
    let mut read = tx.prepare_cached(
        "SELECT counts FROM rollup_months
         WHERE month = ?1 AND tenant = ?2 AND adjusts = ?3 AND provider = ?4 AND model = ?5 AND evidence = ?6",
    )?;
    let mut put = tx.prepare_cached("INSERT OR REPLACE INTO rollup_months VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for ([month, tenant, adjusts, provider, model, evidence], more) in months {
        let key = params![month, tenant, adjusts, provider, model, evidence];
        let known: Option<Vec<u8>> = read.query_row(key, |row| row.get(0)).optional()?;
        put.execute(params![month, tenant, adjusts, provider, model, evidence, merged(known.as_deref(), &more)?])?;
    }
    Ok(())
}

/// Makes all of them anew, of `rollup`: after whatever else has written to it.
pub fn refill(tx: &Connection) -> Result<(), StoreError> {
    tx.execute_batch("DELETE FROM rollup_days; DELETE FROM rollup_months")?;
    let mut put = tx.prepare("INSERT INTO rollup_days VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    let days = ["day", "adjusts", "provider", "model", "evidence"];
    grouped(tx, &days, &mut |key, counts| {
        let values = key.iter().cloned().map(Value::from).chain([pack(counts).into()]);
        put.execute(params_from_iter(values))?;
        Ok(())
    })?;
    let mut put = tx.prepare("INSERT INTO rollup_months VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    let months = ["substr(day, 1, 7)", "tenant", "adjusts", "provider", "model", "evidence"];
    grouped(tx, &months, &mut |key, counts| {
        let values = key.iter().cloned().map(Value::from).chain([pack(counts).into()]);
        put.execute(params_from_iter(values))?;
        Ok(())
    })
}

/// What takes one group after the other: what tells it apart, and all that it counts.
type EachGroup<'a> = &'a mut dyn FnMut(&[String], &Packed) -> Result<(), StoreError>;

/// Adds up every group that these columns tell apart, one after the other.
fn grouped(connection: &Connection, columns: &[&str], each: EachGroup<'_>) -> Result<(), StoreError> {
    let width = columns.len();
    let columns = columns.join(", ");
    let sql =
        format!("SELECT {columns}, class, quantity, charge, cost, unpriced, fallback FROM rollup ORDER BY {columns}");
    let mut select = connection.prepare(&sql)?;
    let mut rows = select.query([])?;
    let mut group: Option<(Vec<String>, Packed)> = None;
    while let Some(row) = rows.next()? {
        let key = (0..width).map(|column| row.get(column)).collect::<Result<Vec<String>, _>>()?;
        let word: String = row.get(width)?;
        let more = amounts(&sum(row, width.saturating_add(1))?);
        match &mut group {
            Some((same, counts)) if *same == key => add_to(counts, &word, &more),
            _ => {
                if let Some((key, counts)) = group.replace((key, vec![(word, more)])) {
                    each(&key, &counts)?;
                }
            }
        }
    }
    group.map_or(Ok(()), |(key, counts)| each(&key, &counts))
}

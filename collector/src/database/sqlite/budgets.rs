//! Budgets in the tables: those in force, their balances, and who holds leases.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::read::known_word;
use crate::budget::balance::WindowKey;
use crate::budget::definition::Change;
use crate::budget::{Amount, Budgets};
use crate::store::budgets::{BudgetsChange, Lease, LeaseChanges, Lessee, WindowState};
use crate::store::{Keys, Known, StoreError};

/// The balances of a budget.
pub const BALANCES: &str = "SELECT budget, begins_s, subject, spent FROM budget_balances
    WHERE budget = ?1 AND begins_s >= ?2 ORDER BY begins_s, subject";
/// The leases of a budget.
pub const LEASES: &str =
    "SELECT l.budget, l.begins_s, l.subject, l.emitter, l.granted, l.charged, coalesce(e.seen_ns, 0)
    FROM budget_leases l LEFT JOIN budget_lessees e ON e.emitter = l.emitter
    WHERE l.budget = ?1 AND l.begins_s >= ?2 ORDER BY l.begins_s, l.subject, l.emitter";

fn key(row: &Row<'_>) -> rusqlite::Result<WindowKey> {
    Ok(WindowKey { budget: row.get(0)?, begins_s: row.get(1)?, subject: row.get(2)? })
}

fn amount(row: &Row<'_>, column: usize) -> rusqlite::Result<Amount> {
    known_word(column, row.get_ref(column)?.as_str()?, |text| text.parse().ok())
}

/// A row of [`BALANCES`].
pub fn balance_of(row: &Row<'_>) -> rusqlite::Result<(WindowKey, Amount)> {
    Ok((key(row)?, amount(row, 3)?))
}

/// A row of [`LEASES`].
pub fn lease_of(row: &Row<'_>) -> rusqlite::Result<(WindowKey, String, Lease)> {
    let lease = Lease { granted: row.get::<_, i64>(4)?.unsigned_abs(), charged: amount(row, 5)?, seen_ns: row.get(6)? };
    Ok((key(row)?, row.get(3)?, lease))
}

fn revision(connection: &Connection) -> Result<i64, StoreError> {
    let mut select = connection.prepare_cached("SELECT revision FROM budget_revision")?;
    Ok(select.query_row([], |row| row.get(0)).optional()?.unwrap_or_default())
}

/// The budgets in force.
pub fn in_force(connection: &Connection) -> Result<Budgets, StoreError> {
    let mut select = connection.prepare_cached("SELECT definition FROM budgets ORDER BY name")?;
    let mut rows = select.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        match Change::set(&text) {
            Ok((_, Change::Set(definition))) => all.push(definition),
            _ => return Err(StoreError::unknown("definition", &text)),
        }
    }
    Ok(Budgets::new(revision(connection)?, all))
}

/// What the rules ask for.
pub fn load(tx: &Transaction<'_>, keys: &Keys, known: &mut Known) -> Result<(), StoreError> {
    let is_known = revision(tx)? == keys.budgets.revision();
    known.budgets = if is_known { keys.budgets.clone() } else { Arc::new(in_force(tx)?) };
    for key in &keys.windows {
        let WindowKey { budget, begins_s, subject } = key;
        let mut select = tx
            .prepare_cached("SELECT spent FROM budget_balances WHERE budget = ?1 AND begins_s = ?2 AND subject = ?3")?;
        let spent = select.query_row(params![budget, begins_s, subject], |row| amount(row, 0)).optional()?;
        let mut select = tx.prepare_cached(
            "SELECT l.budget, l.begins_s, l.subject, l.emitter, l.granted, l.charged, coalesce(e.seen_ns, 0)
             FROM budget_leases l LEFT JOIN budget_lessees e ON e.emitter = l.emitter
             WHERE l.budget = ?1 AND l.begins_s = ?2 AND l.subject = ?3",
        )?;
        let rows = select.query_map(params![budget, begins_s, subject], lease_of)?;
        let leases = rows.map(|row| row.map(|(_, emitter, lease)| (emitter, lease))).collect::<Result<_, _>>()?;
        known.windows.insert(key.clone(), WindowState { spent: spent.unwrap_or_default(), leases });
    }
    for emitter in &keys.lessees {
        let mut select = tx.prepare_cached("SELECT number, seen_ns FROM budget_lessees WHERE emitter = ?1")?;
        let read = |row: &Row<'_>| Ok(Lessee { number: row.get(0)?, seen_ns: row.get(1)? });
        let lessee = select.query_row([emitter], read).optional()?;
        known.lessees.extend(lessee.map(|lessee| (emitter.clone(), lessee)));
    }
    Ok(())
}

/// The budgets in force change.
pub fn change(tx: &Transaction<'_>, change: &BudgetsChange) -> Result<(), StoreError> {
    let BudgetsChange { revision, set, removed, forgotten } = change;
    tx.execute("DELETE FROM budget_revision", [])?;
    tx.execute("INSERT INTO budget_revision (revision) VALUES (?1)", [revision])?;
    if let Some(name) = removed {
        tx.execute("DELETE FROM budgets WHERE name = ?1", [name])?;
    }
    if let Some(definition) = set {
        tx.execute(
            "INSERT OR REPLACE INTO budgets (name, budget, definition) VALUES (?1, ?2, ?3)",
            params![definition.name(), definition.id, definition.to_json(*revision)],
        )?;
    }
    if let Some(budget) = forgotten {
        tx.execute("DELETE FROM budget_balances WHERE budget = ?1", [budget])?;
        tx.execute("DELETE FROM budget_leases WHERE budget = ?1", [budget])?;
    }
    Ok(())
}

/// Adds to balances.
pub fn spend(tx: &Transaction<'_>, spent: &BTreeMap<WindowKey, Amount>) -> Result<(), StoreError> {
    for (WindowKey { budget, begins_s, subject }, more) in spent {
        let key = params![budget, begins_s, subject];
        let mut select = tx
            .prepare_cached("SELECT spent FROM budget_balances WHERE budget = ?1 AND begins_s = ?2 AND subject = ?3")?;
        let before = select.query_row(key, |row| amount(row, 0)).optional()?.unwrap_or_default();
        tx.prepare_cached(
            "INSERT OR REPLACE INTO budget_balances (budget, begins_s, subject, spent) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![budget, begins_s, subject, before.plus(*more).stored()])?;
    }
    Ok(())
}

/// Changes leases.
pub fn lend(tx: &Transaction<'_>, changes: &LeaseChanges) -> Result<(), StoreError> {
    let LeaseChanges { ended, granted, charged, lessees, prune } = changes;
    for emitter in ended {
        tx.prepare_cached("DELETE FROM budget_leases WHERE emitter = ?1")?.execute([emitter])?;
    }
    for ((WindowKey { budget, begins_s, subject }, emitter), lease) in granted {
        let amount = i64::try_from(lease.granted).unwrap_or(i64::MAX);
        tx.prepare_cached(
            "INSERT INTO budget_leases (budget, begins_s, subject, emitter, ends_s, granted, charged)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, '0') ON CONFLICT DO UPDATE SET granted = excluded.granted",
        )?
        .execute(params![budget, begins_s, subject, emitter, lease.ends_s, amount])?;
    }
    for ((WindowKey { budget, begins_s, subject }, emitter), more) in charged {
        let mut select = tx.prepare_cached(
            "SELECT charged FROM budget_leases WHERE budget = ?1 AND begins_s = ?2 AND subject = ?3 AND emitter = ?4",
        )?;
        let before = select.query_row(params![budget, begins_s, subject, emitter], |row| amount(row, 0)).optional()?;
        let Some(before) = before else { continue };
        tx.prepare_cached(
            "UPDATE budget_leases SET charged = ?5
             WHERE budget = ?1 AND begins_s = ?2 AND subject = ?3 AND emitter = ?4",
        )?
        .execute(params![budget, begins_s, subject, emitter, before.plus(*more).stored()])?;
    }
    for (emitter, lessee) in lessees {
        tx.prepare_cached("INSERT OR REPLACE INTO budget_lessees (emitter, number, seen_ns) VALUES (?1, ?2, ?3)")?
            .execute(params![emitter, lessee.number, lessee.seen_ns])?;
    }
    if let Some(prune) = prune {
        tx.execute("DELETE FROM budget_leases WHERE ends_s < ?1", [prune.ended_before_s])?;
        tx.execute("DELETE FROM budget_lessees WHERE seen_ns < ?1", [prune.seen_before_ns])?;
    }
    Ok(())
}

//! Budgets: those in force, their balances, and who holds leases.
//!
//! Each writer adds to balances of its own, so that collectors do not wait for each other when they charge. Who grants locks the
//! window for all who grant, and then reads first who holds what, and behind that what was spent: what is charged in between is
//! seen twice rather than not at all. Budgets change only while nobody else writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio_postgres::Row;

use super::failure::Failure;
use super::known::word;
use super::session::Session;
use crate::budget::balance::WindowKey;
use crate::budget::definition::Change;
use crate::budget::{Amount, Budgets, Definition};
use crate::store::budgets::{BudgetsChange, Granted, Lease, LeaseChanges, Lessee, WindowState};
use crate::store::{Keys, StoreError};

/// The budgets in force, with their revision in each row; one row without a budget if there is none.
pub const IN_FORCE: &str =
    "SELECT r.revision, b.definition FROM budget_revision r LEFT JOIN budgets b ON true ORDER BY b.name";
/// The balances of a budget.
pub const BALANCES: &str = "SELECT budget, begins_s, subject, sum(spent)::text FROM budget_balances
    WHERE budget = $1 AND begins_s >= $2 GROUP BY budget, begins_s, subject ORDER BY begins_s, subject";
/// The leases of a budget.
pub const LEASES: &str =
    "SELECT l.budget, l.begins_s, l.subject, l.emitter, l.granted, l.charged::text, coalesce(e.seen_ns, 0)
    FROM budget_leases l LEFT JOIN budget_lessees e ON e.emitter = l.emitter
    WHERE l.budget = $1 AND l.begins_s >= $2 ORDER BY l.begins_s, l.subject, l.emitter";

fn key(row: &Row) -> Result<WindowKey, StoreError> {
    Ok(WindowKey { budget: row.try_get(0)?, begins_s: row.try_get(1)?, subject: row.try_get(2)? })
}

fn amount(row: &Row, column: usize) -> Result<Amount, StoreError> {
    word(row, column, "an amount", |text| text.parse().ok())
}

/// A row of [`BALANCES`].
pub fn balance_of(row: &Row) -> Result<(WindowKey, Amount), StoreError> {
    Ok((key(row)?, amount(row, 3)?))
}

/// A row of [`LEASES`].
pub fn lease_of(row: &Row) -> Result<(WindowKey, String, Lease), StoreError> {
    let granted = row.try_get::<_, i64>(4)?.unsigned_abs();
    Ok((key(row)?, row.try_get(3)?, Lease { granted, charged: amount(row, 5)?, seen_ns: row.try_get(6)? }))
}

/// The budgets of the rows of [`IN_FORCE`].
pub fn in_force(rows: &[(i64, Option<String>)]) -> Result<Budgets, StoreError> {
    let mut all: Vec<Definition> = Vec::new();
    for text in rows.iter().filter_map(|(_, text)| text.as_deref()) {
        match Change::set(text) {
            Ok((_, Change::Set(definition))) => all.push(definition),
            _ => return Err(StoreError::unknown("definition", text)),
        }
    }
    Ok(Budgets::new(rows.first().map_or(0, |(revision, _)| *revision), all))
}

/// A row of [`IN_FORCE`].
pub fn in_force_of(row: &Row) -> Result<(i64, Option<String>), StoreError> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// The revision of the budgets in force.
pub async fn revision(session: &Session) -> Result<i64, Failure> {
    Ok(session.connection.client.query_one(&session.statements.budget_revision, &[]).await?.try_get(0)?)
}

/// The budgets of a revision: those that are known, or those in the table.
pub async fn of_revision(session: &Session, keys: &Keys, revision: i64) -> Result<Arc<Budgets>, Failure> {
    if revision == keys.budgets.revision() {
        return Ok(keys.budgets.clone());
    }
    let rows = session.connection.client.query(IN_FORCE, &[]).await?;
    let rows = rows.iter().map(in_force_of).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(in_force(&rows)?))
}

/// By which a window is locked. Two that have the same wait for each other for nothing.
fn lock(key: &WindowKey) -> i64 {
    let text = format!("meshmeter {} {} {}", key.budget, key.begins_s, key.subject);
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(text));
    i64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Windows whose grants wait for this transaction.
pub async fn windows(
    session: &Session,
    keys: &BTreeSet<WindowKey>,
) -> Result<BTreeMap<WindowKey, WindowState>, Failure> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let locks: Vec<i64> = keys.iter().map(lock).collect::<BTreeSet<_>>().into_iter().collect();
    let budgets: Vec<i64> = keys.iter().map(|key| key.budget).collect();
    let begins: Vec<i64> = keys.iter().map(|key| key.begins_s).collect();
    let subjects: Vec<&str> = keys.iter().map(|key| key.subject.as_str()).collect();
    let (client, statements) = (&session.connection.client, &session.statements);
    let (_, leases, balances) = tokio::try_join!(
        biased;
        async { client.query(&statements.lock_windows, &[&locks]).await },
        async { client.query(&statements.window_leases, &[&budgets, &begins, &subjects]).await },
        async { client.query(&statements.window_balances, &[&budgets, &begins, &subjects]).await },
    )?;
    let mut states: BTreeMap<WindowKey, WindowState> = BTreeMap::new();
    for row in &leases {
        let (key, emitter, lease) = lease_of(row)?;
        states.entry(key).or_default().leases.insert(emitter, lease);
    }
    for row in &balances {
        let (key, spent) = balance_of(row)?;
        states.entry(key).or_default().spent = spent;
    }
    Ok(states)
}

/// Those of the lessees that have asked before.
pub async fn lessees(session: &Session, names: &BTreeSet<String>) -> Result<BTreeMap<String, Lessee>, Failure> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rows = session.connection.client.query(&session.statements.lessees, &[&names]).await?;
    let read = |row: &Row| Ok((row.try_get(0)?, Lessee { number: row.try_get(1)?, seen_ns: row.try_get(2)? }));
    rows.iter().map(read).collect()
}

/// The budgets in force change.
pub async fn change(session: &Session, change: Option<&BudgetsChange>) -> Result<(), Failure> {
    let Some(BudgetsChange { revision, set, removed, forgotten }) = change else { return Ok(()) };
    let client = &session.connection.client;
    client.execute("UPDATE budget_revision SET revision = $1", &[revision]).await?;
    if let Some(name) = removed {
        client.execute("DELETE FROM budgets WHERE name = $1", &[name]).await?;
    }
    if let Some(definition) = set {
        let sql = "INSERT INTO budgets (name, budget, definition) VALUES ($1, $2, $3)
            ON CONFLICT (name) DO UPDATE SET budget = excluded.budget, definition = excluded.definition";
        client.execute(sql, &[&definition.name(), &definition.id, &definition.to_json(*revision)]).await?;
    }
    if let Some(budget) = forgotten {
        client.execute("DELETE FROM budget_balances WHERE budget = $1", &[budget]).await?;
        client.execute("DELETE FROM budget_leases WHERE budget = $1", &[budget]).await?;
    }
    Ok(())
}

/// Adds to the writer's balances.
pub async fn spend(session: &Session, spent: &BTreeMap<WindowKey, Amount>) -> Result<(), Failure> {
    if spent.is_empty() {
        return Ok(());
    }
    let budgets: Vec<i64> = spent.keys().map(|key| key.budget).collect();
    let begins: Vec<i64> = spent.keys().map(|key| key.begins_s).collect();
    let subjects: Vec<&str> = spent.keys().map(|key| key.subject.as_str()).collect();
    let amounts: Vec<String> = spent.values().map(|amount| amount.stored()).collect();
    let (client, statement) = (&session.connection.client, &session.statements.put_balances);
    client.execute(statement, &[&session.writer, &budgets, &begins, &subjects, &amounts]).await?;
    Ok(())
}

/// Changes leases.
pub async fn lend(session: &Session, changes: &LeaseChanges) -> Result<(), Failure> {
    let LeaseChanges { ended, granted, charged, lessees, prune } = changes;
    let (client, statements) = (&session.connection.client, &session.statements);
    if !ended.is_empty() {
        let names: Vec<&str> = ended.iter().map(String::as_str).collect();
        client.execute(&statements.end_leases, &[&names]).await?;
    }
    if !granted.is_empty() {
        let rows: Vec<(&(WindowKey, String), &Granted)> = granted.iter().collect();
        let amount = |lease: &Granted| i64::try_from(lease.granted).unwrap_or(i64::MAX);
        let of = Columns::of(rows.iter().map(|(key, _)| *key));
        let ends: Vec<i64> = rows.iter().map(|(_, lease)| lease.ends_s).collect();
        let amounts: Vec<i64> = rows.iter().map(|(_, lease)| amount(lease)).collect();
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&of.budgets, &of.begins, &of.subjects, &of.emitters, &ends, &amounts];
        client.execute(&statements.put_leases, &values).await?;
    }
    if !charged.is_empty() {
        let of = Columns::of(charged.keys());
        let amounts: Vec<String> = charged.values().map(|amount| amount.stored()).collect();
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&of.budgets, &of.begins, &of.subjects, &of.emitters, &amounts];
        client.execute(&statements.charge_leases, &values).await?;
    }
    if !lessees.is_empty() {
        let names: Vec<&str> = lessees.keys().map(String::as_str).collect();
        let numbers: Vec<i64> = lessees.values().map(|lessee| lessee.number).collect();
        let seen: Vec<i64> = lessees.values().map(|lessee| lessee.seen_ns).collect();
        client.execute(&statements.put_lessees, &[&names, &numbers, &seen]).await?;
    }
    if let Some(prune) = prune {
        client.execute("DELETE FROM budget_leases WHERE ends_s < $1", &[&prune.ended_before_s]).await?;
        client.execute("DELETE FROM budget_lessees WHERE seen_ns < $1", &[&prune.seen_before_ns]).await?;
    }
    Ok(())
}

/// The columns by which a lease is found.
struct Columns<'a> {
    budgets: Vec<i64>,
    begins: Vec<i64>,
    subjects: Vec<&'a str>,
    emitters: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(keys: impl Iterator<Item = &'a (WindowKey, String)>) -> Columns<'a> {
        let mut columns =
            Columns { budgets: Vec::new(), begins: Vec::new(), subjects: Vec::new(), emitters: Vec::new() };
        for (key, emitter) in keys {
            columns.budgets.push(key.budget);
            columns.begins.push(key.begins_s);
            columns.subjects.push(&key.subject);
            columns.emitters.push(emitter);
        }
        columns
    }
}

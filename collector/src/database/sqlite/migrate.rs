//! Databases of earlier versions: what they hold goes through the rules of this one, in one transaction.

use rusqlite::{Transaction, params};

use super::{SCHEMA, coarse, known, write};
use crate::ledger::decide::Decision;
use crate::ledger::limits::Limits;
use crate::ledger::{self, Arrival, Delivery, Sender};
use crate::money::Charge;
use crate::store::names::Secret;
use crate::store::{Known, StoreError};

/// Events that go through the rules at once.
const CHUNK: i64 = 1000;

/// From version 1, whose ledger had no chain: its events are entered again, in their order, at the times they came.
pub fn from_1(tx: &Transaction<'_>) -> Result<(), StoreError> {
    // A table cannot be renamed under its own triggers' names, and the new ones have the same.
    tx.execute_batch(
        "DROP TRIGGER ledger_is_never_updated; DROP TRIGGER ledger_is_never_deleted;
         ALTER TABLE ledger RENAME TO old_ledger; ALTER TABLE dead_letters RENAME TO old_dead_letters;
         DROP TABLE emitter_ranges; DROP TABLE rollup;",
    )?;
    tx.execute_batch(SCHEMA)?;
    let mut last = 0;
    loop {
        let mut select = tx.prepare_cached(
            "SELECT entry, event, received_ns FROM old_ledger WHERE entry > ?1 ORDER BY entry LIMIT ?2",
        )?;
        let rows = select.query_map(params![last, CHUNK], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let rows: Vec<(i64, String, i64)> = rows.collect::<Result<_, _>>()?;
        let Some((end, ..)) = rows.last() else { break };
        last = *end;
        for (_, event, received_ns) in rows {
            enter(tx, event.into_bytes(), received_ns)?;
        }
    }
    let mut select = tx.prepare("SELECT event, last_received_ns FROM old_dead_letters")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for row in rows {
        let (event, received_ns): (String, i64) = row?;
        enter(tx, event.into_bytes(), received_ns)?;
    }
    drop(select);
    tx.execute_batch("DROP TABLE old_ledger; DROP TABLE old_dead_letters;")?;
    coarse::refill(tx)
}

/// From version 2. Its records name no process, so that none of them can prove to be a copy: where responses are found is
/// begun anew.
pub fn from_2(tx: &Transaction<'_>) -> Result<(), StoreError> {
    let tables: Vec<&str> = ["responses", "possible_copies"].into_iter().filter_map(table).collect();
    tx.execute_batch("DROP TABLE responses; DROP INDEX ledger_numbers;")?;
    tx.execute_batch(&tables.concat())?;
    tx.execute_batch(
        "CREATE UNIQUE INDEX ledger_numbers ON ledger (emitter, sequence) WHERE kind IN ('call', 'copy', 'release');
         ALTER TABLE set_aside ADD COLUMN released INTEGER;
         ALTER TABLE chain ADD COLUMN written_ns INTEGER NOT NULL DEFAULT 0;
         UPDATE chain SET written_ns = coalesce((SELECT max(received_ns) FROM ledger), 0);",
    )?;
    Ok(())
}

/// From version 3: what the provider takes is what the tenant pays, and no month is closed.
pub fn from_3(tx: &Transaction<'_>) -> Result<(), StoreError> {
    tx.execute_batch(
        "ALTER TABLE ledger ADD COLUMN cost TEXT; ALTER TABLE ledger ADD COLUMN billed TEXT;
         ALTER TABLE rollup RENAME TO old_rollup;",
    )?;
    tx.execute_batch(table("rollup").unwrap_or_default())?;
    tx.execute_batch(
        "INSERT INTO rollup (day, adjusts, tenant, provider, model, evidence, class, quantity, charge, unpriced, fallback)
         SELECT day, '', tenant, provider, model, evidence, class, quantity, charge, unpriced, fallback
         FROM old_rollup ORDER BY day, tenant, provider, model, evidence, class;
         DROP TABLE old_rollup;
         CREATE UNIQUE INDEX ledger_corrections ON ledger (refers) WHERE kind = 'correction';
         CREATE UNIQUE INDEX ledger_closings ON ledger (started_ns) WHERE kind = 'month_closed';
         CREATE INDEX ledger_adjustments ON ledger (entry) WHERE kind = 'reversal' AND billed IS NOT NULL;
         CREATE INDEX emitter_notes_closed ON emitter_notes (emitter, first, last) WHERE what = 'closed';",
    )?;
    Ok(())
}

/// From version 4, which called the quarantine otherwise.
pub fn from_4(tx: &Transaction<'_>) -> Result<(), StoreError> {
    tx.execute_batch(
        "DROP INDEX set_aside_numbers; ALTER TABLE set_aside RENAME TO quarantined;
         CREATE INDEX quarantined_numbers ON quarantined (emitter, sequence);",
    )?;
    Ok(())
}

/// From version 5, which had no budgets.
pub fn from_5(tx: &Transaction<'_>) -> Result<(), StoreError> {
    let tables = ["budget_revision", "budgets", "budget_balances", "budget_leases", "budget_lessees"];
    let tables: Vec<&str> = tables.into_iter().filter_map(table).collect();
    let indexes = ["ledger_budgets", "budget_leases_emitters", "budget_leases_ends"];
    let indexes: Vec<&str> = indexes.into_iter().filter_map(|name| statement("INDEX", name)).collect();
    tx.execute_batch(&tables.concat())?;
    tx.execute_batch(&indexes.concat())?;
    Ok(())
}

/// From version 6, which had sums by day and tenant alone, and no indexes by time and tenant.
pub fn from_6(tx: &Transaction<'_>) -> Result<(), StoreError> {
    let tables: Vec<&str> = ["rollup_days", "rollup_months"].into_iter().filter_map(table).collect();
    let indexes = ["ledger_times", "ledger_tenants", "ledger_billed"];
    let indexes: Vec<&str> = indexes.into_iter().filter_map(|name| statement("INDEX", name)).collect();
    tx.execute_batch(&tables.concat())?;
    tx.execute_batch(&indexes.concat())?;
    coarse::refill(tx)
}

/// From version 7, whose hashes are over the names of persons themselves.
pub fn from_7(tx: &Transaction<'_>) -> Result<(), StoreError> {
    let update = "ledger_is_never_updated";
    tx.execute_batch(&format!("ALTER TABLE ledger ADD COLUMN salt BLOB; DROP TRIGGER {update};"))?;
    let made = [table("forgetting"), statement("INDEX", "ledger_forgotten"), trigger(update)];
    Ok(tx.execute_batch(&made.into_iter().flatten().collect::<String>())?)
}

/// From version 8, of which nothing was sealed.
pub fn from_8(tx: &Transaction<'_>) -> Result<(), StoreError> {
    let delete = "ledger_is_never_deleted";
    tx.execute_batch(&format!("DROP TRIGGER {delete};"))?;
    let made = [table("sealed"), statement("INDEX", "ledger_taken_back"), trigger(delete)];
    Ok(tx.execute_batch(&made.into_iter().flatten().collect::<String>())?)
}

/// The statement of the schema that makes a trigger, which has another in it.
fn trigger(name: &str) -> Option<&'static str> {
    let rest = SCHEMA.get(SCHEMA.find(&format!("CREATE TRIGGER {name} "))?..)?;
    rest.get(..rest.find("END;")?.saturating_add(4))
}

/// The statement of the schema that makes a table.
fn table(name: &str) -> Option<&'static str> {
    statement("TABLE", name)
}

fn statement(kind: &str, name: &str) -> Option<&'static str> {
    let begin = SCHEMA.find(&format!("CREATE {kind} {name} "))?;
    let rest = SCHEMA.get(begin..)?;
    rest.get(..rest.find(';')?.saturating_add(1))
}

/// Tokens had no names yet.
fn enter(tx: &Transaction<'_>, event: Vec<u8>, received_ns: i64) -> Result<(), StoreError> {
    // Nobody knows within which limits.
    let limits = Limits { tenants: Vec::new(), tokens: u64::MAX, charge: Charge::MAX };
    let sender = Sender { limits: limits.into(), ..Sender::new("default", false) };
    let delivery = Delivery { sender, statement: None, arrivals: vec![Arrival::new(event)] };
    let known = known::known(tx, &ledger::keys(&[&delivery]))?;
    let known = Known { secret: Secret::drawn()?, ..known };
    let mut decision = Decision::new(known, None, received_ns);
    decision.take(&delivery);
    write::changes(tx, &decision.changes())
}

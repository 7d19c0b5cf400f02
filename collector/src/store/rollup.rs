//! The sums that one transaction changes: read once, added up in memory with checks, written once.

use std::collections::HashMap;

use meter::event::Event;
use meter::record::Evidence;
use rusqlite::{OptionalExtension, Transaction, params};

use super::{Counted, StoreError, model_of};

/// Whose sums they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Group {
    day: String,
    tenant: String,
    provider: String,
    model: String,
    evidence: Evidence,
}

/// The sums of the transaction so far.
#[derive(Default)]
pub struct Sums(HashMap<Group, HashMap<Counted, Sum>>);

#[derive(Clone, Copy)]
struct Sum {
    quantity: i64,
    /// Whether it is still to be written.
    changed: bool,
}

impl Sums {
    /// Adds the counts of a call: all of them, or none and the reason.
    pub fn add(&mut self, tx: &Transaction<'_>, day: &str, event: &Event) -> Result<Result<(), String>, StoreError> {
        let record = &event.record;
        let group = Group {
            day: day.to_owned(),
            tenant: record.identity.tenant.clone(),
            provider: record.provider.clone(),
            model: model_of(record).to_owned(),
            evidence: record.evidence,
        };
        let usage = record.usage.iter().map(|(class, count)| (Counted::Usage(class), count));
        let mut sums = Vec::new();
        // A part is another model's share of a call, no call of its own.
        let calls = u64::from(record.part.is_none());
        for (counted, count) in usage.chain([(Counted::Calls, calls)]) {
            let before = self.quantity(tx, &group, counted)?;
            match i64::try_from(count).ok().and_then(|count| before.checked_add(count)) {
                Some(quantity) => sums.push((counted, quantity)),
                None => return Ok(Err(format!("data.{}: the day's sum would not fit in 64 bits", counted.name()))),
            }
        }
        let known = self.0.entry(group).or_default();
        known.extend(sums.into_iter().map(|(counted, quantity)| (counted, Sum { quantity, changed: true })));
        Ok(Ok(()))
    }

    fn quantity(&mut self, tx: &Transaction<'_>, group: &Group, counted: Counted) -> Result<i64, StoreError> {
        if let Some(sum) = self.0.get(group).and_then(|sums| sums.get(&counted)) {
            return Ok(sum.quantity);
        }
        let mut select = tx.prepare_cached(
            "SELECT quantity FROM rollup WHERE day = ?1 AND tenant = ?2 AND provider = ?3 AND model = ?4
             AND evidence = ?5 AND class = ?6",
        )?;
        let Group { day, tenant, provider, model, evidence } = group;
        let key = params![day, tenant, provider, model, evidence.as_str(), counted.name()];
        let quantity = select.query_row(key, |row| row.get(0)).optional()?.unwrap_or(0);
        self.0.entry(group.clone()).or_default().insert(counted, Sum { quantity, changed: false });
        Ok(quantity)
    }

    /// Writes what has changed.
    pub fn write(self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        let mut upsert = tx.prepare_cached(
            "INSERT INTO rollup (day, tenant, provider, model, evidence, class, quantity)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET quantity = excluded.quantity",
        )?;
        for (Group { day, tenant, provider, model, evidence }, sums) in &self.0 {
            for (counted, sum) in sums.iter().filter(|(_, sum)| sum.changed) {
                let row = params![day, tenant, provider, model, evidence.as_str(), counted.name(), sum.quantity];
                upsert.execute(row)?;
            }
        }
        Ok(())
    }
}

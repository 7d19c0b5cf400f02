//! The budgets in force are those of their entries, and every balance is the sum of the entries that stand.

use std::collections::BTreeMap;

use super::{Failure, broken};
use crate::budget::balance::{Counted, WindowKey};
use crate::budget::definition::Change;
use crate::budget::set::Windows;
use crate::budget::{Amount, Budgets};
use crate::ledger::correct::event_of;
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::{Reader, StoreError};
use crate::terminal::printable;

/// What the chains say of budgets.
#[derive(Default)]
pub(super) struct Changes {
    found: BTreeMap<i64, (EntryId, Change)>,
    problem: Option<String>,
}

impl Changes {
    /// An entry of a chain.
    pub fn add(&mut self, entry: &Entry) {
        let read = match entry.kind {
            Kind::BudgetSet => Change::set,
            Kind::BudgetRemoved => Change::removed,
            _ => return,
        };
        let id = entry.id;
        match read(entry.event.as_deref().unwrap_or_default()) {
            Ok((revision, change)) => {
                if self.found.insert(revision, (id, change)).is_some() {
                    self.problem
                        .get_or_insert(format!("entry {id}: is the second change of budgets to revision {revision}"));
                }
            }
            Err(why) => drop(self.problem.get_or_insert(format!("entry {id}: {why}"))),
        }
    }

    /// The budgets that are in force by the entries; those that are kept must be the same.
    pub fn budgets(self, reader: &dyn Reader) -> Result<Budgets, Failure> {
        if let Some(problem) = self.problem {
            return broken(problem);
        }
        let mut budgets = Budgets::default();
        for (revision, (id, change)) in &self.found {
            let expected = budgets.revision().saturating_add(1);
            if *revision != expected {
                return broken(format!("entry {id}: changes budgets to revision {revision}, not to {expected}"));
            }
            if let Change::Set(definition) = change {
                let goes_on = budgets
                    .get(definition.name())
                    .is_some_and(|before| before.id == definition.id && before.counts_as(definition));
                if !goes_on && definition.id != *revision {
                    return broken(format!("entry {id}: goes on with balances that are not its budget's"));
                }
            }
            budgets = budgets.changed(change);
        }
        if reader.budgets()? != budgets {
            return broken("the budgets in force are not those of their entries".to_owned());
        }
        Ok(budgets)
    }
}

/// Balances as the entries that stand make them.
pub(super) struct Balances<'b> {
    budgets: &'b Budgets,
    windows: Windows,
    sums: BTreeMap<WindowKey, Amount>,
}

impl<'b> Balances<'b> {
    /// None yet.
    pub fn of(budgets: &'b Budgets) -> Balances<'b> {
        Balances { budgets, windows: Windows::default(), sums: BTreeMap::new() }
    }

    /// An entry that stands, with the event of its call.
    pub fn add(&mut self, entry: &Entry) -> Result<(), String> {
        if self.budgets.is_empty() {
            return Ok(());
        }
        let event = event_of(entry)?;
        let Some(call) = Counted::of(&event.record, &entry.tenant, entry.charge) else { return Ok(()) };
        for (key, amount) in call.windows(self.budgets, &mut self.windows) {
            let sum = self.sums.entry(key).or_default();
            *sum = sum.plus(amount);
        }
        Ok(())
    }

    /// What is kept must be the same.
    pub fn check(mut self, reader: &dyn Reader) -> Result<(), Failure> {
        let mut problem = None;
        for definition in self.budgets.iter() {
            let mut each = |(key, spent): (WindowKey, Amount)| -> Result<(), StoreError> {
                if self.sums.remove(&key).unwrap_or_default() != spent {
                    problem.get_or_insert(key);
                }
                Ok(())
            };
            reader.balances(definition.id, i64::MIN, &mut each)?;
        }
        let left = self.sums.into_iter().find(|(_, sum)| !sum.is_zero()).map(|(key, _)| key);
        let Some(key) = problem.or(left) else { return Ok(()) };
        let definition = self.budgets.iter().find(|definition| definition.id == key.budget);
        let window = definition.map_or_else(String::new, |definition| {
            let of = if key.subject.is_empty() { String::new() } else { format!(" of {}", printable(&key.subject)) };
            format!("{}{of}, the window from {}", definition.name(), definition.zone.text(key.begins_s))
        });
        broken(format!("the balance of the budget {window} is not that of its entries"))
    }
}

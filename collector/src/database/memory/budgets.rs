//! Budgets in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::budget::balance::WindowKey;
use crate::budget::definition::Change;
use crate::budget::{Amount, Budgets};
use crate::store::budgets::{BudgetsChange, Lease, LeaseChanges, Lessee, WindowState};
use crate::store::{Keys, Known};
use crate::tenant::is_within;

/// What an emitter has of a window.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    granted: u64,
    charged: Amount,
    ends_s: i64,
}

/// What is kept for budgets.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Those in force.
    pub in_force: Arc<Budgets>,
    spent: BTreeMap<WindowKey, Amount>,
    leases: BTreeMap<(WindowKey, String), Row>,
    lessees: BTreeMap<String, Lessee>,
}

impl Kept {
    /// What a transaction asks for.
    pub(super) fn load(&self, keys: &Keys, known: &mut Known) {
        known.budgets = self.in_force.clone();
        for key in &keys.windows {
            let spent = self.spent.get(key).copied().unwrap_or_default();
            let of_window = self.leases.iter().filter(|((of, _), _)| of == key);
            let leases = of_window.map(|((_, emitter), row)| (emitter.clone(), self.lease(emitter, row))).collect();
            known.windows.insert(key.clone(), WindowState { spent, leases });
        }
        let lessees = keys.lessees.iter().filter_map(|name| Some((name.clone(), *self.lessees.get(name)?)));
        known.lessees = lessees.collect();
    }

    fn lease(&self, emitter: &str, row: &Row) -> Lease {
        let seen_ns = self.lessees.get(emitter).map_or(0, |lessee| lessee.seen_ns);
        Lease { granted: row.granted, charged: row.charged, seen_ns }
    }

    /// Keeps what was decided.
    pub(super) fn keep(
        &mut self,
        change: Option<BudgetsChange>,
        spent: BTreeMap<WindowKey, Amount>,
        leases: LeaseChanges,
    ) {
        if let Some(change) = change {
            self.change(change);
        }
        for (key, more) in spent {
            let balance = self.spent.entry(key).or_default();
            *balance = balance.plus(more);
        }
        let LeaseChanges { ended, granted, charged, lessees, prune } = leases;
        self.leases.retain(|(_, emitter), _| !ended.contains(emitter));
        for (key, lease) in granted {
            let row = self.leases.entry(key).or_default();
            (row.granted, row.ends_s) = (lease.granted, lease.ends_s);
        }
        for (key, more) in charged {
            if let Some(row) = self.leases.get_mut(&key) {
                row.charged = row.charged.plus(more);
            }
        }
        self.lessees.extend(lessees);
        if let Some(prune) = prune {
            self.leases.retain(|_, row| row.ends_s >= prune.ended_before_s);
            self.lessees.retain(|_, lessee| lessee.seen_ns >= prune.seen_before_ns);
        }
    }

    fn change(&mut self, change: BudgetsChange) {
        let mut budgets = (*self.in_force).clone();
        if let Some(name) = change.removed {
            budgets = budgets.changed(&Change::Removed { name, who: String::new() });
        }
        if let Some(definition) = change.set {
            budgets = budgets.changed(&Change::Set(definition));
        }
        self.in_force = Arc::new(Budgets::new(change.revision, budgets.iter().cloned().collect()));
        if let Some(id) = change.forgotten {
            self.spent.retain(|key, _| key.budget != id);
            self.leases.retain(|(key, _), _| key.budget != id);
        }
    }

    /// A tenant's name was replaced: balances of it that are nothing go, and its leases.
    pub(super) fn forget(&mut self, tenant: &str) {
        self.spent.retain(|key, spent| !is_within(&key.subject, tenant) || !spent.is_zero());
        self.leases.retain(|(key, _), _| !is_within(&key.subject, tenant));
    }

    /// The balances of a budget.
    pub(super) fn balances(&self, budget: i64, from_s: i64) -> impl Iterator<Item = (WindowKey, Amount)> {
        let is_meant = move |(key, _): &(&WindowKey, &Amount)| key.budget == budget && key.begins_s >= from_s;
        self.spent.iter().filter(is_meant).map(|(key, spent)| (key.clone(), *spent))
    }

    /// The leases of a budget.
    pub(super) fn leases(&self, budget: i64, from_s: i64) -> impl Iterator<Item = (WindowKey, String, Lease)> {
        let is_meant = move |key: &WindowKey| key.budget == budget && key.begins_s >= from_s;
        let rows = self.leases.iter().filter(move |((key, _), _)| is_meant(key));
        rows.map(|((key, emitter), row)| (key.clone(), emitter.clone(), self.lease(emitter, row)))
    }
}

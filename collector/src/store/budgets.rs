//! What a store keeps for budgets: balances of windows, and who holds leases of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::budget::balance::WindowKey;
use crate::budget::{Amount, Definition};

/// What an emitter has of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// What it was granted in total, whole units.
    pub granted: u64,
    /// What its events were charged there since it has a lease.
    pub charged: Amount,
    /// When the emitter last asked for leases, any.
    pub seen_ns: i64,
}

/// A window, as a grant must know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowState {
    /// What was spent in it.
    pub spent: Amount,
    /// Who holds something of it, or did, by emitter.
    pub leases: BTreeMap<String, Lease>,
}

/// An emitter that asks for leases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lessee {
    /// The number of its last request.
    pub number: i64,
    /// When that came.
    pub seen_ns: i64,
}

/// A lease as it is from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// What was granted in total, whole units.
    pub granted: u64,
    /// When its window is over, seconds since 1970.
    pub ends_s: i64,
}

/// How the budgets in force have changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BudgetsChange {
    /// How often they were changed by now.
    pub revision: i64,
    /// Set, or in the place of the one of its name.
    pub set: Option<Definition>,
    /// Not in force any more, by name.
    pub removed: Option<String>,
    /// Whose counting has ended: its balances and leases go.
    pub forgotten: Option<i64>,
}

/// What a transaction leaves of balances and leases, to be done in this order.
#[derive(Clone, Debug, Default)]
pub struct LeaseChanges {
    /// Emitters that hold nothing any more.
    pub ended: BTreeSet<String>,
    /// Leases as they are from now on; one that is new was charged nothing.
    pub granted: BTreeMap<(WindowKey, String), Granted>,
    /// What is added to what was charged of leases that there are. Of others it is nothing.
    pub charged: BTreeMap<(WindowKey, String), Amount>,
    /// Who has asked.
    pub lessees: BTreeMap<String, Lessee>,
    /// What nobody asks about any more.
    pub prune: Option<Prune>,
}

/// What is too old to be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prune {
    /// Leases of windows that were over before.
    pub ended_before_s: i64,
    /// Lessees that were not seen since.
    pub seen_before_ns: i64,
}

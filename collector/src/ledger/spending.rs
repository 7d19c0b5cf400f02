//! What the calls of a delivery used and cost, by who is charged and for what: what metrics are made of.

use std::collections::BTreeMap;

use wire::record::{Outcome, Record};
use wire::usage::Class;

use crate::budget;
use crate::money::Charge;
use crate::prices::Rating;
use crate::store::sums::Group;

/// Who is charged, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// The tenant.
    pub tenant: String,
    /// The provider.
    pub provider: String,
    /// The model that responded, else the one that was asked for, else empty; [`NO_RESPONSE`] if none is known to have worked.
    pub model: String,
}

/// What calls used and cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// How many calls.
    pub calls: u64,
    /// Records of which something has no price.
    pub unpriced: u64,
    /// What the tenant pays.
    pub charge: Charge,
    /// What the provider charges.
    pub cost: Charge,
    /// The counts.
    pub usage: BTreeMap<Class, u64>,
}

/// What the new calls of a delivery used and cost, before corrections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    owners: BTreeMap<Owner, Spent>,
    refused: BTreeMap<String, u64>,
}

/// The model of calls that failed before a model responded, whatever name the request had: as in the plugin's metrics.
pub const NO_RESPONSE: &str = "no_response";

/// What stands before a budget's name in `refused_by`.
const BUDGET: &str = "budget:";

impl Spending {
    /// Adds a record that is charged.
    pub(super) fn add(&mut self, group: &Group, record: &Record, rating: &Rating) {
        let Group { tenant, provider, mut model, .. } = group.clone();
        if record.response_model.is_none() && record.outcome != Outcome::Completed && record.usage.is_empty() {
            NO_RESPONSE.clone_into(&mut model);
        }
        let spent = self.owners.entry(Owner { tenant, provider, model }).or_default();
        // A part is another model's share of a call, no call of its own.
        spent.calls = spent.calls.saturating_add(u64::from(record.part.is_none()));
        spent.unpriced = spent.unpriced.saturating_add(u64::from(rating.is_unpriced()));
        spent.charge = spent.charge.checked_add(rating.charge()).unwrap_or(spent.charge);
        spent.cost = spent.cost.checked_add(rating.cost()).unwrap_or(spent.cost);
        // The name is an emitter's word.
        let budget = record.refused_by.as_deref().and_then(|why| why.strip_prefix(BUDGET));
        if let Some(budget) = budget.filter(|name| budget::draft::name(name).is_ok()) {
            let calls = self.refused.entry(budget.to_owned()).or_default();
            *calls = calls.saturating_add(1);
        }
        for (class, count) in record.usage.iter() {
            let sum = spent.usage.entry(class).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    /// Who spent what.
    pub fn iter(&self) -> impl Iterator<Item = (&Owner, &Spent)> {
        self.owners.iter()
    }

    /// Calls that budgets have refused, by the budget's name.
    pub fn refused(&self) -> impl Iterator<Item = (&String, u64)> {
        self.refused.iter().map(|(budget, calls)| (budget, *calls))
    }
}

//! Rows of the rollup, and sums of many days, tenants and models in one: what a report shows a line of.

use jiff::civil::Date;
use wire::record::Evidence;

use super::error::StoreError;
use super::sums::{Counted, Sum};
use crate::money::Charge;

/// A row of the rollup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupRow {
    /// The day (UTC) on which it counts: that on which the calls began, unless their month was closed before.
    pub day: Date,
    /// The month in which the calls began, if it was closed before; else empty.
    pub adjusts: String,
    /// Who is charged.
    pub tenant: String,
    /// The provider.
    pub provider: String,
    /// The model that responded, else the one asked for, else empty.
    pub model: String,
    /// How good the counts are.
    pub evidence: Evidence,
    /// What is counted.
    pub counted: Counted,
    /// How many, and what they cost.
    pub sum: Sum,
}

/// What the lines of a report are told apart by, beside the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// The day on which they count, UTC: that on which the calls began, unless their month was closed before.
    Day,
    /// The month in which they count, UTC: that in which the calls began, unless it was closed before.
    Month,
    /// The month in which the calls began, if it was closed before; else empty.
    Adjusts,
    /// Who is charged.
    Tenant,
    /// The provider.
    Provider,
    /// The model that responded, with its provider.
    Model,
}

impl Dimension {
    /// Every dimension that can be asked for, in the order of the columns.
    pub const ALL: [Dimension; 5] =
        [Dimension::Day, Dimension::Month, Dimension::Tenant, Dimension::Provider, Dimension::Model];

    /// The column's name.
    pub const fn name(self) -> &'static str {
        match self {
            Dimension::Day => "day",
            Dimension::Month => "month",
            Dimension::Adjusts => "adjusts",
            Dimension::Tenant => "tenant",
            Dimension::Provider => "provider",
            Dimension::Model => "model",
        }
    }

    /// A row's value.
    pub fn of(self, row: &RollupRow) -> String {
        match self {
            Dimension::Day => row.day.to_string(),
            Dimension::Month => row.day.strftime("%Y-%m").to_string(),
            Dimension::Adjusts => row.adjusts.clone(),
            Dimension::Tenant => row.tenant.clone(),
            Dimension::Provider => row.provider.clone(),
            Dimension::Model => row.model.clone(),
        }
    }
}

/// Rows of the rollup added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// The values of what is told apart, in its order.
    pub key: Vec<String>,
    /// How good the counts are.
    pub evidence: Evidence,
    /// What is counted.
    pub counted: Counted,
    /// How many.
    pub quantity: i128,
    /// What the tenant pays for them, as far as they have a price.
    pub charge: Charge,
    /// What the provider charges for them.
    pub cost: Charge,
    /// How many of them have no price.
    pub unpriced: i128,
    /// How many of them are charged by a price that stands in for their own.
    pub fallback: i128,
}

impl Total {
    /// The total of one row.
    pub fn of(key: Vec<String>, evidence: Evidence, counted: Counted, sum: &Sum) -> Total {
        let [quantity, unpriced, fallback] = [sum.quantity, sum.unpriced, sum.fallback].map(i128::from);
        Total { key, evidence, counted, quantity, charge: sum.charge, cost: sum.cost, unpriced, fallback }
    }

    /// Adds another row.
    pub fn add(&mut self, sum: &Sum) -> Result<(), StoreError> {
        let add = |to: i128, more: i64| to.checked_add(more.into()).ok_or_else(StoreError::too_large);
        self.quantity = add(self.quantity, sum.quantity)?;
        self.charge = self.charge.checked_add(sum.charge).ok_or_else(StoreError::too_large)?;
        self.cost = self.cost.checked_add(sum.cost).ok_or_else(StoreError::too_large)?;
        self.unpriced = add(self.unpriced, sum.unpriced)?;
        self.fallback = add(self.fallback, sum.fallback)?;
        Ok(())
    }
}

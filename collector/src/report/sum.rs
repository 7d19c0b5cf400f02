//! The sums of a line.

use std::collections::{BTreeMap, BTreeSet};

use wire::record::Deferred;
use wire::usage::{Class, Kind};

use super::{ReportError, TOO_LARGE};
use crate::money::Charge;
use crate::store::Total;
use crate::store::sums::Counted;

/// What the tenant pays, and what the provider charges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// What the tenant pays.
    pub charge: Charge,
    /// What the provider charges.
    pub cost: Charge,
}

impl Amounts {
    /// Of a total, if it is of something that can be charged.
    pub fn of(total: &Total) -> Option<Amounts> {
        let Counted::Usage(class) = &total.counted else { return None };
        let can_cost = class.kind() != Kind::Information;
        can_cost.then_some(Amounts { charge: total.charge, cost: total.cost })
    }

    /// The sum.
    pub fn add(self, more: Amounts) -> Result<Amounts, ReportError> {
        let charge = self.charge.checked_add(more.charge).ok_or(TOO_LARGE)?;
        Ok(Amounts { charge, cost: self.cost.checked_add(more.cost).ok_or(TOO_LARGE)? })
    }
}

/// Calls, counts and amounts summed up.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    pub calls: i128,
    pub usage: BTreeMap<Class, i128>,
    pub amounts: BTreeMap<Class, Amounts>,
    /// Classes of which some was charged by another class's price.
    pub fallback: BTreeSet<Class>,
    /// What has no price, and how many of it.
    pub unpriced: BTreeMap<Class, i128>,
    /// Calls whose counts are to come in another one, by why.
    pub deferred: BTreeMap<&'static str, i128>,
    /// Calls whose response counts something that the meter does not know, by its name.
    pub unknown: BTreeMap<String, i128>,
    /// The amounts as the lines show them, if they are rounded.
    pub rounded: Option<Amounts>,
}

impl Sum {
    /// Adds what one total counts.
    pub fn add(&mut self, total: &Total) -> Result<(), ReportError> {
        let class = match &total.counted {
            Counted::Calls => return add(&mut self.calls, total.quantity),
            Counted::Deferred(why) => {
                return add(self.deferred.entry(Deferred::as_str(*why)).or_default(), total.quantity);
            }
            Counted::Unknown(name) => return add(self.unknown.entry(name.clone()).or_default(), total.quantity),
            Counted::Usage(class) => *class,
        };
        add(self.usage.entry(class).or_default(), total.quantity)?;
        if total.unpriced != 0 {
            add(self.unpriced.entry(class).or_default(), total.unpriced)?;
        }
        if total.fallback != 0 {
            self.fallback.insert(class);
        }
        Amounts::of(total).map_or(Ok(()), |amounts| self.pay(class, amounts))
    }

    fn pay(&mut self, class: Class, more: Amounts) -> Result<(), ReportError> {
        let sum = self.amounts.entry(class).or_default();
        *sum = sum.add(more)?;
        Ok(())
    }

    /// When all is added: what nothing of has a price has no amount. Credits and debits may leave an amount of nothing.
    pub fn settle(&mut self) {
        let Sum { amounts, usage, unpriced, .. } = self;
        let of = |counts: &BTreeMap<Class, i128>, class: &Class| counts.get(class).copied().unwrap_or(0);
        amounts.retain(|class, sum| *sum != Amounts::default() || of(unpriced, class) != of(usage, class));
    }

    /// Adds another line.
    pub fn merge(&mut self, other: &Sum) -> Result<(), ReportError> {
        add(&mut self.calls, other.calls)?;
        for (class, quantity) in &other.usage {
            add(self.usage.entry(*class).or_default(), *quantity)?;
        }
        for (class, amounts) in &other.amounts {
            self.pay(*class, *amounts)?;
        }
        for (class, quantity) in &other.unpriced {
            add(self.unpriced.entry(*class).or_default(), *quantity)?;
        }
        for (why, calls) in &other.deferred {
            add(self.deferred.entry(why).or_default(), *calls)?;
        }
        for (name, calls) in &other.unknown {
            add(self.unknown.entry(name.clone()).or_default(), *calls)?;
        }
        self.fallback.extend(&other.fallback);
        if let Some(more) = other.rounded {
            self.rounded = Some(self.rounded.unwrap_or_default().add(more)?);
        }
        Ok(())
    }

    /// The amounts of all that has a price; `None` if nothing has.
    pub fn total(&self) -> Result<Option<Amounts>, ReportError> {
        if self.rounded.is_some() || self.amounts.is_empty() {
            return Ok(self.rounded);
        }
        self.amounts.values().try_fold(Amounts::default(), |sum, amounts| sum.add(*amounts)).map(Some)
    }
}

/// Adds with a check.
pub fn add(sum: &mut i128, quantity: i128) -> Result<(), ReportError> {
    *sum = sum.checked_add(quantity).ok_or(TOO_LARGE)?;
    Ok(())
}

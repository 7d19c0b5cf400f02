//! The sums of a line.

use std::collections::BTreeMap;

use wire::record::Deferred;
use wire::usage::{Class, Kind};

use super::unpriced::Open;
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
    pub fn plus(self, more: Amounts) -> Result<Amounts, ReportError> {
        let charge = self.charge.checked_add(more.charge).ok_or(TOO_LARGE)?;
        Ok(Amounts { charge, cost: self.cost.checked_add(more.cost).ok_or(TOO_LARGE)? })
    }
}

/// Calls, counts and amounts summed up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Calls.
    pub calls: i128,
    /// Counts. What nobody has counted is absent.
    pub usage: BTreeMap<Class, i128>,
    /// What has a price.
    pub amounts: BTreeMap<Class, Amounts>,
    /// Of which classes so many were charged by another class's price.
    pub fallback: BTreeMap<Class, i128>,
    /// What has no price, and how many of it.
    pub unpriced: BTreeMap<Class, i128>,
    /// The same as it was added up, by its place in `Open`: what was taken back is below zero.
    pub open: BTreeMap<usize, i128>,
    /// Calls whose counts are to come in another one, by why.
    pub deferred: BTreeMap<&'static str, i128>,
    /// Calls whose response counts something that the meter does not know, by its name.
    pub unknown: BTreeMap<String, i128>,
    /// The amounts as the lines show them, if they are rounded.
    pub rounded: Option<Amounts>,
}

impl Sum {
    /// Adds what one total counts; `place`: of what has no price in it, if something of the period may be taken back.
    pub fn add(&mut self, total: &Total, place: Option<usize>) -> Result<(), ReportError> {
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
            add(self.open.entry(place.unwrap_or_else(|| Open::all_of(class))).or_default(), total.unpriced)?;
        }
        if total.fallback != 0 {
            add(self.fallback.entry(class).or_default(), total.fallback)?;
        }
        Amounts::of(total).map_or(Ok(()), |amounts| self.pay(class, amounts))
    }

    fn pay(&mut self, class: Class, more: Amounts) -> Result<(), ReportError> {
        let sum = self.amounts.entry(class).or_default();
        *sum = sum.plus(more)?;
        Ok(())
    }

    /// When all is added: what nothing of has a price has no amount. Credits and debits may leave an amount of nothing.
    /// What the period took back, or gave a price, has no lack of one.
    pub fn settle(&mut self, period: &Open) {
        let Sum { amounts, usage, unpriced, open, fallback, deferred, unknown, .. } = self;
        unpriced.clear();
        for (place, count) in open.iter().filter(|(_, count)| **count > 0) {
            if let Some((class, left)) = period.left(*place) {
                let sum: &mut i128 = unpriced.entry(class).or_default();
                *sum = sum.saturating_add(left.min(*count));
            }
        }
        fallback.retain(|_, count| *count != 0);
        deferred.retain(|_, calls| *calls != 0);
        unknown.retain(|_, calls| *calls != 0);
        let of = |counts: &BTreeMap<Class, i128>, class: &Class| counts.get(class).copied().unwrap_or(0);
        amounts.retain(|class, sum| *sum != Amounts::default() || of(unpriced, class) != of(usage, class));
    }

    /// Whether nothing is left of it: all of it was taken back.
    pub fn is_nothing(&self) -> bool {
        let Sum { calls, usage, amounts, unpriced, deferred, unknown, .. } = self;
        let none = unpriced.is_empty() && deferred.is_empty() && unknown.is_empty();
        *calls == 0 && none && amounts.is_empty() && usage.values().all(|count| *count == 0)
    }

    /// Input and output together.
    pub fn tokens(&self) -> i128 {
        let of_tokens = |class: &Class| matches!(class.kind(), Kind::Input | Kind::Output);
        let counts = self.usage.iter().filter(|(class, _)| of_tokens(class)).map(|(_, count)| *count);
        counts.fold(0, i128::saturating_add)
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
        for (place, quantity) in &other.open {
            add(self.open.entry(*place).or_default(), *quantity)?;
        }
        for (why, calls) in &other.deferred {
            add(self.deferred.entry(why).or_default(), *calls)?;
        }
        for (name, calls) in &other.unknown {
            add(self.unknown.entry(name.clone()).or_default(), *calls)?;
        }
        for (class, quantity) in &other.fallback {
            add(self.fallback.entry(*class).or_default(), *quantity)?;
        }
        if let Some(more) = other.rounded {
            self.rounded = Some(self.rounded.unwrap_or_default().plus(more)?);
        }
        Ok(())
    }

    /// The amounts of all that has a price; `None` if nothing has.
    pub fn total(&self) -> Result<Option<Amounts>, ReportError> {
        if self.rounded.is_some() { Ok(self.rounded) } else { self.exact() }
    }

    /// The same, not rounded.
    pub fn exact(&self) -> Result<Option<Amounts>, ReportError> {
        if self.amounts.is_empty() {
            return Ok(None);
        }
        self.amounts.values().try_fold(Amounts::default(), |sum, amounts| sum.plus(*amounts)).map(Some)
    }
}

/// As it is kept in a file that this process reads back.
pub type Stored = (
    i128,
    Vec<(usize, i128)>,
    Vec<(usize, i128, i128)>,
    Vec<(usize, i128)>,
    Vec<(usize, i128)>,
    Vec<(String, i128)>,
    Vec<(String, i128)>,
    Vec<(usize, i128)>,
);

fn stored(counts: &BTreeMap<Class, i128>) -> Vec<(usize, i128)> {
    counts.iter().map(|(class, count)| (place(*class), *count)).collect()
}

fn place(class: Class) -> usize {
    Class::ALL.iter().position(|known| *known == class).unwrap_or(usize::MAX)
}

fn counts(stored: Vec<(usize, i128)>) -> Option<BTreeMap<Class, i128>> {
    stored.into_iter().map(|(place, count)| Some((*Class::ALL.get(place)?, count))).collect()
}

impl Sum {
    /// As [`Sum::of_stored`] takes it; not what is rounded.
    pub fn stored(&self) -> Stored {
        let amounts = self.amounts.iter();
        let amounts = amounts.map(|(class, sum)| (place(*class), sum.charge.yocto_usd(), sum.cost.yocto_usd()));
        (
            self.calls,
            stored(&self.usage),
            amounts.collect(),
            stored(&self.fallback),
            stored(&self.unpriced),
            self.deferred.iter().map(|(why, calls)| ((*why).to_owned(), *calls)).collect(),
            self.unknown.iter().map(|(name, calls)| (name.clone(), *calls)).collect(),
            self.open.iter().map(|(place, count)| (*place, *count)).collect(),
        )
    }

    /// What was stored.
    pub fn of_stored(stored: Stored) -> Option<Sum> {
        let (calls, usage, amounts, fallback, unpriced, deferred, unknown, open) = stored;
        let amount = |(place, charge, cost): (usize, i128, i128)| {
            let [charge, cost] = [charge, cost].map(Charge::from_yocto_usd);
            Some((*Class::ALL.get(place)?, Amounts { charge, cost }))
        };
        let why = |(why, calls): (String, i128)| Some((Deferred::from_word(&why)?.as_str(), calls));
        Some(Sum {
            calls,
            usage: counts(usage)?,
            amounts: amounts.into_iter().map(amount).collect::<Option<_>>()?,
            fallback: counts(fallback)?,
            unpriced: counts(unpriced)?,
            deferred: deferred.into_iter().map(why).collect::<Option<_>>()?,
            unknown: unknown.into_iter().collect(),
            open: open.into_iter().collect(),
            rounded: None,
        })
    }
}

/// Adds with a check.
pub fn add(sum: &mut i128, quantity: i128) -> Result<(), ReportError> {
    *sum = sum.checked_add(quantity).ok_or(TOO_LARGE)?;
    Ok(())
}

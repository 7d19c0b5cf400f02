//! The sums of the rollup, and whose they are.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::civil::Date;
use wire::record::{Deferred, Evidence, Record};
use wire::usage::Class;

use super::days::{day_begins_ns, day_of};
use super::entry::Entry;
use super::months::{Closed, Month};
use crate::money::Charge;

/// What a row of the rollup counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Counted {
    /// Calls.
    Calls,
    /// A class of usage.
    Usage(Class),
    /// Calls whose response counts something of this name that the meter does not know.
    Unknown(String),
    /// Calls whose counts are to come in another one.
    Deferred(Deferred),
}

impl Counted {
    const CALLS: &'static str = "calls";
    const UNKNOWN: &'static str = "unknown:";
    const DEFERRED: &'static str = "deferred:";

    /// Its word in the database.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Counted::Calls => Self::CALLS.into(),
            Counted::Usage(class) => class.name().into(),
            Counted::Unknown(name) => format!("{}{name}", Self::UNKNOWN).into(),
            Counted::Deferred(why) => format!("{}{}", Self::DEFERRED, why.as_str()).into(),
        }
    }

    /// What a word counts.
    pub fn from_name(word: &str) -> Option<Counted> {
        if word == Self::CALLS {
            Some(Counted::Calls)
        } else if let Some(name) = word.strip_prefix(Self::UNKNOWN) {
            Some(Counted::Unknown(name.to_owned()))
        } else if let Some(why) = word.strip_prefix(Self::DEFERRED) {
            Deferred::from_word(why).map(Counted::Deferred)
        } else {
            Class::from_name(word).map(Counted::Usage)
        }
    }
}

/// Whose sums they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group {
    /// The day (UTC) on which it counts, `2026-01-31`: that on which the calls began, unless their month was closed before.
    pub day: String,
    /// The month in which the calls began, if it was closed before; else empty.
    pub adjusts: String,
    /// Who is charged.
    pub tenant: String,
    /// The provider.
    pub provider: String,
    /// The model that is charged for.
    pub model: String,
    /// How good the counts are, by its word.
    pub evidence: &'static str,
}

impl Group {
    /// The group of a call; `None` if it began after the year 2262.
    pub fn of(record: &Record) -> Option<Group> {
        Some(Group {
            day: day_of(i64::try_from(record.started_ns).ok()?)?,
            adjusts: String::new(),
            tenant: record.identity.tenant.clone(),
            provider: storable(&record.provider),
            model: storable(record.response_model.as_deref().or(record.request_model.as_deref()).unwrap_or("")),
            evidence: record.evidence.as_str(),
        })
    }

    /// The group that an entry counts in.
    pub fn of_entry(entry: &Entry) -> Option<Group> {
        let began = Group::began(entry)?;
        Some(entry.billed.clone().map_or_else(|| began.clone(), |day| began.billed(day)))
    }

    /// The group that an entry would count in on the day on which its call began.
    pub fn began(entry: &Entry) -> Option<Group> {
        Some(Group {
            day: day_of(entry.started_ns)?,
            adjusts: String::new(),
            tenant: entry.tenant.clone(),
            provider: entry.provider.clone(),
            model: entry.model.clone(),
            evidence: entry.evidence.as_str(),
        })
    }

    /// The same, of the calls of a closed month that count on another day.
    pub fn billed(&self, day: String) -> Group {
        let adjusts = Month::of_day(&self.day).map(|month| month.to_string()).unwrap_or_default();
        Group { day, adjusts, ..self.clone() }
    }

    /// The group in which calls of this one count that are booked now.
    pub fn booked(&self, closed: &Closed, now_ns: i64) -> Group {
        let Some(day) = self.day.parse::<Date>().ok().map(day_begins_ns) else { return self.clone() };
        match closed.billed(day, now_ns) {
            Some(billed) => self.billed(billed),
            None => self.clone(),
        }
    }

    /// How good the counts are.
    pub fn evidence(&self) -> Evidence {
        Evidence::from_word(self.evidence).unwrap_or(Evidence::Missing)
    }
}

/// A text that every database can hold: PostgreSQL has no NUL. The event itself stays as it was sent.
pub fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A sum of the rollup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub quantity: i64,
    /// What the tenant pays for them, as far as they have a price.
    pub charge: Charge,
    /// What the provider charges for them.
    pub cost: Charge,
    /// How many of them have no price.
    pub unpriced: i64,
    /// How many of them are charged by a price that stands in for their own.
    pub fallback: i64,
}

impl Sum {
    /// What the provider charges, if that is another amount than the tenant pays.
    pub fn own_cost(&self) -> Option<Charge> {
        (self.cost != self.charge).then_some(self.cost)
    }

    /// Both together, if they fit.
    pub fn checked_add(self, more: &Sum) -> Option<Sum> {
        Some(Sum {
            quantity: self.quantity.checked_add(more.quantity)?,
            charge: self.charge.checked_add(more.charge)?,
            cost: self.cost.checked_add(more.cost)?,
            unpriced: self.unpriced.checked_add(more.unpriced)?,
            fallback: self.fallback.checked_add(more.fallback)?,
        })
    }
}

/// The sums of a group.
pub type GroupSums = HashMap<Counted, Sum>;

//! The sums that a transaction changes: loaded, added up in memory with checks, written once.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use meter::record::{Evidence, Record};
use meter::usage::Class;

use crate::money::Charge;
use crate::prices::{Rated, Rating};

/// What a row of the rollup counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counted {
    /// Calls.
    Calls,
    /// A class of usage.
    Usage(Class),
}

impl Counted {
    const CALLS: &'static str = "calls";

    /// Its word in the database.
    pub fn name(self) -> &'static str {
        match self {
            Counted::Calls => Self::CALLS,
            Counted::Usage(class) => class.name(),
        }
    }

    /// What a word counts.
    pub fn from_name(name: &str) -> Option<Counted> {
        if name == Self::CALLS { Some(Counted::Calls) } else { Class::from_name(name).map(Counted::Usage) }
    }
}

/// Whose sums they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group {
    /// The day (UTC) on which the calls began, `2026-01-31`.
    pub day: String,
    /// Who is charged.
    pub tenant: String,
    /// Who answered.
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
            tenant: record.identity.tenant.clone(),
            provider: storable(&record.provider),
            model: storable(record.response_model.as_deref().or(record.request_model.as_deref()).unwrap_or("")),
            evidence: record.evidence.as_str(),
        })
    }

    /// How good the counts are.
    pub fn evidence(&self) -> Evidence {
        Evidence::from_word(self.evidence).unwrap_or(Evidence::Missing)
    }
}

/// The day (UTC) of a time.
pub fn day_of(ns: i64) -> Option<String> {
    let time = Timestamp::from_nanosecond(i128::from(ns)).ok()?;
    Some(time.to_zoned(TimeZone::UTC).date().to_string())
}

/// When a day begins.
pub fn day_begins_ns(day: Date) -> i64 {
    let begin = day.to_zoned(TimeZone::UTC).map(|time| time.timestamp().as_nanosecond());
    begin.ok().and_then(|ns| i64::try_from(ns).ok()).unwrap_or(i64::MAX)
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
    /// What they cost, as far as they have a price.
    pub charge: Charge,
    /// How many of them have no price.
    pub unpriced: i64,
    /// How many of them are charged by a price that stands in for their own.
    pub fallback: i64,
}

impl Sum {
    fn checked_add(self, more: &Sum) -> Option<Sum> {
        Some(Sum {
            quantity: self.quantity.checked_add(more.quantity)?,
            charge: self.charge.checked_add(more.charge)?,
            unpriced: self.unpriced.checked_add(more.unpriced)?,
            fallback: self.fallback.checked_add(more.fallback)?,
        })
    }
}

/// The sums of a group.
pub type GroupSums = HashMap<Counted, Sum>;

/// What one call adds to the sums of its group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share(Vec<(Counted, Sum)>);

impl Share {
    /// The share of a call, as it was rated.
    pub fn of(record: &Record, rating: &Rating) -> Share {
        let mut share: Vec<(Counted, Sum)> = Vec::new();
        let lines = || rating.lines.iter();
        // The fee of a request is no count of the event.
        let uncounted = lines().filter(|line| record.usage.get(line.class).is_none());
        let uncounted = uncounted.map(|line| (line.class, line.quantity));
        for (class, count) in record.usage.iter().chain(uncounted) {
            let quantity = i64::try_from(count).unwrap_or(i64::MAX);
            let mut sum = Sum { quantity, ..Sum::default() };
            match lines().find(|line| line.class == class).map(|line| line.rated) {
                Some(Rated::Priced { charge, .. }) => sum.charge = charge,
                Some(Rated::Fallback { charge, .. }) => (sum.charge, sum.fallback) = (charge, quantity),
                Some(Rated::Unpriced) => sum.unpriced = quantity,
                None => {}
            }
            share.push((Counted::Usage(class), sum));
        }
        // A part is another model's share of a call, no call of its own.
        let calls = i64::from(record.part.is_none());
        share.push((Counted::Calls, Sum { quantity: calls, ..Sum::default() }));
        Share(share)
    }

    /// The same, taken back.
    pub fn reversed(mut self) -> Share {
        for (_, sum) in &mut self.0 {
            *sum = Sum {
                quantity: sum.quantity.saturating_neg(),
                charge: sum.charge.checked_neg().unwrap_or_default(),
                unpriced: sum.unpriced.saturating_neg(),
                fallback: sum.fallback.saturating_neg(),
            };
        }
        self
    }
}

/// The sums of a transaction.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    known: HashMap<Group, GroupSums>,
    changed: BTreeMap<Group, GroupSums>,
}

impl Sums {
    /// Begins with what is stored.
    pub fn stored(known: HashMap<Group, GroupSums>) -> Sums {
        Sums { known, changed: BTreeMap::new() }
    }

    /// Adds a share: all of it, or none and the reason.
    pub fn add(&mut self, group: &Group, share: &Share) -> Result<(), String> {
        let known = self.known.entry(group.clone()).or_default();
        let mut sums = Vec::with_capacity(share.0.len());
        for (counted, more) in &share.0 {
            match known.get(counted).copied().unwrap_or_default().checked_add(more) {
                Some(sum) => sums.push((*counted, sum)),
                None => return Err(format!("data.{}: the day's sum would not fit in 64 bits", counted.name())),
            }
        }
        self.changed.entry(group.clone()).or_default().extend(sums.iter().copied());
        known.extend(sums);
        Ok(())
    }

    /// What is to be written, in an order that is the same for everybody who writes.
    pub fn changed(&self) -> impl Iterator<Item = (&Group, Counted, Sum)> {
        self.changed.iter().flat_map(|(group, sums)| {
            let mut sums: Vec<(Counted, Sum)> = sums.iter().map(|(counted, sum)| (*counted, *sum)).collect();
            sums.sort_by_key(|(counted, _)| counted.name());
            sums.into_iter().map(move |(counted, sum)| (group, counted, sum))
        })
    }
}

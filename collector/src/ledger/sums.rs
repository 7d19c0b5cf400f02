//! The sums that a transaction changes: loaded, added up in memory with checks, written once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use wire::record::{Deferred, Evidence, Record};
use wire::usage::Class;

use super::months::Month;
use crate::money::Charge;
use crate::prices::{Rated, Rating};

/// Names of unknown counts that are kept of one call, and the length of each, characters.
const UNKNOWN: usize = 8;
const UNKNOWN_LENGTH: usize = 64;

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

    /// The same, of the calls of a closed month that count on another day.
    pub fn billed(&self, day: String) -> Group {
        let adjusts = Month::of_day(&self.day).map(|month| month.to_string()).unwrap_or_default();
        Group { day, adjusts, ..self.clone() }
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
    /// What the tenant pays for them, as far as they have a price.
    pub charge: Charge,
    /// What the provider takes for them.
    pub cost: Charge,
    /// How many of them have no price.
    pub unpriced: i64,
    /// How many of them are charged by a price that stands in for their own.
    pub fallback: i64,
}

impl Sum {
    /// What the provider takes, if that is another amount than the tenant pays.
    pub fn own_cost(&self) -> Option<Charge> {
        (self.cost != self.charge).then_some(self.cost)
    }

    fn checked_add(self, more: &Sum) -> Option<Sum> {
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
            if let Some(line) = lines().find(|line| line.class == class) {
                sum.charge = line.rated.charge().unwrap_or_default();
                sum.cost = line.rated.cost().unwrap_or_default();
                match line.rated {
                    Rated::Priced { .. } => {}
                    Rated::Fallback { .. } => sum.fallback = quantity,
                    Rated::Unpriced => sum.unpriced = quantity,
                }
            }
            share.push((Counted::Usage(class), sum));
        }
        // A part is another model's share of a call, no call of its own.
        let calls = i64::from(record.part.is_none());
        share.push((Counted::Calls, Sum { quantity: calls, ..Sum::default() }));
        let one = Sum { quantity: 1, ..Sum::default() };
        share.extend(record.deferred.map(|why| (Counted::Deferred(why), one)));
        share.extend(unknown(record).into_iter().map(|name| (Counted::Unknown(name), one)));
        Share(share)
    }

    /// The same, taken back.
    pub fn reversed(mut self) -> Share {
        for (_, sum) in &mut self.0 {
            *sum = Sum {
                quantity: sum.quantity.saturating_neg(),
                charge: sum.charge.checked_neg().unwrap_or_default(),
                cost: sum.cost.checked_neg().unwrap_or_default(),
                unpriced: sum.unpriced.saturating_neg(),
                fallback: sum.fallback.saturating_neg(),
            };
        }
        self
    }
}

/// The names of what a response counts and the meter does not know, each once.
fn unknown(record: &Record) -> BTreeSet<String> {
    let names = record.unknown_usage.as_deref().unwrap_or_default().split(',').map(str::trim);
    let name = |name: &str| storable(name).chars().take(UNKNOWN_LENGTH).collect();
    names.filter(|name| !name.is_empty()).take(UNKNOWN).map(name).collect()
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
                Some(sum) => sums.push((counted.clone(), sum)),
                None => return Err(format!("data.{}: the day's sum would not fit in 64 bits", counted.name())),
            }
        }
        self.changed.entry(group.clone()).or_default().extend(sums.iter().cloned());
        known.extend(sums);
        Ok(())
    }

    /// What is to be written, in an order that is the same for everybody who writes.
    pub fn changed(&self) -> impl Iterator<Item = (&Group, Counted, Sum)> {
        self.changed.iter().flat_map(|(group, sums)| {
            let mut sums: Vec<(Counted, Sum)> = sums.iter().map(|(counted, sum)| (counted.clone(), *sum)).collect();
            sums.sort_by_key(|(counted, _)| counted.name());
            sums.into_iter().map(move |(counted, sum)| (group, counted, sum))
        })
    }
}

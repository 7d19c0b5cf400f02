//! The sums that a transaction changes: loaded, added up in memory with checks, written once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use wire::record::Record;

use crate::prices::{Rated, Rating};
use crate::store::sums::{Counted, Group, GroupSums, Sum, storable};

/// Names of unknown counts that are kept of one call, and the length of each, characters.
const UNKNOWN: usize = 8;
const UNKNOWN_LENGTH: usize = 64;

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

    /// What it counts, and how much.
    pub fn iter(&self) -> impl Iterator<Item = &(Counted, Sum)> {
        self.0.iter()
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

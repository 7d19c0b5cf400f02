//! Whether the ledger is what was written: no entry changed, none taken out, no name replaced unless an entry says so, and the sums,
//! ranges and balances of budgets are those of its entries; and whether what is kept for reading these faster says the same.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::ledger::correct::share_of;
use crate::ledger::share::Sums;
use crate::store::entry::{Entry, EntryId, Hash, Kind};
use crate::store::months::{Closing, Month};
use crate::store::ranges::{Range, Ranges};
use crate::store::sums::{Counted, Group, Sum};
use crate::store::{Head, Reader, Selection, StoreError};
use crate::terminal::printable;
use budgets::{Balances, Changes};

mod budgets;
mod names;
mod quarantine;
mod sealed;

/// What was found wrong, first things first.
#[derive(Debug)]
pub enum Failure {
    /// The store could not be read.
    Store(StoreError),
    /// The ledger is not what was written.
    Broken(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Store(error) => error.fmt(f),
            Failure::Broken(problem) => f.write_str(problem),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Store(error)
    }
}

/// Checks everything; returns where the chains end. `noted`: heads that were written down earlier, each of which must
/// still stand. `each` hears of every entry, for progress.
pub fn verify(reader: &dyn Reader, noted: &[Head], mut each: impl FnMut()) -> Result<Vec<Head>, Failure> {
    let closings = Closings::of(reader)?;
    let mut months_closed = 0_usize;
    let mut late = None;
    let mut heads = reader.heads()?;
    let mut numbers: BTreeMap<String, Numbers> = BTreeMap::new();
    let mut changes = Changes::default();
    let mut forgotten = names::Names::of(reader)?;
    let mut seals = sealed::Seals::of(reader)?;
    let mut settled = quarantine::Settled::of(reader)?;
    for head in &mut heads {
        *head = chain(reader, *head, noted, &mut |entry| {
            if entry.kind.is_record() {
                numbers.entry(entry.emitter.clone()).or_default().insert(entry.sequence);
            }
            months_closed = months_closed.saturating_add(usize::from(entry.kind == Kind::MonthClosed));
            late = late.take().or_else(|| closings.problem(entry));
            changes.add(entry);
            forgotten.add(entry);
            seals.add(entry);
            settled.add(entry);
            each();
        })?;
    }
    if let Some(lost) = noted.iter().find(|noted| !heads.iter().any(|head| head.entry.writer == noted.entry.writer)) {
        return broken(format!("entry {}: its whole chain is missing", lost.entry));
    }
    let numbers = numbers.into_iter().map(|(name, numbers)| (name, numbers.ranges())).collect();
    if let Some(problem) = late {
        return broken(problem);
    }
    if months_closed != closings.0.len() {
        return broken(format!("{months_closed} months were closed, and {} are read back", closings.0.len()));
    }
    forgotten.check()?;
    seals.check()?;
    settled.check()?;
    let budgets = changes.budgets(reader)?;
    ranges(reader, &numbers)?;
    let mut balances = Balances::of(&budgets);
    sums(reader, &mut balances)?;
    balances.check(reader)?;
    reader.contradiction()?.map_or(Ok(heads), broken)
}

fn broken<T>(problem: String) -> Result<T, Failure> {
    Err(Failure::Broken(problem))
}

/// When each closed month was closed.
struct Closings(BTreeMap<Month, Closing>);

impl Closings {
    fn of(reader: &dyn Reader) -> Result<Closings, Failure> {
        let mut closings = BTreeMap::new();
        for entry in reader.closings()? {
            match Closing::read(&entry) {
                Some((month, closing)) => drop(closings.insert(month, closing)),
                None => return broken(format!("entry {}: does not say which month it closes", entry.id)),
            }
        }
        Ok(Closings(closings))
    }

    fn is_closed(&self, month: Month, before: EntryId) -> bool {
        self.0.get(&month).is_some_and(|closing| closing.is_before(before))
    }

    /// What is wrong with the day on which an entry counts: what came after the end of its month must count in one that was
    /// open, and nothing else may count on another day than its own.
    fn problem(&self, entry: &Entry) -> Option<String> {
        if !entry.kind.is_charged() && entry.kind != Kind::Reversal {
            return None;
        }
        let began = Month::of(entry.started_ns)?;
        match &entry.billed {
            None if self.is_closed(began, entry.id) => {
                Some(format!("entry {}: counts in {began}, which was closed before", entry.id))
            }
            Some(_) if !self.is_closed(began, entry.id) => {
                Some(format!("entry {}: counts on another day, and {began} was open", entry.id))
            }
            Some(day) => {
                let is_open = Month::of_day(day).is_some_and(|month| !self.is_closed(month, entry.id));
                (!is_open).then(|| format!("entry {}: counts on {}, which was closed before", entry.id, printable(day)))
            }
            None => None,
        }
    }
}

/// Follows a chain from its first entry; returns where it really ends, which is not before `head`.
fn chain(reader: &dyn Reader, head: Head, noted: &[Head], each: &mut dyn FnMut(&Entry)) -> Result<Head, Failure> {
    let writer = head.entry.writer;
    let mut end = Head { entry: EntryId { writer, number: 0 }, hash: Hash::default() };
    let mut problem = None;
    let mut is_head = head.entry.number == 0;
    reader.entries(EntryId { writer, number: 0 }, &mut |entry| {
        let expected = EntryId { writer, number: end.entry.number.saturating_add(1) };
        if problem.is_some() {
            return Ok(());
        } else if entry.id != expected {
            problem = Some(format!("entry {expected}: is missing"));
        } else if !entry.follows(&end.hash) {
            problem = Some(format!("entry {expected}: was altered"));
        }
        end = Head { entry: entry.id, hash: entry.hash };
        is_head |= end == head;
        if let Some(noted) = noted.iter().find(|noted| noted.entry == end.entry && noted.hash != end.hash) {
            problem = problem.take().or(Some(format!("entry {}: is not the one that was noted", noted.entry)));
        }
        each(&entry);
        Ok(())
    })?;
    if let Some(problem) = problem {
        return broken(problem);
    }
    let missing = EntryId { writer, number: end.entry.number.saturating_add(1) };
    if noted.iter().any(|noted| noted.entry.writer == writer && noted.entry.number > end.entry.number) {
        return broken(format!("entry {missing}: is missing, a later one was noted"));
    }
    if !is_head {
        return broken(format!("entry {missing}: is missing, the chain ended at {}", head.entry));
    }
    Ok(end)
}

/// The numbers of an emitter in the order of its entries, whatever that is: runs, put together from time to time. In ranges
/// that are always in order, each number that comes below all others would move them all.
#[derive(Default)]
struct Numbers {
    runs: Vec<Range>,
    /// How many there were when they were put together last.
    together: usize,
}

impl Numbers {
    fn insert(&mut self, number: i64) {
        match self.runs.last_mut() {
            Some(run) if run.last.checked_add(1) == Some(number) => run.last = number,
            _ => self.runs.push(Range { first: number, last: number }),
        }
        if self.runs.len() > self.together.saturating_mul(2).saturating_add(64) {
            self.runs = std::mem::take(self).ranges().as_slice().to_vec();
            self.together = self.runs.len();
        }
    }

    fn ranges(mut self) -> Ranges {
        self.runs.sort_unstable();
        self.runs.into_iter().collect()
    }
}

/// The ranges of every emitter are the numbers of its entries.
fn ranges(reader: &dyn Reader, numbers: &BTreeMap<String, Ranges>) -> Result<(), Failure> {
    let mut problem = None;
    let mut seen = 0_usize;
    reader.emitters(&mut |(name, emitter)| {
        let entries = numbers.get(&name).map(Ranges::as_slice).unwrap_or_default();
        seen = seen.saturating_add(usize::from(!entries.is_empty()));
        if entries != emitter.ranges.as_slice() {
            problem.get_or_insert(format!("emitter {}: its ranges are not those of its entries", printable(&name)));
        }
        Ok(())
    })?;
    match problem {
        Some(problem) => broken(problem),
        None if seen != numbers.len() => broken("an emitter has entries and no ranges".to_owned()),
        None => Ok(()),
    }
}

/// The sums by day and tenant are those of the entries that stand.
fn sums(reader: &dyn Reader, balances: &mut Balances<'_>) -> Result<(), Failure> {
    let every = Selection::default();
    let mut sums = Sums::stored(HashMap::new());
    let mut problem = None;
    reader.standing(&every, &mut |entry| {
        let added = Group::of_entry(&entry)
            .ok_or_else(|| format!("entry {}: began after the year 2262", entry.id))
            .and_then(|group| sums.add(&group, &share_of(&entry)?))
            .and_then(|()| balances.add(&entry));
        if let Err(why) = added {
            problem.get_or_insert(why);
        }
        Ok(())
    })?;
    // What was taken back after the end of its month counts there still, and its opposite where that counts.
    reader.adjusted(&mut |(entry, day)| {
        let both = || {
            let late = || format!("entry {}: began after the year 2262", entry.id);
            let share = share_of(&entry)?;
            sums.add(&Group::of_entry(&entry).ok_or_else(late)?, &share)?;
            sums.add(&Group::began(&entry).ok_or_else(late)?.billed(day), &share.reversed())
        };
        if let Err(why) = both() {
            problem.get_or_insert(why);
        }
        Ok(())
    })?;
    let mut expected: BTreeMap<(Group, Cow<'static, str>), Sum> = BTreeMap::new();
    for (group, counted, sum) in sums.changed() {
        expected.insert((group.clone(), counted.name()), sum);
    }
    reader.rollup(&every, &mut |row| {
        let evidence = row.evidence.as_str();
        let (day, tenant, provider, model) = (row.day.to_string(), row.tenant, row.provider, row.model);
        let (name, adjusts) = (row.counted.name(), row.adjusts);
        let group = Group { day, adjusts, tenant, provider, model, evidence };
        let sum = expected.remove(&(group.clone(), name)).unwrap_or_default();
        if sum != row.sum {
            problem.get_or_insert(wrong_sum(&group, &row.counted));
        }
        Ok(())
    })?;
    let left = expected.into_iter().find(|(_, sum)| *sum != Sum::default());
    if let Some((group, counted)) = left.and_then(|((group, name), _)| Some((group, Counted::from_name(&name)?))) {
        problem.get_or_insert(wrong_sum(&group, &counted));
    }
    problem.map_or(Ok(()), broken)
}

fn wrong_sum(group: &Group, counted: &Counted) -> String {
    let [tenant, provider, model] = [&group.tenant, &group.provider, &group.model].map(printable);
    let (name, day) = (printable(counted.name()), &group.day);
    format!("the sum of {name} of {tenant}, {provider} \"{model}\", {day} is not that of its entries")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn deterministic_numbers_in_any_order_become_their_ranges(sent in prop::collection::vec(1..900_i64, 0..600)) {
            let (mut numbers, mut ranges) = (Numbers::default(), Ranges::default());
            for number in sent {
                numbers.insert(number);
                ranges.insert(number);
            }
            let found = numbers.ranges();
            prop_assert_eq!(found.as_slice(), ranges.as_slice());
        }
    }
}

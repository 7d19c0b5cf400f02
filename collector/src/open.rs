//! What is open of a month that is to be closed: what may still change what its calls cost, and what no price will.

use std::collections::{BTreeMap, BTreeSet};

use wire::record::Evidence;

use crate::gaps::{self, Cause, Gaps, Hole, Question, State, time};
use crate::ledger::Arrival;
use crate::ledger::correct::rating_of;
use crate::store::days::{day_begins_ns, day_of};
use crate::store::months::Month;
use crate::store::ranges::Range;
use crate::store::sealing::counts_in;
use crate::store::sums::Counted;
use crate::store::{Dimension, Quarantined, Reader, Selection, StoreError, Whose};
use crate::terminal::printable;

/// What is named of each kind.
const NAMED: usize = 5;
/// Emitters give a call its number when it ends, and no call takes so long: what has a number behind one that began so long after
/// the month did not begin in it, nor what has one before one that began so long before it.
const LONGEST_CALL_NS: i64 = 86_400_000_000_000;
/// How far clocks of hosts differ at most.
const MAX_FUTURE_NS: i64 = 3_600_000_000_000;

/// How many there are of a kind, and the first of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// How many.
    pub count: i64,
    /// What they are, in the plural.
    pub what: &'static str,
    /// The first of them, a line each.
    pub named: Vec<String>,
    /// How many lines there would be.
    lines: i64,
}

impl Open {
    fn new(what: &'static str) -> Open {
        Open { count: 0, what, named: Vec::new(), lines: 0 }
    }

    fn add(&mut self, count: i64, name: impl FnOnce() -> String) {
        self.count = self.count.saturating_add(count);
        self.lines = self.lines.saturating_add(1);
        if self.named.len() < NAMED {
            self.named.push(name());
        }
    }

    /// What kind it is, then the first of them, and how many more there are.
    pub fn lines(&self) -> Vec<String> {
        let named = i64::try_from(self.named.len()).unwrap_or(i64::MAX);
        let more = self.lines.saturating_sub(named);
        let more = (more > 0).then(|| format!("  and {more} more"));
        let first = self.named.iter().map(|name| format!("  {name}"));
        std::iter::once(format!("{}:", self.what)).chain(first).chain(more).collect()
    }
}

/// What is open of a month. What has no month, and may be of this one, is.
pub fn find(reader: &dyn Reader, month: Month, question: Question) -> Result<Vec<Open>, StoreError> {
    let [mut missing, mut ends] = ["missing numbers", "open ends"].map(Open::new);
    for gaps in gaps::find(reader, question)? {
        let name = printable(&gaps.emitter);
        // The end of the hole before, and whether its calls are of a later month: so are those of one right behind it.
        let mut before = (0_i64, false);
        for Hole { range, since_ns, cause } in &gaps.holes {
            let Range { first, last } = *range;
            let is_behind = first == before.0.saturating_add(1) && before.1;
            let is_later = is_behind || began_later(reader, month, &gaps, first)?;
            before = (last, is_later);
            // What is quarantined is named as that.
            let is_kept = matches!(cause, Cause::DeadLetter(_) | Cause::Alarm(_));
            let is_earlier = *since_ns < month.begins_ns() || ended_earlier(reader, month, &gaps, last)?;
            if !is_kept && !is_later && !is_earlier {
                let which = if first == last { first.to_string() } else { format!("{first} to {last}") };
                missing.add(range.count(), || format!("{name} {which}, known since {}", time(*since_ns)));
            }
        }
        if gaps.state == State::OpenEnd && !began_later(reader, month, &gaps, gaps.head.saturating_add(1))? {
            ends.add(1, || format!("{name}, last heard of {}", time(gaps.heard_ns)));
        }
    }
    let [alarms, dead_letters] = quarantined(reader, month)?;
    let all = [missing, ends, alarms, dead_letters, unpriced(reader, month)?];
    Ok(all.into_iter().filter(|open| open.count > 0).collect())
}

/// Whether the calls from a number on are of a later month: the call before them began long after it.
fn began_later(reader: &dyn Reader, month: Month, gaps: &Gaps, number: i64) -> Result<bool, StoreError> {
    let record = reader.record(&(gaps.emitter.clone(), number.saturating_sub(1)))?;
    Ok(record.is_some_and(|record| record.started_ns >= ends_ns(month).saturating_add(LONGEST_CALL_NS)))
}

/// Whether the calls up to a number are of an earlier month: the call behind them ended before this one.
fn ended_earlier(reader: &dyn Reader, month: Month, gaps: &Gaps, number: i64) -> Result<bool, StoreError> {
    let record = reader.record(&(gaps.emitter.clone(), number.saturating_add(1)))?;
    Ok(record.is_some_and(|record| record.started_ns.saturating_add(LONGEST_CALL_NS) < month.begins_ns()))
}

fn ends_ns(month: Month) -> i64 {
    month.last_day().tomorrow().map_or(i64::MAX, day_begins_ns)
}

fn quarantined(reader: &dyn Reader, month: Month) -> Result<[Open; 2], StoreError> {
    let mut all = ["alarms", "dead letters"].map(Open::new);
    reader.quarantined(Whose::All, &mut |kept| {
        let Quarantined { last, first_received_ns, released, .. } = &kept;
        let event = Arrival::new(last.bytes.clone()).decoded.ok();
        let began_ns = event.as_ref().and_then(|event| i64::try_from(event.record.started_ns).ok());
        // One that began after it came says nothing of its month.
        let began_ns = began_ns.filter(|began_ns| *began_ns <= first_received_ns.saturating_add(MAX_FUTURE_NS));
        let is_of_it = match began_ns {
            Some(began_ns) => Month::of(began_ns) == Some(month),
            None => *first_received_ns >= month.begins_ns(),
        };
        let [alarms, dead_letters] = &mut all;
        if is_of_it && released.is_none() {
            let open = if last.alarm { alarms } else { dead_letters };
            open.add(1, || {
                let when = match began_ns {
                    Some(began_ns) => format!("began {}", time(began_ns)),
                    None => format!("its month is not known, came {}", time(*first_received_ns)),
                };
                let digest: String = last.digest().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
                let id = last.number.as_ref().map(|(emitter, number)| format!("{}-{number}", printable(emitter)));
                format!("{}, {when}: {}", id.unwrap_or(digest), printable(&last.reason))
            });
        }
        Ok(())
    })?;
    Ok(all)
}

fn of_month(month: Month) -> Selection {
    Selection { since: Some(month.first_day()), until: Some(month.last_day()), ..Selection::default() }
}

/// The calls of which something has no price, late ones of closed months too. The sums say on which days, and of which closed
/// months, there are any: only these are read.
fn unpriced(reader: &dyn Reader, month: Month) -> Result<Open, StoreError> {
    let mut began = BTreeSet::new();
    reader.rollup(&of_month(month), &mut |row| {
        if row.sum.unpriced > 0 {
            let closed = row.adjusts.parse::<Month>().map(|closed| (closed.first_day(), closed.last_day()));
            began.insert(closed.unwrap_or((row.day, row.day)));
        }
        Ok(())
    })?;
    let mut open = Open::new("calls of which something has no price");
    for (since, until) in began {
        let selection = Selection { since: Some(since), until: Some(until), ..Selection::default() };
        reader.standing(&selection, &mut |entry| {
            let counts_then = counts_in(&entry) == Some(month);
            if counts_then && rating_of(&entry).is_ok_and(|rating| rating.is_unpriced()) {
                let names = [&entry.emitter, &entry.provider, &entry.model].map(String::as_str).map(printable);
                let [emitter, provider, model] = names;
                let day = day_of(entry.started_ns).unwrap_or_default();
                open.add(1, || format!("{emitter}-{}, {day}: {provider} {model}", entry.sequence));
            }
            Ok(())
        })?;
    }
    Ok(open)
}

/// Calls of a month of which no price says what they cost, for their counts are not known: a line for each kind.
pub fn unknown(reader: &dyn Reader, month: Month) -> Result<Vec<String>, StoreError> {
    let [mut deferred, mut missing] = [0_i128; 2];
    let mut unknown: BTreeMap<String, i128> = BTreeMap::new();
    reader.totals(&of_month(month), &[Dimension::Adjusts], &mut |total| {
        if total.key.iter().any(|adjusts| !adjusts.is_empty()) {
            return Ok(());
        }
        let sum = match total.counted {
            Counted::Deferred(_) => &mut deferred,
            Counted::Unknown(name) => unknown.entry(name).or_default(),
            Counted::Calls if total.evidence == Evidence::Missing => &mut missing,
            Counted::Calls | Counted::Usage(_) => return Ok(()),
        };
        *sum = sum.saturating_add(total.quantity);
        Ok(())
    })?;
    unknown.retain(|_, calls| *calls > 0);
    let counts = [
        (deferred, "calls whose counts are to come in another call (deferred)"),
        (missing, "calls without counts (missing); failed and deferred ones are among them"),
    ];
    let mut lines: Vec<String> =
        counts.iter().filter(|(calls, _)| *calls > 0).map(|(calls, what)| format!("{calls} {what}")).collect();
    let first = unknown.iter().take(NAMED);
    lines.extend(
        first.map(|(name, calls)| format!("{calls} calls with a count that is not known: {}", printable(name))),
    );
    let more = unknown.len().saturating_sub(NAMED);
    lines.extend((more > 0).then(|| format!("and {more} more counts that are not known")));
    Ok(lines)
}

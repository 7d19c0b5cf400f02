//! `meshmeter prune`: what is kept for a time only goes, a number of rows at a time, while others go on writing. Who is killed runs it
//! again.

use std::collections::BTreeSet;

use crate::copies;
use crate::ledger::Ledger;
use crate::pause;
use crate::store::months::Closing;
use crate::store::pruning::{Held, Page, PruneChanges};
use crate::store::responses::{PossibleCopy, PossibleKey, ResponseKey, days};
use crate::store::{Reader, Store, StoreError, Whose};

mod age;

pub use age::Age;

/// Rows that go in one transaction.
const AT_ONCE: usize = 1000;
/// The least age of what recognises copies, days: a month, for an Envoy that was without a collector, or a journal that was read
/// back late.
pub const LEAST_DAYS: i64 = 32;

/// What is to go. Times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// Events quarantined that came last, and were released or dismissed, before then.
    pub quarantined: Option<i64>,
    /// What recognises copies of calls of days, of months that are closed, that were over by then.
    pub copies: Option<i64>,
}

/// What went, or would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Events quarantined.
    pub quarantined: u64,
    /// Where copies of calls are recognised.
    pub responses: u64,
    /// Pairs that may have been of one call, and were decided.
    pub pairs: u64,
}

/// Lets go what it is told.
pub type Take<'t> = &'t mut dyn FnMut(PruneChanges) -> Result<(), StoreError>;

/// Lets go of a ledger. Between two transactions whoever else writes has as long as each took.
pub fn from<S: Store>(ledger: &mut Ledger<S>, now_ns: i64) -> impl FnMut(PruneChanges) -> Result<(), StoreError> + '_ {
    move |changes| pause::after(|| ledger.prune(&changes, now_ns))
}

/// Finds what is to go, and has it taken. `each` hears how many days are done, of how many.
pub fn run(
    reader: &dyn Reader,
    request: Request,
    take: Take<'_>,
    each: &mut dyn FnMut(i64, i64),
) -> Result<Pruned, StoreError> {
    run_by(reader, request, AT_ONCE, take, each)
}

/// The same, so many rows at once.
pub(crate) fn run_by(
    reader: &dyn Reader,
    request: Request,
    at_once: usize,
    take: Take<'_>,
    each: &mut dyn FnMut(i64, i64),
) -> Result<Pruned, StoreError> {
    let mut pruned = Pruned::default();
    if let Some(before_ns) = request.quarantined {
        let digests = settled(reader, before_ns)?;
        for some in digests.chunks(at_once) {
            take(PruneChanges { quarantined: some.to_vec(), ..PruneChanges::default() })?;
        }
        pruned.quarantined = count(&digests);
    }
    if let Some(before_ns) = request.copies {
        let spans = spans(reader, before_ns)?;
        let Pairs { decided, free } = pairs(reader, &spans)?;
        for some in decided.chunks(at_once) {
            take(PruneChanges { possible: some.to_vec(), ..PruneChanges::default() })?;
        }
        pruned.pairs = count(&decided);
        let of = spans.iter().fold(0, |sum, span| span.days().saturating_add(sum));
        let mut done = 0_i64;
        for span in spans {
            let mut behind = ResponseKey { day: span.first, response: i64::MIN, proof: i64::MIN };
            loop {
                let held = reader.held(Page { behind, until_day: span.last, most: at_once })?;
                let Some(last) = held.last() else { break };
                behind = last.key;
                let may_go = |held: &Held| !held.has_pair || free.contains(&(held.key.day, held.key.response));
                let responses: Vec<ResponseKey> = held.into_iter().filter(may_go).map(|held| held.key).collect();
                pruned.responses = pruned.responses.saturating_add(count(&responses));
                if !responses.is_empty() {
                    take(PruneChanges { responses, ..PruneChanges::default() })?;
                }
                each(done.saturating_add(behind.day.saturating_sub(span.first)), of);
            }
            done = done.saturating_add(span.days());
        }
    }
    Ok(pruned)
}

fn count<T>(rows: &[T]) -> u64 {
    u64::try_from(rows.len()).unwrap_or(u64::MAX)
}

/// Events that a person, or a journal, has settled before then. When an entry says nothing of when that was, its last delivery counts.
fn settled(reader: &dyn Reader, before_ns: i64) -> Result<Vec<[u8; 32]>, StoreError> {
    let mut found = Vec::new();
    reader.quarantined(Whose::All, &mut |kept| {
        if kept.last.received_ns < before_ns {
            found.extend(kept.released.map(|entry| (kept.last.digest(), entry)));
        }
        Ok(())
    })?;
    let mut digests = Vec::new();
    for (digest, entry) in found {
        if reader.entry(entry)?.is_none_or(|entry| entry.received_ns < before_ns) {
            digests.push(digest);
        }
    }
    Ok(digests)
}

/// Days, counted from 1970-01-01.
struct Span {
    first: i64,
    last: i64,
}

impl Span {
    fn days(&self) -> i64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    fn has(&self, day: i64) -> bool {
        self.first <= day && day <= self.last
    }
}

/// The days of closed months that were over by then, a span for each month.
fn spans(reader: &dyn Reader, before_ns: i64) -> Result<Vec<Span>, StoreError> {
    let day = |ns: i64| days(ns).first().copied().unwrap_or_default();
    let closed = reader.closings()?;
    let closed = closed.iter().filter_map(Closing::read).map(|(month, _)| month);
    let span = |begins_ns: i64, ends_ns: i64| Span {
        first: day(begins_ns),
        last: day(ends_ns).min(day(before_ns)).saturating_sub(1),
    };
    let spans = closed.map(|month| span(month.begins_ns(), month.ends_ns()));
    Ok(spans.filter(|span| span.first <= span.last).collect())
}

/// Records that may have been of one call.
#[derive(Default)]
struct Pairs {
    /// Pairs that nobody has to decide any more.
    decided: Vec<(PossibleKey, PossibleCopy)>,
    /// Responses, by day, of which all pairs are.
    free: BTreeSet<(i64, i64)>,
}

fn pairs(reader: &dyn Reader, spans: &[Span]) -> Result<Pairs, StoreError> {
    let mut pairs = Pairs::default();
    let mut open = None;
    // In the order of their keys: those of a response are together.
    reader.possible_copies(&mut |(key, noted)| {
        if !spans.iter().any(|span| span.has(key.day)) {
            return Ok(());
        }
        let of = (key.day, key.response);
        if copies::is_open(reader, &noted)? {
            open = Some(of);
            pairs.free.remove(&of);
        } else {
            pairs.decided.push((key, noted));
            if open != Some(of) {
                pairs.free.insert(of);
            }
        }
        Ok(())
    })?;
    Ok(pairs)
}

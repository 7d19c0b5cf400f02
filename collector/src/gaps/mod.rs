//! What is missing in the ledger, by emitter: which numbers, since when, why, what closed it, and which emitters fell
//! silent without a final flush.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::iter::Peekable;

use crate::store::emitters::{Emitter, Ended, Note, What};
use crate::store::ranges::{Range, Ranges};
use crate::store::{Quarantined, Reader, StoreError, Whose};

mod count;
mod json;
mod table;

pub use count::{Counts, Lacking, count};
pub use json::render as json;
pub use table::{render as table, time};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Now.
    pub now_ns: i64,
    /// Who has not been heard of for longer, and had no final flush, has fallen silent.
    pub silent_after_ns: i64,
}

/// Whether an emitter still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was heard of lately.
    Counting,
    /// Nothing comes behind its last number, says whoever had the final flush.
    Ended(Ended),
    /// It fell silent without a final flush: nobody knows how far it counted. Its journal does.
    OpenEnd,
}

impl State {
    fn of(emitter: &Emitter, question: Question) -> State {
        let silent = question.now_ns.saturating_sub(emitter.heard_ns) > question.silent_after_ns;
        match emitter.ended {
            Some(by) => State::Ended(by),
            None if silent => State::OpenEnd,
            None => State::Counting,
        }
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Counting => "counting",
            State::Ended(_) => "ended",
            State::OpenEnd => "open_end",
        }
    }
}

/// Why numbers are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The emitter dropped them: its outbox was full.
    Full,
    /// The emitter dropped it: a collector refused it as unreadable.
    Refused,
    /// It came and could not be taken: the reason.
    DeadLetter(String),
    /// It came, is beyond what its sender may charge, and waits to be released: the reason.
    Alarm(String),
    /// Nobody said.
    Unknown,
}

impl Cause {
    /// Its word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Cause::Full => "full",
            Cause::Refused => "refused",
            Cause::DeadLetter(_) => "dead_letter",
            Cause::Alarm(_) => "alarm",
            Cause::Unknown => "unknown",
        }
    }
}

/// Numbers that are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Which.
    pub range: Range,
    /// Since when that is known.
    pub since_ns: i64,
    /// Why.
    pub cause: Cause,
}

/// Numbers that were missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Which.
    pub range: Range,
    /// What closed the hole: late delivery, a journal, or a person who says that they will not come.
    pub by: What,
    /// When.
    pub at_ns: i64,
}

/// What is to be said of an emitter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gaps {
    /// Who counted.
    pub emitter: String,
    /// Envoy's node.
    pub node: String,
    /// Whether it still counts.
    pub state: State,
    /// The highest number that is known to be given out.
    pub head: i64,
    /// How many of its numbers the ledger has.
    pub taken: i64,
    /// When it last spoke.
    pub heard_ns: i64,
    /// What is missing, by number.
    pub holes: Vec<Hole>,
    /// What is missing no more, by number.
    pub closed: Vec<Closed>,
    /// Drops that it counted and did not name.
    pub unnamed_drops: i64,
    /// What of it contradicts the ledger.
    pub alarms: Vec<Quarantined>,
}

impl Gaps {
    /// Whether there is anything to look at.
    pub fn is_clean(&self) -> bool {
        !self.lacks() && self.closed.is_empty()
    }

    /// Whether the ledger lacks something of it, or was contradicted.
    pub fn lacks(&self) -> bool {
        !self.holes.is_empty() || !self.alarms.is_empty() || self.unnamed_drops > 0 || self.state == State::OpenEnd
    }

    /// How many events that could not be taken are the cause of holes.
    pub fn dead_letters(&self) -> usize {
        self.holes.iter().filter(|hole| matches!(hole.cause, Cause::DeadLetter(_))).count()
    }

    /// How many numbers are missing.
    pub fn missing(&self) -> i64 {
        self.holes.iter().fold(0, |sum, hole| sum.saturating_add(hole.range.count()))
    }
}

/// Finds the gaps of all emitters, by name.
pub fn find(reader: &dyn Reader, question: Question) -> Result<Vec<Gaps>, StoreError> {
    let mut emitters = Vec::new();
    reader.emitters(&mut |row| {
        emitters.push(row);
        Ok(())
    })?;
    let of = |(name, emitter): (String, Emitter)| {
        let notes = reader.notes(&name)?;
        let mut kept = Vec::new();
        reader.quarantined(Whose::Emitter(&name), &mut |row| {
            kept.push(row);
            Ok(())
        })?;
        Ok(gaps(name, &emitter, &notes, kept, question))
    };
    emitters.into_iter().map(of).collect()
}

/// Events that are quarantined, were not released, and name no emitter that is known.
pub fn nameless(reader: &dyn Reader) -> Result<Vec<Quarantined>, StoreError> {
    let mut known = BTreeSet::new();
    reader.emitters(&mut |(name, _)| {
        known.insert(name);
        Ok(())
    })?;
    let mut kept = Vec::new();
    reader.quarantined(Whose::All, &mut |row| {
        let is_known = row.last.number.as_ref().is_some_and(|(emitter, _)| known.contains(emitter));
        if !is_known && row.released.is_none() {
            kept.push(row);
        }
        Ok(())
    })?;
    Ok(kept)
}

/// What is to be said of one emitter, from all that is known of it.
pub fn gaps(name: String, emitter: &Emitter, notes: &[Note], kept: Vec<Quarantined>, question: Question) -> Gaps {
    let state = State::of(emitter, question);
    let head = emitter.head.max(emitter.last);
    let kept: Vec<Quarantined> = kept.into_iter().filter(|kept| kept.released.is_none()).collect();
    let causes = causes(notes, &kept);
    let alarms = kept.into_iter().filter(|kept| kept.last.alarm).collect();
    let mut holes = Vec::new();
    let mut known_since = Since::new(notes);
    for range in missing(emitter, state) {
        for (range, cause) in split(range, &causes) {
            let since_ns = known_since.of(range.first).unwrap_or(emitter.heard_ns);
            holes.push(Hole { range, since_ns, cause });
        }
    }
    let closed = notes.iter().flat_map(|note| {
        let ranges = match note.what {
            What::Delivered | What::Recovered | What::Released => vec![note.range],
            // Of what a person closed only that is told which is missing.
            What::Closed => emitter.ranges.missing(note.range),
            What::Opened | What::Full | What::Refused => Vec::new(),
        };
        ranges.into_iter().map(|range| Closed { range, by: note.what, at_ns: note.at_ns })
    });
    let closed = closed.collect();
    let is_closed = state == State::Ended(Ended::Person);
    let unnamed_drops = emitter.dropped.saturating_sub(named_drops(notes, &emitter.ranges)).max(0);
    let taken = sum(emitter.ranges.as_slice());
    Gaps {
        emitter: name,
        node: emitter.node.clone(),
        state,
        head,
        taken,
        heard_ns: emitter.heard_ns,
        holes,
        closed,
        unnamed_drops: if is_closed { 0 } else { unnamed_drops },
        alarms,
    }
}

/// The numbers that the ledger lacks, and that nobody has closed.
fn missing(emitter: &Emitter, state: State) -> Vec<Range> {
    // What lies behind the last that came may still be on its way.
    let last = if state == State::Counting { emitter.last } else { emitter.head.max(emitter.last) };
    let missing = if last < 1 { Vec::new() } else { emitter.ranges.missing(Range { first: 1, last }) };
    missing.into_iter().flat_map(|range| emitter.closed.missing(range)).collect()
}

fn sum(ranges: &[Range]) -> i64 {
    ranges.iter().fold(0, |sum, range| sum.saturating_add(range.count()))
}

/// How many numbers the emitter says by name that it dropped, without those that it delivered itself all the same: they must
/// not stand for drops that it never named.
fn named_drops(notes: &[Note], taken: &Ranges) -> i64 {
    let of = |wanted: fn(What) -> bool| -> Ranges {
        notes.iter().filter(|note| wanted(note.what)).map(|note| note.range).collect()
    };
    let dropped = of(|what| matches!(what, What::Full | What::Refused));
    let recovered = of(|what| what == What::Recovered);
    dropped.as_slice().iter().fold(0, |total, range| {
        let not_recovered = sum(&recovered.missing(*range));
        let by_a_journal = range.count().saturating_sub(not_recovered);
        total.saturating_add(sum(&taken.missing(*range))).saturating_add(by_a_journal)
    })
}

/// Where each cause begins and ends; no two overlap. What the emitter says counts more than what came of it here. What is
/// quarantined as an alarm is a cause only if it came from who may spend the emitter's numbers.
fn causes(notes: &[Note], kept: &[Quarantined]) -> BTreeMap<i64, (i64, Cause)> {
    let mut causes = BTreeMap::new();
    let mut said = Ranges::default();
    for note in notes {
        let cause = match note.what {
            What::Full => Cause::Full,
            What::Refused => Cause::Refused,
            What::Opened | What::Delivered | What::Recovered | What::Released | What::Closed => continue,
        };
        // What was said again may have grown meanwhile.
        for range in said.missing(note.range) {
            causes.insert(range.first, (range.last, cause.clone()));
        }
        said.add(note.range);
    }
    for Quarantined { last, .. } in kept.iter().filter(|kept| !kept.last.is_foreign()) {
        if let Some((_, number)) = last.number.as_ref().filter(|(_, number)| !said.contains(*number)) {
            let reason = last.reason.clone();
            let cause = if last.alarm { Cause::Alarm(reason) } else { Cause::DeadLetter(reason) };
            causes.insert(*number, (*number, cause));
        }
    }
    causes
}

/// A hole, part by part, each with its cause.
fn split(hole: Range, causes: &BTreeMap<i64, (i64, Cause)>) -> Vec<(Range, Cause)> {
    let mut parts: Vec<(Range, Cause)> = Vec::new();
    let mut next = hole.first;
    let before = causes.range(..hole.first).next_back();
    for (first, (last, cause)) in before.into_iter().chain(causes.range(hole.first..=hole.last)) {
        let range = Range { first: (*first).max(next), last: (*last).min(hole.last) };
        if range.first > range.last {
            continue;
        }
        if next < range.first {
            parts.push((Range { first: next, last: range.first.saturating_sub(1) }, Cause::Unknown));
        }
        next = range.last.saturating_add(1);
        match parts.last_mut() {
            Some((before, same)) if *same == *cause && before.last.saturating_add(1) == range.first => {
                before.last = range.last;
            }
            _ => parts.push((range, cause.clone())),
        }
    }
    if next <= hole.last {
        parts.push((Range { first: next, last: hole.last }, Cause::Unknown));
    }
    parts
}

/// Since when it is known that numbers are missing: a later one came before them, or the emitter spoke of them. To be
/// asked in the order of the numbers, so that the notes are gone through once.
struct Since<'a> {
    /// By their first numbers; those up to the number that was asked for last are gone.
    notes: Peekable<std::vec::IntoIter<&'a Note>>,
    /// When each of those became known, the earliest on top, and up to where it holds.
    known: BinaryHeap<Reverse<(i64, i64)>>,
}

impl<'a> Since<'a> {
    fn new(notes: &'a [Note]) -> Since<'a> {
        let is_about = |note: &&Note| matches!(note.what, What::Opened | What::Full | What::Refused);
        let mut about: Vec<&Note> = notes.iter().filter(is_about).collect();
        about.sort_by_key(|note| note.range);
        Since { notes: about.into_iter().peekable(), known: BinaryHeap::new() }
    }

    fn of(&mut self, number: i64) -> Option<i64> {
        while let Some(note) = self.notes.next_if(|note| note.range.first <= number) {
            self.known.push(Reverse((note.at_ns, note.range.last)));
        }
        while let Some(Reverse((at_ns, last))) = self.known.peek() {
            if number <= *last {
                return Some(*at_ns);
            }
            self.known.pop();
        }
        None
    }
}

#[cfg(test)]
mod tests;

//! What must hold when a schedule is over.

use collector::gaps::{self, Cause, Question, State};
use collector::money::Charge;
use collector::store::emitters::{Ended, What};
use collector::store::entry::{Hash, Kind as Entered};
use collector::store::ranges::{Range, Ranges};

use crate::calls::{Counts, Kind};
use crate::disk::Disk;
use crate::nature::Violation;
use crate::oracle::{Mark, Oracle, Seen};
use crate::truth::{Fate, Kept, Life, Told, Truth};

mod sums;

use sums::{charges, sums};

/// What was done before the laws are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// The journals were read back, and every end that they know was closed.
    pub closed: bool,
    /// The price that came late is there.
    pub late_price: bool,
    /// Now, by the collectors' clock.
    pub now_ns: i64,
}

type Held = Result<(), Violation>;

fn broken(law: &'static str, found: String) -> Held {
    Err(Violation::new(law, found))
}

/// Asks all laws.
pub fn check(truth: &Truth, disk: &Disk, oracle: &Oracle, when: When) -> Held {
    chain(disk)?;
    entries(truth, disk, oracle, when)?;
    sums(disk, oracle, when)?;
    emitters(truth, disk, oracle)?;
    quarantined(disk, oracle)?;
    named_gaps(truth, disk, oracle, when)?;
    truth.records.iter().try_for_each(|told| conserved(truth, oracle, told))?;
    truth.emitters.iter().enumerate().try_for_each(|(index, _)| ends(truth, oracle, index, when))
}

/// Every writer's entries have the numbers from 1 without holes, each tied to the one before.
fn chain(disk: &Disk) -> Held {
    for (writer, head) in &disk.heads {
        let (mut number, mut hash) = (0, Hash::default());
        for entry in disk.memory.entries.iter().filter(|entry| entry.id.writer == *writer) {
            number += 1;
            if entry.id.number != number || entry.hash != entry.hash_after(&hash) {
                return broken("the chain is whole", format!("entry {} is not number {number} of it", entry.id));
            }
            hash = entry.hash;
        }
        if (head.entry.number, head.hash) != (number, hash) {
            return broken("the chain is whole", format!("writer {writer} ends at {}, not {number}", head.entry));
        }
    }
    Ok(())
}

/// An amount in femto-USD, the highest number if it is no whole one: the prices of the simulation have 9 decimals.
fn femto(charge: Charge) -> i128 {
    let yocto = charge.yocto_usd();
    if yocto % 1_000_000_000 == 0 { yocto / 1_000_000_000 } else { i128::MAX }
}

/// Every record stands in the ledger once, byte for byte, at its price.
fn entries(truth: &Truth, disk: &Disk, oracle: &Oracle, when: When) -> Held {
    const LAW: &str = "every record stands in the ledger once";
    let mut stands: Vec<Vec<bool>> =
        truth.emitters.iter().map(|emitter| vec![false; emitter.spent as usize + 1]).collect();
    let (mut count, mut total, mut own_names) = (0, Charge::default(), 0);
    for entry in &disk.memory.entries {
        total = total.checked_add(entry.charge).unwrap_or_default();
        if !entry.kind.is_record() {
            continue;
        }
        count += 1;
        let id = format!("{}-{}", entry.emitter, entry.sequence);
        let cost = |counts: &Counts, late| counts.charges(late).into_iter().flatten().sum::<i128>();
        let femto = femto(entry.charge);
        if entry.emitter.starts_with("release:") {
            // Its number is another record's.
            let event = entry.event.as_deref().unwrap_or_default().as_bytes();
            let right = match oracle.released.get(event) {
                Some(Some(counts)) => femto == cost(counts, false) || when.late_price && femto == cost(counts, true),
                Some(None) => entry.kind == Entered::Copy && femto == 0,
                None => false,
            };
            own_names += 1;
            if !right {
                return broken(LAW, format!("{id} was not released so"));
            }
            continue;
        }
        let Some(emitter) = truth.names.get(&entry.emitter) else { return broken(LAW, format!("{id} is nobody's")) };
        let number = entry.sequence as u64;
        let Some(told) = truth.of(*emitter, number) else { return broken(LAW, format!("{id} was never counted")) };
        if std::mem::replace(&mut stands[*emitter][number as usize], true) {
            return broken(LAW, format!("{id} is charged twice"));
        }
        if entry.event.as_deref().map(str::as_bytes) != Some(&told.event) {
            return broken(LAW, format!("{id} stands there with other content"));
        }
        let Mark { entered, copy, .. } = oracle.seen[*emitter].get(number);
        if !entered || copy != (entry.kind == Entered::Copy) {
            return broken(LAW, format!("{id} is a {}; entered {entered}, a copy {copy}", entry.kind.as_str()));
        }
        let (early, late) = (cost(&told.counts, false), cost(&told.counts, true));
        let right = if copy { femto == 0 } else { femto == early || when.late_price && femto == late };
        if !right {
            return broken(LAW, format!("{id} costs {} instead of {:?}", entry.charge, told.counts));
        }
    }
    let mut names: Vec<&str> = disk
        .memory
        .entries
        .iter()
        .filter(|entry| entry.kind.is_record())
        .map(|entry| entry.emitter.as_str())
        .filter(|name| name.starts_with("release:"))
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.len() != own_names {
        return broken(LAW, "what was released is charged twice".to_owned());
    }
    if count != oracle.entered {
        return broken(LAW, format!("{count} records instead of {}", oracle.entered));
    }
    let due: i128 = oracle.sums.iter().flat_map(|(group, sum)| charges(*group, *sum, when.late_price)).flatten().sum();
    if femto(total) != due {
        return broken("the entries cost what the calls cost", format!("{total} USD; femto-USD due: {due}"));
    }
    Ok(())
}

/// What is known of the emitters is what they delivered and said.
fn emitters(truth: &Truth, disk: &Disk, oracle: &Oracle) -> Held {
    const LAW: &str = "an emitter's ranges are its entries";
    for (emitter, seen) in truth.emitters.iter().zip(&oracle.seen) {
        let name = &emitter.name;
        let Some(found) = disk.memory.emitters.get(name) else {
            if seen.known {
                return broken(LAW, format!("{name} is not known"));
            }
            continue;
        };
        let ranges = ranges(seen, |mark| mark.entered);
        if found.ranges.as_slice() != ranges.as_slice() {
            return broken(LAW, format!("{name}: {:?} instead of {ranges:?}", found.ranges.as_slice()));
        }
        let ended = seen.ended.map(|journal| if journal { Ended::Journal } else { Ended::Emitter });
        let is = (found.last, found.head, found.dropped, found.ended, found.credential.as_str());
        let due = (seen.last as i64, seen.head as i64, seen.dropped as i64, ended, seen.credential);
        if is != due {
            return broken("an emitter is what it said", format!("{name}: {is:?} instead of {due:?}"));
        }
        notes(name, disk, seen)?;
    }
    Ok(())
}

/// What happened to each number.
fn notes(name: &str, disk: &Disk, seen: &Seen) -> Held {
    let mut found = Seen::default();
    let begin = collector::store::emitters::Note {
        emitter: name.to_owned(),
        range: Range { first: i64::MIN, last: i64::MIN },
        what: What::Opened,
        at_ns: i64::MIN,
    };
    for note in disk.memory.notes.range(begin..).take_while(|note| note.emitter == name) {
        for number in note.range.first..=note.range.last {
            let mark = found.mark(number as u64);
            let flag = match note.what {
                What::Opened => &mut mark.opened,
                What::Delivered => &mut mark.delivered,
                What::Recovered => &mut mark.recovered,
                What::Released => &mut mark.released,
                What::Full => &mut mark.full,
                What::Refused => &mut mark.refused,
                // Nobody closes an emitter here.
                What::Closed => continue,
            };
            *flag = true;
        }
    }
    for number in 0..seen.marks.len().max(found.marks.len()) as u64 {
        let due = Mark { entered: false, copy: false, dead: false, beyond: false, ..seen.get(number) };
        if found.get(number) != due {
            let found = found.get(number);
            return broken("every hole has its history", format!("{name}-{number}: {found:?} instead of {due:?}"));
        }
    }
    Ok(())
}

/// What contradicts the ledger, and what cannot be read, is quarantined.
fn quarantined(disk: &Disk, oracle: &Oracle) -> Held {
    let events = disk.memory.quarantined.iter();
    let alarms = events.clone().filter(|event| event.alarm).count() as u64;
    let dead = events.filter(|event| !event.alarm).count() as u64;
    if alarms != oracle.alarms || dead != oracle.dead {
        let found = format!("{alarms} alarms of {}, {dead} dead letters of {}", oracle.alarms, oracle.dead);
        return broken("what is not taken is quarantined", found);
    }
    let possible: i64 = disk.memory.possible.values().map(|noted| noted.records).sum();
    if possible as u64 != oracle.twins.possible {
        let found = format!("{possible} instead of {}", oracle.twins.possible);
        return broken("what may be a copy is noted", found);
    }
    Ok(())
}

/// `meshmeter gaps` names what the oracle names.
fn named_gaps(truth: &Truth, disk: &Disk, oracle: &Oracle, when: When) -> Held {
    const LAW: &str = "gaps names every hole with its cause";
    // Long after: whoever has not said that it ended has fallen silent.
    let question = Question { now_ns: when.now_ns.saturating_add(3_600_000_000_000), silent_after_ns: 900_000_000_000 };
    let all = match gaps::find(&disk.memory, question) {
        Ok(all) => all,
        Err(error) => return broken(LAW, error.to_string()),
    };
    for gaps in all {
        if gaps.emitter.starts_with("release:") {
            continue;
        }
        let Some(index) = truth.names.get(&gaps.emitter) else { return broken(LAW, gaps.emitter) };
        let (name, seen) = (&gaps.emitter, &oracle.seen[*index]);
        let state = match seen.ended {
            Some(journal) => State::Ended(if journal { Ended::Journal } else { Ended::Emitter }),
            None => State::OpenEnd,
        };
        let head = seen.head.max(seen.last);
        let taken = (1..=head).filter(|number| seen.get(*number).entered).count() as i64;
        if (gaps.state, gaps.head, gaps.taken) != (state, head as i64, taken) {
            let found = format!("{name}: {:?} {} of {}", gaps.state, gaps.taken, gaps.head);
            return broken(LAW, format!("{found} instead of {state:?} {taken} of {head}"));
        }
        let mut holes = vec![None; head as usize + 1];
        for hole in &gaps.holes {
            for number in hole.range.first..=hole.range.last {
                match holes.get_mut(number as usize) {
                    Some(place @ None) => *place = Some(hole.cause.as_str()),
                    _ => return broken(LAW, format!("{name}-{number}: twice, or behind the head")),
                }
            }
        }
        for number in 1..=head {
            let mark = seen.get(number);
            let due = (!mark.entered).then(|| {
                match () {
                    () if mark.full => Cause::Full,
                    () if mark.refused => Cause::Refused,
                    () if mark.dead => Cause::DeadLetter(String::new()),
                    () if mark.beyond => Cause::Alarm(String::new()),
                    () => Cause::Unknown,
                }
                .as_str()
            });
            if holes[number as usize] != due {
                return broken(LAW, format!("{name}-{number}: {:?} instead of {due:?}", holes[number as usize]));
            }
        }
    }
    Ok(())
}

/// Every record is in the ledger; or waits in a living outbox; or is named as dropped, refused or unreadable; or went with
/// its emitter, and then lies in a hole or behind an open end.
fn conserved(truth: &Truth, oracle: &Oracle, told: &Told) -> Held {
    const LAW: &str = "no record is lost";
    let emitter = &truth.emitters[told.emitter];
    let Some(number) = told.number else {
        return broken(LAW, format!("{}: a record without a number", emitter.name));
    };
    let seen = oracle.seen.get(told.emitter).cloned().unwrap_or_default();
    let mark = seen.get(number);
    let is_this = truth.of(told.emitter, number).is_some_and(|first| std::ptr::eq(first, told));
    if !is_this {
        return broken(LAW, format!("{}-{number}: another record has its number", emitter.name));
    }
    // Named: the ledger knows that there was something, or that it does not know how far this emitter counted.
    let is_hole = number <= seen.head.max(seen.last);
    let is_open = seen.ended.is_none();
    let fate = told.fate;
    let fine = match (told.kind, fate) {
        _ if mark.entered => true,
        (Kind::DeadLetter, _) if mark.dead => true,
        (Kind::Beyond, _) if mark.beyond => true,
        _ if told.kept == Kept::Read && matches!(told.kind, Kind::Good | Kind::Offensive | Kind::Beyond) => false,
        (_, Fate::Acknowledged) => false,
        // The journal is read to its end, and it is not there: nobody can know of it any more.
        (_, Fate::Queued | Fate::Full | Fate::Rejected) if seen.ended == Some(true) && told.kept == Kept::Lost => true,
        (_, Fate::Queued) => emitter.life == Life::Killed && (is_hole || is_open),
        (_, Fate::Full | Fate::Rejected) => {
            let named = if fate == Fate::Full { mark.full } else { mark.refused };
            // It was never asked again, or has nobody to tell.
            let untold = match emitter.life {
                Life::Living | Life::Leaving => emitter.deaf || emitter.mute || !emitter.listens,
                Life::Ended => !emitter.listens || emitter.deaf,
                Life::Killed => true,
            };
            named || untold && (is_hole || is_open)
        }
    };
    if fine {
        return Ok(());
    }
    let found = format!(
        "{}-{number} ({:?}, {fate:?}, {:?} in the journal, its emitter {:?}): {mark:?}, head {}, last {}, ended {:?}",
        emitter.name, told.kind, told.kept, emitter.life, seen.head, seen.last, seen.ended
    );
    broken(LAW, found)
}

/// Who ended in order has ended, and who did not has an open end until the journal closes it.
fn ends(truth: &Truth, oracle: &Oracle, index: usize, when: When) -> Held {
    const LAW: &str = "an end is said by who ended";
    let (emitter, Some(seen)) = (&truth.emitters[index], oracle.seen.get(index)) else { return Ok(()) };
    let name = &emitter.name;
    match seen.ended {
        Some(false) if emitter.life == Life::Living => broken(LAW, format!("{name} lives")),
        Some(false) if seen.head < emitter.spent => {
            broken(LAW, format!("{name} ended at {} and counted to {}", seen.head, emitter.spent))
        }
        None if emitter.life == Life::Ended && emitter.spent > 0 && emitter.listens && !emitter.deaf => {
            broken(LAW, format!("{name} ended in order, and nobody knows"))
        }
        None if when.closed => {
            let durable = |index: &usize| {
                let told = &truth.records[*index];
                told.kept == Kept::Read && told.kind != Kind::Broken
            };
            if emitter.records.iter().any(durable) {
                return broken(LAW, format!("{name}: its journal was read, and its end is open"));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn ranges(seen: &Seen, wanted: impl Fn(&Mark) -> bool) -> Ranges {
    let numbers = seen.marks.iter().enumerate().filter(|(_, mark)| wanted(mark));
    let mut ranges: Vec<Range> = Vec::new();
    for (number, _) in numbers {
        let number = number as i64;
        match ranges.last_mut() {
            Some(range) if range.last + 1 == number => range.last = number,
            _ => ranges.push(Range { first: number, last: number }),
        }
    }
    Ranges::stored(ranges)
}

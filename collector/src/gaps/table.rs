//! Gaps for the eye: a line for each hole, each open end and each alarm.

use comfy_table::{Table, presets};
use jiff::{Timestamp, Unit};

use super::{Cause, Gaps, State};
use crate::store::Quarantined;
use crate::terminal::printable;

/// A time, to the millisecond.
pub fn time(ns: i64) -> String {
    let time = Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default();
    time.round(Unit::Millisecond).unwrap_or(time).to_string()
}

/// All alarms.
pub fn alarms(gaps: &[Gaps], nameless: &[Quarantined]) -> usize {
    let nameless = nameless.iter().filter(|kept| kept.last.alarm).count();
    gaps.iter().fold(nameless, |sum, gaps| sum.saturating_add(gaps.alarms.len()))
}

/// What is to be looked at, then one line that sums it up; `known` is how many emitters there are, shown or not.
pub fn render(gaps: &[Gaps], nameless: &[Quarantined], known: usize) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["emitter", "node", "numbers", "count", "what", "since", "why"]);
    let numbers = |first: i64, last: i64| if first == last { first.to_string() } else { format!("{first}-{last}") };
    let (mut rows, mut missing, mut open_ends, mut dead_letters) = (0_usize, 0_i64, 0_usize, nameless.len());
    let mut row = |cells: [String; 7]| {
        rows = rows.saturating_add(1);
        table.add_row(cells);
    };
    for gaps in gaps {
        let of = |cells: [String; 5]| {
            let [a, b, c, d, e] = cells;
            [printable(&gaps.emitter), printable(&gaps.node), a, b, c, d, e]
        };
        missing = missing.saturating_add(gaps.missing());
        dead_letters = dead_letters.saturating_add(gaps.dead_letters());
        for hole in &gaps.holes {
            let why = match &hole.cause {
                Cause::Full => "dropped: the outbox was full".to_owned(),
                Cause::Refused => "dropped: a collector refused it as unreadable".to_owned(),
                Cause::DeadLetter(reason) => format!("dead letter: {}", printable(reason)),
                Cause::Alarm(reason) => format!("quarantined: {}", printable(reason)),
                Cause::Unknown => "unknown".to_owned(),
            };
            let count = hole.range.count().to_string();
            let which = numbers(hole.range.first, hole.range.last);
            row(of([which, count, "missing".into(), time(hole.since_ns), why]));
        }
        if gaps.unnamed_drops > 0 {
            let count = gaps.unnamed_drops.to_string();
            row(of([
                "?".into(),
                count,
                "dropped".into(),
                time(gaps.heard_ns),
                "counted by the emitter, not named".into(),
            ]));
        }
        if gaps.state == State::OpenEnd {
            open_ends = open_ends.saturating_add(1);
            let behind = format!("{}-?", gaps.head.saturating_add(1));
            let why = "silent without a final flush: reconcile its journal";
            row(of([behind, "?".into(), "open end".into(), time(gaps.heard_ns), why.into()]));
        }
        for closed in &gaps.closed {
            let by = match closed.by.as_str() {
                "recovered" => "closed by a journal",
                "released" => "released by a person",
                "closed" => "missing, closed by a person",
                _ => "closed by late delivery",
            };
            let count = closed.range.count().to_string();
            let which = numbers(closed.range.first, closed.range.last);
            row(of([which, count, "closed".into(), time(closed.at_ns), by.into()]));
        }
        for alarm in &gaps.alarms {
            let which = alarm.last.number.as_ref().map_or("?".to_owned(), |(_, number)| number.to_string());
            let why = format!("{} (sent by {})", printable(&alarm.last.reason), printable(&alarm.last.credential));
            row(of([which, alarm.deliveries.to_string(), "ALARM".into(), time(alarm.first_received_ns), why]));
        }
    }
    for kept in nameless {
        let why = format!("{} (sent by {})", printable(&kept.last.reason), printable(&kept.last.credential));
        let count = kept.deliveries.to_string();
        let what = if kept.last.alarm { "ALARM" } else { "dead letter" };
        let (emitter, which) = match &kept.last.number {
            Some((emitter, number)) => (emitter.clone(), number.to_string()),
            None => ("?".into(), "?".into()),
        };
        row([emitter, String::new(), which, count, what.into(), time(kept.first_received_ns), why]);
    }
    let sum = format!(
        "{known} emitters, {missing} numbers missing, {open_ends} open ends, {} alarms, {dead_letters} dead letters\n",
        alarms(gaps, nameless)
    );
    match (rows, known) {
        (0, 0) => "nothing was ever received: no emitter is known\n".to_owned(),
        (0, _) => format!("no gaps: {sum}"),
        _ => format!("{table}\n\n{sum}"),
    }
}

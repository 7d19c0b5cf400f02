//! Gaps as JSON: for alerts, and for programs that compare.

use serde::Serialize;

use super::{Cause, Gaps, State, table};
use crate::store::Quarantined;
use crate::terminal;
use table::time;

#[derive(Serialize)]
struct Document<'a> {
    emitters: Vec<Emitter<'a>>,
    /// Events that are quarantined and name no emitter that is known.
    nameless: Vec<Apart>,
    totals: Totals,
}

#[derive(Default, Serialize)]
struct Totals {
    emitters: usize,
    open_ends: usize,
    missing: i64,
    unnamed_drops: i64,
    alarms: usize,
    /// Events that could not be taken: those of no known emitter, and those that left a hole.
    dead_letters: usize,
}

#[derive(Serialize)]
struct Emitter<'a> {
    emitter: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    node: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<&'static str>,
    head: i64,
    taken: i64,
    heard: String,
    missing: i64,
    unnamed_drops: i64,
    holes: Vec<Hole<'a>>,
    closed: Vec<Closed>,
    alarms: Vec<Apart>,
}

#[derive(Serialize)]
struct Hole<'a> {
    first: i64,
    last: i64,
    since: String,
    cause: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Closed {
    first: i64,
    last: i64,
    by: &'static str,
    at: String,
}

#[derive(Serialize)]
struct Apart {
    #[serde(skip_serializing_if = "Option::is_none")]
    emitter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<i64>,
    kind: &'static str,
    reason: String,
    credential: String,
    deliveries: i64,
    first_received: String,
    last_received: String,
}

/// All of it, one line of JSON.
pub fn render(gaps: &[Gaps], nameless: &[Quarantined]) -> Result<String, String> {
    let alarms = table::alarms(gaps, nameless);
    let mut totals = Totals {
        emitters: gaps.len(),
        alarms,
        dead_letters: nameless.iter().filter(|kept| !kept.last.alarm).count(),
        ..Totals::default()
    };
    for gaps in gaps {
        totals.open_ends = totals.open_ends.saturating_add(usize::from(gaps.state == State::OpenEnd));
        totals.missing = totals.missing.saturating_add(gaps.missing());
        totals.unnamed_drops = totals.unnamed_drops.saturating_add(gaps.unnamed_drops);
        totals.dead_letters = totals.dead_letters.saturating_add(gaps.dead_letters());
    }
    let emitters = gaps.iter().map(emitter).collect();
    let document = Document { emitters, nameless: nameless.iter().map(apart).collect(), totals };
    let text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())?;
    Ok(terminal::json(&text) + "\n")
}

fn emitter(gaps: &Gaps) -> Emitter<'_> {
    Emitter {
        emitter: &gaps.emitter,
        node: &gaps.node,
        state: gaps.state.as_str(),
        ended_by: match gaps.state {
            State::Ended(by) => Some(by.as_str()),
            State::Counting | State::OpenEnd => None,
        },
        head: gaps.head,
        taken: gaps.taken,
        heard: time(gaps.heard_ns),
        missing: gaps.missing(),
        unnamed_drops: gaps.unnamed_drops,
        holes: gaps
            .holes
            .iter()
            .map(|hole| Hole {
                first: hole.range.first,
                last: hole.range.last,
                since: time(hole.since_ns),
                cause: hole.cause.as_str(),
                reason: match &hole.cause {
                    Cause::DeadLetter(reason) | Cause::Alarm(reason) => Some(reason),
                    Cause::Full | Cause::Refused | Cause::Unknown => None,
                },
            })
            .collect(),
        closed: gaps
            .closed
            .iter()
            .map(|closed| Closed {
                first: closed.range.first,
                last: closed.range.last,
                by: closed.by.as_str(),
                at: time(closed.at_ns),
            })
            .collect(),
        alarms: gaps.alarms.iter().map(apart).collect(),
    }
}

fn apart(kept: &Quarantined) -> Apart {
    Apart {
        emitter: kept.last.number.as_ref().map(|(emitter, _)| emitter.clone()),
        sequence: kept.last.number.as_ref().map(|(_, number)| *number),
        kind: if kept.last.alarm { "alarm" } else { "dead_letter" },
        reason: kept.last.reason.clone(),
        credential: kept.last.credential.clone(),
        deliveries: kept.deliveries,
        first_received: time(kept.first_received_ns),
        last_received: time(kept.last.received_ns),
    }
}

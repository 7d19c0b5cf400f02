//! What must hold of a ledger, whatever came.

use crate::database::memory::Memory;
use crate::gaps::{self, Question, State};
use crate::ingest::missing;
use crate::report::{self, Report};
use crate::store::emitters::Ended;
use crate::store::entry::{Entry, Kind};
use crate::store::ranges::Range;
use crate::verify::verify;

use super::NOW_NS;

/// How much is kept.
pub struct Kept {
    pub entries: usize,
    pub quarantined: usize,
}

impl Kept {
    pub fn of(store: &Memory) -> Kept {
        Kept { entries: store.entries.len(), quarantined: store.quarantined.len() }
    }
}

/// Nothing that is charged or counted is another.
pub fn unchanged(before: &Memory, after: &Memory) {
    assert_eq!(before.head, after.head);
    assert_eq!(before.entries.len(), after.entries.len());
    // A journal that is read again closes an end again that its emitter opened meanwhile.
    let without_journals = |store: &Memory| {
        let mut emitters = store.emitters.clone();
        emitters.values_mut().for_each(|emitter| emitter.ended = emitter.ended.filter(|by| *by == Ended::Emitter));
        emitters
    };
    assert_eq!(without_journals(before), without_journals(after));
    assert_eq!(before.responses, after.responses);
    assert_eq!(before.sums, after.sums);
}

/// The chain and the sums are right, and every question has a response.
pub fn hold(store: &Memory) {
    let heads = verify(store, &[store.head], || ()).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(heads, [store.head]);
    // Everybody has been silent for too long, then nobody.
    for silent_after_ns in [-1, i64::MAX] {
        let all = gaps::find(store, Question { now_ns: NOW_NS, silent_after_ns }).unwrap();
        assert_eq!(all.len(), store.emitters.len());
        for gaps in &all {
            let emitter = &store.emitters[&gaps.emitter];
            let of_emitter = |kind: Kind, name: &str| kind.is_record() && name == gaps.emitter;
            let entries = store.entries.iter().filter(|entry| of_emitter(entry.kind, &entry.emitter)).count();
            assert_eq!(gaps.taken, entries as i64);
            let end = if gaps.state == State::Counting { emitter.last } else { gaps.head };
            assert_eq!(gaps.missing() + gaps.taken, end, "every number is there or missing");
            let apart = gaps.holes.windows(2).all(|pair| pair[0].range.last < pair[1].range.first);
            assert!(apart, "holes in their order, none twice");
            missing::missing(store, &gaps.emitter, Range { first: 1, last: i64::MAX }).unwrap();
        }
        let nameless = gaps::nameless(store).unwrap();
        gaps::table(&all, &nameless, all.len());
        gaps::json(&all, &nameless).unwrap();
    }
    use report::Format::{Csv, Json, Markdown, Table};
    // From the sums, and from the entries.
    for by in ["day,month,tenant,model", "hour,tenant:1,principal,session,trace,tag:task"] {
        let by = report::dimensions(by).unwrap();
        let question = report::Question { by, round: Some(2), ..report::Question::default() };
        let report = Report::of(store, question).unwrap_or_else(|error| panic!("{error}"));
        for format in [Table, Json, Csv, Markdown] {
            report.render(format).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

/// Any bytes as a question about what is missing: the response is about what was asked, and names nothing that is there.
pub fn missing(store: &Memory, body: &[u8]) {
    let Ok(wanted) = missing::question(body) else { return };
    let response = missing::response(store, wanted.clone()).unwrap();
    for (emitter, holes) in missing::question(response.as_bytes()).expect("a response is a question") {
        assert!(holes.windows(2).all(|pair| pair[0][1] < pair[1][0]), "in their order, none twice");
        for [first, last] in holes {
            let is_asked = |number: i64| wanted[&emitter].iter().any(|range| (range[0]..=range[1]).contains(&number));
            assert!(is_asked(first) && is_asked(last), "{first}-{last} was not asked for");
            let is_there = |entry: &Entry| entry.emitter == emitter && (first..=last).contains(&entry.sequence);
            assert!(!store.entries.iter().any(is_there), "{first}-{last}: some of it is there");
        }
    }
}

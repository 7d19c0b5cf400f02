//! Recorded calls of which is known what they owe are charged that.
//!
//! The project's own recordings (`tests/recordings`) are always checked. `MESHMETER_REPORTS` names a further directory, of calls
//! that meters got wrong in public.
//! `just corpus DIR --prices` shows the differences one by one.

// The event of a call alone is what others want who include it.
#[allow(dead_code)]
#[path = "../../meter/examples/corpus/native.rs"]
mod native;
#[allow(dead_code)]
#[path = "../examples/corpus-prices/rated.rs"]
mod rated;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use corpus::{Corpus, Tally, exceptions};
use native::Feed;
use rated::{Books, Charged};
use serde_json::Value;

/// Where a truth cannot be met, or is wrong: a list item each, beginning with the id in backticks.
const EXCEPTIONS: &str = include_str!("prices-exceptions.md");

/// Every recording of a directory rated by the built-in book, as one piece and in small ones.
fn rated(dir: &Path) -> (Corpus, Tally) {
    let corpus = Corpus::read(dir).unwrap();
    let books = Books::load(&[]).unwrap();
    let mut tally = Tally::default();
    for (recording, truth) in &corpus.recordings {
        let fed = |piece| {
            let run = native::run(&corpus, recording, Feed { piece, encoded: false }).unwrap();
            rated::call(&books, &run.records).unwrap()
        };
        let (charged, bill) = fed(usize::MAX);
        assert_eq!(fed(7).1, bill, "{}: the split changes the charge", recording.id);
        let events: Vec<Value> = charged.into_iter().map(|Charged { event, .. }| event).collect();
        tally.add(recording, truth, events.first());
        tally.add_bill(recording, truth, &events, &bill);
    }
    println!("{}", tally.table());
    (corpus, tally)
}

#[test]
fn fidelity_own_recordings_are_charged_what_they_owe_by_the_built_in_book() {
    let (_, tally) = rated(&corpus::own());
    assert!(tally.differences.is_empty(), "{:#?}", tally.differences);
}

#[test]
fn fidelity_reported_calls_are_charged_what_they_owe_by_the_built_in_book() {
    let dir = std::env::var_os("MESHMETER_REPORTS").map_or_else(corpus::own, PathBuf::from);
    let (corpus, tally) = rated(&dir);
    // What has no price in any list is said, and not counted against the book here.
    let differs = |difference: &&Value| difference["problem"] != "commercial and unpriced";
    let ids: BTreeSet<&str> = tally.differences.iter().filter(differs).filter_map(|d| d["id"].as_str()).collect();
    let excepted = exceptions(EXCEPTIONS);
    let new: Vec<&Value> =
        tally.differences.iter().filter(differs).filter(|d| !excepted.contains(d["id"].as_str().unwrap())).collect();
    assert!(new.is_empty(), "neither exact nor in prices-exceptions.md: {new:#?}");
    let present = corpus.recordings.iter().map(|(recording, _)| recording.id.as_str());
    let solved: Vec<&str> = present.filter(|id| excepted.contains(id) && !ids.contains(id)).collect();
    assert!(solved.is_empty(), "exact, and still in prices-exceptions.md: {solved:?}");
}

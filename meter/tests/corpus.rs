//! Real recorded responses give the counts of a full parse, as one piece and in small pieces.
//!
//! `MESHMETER_CORPUS` names a directory of recordings; without it the crate's own cases have to do, and the skip is
//! printed. `just corpus DIR` shows the differences one by one.
#![cfg(not(target_arch = "wasm32"))]

#[path = "../examples/corpus/native.rs"]
mod native;

use std::collections::BTreeSet;

use corpus::{Corpus, Tally, exceptions};
use native::Feed;

/// Where the truth of a recording is wrong: a list item each, beginning with the id in backticks.
const EXCEPTIONS: &str = include_str!("corpus-exceptions.md");

#[test]
fn fidelity_recorded_responses_give_the_counts_of_a_full_parse() {
    let Some(dir) = std::env::var_os("MESHMETER_CORPUS") else {
        println!("skipped: MESHMETER_CORPUS is not set, no recordings to compare with");
        return;
    };
    let corpus = Corpus::read(dir.as_ref()).unwrap();
    let mut tally = Tally::default();
    for (recording, truth) in &corpus.recordings {
        let fed = |piece| native::run(&corpus, recording, Feed { piece, encoded: false }).unwrap();
        let (run, split) = (fed(usize::MAX), fed(7));
        let whole = run.event().unwrap();
        assert_eq!(split.event().unwrap(), whole, "{}: the split changes the event", recording.id);
        assert_eq!((&run.change, &split.change), (&None, &None), "{}", recording.id);
        let flags = whole.as_ref().map(|event| event["data"]["flags"].to_string()).unwrap_or_default();
        assert!(
            !flags.contains("implausible_count"),
            "{}: what a provider really counted is no nonsense",
            recording.id
        );
        tally.add(recording, truth, whole.as_ref());
    }
    println!("{}", tally.table());
    let excepted = exceptions(EXCEPTIONS);
    let known = |id: &str| excepted.contains(id);
    let (known, new): (Vec<_>, Vec<_>) =
        tally.differences.iter().partition(|difference| difference["id"].as_str().is_some_and(known));
    let new: String = new.iter().map(|difference| format!("{difference}\n")).collect();
    assert!(new.is_empty(), "neither exact nor in corpus-exceptions.md:\n{new}");
    let found: BTreeSet<&str> = known.iter().filter_map(|difference| difference["id"].as_str()).collect();
    let present = corpus.recordings.iter().map(|(recording, _)| recording.id.as_str());
    let solved: Vec<&str> = present.filter(|id| excepted.contains(id) && !found.contains(id)).collect();
    assert!(solved.is_empty(), "exact, and still in corpus-exceptions.md: {solved:?}");
}

//! Recorded responses give the counts of a full parse, as one piece and in small pieces.
//!
//! The project's own recordings (`tests/recordings`) are always checked. `MESHMETER_CORPUS` names a further directory, of
//! responses that providers really gave. `just corpus DIR` shows the differences one by one.
#![cfg(not(target_arch = "wasm32"))]

#[path = "../examples/corpus/native.rs"]
mod native;

use std::collections::BTreeSet;
use std::path::PathBuf;

use corpus::{Corpus, Recording, Tally, Truth, exceptions, record_differences};
use meter::provider::Api;
use native::Feed;
use serde_json::Value;

/// Where the truth of a recording is wrong: a list item each, beginning with the id in backticks.
const EXCEPTIONS: &str = include_str!("corpus-exceptions.md");

/// Sizes at which events, numbers, escapes and line ends are cut in all places.
const PIECES: [usize; 7] = [1, 2, 3, 5, 7, 61, 1000];

/// The event of a recording, which is the same however its body is split.
fn event(corpus: &Corpus, recording: &Recording, pieces: &[usize], encoded: bool) -> Option<Value> {
    let id = &recording.id;
    let fed = |piece| {
        let run = native::run(corpus, recording, Feed { piece, encoded }).unwrap();
        assert_eq!(run.change, None, "{id}: the client sees something else");
        run.event().unwrap()
    };
    let whole = fed(usize::MAX);
    for &piece in pieces {
        assert_eq!(fed(piece), whole, "{id}: pieces of {piece} bytes change the event");
    }
    let flags = whole.as_ref().map(|event| event["data"]["flags"].to_string()).unwrap_or_default();
    assert!(!flags.contains("implausible_count"), "{id}: what a provider really counted is no nonsense");
    whole
}

#[test]
fn fidelity_own_recordings_give_what_their_truth_says() {
    let corpus = Corpus::read(&corpus::own()).unwrap();
    let mut tally = Tally::default();
    let mut apis = BTreeSet::new();
    for (recording, truth) in &corpus.recordings {
        let plain = event(&corpus, recording, &PIECES, false);
        let encoded = corpus.encoded(recording).unwrap().map(|_| event(&corpus, recording, &PIECES, true));
        for event in std::iter::once(plain).chain(encoded) {
            apis.extend(event.as_ref().and_then(|event| Some(event["data"]["api"].as_str()?.to_owned())));
            check(&mut tally, recording, truth, event);
        }
    }
    assert!(tally.differences.is_empty(), "{:#?}", tally.differences);
    let missing: Vec<_> = Api::ALL.iter().map(|api| api.as_str()).filter(|api| !apis.contains(*api)).collect();
    assert!(missing.is_empty(), "no recording of {missing:?}");
}

/// The totals, and whatever else the truth says.
fn check(tally: &mut Tally, recording: &Recording, truth: &Truth, event: Option<Value>) {
    tally.add(recording, truth, event.as_ref());
    for difference in record_differences(truth, event.as_slice()) {
        tally.note(recording, &difference);
    }
}

#[test]
fn fidelity_recorded_responses_give_the_counts_of_a_full_parse() {
    let dir = std::env::var_os("MESHMETER_CORPUS").map_or_else(corpus::own, PathBuf::from);
    let corpus = Corpus::read(&dir).unwrap();
    let mut tally = Tally::default();
    for (recording, truth) in &corpus.recordings {
        tally.add(recording, truth, event(&corpus, recording, &[7], false).as_ref());
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

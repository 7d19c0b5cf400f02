//! `just corpus DIR`: recordings of real answers through the meter, and how its counts compare with the truth.

mod native;

use corpus::{Arguments, Corpus, Progress, Result, Tally};
use native::Feed;

/// About what Envoy hands over at once.
const PIECE: usize = 16 * 1024;

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("corpus: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let Some(arguments) = Arguments::read(std::env::args().skip(1))? else { return Ok(()) };
    let corpus = Corpus::read(&arguments.dir)?;
    let feed = Feed { piece: PIECE, encoded: arguments.encoded };
    let (mut tally, mut progress) = (Tally::default(), Progress::of(corpus.recordings.len()));
    for (recording, truth) in &corpus.recordings {
        let run = native::run(&corpus, recording, feed)?;
        tally.add(recording, truth, run.event()?.as_ref());
        if let Some(change) = &run.change {
            let note = tally.note(recording, change);
            tally.differences.push(note);
        }
        progress.step();
    }
    tally.report(&arguments.out)
}

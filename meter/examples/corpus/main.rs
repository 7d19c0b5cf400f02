//! `just corpus DIR`: recordings of real responses through the meter, and how its counts compare with the truth.

mod native;

use corpus::{Arguments, Corpus, Progress, Result, Tally};
use native::Feed;

fn main() -> std::process::ExitCode {
    corpus::exit(run())
}

fn run() -> Result<()> {
    let arguments = Arguments::read();
    let corpus = Corpus::read(arguments.dir())?;
    let feed = Feed { piece: native::PIECE, encoded: arguments.encoded };
    let (mut tally, mut progress) = (Tally::default(), Progress::of(corpus.recordings.len()));
    for (recording, truth) in &corpus.recordings {
        let run = native::run(&corpus, recording, feed)?;
        tally.add(recording, truth, run.event()?.as_ref());
        if let Some(change) = &run.change {
            tally.note(recording, change);
        }
        progress.step();
    }
    tally.report(&arguments.out)
}

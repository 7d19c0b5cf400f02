//! `just corpus DIR --prices`: recordings of real responses through the meter and the collector's rating, and how what they are
//! charged compares with what is owed.

// The event of a call alone is what others want who include it.
#[allow(dead_code)]
#[path = "../../../meter/examples/corpus/native.rs"]
mod native;
mod rated;

use corpus::{Arguments, Corpus, Progress, Result, Tally};
use native::Feed;
use rated::Charged;
use serde_json::{Value, json};

fn main() -> std::process::ExitCode {
    corpus::exit(run())
}

fn run() -> Result<()> {
    let arguments = Arguments::read();
    let corpus = Corpus::read(arguments.dir())?;
    let feed = Feed { piece: native::PIECE, encoded: arguments.encoded };
    let books = rated::Books::load(arguments.prices.as_deref().unwrap_or_default())?;
    let (mut tally, mut progress) = (Tally::default(), Progress::of(corpus.recordings.len()));
    let mut records = String::new();
    for (recording, truth) in &corpus.recordings {
        let run = native::run(&corpus, recording, feed)?;
        let (charged, bill) = rated::call(&books, &run.records)?;
        for Charged { event, bill, rating } in &charged {
            let (usd, unpriced) = (&bill.usd, &bill.unpriced);
            let line = json!({
                "id": recording.id, "data": event["data"], "usd": usd, "unpriced": unpriced, "rating": rating,
                "commercial": corpus::is_commercial(recording, event),
            });
            records.push_str(&format!("{line}\n"));
        }
        let events: Vec<Value> = charged.into_iter().map(|charged| charged.event).collect();
        tally.add(recording, truth, events.first());
        tally.add_bill(recording, truth, &events, &bill);
        if let Some(change) = &run.change {
            tally.note(recording, change);
        }
        progress.step();
    }
    if let Some(file) = &arguments.records {
        std::fs::write(file, records).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    tally.report(&arguments.out)
}

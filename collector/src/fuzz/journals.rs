//! Any bytes as a journal: read to the end, and read again nothing new comes of it.

use std::sync::Arc;

use wire::statement::Statement;

use super::{NOW_NS, laws};
use crate::database::memory::Memory;
use crate::ingest::missing;
use crate::ingest::request::{Form, arrivals};
use crate::ledger::{Delivery, Ledger, Sender, Taken};
use crate::reconcile::{
    Collector, Failure, Finding, Progress, Ranges, ReconcileOptions, Response, Source, Summary, Watch, upload_missing,
};
use crate::store::ranges::Range;

/// Takes the bytes as a journal or an access log, plain or gzip.
pub fn journals(bytes: &[u8]) {
    let mut ledger = Here(Ledger::new(Memory::new()));
    let first = read(bytes, &mut ledger);
    let before = ledger.0.store().clone();
    let again = read(bytes, &mut ledger);
    assert_eq!((first.lines, first.events, first.torn), (again.lines, again.events, again.torn));
    assert_eq!(again.accepted, 0, "a journal that is read again brings nothing");
    laws::unchanged(&before, ledger.0.store());
    laws::hold(ledger.0.store());
}

fn read(bytes: &[u8], ledger: &mut Here) -> Summary {
    let source = Source::of("journal".to_owned(), bytes.to_vec());
    let rules = meter::config::parse(b"{}").expect("the empty configuration").detect;
    let options = ReconcileOptions { rules, all: false, live: false, dry_run: false };
    let (summary, result) =
        upload_missing(std::iter::once(Ok(source)), None, ledger, options, Arc::default(), &mut Deaf);
    assert_eq!(summary.complete, result.is_ok());
    let sum = [summary.duplicates, summary.accepted, summary.dead_letters, summary.alarms, summary.refused];
    assert_eq!(summary.events, sum.iter().sum::<u64>(), "every event became one thing");
    assert_eq!(summary.refused, 0, "what is found in a line can be sent");
    summary
}

/// A collector without HTTP.
struct Here(Ledger<Memory>);

impl Here {
    fn deliver(&mut self, statement: Option<Statement>, batch: &[u8]) -> Result<Taken, Failure> {
        let sender = Sender::new("journal", true);
        let refused = |_| Failure::Refused("not readable".to_owned());
        let elements = Form::Batch.elements(batch).map_err(refused)?;
        let delivery = Delivery { sender, statement, arrivals: arrivals(&elements) };
        Ok(self.0.append(&[&delivery], NOW_NS).unwrap().remove(0))
    }
}

impl Collector for Here {
    fn missing(&mut self, numbers: &Ranges, _: &mut dyn Watch) -> Result<Ranges, Failure> {
        let mut all = Ranges::new();
        for (emitter, ranges) in numbers {
            for (first, last) in ranges {
                let within = Range { first: *first as i64, last: *last as i64 };
                let missing = missing::missing(self.0.store(), emitter, within).map_err(Failure::Failed)?;
                let missing = missing.iter().map(|range| (range.first as u64, range.last as u64));
                all.entry(emitter.clone()).or_default().extend(missing);
            }
        }
        Ok(all)
    }

    fn send(&mut self, batch: &[u8], _: &mut dyn Watch) -> Result<Response, Failure> {
        let Taken { accepted, duplicates, dead_letters, alarms, .. } = self.deliver(None, batch)?;
        Ok(Response { accepted, duplicates, dead_letters, alarms })
    }

    fn state(&mut self, statement: &Statement, _: &mut dyn Watch) -> Result<(), Failure> {
        // It goes over the wire as a text.
        let read = statement.to_string().parse().expect("a statement that nobody can read");
        self.deliver(Some(read), b"[]").map(|_| ())
    }
}

struct Deaf;

impl Watch for Deaf {
    fn found(&mut self, _: &Finding, _: &Summary) {}
    fn waits(&mut self, _: &str) {}
    fn progress(&mut self, _: Progress, _: &Summary) {}
}

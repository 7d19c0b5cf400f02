//! Reading the journals back, by the code of `meshmeter reconcile`: over a connection that fails, with an operator who
//! interrupts, until it is done.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use collector::ingest::missing;
use collector::ingest::request::Head;
use collector::ledger::Taken;
use collector::prices::PriceBook;
use collector::reconcile::{
    Collector, Failure, Finding, Progress, Ranges, ReconcileOptions, Response, Source, Summary, Watch, upload_missing,
};
use collector::store::ranges::Range;
use wire::statement::Statement;

use crate::disk::{Disk, Fault};
use crate::mutation::Mutation;
use crate::nature::Nature;
use crate::oracle::Committed;
use crate::service::{Process, sender};
use crate::trace::Step;

/// The name of the journal's credential.
pub const CREDENTIAL: &str = "journal";

/// Brings journals to the ledger. Returns what was committed.
pub fn read_back(
    nature: &mut Nature,
    disk: &Rc<RefCell<Disk>>,
    book: &Arc<PriceBook>,
    journals: &[Vec<u8>],
    live: bool,
) -> Vec<Committed> {
    let detect = meter::config::parse(b"{}").map(|config| config.detect);
    let rules = detect.unwrap_or_else(|problems| panic!("the empty configuration: {problems}"));
    let mut committed = Vec::new();
    let writer = nature.random.below(nature.plan.collectors as u64) as i64 + 1;
    disk.borrow_mut().heads.entry(writer).or_insert_with(|| panic!("writer {writer} never started"));
    loop {
        let process = Process::new(disk, writer, book, 1);
        let calls_left = if nature.random.chance(300) { nature.random.within(1, 8) } else { u64::MAX };
        let all = nature.random.chance(200);
        let mut client = Client { nature, disk, process, committed: &mut committed, calls_left };
        let options = ReconcileOptions { rules: rules.clone(), all, live, dry_run: false };
        let sources = journals.iter().enumerate();
        let sources = sources.map(|(at, bytes)| Ok(Source::of(format!("journal {at}"), bytes.clone())));
        let interrupted = Arc::new(AtomicBool::new(false));
        let (summary, result) = upload_missing(sources, None, &mut client, options, interrupted, &mut Deaf);
        let Summary { events, accepted, duplicates, torn, complete, .. } = summary;
        nature.step(Step::Reconcile { live, complete, events, accepted, duplicates, torn });
        nature.counts.recovered += accepted;
        if complete || nature.lacks(Mutation::SkipTheRest) {
            break;
        }
        if let Err(problem) = result
            && !problem.starts_with("interrupted")
        {
            nature.violate("the journal can be read back", || problem);
            break;
        }
    }
    committed
}

/// A connection to a collector.
struct Client<'a> {
    nature: &'a mut Nature,
    disk: &'a Rc<RefCell<Disk>>,
    process: Process<()>,
    committed: &'a mut Vec<Committed>,
    /// Then the operator wants an end.
    calls_left: u64,
}

impl Client<'_> {
    fn ask(&mut self) -> Result<(), Failure> {
        self.calls_left = self.calls_left.checked_sub(1).ok_or(Failure::Interrupted)?;
        Ok(())
    }

    /// Until there is a response: one that was lost may have been the response to something that is kept.
    fn deliver(&mut self, header: Option<String>, body: &[u8]) -> Result<Taken, Failure> {
        self.ask()?;
        let content_type = Some(wire::event::BATCH_CONTENT_TYPE.as_bytes());
        let statement = header.as_deref().map(str::as_bytes);
        let head = Head { content_type, statement, ..Head::default() };
        loop {
            let fault = self.nature.random.pick(&[Fault::None, Fault::None, Fault::None, Fault::Before, Fault::After]);
            self.disk.borrow_mut().fault = fault;
            let at_ns = self.nature.now_ns() as i64;
            let sender = sender(CREDENTIAL, true, self.nature.mutation);
            let batch = self.process.receive(self.nature, &head, sender, body);
            self.process.push(batch.map_err(|refusal| Failure::Refused(refusal.text()))?, ());
            assert!(self.process.begin(), "nothing else is under way");
            let responses = self.process.commit(self.nature);
            if self.disk.borrow().kept {
                let (header, body) = (header.clone(), Rc::from(body));
                self.committed.push(Committed {
                    credential: CREDENTIAL,
                    journal: true,
                    key: None,
                    header,
                    body,
                    at_ns,
                });
            }
            if let Some((_, Ok(taken))) = responses.into_iter().next() {
                return Ok(taken);
            }
        }
    }
}

impl Collector for Client<'_> {
    fn missing(&mut self, numbers: &Ranges, _: &mut dyn Watch) -> Result<Ranges, Failure> {
        self.ask()?;
        let disk = self.disk.borrow();
        let mut all = Ranges::new();
        for (emitter, ranges) in numbers {
            let mut missing = Vec::new();
            for (first, last) in ranges {
                let within = Range { first: *first as i64, last: *last as i64 };
                let found = missing::missing(&disk.memory, emitter, within).map_err(Failure::Failed)?;
                missing.extend(found.iter().map(|range| (range.first as u64, range.last as u64)));
            }
            if !missing.is_empty() {
                all.insert(emitter.clone(), missing);
            }
        }
        Ok(all)
    }

    fn send(&mut self, batch: &[u8], _: &mut dyn Watch) -> Result<Response, Failure> {
        let Taken { accepted, duplicates, dead_letters, alarms, .. } = self.deliver(None, batch)?;
        Ok(Response { accepted, duplicates, dead_letters, alarms })
    }

    fn state(&mut self, statement: &Statement, _: &mut dyn Watch) -> Result<(), Failure> {
        self.deliver(Some(statement.to_string()), b"[]").map(|_| ())
    }
}

/// Nobody watches.
struct Deaf;

impl Watch for Deaf {
    fn found(&mut self, _: &Finding, _: &Summary) {}
    fn waits(&mut self, _: &str) {}
    fn progress(&mut self, _: Progress, _: &Summary) {}
}

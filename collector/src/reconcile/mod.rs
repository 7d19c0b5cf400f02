//! Reading journals and access logs back: sends what the ledger lacks, closes the ends of emitters that fell silent, and
//! finds calls that passed unmetered.
//!
//! The ledger is the state: each chunk of events is asked for before it is sent, so a run that was killed is simply run
//! again. Memory is bounded whatever the files hold.

mod access;
mod chunk;
mod client;
mod input;
mod line;
mod names;
mod pipe;
mod report;
mod summary;
mod wrapping;

pub use access::{Reached, Unmetered};
pub use chunk::Ranges;
pub use client::{Address, Failure, Response};
pub use input::Source;
pub use names::{Named, expand};
pub use report::{Format, Output};
pub use summary::{Finding, Progress, Summary, Watch};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use meter::provider::Detect;
use wire::statement::Statement;

use access::{Verdict, judge};
use chunk::Chunk;
use client::Client;
use input::Line;
use line::Id;
use wrapping::{Joiner, Unwrapped};

/// The bounds of a batch: the collector takes 8 MiB.
const MAX_BATCH_BYTES: usize = 1 << 20;
const MAX_BATCH_EVENTS: usize = 500;
/// Lines between two looks at the clock and the operator.
const LOOK_EVERY: u64 = 256;

/// What is to be done.
pub struct Options {
    /// Files; `-` is standard input.
    pub files: Vec<Named>,
    /// The collector.
    pub address: Address,
    /// How long to try again when the collector does not respond.
    pub patience: Duration,
    /// How it is done.
    pub reconcile: ReconcileOptions,
}

/// How journals and logs are reconciled with the ledger.
#[derive(Clone)]
pub struct ReconcileOptions {
    /// Which requests are calls to models.
    pub rules: Detect,
    /// Send also what the ledger has, so that it compares.
    pub all: bool,
    /// Envoy still writes: close no ends.
    pub live: bool,
    /// Only ask what is missing.
    pub dry_run: bool,
}

/// Does it. The summary says what was done, also if not all of it worked out; the error why.
pub fn run(options: Options, interrupted: Arc<AtomicBool>, watch: &mut dyn Watch) -> (Summary, Result<(), String>) {
    // A wrong name is told before anything is done.
    let mut total = Some(0_u64);
    for named in &options.files {
        match Source::look(&named.file) {
            Ok(size) => total = total.zip(size).map(|(total, size)| total.saturating_add(size)),
            Err(_) if named.is_gone() => {}
            Err(problem) => return (Summary::default(), Err(problem)),
        }
    }
    let Options { files, address, patience, reconcile } = options;
    let mut client = match Client::new(address, patience, interrupted.clone()) {
        Ok(client) => client,
        Err(problem) => return (Summary::default(), Err(problem)),
    };
    let sources = files.iter().filter_map(|named| match Source::open(&named.file, &interrupted) {
        Err(_) if named.is_gone() => None,
        opened => Some(opened),
    });
    upload_missing(sources, total, &mut client, reconcile, interrupted.clone(), watch)
}

/// Uploads what the sources hold and the ledger is missing. `total` is how many bytes there are to read, if that is known.
pub fn upload_missing(
    sources: impl Iterator<Item = Result<Source, String>>,
    total: Option<u64>,
    collector: &mut dyn Collector,
    options: ReconcileOptions,
    interrupted: Arc<AtomicBool>,
    watch: &mut dyn Watch,
) -> (Summary, Result<(), String>) {
    let ReconcileOptions { rules, all, live, dry_run } = options;
    let mut run = Run {
        collector,
        rules,
        all,
        dry_run,
        interrupted,
        watch,
        read: Arc::default(),
        total,
        chunk: Chunk::default(),
        heads: BTreeMap::new(),
        broken: Vec::new(),
        is_gone: false,
        summary: Summary::default(),
    };
    let result = run.all_of(sources, live);
    run.summary.emitters = run.heads.len() as u64;
    run.summary.complete = result.is_ok();
    let result = result.map_err(|failure| match failure {
        Failure::Failed(problem) | Failure::Refused(problem) => problem,
        Failure::Interrupted => {
            "interrupted: what is counted here as accepted is in the ledger; run it again to go on".to_owned()
        }
    });
    (run.summary, result)
}

/// Who has the ledger. It is asked until it responds; whoever watches is told of the waiting.
pub trait Collector {
    /// The numbers that the ledger does not have.
    fn missing(&mut self, numbers: &Ranges, watch: &mut dyn Watch) -> Result<Ranges, Failure>;
    /// Takes a batch of events, a JSON array.
    fn send(&mut self, batch: &[u8], watch: &mut dyn Watch) -> Result<Response, Failure>;
    /// Hears how far an emitter counted.
    fn state(&mut self, statement: &Statement, watch: &mut dyn Watch) -> Result<(), Failure>;
}

struct Run<'a> {
    collector: &'a mut dyn Collector,
    rules: Detect,
    all: bool,
    dry_run: bool,
    interrupted: Arc<AtomicBool>,
    watch: &'a mut dyn Watch,
    read: Arc<AtomicU64>,
    total: Option<u64>,
    chunk: Chunk,
    /// The highest number of each emitter, torn lines included: what is lost of them stays a hole with a name.
    heads: BTreeMap<u128, u64>,
    /// Files that were not read to their end.
    broken: Vec<String>,
    /// Whether something came from what cannot be read again: it is brought into the ledger even if the operator wants an
    /// end.
    is_gone: bool,
    summary: Summary,
}

impl Run<'_> {
    fn all_of(&mut self, sources: impl Iterator<Item = Result<Source, String>>, live: bool) -> Result<(), Failure> {
        for source in sources {
            let source = source.map_err(Failure::Failed)?;
            self.summary.files = self.summary.files.saturating_add(1);
            if let Err(failure) = self.file(source) {
                if failure == Failure::Interrupted && self.is_gone {
                    self.settle()?;
                }
                return Err(failure);
            }
        }
        self.settle()?;
        if !self.broken.is_empty() {
            // What is behind the break may hold higher numbers.
            let problem = format!("not read to the end: {}; no emitter's end was closed", self.broken.join(", "));
            return Err(Failure::Failed(problem));
        }
        if live || self.dry_run { Ok(()) } else { self.close() }
    }

    fn file(&mut self, source: Source) -> Result<(), Failure> {
        let name = source.name.clone();
        let lasts = source.lasts;
        self.is_gone |= !lasts;
        let mut lines = match source.lines(self.read.clone()) {
            Ok(lines) => lines,
            Err(_) if self.is_interrupted() => return Err(Failure::Interrupted),
            Err(error) => {
                self.breaks(name, &error);
                return Ok(());
            }
        };
        let mut joiner = Joiner::default();
        let mut number = 0_u64;
        loop {
            if number.is_multiple_of(LOOK_EVERY) {
                match self.look() {
                    // Its reader tells when there is nothing more of it.
                    Err(Failure::Interrupted) if !lasts => {}
                    looked => looked?,
                }
            }
            number = number.saturating_add(1);
            let at = || format!("{name}:{number}");
            let line = match lines.next() {
                Ok(Some(line @ Line::Whole(_))) => line,
                // It has no end because nobody waits for it.
                Ok(Some(_)) | Err(_) if self.is_interrupted() => return Err(Failure::Interrupted),
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => {
                    self.breaks(name.clone(), &error);
                    break;
                }
            };
            self.summary.lines = self.summary.lines.saturating_add(1);
            match line {
                Line::Whole(line) | Line::Unended(line) => match joiner.unwrap(line) {
                    Unwrapped::Line(line) => self.line(&line, &at),
                    Unwrapped::Piece => {}
                    Unwrapped::TooLong => self.too_long(at()),
                },
                Line::TooLong => self.too_long(at()),
            }
            if self.chunk.is_full() {
                self.settle()?;
            }
        }
        for piece in joiner.rest() {
            self.line(&piece, &|| format!("{name}:{}", number.saturating_sub(1)));
        }
        Ok(())
    }

    fn breaks(&mut self, file: String, error: &std::io::Error) {
        self.watch.found(&Finding::Broken { file: file.clone(), problem: error.to_string() }, &self.summary);
        self.broken.push(format!("{file} ({error})"));
    }

    fn too_long(&mut self, at: String) {
        self.summary.too_long = self.summary.too_long.saturating_add(1);
        self.watch.found(&Finding::TooLong { at }, &self.summary);
    }

    fn line(&mut self, line: &[u8], at: &dyn Fn() -> String) {
        let found = line::read(line);
        if found.is_foreign() {
            self.summary.foreign = self.summary.foreign.saturating_add(1);
            self.watch.found(&Finding::Foreign { at: at() }, &self.summary);
        }
        for (id, event) in found.events {
            self.summary.events = self.summary.events.saturating_add(1);
            self.knows(id);
            if !self.chunk.add(id, &event) {
                self.summary.duplicates = self.summary.duplicates.saturating_add(1);
            }
        }
        if let Some(id) = found.torn {
            self.summary.torn = self.summary.torn.saturating_add(1);
            if let Some(id) = id {
                self.knows(id);
            }
            self.watch.found(&Finding::Torn { at: at(), id: id.map(|id| id.to_string()) }, &self.summary);
        }
        if let Some(call) = found.call {
            self.judge(judge(call, at, &self.rules));
        }
    }

    fn knows(&mut self, id: Id) {
        let head = self.heads.entry(id.emitter).or_default();
        *head = id.sequence.max(*head);
    }

    fn judge(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Other => {}
            Verdict::Unknown => self.summary.unknown = self.summary.unknown.saturating_add(1),
            Verdict::Call(call) => {
                let count = match call.reached {
                    Reached::No => &mut self.summary.not_reached,
                    Reached::Yes | Reached::Perhaps => &mut self.summary.unmetered,
                };
                *count = count.saturating_add(1);
                self.watch.found(&Finding::Unmetered(call), &self.summary);
            }
        }
    }

    /// Brings the chunk into the ledger.
    fn settle(&mut self) -> Result<(), Failure> {
        let chunk = std::mem::take(&mut self.chunk);
        if chunk.is_empty() {
            return Ok(());
        }
        let count = chunk.len() as u64;
        let events = if self.all && !self.dry_run {
            chunk.into_events(None)
        } else {
            let missing = self.collector.missing(&chunk.ranges(), self.watch)?;
            let events = chunk.into_events(Some(missing));
            self.summary.missing = self.summary.missing.saturating_add(events.len() as u64);
            events
        };
        let there = count.saturating_sub(events.len() as u64);
        self.summary.duplicates = self.summary.duplicates.saturating_add(there);
        if self.dry_run {
            return Ok(());
        }
        let mut rest = events.as_slice();
        while !rest.is_empty() {
            let (batch, more) = rest.split_at(batch_of(rest));
            self.send(batch)?;
            match self.look() {
                Err(Failure::Interrupted) if self.is_gone => {}
                looked => looked?,
            }
            rest = more;
        }
        Ok(())
    }

    /// Sends a batch; what the collector cannot read is halved until the event stands alone.
    fn send(&mut self, events: &[Box<str>]) -> Result<(), Failure> {
        match self.collector.send(format!("[{}]", events.join(",")).as_bytes(), self.watch) {
            Ok(response) => {
                let summary = &mut self.summary;
                for (sum, count) in [
                    (&mut summary.sent, events.len() as u64),
                    (&mut summary.accepted, response.accepted),
                    (&mut summary.duplicates, response.duplicates),
                    (&mut summary.dead_letters, response.dead_letters),
                    (&mut summary.alarms, response.alarms),
                ] {
                    *sum = sum.saturating_add(count);
                }
                Ok(())
            }
            Err(Failure::Refused(_)) if events.len() > 1 => {
                let (first, second) = events.split_at(events.len().div_ceil(2));
                self.send(first)?;
                self.send(second)
            }
            Err(Failure::Refused(problem)) => {
                self.summary.refused = self.summary.refused.saturating_add(1);
                let id =
                    events.first().and_then(|event| line::read(event.as_bytes()).events.first().map(|(id, _)| *id));
                let id = id.map(|id| id.to_string()).unwrap_or_default();
                self.watch.found(&Finding::Refused { id, problem }, &self.summary);
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Says of each emitter that its journal was read to the end.
    fn close(&mut self) -> Result<(), Failure> {
        for (emitter, head) in &self.heads {
            let emitter = Id::emitter(*emitter);
            let statement = Statement { emitter, head: *head, dropped: 0, drops: Vec::new(), ended: true };
            self.collector.state(&statement, self.watch)?;
            self.summary.emitters_closed = self.summary.emitters_closed.saturating_add(1);
            if self.is_interrupted() {
                return Err(Failure::Interrupted);
            }
        }
        Ok(())
    }

    fn look(&mut self) -> Result<(), Failure> {
        let progress = Progress { read: self.read.load(Ordering::Relaxed), total: self.total };
        self.summary.emitters = self.heads.len() as u64;
        self.watch.progress(progress, &self.summary);
        if self.is_interrupted() { Err(Failure::Interrupted) } else { Ok(()) }
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// How many events from the first make a batch.
fn batch_of(events: &[Box<str>]) -> usize {
    let mut bytes = 0_usize;
    let fitting = events.iter().take(MAX_BATCH_EVENTS).take_while(|event| {
        bytes = bytes.saturating_add(event.len()).saturating_add(1);
        bytes <= MAX_BATCH_BYTES
    });
    fitting.count().max(1).min(events.len())
}

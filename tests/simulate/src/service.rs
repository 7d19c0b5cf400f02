//! A collector: the shipped ingest (`collector::ingest`) on the simulated disk. What stands here is what surrounds it: the
//! connections, and the ways to die.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use collector::ingest::rate::Admitted;
use collector::ingest::refusal::Refusal;
use collector::ingest::request::{self, Batch, Head};
use collector::ingest::room::Room;
use collector::ingest::writer::{Action, Job, Writer};
use collector::ledger::limits::Limits;
use collector::ledger::{Arrival, Sender, Taken};
use collector::prices::PriceBook;
use collector::tenant::TenantPattern;

use crate::calls;
use crate::disk::{Connection, Disk, Fault};
use crate::mutation::Mutation;
use crate::nature::{Happening, Nature, Reply, Request};
use crate::oracle::Committed;
use crate::trace::Step;

/// The process of a collector: all that it knows beside the disk. `W` waits for responses.
#[derive(Debug)]
pub struct Process<W> {
    room: Arc<Room>,
    writer: Writer<Connection, W>,
}

impl<W> Process<W> {
    /// One that has just started.
    pub fn new(disk: &Rc<RefCell<Disk>>, writer: i64, book: &Arc<PriceBook>, queue: usize) -> Process<W> {
        let mut ledger = Connection { disk: disk.clone(), writer }.ledger();
        ledger.set_prices(Some(book.clone()));
        Process { room: Room::with_queue(queue), writer: Writer::new(ledger) }
    }

    /// A request comes in, and is refused or waits for a commit.
    pub fn receive(&mut self, nature: &Nature, head: &Head<'_>, sender: Sender, body: &[u8]) -> Result<Batch, Refusal> {
        let now = nature.instant();
        let admitted = Admitted { sender, bucket: None };
        let request = request::Request::begin(head, admitted, false, &self.room, now)?;
        request.place().bytes(body.len(), now)?;
        request.place().whole()?;
        let mut batch = request.finish(body, now)?;
        disguise(&mut batch.delivery.arrivals, nature.mutation);
        Ok(batch)
    }

    /// A batch waits for a commit.
    pub fn push(&mut self, batch: Batch, waiter: W) {
        self.writer.push(Job { batch, waiter });
    }

    /// Begins a commit of what waits; whether there is one to be done.
    pub fn begin(&mut self) -> bool {
        self.writer.begin()
    }

    /// The disk does what has begun, or not. Returns everybody who was in it, with the response.
    pub fn commit(&mut self, nature: &Nature) -> Vec<(W, Result<Taken, Refusal>)> {
        self.writer.commit(nature.instant(), nature.now_ns() as i64);
        let actions = std::iter::from_fn(|| self.writer.next_action());
        let response = |action| match action {
            Action::Respond { waiter, result, .. } => Some((waiter, result)),
            _ => None,
        };
        actions.filter_map(response).collect()
    }
}

/// A collector.
#[derive(Debug)]
pub struct Service {
    index: usize,
    /// Nothing while it is down.
    process: Option<Process<Rc<Request>>>,
    epoch: u32,
    stopping: bool,
    /// The disk is at work.
    commits: bool,
    /// Who waits for a response, in the order in which they came.
    open: Vec<Rc<Request>>,
}

impl Service {
    /// One that is down.
    pub fn new(index: usize) -> Service {
        Service { index, process: None, epoch: 0, stopping: false, commits: false, open: Vec::new() }
    }

    /// It starts: what it knows is what is on the disk.
    pub fn start(&mut self, nature: &mut Nature, disk: &Rc<RefCell<Disk>>, book: &Arc<PriceBook>) {
        if self.process.is_some() {
            return;
        }
        let writer = self.index as i64 + 1;
        disk.borrow_mut().open(writer);
        self.process = Some(Process::new(disk, writer, book, nature.plan.queue));
        (self.stopping, self.commits) = (false, false);
        nature.step(Step::CollectorUp { collector: self.index });
    }

    /// Whether it is up.
    pub fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Rates what comes from now on by this book, if it is up.
    pub fn set_prices(&mut self, book: &Arc<PriceBook>) {
        if let Some(process) = &mut self.process {
            process.writer.set_prices(book.clone());
        }
    }

    /// Whether it is up and nothing waits.
    pub fn is_idle(&self) -> bool {
        !self.stopping && self.process.as_ref().is_some_and(|process| process.writer.is_idle())
    }

    /// A request comes in.
    pub fn arrive(&mut self, nature: &mut Nature, request: Rc<Request>) {
        let (vm, token) = (request.vm, request.token);
        nature.step(Step::Arrive { vm, token, collector: self.index });
        let Some(process) = self.process.as_mut().filter(|_| !self.stopping) else {
            self.refuse(nature, &request, Reply::Status(503, None, false));
            return;
        };
        let head = Head {
            content_type: Some(wire::event::BATCH_CONTENT_TYPE.as_bytes()),
            content_encoding: None,
            emitter_key: request.key.as_ref().map(|key| key.secret().as_bytes()),
            statement: request.header.as_deref().map(str::as_bytes),
        };
        let sender = sender(request.credential, false, nature.mutation);
        let mut batch = match process.receive(nature, &head, sender, &request.body) {
            Ok(batch) => batch,
            Err(refusal) => {
                self.refuse(nature, &request, reply(&Err(refusal)));
                return;
            }
        };
        if nature.lacks(Mutation::BelieveAnyone) {
            batch.delivery.sender.emitter = named(&request.body);
        }
        nature.counts.delivered += batch.delivery.arrivals.len() as u64;
        if nature.lacks(Mutation::AcknowledgeBeforeCommit) {
            nature.reply(&request, Reply::Status(200, None, true));
        } else {
            self.open.push(request.clone());
        }
        process.push(batch, request);
        self.begin(nature);
    }

    fn refuse(&self, nature: &mut Nature, request: &Request, reply: Reply) {
        let status = if let Reply::Status(status, ..) = reply { status } else { 0 };
        nature.step(Step::Refused { vm: request.vm, token: request.token, collector: self.index, status });
        nature.reply(request, reply);
    }

    /// Lets the disk begin a commit of what waits, if it is not at one.
    fn begin(&mut self, nature: &mut Nature) {
        let Some(process) = &mut self.process else { return };
        if !self.commits && process.begin() {
            self.commits = true;
            let most = if nature.quiet { 2000 } else { nature.plan.commit_us };
            let delay = nature.random.within(500, most);
            nature.after(delay, Happening::Commit { collector: self.index, epoch: self.epoch });
        }
    }

    /// The disk has done it, or not. Returns what is kept.
    pub fn commit(&mut self, nature: &mut Nature, disk: &Rc<RefCell<Disk>>, epoch: u32) -> Vec<Committed> {
        if epoch != self.epoch {
            return Vec::new();
        }
        if nature.fault(nature.plan.faults.crash_before_commit) {
            self.crash(nature, disk, Fault::Midway);
            return Vec::new();
        }
        let fault = match () {
            () if nature.fault(nature.plan.faults.store_fails) => Fault::Before,
            () if nature.fault(nature.plan.faults.store_fails_after) => Fault::After,
            () => Fault::None,
        };
        let begins_anew = nature.fault(nature.plan.faults.store_begins_anew);
        let dies = nature.fault(nature.plan.faults.crash_after_commit);
        let Some(process) = &mut self.process else { return Vec::new() };
        {
            let mut disk = disk.borrow_mut();
            (disk.fault, disk.begins_anew) = (fault, begins_anew);
        }
        let responses = process.commit(nature);
        self.commits = false;
        let kept = disk.borrow().kept;
        let told = responses.iter().all(|(_, result)| result.is_ok());
        nature.step(Step::Commit { collector: self.index, deliveries: responses.len(), kept, told });
        nature.counts.commits += 1;
        let at_ns = nature.now_ns() as i64;
        let log = responses.iter().map(|(request, _)| Committed::of(request, at_ns));
        let committed: Vec<Committed> = if kept { log.collect() } else { Vec::new() };
        // Dying between two responses, or before the first.
        let sent = if dies { nature.random.place(responses.len() + 1) } else { responses.len() };
        for (request, result) in responses.iter().take(sent) {
            // Who was told something before waits for nothing any more.
            let Some(at) = self.open.iter().position(|open| Rc::ptr_eq(open, request)) else { continue };
            self.open.remove(at);
            nature.counts.duplicates += result.as_ref().map_or(0, |taken| taken.duplicates);
            nature.reply(request, reply(result));
        }
        if dies {
            self.crash(nature, disk, Fault::None);
        } else {
            self.begin(nature);
            self.rest(nature);
        }
        committed
    }

    /// It is killed, perhaps in the middle of a commit; it comes again.
    pub fn crash(&mut self, nature: &mut Nature, disk: &Rc<RefCell<Disk>>, fault: Fault) {
        if let Some(process) = self.process.as_mut().filter(|_| fault == Fault::Midway && self.commits) {
            disk.borrow_mut().fault = fault;
            process.commit(nature);
        }
        nature.counts.crashes += 1;
        self.down(nature, true);
    }

    /// It is told to end: what waits is committed and responded to.
    pub fn stop(&mut self, nature: &mut Nature) {
        if self.process.is_some() {
            self.stopping = true;
            self.rest(nature);
        }
    }

    /// Whether it is told to end and nothing waits any more.
    fn rest(&mut self, nature: &mut Nature) {
        if self.stopping && self.process.as_ref().is_some_and(|process| process.writer.is_idle()) {
            self.down(nature, false);
        }
    }

    fn down(&mut self, nature: &mut Nature, crashed: bool) {
        nature.step(Step::CollectorDown { collector: self.index, crashed });
        self.process = None;
        self.epoch += 1;
        for request in std::mem::take(&mut self.open) {
            nature.reply(&request, Reply::Reset);
        }
        let most = if nature.quiet { 100_000 } else { 8_000_000 };
        let delay = nature.random.within(50_000, most);
        nature.after(delay, Happening::CollectorStarts { collector: self.index });
    }
}

/// A response as it goes over the wire.
fn reply(result: &Result<Taken, Refusal>) -> Reply {
    match result {
        Ok(_) => Reply::Status(200, None, true),
        Err(refusal) => Reply::Status(refusal.status().into(), refusal.retry_after(), true),
    }
}

/// Whose numbers a body's first event spends: what a guard is there against.
fn named(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body).into_owned();
    text.split("\"id\":\"").nth(1)?.split('-').next().map(str::to_owned)
}

/// Who sends, and what he may charge.
pub fn sender(credential: &str, journal: bool, mutation: Option<Mutation>) -> Sender {
    let tenants = calls::PATTERNS.iter().filter_map(|pattern| TenantPattern::parse(pattern).ok()).collect();
    let limits = match mutation {
        Some(Mutation::AllowAnything) => Limits { tenants: Vec::new(), tokens: u64::MAX, ..Limits::default() },
        _ => Limits { tenants, ..Limits::default() },
    };
    Sender { limits: limits.into(), ..Sender::new(credential, journal) }
}

/// Takes away one part of the proof that two records are of one call: the rules see what they must not see. What is kept is what
/// came.
fn disguise(arrivals: &mut [Arrival], mutation: Option<Mutation>) {
    for event in arrivals.iter_mut().filter_map(|arrival| arrival.decoded.as_mut().ok()) {
        match mutation {
            Some(Mutation::AskForNoProof) => event.record.request_id = Some("any".to_owned()),
            Some(Mutation::AllowTheSameProxy) => {
                event.record.proxy = Some(format!("{}-{}", event.emitter, event.sequence));
            }
            Some(Mutation::AllowReplicas) => event.record.node_cluster = None,
            Some(Mutation::CompareNoModels) => event.record.request_model = None,
            _ => {}
        }
    }
}

//! A collector: reads batches as `serve::ingest` does, commits those that wait together as `serve::writer` does, and
//! responds after the commit. It can die at every step.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use collector::ledger::limits::Limits;
use collector::ledger::{Arrival, Delivery, Ledger, Sender, Taken};
use collector::prices::PriceBook;
use collector::serve::split;
use collector::tenant::TenantPattern;
use meter::event::EmitterKey;
use meter::event::statement::Statement;

use crate::calls;
use crate::disk::{Connection, Disk, Fault};
use crate::mutation::Mutation;
use crate::nature::{Happening, Nature, Reply, Request};
use crate::oracle::Committed;
use crate::trace::Step;

/// The most deliveries of one commit: the writer's own constant.
const MAX_GROUP: usize = 256;

/// A delivery that waits for the commit.
#[derive(Clone, Debug)]
struct Job {
    request: Rc<Request>,
    delivery: Delivery,
}

/// A collector.
#[derive(Debug)]
pub struct Service {
    index: usize,
    /// Nothing while it is down.
    ledger: Option<Ledger<Connection>>,
    epoch: u32,
    stopping: bool,
    queue: VecDeque<Job>,
    writing: Vec<Job>,
}

impl Service {
    /// One that is down.
    pub fn new(index: usize) -> Service {
        Service { index, ledger: None, epoch: 0, stopping: false, queue: VecDeque::new(), writing: Vec::new() }
    }

    /// It starts: what it knows is what is on the disk.
    pub fn start(&mut self, nature: &mut Nature, disk: &Rc<RefCell<Disk>>, book: &Arc<PriceBook>) {
        if self.ledger.is_some() {
            return;
        }
        let writer = self.index as i64 + 1;
        disk.borrow_mut().open(writer);
        let mut ledger = Ledger::new(Connection { disk: disk.clone(), writer });
        ledger.set_prices(Some(book.clone()));
        self.ledger = Some(ledger);
        self.stopping = false;
        nature.step(Step::CollectorUp { collector: self.index });
    }

    /// The ledger, while it is up.
    pub fn ledger(&mut self) -> Option<&mut Ledger<Connection>> {
        self.ledger.as_mut()
    }

    /// Whether it is up and nothing waits.
    pub fn is_idle(&self) -> bool {
        self.ledger.is_some() && !self.stopping && self.writing.is_empty() && self.queue.is_empty()
    }

    /// A request comes in.
    pub fn arrive(&mut self, nature: &mut Nature, request: Rc<Request>) {
        let (vm, token) = (request.vm, request.token);
        nature.step(Step::Arrive { vm, token, collector: self.index });
        if self.ledger.is_none() || self.stopping {
            self.refuse(nature, &request, Reply::Status(503, None, false));
            return;
        }
        // What `App::statement` does: one that cannot be read does not hold up its events.
        let statement = request.header.as_deref().and_then(|header| header.parse::<Statement>().ok());
        let Ok(events) = split::elements(&request.body) else {
            self.refuse(nature, &request, Reply::Status(400, None, true));
            return;
        };
        let mut arrivals: Vec<Arrival> = events.into_iter().map(|event| Arrival::new(event.to_vec())).collect();
        disguise(&mut arrivals, nature.mutation);
        if self.queue.len() >= nature.plan.queue {
            self.refuse(nature, &request, Reply::Status(503, Some(1), true));
            return;
        }
        nature.counts.delivered += arrivals.len() as u64;
        let emitter = match &request.key {
            _ if nature.lacks(Mutation::BelieveAnyone) => named(&request.body),
            key => key.as_ref().map(EmitterKey::emitter),
        };
        let sender = Sender { emitter, ..sender(request.credential, false, nature.mutation) };
        if nature.lacks(Mutation::AcknowledgeBeforeCommit) {
            nature.reply(&request, Reply::Status(200, None, true));
        }
        self.queue.push_back(Job { delivery: Delivery { sender, statement, arrivals }, request });
        self.begin(nature);
    }

    fn refuse(&self, nature: &mut Nature, request: &Request, reply: Reply) {
        let status = if let Reply::Status(status, ..) = reply { status } else { 0 };
        nature.step(Step::Refused { vm: request.vm, token: request.token, collector: self.index, status });
        nature.reply(request, reply);
    }

    /// Begins a commit of what waits, if none is under way.
    fn begin(&mut self, nature: &mut Nature) {
        if self.writing.is_empty() && !self.queue.is_empty() {
            let group = self.queue.len().min(MAX_GROUP);
            self.writing = self.queue.drain(..group).collect();
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
        let Some(result) = self.append(nature, disk, fault, begins_anew) else { return Vec::new() };
        let kept = disk.borrow().kept;
        let (collector, deliveries) = (self.index, self.writing.len());
        nature.step(Step::Commit { collector, deliveries, kept, told: result.is_some() });
        nature.counts.commits += 1;
        let jobs = std::mem::take(&mut self.writing);
        let at_ns = nature.now_ns() as i64;
        let log = jobs.iter().map(|job| Committed::of(&job.request, at_ns));
        let committed: Vec<Committed> = if kept { log.collect() } else { Vec::new() };
        // Dying between two responses, or before the first.
        let responded = if dies { nature.random.place(jobs.len() + 1) } else { jobs.len() };
        for (at, job) in jobs.iter().take(responded).enumerate() {
            let reply = match &result {
                Some(all) => {
                    let taken = all.get(at).cloned().unwrap_or_default();
                    nature.counts.duplicates += taken.duplicates;
                    Reply::Status(200, None, true)
                }
                None => Reply::Status(503, Some(1), true),
            };
            if !nature.lacks(Mutation::AcknowledgeBeforeCommit) {
                nature.reply(&job.request, reply);
            }
        }
        if dies {
            self.crash(nature, disk, Fault::None);
        } else {
            self.begin(nature);
            self.rest(nature);
        }
        committed
    }

    fn append(
        &mut self,
        nature: &Nature,
        disk: &Rc<RefCell<Disk>>,
        fault: Fault,
        begins_anew: bool,
    ) -> Option<Option<Vec<Taken>>> {
        let deliveries: Vec<&Delivery> = self.writing.iter().map(|job| &job.delivery).collect();
        {
            let mut disk = disk.borrow_mut();
            (disk.fault, disk.begins_anew) = (fault, begins_anew);
        }
        Some(self.ledger.as_mut()?.append(&deliveries, nature.now_ns() as i64).ok())
    }

    /// It is killed, perhaps in the middle of a commit; it comes again.
    pub fn crash(&mut self, nature: &mut Nature, disk: &Rc<RefCell<Disk>>, fault: Fault) {
        if fault == Fault::Midway && !self.writing.is_empty() {
            drop(self.append(nature, disk, fault, false));
        }
        nature.counts.crashes += 1;
        self.down(nature, true);
    }

    /// It is told to end: what waits is committed and acknowledged.
    pub fn stop(&mut self, nature: &mut Nature) {
        if self.ledger.is_some() {
            self.stopping = true;
            self.rest(nature);
        }
    }

    /// Whether it is told to end and nothing waits any more.
    fn rest(&mut self, nature: &mut Nature) {
        if self.stopping && self.writing.is_empty() && self.queue.is_empty() {
            self.down(nature, false);
        }
    }

    fn down(&mut self, nature: &mut Nature, crashed: bool) {
        nature.step(Step::CollectorDown { collector: self.index, crashed });
        self.ledger = None;
        self.epoch += 1;
        let jobs: Vec<Job> = self.writing.drain(..).chain(self.queue.drain(..)).collect();
        for job in jobs {
            nature.reply(&job.request, Reply::Reset);
        }
        let most = if nature.quiet { 100_000 } else { 8_000_000 };
        let delay = nature.random.within(50_000, most);
        nature.after(delay, Happening::CollectorStarts { collector: self.index });
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
            Some(Mutation::CompareNoModels) => event.record.request_model = None,
            _ => {}
        }
    }
}

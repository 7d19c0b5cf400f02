//! Time, chance and what is on its way: everything that the simulated parts may ask of their world.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use wire::emitter::EmitterKey;

use crate::counts::Counts;
use crate::mutation::Mutation;
use crate::plan::Plan;
use crate::random::Random;
use crate::shared::Shared;
use crate::trace::{Step, Trace};

/// A law that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which law.
    pub law: &'static str,
    /// What was found.
    pub found: String,
}

impl Violation {
    /// A law that does not hold.
    pub fn new(law: &'static str, found: String) -> Violation {
        Violation { law, found }
    }
}

/// A request to a collector.
#[derive(Debug)]
pub struct Request {
    /// Which VM waits for the response.
    pub vm: usize,
    /// Its name there.
    pub token: u32,
    /// Who sends it.
    pub credential: &'static str,
    /// The emitter's key, if the sender has it.
    pub key: Option<EmitterKey>,
    /// What the emitter says of itself.
    pub header: Option<String>,
    /// A JSON array.
    pub body: Rc<[u8]>,
}

/// What comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A status, `Retry-After` in seconds, and whether our collector gave it.
    Status(u64, Option<u64>, bool),
    /// It broke off before its headers.
    Reset,
}

/// What will happen.
#[derive(Clone, Debug)]
pub enum Happening {
    Call { host: usize },
    Tick { vm: usize, root: u32, period_us: u64 },
    Arrive { request: Rc<Request>, collector: usize },
    Response { vm: usize, token: u32, reply: Reply },
    Commit { collector: usize, epoch: u32 },
    CollectorStops,
    CollectorStarts { collector: usize },
    Outage,
    UpdateConfig,
    UpdateCode,
    OldRootIsDone { vm: usize, root: u32 },
    Kill,
    Terminate,
    Start { host: usize },
    Trap,
    Flush { host: usize },
    Clock,
    Impostor,
    Price,
    Release,
    Close,
    Reconcile,
    Quiet,
}

/// The world around the parts.
#[derive(Debug)]
pub struct Nature {
    /// Since the beginning, true time.
    pub now_us: u64,
    /// Chance.
    pub random: Random,
    /// What was decided at the beginning.
    pub plan: Plan,
    /// Which guard is missing.
    pub mutation: Option<Mutation>,
    /// What happened.
    pub trace: Trace,
    /// What was counted.
    pub counts: Counts,
    /// Nothing goes wrong any more.
    pub quiet: bool,
    /// The first law that did not hold.
    pub violation: Option<Violation>,
    /// Until then nothing gets through.
    pub outage_until_us: u64,
    /// Requests that are on their way to a collector.
    pub on_their_way: usize,
    /// What the VMs of each host share.
    pub shared: Vec<Shared>,
    /// One VM does something while another is in the middle of something.
    pub meanwhile: bool,
    /// The last token that was given to a call.
    pub token: u32,
    agenda: BTreeMap<(u64, u64), Happening>,
    order: u64,
    /// A moment to count from: nothing depends on which.
    began: Instant,
}

impl Nature {
    /// The world of a seed.
    pub fn new(seed: u64, mutation: Option<Mutation>, readable: bool) -> Nature {
        let mut random = Random::new(seed);
        let plan = Plan::draw(&mut random);
        Nature {
            now_us: 0,
            random,
            plan,
            mutation,
            trace: Trace::new(readable),
            counts: Counts::default(),
            quiet: false,
            violation: None,
            outage_until_us: 0,
            on_their_way: 0,
            shared: Vec::new(),
            meanwhile: false,
            token: 0,
            agenda: BTreeMap::new(),
            order: 0,
            began: Instant::now(),
        }
    }

    /// Lets something happen after a while.
    pub fn after(&mut self, delay_us: u64, happening: Happening) {
        self.order += 1;
        if let Happening::Arrive { .. } = happening {
            self.on_their_way += 1;
        }
        self.agenda.insert((self.now_us + delay_us, self.order), happening);
    }

    /// Lets something happen after a while around a mean; 0: never.
    pub fn sometime(&mut self, mean_us: u64, happening: Happening) {
        if mean_us > 0 && !self.quiet {
            let delay = self.random.around(mean_us);
            self.after(delay, happening);
        }
    }

    /// What happens next; time goes on to it.
    pub fn next(&mut self) -> Option<Happening> {
        let ((at_us, _), happening) = self.agenda.pop_first()?;
        self.now_us = at_us;
        if let Happening::Arrive { .. } = happening {
            self.on_their_way -= 1;
        }
        Some(happening)
    }

    /// Whether a fault happens now.
    pub fn fault(&mut self, per_mille: u32) -> bool {
        !self.quiet && self.random.chance(per_mille)
    }

    /// True time, as a process measures how long something takes.
    pub fn instant(&self) -> Instant {
        self.began + Duration::from_micros(self.now_us)
    }

    /// True time, ns.
    pub fn now_ns(&self) -> u64 {
        self.plan.start_ns + self.now_us * 1000
    }

    /// A step of the schedule.
    pub fn step(&mut self, step: Step) {
        self.trace.step(self.now_us, step);
    }

    /// Whether this guard is missing.
    pub fn lacks(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// A law does not hold; the first one counts.
    pub fn violate(&mut self, law: &'static str, found: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(Violation::new(law, found()));
        }
    }
}

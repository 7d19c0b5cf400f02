//! A schedule: workers, collectors and what is between them; what happens, one thing after the other.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;
use std::sync::Arc;

use collector::budget::Draft;
use collector::ledger::Ledger;
use collector::prices::PriceBook;

use super::plan::{Plan, TENANTS};
use super::truth::{BOOK, Call, Fact, Window};
use super::worker::Worker;
use super::{Counts, Mutation};
use crate::disk::{Connection, Disk};
use crate::nature::Violation;
use crate::random::Random;
use exchange::Sent;

mod calls;
mod exchange;

/// How often a worker's timer comes, µs.
const TICK_US: u64 = 250_000;
/// Within so long after the last fault events must have arrived, µs.
const CALM_US: u64 = 60_000_000;
/// Within so long a call for which there is room must pass, µs.
const SOON_US: u64 = 15_000_000;

/// What happens.
#[derive(Clone, Debug)]
enum Happening {
    Tick { worker: usize },
    Burst,
    Ask { id: u64, worker: usize, call: Call, again: u32 },
    End { worker: usize, id: u64 },
    Arrive { sent: Rc<Sent> },
    Taken { worker: usize, token: u32, last: Option<u64> },
    Lent { worker: usize, token: u32, body: Option<Vec<u8>> },
    Kill,
    Finish,
    Outage,
    Change,
}

/// Everything there is.
pub struct World {
    pub plan: Plan,
    pub(super) counts: Counts,
    pub(super) facts: BTreeMap<Window, Fact>,
    pub(super) disk: Rc<RefCell<Disk>>,
    random: Random,
    mutation: Option<Mutation>,
    now_us: u64,
    /// By time, then in the order in which they were planned.
    planned: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    next: u64,
    workers: Vec<Worker>,
    collectors: Vec<Ledger<Connection>>,
    outage_until_us: u64,
    quiet: bool,
    /// The limits of each budget, and since when they hold, µs.
    pub(super) limits: Vec<Vec<(u64, u64)>>,
    violation: Option<Violation>,
}

impl World {
    pub fn new(seed: u64, mutation: Option<Mutation>) -> World {
        let mut random = Random::new(seed);
        let plan = Plan::draw(&mut random);
        let disk = Rc::new(RefCell::new(Disk::new(None)));
        disk.borrow_mut().loses_charges = mutation == Some(Mutation::LoseACharge);
        let book = PriceBook::parse(BOOK).unwrap_or_else(|problems| panic!("{problems:?}"));
        let book = Arc::new(book);
        let collectors = (0..plan.collectors).map(|index| {
            let writer = index as i64 + 1;
            disk.borrow_mut().open(writer);
            let mut ledger = Connection { disk: disk.clone(), writer }.ledger();
            ledger.set_prices(Some(book.clone()));
            ledger
        });
        let mut world = World {
            counts: Counts::default(),
            facts: BTreeMap::new(),
            collectors: collectors.collect(),
            disk,
            random,
            mutation,
            now_us: plan.start_us,
            planned: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            next: 0,
            workers: Vec::new(),
            outage_until_us: 0,
            quiet: false,
            limits: plan.budgets.iter().map(|budget| vec![(0, budget.limit)]).collect(),
            violation: None,
            plan,
        };
        for at in 0..world.plan.budgets.len() {
            world.set_budget(at, world.plan.budgets[at].limit);
        }
        for _ in 0..world.plan.workers {
            world.new_worker();
        }
        world
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        Counts { simulated_seconds: (self.now_us - self.plan.start_us) / 1_000_000, ..self.counts }
    }

    /// The whole schedule. An error is a law that does not hold.
    pub fn run(&mut self) -> Result<(), Violation> {
        self.after(0, Happening::Burst);
        for (mean_us, happening) in [
            (self.plan.kill_us, Happening::Kill),
            (self.plan.end_us, Happening::Finish),
            (self.plan.outage_us, Happening::Outage),
            (self.plan.change_us, Happening::Change),
        ] {
            self.sometime(mean_us, happening);
        }
        let quiet_us = self.plan.start_us + self.plan.active_us;
        self.until(quiet_us)?;
        self.quiet = true;
        self.outage_until_us = 0;
        let late_us = self.now_us + CALM_US;
        while self.workers.iter().any(|worker| !worker.is_gone && !worker.is_idle()) {
            if self.now_us > late_us {
                return Err(Violation::new("what waits arrives", format!("{:?}", self.waiting())));
            }
            self.until(self.now_us + 1_000_000)?;
        }
        self.check_sums()?;
        self.check_room()?;
        self.check_sums()
    }

    /// In a fresh window whoever may spend is let pass.
    fn check_room(&mut self) -> Result<(), Violation> {
        if self.plan.budgets.iter().any(|budget| budget.window_s != 60) {
            return Ok(());
        }
        // Nobody's clock was in it while calls came, and everybody's is now.
        let fastest_us = self.now_us + self.plan.skew_ms * 1000;
        self.until((fastest_us / 60_000_000 + 1) * 60_000_000 + 4_000_000)?;
        let workers: Vec<usize> = (0..self.workers.len()).filter(|at| !self.workers[*at].is_gone).collect();
        let calls = workers.len() as u64 * 3;
        for worker in workers {
            for tenant in [TENANTS[0], TENANTS[1], TENANTS[3]] {
                let call = Call { tenant, model: "alpha", input: 1, max_output: Some(1), output: 1, duration_us: 1000 };
                let is_small = |at: usize| call.cost(&self.plan.budgets[at]) * calls * 4 <= self.limit(at);
                if !call.windows(&self.plan.budgets, 0).iter().all(|(at, ..)| is_small(*at)) {
                    continue;
                }
                let late_us = self.now_us + SOON_US;
                while !self.ask(worker, &call, None) {
                    if self.now_us > late_us {
                        let found = format!("worker {worker}, {tenant}: {:?}", self.workers[worker].leases);
                        return Err(Violation::new("who may spend passes", found));
                    }
                    self.until(self.now_us + 500_000)?;
                }
            }
        }
        self.until(self.now_us + 5_000_000)
    }

    fn waiting(&self) -> Vec<(usize, usize, usize)> {
        let waits = |(at, worker): (usize, &Worker)| (at, worker.running.len(), worker.outbox.len());
        self.workers.iter().enumerate().map(waits).collect()
    }

    /// What happens up to a time.
    fn until(&mut self, end_us: u64) -> Result<(), Violation> {
        while let Some(Reverse((at_us, number))) = self.planned.peek().copied().filter(|next| next.0.0 < end_us) {
            self.planned.pop();
            self.now_us = at_us;
            if let Some(happening) = self.happenings.remove(&number) {
                self.happen(happening);
            }
            if let Some(violation) = self.violation.take() {
                return Err(violation);
            }
        }
        self.now_us = end_us;
        Ok(())
    }

    fn after(&mut self, delay_us: u64, happening: Happening) {
        self.next += 1;
        self.planned.push(Reverse((self.now_us + delay_us, self.next)));
        self.happenings.insert(self.next, happening);
    }

    fn sometime(&mut self, mean_us: u64, happening: Happening) {
        if mean_us > 0 && !self.quiet {
            let delay_us = self.random.around(mean_us);
            self.after(delay_us, happening);
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick { worker } => self.tick(worker),
            Happening::Burst => {
                self.sometime(self.plan.burst_every_us, Happening::Burst);
                if !self.quiet {
                    self.burst();
                }
            }
            Happening::Ask { id, worker, call, again } => {
                let has_passed = self.quiet || self.ask(worker, &call, Some(id));
                if !has_passed && !self.workers[worker].is_gone && again > 0 {
                    self.after(1_000_000, Happening::Ask { id, worker, call, again: again - 1 });
                }
            }
            Happening::End { worker, id } => self.end(worker, id),
            Happening::Arrive { sent } => self.arrive(&sent),
            Happening::Taken { worker, token, last } => self.taken(worker, token, last),
            Happening::Lent { worker, token, body } => self.lent(worker, token, body),
            Happening::Kill => {
                self.sometime(self.plan.kill_us, Happening::Kill);
                let worker = self.random.place(self.workers.len());
                if !self.quiet && !self.workers[worker].is_gone {
                    self.counts.kills += 1;
                    self.workers[worker].is_gone = true;
                    self.workers[worker].running.clear();
                    self.new_worker();
                }
            }
            Happening::Finish => {
                self.sometime(self.plan.end_us, Happening::Finish);
                let worker = self.random.place(self.workers.len());
                if !self.quiet && !self.workers[worker].is_gone && !self.workers[worker].is_ending {
                    self.workers[worker].is_ending = true;
                    self.new_worker();
                }
            }
            Happening::Outage => {
                self.sometime(self.plan.outage_us, Happening::Outage);
                if !self.quiet {
                    self.outage_until_us = self.now_us + self.random.within(500_000, 25_000_000);
                }
            }
            Happening::Change => {
                self.sometime(self.plan.change_us, Happening::Change);
                if !self.quiet {
                    let at = self.random.place(self.limits.len());
                    self.counts.changes += 1;
                    let limit = self.random.around(self.plan.budgets[at].limit);
                    self.set_budget(at, limit);
                    self.limits[at].push((self.now_us, limit));
                }
            }
        }
    }

    fn new_worker(&mut self) {
        let skew = self.plan.skew_ms;
        let skew_ms = self.random.within(0, 2 * skew) as i64 - skew as i64;
        let (seed, high) = (self.random.next(), self.random.next());
        self.workers.push(Worker::new(seed, high, skew_ms, self.plan.is_closed));
        let delay_us = self.random.below(TICK_US);
        self.after(delay_us, Happening::Tick { worker: self.workers.len() - 1 });
    }

    /// The limit of a budget now.
    fn limit(&self, at: usize) -> u64 {
        self.limits[at].last().map_or(0, |(_, limit)| *limit)
    }

    /// A person sets a budget.
    fn set_budget(&mut self, at: usize, limit: u64) {
        let budget = self.plan.budgets[at].clone();
        let some = |text: &str| Some(text.to_owned());
        let usd = || format!("{}.{:09}", limit / 1_000_000_000, limit % 1_000_000_000);
        let draft = Draft {
            name: budget.name,
            limit: Some(if budget.is_usd { usd() } else { limit.to_string() }),
            unit: some(if budget.is_usd { "usd" } else { "tokens" }),
            window: some(if budget.window_s == 60 { "minute" } else { "hour" }),
            tenant: budget.tenant.and_then(some),
            model: budget.model.and_then(some),
            per_tenant: Some(budget.per_tenant),
            who: "ann".to_owned(),
            ..Draft::default()
        };
        let now_ns = self.now_us as i64 * 1000;
        let set = self.collectors[0].set_budget(&draft, "because", now_ns, &mut |_, _| Ok(BTreeMap::new()));
        match set {
            Ok(Ok(_)) => {}
            // Drawn as it was.
            Ok(Err(problem)) if problem.contains("is so already") => {}
            other => panic!("{other:?}"),
        }
    }
}

//! A schedule: Envoys, collectors and the disk between them; what happens, one thing after the other.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use collector::prices::PriceBook;

use crate::calls;
use crate::closing::{self, Closed};
use crate::disk::Disk;
use crate::envoy::Host;
use crate::journal::Journal;
use crate::laws::{self, When};
use crate::mutation::Mutation;
use crate::nature::{Happening, Nature, Violation};
use crate::oracle::{Committed, Oracle};
use crate::plan;
use crate::reading::read_back;
use crate::service::Service;
use crate::trace::Step;
use crate::truth::{Fate, Kept, Life, Truth};
use crate::vm::Vm;

/// Within so long after the last fault everything must have arrived, µs: the longest backoff, the stay of an old VM,
/// clocks that were set back, and some.
const CALM_US: u64 = 180_000_000;
/// How often to look whether it has.
const LOOK_US: u64 = 2_000_000;

/// Everything there is.
#[derive(Debug)]
pub struct World {
    /// Time and chance.
    pub nature: Nature,
    /// What really happened.
    pub truth: Truth,
    /// Every VM that ever was.
    pub vms: Vec<Vm>,
    /// Envoys.
    pub hosts: Vec<Host>,
    /// Their files.
    pub journals: Vec<Journal>,
    /// Collectors.
    pub services: Vec<Service>,
    /// The store.
    pub disk: Rc<RefCell<Disk>>,
    /// What the ledger must hold.
    pub oracle: Oracle,
    /// What emitters delivered, for those who repeat it.
    pub log: Vec<Committed>,
    /// By which calls are rated now.
    pub book: Arc<PriceBook>,
    /// Whether it has the price that comes late.
    pub late_price: bool,
    /// The report of the month that was closed, as it was then.
    pub closed: Option<Closed>,
}

impl World {
    /// The world of a seed.
    pub fn new(seed: u64, mutation: Option<Mutation>, readable: bool) -> World {
        let nature = Nature::new(seed, mutation, readable);
        let mut world = World {
            services: (0..nature.plan.collectors).map(Service::new).collect(),
            hosts: Vec::new(),
            nature,
            truth: Truth::default(),
            vms: Vec::new(),
            journals: Vec::new(),
            disk: Rc::new(RefCell::new(Disk::new(mutation))),
            oracle: Oracle::default(),
            log: Vec::new(),
            book: book(false),
            late_price: false,
            closed: None,
        };
        for index in 0..world.nature.plan.collectors {
            world.start_collector(index);
        }
        for _ in 0..world.nature.plan.hosts {
            world.new_host();
        }
        world
    }

    /// The whole schedule. An error is a law that does not hold.
    pub fn run(&mut self) -> Result<(), Violation> {
        self.begin_faults();
        while let Some(happening) = self.nature.next() {
            if let Happening::Quiet = happening {
                break;
            }
            self.happen(happening)?;
        }
        self.become_calm()?;
        self.check(false)?;
        // What is very late, and what journals bring, comes behind its end.
        if self.nature.random.chance(300) {
            self.close_a_month();
        }
        let ends = self.nature.plan.hosts_end;
        if ends {
            self.end_hosts()?;
            // What is very late comes before or behind the journals.
            if self.nature.random.chance(500) {
                self.drain()?;
            }
            self.check(false)?;
        }
        if self.nature.plan.journal != plan::Journal::None {
            self.reconcile(!ends);
            self.check(ends)?;
        }
        self.drain()?;
        self.check(false)?;
        let chain: Vec<u8> = self.disk.borrow().heads.values().flat_map(|head| head.hash.0).take(8).collect();
        self.nature.step(Step::Calm { chain: chain.try_into().unwrap_or_default() });
        Ok(())
    }

    fn begin_faults(&mut self) {
        let plan = self.nature.plan.clone();
        self.nature.after(plan.active_us, Happening::Quiet);
        for host in 0..plan.hosts {
            self.nature.sometime(plan.call_every_us, Happening::Call { host });
        }
        for happening in [
            Happening::CollectorStops,
            Happening::Outage,
            Happening::UpdateConfig,
            Happening::UpdateCode,
            Happening::Kill,
            Happening::Terminate,
            Happening::Trap,
            Happening::Clock,
            Happening::Impostor,
            Happening::Price,
            Happening::Release,
            Happening::Close,
            Happening::Reconcile,
        ] {
            self.again(happening);
        }
    }

    /// Lets a fault come again after its time.
    fn again(&mut self, happening: Happening) {
        let faults = &self.nature.plan.faults;
        let mean_us = match happening {
            Happening::CollectorStops => faults.stop_collector_us,
            Happening::Outage => faults.outage_us,
            Happening::UpdateConfig => faults.update_config_us,
            Happening::UpdateCode => faults.update_code_us,
            Happening::Kill => faults.kill_us,
            Happening::Terminate => faults.terminate_us,
            Happening::Trap => faults.trap_us,
            Happening::Clock => faults.clock_us,
            Happening::Impostor => faults.impostor_us,
            Happening::Price => faults.price_us,
            Happening::Release => faults.release_us,
            Happening::Close => faults.close_us,
            Happening::Reconcile => faults.reconcile_us,
            _ => 0,
        };
        self.nature.sometime(mean_us, happening);
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Violation> {
        let World { nature, .. } = self;
        match happening {
            Happening::Call { host } => {
                let mean_us = nature.plan.call_every_us;
                nature.sometime(mean_us, Happening::Call { host });
                if !nature.quiet {
                    self.call(host);
                }
            }
            Happening::Tick { vm, root, period_us } => self.tick(vm, root, period_us),
            Happening::Arrive { request, collector } => self.services[collector].arrive(nature, request),
            Happening::Response { vm, token, reply } => self.respond(vm, token, reply),
            Happening::Commit { collector, epoch } => {
                let committed = self.services[collector].commit(nature, &self.disk, epoch);
                self.take(committed);
            }
            Happening::CollectorStarts { collector } => self.start_collector(collector),
            Happening::OldRootIsDone { vm, root } => self.old_root_is_done(vm, root),
            Happening::Start { host } => self.start_host(host),
            Happening::Flush { host } => self.flush(host),
            Happening::Quiet => {}
            fault => {
                if !nature.quiet {
                    self.again(fault.clone());
                    self.fault(&fault);
                }
            }
        }
        self.nature.violation.take().map_or(Ok(()), Err)
    }

    fn fault(&mut self, fault: &Happening) {
        let host = self.nature.random.place(self.hosts.len());
        match fault {
            Happening::CollectorStops => {
                let service = self.nature.random.place(self.services.len());
                let orderly = self.nature.random.chance(500);
                if orderly {
                    self.services[service].stop(&mut self.nature);
                } else if self.services[service].is_up() {
                    self.services[service].crash(&mut self.nature, &self.disk, crate::disk::Fault::None);
                }
            }
            Happening::Outage => {
                let until_us = self.nature.now_us + self.nature.random.within(500_000, 20_000_000);
                self.nature.outage_until_us = until_us;
                self.nature.step(Step::Outage { until_us });
            }
            Happening::UpdateConfig => self.update_config(host),
            Happening::UpdateCode => self.update_code(host),
            Happening::Kill => self.kill(host),
            Happening::Terminate => self.terminate(host),
            Happening::Trap => self.trap(host),
            Happening::Clock => self.set_clock(host),
            Happening::Impostor => self.impostor(),
            Happening::Price => self.price_arrives(),
            Happening::Release => self.release(),
            Happening::Close => self.close_a_month(),
            Happening::Reconcile => self.reconcile(true),
            _ => {}
        }
    }

    fn start_collector(&mut self, index: usize) {
        self.services[index].start(&mut self.nature, &self.disk, &self.book);
    }

    /// Something is committed.
    pub fn take(&mut self, committed: Vec<Committed>) {
        for request in committed {
            self.oracle.take(&self.truth, &request);
            if !request.journal && self.log.len() < 1000 {
                self.log.push(request);
            }
        }
    }

    fn reconcile(&mut self, live: bool) {
        let journals: Vec<Vec<u8>> = self.journals.iter().map(|journal| journal.bytes.clone()).collect();
        let committed = read_back(&mut self.nature, &self.disk, &self.book, &journals, live);
        self.take(committed);
        for told in self.truth.records.iter_mut().filter(|told| told.kept == Kept::Durable) {
            told.kept = Kept::Read;
        }
    }

    /// Nothing goes wrong any more; everything that waits must arrive.
    fn become_calm(&mut self) -> Result<(), Violation> {
        self.nature.quiet = true;
        self.nature.outage_until_us = 0;
        self.nature.step(Step::Quiet);
        let (last_calls, late) = (self.nature.random.chance(500), self.nature.now_us + CALM_US);
        let mut look_us = self.nature.now_us + LOOK_US;
        let mut called = !last_calls;
        loop {
            let Some(happening) = self.nature.next() else { return Ok(()) };
            self.happen(happening)?;
            if self.nature.now_us < look_us {
                continue;
            }
            look_us = self.nature.now_us + LOOK_US;
            if !called && self.hosts.iter().all(|host| host.up) {
                called = true;
                (0..self.hosts.len()).for_each(|host| self.call(host));
            } else if self.waits().is_none() {
                return Ok(());
            }
            if self.nature.now_us > late {
                let found = self.waits().unwrap_or_default();
                return Err(Violation::new("what waits arrives", found));
            }
        }
    }

    /// What is not at its place yet.
    fn waits(&mut self) -> Option<String> {
        if let Some(down) = self.services.iter_mut().position(|service| !service.is_idle()) {
            return Some(format!("collector {down} is not idle"));
        }
        if let Some(host) = self.hosts.iter().position(|host| !host.up) {
            return Some(format!("host {host} is down"));
        }
        for (host, shared) in self.nature.shared.iter().enumerate() {
            for (name, _, address) in shared.list() {
                // The update made another collector its own: what was meant for the one before is in the journal.
                let is_picked_up = self.vms.iter().any(|vm| !vm.gone && vm.host == host && vm.address() == address);
                if let (Some(emitter), false) = (self.truth.names.get(&name), is_picked_up) {
                    self.truth.emitters[*emitter].life = Life::Killed;
                }
            }
        }
        if let Some(emitter) = self.truth.emitters.iter().find(|emitter| emitter.life == Life::Leaving) {
            return Some(format!("{}: nobody goes on with what it left", emitter.name));
        }
        for vm in self.vms.iter().filter(|vm| !vm.gone) {
            let (emitter, seen) = (&self.truth.emitters[vm.emitter()], self.oracle.seen.get(vm.emitter()));
            let hears = emitter.listens && !emitter.deaf && !emitter.mute && emitter.spent > 0;
            if let Some(waits) = vm.waits() {
                return Some(waits);
            }
            if hears && seen.is_none_or(|seen| seen.head < emitter.spent) {
                return Some(format!("vm {} has counted to {}, and nobody knows", vm.index, emitter.spent));
            }
            let untold = |index: &&usize| {
                let told = &self.truth.records[**index];
                let Some(number) = told.number else { return false };
                let mark = seen.map(|seen| seen.get(number)).unwrap_or_default();
                matches!(told.fate, Fate::Full if !mark.full) || matches!(told.fate, Fate::Rejected if !mark.refused)
            };
            if let Some(index) = emitter.records.iter().find(untold).filter(|_| hears) {
                return Some(format!(
                    "vm {} has dropped {:?}, and not said so",
                    vm.index, self.truth.records[*index].number
                ));
            }
            if !self.hosts[vm.host].vms.contains(&vm.index) {
                return Some(format!("vm {} stays", vm.index));
            }
        }
        None
    }

    /// Lets everything arrive that is still on its way.
    fn drain(&mut self) -> Result<(), Violation> {
        let idle = |world: &mut World| world.services.iter_mut().all(|service| service.is_idle());
        while self.nature.on_their_way > 0 || !idle(self) {
            let Some(happening) = self.nature.next() else { break };
            self.happen(happening)?;
        }
        Ok(())
    }

    fn end_hosts(&mut self) -> Result<(), Violation> {
        for host in 0..self.hosts.len() {
            if self.nature.random.chance(700) {
                self.terminate(host);
            } else {
                self.kill(host);
            }
        }
        let until = self.nature.now_us + 5_000_000;
        while self.nature.now_us < until {
            let Some(happening) = self.nature.next() else { break };
            if !matches!(happening, Happening::Start { .. }) {
                self.happen(happening)?;
            }
        }
        Ok(())
    }

    fn check(&mut self, closed: bool) -> Result<(), Violation> {
        // What no law asked about yet.
        self.oracle.seen.resize_with(self.truth.emitters.len(), Default::default);
        let now_ns = self.nature.now_ns() as i64;
        let when = When { closed, late_price: self.late_price, now_ns };
        let disk = self.disk.borrow();
        closing::check(&disk, self.closed.as_ref())?;
        laws::check(&self.truth, &disk, &self.oracle, when)
    }
}

/// The price book.
pub fn book(with_late: bool) -> Arc<PriceBook> {
    let book = PriceBook::parse(&calls::book(with_late));
    Arc::new(book.unwrap_or_else(|problems| panic!("the simulation's own prices: {problems}")))
}

//! Envoys: their calls, updates and ends, as their VMs see them.

use std::rc::Rc;

use collector::ledger::correct::Correction;
use collector::store::{Reader, Selection};
use meter::config::Config;

use crate::calls::{self, Call, Kind};
use crate::disk::{Connection, Fault};
use crate::journal::Journal;
use crate::mutation::Mutation;
use crate::nature::{Happening, Request};
use crate::plan::{self, Workloads};
use crate::shared::Shared;
use crate::trace::Step;
use crate::truth::{Kept, Life};
use crate::vm::{Vm, configuration};
use crate::world::{World, book};

/// An Envoy.
#[derive(Debug)]
pub struct Host {
    /// Whether it runs.
    pub up: bool,
    /// The VMs that take new calls.
    pub vms: Vec<usize>,
    /// VMs of older code whose last streams have not ended.
    pub finishing: Vec<usize>,
    /// Its file.
    pub journal: usize,
    /// Its process, which every start makes anew.
    process: String,
    config: Rc<Config>,
    skew_ms: i64,
}

impl World {
    /// One more Envoy.
    pub fn new_host(&mut self) {
        let config = configuration(&mut self.nature);
        let index = self.hosts.len();
        self.journals.push(Journal::default());
        let journal = self.journals.len() - 1;
        self.nature.shared.push(Shared::default());
        self.hosts.push(Host {
            up: false,
            vms: Vec::new(),
            finishing: Vec::new(),
            journal,
            process: String::new(),
            config,
            skew_ms: 0,
        });
        self.start_host(index);
    }

    /// An Envoy starts.
    pub fn start_host(&mut self, host: usize) {
        if self.hosts[host].up {
            return;
        }
        self.nature.step(Step::EnvoyStarts { host });
        if !self.nature.plan.same_file && !self.journals[self.hosts[host].journal].bytes.is_empty() {
            self.journals.push(Journal::default());
            self.hosts[host].journal = self.journals.len() - 1;
        }
        self.hosts[host].up = true;
        if self.nature.plan.crowded {
            let room = self.nature.random.within(0, 20_000) as usize;
            self.nature.shared[host] = Shared::crowded(room);
        }
        self.hosts[host].process = format!("{:032x}", self.nature.random.next());
        self.new_vms(host);
        if self.nature.plan.journal == plan::Journal::Buffered {
            self.nature.after(1_000_000, Happening::Flush { host });
        }
    }

    fn new_vms(&mut self, host: usize) {
        self.hosts[host].vms = (0..self.nature.plan.workers).map(|_| self.new_vm(host)).collect();
    }

    fn new_vm(&mut self, host: usize) -> usize {
        let index = self.vms.len();
        let config = self.hosts[host].config.clone();
        let mut vm = Vm::new(&mut self.nature, &mut self.truth, index, host, config.clone());
        vm.skew_ms = self.hosts[host].skew_ms;
        self.vms.push(vm);
        self.configure(index, config);
        index
    }

    /// The journal's timer.
    pub fn flush(&mut self, host: usize) {
        if self.hosts[host].up {
            let journal = self.hosts[host].journal;
            self.journals[journal].flush(&mut self.truth);
            let delay = self.nature.random.within(200_000, 10_000_000);
            self.nature.after(delay, Happening::Flush { host });
        }
    }

    /// A call ends on one of the host's workers.
    pub fn call(&mut self, host: usize) {
        if let Some((vm, call)) = self.draw_call(host) {
            let number = self.nature.counts.calls;
            self.emit(vm, &call, number, true);
            let own = &call[0];
            if own.pair {
                // A second meter on the way, in another Envoy. Two workers of one never see the same call, but somebody may make
                // two calls look like one.
                let others: Vec<usize> = self.vms.iter().filter(|vm| self.takes_calls(vm)).map(|vm| vm.index).collect();
                let others: Vec<usize> = others.into_iter().filter(|other| *other != vm).collect();
                if !others.is_empty() {
                    let other = self.nature.random.pick(&others);
                    let again: Vec<Call> =
                        call.iter().map(|call| calls::seen_again(&mut self.nature.random, call)).collect();
                    self.emit(other, &again, number, true);
                }
            }
        }
    }

    fn takes_calls(&self, vm: &Vm) -> bool {
        let host = &self.hosts[vm.host];
        host.up && !vm.gone && (host.vms.contains(&vm.index) || host.finishing.contains(&vm.index))
    }

    fn draw_call(&mut self, host: usize) -> Option<(usize, Vec<Call>)> {
        if !self.hosts[host].up {
            return None;
        }
        let Host { vms, finishing, .. } = &self.hosts[host];
        let old = !finishing.is_empty() && self.nature.random.chance(300);
        let vm = self.nature.random.pick(if old { finishing } else { vms });
        self.nature.counts.calls += 1;
        let (number, now_ns) = (self.nature.counts.calls, self.nature.now_ns());
        let mix = self.nature.plan.mix.clone();
        let own = calls::draw(&mut self.nature.random, &mix, now_ns, number);
        let part = own.kind == Kind::Good && self.nature.random.chance(mix.part);
        let mut call = vec![own];
        if part {
            call.push(calls::part_of(&mut self.nature.random, &call[0]));
        }
        Some((vm, call))
    }

    fn emit(&mut self, vm: usize, call: &[Call], number: u64, writes: bool) {
        let mut call = call.to_vec();
        for seen in &mut call {
            let host = self.vms[vm].host;
            seen.record.proxy = Some(self.hosts[host].process.clone());
            seen.record.node_cluster = match self.nature.plan.workloads {
                Workloads::Unnamed => None,
                Workloads::One => Some("edge".to_owned()),
                Workloads::Each => Some(format!("edge-{host}")),
            };
        }
        let (told, lines) = self.vms[vm].emit(&mut self.nature, &mut self.truth, &call);
        let plan = &self.nature.plan;
        let loses = self.nature.mutation == Some(Mutation::LoseAJournalLine) && number.is_multiple_of(8);
        if plan.journal == plan::Journal::None || loses {
            if loses {
                // It claims to have written it.
                told.iter().for_each(|index| self.truth.records[*index].kept = Kept::Durable);
            }
            return;
        }
        let journal = &mut self.journals[self.hosts[self.vms[vm].host].journal];
        if writes {
            journal.write(plan, &mut self.truth, &told, &lines);
        } else {
            journal.begin(plan, &told, &lines);
        }
    }

    /// The same code under a new configuration: new root contexts in the same VMs, the old ones are done when their last
    /// stream ends.
    pub fn update_config(&mut self, host: usize) {
        if !self.hosts[host].up {
            return;
        }
        self.nature.counts.updates += 1;
        let config = configuration(&mut self.nature);
        self.hosts[host].config = config.clone();
        for vm in self.hosts[host].vms.clone() {
            let old = self.vms[vm].roots.keys().copied().collect::<Vec<_>>();
            self.configure(vm, config.clone());
            for root in old {
                let delay = self.nature.random.within(1000, 4_000_000);
                self.nature.after(delay, Happening::OldRootIsDone { vm, root });
            }
        }
    }

    /// New code: new VMs. The old ones end when their last streams have.
    pub fn update_code(&mut self, host: usize) {
        if !self.hosts[host].up {
            return;
        }
        self.nature.counts.updates += 1;
        if self.nature.random.chance(500) {
            self.hosts[host].config = configuration(&mut self.nature);
        }
        let old = std::mem::take(&mut self.hosts[host].vms);
        self.new_vms(host);
        for vm in old {
            self.hosts[host].finishing.push(vm);
            let delay = self.nature.random.within(1000, 4_000_000);
            for root in self.vms[vm].roots.keys().copied().collect::<Vec<_>>() {
                self.nature.after(delay, Happening::OldRootIsDone { vm, root });
            }
        }
    }

    /// The last stream of an old root context has ended.
    pub fn old_root_is_done(&mut self, vm: usize, root: u32) {
        if self.vms[vm].gone {
            return;
        }
        let host = &mut self.hosts[self.vms[vm].host];
        host.finishing.retain(|other| *other != vm);
        self.done(vm, root);
    }

    /// SIGTERM: streams end, root contexts are done, and nobody waits for what they say then.
    pub fn terminate(&mut self, host: usize) {
        if !self.hosts[host].up {
            return;
        }
        self.nature.step(Step::EnvoyTerminated { host });
        if self.nature.random.chance(500) {
            self.call(host);
        }
        for vm in self.of(host) {
            for root in self.vms[vm].roots.keys().copied().collect::<Vec<_>>() {
                self.done(vm, root);
            }
        }
        let journal = self.hosts[host].journal;
        self.journals[journal].flush(&mut self.truth);
        self.down(host);
    }

    /// SIGKILL: what is in memory is gone.
    pub fn kill(&mut self, host: usize) {
        if !self.hosts[host].up {
            return;
        }
        self.nature.step(Step::EnvoyKilled { host });
        self.nature.counts.kills += 1;
        if self.nature.random.chance(500)
            && let Some((vm, call)) = self.draw_call(host)
        {
            // In the middle of writing its line.
            let number = self.nature.counts.calls;
            self.emit(vm, &call, number, false);
        }
        let journal = &mut self.journals[self.hosts[host].journal];
        let waiting = journal.waiting();
        let bytes = if self.nature.random.chance(500) { self.nature.random.place(waiting + 1) } else { 0 };
        journal.tear(&mut self.truth, bytes);
        if bytes > 0 {
            self.nature.step(Step::JournalTorn { host, bytes });
        }
        for vm in self.of(host) {
            self.vms[vm].die(&mut self.truth);
        }
        self.down(host);
    }

    fn down(&mut self, host: usize) {
        // The memory that its VMs shared goes with the process.
        for emitter in std::mem::take(&mut self.nature.shared[host]).handoffs.into_keys() {
            self.truth.emitters[emitter].life = Life::Killed;
        }
        let entry = &mut self.hosts[host];
        entry.up = false;
        entry.vms.clear();
        entry.finishing.clear();
        let delay = self.nature.random.within(100_000, 3_000_000);
        self.nature.after(delay, Happening::Start { host });
    }

    /// A VM traps: Envoy starts a new one, and the process lives on.
    pub fn trap(&mut self, host: usize) {
        if !self.hosts[host].up {
            return;
        }
        let place = self.nature.random.place(self.hosts[host].vms.len());
        let vm = self.hosts[host].vms[place];
        self.nature.step(Step::Trap { vm });
        self.vms[vm].die(&mut self.truth);
        let new = self.new_vm(host);
        self.hosts[host].vms[place] = new;
    }

    /// A host's clock is set, back or forth.
    pub fn set_clock(&mut self, host: usize) {
        let ms = self.nature.random.within(0, 10_000) as i64 - 5000;
        self.nature.step(Step::Clock { host, ms });
        self.hosts[host].skew_ms = ms;
        for vm in self.of(host) {
            self.vms[vm].skew_ms = ms;
        }
    }

    fn of(&self, host: usize) -> Vec<usize> {
        self.vms.iter().filter(|vm| vm.host == host && !vm.gone).map(|vm| vm.index).collect()
    }

    /// Somebody repeats what an emitter delivered: under another credential, or with other content; or takes numbers that
    /// are not his, with the token of those whose they are.
    pub fn impostor(&mut self) {
        if self.log.is_empty() {
            return;
        }
        let place = self.nature.random.place(self.log.len());
        let request = self.log[place].clone();
        let kind = self.nature.random.pick(&[0, 1, 1, 2, 3, 4]);
        let (header, text) = (request.header.clone(), String::from_utf8_lossy(&request.body).into_owned());
        let name = header.as_deref().and_then(|header| header.split("; ").next()).unwrap_or_default().to_owned();
        let Some(emitter) = self.truth.names.get(&name) else { return };
        let next = self.truth.emitters[*emitter].spent + 1;
        // Who has got hold of the emitter's key as well can do what the emitter can.
        let key = if kind == 1 { request.key.clone() } else { None };
        let (credential, header, body) = match kind {
            0 => ("impostor", header, request.body),
            // Other content under numbers that are spent.
            1 => ("default", None, text.replace("\"status\":200", "\"status\":201").into_bytes().into()),
            // A number that comes next: as good as it can be made, under another credential or with the stolen token, which
            // also says that nothing is missing; and unreadable.
            2 | 4 => {
                let event = text.trim_matches(['[', ']']).split("},{").next().unwrap_or_default();
                let number = event.split("\"sequence\":").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or("");
                let event = event.replace(&format!("{name}-{number}\""), &format!("{name}-{next}\""));
                let event = event.replace(&format!("\"sequence\":{number},"), &format!("\"sequence\":{next},"));
                let end = if event.ends_with("}}") || event.is_empty() { "" } else { "}" };
                let lie = format!("{name}; head={next}; dropped={next}; drops=1-{next}:full; end");
                let (credential, header) = if kind == 4 { ("default", Some(lie)) } else { ("impostor", None) };
                (credential, header, format!("[{event}{end}]").into_bytes().into())
            }
            _ => ("impostor", None, format!("[{{\"id\":\"{name}-{next}\",\"type\":\"any\"}}]").into_bytes().into()),
        };
        self.nature.step(Step::Impostor { kind, bytes: body.len() });
        let request = Rc::new(Request { vm: usize::MAX, token: 0, credential, key, header, body });
        let delay = self.nature.delay_us();
        self.nature.send(request, delay);
    }

    /// A price arrives after calls that it is for: they are re-rated.
    pub fn price_arrives(&mut self) {
        if self.late_price {
            return;
        }
        self.late_price = true;
        self.book = book(true);
        for service in &mut self.services {
            service.set_prices(&self.book);
        }
        let mut corrections = Vec::new();
        let found = self.disk.borrow().memory.standing(&Selection::default(), &mut |entry| {
            corrections.extend(Correction::by(&self.book, entry, "the price came late").unwrap_or_default());
            Ok(())
        });
        let writer = self.nature.random.below(self.nature.plan.collectors as u64) as i64 + 1;
        let mut ledger = Connection { disk: self.disk.clone(), writer }.ledger();
        let mut result = found.map(|()| 0);
        if result.is_ok() && !corrections.is_empty() {
            loop {
                self.disk.borrow_mut().fault = self.nature.random.pick(&[Fault::None, Fault::Before, Fault::After]);
                let fault = self.disk.borrow().fault;
                result = ledger.correct(&corrections, self.nature.now_ns() as i64);
                if fault == Fault::None {
                    break;
                }
            }
        }
        match result {
            Ok(corrected) => self.nature.step(Step::PriceArrives { corrected }),
            Err(error) => self.nature.violate("a late price is taken", || error.to_string()),
        }
    }
}

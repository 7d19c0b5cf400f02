//! A plugin VM, driven as `filter/src/{vm,plugin,handoff}.rs` drive it: the same callbacks, the same order of the same calls
//! of the outbox.

use std::collections::BTreeMap;
use std::rc::Rc;

use meter::config::{Collector, Config};
use meter::outbox::{Batch, Limits, Outbox, Response};
use wire::emitter::EmitterKey;
use wire::statement::Statement;

use crate::held::{Held, Mirror};
use crate::mutation::Mutation;
use crate::nature::{Happening, Nature, Reply};
use crate::network::Outgoing;
use crate::plan;
use crate::trace::Step;
use crate::truth::{Life, Truth};

mod emit;

/// A VM.
#[derive(Debug)]
pub struct Vm {
    /// Its place in the world.
    pub index: usize,
    /// Where it runs.
    pub host: usize,
    /// How far its host's clock is off, ms.
    pub skew_ms: i64,
    own: Held,
    predecessor: Option<Held>,
    roots: Vec<u32>,
    /// Whom it means by its collector.
    pub address: String,
    limits: Limits,
    call: Option<(u32, u32)>,
    /// The root contexts that Envoy has.
    plugins: BTreeMap<u32, Plugin>,
    /// The calls whose responses Envoy brings, and to which root context.
    waiting: BTreeMap<u32, u32>,
    last_root: u32,
    /// Envoy has destroyed it.
    pub gone: bool,
}

#[derive(Clone, Debug)]
struct Plugin {
    config: Rc<Config>,
    leaves: bool,
}

/// What a VM has left in the memory that all VMs of an Envoy share.
#[derive(Debug)]
pub struct Handoff {
    /// Whom it means by its collector.
    pub address: String,
    bytes: Vec<u8>,
    /// What it must hold.
    pub mirror: Mirror,
}

impl Vm {
    /// A VM that counts, with its first root context.
    pub fn start(nature: &mut Nature, truth: &mut Truth, index: usize, host: usize, config: Rc<Config>) -> Vm {
        let key = EmitterKey::new(nature.random.next(), nature.random.next());
        let limits = limits(&config);
        let mut vm = Vm {
            index,
            host,
            skew_ms: 0,
            own: Held::new(truth.emitter(key.emitter()), key, limits),
            predecessor: None,
            roots: Vec::new(),
            address: address(&config),
            limits,
            call: None,
            plugins: BTreeMap::new(),
            waiting: BTreeMap::new(),
            last_root: 0,
            gone: false,
        };
        vm.on_configure(nature, truth, config);
        vm
    }

    /// Its host's clock, ms.
    fn now_ms(&self, nature: &Nature) -> u64 {
        (nature.now_ns() / 1_000_000).saturating_add_signed(self.skew_ms)
    }

    /// Who counts here, in truth.
    pub fn emitter(&self) -> usize {
        self.own.mirror.emitter
    }

    /// What it still has to do.
    pub fn waits(&self) -> Option<String> {
        let outboxes = [("its own", Some(&self.own)), ("a taken-over", self.predecessor.as_ref())];
        let waiting = |(whose, held): &(&str, Option<&Held>)| {
            let outbox = &held.as_ref()?.outbox;
            let idle = if *whose == "its own" { outbox.is_empty() } else { outbox.is_done() };
            (!idle).then(|| format!("vm {}: {whose} outbox holds {} bytes", self.index, outbox.bytes()))
        };
        let more = self.plugins.len() > 1;
        outboxes.iter().find_map(waiting).or_else(|| more.then(|| format!("vm {}: old root contexts", self.index)))
    }

    /// The root contexts that there are.
    pub fn roots(&self) -> Vec<u32> {
        self.plugins.keys().copied().collect()
    }

    /// A configuration: a new root context.
    pub fn on_configure(&mut self, nature: &mut Nature, truth: &mut Truth, config: Rc<Config>) {
        self.last_root += 1;
        let root = self.last_root;
        nature.step(Step::Configure { vm: self.index, root });
        let period_us = (config.batch.max_age_ms / 4).clamp(50, 1000) * 1000;
        nature.after(period_us, Happening::Tick { vm: self.index, root, period_us });
        // What `vm::configure` does.
        self.limits = limits(&config);
        let address = address(&config);
        let same = self.address == address;
        if root > 1 && nature.lacks(Mutation::ForgetTheOutbox) {
            self.own.forget(truth, self.limits);
            self.call = None;
        }
        for held in std::iter::once(&mut self.own).chain(&mut self.predecessor) {
            held.outbox.reconfigure(self.limits, same);
            let emitter = &mut truth.emitters[held.mirror.emitter];
            emitter.listens &= same;
            // Another collector is not told of the end of somebody that it never heard of.
            if held.ending && held.outbox.is_done() {
                emitter.life = Life::Ended;
            }
        }
        self.address = address;
        self.roots.retain(|other| *other != root);
        self.roots.push(root);
        truth.emitters[self.own.mirror.emitter].mute = self.limits.heartbeat_ms == 0;
        self.plugins.insert(root, Plugin { config, leaves: false });
    }

    /// Envoy's timer.
    pub fn on_tick(&mut self, nature: &mut Nature, truth: &mut Truth, root: u32, period_us: u64) {
        if !self.plugins.contains_key(&root) {
            return;
        }
        nature.after(period_us, Happening::Tick { vm: self.index, root, period_us });
        if self.roots.last() == Some(&root) {
            self.send_due(nature, truth, root);
        }
        self.leave(nature, root);
    }

    /// Envoy brings a response, or says that there will be none.
    pub fn on_http_call_response(&mut self, nature: &mut Nature, truth: &mut Truth, token: u32, reply: Reply) {
        let Some(root) = self.waiting.remove(&token) else { return };
        let status = if let Reply::Status(status, ..) = reply { status } else { 0 };
        nature.step(Step::Response { vm: self.index, token, status });
        let awaits = self.call.is_some_and(|(awaited, _)| awaited == token);
        if !awaits && !nature.lacks(Mutation::TakeALateResponse) {
            return;
        }
        let mut response = match reply {
            Reply::Reset => Response::default(),
            Reply::Status(status, retry_after, ours) => Response {
                status: Some(status),
                retry_after_ms: retry_after.map(|s| s.saturating_mul(1000)),
                reads_statements: ours,
                ..Response::default()
            },
        };
        if nature.lacks(Mutation::AcknowledgeOn5xx) && response.status.is_some_and(|status| status >= 500) {
            response.status = Some(200);
        }
        self.settle(nature, truth, response);
        if self.roots.last() == Some(&root) {
            self.send_due(nature, truth, root);
        }
        self.leave(nature, root);
    }

    /// Envoy is done with a root context. With the last one it destroys the VM, whatever is returned.
    pub fn on_done(&mut self, nature: &mut Nature, truth: &mut Truth, root: u32) {
        let Some(plugin) = self.plugins.get_mut(&root) else { return };
        if self.roots == [root] {
            let collector = plugin.config.collector.clone();
            nature.step(Step::Done { vm: self.index, root, may_go: true });
            if let Some(collector) = collector {
                self.send_final_flush(nature, truth, root, &collector);
            }
            self.destroy();
        } else {
            self.roots.retain(|other| *other != root);
            plugin.leaves = self.call.is_some_and(|(_, caller)| caller == root);
            let may_go = !plugin.leaves;
            nature.step(Step::Done { vm: self.index, root, may_go });
            if may_go {
                self.delete(nature, root);
            }
        }
    }

    /// The process, or the VM, is gone.
    pub fn die(&mut self, truth: &mut Truth) {
        for held in std::iter::once(&self.own).chain(&self.predecessor) {
            let life = &mut truth.emitters[held.mirror.emitter].life;
            if *life != Life::Ended {
                *life = Life::Killed;
            }
        }
        self.destroy();
    }

    fn destroy(&mut self) {
        self.gone = true;
        self.plugins.clear();
        self.waiting.clear();
    }

    fn send_due(&mut self, nature: &mut Nature, truth: &mut Truth, root: u32) {
        let Some(collector) = self.plugins[&root].config.collector.clone() else { return };
        let now_ms = self.now_ms(nature);
        if let Some((predecessor, batch)) = self.poll(nature, truth, now_ms, patience_ms(&collector)) {
            self.send(nature, truth, root, &collector, batch, predecessor);
        }
    }

    /// What `vm::poll` does; says also whether the batch is of what was taken over.
    fn poll(&mut self, nature: &mut Nature, truth: &mut Truth, now_ms: u64, patience_ms: u64) -> Option<(bool, Batch)> {
        match self.in_flight().map(|held| held.outbox.is_overdue(now_ms)) {
            Some(false) => return None,
            Some(true) => self.settle(nature, truth, Response::default()),
            None => {}
        }
        if self.predecessor.as_ref().is_none_or(|held| held.outbox.is_done()) {
            self.predecessor = self.pick_up(nature, truth);
        }
        let predecessor = self.predecessor.as_mut().and_then(|held| held.outbox.poll(now_ms, patience_ms));
        let predecessor = predecessor.map(|batch| (true, batch));
        predecessor.or_else(|| self.own.outbox.poll(now_ms, patience_ms).map(|batch| (false, batch)))
    }

    fn pick_up(&mut self, nature: &mut Nature, truth: &mut Truth) -> Option<Held> {
        let shared = nature.shared.get_mut(self.host)?;
        let place = shared.iter().position(|handoff| handoff.address == self.address)?;
        let Handoff { bytes, mirror, .. } = shared.remove(place);
        let Some(outbox) = Outbox::from_handoff(&bytes, self.limits) else {
            nature.violate("what is left can be picked up", || String::from_utf8_lossy(&bytes).into_owned());
            return None;
        };
        nature.step(Step::PickedUp { vm: self.index, bytes: bytes.len() });
        let held = Held { outbox, mirror, ending: true };
        if held.outbox.is_done() {
            truth.emitters[held.mirror.emitter].life = Life::Ended;
        }
        Some(held)
    }

    fn send(
        &mut self,
        nature: &mut Nature,
        truth: &mut Truth,
        root: u32,
        collector: &Collector,
        batch: Batch,
        predecessor: bool,
    ) {
        let now_ms = self.now_ms(nature);
        let (index, limits) = (self.index, self.limits);
        if self.call.is_some() {
            nature.violate("one call in flight", || format!("vm {index} sends while {:?} waits", self.call));
        }
        let held = if predecessor { self.predecessor.as_mut().unwrap_or(&mut self.own) } else { &mut self.own };
        let offensive = held.sends(nature, truth, index, limits, &batch);
        let Batch { body, events, mut statement, key } = batch;
        held.mutate(nature, &mut statement);
        let (head, dropped, end) = (statement.head, statement.dropped, statement.ended);
        let (bytes, drops, vm) = (body.len(), statement.drops.len(), index);
        let timeout_us = collector.timeout_ms * 1000;
        let header = statement.to_string();
        match nature.dispatch(Outgoing { vm, key: key.clone(), header, body, timeout_us, offensive }) {
            Some(token) => {
                nature.step(Step::Send { vm, token, events, bytes, head, dropped, drops, end });
                self.waiting.insert(token, root);
                self.call = Some((token, root));
                if self.in_flight().is_some_and(|held| held.outbox.goes_beside(now_ms)) {
                    let header = Statement { drops: Vec::new(), ..statement }.to_string();
                    let body = b"[]".to_vec();
                    if let Some(token) =
                        nature.dispatch(Outgoing { vm, key, header, body, timeout_us, offensive: false })
                    {
                        nature.step(Step::Beside { vm, token });
                        self.waiting.insert(token, root);
                    }
                }
            }
            None => self.settle(nature, truth, Response::default()),
        }
    }

    /// The outbox whose call is in flight.
    fn in_flight(&mut self) -> Option<&mut Held> {
        std::iter::once(&mut self.own).chain(&mut self.predecessor).find(|held| held.outbox.is_in_flight())
    }

    fn settle(&mut self, nature: &mut Nature, truth: &mut Truth, response: Response) {
        self.call = None;
        let (vm, now_ms) = (self.index, self.now_ms(nature));
        if let Some(held) = self.in_flight() {
            held.settle(nature, truth, vm, now_ms, response);
            if held.ending && held.outbox.is_done() {
                truth.emitters[held.mirror.emitter].life = Life::Ended;
            }
        }
    }

    fn send_final_flush(&mut self, nature: &mut Nature, truth: &mut Truth, root: u32, collector: &Collector) {
        let now_ms = self.now_ms(nature);
        self.settle(nature, truth, Response::default());
        let final_flush = self.own.outbox.final_flush(now_ms, patience_ms(collector));
        self.own.ending = true;
        for held in std::iter::once(&self.own).chain(&self.predecessor) {
            let life = &mut truth.emitters[held.mirror.emitter].life;
            *life = Life::Ended;
            if let Some(bytes) = held.outbox.handoff() {
                *life = Life::Leaving;
                nature.step(Step::Left { vm: self.index, bytes: bytes.len() });
                if !nature.lacks(Mutation::LeaveNothing) {
                    let (address, mirror) = (self.address.clone(), held.mirror.clone());
                    nature.shared[self.host].push(Handoff { address, bytes, mirror });
                }
            }
        }
        if let Some(batch) = final_flush {
            self.send(nature, truth, root, collector, batch, false);
        }
    }

    /// Lets Envoy delete a root context that stayed for a response, when it has it.
    fn leave(&mut self, nature: &mut Nature, root: u32) {
        let leaves = self.plugins.get(&root).is_some_and(|plugin| plugin.leaves);
        if leaves && self.call.is_none_or(|(_, caller)| caller != root) {
            self.delete(nature, root);
        }
    }

    /// Envoy deletes a root context, and with it the calls that it waits for.
    fn delete(&mut self, nature: &mut Nature, root: u32) {
        self.plugins.remove(&root);
        self.waiting.retain(|_, caller| *caller != root);
        nature.step(Step::Gone { vm: self.index, root });
    }
}

fn patience_ms(collector: &Collector) -> u64 {
    collector.timeout_ms.saturating_add(1000)
}

fn limits(config: &Config) -> Limits {
    let heartbeat_ms = config.collector.as_ref().map_or(0, |collector| collector.heartbeat_ms);
    Limits { batch: config.batch, max_bytes: config.outbox_max_bytes, heartbeat_ms }
}

fn address(config: &Config) -> String {
    let joined = |c: &Collector| [c.cluster.as_str(), c.authority.as_str(), c.path.as_str()].join(" ");
    config.collector.as_ref().map(joined).unwrap_or_default()
}

/// Draws a configuration for a world.
pub fn configuration(nature: &mut Nature) -> Rc<Config> {
    let tight = nature.random.chance(400);
    plan::configuration(&mut nature.random, tight)
}

//! Envoy's side of delivery: its callbacks, and what it does for each action.

use std::rc::Rc;

use delivery::{Action, Batch, Outcome, Response, Written};
use meter::config::Config;
use meter::failures::CollectorFailure;
use wire::statement::COLLECTOR_HEADER;

use crate::mutation::Mutation;
use crate::nature::{Happening, Reply};
use crate::network::Outgoing;
use crate::shared::{Handoff, Shared};
use crate::trace::Step;
use crate::truth::Life;
use crate::world::World;

impl World {
    /// A configuration: a new root context.
    pub fn configure(&mut self, vm: usize, config: Rc<Config>) {
        let World { nature, truth, vms, .. } = self;
        let vm = &mut vms[vm];
        vm.last_root += 1;
        let (index, root, before) = (vm.index, vm.last_root, vm.address());
        nature.step(Step::Configure { vm: index, root });
        if root > 1 && nature.lacks(Mutation::ForgetTheOutbox) {
            vm.forget(nature, truth);
        }
        let period_us = vm.delivery.configure(root, &config) * 1000;
        nature.after(period_us, Happening::Tick { vm: index, root, period_us });
        vm.config = config.clone();
        vm.roots.insert(root, config);
        let same = vm.address() == before;
        for mirror in std::iter::once(&vm.own).chain(&vm.predecessor) {
            truth.emitters[mirror.emitter].listens &= same;
        }
        let heartbeat_ms = vm.config.collector.as_ref().map_or(0, |collector| collector.heartbeat_ms);
        truth.emitters[vm.own.emitter].mute = heartbeat_ms == 0;
        self.drive(index, root);
    }

    /// Envoy's timer.
    pub fn tick(&mut self, vm: usize, root: u32, period_us: u64) {
        if self.vms[vm].roots.contains_key(&root) {
            self.nature.after(period_us, Happening::Tick { vm, root, period_us });
            self.tick_now(vm, root);
        }
    }

    fn tick_now(&mut self, vm: usize, root: u32) {
        let now_ms = self.vms[vm].now_ms(&self.nature);
        self.vms[vm].delivery.tick(now_ms, root);
        self.drive(vm, root);
    }

    /// Envoy brings a response, or says that there will be none.
    pub fn respond(&mut self, vm: usize, token: u32, reply: Reply) {
        let World { nature, vms, .. } = self;
        let Some(vm) = vms.get_mut(vm) else { return }; // An impostor waits for no response.
        let Some(root) = vm.waiting.remove(&token) else { return };
        let index = vm.index;
        let status = if let Reply::Status(status, ..) = reply { status } else { 0 };
        nature.step(Step::Response { vm: index, token, status });
        let late = vm.in_flight.filter(|_| nature.lacks(Mutation::TakeALateResponse));
        let response = read(reply, nature.lacks(Mutation::AcknowledgeOn5xx));
        let now_ms = vm.now_ms(nature);
        vm.delivery.respond(now_ms, root, late.unwrap_or(token), response);
        self.drive(index, root);
    }

    /// Envoy is done with a root context. With the last one it destroys the VM, whatever is returned.
    pub fn done(&mut self, vm: usize, root: u32) {
        let World { nature, truth, vms, .. } = self;
        let ending = &mut vms[vm];
        if !ending.roots.contains_key(&root) {
            return;
        }
        let ends = ending.is_last(root);
        if ending.delivery.is_alone(root) != ends {
            nature.violate("who ends the VM is known", || format!("vm {vm}, root {root}: {:?}", ending.delivery));
        }
        if ends {
            ending.own.ending = true;
            for mirror in std::iter::once(&ending.own).chain(&ending.predecessor) {
                truth.emitters[mirror.emitter].life = Life::Ended;
            }
        }
        let now_ms = ending.now_ms(nature);
        let may_go = ending.delivery.done(now_ms, root);
        nature.step(Step::Done { vm, root, may_go });
        self.drive(vm, root);
        if ends {
            self.vms[vm].destroy();
        } else if may_go {
            self.delete(vm, root);
        } else {
            self.vms[vm].leaving.insert(root);
        }
    }

    /// Envoy deletes a root context, and with it the dispatches that it waits for.
    fn delete(&mut self, vm: usize, root: u32) {
        let deleting = &mut self.vms[vm];
        deleting.roots.remove(&root);
        deleting.leaving.remove(&root);
        deleting.waiting.retain(|_, waiting| *waiting != root);
        self.nature.step(Step::Gone { vm, root });
    }

    /// Does what delivery wants, in the callback of a root context.
    fn drive(&mut self, vm: usize, root: u32) {
        while let Some(action) = self.vms[vm].delivery.poll() {
            match action {
                Action::Dispatch { batch, is_beside } => self.dispatch(vm, root, batch, is_beside),
                Action::Read { key } => self.read_shared(vm, &key),
                Action::Write { key, value, cas } => self.write_shared(vm, &key, value, cas),
                Action::Done => self.delete(vm, root),
                Action::Settled(outcome) => self.settled(vm, &outcome),
                Action::NotHandedOff { emitter } => self.not_handed_off(vm, &emitter),
            }
        }
        let World { nature, truth, vms, .. } = self;
        let vm = &mut vms[vm];
        if vm.delivery.predecessor().is_none()
            && let Some(mirror) = vm.predecessor.take()
        {
            truth.emitters[mirror.emitter].life = Life::Ended;
        }
        let held = vm.own.bytes + vm.predecessor.as_ref().map_or(0, |mirror| mirror.bytes);
        if vm.delivery.bytes() != held {
            nature.violate("the outbox holds what is not settled", || {
                format!("vm {}: {} instead of {held} bytes", vm.index, vm.delivery.bytes())
            });
        }
        if let (false, Some(wrong)) = (nature.meanwhile, nature.shared[vm.host].wrong()) {
            nature.violate("what is handed off is named and bounded", || wrong);
        }
    }

    fn dispatch(&mut self, vm: usize, root: u32, batch: Batch, is_beside: bool) {
        let World { nature, truth, vms, .. } = self;
        let sending = &mut vms[vm];
        let config = sending.roots.get(&root).unwrap_or(&sending.config).clone();
        let Some(collector) = &config.collector else {
            return sending.delivery.dispatched(Err(CollectorFailure::NotSent));
        };
        let limits = sending.config.clone();
        let in_flight = sending.in_flight;
        let mut statement = batch.statement.clone();
        let mut offensive = false;
        if !is_beside {
            if in_flight.is_some() {
                nature.violate("one dispatch in flight", || format!("vm {vm} sends while {in_flight:?} waits"));
            }
            let Some(mirror) = sending.mirror(truth, &statement.emitter) else {
                return nature.violate("who sends is known", || statement.to_string());
            };
            offensive = mirror.sends(nature, truth, vm, &limits, &batch);
            mirror.mutate(nature, &mut statement);
        } else if batch.events > 0 || batch.body != b"[]" || !statement.drops.is_empty() {
            nature.violate("what goes beside says nothing that must be heard", || statement.to_string());
        }
        let (events, bytes) = (batch.events, batch.body.len());
        let (head, dropped, drops, end) = (statement.head, statement.dropped, statement.drops.len(), statement.ended);
        let outgoing = Outgoing {
            vm,
            key: batch.key,
            header: statement.to_string(),
            body: batch.body,
            timeout_us: collector.timeout_ms * 1000,
            offensive,
        };
        let token = nature.dispatch(outgoing);
        if let Some(token) = token {
            sending.waiting.insert(token, root);
            if is_beside {
                nature.step(Step::Beside { vm, token });
            } else {
                sending.in_flight = Some(token);
                nature.step(Step::Send { vm, token, events, bytes, head, dropped, drops, end });
            }
        }
        sending.delivery.dispatched(token.ok_or(CollectorFailure::NotSent));
    }

    fn settled(&mut self, vm: usize, outcome: &Outcome) {
        let World { nature, truth, vms, .. } = self;
        vms[vm].in_flight = None;
        match vms[vm].mirror(truth, &outcome.emitter) {
            Some(mirror) => mirror.settle(nature, truth, vm, outcome),
            None => nature.violate("who is settled is known", || format!("vm {vm}: {outcome:?}")),
        }
    }

    fn read_shared(&mut self, vm: usize, key: &str) {
        let World { nature, truth, vms, .. } = self;
        let reading = &mut vms[vm];
        let shared = &mut nature.shared[reading.host];
        let value = shared.get(key);
        let emitter = Shared::emitter(key).and_then(|emitter| truth.names.get(emitter));
        if let (Some(value), Some(emitter)) = (&value, emitter)
            && let Some(Handoff { mirror, .. }) = shared.handoffs.remove(emitter)
        {
            let before = reading.predecessor.replace(mirror);
            if let Some(before) = before {
                truth.emitters[before.emitter].life = Life::Ended;
            }
            nature.counts.taken_over += 1;
            nature.step(Step::TakenOver { vm, bytes: value.bytes.len() });
        }
        reading.delivery.read(Ok(value));
    }

    fn write_shared(&mut self, vm: usize, key: &str, value: Vec<u8>, cas: u32) {
        if Shared::is_list(key) && cas != 0 {
            self.meanwhile(vm);
        }
        let World { nature, truth, vms, .. } = self;
        let (host, blindly) = (vms[vm].host, nature.lacks(Mutation::SwapBlindly));
        let (bytes, mut written) = (value.len(), Written::Done);
        let emitter = Shared::emitter(key).filter(|_| bytes > 0).map(str::to_owned);
        if emitter.is_none() || !nature.lacks(Mutation::LeaveNothing) {
            written = nature.shared[host].set(key, value, if blindly { 0 } else { cas });
        }
        nature.counts.contended += u64::from(written == Written::CasMismatch);
        if let Some(emitter) = emitter
            && let Some(mirror) = vms[vm].mirror(truth, &emitter)
        {
            truth.emitters[mirror.emitter].life = Life::Leaving;
            mirror.ending = true;
            let handoff = Handoff { mirror: mirror.clone(), bytes };
            nature.shared[host].handoffs.insert(mirror.emitter, handoff);
            nature.step(Step::HandedOff { vm, bytes });
        }
        vms[vm].delivery.written(written);
    }

    /// Between a VM's read of the list and its write, another may change it.
    fn meanwhile(&mut self, vm: usize) {
        let World { nature, vms, hosts, .. } = self;
        if nature.meanwhile || !nature.fault(nature.plan.faults.contention) {
            return;
        }
        let others = vms.iter().filter(|other| other.host == vms[vm].host && other.index != vm && !other.gone);
        let others: Vec<usize> = others.map(|other| other.index).collect();
        if others.is_empty() {
            return;
        }
        let other = nature.random.pick(&others);
        let ends = hosts[vms[vm].host].finishing.contains(&other);
        nature.meanwhile = true;
        let roots: Vec<u32> = self.vms[other].roots.keys().copied().collect();
        for root in roots {
            if ends { self.old_root_is_done(other, root) } else { self.tick_now(other, root) }
        }
        self.nature.meanwhile = false;
    }

    /// There was no room.
    fn not_handed_off(&mut self, vm: usize, name: &str) {
        let World { nature, truth, vms, .. } = self;
        let emitter = truth.names.get(name).copied().unwrap_or(vms[vm].own.emitter);
        let shared = &mut nature.shared[vms[vm].host];
        match shared.handoffs.remove(&emitter) {
            Some(handoff) if !shared.has_room(handoff.bytes) => {}
            handoff => {
                nature.violate("what is left is handed off while there is room", || format!("vm {vm}: {handoff:?}"))
            }
        }
        truth.emitters[emitter].life = Life::Killed;
        nature.counts.no_room += 1;
    }
}

/// The plugin's own reading of a response.
fn read(reply: Reply, acknowledges_5xx: bool) -> Response {
    let Reply::Status(status, retry_after, ours) = reply else { return Response::lost(CollectorFailure::Reset) };
    let status = if acknowledges_5xx && status >= 500 { 200 } else { status };
    let header = |name: &str| match name {
        ":status" => Some(status.to_string().into_bytes()),
        "retry-after" => retry_after.map(|seconds| seconds.to_string().into_bytes()),
        COLLECTOR_HEADER => ours.then(|| b"1".to_vec()),
        _ => None,
    };
    Response::read(header, true)
}

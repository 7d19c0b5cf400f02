//! An outbox, and beside it a plain copy of what its queue must hold.

use std::collections::VecDeque;

use meter::outbox::{Batch, Limits, Outbox, Response};
use wire::emitter::EmitterKey;
use wire::statement::Statement;

use crate::calls::Kind;
use crate::mutation::Mutation;
use crate::nature::Nature;
use crate::trace::Step;
use crate::truth::{Fate, Truth};

/// The longest final flush, bytes: the outbox's own constant.
const FINAL_FLUSH_MAX_BYTES: usize = 1 << 19;

/// What an outbox must hold.
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    /// Whose it is, in truth.
    pub emitter: usize,
    /// Records in the queue.
    queue: VecDeque<usize>,
    bytes: usize,
    in_flight: usize,
    told: u64,
}

/// An outbox and what it must hold.
#[derive(Debug)]
pub struct Held {
    /// The outbox.
    pub outbox: Outbox,
    /// What it must hold.
    pub mirror: Mirror,
    /// Nothing is added to it any more.
    pub ending: bool,
}

impl Held {
    /// An empty outbox.
    pub fn new(emitter: usize, key: EmitterKey, limits: Limits) -> Held {
        let mirror = Mirror { emitter, ..Mirror::default() };
        Held { outbox: Outbox::new(key, limits), mirror, ending: false }
    }

    /// Begins with nothing, under the same name: what a guard is there against.
    pub fn forget(&mut self, truth: &Truth, limits: Limits) {
        let spent = truth.emitters[self.mirror.emitter].spent;
        *self = Held::new(self.mirror.emitter, self.outbox.key().clone(), limits);
        while spent > 0 && self.outbox.next_sequence() < spent {}
    }

    /// Queues a record's event; false: it does not fit.
    pub fn push(
        &mut self,
        nature: &mut Nature,
        now_ms: u64,
        limits: Limits,
        record: usize,
        sequence: u64,
        event: &[u8],
    ) -> bool {
        let before = self.outbox.bytes();
        let queued = self.outbox.push(now_ms, sequence, event.to_vec());
        let fits = before + event.len() <= limits.max_bytes;
        let bytes = self.outbox.bytes();
        if queued != fits || bytes != before + if queued { event.len() } else { 0 } {
            nature.violate("the outbox keeps its bound", || {
                let emitter = self.outbox.emitter();
                format!(
                    "{emitter}-{sequence}: {before} + {} bytes, at most {}: now {bytes}",
                    event.len(),
                    limits.max_bytes
                )
            });
        }
        if queued {
            self.mirror.queue.push_back(record);
            self.mirror.bytes += event.len();
        }
        queued
    }

    /// Takes a response.
    pub fn settle(&mut self, nature: &mut Nature, truth: &mut Truth, vm: usize, now_ms: u64, response: Response) {
        let random = nature.random.next();
        let in_flight = std::mem::take(&mut self.mirror.in_flight);
        let emitter = &mut truth.emitters[self.mirror.emitter];
        match response.status {
            Some(200..=299) => (emitter.deaf, emitter.listens) = (false, response.reads_statements),
            Some(400 | 413 | 422) if in_flight == 0 => emitter.deaf = true,
            _ => emitter.listens |= response.reads_statements,
        }
        let settled = self.outbox.settle(now_ms, response, random);
        let rejected = settled.rejected.is_some();
        let (acknowledged, retried) = (settled.acknowledged, settled.retried);
        nature.step(Step::Settled { vm, acknowledged, retried, rejected });
        let mut freed = 0;
        for place in 0..acknowledged + usize::from(rejected) {
            let Some(index) = self.mirror.queue.pop_front() else { break };
            freed += truth.records[index].event.len();
            truth.records[index].fate = if place < acknowledged { Fate::Acknowledged } else { Fate::Rejected };
        }
        nature.counts.rejected += u64::from(rejected);
        self.mirror.bytes -= freed;
        let (bytes, held) = (self.outbox.bytes(), self.mirror.bytes);
        if settled.freed != freed || bytes != held {
            nature.violate("the outbox holds what is not settled", || {
                format!("vm {vm}: freed {} instead of {freed}, holds {bytes} instead of {held} bytes", settled.freed)
            });
        }
    }

    /// A batch goes out: it must be the head of the queue, in order, within the bounds. Says whether a proxy on the way will
    /// not like it.
    pub fn sends(&mut self, nature: &mut Nature, truth: &Truth, vm: usize, limits: Limits, batch: &Batch) -> bool {
        let events = batch.events;
        self.mirror.in_flight = events;
        let mut rest = batch.body.strip_prefix(b"[").unwrap_or(b"!");
        let mut offensive = false;
        for (at, index) in self.mirror.queue.iter().take(events).enumerate() {
            let told = &truth.records[*index];
            offensive |= told.kind == Kind::Offensive;
            let comma = if at > 0 { rest.strip_prefix(b",") } else { Some(rest) };
            rest = comma.and_then(|rest| rest.strip_prefix(told.event.as_ref())).unwrap_or(b"!");
        }
        let batch_limits = limits.batch;
        let large = self.ending && batch.body.len() <= batch_limits.max_bytes.max(FINAL_FLUSH_MAX_BYTES);
        let small = batch.body.len() <= batch_limits.max_bytes && events <= batch_limits.max_events;
        if rest != b"]" || !(events <= 1 || small || large) {
            nature.violate("a batch is the head of the queue", || {
                format!("vm {vm}: {events} events in {} bytes, queue of {}", batch.body.len(), self.mirror.queue.len())
            });
        }
        offensive
    }

    /// What a guard is there against.
    pub fn mutate(&mut self, nature: &Nature, statement: &mut Statement) {
        match nature.mutation {
            Some(Mutation::TellDropsOnce) => {
                let told = self.mirror.told;
                statement.drops.retain(|drop| drop.last > told);
                self.mirror.told = statement.drops.last().map_or(told, |drop| drop.last);
            }
            Some(Mutation::EndTooEarly) => statement.ended |= statement.head.is_multiple_of(16),
            Some(Mutation::NeverEnd) => statement.ended = false,
            _ => {}
        }
    }
}

//! A plain copy of what an outbox must hold, kept by what delivery says and does.

use std::collections::VecDeque;

use delivery::{Batch, Outcome};
use meter::config::Config;
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
    /// Nothing is added to it any more.
    pub ending: bool,
    /// Bytes of the records in the queue.
    pub bytes: usize,
    /// Records in the queue.
    queue: VecDeque<usize>,
    in_flight: usize,
    told: u64,
}

impl Mirror {
    /// The copy of an empty outbox.
    pub fn new(emitter: usize) -> Mirror {
        Mirror { emitter, ..Mirror::default() }
    }

    /// A record's event is queued.
    pub fn push(&mut self, record: usize, bytes: usize) {
        self.queue.push_back(record);
        self.bytes += bytes;
    }

    /// A dispatch is over.
    pub fn settle(&mut self, nature: &mut Nature, truth: &mut Truth, vm: usize, outcome: &Outcome) {
        let Outcome { settled, response, .. } = outcome;
        let in_flight = std::mem::take(&mut self.in_flight);
        let emitter = &mut truth.emitters[self.emitter];
        // Somebody else in the collector's place says nothing for it.
        let decides = matches!(response.status, Some(200..=299 | 400 | 413 | 422));
        let is_stranger = emitter.listens && !response.reads_statements && decides;
        match response.status {
            _ if is_stranger => {}
            Some(200..=299) => (emitter.deaf, emitter.listens) = (false, response.reads_statements),
            Some(400 | 413 | 422) if in_flight == 0 => emitter.deaf = true,
            _ => emitter.listens |= response.reads_statements,
        }
        let rejected = settled.rejected.is_some();
        let (acknowledged, retried) = (settled.acknowledged, settled.retried);
        nature.step(Step::Settled { vm, acknowledged, retried, rejected });
        let mut freed = 0;
        for place in 0..acknowledged + usize::from(rejected) {
            let Some(index) = self.queue.pop_front() else { break };
            freed += truth.records[index].event.len();
            truth.records[index].fate = if place < acknowledged { Fate::Acknowledged } else { Fate::Rejected };
        }
        nature.counts.rejected += u64::from(rejected);
        self.bytes -= freed;
        if settled.freed != freed {
            nature.violate("the outbox holds what is not settled", || {
                format!("vm {vm}: freed {} instead of {freed} bytes", settled.freed)
            });
        }
    }

    /// A batch goes out: it must be the head of the queue, in order, within the bounds. Says whether a proxy on the way will
    /// not like it.
    pub fn sends(&mut self, nature: &mut Nature, truth: &Truth, vm: usize, config: &Config, batch: &Batch) -> bool {
        let events = batch.events;
        self.in_flight = events;
        let mut rest = batch.body.strip_prefix(b"[").unwrap_or(b"!");
        let mut offensive = false;
        for (at, index) in self.queue.iter().take(events).enumerate() {
            let told = &truth.records[*index];
            offensive |= told.kind == Kind::Offensive;
            let comma = if at > 0 { rest.strip_prefix(b",") } else { Some(rest) };
            rest = comma.and_then(|rest| rest.strip_prefix(told.event.as_ref())).unwrap_or(b"!");
        }
        let limits = config.batch;
        let large = self.ending && batch.body.len() <= limits.max_bytes.max(FINAL_FLUSH_MAX_BYTES);
        let small = batch.body.len() <= limits.max_bytes && events <= limits.max_events;
        if rest != b"]" || !(events <= 1 || small || large) {
            nature.violate("a batch is the head of the queue", || {
                format!("vm {vm}: {events} events in {} bytes, queue of {}", batch.body.len(), self.queue.len())
            });
        }
        offensive
    }

    /// What a guard is there against.
    pub fn mutate(&mut self, nature: &Nature, statement: &mut Statement) {
        match nature.mutation {
            Some(Mutation::TellDropsOnce) => {
                let told = self.told;
                statement.drops.retain(|drop| drop.last > told);
                self.told = statement.drops.last().map_or(told, |drop| drop.last);
            }
            Some(Mutation::EndTooEarly) => statement.ended |= statement.head.is_multiple_of(16),
            Some(Mutation::NeverEnd) => statement.ended = false,
            _ => {}
        }
    }
}

//! A call has ended: its records get their numbers, and go into the outbox and the journal.

use std::rc::Rc;

use super::Vm;
use crate::calls::{self, Call};
use crate::mutation::Mutation;
use crate::nature::Nature;
use crate::trace::Step;
use crate::truth::{Fate, Kept, Told, Truth};

impl Vm {
    /// A call has ended with records: their numbers, and the lines of the journal.
    pub fn emit(&mut self, nature: &mut Nature, truth: &mut Truth, records: &[Call]) -> (Vec<usize>, Vec<u8>) {
        let (mut told, mut lines) = (Vec::new(), Vec::new());
        for record in records {
            let (index, event) = self.emit_one(nature, truth, record);
            if !lines.is_empty() {
                lines.push(b'\n');
            }
            lines.extend_from_slice(&event);
            told.push(index);
        }
        (told, lines)
    }

    fn emit_one(&mut self, nature: &mut Nature, truth: &mut Truth, call: &Call) -> (usize, Rc<[u8]>) {
        let emitter = self.own.emitter;
        let name = truth.emitters[emitter].name.clone();
        let spent = truth.emitters[emitter].spent;
        let mut told = Told {
            emitter,
            number: None,
            event: Rc::from(Vec::new()),
            kind: call.kind,
            counts: call.counts,
            fate: Fate::Full,
            kept: Kept::Lost,
        };
        nature.counts.records += 1;
        if nature.lacks(Mutation::DropWithoutSpending) {
            let event = calls::encode(call, &name, spent + 1);
            if self.own.bytes + event.len() > self.config.outbox_max_bytes {
                return (truth.record(told), event.into());
            }
        }
        let reuse = nature.lacks(Mutation::ReuseASequenceNumber) && spent > 0 && nature.random.chance(20);
        let sequence = if reuse { spent } else { self.delivery.next_sequence() };
        let event: Rc<[u8]> = calls::encode(call, &name, sequence).into();
        let now_ms = self.now_ms(nature);
        let queued = self.push(nature, now_ms, truth.records.len(), sequence, &event);
        nature.step(Step::Call { vm: self.index, number: sequence, bytes: event.len(), queued });
        nature.counts.dropped += u64::from(!queued);
        told.number = Some(sequence);
        told.event = event.clone();
        told.fate = if queued { Fate::Queued } else { Fate::Full };
        (truth.record(told), event)
    }

    /// Queues a record's event; false: it does not fit.
    fn push(&mut self, nature: &mut Nature, now_ms: u64, record: usize, sequence: u64, event: &[u8]) -> bool {
        let (before, all) = (self.own.bytes, self.delivery.bytes());
        let queued = self.delivery.push(now_ms, sequence, event.to_vec());
        let fits = before + event.len() <= self.config.outbox_max_bytes;
        let (index, max, now) = (self.index, self.config.outbox_max_bytes, self.delivery.bytes());
        if queued != fits || now != all + if queued { event.len() } else { 0 } {
            nature.violate("the outbox keeps its bound", || {
                format!("vm {index}: {before} + {} bytes, at most {max}; in all {all}, now {now}", event.len())
            });
        }
        if queued {
            self.own.push(record, event.len());
        }
        queued
    }
}

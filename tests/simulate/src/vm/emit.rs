//! A call has ended: what delivery makes of its records, and what it must make of them.

use std::rc::Rc;

use delivery::Emitted;

use super::Vm;
use crate::calls::{self, Call};
use crate::mutation::Mutation;
use crate::nature::Nature;
use crate::trace::Step;
use crate::truth::{Fate, Kept, Told, Truth};

impl Vm {
    /// A call has ended with records: their places in the truth, and the lines of the journal.
    pub fn emit(&mut self, nature: &mut Nature, truth: &mut Truth, records: &[Call]) -> (Vec<usize>, Vec<u8>) {
        nature.counts.records += records.len() as u64;
        let (unnumbered, records) = self.without_room(nature, truth, records);
        let (now_ms, all) = (self.now_ms(nature), self.delivery.bytes());
        let spent = truth.emitters[self.own.emitter].spent;
        let mut encoded = Vec::new();
        let encode = |call: &Call, emitter: &str, sequence: u64| {
            let reuse = nature.lacks(Mutation::ReuseASequenceNumber) && spent > 0 && nature.random.chance(20);
            let number = if reuse { sequence - 1 } else { sequence };
            let event = calls::encode(call, emitter, number);
            encoded.push((number, Rc::from(event.as_slice())));
            event
        };
        let mut lines = Vec::new();
        let emitted = self.delivery.emit(now_ms, &records, true, encode, |journal| lines = journal.to_vec());
        let is_whole =
            lines == encoded.iter().map(|(_, event): &(u64, Rc<[u8]>)| &**event).collect::<Vec<_>>().join(&b'\n');
        if emitted.len() != records.len() || encoded.len() != records.len() || !is_whole {
            nature.violate("the journal has every record of a call", || {
                format!("{} records, {} numbers: {}", records.len(), emitted.len(), String::from_utf8_lossy(&lines))
            });
        }
        let mut told = unnumbered;
        for (call, (emitted, (number, event))) in records.iter().zip(emitted.iter().zip(encoded)) {
            told.push(self.emitted(nature, truth, call, emitted, number, event));
        }
        let queued: usize = emitted.iter().filter(|emitted| emitted.is_queued).map(|emitted| emitted.bytes).sum();
        let now = self.delivery.bytes();
        if now != all + queued {
            nature.violate("the outbox keeps its bound", || format!("{all} + {queued} bytes, now {now}"));
        }
        (told, lines)
    }

    /// What became of a record: it is queued if there is room, and numbered in any case.
    fn emitted(
        &mut self,
        nature: &mut Nature,
        truth: &mut Truth,
        call: &Call,
        emitted: &Emitted,
        number: u64,
        event: Rc<[u8]>,
    ) -> usize {
        let Emitted { bytes, is_queued, .. } = *emitted;
        let (index, before, max) = (self.index, self.own.bytes, self.config.outbox_max_bytes);
        if is_queued != (before + event.len() <= max) || bytes != event.len() {
            nature.violate("the outbox keeps its bound", || {
                format!("vm {index}: {before} + {} bytes, at most {max}: {emitted:?}", event.len())
            });
        }
        if is_queued {
            self.own.push(truth.records.len(), bytes);
        }
        nature.step(Step::Call { vm: index, number, bytes, queued: is_queued });
        nature.counts.dropped += u64::from(!is_queued);
        let fate = if is_queued { Fate::Queued } else { Fate::Full };
        truth.record(self.told(call, Some(number), event, fate))
    }

    /// Takes out the records that have no room, where the guard is missing that numbers them all the same.
    fn without_room(&self, nature: &Nature, truth: &mut Truth, records: &[Call]) -> (Vec<usize>, Vec<Call>) {
        let mut unnumbered = Vec::new();
        if !nature.lacks(Mutation::DropWithoutSpending) {
            return (unnumbered, records.to_vec());
        }
        let mut bytes = self.own.bytes;
        let mut fitting = Vec::new();
        for call in records {
            let emitter = &truth.emitters[self.own.emitter];
            let event = calls::encode(call, &emitter.name, emitter.spent + 1);
            if bytes + event.len() > self.config.outbox_max_bytes {
                unnumbered.push(truth.record(self.told(call, None, event.into(), Fate::Full)));
            } else {
                bytes += event.len();
                fitting.push(call.clone());
            }
        }
        (unnumbered, fitting)
    }

    fn told(&self, call: &Call, number: Option<u64>, event: Rc<[u8]>, fate: Fate) -> Told {
        let Call { kind, counts, .. } = call;
        Told { emitter: self.own.emitter, number, event, kind: *kind, counts: *counts, fate, kept: Kept::Lost }
    }
}

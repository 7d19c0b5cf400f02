//! A call has ended: its records become events with numbers, for the journal and for the outbox.

use crate::worker::Delivery;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emitted {
    /// The number of its event.
    pub sequence: u64,
    /// How long its event is.
    pub bytes: usize,
    /// Whether its event is in the outbox. If it was to be sent, it has no room there and is dropped.
    pub is_queued: bool,
}

impl Delivery {
    /// Makes events of a call's records: `encode` is given a record, who counts, and the event's number; `publish` the events
    /// for the journal, one a line. If they are to be sent, they are then queued.
    ///
    /// The number is spent also if the event is dropped: the gap names what is missing.
    pub fn emit<R>(
        &mut self,
        now_ms: u64,
        records: &[R],
        is_sent: bool,
        mut encode: impl FnMut(&R, &str, u64) -> Vec<u8>,
        publish: impl FnOnce(&[u8]),
    ) -> Vec<Emitted> {
        let mut number = |record| {
            let sequence = self.own.next_sequence();
            (sequence, encode(record, self.own.emitter(), sequence))
        };
        let events: Vec<(u64, Vec<u8>)> = records.iter().map(&mut number).collect();
        match events.as_slice() {
            [(_, event)] => publish(event),
            events => {
                let lines: Vec<&[u8]> = events.iter().map(|(_, event)| event.as_slice()).collect();
                publish(&lines.join(&b'\n'));
            }
        }
        let queue = |(sequence, event): (u64, Vec<u8>)| {
            let bytes = event.len();
            Emitted { sequence, bytes, is_queued: is_sent && self.own.push(now_ms, sequence, event) }
        };
        events.into_iter().map(queue).collect()
    }
}

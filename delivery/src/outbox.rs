//! The queue of events that the collector has not acknowledged: a state machine that takes `now` and does no I/O.
//!
//! Bounded in bytes, first in first out, one dispatch in flight. What the collector cannot take now is sent again, without end;
//! only what it refuses as unreadable is given up, and only when it stands alone in its batch. Where it has once said who it is,
//! nobody else acknowledges or refuses anything in its place. Every dispatch states how
//! far the emitter has counted and what it dropped; if there is nothing to send, that alone is said from time to time.

mod drops;
mod handoff;
mod stranger;

use std::collections::VecDeque;

use meter::config;
use wire::emitter::EmitterKey;
use wire::statement::{Reason, Statement};

use crate::batch::{Batch, Settled};
use crate::response::Response;
use drops::Drops;
use stranger::Doubt;

/// The first bound of the delay between two tries, ms; it doubles with every failure.
const BACKOFF_BASE_MS: u64 = 500;
/// The last bound of it, ms: a collector that comes back is found within this time.
const BACKOFF_MAX_MS: u64 = 30_000;
/// The longest `Retry-After` that is obeyed, ms.
const RETRY_AFTER_MAX_MS: u64 = 300_000;
/// The longest final flush, bytes. Envoy writes what the socket takes in one piece, and half a batch is none: a connection
/// in use took 0.75 MiB with packets of Ethernet's size, and 1 MiB on loopback; one that was hardly used 0.17 MiB.
const FINAL_FLUSH_MAX_BYTES: usize = 1 << 19;

/// The queue of one emitter.
#[derive(Debug)]
pub struct Outbox {
    key: EmitterKey,
    /// Whose name the key proves.
    emitter: String,
    sequence: u64,
    limits: Limits,
    queue: VecDeque<Entry>,
    bytes: usize,
    drops: Drops,
    in_flight: Option<InFlight>,
    failures: u32,
    not_before_ms: u64,
    /// So many events at the head of the queue are known to hold one that the collector refuses.
    suspects: usize,
    /// When the last dispatch went out.
    spoke_ms: u64,
    /// When a dispatch was last made beside another.
    beside_ms: u64,
    /// The collector reads statements: it has said who it is.
    listens: bool,
    /// What somebody else has refused in its place.
    doubt: Doubt,
    /// The collector has given this emitter leases, which its end returns.
    holds_leases: bool,
    /// No number will be given out any more.
    ending: bool,
    /// The collector has heard that this number is the last.
    ended_at: Option<u64>,
}

/// What bounds the queue and its dispatches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// When a batch is sent.
    pub batch: config::Batch,
    /// The bound of the queue, bytes of events.
    pub max_bytes: usize,
    /// After so long without a dispatch the emitter speaks up, ms; 0: never.
    pub heartbeat_ms: u64,
}

#[derive(Debug)]
struct Entry {
    sequence: u64,
    event: Vec<u8>,
    queued_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    /// None: the dispatch only states.
    events: usize,
    /// Without a response by then there will be none.
    deadline_ms: u64,
    /// Drops were told up to this number.
    told: u64,
    /// It was said that this number is the last.
    ended_at: Option<u64>,
}

impl Outbox {
    /// The empty queue of the emitter that has this key.
    pub fn new(key: EmitterKey, limits: Limits) -> Self {
        Outbox {
            emitter: key.emitter(),
            key,
            sequence: 0,
            limits,
            queue: VecDeque::new(),
            bytes: 0,
            drops: Drops::default(),
            in_flight: None,
            failures: 0,
            not_before_ms: 0,
            suspects: 0,
            spoke_ms: 0,
            beside_ms: 0,
            listens: false,
            doubt: Doubt::default(),
            holds_leases: false,
            ending: false,
            ended_at: None,
        }
    }

    /// Goes on under new limits; what is queued stays. A collector that is another than before has to show anew that it
    /// reads statements.
    pub fn reconfigure(&mut self, limits: Limits, same_collector: bool) {
        self.limits = limits;
        self.listens &= same_collector;
    }

    /// Who counts.
    pub fn emitter(&self) -> &str {
        &self.emitter
    }

    /// Spends the next sequence number. It is spent also if the event is dropped later: the gap names what is missing.
    pub fn next_sequence(&mut self) -> u64 {
        self.sequence = self.sequence.saturating_add(1);
        self.sequence
    }

    /// All events up to this number are acknowledged, or given up.
    pub fn acknowledged(&self) -> u64 {
        self.queue.front().map_or(self.sequence, |entry| entry.sequence.saturating_sub(1))
    }

    /// What proves who counts.
    pub fn key(&self) -> &EmitterKey {
        &self.key
    }

    /// Bytes of events in the queue.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the oldest event that waits was queued, ms; none: none waits.
    pub fn oldest_ms(&self) -> Option<u64> {
        self.queue.front().map(|entry| entry.queued_ms)
    }

    /// Whether no event waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether a dispatch waits for its response.
    pub fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Whether the collector has everything, and everything has been said to it that there is to say.
    pub fn is_done(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_none() && !self.has_final_flush()
    }

    /// Queues an event; false: it does not fit and is dropped.
    pub fn push(&mut self, now_ms: u64, sequence: u64, event: Vec<u8>) -> bool {
        let bytes = self.bytes.saturating_add(event.len());
        if bytes > self.limits.max_bytes {
            self.drops.insert(sequence, Reason::Full);
            return false;
        }
        self.bytes = bytes;
        self.queue.push_back(Entry { sequence, event, queued_ms: now_ms });
        true
    }

    /// A dispatch that is due and takes the place in flight. `patience_ms`: how long a response may take at most.
    pub fn poll(&mut self, now_ms: u64, patience_ms: u64) -> Option<Batch> {
        if self.in_flight.is_some() || now_ms < self.not_before_ms {
            None
        } else if self.doubt.asks() {
            Some(self.dispatch(now_ms, patience_ms, b"[]".to_vec(), 0))
        } else if self.is_due(now_ms) {
            Some(self.take(now_ms, patience_ms))
        } else if self.is_silent(now_ms) || self.has_final_flush() {
            Some(self.dispatch(now_ms, patience_ms, b"[]".to_vec(), 0))
        } else {
            None
        }
    }

    /// Whether the statement of the batch in flight is to be sent a second time, beside it, without events and drops, its
    /// response being of no interest: once in a heartbeat's interval, so that a second connection is warm. At the end the final flush
    /// may find the first one busy, and a new one comes too late.
    pub fn goes_beside(&mut self, now_ms: u64) -> bool {
        let carries = self.in_flight.is_some_and(|dispatch| dispatch.events > 0);
        let interval_ms = self.limits.heartbeat_ms;
        let due = interval_ms > 0 && now_ms.saturating_sub(self.beside_ms) >= interval_ms;
        if carries && due && self.listens && !self.ending {
            self.beside_ms = now_ms;
            return true;
        }
        false
    }

    /// The collector has given this emitter leases: it reads statements, and waits for the last one.
    pub fn hold_leases(&mut self) {
        self.holds_leases = true;
    }

    /// The final flush, due or not: as much of the queue as fits one dispatch, and that no number will be given out any more.
    /// Nothing, if there is nothing to say.
    ///
    /// A batch in flight goes along again, for nobody may be there any more to hear its response: it is given up here, and
    /// the collector recognises its events.
    pub fn final_flush(&mut self, now_ms: u64, patience_ms: u64) -> Option<Batch> {
        self.ending = true;
        self.in_flight = None;
        (!self.is_done()).then(|| self.take(now_ms, patience_ms))
    }

    /// Whether the dispatch in flight will get no response any more; then [`Outbox::settle`] it without a response.
    pub fn is_overdue(&self, now_ms: u64) -> bool {
        self.in_flight.is_some_and(|dispatch| now_ms >= dispatch.deadline_ms)
    }

    /// Takes the collector's response. `random` is any random number: the delay is drawn from the whole range up to its
    /// bound (full jitter), so that many proxies do not come back at once.
    pub fn settle(&mut self, now_ms: u64, response: Response, random: u64) -> Settled {
        let Some(InFlight { events, told, ended_at, .. }) = self.in_flight.take() else { return Settled::default() };
        if self.is_stranger(&response) {
            return self.settle_stranger(now_ms, &response, events, random);
        }
        self.doubt.ask_no_more(response.reads_statements);
        let taken = response.is_taken();
        let failure = (!taken).then(|| response.failure());
        if taken || response.reads_statements {
            self.listens = response.reads_statements;
        }
        match response.status {
            _ if taken => {
                self.failures = 0;
                self.not_before_ms = 0;
                self.drops.forget(told);
                self.ended_at = ended_at;
                self.suspects = self.suspects.saturating_sub(events);
                let freed = self.drop_head(events);
                let quarantined = usize::try_from(response.quarantined).unwrap_or(usize::MAX).min(events);
                Settled { acknowledged: events, quarantined, freed, ..Settled::default() }
            }
            // It does not take a dispatch without events.
            Some(400 | 413 | 422) if events == 0 => {
                self.listens = false;
                Settled::default()
            }
            // The collector cannot read the batch: halve it until the event that it cannot read stands alone.
            Some(400 | 413 | 422) if events > 1 => {
                self.suspects = events;
                Settled { retried: events, failure, ..Settled::default() }
            }
            Some(400 | 413 | 422) => Settled { failure, ..self.give_up() },
            _ => {
                self.back_off(now_ms, response.retry_after_ms, random);
                Settled { retried: events, failure, ..Settled::default() }
            }
        }
    }

    /// Gives up the event at the head, which cannot be taken.
    fn give_up(&mut self) -> Settled {
        self.suspects = 0;
        let sequence = self.queue.front().map(|entry| entry.sequence);
        if let Some(sequence) = sequence {
            self.drops.insert(sequence, Reason::Refused);
        }
        let rejected = sequence.map(|sequence| format!("{}-{sequence}", self.emitter));
        let freed = self.drop_head(1);
        Settled { rejected, freed, ..Settled::default() }
    }

    fn back_off(&mut self, now_ms: u64, retry_after_ms: Option<u64>, random: u64) {
        let doubled = BACKOFF_BASE_MS.saturating_mul(1u64.checked_shl(self.failures).unwrap_or(u64::MAX));
        let bound = doubled.min(BACKOFF_MAX_MS);
        let drawn = random.checked_rem(bound.saturating_add(1)).unwrap_or(bound);
        let asked = retry_after_ms.unwrap_or(0).min(RETRY_AFTER_MAX_MS);
        self.failures = self.failures.saturating_add(1).min(16);
        self.not_before_ms = now_ms.saturating_add(drawn.max(asked));
    }

    fn is_due(&self, now_ms: u64) -> bool {
        let Some(oldest) = self.queue.front() else { return false };
        self.queue.len() >= self.limits.batch.max_events
            || self.bytes >= self.limits.batch.max_bytes
            || self.suspects > 0
            || self.ending
            || now_ms.saturating_sub(oldest.queued_ms) >= self.limits.batch.max_age_ms
    }

    /// Whether it is time for an emitter that has counted something to show that it lives.
    fn is_silent(&self, now_ms: u64) -> bool {
        let interval_ms = self.limits.heartbeat_ms;
        let speaks = self.listens && self.sequence > 0 && interval_ms > 0 && !self.ending;
        speaks && now_ms.saturating_sub(self.spoke_ms) >= interval_ms
    }

    /// Whether the end, or what was dropped before it, is still to be told to a collector that understands it.
    fn has_final_flush(&self) -> bool {
        let told = self.ended_at == Some(self.sequence) && !self.drops.wait();
        self.ending && ((self.listens && self.sequence > 0) || self.holds_leases) && !told
    }

    /// As much of the queue as goes into one dispatch. A collector that reads statements is known to take a large final flush;
    /// any other gets no more than it always got.
    fn take(&mut self, now_ms: u64, patience_ms: u64) -> Batch {
        let batch = self.limits.batch;
        let (most, max_bytes) = match self.suspects {
            0 if self.ending && self.listens => (usize::MAX, batch.max_bytes.max(FINAL_FLUSH_MAX_BYTES)),
            0 => (batch.max_events, batch.max_bytes),
            suspects => (suspects.div_ceil(2).min(batch.max_events), batch.max_bytes),
        };
        let mut body = Vec::with_capacity(self.bytes.min(max_bytes).saturating_add(1024));
        body.push(b'[');
        let mut events = 0usize;
        for entry in self.queue.iter().take(most) {
            let length = body.len().saturating_add(entry.event.len()).saturating_add(2);
            if events > 0 && length > max_bytes {
                break;
            }
            if events > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&entry.event);
            events = events.saturating_add(1);
        }
        body.push(b']');
        self.dispatch(now_ms, patience_ms, body, events)
    }

    /// What a dispatch with so many events says.
    fn statement(&self, events: usize) -> Statement {
        Statement {
            emitter: self.emitter.clone(),
            head: self.sequence,
            dropped: self.drops.count(),
            drops: self.drops.told(),
            ended: self.ending && events == self.queue.len(),
        }
    }

    fn dispatch(&mut self, now_ms: u64, patience_ms: u64, body: Vec<u8>, events: usize) -> Batch {
        let statement = self.statement(events);
        let deadline_ms = now_ms.saturating_add(patience_ms);
        let told = statement.drops.last().map_or(0, |drop| drop.last);
        let ended_at = statement.ended.then_some(self.sequence);
        self.in_flight = Some(InFlight { events, deadline_ms, told, ended_at });
        self.spoke_ms = now_ms;
        Batch { body, events, statement, key: self.key.clone() }
    }

    fn drop_head(&mut self, events: usize) -> usize {
        let freed = self.queue.drain(..events.min(self.queue.len())).map(|entry| entry.event.len());
        let freed = freed.fold(0, usize::saturating_add);
        self.bytes = self.bytes.saturating_sub(freed);
        freed
    }
}

#[cfg(test)]
mod tests;

//! The queue of events that the collector has not acknowledged: a state machine that takes `now` and does no I/O.
//!
//! Bounded in bytes, first in first out, one batch in flight. What the collector cannot take now is sent again, for
//! ever; only what it refuses as unreadable is given up, and only when it stands alone in its batch.

use std::collections::VecDeque;

use crate::config::Batch as Bounds;

/// The first bound of the delay between two tries, ms; it doubles with every failure.
const BACKOFF_BASE_MS: u64 = 500;
/// The last bound of it, ms: a collector that comes back is found within this time.
const BACKOFF_MAX_MS: u64 = 30_000;
/// The longest `Retry-After` that is obeyed, ms.
const RETRY_AFTER_MAX_MS: u64 = 300_000;

/// The queue of one emitter.
#[derive(Debug)]
pub struct Outbox {
    emitter: String,
    sequence: u64,
    bounds: Bounds,
    max_bytes: usize,
    queue: VecDeque<Entry>,
    bytes: usize,
    in_flight: Option<InFlight>,
    failures: u32,
    not_before_ms: u64,
    /// So many events at the head of the queue are known to hold one that the collector refuses.
    suspects: usize,
}

#[derive(Debug)]
struct Entry {
    sequence: u64,
    event: Vec<u8>,
    queued_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    events: usize,
    /// Without an answer by then there will be none.
    deadline_ms: u64,
}

/// A batch to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// A JSON array of events.
    pub body: Vec<u8>,
    /// How many.
    pub events: usize,
}

/// What became of the batch in flight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Events that the collector has taken.
    pub acknowledged: usize,
    /// Events that will be sent again.
    pub retried: usize,
    /// The id of the event that the collector refuses.
    pub rejected: Option<String>,
    /// Bytes that left the queue.
    pub freed: usize,
}

/// The collector's answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer {
    /// The HTTP status; `None`: there was no answer.
    pub status: Option<u64>,
    /// `Retry-After`, ms.
    pub retry_after_ms: Option<u64>,
}

impl Outbox {
    /// An empty queue. `emitter`: 32 hex digits of 128 random bits.
    pub fn new(emitter: String, bounds: Bounds, max_bytes: usize) -> Self {
        Outbox {
            emitter,
            sequence: 0,
            bounds,
            max_bytes,
            queue: VecDeque::new(),
            bytes: 0,
            in_flight: None,
            failures: 0,
            not_before_ms: 0,
            suspects: 0,
        }
    }

    /// Takes new bounds; what is queued stays.
    pub fn set_bounds(&mut self, bounds: Bounds, max_bytes: usize) {
        self.bounds = bounds;
        self.max_bytes = max_bytes;
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

    /// Bytes of events in the queue.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Queues an event; false: it does not fit and is dropped.
    pub fn push(&mut self, now_ms: u64, sequence: u64, event: Vec<u8>) -> bool {
        let bytes = self.bytes.saturating_add(event.len());
        if bytes > self.max_bytes {
            return false;
        }
        self.bytes = bytes;
        self.queue.push_back(Entry { sequence, event, queued_ms: now_ms });
        true
    }

    /// A batch that is due and takes the place in flight. `patience_ms`: how long an answer may take at most.
    pub fn poll(&mut self, now_ms: u64, patience_ms: u64) -> Option<Batch> {
        if self.is_due(now_ms) { self.take(now_ms, patience_ms) } else { None }
    }

    /// A batch now, due or not: the last word before the end. A batch in flight is not overtaken.
    pub fn flush(&mut self, now_ms: u64, patience_ms: u64) -> Option<Batch> {
        if self.in_flight.is_some() { None } else { self.take(now_ms, patience_ms) }
    }

    /// Whether the batch in flight will not be answered any more; then [`Outbox::settle`] it without an answer.
    pub fn is_overdue(&self, now_ms: u64) -> bool {
        self.in_flight.is_some_and(|batch| now_ms >= batch.deadline_ms)
    }

    /// Takes the collector's answer. `random` is any random number: the delay is drawn from the whole range up to its
    /// bound (full jitter), so that many proxies do not come back at once.
    pub fn settle(&mut self, now_ms: u64, answer: Answer, random: u64) -> Settled {
        let Some(InFlight { events, .. }) = self.in_flight.take() else { return Settled::default() };
        match answer.status {
            Some(200..=299) => {
                self.failures = 0;
                self.not_before_ms = 0;
                self.suspects = self.suspects.saturating_sub(events);
                let freed = self.drop_head(events);
                Settled { acknowledged: events, freed, ..Settled::default() }
            }
            // The collector cannot read the batch: halve it until the event that it cannot read stands alone.
            Some(400 | 413 | 422) if events > 1 => {
                self.suspects = events;
                Settled { retried: events, ..Settled::default() }
            }
            Some(400 | 413 | 422) => {
                self.suspects = 0;
                let sequence = self.queue.front().map(|entry| entry.sequence);
                let rejected = sequence.map(|sequence| format!("{}-{sequence}", self.emitter));
                let freed = self.drop_head(1);
                Settled { rejected, freed, ..Settled::default() }
            }
            _ => {
                self.back_off(now_ms, answer.retry_after_ms, random);
                Settled { retried: events, ..Settled::default() }
            }
        }
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
        if self.in_flight.is_some() || now_ms < self.not_before_ms {
            return false;
        }
        self.queue.len() >= self.bounds.max_events
            || self.bytes >= self.bounds.max_bytes
            || self.suspects > 0
            || now_ms.saturating_sub(oldest.queued_ms) >= self.bounds.max_age_ms
    }

    fn take(&mut self, now_ms: u64, patience_ms: u64) -> Option<Batch> {
        let most = match self.suspects {
            0 => self.bounds.max_events,
            suspects => suspects.div_ceil(2).min(self.bounds.max_events),
        };
        let mut body = Vec::with_capacity(self.bytes.min(self.bounds.max_bytes).saturating_add(1024));
        let mut events = 0usize;
        for entry in self.queue.iter().take(most) {
            let length = body.len().saturating_add(entry.event.len()).saturating_add(2);
            if events > 0 && length > self.bounds.max_bytes {
                break;
            }
            body.push(if events == 0 { b'[' } else { b',' });
            body.extend_from_slice(&entry.event);
            events = events.saturating_add(1);
        }
        if events == 0 {
            return None;
        }
        body.push(b']');
        self.in_flight = Some(InFlight { events, deadline_ms: now_ms.saturating_add(patience_ms) });
        Some(Batch { body, events })
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

//! Responses of somebody who is not the collector, where the collector has responded before: a service that got its address, a
//! proxy on the way. They acknowledge nothing and refuse nothing.
//!
//! A firewall that refuses one event for what is in it must not hold up all the others, though: any client could have it do
//! that. So if an event alone is refused by somebody else, the collector is asked, without events; and only if it is there
//! each time, and the event is refused again and again, it is given up, as one that the collector cannot read.

use meter::failures::CollectorFailure;

use super::Outbox;
use crate::batch::Settled;
use crate::response::Response;

/// So often an event is refused, with the collector there in between, until it is given up: of several hosts behind a cluster, one
/// that is none of the collector's takes all of these tries by chance once in 256 times.
const MAX_REFUSALS: u32 = 8;

/// What somebody else has refused.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// The collector is to show that it is there.
    asks: bool,
    /// The event, and how often it was refused.
    refused: Option<(u64, u32)>,
}

impl Doubt {
    /// Whether the collector is to be asked before anything else is sent.
    pub(super) fn asks(&self) -> bool {
        self.asks
    }

    /// A response has come; `ours`: the collector's.
    pub(super) fn ask_no_more(&mut self, ours: bool) {
        self.asks &= !ours;
    }

    /// An event is refused; how often by now.
    fn refuse(&mut self, sequence: u64) -> u32 {
        let before = self.refused.filter(|(known, _)| *known == sequence).map_or(0, |(_, times)| times);
        let times = before.saturating_add(1);
        self.refused = Some((sequence, times));
        self.asks = true;
        times
    }
}

impl Outbox {
    /// Whether a response that would acknowledge or refuse events is not the collector's.
    pub(super) fn is_stranger(&self, response: &Response) -> bool {
        // What the collector would say that does not take a token is said by firewalls of a body that they do not like.
        let decides = matches!(response.status, Some(200..=299 | 400 | 403 | 406 | 413 | 422));
        self.listens && !response.reads_statements && decides
    }

    /// Takes such a response: nothing has come of the dispatch.
    pub(super) fn settle_stranger(&mut self, now_ms: u64, response: &Response, events: usize, random: u64) -> Settled {
        // A proxy on the way that lets nobody in is told apart.
        let is_denied = response.status == Some(403);
        let failure = Some(if is_denied { response.failure() } else { CollectorFailure::NotACollector });
        let is_refusal = !matches!(response.status, Some(200..=299));
        // Halves follow at once: they end, and whatever is behind waits for them.
        if !(is_refusal && events > 1) {
            self.back_off(now_ms, response.retry_after_ms, random);
        }
        match self.queue.front().map(|entry| entry.sequence) {
            // Where it is too long for somebody on the way, or one of them is not liked.
            Some(_) if is_refusal && events > 1 => self.suspects = events,
            Some(sequence) if is_refusal && events == 1 && self.doubt.refuse(sequence) >= MAX_REFUSALS => {
                self.doubt = Doubt::default();
                return Settled { failure, ..self.give_up() };
            }
            _ => {}
        }
        Settled { retried: events, failure, ..Settled::default() }
    }
}

#[cfg(test)]
mod tests;

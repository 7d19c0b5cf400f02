//! Between the plugin and the collector: delays, losses, copies, proxies that respond themselves, responses that come late.

use std::rc::Rc;

use wire::emitter::EmitterKey;

use crate::nature::{Happening, Nature, Reply, Request};
use crate::trace::Step;

/// Statuses of proxies that have nothing to do with what was sent.
const PROXY_ERRORS: [u64; 10] = [301, 401, 403, 404, 408, 429, 500, 502, 503, 504];

/// A dispatch that a VM makes.
#[derive(Debug)]
pub struct Outgoing {
    /// Who makes it.
    pub vm: usize,
    /// The emitter's key.
    pub key: EmitterKey,
    /// What the emitter says of itself.
    pub header: String,
    /// A JSON array.
    pub body: Vec<u8>,
    /// How long Envoy waits for the response.
    pub timeout_us: u64,
    /// A proxy on the way will not like it.
    pub offensive: bool,
}

impl Nature {
    /// Envoy's `dispatch_http_call`: the token, or nothing if it cannot be made.
    pub fn dispatch(&mut self, outgoing: Outgoing) -> Option<u32> {
        let Outgoing { vm, key, header, body, timeout_us, offensive } = outgoing;
        if self.fault(self.plan.faults.dispatch_error) {
            self.step(Step::CannotSend { vm });
            return None;
        }
        self.token += 1;
        let token = self.token;
        self.counts.requests += 1;
        self.after(timeout_us, Happening::Response { vm, token, reply: Reply::Status(504, None, false) });
        if let Some(status) = self.proxy(&body, offensive) {
            self.step(Step::Proxy { vm, token, status });
            let retry_after = matches!(status, 429 | 503).then(|| self.random.within(0, 3));
            let delay = self.delay_us();
            self.after(delay, Happening::Response { vm, token, reply: Reply::Status(status, retry_after, false) });
            // A gateway may fail after it has passed the request on.
            if !matches!(status, 502 | 504) || self.now_us < self.outage_until_us || self.random.chance(500) {
                return Some(token);
            }
        }
        if self.now_us < self.outage_until_us || self.fault(self.plan.faults.lose_request) {
            self.step(Step::RequestLost { vm, token });
            if self.random.chance(500) {
                let delay = self.delay_us();
                self.after(delay, Happening::Response { vm, token, reply: Reply::Reset });
            }
            return Some(token);
        }
        let (key, header, body) = (Some(key), Some(header), body.into());
        let request = Rc::new(Request { vm, token, credential: "default", key, header, body });
        let copies = if self.fault(self.plan.faults.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let mut delay = self.delay_us();
            if self.fault(self.plan.faults.late) {
                delay += timeout_us / 2 + self.random.below(timeout_us * 3);
            }
            if self.fault(self.plan.faults.very_late) {
                delay += self.random.below(600_000_000);
            }
            self.send(request.clone(), delay);
        }
        Some(token)
    }

    /// Brings a request to one of the collectors.
    pub fn send(&mut self, request: Rc<Request>, delay_us: u64) {
        let collector = self.random.place(self.plan.collectors);
        self.after(delay_us, Happening::Arrive { request, collector });
    }

    /// Brings a response back, if it comes through.
    pub fn reply(&mut self, request: &Request, reply: Reply) {
        let (vm, token) = (request.vm, request.token);
        if self.fault(self.plan.faults.lose_response) || self.now_us < self.outage_until_us {
            self.step(Step::ResponseLost { vm, token });
            return;
        }
        let reply = if self.fault(self.plan.faults.reset_response) { Reply::Reset } else { reply };
        let delay = self.delay_us();
        self.after(delay, Happening::Response { vm, token, reply });
    }

    /// What a proxy on the way responds with itself.
    fn proxy(&mut self, body: &[u8], offensive: bool) -> Option<u64> {
        match () {
            () if offensive => Some(400),
            () if self.plan.max_body.is_some_and(|most| body.len() > most) => Some(413),
            () if self.fault(self.plan.faults.proxy_refuses) => Some(self.random.pick(&[400, 413, 422])),
            () if self.fault(self.plan.faults.proxy_error) => Some(self.random.pick(&PROXY_ERRORS)),
            () => None,
        }
    }

    /// One way.
    pub fn delay_us(&mut self) -> u64 {
        let most = if self.quiet { 1000 } else { self.plan.latency_us };
        self.random.within(100, most.max(100))
    }
}

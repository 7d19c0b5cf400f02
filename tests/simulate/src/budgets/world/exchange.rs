//! What workers and collectors send each other, and what gets lost between them.

use std::rc::Rc;

use collector::ledger::leases::LeaseRequest;
use collector::ledger::{Arrival, Delivery, Sender};
use delivery::lease::Lost;
use meter::failures::CollectorFailure;
use wire::lease;
use wire::statement::Statement;

use super::super::Mutation;
use super::{Happening, TICK_US, World};
use crate::disk::Fault;
use crate::nature::Violation;

/// What is on its way to a collector.
#[derive(Clone, Debug)]
pub(super) enum Sent {
    Events { worker: usize, token: u32, last: u64, statement: Option<Statement>, events: Vec<Vec<u8>> },
    Leases { worker: usize, token: u32, body: Vec<u8> },
}

impl World {
    pub(super) fn tick(&mut self, at: usize) {
        let now_us = self.now_us;
        let worker = &mut self.workers[at];
        if worker.is_gone {
            return;
        }
        let now_ms = worker.now_ms(now_us);
        let acknowledged = match self.mutation {
            Some(Mutation::AcknowledgeTooMuch) => worker.sequence,
            _ => worker.acknowledged,
        };
        let mut sent = Vec::new();
        if let Some(request) = worker.leases.poll(now_ms, acknowledged) {
            worker.token += 1;
            worker.leases.dispatched(now_ms, Ok(worker.token));
            sent.push(Sent::Leases { worker: at, token: worker.token, body: lease::encode_request(&request) });
        }
        if worker.batch.is_some() && now_us >= worker.batch_deadline_us {
            worker.batch = None;
        }
        let is_over = match self.mutation {
            Some(Mutation::EndWhileCallsRun) => worker.outbox.is_empty(),
            _ => worker.is_idle(),
        };
        let ends = worker.is_ending && is_over;
        if worker.batch.is_none() && (!worker.outbox.is_empty() || ends) {
            worker.token += 1;
            let events: Vec<Vec<u8>> = worker.outbox.iter().take(50).map(|(_, bytes)| bytes.clone()).collect();
            let last = worker.outbox.iter().take(50).next_back().map_or(worker.acknowledged, |(number, _)| *number);
            worker.batch = Some((worker.token, last));
            worker.batch_deadline_us = now_us + 2_000_000;
            let statement = worker.statement(ends);
            sent.push(Sent::Events { worker: at, token: worker.token, last, statement, events });
        }
        for sent in sent {
            self.send(Rc::new(sent));
        }
        self.after(TICK_US, Happening::Tick { worker: at });
    }

    fn send(&mut self, sent: Rc<Sent>) {
        let delay_us = 1 + self.random.below(self.plan.latency_us);
        if !self.goes_wrong(self.plan.lose) {
            self.after(delay_us, Happening::Arrive { sent: sent.clone() });
        }
        if self.goes_wrong(self.plan.replay) {
            self.counts.replayed += 1;
            let later_us = self.random.within(1, 20_000_000);
            self.after(later_us, Happening::Arrive { sent });
        }
    }

    fn goes_wrong(&mut self, per_mille: u32) -> bool {
        !self.quiet && self.random.chance(per_mille)
    }

    pub(super) fn arrive(&mut self, sent: &Sent) {
        if self.now_us < self.outage_until_us {
            return;
        }
        let collector = self.random.place(self.collectors.len());
        let fault = if self.goes_wrong(self.plan.fail) {
            self.random.pick(&[Fault::Before, Fault::After])
        } else {
            Fault::None
        };
        let begins_anew = self.goes_wrong(50);
        {
            let mut disk = self.disk.borrow_mut();
            (disk.fault, disk.begins_anew) = (fault, begins_anew);
        }
        let now_ns = self.now_us as i64 * 1000;
        let back = match sent {
            Sent::Events { worker, token, last, statement, events } => {
                let sender = self.sender(*worker);
                let arrivals = events.iter().cloned().map(Arrival::new).collect();
                let delivery = Delivery { sender, statement: statement.clone(), arrivals };
                let result = self.collectors[collector].append(&[&delivery], now_ns);
                if let Some(taken) = result.as_ref().ok().and_then(|all| all.first())
                    && taken.alarms + taken.dead_letters > 0
                {
                    self.violation = Some(Violation::new("events are accepted", format!("{taken:?}")));
                }
                Happening::Taken { worker: *worker, token: *token, last: result.ok().map(|_| *last) }
            }
            Sent::Leases { worker, token, body } => {
                self.counts.requests += 1;
                let sender = self.sender(*worker);
                let request = lease::request(body).unwrap_or_else(|invalid| panic!("{invalid}"));
                let request = LeaseRequest { sender, request };
                let response = self.collectors[collector].lease(&[&request], now_ns).ok();
                let body = response.and_then(|mut all| all.pop()).map(|response| self.encode(response));
                Happening::Lent { worker: *worker, token: *token, body }
            }
        };
        let delay_us = 1 + self.random.below(self.plan.latency_us);
        if !self.goes_wrong(self.plan.lose) {
            self.after(delay_us, back);
        }
        // Looking at everything after each step would take longer than the steps.
        if self.next.is_multiple_of(8)
            && let Err(violation) = self.check_held()
        {
            self.violation = Some(violation);
        }
    }

    fn encode(&self, mut response: lease::Response) -> Vec<u8> {
        if self.mutation == Some(Mutation::TellMore) {
            response.leases.iter_mut().flatten().for_each(|lease| lease.granted += lease.granted / 2);
        }
        lease::encode_response(&response)
    }

    fn sender(&self, worker: usize) -> Sender {
        Sender { emitter: Some(self.workers[worker].emitter.clone()), ..Sender::new("default", false) }
    }

    pub(super) fn taken(&mut self, at: usize, token: u32, last: Option<u64>) {
        let worker = &mut self.workers[at];
        if worker.is_gone || worker.batch.is_none_or(|(waiting, _)| waiting != token) {
            return;
        }
        worker.batch = None;
        let Some(last) = last else { return };
        worker.acknowledged = worker.acknowledged.max(last);
        while worker.outbox.front().is_some_and(|(number, _)| *number <= last) {
            worker.outbox.pop_front();
        }
        let may_go = worker.is_idle() || self.mutation == Some(Mutation::EndWhileCallsRun) && worker.running.is_empty();
        if worker.is_ending && may_go {
            worker.is_gone = true;
            self.counts.ends += 1;
        }
    }

    pub(super) fn lent(&mut self, at: usize, token: u32, body: Option<Vec<u8>>) {
        let worker = &mut self.workers[at];
        if worker.is_gone {
            return;
        }
        let now_ms = worker.now_ms(self.now_us);
        let lost = Lost { failure: CollectorFailure::of_status(503), retry_after_ms: None };
        let response = body.ok_or(lost).map(|body| {
            lease::response(&body).unwrap_or_else(|invalid| panic!("{invalid}: {}", String::from_utf8_lossy(&body)))
        });
        worker.leases.respond(now_ms, token, response);
    }
}

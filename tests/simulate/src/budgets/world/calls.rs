//! Calls: which come, what becomes of them, and whether who is refused is told the truth.

use delivery::lease::Reason;

use super::super::plan::{ASSUMED, MODELS, TENANTS};
use super::super::truth::{Call, Window};
use super::super::worker::Admitted;
use super::{Happening, World};
use crate::nature::Violation;

impl World {
    pub(super) fn burst(&mut self) {
        let calls = self.random.within(1, self.plan.burst);
        let tenant = self.random.pick(&TENANTS);
        let one = self.random.chance(400).then(|| self.random.place(self.workers.len()));
        for _ in 0..calls {
            let call = self.draw(tenant);
            let worker = one.unwrap_or_else(|| self.random.place(self.workers.len()));
            self.next += 1;
            let id = self.next;
            let again = self.random.pick(&[0, 0, 3]);
            self.happen(Happening::Ask { id, worker, call, again });
        }
    }

    fn draw(&mut self, tenant: &'static str) -> Call {
        let model = self.random.pick(&MODELS);
        let input = self.random.within(1, 500);
        let is_open = self.random.chance(self.plan.open);
        let max = self.random.pick(&[10, 200, 1000, 4000]);
        let most = if is_open { ASSUMED } else { max };
        let output = if self.random.chance(300) { most } else { self.random.within(0, most) };
        let duration_us = self.random.around(self.plan.duration_us / 2);
        Call { tenant, model, input, max_output: (!is_open).then_some(max), output, duration_us }
    }

    /// A call comes to a worker; whether it passes. `id`: who comes, if it may come again.
    pub(super) fn ask(&mut self, worker: usize, call: &Call, id: Option<u64>) -> bool {
        if self.workers[worker].is_gone || self.workers[worker].is_ending {
            return false;
        }
        self.counts.calls += 1;
        let Admitted { admission, started_s } = self.workers[worker].admit(self.now_us, call, self.mutation);
        let windows = call.windows(&self.plan.budgets, started_s);
        if let Some(refusal) = admission.refusal {
            *match refusal.reason {
                Reason::NoLease => &mut self.counts.no_lease,
                Reason::Exhausted => &mut self.counts.exhausted,
                Reason::TooLarge => &mut self.counts.too_large,
                Reason::CollectorAway => &mut self.counts.away,
                Reason::Shadow => panic!("a shadow refuses nothing"),
            } += 1;
            self.check_refusal(call, &windows, refusal.name(), refusal.reason);
            return false;
        }
        self.counts.admitted += 1;
        self.counts.unheld += u64::from(admission.is_unheld);
        for window in &windows {
            let amount = call.cost(&self.plan.budgets[window.0]);
            let fact = self.facts.entry(window.clone()).or_default();
            if admission.is_unheld {
                fact.unheld += amount;
            } else if call.max_output.is_none() {
                let dearest = fact.open.entry(worker).or_default();
                *dearest = amount.max(*dearest);
            }
        }
        let id = id.unwrap_or_else(|| {
            self.next += 1;
            self.next
        });
        self.workers[worker].run(self.now_us, id, call.clone(), started_s, admission.ticket);
        self.after(call.duration_us, Happening::End { worker, id });
        true
    }

    /// Who is told that a budget is spent, or too small, is told the truth.
    fn check_refusal(&mut self, call: &Call, windows: &[Window], name: &str, reason: Reason) {
        let Some(window) = windows.iter().find(|(at, ..)| self.plan.budgets[*at].name == name) else {
            if reason != Reason::CollectorAway {
                self.violation = Some(Violation::new("who refuses covers the call", format!("{name}: {call:?}")));
            }
            return;
        };
        let budget = &self.plan.budgets[window.0];
        let fact = self.facts.get(window).cloned().unwrap_or_default();
        let most = call.amount(budget, call.max_output.unwrap_or(ASSUMED));
        let (limit, is_changed) = self.limit_of(window);
        let is_true = match reason {
            // What has no price may turn out to have one: nothing passes when nothing is left.
            Reason::Exhausted => fact.spent + most.max(1) > limit,
            Reason::TooLarge => most > limit,
            _ => true,
        };
        if !is_true && !is_changed {
            let found = format!("{window:?} {reason:?}: {most} of {limit}, spent {}: {call:?}", fact.spent);
            self.violation = Some(Violation::new("a refusal is true", found));
        }
    }

    pub(super) fn end(&mut self, worker: usize, id: u64) {
        let ended = self.workers[worker].end(self.now_us, id, self.mutation);
        let Some((call, started_s)) = ended else { return };
        for window in call.windows(&self.plan.budgets, started_s) {
            let amount = call.cost(&self.plan.budgets[window.0]);
            self.facts.entry(window).or_default().spent += amount;
        }
    }
}

//! A person who looks at what is quarantined, and lets some of it be charged.

use collector::store::QuarantinedEvent;

use crate::disk::{Connection, Fault};
use crate::reading::CREDENTIAL;
use crate::trace::Step;
use crate::world::World;

/// Who sends here.
const CREDENTIALS: [&str; 3] = ["default", "impostor", CREDENTIAL];

impl World {
    /// A person looks at what is quarantined, and lets some of it be charged, perhaps twice.
    pub fn release(&mut self) {
        let may = |event: &&QuarantinedEvent| !event.is_foreign() && self.oracle.may_release(&self.truth, &event.bytes);
        let kept: Vec<QuarantinedEvent> = self.disk.borrow().memory.quarantined.iter().filter(may).cloned().collect();
        // What contradicts the ledger, and what is not in it.
        let (taken, free): (Vec<_>, Vec<_>) =
            kept.into_iter().partition(|event| event.reason.starts_with("data.sequence"));
        for mut kept in [taken, free] {
            for _ in 0..self.nature.random.within(1, 2).min(kept.len() as u64) {
                let event = kept.swap_remove(self.nature.random.place(kept.len()));
                for _ in 0..self.nature.random.within(1, 2) {
                    self.release_one(&event);
                }
            }
        }
    }

    fn release_one(&mut self, event: &QuarantinedEvent) {
        let writer = self.nature.random.below(self.nature.plan.collectors as u64) as i64 + 1;
        let mut ledger = Connection { disk: self.disk.clone(), writer }.ledger();
        ledger.set_prices(Some(self.book.clone()));
        loop {
            let fault = self.nature.random.pick(&[Fault::None, Fault::Before, Fault::After]);
            self.disk.borrow_mut().fault = fault;
            let at_ns = self.nature.now_ns() as i64;
            let result = ledger.release(event, "looked at", at_ns);
            let was_asked = !matches!(&result, Ok(Err(problem)) if problem == "it cannot be read");
            let credential = CREDENTIALS.into_iter().find(|name| *name == event.credential).unwrap_or_default();
            let kept = was_asked && self.disk.borrow().kept;
            let is_done = kept && self.oracle.release(&self.truth, &event.bytes, credential, at_ns);
            match result {
                Ok(released) => {
                    self.nature.step(Step::Release { released: released.is_ok() });
                    if released.is_ok() != is_done {
                        self.nature.violate("what is quarantined is released once", || format!("{released:?}"));
                    }
                    break;
                }
                Err(_) if fault == Fault::None => break,
                Err(_) => {}
            }
        }
        self.disk.borrow_mut().fault = Fault::None;
    }
}

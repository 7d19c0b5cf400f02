//! What is asked of the leases, and what they say.

use std::sync::Arc;

use wire::lease::{Budget, Mode};
use wire::words;

use super::accounts::Place;

/// A call, as far as budgets ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spending<'a> {
    /// Who pays.
    pub tenant: &'a str,
    /// Who responds.
    pub provider: &'a str,
    /// The model that is asked for; or, when it is over and nobody asked for any, the one that responded.
    pub model: Option<&'a str>,
    /// When it began, seconds since 1970: it counts in the window with this second.
    pub started_s: u64,
}

words! {
    /// Why a budget has no room for a call.
    Reason {
        /// What is left of the limit is less than the call can cost.
        Exhausted "exhausted",
        /// This worker holds too little of it, or does not know a price yet; the next exchange with the collector may help.
        NoLease "no_lease",
        /// The call can cost more than the limit.
        TooLarge "too_large",
        /// The collector is away, and without it nothing passes.
        CollectorAway "collector_away",
        /// The budget is a shadow: it would have refused.
        Shadow "shadow",
    }
}

/// A call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// By this budget; none: nobody knows the budgets yet.
    pub budget: Option<Arc<Budget>>,
    /// Why.
    pub reason: Reason,
    /// After so long it may pass, ms; none: never.
    pub retry_after_ms: Option<u64>,
    /// The budget is spent, or too small: no other lease would help.
    pub is_spent: bool,
}

impl Refusal {
    /// The budget's name; empty, where nobody knows the budgets yet.
    pub fn name(&self) -> &str {
        self.budget.as_ref().map_or("", |budget| budget.name.as_str())
    }
}

/// Whether a call may pass.
#[derive(Debug, Default)]
#[must_use = "what is reserved stays so until the ticket is settled or released"]
pub struct Admission {
    /// What is reserved for it; nothing, if it is refused.
    pub ticket: Ticket,
    /// It is refused; of several budgets by the one that refuses for longest.
    pub refusal: Option<Refusal>,
    /// Shadow budgets that would have refused it.
    pub shadows: Vec<Arc<Budget>>,
    /// It passes although some budget could not be held: the collector is away.
    pub is_unheld: bool,
}

impl Admission {
    pub(super) fn refuse(&mut self, budget: Arc<Budget>, reason: Reason, retry_after_ms: Option<u64>) {
        if budget.mode == Mode::Shadow {
            self.shadows.push(budget);
            return;
        }
        let wait_ms = |retry_after_ms: Option<u64>| retry_after_ms.unwrap_or(u64::MAX);
        let longest = self.refusal.as_ref().map_or(0, |refusal| wait_ms(refusal.retry_after_ms));
        if wait_ms(retry_after_ms) > longest {
            let is_spent = matches!(reason, Reason::Exhausted | Reason::TooLarge);
            self.refusal = Some(Refusal { budget: Some(budget), reason, retry_after_ms, is_spent });
        }
    }
}

/// What is reserved for a running call. Hand it back by [`Leases::settle`](super::Leases::settle) or
/// [`Leases::release`](super::Leases::release).
#[derive(Debug, Default)]
#[must_use = "what is reserved stays so until the ticket is settled or released"]
pub struct Ticket {
    pub(super) parts: Vec<Part>,
}

impl Ticket {
    /// Whether nothing is reserved.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

/// A reservation in one account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub place: Place,
    pub amount: u64,
    pub took_rest: bool,
}

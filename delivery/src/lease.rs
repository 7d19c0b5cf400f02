//! Leases: what a worker may spend of the budgets, and whether a call fits.
//!
//! Sans-IO, like the rest of delivery, and beside it: [`Leases::admit`] decides at once, from what this worker holds;
//! [`Leases::poll`] says from time to time what to ask the collector for, and [`Leases::respond`] takes the response. What
//! goes over the wire, and who guarantees what, is in [`wire::lease`].
//!
//! What holds whatever happens to requests and responses: for calls whose cost is bounded, `charged + spent + reserved` of an
//! account never exceeds what the collector has granted, nor what was last asked for. A request that is lost is as if it had
//! arrived: what it gave back is not spent. A response counts only if it is that to the request in flight.
//!
//! How much is asked for: what is used, and twice what calls have spent in ten seconds, or what a dear call needs. What is
//! not used for a while goes back, but for what a call needs if that is little of what is left; where it is so much that
//! another worker could not have it, after a second.

mod account;
mod accounts;
mod admission;
mod catalogue;
mod ceilings;
mod exchange;
mod index;

use std::sync::Arc;

use meter::call::Bound;
use meter::config::{Budgets, Config};
use wire::lease::{Budget, MAX_AMOUNT, Unit};

pub use admission::{Admission, Reason, Refusal, Spending, Ticket};
pub use exchange::Lost;

use account::{Account, Lacking};
use accounts::{Accounts, Place};
use admission::Part;
use catalogue::Catalogue;
use ceilings::{Ceilings, Price};
use exchange::InFlight;

use crate::jitter::Jitter;
use crate::settings::Settings;

/// What is held at first of a budget in USD, nano-USD; before any call has shown what one can cost.
const FIRST_NANO_USD: u64 = 2_000_000_000;
/// Without a response for so long, while one is wanted, the collector is away, ms.
const AWAY_MS: u64 = 10_000;
/// A lease is used for so long after the last response, ms. The collector gives it to others after 15 minutes.
const USABLE_MS: u64 = 600_000;
/// A call that is told to wait no longer than this is expected to come again, ms.
const EXPECTED_MS: u64 = 60_000;
/// How long a client is to wait where the next exchange with the collector may bring what it needs, ms.
const SOON_MS: u64 = 500;
/// And where others have that, or calls that run, ms; and at most so much longer, so that not all come again at once.
const LATER_MS: u64 = 2000;
const SPREAD_MS: u64 = 2000;
/// Whoever comes again as told comes at most so much later, ms.
const LATE_MS: u64 = 1000;
/// A call that began so long ago, seconds, is not let pass for want of a lease of its window, whoever is away.
const OLD_S: u64 = 1800;
/// How long where nobody knows, ms.
const UNKNOWN_MS: u64 = 1000;

/// The leases of one worker.
///
/// ```
/// use delivery::lease::{Leases, Spending};
/// use meter::call::Bound;
/// use wire::lease::{Budget, Lease, Mode, Response, Scope, Unit};
///
/// let config = meter::config::parse(br#"{"collector": {"cluster": "collector"}, "budgets": {}}"#)?;
/// let mut leases = Leases::new(7, &config);
/// let call = Spending { tenant: "acme", provider: "openai", model: Some("gpt-5"), started_s: 100 };
/// let bound = Bound { input: 20, output: Some(80), choices: 1, is_open: false };
///
/// // The first exchange brings the budgets, the second a lease.
/// let budget = Budget {
///     name: "all".to_owned(), scope: Scope::default(), per_tenant: false, unit: Unit::Tokens, mode: Mode::Hard,
/// };
/// let request = leases.poll(100_000, 0).ok_or("nothing is asked for")?;
/// leases.dispatched(100_000, Ok(1));
/// let response = Response { number: request.number, revision: 1, budgets: Some(vec![budget]), ..Response::default() };
/// leases.respond(100_001, 1, Ok(response));
/// let request = leases.poll(100_002, 0).ok_or("no lease is asked for")?;
/// leases.dispatched(100_002, Ok(2));
/// let lease = Lease { window_s: 60, until_s: 120, granted: 150, charged: 0, limit: 1000, left: 1000, available: 850 };
/// let response = Response { number: request.number, revision: 1, leases: vec![Some(lease)], ..Response::default() };
/// leases.respond(100_003, 2, Ok(response));
///
/// let first = leases.admit(100_004, &call, &bound);
/// let second = leases.admit(100_005, &call, &bound);
/// assert!(first.refusal.is_none() && second.refusal.is_some());
/// leases.settle(101_000, first.ticket, &call, (20, 30), 1);
/// assert!(leases.admit(101_001, &call, &bound).refusal.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Leases {
    /// None: budgets are not held here.
    budgets: Option<Budgets>,
    /// Which collector it is.
    address: String,
    /// How long a response may take, ms.
    patience_ms: u64,
    seed: u64,
    jitter: Jitter,
    catalogue: Catalogue,
    /// Of the catalogue, if it is the last that there is.
    revision: Option<u64>,
    accounts: Accounts,
    ceilings: Ceilings,
    number: u64,
    in_flight: Option<InFlight>,
    failures: u32,
    not_before_ms: u64,
    /// Something waits for the next request.
    is_urgent: bool,
    /// Before this there is nothing to look for that is not urgent.
    look_ms: u64,
    /// The first request since the last response went out.
    silent_since_ms: Option<u64>,
    heard_ms: Option<u64>,
    /// The slot behind which the next request begins.
    behind: u32,
}

/// What becomes of a call at one budget.
enum Judgement {
    /// There is room for it.
    Fits { place: Place, amount: u64, fitting: u64 },
    /// Nobody holds it back.
    Unheld,
    /// There is no room.
    Not { reason: Reason, retry_after_ms: Option<u64> },
}

impl Leases {
    /// No leases yet. `seed` is to be drawn anew for each worker.
    pub fn new(seed: u64, config: &Config) -> Leases {
        let mut leases = Leases {
            budgets: None,
            address: String::new(),
            patience_ms: 0,
            seed,
            jitter: Jitter::new(seed),
            catalogue: Catalogue::default(),
            revision: None,
            accounts: Accounts::new(seed),
            ceilings: Ceilings::new(seed),
            number: 0,
            in_flight: None,
            failures: 0,
            not_before_ms: 0,
            is_urgent: false,
            look_ms: 0,
            silent_since_ms: None,
            heard_ms: None,
            behind: 0,
        };
        leases.configure(config);
        leases
    }

    /// Another configuration holds. What is held stays, if the collector is the same.
    pub fn configure(&mut self, config: &Config) {
        let settings = Settings::of(config);
        if config.budgets.is_none() || settings.address != self.address {
            self.catalogue = Catalogue::default();
            self.revision = None;
            self.accounts = Accounts::new(self.seed);
            self.ceilings = Ceilings::new(self.seed);
            (self.heard_ms, self.silent_since_ms) = (None, None);
        }
        // The root context that has asked may go, and the response with it.
        self.in_flight = None;
        self.look_ms = 0;
        self.address = settings.address;
        self.patience_ms = settings.patience_ms.unwrap_or(0);
        self.budgets = config.budgets.clone();
    }

    /// Whether [`Spending::provider`] matters for any budget.
    pub fn asks_for_provider(&self) -> bool {
        self.catalogue.asks_for_provider()
    }

    /// Whether a call may pass. If it may, what it can cost is reserved until its [`Ticket`] is settled or released.
    pub fn admit(&mut self, now_ms: u64, call: &Spending<'_>, bound: &Bound) -> Admission {
        let Some(Budgets { is_closed, assume_input_tokens, assume_output_tokens, .. }) = self.budgets else {
            return Admission::default();
        };
        if self.heard_ms.is_none() {
            let refusal = is_closed.then_some(Refusal {
                budget: None,
                reason: Reason::CollectorAway,
                retry_after_ms: Some(UNKNOWN_MS),
                is_spent: false,
            });
            return Admission { is_unheld: refusal.is_none(), refusal, ..Admission::default() };
        }
        let assumed = || assume_output_tokens.saturating_mul(bound.choices.max(1));
        let output = bound.output.unwrap_or_else(assumed);
        let unseen = if bound.is_open { assume_input_tokens } else { 0 };
        let input = bound.input.saturating_add(unseen);
        let is_open = bound.is_open || bound.output.is_none();
        let mut admission = Admission::default();
        let mut fitting = Vec::new();
        for budget in self.catalogue.covering(call) {
            let judgement = match budget.unit {
                Unit::Tokens => {
                    let amount = input.saturating_add(output).clamp(1, MAX_AMOUNT);
                    self.judge(now_ms, &budget, call, amount, is_open)
                }
                Unit::Usd => match self.ceilings.price(now_ms, call) {
                    // No price is not no cost: who responds may be another model, which has one. Such a call passes as long
                    // as anything is left.
                    Price::None => self.judge(now_ms, &budget, call, 1, true),
                    Price::Never => self.judge(now_ms, &budget, call, MAX_AMOUNT, true),
                    price => match price.of(input, output) {
                        Some(amount) => self.judge(now_ms, &budget, call, amount, is_open),
                        // It is asked for, with a lease. A budget that is spent is so whatever the price.
                        None => {
                            self.is_urgent = true;
                            match self.judge(now_ms, &budget, call, MAX_AMOUNT, true) {
                                Judgement::Fits { .. } => self.without_lease(now_ms),
                                judgement => judgement,
                            }
                        }
                    },
                },
            };
            match judgement {
                Judgement::Fits { place, amount, fitting: least } => fitting.push((place, amount, least)),
                Judgement::Unheld => admission.is_unheld = true,
                Judgement::Not { reason, retry_after_ms } => admission.refuse(budget, reason, retry_after_ms),
            }
        }
        if admission.refusal.is_some() {
            admission.is_unheld = false;
            return admission;
        }
        for (place, amount, fitting) in fitting {
            if let Some(account) = self.accounts.get(place) {
                let took_rest = account.reserve(fitting, amount);
                admission.ticket.parts.push(Part { place, amount: fitting, took_rest });
            }
        }
        admission
    }

    fn judge(
        &mut self,
        now_ms: u64,
        budget: &Arc<Budget>,
        call: &Spending<'_>,
        amount: u64,
        is_open: bool,
    ) -> Judgement {
        let (subject, at_s) = (budget.subject(call.tenant), call.started_s);
        // What a call takes whose price nobody knows says nothing of what one needs.
        let known = (amount < MAX_AMOUNT).then_some(amount);
        let first = known.unwrap_or(self.first(budget.unit));
        let place = self.accounts.find(&budget.name, subject, at_s);
        let place = place
            .or_else(|| self.accounts.add(Account::new(Arc::clone(budget), subject.to_owned(), at_s, now_ms, first)));
        let is_away = self.is_away(now_ms);
        let is_usable = self.heard_ms.is_some_and(|heard_ms| now_ms.saturating_sub(heard_ms) < USABLE_MS);
        let Some((place, account)) = place.and_then(|place| Some((place, self.accounts.get(place)?))) else {
            return self.without_lease(now_ms);
        };
        let usual = account.touch(now_ms, known);
        match account.fits(amount, is_open) {
            Ok(fitting) if is_usable => Judgement::Fits { place, amount, fitting },
            Err(Lacking::Limit) => Judgement::Not { reason: Reason::TooLarge, retry_after_ms: None },
            Err(Lacking::Rest(until_s)) => {
                let wait_ms = until_s.saturating_mul(1000).saturating_sub(now_ms).max(UNKNOWN_MS);
                if wait_ms <= EXPECTED_MS {
                    // It is to find a lease when it comes again.
                    account.expect(usual);
                    let next = self.accounts.find(&budget.name, subject, until_s);
                    if let Some(next) = next.and_then(|next| self.accounts.get(next)) {
                        next.want(usual, is_open);
                        next.await_until(now_ms.saturating_add(wait_ms).saturating_add(LATE_MS));
                    }
                }
                Judgement::Not { reason: Reason::Exhausted, retry_after_ms: Some(wait_ms) }
            }
            // The collector grants none of a window that is long over: the request's body took its time.
            Err(Lacking::Unavailable) if now_ms / 1000 >= at_s.saturating_add(OLD_S) => {
                Judgement::Not { reason: Reason::NoLease, retry_after_ms: Some(SOON_MS) }
            }
            Err(Lacking::Unavailable) => self.away(),
            Ok(_) | Err(Lacking::Lease) => {
                if account.has(at_s).is_none() {
                    account.at_s = at_s;
                }
                account.want(usual, is_open);
                self.is_urgent = true;
                if is_away || !is_usable {
                    return self.away();
                }
                let soon_ms = if account.is_elsewhere() {
                    LATER_MS.saturating_add(self.jitter.next().checked_rem(SPREAD_MS).unwrap_or_default())
                } else {
                    SOON_MS
                };
                account.await_until(now_ms.saturating_add(soon_ms).saturating_add(LATE_MS));
                Judgement::Not { reason: Reason::NoLease, retry_after_ms: Some(soon_ms) }
            }
        }
    }

    /// There is no account, or no price.
    fn without_lease(&self, now_ms: u64) -> Judgement {
        if self.is_away(now_ms) {
            return self.away();
        }
        Judgement::Not { reason: Reason::NoLease, retry_after_ms: Some(SOON_MS) }
    }

    /// Nobody can say whether there is room.
    fn away(&self) -> Judgement {
        if self.budgets.as_ref().is_some_and(|budgets| budgets.is_closed) {
            return Judgement::Not { reason: Reason::CollectorAway, retry_after_ms: Some(UNKNOWN_MS) };
        }
        Judgement::Unheld
    }

    fn is_away(&self, now_ms: u64) -> bool {
        self.heard_ms.is_none()
            || self.silent_since_ms.is_some_and(|since_ms| now_ms.saturating_sub(since_ms) >= AWAY_MS)
    }

    /// What a call may need before one has shown it.
    fn first(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Tokens => self.budgets.as_ref().map_or(0, |budgets| budgets.assume_output_tokens),
            Unit::Usd => FIRST_NANO_USD,
        }
    }

    /// A call is over, whether it was admitted or not, and its event, or the last of several, has this number. `counts`: tokens
    /// of input and output. `call` is what the event says: who responded may be somebody else than was thought before. Returns
    /// whether some budget covers it.
    pub fn settle(
        &mut self,
        now_ms: u64,
        ticket: Ticket,
        call: &Spending<'_>,
        (input, output): (u64, u64),
        sequence: u64,
    ) -> bool {
        let covering = self.catalogue.covering(call);
        let is_money = covering.iter().any(|budget| budget.unit == Unit::Usd);
        let has_price = is_money && matches!(self.ceilings.known(call), Price::Ceiling(_));
        for budget in &covering {
            let subject = budget.subject(call.tenant);
            let place = self.accounts.find(&budget.name, subject, call.started_s);
            let reserved = ticket.parts.iter().find(|part| Some(part.place) == place).map_or(0, |part| part.amount);
            let amount = match budget.unit {
                Unit::Tokens => input.saturating_add(output),
                // Without a price what was reserved stays, until the collector has charged it.
                Unit::Usd => self.ceilings.known(call).of(input, output).unwrap_or(reserved),
            };
            let account = place.and_then(|place| self.accounts.get(place));
            if let Some(account) = account.filter(|account| amount > 0 && account.has(call.started_s) == Some(true)) {
                account.spend(now_ms, sequence, amount);
                if budget.unit == Unit::Usd && !has_price {
                    // What it has cost only the collector can say.
                    account.doubt();
                    self.is_urgent = true;
                }
            }
        }
        if is_money && !has_price {
            // Who responded may be another than was asked about, and be asked again.
            self.ceilings.price(now_ms, call);
        }
        self.release(ticket);
        !covering.is_empty()
    }

    /// A call is over that has no event.
    pub fn release(&mut self, ticket: Ticket) {
        for Part { place, amount, took_rest } in ticket.parts {
            if let Some(account) = self.accounts.get(place) {
                account.release(amount, took_rest);
            }
        }
    }
}

#[cfg(test)]
mod tests;

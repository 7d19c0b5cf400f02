//! What is asked for and what is heard.

use meter::failures::CollectorFailure;
use wire::lease::{MAX_LEASES, Priced, Request, Response, Wanted};

use super::account::{Account, Wish};
use super::accounts::Place;
use super::catalogue::Catalogue;
use super::{Accounts, Leases, USABLE_MS};

/// Without anything to ask for the worker asks what budgets there are so often, ms.
const HEARTBEAT_MS: u64 = 15_000;
/// So often it is looked for what is not urgent, ms.
const LOOK_MS: u64 = 250;
/// The first and the last bound of the delay between two tries, ms.
const BACKOFF_BASE_MS: u64 = 250;
const BACKOFF_MAX_MS: u64 = 5000;
/// The longest `Retry-After` that is obeyed, ms.
const RETRY_AFTER_MAX_MS: u64 = 60_000;

/// There is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Why.
    pub failure: CollectorFailure,
    /// `Retry-After`, ms.
    pub retry_after_ms: Option<u64>,
}

/// A request whose response is awaited.
#[derive(Debug)]
pub struct InFlight {
    number: u64,
    acknowledged: u64,
    /// None: the proxy has not taken it yet.
    token: Option<u32>,
    deadline_ms: u64,
    leases: Vec<(Place, Wanted)>,
    prices: Vec<Priced>,
}

impl Leases {
    /// What to ask the collector for, if it is time: say by [`Leases::dispatched`] what became of it. `acknowledged`: all
    /// events up to this number are acknowledged or given up.
    pub fn poll(&mut self, now_ms: u64, acknowledged: u64) -> Option<Request> {
        self.budgets.as_ref()?;
        if let Some(in_flight) = &self.in_flight {
            if now_ms < in_flight.deadline_ms {
                return None;
            }
            self.lost(now_ms, None);
        }
        if now_ms < self.not_before_ms || !(self.is_urgent || now_ms >= self.look_ms) {
            return None;
        }
        self.look_ms = now_ms.saturating_add(LOOK_MS);
        self.is_urgent = false;
        self.accounts.sweep(now_ms);
        self.ceilings.sweep(now_ms);
        self.prefetch(now_ms);
        let leases = self.wanted(now_ms);
        let (prices, has_unknown_prices) = self.ceilings.wanted(now_ms);
        let is_due = self.heard_ms.is_none_or(|heard_ms| now_ms.saturating_sub(heard_ms) >= HEARTBEAT_MS);
        if leases.is_empty() && !has_unknown_prices && !is_due && self.revision.is_some() {
            return None;
        }
        self.number = self.number.saturating_add(1);
        let wanted = leases.iter().map(|(_, wanted)| wanted.clone()).collect();
        let revision = self.revision.unwrap_or(0);
        let request = Request { number: self.number, acknowledged, revision, leases: wanted, prices: prices.clone() };
        let deadline_ms = now_ms.saturating_add(self.patience_ms);
        self.in_flight = Some(InFlight { number: self.number, acknowledged, token: None, deadline_ms, leases, prices });
        self.silent_since_ms.get_or_insert(now_ms);
        Some(request)
    }

    /// Accounts for windows that are near, and for budgets that all tenants share.
    fn prefetch(&mut self, now_ms: u64) {
        for place in self.accounts.places(0) {
            let Some(account) = self.accounts.get(place) else { continue };
            if let Some(at_s) = account.next_window(now_ms) {
                let next = account.next(at_s);
                self.open(next);
            }
        }
        let shared: Vec<_> =
            self.catalogue.shared().filter(|budget| !self.accounts.has_shared(budget)).cloned().collect();
        for budget in shared {
            let dear = self.first(budget.unit);
            self.open(Account::new(budget, String::new(), now_ms / 1000, 0, dear));
        }
    }

    fn open(&mut self, account: Account) {
        if self.accounts.find(&account.budget.name, &account.subject, account.at_s).is_none() {
            self.accounts.add(account);
        }
    }

    /// What is asked for, what calls need first. Each request begins where the last one has stopped, so that nobody's leases
    /// wait behind another's.
    fn wanted(&mut self, now_ms: u64) -> Vec<(Place, Wanted)> {
        let is_full = self.accounts.is_full();
        let mut wishes: Vec<(Place, Wish)> = Vec::new();
        let mut others = Vec::new();
        let mut has_waiting = false;
        for place in self.accounts.places(self.behind) {
            let gives_way = self.jitter.next() & 1 == 1;
            let Some(account) = self.accounts.get(place) else { continue };
            match account.wish(now_ms, is_full, gives_way) {
                Some(wish) if wish.is_urgent => wishes.push((place, wish)),
                Some(wish) => others.push((place, wish)),
                None => has_waiting |= account.is_needed(now_ms),
            }
        }
        wishes.append(&mut others);
        self.is_urgent = has_waiting || wishes.len() > MAX_LEASES;
        wishes.truncate(MAX_LEASES);
        if let Some((place, _)) = wishes.last() {
            self.behind = place.slot();
        }
        wishes.into_iter().filter_map(|(place, wish)| Some((place, ask(&mut self.accounts, place, wish)?))).collect()
    }

    /// The proxy has taken the request, under this token, or not.
    pub fn dispatched(&mut self, now_ms: u64, result: Result<u32, CollectorFailure>) {
        match (result, &mut self.in_flight) {
            (Ok(token), Some(in_flight)) => in_flight.token = Some(token),
            (Err(_), Some(_)) => self.lost(now_ms, None),
            (_, None) => {}
        }
    }

    /// Whether this is the token of the request in flight.
    pub fn awaits(&self, token: u32) -> bool {
        self.in_flight.as_ref().is_some_and(|in_flight| in_flight.token == Some(token))
    }

    /// The response to a request, or why there is none. Returns whether it is one to what was asked.
    pub fn respond(&mut self, now_ms: u64, token: u32, response: Result<Response, Lost>) -> bool {
        if !self.awaits(token) {
            return false;
        }
        let Some(in_flight) = self.in_flight.take() else { return false };
        let response = match response {
            Ok(response) => response,
            Err(lost) => {
                self.lost(now_ms, lost.retry_after_ms);
                return false;
            }
        };
        let is_it = response.number == in_flight.number
            && response.leases.len() == in_flight.leases.len()
            && response.prices.len() == in_flight.prices.len();
        if !is_it {
            self.lost(now_ms, None);
            return false;
        }
        (self.failures, self.not_before_ms, self.silent_since_ms) = (0, 0, None);
        if self.heard_ms.is_some_and(|heard_ms| now_ms.saturating_sub(heard_ms) >= USABLE_MS) {
            // What is not in this response may be others' by now.
            self.accounts.void();
        }
        self.heard_ms = Some(now_ms);
        if let Some(budgets) = response.budgets {
            self.catalogue = Catalogue::new(self.seed, budgets);
            self.accounts.reconcile(&self.catalogue);
            self.is_urgent = true;
            self.revision = Some(response.revision);
        } else if response.revision == 0 {
            // There have never been any.
            self.revision = Some(0);
        }
        for ((place, wanted), lease) in in_flight.leases.iter().zip(&response.leases) {
            if let Some(lease) = lease {
                self.accounts.supersede(*place, lease);
            }
            let Some(account) = self.accounts.get(*place) else { continue };
            match lease {
                Some(lease) => account.heard(now_ms, lease, wanted, in_flight.acknowledged),
                None => account.refused(now_ms),
            }
        }
        for (priced, ceiling) in in_flight.prices.iter().zip(response.prices) {
            self.ceilings.heard(now_ms, priced, ceiling);
        }
        true
    }

    /// The collector has said, in [`wire::lease::REVISION_HEADER`], at which revision the budgets are.
    pub fn hear_revision(&mut self, revision: u64) {
        if self.revision.is_some_and(|known| known != revision) {
            // Asked for as if nothing were known; what is held stays.
            self.revision = None;
            self.is_urgent = true;
        }
    }

    fn lost(&mut self, now_ms: u64, retry_after_ms: Option<u64>) {
        self.in_flight = None;
        let bound =
            BACKOFF_BASE_MS.saturating_mul(1u64.checked_shl(self.failures).unwrap_or(u64::MAX)).min(BACKOFF_MAX_MS);
        let drawn = self.jitter.next().checked_rem(bound.saturating_add(1)).unwrap_or(bound);
        self.failures = self.failures.saturating_add(1).min(16);
        let asked = retry_after_ms.unwrap_or(0).min(RETRY_AFTER_MAX_MS);
        self.not_before_ms = now_ms.saturating_add(drawn.max(asked));
    }
}

fn ask(accounts: &mut Accounts, place: Place, wish: Wish) -> Option<Wanted> {
    let account = accounts.get(place)?;
    account.asked(&wish);
    Some(Wanted {
        budget: account.budget.name.clone(),
        subject: account.subject.clone(),
        at_s: account.at_s,
        up_to: wish.up_to,
        need: wish.need,
    })
}

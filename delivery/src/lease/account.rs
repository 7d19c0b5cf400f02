//! What this worker holds of one budget, for one subject, in one window, and what it has spent of it.

use std::collections::VecDeque;
use std::sync::Arc;

use wire::lease::{Budget, Lease, MAX_AMOUNT, Wanted};

pub use wish::Wish;

mod wish;

/// What was spent is looked at over so long, ms.
const PERIOD_MS: u64 = 10_000;
/// Who was told to come again in the next window comes so long after it has begun at most, ms.
const RETURNING_MS: u64 = 5000;
/// What calls have spent is kept apart by their numbers up to so many; then neighbours count as one.
const MAX_SPENT: usize = 64;

/// A lease and its accounting. `used` never exceeds `granted` by what it lets in.
#[derive(Debug)]
pub struct Account {
    pub budget: Arc<Budget>,
    pub subject: String,
    /// A second of the window.
    pub at_s: u64,
    /// First second, and first second of the next one, once the collector has said.
    window: Option<(u64, u64)>,
    /// The collector gives none: it does not know the budget, or is in another time.
    is_unavailable: bool,
    /// What may be spent in total: the least of what was granted and of what was asked for since.
    granted: u64,
    /// What the collector has charged.
    charged: u64,
    limit: u64,
    left: u64,
    /// What nobody holds of it.
    available: u64,
    /// What calls have cost that the collector may not have charged yet, by the number of their event; and its sum.
    spent: VecDeque<(u64, u64)>,
    spent_sum: u64,
    /// What running calls may cost at most.
    reserved: u64,
    /// A running call whose cost nobody can bound has taken what it got of the rest.
    is_taken: bool,
    /// What the dearest call needed that found no room, and what all of those needed.
    need: u64,
    wanted: u64,
    /// The same of the request in flight.
    asked: (u64, u64),
    /// The same of those that were told to come again when the window is over.
    expected: [u64; 2],
    /// What a dear call needs these days; a guess, until one has come.
    dear: u64,
    is_guess: bool,
    /// What was spent in a period, and in the one before.
    period: u64,
    recent: [u64; 2],
    used_ms: u64,
    /// A call that was refused is expected again until then.
    awaited_ms: u64,
    heard_ms: Option<u64>,
    /// The last response gave less than was asked for, and less than a call needed.
    is_short: bool,
    is_denied: bool,
}

/// Why a call does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// The limit.
    Limit,
    /// What is left of it, until so many seconds since 1970.
    Rest(u64),
    /// The lease only.
    Lease,
    /// The collector gives no lease.
    Unavailable,
}

impl Account {
    /// An account without a lease. `used_ms`: when a call has used it last, or one before it. `dear`: what a call needs, as far
    /// as is known.
    pub fn new(budget: Arc<Budget>, subject: String, at_s: u64, used_ms: u64, dear: u64) -> Account {
        Account {
            budget,
            subject,
            at_s,
            window: None,
            is_unavailable: false,
            granted: 0,
            charged: 0,
            limit: MAX_AMOUNT,
            left: MAX_AMOUNT,
            available: MAX_AMOUNT,
            spent: VecDeque::new(),
            spent_sum: 0,
            reserved: 0,
            is_taken: false,
            need: 0,
            wanted: 0,
            asked: (0, 0),
            expected: [0; 2],
            dear,
            is_guess: true,
            period: 0,
            recent: [0; 2],
            used_ms,
            awaited_ms: 0,
            heard_ms: None,
            is_short: false,
            is_denied: false,
        }
    }

    pub fn is_of(&self, budget: &str, subject: &str) -> bool {
        self.subject == subject && self.budget.name == budget
    }

    /// Whether its window has this second; not known before the collector has said.
    pub fn has(&self, at_s: u64) -> Option<bool> {
        self.window.map(|(from_s, until_s)| (from_s..until_s).contains(&at_s))
    }

    /// Whether the window of a lease is the same as this one's, or meets it.
    pub fn meets(&self, lease: &Lease) -> bool {
        self.window.is_some_and(|(from_s, until_s)| from_s < lease.until_s && lease.window_s < until_s)
    }

    /// What of the lease is used: charged, spent, or reserved.
    pub fn used(&self) -> u64 {
        self.charged.saturating_add(self.spent_sum).saturating_add(self.reserved)
    }

    fn room(&self) -> u64 {
        self.granted.saturating_sub(self.used())
    }

    /// What a call gets that costs so much at most: all that, or if its cost cannot be bound, half of the rest: others' calls go on
    /// while it runs. One whose price nobody knows gets all the rest: what it has cost is not known when it is over.
    pub fn fits(&self, amount: u64, is_open: bool) -> Result<u64, Lacking> {
        let room = self.room();
        if amount <= room {
            return Ok(amount);
        }
        if is_open && room > 0 && !self.is_taken {
            return Ok(if amount < MAX_AMOUNT { room.div_ceil(2) } else { room });
        }
        let until_s = self.window.map_or(0, |(_, until_s)| until_s);
        match self.window {
            _ if self.is_unavailable => Err(Lacking::Unavailable),
            None => Err(Lacking::Lease),
            Some(_) if !is_open && amount > self.limit => Err(Lacking::Limit),
            Some(_) if self.left == 0 || (!is_open && amount > self.left) => Err(Lacking::Rest(until_s)),
            Some(_) => Err(Lacking::Lease),
        }
    }

    /// Takes note of a call that wants to pass, and of what it needs, if that is known. Returns what such a call needs.
    pub fn touch(&mut self, now_ms: u64, amount: Option<u64>) -> u64 {
        self.used_ms = self.used_ms.max(now_ms);
        if let Some(amount) = amount {
            let before = if self.is_guess { 0 } else { self.dear.saturating_sub(self.dear / 16) };
            (self.dear, self.is_guess) = (before.max(amount), false);
        }
        amount.unwrap_or(self.dear)
    }

    /// A call found no room that may have it with another lease. One that nothing bounds can begin with any, if there is not
    /// enough for all that it can cost.
    pub fn want(&mut self, amount: u64, is_open: bool) {
        let need = if is_open && amount > self.left { 1 } else { amount };
        self.need = self.need.max(need);
        self.wanted = self.wanted.saturating_add(amount).min(MAX_AMOUNT);
    }

    /// A call that was refused may come again until then.
    pub fn await_until(&mut self, until_ms: u64) {
        self.awaited_ms = self.awaited_ms.max(until_ms);
    }

    /// Whether a call waits for more.
    pub fn is_needed(&self, now_ms: u64) -> bool {
        self.need > 0 && !self.is_over(now_ms)
    }

    /// A call was told to come again when the window is over.
    pub fn expect(&mut self, amount: u64) {
        let [need, wanted] = self.expected;
        self.expected = [need.max(amount), wanted.saturating_add(amount).min(MAX_AMOUNT)];
    }

    /// Reserves what [`Account::fits`] has said for a call that costs `amount` at most. Whether it has taken the rest.
    pub fn reserve(&mut self, fitting: u64, amount: u64) -> bool {
        self.reserved = self.reserved.saturating_add(fitting);
        self.is_taken |= fitting < amount;
        fitting < amount
    }

    /// A call is over.
    pub fn release(&mut self, amount: u64, took_rest: bool) {
        self.reserved = self.reserved.saturating_sub(amount);
        self.is_taken &= !took_rest;
    }

    /// A call has cost so much, and its event has this number.
    pub fn spend(&mut self, now_ms: u64, sequence: u64, amount: u64) {
        self.roll(now_ms);
        self.used_ms = self.used_ms.max(now_ms);
        let [recent, _] = &mut self.recent;
        *recent = recent.saturating_add(amount);
        self.spent_sum = self.spent_sum.saturating_add(amount);
        let is_full = self.spent.len() >= MAX_SPENT;
        match self.spent.back_mut() {
            Some((last, sum)) if *last == sequence || is_full => {
                // Later than it was is safe: it counts here for longer.
                *last = sequence.max(*last);
                *sum = sum.saturating_add(amount);
            }
            _ => self.spent.push_back((sequence, amount)),
        }
    }

    fn roll(&mut self, now_ms: u64) {
        let period = now_ms / PERIOD_MS;
        if period != self.period {
            let [recent, _] = self.recent;
            self.recent = [0, if period == self.period.saturating_add(1) { recent } else { 0 }];
            self.period = period;
        }
    }

    fn recent(&self, now_ms: u64) -> u64 {
        let [recent, before] = self.recent;
        match (now_ms / PERIOD_MS).checked_sub(self.period) {
            Some(0) => recent.max(before),
            Some(1) => recent,
            _ => 0,
        }
    }

    /// Whether what a call needs is others', or that of calls that run.
    pub fn is_elsewhere(&self) -> bool {
        self.is_denied || self.reserved > 0
    }

    /// It is asked for: from now on no more is spent than that.
    pub fn asked(&mut self, wish: &Wish) {
        self.granted = self.granted.min(wish.up_to);
        if self.need > 0 && wish.need == 0 {
            // It gives way, and is asked for afterwards.
            return;
        }
        self.asked = (self.need, self.wanted);
        (self.need, self.wanted) = (0, 0);
    }

    /// The collector's response to what was asked for, when all events up to `acknowledged` were acknowledged.
    pub fn heard(&mut self, now_ms: u64, lease: &Lease, wanted: &Wanted, acknowledged: u64) {
        self.window = Some((lease.window_s, lease.until_s));
        self.is_unavailable = false;
        self.granted = lease.granted.min(wanted.up_to.max(lease.charged));
        (self.charged, self.limit, self.left) = (lease.charged, lease.limit, lease.left);
        self.available = lease.available;
        while let Some((sequence, amount)) = self.spent.front().copied()
            && sequence <= acknowledged
        {
            self.spent.pop_front();
            self.spent_sum = self.spent_sum.saturating_sub(amount);
        }
        self.heard_ms = Some(now_ms);
        self.is_short = lease.granted < wanted.up_to;
        self.is_denied = lease.granted < wanted.need;
        if self.is_denied && now_ms < self.awaited_ms {
            // When the call comes again, others may have returned what it needs.
            let (need, more) = self.asked;
            (self.need, self.wanted) = (self.need.max(need), self.wanted.max(more));
        }
    }

    /// There is no lease.
    pub fn refused(&mut self, now_ms: u64) {
        self.is_unavailable = true;
        self.granted = 0;
        self.heard_ms = Some(now_ms);
        self.is_short = true;
        // Somebody may set the budget, or a clock, right.
        self.left = 0;
    }

    /// The budgets have changed: what is known of this one may be wrong.
    pub fn doubt(&mut self) {
        self.heard_ms = None;
        self.is_short = false;
    }

    /// The collector may have given what is held to others.
    pub fn void(&mut self) {
        self.granted = 0;
        self.doubt();
    }

    /// Another account has its window now.
    pub fn supersede(&mut self) {
        self.window = Some((0, 0));
        self.granted = 0;
    }

    /// Whether its window is over.
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.window.is_some_and(|(_, until_s)| now_ms / 1000 >= until_s)
    }

    /// The account of the next window. It goes on with what this one knows of its calls.
    pub fn next(&self, at_s: u64) -> Account {
        let budget = Arc::clone(&self.budget);
        let mut next = Account::new(budget, self.subject.clone(), at_s, self.used_ms, self.dear);
        (next.limit, next.left, next.is_guess) = (self.limit, self.limit, self.is_guess);
        (next.period, next.recent) = (self.period, self.recent);
        [next.need, next.wanted] = self.expected;
        if next.need > 0 {
            next.awaited_ms = at_s.saturating_mul(1000).saturating_add(RETURNING_MS);
        }
        next
    }

    /// Whether it can go: its window has been over for so long, or it holds nothing and was not used for long. No call of it
    /// runs.
    pub fn is_done(&self, now_ms: u64, grace_s: u64, is_full: bool) -> bool {
        let over_s = self.window.map(|(_, until_s)| until_s.saturating_add(grace_s));
        let is_over = over_s.is_some_and(|over_s| now_ms / 1000 >= over_s);
        let is_unused = self.room() == 0 && self.spent.is_empty() && self.is_idle(now_ms);
        let is_needless = self.is_forgotten(now_ms) || is_full && self.heard_ms.is_some();
        self.reserved == 0 && (is_over || is_unused && is_needless)
    }
}

//! How much of a budget a worker wants to hold, and when it asks for more or returns some.

use wire::lease::MAX_AMOUNT;

use super::Account;

/// A lease that was not used for so long is returned, ms; in a short window for a sixth of it.
const IDLE_MS: u64 = 30_000;
/// The same where a call that comes to another worker would find nothing there: what it needs is much of what is left, and less
/// than that is free. So often it is asked whether it is so, ms.
const SCARCE_IDLE_MS: u64 = 1000;
/// One that is in use is asked for at least so often, ms: what it has spent may cost less than this worker reckons. An idle one
/// that holds something is asked for after twice the time that makes it idle: others may need what it keeps.
const REFRESH_MS: u64 = 15_000;
/// An idle one keeps what a call needs, so that the next one finds it, if that is no more than one part in so many of what is
/// left: where each tenant has its own limit, and where all share one.
const IDLE_PARTS: u64 = 8;
const IDLE_PARTS_SHARED: u64 = 64;
/// Else it keeps one part in so many: a call that nothing bounds can begin with that.
const LITTLE_PARTS: u64 = 256;
/// One that is in use wants no more than one part in so many of what is left, unless calls need it.
const ACTIVE_PARTS: u64 = 4;
/// After a response that gave less than was asked for it is asked again: when a call needs it, when none does, and when
/// nothing is left that somebody else could return, ms.
const AGAIN_MS: u64 = 250;
const LATER_MS: u64 = 1000;
const MUCH_LATER_MS: u64 = 5000;
/// So long before the next window it is asked for, and in a short one for a tenth of it, seconds.
const AHEAD_S: u64 = 10;
/// Who was here in the last windows, at most so long ago, is given a lease of the next one, ms.
const REGULAR_MS: u64 = 600_000;

/// What is to be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// A call needs it.
    pub is_urgent: bool,
    pub up_to: u64,
    pub need: u64,
}

impl Account {
    fn length_s(&self) -> u64 {
        self.window.map_or(0, |(from_s, until_s)| until_s.saturating_sub(from_s))
    }

    fn idle_ms(&self) -> u64 {
        match self.length_s() {
            0 => IDLE_MS,
            length_s => IDLE_MS.min(length_s.saturating_mul(1000) / 6),
        }
    }

    /// Whether what a call needs is so much of what is left that few workers can hold it.
    fn is_scarce(&self) -> bool {
        self.dear > self.left / ACTIVE_PARTS
    }

    /// Whether what is held here, and what nobody holds, is as much as a call needs.
    fn can_be_enough(&self) -> bool {
        self.dear <= self.room().saturating_add(self.available)
    }

    /// Whether no call has used it for a while, and none is expected that was told to come again.
    pub(super) fn is_idle(&self, now_ms: u64) -> bool {
        let is_missed = self.is_scarce() && self.available < self.dear;
        let idle_ms = if is_missed { SCARCE_IDLE_MS.min(self.idle_ms()) } else { self.idle_ms() };
        now_ms >= self.awaited_ms && now_ms.saturating_sub(self.used_ms) >= idle_ms
    }

    /// Whether its window has just begun, or not yet, and who used the last ones has not come.
    fn is_fresh(&self, now_ms: u64) -> bool {
        let begins_ms = self.window.map_or(0, |(from_s, _)| from_s.saturating_mul(1000));
        !self.is_scarce() && now_ms < begins_ms.saturating_add(self.idle_ms()) && !self.is_unused(now_ms)
    }

    /// Whether nobody has used it for long.
    fn is_unused(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.used_ms) >= REGULAR_MS
    }

    /// Whether nobody will use it. What all tenants share, one of them will.
    pub(super) fn is_forgotten(&self, now_ms: u64) -> bool {
        self.budget.per_tenant && self.is_unused(now_ms)
    }

    /// What it wants to have beyond what is used.
    fn headroom(&self, now_ms: u64) -> u64 {
        if self.is_forgotten(now_ms) {
            return 0;
        }
        if self.is_idle(now_ms) {
            let parts = if self.budget.per_tenant { IDLE_PARTS } else { IDLE_PARTS_SHARED };
            let share = self.left.checked_div(parts).unwrap_or(0);
            return if self.dear <= share { self.dear } else { self.left / LITTLE_PARTS };
        }
        if !self.is_scarce() {
            let most = self.left / ACTIVE_PARTS;
            return self.recent(now_ms).max(self.dear).saturating_mul(2).min(most);
        }
        // What the last call has cost is added to what it left, for the next one. While calls run, others' need comes first.
        if self.can_be_enough() && self.reserved == 0 && !self.is_denied { self.dear } else { 0 }
    }

    /// What is to be asked for now. `is_full`: others have no room here; an idle one is returned whole. `gives_way`: drawn by
    /// lot; of several workers whose leases are too small for a call each, some return theirs, so that others have enough.
    pub fn wish(&self, now_ms: u64, is_full: bool, gives_way: bool) -> Option<Wish> {
        if self.is_over(now_ms) {
            return None;
        }
        let (used, room) = (self.used(), self.room());
        let headroom = if is_full && self.is_idle(now_ms) { 0 } else { self.headroom(now_ms) };
        let since_ms = self.heard_ms.map(|heard_ms| now_ms.saturating_sub(heard_ms));
        let patience_ms = match self.is_short {
            false => 0,
            true if self.need > 0 => AGAIN_MS,
            true if self.left > self.granted.saturating_sub(self.charged) => LATER_MS,
            true => MUCH_LATER_MS,
        };
        if since_ms.is_some_and(|since_ms| since_ms < patience_ms) {
            return None;
        }
        if self.is_denied && gives_way && room > 0 {
            return Some(Wish { is_urgent: true, up_to: used, need: 0 });
        }
        let is_urgent = self.need > 0;
        // With less than a call needs the next one would be refused.
        let is_low = room < headroom.min(self.dear.max(headroom / 4));
        // What is granted goes down by little only when it is needed nowhere.
        let kept = match self.is_idle(now_ms) {
            _ if self.is_fresh(now_ms) => u64::MAX,
            true => headroom,
            // Of no use here, and missing elsewhere.
            false if now_ms >= self.awaited_ms && self.is_scarce() && !self.can_be_enough() => 0,
            // What was given to a call that was told to come again stays for it.
            false => headroom.saturating_mul(4).max(self.dear),
        };
        let is_much = room > kept;
        let refresh_ms = match self.is_idle(now_ms) && self.spent.is_empty() {
            false if self.is_scarce() && room >= self.dear && self.reserved == 0 => SCARCE_IDLE_MS,
            false => REFRESH_MS,
            true if room > 0 => self.idle_ms().saturating_mul(2),
            true => u64::MAX,
        };
        let is_old = since_ms.is_none_or(|since_ms| since_ms >= refresh_ms);
        if !(is_urgent || is_low || is_much || is_old) {
            return None;
        }
        let more = headroom.max(room.min(kept)).saturating_add(self.wanted);
        let up_to = used.saturating_add(more).min(MAX_AMOUNT);
        let need = if is_urgent { used.saturating_add(self.need).min(up_to) } else { 0 };
        Some(Wish { is_urgent, up_to, need })
    }

    /// The first second of the next window, if that is near and a lease of it will be needed.
    pub fn next_window(&self, now_ms: u64) -> Option<u64> {
        let (_, until_s) = self.window?;
        let length_s = self.length_s();
        let ahead_s = AHEAD_S.min(length_s / 10).max(1);
        let is_near = (until_s.saturating_sub(ahead_s)..until_s).contains(&(now_ms / 1000));
        let regular_ms = length_s.saturating_mul(10_000).clamp(IDLE_MS, REGULAR_MS);
        let is_regular = !self.budget.per_tenant || now_ms.saturating_sub(self.used_ms) < regular_ms;
        (is_near && is_regular).then_some(until_s)
    }
}

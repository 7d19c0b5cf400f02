//! How much of what is left a worker gets.

use super::amount::Amount;
use wire::lease::Unit;

/// What there is of a window, in whole units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The limit.
    pub limit: u64,
    /// What was spent of it.
    pub spent: u64,
    /// What all emitters hold of it, this one included.
    pub held: u64,
}

impl Room {
    /// What nobody has spent or holds.
    pub fn available(self) -> u64 {
        self.limit.saturating_sub(self.spent).saturating_sub(self.held)
    }

    /// What nobody has spent.
    pub fn left(self) -> u64 {
        self.limit.saturating_sub(self.spent)
    }
}

/// What an emitter has of a window, in whole units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Has {
    /// What it was granted in total.
    pub granted: u64,
    /// What its events were charged.
    pub charged: u64,
}

impl Has {
    /// A lease with exact amounts. What was charged is rounded up: the worker sees no more room than there is.
    pub fn of(granted: u64, charged: Amount, unit: Unit) -> Has {
        Has { granted, charged: charged.whole(unit) }
    }

    /// What it holds: what it may still spend.
    pub fn held(self) -> u64 {
        self.granted.saturating_sub(self.charged)
    }
}

/// What an emitter is granted in total that has so much, and asks for `up_to` in total, of which it needs `need`.
///
/// Less than it has is a return. Otherwise it gets at most a quarter of what is available, so that a burst of one leaves
/// something for the others, or what it needs, if there is that much.
pub fn grant(room: Room, has: Has, up_to: u64, need: u64) -> u64 {
    // What its calls have cost beyond its lease is gone; it gets more from there on.
    let base = has.granted.max(has.charged);
    if up_to <= base {
        return up_to.max(has.charged);
    }
    let available = room.available();
    let share = up_to.min(base.saturating_add(available.div_ceil(4)));
    let needed = need.min(up_to);
    if needed <= base.saturating_add(available) { share.max(needed) } else { share }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn granted(limit: u64, spent: u64, held: u64, has: (u64, u64), up_to: u64, need: u64) -> u64 {
        let (granted, charged) = has;
        grant(Room { limit, spent, held }, Has { granted, charged }, up_to, need)
    }

    #[test]
    fn contract_a_quarter_of_what_is_left_or_what_is_needed_and_never_more_than_was_asked_for() {
        for (limit, spent, held, has, up_to, need, expected) in [
            (100, 0, 0, (0, 0), 10, 0, 10),
            (100, 0, 0, (0, 0), 80, 0, 25),
            (100, 0, 0, (0, 0), 80, 60, 60),
            (100, 0, 0, (0, 0), 200, 101, 25),
            (100, 40, 30, (30, 0), 60, 0, 38),
            (100, 40, 30, (30, 0), 60, 60, 60),
            (100, 40, 30, (30, 0), 61, 61, 38),
            // Nothing is left, or less than nothing.
            (100, 100, 0, (0, 0), 10, 1, 0),
            (100, 300, 5, (7, 2), 10, 10, 7),
            // One unit can still be had.
            (100, 99, 0, (0, 0), 10, 0, 1),
            // A return: what was charged stays.
            (100, 40, 30, (50, 20), 35, 0, 35),
            (100, 40, 30, (50, 20), 0, 0, 20),
            // Calls have cost more than the lease: there is room beyond what they cost.
            (100, 60, 0, (10, 30), 70, 0, 40),
            (100, 60, 0, (10, 30), 20, 0, 30),
            (0, 0, 0, (0, 0), 1, 1, 0),
        ] {
            let found = granted(limit, spent, held, has, up_to, need);
            assert_eq!(found, expected, "{limit} {spent} {held} {has:?} {up_to} {need}");
        }
    }

    proptest! {
        #[test]
        fn deterministic_what_is_spent_and_held_never_goes_beyond_the_limit_by_a_grant(
            limit in 0..200_u64, spent in 0..200_u64, others in 0..200_u64, has in (0..200_u64, 0..200_u64),
            up_to in 0..400_u64, need in 0..400_u64
        ) {
            let has = Has { granted: has.0, charged: has.1 };
            let held = others + has.held();
            let room = Room { limit, spent, held };
            let granted = grant(room, has, up_to, need);
            let after = others + Has { granted, ..has }.held();
            prop_assert!(spent + after <= limit.max(spent + held), "{granted}");
            prop_assert!(granted <= up_to.max(has.granted).max(has.charged));
            prop_assert!(granted >= has.charged.min(up_to.max(has.charged)));
            if up_to > has.granted.max(has.charged) && room.available() > 0 {
                prop_assert!(granted > has.granted.max(has.charged), "whoever asks while there is something gets something");
            }
        }
    }
}

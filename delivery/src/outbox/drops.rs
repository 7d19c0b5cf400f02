//! What was dropped, and why: ranges of numbers that are told until the collector has heard them, and a count.

use wire::statement::{DroppedRange, MAX_DROPS, Reason};

/// Ranges that are remembered; what does not fit is in the count alone. Some 24 KiB at most.
const MAX_RANGES: usize = 1024;

/// The drops of one emitter.
#[derive(Debug, Default)]
pub struct Drops {
    /// In ascending order, apart; neighbours of one reason are one range.
    ranges: Vec<DroppedRange>,
    count: u64,
}

impl Drops {
    /// These ranges, in ascending order, of so many drops.
    pub fn of(ranges: Vec<DroppedRange>, count: u64) -> Self {
        Drops { ranges, count }
    }

    /// How many events were dropped so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether something waits to be told.
    pub fn wait(&self) -> bool {
        !self.ranges.is_empty()
    }

    /// Remembers a number that is not among them yet.
    pub fn insert(&mut self, number: u64, reason: Reason) {
        self.count = self.count.saturating_add(1);
        let at = self.ranges.partition_point(|range| range.last < number);
        let joins_before = at
            .checked_sub(1)
            .and_then(|before| self.ranges.get(before))
            .is_some_and(|before| before.reason == reason && before.last.checked_add(1) == Some(number));
        let joins_behind = self
            .ranges
            .get(at)
            .is_some_and(|behind| behind.reason == reason && number.checked_add(1) == Some(behind.first));
        if joins_before {
            let last = if joins_behind { self.ranges.remove(at).last } else { number };
            if let Some(before) = at.checked_sub(1).and_then(|before| self.ranges.get_mut(before)) {
                before.last = last;
            }
        } else if joins_behind {
            if let Some(behind) = self.ranges.get_mut(at) {
                behind.first = number;
            }
        } else if self.ranges.len() < MAX_RANGES {
            self.ranges.insert(at, DroppedRange { first: number, last: number, reason });
        }
    }

    /// What the next dispatch tells: the lowest ranges, as many as a statement takes.
    pub fn told(&self) -> Vec<DroppedRange> {
        self.ranges.iter().take(MAX_DROPS).copied().collect()
    }

    /// The collector has heard of everything up to this number.
    pub fn forget(&mut self, through: u64) {
        self.ranges.retain_mut(|range| {
            range.first = range.first.max(through.saturating_add(1));
            range.first <= range.last
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drops(numbers: &[(u64, Reason)]) -> Drops {
        let mut drops = Drops::default();
        numbers.iter().for_each(|(number, reason)| drops.insert(*number, *reason));
        drops
    }

    fn told(drops: &Drops) -> String {
        drops.told().iter().map(DroppedRange::to_string).collect::<Vec<_>>().join(",")
    }

    cases! {
        fn contract_neighbours_of_one_reason_are_one_range() {
            use Reason::{Full, Refused};
            assert_eq!(told(&drops(&[(5, Full), (6, Full), (7, Full), (9, Full)])), "5-7:full,9-9:full");
            assert_eq!(told(&drops(&[(5, Full), (7, Full), (6, Full)])), "5-7:full", "a hole is closed");
            assert_eq!(told(&drops(&[(5, Full), (6, Refused), (7, Full)])), "5-5:full,6-6:refused,7-7:full");
            assert_eq!(told(&drops(&[(9, Full), (8, Full), (3, Refused), (2, Refused)])), "2-3:refused,8-9:full");
            assert_eq!(drops(&[(9, Full), (8, Full), (3, Refused)]).count(), 3);
        }

        fn contract_what_was_heard_is_forgotten_and_what_came_since_is_not() {
            let mut drops = drops(&[(5, Reason::Full), (6, Reason::Full), (9, Reason::Full)]);
            drops.insert(10, Reason::Full);
            drops.forget(9);
            assert_eq!((told(&drops).as_str(), drops.count()), ("10-10:full", 4));
            drops.forget(10);
            assert!(!drops.wait());
        }

        fn contract_memory_is_bounded_and_the_count_is_not() {
            let mut drops = Drops::default();
            (1..=5000).for_each(|n| drops.insert(2 * n, Reason::Full));
            assert_eq!((drops.ranges.len(), drops.count()), (MAX_RANGES, 5000));
            assert_eq!(drops.told().len(), MAX_DROPS);
            drops.forget(2 * MAX_DROPS as u64);
            assert_eq!(drops.told()[0].first, 2 * MAX_DROPS as u64 + 2, "then the next ones");
        }
    }
}

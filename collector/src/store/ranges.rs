//! Sequence numbers as ranges that never touch: they grow with the faults, not with the numbers.

use std::collections::BTreeSet;

/// Numbers at most this far apart are looked up together; beyond it what lies between them is not loaded: an emitter that
/// leaves a hole behind every number must not make each of its batches cost as much as all of its holes.
const NEAR: i64 = 16;

/// The numbers from `first` to `last`, both in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// The lowest number.
    pub first: i64,
    /// The highest number, never below `first`.
    pub last: i64,
}

impl Range {
    /// How many numbers.
    pub fn count(self) -> i64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    /// What must be known of the ranges to decide on these numbers: each with its neighbours, in rising order.
    pub fn around(numbers: &BTreeSet<i64>) -> Vec<Range> {
        let mut all: Vec<Range> = Vec::new();
        for number in numbers {
            let (first, last) = (number.saturating_sub(1), number.saturating_add(1));
            match all.last_mut() {
                Some(before) if first.saturating_sub(before.last) <= NEAR => before.last = last,
                _ => all.push(Range { first, last }),
            }
        }
        all
    }
}

/// Ranges in rising order, with at least one number missing between two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    now: Vec<Range>,
    stored: Vec<Range>,
}

impl Ranges {
    /// Ranges as they were stored: in rising order, perhaps one several times.
    pub fn stored(mut ranges: Vec<Range>) -> Ranges {
        ranges.dedup();
        Ranges { now: ranges.clone(), stored: ranges }
    }

    /// All of them, in rising order.
    pub fn as_slice(&self) -> &[Range] {
        &self.now
    }

    /// Those that are not as they were stored. Each takes the place of all that were stored inside of it.
    pub fn changed(&self) -> impl Iterator<Item = &Range> {
        self.now.iter().filter(|range| self.stored.binary_search(range).is_err())
    }

    /// Whether a number is in one of them.
    pub fn contains(&self, number: i64) -> bool {
        self.below(number).is_some_and(|(_, range)| number <= range.last)
    }

    /// Adds a number; false if it is there already.
    pub fn insert(&mut self, number: i64) -> bool {
        if self.contains(number) {
            return false;
        }
        self.add(Range { first: number, last: number });
        true
    }

    /// Adds all numbers of a range.
    pub fn add(&mut self, range: Range) {
        // What it touches or overlaps becomes one range with it.
        let begin = self.now.partition_point(|other| other.last.saturating_add(1) < range.first);
        let end = self.now.partition_point(|other| other.first <= range.last.saturating_add(1));
        let touched = self.now.get(begin..end).unwrap_or_default();
        let first = touched.first().map_or(range.first, |other| other.first.min(range.first));
        let last = touched.last().map_or(range.last, |other| other.last.max(range.last));
        self.now.splice(begin..end.max(begin), [Range { first, last }]);
    }

    /// The numbers of `within` that are in none of them.
    pub fn missing(&self, within: Range) -> Vec<Range> {
        let mut holes = Vec::new();
        let mut next = Some(within.first);
        let begin = self.now.partition_point(|range| range.last < within.first);
        for range in self.now.iter().skip(begin).take_while(|range| range.first <= within.last) {
            if let Some(first) = next.filter(|next| *next < range.first) {
                holes.push(Range { first, last: range.first.saturating_sub(1) });
            }
            next = range.last.checked_add(1);
        }
        if let Some(first) = next.filter(|next| *next <= within.last) {
            holes.push(Range { first, last: within.last });
        }
        holes
    }

    fn below(&self, number: i64) -> Option<(usize, Range)> {
        let index = self.now.partition_point(|range| range.first <= number).checked_sub(1)?;
        Some((index, *self.now.get(index)?))
    }
}

impl FromIterator<Range> for Ranges {
    fn from_iter<T: IntoIterator<Item = Range>>(all: T) -> Self {
        let mut ranges = Ranges::default();
        all.into_iter().for_each(|range| ranges.add(range));
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn numbers(ranges: &[Range]) -> BTreeSet<i64> {
        ranges.iter().flat_map(|range| range.first..=range.last).collect()
    }

    proptest! {
        #[test]
        fn deterministic_any_order_and_any_duplicates_give_the_naive_set(
            sent in prop::collection::vec((1..60_i64, 0..4_i64), 0..120), within in (1..60_i64, 0..30_i64)
        ) {
            let mut ranges = Ranges::default();
            let mut naive = BTreeSet::new();
            for (number, more) in sent {
                if more == 0 {
                    prop_assert_eq!(ranges.insert(number), naive.insert(number));
                } else {
                    ranges.add(Range { first: number, last: number + more });
                    naive.extend(number..=number + more);
                }
                prop_assert_eq!(numbers(ranges.as_slice()), naive.clone());
            }
            let apart = ranges.as_slice().windows(2).all(|pair| pair[0].last + 1 < pair[1].first);
            prop_assert!(apart, "ranges that touch were not merged: {:?}", ranges);
            let within = Range { first: within.0, last: within.0 + within.1 };
            let expected = (within.first..=within.last).filter(|number| !naive.contains(number)).collect();
            prop_assert_eq!(numbers(&ranges.missing(within)), expected);
        }
    }

    #[test]
    fn deterministic_numbers_far_apart_are_looked_up_each_by_itself() {
        let around = |numbers: &[i64]| {
            let ranges = Range::around(&numbers.iter().copied().collect());
            ranges.iter().map(|range| (range.first, range.last)).collect::<Vec<_>>()
        };
        assert_eq!(around(&[]), []);
        assert_eq!(around(&[7, 8, 9, 27, 46]), [(6, 28), (45, 47)]);
        assert_eq!(around(&[1, i64::MAX]), [(0, 2), (i64::MAX - 1, i64::MAX)]);
    }

    #[test]
    fn deterministic_the_highest_numbers_do_not_overflow() {
        let mut ranges = Ranges::default();
        assert!(ranges.insert(i64::MAX) && ranges.insert(i64::MAX - 1) && !ranges.insert(i64::MAX));
        assert_eq!(ranges.as_slice(), [Range { first: i64::MAX - 1, last: i64::MAX }]);
        assert_eq!(ranges.missing(Range { first: i64::MAX, last: i64::MAX }), []);
    }
}

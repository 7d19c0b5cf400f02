//! The sequence numbers an emitter has delivered, as ranges that never touch: where a number belongs.

/// The numbers from `first` to `last`, both in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The lowest number.
    pub first: i64,
    /// The highest number, never below `first`.
    pub last: i64,
}

/// Where a number belongs among the ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Inside of a range: it was delivered before.
    Inside,
    /// Next to none: a range of its own.
    Alone,
    /// At the end of the range that begins at `first`.
    After {
        /// Where that range begins.
        first: i64,
    },
    /// At the beginning of the range that ends at `last`.
    Before {
        /// Where that range ends.
        last: i64,
    },
    /// It closes the gap between two ranges: one range remains.
    Between {
        /// Where the lower range begins.
        first: i64,
        /// Where the upper range ends.
        last: i64,
    },
}

/// Finds the place of a number, from the range that begins at or below it, and the one that begins right above it.
pub fn place(number: i64, below: Option<Range>, above: Option<Range>) -> Place {
    let touches_above = above.filter(|range| number.checked_add(1) == Some(range.first));
    match (below, touches_above) {
        (Some(below), _) if number <= below.last => Place::Inside,
        (Some(below), above) if below.last.checked_add(1) == Some(number) => match above {
            Some(above) => Place::Between { first: below.first, last: above.last },
            None => Place::After { first: below.first },
        },
        (_, Some(above)) => Place::Before { last: above.last },
        _ => Place::Alone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// The ranges in memory, changed the way a store changes its rows.
    #[derive(Default)]
    struct Ranges(BTreeMap<i64, i64>);

    impl Ranges {
        fn insert(&mut self, number: i64) -> bool {
            let below = self.0.range(..=number).next_back().map(|(&first, &last)| Range { first, last });
            let above = self.0.get(&(number + 1)).map(|&last| Range { first: number + 1, last });
            match place(number, below, above) {
                Place::Inside => return false,
                Place::Alone => drop(self.0.insert(number, number)),
                Place::After { first } => drop(self.0.insert(first, number)),
                Place::Before { last } => {
                    self.0.remove(&(number + 1));
                    self.0.insert(number, last);
                }
                Place::Between { first, last } => {
                    self.0.remove(&(number + 1));
                    self.0.insert(first, last);
                }
            }
            true
        }
    }

    proptest! {
        #[test]
        fn deterministic_any_order_and_any_duplicates_give_the_naive_set(
            numbers in prop::collection::vec(1..60_i64, 0..120)
        ) {
            let mut ranges = Ranges::default();
            let mut naive = BTreeSet::new();
            for number in numbers {
                prop_assert_eq!(ranges.insert(number), naive.insert(number));
            }
            let numbers: BTreeSet<i64> = ranges.0.iter().flat_map(|(&first, &last)| first..=last).collect();
            prop_assert_eq!(&numbers, &naive);
            let touching = ranges.0.values().any(|last| ranges.0.contains_key(&(last + 1)));
            prop_assert!(!touching, "ranges that touch were not merged");
        }
    }

    #[test]
    fn deterministic_the_highest_numbers_do_not_overflow() {
        let top = Range { first: i64::MAX, last: i64::MAX };
        assert_eq!(place(i64::MAX, Some(top), None), Place::Inside);
        assert_eq!(place(i64::MAX - 1, None, Some(top)), Place::Before { last: i64::MAX });
        assert_eq!(place(i64::MAX, None, None), Place::Alone);
    }
}

//! How times are distributed: counted in buckets, so that percentiles of any number of calls take little memory.

use std::collections::BTreeMap;

/// Buckets between a power of two and the next, as a power of two: a bucket is at most 1/64 wider than where it begins.
const BITS: u32 = 6;
/// Times below are counted exactly.
const EXACT: u64 = 1 << BITS;

/// So many times in each bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    buckets: BTreeMap<u16, u64>,
    count: u64,
}

impl Distribution {
    /// Counts a time.
    pub fn add(&mut self, time: u64) {
        let count = self.buckets.entry(bucket(time)).or_default();
        *count = count.saturating_add(1);
        self.count = self.count.saturating_add(1);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The time that so many of a hundred do not exceed: the middle of its bucket, which is at most 1/128 away from it.
    pub fn percentile(&self, of_hundred: u64) -> Option<u64> {
        let rank = u128::from(self.count).saturating_mul(u128::from(of_hundred)).div_ceil(100).max(1);
        let mut below = 0_u128;
        let found = self.buckets.iter().find(|(_, count)| {
            below = below.saturating_add(u128::from(**count));
            below >= rank
        });
        found.map(|(bucket, _)| middle(*bucket))
    }
}

/// The exponent in the upper bits, the bits behind the highest in the lower ones.
fn bucket(time: u64) -> u16 {
    if time < EXACT {
        return u16::try_from(time).unwrap_or_default();
    }
    let shift = time.ilog2().saturating_sub(BITS);
    let within = (time >> shift) & (EXACT - 1);
    let exponent = u64::from(shift).saturating_add(1);
    u16::try_from(exponent << BITS | within).unwrap_or(u16::MAX)
}

fn middle(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    let (exponent, within) = (bucket >> BITS, bucket & (EXACT - 1));
    match exponent.checked_sub(1) {
        None => bucket,
        Some(shift) => {
            let first = (EXACT | within) << shift;
            first.saturating_add((1_u64 << shift) >> 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn deterministic_percentiles_are_within_a_bucket_of_the_exact_ones(
            mut times in prop::collection::vec(prop_oneof![0..200_u64, 0..100_000_000_u64, any::<u64>()], 1..300),
            of_hundred in prop::sample::select(vec![1_u64, 50, 90, 95, 99, 100]),
        ) {
            let mut distribution = Distribution::default();
            times.iter().for_each(|time| distribution.add(*time));
            prop_assert_eq!(distribution.count(), u64::try_from(times.len()).unwrap());
            times.sort_unstable();
            let rank = (times.len() * usize::try_from(of_hundred).unwrap()).div_ceil(100);
            let exact = times[rank - 1];
            let found = distribution.percentile(of_hundred).unwrap();
            prop_assert!(found.abs_diff(exact) <= exact / 64, "{found} for {exact}");
        }
    }

    #[test]
    fn deterministic_of_nothing_there_is_no_percentile() {
        assert_eq!(Distribution::default().percentile(50), None);
    }
}

//! Sums of the sums, for reports of many tenants: by day without tenants, and by month with them. All of a group's counts are in one
//! row, packed, so that a report of a month reads one row for each tenant and model rather than one for each day and class.
//!
//! They are made of the rollup, in the transaction that changes it, and of nothing else. Every database keeps them in the same form
//! and reads them by the same [`plan`]; how they get there is its own.

use std::collections::{BTreeMap, HashMap};

use crate::store::StoreError;
use crate::store::sums::{Counted, Group, GroupSums, Sum};

pub mod adding;
pub mod comparing;
pub mod plan;

/// Quantity, charge, cost less charge, unpriced, fallback, and how many rows of the rollup these are of: without any it is absent,
/// which is not nothing.
pub type Amounts = [i128; 6];
/// What of a group is counted, by its word in the database.
pub type Packed = Vec<(String, Amounts)>;

/// What a sum of days is of: day, adjusts, provider, model, evidence.
pub type OfDay<'a> = [&'a str; 5];
/// What a sum of months is of: month, tenant, adjusts, provider, model, evidence.
pub type OfMonth<'a> = [&'a str; 6];

/// What is added, in the order of the fields.
pub fn amounts(sum: &Sum) -> Amounts {
    let (charge, cost) = (sum.charge.yocto_usd(), sum.cost.yocto_usd());
    [sum.quantity.into(), charge, cost.saturating_sub(charge), sum.unpriced.into(), sum.fallback.into(), 1]
}

/// Adds; an amount that 128 bits do not hold stays at their end, where whoever reads it finds it.
pub fn add(sum: &mut Amounts, more: &Amounts) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(*more));
}

/// Adds what is counted under a word.
pub fn add_to(all: &mut Packed, word: &str, more: &Amounts) {
    match all.iter_mut().find(|(known, _)| known == word) {
        Some((_, sum)) => add(sum, more),
        None => all.push((word.to_owned(), *more)),
    }
}

/// As bytes: the length of each word, the word, and its numbers, each as short as it is.
pub fn pack(all: &Packed) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(all.len().saturating_mul(48));
    for (word, amounts) in all {
        write(&mut bytes, u128::try_from(word.len()).unwrap_or_default());
        bytes.extend_from_slice(word.as_bytes());
        for amount in amounts {
            // The sign in the last bit: small numbers are short, whatever their sign.
            let is_negative = u128::from(*amount < 0);
            let magnitude = amount.unsigned_abs().saturating_sub(is_negative);
            write(&mut bytes, magnitude << 1 | is_negative);
        }
    }
    bytes
}

/// Hears of every count in bytes that [`pack`] made: its word and its amounts.
pub fn unpack(bytes: &[u8], mut each: impl FnMut(&str, Amounts) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let mut next = || -> Option<(&str, Amounts)> {
            let length = usize::try_from(read(&mut rest)?).ok()?;
            let (word, behind) = rest.split_at_checked(length)?;
            rest = behind;
            let mut amounts = Amounts::default();
            for amount in &mut amounts {
                let coded = read(&mut rest)?;
                let magnitude = i128::try_from(coded >> 1).ok()?;
                *amount = if coded & 1 == 1 { magnitude.checked_neg()?.checked_sub(1)? } else { magnitude };
            }
            Some((std::str::from_utf8(word).ok()?, amounts))
        };
        let Some((word, amounts)) = next() else {
            return Err(StoreError::Unusable("a sum of sums is not what was written: meshmeter verify".to_owned()));
        };
        each(word, amounts)?;
    }
    Ok(())
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn write(bytes: &mut Vec<u8>, mut number: u128) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn read(bytes: &mut &[u8]) -> Option<u128> {
    let mut number = 0_u128;
    for place in 0..19_u32 {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u128::from(first & 0x7f).checked_shl(place.checked_mul(7)?)?;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// What is to be added to the sums of sums.
#[derive(Default)]
pub struct Changed<'a> {
    pub days: BTreeMap<OfDay<'a>, Packed>,
    pub months: BTreeMap<OfMonth<'a>, Packed>,
}

impl<'a> Changed<'a> {
    /// What a transaction changes. `before`: the sums of the same groups as they were.
    pub fn of(before: &HashMap<Group, GroupSums>, after: &'a [(Group, Counted, Sum)]) -> Changed<'a> {
        let mut changed = Changed::default();
        for (group, counted, sum) in after {
            let known = before.get(group).and_then(|sums| sums.get(counted)).map(amounts).unwrap_or_default();
            let mut more = amounts(sum);
            more.iter_mut().zip(known).for_each(|(more, known)| *more = more.saturating_sub(known));
            changed.add(group, &counted.name(), &more);
        }
        changed
    }

    /// Adds what a group counts under a word.
    pub fn add(&mut self, group: &'a Group, word: &str, more: &Amounts) {
        let Group { day, adjusts, tenant, provider, model, evidence } = group;
        let month = day.get(..7).unwrap_or_default();
        add_to(self.days.entry([day, adjusts, provider, model, evidence]).or_default(), word, more);
        add_to(self.months.entry([month, tenant, adjusts, provider, model, evidence]).or_default(), word, more);
    }
}

/// What is known with more added, packed. Of what is of no row any more nothing is left.
pub fn merged(known: Option<&[u8]>, more: &Packed) -> Result<Vec<u8>, StoreError> {
    let mut all = Packed::with_capacity(more.len());
    unpack(known.unwrap_or_default(), |word, amounts| {
        all.push((word.to_owned(), amounts));
        Ok(())
    })?;
    more.iter().for_each(|(word, more)| add_to(&mut all, word, more));
    all.retain(|(_, amounts)| amounts.last() != Some(&0));
    Ok(pack(&all))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn deterministic_what_is_packed_is_unpacked(
            all in prop::collection::vec(("[a-z:é]{0,20}", any::<[i64; 6]>(), 0..64_u32, any::<bool>()), 0..6)
        ) {
            let all: Packed = all
                .into_iter()
                .map(|(word, amounts, shift, far)| {
                    (word, amounts.map(|amount| if far { i128::from(amount) << shift } else { i128::from(amount) >> shift }))
                })
                .collect();
            let mut found = Packed::new();
            unpack(&pack(&all), |word, amounts| {
                found.push((word.to_owned(), amounts));
                Ok(())
            }).unwrap();
            prop_assert_eq!(found, all);
        }

        #[test]
        fn deterministic_bytes_of_others_are_refused_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = unpack(&bytes, |_, _| Ok(()));
        }
    }

    #[test]
    fn deterministic_the_ends_of_128_bits_are_kept() {
        let all = vec![("calls".to_owned(), [i128::MAX, i128::MIN, 0, -1, 1, 2])];
        let mut found = Packed::new();
        unpack(&pack(&all), |word, amounts| {
            found.push((word.to_owned(), amounts));
            Ok(())
        })
        .unwrap();
        assert_eq!(found, all);
    }
}

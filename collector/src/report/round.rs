//! Invoices have one total, whatever the lines are: what a tenant owes for a month is rounded once, and its parts are rounded
//! down but for those with the largest remainders, so that they add up to it.

use std::collections::BTreeMap;

use super::dimension::Dimension;
use super::lines::LineKey;
use super::sum::Amounts;
use super::{ReportError, TOO_LARGE};
use crate::money::Charge;
use crate::store::Total;

/// What an invoice is of.
pub const INVOICE: [Dimension; 2] = [Dimension::Month, Dimension::Tenant(None)];
/// Parts of invoices: each is in memory.
const MOST: usize = 4_000_000;

/// The parts of each invoice, by the lines that they are in.
#[derive(Default)]
pub struct Invoices {
    parts: BTreeMap<Vec<String>, BTreeMap<LineKey, Amounts>>,
    count: usize,
}

impl Invoices {
    /// Adds a part, if it has a price.
    pub fn add(&mut self, invoice: Vec<String>, line: &LineKey, total: &Total) -> Result<(), ReportError> {
        let Some(amounts) = Amounts::of(total) else { return Ok(()) };
        let parts = self.parts.entry(invoice).or_default();
        if let Some(part) = parts.get_mut(line) {
            *part = part.plus(amounts)?;
            return Ok(());
        }
        self.count = self.count.saturating_add(1);
        if self.count > MOST {
            let problem = format!("more than {MOST} lines to round: fewer columns, or a shorter period");
            return Err(ReportError::TooMuch(problem));
        }
        parts.insert(line.clone(), amounts);
        Ok(())
    }

    /// The amounts of all lines, rounded.
    pub fn rounded(self, decimals: u8) -> Result<BTreeMap<LineKey, Amounts>, ReportError> {
        let mut lines: BTreeMap<LineKey, Amounts> = BTreeMap::new();
        for parts in self.parts.into_values() {
            let of = |amount: fn(&Amounts) -> Charge| {
                let exact: Vec<Charge> = parts.values().map(amount).collect();
                distributed(&exact, decimals).ok_or(TOO_LARGE)
            };
            let (charges, costs) = (of(|part| part.charge)?, of(|part| part.cost)?);
            for ((line, charge), cost) in parts.into_keys().zip(charges).zip(costs) {
                let sum = lines.entry(line).or_default();
                *sum = sum.plus(Amounts { charge, cost })?;
            }
        }
        Ok(lines)
    }
}

/// The parts, rounded to so many decimals, so that they add up to their sum, rounded. The first part wins of those with the
/// same remainder. `None` if something does not fit in 128 bits.
pub fn distributed(parts: &[Charge], decimals: u8) -> Option<Vec<Charge>> {
    let total = parts.iter().try_fold(Charge::default(), |sum, part| sum.checked_add(*part))?;
    let mut left = total.rounded(decimals)?;
    let unit = Charge::unit(decimals);
    let mut rounded = Vec::with_capacity(parts.len());
    let mut by_remainder = Vec::with_capacity(parts.len());
    for (at, part) in parts.iter().enumerate() {
        let nearest = part.rounded(decimals)?;
        let down = if nearest > *part { nearest.checked_sub(unit)? } else { nearest };
        left = left.checked_sub(down)?;
        by_remainder.push((part.checked_sub(down)?, at));
        rounded.push(down);
    }
    by_remainder.sort_by(|(one, at), (other, behind)| other.cmp(one).then(at.cmp(behind)));
    for (_, at) in by_remainder {
        if left <= Charge::default() {
            break;
        }
        left = left.checked_sub(unit)?;
        let part = rounded.get_mut(at)?;
        *part = part.checked_add(unit)?;
    }
    Some(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn charges(texts: &[&str]) -> Vec<Charge> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn deterministic_parts_add_up_to_their_rounded_sum() {
        let cases: [(&[&str], &[&str]); 6] = [
            (&["0.004", "0.004", "0.004"], &["0.01", "0.00", "0.00"]),
            (&["0.005", "0.005"], &["0.01", "0.00"]),
            (&["0.333", "0.333", "0.334"], &["0.33", "0.33", "0.34"]),
            (&["-0.004", "0.006"], &["0.00", "0.00"]),
            (&["-1.005", "-1.005"], &["-1.00", "-1.01"]),
            (&[], &[]),
        ];
        for (parts, expected) in cases {
            assert_eq!(distributed(&charges(parts), 2), Some(charges(expected)), "{parts:?}");
        }
        assert_eq!(distributed(&charges(&["0.000000000000001"]), 15), Some(charges(&["0.000000000000001"])));
    }

    proptest! {
        #[test]
        fn deterministic_no_part_is_moved_by_a_unit_or_more_and_the_sum_is_rounded_once(
            parts in prop::collection::vec(-2_000_000_000_i64..20_000_000_000, 0..40), decimals in 0..9_u8
        ) {
            let parts: Vec<Charge> = parts
                .into_iter()
                .map(|nano| {
                    let sign = if nano < 0 { "-" } else { "" };
                    let nano = nano.unsigned_abs();
                    format!("{sign}{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000).parse().unwrap()
                })
                .collect();
            let add = |all: &[Charge]| all.iter().fold(Charge::default(), |sum, one| sum.checked_add(*one).unwrap());
            let rounded = distributed(&parts, decimals).unwrap();
            prop_assert_eq!(Some(add(&rounded)), add(&parts).rounded(decimals));
            let unit = Charge::unit(decimals);
            for (part, rounded) in parts.iter().zip(&rounded) {
                prop_assert_eq!(rounded.rounded(decimals), Some(*rounded));
                let moved = rounded.checked_sub(*part).unwrap();
                prop_assert!(moved <= unit && moved.checked_add(unit).unwrap() > Charge::default(), "{part} {rounded}");
            }
        }
    }
}

//! The lines of a billing statement: what tells them apart, and what an entry adds to them.

use std::fmt::Write;

use wire::usage::Class;

use crate::money::Charge;
use crate::prices::{Basis, Rating};
use crate::report::Grade;
use crate::store::entry::{Entry, Kind};
use crate::store::sums::Group;

/// What tells lines apart, in their order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub tenant: String,
    /// The month of the calls, if it was closed before and this adjusts it; else empty.
    pub adjusts: String,
    pub provider: String,
    pub model: String,
    /// The entry of the price book, if one had prices for the call.
    pub entry: Option<String>,
    pub item: Item,
    pub evidence: Grade,
}

impl Key {
    /// Whether it is of what had no price.
    pub fn is_unpriced(&self) -> bool {
        matches!(self.item, Item::Usage { basis: Basis::Unpriced, .. })
    }
}

/// What is charged in a line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    /// A quantity of a class of usage.
    Usage { class: Class, basis: Basis },
    /// What discounts and mark-ups make of the list price; the factor, where it is a decimal number.
    Adjustment { factor: Option<String> },
}

/// What is added to a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// How many.
    pub quantity: i128,
    /// The list price that a discount or a mark-up is of.
    pub base: Charge,
    /// What the tenant pays; nothing of what has no price.
    pub amount: Charge,
}

impl Part {
    pub fn checked_add(self, more: Part) -> Option<Part> {
        Some(Part {
            quantity: self.quantity.checked_add(more.quantity)?,
            base: self.base.checked_add(more.base)?,
            amount: self.amount.checked_add(more.amount)?,
        })
    }

    fn reversed(self) -> Option<Part> {
        Some(Part {
            quantity: self.quantity.checked_neg()?,
            base: self.base.checked_neg()?,
            amount: self.amount.checked_neg()?,
        })
    }

    /// Whether corrections have left nothing of it.
    pub fn is_nothing(&self) -> bool {
        *self == Part::default()
    }
}

/// What an entry adds to which lines. Its charge is the sum of their amounts, to the last decimal.
pub(super) fn parts(entry: &Entry, rating: &Rating) -> Result<Vec<(Key, Part)>, String> {
    let problem = |what: &str| format!("entry {}: {what}", entry.id);
    let adjusts = Group::of_entry(entry).map(|group| group.adjusts).unwrap_or_default();
    let key = |item: Item| Key {
        tenant: entry.tenant.clone(),
        adjusts: adjusts.clone(),
        provider: entry.provider.clone(),
        model: entry.model.clone(),
        entry: rating.entry.clone(),
        item,
        evidence: Grade(entry.evidence),
    };
    let too_large = || problem("an amount does not fit in 128 bits");
    let mut parts = Vec::new();
    let mut sum = Charge::default();
    for line in &rating.lines {
        let (list, charge) = (line.list().unwrap_or_default(), line.rated.charge().unwrap_or_default());
        let usage = Item::Usage { class: line.class, basis: line.basis(rating.by) };
        parts.push((key(usage), Part { quantity: line.quantity.into(), amount: list, ..Part::default() }));
        let difference = charge.checked_sub(list).ok_or_else(too_large)?;
        if difference != Charge::default() {
            let factor = factor(list, charge);
            parts.push((key(Item::Adjustment { factor }), Part { base: list, amount: difference, quantity: 0 }));
        }
        sum = sum.checked_add(charge).ok_or_else(too_large)?;
    }
    let is_back = entry.kind == Kind::Reversal;
    if is_back {
        sum = sum.checked_neg().ok_or_else(too_large)?;
        for (_, part) in &mut parts {
            *part = part.reversed().ok_or_else(too_large)?;
        }
    }
    match sum == entry.charge {
        true => Ok(parts),
        false => Err(problem("its charge is not the sum of its rating; meshmeter verify says whether it was altered")),
    }
}

/// Decimals that the factors of a call have together, at most.
const DECIMALS: usize = 6;
const ONE: i128 = 1_000_000;

/// By what a list price was multiplied, if that is a decimal number.
fn factor(list: Charge, charge: Charge) -> Option<String> {
    let (list, scaled) = (list.yocto_usd(), charge.yocto_usd().checked_mul(ONE)?);
    if list <= 0 || scaled < 0 || scaled.checked_rem(list)? != 0 {
        return None;
    }
    let factor = scaled.checked_div(list)?;
    let mut text = factor.checked_div(ONE)?.to_string();
    let decimals = format!("{:0DECIMALS$}", factor.checked_rem(ONE)?);
    let decimals = decimals.trim_end_matches('0');
    if !decimals.is_empty() {
        // Writing to a text cannot fail.
        let _ = write!(text, ".{decimals}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deterministic_a_factor_is_told_where_it_is_a_decimal_number() {
        let cases = [
            ("1.00", "1.5", Some("1.5")),
            ("0.000003", "0.000003105", Some("1.035")),
            ("3.00", "3.00", Some("1")),
            ("3.00", "0.00", Some("0")),
            ("3.00", "300.000003", Some("100.000001")),
            ("3.00", "1.00", None),
            ("0.00", "1.00", None),
            ("-1.00", "1.00", None),
        ];
        for (list, charge, expected) in cases {
            let found = factor(list.parse().unwrap(), charge.parse().unwrap());
            assert_eq!(found.as_deref(), expected, "{list} {charge}");
        }
    }
}

//! What reports read of many tenants is what the sums by day and tenant add up to.

use std::collections::HashMap;

use super::Failure;
use crate::store::{Dimension, Reader, RollupRow, Selection, StoreError};
use crate::terminal::printable;

/// Questions that a database may have sums of its own for.
const QUESTIONS: [&[Dimension]; 2] = [
    &[Dimension::Month, Dimension::Adjusts, Dimension::Tenant, Dimension::Provider, Dimension::Model],
    &[Dimension::Day, Dimension::Adjusts, Dimension::Provider, Dimension::Model],
];

/// Values of the question's dimensions, evidence, and what is counted.
type Key = (Vec<String>, &'static str, String);
/// Quantity, charge, cost, unpriced, fallback.
type Numbers = [i128; 5];

/// What is expected.
#[derive(Default)]
pub struct Totals([HashMap<Key, Numbers>; 2]);

impl Totals {
    /// Adds a row.
    pub fn add(&mut self, row: &RollupRow) -> Result<(), StoreError> {
        let sum = &row.sum;
        let [quantity, unpriced, fallback] = [sum.quantity, sum.unpriced, sum.fallback].map(i128::from);
        let numbers = [quantity, sum.charge.yocto_usd(), sum.cost.yocto_usd(), unpriced, fallback];
        for (question, expected) in QUESTIONS.iter().zip(&mut self.0) {
            let values = question.iter().map(|dimension| dimension.of(row)).collect();
            let key = (values, row.evidence.as_str(), row.counted.name().into_owned());
            add(expected.entry(key).or_default(), numbers)?;
        }
        Ok(())
    }

    /// Compares it with what the reader says.
    pub fn check(self, reader: &dyn Reader) -> Result<(), Failure> {
        for (question, mut expected) in QUESTIONS.iter().zip(self.0) {
            reader.totals(&Selection::default(), question, &mut |total| {
                let key = (total.key, total.evidence.as_str(), total.counted.name().into_owned());
                let (charge, cost) = (total.charge.yocto_usd(), total.cost.yocto_usd());
                let numbers = [total.quantity, charge, cost, total.unpriced, total.fallback];
                // One may come in parts.
                add(expected.entry(key).or_default(), numbers.map(i128::saturating_neg))
            })?;
            if let Some(((values, _, counted), _)) = expected.into_iter().find(|(_, left)| *left != Numbers::default())
            {
                let whose = printable(values.join(", "));
                let counted = printable(counted);
                return Err(Failure::Broken(format!(
                    "the sum of {counted} of {whose} is not that of its days and tenants"
                )));
            }
        }
        Ok(())
    }
}

fn add(sum: &mut Numbers, more: Numbers) -> Result<(), StoreError> {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum = sum.checked_add(more).ok_or_else(StoreError::too_large)?;
    }
    Ok(())
}

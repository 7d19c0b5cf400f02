//! Rating sums of many calls, for reports that rate as they read: without service tiers and contexts, which are a call's.

use jiff::civil::Date;
use meter::usage::Class;

use super::{PriceBook, per};
use crate::money::Charge;

/// What a sum of a class costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RatedSum {
    /// By the class's own price.
    Priced(Charge),
    /// By the price of a class that stands in for it.
    Fallback(Charge),
    /// There is no price: the cost is unknown, not nothing.
    Unpriced,
}

impl PriceBook {
    /// What a sum costs; an error only if the amount does not fit.
    pub fn rate_sum(
        &self,
        provider: &str,
        model: &str,
        day: Date,
        class: Class,
        quantity: i128,
    ) -> Result<RatedSum, &'static str> {
        let found = self.find(provider, model, day, None);
        let Some((price, exact)) = found.and_then(|found| found.entry.price(class, None)) else {
            return Ok(RatedSum::Unpriced);
        };
        let charge = price.charge(quantity, per(class)).ok_or("the charge does not fit in 128 bits")?;
        Ok(if exact { RatedSum::Priced(charge) } else { RatedSum::Fallback(charge) })
    }
}

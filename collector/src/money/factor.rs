//! Factors of prices and of amounts: exact decimal numbers.

use std::fmt;

use super::{MAX_PICO_USD, Price, split_decimal};

/// A decimal number above 0, at most 1000, with at most 4 decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Factor {
    /// The digits without the point, and without zeros behind the last decimal.
    mantissa: u64,
    decimals: u32,
}

impl Factor {
    const DECIMALS: usize = 4;
    const MAX: u64 = 1000;

    /// Reads a decimal number such as `1.1`.
    pub fn parse(text: &str) -> Result<Factor, &'static str> {
        const FORM: &str = "must be a decimal number such as \"1.1\"";
        const RANGE: &str = "must be above 0 and at most 1000";
        let (whole, decimals) = split_decimal(text).ok_or(FORM)?;
        let decimals = decimals.trim_end_matches('0');
        if decimals.len() > Factor::DECIMALS {
            return Err("must have at most 4 decimals");
        }
        let mantissa: u64 = format!("{whole}{decimals}").parse().map_err(|_| RANGE)?;
        let factor = Factor { mantissa, decimals: u32::try_from(decimals.len()).map_err(|_| FORM)? };
        let most = 10_u64.checked_pow(factor.decimals).and_then(|one| one.checked_mul(Factor::MAX));
        if mantissa == 0 || most.is_none_or(|most| mantissa > most) { Err(RANGE) } else { Ok(factor) }
    }

    /// The digits without the point.
    pub fn mantissa(self) -> u64 {
        self.mantissa
    }

    /// How many of the digits are decimals.
    pub fn decimals(self) -> u32 {
        self.decimals
    }
}

/// As it was read, without zeros behind the last decimal.
impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = 10_u64.checked_pow(self.decimals).unwrap_or(1);
        write!(f, "{}", self.mantissa.checked_div(one).unwrap_or_default())?;
        match usize::try_from(self.decimals) {
            Ok(places) if places > 0 => {
                write!(f, ".{:0places$}", self.mantissa.checked_rem(one).unwrap_or_default())
            }
            _ => Ok(()),
        }
    }
}

impl Price {
    /// The price times all factors, rounded once to the decimals of a price, a half away from zero; `None` if that is more
    /// than a price can be.
    pub fn times(self, factors: impl IntoIterator<Item = Factor>) -> Option<Price> {
        let (mut product, mut one) = (u128::from(self.0), 1_u128);
        for factor in factors {
            product = product.checked_mul(factor.mantissa.into())?;
            one = one.checked_mul(10_u128.checked_pow(factor.decimals)?)?;
        }
        rounded(product, one)
    }

    /// The price of another currency in USD by its rate, rounded to the decimals of a price, a half away from zero; `None` if
    /// that is more than a price can be.
    pub fn converted(self, rate: Price) -> Option<Price> {
        rounded(u128::from(self.0).checked_mul(rate.0.into())?, super::PICO_PER_USD)
    }
}

fn rounded(product: u128, one: u128) -> Option<Price> {
    let half = one.checked_div(2)?;
    let nearest = u64::try_from(product.checked_add(half)?.checked_div(one)?).ok()?;
    (nearest <= MAX_PICO_USD).then_some(Price(nearest))
}

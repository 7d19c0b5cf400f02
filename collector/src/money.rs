//! Money without floats: prices in nano-USD, charges in femto-USD, every operation exact or refused.

use std::fmt;
use std::iter;

/// Decimals of a price.
const PRICE_DECIMALS: usize = 9;
/// Decimals of a charge: nano-USD per million tokens is femto-USD per token.
const CHARGE_DECIMALS: usize = 15;
const FEMTO_PER_USD: u128 = 1_000_000_000_000_000;
/// Decimals that are always shown.
const SHOWN_DECIMALS: usize = 2;
/// A price above this is a slip of the keyboard, USD. It also keeps every product far inside of 128 bits.
const MAX_PRICE_USD: u64 = 1_000_000;

/// What a price is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// A million tokens.
    MillionTokens,
    /// A thousand units.
    ThousandUnits,
}

/// A price: nano-USD per million tokens or per thousand units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price(u64);

impl Price {
    /// Reads a decimal number of USD such as `2.50`: no sign, no exponent, at most 9 decimals.
    pub fn parse(text: &str) -> Result<Price, &'static str> {
        const FORM: &str = "must be a decimal number of USD such as \"2.50\"";
        let (whole, decimals) = match text.split_once('.') {
            Some((_, "")) => return Err(FORM),
            Some(parts) => parts,
            None => (text, ""),
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(decimals) {
            return Err(FORM);
        }
        if decimals.len() > PRICE_DECIMALS {
            return Err("must have at most 9 decimals");
        }
        let scaled: String = whole
            .chars()
            .chain(decimals.chars())
            .chain(iter::repeat('0'))
            .take(whole.len().saturating_add(PRICE_DECIMALS))
            .collect();
        match scaled.parse::<u64>() {
            Ok(nano) if nano <= MAX_PRICE_USD * 1_000_000_000 => Ok(Price(nano)),
            _ => Err("must be at most 1000000 USD"),
        }
    }

    /// Nano-USD per million tokens or per thousand units.
    pub fn nano_usd(self) -> u64 {
        self.0
    }

    /// What a quantity costs; `None` if that is more than 128 bits hold.
    pub fn charge(self, quantity: i128, per: Per) -> Option<Charge> {
        let femto_per_one = match per {
            Per::MillionTokens => i128::from(self.0),
            Per::ThousandUnits => i128::from(self.0).checked_mul(1000)?,
        };
        quantity.checked_mul(femto_per_one).map(Charge)
    }
}

/// An amount of money: femto-USD (10^-15 USD).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Charge(i128);

impl Charge {
    /// The amount in femto-USD.
    pub fn femto_usd(self) -> i128 {
        self.0
    }

    /// The sum; `None` if it is more than 128 bits hold.
    pub fn checked_add(self, other: Charge) -> Option<Charge> {
        self.0.checked_add(other.0).map(Charge)
    }
}

/// The exact decimal number of USD, with at least 2 decimals and no trailing zeros beyond them.
impl fmt::Display for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let (whole, rest) = (magnitude / FEMTO_PER_USD, magnitude % FEMTO_PER_USD);
        let digits = format!("{rest:0width$}", width = CHARGE_DECIMALS);
        let exact = digits.trim_end_matches('0');
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{whole}.{exact:0<width$}", width = SHOWN_DECIMALS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn deterministic_prices_are_read_to_the_last_decimal() {
        let cases: [(&str, Result<u64, &str>); 16] = [
            ("0", Ok(0)),
            ("2", Ok(2_000_000_000)),
            ("2.50", Ok(2_500_000_000)),
            ("0.075", Ok(75_000_000)),
            ("0.000000001", Ok(1)),
            ("1000000", Ok(1_000_000_000_000_000)),
            ("0.0000000001", Err("must have at most 9 decimals")),
            ("1000000.000000001", Err("must be at most 1000000 USD")),
            ("99999999999999999999999", Err("must be at most 1000000 USD")),
            ("", Err("must be a decimal number of USD such as \"2.50\"")),
            (".5", Err("must be a decimal number of USD such as \"2.50\"")),
            ("5.", Err("must be a decimal number of USD such as \"2.50\"")),
            ("-1", Err("must be a decimal number of USD such as \"2.50\"")),
            ("1e3", Err("must be a decimal number of USD such as \"2.50\"")),
            ("1,5", Err("must be a decimal number of USD such as \"2.50\"")),
            ("1.2.3", Err("must be a decimal number of USD such as \"2.50\"")),
        ];
        for (text, expected) in cases {
            assert_eq!(Price::parse(text).map(Price::nano_usd), expected, "{text:?}");
        }
    }

    #[test]
    fn deterministic_charges_are_exact_where_floats_are_not() {
        // 0.1 + 0.2 and 1/3-like sums: a float would show 0.30000000000000004.
        let cases: [(&str, i128, Per, &str); 9] = [
            ("2.00", 0, Per::MillionTokens, "0.00"),
            ("2.00", 1_000_000, Per::MillionTokens, "2.00"),
            ("2.00", 123, Per::MillionTokens, "0.000246"),
            ("0.075", 1, Per::MillionTokens, "0.000000075"),
            ("0.000000001", 1, Per::MillionTokens, "0.000000000000001"),
            ("10.00", 3, Per::ThousandUnits, "0.03"),
            ("0.3", 3_333_333, Per::MillionTokens, "0.9999999"),
            ("2.00", -500_000, Per::MillionTokens, "-1.00"),
            ("1000000", i64::MAX as i128, Per::MillionTokens, "9223372036854775807.00"),
        ];
        for (price, quantity, per, expected) in cases {
            let charge = Price::parse(price).unwrap().charge(quantity, per).unwrap();
            assert_eq!(charge.to_string(), expected, "{quantity} at {price}");
        }
    }

    #[test]
    fn deterministic_what_does_not_fit_is_refused_not_wrapped() {
        let highest = Price::parse("1000000").unwrap();
        assert_eq!(highest.charge(i128::MAX, Per::MillionTokens), None);
        assert_eq!(highest.charge(i128::MAX / 1_000_000_000_000_000, Per::ThousandUnits), None);
        assert!(highest.charge(i128::from(i64::MAX), Per::ThousandUnits).is_some());
        assert_eq!(Charge(i128::MAX).checked_add(Charge(1)), None);
        assert_eq!(Charge(i128::MIN).to_string(), "-170141183460469231731687.303715884105728");
    }

    proptest! {
        #[test]
        fn deterministic_a_price_written_out_is_read_back(nano in 0..=1_000_000_000_000_000_u64) {
            let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
            prop_assert_eq!(Price::parse(&text).map(Price::nano_usd), Ok(nano));
        }

        #[test]
        fn deterministic_charging_in_parts_is_charging_at_once(
            nano in 0..=1_000_000_000_000_u64, parts in prop::collection::vec(0..=1_i128 << 40, 1..20)
        ) {
            let price = Price(nano);
            let at_once = price.charge(parts.iter().sum(), Per::MillionTokens);
            let in_parts = parts.iter().try_fold(Charge::default(), |sum, part| {
                sum.checked_add(price.charge(*part, Per::MillionTokens)?)
            });
            prop_assert_eq!(at_once, in_parts);
        }
    }
}

//! Decimal numbers as their digits say: a price list's `1.25e-06` never becomes a float.

use crate::money::{Per, Price};

/// A number that is not negative: digits times a power of ten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: u128,
    exponent: i32,
}

/// What one of something is in a price list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A single token, second or query.
    One,
    /// What the price book counts in, too: a million tokens, a thousand units.
    Same,
    /// An hour, of which the price book counts the seconds.
    Hour,
    /// One of so many that make a unit: a pixel of an image.
    Pieces(u64),
}

/// Why a number is no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPrice {
    /// It has more decimals than a price can have; the nearest that has not.
    TooFine(Price),
    /// It is larger than a price can be.
    TooLarge,
}

/// No price list needs more; it keeps every power of ten inside of 128 bits.
const MAX_DIGITS: usize = 24;
const MAX_EXPONENT: i32 = 64;
const SECONDS_PER_HOUR: u128 = 3600;

impl Decimal {
    /// Reads a JSON number, or a text that holds one, as some lists have it.
    pub fn from_json(text: &str) -> Result<Decimal, &'static str> {
        const FORM: &str = "must be a decimal number that is not negative";
        let text = text.trim().trim_matches('"');
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| FORM)?),
            None => (text, 0),
        };
        let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{decimals}");
        if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(FORM);
        }
        let digits = digits.trim_start_matches('0');
        let kept = digits.trim_end_matches('0');
        let dropped = digits.len().saturating_sub(kept.len());
        let scale = i32::try_from(decimals.len()).map_err(|_| FORM)?;
        let exponent =
            i32::try_from(dropped).ok().and_then(|dropped| exponent.checked_sub(scale)?.checked_add(dropped));
        match exponent {
            _ if kept.is_empty() => Ok(Decimal { digits: 0, exponent: 0 }),
            Some(exponent) if exponent.abs() <= MAX_EXPONENT && kept.len() <= MAX_DIGITS => {
                Ok(Decimal { digits: kept.parse().map_err(|_| FORM)?, exponent })
            }
            _ => Err("must have at most 24 digits"),
        }
    }

    pub fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// The number, if it is whole.
    pub fn whole(self) -> Option<u64> {
        let power = 10_u128.checked_pow(u32::try_from(self.exponent).ok()?)?;
        u64::try_from(self.digits.checked_mul(power)?).ok()
    }

    /// The number as the price book writes a factor: with at most 4 decimals, above zero.
    pub fn factor(self) -> Option<String> {
        const DECIMALS: u32 = 4;
        let places = self.exponent.checked_add_unsigned(DECIMALS)?;
        let scaled = self.digits.checked_mul(10_u128.checked_pow(u32::try_from(places).ok()?)?)?;
        if scaled == 0 || scaled > 10_000_000 {
            return None;
        }
        let (whole, rest) = (scaled.checked_div(10_000)?, scaled.checked_rem(10_000)?);
        Some(format!("{whole}.{rest:04}").trim_end_matches('0').trim_end_matches('.').to_owned())
    }

    /// The price of what is counted per [`Per`], where the number is the price of a [`Unit`].
    pub fn price(self, unit: Unit, per: Per) -> Result<Price, NoPrice> {
        let of_one = match per {
            Per::MillionTokens => 6,
            Per::ThousandUnits => 3,
        };
        let (shift, times, divisor) = match unit {
            Unit::Same => (0, 1, 1),
            Unit::One => (of_one, 1, 1),
            Unit::Hour => (of_one, 1, SECONDS_PER_HOUR),
            Unit::Pieces(number) => (of_one, u128::from(number), 1),
        };
        let Some(digits) = self.digits.checked_mul(times) else { return Err(NoPrice::TooLarge) };
        let places = self.exponent.saturating_add(shift).saturating_add(Price::DECIMALS);
        let power = |places: i32| 10_u128.checked_pow(places.unsigned_abs());
        let (numerator, denominator) = match places {
            0.. => (power(places).and_then(|power| digits.checked_mul(power)), Some(divisor)),
            _ => (Some(digits), power(places).and_then(|power| power.checked_mul(divisor))),
        };
        let Some(numerator) = numerator else { return Err(NoPrice::TooLarge) };
        // What a hundred and twenty-eight bits do not hold below the line is next to nothing.
        let denominator = denominator.unwrap_or(u128::MAX);
        let half = denominator / 2;
        let nearest = numerator.checked_add(half).and_then(|sum| sum.checked_div(denominator)).unwrap_or(u128::MAX);
        let price = u64::try_from(nearest).ok().and_then(Price::from_pico_usd).ok_or(NoPrice::TooLarge)?;
        match numerator.checked_rem(denominator) {
            Some(0) => Ok(price),
            _ => Err(NoPrice::TooFine(price)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn price(text: &str, unit: Unit, per: Per) -> Result<String, NoPrice> {
        Decimal::from_json(text).unwrap().price(unit, per).map(|price| price.to_string())
    }

    #[test]
    fn deterministic_numbers_are_read_from_their_digits() {
        let nearest = |text: &str| Err(NoPrice::TooFine(Price::parse(text).unwrap()));
        let cases = [
            ("1.25e-06", Unit::One, Per::MillionTokens, Ok("1.25".to_owned())),
            ("1.25E-6", Unit::One, Per::MillionTokens, Ok("1.25".to_owned())),
            ("0.00000125", Unit::One, Per::MillionTokens, Ok("1.25".to_owned())),
            ("0", Unit::One, Per::MillionTokens, Ok("0.00".to_owned())),
            ("0.0", Unit::One, Per::MillionTokens, Ok("0.00".to_owned())),
            ("2.8e-09", Unit::One, Per::MillionTokens, Ok("0.0028".to_owned())),
            ("1e-18", Unit::One, Per::MillionTokens, Ok("0.000000000001".to_owned())),
            ("1.0490417e-08", Unit::Pieces(1024 * 1024), Per::ThousandUnits, Ok("10.999999496192".to_owned())),
            ("0.035", Unit::One, Per::ThousandUnits, Ok("35.00".to_owned())),
            ("3.75", Unit::Same, Per::MillionTokens, Ok("3.75".to_owned())),
            ("1e1", Unit::Same, Per::ThousandUnits, Ok("10.00".to_owned())),
            ("0.36", Unit::Hour, Per::ThousandUnits, Ok("0.10".to_owned())),
            ("0.1", Unit::Hour, Per::ThousandUnits, nearest("0.027777777778")),
            ("8.000000000000001e-07", Unit::One, Per::MillionTokens, nearest("0.8")),
            ("1e-64", Unit::One, Per::MillionTokens, nearest("0")),
            ("0.0002833333333333333", Unit::One, Per::ThousandUnits, nearest("0.283333333333")),
            ("1.1", Unit::One, Per::MillionTokens, Err(NoPrice::TooLarge)),
            ("1e60", Unit::Same, Per::MillionTokens, Err(NoPrice::TooLarge)),
        ];
        for (text, unit, per, expected) in cases {
            assert_eq!(price(text, unit, per), expected, "{text} {unit:?}");
        }
        assert_eq!(Decimal::from_json("\"4e-07\""), Decimal::from_json("0.0000004"));
        for text in ["-1", "", "null", ".5", "1e", "1e1.5", "0x10", "NaN", "1,5", "1e99999999999", "{}"] {
            assert!(Decimal::from_json(text).is_err(), "{text}");
        }
        assert!(Decimal::from_json("1e-100").is_err());
        assert_eq!(Decimal::from_json("256000.0").unwrap().whole(), Some(256_000));
        assert_eq!(Decimal::from_json("0.5").unwrap().whole(), None);
    }

    #[test]
    fn deterministic_factors_have_four_decimals_at_most() {
        let cases = [
            ("1.1", Some("1.1")),
            ("2", Some("2")),
            ("2.0", Some("2")),
            ("0.0001", Some("0.0001")),
            ("1000", Some("1000")),
        ];
        for (text, expected) in cases {
            assert_eq!(Decimal::from_json(text).unwrap().factor().as_deref(), expected, "{text}");
        }
        for text in ["0", "0.00001", "1000.1", "1.00001", "1e60", "1e-60"] {
            assert_eq!(Decimal::from_json(text).unwrap().factor(), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn deterministic_a_price_per_token_is_a_millionth_of_a_price_per_million(pico in 0..=1_000_000_000_000_000_000_u64) {
            let expected = Price::from_pico_usd(pico).unwrap();
            let scientific = format!("{pico}e-18");
            let spelled = format!("0.{pico:018}");
            prop_assert_eq!(Decimal::from_json(&scientific).unwrap().price(Unit::One, Per::MillionTokens), Ok(expected));
            if pico < 1_000_000_000_000_000_000 {
                prop_assert_eq!(Decimal::from_json(&spelled).unwrap().price(Unit::One, Per::MillionTokens), Ok(expected));
            }
            let same = Decimal::from_json(&expected.to_string()).unwrap();
            prop_assert_eq!(same.price(Unit::Same, Per::ThousandUnits), Ok(expected));
        }
    }
}

//! Money without floats: prices in nano-USD, charges in femto-USD, every operation exact or refused.

use std::fmt;
use std::iter;
use std::str::FromStr;

/// Decimals of a price.
const PRICE_DECIMALS: usize = 9;
/// Decimals of a charge: nano-USD per million tokens is femto-USD per token.
const CHARGE_DECIMALS: usize = 15;
const NANO_PER_USD: u128 = 1_000_000_000;
const FEMTO_PER_USD: u128 = 1_000_000_000_000_000;
/// Decimals that are always shown.
const SHOWN_DECIMALS: usize = 2;
/// A price above a million USD is a slip of the keyboard. It also keeps every product far inside of 128 bits.
const MAX_NANO_USD: u64 = 1_000_000 * 1_000_000_000;

/// What a price is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// A million tokens.
    MillionTokens,
    /// A thousand units.
    ThousandUnits,
}

/// A price: nano-USD per million tokens or per thousand units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price(u64);

impl Price {
    /// Decimals that a price can have.
    pub const DECIMALS: i32 = PRICE_DECIMALS as i32;

    /// A price in nano-USD; `None` if it is more than a price can be.
    pub fn from_nano_usd(nano: u64) -> Option<Price> {
        (nano <= MAX_NANO_USD).then_some(Price(nano))
    }

    /// Reads a decimal number of USD such as `2.50`: no sign, no exponent, at most 9 decimals.
    pub fn parse(text: &str) -> Result<Price, &'static str> {
        const FORM: &str = "must be a decimal number of USD such as \"2.50\"";
        let (whole, decimals) = match text.split_once('.') {
            Some((_, "")) => return Err(FORM),
            Some(parts) => parts,
            None => (text, ""),
        };
        if whole.is_empty() || !is_digits(whole) || !is_digits(decimals) {
            return Err(FORM);
        }
        if decimals.len() > PRICE_DECIMALS {
            return Err("must have at most 9 decimals");
        }
        match scaled(whole, decimals, PRICE_DECIMALS).parse::<u64>() {
            Ok(nano) if nano <= MAX_NANO_USD => Ok(Price(nano)),
            _ => Err("must be at most 1000000 USD"),
        }
    }

    /// Nano-USD per million tokens or per thousand units.
    pub fn nano_usd(self) -> u64 {
        self.0
    }

    /// What a quantity costs; `None` if that is more than 128 bits hold.
    pub fn charge(self, quantity: i128, per: Per) -> Option<Charge> {
        quantity.checked_mul(self.femto_per_one(per)).map(Charge)
    }

    /// What a count costs. It always fits: 2^64 times the highest price is less than a ninth of what 128 bits hold.
    pub fn of(self, count: u64, per: Per) -> Charge {
        Charge(i128::from(count).saturating_mul(self.femto_per_one(per)))
    }

    fn femto_per_one(self, per: Per) -> i128 {
        match per {
            Per::MillionTokens => i128::from(self.0),
            Per::ThousandUnits => i128::from(self.0).saturating_mul(1000),
        }
    }
}

/// The exact decimal number of USD, with at least 2 decimals and no trailing zeros beyond them.
impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, u128::from(self.0), NANO_PER_USD, PRICE_DECIMALS)
    }
}

/// An amount of money: femto-USD (10^-15 USD).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Charge(i128);

impl Charge {
    /// The highest amount.
    pub const MAX: Charge = Charge(i128::MAX);

    /// Whole USD.
    pub const fn from_usd(usd: u32) -> Charge {
        // At most 2^32 times 10^15: far inside of 128 bits.
        Charge((usd as i128).saturating_mul(FEMTO_PER_USD as i128))
    }

    /// The amount in femto-USD.
    pub fn femto_usd(self) -> i128 {
        self.0
    }

    /// The sum; `None` if it is more than 128 bits hold.
    pub fn checked_add(self, other: Charge) -> Option<Charge> {
        self.0.checked_add(other.0).map(Charge)
    }

    /// The difference; `None` if it is more than 128 bits hold.
    pub fn checked_sub(self, other: Charge) -> Option<Charge> {
        self.0.checked_sub(other.0).map(Charge)
    }

    /// The nearest amount of so many decimals, as on an invoice: a half goes away from zero. `None` only near the ends
    /// of 128 bits.
    pub fn rounded(self, decimals: u8) -> Option<Charge> {
        let Some(dropped) = CHARGE_DECIMALS.checked_sub(usize::from(decimals)) else { return Some(self) };
        let unit = 10_i128.checked_pow(u32::try_from(dropped).ok()?)?;
        let half = unit.checked_div(2)?;
        let away = if self.0 < 0 { half.checked_neg()? } else { half };
        self.0.checked_add(away)?.checked_div(unit)?.checked_mul(unit).map(Charge)
    }

    /// The same amount the other way round, as a reversal books it; `None` only for what 128 bits hold no opposite of.
    pub fn checked_neg(self) -> Option<Charge> {
        self.0.checked_neg().map(Charge)
    }
}

/// The exact decimal number of USD, with at least 2 decimals and no trailing zeros beyond them.
impl fmt::Display for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 < 0 { "-" } else { "" })?;
        write_decimal(f, self.0.unsigned_abs(), FEMTO_PER_USD, CHARGE_DECIMALS)
    }
}

/// Reads a decimal number of USD exactly as it is shown: `-0.000015`.
impl FromStr for Charge {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Charge, &'static str> {
        const FORM: &str = "must be a decimal number of USD such as \"2.50\", with at most 15 decimals";
        let magnitude = text.strip_prefix('-').unwrap_or(text);
        let (whole, decimals) = magnitude.split_once('.').unwrap_or((magnitude, ""));
        if whole.is_empty() || !is_digits(whole) || !is_digits(decimals) || decimals.len() > CHARGE_DECIMALS {
            return Err(FORM);
        }
        let is_negative = magnitude.len() < text.len();
        // Reports read millions of them: no memory is taken for the usual ones, which fit in 64 bits on either side.
        let exact = || {
            let usd: u64 = whole.parse().ok()?;
            let decimals = if decimals.is_empty() { "0" } else { decimals };
            let missing = u32::try_from(CHARGE_DECIMALS.checked_sub(decimals.len())?).ok()?;
            let femto = decimals.parse::<u64>().ok()?.checked_mul(10_u64.checked_pow(missing)?)?;
            i128::from(usd).checked_mul(i128::try_from(FEMTO_PER_USD).ok()?)?.checked_add(femto.into())
        };
        if let Some(amount) = exact() {
            return Ok(Charge(if is_negative { amount.saturating_neg() } else { amount }));
        }
        let sign = if is_negative { "-" } else { "" };
        let signed = format!("{sign}{}", scaled(whole, decimals, CHARGE_DECIMALS));
        signed.parse().map(Charge).map_err(|_| "must fit in 128 bits")
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The digits of a decimal number without its point, as if it had all the decimals it may have.
fn scaled(whole: &str, decimals: &str, places: usize) -> String {
    let digits = whole.chars().chain(decimals.chars()).chain(iter::repeat('0'));
    digits.take(whole.len().saturating_add(places)).collect()
}

fn write_decimal(f: &mut fmt::Formatter<'_>, amount: u128, one: u128, places: usize) -> fmt::Result {
    let whole = amount.checked_div(one).unwrap_or_default();
    let rest = amount.checked_rem(one).unwrap_or_default();
    let digits = format!("{rest:0places$}");
    write!(f, "{whole}.{exact:0<SHOWN_DECIMALS$}", exact = digits.trim_end_matches('0'))
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
    fn deterministic_a_half_is_rounded_away_from_zero_and_nothing_else_moves() {
        let cases = [
            ("0.004999999999999", 2, "0.00"),
            ("0.005", 2, "0.01"),
            ("0.015", 2, "0.02"),
            ("-0.005", 2, "-0.01"),
            ("-0.0049", 2, "0.00"),
            ("7.50", 0, "8.00"),
            ("0.1234565", 6, "0.123457"),
            ("0.000000000000001", 15, "0.000000000000001"),
            ("0.000000000000001", 99, "0.000000000000001"),
        ];
        for (amount, decimals, expected) in cases {
            let rounded = amount.parse::<Charge>().unwrap().rounded(decimals);
            assert_eq!(rounded.map(|charge| charge.to_string()).as_deref(), Some(expected), "{amount}");
        }
        assert_eq!(Charge(i128::MAX).rounded(2), None);
    }

    #[test]
    fn deterministic_what_does_not_fit_is_refused_not_wrapped() {
        let highest = Price::parse("1000000").unwrap();
        assert_eq!(highest.charge(i128::MAX, Per::MillionTokens), None);
        assert_eq!(highest.charge(i128::MAX / 1_000_000_000_000_000, Per::ThousandUnits), None);
        assert!(highest.charge(i128::from(i64::MAX), Per::ThousandUnits).is_some());
        assert_eq!(Charge(i128::MAX).checked_add(Charge(1)), None);
        assert_eq!(Charge(i128::MIN).checked_sub(Charge(1)), None);
        assert_eq!(Charge(i128::MIN).checked_neg(), None);
        assert_eq!(Charge(5).checked_neg().and_then(|back| back.checked_add(Charge(5))), Some(Charge(0)));
        assert_eq!(Charge(i128::MIN).to_string(), "-170141183460469231731687.303715884105728");
    }

    #[test]
    fn contract_a_charge_is_a_decimal_number_and_nothing_else() {
        let form = Err("must be a decimal number of USD such as \"2.50\", with at most 15 decimals");
        let cases = [
            ("2", Ok(Charge(2_000_000_000_000_000))),
            ("-0.000000000000001", Ok(Charge(-1))),
            ("-0.00", Ok(Charge(0))),
            ("0.0000000000000001", form),
            ("+1", form),
            ("--1", form),
            ("1e3", form),
            ("", form),
            ("-", form),
            ("-170141183460469231731687.303715884105728", Ok(Charge(i128::MIN))),
            ("170141183460469231731687.303715884105728", Err("must fit in 128 bits")),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Charge>(), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn deterministic_a_price_written_out_is_read_back(nano in 0..=1_000_000_000_000_000_u64) {
            let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
            prop_assert_eq!(Price::parse(&text).map(Price::nano_usd), Ok(nano));
            prop_assert_eq!(Price::parse(&Price(nano).to_string()), Ok(Price(nano)));
        }

        #[test]
        fn deterministic_a_charge_shown_is_read_back(femto: i128, small in -10_000_i128..10_000) {
            for charge in [Charge(femto), Charge(small), Charge(i128::MIN), Charge(i128::MAX)] {
                prop_assert_eq!(charge.to_string().parse(), Ok(charge));
            }
        }

        #[test]
        fn deterministic_a_count_is_charged_as_a_quantity_is(nano in 0..=1_000_000_000_000_000_u64, count: u64) {
            for per in [Per::MillionTokens, Per::ThousandUnits] {
                prop_assert_eq!(Some(Price(nano).of(count, per)), Price(nano).charge(i128::from(count), per));
            }
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

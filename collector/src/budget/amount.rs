//! Amounts of what a budget counts.

use std::str::FromStr;

use wire::lease::{MAX_AMOUNT, Unit};

use crate::money::Charge;

/// Yocto-USD in a nano-USD: balances are exact, limits and leases are whole nano-USD.
const YOCTO_PER_NANO: i128 = 1_000_000_000_000_000;

/// An exact amount of what a budget counts: tokens, or yocto-USD. One that does not fit in 128 bits stays at their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(i128);

impl Amount {
    /// Tokens.
    pub fn of_tokens(tokens: u64) -> Amount {
        Amount(tokens.into())
    }

    /// Money.
    pub fn of_charge(charge: Charge) -> Amount {
        Amount(charge.yocto_usd())
    }

    /// Whole units, in which limits and leases are.
    pub fn of_whole(whole: u64, unit: Unit) -> Amount {
        Amount(i128::from(whole).saturating_mul(per_whole(unit)))
    }

    /// Both together.
    pub fn plus(self, more: Amount) -> Amount {
        Amount(self.0.saturating_add(more.0))
    }

    /// One less the other.
    pub fn minus(self, less: Amount) -> Amount {
        Amount(self.0.saturating_sub(less.0))
    }

    /// The same, taken back.
    pub fn reversed(self) -> Amount {
        Amount(self.0.saturating_neg())
    }

    /// Whether there is nothing.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// In whole tokens or nano-USD, rounded up, and not below 0: what was spent is never told as less than it is.
    pub fn whole(self, unit: Unit) -> u64 {
        let one = per_whole(unit);
        let up = self.0.saturating_add(one.saturating_sub(1)).checked_div_euclid(one).unwrap_or(i128::MAX);
        u64::try_from(up.max(0)).unwrap_or(u64::MAX)
    }

    /// For a person: whole tokens, or the exact decimal number of USD.
    pub fn text(self, unit: Unit) -> String {
        match unit {
            Unit::Tokens => self.0.to_string(),
            Unit::Usd => Charge::from_yocto_usd(self.0).to_string(),
        }
    }

    /// In USD or tokens, for a metric: the nearest floating-point number, the only one that comes of it.
    pub fn metric(self, unit: Unit) -> f64 {
        self.text(unit).parse().unwrap_or_default()
    }

    /// As it stands in the database: a whole number.
    pub fn stored(self) -> String {
        self.0.to_string()
    }
}

/// Reads what [`Amount::stored`] wrote.
impl FromStr for Amount {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Amount, &'static str> {
        text.parse().map(Amount).map_err(|_| "must be a whole number of at most 128 bits")
    }
}

fn per_whole(unit: Unit) -> i128 {
    match unit {
        Unit::Tokens => 1,
        Unit::Usd => YOCTO_PER_NANO,
    }
}

/// Whole units for a person: tokens, or USD.
pub fn text_of_whole(whole: u64, unit: Unit) -> String {
    Amount::of_whole(whole, unit).text(unit)
}

/// Reads a limit as a person writes it, into whole tokens or nano-USD.
pub fn limit(text: &str, unit: Unit) -> Result<u64, String> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err("limit: must not be negative; 0 lets nothing through".to_owned());
    }
    match unit {
        Unit::Tokens => tokens(text),
        Unit::Usd => usd(text),
    }
}

fn tokens(text: &str) -> Result<u64, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(
            "limit: must be a whole number of tokens, digits only, such as 2000000; for money: --unit usd".to_owned()
        );
    }
    // Longer than 64 bits is too much as well.
    let tokens: Option<u64> = text.parse().ok().filter(|tokens| *tokens <= MAX_AMOUNT);
    tokens.ok_or_else(|| format!("limit: must be at most {MAX_AMOUNT} tokens"))
}

fn usd(text: &str) -> Result<u64, String> {
    const FORM: &str =
        "limit: must be a decimal number of USD with at most 9 decimals, digits and a point only, such as 250.00";
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(decimals) || decimals.len() > 9 {
        return Err(FORM.to_owned());
    }
    let nano: Option<u64> = format!("{whole}{decimals:0<9}").parse().ok();
    nano.filter(|nano| *nano <= MAX_AMOUNT).ok_or_else(|| "limit: must be at most 1000000000 USD".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deterministic_spent_money_is_rounded_up_to_nano_usd_and_never_below_nothing() {
        let usd = |text: &str| Amount::of_charge(text.parse().unwrap());
        let cases = [
            ("0", 0),
            ("0.000000000000000000000001", 1),
            ("0.000000001", 1),
            ("0.000000001000000000000001", 2),
            ("-0.000000001000000000000001", 0),
            ("1000000000", 1_000_000_000_000_000_000),
        ];
        for (text, expected) in cases {
            assert_eq!(usd(text).whole(Unit::Usd), expected, "{text}");
        }
        assert_eq!(Amount(i128::MAX).whole(Unit::Usd), u64::MAX);
        assert_eq!(Amount(i128::MIN).whole(Unit::Tokens), 0);
        assert_eq!(usd("1.5").plus(usd("0.25")).text(Unit::Usd), "1.75");
        assert_eq!(usd("1.5").stored().parse(), Ok(usd("1.5")));
    }

    #[test]
    fn contract_a_limit_is_a_plain_number_within_bounds_and_everything_else_says_what_is_wrong() {
        for (text, unit, expected) in [
            ("0", Unit::Tokens, 0),
            ("2000000", Unit::Tokens, 2_000_000),
            ("1000000000000000000", Unit::Tokens, MAX_AMOUNT),
            ("0", Unit::Usd, 0),
            ("250", Unit::Usd, 250_000_000_000),
            ("0.5", Unit::Usd, 500_000_000),
            ("0.000000001", Unit::Usd, 1),
            ("1000000000.000000000", Unit::Usd, MAX_AMOUNT),
        ] {
            assert_eq!(limit(text, unit), Ok(expected), "{text}");
        }
        for (text, unit, problem) in [
            ("", Unit::Tokens, "whole number of tokens"),
            ("1.5", Unit::Tokens, "whole number of tokens"),
            ("2M", Unit::Tokens, "whole number of tokens"),
            ("1e6", Unit::Tokens, "whole number of tokens"),
            ("2_000", Unit::Tokens, "whole number of tokens"),
            ("-1", Unit::Tokens, "must not be negative"),
            ("1000000000000000001", Unit::Tokens, "at most 1000000000000000000 tokens"),
            ("99999999999999999999999999", Unit::Tokens, "at most 1000000000000000000 tokens"),
            ("$5", Unit::Usd, "decimal number of USD"),
            ("5 USD", Unit::Usd, "decimal number of USD"),
            ("1,000", Unit::Usd, "decimal number of USD"),
            (".5", Unit::Usd, "decimal number of USD"),
            ("5.", Unit::Usd, "decimal number of USD"),
            ("NaN", Unit::Usd, "decimal number of USD"),
            ("0.0000000001", Unit::Usd, "decimal number of USD"),
            ("-0.5", Unit::Usd, "must not be negative"),
            ("1000000000.01", Unit::Usd, "at most 1000000000 USD"),
            ("9999999999999999999999", Unit::Usd, "at most 1000000000 USD"),
        ] {
            let found = limit(text, unit).unwrap_err();
            assert!(found.starts_with("limit: ") && found.contains(problem), "{text}: {found}");
        }
    }
}

//! Money without floats: prices in pico-USD, charges in yocto-USD, every operation exact or refused.

use std::fmt;
use std::iter;
use std::str::FromStr;

mod factor;
#[cfg(test)]
mod tests;

pub use factor::Factor;

/// Decimals of a price.
const PRICE_DECIMALS: usize = 12;
/// Decimals of a charge: pico-USD per million tokens has 18 decimals per token, and factors of discounts have the others.
const CHARGE_DECIMALS: usize = 24;
const PICO_PER_USD: u128 = 1_000_000_000_000;
const YOCTO_PER_USD: u128 = 1_000_000_000_000_000_000_000_000;
const YOCTO_PER_FEMTO: i128 = 1_000_000_000;
/// Decimals that are always shown.
const SHOWN_DECIMALS: usize = 2;
/// A price above a million USD is a slip of the keyboard.
const MAX_PICO_USD: u64 = 1_000_000 * 1_000_000_000_000;

/// What a price is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// A million tokens.
    MillionTokens,
    /// A thousand units.
    ThousandUnits,
}

impl Per {
    /// How many it is for.
    pub const fn units(self) -> u32 {
        match self {
            Per::MillionTokens => 1_000_000,
            Per::ThousandUnits => 1_000,
        }
    }
}

/// A price: pico-USD per million tokens or per thousand units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price(u64);

impl Price {
    /// Decimals that a price can have.
    pub const DECIMALS: i32 = PRICE_DECIMALS as i32;
    /// Nothing.
    pub const ZERO: Price = Price(0);

    /// A price in pico-USD; `None` if it is more than a price can be.
    pub fn from_pico_usd(pico: u64) -> Option<Price> {
        (pico <= MAX_PICO_USD).then_some(Price(pico))
    }

    /// Reads a decimal number of USD such as `2.50`: no sign, no exponent, at most 12 decimals.
    pub fn parse(text: &str) -> Result<Price, &'static str> {
        const FORM: &str = "must be a decimal number of USD such as \"2.50\"";
        let (whole, decimals) = split_decimal(text).ok_or(FORM)?;
        if decimals.len() > PRICE_DECIMALS {
            return Err("must have at most 12 decimals");
        }
        match scaled(whole, decimals, PRICE_DECIMALS).parse::<u64>() {
            Ok(pico) if pico <= MAX_PICO_USD => Ok(Price(pico)),
            _ => Err("must be at most 1000000 USD"),
        }
    }

    /// Pico-USD per million tokens or per thousand units.
    pub fn pico_usd(self) -> u64 {
        self.0
    }

    /// Both together; `None` if that is more than a price can be.
    pub fn plus(self, other: Price) -> Option<Price> {
        self.0.checked_add(other.0).and_then(Price::from_pico_usd)
    }

    /// What a quantity costs; `None` if that is more than 128 bits hold.
    pub fn charge(self, quantity: i128, per: Per) -> Option<Charge> {
        quantity.checked_mul(self.yocto_per_one(per)).map(Charge)
    }

    /// What a count costs; `None` if that is more than 128 bits hold.
    pub fn of(self, count: u64, per: Per) -> Option<Charge> {
        self.charge(count.into(), per)
    }

    fn yocto_per_one(self, per: Per) -> i128 {
        // At most 10^18 times 10^9: far inside of 128 bits.
        i128::from(self.0).saturating_mul(match per {
            Per::MillionTokens => 1_000_000,
            Per::ThousandUnits => 1_000_000_000,
        })
    }
}

/// The exact decimal number of USD, with at least 2 decimals and no trailing zeros beyond them.
impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, u128::from(self.0), PICO_PER_USD, PRICE_DECIMALS)
    }
}

/// An amount of money: yocto-USD (10^-24 USD), up to 170 trillion USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Charge(i128);

impl Charge {
    /// The highest amount.
    pub const MAX: Charge = Charge(i128::MAX);

    /// Whole USD.
    pub const fn from_usd(usd: u32) -> Charge {
        // At most 2^32 times 10^24: far inside of 128 bits.
        Charge((usd as i128).saturating_mul(YOCTO_PER_USD as i128))
    }

    /// An amount in nano-USD, as providers state it.
    pub const fn from_nano_usd(nano: u64) -> Charge {
        // At most 2^64 times 10^15: far inside of 128 bits.
        Charge((nano as i128).saturating_mul(1_000_000_000_000_000))
    }

    /// An amount in femto-USD (10^-15 USD); `None` if it is more than 128 bits hold.
    pub fn from_femto_usd(femto: i128) -> Option<Charge> {
        femto.checked_mul(YOCTO_PER_FEMTO).map(Charge)
    }

    /// An amount in yocto-USD.
    pub const fn from_yocto_usd(yocto: i128) -> Charge {
        Charge(yocto)
    }

    /// The amount in yocto-USD.
    pub fn yocto_usd(self) -> i128 {
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

    /// The amount times a factor, exactly; `None` if that has more decimals than an amount, or more than 128 bits hold.
    pub fn times(self, factor: Factor) -> Option<Charge> {
        let product = self.0.checked_mul(factor.mantissa().into())?;
        let one = 10_i128.checked_pow(factor.decimals())?;
        (product.checked_rem(one)? == 0).then_some(Charge(product.checked_div(one)?))
    }

    /// The smallest amount of so many decimals; of more than an amount has, nothing.
    pub fn unit(decimals: u8) -> Charge {
        let dropped =
            CHARGE_DECIMALS.checked_sub(usize::from(decimals)).and_then(|dropped| u32::try_from(dropped).ok());
        Charge(dropped.and_then(|dropped| 10_i128.checked_pow(dropped)).unwrap_or_default())
    }

    /// The nearest amount of so many decimals, as on an invoice: a half goes away from zero. `None` only near the ends
    /// of 128 bits.
    pub fn rounded(self, decimals: u8) -> Option<Charge> {
        let Charge(unit) = Charge::unit(decimals);
        if unit == 0 {
            return Some(self);
        }
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
        write_decimal(f, self.0.unsigned_abs(), YOCTO_PER_USD, CHARGE_DECIMALS)
    }
}

/// Reads a decimal number of USD exactly as it is shown: `-0.000015`.
impl FromStr for Charge {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Charge, &'static str> {
        const FORM: &str = "must be a decimal number of USD such as \"2.50\", with at most 24 decimals";
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
            let yocto = i128::from(decimals.parse::<u64>().ok()?).checked_mul(10_i128.checked_pow(missing)?)?;
            i128::from(usd).checked_mul(i128::try_from(YOCTO_PER_USD).ok()?)?.checked_add(yocto)
        };
        if let Some(amount) = exact() {
            return Ok(Charge(if is_negative { amount.saturating_neg() } else { amount }));
        }
        let sign = if is_negative { "-" } else { "" };
        let signed = format!("{sign}{}", scaled(whole, decimals, CHARGE_DECIMALS));
        signed.parse().map(Charge).map_err(|_| "must fit in 128 bits")
    }
}

/// The digits before and behind the point; `None` if it is no decimal number.
fn split_decimal(text: &str) -> Option<(&str, &str)> {
    let (whole, decimals) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (text, ""),
    };
    (!whole.is_empty() && is_digits(whole) && is_digits(decimals)).then_some((whole, decimals))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The digits of a decimal number without its point, as if it had all the decimals it may have.
fn scaled(whole: &str, decimals: &str, places: usize) -> String {
    let mut digits = String::with_capacity(whole.len().saturating_add(places));
    digits.extend([whole, decimals]);
    digits.extend(iter::repeat_n('0', places.saturating_sub(decimals.len())));
    digits
}

fn write_decimal(f: &mut fmt::Formatter<'_>, amount: u128, one: u128, places: usize) -> fmt::Result {
    let whole = amount.checked_div(one).unwrap_or_default();
    let rest = amount.checked_rem(one).unwrap_or_default();
    let digits = format!("{rest:0places$}");
    write!(f, "{whole}.{exact:0<SHOWN_DECIMALS$}", exact = digits.trim_end_matches('0'))
}

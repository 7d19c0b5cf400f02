//! Reads counts the way providers write them: `4`, `4.0`, `"4"`, `4e3`.

use wire::usage::MAX_COUNT;

use super::Scalar;

/// A count, if it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// A count from 0 to [`MAX_COUNT`].
    Value(u64),
    /// `null`: nothing was said.
    Null,
    /// Negative, fractional, absurdly large, or no number at all.
    Bad,
}

/// Reads a count. Integers, numbers with a fraction of zero, and either as a text; nothing else.
pub fn count(value: Scalar<'_>) -> Count {
    let digits = match value {
        Scalar::Number(digits) => digits,
        Scalar::Text(text) => text.as_bytes(),
        Scalar::Null => return Count::Null,
        Scalar::Bool(_) | Scalar::Overlong => return Count::Bad,
    };
    match exact(digits) {
        Some(count) if count <= MAX_COUNT => Count::Value(count),
        _ => Count::Bad,
    }
}

/// The value if it is a whole number. No floats: those would round.
fn exact(number: &[u8]) -> Option<u64> {
    let (mut value, mut shift) = decimal(number)?;
    while shift < 0 && value > 0 {
        if value.checked_rem(10)? != 0 {
            return None;
        }
        value = value.checked_div(10)?;
        shift = shift.checked_add(1)?;
    }
    raised(value, shift)
}

/// A decimal times ten to the power of `by`, rounded half up: dollars to nano-dollars without a float on the way.
pub fn scaled(number: &[u8], by: i32) -> Option<u64> {
    let (mut value, shift) = decimal(number)?;
    let mut shift = shift.checked_add(by)?;
    let mut dropped = 0;
    while shift < 0 && (value > 0 || dropped > 0) {
        dropped = value.checked_rem(10)?;
        value = value.checked_div(10)?;
        shift = shift.checked_add(1)?;
    }
    raised(value.checked_add(u128::from(dropped >= 5))?, shift.max(0))
}

fn raised(mut value: u128, mut shift: i32) -> Option<u64> {
    while shift > 0 && value > 0 {
        value = value.checked_mul(10)?;
        shift = shift.checked_sub(1)?;
    }
    u64::try_from(value).ok()
}

/// Digits, a fraction, an exponent: all digits as one integer, and how far its last digit stands from the unit.
fn decimal(number: &[u8]) -> Option<(u128, i32)> {
    let (mantissa, exponent) = match number.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (number.get(..at)?, signed(number.get(at.checked_add(1)?..)?)?),
        None => (number, 0),
    };
    let (whole, fraction) = match mantissa.iter().position(|&byte| byte == b'.') {
        Some(at) => (mantissa.get(..at)?, mantissa.get(at.checked_add(1)?..)?),
        None => (mantissa, &[][..]),
    };
    if whole.is_empty() || (mantissa.contains(&b'.') && fraction.is_empty()) {
        return None;
    }
    let last = fraction.iter().rposition(|&byte| byte != b'0').map_or(0, |at| at.saturating_add(1));
    let fraction = fraction.get(..last)?;
    let mut value: u128 = 0;
    for byte in whole.iter().chain(fraction) {
        let digit = byte.is_ascii_digit().then(|| u128::from(byte.wrapping_sub(b'0')))?;
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    Some((value, exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?))
}

fn signed(digits: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(digits).ok()?;
    // Rust's own parser takes a sign and digits, as JSON does.
    text.parse().ok()
}

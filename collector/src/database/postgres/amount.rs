//! Exact decimal numbers as the server sends them: without a text between.

use std::error::Error;

use tokio_postgres::types::{FromSql, Type};

use crate::money::Charge;

/// Decimals that an amount has at most.
const DECIMALS: i32 = 24;
/// Decimals of one of the server's digits.
const WIDTH: i32 = 4;

/// An amount of USD in a column of type `numeric`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount(pub Charge);

impl<'a> FromSql<'a> for Amount {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Amount, Box<dyn Error + Sync + Send>> {
        let yocto_usd = yocto(bytes).ok_or("an amount does not fit in 128 bits")?;
        Ok(Amount(Charge::from_yocto_usd(yocto_usd)))
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::NUMERIC
    }
}

/// How many digits there are, the power of 10,000 of the first, the sign, how many decimals are shown, then the digits: 16 bits each.
fn yocto(bytes: &[u8]) -> Option<i128> {
    let mut words = bytes.chunks_exact(2).map(|word| Some(u16::from_be_bytes(word.try_into().ok()?)));
    let mut next = || words.next().flatten();
    let (count, weight, sign, _) = (next()?, next()?, next()?, next()?);
    let first = i32::from(weight.cast_signed()).checked_mul(WIDTH)?.checked_add(DECIMALS)?;
    let mut sum = 0_i128;
    for at in 0..i32::from(count) {
        let digit = i128::from(next()?);
        let power = first.checked_sub(at.checked_mul(WIDTH)?)?;
        if digit != 0 {
            let unit = 10_i128.checked_pow(u32::try_from(power).ok()?)?;
            // Added with its sign, so that the least number fits, too.
            let digit = if sign == 0x4000 { digit.checked_neg()? } else { digit };
            sum = sum.checked_add(digit.checked_mul(unit)?)?;
        }
    }
    matches!(sign, 0 | 0x4000).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deterministic_what_is_no_amount_is_refused() {
        // Not a number; more than 24 decimals; 10,000^10; cut off.
        for bytes in [
            &[0, 0, 0, 0, 0xc0, 0, 0, 0][..],
            &[0, 1, 0xff, 0xf9, 0, 0, 0, 28, 0, 1],
            &[0, 1, 0, 10, 0, 0, 0, 0, 0, 1],
            &[0, 2, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0, 0, 0],
        ] {
            assert_eq!(yocto(bytes), None, "{bytes:?}");
        }
        assert_eq!(yocto(&[0, 0, 0, 0, 0, 0, 0, 0]), Some(0));
        assert_eq!(yocto(&[0, 1, 0xff, 0xff, 0x40, 0, 0, 4, 0, 25]), Some(-2_500_000_000_000_000_000_000));
    }
}

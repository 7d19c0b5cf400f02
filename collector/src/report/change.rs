//! How a sum compares with that of the period before.

use super::sum::Sum;
use super::{ReportError, TOO_LARGE};
use crate::money::Charge;

/// The difference of a charge, and what part of the former one that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it was.
    pub before: Charge,
    /// What is added.
    pub by: Charge,
    /// In percent, if that says something.
    pub percent: Option<String>,
}

impl Change {
    /// From a former sum to this one. What has no price counts nothing.
    pub fn of(sum: &Sum, before: &Sum) -> Result<Change, ReportError> {
        let charge = |sum: &Sum| Ok::<_, ReportError>(sum.total()?.unwrap_or_default().charge);
        let (now, before) = (charge(sum)?, charge(before)?);
        let by = now.checked_sub(before).ok_or(TOO_LARGE)?;
        Ok(Change { before, by, percent: percent(by.yocto_usd(), before.yocto_usd()) })
    }
}

/// One decimal, a half away from zero: `+12.5%`. Of nothing there is no part: `new`; of a credit neither.
fn percent(by: i128, before: i128) -> Option<String> {
    match (by, before) {
        (0, 0) => return Some("0.0%".to_owned()),
        (_, 0) => return Some("new".to_owned()),
        (_, before) if before < 0 => return None,
        _ => {}
    }
    let half = before.checked_div(2)?;
    let thousandths = by.checked_abs()?.checked_mul(1000)?.checked_add(half)?.checked_div(before)?;
    let sign = if by < 0 { "-" } else { "+" };
    let sign = if thousandths == 0 { "" } else { sign };
    Some(format!("{sign}{}.{}%", thousandths.checked_div(10)?, thousandths.checked_rem(10)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deterministic_a_change_has_one_decimal_and_nothing_has_no_part() {
        let cases = [
            (1, 8, Some("+12.5%")),
            (-1, 3, Some("-33.3%")),
            (2, 3, Some("+66.7%")),
            (-5, 5, Some("-100.0%")),
            (1, 2000, Some("+0.1%")),
            (1, 2001, Some("0.0%")),
            (0, 7, Some("0.0%")),
            (0, 0, Some("0.0%")),
            (3, 0, Some("new")),
            (-3, 0, Some("new")),
            (3, -1, None),
            (i128::MAX, 1, None),
        ];
        for (by, before, expected) in cases {
            assert_eq!(percent(by, before).as_deref(), expected, "{by} of {before}");
        }
    }
}

//! How a sum compares with that of the period before.

use super::sum::Sum;
use super::{ReportError, TOO_LARGE};
use crate::money::Charge;

/// The difference of a charge, and what part of the former one that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it was, if anything had a price.
    pub before: Option<Charge>,
    /// What is added, if it was something or is now, and none of both is unknown.
    pub by: Option<Charge>,
    /// In percent, if that says something.
    pub percent: Option<String>,
    /// Whether something has no price in one of both: then the change is none of what it costs.
    pub is_unpriced: bool,
}

impl Change {
    /// From a former sum to this one. What has no price counts nothing, and is told.
    pub fn of(sum: &Sum, before: &Sum) -> Result<Change, ReportError> {
        let charge = |sum: &Sum| Ok::<_, ReportError>(sum.total()?.map(|amounts| amounts.charge));
        let (now, former) = (charge(sum)?, charge(before)?);
        let is_unknown = |sum: &Sum, charge: Option<Charge>| charge.is_none() && !sum.unpriced.is_empty();
        let none = is_unknown(sum, now) || is_unknown(before, former) || now.or(former).is_none();
        let by = now.unwrap_or_default().checked_sub(former.unwrap_or_default()).ok_or(TOO_LARGE)?;
        let by = (!none).then_some(by);
        let was_nothing = before.is_nothing();
        let part = |by: Charge| percent(by.yocto_usd(), former.unwrap_or_default().yocto_usd(), was_nothing);
        let is_unpriced = !sum.unpriced.is_empty() || !before.unpriced.is_empty();
        Ok(Change { before: former, by, percent: by.and_then(part), is_unpriced })
    }
}

/// One decimal, a half away from zero: `+12.5%`. Where nothing was it is `new`; of calls that cost nothing, or of a credit, there is
/// no part.
fn percent(by: i128, before: i128, was_nothing: bool) -> Option<String> {
    match (by, before) {
        (0, 0) => return Some("0.0%".to_owned()),
        (_, 0) => return was_nothing.then(|| "new".to_owned()),
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
            assert_eq!(percent(by, before, true).as_deref(), expected, "{by} of {before}");
        }
        assert_eq!(percent(3, 0, false), None, "calls that cost nothing are not new");
    }
}

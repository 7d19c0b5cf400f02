//! How long something is kept.

use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// A number of days or months, such as `180d` or `13mo`.
#[derive(Clone, Copy, Debug)]
pub struct Age(Span);

impl FromStr for Age {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Age, &'static str> {
        const FORM: &str =
            "must be a number of days, weeks, months or years, such as 180d or 13mo, and at most 100 years";
        let span: Span = text.parse().map_err(|_| FORM)?;
        let years = |span: &Span| span.get_years().unsigned_abs() <= 100 && span.get_months().unsigned_abs() <= 1200;
        let days = |span: &Span| span.get_weeks().unsigned_abs() <= 5200 && span.get_days().unsigned_abs() <= 36_500;
        // What is left without them are hours and less.
        let has_hours = span.years(0).months(0).weeks(0).days(0).is_positive();
        let fits = span.is_positive() && !has_hours && years(&span) && days(&span);
        if fits { Ok(Age(span)) } else { Err(FORM) }
    }
}

impl Age {
    /// What happened before then is older.
    pub fn before_ns(self, now_ns: i64) -> i64 {
        let now = Timestamp::from_nanosecond(i128::from(now_ns)).ok().map(|now| now.to_zoned(TimeZone::UTC));
        let before = now.and_then(|now| now.checked_sub(self.0).ok());
        let ns = before.and_then(|before| i64::try_from(before.timestamp().as_nanosecond()).ok());
        // Nothing is older than what nobody can tell.
        ns.unwrap_or(i64::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_an_age_is_in_days_or_months_and_nothing_else() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_nanosecond() as i64;
        let now = at("2026-03-31T12:00:00Z");
        for (age, before) in [
            ("180d", "2025-10-02T12:00:00Z"),
            ("1mo", "2026-02-28T12:00:00Z"),
            ("13mo", "2025-02-28T12:00:00Z"),
            ("2 weeks", "2026-03-17T12:00:00Z"),
            ("1y", "2025-03-31T12:00:00Z"),
            ("1mo 3d", "2026-02-25T12:00:00Z"),
        ] {
            assert_eq!(age.parse::<Age>().map(|age| age.before_ns(now)), Ok(at(before)), "{age}");
        }
        for wrong in ["", "180", "0d", "-3d", "3d ago", "24h", "1d 1h", "90m", "1d 1ns", "101y", "40000d", "x", "1.5mo"]
        {
            assert!(wrong.parse::<Age>().is_err(), "{wrong}");
        }
        assert_eq!("100y".parse::<Age>().unwrap().before_ns(i64::MIN), i64::MIN);
    }
}

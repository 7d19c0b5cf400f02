//! When: the period that a report is about, the one before it, and the time zone in which its days are days.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::store::Selection;
use crate::store::days::day_begins_ns;

const DAY_NS: i64 = 86_400_000_000_000;

/// A time zone, by its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Zone {
        Zone(TimeZone::UTC)
    }
}

impl Zone {
    /// Reads `UTC`, `Europe/Berlin`.
    pub fn parse(name: &str) -> Result<Zone, String> {
        let zone = TimeZone::get(name).ok().filter(|zone| zone.iana_name().is_some());
        let zone = zone.ok_or("must be the name of a time zone such as Europe/Berlin, or UTC")?;
        // Other names of the same.
        let is_utc = matches!(zone.iana_name(), Some("UTC" | "Etc/UTC" | "Etc/Zulu" | "Zulu" | "Etc/UCT" | "UCT"));
        Ok(Zone(if is_utc { TimeZone::UTC } else { zone }))
    }

    /// Whether its days are those of the sums.
    pub fn is_utc(&self) -> bool {
        self.0 == TimeZone::UTC
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// Its rules.
    pub fn zone(&self) -> &TimeZone {
        &self.0
    }

    fn begins_ns(&self, day: Date) -> i64 {
        if self.is_utc() && (1677..2263).contains(&day.year()) {
            return day_begins_ns(day);
        }
        let late = if day.year() < 1970 { i64::MIN } else { i64::MAX };
        day.to_zoned(self.0.clone()).map_or(late, |time| clamped(time.timestamp()))
    }
}

fn clamped(time: Timestamp) -> i64 {
    let ns = time.as_nanosecond();
    i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}

/// One end of a period, as it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A day: all of it.
    Day(Date),
    /// A moment: what counts before it is another period's.
    Moment(Timestamp),
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Day(day) => day.fmt(f),
            Bound::Moment(moment) => moment.fmt(f),
        }
    }
}

/// A period. An end that is absent is open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Period {
    /// Its first day or moment.
    pub since: Option<Bound>,
    /// Its last day, or the moment before which it ends.
    pub until: Option<Bound>,
    /// Where its days are days.
    pub zone: Zone,
}

const FORM: &str =
    "must be a date such as 2026-01-31, a month such as 2026-01, or a moment such as 2026-01-31T12:00:00Z";

fn month(text: &str) -> Option<Date> {
    let is_form = text.len() == 7 && text.as_bytes().get(4) == Some(&b'-');
    if is_form { format!("{text}-01").parse().ok() } else { None }
}

/// The first day, or a moment.
pub fn since(text: &str) -> Result<Bound, String> {
    bound(text, |first| first)
}

/// The last day, or a moment.
pub fn until(text: &str) -> Result<Bound, String> {
    bound(text, Date::last_of_month)
}

fn bound(text: &str, of_month: impl Fn(Date) -> Date) -> Result<Bound, String> {
    if let Some(day) = crate::prices::day(text).or_else(|| month(text).map(of_month)) {
        return Ok(Bound::Day(day));
    }
    // What has a time has an offset, too.
    let moment = if text.contains(['T', 't']) { text.parse().ok() } else { None };
    moment.map(Bound::Moment).ok_or_else(|| FORM.to_owned())
}

impl Period {
    /// From its first day to its last, UTC.
    pub fn days(since: Option<Date>, until: Option<Date>) -> Period {
        Period { since: since.map(Bound::Day), until: until.map(Bound::Day), zone: Zone::default() }
    }

    /// When it begins.
    pub fn from_ns(&self) -> i64 {
        match self.since {
            None => i64::MIN,
            Some(Bound::Day(day)) => self.zone.begins_ns(day),
            Some(Bound::Moment(moment)) => clamped(moment),
        }
    }

    /// When it is over.
    pub fn until_ns(&self) -> i64 {
        match self.until {
            None => i64::MAX,
            Some(Bound::Day(day)) => day.tomorrow().map_or(i64::MAX, |next| self.zone.begins_ns(next)),
            Some(Bound::Moment(moment)) => clamped(moment),
        }
    }

    /// Whether it ends before it begins.
    pub fn is_empty(&self) -> bool {
        self.from_ns() >= self.until_ns()
    }

    /// Its days, UTC, if it is made of whole ones: the sums have no parts of them.
    pub fn selection(&self) -> Option<Selection> {
        let day = |ns: i64| Timestamp::from_nanosecond(ns.into()).ok().map(|time| time.to_zoned(TimeZone::UTC).date());
        let whole = |ns: i64| ns.checked_rem(DAY_NS) == Some(0);
        let end = |bound: Option<Bound>, ns: i64, last: bool| match bound {
            None => Some(None),
            Some(Bound::Day(date)) if self.zone.is_utc() => Some(Some(date)),
            Some(_) => whole(ns).then(|| day(if last { ns.saturating_sub(1) } else { ns })),
        };
        let since = end(self.since, self.from_ns(), false)?;
        let until = end(self.until, self.until_ns(), true)?;
        Some(Selection { since, until, ..Selection::default() })
    }

    /// The same, with a beginning: if it has none that of the month in which it ends, or of the month that it is.
    pub fn begun(self, now_ns: i64) -> Period {
        if self.since.is_some() {
            return self;
        }
        let last_ns = self.until_ns().saturating_sub(1).min(now_ns);
        let last = Timestamp::from_nanosecond(last_ns.into()).unwrap_or_default().to_zoned(self.zone.0.clone());
        Period { since: Some(Bound::Day(last.date().first_of_month())), ..self }
    }

    /// The period before: as many months if it is made of whole ones, else as many days, or as long a time.
    pub fn before(&self) -> Result<Period, &'static str> {
        const FAR: &str = "the period before begins too early";
        let (Some(since), Some(until)) = (self.since, self.until) else {
            return Err("needs since and until: the period before has the same length");
        };
        let (Bound::Day(first), Bound::Day(last)) = (since, until) else {
            let (from, end) = (self.from_ns(), self.until_ns());
            let length = end.checked_sub(from).ok_or(FAR)?;
            let moment = |ns: i64| Timestamp::from_nanosecond(ns.into()).map(Bound::Moment).map_err(|_| FAR);
            let begin = from.checked_sub(length).ok_or(FAR)?;
            return Ok(Period { since: Some(moment(begin)?), until: Some(moment(from)?), zone: self.zone.clone() });
        };
        let yesterday = first.yesterday().map_err(|_| FAR)?;
        let begin = if first == first.first_of_month() && last == last.last_of_month() {
            let months = |day: Date| i64::from(day.year()).saturating_mul(12).saturating_add(day.month().into());
            let count = months(last).saturating_sub(months(first)).saturating_add(1);
            first.checked_sub(Span::new().try_months(count).map_err(|_| FAR)?)
        } else {
            let days = last.since(first).map_or(0, |span| i64::from(span.get_days())).saturating_add(1);
            first.checked_sub(Span::new().try_days(days).map_err(|_| FAR)?)
        };
        let days = [begin.map_err(|_| FAR)?, yesterday].map(Bound::Day).map(Some);
        let [since, until] = days;
        Ok(Period { since, until, zone: self.zone.clone() })
    }

    /// How it is said: `from 2026-11-01 until 2026-11-30, time zone UTC`.
    pub fn said(&self) -> String {
        let since = self.since.map(|since| format!("from {since} ")).unwrap_or_default();
        let until = match self.until {
            None => String::new(),
            Some(Bound::Day(day)) => format!("until {day} "),
            Some(Bound::Moment(moment)) => format!("to before {moment} "),
        };
        let both = format!("{since}{until}");
        let both = if both.is_empty() { "all days" } else { both.trim_end() };
        format!("{both}, time zone {}", self.zone.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(from: &str, to: &str, zone: &str) -> Period {
        Period { since: Some(since(from).unwrap()), until: Some(until(to).unwrap()), zone: Zone::parse(zone).unwrap() }
    }

    #[test]
    fn deterministic_days_are_those_of_the_zone_over_a_change_of_clocks() {
        let days = period("2026-10-25", "2026-10-25", "Europe/Berlin");
        assert_eq!(days.until_ns() - days.from_ns(), 25 * 3_600_000_000_000);
        assert!(days.selection().is_none(), "the sums have no such day");
        let utc = period("2026-10", "2026-10", "Etc/UTC").selection().unwrap();
        assert_eq!(
            (utc.since.unwrap().to_string(), utc.until.unwrap().to_string()),
            ("2026-10-01".into(), "2026-10-31".into())
        );
        let moments = period("2026-10-01T02:00:00+02:00", "2026-10-02T00:00:00Z", "Europe/Berlin").selection().unwrap();
        assert_eq!(moments.since, moments.until);
        assert!(period("2026-10-01T02:00:01+02:00", "2026-10-02", "UTC").selection().is_none());
    }

    #[test]
    fn contract_the_period_before_has_as_many_months_or_days() {
        let cases = [
            ("2026-03", "2026-03", "2026-02-01", "2026-02-28"),
            ("2026-01", "2026-03", "2025-10-01", "2025-12-31"),
            ("2026-03-02", "2026-03-31", "2026-01-31", "2026-03-01"),
            ("2026-03-02", "2026-03-02", "2026-03-01", "2026-03-01"),
        ];
        for (from, to, first, last) in cases {
            let before = period(from, to, "Europe/Berlin").before().unwrap();
            assert_eq!(before, period(first, last, "Europe/Berlin"), "{from} {to}");
        }
        let before = period("2026-03-02T00:00:00Z", "2026-03-02T06:00:00Z", "UTC").before().unwrap();
        assert_eq!(before, period("2026-03-01T18:00:00Z", "2026-03-02T00:00:00Z", "UTC"));
        assert!(Period::default().before().is_err());
    }

    #[test]
    fn deterministic_a_period_without_a_beginning_begins_with_its_month() {
        let now_ns = 1_793_664_000_000_000_000;
        assert_eq!(Period::default().begun(now_ns).said(), "from 2026-11-01, time zone UTC");
        let until = Period { until: Some(until("2026-02-10").unwrap()), ..Period::default() };
        assert_eq!(until.begun(now_ns).said(), "from 2026-02-01 until 2026-02-10, time zone UTC");
    }

    #[test]
    fn contract_what_is_no_day_is_refused() {
        for bad in
            ["", "2026-02-30", "2026-13", "2026", "26-01-01", "2026-01-01T00:00", "tomorrow", "2026-1-1", "0000-00-00"]
        {
            assert!(since(bad).is_err(), "{bad}");
        }
        for bad in ["", "Europe/Atlantis", "../../etc/passwd", "+01:00", "\u{202e}UTC"] {
            assert!(Zone::parse(bad).is_err(), "{bad}");
        }
        for (early, late) in [("0001-01-01", "9999-12-31"), ("1600-02-29", "2400-01-01")] {
            let all = period(early, late, "Europe/Berlin");
            assert!(
                all.from_ns() < -6_000_000_000_000_000_000 && all.until_ns() > 6_000_000_000_000_000_000,
                "{all:?}"
            );
        }
    }
}

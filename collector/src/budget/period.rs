//! Windows: a minute, an hour, a day, a week or a month in a time zone. They follow each other without a hole, whatever the
//! zone's clocks do.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

const NS: i64 = 1_000_000_000;

wire::words! {
    /// How long a window is.
    Period {
        /// A minute.
        Minute "minute",
        /// An hour.
        Hour "hour",
        /// A day; where the clocks change it has 23 or 25 hours.
        Day "day",
        /// A week, from Monday.
        Week "week",
        /// A calendar month.
        Month "month",
    }
}

/// A time zone by its IANA name. Its rules are part of the program, so that every collector has the same.
#[derive(Clone)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

impl PartialEq for Zone {
    fn eq(&self, other: &Zone) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Default for Zone {
    fn default() -> Zone {
        Zone { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }
}

/// A window: from its first second up to the first one of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it begins, seconds since 1970.
    pub begins_s: i64,
    /// When the next one begins.
    pub ends_s: i64,
}

impl Span {
    /// Whether a time is in it.
    pub fn contains(self, at_s: i64) -> bool {
        (self.begins_s..self.ends_s).contains(&at_s)
    }
}

/// The second of a time.
pub fn second(ns: i64) -> i64 {
    ns.div_euclid(NS)
}

impl Zone {
    /// The zone of an IANA name such as `Europe/Berlin`.
    pub fn parse(name: &str) -> Result<Zone, String> {
        if name.eq_ignore_ascii_case("UTC") {
            return Ok(Zone::default());
        }
        let zone = TimeZone::get(name).ok().filter(|zone| zone.iana_name().is_some() && !zone.is_unknown());
        let zone = zone.ok_or_else(|| {
            let name = crate::terminal::printable(name);
            format!("zone: there is no time zone \"{name}\"; must be an IANA name such as Europe/Berlin or UTC")
        })?;
        Ok(Zone { name: zone.iana_name().unwrap_or(name).to_owned(), zone })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The window that a time is in; `None` beyond what calendars can tell.
    pub fn window(&self, period: Period, at_s: i64) -> Option<Span> {
        match period {
            Period::Minute => self.fixed(60, at_s),
            Period::Hour => self.fixed(3600, at_s),
            Period::Day => self.of_days(at_s, |day| day, |day| day.tomorrow().ok()),
            Period::Week => self.of_days(at_s, monday, |day| day.checked_add(7.days()).ok()),
            Period::Month => self.of_days(at_s, Date::first_of_month, |day| day.last_of_month().tomorrow().ok()),
        }
    }

    /// A time in this zone, as a person writes it: `2026-11-29 14:05:00 +01:00`.
    pub fn text(&self, at_s: i64) -> String {
        let time = Timestamp::from_second(at_s).ok().map(|time| time.to_zoned(self.zone.clone()));
        time.map_or_else(|| at_s.to_string(), |time| time.strftime("%Y-%m-%d %H:%M:%S %:z").to_string())
    }

    fn offset(&self, at: Timestamp) -> i64 {
        self.zone.to_offset(at).seconds().into()
    }

    /// Minutes and hours by the zone's clocks. Where they are changed by a part of a window, it ends there.
    fn fixed(&self, length: i64, at_s: i64) -> Option<Span> {
        let at = Timestamp::from_second(at_s).ok()?;
        let offset = self.offset(at);
        let local = at_s.checked_add(offset)?;
        let begins_s = local.checked_sub(local.checked_rem_euclid(length)?)?.checked_sub(offset)?;
        let mut span = Span { begins_s, ends_s: begins_s.checked_add(length)? };
        let is_part = |other: i64| other.saturating_sub(offset).checked_rem_euclid(length) != Some(0);
        let before = self.zone.preceding(Timestamp::from_second(at_s.checked_add(1)?).ok()?).next();
        if let Some(change) = before.map(|change| change.timestamp().as_second())
            && change > span.begins_s
            && is_part(self.offset(Timestamp::from_second(change.checked_sub(1)?).ok()?))
        {
            span.begins_s = change;
        }
        if let Some(change) = self.zone.following(at).next()
            && change.timestamp().as_second() < span.ends_s
            && is_part(change.offset().seconds().into())
        {
            span.ends_s = change.timestamp().as_second();
        }
        Some(span)
    }

    /// Windows that begin at midnight, the first one of that day if there are two, or when the day begins if there is none.
    fn of_days(&self, at_s: i64, first: impl Fn(Date) -> Date, next: impl Fn(Date) -> Option<Date>) -> Option<Span> {
        let at = Timestamp::from_second(at_s).ok()?;
        let begins = |day: Date| Some(day.to_zoned(self.zone.clone()).ok()?.timestamp().as_second());
        let mut day = first(at.to_zoned(self.zone.clone()).date());
        let mut span = Span { begins_s: begins(day)?, ends_s: begins(next(day)?)? };
        // Where clocks are set back over midnight the old date comes once more: that is a part of the new day.
        while at_s >= span.ends_s {
            day = next(day)?;
            span = Span { begins_s: span.ends_s, ends_s: begins(next(day)?)? };
        }
        Some(span)
    }
}

fn monday(day: Date) -> Date {
    let back = i64::from(day.weekday().to_monday_zero_offset());
    day.checked_sub(back.days()).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn s(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    fn window(zone: &str, period: Period, at: &str) -> (String, String, i64) {
        let span = Zone::parse(zone).unwrap().window(period, s(at)).unwrap();
        let text = |at_s| Timestamp::from_second(at_s).unwrap().to_string();
        (text(span.begins_s), text(span.ends_s), (span.ends_s - span.begins_s) / 60)
    }

    #[test]
    fn contract_windows_follow_the_zones_clocks_across_changes_of_summer_time() {
        let cases = [
            ("UTC", Period::Minute, "2026-11-29T09:00:59Z", "2026-11-29T09:00:00Z", "2026-11-29T09:01:00Z", 1),
            ("UTC", Period::Month, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z", 44_640),
            ("UTC", Period::Month, "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z", 41_760),
            // Sunday is the last day of a week, Monday the first.
            ("UTC", Period::Week, "2026-11-29T23:59:59Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z", 10_080),
            ("UTC", Period::Week, "2026-11-30T00:00:00Z", "2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z", 10_080),
            // Berlin: the day on which summer time begins has 23 hours, the one on which it ends 25.
            (
                "Europe/Berlin",
                Period::Day,
                "2026-03-29T12:00:00Z",
                "2026-03-28T23:00:00Z",
                "2026-03-29T22:00:00Z",
                1380,
            ),
            (
                "Europe/Berlin",
                Period::Day,
                "2026-10-25T12:00:00Z",
                "2026-10-24T22:00:00Z",
                "2026-10-25T23:00:00Z",
                1500,
            ),
            (
                "Europe/Berlin",
                Period::Week,
                "2026-10-25T12:00:00Z",
                "2026-10-18T22:00:00Z",
                "2026-10-25T23:00:00Z",
                10_140,
            ),
            (
                "Europe/Berlin",
                Period::Month,
                "2026-03-31T21:59:59Z",
                "2026-02-28T23:00:00Z",
                "2026-03-31T22:00:00Z",
                44_580,
            ),
            // The hour that comes twice is two windows.
            ("Europe/Berlin", Period::Hour, "2026-10-25T00:30:00Z", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", 60),
            ("Europe/Berlin", Period::Hour, "2026-10-25T01:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z", 60),
            // Half hours.
            ("Asia/Kolkata", Period::Hour, "2026-11-29T09:10:00Z", "2026-11-29T08:30:00Z", "2026-11-29T09:30:00Z", 60),
            // Lord Howe sets its clocks by half an hour: from 02:00 to 01:30.
            (
                "Australia/Lord_Howe",
                Period::Hour,
                "2026-04-04T14:59:59Z",
                "2026-04-04T14:00:00Z",
                "2026-04-04T15:00:00Z",
                60,
            ),
            (
                "Australia/Lord_Howe",
                Period::Hour,
                "2026-04-04T15:10:00Z",
                "2026-04-04T15:00:00Z",
                "2026-04-04T15:30:00Z",
                30,
            ),
            // Midnight that is not there, and midnight that comes twice.
            ("Africa/Cairo", Period::Day, "2026-04-24T10:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z", 1380),
            (
                "America/Havana",
                Period::Day,
                "2024-11-03T12:00:00Z",
                "2024-11-03T04:00:00Z",
                "2024-11-04T05:00:00Z",
                1500,
            ),
            // The old date comes once more for most of an hour: it is the new day by then.
            (
                "America/St_Johns",
                Period::Day,
                "2008-11-02T02:45:00Z",
                "2008-11-02T02:30:00Z",
                "2008-11-03T03:30:00Z",
                1500,
            ),
            // A day that was left out.
            ("Pacific/Apia", Period::Day, "2011-12-30T09:00:00Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", 1440),
        ];
        for (zone, period, at, begins, ends, minutes) in cases {
            let expected = (begins.to_owned(), ends.to_owned(), minutes);
            assert_eq!(window(zone, period, at), expected, "{zone} {} {at}", period.as_str());
        }
    }

    #[test]
    fn contract_a_zone_has_an_iana_name_and_any_other_is_refused() {
        assert_eq!(Zone::parse("europe/berlin").unwrap().name(), "Europe/Berlin");
        assert_eq!(Zone::parse("utc").unwrap().name(), "UTC");
        for bad in ["", "CET+1", "Berlin", "Europe/Berlim", "+02:00", "../etc/passwd", "local", "Etc/Unknown"] {
            let problem = Zone::parse(bad).map(|zone| zone.name().to_owned()).unwrap_err();
            assert!(problem.starts_with("zone: there is no time zone"), "{bad}: {problem}");
        }
    }

    const ZONES: [&str; 9] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "America/Havana",
        "Antarctica/Troll",
    ];

    proptest! {
        /// A clock that jumps, back or over the end of a month, lands in one window, and the windows beside it touch it.
        #[test]
        fn deterministic_windows_share_no_second_and_leave_none_out(
            zone in prop::sample::select(&ZONES[..]), period in prop::sample::select(Period::ALL), at_s in 0..4_102_444_800_i64
        ) {
            let zone = Zone::parse(zone).unwrap();
            let window = |at_s| zone.window(period, at_s).unwrap();
            let span = window(at_s);
            prop_assert!(span.contains(at_s));
            prop_assert_eq!(window(span.begins_s), span);
            prop_assert_eq!(window(span.ends_s - 1), span);
            prop_assert_eq!(window(span.ends_s).begins_s, span.ends_s);
            prop_assert_eq!(window(span.begins_s - 1).ends_s, span.begins_s);
        }
    }

    #[test]
    fn deterministic_the_windows_around_every_change_of_the_clocks_touch() {
        for name in ZONES {
            let zone = Zone::parse(name).unwrap();
            let changes: Vec<i64> = zone
                .zone
                .following(Timestamp::UNIX_EPOCH)
                .take(200)
                .map(|change| change.timestamp().as_second())
                .collect();
            for at_s in changes.into_iter().flat_map(|change| (-7..8).map(move |step| change + step * 900)) {
                for period in Period::ALL {
                    let span = zone.window(*period, at_s).unwrap();
                    assert!(span.contains(at_s), "{name} {} {at_s} {span:?}", period.as_str());
                    let next = zone.window(*period, span.ends_s).unwrap();
                    assert_eq!(next.begins_s, span.ends_s, "{name} {} {at_s}", period.as_str());
                    assert_eq!(zone.window(*period, span.ends_s - 1), Some(span), "{name} {} {at_s}", period.as_str());
                }
            }
        }
    }
}

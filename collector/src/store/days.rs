//! Days, UTC, and the moments at which they begin.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The day (UTC) of a time.
pub fn day_of(ns: i64) -> Option<String> {
    let time = Timestamp::from_nanosecond(i128::from(ns)).ok()?;
    Some(time.to_zoned(TimeZone::UTC).date().to_string())
}

/// When a day begins.
pub fn day_begins_ns(day: Date) -> i64 {
    let begin = day.to_zoned(TimeZone::UTC).map(|time| time.timestamp().as_nanosecond());
    begin.ok().and_then(|ns| i64::try_from(ns).ok()).unwrap_or(i64::MAX)
}

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

/// When an entry counts: when its call began; if it counts on another day, when it was written, or when that day began.
pub fn counts_ns(started_ns: i64, received_ns: i64, billed: Option<&str>) -> i64 {
    let Some(billed) = billed else { return started_ns };
    if day_of(received_ns).is_some_and(|day| day == billed) {
        return received_ns;
    }
    billed.parse::<Date>().map_or(received_ns, day_begins_ns)
}

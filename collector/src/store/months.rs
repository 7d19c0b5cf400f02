//! Months that are closed: what comes later about their calls counts in a month that is open.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

use super::days::{day_begins_ns, day_of};
use super::entry::{Entry, EntryId, Kind};

/// A month, UTC: `2026-10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(Date);

impl Month {
    /// The month of a day such as `2026-10-31`.
    pub fn of_day(day: &str) -> Option<Month> {
        Some(Month(day.parse::<Date>().ok()?.first_of_month()))
    }

    /// The month of a time.
    pub fn of(ns: i64) -> Option<Month> {
        Month::of_day(&day_of(ns)?)
    }

    /// When it begins.
    pub fn begins_ns(self) -> i64 {
        day_begins_ns(self.0)
    }

    /// Its first day.
    pub fn first_day(self) -> Date {
        self.0
    }

    /// Its last day.
    pub fn last_day(self) -> Date {
        self.0.last_of_month()
    }

    /// When it ends: what begins then is of the next.
    pub fn ends_ns(self) -> i64 {
        self.next().map_or(i64::MAX, Month::begins_ns)
    }

    fn next(self) -> Option<Month> {
        Some(Month(self.last_day().tomorrow().ok()?))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m"))
    }
}

impl FromStr for Month {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Month, &'static str> {
        const FORM: &str = "must be a month such as 2026-10";
        let digits = |at: usize, byte: u8| if at == 4 { byte == b'-' } else { byte.is_ascii_digit() };
        if text.len() != 7 || !text.bytes().enumerate().all(|(at, byte)| digits(at, byte)) {
            return Err(FORM);
        }
        Month::of_day(&format!("{text}-01")).ok_or(FORM)
    }
}

/// The months that are closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closed(BTreeSet<Month>);

impl Closed {
    /// Those that begin at these times.
    pub fn from_begins(begins_ns: impl IntoIterator<Item = i64>) -> Closed {
        Closed(begins_ns.into_iter().filter_map(Month::of).collect())
    }

    /// One more; false if it is closed already.
    pub fn insert(&mut self, month: Month) -> bool {
        self.0.insert(month)
    }

    /// Whether a month is closed.
    pub fn contains(&self, month: Month) -> bool {
        self.0.contains(&month)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Month> {
        self.0.iter().copied()
    }

    /// The day on which what is booked now about a call counts, if that is not the day on which the call began: today, and if
    /// a clock that is behind makes that a day of a closed month, the first day of the next one that is open.
    pub fn billed(&self, started_ns: i64, now_ns: i64) -> Option<String> {
        if !self.contains(Month::of(started_ns)?) {
            return None;
        }
        let mut month = Month::of(now_ns)?;
        if !self.contains(month) {
            return day_of(now_ns);
        }
        while self.contains(month) {
            month = month.next()?;
        }
        Some(month.first_day().to_string())
    }
}

/// What a closing says beside its month, as JSON: where each chain ended. What stands behind that came later.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Closing {
    month: String,
    /// Writer and last entry.
    heads: Vec<(i64, i64)>,
}

impl Closing {
    /// The closing of a month, where the chains end so.
    pub fn of(month: Month, heads: impl IntoIterator<Item = EntryId>) -> Closing {
        let mut heads: Vec<(i64, i64)> = heads.into_iter().map(|head| (head.writer, head.number)).collect();
        heads.sort_unstable();
        Closing { month: month.to_string(), heads }
    }

    /// What an entry says that closes a month.
    pub fn read(entry: &Entry) -> Option<(Month, Closing)> {
        let closing: Closing = serde_json::from_str(entry.event.as_deref()?).ok()?;
        let month: Month = closing.month.parse().ok()?;
        (entry.kind == Kind::MonthClosed && month.begins_ns() == entry.started_ns).then_some((month, closing))
    }

    /// As it stands in the entry.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Where each chain ended.
    pub fn heads(&self) -> impl Iterator<Item = EntryId> {
        self.heads.iter().map(|(writer, number)| EntryId { writer: *writer, number: *number })
    }

    /// Whether an entry came after it.
    pub fn is_before(&self, id: EntryId) -> bool {
        self.heads.iter().find(|(writer, _)| *writer == id.writer).is_none_or(|(_, last)| id.number > *last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ns(day: &str) -> i64 {
        day_begins_ns(day.parse().unwrap())
    }

    fn closed(months: &[&str]) -> Closed {
        Closed(months.iter().map(|month| month.parse().unwrap()).collect())
    }

    #[test]
    fn contract_a_month_is_four_digits_a_hyphen_and_two() {
        for bad in ["", "2026", "2026-1", "2026-13", "2026-00", "26-10", "2026-10-01", "2026/10", "+026-10", "２026-10"]
        {
            assert!(bad.parse::<Month>().is_err(), "{bad}");
        }
        let month: Month = "2024-02".parse().unwrap();
        assert_eq!((month.to_string(), month.last_day().to_string()), ("2024-02".to_owned(), "2024-02-29".to_owned()));
        assert_eq!(Month::of(month.begins_ns()), Some(month));
        assert_eq!(Month::of(month.begins_ns() - 1).unwrap().to_string(), "2024-01");
    }

    #[test]
    fn deterministic_what_comes_after_the_end_counts_on_an_open_day() {
        let closed = closed(&["2026-09", "2026-10", "2026-12"]);
        let billed = |began: &str, now: &str| closed.billed(ns(began) + 5, ns(now) + 7);
        assert_eq!(billed("2026-11-30", "2026-12-03"), None, "its month is open");
        assert_eq!(billed("2026-10-31", "2026-11-03").as_deref(), Some("2026-11-03"));
        assert_eq!(billed("2026-09-01", "2026-10-31").as_deref(), Some("2026-11-01"), "the clock is behind");
        assert_eq!(billed("2026-09-01", "2026-12-31").as_deref(), Some("2027-01-01"));
    }

    #[test]
    fn deterministic_a_closing_is_read_back_and_knows_what_came_later() {
        let id = |writer, number| EntryId { writer, number };
        let closing = Closing::of("2026-10".parse().unwrap(), [id(2, 9), id(1, 5)]);
        assert_eq!(closing.to_json(), r#"{"month":"2026-10","heads":[[1,5],[2,9]]}"#);
        for (entry, later) in [(id(1, 5), false), (id(1, 6), true), (id(2, 9), false), (id(3, 1), true)] {
            assert_eq!(closing.is_before(entry), later, "{entry}");
        }
    }
}

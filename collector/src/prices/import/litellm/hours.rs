//! Prices by the time of the day: the list's windows as the price book's hours and weekdays, both in UTC.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::draft::{Conditions, only};

/// The hour (UTC) at which the day begins in China, eight hours ahead and without a summer time.
const SHANGHAI: (&str, u32) = ("Asia/Shanghai", 16);
const HOURS: &str = "hours_utc";
const WEEKDAYS: &str = "weekdays";
const DAY_MINUTES: u32 = 24 * 60;

#[derive(Deserialize)]
struct OffPeak {
    #[serde(default)]
    windows: Vec<Window>,
    #[serde(default)]
    hours_utc: Option<Value>,
    #[serde(default)]
    weekday_timezone: Option<String>,
}

#[derive(Deserialize)]
struct Window {
    hours_utc: Value,
    #[serde(default)]
    weekdays: Option<BTreeSet<u8>>,
}

/// The conditions, each of which is enough; `None` if they cannot be said.
pub(super) fn conditions(value: &RawValue) -> Option<Vec<Conditions>> {
    let OffPeak { mut windows, hours_utc, weekday_timezone } = serde_json::from_str(value.get()).ok()?;
    windows.extend(hours_utc.map(|hours_utc| Window { hours_utc, weekdays: None }));
    let next_day_at = match weekday_timezone.as_deref() {
        None | Some("UTC") => None,
        Some(zone) if zone == SHANGHAI.0 => Some(SHANGHAI.1.checked_mul(60)?),
        Some(_) => return None,
    };
    let mut all = Vec::new();
    for Window { hours_utc, weekdays } in windows {
        let mut ranges = Vec::new();
        for text in texts(&hours_utc)? {
            ranges.extend(range(&text)?);
        }
        let Some(days) = weekdays else {
            all.push(hours(ranges));
            continue;
        };
        if days.iter().any(|day| !(1..=7).contains(day)) {
            return None;
        }
        // Behind midnight of the zone it is the next weekday there.
        let split = next_day_at.unwrap_or(DAY_MINUTES);
        let today = ranges.iter().map(|(from, to)| (*from, (*to).min(split))).filter(|(from, to)| from < to);
        let tomorrow = ranges.iter().map(|(from, to)| ((*from).max(split), *to)).filter(|(from, to)| from < to);
        let the_day_before = days.iter().map(|day| if *day == 1 { 7 } else { day.saturating_sub(1) }).collect();
        for (ranges, days) in [(today.collect::<Vec<_>>(), days.clone()), (tomorrow.collect(), the_day_before)] {
            if !ranges.is_empty() {
                let mut conditions = hours(ranges);
                conditions.extend(only(WEEKDAYS, days.iter().map(u8::to_string)));
                all.push(conditions);
            }
        }
    }
    (!all.is_empty() && all.iter().all(|conditions| !conditions.is_empty())).then_some(all)
}

fn hours(ranges: Vec<(u32, u32)>) -> Conditions {
    if ranges == [(0, DAY_MINUTES)] {
        return Conditions::new();
    }
    let time = |minutes: u32| {
        let (hour, minute) = (minutes.checked_div(60).unwrap_or(0), minutes.checked_rem(60).unwrap_or(0));
        format!("{:02}:{minute:02}", if hour == 24 { 0 } else { hour })
    };
    only(HOURS, ranges.into_iter().map(|(from, to)| format!("{}-{}", time(from), time(to))))
}

fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(values) => values.iter().map(|value| value.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// `16:30-00:30` as minutes of a day; over midnight as two.
pub(in crate::prices::import) fn range(text: &str) -> Option<Vec<(u32, u32)>> {
    let (from, to) = text.split_once('-')?;
    let (from, to) = (minutes(from)?, minutes(to)?);
    Some(match to {
        0 => vec![(from, DAY_MINUTES)],
        _ if from < to => vec![(from, to)],
        _ => vec![(from, DAY_MINUTES), (0, to)],
    })
}

fn minutes(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<u32>().ok()).flatten();
    let (hour, minute) = (number(hour)?, number(minute)?);
    (hour < 24 && minute < 60).then(|| hour.saturating_mul(60).saturating_add(minute))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(json: &str) -> Option<Vec<String>> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let line = |(key, values): (&&str, &BTreeSet<String>)| {
            format!("{key}={}", values.iter().cloned().collect::<Vec<_>>().join(","))
        };
        let all = conditions(raw)?;
        Some(all.iter().map(|one| one.iter().map(line).collect::<Vec<_>>().join(" ")).collect())
    }

    #[test]
    fn deterministic_windows_are_hours_and_weekdays_in_utc() {
        assert_eq!(said(r#"{"hours_utc": "16:30-00:30"}"#).unwrap(), ["hours_utc=00:00-00:30,16:30-00:00"]);
        let utc = r#"{"windows": [{"hours_utc": ["00:00-01:00", "10:00-00:00"], "weekdays": [1, 5]}]}"#;
        assert_eq!(said(utc).unwrap(), ["hours_utc=00:00-01:00,10:00-00:00 weekdays=1,5"]);
        let china = r#"{"weekday_timezone": "Asia/Shanghai", "windows": [{"hours_utc": ["04:00-06:00", "10:00-00:00"], "weekdays": [1, 5]}]}"#;
        let expected = ["hours_utc=04:00-06:00,10:00-16:00 weekdays=1,5", "hours_utc=16:00-00:00 weekdays=4,7"];
        assert_eq!(said(china).unwrap(), expected);
        let weekend = r#"{"windows": [{"hours_utc": "00:00-00:00", "weekdays": [6, 7]}]}"#;
        assert_eq!(said(weekend).unwrap(), ["weekdays=6,7"]);
        for odd in [
            r#"{"hours_utc": "25:00-26:00"}"#,
            r#"{"hours_utc": 5}"#,
            r#"{"windows": [{"hours_utc": "01:00-02:00", "weekdays": [0]}]}"#,
            r#"{"weekday_timezone": "Europe/Berlin", "windows": [{"hours_utc": "01:00-02:00", "weekdays": [1]}]}"#,
            "{}",
        ] {
            assert_eq!(said(odd), None, "{odd}");
        }
    }
}

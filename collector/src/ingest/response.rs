//! What a sender is told of a batch that was stored: how many events became what, and which of its numbers are in
//! quarantine: kept as an alarm and not charged, so that their sender must keep them too.

use std::collections::BTreeMap;

use serde::Serialize;

use super::refusal::Refusal;
use crate::ledger::Taken;
use crate::store::ranges::Range;

/// The longest header, bytes: far more than the numbers of a plugin's largest batch take.
const MAX_HEADER: usize = 16 << 10;

/// A number of an emitter.
pub type Number = (String, i64);

#[derive(Serialize)]
struct Body<'a> {
    #[serde(flatten)]
    taken: &'a Taken,
    /// By emitter, ranges of `[first, last]`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    quarantined: BTreeMap<&'a str, Vec<[i64; 2]>>,
}

/// What a sender is told of a batch that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The body, JSON.
    pub body: String,
    /// The value of the header that names the numbers in quarantine, if they are all of one emitter.
    pub quarantine: Option<String>,
}

impl Response {
    /// The response to what became of a batch.
    pub fn of(taken: &Taken) -> Result<Response, Refusal> {
        let ranges = ranges(&taken.not_charged);
        let pairs = |ranges: &Vec<Range>| ranges.iter().map(|range| [range.first, range.last]).collect();
        let quarantined = ranges.iter().map(|(emitter, ranges)| (*emitter, pairs(ranges))).collect();
        let body = serde_json::to_string(&Body { taken, quarantined });
        let quarantine = match (ranges.len(), ranges.values().next()) {
            (1, Some(ranges)) => Some(header(ranges)),
            _ => None,
        };
        Ok(Response { body: body.map_err(|error| Refusal::Internal(error.to_string()))?, quarantine })
    }
}

fn ranges(numbers: &[Number]) -> BTreeMap<&str, Vec<Range>> {
    let mut sorted: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (emitter, number) in numbers {
        sorted.entry(emitter).or_default().push(*number);
    }
    let joined = |mut numbers: Vec<i64>| {
        numbers.sort_unstable();
        let mut ranges: Vec<Range> = Vec::new();
        for number in numbers {
            match ranges.last_mut() {
                Some(range) if number <= range.last.saturating_add(1) => range.last = number,
                _ => ranges.push(Range { first: number, last: number }),
            }
        }
        ranges
    };
    sorted.into_iter().map(|(emitter, numbers)| (emitter, joined(numbers))).collect()
}

/// If it would be too long, one range covers the rest: who keeps more than it must loses nothing.
fn header(ranges: &[Range]) -> String {
    let text = |range: &Range| match range.first == range.last {
        true => range.first.to_string(),
        false => format!("{}-{}", range.first, range.last),
    };
    let mut value = String::new();
    for range in ranges {
        let comma = if value.is_empty() { "" } else { "," };
        let next = text(range);
        // Two numbers of 19 digits more always fit behind what is below the bound by so much.
        if value.len().saturating_add(next.len()).saturating_add(64) > MAX_HEADER {
            let last = ranges.last().map_or(range.last, |range| range.last);
            value.push_str(comma);
            value.push_str(&text(&Range { first: range.first, last }));
            break;
        }
        value.push_str(comma);
        value.push_str(&next);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(numbers: &[(&str, i64)]) -> (Option<String>, serde_json::Value) {
        let numbers: Vec<Number> = numbers.iter().map(|(emitter, number)| ((*emitter).to_owned(), *number)).collect();
        let alarms = numbers.len() as u64;
        let response = Response::of(&Taken { accepted: 2, alarms, not_charged: numbers, ..Taken::default() }).unwrap();
        (response.quarantine, serde_json::from_str(&response.body).unwrap())
    }

    #[test]
    fn contract_a_sender_is_told_which_numbers_are_not_charged() {
        let (header, body) = told(&[]);
        let counts = serde_json::json!({"accepted": 2, "duplicates": 0, "dead_letters": 0, "alarms": 0});
        assert_eq!((header, body), (None, counts));
        let (header, body) = told(&[("a", 9), ("a", 3), ("a", 8), ("a", 7), ("a", 8)]);
        assert_eq!(header.as_deref(), Some("3,7-9"));
        assert_eq!(body["quarantined"], serde_json::json!({"a": [[3, 3], [7, 9]]}));
        let (header, body) = told(&[("a", 1), ("b", 1)]);
        assert_eq!((header, &body["quarantined"]), (None, &serde_json::json!({"a": [[1, 1]], "b": [[1, 1]]})));
    }

    proptest! {
        #[test]
        fn deterministic_the_header_is_bounded_and_names_every_number(
            numbers in prop::collection::vec(1..=i64::MAX, 1..1500), close in any::<bool>()
        ) {
            let numbers: Vec<Number> =
                numbers.into_iter().map(|number| ("a".to_owned(), if close { number % 2000 } else { number })).collect();
            let value = header(&ranges(&numbers)["a"]);
            prop_assert!(value.len() <= MAX_HEADER);
            let named: Vec<(i64, i64)> = value
                .split(',')
                .map(|part| part.split_once('-').unwrap_or((part, part)))
                .map(|(first, last)| (first.parse().unwrap(), last.parse().unwrap()))
                .collect();
            for (_, number) in &numbers {
                prop_assert!(named.iter().any(|(first, last)| first <= number && number <= last), "{}", number);
            }
        }
    }
}

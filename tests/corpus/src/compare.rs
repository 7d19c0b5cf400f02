//! One event against the truth.

use serde::Serialize;
use serde_json::Value;

use crate::Truth;

/// The five counts that money depends on, tokens. Totals are absent if nothing was reported; the parts are 0 then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All input, cache included.
    pub input: Option<u64>,
    /// All output, reasoning included.
    pub output: Option<u64>,
    /// Read from a cache.
    pub cache_read: u64,
    /// Written to a cache.
    pub cache_write: u64,
    /// Reasoning.
    pub reasoning: u64,
}

/// How an event differs from the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Other counts than reported.
    Wrong,
    /// No counts, though some were reported.
    Missed,
    /// Counts, though none were reported.
    False,
}

impl Problem {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Problem::Wrong => "wrong",
            Problem::Missed => "missed",
            Problem::False => "false",
        }
    }
}

/// Compares what a meter says with what is true. An estimate is no report: it claims nothing that could be compared.
pub fn compare(event: Option<&Value>, truth: &Truth) -> Result<(), Problem> {
    match (truth.has_usage, event.and_then(Counts::of_event)) {
        (true, Some(ours)) if ours == Counts::of_truth(truth) => Ok(()),
        (true, Some(_)) => Err(Problem::Wrong),
        (true, None) => Err(Problem::Missed),
        (false, Some(_)) => Err(Problem::False),
        (false, None) => Ok(()),
    }
}

impl Counts {
    /// What an event reports, if it reports tokens.
    pub fn of_event(event: &Value) -> Option<Counts> {
        let usage = event["data"].as_object()?;
        let flags = event["data"]["flags"].as_array();
        let is_estimated = flags.is_some_and(|flags| flags.contains(&"output_estimated".into()));
        let is_reported = matches!(usage.get("evidence")?.as_str()?, "reported" | "partial");
        let total = |name: &str| usage.get(name).and_then(Value::as_u64);
        let sum = |prefix: &str| -> u64 {
            let of_prefix = usage.iter().filter(|(name, _)| name.starts_with(prefix) && name.ends_with("_tokens"));
            of_prefix.filter_map(|(_, count)| count.as_u64()).sum()
        };
        let counts = Counts {
            input: total("input_tokens"),
            output: total("output_tokens").filter(|_| !is_estimated),
            cache_read: sum("cache_read_"),
            cache_write: sum("cache_write_"),
            reasoning: sum("output_reasoning_"),
        };
        (is_reported && (counts.input.is_some() || counts.output.is_some())).then_some(counts)
    }

    /// What is true.
    pub fn of_truth(truth: &Truth) -> Counts {
        // Some recorders write counts with a fraction of zero.
        let whole = |count: Option<f64>| count.map(|count| count as u64);
        let totals = truth.canonical.as_ref();
        Counts {
            input: whole(totals.and_then(|totals| totals.input_total)),
            output: whole(totals.and_then(|totals| totals.output_total)),
            cache_read: whole(truth.cached_input_tokens).unwrap_or(0),
            cache_write: whole(truth.cache_creation_tokens).unwrap_or(0),
            reasoning: whole(truth.reasoning_tokens).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn deterministic_every_verdict() {
        let truth = |value: Value| serde_json::from_value::<Truth>(value).unwrap();
        let with = truth(json!({
            "id": "a", "has_usage": true, "canonical": {"input_total": 9.0, "output_total": 4},
            "cached_input_tokens": 5, "cache_creation_tokens": null, "reasoning_tokens": 1
        }));
        let without = truth(json!({"id": "a", "has_usage": false}));
        let event = json!({"data": {
            "evidence": "reported", "input_tokens": 9, "output_tokens": 4, "input_text_tokens": 4,
            "cache_read_tokens": 2, "cache_read_audio_tokens": 2, "cache_read_unbilled_tokens": 1,
            "output_text_tokens": 3, "output_reasoning_tokens": 1
        }});
        assert_eq!(compare(Some(&event), &with), Ok(()));
        assert_eq!(compare(Some(&event), &without), Err(Problem::False));
        assert_eq!(compare(None, &with), Err(Problem::Missed));
        assert_eq!(compare(None, &without), Ok(()));
        for (name, value) in [
            ("input_tokens", json!(8)),
            ("output_tokens", Value::Null),
            ("cache_read_tokens", json!(3)),
            ("cache_write_1h_tokens", json!(1)),
            ("output_reasoning_tokens", json!(0)),
        ] {
            let mut other = event.clone();
            other["data"][name] = value;
            assert_eq!(compare(Some(&other), &with), Err(Problem::Wrong), "{name}");
        }
        for evidence in ["estimated", "missing"] {
            let mut other = event.clone();
            other["data"]["evidence"] = evidence.into();
            assert_eq!(compare(Some(&other), &with), Err(Problem::Missed), "{evidence}");
            assert_eq!(compare(Some(&other), &without), Ok(()), "{evidence}");
        }
        let input_only =
            truth(json!({"id": "a", "has_usage": true, "canonical": {"input_total": 9, "output_total": null}}));
        let mut broke_off = json!({"data": {"evidence": "partial", "input_tokens": 9, "output_tokens": 4}});
        assert_eq!(compare(Some(&broke_off), &input_only), Err(Problem::Wrong));
        broke_off["data"]["flags"] = json!(["output_estimated"]);
        assert_eq!(compare(Some(&broke_off), &input_only), Ok(()));
        let units_only = json!({"data": {"evidence": "reported", "search_units": 3}});
        assert_eq!(compare(Some(&units_only), &without), Ok(()));
    }
}

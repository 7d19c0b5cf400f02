//! What a call is charged against what is true: classes and units beside the totals, and the sum in USD.

use serde_json::{Value, json};

use crate::rows::Rows;
use crate::{Recording, Truth};

/// What a collector makes of the events of one call, its parts included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// The sum of all that has a price, an exact decimal number.
    pub usd: String,
    /// What was counted and has no price: the model and the class.
    pub unpriced: Vec<String>,
    /// Whether a price stands in for one that the book does not name.
    pub fallback: bool,
    /// The entries of the price book.
    pub entries: Vec<String>,
}

/// How a charge compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As the truth has it.
    Exact,
    /// Something that was counted has no price.
    Unpriced,
    /// Another sum, another class, or no record at all; `silent` if nothing on the record says that it may be so.
    Wrong {
        /// No flag, no fallback, no evidence but `reported`, and no count without a price.
        silent: bool,
    },
}

const COLUMNS: [&str; 7] = ["cases", "exact", "wrong", "unpriced", "silent", "calls", "priced"];

/// The sums so far, by provider.
#[derive(Debug)]
pub struct Money(Rows<{ COLUMNS.len() }>);

impl Default for Money {
    fn default() -> Self {
        Money(Rows::new(COLUMNS))
    }
}

/// Providers without a list of prices: what they serve is run by whoever asks, or is paid for by the hour.
const WITHOUT_LIST: [&str; 2] = ["ollama", "self_hosted"];
/// Hosts and paths of such services of providers that have a list. Hugging Face sells its own inference by the time of a machine.
const SERVICES_WITHOUT_LIST: [&str; 3] =
    [".endpoints.huggingface.cloud/", "api-inference.huggingface.co/", "router.huggingface.co/hf-inference/"];

/// Whether a call was sold by a list price, by the provider (`data.provider`). Where only the API's shape is known, the host is not.
pub fn is_commercial(recording: &Recording, event: &Value) -> bool {
    let provider = event["data"]["provider"].as_str().unwrap_or_default();
    let is_known = !provider.is_empty() && !provider.ends_with("_compatible") && !WITHOUT_LIST.contains(&provider);
    let place = format!("{}{}", recording.host, recording.path);
    is_known && !SERVICES_WITHOUT_LIST.iter().any(|service| place.contains(service))
}

/// What differs from the truth in a call's events and its bill, in words; empty if nothing does.
pub fn differences(truth: &Truth, events: &[Value], bill: &Bill) -> Vec<String> {
    let mut all = record_differences(truth, events);
    let is_unpriced = Value::from(!bill.unpriced.is_empty());
    if let Some(wanted) = truth.expected().find_map(|(name, wanted)| (name == "unpriced").then_some(wanted)) {
        all.extend((*wanted != is_unpriced).then(|| format!("unpriced {is_unpriced} not {wanted}")));
    }
    if let Some(wanted) = truth.usd() {
        if events.is_empty() {
            all.push("no record".to_owned());
        }
        if Number::read(&bill.usd).as_ref() != Some(&wanted) {
            all.push(format!("{} USD", bill.usd));
        }
    }
    all
}

/// The same of the events alone: classes, parts, and what must hold of the record.
pub fn record_differences(truth: &Truth, events: &[Value]) -> Vec<String> {
    let first = events.first().unwrap_or(&Value::Null);
    let mut all: Vec<String> = truth.expected().filter_map(|(name, wanted)| expected(name, wanted, first)).collect();
    if let Some(classes) = &truth.classes {
        let whole = |name: &str| events.iter().find(|event| event["data"]["part"].as_str().unwrap_or_default() == name);
        for (name, wanted) in classes {
            match name.strip_prefix("part:") {
                None => all.extend(class(name, wanted, whole("").unwrap_or(&Value::Null), "")),
                Some(part) => match (whole(part), wanted.as_object()) {
                    (Some(event), Some(wanted)) => {
                        all.extend(wanted.iter().filter_map(|(name, wanted)| class(name, wanted, event, part)));
                    }
                    _ => all.push(format!("no part {part}")),
                },
            }
        }
    }
    all
}

/// What must hold beside the counts: a field of the record, by its name.
fn expected(name: &str, wanted: &Value, event: &Value) -> Option<String> {
    let data = &event["data"];
    let ours = match name {
        // What the client sees, and what the price book has, are compared elsewhere.
        "client_same" | "status" | "unpriced" => return None,
        "model" => model(data),
        name => &data[name],
    };
    (ours != wanted).then(|| format!("{name} {ours} not {wanted}"))
}

fn model(data: &Value) -> &Value {
    if data["response_model"].is_null() { &data["request_model"] } else { &data["response_model"] }
}

fn class(name: &str, wanted: &Value, event: &Value, part: &str) -> Option<String> {
    let data = &event["data"];
    let of = if part.is_empty() { String::new() } else { format!("{part} ") };
    if name == "model" {
        let ours = model(data);
        return (ours != wanted).then(|| format!("{of}model {ours} not {wanted}"));
    }
    let ours = data[name].as_u64().unwrap_or(0);
    (wanted.as_u64() != Some(ours)).then(|| format!("{of}{name} {ours} not {wanted}"))
}

/// What a call is beside its truth, if the truth says anything of money.
pub fn verdict(truth: &Truth, events: &[Value], bill: &Bill) -> Option<Verdict> {
    if truth.usd().is_none() && truth.classes.as_ref().is_none_or(|classes| classes.is_empty()) {
        return None;
    }
    if truth.usd().is_some() && !bill.unpriced.is_empty() && !truth.may_be_unpriced() {
        return Some(Verdict::Unpriced);
    }
    if differences(truth, events, bill).is_empty() {
        return Some(Verdict::Exact);
    }
    let is_marked = |event: &Value| {
        let data = &event["data"];
        let has_flags = data["flags"].as_array().is_some_and(|flags| !flags.is_empty());
        has_flags || data["evidence"] != "reported" || !data["unknown_usage"].is_null()
    };
    let silent = !bill.fallback && bill.unpriced.is_empty() && !events.iter().any(is_marked);
    Some(Verdict::Wrong { silent })
}

impl Money {
    /// Adds a call; returns its difference, if there is one, as members of a JSON object.
    pub fn add(
        &mut self,
        recording: &Recording,
        truth: &Truth,
        events: &[Value],
        bill: &Bill,
    ) -> Option<(String, Value)> {
        let differs = differences(truth, events, bill);
        let verdict = verdict(truth, events, bill);
        let is_call = events
            .first()
            .is_some_and(|event| event["data"]["evidence"] == "reported" && is_commercial(recording, event));
        let is_priced = bill.unpriced.is_empty();
        let marks = [
            verdict.is_some(),
            verdict == Some(Verdict::Exact),
            matches!(verdict, Some(Verdict::Wrong { .. })),
            verdict == Some(Verdict::Unpriced),
            verdict == Some(Verdict::Wrong { silent: true }),
            is_call,
            is_call && is_priced,
        ];
        self.0.add(&recording.provider, marks);
        let problem = match verdict {
            Some(Verdict::Wrong { silent: true }) => "charge wrong, silent",
            Some(Verdict::Wrong { silent: false }) => "charge wrong",
            Some(Verdict::Unpriced) => "charge unpriced",
            _ if !differs.is_empty() => "not as expected",
            _ if is_call && !is_priced && !truth.may_be_unpriced() => "commercial and unpriced",
            _ => return None,
        };
        let details = json!({
            "differs": differs,
            "usd": {"ours": bill.usd, "truth": truth.usd},
            "unpriced": bill.unpriced,
            "entries": bill.entries,
            "why": truth.why,
        });
        Some((problem.to_owned(), details))
    }

    /// The table.
    pub fn table(&self) -> String {
        self.0.table(|row| row.iter().any(|count| *count > 0))
    }

    /// The members of the line for machines.
    pub fn members(&self) -> String {
        let [cases, exact, wrong, unpriced, silent, calls, priced] = self.0.sums();
        format!(
            "\"usd\":{{\"cases\":{cases},\"exact\":{exact},\"wrong\":{wrong},\"unpriced\":{unpriced},\"silent\":{silent}}},\
             \"commercial\":{{\"calls\":{calls},\"priced\":{priced}}}"
        )
    }
}

/// A decimal number that is not negative, as its digits say: equal numbers are equal however they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    digits: String,
    exponent: i64,
}

impl Number {
    /// Reads `0.0125` and `1.25e-2`; `None` for anything else.
    pub fn read(text: &str) -> Option<Number> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{decimals}");
        if whole.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = all.trim_start_matches('0');
        let kept = digits.trim_end_matches('0');
        let exponent = exponent.parse::<i64>().ok()? + (digits.len() - kept.len()) as i64 - decimals.len() as i64;
        Some(Number { digits: kept.to_owned(), exponent: if kept.is_empty() { 0 } else { exponent } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(value: Value) -> Truth {
        serde_json::from_value(value).unwrap()
    }

    fn bill(usd: &str) -> Bill {
        Bill { usd: usd.to_owned(), ..Bill::default() }
    }

    #[test]
    fn deterministic_numbers_are_equal_however_they_are_written() {
        for (one, other) in [("0.0125", "1.25e-2"), ("0", "0.00"), ("100", "1e2"), ("0.10", "0.1"), ("105.0", "105")] {
            assert_eq!(Number::read(one), Number::read(other), "{one} {other}");
        }
        assert_ne!(Number::read("0.1"), Number::read("0.01"));
        assert_ne!(Number::read("0"), Number::read("0.000000000000000000000001"));
        for text in ["FW", "", "-1", "1.2.3", "1e", "0x1"] {
            assert_eq!(Number::read(text), None, "{text}");
        }
    }

    #[test]
    fn deterministic_every_verdict_on_money() {
        let owed = truth(json!({"id": "a", "has_usage": true, "usd": "0.05", "classes": {"web_searches": 2}}));
        let event = json!({"data": {"evidence": "reported", "provider": "openai", "web_searches": 2}});
        let one = std::slice::from_ref(&event);
        assert_eq!(verdict(&owed, one, &bill("0.050")), Some(Verdict::Exact));
        assert_eq!(verdict(&owed, one, &bill("0.04")), Some(Verdict::Wrong { silent: true }));
        assert_eq!(verdict(&owed, &[], &bill("0.00")), Some(Verdict::Wrong { silent: true }));
        let without = Bill { unpriced: vec!["m web_searches".to_owned()], ..bill("0.04") };
        assert_eq!(verdict(&owed, one, &without), Some(Verdict::Unpriced));
        assert_eq!(verdict(&owed, one, &Bill { fallback: true, ..bill("1") }), Some(Verdict::Wrong { silent: false }));
        for (name, value) in
            [("flags", json!(["bad_value"])), ("evidence", json!("estimated")), ("unknown_usage", json!("usage.x"))]
        {
            let mut marked = event.clone();
            marked["data"][name] = value;
            assert_eq!(verdict(&owed, &[marked], &bill("1")), Some(Verdict::Wrong { silent: false }), "{name}");
        }
        let mut other = event.clone();
        other["data"]["web_searches"] = 1.into();
        assert_eq!(differences(&owed, &[other], &bill("0.05")), ["web_searches 1 not 2"]);
        for usd in [Value::Null, json!("FW")] {
            assert_eq!(verdict(&truth(json!({"id": "a", "has_usage": true, "usd": usd})), one, &bill("1")), None);
        }
        let free = truth(json!({"id": "a", "has_usage": true, "usd": "0"}));
        assert_eq!(verdict(&free, one, &bill("0.00")), Some(Verdict::Exact));
    }

    #[test]
    fn contract_parts_and_what_is_expected_are_compared() {
        let owed = truth(json!({
            "id": "a", "has_usage": true, "classes": {"part:x": {"model": "m", "output_text_tokens": 5}},
            "expect": {"provider": "gcp.gemini", "evidence": "partial", "unpriced": true, "client_same": true}
        }));
        let call = json!({"data": {"evidence": "reported", "provider": "openai"}});
        let part =
            json!({"data": {"evidence": "reported", "part": "x", "response_model": "m", "output_text_tokens": 4}});
        let found = differences(&owed, &[call.clone(), part], &bill("1"));
        let expected = [
            "evidence \"reported\" not \"partial\"",
            "provider \"openai\" not \"gcp.gemini\"",
            "x output_text_tokens 4 not 5",
            "unpriced false not true",
        ];
        assert_eq!(found, expected);
        assert!(differences(&owed, &[call], &bill("1")).contains(&"no part x".to_owned()));
    }

    #[test]
    fn contract_only_who_sells_by_a_list_is_commercial() {
        let recording = |host: &str| -> Recording {
            serde_json::from_value(
                json!({"id": "a", "provider": "p", "host": host, "path": "/", "status": 200, "body_file": "b"}),
            )
            .unwrap()
        };
        let event = |provider: &str| json!({"data": {"provider": provider}});
        assert!(is_commercial(&recording("api.openai.com"), &event("openai")));
        assert!(!is_commercial(&recording("localhost"), &event("openai_compatible")));
        assert!(!is_commercial(&recording("ollama.com"), &event("ollama")));
        assert!(!is_commercial(&recording("localhost"), &event("self_hosted")));
        assert!(!is_commercial(&recording("x.us-east-1.aws.endpoints.huggingface.cloud"), &event("huggingface")));
    }
}

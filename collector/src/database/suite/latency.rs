//! Percentiles: which calls they are of.

use wire::record::Outcome;

use super::*;
use crate::report::latency::Latency;
use crate::report::{Bounds, Format, Question, ReportError};
use crate::store::months::Month;

/// 2026-11-03 and 2026-10-26.
const NOVEMBER_NS: i64 = 1_793_664_000_000_000_000;
const OCTOBER_NS: u64 = 1_793_000_000_000_000_000;

pub fn run(fresh: Fresh<'_>) {
    each_completed_call_is_there_once(fresh);
}

fn record(number: u64) -> Record {
    let mut record = Record { provider: "openai".to_owned(), evidence: Evidence::Reported, ..Record::default() };
    record.response_model = Some("responded".to_owned());
    record.started_ns = OCTOBER_NS;
    record.outcome = Outcome::Completed;
    record.duration_us = number * 1000;
    record.time_to_first_token_us = number.is_multiple_of(2).then_some(number * 100);
    record.usage.set(Class::InputText, Some(1));
    record
}

fn asked(reader: &dyn Reader, by: &str, bounds: &mut Bounds<'_>) -> Result<serde_json::Value, ReportError> {
    let parameters = [("since", "2026-10"), ("until", "2026-11"), ("by", by)];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let question = Question::of(crate::report::Kind::Latency, parameters.to_vec(), NOVEMBER_NS).unwrap();
    let text = Latency::within(reader, question, bounds)?.render(Format::Json)?;
    Ok(serde_json::from_str(&text).unwrap())
}

/// Also what was entered anew after its month was closed: it counts in two months, and took its time once.
fn each_completed_call_is_there_once(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    let mut deliver = |number: u64, record: &Record| {
        let arrivals = vec![Arrival::new(wire::event::encode(record, &emitter(1), number))];
        ledger.append(&[&Delivery { sender: sender(false), statement: None, arrivals }], OCTOBER_NS as i64).unwrap();
    };
    (1..=100).for_each(|number| deliver(number, &record(number)));
    // Events of one's own may not say how long it took.
    let of_own = Record { duration_us: 0, time_to_first_token_us: None, evidence: Evidence::Estimated, ..record(1) };
    deliver(104, &of_own);
    deliver(101, &Record { outcome: Outcome::ClientAborted, ..record(5_000_000) });
    deliver(102, &Record { outcome: Outcome::Refused, ..record(1) });
    deliver(103, &Record { part: Some("image".to_owned()), ..record(7_000_000) });
    let asked_all = |by: &str| asked(&*reader, by, &mut Bounds { calls: u64::MAX, each: &mut |_| Ok(()) }).unwrap();
    let found = asked_all("provider,model");
    let expected = serde_json::json!({"provider": "openai", "model": "responded", "calls": 101,
        "duration_us": {"calls": 100, "p50": 49_920, "p90": 89_600, "p95": 94_720, "p99": 98_816},
        "time_to_first_token_us": {"calls": 50, "p50": 5_024, "p90": 9_024, "p95": 9_664, "p99": 10_048}});
    assert_eq!(found["lines"], serde_json::json!([expected]));
    assert_eq!(found["incomplete"], 2);
    let by_evidence = asked_all("evidence");
    let lines = by_evidence["lines"].as_array().unwrap();
    let told: Vec<_> = lines.iter().map(|line| (line["evidence"].as_str().unwrap(), line["calls"].as_u64())).collect();
    assert_eq!(told, [("estimated", Some(1)), ("reported", Some(100))]);
    assert_eq!(found["total"]["duration_us"], expected["duration_us"]);

    assert!(ledger.close_month("2026-10".parse::<Month>().unwrap(), "", NOVEMBER_NS).unwrap().is_ok());
    let book = PriceBook::parse(BOOK).unwrap();
    let standing: Vec<Entry> = all(|each| reader.standing(&Selection::default(), each));
    let priced = standing.into_iter().filter_map(|entry| Correction::by(&book, entry, "late").unwrap());
    let priced: Vec<Correction> = priced.collect();
    assert!(priced.len() > 100);
    ledger.correct(&priced, NOVEMBER_NS).unwrap();
    assert_eq!(asked_all("provider,model")["lines"], found["lines"]);

    let few = asked(&*reader, "provider", &mut Bounds { calls: 10, each: &mut |_| Ok(()) });
    assert!(matches!(few, Err(ReportError::TooMuch(_))), "{few:?}");
}

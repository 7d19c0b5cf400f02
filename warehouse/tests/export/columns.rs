//! What is in a file is what the row says, exactly.

use std::collections::BTreeSet;

use jiff::civil::date;
use serde_json::{Value, json};
use warehouse::{Bounds, Line, Position, Row, Selection, tenant_hash};
use wire::usage::Class;

use crate::support::*;

fn amount(yocto: i128) -> Value {
    json!(yocto.to_string())
}

/// Writes one row and reads it.
fn written(row: &Row) -> Result<Value, warehouse::Error> {
    struct One<'r>(&'r Row);
    impl warehouse::Source for One<'_> {
        fn ends(&self) -> Result<Vec<Position>, warehouse::Error> {
            Ok(vec![self.0.position])
        }
        fn hash(&self, _: Position) -> Result<Option<[u8; 32]>, warehouse::Error> {
            Ok(Some(self.0.hash))
        }
        fn rows(
            &self,
            _: &warehouse::End,
            _: i64,
            each: &mut dyn FnMut(Row) -> Result<(), warehouse::Error>,
        ) -> Result<(), warehouse::Error> {
            each(self.0.clone())
        }
    }
    let dir = Temporary::new();
    warehouse::export(&One(row), &dir.place(), &Selection::default(), Bounds::default(), &mut |_| ())?;
    let found = files(&dir.0);
    assert_eq!(found.len(), 1);
    Ok(rows_of(&found[0]).remove(0))
}

#[test]
fn contract_a_row_is_read_back_exactly() {
    let event = json!({
        "operation": "chat", "stream": true, "status": 200, "flags": ["bad_value", "not_billed"],
        "tags": [["team", "rot", "jwt"], ["team", "blau", "header"], ["quote\"", "", "header"]],
        "emitter": "another", "attempts": "not a number", "response_id": "\u{0}x", "duration_us": 9_007_199_254_740_991_i64,
    });
    let line = |class, quantity, charge, cost| Line { class, quantity, charge, cost, unpriced: 1, fallback: -2 };
    let highest = 10_i128.pow(38) - 1;
    let row = Row {
        hash: std::array::from_fn(|at| at as u8),
        refers: Some(Position { writer: 3, entry: 4 }),
        adjusts: Some("2026-09".to_owned()),
        day: date(2026, 11, 29),
        started_ns: -1,
        charge: -highest,
        cost: highest,
        reason: Some("looked at".to_owned()),
        rating: Some("{}".to_owned()),
        call: event.as_object().cloned(),
        calls: -1,
        lines: vec![
            line(Class::InputText, -7, -highest, 0),
            line(Class::CacheRead, -5, 1, -1),
            line(Class::OutputText, -3, 0, 0),
            line(Class::WebSearches, -2, 0, highest),
        ],
        ..note(Position { writer: 1, entry: 1 }, date(2026, 11, 29), "acme/ml")
    };
    let read = written(&row).unwrap();
    for (name, expected) in [
        ("writer", json!(1)),
        ("hash", json!((0..32).map(|byte| format!("{byte:02x}")).collect::<String>())),
        ("kind", json!("call")),
        ("refers_writer", json!(3)),
        ("refers_entry", json!(4)),
        ("reason", json!("looked at")),
        ("emitter", json!(format!("{:032x}", 1))),
        ("day", json!(20_786)),
        ("adjusts", json!("2026-09")),
        // Half a microsecond before 1970 is in the microsecond before.
        ("started_at", json!(-1)),
        ("started_ns", json!(-1)),
        ("received_at", json!(1_793_000_000_000_000_i64)),
        ("received_ns", json!(1_793_000_000_000_000_999_i64)),
        ("tenant", json!("acme/ml")),
        ("charge_usd", amount(-highest)),
        ("cost_usd", amount(highest)),
        ("calls", json!(-1)),
        ("input_tokens", json!(-12)),
        ("output_tokens", json!(-3)),
        ("input_text_tokens", json!(-7)),
        ("cache_read_tokens", json!(-5)),
        ("web_searches", json!(-2)),
        ("input_audio_tokens", Value::Null),
        ("operation", json!("chat")),
        ("stream", json!(true)),
        ("status", json!(200)),
        ("attempts", Value::Null),
        ("response_id", json!("\u{0}x")),
        ("duration_us", json!(9_007_199_254_740_991_i64)),
        ("flags", json!(["bad_value", "not_billed"])),
        ("tags", json!([["team", "rot"], ["quote\"", ""]])),
        ("session_id", Value::Null),
    ] {
        assert_eq!(read[name], expected, "{name}");
    }
    let lines = read["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 4);
    let second = json!({"class": "cache_read_tokens", "quantity": -5, "charge_usd": "1", "cost_usd": "-1", "unpriced": 1, "fallback": -2});
    assert_eq!(lines[1], second);
    let names: BTreeSet<String> = read.as_object().unwrap().keys().cloned().collect();
    let columns: BTreeSet<String> = warehouse::columns::columns().iter().map(|column| column.name.to_owned()).collect();
    assert_eq!(names, columns);
}

#[test]
fn contract_what_is_absent_is_null_and_a_list_of_nothing_is_empty() {
    let read = written(&note(Position { writer: 1, entry: 1 }, date(2026, 11, 29), "")).unwrap();
    let columns = warehouse::columns::columns();
    for column in columns.iter().filter(|column| !column.is_required && column.name != "event") {
        assert_eq!(read[column.name], Value::Null, "{}", column.name);
    }
    for name in ["flags", "tags", "lines"] {
        assert_eq!(read[name], json!([]), "{name}");
    }
}

#[test]
fn contract_an_amount_that_does_not_fit_is_refused_and_never_rounded() {
    let row = note(Position { writer: 2, entry: 9 }, date(2026, 11, 29), "acme");
    let line = Line { class: Class::Pages, quantity: 1, charge: 0, cost: 0, unpriced: 0, fallback: 0 };
    let too_much = 10_i128.pow(38);
    for row in [
        Row { charge: too_much, ..row.clone() },
        Row { cost: -too_much, ..row.clone() },
        Row { charge: i128::MIN, ..row.clone() },
        Row { lines: vec![Line { charge: too_much, ..line.clone() }], ..row.clone() },
        Row { lines: vec![Line { cost: i128::MAX, ..line }], ..row.clone() },
    ] {
        let why = "entry 2:9: an amount of 100,000,000,000,000 USD or more does not fit into DECIMAL(38,24)";
        assert_eq!(written(&row).unwrap_err().to_string(), why);
    }
}

#[test]
fn contract_tenants_that_belong_together_are_in_one_part() {
    assert_eq!(tenant_hash("acme"), tenant_hash("acme/ml/search"));
    let parts: BTreeSet<u8> = (0..200).map(|number| tenant_hash(&format!("tenant-{number}"))).collect();
    assert_eq!(parts, (0..16).collect());
    // As `sha256sum` says: 82 and e3.
    assert_eq!((tenant_hash("acme"), tenant_hash("")), (8, 14));
}

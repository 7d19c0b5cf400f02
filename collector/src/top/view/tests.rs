use std::collections::BTreeMap;
use std::time::Instant;

use super::super::rows::{Amounts, Key};
use super::*;
use crate::doctor::code::Code;

fn key(tenant: &str, model: &str) -> Key {
    Key { tenant: tenant.to_owned(), provider: "openai".to_owned(), model: model.to_owned() }
}

/// One of nothing.
fn reading(at: Instant) -> Reading {
    Reading {
        at,
        day: "2026-11-29".to_owned(),
        rows: Ok(BTreeMap::new()),
        budgets: Ok(Vec::new()),
        refused: BTreeMap::new(),
        findings: Vec::new(),
    }
}

fn budget(name: &str, tenant: &str, spent: &str) -> Budget {
    Budget {
        name: name.to_owned(),
        tenant: Some(tenant.to_owned()),
        mode: "hard".to_owned(),
        window: "day".to_owned(),
        unit: "tokens".to_owned(),
        limit: "1000".to_owned(),
        spent: spent.to_owned(),
        left: "0".to_owned(),
        ..Budget::default()
    }
}

fn view(rows: &[(&str, &str)], findings: Vec<Finding>) -> View {
    let mut view = View::new("http://127.0.0.1:8080".to_owned(), Duration::from_secs(5), By::Both, Sort::Name);
    let amounts = |calls, unpriced| Amounts { calls, tokens: 1_234_567, charge: "0.123456".parse().unwrap(), unpriced };
    let at = Instant::now();
    for (calls, at) in [(10, at), (13, at + Duration::from_secs(30))] {
        let rows: BTreeMap<_, _> =
            rows.iter().map(|(tenant, model)| (key(tenant, model), amounts(calls, *tenant == "acme"))).collect();
        view.take(Reading { rows: Ok(rows), findings: findings.clone(), ..reading(at) });
    }
    view
}

#[test]
fn contract_a_frame_has_rows_totals_and_what_is_wrong() {
    let finding = |code, what: &str| Finding { code, at: String::new(), what: what.to_owned() };
    let findings =
        vec![finding(Code::NumbersMissing, "2 records are missing"), finding(Code::VersionsDiffer, "not worth a line")];
    let text = view(&[("acme", "gpt-4.1"), ("beta/ml", "gpt-4.1-mini")], findings).text(140, 8);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 8, "{text}");
    assert_eq!(
        lines[0],
        "meshmeter top  http://127.0.0.1:8080  2026-11-29 UTC, every 5 s, by name, rates of the last 30 s"
    );
    let first = View::new("http://c".to_owned(), Duration::from_secs(5), By::Both, Sort::Name);
    assert!(!first.text(140, 8).contains("rates"), "there are none yet");
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words(lines[2]), "TENANT PROVIDER MODEL CALLS TOKENS CHARGE USD CALLS/MIN TOKENS/MIN USD/H");
    assert_eq!(words(lines[3]), "all (2) 26 2,469,134 0.2469 * 12 0 0.00");
    assert_eq!(words(lines[4]), "acme openai gpt-4.1 13 1,234,567 0.1235 * 6 0 0.00");
    assert_eq!(words(lines[5]), "beta/ml openai gpt-4.1-mini 13 1,234,567 0.1235 6 0 0.00");
    assert_eq!(lines[7], "numbers_missing: 2 records are missing");
}

#[test]
fn contract_names_cannot_steer_the_terminal_or_another_column() {
    let hostile = "\u{1b}[2J\u{202e}a\r\nb";
    let text = view(&[(hostile, "m\u{9b}31m")], Vec::new()).text(160, 7);
    assert!(text.contains("\\u{1b}[2J\\u{202e}a\\r\\nb"), "{text}");
    assert!(text.chars().all(|c| c == '\n' || crate::terminal::is_plain(c)), "{text}");
    assert_eq!(text.lines().last(), Some("nothing is wrong"));
    // Wide letters take two places, and what does not fit is left out.
    let text = view(&[(&"漢".repeat(200), "m")], Vec::new()).text(60, 7);
    assert_eq!(text.lines().count(), 7);
}

#[test]
fn contract_any_size_of_the_terminal_will_do() {
    let rows: Vec<String> = (0..300).map(|number| format!("tenant-{number:03}")).collect();
    let rows: Vec<(&str, &str)> = rows.iter().map(|tenant| (tenant.as_str(), "m")).collect();
    let mut view = view(&rows, Vec::new());
    for (width, height) in [(0, 0), (1, 1), (3, 2), (20, 5), (500, 3), (160, 400)] {
        assert_eq!(view.text(width, height).lines().count(), usize::from(height));
    }
    assert!(view.text(160, 10).contains("tenant-004") && !view.text(160, 10).contains("tenant-005"));
    view.scroll(isize::MAX);
    assert!(view.text(160, 10).contains("tenant-299"), "the last rows fill the screen");
    view.scroll(isize::MIN);
    assert!(view.text(160, 10).contains("tenant-000"));
}

#[test]
fn contract_groups_have_their_columns() {
    let mut view = view(&[("acme", "gpt-4.1"), ("beta", "gpt-4.1")], Vec::new());
    view.by = By::Tenant;
    assert!(!view.text(120, 8).contains("openai"));
    view.by = By::Model;
    let text = view.text(120, 8);
    assert!(text.contains("openai") && !text.contains("acme"), "{text}");
}

#[test]
fn contract_what_could_not_be_read_is_said_and_the_rows_stay() {
    let mut view = view(&[("acme", "gpt-4.1")], Vec::new());
    let rows = Err("the collector does not accept the read token".to_owned());
    view.take(Reading { rows, ..reading(Instant::now()) });
    let text = view.text(120, 8);
    assert!(text.contains("acme") && text.ends_with("the collector does not accept the read token\n"), "{text}");
}

#[test]
fn contract_budgets_stand_beneath_the_rows_and_the_last_line_names_those_that_are_spent() {
    let rows: Vec<String> = (0..40).map(|number| format!("tenant-{number:02}")).collect();
    let rows: Vec<(&str, &str)> = rows.iter().map(|tenant| (tenant.as_str(), "m")).collect();
    let mut view = view(&rows, Vec::new());
    let known = |refused: i128| BTreeMap::from([("late".to_owned(), refused)]);
    let budgets =
        vec![budget("late", "tenant-39", "1000"), budget("early", "tenant-00", "10"), budget("no", "x", "20")];
    let at = view.last.as_ref().unwrap().at + Duration::from_secs(30);
    let rows = view.last.as_ref().unwrap().rows.clone();
    view.take(Reading { rows, budgets: Ok(budgets), refused: known(9), ..reading(at) });
    let text = view.text(160, 24);
    let lines: Vec<&str> = text.lines().collect();
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!((lines.len(), lines[18]), (24, ""), "{text}");
    assert_eq!(words(lines[19]), "BUDGET OF KIND LIMIT SPENT LEFT USED UNTIL UTC REFUSED/MIN");
    assert_eq!(words(lines[20]), "early tenant-00 hard, tokens a day 1,000 10 0 1 % 01-01 00:00 0", "it is in view");
    assert_eq!(words(lines[21]), "late tenant-39 hard, tokens a day 1,000 1,000 0 100 % 01-01 00:00 9");
    assert_eq!(lines[23], "budget late (hard) is spent until 1970-01-01 00:00 UTC");
    view.scroll(isize::MAX);
    let text = view.text(160, 24);
    assert!(text.lines().nth(20).unwrap().starts_with("late"), "{text}");
    // In a low terminal there is room for the last line only.
    let text = view.text(160, 9);
    assert!(!text.contains("BUDGET") && text.ends_with("is spent until 1970-01-01 00:00 UTC\n"), "{text}");
    let budgets = Err("the collector returned 500".to_owned());
    let rows = view.last.as_ref().unwrap().rows.clone();
    view.take(Reading { rows, budgets, ..reading(at) });
    assert!(view.text(160, 9).ends_with("the collector returned 500\n"));
}

//! `meshmeter statement` on a ledger that a collector has written.

use serde_json::Value;
use wire::usage::Class;

use crate::auditing::run;
use crate::support::*;

/// A call of 2500 tokens at 2.00 per million: 0.005 USD, of which two are a cent.
fn call(tenant: &str, sequence: u64) -> Vec<u8> {
    let mut record = record("gpt-4.1", &[(Class::InputText, 2500)]);
    record.identity.tenant = tenant.to_owned();
    wire::event::encode(&record, &emitter(1), sequence)
}

fn statement(dir: &Dir, more: &[&str]) -> String {
    let (code, out, error) = run(dir, &[&["statement", "--month", "2026-01"], more].concat());
    assert_eq!((code, error.as_str()), (0, ""), "{more:?}");
    out
}

fn json(dir: &Dir, more: &[&str]) -> Value {
    serde_json::from_str(&statement(dir, &[more, &["--format", "json"]].concat())).unwrap()
}

#[test]
fn contract_a_statement_owes_what_the_report_rounds_to() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--prices", price_book().to_str().unwrap()]);
    let tenants = ["acme", "acme/ml", "acme/ml", "acme/ml", "globex"];
    let calls: Vec<Vec<u8>> = tenants.iter().zip(1..).map(|(tenant, sequence)| call(tenant, sequence)).collect();
    assert_eq!(server.send(&calls).taken(), (5, 0, 0));
    let report = server.get("/v1/report?by=tenant&tenant=acme&round=2", Some(READ)).json();
    let of = |tenant: &str| {
        let lines = report["lines"].as_array().unwrap();
        lines.iter().find(|line| line["tenant"] == tenant).unwrap()["charge"].clone()
    };
    let all = json(&dir, &["--tenant", "acme", "--below"]);
    assert_eq!(
        (&all["tenants"]["acme"]["amount"], &all["tenants"]["acme/ml"]["amount"]),
        (&of("acme"), &of("acme/ml"))
    );
    assert_eq!((&all["total"]["amount"], &all["total"]["exact"]), (&report["totals"][0]["charge"], &"0.02".into()));
    assert_eq!(json(&dir, &["--tenant", "acme/ml"])["total"]["amount"], of("acme/ml"));
    assert_eq!(json(&dir, &["--tenant", "acme/ml", "--round", "4"])["lines"][0]["amount"], "0.0150");
    let text = statement(&dir, &["--tenant", "acme/ml"]);
    let line = text.lines().find(|line| line.contains("input_text_tokens")).unwrap();
    let fields: Vec<&str> = line.split_whitespace().collect();
    let expected =
        ["1", "openai", "gpt-4.1", "input_text_tokens", "reported", "7,500", "2.00", "1M", "0.02", "openai", "gpt-4.1"];
    assert_eq!(fields[..11], expected, "{text}");
    assert!(text.contains("\ntotal: 3 calls, 0.02 USD (exact: 0.015)\n"), "{text}");
    // Each line leads to its records.
    let records = statement(&dir, &["--tenant", "acme", "--below", "--records"]);
    let rows: Vec<Vec<&str>> = records.split_terminator("\r\n").skip(1).map(|row| row.split(',').collect()).collect();
    let lines: Vec<String> = rows.iter().map(|row| format!("{} {} {}", row[0], row[1], row[9])).collect();
    assert_eq!(lines, ["1 1:1 0.005", "2 1:2 0.005", "2 1:3 0.005", "2 1:4 0.005"]);
    let (_, explained, _) = run(&dir, &["explain", rows[1][4]]);
    assert!(explained.contains("acme/ml is charged 0.005 USD, entry 1:2"), "{explained}");
    let html = statement(&dir, &["--tenant", "acme", "--below", "--format", "html"]);
    assert!(html.starts_with("<!DOCTYPE html><html lang=\"en\">") && html.ends_with("</html>\n"), "{html}");
}

#[test]
fn contract_a_statement_is_the_same_whatever_comes_later() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--prices", price_book().to_str().unwrap()]);
    assert_eq!(server.send(&[call("acme", 1), call("acme", 2)]).taken(), (2, 0, 0));
    let formats = ["text", "csv", "json", "html"];
    let all = |more: &[&str]| {
        formats.map(|format| statement(&dir, &[&["--tenant", "acme", "--format", format], more].concat()))
    };
    let open = all(&[]);
    let position = json(&dir, &["--tenant", "acme"])["position"].as_str().unwrap().to_owned();
    assert_eq!(server.send(&[call("acme", 3), call("globex", 4)]).taken(), (2, 0, 0));
    assert_ne!(all(&[]), open);
    assert_eq!(all(&["--at", &position]), open);
    let (code, _, error) = run(&dir, &["close", "2026-01", "--reason", "invoiced"]);
    assert_eq!(code, 0, "{error}");
    let closed = all(&[]);
    // On PostgreSQL the command writes to a chain of its own.
    let by = if crate::ON_POSTGRES { "2:1" } else { "1:5" };
    let state = format!("the month is closed by entry {by}: it does not change any more");
    assert!(closed[0].contains(&state), "{}", closed[0]);
    assert_eq!(all(&["--at", &position]), open, "it was open then");
    assert_eq!(server.send(&[call("acme", 5)]).taken(), (1, 0, 0));
    let event = format!("{}-1", emitter(1));
    assert_eq!(run(&dir, &["correct", &event, "--void", "--reason", "a test"]).0, 0);
    assert_eq!(all(&[]), closed);
    // What came later is an adjustment in the month in which it came.
    let now = jiff::Timestamp::now().strftime("%Y-%m").to_string();
    let (_, out, _) = run(&dir, &["statement", "--tenant", "acme", "--month", &now, "--format", "json"]);
    let later: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&later["total"]["exact"], &later["total"]["calls"]), (&"0.00".into(), &0.into()), "one came, one went");
}

#[test]
fn contract_a_wrong_question_is_told_what_is_allowed() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--prices", price_book().to_str().unwrap()]);
    assert_eq!(server.send(&[call("acme/ml", 1)]).taken(), (1, 0, 0));
    for (question, code, why) in [
        (&["--tenant", "acme/ml", "--month", "2026-13"][..], 2, "must be a month such as 2026-10"),
        (&["--tenant", "acme/ml", "--month", "January"], 2, "must be a month such as 2026-10"),
        (&["--tenant", "acme/ml"], 2, "--month"),
        (&["--month", "2026-01"], 2, "--tenant"),
        (&["--tenant", "acme/ml", "--month", "2026-01", "--round", "16"], 2, "16"),
        (&["--tenant", "acme/ml", "--month", "2026-01", "--format", "pdf"], 2, "text, csv, json, html"),
        (&["--tenant", "acme/ml", "--month", "2026-01", "--at", "now"], 2, "must be the last entry of each chain"),
        (&["--tenant", "acme/ml", "--month", "2026-01", "--at", "1:7"], 1, "the ledger has no entry 1:7"),
        (&["--tenant", "acme/ml", "--month", "2026-01", "--records", "--format", "csv"], 2, "--records"),
        (&["--tenant", "acme", "--month", "2026-01"], 1, "nothing of the tenant acme itself; --below includes acme/ml"),
        (&["--tenant", "<script>'--", "--month", "2026-01"], 1, "the ledger has nothing of the tenant <script>'--"),
        (&["--tenant", "a\u{202e}b", "--month", "2026-01"], 1, "the ledger has nothing of the tenant a\\u{202e}b"),
        (&["--tenant", "", "--month", "2026-01"], 1, "the ledger has nothing of the tenant"),
    ] {
        let (ended, out, error) = run(&dir, &[&["statement"], question].concat());
        assert!(ended == code && out.is_empty() && error.contains(why), "{question:?}: {ended} {out}{error}");
    }
    // A month in which nothing was charged is no mistake.
    let quiet = run(&dir, &["statement", "--tenant", "acme/ml", "--month", "2025-12"]);
    assert!(quiet.0 == 0 && quiet.1.contains("nothing was charged\n\ntotal: 0 calls, 0.00 USD"), "{quiet:?}");
}

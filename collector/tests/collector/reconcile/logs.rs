//! Access logs, whose lines may have no record.

use serde_json::{Value, json};

use super::*;

/// A line of the access log of `envoy/envoy.yaml`.
pub fn access(path: &str, status: u16, details: &str, record: Option<&[u8]>) -> String {
    json!({
        "time": "2026-11-20T19:35:00.000Z", "method": "POST", "authority": "api.openai.com", "path": path,
        "status": status, "details": details, "flags": "-", "duration_ms": 5, "cluster": "openai",
        "meshmeter_record": record.map(text),
    })
    .to_string()
}

#[test]
fn contract_access_logs_wrapped_in_any_way_give_their_events() {
    let ledger = Ledger::new();
    let Ledger { dir, gate, .. } = &ledger;
    let event = |sequence| event(&emitter(1), sequence);
    let line = |sequence: u64| access("/v1/chat/completions", 200, "via_upstream", Some(&event(sequence)));
    let parts = access("/v1/messages", 200, "via_upstream", Some(&[event(4), event(5)].join(&b"\n"[..])));
    let long = line(7).replace("/v1/chat/completions", &"x".repeat(20_000));
    let docker = |log: &str| json!({ "log": log, "stream": "stdout", "time": "2026-11-20T19:35:00Z" }).to_string();
    let parsed: Value = serde_json::from_slice(&event(8)).unwrap();
    let file = [
        line(1),
        docker(&format!("{}\n", line(2))),
        format!("2026-11-20T19:35:00.123456789Z stdout F {}", line(3)),
        parts,
        docker(&format!("{}\n", text(&event(6)))),
        docker(&long[..16_384]),
        docker(&format!("{}\n", &long[16_384..])),
        json!({ "message": { "meshmeter_record": parsed } }).to_string(),
    ];
    let log = dir.write("access.log", file.join("\n"));
    let done = run(gate, &[&log], &[]);
    assert_eq!(done.code, 0, "{}", done.error);
    done.counts(&[("lines", 8), ("events", 8), ("accepted", 8), ("torn", 0), ("foreign", 0), ("unmetered", 0)]);
    assert!(ledger.events().iter().map(String::as_bytes).eq(events(&emitter(1), 1..=8).iter().map(Vec::as_slice)));
}

#[test]
fn contract_calls_without_a_record_are_told() {
    let ledger = Ledger::new();
    let Ledger { dir, gate, .. } = &ledger;
    let metered = event(&emitter(1), 1);
    let rows = [
        access("/v1/chat/completions", 200, "via_upstream", Some(&metered)),
        access("/v1/chat/completions?key=secret", 200, "via_upstream", None),
        access("/v1/embeddings", 503, "no_healthy_upstream", None),
        access("/v1/files", 200, "via_upstream", None),
        access("/v1/responses", 503, "wasm_fail_stream", None),
        access("/v1/responses", 200, "via_upstream", None).replace("meshmeter_record", "record"),
    ];
    let log = dir.write("access.log", rows.join("\n"));
    let done = run(gate, &[&log], &[]);
    assert_eq!(done.code, 3, "{}", done.error);
    done.counts(&[("unmetered", 2), ("not_reached", 1), ("unknown", 1), ("events", 1), ("foreign", 0)]);
    let told = |line: u32, status: u16, path: &str, details: &str, reached: &str| {
        json!({ "at": format!("{}:{line}", log.display()), "time": "2026-11-20T19:35:00.000Z", "status": status,
            "host": "api.openai.com", "path": path, "details": details, "reached": reached })
    };
    let expected = [
        told(2, 200, "/v1/chat/completions", "via_upstream", "yes"),
        told(3, 503, "/v1/embeddings", "no_healthy_upstream", "no"),
        told(5, 503, "/v1/responses", "wasm_fail_stream", "perhaps"),
    ];
    assert_eq!(done.found("unmetered"), expected.iter().collect::<Vec<_>>());
    let table = table(gate, &log);
    assert!(table.contains("wasm_fail_stream") && table.contains("unmetered calls"), "{table}");
    assert!(!table.contains("secret"));
}

#[test]
fn contract_the_list_of_a_table_is_capped() {
    let ledger = Ledger::new();
    let Ledger { dir, gate, .. } = &ledger;
    let hostile = access("/v1/chat/completions", 200, "via_upstream", None).replace("via_upstream", "\\u001b[2Jx");
    let log = dir.write("access.log", format!("{hostile}\n").repeat(50));
    let table = table(gate, &log);
    assert!(table.contains("… and 30 more") && table.contains("\\u{1b}[2Jx") && !table.contains('\u{1b}'), "{table}");
    assert_eq!(run(gate, &[&log], &[]).found("unmetered").len(), 50);
}

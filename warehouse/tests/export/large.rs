//! How fast a large export is, and what memory it takes: `cargo test --profile simulate -p warehouse -- --ignored --nocapture`.

use std::time::Instant;

use jiff::civil::date;
use serde_json::json;
use warehouse::{Bounds, End, Error, Line, Position, Row, Selection, Source};
use wire::usage::Class;

use crate::support::*;

const ENTRIES: i64 = 1_000_000;

/// Calls of 1,000 tenants in two months, each with an event of a kilobyte.
struct Calls;

impl Source for Calls {
    fn ends(&self) -> Result<Vec<Position>, Error> {
        Ok(vec![Position { writer: 1, entry: ENTRIES }])
    }

    fn hash(&self, _: Position) -> Result<Option<[u8; 32]>, Error> {
        Ok(Some([0; 32]))
    }

    fn rows(&self, behind: &End, until: i64, each: &mut dyn FnMut(Row) -> Result<(), Error>) -> Result<(), Error> {
        (behind.position.entry + 1..=until).try_for_each(|entry| {
            let digits = (entry as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let call = json!({
                "operation": "chat", "stream": true, "status": 200, "response_id": format!("chatcmpl-{digits:x}"),
                "trace_id": format!("{digits:032x}"), "duration_us": digits % 9_000_000, "tags": [["team", "search", "jwt"]],
            });
            let line = |class, quantity: u64| Line {
                class,
                quantity: quantity as i64,
                charge: i128::from(quantity) * 2_500_000_000_000_000_000,
                cost: 0,
                unpriced: 0,
                fallback: 0,
            };
            let tenant = format!("tenant-{}/team", digits % 1000);
            let month = if digits.is_multiple_of(20) { 11 } else { 10 };
            let text = format!("{{\"data\":{call},\"rest\":\"{digits:x}{}\"}}", "usage and more ".repeat(50));
            each(Row {
                call: call.as_object().cloned(),
                event: Some(text),
                rating: Some(format!("{{\"entry\":\"gpt-4.1 of 2026-01-01\",\"lines\":[[{digits}]]}}")),
                lines: vec![line(Class::InputText, digits % 100_000), line(Class::OutputText, digits % 5_000)],
                hash: std::array::from_fn(|at| (digits >> (at % 8 * 8)) as u8 ^ at as u8),
                ..note(Position { writer: 1, entry }, date(2026, month, 1 + (digits % 28) as i8), &tenant)
            })
        })
    }
}

/// The most memory that this process has had, MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
#[ignore = "a measurement"]
fn fidelity_a_million_entries_in_flat_memory() {
    let dir = Temporary::on_disk();
    let begun = Instant::now();
    let done = warehouse::export(&Calls, &dir.place(), &Selection::default(), Bounds::default(), &mut |_| ()).unwrap();
    let bytes: u64 = done.commits.iter().map(|commit| commit.bytes).sum();
    let seconds = begun.elapsed().as_secs_f64();
    let files = files(&dir.0).len();
    println!("{ENTRIES} entries in {files} files, {bytes} bytes, {seconds:.1} s, peak {} MiB", peak());
    assert!(peak() < 600, "{} MiB", peak());
}

//! How fast a large export is, and what memory it takes: `cargo test --profile simulate -p warehouse -- --ignored --nocapture`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jiff::civil::date;
use serde_json::json;
use warehouse::{Archive, Bounds, End, Error, Line, Position, Row, Selection, Source};
use wire::usage::Class;

use crate::support::*;

const ENTRIES: i64 = 1_000_000;

/// Calls of 1,000 tenants in two months, each with an event of a kilobyte.
struct Calls(i64);

impl Source for Calls {
    fn ends(&self) -> Result<Vec<Position>, Error> {
        Ok(vec![Position { writer: 1, entry: self.0 }])
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
    let done = warehouse::export(&Calls(ENTRIES), &dir.place(), &Selection::default(), Bounds::default(), &mut |_| ())
        .unwrap();
    let bytes: u64 = done.commits.iter().map(|commit| commit.bytes).sum();
    let seconds = begun.elapsed().as_secs_f64();
    let files = files(&dir.0).len();
    println!("{ENTRIES} entries in {files} files, {bytes} bytes, {seconds:.1} s, peak {} MiB", peak());
    assert!(peak() < 600, "{} MiB", peak());
}

/// What this thread has had of a processor, whatever else runs on the machine.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// From here on the most memory is measured anew.
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

#[test]
#[ignore = "a measurement"]
fn fidelity_what_was_exported_is_read_back_in_flat_memory() {
    let name = "fidelity_what_was_exported_is_read_back_in_flat_memory";
    let Some(exported) = std::env::var_os("MESHMETER_TEST_EXPORTED") else {
        let dir = Temporary::on_disk();
        // Some 300,000 entries, in files of the size that an export makes.
        let source = Calls(300_000);
        warehouse::export(&source, &dir.place(), &Selection::default(), Bounds::default(), &mut |_| ()).unwrap();
        let files = files(&dir.0);
        let bytes: u64 = files.iter().map(|path| path.metadata().unwrap().len()).sum();
        println!("{} files, {bytes} bytes", files.len());
        // In a process of its own, whose memory is what reading takes.
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.args([&format!("large::{name}"), "--exact", "--ignored", "--nocapture"]);
        assert!(again.env("MESHMETER_TEST_EXPORTED", &dir.0).status().unwrap().success());
        return;
    };
    let open = || {
        let place = warehouse::place::Dir::open_to_read(Path::new(&exported)).unwrap();
        Archive::open(Arc::new(place)).unwrap()
    };
    let archive = open();
    let timed = |what: &str, work: &mut dyn FnMut() -> u64| {
        forget_peak();
        let before = peak();
        let begun = processor_seconds();
        let rows = work();
        let seconds = processor_seconds() - begun;
        println!(
            "{what}: {rows} entries, {seconds:.3} s, {:.0}/s, peak {} MiB, {before} MiB before",
            rows as f64 / seconds,
            peak()
        );
        peak().saturating_sub(before)
    };
    // Before anything of the files was checked.
    timed("the first entry", &mut || {
        u64::from(open().entry(Position { writer: 1, entry: 123_456 }).unwrap().is_some())
    });
    let all = |tenant: Option<&str>| {
        let mut rows = 0;
        archive
            .entries(1, 0, i64::MAX, None, tenant, &mut |_| {
                rows += 1;
                Ok(())
            })
            .unwrap();
        rows
    };
    let more = timed("all, checked", &mut || all(None));
    assert!(more < 300, "{more} MiB");
    timed("all again", &mut || all(None));
    timed("a tenant", &mut || all(Some("tenant-7")));
    timed("one entry each", &mut || {
        (0..100_u64)
            .inspect(|number| {
                let entry = 1 + number.wrapping_mul(0x9e37_79b9_7f4a_7c15) as i64 % 100_000 + 100_000;
                assert!(archive.entry(Position { writer: 1, entry }).unwrap().is_some(), "{entry}");
            })
            .count() as u64
    });
    timed("one record each", &mut || {
        (0..100_u64)
            .inspect(|number| {
                let sequence = 1 + number.wrapping_mul(0x9e37_79b9_7f4a_7c15) as i64 % 100_000 + 100_000;
                assert!(archive.record(&format!("{:032x}", 1), sequence, None).unwrap().is_some(), "{sequence}");
            })
            .count() as u64
    });
}

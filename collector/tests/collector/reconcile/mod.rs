//! `meshmeter reconcile` on journals as they are after crashes, and a collector as it is behind a network.

mod every;
mod faults;
mod gate;
mod logs;
mod pipes;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use gate::{Fate, Gate};
use logs::access;
use serde_json::{Value, json};

use crate::support::*;

/// A collector on a database of its own, and the way to it.
struct Ledger {
    gate: Gate,
    server: Server,
    dir: Dir,
}

impl Ledger {
    fn new() -> Ledger {
        let dir = Dir::new();
        let server = Server::start(&dir, &[]);
        Ledger { gate: Gate::open(server.address), dir, server }
    }

    /// The events that it has, in the order of their numbers.
    fn events(&self) -> Vec<String> {
        self.dir.texts("SELECT event FROM ledger ORDER BY emitter, sequence")
    }

    fn gaps(&self) -> Value {
        let database = self.dir.database();
        let args = ["gaps", "--all", "--format", "json", "--database", &database];
        serde_json::from_slice(&meshmeter(&args).output().unwrap().stdout).unwrap()
    }
}

fn reconcile(gate: &Gate, args: &[&str]) -> Command {
    let mut command = meshmeter(&["reconcile", "--collector", &gate.url(), "--format", "json"]);
    command.args(args).env("MESHMETER_JOURNAL_TOKEN", JOURNAL);
    command
}

fn table(gate: &Gate, file: &Path) -> String {
    let mut command = meshmeter(&["reconcile", "--collector", &gate.url()]);
    let output = command.arg(file).env("MESHMETER_JOURNAL_TOKEN", JOURNAL).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

struct Done {
    code: i32,
    findings: Vec<Value>,
    summary: Value,
    error: String,
}

impl Done {
    fn of(output: Output) -> Done {
        let text = String::from_utf8(output.stdout).unwrap();
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let summary = lines.pop().unwrap_or_default();
        let error = String::from_utf8(output.stderr).unwrap();
        Done { code: output.status.code().unwrap(), findings: lines, summary, error }
    }

    fn counts(&self, expected: &[(&str, u64)]) {
        for (name, count) in expected {
            assert_eq!(self.summary[*name], *count, "{name} in {} {}", self.summary, self.error);
        }
    }

    fn found(&self, kind: &str) -> Vec<&Value> {
        self.findings.iter().filter_map(|finding| finding.get(kind)).collect()
    }
}

fn run(gate: &Gate, files: &[&Path], args: &[&str]) -> Done {
    let mut command = reconcile(gate, args);
    Done::of(command.args(files).output().unwrap())
}

fn lines(events: &[Vec<u8>]) -> Vec<u8> {
    events.iter().flat_map(|event| [event.as_slice(), b"\n"].concat()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn contract_what_the_ledger_lacks_is_sent_byte_for_byte_and_again_changes_nothing() {
    let ledger = Ledger::new();
    let Ledger { dir, gate, .. } = &ledger;
    let all = events(&emitter(1), 1..=1200);
    let other = events(&emitter(2), [3, 9]);
    let journal = dir.write("journal", lines(&all));
    let rotated = dir.write("journal.1.gz", [gzip(&lines(&other)), gzip(&lines(&all[..7]))].concat());
    let stranger = Done::of(reconcile(gate, &["--patience", "0"]).env_clear().arg(&journal).output().unwrap());
    assert!(stranger.code == 1 && stranger.error.contains("returned 401"), "{}", stranger.error);
    assert_eq!(ledger.server.send(&all[100..300]).taken(), (200, 0, 0));
    let before = ledger.gaps();
    assert_eq!((&before["totals"]["missing"], &before["emitters"][0]["state"]), (&json!(100), &json!("counting")));
    let done = run(gate, &[&journal, &rotated], &[]);
    assert_eq!((done.code, done.error.as_str()), (0, ""), "{}", done.summary);
    done.counts(&[
        ("files", 2),
        ("lines", 1209),
        ("events", 1209),
        ("missing", 1002),
        ("sent", 1002),
        ("accepted", 1002),
        ("duplicates", 207),
        ("emitters", 2),
        ("emitters_closed", 2),
    ]);
    assert_eq!(done.summary["complete"], true);
    let expected: Vec<&str> = all.iter().chain(&other).map(|event| text(event)).collect();
    assert_eq!(ledger.events(), expected);
    let ends: Vec<String> =
        gate.calls().iter().filter_map(|call| call.header("meshmeter-emitter").map(str::to_owned)).collect();
    let end = |number, head| format!("{}; head={head}; dropped=0; end", emitter(number));
    assert_eq!(ends, [end(1, 1200), end(2, 9)]);
    let gaps = ledger.gaps();
    let emitters: Vec<&Value> = gaps["emitters"].as_array().unwrap().iter().collect();
    assert!(emitters.iter().all(|emitter| emitter["ended_by"] == "journal"), "{gaps}");
    let closed = &emitters[0]["closed"];
    assert_eq!(
        (&closed[0]["first"], &closed[0]["last"], &closed[0]["by"]),
        (&json!(1), &json!(100), &json!("recovered"))
    );
    assert_eq!(
        (&gaps["totals"]["open_ends"], &gaps["totals"]["missing"]),
        (&json!(0), &json!(7)),
        "what no journal has"
    );
    let again = run(gate, &[&journal, &rotated], &["--live"]);
    again.counts(&[("missing", 0), ("sent", 0), ("accepted", 0), ("duplicates", 1209), ("emitters_closed", 0)]);
    let compared = run(gate, &[&journal, &rotated], &["--live", "--all"]);
    compared.counts(&[("sent", 1202), ("accepted", 0), ("duplicates", 1209), ("alarms", 0)]);
}

#[test]
fn contract_a_dry_run_only_asks() {
    let ledger = Ledger::new();
    let Ledger { dir, gate, .. } = &ledger;
    let journal = dir.write("journal", lines(&events(&emitter(1), 1..=5)));
    for args in [&["--dry-run"][..], &["--dry-run", "--all"]] {
        let done = run(gate, &[&journal], args);
        assert_eq!(done.code, 0, "{}", done.error);
        done.counts(&[("events", 5), ("missing", 5), ("sent", 0), ("emitters_closed", 0)]);
    }
    assert!(ledger.events().is_empty());
    assert!(gate.calls().iter().all(|call| call.path == "/v1/missing"));
}

#[test]
fn contract_another_content_of_a_number_is_an_alarm_and_not_hidden() {
    let ledger = Ledger::new();
    let Ledger { dir, gate, .. } = &ledger;
    let original = event(&emitter(1), 1);
    let forged = text(&original).replace("\"acme\"", "\"other\"");
    let journal = dir.write("journal", format!("{}\n{forged}\n", text(&original)));
    let done = run(gate, &[&journal], &[]);
    assert_eq!(done.code, 3, "{}", done.error);
    done.counts(&[("events", 2), ("accepted", 1), ("alarms", 1)]);
    let journal = dir.write("journal", format!("{forged}\n"));
    run(gate, &[&journal], &[]).counts(&[("duplicates", 1), ("alarms", 0)]);
    run(gate, &[&journal], &["--all"]).counts(&[("duplicates", 0), ("alarms", 1)]);
    assert_eq!(ledger.events(), [text(&original)], "never charged");
}

#[test]
fn contract_what_the_collector_cannot_read_is_told_until_one_comes_that_can() {
    let ledger = Ledger::new();
    let Ledger { dir, gate, .. } = &ledger;
    let later = text(&event(&emitter(1), 1)).replace("meshmeter.call.v1", "meshmeter.call.v9");
    let journal = dir.write("journal", format!("{later}\n{}\n", text(&event(&emitter(1), 2))));
    let done = run(gate, &[&journal], &[]);
    assert_eq!(done.code, 3, "{}", done.error);
    done.counts(&[("events", 2), ("accepted", 1), ("dead_letters", 1)]);
    let again = run(gate, &[&journal], &[]);
    assert_eq!(again.code, 3, "{}", again.error);
    again.counts(&[("duplicates", 1), ("dead_letters", 1)]);
}

#[test]
fn contract_an_emitter_may_come_itself_after_its_journal() {
    let ledger = Ledger::new();
    let Ledger { dir, gate, server } = &ledger;
    let key = wire::emitter::EmitterKey::new(1, 2);
    let events = |numbers| events(&key.emitter(), numbers);
    let journal = dir.write("journal", lines(&events(1..=5)));
    run(gate, &[&journal], &["--live"]).counts(&[("accepted", 5), ("emitters_closed", 0)]);
    let bearer = format!("Bearer {INGEST}");
    let without_key = [("authorization", bearer.as_str()), ("content-type", BATCH)];
    let response = server.post(&without_key, &array(&events(6..=6)));
    assert_eq!((response.taken(), &response.json()["alarms"]), ((0, 0, 0), &json!(1)), "whoever has read its journal");
    let with_key = [without_key[0], without_key[1], ("meshmeter-emitter-key", key.secret())];
    let response = server.post(&with_key, &array(&events(4..=8)));
    assert_eq!((response.taken(), &response.json()["alarms"]), ((3, 2, 0), &json!(0)));
    run(gate, &[&journal], &[]).counts(&[("duplicates", 5), ("emitters_closed", 1)]);
    let gaps = ledger.gaps();
    assert_eq!((&gaps["emitters"][0]["head"], &gaps["totals"]["missing"]), (&json!(8), &json!(0)), "{gaps}");
}

#[test]
fn contract_broken_and_foreign_lines_are_named_and_hold_nothing_up() {
    let ledger = Ledger::new();
    let Ledger { dir, gate, .. } = &ledger;
    let event = |sequence| text(&event(&emitter(1), sequence)).to_owned();
    let long = "x".repeat(3 << 20);
    let torn = &event(9)[..200];
    let file =
        [&event(1), "hello", &long, &format!("{}{}", &event(7)[..200], event(2)), "", "-", "\0\u{1}", torn].join("\n");
    let journal = dir.write("journal", file);
    let done = run(gate, &[&journal], &[]);
    assert_eq!(done.code, 0, "{}", done.error);
    done.counts(&[("lines", 8), ("events", 2), ("accepted", 2), ("torn", 3), ("foreign", 1), ("too_long", 1)]);
    let at = |line: u32| json!(format!("{}:{line}", journal.display()));
    let torn: Vec<(&Value, &Value)> = done.found("torn").iter().map(|torn| (&torn["at"], &torn["id"])).collect();
    let id = |sequence| json!(format!("{}-{sequence}", emitter(1)));
    assert_eq!(torn, [(&at(4), &id(7)), (&at(7), &Value::Null), (&at(8), &id(9))]);
    assert_eq!((&done.found("foreign")[0]["at"], &done.found("too_long")[0]["at"]), (&at(2), &at(3)));
    assert_eq!(ledger.events().len(), 2);
    let head = format!("{}; head=9; dropped=0; end", emitter(1));
    assert_eq!(gate.calls().last().unwrap().header("meshmeter-emitter"), Some(head.as_str()), "9 was given out");
}

#[test]
fn contract_what_journals_and_collectors_say_steers_no_terminal() {
    const HOSTILE: &str = "\u{1b}[2J\u{9b}\u{202e}\u{200b}\u{7f}\u{85}\nok\n";
    let ledger = Ledger::new();
    let Ledger { dir, gate, .. } = &ledger;
    let escaped = Value::from(HOSTILE).to_string().replace('"', "");
    let unmetered = access("/v1/chat/completions", 500, "via_upstream", None)
        .replace("via_upstream", &escaped)
        .replace("2026-11-20T19:35:00.000Z", &escaped)
        .replace("/v1/chat/completions", &format!("/{escaped}/v1/chat/completions"));
    let poison = text(&event(&emitter(1), 3)).replace("gpt-4.1", &escaped);
    let torn = format!("{}{HOSTILE}", &text(&event(&emitter(1), 9))[..200]);
    let journal = dir.write(HOSTILE, [&unmetered, HOSTILE, &poison, &torn].map(|line| format!("{line}\n")).concat());
    let said = r#"{"error":"\u001b[2J\u009b\u202e\nok\n"}"#;
    for (format, code) in [("table", 3), ("json", 3), ("table", 1)] {
        gate.let_happen(match code {
            1 => vec![Fate::Respond(401, said)],
            _ => vec![Fate::Respond(503, said), Fate::Pass, Fate::Respond(400, said)],
        });
        let mut command = meshmeter(&["reconcile", "--collector", &gate.url(), "--format", format]);
        let output = command.arg(&journal).env("MESHMETER_JOURNAL_TOKEN", JOURNAL).output().unwrap();
        let (out, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(code), "{error}");
        for line in out.lines().chain(error.lines()) {
            let steers = |c: char| c.is_control() || "\u{202e}\u{200b}".contains(c);
            assert!(!line.contains(steers) && line != "ok", "{format} prints {line:?}");
        }
        assert!(out.contains("returned 400") || code == 1, "{out}");
        if format == "json" {
            let first: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
            assert_eq!(
                (&first["unmetered"]["details"], &first["unmetered"]["time"]),
                (&json!(HOSTILE), &json!(HOSTILE))
            );
        }
    }
}

#[test]
fn contract_standard_input_is_read_plain_or_gzip() {
    let ledger = Ledger::new();
    let gate = &ledger.gate;
    for (number, bytes) in [(1, lines(&events(&emitter(1), 1..=3))), (2, gzip(&lines(&events(&emitter(2), 1..=4))))] {
        let mut command = reconcile(gate, &["-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&bytes).unwrap();
        let done = Done::of(child.wait_with_output().unwrap());
        assert_eq!(done.code, 0, "{}", done.error);
        done.counts(&[("accepted", 2 + number)]);
    }
    assert_eq!(ledger.events().len(), 7);
}

#[test]
fn contract_a_file_that_breaks_off_closes_no_end_and_fails_after_the_rest() {
    let ledger = Ledger::new();
    let Ledger { dir, gate, .. } = &ledger;
    let whole = gzip(&lines(&events(&emitter(1), 1..=2000)));
    let half = dir.write("half.gz", &whole[..whole.len() / 2]);
    let rest = dir.write("rest", lines(&events(&emitter(2), 1..=5)));
    let done = run(gate, &[&half, &rest], &[]);
    assert_eq!(done.code, 1);
    assert!(done.error.contains("half.gz") && done.error.contains("no emitter's end was closed"), "{}", done.error);
    done.counts(&[("emitters", 2), ("emitters_closed", 0)]);
    assert_eq!((done.summary["complete"].as_bool(), done.found("broken").len()), (Some(false), 1));
    let count = ledger.events().len();
    assert!((100..2005).contains(&count), "{count}");
    assert_eq!(ledger.events().last().map(String::as_bytes), Some(event(&emitter(2), 5).as_slice()));
}

#[test]
fn contract_wrong_use_is_refused_before_anything_is_done() {
    let dir = Dir::new();
    let journal = dir.write("journal", "");
    let bad = dir.write("bad.json", "{\"provider\":1}");
    let (journal, bad) = (journal.to_str().unwrap(), bad.to_str().unwrap());
    let cases: [(i32, &[&str], &str); 8] = [
        (2, &["--collector", "http://c"], "<FILE>"),
        (2, &[journal], "--collector <URL>"),
        (1, &["--collector", "ftp://c", journal], "--collector: must be http:// or https://"),
        (1, &["--collector", "http://user:pass@c", journal], "--collector: must be http:// or https://"),
        (1, &["--collector", "http://c", "no-such-file"], "no-such-file: No such file"),
        (1, &["--collector", "http://c", "/"], "is a directory"),
        (1, &["--collector", "http://c", "--journal-token-file", journal, journal], "has no token in it"),
        (1, &["--collector", "http://c", "--plugin-config", bad, journal], "bad.json: provider: "),
    ];
    for (code, args, expected) in cases {
        let output = meshmeter(&[&["reconcile"], args].concat()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(expected) && !error.contains("pass@"), "{expected:?} is not in {error}");
        assert_eq!(output.status.code(), Some(code), "{error}");
    }
}

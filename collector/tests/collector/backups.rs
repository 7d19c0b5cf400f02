//! `meshmeter backup` and `restore`: from each database to each, while collectors write, and of files that are not right.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use wire::record::{Evidence, Tag, TagSource};
use wire::usage::Class;

use crate::auditing::run;
use crate::support::*;

/// A call of January, with tags.
pub fn call(number: u32, sequence: u64, change: impl Fn(&mut wire::record::Record)) -> Vec<u8> {
    let mut record = record("gpt-4.1", &[(Class::InputText, 1000 + sequence), (Class::OutputText, 2)]);
    record.identity.tenant = format!("acme/ml/{}", sequence % 3);
    record.identity.principal = Some("spiffe://prod.example/ns/ml/sa/agent".to_owned());
    record.tags =
        vec![Tag { name: "team".to_owned(), value: "\u{e4}\"\u{202e}<b>".to_owned(), source: TagSource::Jwt }];
    record.session_id = Some(format!("session-{}", sequence % 2));
    change(&mut record);
    wire::event::encode(&record, &emitter(number), sequence)
}

/// A ledger that has something of everything, and a collector that runs on it.
pub fn lived_in(dir: &Dir) -> Server {
    let prices = price_book().to_str().unwrap();
    let done = |args: &[&str]| {
        let (code, out, error) = run(dir, args);
        assert_eq!(code, 0, "{args:?}: {out}{error}");
    };
    let server = Server::start(dir, &["--prices", prices]);
    let same = |_: &mut wire::record::Record| {};
    let all: Vec<Vec<u8>> = (1..=20).filter(|number| *number != 9).map(|number| call(1, number, same)).collect();
    assert_eq!(server.send(&all).taken(), (19, 0, 0));
    done(&[
        "budgets", "set", "ml", "--limit", "500000", "--unit", "tokens", "--window", "month", "--who", "ann", "--why",
        "x",
    ]);
    // Two meters saw this one; nothing proves that these two are one.
    let copied = |proxy: &'static str, request: &'static str| {
        move |record: &mut wire::record::Record| {
            record.response_id = Some("chatcmpl-1".to_owned());
            record.request_id = Some(request.to_owned());
            record.proxy = Some(proxy.to_owned());
            record.usage.set(Class::InputText, Some(5));
            record.identity.tenant = "acme".to_owned();
        }
    };
    for (number, proxy, request) in [(2, "sidecar", "r-1"), (3, "gateway", "r-1"), (4, "other", "r-2")] {
        assert_eq!(server.send(&[call(number, 1, copied(proxy, request))]).taken().0, 1);
    }
    let estimated = |record: &mut wire::record::Record| {
        record.evidence = Evidence::Estimated;
        record.provider = "unheard-of".to_owned();
    };
    assert_eq!(server.send(&[call(5, 1, estimated)]).taken(), (1, 0, 0));
    // Other content under a number that is taken, what cannot be read, and bytes that are no text.
    assert_eq!(server.send(&[call(1, 1, estimated)]).json()["alarms"], 1);
    assert_eq!(server.send(&[b"{\"no\":\"event\"}".to_vec()]).taken(), (0, 0, 1));
    let id = |number: u64| format!("{}-{number}", emitter(1));
    done(&["correct", &id(1), "--tenant", "globex", "--reason", "wrong header", "--prices", prices]);
    done(&["correct", &id(2), "--void", "--reason", "a test"]);
    done(&["correct", &id(2), "--charge", "--reason", "it was none", "--prices", prices]);
    done(&["close", "2026-01", "--anyway", "--reason", "invoiced"]);
    done(&["correct", &id(3), "--void", "--reason", "late"]);
    assert_eq!(server.send(&[call(1, 21, same)]).taken(), (1, 0, 0));
    done(&["gaps", "close", &emitter(5), "--reason", "its disk is gone"]);
    server
}

/// What commands say of a ledger, each by its name.
fn told(dir: &Dir) -> Vec<(String, String)> {
    let call = format!("{}-1", emitter(1));
    let commands: [&[&str]; 9] = [
        &["verify"],
        &["report", "--by", "day,tenant,model", "--format", "json"],
        &["report", "--by", "principal,session,tag:team", "--format", "csv"],
        &["statement", "--tenant", "acme", "--month", "2026-01", "--format", "csv"],
        &["explain", &call, "--format", "json"],
        &["gaps", "--format", "json", "--silent-after", "100000h"],
        &["alarms", "--format", "json"],
        &["copies", "--format", "json"],
        &["budgets", "--format", "json"],
    ];
    let said = |args: &[&str]| {
        let (code, out, error) = run(dir, args);
        assert!([0, 3].contains(&code) && !out.is_empty(), "{args:?}: {code} {out}{error}");
        (args.join(" "), out)
    };
    commands.into_iter().map(said).collect()
}

pub fn backup(dir: &Dir, name: &str) -> String {
    let file = dir.file(name).to_str().unwrap().to_owned();
    let (code, heads, error) = run(dir, &["backup", "--to", &file]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(heads, run(dir, &["verify"]).1);
    file
}

pub fn restore(dir: &Dir, file: &str) {
    let (code, heads, error) = run(dir, &["restore", "--from", file]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(heads, run(dir, &["verify"]).1);
}

#[test]
fn fidelity_a_ledger_is_the_same_on_each_database_that_it_is_restored_to() {
    let dir = Dir::new();
    let server = lived_in(&dir);
    drop(server);
    let expected = told(&dir);
    let first = backup(&dir, "first");
    // On PostgreSQL these are all four ways, two of them with the chains of several writers.
    let mut from = first;
    let mut to: Vec<Dir> = Vec::new();
    for on_file in [true, true, false, false, true] {
        let next = if on_file { Dir::of_file() } else { Dir::new() };
        restore(&next, &from);
        if on_file {
            let mode = |file: &str| fs::metadata(file).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&next.database()), mode(&from)), (0o600, 0o600));
        }
        for ((command, was), (_, is)) in expected.iter().zip(told(&next)) {
            assert_eq!(*was, is, "{command}");
        }
        from = backup(&next, "again");
        to.push(next);
    }
    // Rows are those of the first, not only what is said of them.
    assert_eq!(rows(&fs::read(dir.file("first")).unwrap()), rows(&fs::read(&from).unwrap()));
    // What was exported from the first is theirs too, and their own exports are the same files.
    let export = |of: &Dir, place: &str| run(of, &["export", "--to", dir.file(place).to_str().unwrap()]);
    let (_, exported, _) = export(&dir, "warehouse");
    for (number, restored) in to.iter().enumerate() {
        let (_, out, error) = export(restored, "warehouse");
        assert!(out.starts_with("nothing new, up to "), "{out}{error}");
        assert_eq!(export(restored, &format!("warehouse-{number}")).1, exported);
    }
    // Collectors go on where it was, and know what they have.
    for dir in &to {
        let server = Server::start(dir, &["--prices", price_book().to_str().unwrap()]);
        let again: Vec<Vec<u8>> =
            (1..=21).filter(|number| *number != 9).map(|number| call(1, number, |_| {})).collect();
        assert_eq!(server.send(&again).taken(), (0, 20, 0));
        let new: Vec<Vec<u8>> = [9, 22].map(|number| call(1, number, |_| {})).into();
        assert_eq!(server.send(&new).taken(), (2, 0, 0));
        let (code, out, error) = run(dir, &["correct", &format!("{}-4", emitter(1)), "--void", "--reason", "after"]);
        assert_eq!(code, 0, "{out}{error}");
        drop(server);
        assert_eq!(run(dir, &["verify"]).2, "");
    }
    let (code, _, error) = run(&to[0], &["restore", "--from", &from]);
    assert!(code == 1 && error.contains("only an empty one can be restored to"), "{error}");
}

#[test]
fn race_a_backup_is_of_one_moment_while_collectors_write() {
    let dir = Dir::new();
    let server = lived_in(&dir);
    let (address, enough) = (server.address, AtomicBool::new(false));
    thread::scope(|scope| {
        let enough = &enough;
        for client in 0..3_u32 {
            scope.spawn(move || {
                for first in (1..).step_by(5).take_while(|_| !enough.load(Ordering::Relaxed)) {
                    let batch: Vec<Vec<u8>> =
                        (first..first + 5).map(|number| call(10 + client, number, |_| {})).collect();
                    let response = send(address, &batch).unwrap();
                    assert!([200, 503].contains(&response.status), "{response:?}");
                }
            });
        }
        let mut last = 0;
        for round in 0..4 {
            let file = dir.file(&format!("round-{round}"));
            let file = file.to_str().unwrap();
            let (code, heads, error) = run(&dir, &["backup", "--to", file]);
            assert_eq!((code, error.as_str()), (0, ""));
            let restored = if round % 2 == 0 { Dir::new() } else { Dir::of_file() };
            restore(&restored, file);
            assert_eq!(run(&restored, &["verify"]).1, heads);
            let entries = restored.number("SELECT count(*) FROM ledger");
            assert!(entries > last, "nothing was written meanwhile");
            last = entries;
        }
        enough.store(true, Ordering::Relaxed);
    });
}

/// The lines of a backup.
fn lines(file: &[u8]) -> Vec<String> {
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn rows(file: &[u8]) -> Vec<String> {
    lines(file).into_iter().filter(|line| line.starts_with('[')).collect()
}

/// A backup of lines, with an end that is right for them.
fn file_of(lines: &[String]) -> Vec<u8> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let sha: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    let rows = lines.iter().filter(|line| line.starts_with('[')).count();
    packed(&format!("{text}{{\"end\":{{\"rows\":{rows},\"sha256\":\"{sha}\"}}}}\n"))
}

fn packed(text: &str) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn contract_a_backup_that_is_not_right_to_its_end_is_refused_and_nothing_is_kept() {
    let dir = Dir::new();
    drop(lived_in(&dir));
    let file = backup(&dir, "good");
    let good = fs::read(&file).unwrap();
    let mut lines = lines(&good);
    let end = lines.pop().unwrap();
    assert_eq!(
        packed(&format!("{}\n{end}\n", lines.join("\n"))).len(),
        file_of(&lines).len(),
        "the end is as described"
    );
    let altered = |from: &str, to: &str| {
        let at = lines.iter().position(|line| line.contains(from)).expect(from);
        let mut lines = lines.clone();
        lines[at] = lines[at].replacen(from, to, 1);
        file_of(&lines)
    };
    let without = |what: &str| file_of(&lines.iter().filter(|line| !line.contains(what)).cloned().collect::<Vec<_>>());
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 4;
        bytes
    };
    let mut cases: Vec<(String, Vec<u8>, &str)> = vec![
        ("empty".into(), Vec::new(), "it ends too early"),
        ("foreign".into(), b"PK\x03\x04 no backup".to_vec(), "is not a backup of meshmeter"),
        ("text".into(), packed("{\"hello\":1}\n"), "is not a backup of meshmeter"),
        ("later".into(), altered("\"version\":3", "\"version\":4"), "its form is 4, and this one reads 1 to 3"),
        ("more behind".into(), [&good[..], b"x"].concat(), "something stands behind its end"),
        ("twice".into(), [&good[..], &good[..]].concat(), "something stands behind its end"),
        ("without an end".into(), packed(&format!("{}\n", lines.join("\n"))), "it ends too early"),
        ("an amount".into(), altered("\"0.002", "\"0.001"), "was altered"),
        ("an event".into(), altered("gpt-4.1", "gpt-4.2"), "was altered"),
        ("a table".into(), altered("\"table\":\"rollup\"", "\"table\":\"sums\""), "is not there, or not in its form"),
        ("a column".into(), altered("\"written_ns\"", "\"written\""), "is not there, or not in its form"),
        ("an entry".into(), without("[1,2,\"call\""), "entry 1:2: is missing"),
        ("tables".into(), file_of(&lines[..3]), "is missing"),
        ("a kind".into(), altered("\"call\"", "\"cull\""), "this version does not know the kind"),
        ("long".into(), packed(&"x".repeat(5 << 20)), "the line is too long"),
    ];
    let behind = format!("{}\n{}\n", lines.join("\n"), end.replace("sha256\":\"", "sha256\":\"0"));
    cases.push(("another checksum".into(), packed(&behind), "the checksum is another"));
    // PostgreSQL refuses a row before the checksum is read.
    let date = format!("{}\n{end}\n", lines.join("\n").replacen("[\"2026-", "[\"26-", 1));
    cases.push(("a date".into(), packed(&date), "the checksum is another"));
    cases.extend(
        (0..12).map(|part| (format!("cut {part}"), good[..good.len() * part / 12].to_vec(), "it ends too early")),
    );
    cases.push(("cut by one".into(), good[..good.len() - 1].to_vec(), "it ends too early"));
    // Behind gzip's own header, in which nothing is said.
    cases.extend((1..16).map(|part| (format!("flipped {part}"), flipped(10 + (good.len() - 11) * part / 16), "")));
    let to = Dir::new();
    for (name, bytes, expected) in cases {
        let file = dir.write("bad", bytes);
        let (code, out, error) = run(&to, &["restore", "--from", file.to_str().unwrap()]);
        assert_eq!((code, out.as_str()), (1, ""), "{name}: {error}");
        assert!(error.contains(expected) && error.contains("bad"), "{name}: {error}");
        if crate::ON_POSTGRES {
            // Of a file that is none not even the schema was made.
            let is_kept = "SELECT EXISTS (SELECT 1 FROM ledger) OR EXISTS (SELECT 1 FROM rollup)";
            assert!(to.sql(is_kept).map_or(true, |rows| rows == [["f"]]), "{name}");
        } else {
            assert!(fs::read_dir(to.file(".")).unwrap().next().is_none(), "{name}: something was left");
        }
    }
    restore(&to, &file);
}

#[test]
fn contract_a_backup_has_its_name_when_it_is_complete_and_is_for_its_owner_alone() {
    let dir = Dir::new();
    drop(lived_in(&dir));
    let file = backup(&dir, "there");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&file).unwrap();
    let (code, _, error) = run(&dir, &["backup", "--to", &file]);
    assert!(code == 1 && error.contains("there is a file of this name already"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), before);
    assert!(!dir.file("there.partial").exists());
    let nowhere = dir.file("none/such").to_str().unwrap().to_owned();
    assert_eq!(run(&dir, &["backup", "--to", &nowhere]).0, 1);
    // What a killed process has left is written over.
    dir.write("next.partial", "left");
    assert_eq!(rows(&before), rows(&fs::read(backup(&dir, "next")).unwrap()));
    // As a pipe.
    let database = dir.database();
    let piped = meshmeter(&["backup", "--to", "-", "--database", &database]).output().unwrap();
    assert!(piped.status.success() && rows(&piped.stdout) == rows(&before));
    // Of one that is killed in the middle nothing is left, and another can begin anew.
    let to = if crate::ON_POSTGRES { Dir::new() } else { Dir::of_file() };
    let begin = || {
        let mut restoring = meshmeter(&["restore", "--from", "-", "--database", &to.database()]);
        restoring.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    };
    let mut restoring = begin();
    let mut input = restoring.stdin.take().unwrap();
    input.write_all(&before[..before.len() - 20]).unwrap();
    input.flush().unwrap();
    if !crate::ON_POSTGRES {
        until("it has begun", || to.file("ledger.db.restoring").exists());
        assert!(!to.file("ledger.db").exists());
    }
    restoring.kill().unwrap();
    restoring.wait().unwrap();
    let mut restoring = begin();
    restoring.stdin.take().unwrap().write_all(&before).unwrap();
    let done = restoring.wait_with_output().unwrap();
    assert!(done.status.success());
    assert_eq!(String::from_utf8(done.stdout).unwrap(), run(&dir, &["verify"]).1);
    assert_eq!(run(&to, &["verify"]).0, 0);
}

#[test]
fn contract_a_ledger_that_nothing_was_entered_into_can_be_restored_to_under_its_collector() {
    let dir = Dir::new();
    drop(lived_in(&dir));
    let file = backup(&dir, "full");
    let to = Dir::new();
    let server = Server::start(&to, &[]);
    let (code, heads, error) = run(&to, &["restore", "--from", &file]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(run(&to, &["verify"]).1, heads);
    assert_eq!(server.send(&[call(1, 22, |_| {})]).taken(), (1, 0, 0), "it goes on behind what was restored");
    assert_eq!(server.send(&[call(1, 5, |_| {})]).taken(), (0, 1, 0));
    let (code, _, error) = run(&to, &["restore", "--from", &file]);
    assert!(code == 1 && error.contains("only an empty one can be restored to"), "{error}");
    drop(server);
    assert_eq!(run(&to, &["verify"]).0, 0);
}

//! `meshmeter seal` and `unseal`: what was moved is read as if it were there, whoever is killed runs it again, and nothing is lost.

use serde_json::Value;
use wire::record::Evidence;
use wire::usage::Class;

use crate::auditing::{run, tamper};
use crate::backups;
use crate::exporting::varied;
use crate::support::*;

mod archive;
mod races;

/// A ledger with everything in it that can happen to a call, whose January and February are closed.
fn closed(dir: &Dir) -> Server {
    let server = varied(dir);
    let (code, _, error) = run(dir, &["close", "2026-02", "--anyway", "--reason", "invoiced"]);
    assert_eq!(code, 0, "{error}");
    server
}

fn place(dir: &Dir) -> String {
    dir.file("archive").to_str().unwrap().to_owned()
}

fn seal(dir: &Dir, before: &str, more: &[&str]) -> (i32, String, String) {
    run(dir, &[&["seal", "--before", before, "--to", &place(dir), "--who", "ann"], more].concat())
}

fn sealed(dir: &Dir, before: &str) -> String {
    let (code, out, error) = seal(dir, before, &["--no-vacuum"]);
    assert_eq!(code, 0, "{error}");
    out
}

fn unsealed(dir: &Dir, more: &[&str]) -> String {
    let (code, out, error) = run(dir, &[&["unseal", "--who", "ann"], more].concat());
    assert_eq!((code, error.as_str()), (0, ""));
    out
}

/// What commands say that must not change, each by its name.
fn told(dir: &Dir, noted: &[String]) -> Vec<(String, String)> {
    let dimensions = "hour day month tenant tenant:1 principal provider model operation route session agent trace tag:team \
                      outcome node emitter evidence";
    let mut commands: Vec<Vec<String>> = Vec::new();
    let mut ask = |text: &str| commands.push(text.split(' ').map(str::to_owned).collect());
    for dimension in dimensions.split(' ') {
        ask(&format!("report --since 2026-01 --until 2026-12 --by {dimension} --format csv"));
    }
    ask("report --since 2026-01 --until 2026-12 --by day,session,tag:team --tenant acme --format json");
    ask("report --since 2026-01-20 --until 2026-02-03 --by session --format csv");
    ask("report --month 2026-01 --by session --time-zone Europe/Berlin --format csv");
    ask("report --since 2026-01 --until 2026-12 --by month,tenant --filter emitter=* --format csv");
    ask("report --since 2026-01 --until 2026-12 --by tenant,model --top 2 --format csv");
    for month in ["2026-01", "2026-02", "2026-11"] {
        ask(&format!("statement --tenant acme --month {month} --format csv"));
        ask(&format!("statement --tenant acme --below --month {month} --format json"));
        ask(&format!("report --month {month} --format focus"));
    }
    ask("latency --since 2026-01 --until 2026-12 --by session --format csv");
    ask("audit --format json");
    ask("copies --format json");
    ask("alarms --format json");
    ask("gaps --format json --silent-after 100000h");
    ask("rerate --dry-run --no-builtin-prices --prices PRICES --since 2026-02-01");
    for number in 1..=31 {
        ask(&format!("explain {}-{number} --format json", emitter(1)));
    }
    ask(&format!("explain {}-1 --format json", emitter(2)));
    for number in [1, 2, 9, 14] {
        ask(&format!("explain 1:{number}"));
    }
    let prices = dir.file("varied.toml");
    let mut told: Vec<(String, String)> = Vec::new();
    for command in commands {
        let args: Vec<&str> =
            command.iter().map(|arg| if arg == "PRICES" { prices.to_str().unwrap() } else { arg }).collect();
        let (code, out, error) = run(dir, &args);
        // A month that is open is computed as of where the chain ends.
        let is_position = |line: &&str| command.iter().any(|arg| arg == "2026-11") && line.contains("position");
        let out: Vec<&str> = out.lines().filter(|line| !is_position(line)).collect();
        told.push((command.join(" "), format!("{code}\n{}\n{error}", out.join("\n"))));
    }
    assert!(told.iter().filter(|(_, out)| out.starts_with("0\n") || out.starts_with("3\n")).count() + 2 >= told.len());
    let notes: Vec<&str> = noted.iter().flat_map(|head| ["--noted", head]).collect();
    let (code, _, error) = run(dir, &[&["verify"], &notes[..]].concat());
    assert_eq!((code, error.as_str()), (0, ""));
    told
}

fn noted(dir: &Dir) -> Vec<String> {
    let (code, heads, error) = run(dir, &["verify"]);
    assert_eq!((code, error.as_str()), (0, ""));
    heads.lines().map(str::to_owned).collect()
}

#[track_caller]
fn assert_same(found: &[(String, String)], expected: &[(String, String)]) {
    for ((name, found), (asked, expected)) in found.iter().zip(expected) {
        assert_eq!(name, asked);
        for (found, expected) in found.lines().zip(expected.lines()) {
            assert_eq!(found, expected, "{name}");
        }
        assert_eq!(found.len(), expected.len(), "{name}");
    }
    assert_eq!(found.len(), expected.len());
}

fn entries(dir: &Dir) -> i64 {
    dir.number("SELECT count(*) FROM ledger")
}

#[test]
fn fidelity_what_was_sealed_is_reported_as_before_and_comes_back() {
    let dir = Dir::new();
    let server = closed(&dir);
    let (heads, before) = (noted(&dir), entries(&dir));
    let expected = told(&dir, &heads);
    // A month, then the next one: what was taken back is in the second.
    let first = sealed(&dir, "2026-02");
    assert!(first.contains(" entries were sealed, up to 1:"), "{first}");
    let after_first = entries(&dir);
    assert!(after_first < before, "{after_first} of {before}");
    assert_same(&told(&dir, &heads), &expected);
    let second = sealed(&dir, "2026-03");
    assert!(second.contains(" entries were sealed, up to 1:"), "{second}");
    let after_second = entries(&dir);
    assert!(after_second < after_first, "{after_second} of {after_first}");
    let again = noted(&dir);
    assert_same(&told(&dir, &[heads.clone(), again].concat()), &expected);
    // The page of a collector that was started before anything was sealed.
    let page = server.get("/v1/report?since=2026-01&until=2026-12&by=session&format=csv", Some(READ));
    assert_eq!(page.status, 200, "{page:?}");
    let of_command =
        run(&dir, &["report", "--since", "2026-01", "--until", "2026-12", "--by", "session", "--format", "csv"]);
    assert_eq!(page.body, of_command.1);
    let (code, out, error) = run(&dir, &["export", "--to", dir.file("other").to_str().unwrap()]);
    assert_eq!((code, error.as_str()), (0, ""), "an export to another place has all of it");
    assert!(out.starts_with(&format!("{} entries in ", before + 2)), "{out}");
    let chains = noted(&dir);
    let nothing = sealed(&dir, "2026-03");
    assert_eq!(noted(&dir), chains, "nothing was entered");
    assert!(nothing.starts_with("nothing new to seal, up to 1:"), "{nothing}");
    // February alone, then all.
    let back = unsealed(&dir, &["--from", "2026-02"]);
    assert!(back.contains(" entries are in the database again: entry "), "{back}");
    assert_eq!(entries(&dir), after_first + 2, "with the two entries that say so");
    assert_same(&told(&dir, &heads), &expected);
    unsealed(&dir, &[]);
    assert_eq!(entries(&dir), before + 4);
    assert_same(&told(&dir, &heads), &expected);
    std::fs::rename(dir.file("archive"), dir.file("moved")).unwrap();
    assert_same(&told(&dir, &heads), &expected);
    std::fs::rename(dir.file("moved"), dir.file("archive")).unwrap();
    let third = sealed(&dir, "2026-03");
    assert!(third.contains(" entries were sealed"), "{third}");
    assert_same(&told(&dir, &heads), &expected);
}

#[test]
fn contract_nothing_is_deleted_that_is_not_sealed_or_is_needed() {
    let dir = Dir::new();
    let _server = closed(&dir);
    let refused = |sql: &str| {
        let error = dir.sql(sql).expect_err(sql);
        assert!(error.contains("the ledger is append only"), "{error}");
    };
    refused("DELETE FROM ledger WHERE entry = 9");
    sealed(&dir, "2026-02");
    // What stays of what is sealed: what was taken back, and what took it back.
    let covered = dir.either("l.entry <= s.entry", "l.writer = s.writer AND l.entry <= s.entry");
    let alone = format!(
        "SELECT count(*) FROM ledger l JOIN sealed s ON {covered} WHERE l.kind IN ('call', 'copy', 'release')
         AND NOT EXISTS (SELECT 1 FROM ledger r WHERE r.emitter = l.emitter AND r.sequence = l.sequence
                         AND r.kind IN ('reversal', 'correction'))"
    );
    assert_eq!(dir.number(&alone), 0);
    refused("DELETE FROM ledger WHERE entry = 1");
    refused("DELETE FROM ledger WHERE entry > (SELECT max(entry) FROM sealed)");
    refused("DELETE FROM ledger WHERE kind = 'month_closed'");
    refused("UPDATE ledger SET tenant = 'nobody' WHERE entry = 1");
}

#[test]
fn contract_what_cannot_be_sealed_is_refused_and_nothing_has_changed() {
    let dir = Dir::new();
    let _server = varied(&dir);
    let before = noted(&dir);
    for (month, why) in [
        ("2026-03", "2026-02 is not closed: `meshmeter close 2026-02` does it; only closed months are sealed"),
        ("2999-01", "2999-01 has not begun: what is sealed must be closed"),
        // Months that no clock here can tell.
        ("0000-01", "0000-01: no call counts before 1970-01"),
        ("1677-09", "1677-09: no call counts before 1970-01"),
        ("1970-01", "1970-01: no call counts before 1970-01"),
    ] {
        let (code, out, error) = seal(&dir, month, &[]);
        assert_eq!((code, out.as_str(), error), (1, "", format!("meshmeter: {why}\n")));
    }
    let (code, out, _) = seal(&dir, "2026-01", &[]);
    assert_eq!((code, out.as_str()), (0, "nothing to seal: no entry counts before 2026-01\n"));
    let (code, out, _) = seal(&dir, "2026-02", &["--dry-run"]);
    assert!(code == 0 && out.contains(" entries would be sealed, up to 1:"), "{out}");
    let (code, _, error) = run(&dir, &["seal", "--before", "2026-02", "--who", "ann"]);
    assert!(code == 2 && error.contains("--to: must say where the archive is to be"), "{error}");
    let (code, _, error) = run(&dir, &["unseal", "--who", "ann"]);
    assert_eq!((code, error.as_str()), (1, "meshmeter: nothing is sealed\n"));
    assert!(!dir.file("archive").exists());
    assert_eq!(noted(&dir), before);
}

#[test]
fn contract_what_comes_again_is_a_duplicate_and_what_is_sealed_is_not_corrected() {
    let dir = Dir::new();
    let server = closed(&dir);
    let sent: Vec<String> = (6..=12)
        .map(|number| {
            dir.texts(&format!(
                "SELECT event FROM ledger WHERE emitter = '{}' AND sequence = {number} AND event IS NOT NULL",
                emitter(1)
            ))
            .remove(0)
        })
        .collect();
    sealed(&dir, "2026-02");
    let before = noted(&dir);
    let again: Vec<Vec<u8>> = sent.iter().map(|event| event.clone().into_bytes()).collect();
    assert_eq!(server.send(&again).taken(), (0, 7, 0));
    assert_eq!(noted(&dir), before, "nothing was entered");
    let id = format!("{}-9", emitter(1));
    let entry = run(&dir, &["explain", &id, "--format", "json"]).1;
    let entry: Value = serde_json::from_str(&entry).unwrap();
    let (code, _, error) = run(&dir, &["correct", &id, "--void", "--reason", "looked at"]);
    assert!(code == 1 && error.contains(" is sealed: `meshmeter unseal --from 2026-01` brings it back"), "{error}");
    let dearer = dir.file("dearer.toml");
    let args = ["rerate", "--until", "2026-01-31", "--prices", dearer.to_str().unwrap(), "--no-builtin-prices"];
    for more in [&["--dry-run"][..], &[]] {
        let (code, out, error) = run(&dir, &[&args[..], more].concat());
        let is_said = error.contains(" calls are sealed and left as they are: `meshmeter unseal --from 2026-01`");
        assert!(code == 3 && out.contains(", 0 w") && is_said, "{entry}{out}{error}");
    }
    let (code, _, error) = run(&dir, &["verify"]);
    assert_eq!((code, error.as_str()), (0, ""));
    unsealed(&dir, &[]);
    let (code, _, error) = run(&dir, &["correct", &id, "--void", "--reason", "looked at"]);
    assert_eq!((code, error.as_str()), (0, ""));
    let expected = told(&dir, &[]);
    sealed(&dir, "2026-02");
    assert_same(&told(&dir, &[]), &expected);
}

/// Another meter's record of a call that is sealed: charged once, also if it saw more.
#[test]
fn contract_a_record_of_a_sealed_call_is_a_copy_of_it() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--prices", price_book().to_str().unwrap()]);
    let seen = |meter: u32, call: &str, evidence: Evidence| {
        let mut record = record("gpt-4.1", &[(Class::InputText, 1000), (Class::OutputText, 2)]);
        record.started_ns -= 3_600_000_000_000;
        record.response_id = Some(format!("chatcmpl-{call}"));
        record.request_id = Some(format!("request-{call}"));
        record.proxy = Some(emitter(meter));
        record.duration_us = 1000;
        record.evidence = evidence;
        wire::event::encode(&record, &emitter(meter), if call == "known" { 1 } else { 2 })
    };
    let first = [seen(1, "known", Evidence::Reported), seen(1, "guessed", Evidence::Estimated)];
    assert_eq!(server.send(&first).taken(), (2, 0, 0));
    assert_eq!(run(&dir, &["close", "2026-01", "--anyway"]).0, 0);
    sealed(&dir, "2026-02");
    assert_eq!(dir.number("SELECT count(*) FROM ledger WHERE kind = 'call'"), 0);
    let report = || run(&dir, &["report", "--since", "2026-01", "--until", "2026-12", "--by", "month,session"]);
    let before = report();
    let second = [seen(2, "known", Evidence::Reported), seen(2, "guessed", Evidence::Reported)];
    assert_eq!(server.send(&second).taken(), (2, 0, 0));
    assert_eq!(dir.texts(&format!("SELECT kind FROM ledger WHERE emitter = '{}'", emitter(2))), ["copy", "copy"]);
    assert_eq!(report(), before);
    noted(&dir);
}

#[test]
fn contract_a_name_in_sealed_months_is_not_forgotten_until_they_are_back() {
    let dir = Dir::new();
    let _server = closed(&dir);
    sealed(&dir, "2026-02");
    let forget =
        || run(&dir, &["forget", "--session", "session-1", "--reason", "asked for", "--who", "ann", "--no-vacuum"]);
    let (code, _, error) = forget();
    assert!(
        code == 1 && error.contains(" has the name and is sealed: bring it back with `meshmeter unseal"),
        "{error}"
    );
    unsealed(&dir, &[]);
    assert_eq!(forget().0, 0);
    // The archive has the name: another one must be made.
    let (code, _, error) = seal(&dir, "2026-02", &["--no-vacuum"]);
    assert!(code == 1 && error.contains("is not in the archive as the ledger has it"), "{error}");
    let expected = told(&dir, &[]);
    let other = dir.file("other").to_str().unwrap().to_owned();
    let (code, _, error) = run(&dir, &["seal", "--before", "2026-02", "--to", &other, "--who", "ann", "--no-vacuum"]);
    assert_eq!(code, 0, "{error}");
    assert_same(&told(&dir, &[]), &expected);
    let forget_other = ["forget", "--session", "session-nobody", "--reason", "asked for", "--who", "ann"];
    assert!(run(&dir, &forget_other).2.contains("the ledger has no session"), "sealed months are looked through, too");
}

#[test]
fn contract_verify_finds_what_was_done_to_a_ledger_of_which_months_are_sealed() {
    for (sql, expected) in [
        ("UPDATE sealed SET entry = entry - 1", "has another entry 1:"),
        ("DELETE FROM sealed", "entry 1:"),
        ("DELETE FROM ledger WHERE kind = 'sealed'", "is missing"),
        ("UPDATE ledger SET tenant = 'nobody' WHERE entry = 1", "entry 1:1: was altered"),
        ("DELETE FROM ledger WHERE entry = 1 AND kind = 'call'", "the sum of "),
    ] {
        let dir = Dir::new();
        let server = closed(&dir);
        sealed(&dir, "2026-02");
        drop(server);
        tamper(&dir, sql);
        let (code, _, error) = run(&dir, &["verify"]);
        assert!(code == 1 && error.contains(expected), "{sql}: {error}");
    }
}

#[test]
fn fidelity_a_backup_has_what_the_database_has_and_is_restored_to_each() {
    let dir = Dir::new();
    let server = closed(&dir);
    sealed(&dir, "2026-03");
    drop(server);
    let (heads, expected) = (noted(&dir), told(&dir, &[]));
    let file = backups::backup(&dir, "sealed.backup");
    let mut others = vec![Dir::of_file()];
    others.extend(server::Server::shared().map(|server| Dir::on(server.database())));
    for other in &others {
        backups::restore(other, &file);
        assert_eq!(noted(other), heads);
        for name in ["varied.toml", "dearer.toml"] {
            std::fs::copy(dir.file(name), other.file(name)).unwrap();
        }
        let found = told(other, &heads);
        let without_paths = |told: &[(String, String)]| -> Vec<(String, String)> {
            told.iter().filter(|(name, _)| !name.starts_with("gaps")).cloned().collect()
        };
        assert_same(&without_paths(&found), &without_paths(&expected));
        unsealed(other, &[]);
        assert_same(&without_paths(&told(other, &heads)), &without_paths(&expected));
    }
}

//! `meshmeter prune`: what is kept for a time only goes, and nothing that is asked for says otherwise than before.

use std::process::Stdio;

use wire::record::Record;

use crate::auditing::run;
use crate::backups::{backup, call, lived_in, restore};
use crate::support::*;

/// 2026-01-01, in days since 1970.
const JANUARY: i64 = 20_454;
/// How many places of January there are.
const IN_JANUARY: &str = "SELECT count(*) FROM responses WHERE day < 20485";

/// What a meter of a proxy saw of one of some calls.
fn seen(proxy: &'static str, number: u64) -> Vec<u8> {
    call(if proxy == "sidecar" { 6 } else { 7 }, number, |record: &mut Record| {
        // At noon: around midnight PostgreSQL has what recognises a call on both days.
        record.started_ns = (JANUARY as u64 + 19) * 86_400_000_000_000 + 43_200_000_000_000;
        record.response_id = Some(format!("chatcmpl-of-{number}"));
        record.request_id = Some(format!("request-{number}"));
        record.proxy = Some(proxy.to_owned());
    })
}

fn prune(dir: &Dir, args: &[&str]) -> (String, String) {
    let (code, out, error) = run(dir, &[&["prune"], args].concat());
    assert_eq!(code, 0, "{out}{error}");
    (out, error)
}

/// What commands say that must not change.
fn told(dir: &Dir) -> Vec<String> {
    let commands: [&[&str]; 6] = [
        &["verify"],
        &["report", "--by", "month,tenant,model", "--format", "json"],
        &["gaps", "--format", "json", "--silent-after", "100000h"],
        &["alarms", "--format", "json"],
        &["copies", "--format", "json"],
        &["explain", &format!("{}-1", emitter(1)), "--format", "json"],
    ];
    commands.iter().map(|args| format!("{:?}", run(dir, args))).collect()
}

#[test]
fn contract_what_cannot_be_pruned_says_what_can() {
    let dir = Dir::new();
    let _server = crate::auditing::filled(&dir, &[]);
    let needed = "prune: must say what and how old: --quarantined AGE, --copies AGE, or both";
    let form = "must be a number of days, weeks, months or years, such as 180d or 13mo, and at most 100 years";
    let least = "--copies: must be at least 32d, or 2mo";
    let cases: [(&[&str], &str); 8] = [
        (&[], needed),
        (&["--dry-run"], needed),
        (&["--quarantined", "180"], form),
        (&["--quarantined", "0d"], form),
        (&["--quarantined", "12h"], form),
        (&["--copies=-40d"], form),
        (&["--copies", "31d"], least),
        (&["--copies", "1mo"], least),
    ];
    for (args, expected) in cases {
        let (code, out, error) = run(&dir, &[&["prune"], args].concat());
        assert!(code == 2 && out.is_empty() && error.contains(expected), "{args:?}: {error}");
    }
    for (name, value, expected) in
        [("MESHMETER_KEEP_QUARANTINED", "soon", form), ("MESHMETER_KEEP_COPIES", "31d", least)]
    {
        let output = meshmeter(&["prune", "--database", &dir.database()]).env(name, value).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && error.contains(expected), "{name}: {error}");
    }
    for least in ["32d", "2mo"] {
        assert_eq!(prune(&dir, &["--copies", least, "--dry-run"]).1, "");
    }
}

#[test]
fn contract_what_was_settled_and_what_recognises_old_copies_goes_and_the_rest_stays() {
    let dir = Dir::new();
    let server = lived_in(&dir);
    assert_eq!(server.send(&[seen("sidecar", 1), seen("sidecar", 2), seen("sidecar", 3)]).taken(), (3, 0, 0));
    // One is settled long ago, for all that is known, and one now; one waits.
    let strange = |number: u64| call(1, 1, |record| record.model_of_a_stranger(number));
    for number in [1, 2] {
        assert_eq!(server.send(&[strange(number)]).json()["alarms"], 1);
    }
    let digests = |which: &str| {
        let hex = dir.either("lower(hex(digest))", "encode(digest, 'hex')");
        dir.texts(&format!("SELECT {hex} FROM quarantined WHERE {which}"))
    };
    let is_released = dir.either("released IS NOT NULL", "released_entry IS NOT NULL");
    let about = |number: u64| {
        let text = dir.either("CAST(event AS TEXT)", "convert_from(event, 'UTF8')");
        digests(&format!("kind = 'alarm' AND {text} LIKE '%stranger-{number}%'")).remove(0)
    };
    let settled = [about(1), about(2)];
    for digest in &settled {
        let (code, _, error) = run(&dir, &["release", "--digest", digest, "--void", "--reason", "looked at"]);
        assert_eq!(code, 0, "{error}");
    }
    let before = told(&dir);
    let unknown = dir.either("released = 999999", "released_entry = 999999");
    let first = dir.either("hex(digest) = upper('", "encode(digest, 'hex') = lower('");
    dir.sql(&format!("UPDATE quarantined SET {unknown}, last_received_ns = 1 WHERE {first}{}')", settled[0])).unwrap();
    assert_eq!(run(&dir, &["explain", "chatcmpl-of-2", "--on", "2026-01-20", "--provider", "openai"]).0, 0);
    let both = ["--quarantined", "180d", "--copies", "2mo"];
    let (out, error) = prune(&dir, &[&both[..], &["--dry-run"]].concat());
    let would = "quarantined: 1 settled events would be removed: nothing was changed\n\
                 copies: what recognises them in 3 places, and 0 decided pairs, would be removed: nothing was changed\n";
    assert_eq!((out.as_str(), error.as_str()), (would, ""));
    let sizes = "SELECT (SELECT count(*) FROM responses) * 1000 + (SELECT sum(length(event)) FROM quarantined)";
    let size = dir.number(sizes);
    let output = meshmeter(&["prune", "--no-vacuum", "--database", &dir.database()])
        .envs([("MESHMETER_KEEP_QUARANTINED", "180d"), ("MESHMETER_KEEP_COPIES", "2mo")])
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(out, would.replace("would be removed: nothing was changed", "were removed"));
    assert!(dir.number(sizes) < size);
    assert_eq!(told(&dir), before);
    let explained = || run(&dir, &["explain", "chatcmpl-of-2", "--on", "2026-01-20", "--provider", "openai"]);
    let (code, _, error) = explained();
    let finds = "; of a closed month `meshmeter prune` may have removed what finds it: name the event or the entry\n";
    assert!(code == 1 && error.ends_with(finds), "{error}");
    // The pair that waits keeps what it needs.
    assert_eq!(dir.number(IN_JANUARY), 2);
    assert_eq!(digests(&format!("{is_released} AND length(event) = 0")), [settled[0].clone()]);
    let (again, error) = prune(&dir, &both);
    assert!(again.contains("quarantined: 0 ") && again.contains(" 0 places") && error.is_empty(), "{again}{error}");
    // What was settled comes again: no alarm for anybody. Where nobody knows a call any more, its copy is charged.
    assert_eq!(server.send(&[strange(1)]).json()["alarms"], 1);
    assert_eq!(told(&dir), before);
    assert_eq!(server.send(&[seen("gateway", 1)]).taken(), (1, 0, 0));
    assert_eq!(dir.texts(&format!("SELECT kind FROM ledger WHERE emitter = '{}'", emitter(7))), ["call"]);
    assert_eq!(run(&dir, &["verify"]).0, 0);
    // Another database has the same.
    let expected = told(&dir);
    let file = backup(&dir, "backup");
    for other in [Dir::of_file(), Dir::new()] {
        restore(&other, &file);
        assert_eq!(told(&other), expected);
    }
}

trait Stranger {
    fn model_of_a_stranger(&mut self, number: u64);
}

impl Stranger for Record {
    fn model_of_a_stranger(&mut self, number: u64) {
        self.response_model = Some(format!("stranger-{number}"));
    }
}

/// So many rows of January, whose calls nobody sends again.
fn fill(dir: &Dir, rows: u64) {
    let sql = format!(
        "INSERT INTO responses (day, response, proof, place) {}",
        dir.either(
            "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ROWS)
             SELECT FIRST + x % 31, x, 0, 'PLACE' FROM n",
            "SELECT FIRST + x % 31, x, 0, 'PLACE' FROM generate_series(1, ROWS) AS x",
        )
    );
    let place = "[[[1,1],1,[1],1,null,[1,1],true,[1,1],1,1],null,0]";
    let sql = sql.replace("ROWS", &rows.to_string()).replace("FIRST", &JANUARY.to_string()).replace("PLACE", place);
    dir.sql(&sql).unwrap();
}

#[test]
fn race_who_is_killed_while_he_prunes_runs_it_again_and_collectors_go_on() {
    const ROWS: u64 = 40_000;
    let dir = Dir::new();
    let server = lived_in(&dir);
    fill(&dir, ROWS);
    let count = || dir.number(IN_JANUARY);
    let whole = count();
    let (mut left, mut sent) = (whole, 0);
    for round in 1..=3 {
        let mut pruning = meshmeter(&["prune", "--copies", "40d", "--no-vacuum", "--database", &dir.database()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("some rows are gone", || count() <= left - 2000);
        for _ in 0..5 {
            sent += 1;
            assert_eq!(server.send(&[seen("sidecar", sent)]).taken(), (1, 0, 0), "collectors go on");
        }
        let _ = pruning.kill();
        assert!(!pruning.wait().unwrap().success(), "it was done before it was killed, in round {round}");
        left = count();
        assert!(left > whole - ROWS as i64);
        assert_eq!(run(&dir, &["verify"]).0, 0);
    }
    let (out, _) = prune(&dir, &["--copies", "40d"]);
    assert!(out.starts_with("copies: what recognises them in "), "{out}");
    assert_eq!(count(), 2, "those of the pair that waits");
    assert_eq!(run(&dir, &["verify"]).0, 0);
}

/// A file is written anew if that is worth it.
#[test]
fn contract_a_file_gives_back_what_is_free_if_that_is_much() {
    let dir = Dir::of_file();
    let server = lived_in(&dir);
    fill(&dir, 60_000);
    drop(server);
    let length = || std::fs::metadata(dir.file("ledger.db")).unwrap().len();
    let before = length();
    let (_, error) = prune(&dir, &["--copies", "2mo", "--no-vacuum"]);
    let note = "note: the file keeps its length; its free space is used again, and has what was removed until then\n";
    assert_eq!((error.as_str(), length() >= before), (note, true));
    let (out, error) = prune(&dir, &["--copies", "2mo"]);
    assert!(out.contains(" 0 places") && error.is_empty(), "{out}{error}");
    assert!(length() < before / 2, "{} of {before}", length());
}

//! `meshmeter forget`: a name is replaced while the collector runs, and everything else stays as it is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::auditing::run;
use crate::backups::{backup, call, lived_in, restore};
use crate::support::*;

const NAME: &str = "acme/ml/1";

fn forget(dir: &Dir, name: &[&str], more: &[&str]) -> (i32, String, String) {
    run(dir, &[&["forget", "--reason", "she asked for it", "--who", "the officer"], name, more].concat())
}

/// What reports say, but for the name; and the order, which is by name.
fn told(dir: &Dir, name: &str) -> Vec<Vec<String>> {
    let commands: [&[&str]; 5] = [
        &["report", "--by", "day,tenant,model", "--format", "csv"],
        &["report", "--by", "month,tenant", "--round", "2", "--format", "csv"],
        &["report", "--by", "tenant,session,tag:team", "--since", "2026-01-01", "--format", "csv"],
        &["statement", "--tenant", name, "--month", "2026-01", "--format", "csv"],
        &["statement", "--tenant", "acme", "--below", "--month", "2026-01", "--format", "csv"],
    ];
    let said = |args: &[&str]| {
        let (code, out, error) = run(dir, args);
        assert!(code == 0 && out.contains(name), "{args:?}: {code} {out}{error}");
        // The number of a line, and the open end of the chains, are not about the calls.
        let same = |line: &str| {
            let line = line.replace(name, "(name)");
            let is_numbered = args[0] == "statement";
            let cells: Vec<&str> = line.split(',').skip(usize::from(is_numbered)).collect();
            cells.join(",")
        };
        let mut lines: Vec<String> = out.lines().map(same).collect();
        lines.sort();
        lines
    };
    commands.into_iter().map(said).collect()
}

#[test]
fn contract_bills_stay_equal_to_the_last_digit_and_the_name_is_gone() {
    let dir = Dir::new();
    let server = lived_in(&dir);
    let (before, noted) = (told(&dir, NAME), run(&dir, &["verify"]).1);
    let dry = forget(&dir, &["--tenant", NAME], &["--dry-run"]);
    assert!(dry.0 == 0 && dry.1.starts_with("acme/ml/1 is in ") && dry.1.ends_with("nothing was changed\n"), "{dry:?}");
    assert_eq!(told(&dir, NAME), before);
    let keys = dir.file("pseudonyms");
    let (code, out, error) = forget(&dir, &["--tenant", NAME], &["--as", "person-7", "--keep", keys.to_str().unwrap()]);
    assert!(code == 0 && out.starts_with("acme/ml/1 is person-7 now, in "), "{out}{error}");
    let due = dir.either("", "note: PostgreSQL keeps what was replaced until it is vacuumed");
    assert!(error.starts_with(due) && error.is_empty() == due.is_empty(), "{error}");
    assert_eq!(told(&dir, "acme/ml/person-7"), before);
    let verified =
        run(&dir, &[&["verify"], &*noted.lines().flat_map(|line| ["--noted", line]).collect::<Vec<_>>()].concat());
    assert_eq!((verified.0, verified.2.as_str()), (0, ""));
    // The pseudonym is kept apart, for its owner alone.
    let kept: serde_json::Value = serde_json::from_str(fs::read_to_string(&keys).unwrap().trim()).unwrap();
    assert_eq!(
        (&kept["pseudonym"], &kept["name"], &kept["what"]),
        (&"person-7".into(), &NAME.into(), &"tenant".into())
    );
    assert_eq!(fs::metadata(&keys).unwrap().permissions().mode() & 0o777, 0o600);
    let said = dir.texts("SELECT reason || ' ' || event FROM ledger WHERE kind = 'forgotten'");
    assert!(said.len() == 1 && said[0].contains("she asked for it") && said[0].contains(r#""who":"the officer""#));
    if !crate::ON_POSTGRES {
        for end in ["", "-wal"] {
            let bytes = fs::read(format!("{}{end}", dir.database())).unwrap();
            assert!(!bytes.windows(NAME.len()).any(|part| part == NAME.as_bytes()), "the name is in ledger.db{end}");
        }
    }
    // The collector knows what comes again, and new calls keep the name.
    let again: Vec<Vec<u8>> = (1..=21).filter(|number| *number != 9).map(|number| call(1, number, |_| {})).collect();
    assert_eq!(server.send(&again).taken(), (0, 20, 0));
    assert_eq!(server.send(&[call(1, 22, |_| {})]).taken(), (1, 0, 0));
    assert!(run(&dir, &["report", "--by", "tenant"]).1.contains(NAME));
    drop(server);
    // A backup has what there is, and the other database, too.
    let file = backup(&dir, "after");
    for next in [Dir::of_file(), Dir::new()] {
        restore(&next, &file);
        assert_eq!(run(&next, &["report", "--by", "day,tenant"]), run(&dir, &["report", "--by", "day,tenant"]));
        let (code, out, error) = forget(&next, &["--tenant", NAME], &[]);
        assert!(code == 0 && out.contains(" now, in 1 entries: "), "{out}{error}");
        assert_eq!(run(&next, &["verify"]).2, "");
        assert!(!run(&next, &["report", "--by", "tenant"]).1.contains(NAME));
    }
}

#[test]
fn contract_what_cannot_be_forgotten_is_said_and_nothing_changes() {
    let dir = Dir::new();
    drop(lived_in(&dir));
    let (heads, before) = (run(&dir, &["verify"]).1, told(&dir, NAME));
    let reason = |reason: &str| run(&dir, &["forget", "--who", "x", "--tenant", NAME, "--reason", reason]);
    let cases = [
        (forget(&dir, &["--tenant", "acme/nobody"], &[]), 1, "meshmeter: the ledger has no tenant acme/nobody\n"),
        (forget(&dir, &["--principal", "nobody"], &[]), 1, "meshmeter: the ledger has no principal nobody\n"),
        (forget(&dir, &["--tag", "team=nobody"], &[]), 1, "meshmeter: the ledger has no tag nobody\n"),
        (forget(&dir, &["--tenant", NAME], &["--as", "globex"]), 1, "meshmeter: globex is in the ledger already"),
        (forget(&dir, &["--tenant", ""], &[]), 2, "--tenant: must not be empty"),
        (forget(&dir, &["--tenant", "unknown"], &[]), 2, "--tenant: must be ASCII letters"),
        (forget(&dir, &["--tag", "team"], &[]), 2, "--tag: must"),
        (forget(&dir, &["--tenant", NAME], &["--as", "a/b"]), 2, "must be 1 to 64 ASCII letters"),
        (forget(&dir, &["--tenant", NAME, "--principal", "x"], &[]), 2, "cannot be used with"),
        (forget(&dir, &[], &[]), 2, "required arguments were not provided"),
        (reason(" "), 2, "--reason: must say why"),
        (reason("acme/ml/1 has left"), 2, "--reason: must not have the name in it"),
        (run(&dir, &["forget", "--tenant", NAME, "--reason", "x"]), 2, "who: must say who you are"),
        (reason(&"x".repeat(1001)), 2, "--reason: must"),
    ];
    for ((code, out, error), due, says) in cases {
        assert!(code == due && out.is_empty() && error.contains(says), "{says}: {code} {out}{error}");
    }
    assert_eq!((run(&dir, &["verify"]).1, told(&dir, NAME)), (heads, before));
    let none = Dir::of_file();
    let (code, _, error) = forget(&none, &["--tenant", NAME], &[]);
    assert!(code == 1 && error.contains("there is no such file"), "{error}");
}

/// Killed at any moment, it goes on when it is run again, while the collector takes more.
#[test]
fn race_what_is_killed_goes_on_with_the_same_pseudonym() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--prices", price_book().to_str().unwrap()]);
    for first in (1..=3000).step_by(250) {
        let batch: Vec<Vec<u8>> = (first..first + 250).map(|number| call(1, number, |_| {})).collect();
        assert_eq!(server.send(&batch).taken(), (250, 0, 0));
    }
    let (noted, keys) = (run(&dir, &["verify"]).1, dir.file("pseudonyms"));
    let args = ["forget", "--tenant", NAME, "--reason", "x", "--who", "x", "--keep", keys.to_str().unwrap()];
    let mut pending = Vec::new();
    for round in 1..100 {
        let mut process = meshmeter(&args);
        process.args(["--database", &dir.database()]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = process.spawn().unwrap();
        thread::sleep(Duration::from_millis(20 * round));
        let _ = process.kill();
        process.wait().unwrap();
        // It may have been killed when all was done but the file.
        if !dir.texts("SELECT event FROM ledger WHERE kind = 'forgotten'").is_empty() {
            break;
        }
        assert_eq!(server.send(&[call(2, round, |record| record.identity.tenant = "globex".to_owned())]).taken().0, 1);
        pending.extend(dir.texts("SELECT pseudonym FROM forgetting"));
    }
    pending.dedup();
    assert_eq!(pending.len(), 1, "it was killed in the middle, and always went on with the same");
    assert!(dir.texts("SELECT pseudonym FROM forgetting").is_empty());
    let kept = fs::read_to_string(&keys).unwrap();
    assert!(kept.lines().last().unwrap().contains(&pending[0]), "{kept}");
    let entries = dir.texts("SELECT event FROM ledger WHERE kind = 'forgotten'");
    assert!(entries.len() == 1 && entries[0].contains(r#""entries":1000,"#), "{entries:?}");
    let (code, _, error) = run(&dir, &["verify", "--noted", noted.trim()]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(!run(&dir, &["report", "--by", "tenant"]).1.contains(NAME));
}

//! What a person closes, and charges again: months, emitters, calls.

use crate::auditing::run;
use crate::support::*;

fn january(dir: &Dir) -> String {
    let (code, out, error) = run(dir, &["report", "--until", "2026-01-31", "--by", "month,tenant", "--format", "json"]);
    assert_eq!((code, error.as_str()), (0, ""));
    out
}

#[test]
fn contract_a_closed_month_stays_as_it_is_and_corrections_are_credits() {
    let dir = Dir::new();
    let book = price_book().to_str().unwrap();
    let server = Server::start(&dir, &["--prices", book]);
    // The second is of February.
    assert_eq!(server.send(&events(&emitter(1), [1, 2, 4])).taken(), (3, 0, 0));
    let (code, out, error) = run(&dir, &["close", "2026-01"]);
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(error.starts_with("2026-01 was not closed, for the ledger has: 1 missing numbers"), "{error}");
    let (code, out, _) = run(&dir, &["close", "2026-01", "--anyway", "--reason", "invoiced"]);
    assert!(code == 0 && out.starts_with("2026-01 is closed: entry "), "{out}");
    let (code, _, error) = run(&dir, &["close", "2026-01", "--anyway"]);
    assert_eq!((code, error.as_str()), (1, "meshmeter: 2026-01 was closed before\n"));
    for (month, code) in [("2999-01", 1), ("2026-13", 2), ("January", 2)] {
        assert_eq!(run(&dir, &["close", month, "--anyway"]).0, code, "{month}");
    }
    let closed = january(&dir);
    // A late call, a void, and the call again.
    assert_eq!(server.send(&events(&emitter(1), [3])).taken(), (1, 0, 0));
    let call = |number: u64| format!("{}-{number}", emitter(1));
    let correct =
        |number: u64, more: &[&str]| run(&dir, &[&["correct", &call(number), "--reason", "looked at"], more].concat());
    assert_eq!(correct(1, &["--void"]).0, 0);
    assert_eq!(january(&dir), closed);
    let (_, out, _) = run(&dir, &["report", "--by", "month"]);
    assert!(out.contains("adjusts: credits and debits for calls of a month that was closed before"), "{out}");
    let (code, _, error) = correct(1, &["--void"]);
    let nobody = "meshmeter: nobody is charged for this call; --charge charges it again\n";
    assert_eq!((code, error.as_str()), (1, nobody));
    let (code, out, error) = correct(1, &["--charge", "--tenant", "globex"]);
    assert!(code == 0 && out.starts_with("charged again: entry "), "{out}{error}");
    let (code, _, error) = correct(1, &["--charge"]);
    assert!(code == 1 && error.contains("is charged for this call is"), "{error}");
    assert_eq!(january(&dir), closed);
    let (code, _, error) = run(&dir, &["verify"]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(server.metric("meshmeter_collector_charged_nano_usd_total") > 0);
    // Whoever gives an entry back to the closed month is found.
    let tampered =
        dir.sql("UPDATE rollup SET adjusts = '', day = '2026-01-31' WHERE adjusts <> '' AND class = 'calls'");
    if tampered.is_ok() {
        assert_eq!(run(&dir, &["verify"]).0, 1);
    }
}

#[test]
fn contract_an_emitter_can_be_closed_and_what_cannot_be_read_dismissed() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let (code, out, _) = run(&dir, &["gaps"]);
    assert_eq!((code, out.as_str()), (0, "nothing was ever received: no emitter is known\n"));
    assert_eq!(server.send(&events(&emitter(1), [1, 5])).taken(), (2, 0, 0));
    assert_eq!(server.send(&[b"{\"no\":\"event\"}".to_vec()]).taken(), (0, 0, 1));
    assert_eq!((run(&dir, &["gaps"]).0, run(&dir, &["alarms"]).0), (3, 3));
    let (_, kept, _) = run(&dir, &["alarms", "--format", "json"]);
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    let digest = &kept[0]["digest"].as_str().unwrap()[..12];
    let dismiss = || run(&dir, &["release", "--digest", digest, "--void", "--reason", "a broken proxy"]);
    let (code, out, error) = dismiss();
    assert!(code == 0 && out.ends_with(", no call, charged to nobody\n"), "{out}{error}");
    assert_eq!(dismiss().0, 1, "twice");
    assert_eq!(run(&dir, &["release", "--void", "--reason", "which?"]).0, 2);
    let close = |name: &str| run(&dir, &["gaps", "close", name, "--reason", "its disk is gone"]);
    assert_eq!(close("no-such-emitter").0, 1);
    assert_eq!(close(&emitter(1)).0, 0);
    let (code, out, _) = run(&dir, &["gaps"]);
    assert!(code == 0 && out.contains("missing, closed by a person"), "{out}");
    assert_eq!(run(&dir, &["alarms"]).0, 0);
    assert_eq!(dir.texts("SELECT reason FROM ledger WHERE kind = 'emitter_closed'"), ["its disk is gone"]);
    assert_eq!(run(&dir, &["verify"]).0, 0);
}

//! What a person closes, and charges again: months, emitters, calls.

use wire::record::{Deferred, Evidence, Record};
use wire::usage::Class;

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
    let named = error.lines().skip(1).take(2).collect::<Vec<_>>().join("\n");
    let (code, out, error) = run(&dir, &["close", "2026-01", "--anyway", "--reason", "invoiced"]);
    assert!(code == 0 && out.starts_with("2026-01 is closed: entry "), "{out}");
    let says = format!("2026-01 was closed although the ledger has: 1 missing numbers\n{named}\n");
    assert!(error.contains(&says), "it names what it closed over: {error}");
    let (code, _, error) = run(&dir, &["close", "2026-01", "--anyway"]);
    assert_eq!((code, error.as_str()), (1, "meshmeter: 2026-01 was closed before\n"));
    for (month, code, why) in [
        ("2999-01", 1, "2999-01 is not over"),
        ("2026-01", 1, "2026-01 was closed before"),
        ("2026-13", 2, "must be a month"),
        ("January", 2, "must be a month"),
    ] {
        // Whatever is open: that is not why.
        let (ended, _, error) = run(&dir, &["close", month]);
        assert!(ended == code && error.contains(why) && !error.contains("the ledger has"), "{month}: {error}");
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
    let (code, out, error) = correct(1, &["--charge", "--tenant", "globex", "--prices", book]);
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

/// An event of a day, with this model.
fn event_of(emitter_number: u32, sequence: u64, day: &str, model: &str, change: impl Fn(&mut Record)) -> Vec<u8> {
    let began: jiff::Timestamp = format!("{day}T12:00:00Z").parse().unwrap();
    let mut record = record(model, &[(Class::InputText, 3)]);
    record.started_ns = began.as_nanosecond().try_into().unwrap();
    change(&mut record);
    wire::event::encode(&record, &emitter(emitter_number), sequence)
}

#[test]
fn contract_a_month_is_kept_open_by_what_is_of_it_and_that_is_named() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--prices", price_book().to_str().unwrap()]);
    let same = |_: &mut Record| {};
    let priced = |number, sequence, day: &str| event_of(number, sequence, day, "gpt-4.1", same);
    // Of January: seven calls without a price; number 2 of the second emitter is missing between them.
    let unpriced = (1..=7).map(|sequence| event_of(1, sequence, &format!("2026-01-1{sequence}"), "no-price", same));
    assert_eq!(server.send(&unpriced.collect::<Vec<_>>()).taken(), (7, 0, 0));
    assert_eq!(server.send(&[priced(2, 1, "2026-01-10"), priced(2, 3, "2026-01-12")]).taken(), (2, 0, 0));
    // Of March: a hole, calls without a price, an alarm.
    let march =
        [priced(3, 1, "2026-03-05"), priced(3, 3, "2026-03-06"), event_of(3, 4, "2026-03-07", "no-price", same)];
    assert_eq!(server.send(&march).taken(), (3, 0, 0));
    assert_eq!(server.send(&[priced(3, 1, "2026-03-09")]).json()["alarms"], 1);
    // Of January: an alarm.
    assert_eq!(server.send(&[priced(1, 1, "2026-01-20")]).json()["alarms"], 1);
    let (code, _, error) = run(&dir, &["close", "2026-01"]);
    let sum = "2026-01 was not closed, for the ledger has: 1 missing numbers, 1 alarms, 7 calls of which something has no price";
    assert!(code == 3 && error.starts_with(sum), "{error}");
    let (one, two) = (emitter(1), emitter(2));
    for named in [
        format!("missing numbers:\n  {two} 2, known since 20"),
        format!("alarms:\n  {one}-1, began 2026-01-20T12:00:00Z: data.sequence: the ledger has another event"),
        format!("{one}-1, 2026-01-11: openai no-price\n  {one}-2, 2026-01-12: openai no-price"),
        format!("{one}-5, 2026-01-15: openai no-price\n  and 2 more\n"),
    ] {
        assert!(error.contains(&named), "{named} is not in\n{error}");
    }
    assert!(!error.contains(&emitter(3)), "what is of March does not keep January open: {error}");
    let (_, _, error) = run(&dir, &["close", "2026-01", "--silent-after", "0s"]);
    assert!(error.contains(", 2 open ends,") && error.contains(&format!("  {two}, last heard of 20")), "{error}");
    assert!(!error.contains(&emitter(3)), "its open end is of March: {error}");
    assert_eq!(run(&dir, &["close", "2026-02"]).0, 0, "nothing of it is open");
    let (_, _, error) = run(&dir, &["close", "2026-03"]);
    assert!(error.contains(&format!("{}-4, 2026-03-07: openai no-price", emitter(3))), "{error}");
    assert!(
        error.starts_with("2026-03 was not closed, for the ledger has: 1 missing numbers, 1 alarms, 1 calls"),
        "{error}"
    );
    // Of no month that is known: it may be of each before it came.
    assert_eq!(server.send(&[b"{\"no\":\"event\"}".to_vec()]).taken(), (0, 0, 1));
    let (_, _, error) = run(&dir, &["close", "2026-01"]);
    assert!(error.contains("1 dead letters") && error.contains("its month is not known, came 20"), "{error}");
}

#[test]
fn contract_calls_whose_counts_are_not_known_are_noted_and_keep_no_month_open() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--prices", price_book().to_str().unwrap()]);
    let missing = |record: &mut Record| {
        record.usage = Default::default();
        record.evidence = Evidence::Missing;
    };
    let deferred = |record: &mut Record| {
        missing(record);
        record.deferred = Some(Deferred::ALL[0]);
    };
    let all = [
        event_of(1, 1, "2026-01-10", "gpt-4.1", |record| record.unknown_usage = Some("usage.smells".to_owned())),
        event_of(1, 2, "2026-01-11", "gpt-4.1", missing),
        event_of(1, 3, "2026-01-12", "gpt-4.1", deferred),
        event_of(1, 4, "2026-02-12", "gpt-4.1", deferred),
    ];
    assert_eq!(server.send(&all).taken(), (4, 0, 0));
    let (code, out, error) = run(&dir, &["close", "2026-01"]);
    assert!(code == 0 && out.starts_with("2026-01 is closed: entry "), "{out}{error}");
    let lines: Vec<&str> = error.lines().take(4).collect();
    let expected = [
        "note: 2026-01 has calls whose counts are not all known, which does not keep it open:",
        "  1 calls whose counts are to come in another call (deferred)",
        "  2 calls without counts (missing); failed and deferred ones are among them",
        "  1 calls with a count that is not known: usage.smells",
    ];
    assert_eq!(lines, expected);
    assert!(error.contains("no other amount can be charged in the ledger by hand"), "{error}");
    let (_, table, _) = run(&dir, &["report"]);
    assert!(table.contains("- as charge or cost: nothing was counted that could be charged"), "{table}");
    // The same for a month without such calls says nothing of the kind.
    let (code, _, error) = run(&dir, &["close", "2026-03"]);
    assert_eq!((code, error.as_str()), (0, ""));
}

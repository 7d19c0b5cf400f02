//! `meshmeter verify`, `gaps`, `rerate` and `correct` on a ledger that a collector has written.

use wire::emitter::EmitterKey;
use wire::usage::Class;

use crate::support::*;

/// What a command on the ledger of a directory printed, and how it ended.
pub fn run(dir: &Dir, args: &[&str]) -> (i32, String, String) {
    let output = meshmeter(&[args, &["--database", &dir.database()]].concat()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

pub fn filled(dir: &Dir, more: &[&str]) -> Server {
    let server = Server::start(dir, more);
    assert_eq!(server.send(&events(&emitter(1), 1..=5)).taken(), (5, 0, 0));
    server
}

/// Does to the database what no program of ours does.
pub fn tamper(dir: &Dir, sql: &str) {
    let open = dir.either(
        "DROP TRIGGER IF EXISTS ledger_is_never_updated; DROP TRIGGER IF EXISTS ledger_is_never_deleted;",
        "ALTER TABLE ledger DISABLE TRIGGER USER;",
    );
    dir.sql(&format!("{open}{sql}")).unwrap();
}

#[test]
fn contract_verify_names_the_first_entry_that_was_altered_or_is_missing() {
    let every = "kind emitter sequence started_ns received_ns tenant provider model evidence charge event hash";
    let no_hash = if crate::ON_POSTGRES { "decode(repeat('00', 32), 'hex')" } else { "zeroblob(32)" };
    let mut cases: Vec<(String, String)> = every
        .split(' ')
        .map(|column| {
            let value = if column == "hash" { no_hash } else { &format!("1{column}") };
            let value = if column.ends_with("_ns") || column == "sequence" { &format!("{column} + 7") } else { value };
            let value = value.replace("1kind", "'copy'").replace("1evidence", "'partial'").replace("1charge", "'7.00'");
            let value = if value.starts_with('1') { format!("'{value}'") } else { value };
            (format!("UPDATE ledger SET {column} = {value} WHERE entry = 3"), "entry 1:3: was altered".to_owned())
        })
        .collect();
    cases.extend([
        ("DELETE FROM ledger WHERE entry = 2".to_owned(), "entry 1:2: is missing".to_owned()),
        ("DELETE FROM ledger WHERE entry = 1".to_owned(), "entry 1:1: is missing".to_owned()),
        ("DELETE FROM ledger WHERE entry > 3".to_owned(), "entry 1:4: is missing, the chain ended at 1:5".to_owned()),
        (
            "UPDATE rollup SET quantity = quantity + 1 WHERE class = 'calls'".to_owned(),
            "the sum of calls of acme".to_owned(),
        ),
        (
            "DELETE FROM rollup WHERE class = 'input_text_tokens'".to_owned(),
            "the sum of input_text_tokens of".to_owned(),
        ),
        ("UPDATE emitter_ranges SET last = 6".to_owned(), "its ranges are not those of its entries".to_owned()),
    ]);
    let nothing = if crate::ON_POSTGRES { "''" } else { "x''" };
    let sums = ["DELETE FROM rollup_months".to_owned(), format!("UPDATE rollup_days SET counts = {nothing}")];
    cases.extend(sums.map(|sql| (sql, "is not that of its days and tenants".to_owned())));
    for (sql, expected) in cases {
        let dir = Dir::new();
        drop(filled(&dir, &["--prices", price_book().to_str().unwrap()]));
        let (code, heads, error) = run(&dir, &["verify"]);
        assert_eq!((code, error.as_str()), (0, ""), "before: {sql}");
        assert!(heads.starts_with("1:5:") && heads.trim_end().len() == 68, "{heads}");
        tamper(&dir, &sql);
        let (code, out, error) = run(&dir, &["verify"]);
        assert_eq!((code, out.as_str()), (1, ""), "{sql}");
        assert!(error.contains(&expected), "{sql}: {error}");
    }
}

#[test]
fn contract_a_ledger_written_anew_is_found_by_the_head_that_was_noted() {
    let dir = Dir::new();
    drop(filled(&dir, &[]));
    let (_, noted, _) = run(&dir, &["verify"]);
    dir.forget();
    let server = Server::start(&dir, &[]);
    let other = wire::event::encode(&record("other", &[(Class::InputText, 1)]), &emitter(1), 1);
    assert_eq!(server.send(&[other]).taken(), (1, 0, 0));
    assert_eq!(server.send(&events(&emitter(1), 2..=9)).taken(), (8, 0, 0));
    assert_eq!(run(&dir, &["verify"]).0, 0, "by itself it is whole");
    let (code, _, error) = run(&dir, &["verify", "--noted", noted.trim()]);
    assert!(code == 1 && error.contains("entry 1:5: is not the one that was noted"), "{error}");
    let (_, now, _) = run(&dir, &["verify"]);
    assert_eq!(run(&dir, &["verify", "--noted", now.trim()]).0, 0);
    let later = now.replace("1:9:", "1:10:");
    assert!(
        run(&dir, &["verify", "--noted", later.trim()]).2.contains("entry 1:10: is missing, a later one was noted")
    );
    assert_eq!(run(&dir, &["verify", "--noted", "1:2:xyz"]).0, 2);
}

#[test]
fn contract_a_price_that_comes_late_is_entered_by_reversal_while_the_collector_runs() {
    let dir = Dir::new();
    let server = filled(&dir, &[]);
    let report = || server.get("/v1/report", Some(READ)).json()["totals"][0].clone();
    assert_eq!(report()["unpriced"]["input_text_tokens"], 15);
    let prices = price_book().to_str().unwrap();
    let (code, out, error) = run(&dir, &["rerate", "--prices", prices, "--dry-run"]);
    assert_eq!((code, error.as_str()), (0, ""));
    let lines: Vec<String> = out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected = [
        "tenant provider model calls difference (USD)",
        "acme openai gpt-4.1 5 0.00011",
        "5 calls, 5 would be re-rated, difference 0.00011 USD",
    ];
    assert_eq!(lines, expected);
    assert_eq!(dir.number("SELECT count(*) FROM ledger"), 5, "nothing was entered");
    let (code, out, error) = run(&dir, &["rerate", "--prices", prices, "--reason", "the price came late"]);
    assert_eq!((code, out.as_str(), error.as_str()), (0, "5 calls, 5 were re-rated, difference 0.00011 USD\n", ""));
    assert_eq!(
        (&report()["cost"], &report()["unpriced"], &report()["calls"]),
        (&"0.00011".into(), &().into(), &5.into())
    );
    assert_eq!(server.send(&events(&emitter(1), [6])).taken(), (1, 0, 0), "the chain goes on behind the corrections");
    let why = "SELECT count(*) FROM ledger WHERE kind IN ('reversal', 'correction') AND reason = 'the price came late'";
    assert_eq!((dir.number(why), dir.number("SELECT count(*) FROM ledger")), (10, 16));
    let (_, out, _) = run(&dir, &["rerate", "--prices", prices]);
    assert_eq!(out, "6 calls, 1 were re-rated, difference 0.000022 USD\n", "only what is charged otherwise");
    assert_eq!(run(&dir, &["verify"]).0, 0);
}

#[test]
fn contract_a_call_is_charged_to_another_or_to_nobody_with_a_reason() {
    let dir = Dir::new();
    let server = filled(&dir, &["--prices", price_book().to_str().unwrap()]);
    let (one, two) = (format!("{}-1", emitter(1)), format!("{}-2", emitter(1)));
    let globex = ["correct", &one, "--tenant", "globex", "--reason", "wrong header"];
    let (code, _, error) = run(&dir, &globex);
    assert!(code == 1 && error.contains("no price book to rate the call by"), "{error}");
    assert_eq!(run(&dir, &[&globex[..], &["--keep-charge"]].concat()).0, 0);
    assert_eq!(run(&dir, &["correct", &two, "--void", "--reason", "a test"]).0, 0);
    let (code, _, error) = run(&dir, &["correct", &two, "--void", "--reason", "again"]);
    assert!(code == 1 && error.contains("nobody is charged for this call; --charge charges it again"), "{error}");
    let report = server.get("/v1/report?by=tenant", Some(READ)).json();
    let lines: Vec<String> = report["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| format!("{} {} {}", line["tenant"], line["calls"], line["cost"]))
        .collect();
    assert_eq!(lines, [r#""acme" 3 "0.000066""#, r#""globex" 1 "0.000022""#]);
    for bad in [
        vec!["correct", &one, "--reason", "x"],
        vec!["correct", "x", "--void", "--reason", "x"],
        vec!["correct", &one, "--void"],
    ] {
        assert_eq!(run(&dir, &bad).0, 2, "{bad:?}");
    }
    assert_eq!(
        server.send(&events(&emitter(1), 1..=5)).taken(),
        (0, 5, 0),
        "a number is spent once, whatever is corrected"
    );
    assert_eq!(run(&dir, &["verify"]).0, 0);
}

#[test]
fn contract_gaps_are_named_and_alarms_are_shown() {
    let dir = Dir::new();
    let server = filled(&dir, &[]);
    let none = "no gaps: 1 emitters, 0 numbers missing, 0 open ends, 0 alarms, 0 dead letters\n";
    assert_eq!(run(&dir, &["gaps"]), (0, none.to_owned(), String::new()));
    let bearer = format!("Bearer {INGEST}");
    let says = format!("{}; head=12; dropped=2; drops=8-9:full; end", emitter(1));
    let headers = [("authorization", bearer.as_str()), ("content-type", BATCH), ("meshmeter-emitter", &says)];
    let response = server.post(&headers, &array(&events(&emitter(1), [7, 10])));
    assert!(response.taken() == (2, 0, 0) && response.header("meshmeter-collector").is_some(), "{response:?}");
    let other = wire::event::encode(&record("other", &[]), &emitter(1), 1);
    assert_eq!(server.send(&[other]).json()["alarms"], 1);
    assert_eq!(server.metric("meshmeter_collector_events_total{outcome=\"alarm\"}"), 1);
    for (gauge, count) in
        [("missing_numbers", 5), ("open_ends", 0), ("alarms", 1), ("dead_letters", 0), ("unpriced_calls", 7)]
    {
        assert_eq!(server.metric(&format!("meshmeter_collector_{gauge}")), count, "{gauge}");
    }
    let (code, table, _) = run(&dir, &["gaps"]);
    let lines: Vec<String> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for expected in ["6 1 missing", "8-9 2 missing", "11-12 2 missing", "1 1 ALARM"] {
        assert!(lines.iter().any(|line| line.contains(expected)), "{expected} is not in\n{table}");
    }
    let sum = "1 emitters, 5 numbers missing, 0 open ends, 1 alarms, 0 dead letters\n";
    assert!(code == 3 && table.ends_with(sum), "{code} {table}");
    let json: serde_json::Value = serde_json::from_str(&run(&dir, &["gaps", "--format", "json"]).1).unwrap();
    let holes: Vec<String> = json["emitters"][0]["holes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hole| format!("{}-{} {}", hole["first"], hole["last"], hole["cause"]))
        .collect();
    assert_eq!(holes, [r#"6-6 "unknown""#, r#"8-9 "full""#, r#"11-12 "unknown""#]);
    assert_eq!((&json["emitters"][0]["state"], &json["totals"]["missing"]), (&"ended".into(), &5.into()));
    let unreadable =
        [("authorization", bearer.as_str()), ("content-type", BATCH), ("meshmeter-emitter", "me; head=-1")];
    assert_eq!(server.post(&unreadable, &array(&events(&emitter(1), [11]))).taken(), (1, 0, 0), "its events are taken");
    assert_eq!(server.metric("meshmeter_collector_statements_refused_total"), 1);
}

#[test]
fn contract_gaps_ends_with_3_for_each_thing_that_is_missing_and_the_gauges_count_it() {
    let bearer = format!("Bearer {INGEST}");
    let post = |server: &Server, says: &str, events: &[Vec<u8>]| {
        let says = format!("{}; {says}", emitter(1));
        let headers = [("authorization", bearer.as_str()), ("content-type", BATCH), ("meshmeter-emitter", &says)];
        assert_eq!(server.post(&headers, &array(events)).status, 200);
    };
    type Case<'a> = (i32, &'a str, &'a dyn Fn(&Server), Option<(&'a str, &'a str)>);
    let nothing = |_: &Server| {};
    let hole = |server: &Server| post(server, "head=7; dropped=0", &events(&emitter(1), [7]));
    let filled_hole = |server: &Server| {
        hole(server);
        post(server, "head=7; dropped=0; end", &events(&emitter(1), [6]));
    };
    let unnamed = |server: &Server| post(server, "head=5; dropped=3", &[]);
    let alarm = |server: &Server| {
        let other = wire::event::encode(&record("other", &[]), &emitter(1), 1);
        assert_eq!(server.send(&[other]).json()["alarms"], 1);
    };
    let dead = |server: &Server| assert_eq!(server.send(&[b"{}".to_vec()]).taken(), (0, 0, 1));
    let cases: [Case<'_>; 7] = [
        (0, "5m", &nothing, None),
        (3, "5m", &hole, Some(("missing_numbers", "numbers missing"))),
        (0, "5m", &filled_hole, None),
        (3, "5m", &unnamed, None),
        (3, "5m", &alarm, Some(("alarms", "alarms"))),
        (3, "5m", &dead, Some(("dead_letters", "dead letters"))),
        (3, "0s", &nothing, None),
    ];
    for (number, (code, silent_after, happens, counted)) in cases.into_iter().enumerate() {
        let dir = Dir::new();
        let server = filled(&dir, &[]);
        happens(&server);
        let (ended, table, error) = run(&dir, &["gaps", "--silent-after", silent_after]);
        assert_eq!((ended, error.as_str()), (code, ""), "case {number}: {table}");
        assert_eq!(run(&dir, &["gaps", "--silent-after", silent_after, "--format", "json", "--all"]).0, code);
        for gauge in ["missing_numbers", "alarms", "dead_letters"] {
            let expected = counted.is_some_and(|(counted, _)| counted == gauge);
            assert_eq!(server.metric(&format!("meshmeter_collector_{gauge}")), u64::from(expected), "{number} {gauge}");
        }
        assert!(counted.is_none_or(|(_, said)| table.contains(&format!("1 {said}"))), "{table}");
    }
}

#[test]
fn contract_an_emitters_numbers_are_of_the_credential_that_first_used_them() {
    let dir = Dir::new();
    let file = dir.write_secret("tokens", "east token-of-the-east\nwest token-of-the-west\nwest second-of-the-west\n");
    let server = Server::start(&dir, &["--ingest-token-file", file.to_str().unwrap()]);
    let send = |token: &str, sequences: &[u64]| {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", BATCH)];
        let response = server.post(&headers, &array(&events(&emitter(1), sequences.iter().copied()))).json();
        (response["accepted"].as_u64().unwrap(), response["alarms"].as_u64().unwrap())
    };
    assert_eq!(send("token-of-the-west", &[1]), (1, 0));
    assert_eq!(send("token-of-the-east", &[1, 2]), (0, 2));
    assert_eq!(send("second-of-the-west", &[2]), (1, 0), "a token may change, its name stays");
    assert_eq!(dir.number("SELECT quantity FROM rollup WHERE class = 'calls'"), 2);
    assert_eq!(dir.number("SELECT count(*) FROM quarantined WHERE kind = 'alarm' AND credential = 'east'"), 2);
}

#[test]
fn contract_an_emitter_with_a_key_is_of_whoever_has_it_whatever_his_token_is_called() {
    let dir = Dir::new();
    let file = dir.write_secret("tokens", "east the-token-of-east\nwest the-token-of-west\n");
    let server = Server::start(&dir, &["--ingest-token-file", file.to_str().unwrap()]);
    let key = EmitterKey::new(1, 2);
    let send = |token: &str, key: Option<&str>, sequences: &[u64]| {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", BATCH)];
        headers.extend(key.map(|key| ("meshmeter-emitter-key", key)));
        let events = events(&EmitterKey::new(1, 2).emitter(), sequences.iter().copied());
        let response = server.post(&headers, &array(&events)).json();
        (response["accepted"].as_u64().unwrap(), response["alarms"].as_u64().unwrap())
    };
    assert_eq!(send("the-token-of-west", Some(key.secret()), &[1]), (1, 0));
    for without in [None, Some(""), Some("not a key"), Some(EmitterKey::new(1, 3).secret())] {
        assert_eq!(send("the-token-of-west", without, &[2]), (0, 1), "{without:?}");
    }
    assert_eq!(send("the-token-of-east", Some(key.secret()), &[2]), (1, 0));
    assert_eq!(dir.number("SELECT quantity FROM rollup WHERE class = 'calls'"), 2);
    assert!(!server.log().contains(key.secret()), "the key is in the log");
}

#[test]
fn contract_the_same_response_seen_by_two_meters_is_charged_once_and_both_are_kept() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let mut seen = record("gpt-4.1", &[(Class::InputText, 3), (Class::OutputText, 2)]);
    seen.response_id = Some("chatcmpl-1".to_owned());
    seen.request_id = Some("request-1".to_owned());
    seen.proxy = Some("sidecar".to_owned());
    seen.duration_us = 900_000;
    let sidecar = wire::event::encode(&seen, &emitter(1), 1);
    seen.started_ns += 50_000_000;
    seen.proxy = Some("gateway".to_owned());
    let gateway = wire::event::encode(&seen, &emitter(2), 1);
    seen.started_ns += 3_600_000_000_000;
    let much_later = wire::event::encode(&seen, &emitter(3), 1);
    seen.part = Some("advisor_message".to_owned());
    seen.proxy = Some("sidecar".to_owned());
    let part = wire::event::encode(&seen, &emitter(1), 2);
    assert_eq!(server.send(&[sidecar, part]).taken(), (2, 0, 0));
    assert_eq!(server.send(&[gateway, much_later]).taken(), (2, 0, 0));
    assert_eq!(dir.number("SELECT count(*) FROM ledger"), 4);
    assert_eq!(
        dir.number(dir.either(
            "SELECT refers FROM ledger WHERE kind = 'copy'",
            "SELECT refers_entry FROM ledger WHERE kind = 'copy'"
        )),
        1
    );
    assert_eq!(dir.number("SELECT sum(quantity) FROM rollup WHERE class = 'calls'"), 2, "a part is no call");
    assert_eq!(dir.number("SELECT sum(quantity) FROM rollup WHERE class = 'input_text_tokens'"), 9);
    assert_eq!(run(&dir, &["verify"]).0, 0);
}

#[test]
fn contract_a_price_that_comes_late_does_not_pass_the_bound_of_a_call() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let batch = [1_000_000, 10].map(|tokens| record("gpt-4.1", &[(Class::InputText, tokens)]));
    let batch: Vec<Vec<u8>> =
        (1..).zip(&batch).map(|(number, record)| wire::event::encode(record, &emitter(1), number)).collect();
    assert_eq!(server.send(&batch).taken(), (2, 0, 0));
    let book =
        "[[price]]\nprovider = \"openai\"\nmodel = \"gpt-4.1\"\nvalid_from = 2026-01-01\ninput_text = \"1140\"\n";
    let book = dir.write("prices.toml", book);
    let rerate = |more: &[&str]| run(&dir, &[&["rerate", "--prices", book.to_str().unwrap()], more].concat());
    let dear = format!("{}-1", emitter(1));
    let named = format!(
        "left as it is: {dear} would cost 1140.00 USD\none call must cost at most 1000.00 USD; --max-usd AMOUNT allows more\n"
    );
    let (code, out, error) = rerate(&["--dry-run"]);
    assert_eq!((code, &error), (3, &named));
    assert!(out.ends_with("\n2 calls, 1 would be re-rated, difference 0.0114 USD\n"), "{out}");
    assert_eq!(rerate(&[]), (3, "2 calls, 1 were re-rated, difference 0.0114 USD\n".to_owned(), named));
    assert_eq!(dir.number("SELECT count(*) FROM ledger WHERE kind = 'correction'"), 1);
    let (code, out, error) = rerate(&["--max-usd", "1140"]);
    assert_eq!((code, out.as_str(), error.as_str()), (0, "2 calls, 1 were re-rated, difference 1140.00 USD\n", ""));
    let correct = |more: &[&str]| run(&dir, &[&["correct", &dear, "--reason", "x"], more].concat()).0;
    assert_eq!(correct(&["--tenant", "globex", "--keep-charge"]), 3);
    assert_eq!(correct(&["--tenant", "globex", "--prices", book.to_str().unwrap()]), 3);
    assert_eq!(dir.number("SELECT count(*) FROM ledger WHERE tenant = 'globex'"), 0);
    assert_eq!(correct(&["--tenant", "globex", "--keep-charge", "--max-usd", "2000"]), 0);
    assert_eq!(correct(&["--void"]), 0, "to charge nobody is always allowed");
    assert_eq!(correct(&["--tenant", "globex", "--max-usd", "many"]), 2);
    assert_eq!(run(&dir, &["verify"]).0, 0);
}

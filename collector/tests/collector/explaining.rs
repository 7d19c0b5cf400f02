//! `meshmeter explain` on a ledger that a collector has written: one call from raw usage to charge.

use serde_json::Value;
use wire::usage::Class;

use crate::auditing::run;
use crate::support::*;

const RAW: &str = r#"{"usage":{"prompt_tokens":3,"completion_tokens":2,"cost":1e-05}}"#;

/// A call as a meter sees it, with what proves that another meter's record is of the same call.
fn seen(meter: u32, sequence: u64, response: &str) -> Vec<u8> {
    let mut record = record("gpt-4.1", &[(Class::InputText, 3), (Class::OutputText, 2)]);
    record.raw_usage = Some(RAW.to_owned());
    record.response_id = Some(response.to_owned());
    record.request_id = Some(format!("request of {response}"));
    record.proxy = Some(emitter(meter));
    record.duration_us = 1_234_567;
    wire::event::encode(&record, &emitter(meter), sequence)
}

/// A book with a mark-up of the tenant.
fn prices(dir: &Dir) -> String {
    let text = "[[price]]\nprovider = \"openai\"\nmodel = \"gpt-4.1*\"\nvalid_from = 2026-01-01\ninput_text = \"2.00\"\n\
                output_text = \"8.00\"\n[[adjust]]\non = \"charge\"\ntenant = \"acme\"\nfactor = \"1.5\"\n";
    dir.write("prices.toml", text).to_str().unwrap().to_owned()
}

fn explained(dir: &Dir, id: &[&str]) -> Value {
    let (code, out, error) = run(dir, &[&["explain"], id, &["--format", "json"]].concat());
    assert_eq!((code, error.as_str()), (0, ""), "{id:?}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn contract_a_call_is_explained_from_raw_usage_to_charge() {
    let dir = Dir::new();
    let book = prices(&dir);
    let server = Server::start(&dir, &["--prices", &book]);
    assert_eq!(server.send(&[seen(1, 1, "chatcmpl-1")]).taken(), (1, 0, 0));
    let id = format!("{}-1", emitter(1));
    let (code, out, error) = run(&dir, &["explain", &id]);
    assert_eq!((code, error.as_str()), (0, ""));
    // 3 at 2.00 and 2 at 8.00 per million, and half as much again.
    for line in [
        &format!("call {id}: acme is charged 0.000033 USD, cost 0.000022 USD, entry 1:1") as &str,
        "  began       2026-01-31T23:59:59.999999999Z, took 1.234567 s",
        "  tenant      acme, by header",
        "  model       responded gpt-4.1, asked for asked-for",
        "  outcome     completed, status 200",
        "  evidence    reported",
        &format!("  {RAW}"),
        "  3 input_text_tokens",
        "  price book entry: openai gpt-4.1* 2026-01-01",
        "  3 input_text_tokens at 2.00: 0.000009 USD, cost 0.000006 USD",
        "  2 output_text_tokens at 8.00: 0.000024 USD, cost 0.000016 USD",
        "  list price 0.000022 USD; discounts and mark-ups add 0.000011 USD to the charge, 0.00 USD to the cost",
        "  in all 0.000033 USD, cost 0.000022 USD, not rounded",
        "  counts on 2026-01-31 (UTC)",
        "  intact: it is what was written behind the entry before it",
    ] {
        assert!(out.lines().any(|found| found == line), "{line:?} is not in\n{out}");
    }
    // What it says of the rating is what the price book's own explanation says.
    let (_, of_book, _) = run(&dir, &["prices", "explain", "--call", &id, "--prices", &book]);
    for line in of_book.lines().filter(|line| line.contains("_tokens at ")) {
        assert!(out.lines().any(|found| found == line), "{line:?} is not in\n{out}");
    }
    let json = explained(&dir, &[&id]);
    assert_eq!(json["event"]["id"], id);
    assert_eq!(json["raw_usage"]["usage"]["cost"], 1e-05);
    assert!(out.contains("1e-05") && json["usage"]["input_text_tokens"] == 3);
    let line = &json["entries"][0]["rating"]["lines"][0];
    assert_eq!(
        [&line["price"], &line["per"], &line["list"], &line["charge"]],
        [&Value::from("2.00"), &1_000_000.into(), &"0.000006".into(), &"0.000009".into()]
    );
    // Every name of it.
    let by_emitter = [&emitter(1), "1"].map(String::from);
    let names: [&[&str]; 5] = [
        &["1:1"],
        &[&by_emitter[0], &by_emitter[1]],
        &["chatcmpl-1", "--on", "2026-01-31"],
        &["chatcmpl-1", "--on", "2026-01-31", "--provider", "openai"],
        &[&id],
    ];
    for name in names {
        assert_eq!(explained(&dir, name), json, "{name:?}");
    }
    for (name, code, why) in [
        (&["1:7"][..], 1, "the ledger has no entry 1:7"),
        (&[&format!("{}-9", emitter(1))], 1, "the ledger has no record of this event"),
        (&["chatcmpl-1"], 1, "with --on DAY a provider's response id"),
        (&["chatcmpl-1", "--on", "2026-01-30"], 1, "no call of any provider that began on 2026-01-30"),
        (&["chatcmpl-1", "--on", "2026-01-31", "--provider", "anthropic"], 1, "no call of anthropic"),
        (&["chatcmpl-1", "--provider", "openai"], 2, "--on"),
        (&["chatcmpl-1", "--on", "yesterday"], 2, "must be a date"),
        (&["acme\u{1b}[2J", "--on", "2026-01-30", "--provider", "\u{1b}[2J"], 1, "no call of \\u{1b}[2J"),
    ] {
        let (ended, out, error) = run(&dir, &[&["explain"], name].concat());
        assert!(ended == code && out.is_empty() && error.contains(why), "{name:?}: {ended} {out}{error}");
    }
}

#[test]
fn contract_what_became_of_a_call_is_told_whichever_of_its_entries_is_named() {
    let dir = Dir::new();
    let book = prices(&dir);
    let server = Server::start(&dir, &["--prices", &book]);
    // The second is another meter's record of the first.
    assert_eq!(server.send(&[seen(1, 1, "chatcmpl-1")]).taken(), (1, 0, 0));
    assert_eq!(server.send(&[seen(2, 1, "chatcmpl-1")]).taken(), (1, 0, 0));
    // On PostgreSQL the collector keeps its chain, and commands write to another one.
    let by_command = |number: i64| match crate::ON_POSTGRES {
        true => format!("2:{}", number - 2),
        false => format!("1:{number}"),
    };
    let closing = by_command(3);
    let (code, out, _) = run(&dir, &["close", "2026-01", "--reason", "invoiced"]);
    assert!(code == 0 && out.ends_with(&format!("entry {closing}\n")), "{out}");
    let call = format!("{}-1", emitter(1));
    let correct = |more: &[&str]| {
        let (code, _, error) = run(&dir, &[&["correct", &call, "--reason", "looked at"], more].concat());
        assert_eq!(code, 0, "{error}");
    };
    correct(&["--tenant", "globex", "--prices", &book]);
    correct(&["--void"]);
    assert_eq!(explained(&dir, &["1:1"])["charged"], Value::Null);
    correct(&["--charge", "--tenant", "acme", "--prices", &book]);
    let [back, corrected, void, again] = [4, 5, 6, 7].map(by_command);
    let of_call = [
        "1:1 call".to_owned(),
        format!("{back} reversal"),
        format!("{corrected} correction"),
        format!("{void} reversal"),
        format!("{again} correction"),
    ];
    let of_copy: Vec<String> = std::iter::once("1:2 copy".to_owned()).chain(of_call.clone()).collect();
    let steps = |json: &Value| -> Vec<String> {
        let entries = json["entries"].as_array().unwrap().iter();
        entries
            .map(|entry| format!("{} {}", entry["entry"].as_str().unwrap(), entry["kind"].as_str().unwrap()))
            .collect()
    };
    for asked in ["1:1", &back, &corrected, &void, &again] {
        let json = explained(&dir, &[asked]);
        assert_eq!((steps(&json), &json["asked"]), (of_call.to_vec(), &asked.into()));
        assert_eq!(json["charged"], again);
        let entries = json["entries"].as_array().unwrap();
        assert!(entries.iter().all(|entry| entry["chain"] == "intact"));
        let [first, back, ..] = entries.as_slice() else { panic!("{json}") };
        assert_eq!([&first["counts_on"], &first["adjusts"]], [&Value::from("2026-01-31"), &Value::Null]);
        assert_eq!(first["closed_by"], closing);
        assert_eq!([&back["adjusts"], &back["charge"]], ["2026-01", "-0.000033"]);
    }
    assert_eq!(steps(&explained(&dir, &["1:2"])), of_copy);
    let (_, out, _) = run(&dir, &["explain", "1:2"]);
    assert!(out.contains("another meter's record of the call that entry 1:1 charges: not charged"), "{out}");
    assert!(out.contains("and adjusts 2026-01, which was closed before"), "{out}");
    let json = explained(&dir, &[&closing]);
    assert_eq!((&json["entries"][0]["says"]["month"], &json["event"]), (&"2026-01".into(), &Value::Null));
    let (_, out, _) = run(&dir, &["explain", &closing]);
    assert!(
        out.starts_with(&format!("entry {closing} is about no call\n")) && out.contains("reason: invoiced"),
        "{out}"
    );
}

#[test]
fn contract_a_call_without_a_price_is_not_explained_as_one_that_costs_nothing() {
    let dir = Dir::new();
    let book = prices(&dir);
    let server = Server::start(&dir, &["--prices", &book]);
    let event = |sequence, model: &str, counts: &[(Class, u64)]| {
        let mut record = record(model, counts);
        record.response_id = None;
        wire::event::encode(&record, &emitter(1), sequence)
    };
    let tokens = (Class::InputText, 1_000_000);
    let events = [
        event(1, "mute", &[tokens]),
        event(2, "gpt-4.1", &[tokens, (Class::WebSearches, 2)]),
        event(3, "gpt-4.1", &[tokens]),
    ];
    assert_eq!(server.send(&events).taken(), (3, 0, 0));
    for (number, says) in [
        (1, "acme is charged nothing, for it has no price"),
        (2, "acme is charged 3.00 USD, cost 2.00 USD, without what has no price"),
        (3, "acme is charged 3.00 USD, cost 2.00 USD"),
    ] {
        let id = format!("{}-{number}", emitter(1));
        let (code, out, error) = run(&dir, &["explain", &id]);
        assert_eq!((code, error.as_str()), (0, ""));
        assert_eq!(out.lines().next().unwrap(), format!("call {id}: {says}, entry 1:{number}"));
        assert!(out.lines().any(|line| line == format!("  {says}")), "{out}");
    }
}

#[test]
fn contract_the_charges_that_are_explained_add_up_to_the_report() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--prices", &prices(&dir)]);
    let batch: Vec<Vec<u8>> = (1..=9).map(|number| seen(1, number, &format!("chatcmpl-{number}"))).collect();
    assert_eq!(server.send(&batch).taken(), (9, 0, 0));
    assert_eq!(run(&dir, &["correct", &format!("{}-3", emitter(1)), "--void", "--reason", "a test"]).0, 0);
    let number = |amount: &Value| amount.as_str().unwrap().parse::<collector::money::Charge>().unwrap();
    let mut sum = collector::money::Charge::default();
    for sequence in 1..=9 {
        let json = explained(&dir, &[&format!("{}-{sequence}", emitter(1))]);
        let charged = json["entries"].as_array().unwrap().iter().find(|entry| entry["entry"] == json["charged"]);
        sum = charged.map_or(sum, |entry| sum.checked_add(number(&entry["charge"])).unwrap());
    }
    let report = server.get("/v1/report", Some(READ)).json();
    assert_eq!((sum, report["totals"][0]["calls"].clone()), (number(&report["totals"][0]["charge"]), 8.into()));
}

#[test]
fn contract_an_altered_entry_is_not_explained_away() {
    let dir = Dir::new();
    drop({
        let server = Server::start(&dir, &["--prices", &prices(&dir)]);
        assert_eq!(server.send(&[seen(1, 1, "chatcmpl-1"), seen(1, 2, "chatcmpl-2")]).taken(), (2, 0, 0));
        server
    });
    let open = dir.either(
        "DROP TRIGGER ledger_is_never_updated; DROP TRIGGER ledger_is_never_deleted;",
        "ALTER TABLE ledger DISABLE TRIGGER USER;",
    );
    dir.sql(&format!("{open} UPDATE ledger SET tenant = 'globex' WHERE entry = 2")).unwrap();
    let (code, out, error) = run(&dir, &["explain", "1:2"]);
    assert_eq!((code, error.as_str()), (1, "meshmeter: entry 1:2: was altered\n"));
    assert!(out.contains("ALTERED: it is not what was written behind the entry before it"), "{out}");
    assert_eq!(run(&dir, &["explain", "1:1"]).0, 0);
    dir.sql("DELETE FROM ledger WHERE entry = 1").unwrap();
    let (code, _, error) = run(&dir, &["explain", "1:2"]);
    assert_eq!((code, error.as_str()), (1, "meshmeter: entry 1:2: the entry before it is missing\n"));
}

//! `meshmeter budgets` and `POST /v1/leases`: on a collector that runs.

use std::time::{SystemTime, UNIX_EPOCH};

use wire::emitter::EmitterKey;
use wire::lease::{self, Priced, Request, Wanted};
use wire::usage::Class;

use crate::auditing::run;
use crate::support::*;

const HEADER: &str = lease::REVISION_HEADER;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// An event of 3 input and 2 output tokens, of now.
fn event_now(key: &EmitterKey, sequence: u64, tenant: &str) -> Vec<u8> {
    let mut record = record("gpt-4.1", &[(Class::InputText, 3), (Class::OutputText, 2)]);
    record.started_ns = now() * 1_000_000_000;
    record.identity.tenant = tenant.to_owned();
    wire::event::encode(&record, &key.emitter(), sequence)
}

pub fn wanted(budget: &str, subject: &str, up_to: u64, need: u64) -> Wanted {
    Wanted { budget: budget.to_owned(), subject: subject.to_owned(), at_s: now(), up_to, need }
}

pub fn asks(number: u64, leases: Vec<Wanted>) -> Request {
    Request { number, leases, ..Request::default() }
}

fn post(server: &Server, headers: &[(&str, &str)], body: &[u8]) -> Response {
    request(server.address, "POST", "/v1/leases", headers, body).expect("a response")
}

pub fn ask(server: &Server, token: &str, key: &EmitterKey, asked: &Request) -> lease::Response {
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        (wire::emitter::KEY_HEADER, key.secret()),
    ];
    let response = post(server, &headers, &lease::encode_request(asked));
    assert_eq!(response.status, 200, "{response:?}");
    lease::response(response.body.as_bytes()).unwrap()
}

/// Granted, charged and left of the first lease.
fn said(response: &lease::Response) -> (u64, u64, u64) {
    let lease = response.leases[0].expect("a lease");
    (lease.granted, lease.charged, lease.left)
}

const SET: [&str; 4] = ["--who", "ann", "--why", "a test"];

pub fn set(dir: &Dir, name: &str, more: &[&str]) -> (i32, String, String) {
    run(dir, &[&["budgets", "set", name], &SET[..], more].concat())
}

#[test]
fn contract_a_budget_is_set_spent_changed_and_removed_while_the_collector_runs() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--prices", price_book().to_str().unwrap()]);
    let (key, other) = (EmitterKey::new(1, 1), EmitterKey::new(2, 2));
    assert_eq!(server.send(&[event_now(&key, 1, "acme")]).header(HEADER), Some("0"));
    assert_eq!(ask(&server, INGEST, &key, &asks(1, vec![wanted("day", "", 10, 0)])).leases, [None]);
    let (code, out, error) = set(&dir, "day", &["--limit", "100", "--unit", "tokens", "--window", "day"]);
    let expected = "day is set: entry ";
    assert!(
        code == 0 && out.starts_with(expected) && out.contains(", 100 tokens each day (UTC), hard; "),
        "{out}{error}"
    );
    // The call that was there already counts.
    let first = ask(&server, INGEST, &key, &asks(2, vec![wanted("day", "", 90, 60)]));
    assert_eq!((said(&first), first.revision), ((60, 0, 95), 1));
    assert_eq!(first.budgets.as_ref().map(Vec::len), Some(1));
    let known = Request { revision: 1, ..asks(3, vec![wanted("day", "", 60, 0)]) };
    assert_eq!(ask(&server, INGEST, &key, &known).budgets, None, "it knows them");
    assert_eq!(said(&ask(&server, INGEST, &other, &asks(1, vec![wanted("day", "", 90, 50)]))), (9, 0, 95));
    let sent = server.post(
        &[
            ("authorization", &format!("Bearer {INGEST}")),
            ("content-type", BATCH),
            (wire::emitter::KEY_HEADER, key.secret()),
        ],
        &array(&[event_now(&key, 2, "acme"), event_now(&key, 3, "globex")]),
    );
    assert_eq!((sent.taken(), sent.header(HEADER)), ((2, 0, 0), Some("1")));
    assert_eq!(said(&ask(&server, INGEST, &key, &asks(4, vec![wanted("day", "", 60, 0)]))), (60, 10, 85));
    let (code, out, _) = run(&dir, &["budgets"]);
    let line: Vec<&str> = out.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((code, line[0], &line[9..]), (0, "day", &["100", "15", "59", "85", "no"][..]), "{out}");
    let (_, out, _) = run(&dir, &["budgets", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    let values = ["limit", "spent", "leased", "left", "unit", "mode", "zone"].map(|name| json[0][name].clone());
    assert_eq!(values, ["100", "15", "59", "85", "tokens", "hard", "UTC"]);
    let metrics = server.get("/metrics", Some(READ)).body;
    for (name, value) in [("limit", "100.0"), ("spent", "15.0"), ("leased", "59.0")] {
        let line =
            format!("meshmeter_budget_{name}{{budget=\"day\",unit=\"tokens\",window=\"day\",mode=\"hard\"}} {value}\n");
        assert!(metrics.contains(&line), "{line} is not in {metrics}");
    }
    // Less than is spent: nothing is left, and the command says that there is something to look at.
    let (code, out, error) = set(&dir, "day", &["--limit", "15"]);
    assert!(code == 0 && out.contains("day is changed: "), "{out}{error}");
    assert_eq!(said(&ask(&server, INGEST, &other, &asks(2, vec![wanted("day", "", 30, 20)]))), (9, 0, 0));
    let listed = run(&dir, &["budgets"]);
    assert_eq!((listed.0, run(&dir, &["budgets", "list"])), (3, listed.clone()));
    let (code, out, _) = run(&dir, &["budgets", "explain", "day", "--tenant", "acme/ml"]);
    for line in [
        "day: at most 15 tokens each day (UTC), hard\n",
        "Counts the calls of all tenants; ",
        "The calls of the tenant that was asked about count here.",
        "  15 tokens\n",
        &format!("  {}  from ", other.emitter()),
        "  ann: set: 100 tokens, each day (UTC), all tenants, hard (a test)\n",
        "  ann: changed: 100 tokens to 15 tokens (a test)\n",
    ] {
        assert!(code == 0 && out.contains(line), "{line} is not in {out}");
    }
    let (_, out, _) = run(&dir, &["budgets", "explain", "day", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    let held = |lease: &serde_json::Value| format!("{} {}", lease["held"], lease["charged"]);
    let mut leases: Vec<String> = json["leases"].as_array().unwrap().iter().map(held).collect();
    leases.sort();
    assert_eq!(
        (json["changes"].as_array().unwrap().len(), &leases[..]),
        (2, &[r#""50" "10""#, r#""9" "0""#].map(str::to_owned)[..])
    );
    assert_eq!(run(&dir, &["verify"]).0, 0);
    let (code, out, _) = run(&dir, &["budgets", "remove", "day", "--who", "bob", "--why", "no more"]);
    assert!(code == 0 && out.starts_with("day is removed: entry "), "{out}");
    let gone = ask(&server, INGEST, &key, &asks(5, vec![wanted("day", "", 60, 0)]));
    assert_eq!((gone.leases, gone.budgets, gone.revision), (vec![None], Some(Vec::new()), 3));
    assert_eq!(
        run(&dir, &["budgets"]),
        (0, "no budgets: `meshmeter budgets set` sets one\n".to_owned(), String::new())
    );
    let (code, out, error) = run(&dir, &["budgets", "explain", "day"]);
    assert!(
        code == 0 && out.contains("bob: removed (no more)") && error.contains("not in force any more"),
        "{out}{error}"
    );
    let (code, _, error) = run(&dir, &["budgets", "explain", "week"]);
    assert_eq!((code, error.as_str()), (1, "meshmeter: there is no budget week, and there never was one\n"));
    assert_eq!(run(&dir, &["verify"]).0, 0);
}

#[test]
fn contract_a_budget_that_is_wrong_is_refused_with_a_word_and_nothing_is_written() {
    let dir = Dir::new();
    drop(Server::start(&dir, &[]));
    let good = ["--limit", "100", "--unit", "tokens", "--window", "day"];
    for (name, more, problem) in [
        ("Day", &good[..], "\"Day\": a budget's name must be 1 to 64 of a-z, 0-9, . _ and -"),
        ("day", &["--limit", "1e6", "--unit", "tokens", "--window", "day"], "limit: must be a whole number of tokens"),
        ("day", &["--limit", "-1", "--unit", "usd", "--window", "day"], "limit: must not be negative"),
        (
            "day",
            &["--limit", "9999999999", "--unit", "usd", "--window", "day"],
            "limit: must be at most 1000000000 USD",
        ),
        ("day", &["--limit", "1", "--unit", "eur", "--window", "day"], "unit: must be tokens or usd, not \"eur\""),
        ("day", &["--limit", "1", "--unit", "usd"], "window: is missing; must be minute, hour, day, week or month"),
        (
            "day",
            &["--limit", "1", "--unit", "usd", "--window", "day", "--zone", "Mars/Base"],
            "zone: there is no time zone \"Mars/Base\"",
        ),
        (
            "day",
            &["--limit", "1", "--unit", "usd", "--window", "day", "--tenant", "a/../b"],
            "tenant: \"a/../b\" must be",
        ),
        ("day", &["--limit", "1", "--unit", "usd", "--window", "day", "--model", "gpt-*"], "model: \"gpt-*\" must be"),
    ] {
        let (code, out, error) = set(&dir, name, more);
        assert!(code == 2 && out.is_empty() && error.starts_with(&format!("error: {problem}")), "{code} {out}{error}");
    }
    let nobody = run(&dir, &[&["budgets", "set", "day", "--why", "x"], &good[..]].concat());
    assert!(nobody.0 == 2 && nobody.2.contains("who: must say who you are"), "{}", nobody.2);
    let why = run(&dir, &[&["budgets", "set", "day", "--who", "ann", "--why", ""], &good[..]].concat());
    assert!(why.0 == 2 && why.2.contains("why: must say why"), "{}", why.2);
    assert!(why.2.contains("Usage: meshmeter budgets set "), "{}", why.2);
    let gone = |name| {
        let (code, _, error) = run(&dir, &["budgets", "remove", name, "--who", "ann", "--why", "x"]);
        (code, error)
    };
    assert_eq!(gone("day"), (1, "meshmeter: there is no budget day\n".to_owned()));
    assert_eq!(gone("Day").0, 2, "no budget can have that name");
    assert_eq!(dir.number("SELECT count(*) FROM ledger"), 0);
    assert_eq!(set(&dir, "day", &good).0, 0);
    let (code, _, error) = set(&dir, "again", &good);
    assert!(code == 1 && error.contains("day counts the same calls in the same windows already"), "{error}");
}

#[test]
fn contract_leases_are_for_who_shows_a_token_and_a_key_and_for_its_tenants_only() {
    let dir = Dir::new();
    let tokens = dir.write_secret("tokens", format!("{INGEST}\nlimited limited-token-0123456789 tenants=acme/*\n"));
    let server = Server::start(&dir, &["--ingest-token-file", tokens.to_str().unwrap()]);
    for (name, tenant) in [("acme", "acme/ml"), ("globex", "globex")] {
        let budget =
            ["--limit", "100", "--unit", "usd", "--window", "month", "--tenant", tenant, "--zone", "Europe/Berlin"];
        assert_eq!(set(&dir, name, &budget).0, 0);
    }
    let key = EmitterKey::new(1, 1);
    let body = lease::encode_request(&asks(1, vec![wanted("acme", "", 10, 10), wanted("globex", "", 10, 10)]));
    let headers = |token: &str| format!("Bearer {token}");
    let (ingest, read, journal) = (headers(INGEST), headers(READ), headers(JOURNAL));
    let (json, of_key) = (("content-type", "application/json"), (wire::emitter::KEY_HEADER, key.secret()));
    for (status, headers) in [
        (401, &[json, of_key][..]),
        (401, &[("authorization", "Bearer somebody-elses-token"), json, of_key]),
        (403, &[("authorization", &read), json, of_key]),
        (403, &[("authorization", &journal), json, of_key]),
        (415, &[("authorization", &ingest), of_key]),
        (400, &[("authorization", &ingest), json]),
        (400, &[("authorization", &ingest), json, (wire::emitter::KEY_HEADER, "not a key")]),
    ] {
        assert_eq!(post(&server, headers, &body).status, status, "{headers:?}");
    }
    let bad = post(&server, &[("authorization", &ingest), json, of_key], br#"{"number": 0}"#);
    assert_eq!((bad.status, bad.json()["error"].as_str().unwrap().starts_with("number: ")), (400, true), "{bad:?}");
    let priced =
        |tenant: &str| Priced { tenant: tenant.to_owned(), provider: "openai".to_owned(), model: "m".to_owned() };
    let limited = Request {
        prices: vec![priced("acme/ml")],
        ..asks(1, vec![wanted("acme", "", 10, 10), wanted("globex", "", 10, 10)])
    };
    let got = ask(&server, "limited-token-0123456789", &key, &limited);
    assert_eq!(got.leases.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false]);
    assert_eq!(got.budgets.unwrap().iter().map(|budget| budget.name.as_str()).collect::<Vec<_>>(), ["acme"]);
    assert_eq!(got.prices, [None], "no book has a price");
}

#[test]
fn contract_budgets_over_http_are_those_of_the_command_and_for_readers_only() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--prices", price_book().to_str().unwrap()]);
    let none = server.get("/v1/budgets", Some(READ));
    assert_eq!((none.status, none.json()), (200, serde_json::json!([])));
    let month = ["--tenant", "acme", "--unit", "usd", "--window", "month", "--limit", "2.50"];
    assert_eq!(set(&dir, "acme", &month).0, 0);
    let key = EmitterKey::new(1, 2);
    assert_eq!(server.send(&[event_now(&key, 1, "acme/ml")]).taken(), (1, 0, 0));
    until("the budgets to be read again", || {
        let spent = server.get("/v1/budgets", Some(READ)).json()[0]["spent"].clone();
        spent.as_str().is_some_and(|spent| spent != "0.00")
    });
    let over_http = server.get("/v1/budgets", Some(READ));
    let (_, printed, _) = run(&dir, &["budgets", "--format", "json"]);
    assert_eq!(over_http.json(), serde_json::from_str::<serde_json::Value>(&printed).unwrap());
    for token in [None, Some("wrong-token-0123456789"), Some(INGEST)] {
        let status = server.get("/v1/budgets", token).status;
        assert!(matches!(status, 401 | 403), "{token:?}: {status}");
    }
}

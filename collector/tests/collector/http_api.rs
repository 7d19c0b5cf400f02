//! Usage and costs over HTTP: the figures of `meshmeter report`, what is refused and in which words, and what a client may keep.

use serde_json::{Map, Value};
use wire::usage::Class;

use crate::support::*;

/// Calls of three tenants and two models, one without a price, one estimated.
fn filled(dir: &Dir) -> Server {
    let server = Server::start(dir, &["--prices", price_book().to_str().unwrap()]);
    let of = |tenant: &str, model: &str, sequence: u64| {
        let mut record = record(model, &[(Class::InputText, 1000 + sequence), (Class::OutputText, sequence)]);
        record.identity.tenant = tenant.to_owned();
        record.session_id = Some(format!("session-{}", sequence % 2));
        if sequence == 3 {
            record.evidence = wire::record::Evidence::Estimated;
        }
        wire::event::encode(&record, &emitter(1), sequence)
    };
    let calls = [
        of("acme", "gpt-4.1", 1),
        of("acme/ml", "gpt-4.1", 2),
        of("acme/ml", "gpt-4.1", 3),
        of("beta", "no-such-model", 4),
        of("beta", "gpt-4.1", 5),
    ];
    assert_eq!(server.send(&calls).taken(), (5, 0, 0));
    server
}

fn fields(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn contract_usage_and_costs_are_the_two_halves_of_what_the_command_prints() {
    let dir = Dir::new();
    let server = filled(&dir);
    for by in ["tenant,model", "month", "tenant:1,day", "session,evidence"] {
        for more in [&[][..], &["top", "1"], &["compare", "true"], &["round", "2"], &["time_zone", "Europe/Berlin"]] {
            if more.contains(&"compare") && (by.contains("month") || by.contains("day")) {
                continue; // Lines of a time are not those of the period before.
            }
            let mut query = format!("since=2026-01&until=2026-02&by={by}");
            let database = dir.database();
            let mut args =
                vec!["report", "--database", &database, "--format", "json", "--since", "2026-01", "--until", "2026-02"];
            args.extend(["--by", by]);
            let option = more.first().map(|name| format!("--{}", name.replace('_', "-")));
            if let ([name, value], Some(option)) = (more, &option) {
                query.push_str(&format!("&{name}={value}"));
                args.push(option);
                args.extend((*name != "compare").then_some(*value));
            }
            let output = meshmeter(&args).output().unwrap();
            let printed: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
            let [usage, costs] =
                ["usage", "costs"].map(|path| server.get(&format!("/v1/{path}?{query}"), Some(READ)).json());
            for part in ["lines", "totals"] {
                let [whole, usage, costs] = [&printed, &usage, &costs].map(|of| of[part].as_array().unwrap());
                assert!(
                    !whole.is_empty() && whole.len() == usage.len() && whole.len() == costs.len(),
                    "{query} {part}"
                );
                for ((whole, usage), costs) in whole.iter().zip(usage).zip(costs) {
                    assert!(usage.get("charge").is_none() && usage.get("unpriced").is_none(), "{usage}");
                    assert!(costs.get("usage").is_none(), "{costs}");
                    let mut both = fields(usage);
                    for (name, of_costs) in fields(costs) {
                        match (both.get_mut(&name), &of_costs) {
                            // Of the period before, and what has changed, each has its half.
                            (Some(Value::Object(of_usage)), Value::Object(more)) => of_usage.extend(more.clone()),
                            (Some(same), other) => assert_eq!(same, other, "{query} {name}"),
                            (None, _) => drop(both.insert(name, of_costs)),
                        }
                    }
                    assert_eq!(&Value::Object(both), whole, "{query} {part}");
                }
            }
            for (name, value) in fields(&printed) {
                if !["lines", "totals", "currency"].contains(&name.as_str()) {
                    assert_eq!((&usage[&name], &costs[&name]), (&value, &value), "{query} {name}");
                }
            }
            let heads = meshmeter(&["verify", "--database", &database]).output().unwrap();
            let verified = String::from_utf8(heads.stdout).unwrap();
            let head = &usage["position"]["heads"][0];
            assert!(verified.contains(head["hash"].as_str().unwrap()), "{head} {verified}");
            assert_eq!((&head["entry"], &usage["position"]["exact"]), (&5.into(), &true.into()));
        }
    }
}

#[test]
fn contract_the_other_formats_have_the_same_halves() {
    let dir = Dir::new();
    let server = filled(&dir);
    let text = |path: &str, format: &str| {
        let response = server.get(&format!("/v1/{path}?since=2026-01&until=2026-01&format={format}"), Some(READ));
        assert_eq!(response.status, 200, "{response:?}");
        (response.header("content-type").unwrap().to_owned(), response.body)
    };
    let (kind, usage) = text("usage", "csv");
    assert_eq!(kind, "text/csv; charset=utf-8");
    let head = |csv: &str| csv.lines().next().unwrap().split(',').map(str::to_owned).collect::<Vec<_>>();
    let is_cost = |name: &String| name.ends_with("_usd") || ["unpriced", "fallback"].contains(&name.as_str());
    assert!(head(&usage).contains(&"input_text_tokens".to_owned()) && !head(&usage).iter().any(is_cost), "{usage}");
    let (_, costs) = text("costs", "csv");
    assert!(head(&costs).iter().any(is_cost) && !head(&costs).contains(&"input_text_tokens".to_owned()), "{costs}");
    assert!(costs.lines().skip(1).all(|line| line.split(',').count() == head(&costs).len()), "{costs}");
    let (kind, usage) = text("usage", "markdown");
    assert_eq!(kind, "text/markdown; charset=utf-8");
    assert!(usage.contains("| input |") && !usage.contains("charge (USD)"), "{usage}");
    let (_, costs) = text("costs", "markdown");
    assert!(costs.contains("charge (USD)") && !costs.contains("| input |") && costs.contains("unpriced"), "{costs}");
}

#[test]
fn contract_latency_over_http_is_what_the_command_prints() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--prices", price_book().to_str().unwrap()]);
    let call = |sequence: u64| {
        let mut record = record(["gpt-4.1", "=1+1"][usize::try_from(sequence % 2).unwrap()], &[(Class::InputText, 1)]);
        record.outcome = wire::record::Outcome::Completed;
        (record.duration_us, record.time_to_first_token_us) = (sequence * 1_000_000, Some(sequence * 1000));
        wire::event::encode(&record, &emitter(1), sequence)
    };
    assert_eq!(server.send(&(1..=9).map(call).collect::<Vec<_>>()).taken(), (9, 0, 0));
    let database = dir.database();
    for format in ["json", "csv", "markdown"] {
        let args = ["latency", "--database", &database, "--month", "2026-01", "--by", "model", "--format", format];
        let output = meshmeter(&args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let printed = String::from_utf8(output.stdout).unwrap();
        let query = format!("/v1/latency?since=2026-01&until=2026-01&by=model&format={format}");
        assert_eq!(server.get(&query, Some(READ)).body, printed, "{format}");
        match format {
            "csv" => {
                assert_eq!(printed.lines().count(), 3, "{printed}");
                assert!(printed.contains("\"'=1+1\",5,5,"), "{printed}");
            }
            "markdown" => assert!(printed.contains("| **total** |"), "{printed}"),
            _ => {
                let total = &serde_json::from_str::<Value>(&printed).unwrap()["total"];
                let p50 = total["duration_us"]["p50"].as_u64().unwrap();
                assert!(p50.abs_diff(5_000_000) < 40_000, "{printed}");
            }
        }
    }
    for (query, problem) in [
        ("top=3", "top: cannot be asked for: latency has every line"),
        ("compare=true", "compare: cannot be asked for: latency has one period"),
        ("format=focus", "format: must be one of json, csv, markdown\""),
        ("colour=red", "colour: is no parameter; allowed: since, until, time_zone, by, format, and the filters "),
    ] {
        let response = server.get(&format!("/v1/latency?{query}"), Some(READ));
        assert_eq!(response.status, 400, "{response:?}");
        assert!(response.body.contains(problem), "{response:?}");
    }
}

#[test]
fn contract_a_wrong_question_is_400_names_its_parameter_and_says_what_is_allowed() {
    let dir = Dir::new();
    let server = filled(&dir);
    let long = format!("tenant={}", "x".repeat(513));
    let cases = [
        ("format=xml", "format: must be one of json, csv, markdown"),
        ("format=json&format=csv", "format: is given more than once"),
        ("since=2026-02-30", "since: must be a date such as 2026-01-31"),
        ("until=tomorrow", "until: must be a date such as 2026-01-31"),
        ("since=2026-03-01&until=2026-02-01", "since: must be before until"),
        ("since=2026-01-01&since=2026-01-02", "since: is given more than once"),
        ("by=price", "by: must be a list of hour, day, month, tenant"),
        ("by=", "by: must be a list of"),
        ("by=tenant:0", "by: tenant:DEPTH: must be from 1 to 64"),
        ("by=tag:", "by: tag:NAME: a name has 1 to"),
        ("by=hour&since=2016-01-01&until=2026-01-01", "by: hour: of at most 366 days"),
        ("top=0", "top: must be a whole number from 1 to 10000"),
        ("top=10001", "top: must be a whole number from 1 to 10000"),
        ("sort=colour&top=1", "sort: must be one of charge, cost, tokens, calls"),
        ("sort=calls", "sort: orders the lines of top"),
        ("compare=maybe", "compare: must be true or false"),
        ("round=16", "round: must be a whole number from 0 to 15"),
        ("round=-1", "round: must be a whole number from 0 to 15"),
        ("time_zone=Europe/Atlantis", "time_zone: must be the name of a time zone"),
        ("time_zone=../../etc/passwd", "time_zone: must be the name of a time zone"),
        ("evidence=certain", "evidence: must be one of reported"),
        ("day=2026-01-01", "day: cannot be filtered by"),
        ("colour=red", "colour: is no parameter; allowed: since, until, time_zone, by"),
        ("%22%3Cscript%3E=1", "is no parameter; allowed:"),
        (&long, "tenant: must have at most 512 bytes"),
    ];
    for path in ["/v1/report", "/v1/usage", "/v1/costs"] {
        for (question, expected) in cases {
            let response = server.get(&format!("{path}?{question}"), Some(READ));
            assert_eq!(
                (response.status, response.header("content-type")),
                (400, Some("application/json")),
                "{question}"
            );
            let error = response.json()["error"].as_str().unwrap().to_owned();
            assert!(error.contains(expected), "{path} {question}: {error}");
        }
    }
}

#[test]
fn contract_a_parameter_that_cannot_be_read_is_named_and_nothing_else_is_asked_for_instead() {
    let dir = Dir::new();
    let server = filled(&dir);
    let document = server.get("/v1/openapi.json", None).json();
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for parameter in methods["get"]["parameters"].as_array().into_iter().flatten() {
            let Some(name) = parameter["$ref"].as_str().map(|to| to.rsplit('/').next().unwrap()) else { continue };
            let name = if name == "tags" { "tag:task" } else { name };
            for value in ["%00", "a%00b", "%FF", "%C3%28", "%ED%A0%80"] {
                let response = server.get(&format!("{path}?{name}={value}"), Some(READ));
                let said = format!("{name}: must be UTF-8 without NUL, percent-encoded");
                assert_eq!(response.status, 400, "{path} {name}={value}: {response:?}");
                assert_eq!(response.json()["error"], said.as_str(), "{path} {name}={value}");
                asked += 1;
            }
        }
    }
    assert!(asked > 4 * 20 * 5, "{asked}");
    // The character that stands for what cannot be read is one like others.
    assert_eq!(server.get("/v1/report?tenant=%EF%BF%BD", Some(READ)).status, 200);
    assert_eq!(server.get("/v1/report?tenant=%FF", None).status, 401, "a stranger hears nothing");
}

#[test]
fn contract_what_looks_like_an_attack_is_the_name_of_nobody() {
    let dir = Dir::new();
    let server = filled(&dir);
    let names = [
        "%27%20OR%20%271%27%3D%271",
        "acme%27%3B%20DROP%20TABLE%20ledger%3B--",
        "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "%E2%80%AEacme",
        "%25",
        "_cme",
        "",
    ];
    for path in ["/v1/report", "/v1/usage", "/v1/costs"] {
        for name in names {
            for parameter in ["tenant", "model", "session", "tag:task"] {
                let asked = format!("{path}?since=2026-01&until=2026-01&by=tenant&{parameter}={name}");
                let response = server.get(&asked, Some(READ));
                assert_eq!(response.status, 200, "{asked}: {response:?}");
                let is_of_all = (parameter, name) == ("tag:task", "");
                assert_eq!(
                    response.json()["lines"].as_array().unwrap().is_empty(),
                    !is_of_all,
                    "{asked}: {response:?}"
                );
                assert!(!response.body.contains('\u{202e}'), "{asked}: {response:?}");
            }
        }
    }
    assert_eq!(dir.number("SELECT count(*) FROM ledger"), 5);
}

#[test]
fn contract_a_response_may_be_kept_until_the_ledger_changes() {
    let dir = Dir::new();
    let server = filled(&dir);
    let ask = |path: &str, known: &str| {
        let bearer = format!("Bearer {READ}");
        request(server.address, "GET", path, &[("authorization", &bearer), ("if-none-match", known)], b"").unwrap()
    };
    let path = "/v1/costs?since=2026-01&until=2026-01";
    let first = ask(path, "\"none\"");
    let tag = first.header("etag").unwrap().to_owned();
    assert_eq!((first.status, first.header("cache-control")), (200, Some("private, no-cache")));
    let same = server.get(path, Some(READ));
    assert_eq!(
        (same.header("etag"), &same.body),
        (Some(tag.as_str()), &first.body),
        "the same question, the same bytes"
    );
    let bearer = format!("Bearer {READ}");
    let known = [("authorization", bearer.as_str()), ("if-none-match", tag.as_str())];
    let head = raw_head(&server, path, &known);
    assert!(
        head.starts_with("HTTP/1.1 304 ") && head.to_lowercase().contains(&format!("etag: {}", tag.to_lowercase())),
        "{head}"
    );
    for other in
        ["/v1/usage?since=2026-01&until=2026-01", "/v1/costs?since=2026-01&until=2026-02", &format!("{path}&by=day")]
    {
        let response = ask(other, &tag);
        assert!(response.status == 200 && response.header("etag") != Some(tag.as_str()), "{other}: {response:?}");
    }
    assert_eq!(server.send(&[event(&emitter(2), 1)]).taken(), (1, 0, 0));
    let changed = ask(path, &tag);
    assert!(changed.status == 200 && changed.body != first.body, "{changed:?}");
}

/// The head of a response that has no length.
fn raw_head(server: &Server, path: &str, headers: &[(&str, &str)]) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: collector\r\nconnection: close\r\n{headers}\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn contract_more_lines_than_can_be_sent_are_the_largest_and_one_of_all_others() {
    const TENANTS: u64 = 10_050;
    let dir = Dir::new();
    let server = Server::start(&dir, &["--prices", price_book().to_str().unwrap()]);
    let of = |number: u64| {
        let mut record = record("gpt-4.1", &[(Class::InputText, number)]);
        record.identity.tenant = format!("tenant-{number:05}");
        wire::event::encode(&record, &emitter(1), number)
    };
    for first in (1..=TENANTS).step_by(1005) {
        let batch: Vec<Vec<u8>> = (first..first + 1005).map(of).collect();
        assert_eq!(server.send(&batch).taken(), (1005, 0, 0));
    }
    let usage = server.get("/v1/usage?since=2026-01&until=2026-01&by=tenant", Some(READ)).json();
    let lines = usage["lines"].as_array().unwrap();
    assert_eq!((lines.len(), &lines[0]["tenant"]), (10_001, &"tenant-10050".into()), "the largest first");
    assert_eq!((&lines[10_000]["others"], lines[10_000].get("tenant")), (&50.into(), None));
    let tokens = |line: &Value| line["usage"]["input_text_tokens"].as_u64().unwrap();
    assert_eq!(tokens(&lines[10_000]), (1..=50).sum::<u64>());
    assert_eq!(lines.iter().map(tokens).sum::<u64>(), tokens(&usage["totals"][0]));
    assert_eq!(tokens(&usage["totals"][0]), (1..=TENANTS).sum::<u64>());
    let few = server.get("/v1/usage?since=2026-01&until=2026-01&by=tenant&tenant=tenant-000*", Some(READ)).json();
    let few = few["lines"].as_array().unwrap();
    assert_eq!(
        (few.len(), &few[0]["tenant"]),
        (99, &"tenant-00001".into()),
        "as many as fit are in the order of their columns"
    );
}

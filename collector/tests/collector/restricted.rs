//! A read token of some tenants: it sees nothing of others, by any path and any question.

use wire::record::{Tag, TagSource};
use wire::usage::Class;

use crate::support::*;

const ACME: &str = "read-token-of-acme-only";
/// What is foreign to it: a tenant whose name only begins like its own, and what the calls of others are named by.
const FOREIGN: [&str; 3] = ["acme2", "rival", "foreign"];

/// A call whose every name tells whose it is.
fn call(tenant: &str, whose: &str, tokens: u64, sequence: u64) -> Vec<u8> {
    let mut record = record(&format!("model-{whose}"), &[(Class::InputText, tokens)]);
    record.identity.tenant = tenant.to_owned();
    record.identity.principal = Some(format!("spiffe://td/{whose}"));
    record.provider = format!("provider-{whose}");
    record.operation = format!("operation-{whose}");
    let name = |what: &str| Some(format!("{what}-{whose}"));
    (record.route, record.session_id, record.agent_id) = (name("route"), name("session"), name("agent"));
    (record.node, record.unknown_usage) = (name("node"), name("unknown"));
    record.tags = vec![Tag { name: "task".to_owned(), value: format!("task-{whose}"), source: TagSource::Header }];
    wire::event::encode(&record, &emitter(if whose == "own" { 1 } else { 2 }), sequence)
}

/// A collector with calls of four tenants, two of which the token may know of.
fn filled(dir: &Dir) -> Server {
    let tokens = format!("{READ}\nacme {ACME} tenants=acme,acme/*\n");
    let file = dir.write_secret("readers", tokens);
    let server = Server::start(dir, &["--read-token-file", file.to_str().unwrap()]);
    let calls = [
        call("acme", "own", 3, 1),
        call("acme/ml", "own", 5, 2),
        call("acme2", "foreign", 1_000_003, 1),
        // A number before it never comes.
        call("rival", "foreign", 1_000_005, 3),
    ];
    assert_eq!(server.send(&calls).taken(), (4, 0, 0));
    for (name, scope) in [("own", &["--tenant", "acme"][..]), ("foreign", &["--tenant", "rival"]), ("foreign-all", &[])]
    {
        let set = ["budgets", "set", name, "--database", &dir.database(), "--who", "ann", "--why", "a test"];
        let limit = ["--unit", "tokens", "--window", "month", "--limit", "77"];
        let output = meshmeter(&[&set[..], &limit[..], scope].concat()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    server
}

/// Every question that could name something, by each of its dimensions.
fn questions() -> Vec<String> {
    let columns = [
        "day",
        "month",
        "hour",
        "tenant",
        "tenant:1",
        "principal",
        "provider",
        "model",
        "operation",
        "route",
        "session",
        "agent",
        "trace",
        "tag:task",
        "outcome",
        "node",
        "emitter",
        "evidence,tenant,model",
    ];
    let mut all = vec![String::new()];
    for by in columns {
        for format in ["json", "csv", "markdown"] {
            all.push(format!("?since=2026-01&until=2026-01&by={by}&format={format}"));
        }
        all.push(format!("?since=2026-01&until=2026-01&by={by}&time_zone=Europe/Berlin"));
    }
    for more in ["top=1", "top=1&sort=tokens", "by=tenant,model&top=1&sort=calls", "round=2", "tenant=*", "tenant=ac*"]
    {
        all.push(format!("?since=2026-01&until=2026-01&{more}"));
    }
    all.push("?since=2026-01&until=2026-01&by=tenant&compare=true".to_owned());
    all
}

/// The paths of the collector, as it says itself, with their methods and the scheme of their tokens.
fn routes(server: &Server) -> Vec<(String, String, Option<String>)> {
    let document = server.get("/v1/openapi.json", None).json();
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let scheme = operation["security"].as_array().unwrap().first();
            let scheme = scheme.map(|scheme| scheme.as_object().unwrap().keys().next().unwrap().clone());
            routes.push((path.clone(), method.to_uppercase(), scheme));
        }
    }
    assert!(routes.len() >= 10, "{routes:?}");
    routes
}

#[test]
fn contract_a_reader_of_some_tenants_sees_nothing_of_others_by_any_path() {
    let dir = Dir::new();
    let server = filled(&dir);
    let ask = |method: &str, path: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        request(server.address, method, path, &[("authorization", &bearer)], b"").unwrap()
    };
    let mut readable = Vec::new();
    for (path, method, scheme) in routes(&server) {
        match scheme.as_deref() {
            Some("ingest" | "journal") => assert_eq!(ask(&method, &path, ACME).status, 403, "{method} {path}"),
            Some("read") => readable.push(path),
            Some(other) => panic!("{path}: {other}: what does a reader of some tenants see here?"),
            None => {
                let response = ask(&method, &path, ACME);
                assert!(FOREIGN.iter().all(|name| !response.body.contains(name)), "{path}: {response:?}");
            }
        }
    }
    let foreign_emitter = emitter(2);
    for path in readable {
        let (mut seen, mut refused, mut asked_of_own) = (false, 0, 0);
        for question in questions() {
            let asked = format!("{path}{question}");
            let all = server.get(&asked, Some(READ));
            if path == "/v1/latency" && all.status == 400 {
                // It has neither the first lines nor a comparison nor amounts, for nobody.
                assert!(all.body.contains("cannot be asked for"), "{asked}: {all:?}");
                assert_eq!(server.get(&asked, Some(ACME)).body, all.body, "{asked}");
                continue;
            }
            assert_eq!(all.status, 200, "{asked}: {all:?}");
            seen |= FOREIGN.iter().any(|name| all.body.contains(name)) || all.body.contains(&foreign_emitter);
            let own = server.get(&asked, Some(ACME));
            asked_of_own += 1;
            match own.status {
                403 => {
                    assert!(own.body.contains("tells of all tenants"), "{asked}: {own:?}");
                    refused += 1;
                    continue;
                }
                200 => {}
                _ => panic!("{asked}: {own:?}"),
            }
            for name in
                FOREIGN.iter().copied().chain(["1000003", "1000005", "2000008", "1,000,", "2,000,", &foreign_emitter])
            {
                assert!(!own.body.contains(name), "{asked}: {name}: {own:?}");
            }
            assert!(own.header("etag").is_none(), "{asked}: it tells when others call");
        }
        assert!(seen, "{path}: this test would see others if they were shown");
        assert!(refused == 0 || refused == asked_of_own, "{path}: it is the path that is refused, not a question");
    }
}

#[test]
fn contract_a_reader_of_some_tenants_gets_all_that_is_theirs() {
    let dir = Dir::new();
    let server = filled(&dir);
    for by in ["tenant,model", "day", "session"] {
        let question = format!("?since=2026-01&until=2026-01&by={by}");
        for path in ["/v1/report", "/v1/usage", "/v1/costs"] {
            let own = server.get(&format!("{path}{question}"), Some(ACME)).json();
            let expected = server.get(&format!("{path}{question}&tenant=acme"), Some(READ)).json();
            for part in ["lines", "totals", "notes"] {
                assert_eq!(own[part], expected[part], "{path} by {by}: {part}");
            }
            assert_eq!(own["totals"][0]["calls"], 2, "{path} by {by}");
            assert_eq!(own["limited_to"], serde_json::json!(["acme", "acme/*"]), "{path}");
            assert!(own.get("position").is_none() && expected.get("limited_to").is_none(), "{path}");
            assert_eq!(expected.get("position").is_some(), path != "/v1/report", "{path}");
        }
    }
    let lines = |question: &str| server.get(&format!("/v1/usage?{question}"), Some(ACME)).json()["lines"].clone();
    for others in ["tenant=rival", "tenant=acme2", "tenant=r*", "tenant=rival&tenant=acme2", "model=model-foreign"] {
        assert_eq!(lines(&format!("since=2026-01&by=tenant&{others}")), serde_json::json!([]), "{others}");
    }
    let both = lines("since=2026-01&by=tenant&tenant=rival&tenant=acme/ml");
    assert_eq!(both.as_array().unwrap().len(), 1, "{both}");
}

#[test]
fn contract_metrics_are_refused_to_a_reader_of_some_tenants_and_the_reason_is_counted() {
    let dir = Dir::new();
    let server = filled(&dir);
    let refused = server.get("/metrics", Some(ACME));
    assert_eq!(refused.status, 403);
    let said = refused.json()["error"].as_str().unwrap().to_owned();
    assert!(said.contains("/metrics tells of all tenants"), "{said}");
    assert!(server.get("/metrics", Some(READ)).body.contains("rival"));
    assert_eq!(server.metric("meshmeter_collector_requests_refused_total{status=\"403\",reason=\"tenants\"}"), 1);
}

#[test]
fn contract_a_reader_of_some_tenants_sees_the_budgets_of_these_alone() {
    let dir = Dir::new();
    let server = filled(&dir);
    let names = |token: &str| {
        let budgets = server.get("/v1/budgets", Some(token)).json();
        budgets.as_array().unwrap().iter().map(|budget| budget["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(ACME), ["own"]);
    assert_eq!(names(READ), ["foreign", "foreign-all", "own"]);
}

#[test]
fn contract_a_changed_token_file_restricts_a_reader_from_then_on() {
    let dir = Dir::new();
    let file = dir.write_secret("readers", format!("acme {ACME}\n"));
    let server = Server::start(&dir, &["--read-token-file", file.to_str().unwrap()]);
    assert_eq!(server.send(&[call("rival", "foreign", 7, 1)]).taken(), (1, 0, 0));
    let sees = || server.get("/v1/usage?since=2026-01", Some(ACME)).body.contains("rival");
    assert!(sees());
    dir.write_secret("readers", format!("acme {ACME} tenants=acme\n"));
    until("the restriction holds", || !sees());
}

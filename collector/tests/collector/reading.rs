//! Reports, metrics and health over HTTP: who may read, what is returned, which questions are refused.

use std::collections::BTreeMap;

use wire::usage::Class;

use crate::support::*;

fn filled(dir: &Dir, more: &[&str]) -> Server {
    let server = Server::start(dir, more);
    let mut other = record("gpt-4.1", &[(Class::InputText, 1_000_001), (Class::CacheRead, 1), (Class::OutputText, 7)]);
    other.identity.tenant = "acme/ml".to_owned();
    other.started_ns += 1;
    let unknown = record("no-such-model", &[(Class::InputText, 5)]);
    let batch = [
        event(&emitter(1), 1),
        wire::event::encode(&other, &emitter(1), 2),
        wire::event::encode(&unknown, &emitter(1), 3),
    ];
    assert_eq!(server.send(&batch).taken(), (3, 0, 0));
    server
}

#[test]
fn contract_only_the_read_token_reads_and_health_is_open() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    for path in ["/v1/report", "/v1/report?format=nonsense", "/metrics"] {
        assert_eq!(server.get(path, None).status, 401, "{path}");
        assert_eq!(server.get(path, Some("who?")).status, 401, "{path}");
        assert_eq!(server.get(path, Some(INGEST)).status, 403, "{path}");
    }
    for path in ["/v1/report", "/metrics"] {
        assert_eq!(server.get(path, Some(READ)).status, 200, "{path}");
    }
    for path in ["/livez", "/readyz"] {
        let health = server.get(path, None);
        assert_eq!((health.status, health.body.as_str()), (200, "ok\n"), "{path}");
    }
}

#[test]
fn contract_not_ready_while_the_database_cannot_be_written_and_ready_again_by_itself() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let locked = dir.lock();
    until("it says that it cannot write", || server.get("/readyz", None).status == 503);
    assert_eq!(server.get("/livez", None).status, 200, "to start it anew would help nobody");
    drop(locked);
    until("it is ready again", || server.get("/readyz", None).status == 200);
}

#[test]
fn contract_a_report_is_exact_and_tells_unpriced_from_free() {
    let dir = Dir::new();
    let server = filled(&dir, &["--prices", price_book().to_str().unwrap()]);
    let report = server.get("/v1/report", Some(READ)).json();
    let lines: Vec<String> = report["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            format!("{} {} {} {} {}", line["tenant"], line["model"], line["calls"], line["cost"], line["unpriced"])
        })
        .collect();
    assert_eq!(
        lines,
        [
            r#""acme" "gpt-4.1" 1 "0.000022" null"#,
            r#""acme" "no-such-model" 1 null {"input_text_tokens":5}"#,
            r#""acme/ml" "gpt-4.1" 1 "2.0000585" null"#,
        ]
    );
    assert_eq!(report["lines"][2]["costs"]["cache_read_tokens"], "0.0000005");
    assert_eq!(report["totals"][0]["cost"], "2.0000805");
    assert_eq!(report["totals"][0]["unpriced"]["input_text_tokens"], 5);
}

#[test]
fn contract_an_invoice_is_rounded_once_a_tenant_and_adds_up() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--prices", price_book().to_str().unwrap()]);
    // 2 USD per million: 0.005 USD each, of which two together would be 0.01.
    let line = |tenant: &str, sequence| {
        let mut record = record("gpt-4.1", &[(Class::InputText, 2500)]);
        record.identity.tenant = tenant.to_owned();
        wire::event::encode(&record, &emitter(1), sequence)
    };
    assert_eq!(server.send(&[line("a", 1), line("b", 2)]).taken(), (2, 0, 0));
    let cost = |question: &str| {
        let report = server.get(&format!("/v1/report?by=tenant{question}"), Some(READ)).json();
        format!("{} {} {}", report["lines"][0]["cost"], report["lines"][1]["cost"], report["totals"][0]["cost"])
    };
    assert_eq!(cost(""), r#""0.005" "0.005" "0.01""#);
    assert_eq!(cost("&round=2"), r#""0.01" "0.01" "0.02""#);
    assert_eq!(server.get("/v1/report?round=16", Some(READ)).status, 400);
}

#[test]
fn contract_questions_select_and_group() {
    let dir = Dir::new();
    let server = filled(&dir, &["--prices", price_book().to_str().unwrap()]);
    let csv = |question: &str| server.get(&format!("/v1/report?format=csv&{question}"), Some(READ));
    let two = [
        ("calls", "2"),
        ("input_text_tokens", "8"),
        ("output_text_tokens", "2"),
        ("charge_usd", "0.000022"),
        ("cost_usd", "0.000022"),
        ("unpriced", "input_text_tokens"),
    ];
    let one = [
        ("calls", "1"),
        ("input_text_tokens", "1000001"),
        ("cache_read_tokens", "1"),
        ("output_text_tokens", "7"),
        ("charge_usd", "2.0000585"),
        ("cost_usd", "2.0000585"),
    ];
    let line = |by: (&str, &str), cells: &[(&str, &str)]| -> BTreeMap<String, String> {
        let cells = cells.iter().chain([&by, &("evidence", "reported"), &("time_zone", "UTC")]);
        cells.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let cases = [
        ("by=tenant&tenant=acme", vec![line(("tenant", "acme"), &two), line(("tenant", "acme/ml"), &one)]),
        ("by=tenant&tenant=acme/ml", vec![line(("tenant", "acme/ml"), &one)]),
        ("by=tenant&tenant=acm", vec![]),
        ("by=day&since=2026-02-01", vec![line(("day", "2026-02-01"), &one)]),
        ("by=month&until=2026-01-31", vec![line(("month", "2026-01"), &two)]),
    ];
    for (question, expected) in cases {
        let response = csv(question);
        assert_eq!((response.status, response.header("content-type")), (200, Some("text/csv; charset=utf-8")));
        let mut lines = response.body.split_terminator("\r\n").map(|line| line.split(',').collect::<Vec<_>>());
        let heads = lines.next().unwrap();
        let classes = Class::ALL.iter().map(|class| class.name());
        let by = question.strip_prefix("by=").unwrap().split('&').next().unwrap();
        let tail = ["charge_usd", "cost_usd", "unpriced", "fallback", "time_zone"];
        assert_eq!(
            heads,
            [by, "adjusts", "evidence", "calls"].into_iter().chain(classes).chain(tail).collect::<Vec<_>>()
        );
        let filled = lines.map(|cells| {
            assert_eq!(cells.len(), heads.len(), "{question}");
            let cells = heads.iter().zip(cells).filter(|(_, cell)| !cell.is_empty());
            cells.map(|(head, cell)| ((*head).to_owned(), cell.to_owned())).collect::<BTreeMap<_, _>>()
        });
        assert_eq!(filled.collect::<Vec<_>>(), expected, "{question}");
    }
}

#[test]
fn contract_a_wrong_question_is_400_and_says_what_is_allowed() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let cases = [
        ("format=xml", "format: must be one of json, csv, markdown"),
        ("format=csv&format=json", "format: is given more than once"),
        ("since=2026-02-30", "since: must be a date such as 2026-01-31, a month such as 2026-01, or a moment"),
        ("until=tomorrow", "until: must be a date such as 2026-01-31"),
        ("since=2026-02-02&until=2026-02-01", "since: must be before until"),
        ("since=2026-02-01&since=2026-02-02", "since: is given more than once"),
        ("time_zone=Mars/Olympus", "time_zone: must be the name of a time zone such as Europe/Berlin"),
        ("by=price", "by: must be a list of hour, day, month, tenant, principal, provider, model"),
        ("by=tenant:0", "by: tenant:DEPTH: must be from 1 to 64"),
        ("by=hour&since=2020-01-01", "by: hour: of at most 366 days"),
        ("evidence=guessed", "evidence: must be one of reported, partial, estimated, missing"),
        ("day=2026-01-01", "day: cannot be filtered by; use since, until and tenant"),
        ("hour=3", "hour: cannot be filtered by; use since, until and tenant"),
        ("top=0", "top: must be a whole number from 1 to 10000"),
        ("top=3&by=evidence", "top: needs a column in by"),
        ("sort=calls", "sort: orders the lines of top"),
        ("top=3&sort=luck", "sort: must be one of charge, cost, tokens, calls"),
        ("compare=yes", "compare: must be true or false"),
        ("compare=true", "compare: needs since and until"),
        ("compare=true&by=day&since=2026-01&until=2026-01", "compare: cannot be by day"),
        ("round=1.5", "round: must be a whole number from 0 to 15"),
        ("tag:=x", "tag:: is no parameter"),
        (
            "tenant'%20OR%201=1",
            "is no parameter; allowed: since, until, time_zone, by, top, sort, compare, round, format, and the filters",
        ),
        ("colour=red", "colour"),
    ];
    for (question, expected) in cases {
        let response = server.get(&format!("/v1/report?{question}"), Some(READ));
        assert_eq!(response.status, 400, "{question}");
        let error = response.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(expected), "{question}: {error}");
        assert!(!error.contains("--"), "an option of the command is none of HTTP: {error}");
    }
}

#[test]
fn contract_a_new_price_counts_for_calls_that_come_after_it_and_a_bad_book_changes_nothing() {
    let dir = Dir::new();
    let book = |price: &str| {
        format!("[[price]]\nprovider = \"openai\"\nmodel = \"*\"\nvalid_from = 2026-01-01\ninput_text = \"{price}\"\n")
    };
    let file = dir.write("prices.toml", book("1"));
    let server = Server::start(&dir, &["--prices", file.to_str().unwrap()]);
    let mut sequence = 0;
    let mut charge = || {
        sequence += 1;
        server.send(&events(&emitter(1), [sequence]));
        dir.texts(&format!("SELECT charge FROM ledger WHERE sequence = {sequence}")).remove(0)
    };
    assert_eq!(charge(), "0.000003");
    dir.write("prices.toml", book("2"));
    until("the new price counts", || charge() == "0.000006");
    dir.write("prices.toml", book("2,5"));
    until("the bad book is noticed", || {
        charge();
        server.log().contains("price[0] (openai *).input_text: must be a decimal number")
    });
    assert_eq!(charge(), "0.000006");
    assert_eq!(dir.texts("SELECT charge FROM ledger WHERE sequence = 1"), ["0.000003"]);
}

#[test]
fn contract_metrics_are_of_the_kinds_they_say() {
    let dir = Dir::new();
    let server = filled(&dir, &[]);
    let response = server.get("/metrics", Some(READ));
    assert!(response.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    for line in [
        "# TYPE meshmeter_collector_events counter",
        "meshmeter_collector_events_total{outcome=\"accepted\"} 3",
        "meshmeter_collector_events_total{outcome=\"duplicate\"} 0",
        "meshmeter_collector_batches_total 1",
        "meshmeter_collector_commits_total{outcome=\"stored\"} 1",
        "# TYPE meshmeter_collector_commit_duration_seconds histogram",
        "meshmeter_collector_commit_duration_seconds_count 1",
        "meshmeter_collector_queue_batches 0",
        "# EOF",
    ] {
        assert!(response.body.lines().any(|found| found == line), "{line} is not in\n{}", response.body);
    }
}

//! What `POST /v1/events` takes, and what it returns.

use std::thread;

use wire::record::Evidence;
use wire::usage::Class;

use crate::support::*;

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn contract_every_refusal_has_its_status_and_stores_nothing() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let good = array(&events(&emitter(1), [1]));
    let (ingest, read, unknown) = (bearer(INGEST), bearer(READ), bearer("who?"));
    let json = "application/json";
    let deep = [b"[{\"a\":".as_slice(), "[".repeat(10_000).as_bytes(), b"}]"].concat();
    type Case<'a> = (&'a str, u16, &'a [(&'a str, &'a str)], &'a [u8]);
    let cases: [Case<'_>; 13] = [
        ("no token", 401, &[("content-type", BATCH)], &good),
        ("unknown token", 401, &[("authorization", &unknown), ("content-type", BATCH)], &good),
        ("token of the readers", 403, &[("authorization", &read), ("content-type", BATCH)], &good),
        ("no content type", 415, &[("authorization", &ingest)], &good),
        ("other content type", 415, &[("authorization", &ingest), ("content-type", json)], &good),
        (
            "compressed",
            415,
            &[("authorization", &ingest), ("content-type", BATCH), ("content-encoding", "gzip")],
            &good,
        ),
        ("empty", 400, &[("authorization", &ingest), ("content-type", BATCH)], b""),
        ("not JSON", 400, &[("authorization", &ingest), ("content-type", BATCH)], b"hello"),
        ("cut off", 400, &[("authorization", &ingest), ("content-type", BATCH)], &good[..good.len() - 1]),
        ("more behind it", 400, &[("authorization", &ingest), ("content-type", BATCH)], b"[] []"),
        ("an object", 400, &[("authorization", &ingest), ("content-type", BATCH)], b"{}"),
        ("deep and cut off", 400, &[("authorization", &ingest), ("content-type", BATCH)], &deep),
        ("over 8 MiB", 413, &[("authorization", &ingest), ("content-type", BATCH)], &[b' '; (8 << 20) + 1]),
    ];
    for (what, status, headers, body) in cases {
        let response = server.post(headers, body);
        assert_eq!(response.status, status, "{what}: {response:?}");
        assert!(response.json()["error"].is_string(), "{what}: {response:?}");
        assert_eq!(response.header("www-authenticate"), (status == 401).then_some("Bearer"), "{what}");
        assert!(!response.body.contains(INGEST), "{what}: the response shows a token");
    }
    assert_eq!(request(server.address, "GET", "/v1/events", &[], b"").unwrap().status, 405);
    assert_eq!(server.get("/v2/events", Some(INGEST)).status, 404);
    assert_eq!(dir.number("SELECT (SELECT count(*) FROM ledger) + (SELECT count(*) FROM quarantined)"), 0);
    assert_eq!(server.metric("meshmeter_collector_requests_refused_total{status=\"415\",reason=\"content_type\"}"), 3);
    assert_eq!(server.send(&events(&emitter(1), [1])).taken(), (1, 0, 0), "it still works");
    assert!(!server.log().contains(INGEST), "a token is in the log");
}

#[test]
fn contract_a_batch_and_a_single_event_are_taken_as_they_were_sent() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let ingest = bearer(INGEST);
    assert_eq!(server.send(&[]).taken(), (0, 0, 0));
    assert_eq!(server.send(&events(&emitter(1), 1..=100)).taken(), (100, 0, 0));
    // Space, order and unknown fields are kept: what was sent is what an auditor reads.
    let text =
        String::from_utf8(event(&emitter(1), 101)).unwrap().replace(",\"data\"", " ,\n\"later\": 1.50, \"data\"");
    let headers = [("authorization", ingest.as_str()), ("content-type", "Application/CloudEvents+JSON; charset=utf-8")];
    assert_eq!(server.post(&headers, text.as_bytes()).taken(), (1, 0, 0));
    assert_eq!(dir.texts("SELECT event FROM ledger WHERE sequence = 101"), [text]);
    assert_eq!(dir.number("SELECT count(*) FROM emitter_ranges WHERE first = 1 AND last = 101"), 1);
    assert_eq!(server.metric("meshmeter_collector_events_total{outcome=\"accepted\"}"), 101);
    assert_eq!(server.metric("meshmeter_collector_batches_total"), 3);
}

#[test]
fn contract_duplicates_are_acknowledged_and_not_charged() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let (one, two) = (emitter(1), emitter(2));
    assert_eq!(server.send(&events(&one, [5, 3, 5, 4])).taken(), (3, 1, 0));
    assert_eq!(server.send(&events(&one, 1..=6)).taken(), (3, 3, 0));
    assert_eq!(server.send(&events(&two, [3])).taken(), (1, 0, 0), "another emitter's numbers are its own");
    assert_eq!(dir.number("SELECT count(*) FROM ledger"), 7);
    assert_eq!(dir.number("SELECT quantity FROM rollup WHERE class = 'calls'"), 7);
    assert_eq!(dir.number("SELECT quantity FROM rollup WHERE class = 'input_text_tokens'"), 21);
    assert_eq!(dir.number("SELECT count(*) FROM emitter_ranges WHERE (first, last) IN ((1, 6), (3, 3))"), 2);
}

#[test]
fn contract_an_invalid_event_is_kept_with_its_reason_and_its_neighbours_are_stored() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let deep = format!("{{\"deep\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let negative = String::from_utf8(event(&emitter(1), 2))
        .unwrap()
        .replace("\"input_text_tokens\":3", "\"input_text_tokens\":-3");
    let mut far = record("gpt-4.1", &[]);
    far.started_ns = u64::MAX;
    let mut future = record("gpt-4.1", &[]);
    let in_two_hours = std::time::SystemTime::now() + std::time::Duration::from_secs(7200);
    future.started_ns = in_two_hours.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let later_version = String::from_utf8(event(&emitter(1), 5)).unwrap().replace("call.v1", "call.v9");
    let wrong_type = String::from_utf8(event(&emitter(1), 6)).unwrap().replace(":3,", ":\"3\",");
    let absurd = record("gpt-4.1", &[(Class::InputText, 1 << 62)]);
    let mut oversized = event(&emitter(1), 9);
    oversized.splice(1..1, format!("\"more\":\"{}\",", "x".repeat(70_000)).into_bytes());
    let batch = [
        event(&emitter(1), 1),
        negative.into_bytes(),
        deep.into_bytes(),
        b"{}".to_vec(),
        b"7".to_vec(),
        b"{\"id\":\"\xff\xfe\"}".to_vec(),
        later_version.into_bytes(),
        wrong_type.into_bytes(),
        wire::event::encode(&absurd, &emitter(1), 7),
        wire::event::encode(&future, &emitter(1), 8),
        oversized,
        wire::event::encode(&far, &emitter(1), 4),
        event(&emitter(1), 3),
    ];
    assert_eq!(server.send(&batch).taken(), (2, 0, 11));
    assert_eq!(server.send(&batch).taken(), (0, 2, 11), "sent again, it is acknowledged again");
    let reasons = dir.texts("SELECT reason FROM quarantined WHERE deliveries = 2 ORDER BY reason");
    let expected = [
        "data.input_text_tokens: must be a whole number",
        "data.input_text_tokens: must be a whole number",
        "data.input_text_tokens: must be a whole number",
        "must be a JSON object, a CloudEvent",
        "must be at most 65536 bytes",
        "not readable as JSON: ",
        "not readable as JSON: ",
        "specversion: must be ",
        "time: must be before the year 2262",
        "time: must not be more than an hour in the future",
        "type: must be \"meshmeter.call.v1\"",
    ];
    assert_eq!(reasons.len(), expected.len(), "{reasons:?}");
    for (reason, expected) in reasons.iter().zip(expected) {
        assert!(reason.starts_with(expected), "{reasons:?}");
    }
    // What was not taken leaves a gap, so that nobody believes it was.
    assert_eq!(dir.number("SELECT count(*) FROM emitter_ranges"), 2);
    assert_eq!(server.metric("meshmeter_collector_events_total{outcome=\"dead_letter\"}"), 22);
}

#[test]
fn contract_sums_are_kept_by_day_model_and_evidence() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let mut next_day = record("gpt-4.1", &[(Class::InputText, 1)]);
    next_day.started_ns += 1;
    let mut only_asked = record("", &[(Class::WebSearches, 2), (Class::OutputText, 0)]);
    only_asked.response_model = None;
    let mut missing = record("gpt-4.1", &[]);
    missing.evidence = Evidence::Missing;
    let records = [record("gpt-4.1", &[(Class::InputText, 1)]), next_day, only_asked, missing];
    let batch: Vec<Vec<u8>> =
        (1..).zip(&records).map(|(sequence, record)| wire::event::encode(record, &emitter(1), sequence)).collect();
    assert_eq!(server.send(&batch).taken(), (4, 0, 0));
    let mut rows =
        dir.texts("SELECT concat_ws(' ', day, tenant, provider, model, evidence, class, quantity) FROM rollup");
    rows.sort();
    assert_eq!(
        rows,
        [
            "2026-01-31 acme openai asked-for reported calls 1",
            "2026-01-31 acme openai asked-for reported output_text_tokens 0",
            "2026-01-31 acme openai asked-for reported web_searches 2",
            "2026-01-31 acme openai gpt-4.1 missing calls 1",
            "2026-01-31 acme openai gpt-4.1 reported calls 1",
            "2026-01-31 acme openai gpt-4.1 reported input_text_tokens 1",
            "2026-02-01 acme openai gpt-4.1 reported calls 1",
            "2026-02-01 acme openai gpt-4.1 reported input_text_tokens 1",
        ]
    );
}

#[test]
fn contract_a_sum_that_would_overflow_is_a_dead_letter_and_blocks_nobody() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    assert_eq!(server.send(&events(&emitter(1), [1])).taken(), (1, 0, 0));
    let near = format!("UPDATE rollup SET quantity = {} WHERE class = 'input_text_tokens'", i64::MAX - 4);
    dir.sql(&near).unwrap();
    assert_eq!(server.send(&events(&emitter(1), [2, 3])).taken(), (1, 0, 1));
    assert_eq!(dir.number("SELECT quantity FROM rollup WHERE class = 'input_text_tokens'"), i64::MAX - 1);
    assert_eq!(dir.number("SELECT quantity FROM rollup WHERE class = 'calls'"), 2, "not a part of an event");
    let reasons = dir.texts("SELECT reason FROM quarantined");
    assert_eq!(reasons, ["data.input_text_tokens: the day's sum would not fit in 64 bits"]);
}

#[test]
fn contract_the_ledger_is_append_only() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    assert_eq!(server.send(&events(&emitter(1), [1])).taken(), (1, 0, 0));
    for sql in ["UPDATE ledger SET tenant = 'other'", "DELETE FROM ledger"] {
        let error = dir.sql(sql).unwrap_err();
        assert!(error.contains("the ledger is append only"), "{sql}: {error}");
    }
}

#[test]
fn race_a_database_that_is_locked_is_503_and_nothing_is_lost_or_doubled() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--queue", "1"]);
    let address = server.address;
    let locked = dir.lock();
    // The writer holds one batch or two, the queue one: of six at once some find it full, the others the lock.
    let clients: Vec<_> = (1..=6)
        .map(|sequence| thread::spawn(move || send(address, &events(&emitter(1), [sequence])).expect("a response")))
        .collect();
    let responses: Vec<Response> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    for response in &responses {
        assert_eq!((response.status, response.header("retry-after")), (503, Some("1")), "{response:?}");
    }
    let told = |what: &str| responses.iter().filter(|response| response.body.contains(what)).count();
    assert!(told("too many batches are waiting") > 0, "{responses:?}");
    assert!(told("the batch could not be stored") > 0, "{responses:?}");
    drop(locked);
    assert_eq!(server.send(&events(&emitter(1), 1..=6)).taken(), (6, 0, 0));
    assert_eq!(dir.number("SELECT count(*) FROM ledger"), 6);
    let refused = |reason: &str| {
        server.metric(&format!("meshmeter_collector_requests_refused_total{{status=\"503\",reason=\"{reason}\"}}"))
    };
    assert_eq!(refused("queue") + refused("not_stored"), 6);
}

//! The service itself: who may send how much, what it says in its log, and when it is ready.

use crate::support::*;

fn post(server: &Server, token: &str, batch: &[Vec<u8>]) -> Response {
    let bearer = format!("Bearer {token}");
    server.post(&[("authorization", &bearer), ("content-type", BATCH)], &array(batch))
}

#[test]
fn contract_a_credential_sends_no_more_than_its_rate_and_is_told_when_to_come_again() {
    let dir = Dir::new();
    let tokens = "stolen stolen-0123456789 rate=1\nhonest honest-0123456789 rate=1000000\n";
    let file = dir.write_secret("ingest", tokens);
    let server = Server::start(&dir, &["--ingest-token-file", file.to_str().unwrap()]);
    let first = post(&server, "stolen-0123456789", &events(&emitter(1), 1..=100));
    assert_eq!(first.taken(), (100, 0, 0), "a batch of any size passes once");
    let second = post(&server, "stolen-0123456789", &events(&emitter(1), 101..=200));
    assert_eq!(second.status, 429, "{second:?}");
    let wait: u64 = second.header("retry-after").unwrap().parse().unwrap();
    assert!((80..=90).contains(&wait), "100 events of 1 a second, of which 10 may come at once: {second:?}");
    assert_eq!(post(&server, "honest-0123456789", &events(&emitter(2), 1..=100)).taken(), (100, 0, 0));
    assert_eq!(dir.number("SELECT count(*) FROM ledger"), 200);
    assert_eq!(server.metric("meshmeter_collector_requests_refused_total{status=\"429\",reason=\"rate\"}"), 1);
}

#[test]
fn contract_the_log_has_time_and_level_and_says_a_wrong_token_now_and_then_without_showing_it() {
    for json in [false, true] {
        let dir = Dir::new();
        let server = Server::start(&dir, if json { &["--log-format", "json"] } else { &[] });
        for _ in 0..9 {
            assert_eq!(post(&server, "wrong-0123456789", &[]).status, 401);
        }
        let metric = "meshmeter_collector_requests_refused_total{status=\"401\",reason=\"wrong_token\"}";
        assert_eq!(server.metric(metric), 9);
        assert_eq!(server.get("/v2/events?token=wrong-0123456789", Some(INGEST)).status, 404);
        let log = server.log();
        assert!(log.contains("path: GET /v2/events from 127.0.0.1:"), "{log}");
        assert!(!log.contains("wrong-0123456789") && !log.contains(INGEST), "{log}");
        assert_eq!(log.matches("wrong_token: POST /v1/events from 127.0.0.1:").count(), 5, "{log}");
        for line in log.lines() {
            let time = if json {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(["info", "warn"].contains(&line["level"].as_str().unwrap()), "{line}");
                line["time"].as_str().unwrap().to_owned()
            } else {
                assert!(line.contains("Z info  ") || line.contains("Z warn  "), "{line}");
                line.split(' ').next().unwrap().to_owned()
            };
            assert!(time.parse::<jiff::Timestamp>().is_ok(), "{line}");
        }
    }
}

#[test]
fn contract_with_too_little_disk_left_nothing_is_taken_and_it_is_not_ready() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--min-free", "1000000000GiB"]);
    let response = server.send(&events(&emitter(1), [1]));
    assert_eq!((response.status, response.header("retry-after")), (503, Some("10")), "{response:?}");
    assert!(response.body.contains("the disk is nearly full"), "{response:?}");
    let health = |path| server.get(path, None).status;
    assert_eq!((health("/readyz"), health("/livez")), (503, 200));
    assert_eq!(dir.number("SELECT count(*) FROM ledger"), 0);
    assert!(server.log().contains("nothing is taken until more are"), "{}", server.log());
}

#[test]
fn contract_metrics_are_for_whoever_asks_at_an_address_of_their_own_and_nothing_else_is() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--metrics-listen", "127.0.0.1:0"]);
    assert_eq!(server.send(&events(&emitter(1), [1])).taken(), (1, 0, 0));
    let log = server.log();
    let told =
        log.lines().find_map(|line| line.split_once("metrics for whoever asks: http://")?.1.strip_suffix("/metrics"));
    let address = told.unwrap_or_else(|| panic!("{log}")).parse().unwrap();
    let get = |path: &str| request(address, "GET", path, &[], b"").unwrap();
    let metrics = get("/metrics");
    assert_eq!((metrics.status, get("/livez").status, get("/readyz").status), (200, 200, 200));
    assert!(metrics.body.contains("meshmeter_collector_events_total{outcome=\"accepted\"} 1\n"), "{metrics:?}");
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(metrics.body.contains("meshmeter_ledger_calls_total{") && !metrics.body.contains("tenant="), "{metrics:?}");
    assert!(server.get("/metrics", Some(READ)).body.contains("meshmeter_charge_usd_total{tenant="));
    assert_eq!(server.get("/metrics", None).status, 401, "the other address asks for the read token as ever");
    let bearer = format!("Bearer {READ}");
    for path in ["/v1/report", "/v1/events", "/v1/missing", "/"] {
        for method in ["GET", "POST"] {
            let response = request(address, method, path, &[("authorization", &bearer)], b"[]").unwrap();
            assert_eq!(response.status, 404, "{method} {path}: {response:?}");
        }
    }
    assert_eq!(request(address, "POST", "/metrics", &[], b"").unwrap().status, 405);
    // However many come there, those who send have their connections.
    let strangers: Vec<_> = (0..100).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    assert_eq!(server.send(&events(&emitter(1), [2])).taken(), (1, 0, 0));
    assert_eq!(server.metric("meshmeter_collector_connections{state=\"unknown\"}"), 0);
    drop(strangers);
    assert!(server.terminate().success(), "it ends in order with both");
}

#[test]
fn contract_the_address_for_metrics_names_tenants_only_where_it_is_told_to() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--metrics-listen", "127.0.0.1:0", "--metrics-tenants"]);
    assert_eq!(server.send(&events(&emitter(1), [1])).taken(), (1, 0, 0));
    let log = server.log();
    let told =
        log.lines().find_map(|line| line.split_once("metrics for whoever asks: http://")?.1.strip_suffix("/metrics"));
    let address = told.unwrap_or_else(|| panic!("{log}")).parse().unwrap();
    let metrics = request(address, "GET", "/metrics", &[], b"").unwrap();
    assert!(metrics.body.contains("meshmeter_charge_usd_total{tenant="), "{metrics:?}");
    assert!(metrics.body.ends_with("# EOF\n"), "{metrics:?}");
    let mut command = meshmeter(&["serve", "--database", &dir.database(), "--metrics-tenants"]);
    let output = command.env("MESHMETER_INGEST_TOKEN", INGEST).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "there is no such address: {output:?}");
}

#[test]
fn contract_an_address_for_metrics_that_is_taken_is_said() {
    let dir = Dir::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = meshmeter(&["serve", "--listen", "127.0.0.1:0", "--database", &dir.database()]);
    command.args(["--metrics-listen", &address]).env("MESHMETER_INGEST_TOKEN", INGEST);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains(&format!("--metrics-listen: cannot listen on {address}")),
        "{said}"
    );
}

#[test]
fn contract_the_room_of_the_ledgers_disk_is_a_metric_and_grows_with_the_ledger() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let metric = |name: &str| server.metric(&format!("meshmeter_collector_{name}"));
    let (free, size) = (metric("disk_free_bytes"), metric("disk_size_bytes"));
    assert!(0 < free && free < size, "{free} of {size}");
    let before = metric("ledger_bytes");
    assert!(before > 0);
    for first in (1..4000).step_by(500) {
        assert_eq!(server.send(&events(&emitter(1), first..first + 500)).status, 200);
    }
    until("the ledger to have grown", || metric("ledger_bytes") > before);
}

#[test]
fn contract_a_new_price_book_is_taken_while_nobody_sends_anything() {
    let dir = Dir::new();
    let book = |price: &str| {
        let entry = "[[price]]\nprovider = \"openai\"\nmodel = \"gpt-4.1\"\nvalid_from = 2026-01-01\n";
        format!("{entry}input_text = \"{price}\"\noutput_text = \"{price}\"\n")
    };
    let file = dir.write("prices.toml", book("1"));
    let server = Server::start(&dir, &["--prices", file.to_str().unwrap()]);
    assert!(!server.log().contains("no price book is named"), "{}", server.log());
    dir.write("prices.toml", book("1000"));
    until("the new prices hold", || server.log().contains("new prices, "));
    assert_eq!(server.send(&events(&emitter(1), [1])).taken(), (1, 0, 0));
    assert_eq!(dir.texts("SELECT charge FROM ledger"), ["0.005"], "five tokens, not one of them at the old price");
}

#[test]
fn contract_without_a_price_book_the_log_says_that_nothing_has_a_price() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    assert!(server.log().contains("warn  no price book is named: every call will be unpriced"), "{}", server.log());
}

#[test]
fn contract_large_bodies_spend_a_rate_of_events_by_their_bytes() {
    let dir = Dir::new();
    let file = dir.write_secret("ingest", "stolen stolen-0123456789 rate=1\n");
    for (body, status) in [(format!("[\"{}\"]", "x".repeat(1 << 20)), 200), ("x".repeat(1 << 20), 400)] {
        let server = Server::start(&dir, &["--ingest-token-file", file.to_str().unwrap()]);
        let post = |body: &str| {
            let headers = [("authorization", "Bearer stolen-0123456789"), ("content-type", BATCH)];
            server.post(&headers, body.as_bytes())
        };
        assert_eq!(post(&body).status, status);
        let second = post("[]");
        assert_eq!(second.status, 429, "{second:?}");
        let wait: u64 = second.header("retry-after").unwrap().parse().unwrap();
        assert!(wait > 200, "1 MiB counts as 257 events of one second, of which 10 may come at once: {second:?}");
    }
}

/// Whoever closes any descriptor of a file loses all locks of the process on it: then the next program that closes the ledger takes
/// itself for the last one, and unlinks the log that the collector goes on writing into. SQLite since 3.51 notices, older ones do not.
#[test]
#[cfg(target_os = "linux")]
fn race_questions_leave_the_writers_locks_alone() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    assert_eq!(server.send(&events(&emitter(1), 1..=1)).taken(), (1, 0, 0));
    let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(dir.file("ledger.db")).unwrap());
    let locks = || {
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        locks.lines().filter(|line| line.contains(&format!(":{inode} "))).count()
    };
    assert!(locks() > 0, "the writer holds the ledger");
    for path in ["/readyz", "/metrics", "/v1/report"] {
        assert_eq!(server.get(path, Some(READ)).status, 200, "{path}");
        assert!(locks() > 0, "{path}: the writer's lock is gone");
    }
}

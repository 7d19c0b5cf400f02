//! `meshmeter doctor` on collectors, on what only looks like one, and on configurations. Envoys are in the end-to-end tests.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use wire::usage::Class;

use crate::support::*;

/// A server that gives one response, whatever it is asked: `respond` writes it. Ends with the process.
fn server(respond: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let respond = Arc::new(respond);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, respond) = (stream.unwrap(), respond.clone());
            std::thread::spawn(move || {
                let mut head = [0; 2048];
                let read = stream.read(&mut head).unwrap_or(0);
                respond(&String::from_utf8_lossy(&head[..read]), &mut stream);
            });
        }
    });
    address
}

fn page(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

/// A collector of another version that says these metrics, the first time and later.
fn stated(first: &'static str, later: &'static str) -> SocketAddr {
    let asked = AtomicU32::new(0);
    server(move |head, stream| {
        let metrics = head.starts_with("GET /metrics");
        let body = match metrics && asked.fetch_add(1, Ordering::Relaxed) > 0 {
            true => later,
            false if metrics => first,
            false => "ok\n",
        };
        let _ = stream.write_all(page("200 OK", "meshmeter-collector: 9.9.9\r\n", body).as_bytes());
    })
}

#[test]
fn contract_doctor_finds_nothing_where_nothing_is_wrong() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--prices", price_book().to_str().unwrap()]);
    assert_eq!(server.send(&events(&emitter(1), 1..=5)).taken(), (5, 0, 0));
    let config = dir.write("plugin.json", r#"{"collector": {"cluster": "meshmeter_collector"}}"#);
    let args = ["--collector", &url(server.address), "--config", config.to_str().unwrap()];
    let (code, found) = doctor(READ, &args);
    assert_eq!((code, codes(&found)), (0, vec![]), "{found:?}");
    let output = meshmeter(&["doctor", "--collector", &url(server.address)]).env("MESHMETER_READ_TOKEN", READ).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let expected =
        format!("collector {}: version {version}, ready\n\n0 errors, 0 warnings, 0 notes\n", url(server.address));
    assert_eq!(text, expected);
}

#[test]
fn contract_doctor_finds_what_the_ledger_lacks() {
    let dir = Dir::new();
    let file = dir.write_secret("tokens", "east token-of-the-east max_tokens=4\n");
    let server = Server::start(&dir, &["--ingest-token-file", file.to_str().unwrap()]);
    let headers = [("authorization", "Bearer token-of-the-east"), ("content-type", BATCH)];
    let small = |number| wire::event::encode(&record("gpt-4.1", &[(Class::InputText, 1)]), &emitter(1), number);
    // 2 and 3 are missing, 5 exceeds the credential, 6 cannot be read, nothing has a price.
    let unreadable = String::from_utf8(small(6)).unwrap().replace("\"sequence\":6", "\"sequence\":\"x\"");
    let batch = [small(1), small(4), event(&emitter(1), 5), unreadable.into_bytes()];
    let taken = server.post(&headers, &array(&batch)).json();
    assert_eq!([&taken["accepted"], &taken["alarms"], &taken["dead_letters"]], [2, 1, 1], "{taken}");
    dir.sql("UPDATE emitters SET heard_ns = heard_ns - 3600000000000").unwrap();
    let (code, found) = doctor(READ, &["--collector", &url(server.address)]);
    let mut found_codes = codes(&found);
    found_codes.sort_unstable();
    assert_eq!(found_codes, ["alarms", "dead_letters", "numbers_missing", "open_ends", "prices_missing"], "{found:?}");
    assert_eq!((code, found[0][0].as_str()), (4, "numbers_missing"), "errors come first");
    assert!(found[0][2].ends_with(": 2"), "{found:?}");
}

#[test]
fn contract_doctor_says_that_a_collector_is_not_ready_and_refuses_requests() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--min-free", "9223372036854775807"]);
    let ends = Arc::new(AtomicBool::new(false));
    let stranger = std::thread::spawn({
        let (ends, address) = (ends.clone(), server.address);
        move || {
            while !ends.load(Ordering::Relaxed) {
                let wrong = [("authorization", "Bearer wrong-token-0123456789")];
                request(address, "POST", "/v1/events", &wrong, b"[]");
            }
        }
    });
    let (code, found) = doctor(READ, &["--collector", &url(server.address)]);
    ends.store(true, Ordering::Relaxed);
    stranger.join().unwrap();
    assert_eq!((code, codes(&found)), (4, vec!["collector_not_ready", "requests_refused"]), "{found:?}");
    assert!(found[1][2].contains("wrong_token"), "{found:?}");
}

#[test]
fn contract_doctor_says_that_the_read_token_is_wrong_or_missing() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    for (token, said) in [("wrong", "does not accept the read token"), ("", "wants a read token, and there is none")] {
        let (code, found) = doctor(token, &["--collector", &url(server.address)]);
        assert_eq!((code, codes(&found)), (3, vec!["read_token_refused"]), "{found:?}");
        assert!(found[0][2].contains(said), "{found:?}");
    }
    // Where nobody is asked for a token it is not missed.
    let elsewhere = dir.write_secret("read", format!("{READ}\n"));
    let args = ["--collector", &url(server.address), "--read-token-file", elsewhere.to_str().unwrap()];
    assert_eq!(doctor("", &args).0, 0);
}

#[test]
fn contract_doctor_finds_failing_transactions_and_a_full_disk() {
    let address = stated(
        "meshmeter_collector_commits_total{outcome=\"failed\"} 1\nmeshmeter_collector_disk_free_bytes 4\n\
         meshmeter_collector_disk_size_bytes 100\n",
        "meshmeter_collector_commits_total{outcome=\"failed\"} 3\nmeshmeter_collector_disk_free_bytes 4\n\
         meshmeter_collector_disk_size_bytes 100\nmeshmeter_collector_queue_batches 40\n",
    );
    let (code, found) = doctor(READ, &["--collector", &url(address)]);
    assert_eq!(
        (code, codes(&found)),
        (4, vec!["commits_fail", "disk_low", "queue_grows", "versions_differ"]),
        "{found:?}"
    );
    assert_eq!(found[0][2], "transactions that failed just now: 2");
}

/// What stands at an address that was mistyped.
fn elsewhere() -> Vec<(&'static str, SocketAddr)> {
    let endless = |kind: &'static str, piece: &'static [u8]| {
        server(move |_, stream| {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n");
            let mut goes_on = stream.write_all(head.as_bytes());
            while goes_on.is_ok() {
                goes_on = stream.write_all(piece);
            }
        })
    };
    vec![
        (
            "a web page",
            server(|_, stream| {
                let html =
                    page("200 OK", "content-type: text/html\r\n", "<!doctype html><title>Welcome\u{1b}[2J</title>");
                drop(stream.write_all(html.as_bytes()));
            }),
        ),
        (
            "a web page",
            server(|_, stream| drop(stream.write_all(page("404 Not Found", "", "<html>no</html>").as_bytes()))),
        ),
        (
            "something else (status 200, application/json)",
            server(|_, stream| {
                drop(
                    stream
                        .write_all(page("200 OK", "content-type: application/json\r\n", "{\"version\": 1}").as_bytes()),
                );
            }),
        ),
        (
            "something else (status 302",
            server(|_, stream| {
                drop(stream.write_all(page("302 Found", "location: http://127.0.0.1:1/\r\n", "").as_bytes()));
            }),
        ),
        ("longer than", endless("application/json", &[b' '; 65536])),
        ("cannot be understood", server(|_, stream| drop(stream.write_all(b"220 mail.example ESMTP\r\n")))),
        ("cannot be understood", server(|_, stream| drop(stream.write_all(&[0x15, 3, 3, 0, 2, 2, 70])))),
    ]
}

#[test]
fn contract_doctor_pointed_at_something_else_says_so() {
    for (said, address) in elsewhere() {
        let (code, found) = doctor(READ, &["--envoy", &url(address), "--collector", &url(address)]);
        assert_eq!(code, 1, "{said}: {found:?}");
        assert_eq!(codes(&found), ["not_envoy", "not_collector"], "{said}: {found:?}");
        assert!(found.iter().all(|[_, _, what]| what.contains(said)), "{said}: {found:?}");
    }
    // A collector is no Envoy, and of one that is examined beside it all is said.
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let (code, found) = doctor(READ, &["--envoy", &url(server.address), "--collector", &url(server.address)]);
    assert_eq!((code, codes(&found)), (1, vec!["not_envoy"]), "{found:?}");
    assert!(found[0][2].contains("a collector ("), "{found:?}");
}

#[test]
fn contract_doctor_says_that_nobody_responds() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = server(|_, _| std::thread::sleep(std::time::Duration::from_secs(3600)));
    for address in [closed, silent] {
        let (code, found) = doctor(READ, &["--envoy", &url(address), "--collector", &url(address)]);
        assert_eq!((code, codes(&found)), (1, vec!["envoy_unreachable", "collector_unreachable"]), "{found:?}");
    }
}

#[test]
fn contract_doctor_finds_clocks_that_are_apart() {
    let dated = |body: &'static str, date: &'static str| {
        server(move |_, stream| {
            let headers = format!("date: {date}\r\nmeshmeter-collector: {}\r\n", env!("CARGO_PKG_VERSION"));
            drop(stream.write_all(page("200 OK", &headers, body).as_bytes()));
        })
    };
    let info = r#"{"version": "x/1.40.0/x", "state": "LIVE", "command_line_options": {"concurrency": 1}}"#;
    let envoy = dated(info, "Sun, 29 Nov 2026 12:34:52 GMT");
    let collector = dated("", "Sun, 29 Nov 2026 12:19:52 GMT");
    let (_, found) = doctor(READ, &["--envoy", &url(envoy), "--collector", &url(collector)]);
    let clocks: Vec<_> = found.iter().filter(|[code, ..]| code == "clocks_differ").collect();
    assert_eq!(clocks.len(), 1, "{found:?}");
    // Between the two responses a second may pass.
    assert!(
        clocks[0][2].starts_with("Envoy's clock is ") && clocks[0][2].ends_with(" s ahead of the collector's"),
        "{found:?}"
    );
}

#[test]
fn contract_doctor_survives_a_collector_whose_metrics_have_no_end() {
    let address = server(|head, stream| {
        if head.starts_with("GET /metrics") {
            let mut goes_on =
                stream.write_all(b"HTTP/1.1 200 OK\r\nmeshmeter-collector: 0.1.0\r\nconnection: close\r\n\r\n");
            while goes_on.is_ok() {
                goes_on = stream.write_all(&[b'x'; 65536]);
            }
        } else {
            drop(stream.write_all(page("200 OK", "meshmeter-collector: 0.1.0\r\n", "ok\n").as_bytes()));
        }
    });
    let (code, found) = doctor(READ, &["--collector", &url(address)]);
    assert_eq!((code, codes(&found)), (3, vec!["page_unread"]), "{found:?}");
    assert!(found[0][2].contains("longer than"), "{found:?}");
}

#[test]
fn contract_doctor_checks_a_configuration_as_the_plugin_does() {
    let dir = Dir::new();
    let file = dir.write("plugin.json", r#"{"colector": {}, "batch": {"max_events": 0}}"#);
    let (code, found) = doctor("", &["--config", file.to_str().unwrap()]);
    assert_eq!((code, codes(&found)), (4, vec!["config_invalid", "config_invalid"]), "{found:?}");
    assert!(found.iter().any(|[_, _, what]| what.contains("batch.max_events")), "{found:?}");
}

#[test]
fn contract_doctor_refuses_what_it_does_not_understand() {
    for (code, said, args) in [
        (2, "must be http:// or https://", vec!["--envoy", "127.0.0.1:9901"]),
        (2, "must be http:// or https://", vec!["--collector", "ftp://localhost"]),
        (2, "must be http:// or https://", vec!["--envoy", "http://user:secret@localhost"]),
        (1, "no-such-file: ", vec!["--config", "no-such-file"]),
        (
            1,
            "--call-key-env: NO_SUCH is not set",
            vec!["--call", "http://h/v1/messages", "--call-model", "m", "--call-key-env", "NO_SUCH"],
        ),
        (2, "--call-model", vec!["--call", "http://localhost/v1/chat/completions"]),
        (
            2,
            "must be a name, a colon and a value",
            vec!["--call", "http://h", "--call-model", "m", "--call-header", "x"],
        ),
        (2, "unexpected argument", vec!["--nonsense"]),
    ] {
        let output = meshmeter(&[vec!["doctor"], args].concat()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(said) && !error.contains("secret"), "{said}: {error}");
    }
}

//! What hostile senders may do: memory stays where it is, whoever comes later is served, and the ledger is whole.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use crate::support::*;

/// SQLite's cache and what allocators keep, MiB.
const SLACK: u64 = 96;
/// Far more than all bodies that are let in, decoded (128 MiB of bytes, 128 Ki events), and far less than what the
/// senders here would make of it.
const MOST: u64 = 1024;

/// A head that announces a body.
fn head(length: usize) -> String {
    format!(
        "POST /v1/events HTTP/1.1\r\nhost: collector\r\nconnection: close\r\nauthorization: Bearer {INGEST}\r\n\
         content-type: {BATCH}\r\ncontent-length: {length}\r\n\r\n"
    )
}

fn post(server: &Server, body: &[u8]) -> Option<Response> {
    let bearer = format!("Bearer {INGEST}");
    request(server.address, "POST", "/v1/events", &[("authorization", &bearer), ("content-type", BATCH)], body)
}

/// Good events are taken, and everything that was taken is as it was written.
fn is_well(dir: &Dir, server: &Server) {
    let good = events(&emitter(0xffff), 1..=100);
    until("it takes events again", || send(server.address, &good).is_some_and(|response| response.status == 200));
    assert_eq!(server.send(&good).taken(), (0, 100, 0));
    let verified = meshmeter(&["verify", "--database", &dir.database()]).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

/// Events that cannot be taken, none like another.
fn bad(number: u64) -> Vec<Vec<u8>> {
    let text = |sequence: u64| String::from_utf8(event(&emitter(1), sequence)).unwrap();
    let sequence = 1000 + number;
    vec![
        text(sequence).replace("call.v1", &format!("call.v{sequence}")).into(),
        text(sequence).replace(":3,", &format!(":-{sequence},")).into(),
        text(sequence).replace(":3,", ":99999999999999999999,").into(),
        text(sequence).replace("\"openai\"", &sequence.to_string()).into(),
        text(1).replace("gpt-4.1", &format!("gpt-{sequence}")).into(),
        format!("{{\"deep\":{}{sequence}{}}}", "[".repeat(500), "]".repeat(500)).into(),
        [b"{\"id\":\"\xff\xfe\"".as_slice(), format!(",\"n\":{sequence}}}").as_bytes()].concat(),
        format!("{{\"id\":\"{}-{sequence}\",\"x\":\"{}\"}}", emitter(2), "x".repeat(300_000)).into(),
    ]
}

#[test]
fn contract_memory_does_not_grow_with_what_cannot_be_taken() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    assert_eq!(server.send(&events(&emitter(1), [1])).taken(), (1, 0, 0));
    let mut before = 0;
    // Some 180 MB, of which nothing stays in memory.
    for number in 0..600 {
        let response = server.send(&bad(number));
        assert_eq!((response.taken(), response.json()["alarms"].as_u64()), ((0, 0, 7), Some(1)));
        if number == 50 {
            (before, _) = server.memory();
        }
    }
    let (after, _) = server.memory();
    assert!(after <= before + SLACK, "{before} MiB, then {after} MiB");
    assert_eq!(dir.number("SELECT count(*) FROM quarantined"), 4800);
    is_well(&dir, &server);
}

#[test]
fn contract_a_body_of_nothing_but_short_elements_takes_no_more_memory_than_others() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let short = format!("[{}7]", "7,".repeat((8 << 20) / 2 - 2));
    for body in [&short, &short.replace("7,", "{,").replace('7', "{"), &"[".repeat(8 << 20)] {
        let response = post(&server, body.as_bytes()).expect("a response");
        assert_eq!(response.status, 400, "{response:?}");
    }
    // Many at once, each of as many as are taken.
    let many = format!("[{}7]", "7,".repeat(16_000));
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                let response = post(&server, many.as_bytes()).expect("a response");
                assert!(response.status == 200 || response.header("retry-after").is_some(), "{response:?}");
            });
        }
    });
    let (_, most) = server.memory();
    assert!(most <= MOST, "{most} MiB");
    is_well(&dir, &server);
}

#[test]
fn race_senders_that_announce_much_and_send_little_hold_up_nobody() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let connect = |length: usize| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(head(length).as_bytes()).unwrap();
        stream.write_all(b"[{\"specversion\":").unwrap();
        stream
    };
    let responded = |mut stream: TcpStream| {
        let mut response = String::new();
        let _ = stream.read_to_string(&mut response);
        response
    };
    let slow: Vec<TcpStream> = (0..64).map(|_| connect(8 << 20)).collect();
    assert_eq!(server.send(&events(&emitter(1), [1])).taken(), (1, 0, 0), "they have what they have sent");
    let (_, most) = server.memory();
    assert!(most <= MOST / 4, "{most} MiB");
    for response in slow.into_iter().map(responded) {
        assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
    }
    // Nearly whole, then silence: they take all the room of a credential, until others need it.
    let nearly = vec![b' '; (8 << 20) - 64];
    let full: Vec<TcpStream> = (0..16)
        .map(|_| {
            let mut stream = connect(8 << 20);
            let _ = stream.write_all(&nearly);
            stream
        })
        .collect();
    is_well(&dir, &server);
    for response in full.into_iter().map(responded) {
        assert!(response.starts_with("HTTP/1.1 408 ") || response.starts_with("HTTP/1.1 503 "), "{response}");
    }
    // What is over the bound is refused for good, whatever comes of it.
    let over = connect(1 << 40);
    over.shutdown(std::net::Shutdown::Write).unwrap();
    let response = responded(over);
    assert!(response.starts_with("HTTP/1.1 413 "), "{response}");
    let (_, most) = server.memory();
    assert!(most <= MOST / 4, "{most} MiB");
}

#[test]
fn race_senders_of_the_largest_bodies_at_once_do_not_take_more_than_there_is() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let body = array(&events(&emitter(1), 1..=12_000));
    assert!(body.len() > 6 << 20 && body.len() <= 8 << 20, "{}", body.len());
    let mut over = body.clone();
    over.resize((8 << 20) + 1, b' ');
    let responses: Vec<Option<Response>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..64)
            .map(|number| {
                let body = if number % 8 == 7 { &over } else { &body };
                let server = &server;
                scope.spawn(move || post(server, body))
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let mut taken = 0;
    for response in responses.iter().flatten() {
        match response.status {
            200 => taken += 1,
            413 => {}
            503 => assert_eq!(response.header("retry-after"), Some("1")),
            _ => panic!("{response:?}"),
        }
    }
    assert!(taken > 0, "{responses:?}");
    let (_, most) = server.memory();
    assert!(most <= 2 * MOST, "{most} MiB");
    assert_eq!(dir.number("SELECT count(*) FROM ledger"), 12_000);
    is_well(&dir, &server);
}

#[test]
fn contract_emitters_without_number_are_taken_and_forgotten() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let mut before = 0;
    for batch in 0..20 {
        let each_its_own: Vec<Vec<u8>> = (0..1000).map(|one| event(&emitter(batch * 1000 + one + 1), 1)).collect();
        assert_eq!(server.send(&each_its_own).taken(), (1000, 0, 0));
        if batch == 5 {
            (before, _) = server.memory();
        }
    }
    let (after, _) = server.memory();
    assert!(after <= before + SLACK, "{before} MiB, then {after} MiB");
    is_well(&dir, &server);
}

#[test]
fn contract_an_emitter_that_leaves_a_hole_behind_every_number_costs_no_more_for_it() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let one = emitter(1);
    let holes = 10_000;
    for batch in 0..holes / 1000 {
        let odd = (0..1000).map(|number| 2 * (batch * 1000 + number) + 1);
        // The lowest number again: what lies between it and the others need not be looked at.
        let odd = std::iter::once(1).chain(odd);
        let (accepted, duplicates, dead) = server.send(&events(&one, odd)).taken();
        assert_eq!((accepted + duplicates, dead), (1001, 0));
    }
    assert_eq!(dir.number("SELECT count(*) FROM emitter_ranges"), holes as i64);
    // As large a question as is taken, about the same numbers again and again.
    let question = format!("{{\"{one}\":[{}[1,9]]}}", "[1,9000000000000000],".repeat(40_000));
    let headers: &[(&str, &str)] = &[("authorization", &format!("Bearer {JOURNAL}"))];
    let response = request(server.address, "POST", "/v1/missing", headers, question.as_bytes()).expect("a response");
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.json()[&one].as_array().unwrap().len(), holes as usize);
    let (_, most) = server.memory();
    assert!(most <= MOST / 4, "{most} MiB");
    let gaps = meshmeter(&["gaps", "--database", &dir.database(), "--format", "json"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&gaps.stdout).unwrap();
    assert_eq!(json["totals"]["missing"].as_u64(), Some(holes - 1), "{}", String::from_utf8_lossy(&gaps.stderr));
    is_well(&dir, &server);
}

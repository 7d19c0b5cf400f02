//! Noisy neighbours: one sender at full speed fills the queue, and nobody else waits for what is in it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use wire::emitter::{EmitterKey, KEY_HEADER};
use wire::lease::{self, MAX_LEASES, Wanted};

use crate::support::*;

const GREEDY: &str = "greedy-token-of-the-tests";
const SMALL: &str = "small-token-of-the-tests";
/// Connections of the greedy one, and the events of each of its batches: far more than the queue and a commit take.
const CONNECTIONS: usize = 64;
const EVENTS: usize = 1500;
/// What waits of it at least when the other comes.
const WAITING: u64 = 16;
/// Batches and requests for leases of the other, one after the other.
const TURNS: u64 = 12;

/// A request for so many leases, of whoever has this key.
fn lend(server: &Server, token: &str, key: &EmitterKey, number: u64, leases: usize) -> Option<Response> {
    let wanted = Wanted { budget: "day".to_owned(), subject: String::new(), at_s: 1, up_to: 1, need: 1 };
    let asked = lease::Request { number, leases: vec![wanted; leases], ..lease::Request::default() };
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", &*bearer), ("content-type", "application/json"), (KEY_HEADER, key.secret())];
    request(server.address, "POST", "/v1/leases", &headers, &lease::encode_request(&asked))
}

fn post(server: &Server, token: &str, body: &[u8]) -> Option<Response> {
    let bearer = format!("Bearer {token}");
    request(server.address, "POST", "/v1/events", &[("authorization", &bearer), ("content-type", BATCH)], body)
}

#[test]
fn race_one_sender_at_full_speed_delays_no_batch_and_no_lease_of_another_by_more_than_a_commit() {
    let dir = Dir::new();
    let tokens = dir.write_secret("tokens", format!("greedy {GREEDY}\nsmall {SMALL}\n"));
    let server = Server::start(&dir, &["--queue", "64", "--ingest-token-file", tokens.to_str().unwrap()]);
    let of = |name: &str, credential: &str| {
        server.metric(&format!("meshmeter_collector_{name}_total{{credential=\"{credential}\"}}"))
    };
    // Cheap to send and to read: what cannot be read takes its turn as well.
    let large = array(&vec![b"0".to_vec(); EVENTS]);
    let (stop, taken) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for number in 0..CONNECTIONS {
            let (server, large, stop, taken) = (&server, &large, &stop, &taken);
            scope.spawn(move || {
                let key = EmitterKey::new(1, number as u64);
                for turn in 1.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let response = match number % 4 {
                        0 => lend(server, GREEDY, &key, turn, MAX_LEASES),
                        _ => post(server, GREEDY, large),
                    };
                    match response.map(|response| response.status) {
                        Some(200) => drop(taken.fetch_add(1, Ordering::Relaxed)),
                        Some(503) => thread::sleep(std::time::Duration::from_millis(5)),
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
        // It ends whatever happens, so that a failure is told.
        struct Stop<'s>(&'s AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _stop = Stop(&stop);
        let key = EmitterKey::new(2, 0);
        for turn in 1..=TURNS {
            until("the queue is full", || server.metric("meshmeter_collector_queue_batches") >= WAITING);
            let response = post(&server, SMALL, &array(&events(&key.emitter(), [turn]))).expect("a response");
            assert_eq!(response.taken(), (1, 0, 0));
            let response = lend(&server, SMALL, &key, turn, 1).expect("a response");
            assert_eq!(response.status, 200, "{response:?}");
        }
    });
    // Each was in the next commit.
    assert_eq!((of("requests_postponed", "small"), of("requests_over_share", "small")), (0, 0));
    // The greedy one waited for its own, was refused what was for others, and got on.
    let (postponed, over_share) = (of("requests_postponed", "greedy"), of("requests_over_share", "greedy"));
    assert!(postponed > TURNS && over_share > 0, "{postponed} and {over_share}");
    assert!(taken.load(Ordering::Relaxed) > TURNS, "{taken:?}");
    assert_eq!(dir.number("SELECT count(*) FROM ledger"), TURNS as i64);
}

//! What is acknowledged is kept, once: over crashes, restarts and many clients at the same time.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::support::*;

pub const CLIENTS: u32 = 8;
const BATCH_EVENTS: u64 = 10;

pub type Key = (String, u64);

/// What clients have been told is taken, and what they have sent at all.
#[derive(Default)]
pub struct Told {
    pub acknowledged: Mutex<BTreeSet<Key>>,
    pub sent: Mutex<BTreeSet<Key>>,
    batches: AtomicUsize,
    enough: AtomicBool,
}

impl Told {
    /// Sends batch after batch until no address is left where anybody responds, or it is enough.
    fn client(&self, mut addresses: Vec<SocketAddr>, emitter: &str, mut next: u64) {
        while !self.enough.load(Ordering::Relaxed) {
            let Some(address) = addresses.first() else { return };
            let sequences = next..next + BATCH_EVENTS;
            let keys: Vec<Key> = sequences.clone().map(|sequence| (emitter.to_owned(), sequence)).collect();
            self.sent.lock().unwrap().extend(keys.iter().cloned());
            match send(*address, &events(emitter, sequences)) {
                Some(response) if response.status == 200 => {
                    self.acknowledged.lock().unwrap().extend(keys);
                    self.batches.fetch_add(1, Ordering::Relaxed);
                    next += BATCH_EVENTS;
                }
                Some(response) if response.status == 503 => {}
                Some(response) => panic!("{response:?}"),
                None => drop(addresses.remove(0)),
            }
        }
    }

    /// Runs all clients against servers, and does something in the middle. `emitters`: how many they have together.
    pub fn run(&self, addresses: &[SocketAddr], emitters: u32, round: u64, batches: usize, middle: impl FnOnce()) {
        let enough = |more: usize| {
            let target = self.batches.load(Ordering::Relaxed) + more;
            until("enough batches are acknowledged", || self.batches.load(Ordering::Relaxed) >= target);
        };
        thread::scope(|scope| {
            for number in 0..CLIENTS {
                let mut addresses = addresses.to_vec();
                let first = number as usize % addresses.len();
                addresses.rotate_left(first);
                scope.spawn(move || self.client(addresses, &emitter(number % emitters), 1 + round * 1_000_000));
            }
            enough(batches);
            middle();
            if addresses.len() > 1 {
                enough(batches);
            }
            self.enough.store(true, Ordering::Relaxed);
        });
        self.enough.store(false, Ordering::Relaxed);
    }
}

pub fn ledger(dir: &Dir) -> BTreeSet<Key> {
    let rows = dir.sql("SELECT emitter, sequence FROM ledger").unwrap();
    rows.into_iter().map(|mut row| (row.swap_remove(0), row[0].parse().unwrap())).collect()
}

/// The ledger has every event once, and the sums and ranges say the same.
pub fn assert_consistent(dir: &Dir) {
    let entries = dir.number("SELECT count(*) FROM ledger");
    assert_eq!(ledger(dir).len() as i64, entries, "an event is in the ledger twice");
    for (class, each) in [("calls", 1), ("input_text_tokens", 3), ("output_text_tokens", 2)] {
        let sum = dir.number(&format!("SELECT coalesce(sum(quantity), 0) FROM rollup WHERE class = '{class}'"));
        assert_eq!(sum, entries * each, "{class}");
    }
    assert_eq!(dir.number("SELECT coalesce(sum(last - first + 1), 0) FROM emitter_ranges"), entries);
}

#[test]
fn race_a_killed_collector_has_all_it_acknowledged_and_doubles_nothing() {
    let dir = Dir::new();
    let told = Told::default();
    for (round, batches) in [(0, 25), (1, 60), (2, 3)] {
        let server = Server::start(&dir, &[]);
        let address = server.address;
        told.run(&[address], CLIENTS, round, batches, || server.kill());
        // A report of what is left needs no service, and leaves nothing to repair.
        let report = meshmeter(&["report", "--format", "json", "--database", &dir.database()]).output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
        let kept = ledger(&dir);
        assert_eq!(report["totals"][0]["calls"].as_u64(), Some(kept.len() as u64));
        let missing: Vec<_> = told.acknowledged.lock().unwrap().difference(&kept).cloned().collect();
        assert!(missing.is_empty(), "acknowledged and not in the ledger: {missing:?}");
        assert_consistent(&dir);
    }
    // The senders know nothing of the crashes: everything is sent again, in other batches.
    let server = Server::start(&dir, &[]);
    let sent: Vec<Key> = told.sent.lock().unwrap().iter().cloned().collect();
    let before = ledger(&dir).len() as u64;
    let mut sums = (0, 0);
    for keys in sent.chunks(37) {
        let batch: Vec<Vec<u8>> = keys.iter().map(|(emitter, sequence)| event(emitter, *sequence)).collect();
        let (accepted, duplicates, _) = server.send(&batch).taken();
        sums = (sums.0 + accepted, sums.1 + duplicates);
    }
    assert_eq!(sums, (sent.len() as u64 - before, before));
    assert_eq!(ledger(&dir), sent.into_iter().collect());
    assert_consistent(&dir);
}

#[test]
fn race_many_clients_that_send_the_same_are_charged_once() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let address = server.address;
    let accepted: u64 = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn(move || {
                    let one = |start: u64| send(address, &events(&emitter(1), start..start + BATCH_EVENTS)).unwrap();
                    // Each begins somewhere else, so that all orders of arrival happen.
                    let starts = (0..20).map(|step| 1 + (step + u64::from(number) * 5) % 20 * BATCH_EVENTS);
                    starts.map(|start| one(start).taken().0).sum::<u64>()
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(accepted, 20 * BATCH_EVENTS);
    assert_consistent(&dir);
    assert_eq!(dir.number("SELECT count(*) FROM emitter_ranges WHERE first = 1 AND last = 200"), 1);
    let batches = server.metric("meshmeter_collector_batches_total");
    let commits = server.metric("meshmeter_collector_commits_total{outcome=\"stored\"}");
    assert_eq!(batches, u64::from(CLIENTS) * 20);
    assert!((1..=batches).contains(&commits), "{commits} commits");
}

#[test]
fn race_sigterm_under_load_ends_in_order_with_all_that_was_acknowledged() {
    let dir = Dir::new();
    let told = Told::default();
    let server = Server::start(&dir, &[]);
    let address = server.address;
    told.run(&[address], CLIENTS, 0, 20, || assert!(server.terminate().success()));
    let kept = ledger(&dir);
    assert!(told.acknowledged.lock().unwrap().is_subset(&kept));
    assert_consistent(&dir);
    let server = Server::start(&dir, &[]);
    let sequences: Vec<u64> = kept.iter().filter(|(of, _)| *of == emitter(0)).map(|(_, sequence)| *sequence).collect();
    let again = server.send(&events(&emitter(0), sequences.iter().copied()));
    assert_eq!(again.taken(), (0, sequences.len() as u64, 0), "a restart forgets nothing");
}

#[test]
fn race_a_client_that_does_not_wait_for_the_response_is_stored_whole_or_not_at_all() {
    use std::io::Write;
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    for round in 0..40 {
        let batch = events(&emitter(round), 1..=5);
        let body = array(&batch);
        let head = format!(
            "POST /v1/events HTTP/1.1\r\nhost: c\r\nauthorization: Bearer {INGEST}\r\ncontent-type: {BATCH}\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = std::net::TcpStream::connect(server.address).unwrap();
        stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        drop(stream);
        let (accepted, duplicates, _) = server.send(&batch).taken();
        assert!([(5, 0), (0, 5)].contains(&(accepted, duplicates)), "{accepted} accepted, {duplicates} duplicates");
    }
    until("nothing waits", || server.metric("meshmeter_collector_queue_batches") == 0);
    assert_eq!(ledger(&dir).len(), 200);
    assert_consistent(&dir);
}

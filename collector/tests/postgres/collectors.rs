//! Several collectors on one database: one that is killed, and a database that crashes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use crate::durability::{CLIENTS, Key, Told, assert_consistent, ledger};
use crate::support::*;

fn start(dir: &Dir, count: usize) -> (Vec<Server>, Vec<SocketAddr>) {
    let servers: Vec<Server> = (0..count).map(|_| Server::start(dir, &[])).collect();
    let addresses = servers.iter().map(|server| server.address).collect();
    (servers, addresses)
}

fn assert_proven(dir: &Dir) {
    let verify = meshmeter(&["verify", "--database", &dir.database()]).output().unwrap();
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stderr));
}

/// All that was acknowledged is there, nothing else than was sent, and nothing twice.
fn assert_kept(dir: &Dir, told: &Told) -> BTreeSet<Key> {
    let kept = ledger(dir);
    let missing: Vec<_> = told.acknowledged.lock().unwrap().difference(&kept).cloned().collect();
    assert!(missing.is_empty(), "acknowledged and not in the ledger: {missing:?}");
    assert!(kept.is_subset(&told.sent.lock().unwrap()));
    assert_consistent(dir);
    assert_proven(dir);
    kept
}

#[test]
fn race_three_collectors_that_are_sent_the_same_charge_it_once() {
    let dir = Dir::new();
    let (servers, addresses) = start(&dir, 3);
    let accepted: u64 = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let addresses = &addresses;
                scope.spawn(move || {
                    // Two emitters, in batches that overlap; each client begins somewhere else.
                    let one = |step: u64| {
                        let address = addresses[(step + u64::from(number)) as usize % addresses.len()];
                        let first = 1 + (step + u64::from(number) * 5) % 20 * 10;
                        let mut batch = events(&emitter(1), first..first + 15);
                        batch.extend(events(&emitter(2), first..first + 15));
                        loop {
                            let response = send(address, &batch).unwrap();
                            if response.status == 200 {
                                return response.taken().0;
                            }
                            assert_eq!(response.status, 503, "{response:?}");
                        }
                    };
                    (0..20).map(one).sum::<u64>()
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(accepted, 2 * 205);
    assert_eq!(ledger(&dir).len(), 2 * 205);
    assert_consistent(&dir);
    assert_eq!(dir.number("SELECT count(*) FROM emitter_ranges WHERE first = 1 AND last = 205"), 2);
    assert_eq!(
        dir.texts("SELECT writer FROM chain WHERE entry > 0 ORDER BY writer"),
        ["1", "2", "3"],
        "all of them wrote"
    );
    drop(servers);
    assert_proven(&dir);
}

#[test]
fn race_a_collector_that_is_killed_is_replaced_by_the_others_and_doubles_nothing() {
    let dir = Dir::new();
    let (mut servers, addresses) = start(&dir, 3);
    let told = Told::default();
    // Two clients speak for one emitter, at different collectors.
    told.run(&addresses, CLIENTS / 2, 0, 40, || servers.remove(0).kill());
    assert_kept(&dir, &told);
    let (more, addresses) = start(&dir, 1);
    told.run(&addresses, CLIENTS / 2, 1, 20, || {});
    let kept = assert_kept(&dir, &told);
    let places = dir.number("SELECT count(*) FROM chain");
    assert!(places <= 4, "a place that is free is taken again: {places}");
    let sent: Vec<Key> = told.sent.lock().unwrap().iter().cloned().collect();
    let again: Vec<Vec<u8>> = sent.iter().map(|(emitter, sequence)| event(emitter, *sequence)).collect();
    let sums = again.chunks(100).map(|batch| more[0].send(batch).taken());
    let (accepted, duplicates) = sums.fold((0, 0), |sum, taken| (sum.0 + taken.0, sum.1 + taken.1));
    assert_eq!((accepted, duplicates), ((sent.len() - kept.len()) as u64, kept.len() as u64));
}

#[test]
fn race_a_database_that_crashes_under_load_has_all_that_was_acknowledged() {
    let Some(server) = server::Server::start("", &Default::default()).map(Arc::new) else { return };
    let dir = Dir::on(server.database());
    let (servers, addresses) = start(&dir, 2);
    let told = Told::default();
    for round in 0..3 {
        told.run(&addresses, CLIENTS / 2, round, 30, || server.crash());
        assert_kept(&dir, &told);
    }
    assert_eq!(servers[0].get("/readyz", None).status, 200, "nobody had to start it anew");
    drop(servers);
}

//! The writer on a store that fails as it is told to.

use super::super::leases;
use super::super::rate::Admitted;
use super::super::request::{Head, Request};
use super::super::room::{Bounds, Room};
use super::*;
use crate::database::memory::Memory;
use crate::ledger::Sender;
use crate::store::{Changes, Keys, Known};
use wire::record::Record;

/// A store that fails as it is told to.
#[derive(Default)]
struct Failing {
    memory: Memory,
    fails: Option<fn() -> StoreError>,
}

impl Store for Failing {
    fn transact(&mut self, keys: &Keys, decide: &mut dyn FnMut(Known) -> Changes) -> Result<(), StoreError> {
        match self.fails {
            Some(error) => Err(error()),
            None => self.memory.transact(keys, decide),
        }
    }

    fn look(&self) -> Result<(), StoreError> {
        self.fails.map_or(Ok(()), |error| Err(error()))
    }
}

fn writer() -> Writer<Failing, u64> {
    Writer::new(Ledger::new(Failing { memory: Memory::new(), fails: None }))
}

fn batch(room: &Arc<Room>, sequence: u64) -> Batch {
    let record = Record { provider: "openai".to_owned(), ..Record::default() };
    let event = wire::event::encode(&record, &"a".repeat(32), sequence);
    let head = Head { content_type: Some(b"application/cloudevents+json"), ..Head::default() };
    let admitted = Admitted { sender: Sender::new("default", false), bucket: None };
    let request = Request::begin(&head, admitted, false, room, Instant::now()).unwrap();
    request.place().bytes(1, Instant::now()).unwrap();
    request.finish(&event, Instant::now()).unwrap()
}

fn actions(writer: &mut Writer<Failing, u64>) -> Vec<Action<u64>> {
    std::iter::from_fn(|| writer.next_action()).collect()
}

fn words(writer: &mut Writer<Failing, u64>) -> Vec<String> {
    let word = |action| match action {
        Action::Respond { waiter, result, .. } => format!("{waiter}: {}", result.map_or(503, |_| 200)),
        Action::Lend { waiter, result, .. } => format!("{waiter} lends: {}", result.map_or(503, |_| 200)),
        Action::Stored(well) => format!("stored {well}"),
        Action::Failed(_) => "failed".to_owned(),
        Action::Gone(_) => "gone".to_owned(),
        Action::Back => "back".to_owned(),
    };
    actions(writer).into_iter().map(word).collect()
}

#[test]
fn contract_batches_that_wait_share_one_commit_and_each_gets_its_own_response() {
    let room = Room::new(Bounds { bytes: 40, events: 40, batches: 40 });
    let mut writer = writer();
    // Every second batch is the one before again.
    for waiter in 0..20 {
        writer.push(Job { batch: batch(&room, 1 + waiter / 2), waiter });
    }
    assert!(writer.begin() && writer.commit(Instant::now(), 1) && !writer.begin() && writer.is_idle());
    let mut responded = 0;
    for action in actions(&mut writer) {
        let Action::Respond { waiter, credential, result, .. } = action else { continue };
        let taken = result.unwrap();
        let expected = if waiter % 2 == 0 { (1, 0) } else { (0, 1) };
        assert_eq!((taken.accepted, taken.duplicates, waiter), (expected.0, expected.1, responded));
        assert_eq!(credential, "default");
        responded += 1;
    }
    assert_eq!(responded, 20);
    let place = room.place("default", None, Instant::now());
    let all = (place.bytes(23, Instant::now()), place.events(23));
    assert_eq!(all, (Ok(()), Ok(())), "the room of the bodies is free again");
}

#[test]
fn contract_a_commit_takes_no_more_than_its_bound_and_what_comes_meanwhile_waits_for_the_next() {
    let room = Room::new(Bounds { bytes: 4000, events: 4000, batches: 4000 });
    let mut writer = writer();
    let count = |writer: &mut Writer<Failing, u64>| {
        actions(writer).iter().filter(|action| matches!(action, Action::Respond { .. })).count()
    };
    (0..300).for_each(|number| writer.push(Job { batch: batch(&room, number + 1), waiter: number }));
    assert!(writer.begin());
    writer.push(Job { batch: batch(&room, 301), waiter: 300 });
    assert!(writer.begin() && writer.commit(Instant::now(), 1));
    assert_eq!(count(&mut writer), MAX_GROUP);
    assert!(writer.begin() && writer.commit(Instant::now(), 1));
    assert_eq!((count(&mut writer), writer.is_idle()), (301 - MAX_GROUP, true));
}

#[test]
fn contract_a_commit_that_fails_is_told_to_everybody_in_it_and_frees_their_room() {
    let room = Room::new(Bounds { bytes: 8, events: 8, batches: 8 });
    let mut writer = writer();
    writer.ledger.store_mut().fails = Some(|| StoreError::Unusable("full".to_owned()));
    (0..2).for_each(|waiter| writer.push(Job { batch: batch(&room, waiter + 1), waiter }));
    assert!(writer.begin() && !writer.commit(Instant::now(), 1));
    assert_eq!(words(&mut writer), ["stored false", "failed", "0: 503", "1: 503"]);
    assert_eq!(room.place("default", None, Instant::now()).events(5), Ok(()));
    // The senders come again.
    writer.ledger.store_mut().fails = None;
    writer.push(Job { batch: batch(&room, 1), waiter: 2 });
    assert!(writer.begin() && writer.commit(Instant::now(), 1));
    assert_eq!(words(&mut writer), ["stored true", "2: 200"]);
}

/// A request of an emitter for so many leases.
fn asked(room: &Arc<Room>, emitter: u8, number: u64, leases: usize) -> LeaseJob<u64> {
    let key = format!("{emitter:032x}");
    let head = Head { content_type: Some(b"application/json"), emitter_key: Some(key.as_bytes()), ..Head::default() };
    let admitted = Admitted { sender: Sender::new("default", false), bucket: None };
    let request = leases::Request::begin(&head, admitted, false, room, Instant::now()).unwrap();
    let lease = |of| format!(r#"{{"budget": "day", "subject": "{number}/{of}", "at_s": 1, "up_to": 1, "need": 1}}"#);
    let leases = (0..leases).map(lease).collect::<Vec<_>>().join(",");
    let body = format!("{{\"number\": {number}, \"acknowledged\": 0, \"revision\": 0, \"leases\": [{leases}]}}");
    LeaseJob { asked: request.finish(body.as_bytes(), Instant::now()).unwrap(), waiter: number }
}

#[test]
fn contract_a_burst_of_one_delays_no_batch_and_no_lease_of_another_by_more_than_a_commit() {
    let room = Room::new(Bounds { bytes: 1 << 20, events: 1 << 20, batches: 4000 });
    let of = |credential: &str, events: usize, waiter: u64| {
        let head = Head { content_type: Some(b"application/cloudevents-batch+json"), ..Head::default() };
        let admitted = Admitted { sender: Sender::new(credential, false), bucket: None };
        let request = Request::begin(&head, admitted, false, &room, Instant::now()).unwrap();
        let body = format!("[{}]", vec!["0"; events].join(","));
        Job { batch: request.finish(body.as_bytes(), Instant::now()).unwrap(), waiter }
    };
    let mut writer = writer();
    for number in 0..20 {
        writer.push(of("greedy", 1000, number));
        writer.ask(asked(&room, 1, 1000 + number, 256));
    }
    let mut waited = Vec::new();
    for number in 0..20 {
        // While a commit is in progress.
        assert!(writer.begin());
        writer.push(of("small", 1, 100 + number));
        writer.ask(asked(&room, 2, 2000 + number, 1));
        assert!(writer.commit(Instant::now(), 1));
        waited.extend(actions(&mut writer).into_iter().filter_map(|action| match action {
            Action::Respond { waiter, commits, .. } | Action::Lend { waiter, commits, .. } => Some((waiter, commits)),
            _ => None,
        }));
    }
    assert!(writer.begin() && writer.commit(Instant::now(), 1) && writer.is_idle());
    let most = |from: u64| waited.iter().filter(|(waiter, _)| (from..from + 100).contains(waiter)).map(|of| of.1).max();
    // Of 20 of each five go into a commit, or four.
    assert_eq!((most(0), most(1000)), (Some(4), Some(5)));
    assert_eq!((most(100), most(2000)), (Some(1), Some(1)));
}

#[test]
fn contract_leases_are_granted_behind_the_events_of_their_commit_and_fail_alone() {
    let room = Room::new(Bounds { bytes: 4000, events: 40, batches: 40 });
    let asked = |number| asked(&room, 1, number, 0);
    let mut writer = writer();
    writer.ask(asked(7));
    writer.push(Job { batch: batch(&room, 1), waiter: 1 });
    assert!(!writer.is_idle() && writer.begin() && writer.commit(Instant::now(), 1) && writer.is_idle());
    assert_eq!(words(&mut writer), ["stored true", "1: 200", "stored true", "7 lends: 200"]);
    writer.ledger.store_mut().fails = Some(|| StoreError::Unusable("full".to_owned()));
    writer.ask(asked(8));
    assert!(writer.begin() && !writer.commit(Instant::now(), 1) && !writer.begin());
    assert_eq!(words(&mut writer), ["stored false", "failed", "8 lends: 503"]);
}

#[test]
fn deterministic_a_file_that_is_gone_is_told_once_and_lost_after_its_time() {
    let mut writer = writer();
    let begun = Instant::now();
    writer.ledger.store_mut().fails = Some(|| StoreError::Gone("deleted".to_owned()));
    writer.look(begun);
    assert_eq!(words(&mut writer), ["stored false", "gone"]);
    assert!(writer.probe(begun + GONE / 2).is_err());
    assert_eq!(words(&mut writer), ["stored false", "stored false"]);
    assert!(!writer.is_lost(begun + GONE / 2) && writer.is_lost(begun + GONE));
    writer.ledger.store_mut().fails = Some(|| StoreError::Unusable("busy".to_owned()));
    writer.look(begun + GONE);
    assert_eq!((words(&mut writer), writer.is_lost(begun + GONE)), (vec!["back".to_owned()], false));
}

//! Workers that keep to their leases never spend more than the limit, whatever is lost, repeated or corrected, and whoever else
//! asks.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wire::identity::{Identity, Source};
use wire::lease::{Request, Wanted};
use wire::record::{Evidence, Record};
use wire::usage::Class;

use super::*;
use crate::budget::{Amount, Draft};
use crate::database::memory::Memory;
use crate::ledger::correct::Correction;
use crate::ledger::{Arrival, Delivery};
use crate::store::{Reader, Selection};

const NOON_NS: i64 = 1_795_953_600_000_000_000;
const LIMIT: u64 = 1000;

/// A worker, as far as it keeps to its lease.
#[derive(Clone, Debug, Default)]
struct Worker {
    /// Of its last request.
    number: u64,
    /// From its last response.
    granted: u64,
    charged: u64,
    /// What it asked for last: it has given the rest back.
    up_to: u64,
    /// Up to which number `charged` counts its events.
    counted: u64,
    acknowledged: u64,
    /// What its events cost, the first has number 1.
    events: Vec<u64>,
    /// How many of them were sent.
    sent: usize,
}

impl Worker {
    fn used(&self) -> u64 {
        let counted = usize::try_from(self.counted).unwrap();
        self.charged + self.events[counted..].iter().sum::<u64>()
    }

    fn room(&self) -> u64 {
        self.granted.min(self.up_to).saturating_sub(self.used())
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// A call of so many tokens, if there is room.
    Spend(usize, u64),
    /// Its events are sent; perhaps it does not hear of it.
    Send(usize, bool),
    /// It asks for so much more than it has used; perhaps it does not hear of it.
    Ask(usize, u64, bool),
    /// A request of it comes again, that of so many before.
    Again(usize, usize),
    /// A person takes a call back.
    Void(usize),
    /// The limit is raised, or set back to what it was.
    Limit(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let worker = 0..4_usize;
    prop_oneof![
        4 => (worker.clone(), 1..120_u64).prop_map(|(worker, tokens)| Step::Spend(worker, tokens)),
        2 => (worker.clone(), any::<bool>()).prop_map(|(worker, hears)| Step::Send(worker, hears)),
        4 => (worker.clone(), 0..600_u64, any::<bool>()).prop_map(|(worker, more, hears)| Step::Ask(worker, more, hears)),
        1 => (worker, 0..5_usize).prop_map(|(worker, back)| Step::Again(worker, back)),
        1 => (0..20_usize).prop_map(Step::Void),
        1 => any::<bool>().prop_map(Step::Limit),
    ]
}

struct World {
    ledger: Ledger<Memory>,
    workers: Vec<Worker>,
    requests: Vec<Vec<LeaseRequest>>,
    limit: u64,
}

fn name(worker: usize) -> String {
    format!("{worker:032x}")
}

fn sender(worker: usize) -> Sender {
    Sender { emitter: Some(name(worker)), ..Sender::new("default", false) }
}

fn event(worker: usize, sequence: usize, tokens: u64) -> Arrival {
    let mut record = Record { provider: "openai".to_owned(), evidence: Evidence::Reported, ..Record::default() };
    record.started_ns = NOON_NS as u64;
    record.identity = Identity { tenant: "acme".to_owned(), source: Source::Spiffe, principal: None };
    record.usage.set(Class::OutputText, Some(tokens));
    Arrival::new(wire::event::encode(&record, &name(worker), sequence as u64 + 1))
}

fn draft(limit: u64) -> Draft {
    let some = |text: &str| Some(text.to_owned());
    let (limit, unit, window) = (Some(limit.to_string()), some("tokens"), some("day"));
    Draft { name: "day".to_owned(), limit, unit, window, who: "ann".to_owned(), ..Draft::default() }
}

impl World {
    fn new() -> World {
        let mut world = World {
            ledger: Ledger::new(Memory::new()),
            workers: vec![Worker::default(); 4],
            requests: vec![Vec::new(); 4],
            limit: 0,
        };
        world.set(LIMIT);
        world
    }

    fn set(&mut self, limit: u64) {
        let none = &mut |_: &Definition, _: &[crate::store::entry::EntryId]| Ok(BTreeMap::new());
        let _ = self.ledger.set_budget(&draft(limit), "a test", NOON_NS, none).unwrap();
        self.limit = self.limit.max(limit);
    }

    fn spent(&self) -> u64 {
        let mut spent = Amount::default();
        let id = Reader::budgets(self.ledger.store()).unwrap().get("day").unwrap().id;
        self.ledger
            .store()
            .balances(id, i64::MIN, &mut |(_, more)| {
                spent = spent.plus(more);
                Ok(())
            })
            .unwrap();
        spent.whole(wire::lease::Unit::Tokens)
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Spend(index, tokens) => {
                let worker = &mut self.workers[index];
                if tokens <= worker.room() {
                    worker.events.push(tokens);
                }
            }
            Step::Send(index, hears) => {
                let worker = &mut self.workers[index];
                // All that it has not heard of yet, again as well.
                let first = usize::try_from(worker.acknowledged).unwrap();
                let events = worker.events.iter().enumerate().skip(first);
                let arrivals = events.map(|(at, tokens)| event(index, at, *tokens)).collect();
                worker.sent = worker.events.len();
                if hears {
                    worker.acknowledged = worker.sent as u64;
                }
                let delivery = Delivery { sender: sender(index), statement: None, arrivals };
                self.ledger.append(&[&delivery], NOON_NS).unwrap();
            }
            Step::Ask(index, more, hears) => {
                let worker = &mut self.workers[index];
                worker.number += 1;
                let up_to = worker.used() + more;
                worker.up_to = up_to;
                let at_s = second(NOON_NS) as u64;
                let wanted =
                    Wanted { budget: "day".to_owned(), subject: String::new(), at_s, up_to, need: up_to - more / 2 };
                let request = Request {
                    number: worker.number,
                    acknowledged: worker.acknowledged,
                    leases: vec![wanted],
                    ..Request::default()
                };
                let request = LeaseRequest { sender: sender(index), request };
                let response = self.ledger.lease(&[&request], NOON_NS).unwrap().remove(0);
                self.requests[index].push(request);
                if hears {
                    let lease = response.leases[0].unwrap();
                    let worker = &mut self.workers[index];
                    (worker.granted, worker.charged, worker.counted) =
                        (lease.granted, lease.charged, worker.acknowledged);
                }
            }
            Step::Again(index, back) => {
                let request = self.requests[index].iter().rev().nth(back).cloned();
                if let Some(request) = request {
                    self.ledger.lease(&[&request], NOON_NS).unwrap();
                }
            }
            Step::Void(nth) => {
                let mut all = Vec::new();
                let each = &mut |entry| {
                    all.push(entry);
                    Ok(())
                };
                Reader::standing(self.ledger.store(), &Selection::default(), each).unwrap();
                if let Some(entry) = all.into_iter().nth(nth) {
                    let void = Correction { entry, instead: None, reason: "a test".to_owned() };
                    self.ledger.correct(&[void], NOON_NS).unwrap();
                }
            }
            Step::Limit(is_raised) => self.set(if is_raised { LIMIT + LIMIT / 2 } else { LIMIT }),
        }
    }
}

proptest! {
    #[test]
    fn race_workers_that_keep_to_their_leases_never_spend_more_than_the_limit(
        steps in prop::collection::vec(step(), 0..120)
    ) {
        let mut world = World::new();
        for step in steps {
            world.take(step.clone());
            // What was let pass and has not come yet is spent as well.
            let unsent: u64 = world.workers.iter().map(|worker| worker.events[worker.sent..].iter().sum::<u64>()).sum();
            let spent = world.spent();
            prop_assert!(spent + unsent <= world.limit, "{} and {} of {} after {:?}", spent, unsent, world.limit, step);
        }
        crate::verify::verify(world.ledger.store(), &[], || ()).unwrap();
    }
}

#[test]
fn contract_many_ask_at_once_and_share_one_transaction() {
    let mut world = World::new();
    let ask = |index: usize| {
        let at_s = second(NOON_NS) as u64;
        let wanted = Wanted { budget: "day".to_owned(), subject: String::new(), at_s, up_to: 400, need: 0 };
        let request = Request { number: 1, leases: vec![wanted], ..Request::default() };
        LeaseRequest { sender: sender(index), request }
    };
    let all: Vec<LeaseRequest> = (1..9).map(ask).collect();
    let all: Vec<&LeaseRequest> = all.iter().collect();
    let responses = world.ledger.lease(&all, NOON_NS).unwrap();
    let granted: Vec<u64> = responses.iter().map(|response| response.leases[0].unwrap().granted).collect();
    assert_eq!(granted, [250, 188, 141, 106, 79, 59, 45, 33], "each a quarter of what the ones before have left");
    // The budgets change between two requests: the ledger's own are of an earlier revision, and it asks again.
    let mut other = Ledger::new(world.ledger.store().clone());
    let more = Draft { name: "more".to_owned(), tenant: Some("x".to_owned()), ..draft(7) };
    let none = &mut |_: &Definition, _: &[crate::store::entry::EntryId]| Ok(BTreeMap::new());
    other.set_budget(&more, "a test", NOON_NS, none).unwrap().unwrap();
    *world.ledger.store_mut() = other.store().clone();
    let mut late = ask(10);
    late.request.leases[0].budget = "more".to_owned();
    let response = world.ledger.lease(&[&late], NOON_NS).unwrap().remove(0);
    assert_eq!((response.revision, response.leases[0].unwrap().granted), (2, 2));
}

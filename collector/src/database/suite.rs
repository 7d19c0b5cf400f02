//! What every store must do: the same cases run on all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use wire::identity::Source;
use wire::record::{Evidence, Flag, Record};
use wire::statement::{DroppedRange, Reason, Statement};
use wire::usage::{Class, Usage};

use super::memory::Memory;
use crate::ledger::correct::{Correction, Instead};
use crate::ledger::decide::Decision;
use crate::ledger::{self, Arrival, Delivery, Ledger, Sender, Taken};
use crate::prices::PriceBook;
use crate::store::emitters::{Emitter, Ended};
use crate::store::entry::{Entry, EntryId, Hash, Kind};
use crate::store::ranges::Range;
use crate::store::{Each, Reader, Selection, Store, StoreError, Whose};

mod again;
pub mod budgets;
pub mod checks;
mod closing;
mod copies;
mod corrections;
mod exports;
mod focus;
pub mod forgetting;
mod latency;
mod pruning;
mod quarantine;
mod reports;
pub mod sealing;
mod senders;
mod statements;
pub mod totals;
mod writers;

pub use budgets::spends;
pub use writers::{kinds, many_writers, seen_by, sums_agree_while_others_write};

/// A new and empty store, and who reads it.
pub type Fresh<'a> = &'a dyn Fn() -> (Box<dyn Store>, Box<dyn Reader>);

const DAY_NS: u64 = 86_400_000_000_000;
const NOW_NS: i64 = 10 * DAY_NS as i64;
const BOOK: &str =
    "[[price]]\nprovider = \"openai\"\nmodel = \"responded\"\nvalid_from = 1970-01-01\ninput_text = \"2.50\"\n";

/// What of an event matters.
#[derive(Clone, Debug)]
struct Sent {
    emitter: u8,
    sequence: u64,
    /// Chosen so that calls fall on two days, two models, and few response ids.
    kind: u8,
    tokens: u64,
    /// Whether a journal brings it.
    journal: bool,
}

impl Sent {
    fn arrival(&self) -> Arrival {
        let mut record =
            Record { provider: "openai".to_owned(), evidence: Evidence::Reported, duration_us: 1, ..Record::default() };
        record.started_ns = if self.kind & 1 == 0 { 0 } else { 86_400_000_000_000 };
        record.request_model = Some("asked".to_owned());
        record.response_model = (self.kind & 2 == 0).then(|| "responded".to_owned());
        record.response_id = (self.kind & 4 == 0).then(|| format!("chatcmpl-{}", self.tokens % 3));
        record.request_id = Some(format!("request-{}", self.tokens % 2));
        record.proxy = (!self.tokens.is_multiple_of(5)).then(|| emitter(self.emitter));
        record.usage.set(Class::InputText, (self.tokens != 0).then_some(self.tokens));
        record.usage.set(Class::OutputText, Some(self.tokens % 7));
        Arrival::new(wire::event::encode(&record, &emitter(self.emitter), self.sequence))
    }
}

fn emitter(number: u8) -> String {
    format!("{number:032x}")
}

fn sender(journal: bool) -> Sender {
    Sender::new("default", journal)
}

fn delivery(sent: &[Sent]) -> Delivery {
    let journal = sent.first().is_some_and(|sent| sent.journal);
    Delivery { sender: sender(journal), statement: None, arrivals: sent.iter().map(Sent::arrival).collect() }
}

fn one(emitter: u8, sequence: u64) -> Sent {
    Sent { emitter, sequence, kind: 4, tokens: 5, journal: false }
}

/// All rows.
fn all<T>(read: impl FnOnce(Each<'_, T>) -> Result<(), StoreError>) -> Vec<T> {
    let mut rows = Vec::new();
    read(&mut |row| {
        rows.push(row);
        Ok(())
    })
    .unwrap();
    rows
}

/// Everything that a reader can see, as text, so that stores can be compared.
fn seen(reader: &dyn Reader) -> BTreeMap<String, Vec<String>> {
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut see = |what: &str, rows: Vec<String>| seen.entry(what.to_owned()).or_default().extend(rows);
    fn shown<T: std::fmt::Debug>(rows: &[T]) -> Vec<String> {
        rows.iter().map(|row| format!("{row:?}")).collect()
    }
    let every = Selection::default();
    see("rollup", shown(&all(|each| reader.rollup(&every, each))));
    see("reports", totals::reports(reader));
    see("heads", shown(&reader.heads().unwrap()));
    see("entries", shown(&entries(reader)));
    see("written", shown(&exports::written(reader)));
    exports::rows_add_up_to_the_sums(reader);
    see("standing", shown(&all(|each| reader.standing(&every, each))));
    for (name, emitter) in all(|each| reader.emitters(each)) {
        see("ranges", shown(&[(&name, emitter.ranges.as_slice())]));
        see("emitters", shown(&[(&name, Emitter { ranges: Default::default(), ..emitter })]));
        see("notes", shown(&reader.notes(&name).unwrap()));
        see("quarantined", shown(&all(|each| reader.quarantined(Whose::Emitter(&name), each))));
    }
    see("quarantined", shown(&all(|each| reader.quarantined(Whose::All, each))));
    see("closings", shown(&reader.closings().unwrap()));
    see("adjusted", shown(&all(|each| reader.adjusted(each))));
    see("possible copies", shown(&all(|each| reader.possible_copies(each))));
    see("tally", shown(&[reader.tally().unwrap()]));
    crate::relay::tests::adds_up(reader);
    seen
}

fn entries(reader: &dyn Reader) -> Vec<Entry> {
    let heads = reader.heads().unwrap();
    heads.iter().flat_map(|head| all(|each| reader.entries(EntryId { number: 0, ..head.entry }, each))).collect()
}

/// A delivery of one event.
pub fn delivery_of(sequence: u64) -> Delivery {
    delivery(&[one(1, sequence)])
}

/// Runs all cases.
pub fn run(fresh: Fresh<'_>) {
    again::run(fresh);
    budgets::run(fresh);
    closing::run(fresh);
    latency::run(fresh);
    pruning::run(fresh);
    any_deliveries_leave_what_memory_has(fresh);
    numbers_far_apart_do_not_load_what_lies_between(fresh);
    a_statement_is_kept(fresh);
    senders::run(fresh);
    texts_that_databases_stumble_over_are_kept(fresh);
    totals::run(fresh);
    counts_are_charged_whichever_meter_saw_them(fresh);
    corrections::run(fresh);
    nothing_is_kept_of_a_transaction_that_fails(fresh);
    copies::run(fresh);
    quarantine::run(fresh);
    reports::run(fresh);
    focus::run(fresh);
    forgetting::run(fresh);
    statements::run(fresh);
}

fn any_deliveries_leave_what_memory_has(fresh: Fresh<'_>) {
    let sent = (0..3_u8, 1..20_u64, 0..8_u8, 0..1_u64 << 24).prop_map(|(emitter, sequence, kind, tokens)| Sent {
        emitter,
        sequence,
        kind,
        tokens,
        journal: kind == 7,
    });
    let deliveries = prop::collection::vec(prop::collection::vec(prop::collection::vec(sent, 0..8), 0..4), 0..6);
    let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
    let result = runner.run(&deliveries, |commits| {
        let (store, reader) = fresh();
        let prices = Some(std::sync::Arc::new(PriceBook::parse(BOOK).unwrap()));
        let (mut ledger, mut memory) = (Ledger::new(store), Ledger::new(Memory::new()));
        ledger.set_prices(prices.clone());
        memory.set_prices(prices);
        let mut numbers = BTreeSet::new();
        let mut owned = BTreeMap::new();
        for commit in &commits {
            let deliveries: Vec<Delivery> = commit.iter().map(|sent| delivery(sent)).collect();
            let deliveries: Vec<&Delivery> = deliveries.iter().collect();
            let taken = ledger.append(&deliveries, NOW_NS).unwrap();
            prop_assert_eq!(&taken, &memory.append(&deliveries, NOW_NS).unwrap());
            let mut naive = Taken::default();
            for (sent, journal) in commit.iter().flat_map(|sent| sent.iter().map(|one| (one, sent[0].journal))) {
                // Without a key nobody takes over what a journal brought first.
                let may_speak = journal || *owned.get(&sent.emitter).unwrap_or(&true);
                if may_speak && numbers.insert((sent.emitter, sent.sequence)) {
                    naive.accepted += 1;
                    owned.entry(sent.emitter).or_insert(!journal);
                }
            }
            prop_assert_eq!(taken.iter().map(|taken| taken.accepted).sum::<u64>(), naive.accepted);
        }
        prop_assert_eq!(seen(&*reader), seen(memory.store()));
        let verified = crate::verify::verify(&*reader, &[], || ());
        prop_assert!(verified.is_ok(), "{:?}", verified);
        let entries = entries(&*reader);
        prop_assert_eq!(entries.len(), numbers.len(), "an event is in the ledger twice, or not");
        let mut before = Hash::default();
        for entry in &entries {
            prop_assert_eq!(entry.hash, entry.hash_after(&before));
            before = entry.hash;
        }
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

fn numbers_far_apart_do_not_load_what_lies_between(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let (mut ledger, mut memory) = (Ledger::new(store), Ledger::new(Memory::new()));
    for numbers in [
        &(1..=100).chain((201..400).step_by(2)).collect::<Vec<u64>>()[..],
        &[5, 90, 102, 300, 399],
        &[101, 200],
        &[1, 302, 400],
    ] {
        let delivery = delivery(&numbers.iter().map(|number| one(1, *number)).collect::<Vec<_>>());
        ledger.append(&[&delivery], NOW_NS).unwrap();
        memory.append(&[&delivery], NOW_NS).unwrap();
        assert_eq!(seen(&*reader), seen(memory.store()), "{numbers:?}");
    }
    let mut loaded = Vec::new();
    let far = ledger::keys(&[&delivery(&[one(1, 2), one(1, 90), one(1, 400)])]);
    let unchanged = |known: crate::store::Known| {
        loaded = known.emitters[&emitter(1)].ranges.as_slice().to_vec();
        Decision::new(known, None, NOW_NS).changes()
    };
    ledger.store_mut().transact(&far, &mut { unchanged }).unwrap();
    assert_eq!(loaded, [Range { first: 1, last: 102 }, Range { first: 399, last: 400 }]);
}

fn a_statement_is_kept(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    let statement = |head, ended| Statement {
        emitter: emitter(1),
        head,
        dropped: 2,
        drops: vec![DroppedRange { first: 5, last: 6, reason: Reason::Full }],
        ended,
    };
    let say = |statement| Delivery { sender: sender(false), statement: Some(statement), arrivals: Vec::new() };
    ledger.append(&[&say(statement(7, false)), &say(statement(9, true)), &say(statement(8, false))], 1).unwrap();
    ledger.append(&[&say(statement(9, false))], 2).unwrap();
    let found = all(|each| reader.emitters(each));
    let [(name, of)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((name, of.head, of.dropped, of.last), (&emitter(1), 9, 2, 0));
    assert!(of.ended.is_some(), "a statement that was only late takes no final flush back");
    assert_eq!((of.first_ns, of.heard_ns), (1, 2));
    let notes = reader.notes(name).unwrap();
    assert_eq!(
        notes.iter().map(|note| (note.range, note.at_ns)).collect::<Vec<_>>(),
        [(Range { first: 5, last: 6 }, 1)]
    );
    ledger.append(&[&say(statement(10, false))], 3).unwrap();
    assert_eq!(all(|each| reader.emitters(each))[0].1.ended, None, "whoever counts on has not ended");
    ledger.append(&[&say(statement(9, true))], 4).unwrap();
    assert_eq!(all(|each| reader.emitters(each))[0].1.ended, None, "a final flush that was only late is not the last");
}

fn texts_that_databases_stumble_over_are_kept(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    let text = "a\0b'\"\\\u{1F600}\u{202e}%_;--";
    let record = Record {
        provider: text.to_owned(),
        response_model: Some(text.to_owned()),
        node: Some(text.to_owned()),
        ..Record::default()
    };
    let good = Arrival::new(wire::event::encode(&record, &emitter(1), 1));
    let bad = Arrival::new(b"\xff\0\"".to_vec());
    let delivery = Delivery { sender: sender(false), statement: None, arrivals: vec![good.clone(), bad.clone(), bad] };
    let taken = ledger.append(&[&delivery], NOW_NS).unwrap();
    let spending = taken[0].spending.clone();
    assert_eq!(taken, [Taken { accepted: 1, dead_letters: 2, spending, ..Taken::default() }]);
    let entries = entries(&*reader);
    assert_eq!(entries[0].event.as_deref().map(str::as_bytes), Some(good.bytes.as_slice()), "as it was sent");
    assert_eq!(entries[0].provider, text.replace('\0', "\u{fffd}"));
    let kept = all(|each| reader.quarantined(Whose::Nobody, each));
    assert_eq!((kept.len(), kept[0].deliveries, kept[0].last.bytes.as_slice()), (1, 2, &b"\xff\0\""[..]));
    let models: Vec<String> =
        all(|each| reader.rollup(&Selection::default(), each)).into_iter().map(|row| row.model).collect();
    assert_eq!(models, [text.replace('\0', "\u{fffd}")]);
}

/// Two meters saw one response, and only one of them its counts: that one is charged, whichever came first.
fn counts_are_charged_whichever_meter_saw_them(fresh: Fresh<'_>) {
    let seen_by = |emitter: u8, tokens: Option<u64>| {
        let mut record = Record { provider: "openai".to_owned(), duration_us: 1, ..Record::default() };
        record.response_id = Some("chatcmpl-1".to_owned());
        record.request_id = Some("request-1".to_owned());
        record.proxy = Some(self::emitter(emitter));
        record.response_model = Some("responded".to_owned());
        record.evidence = if tokens.is_some() { Evidence::Reported } else { Evidence::Estimated };
        record.usage.set(Class::InputText, Some(tokens.unwrap_or(99)));
        Arrival::new(wire::event::encode(&record, &self::emitter(emitter), 1))
    };
    let (call, copy, reversal) = (Kind::Call, Kind::Copy, Kind::Reversal);
    let orders = [
        (vec![seen_by(1, Some(5)), seen_by(2, None)], vec![call, copy]),
        (vec![seen_by(1, None), seen_by(2, Some(5))], vec![call, call, reversal]),
        (
            vec![seen_by(1, None), seen_by(2, Some(5)), seen_by(3, Some(5)), seen_by(4, None)],
            vec![call, call, reversal, copy, copy],
        ),
    ];
    for (arrivals, kinds) in orders {
        for at_once in [true, false] {
            let (store, reader) = fresh();
            let mut ledger = Ledger::new(store);
            ledger.set_prices(Some(std::sync::Arc::new(PriceBook::parse(BOOK).unwrap())));
            let deliveries: Vec<Delivery> = match at_once {
                true => vec![Delivery { sender: sender(false), statement: None, arrivals: arrivals.clone() }],
                false => arrivals
                    .iter()
                    .map(|one| Delivery { sender: sender(false), statement: None, arrivals: vec![one.clone()] })
                    .collect(),
            };
            for delivery in &deliveries {
                ledger.append(&[delivery], NOW_NS).unwrap();
            }
            assert_eq!(entries(&*reader).iter().map(|entry| entry.kind).collect::<Vec<_>>(), kinds, "{at_once}");
            let charged: Vec<String> = all(|each| reader.rollup(&Selection::default(), each))
                .iter()
                .filter(|row| row.sum.quantity != 0)
                .map(|row| format!("{} {} {}", row.counted.name(), row.sum.quantity, row.sum.charge))
                .collect();
            assert_eq!(charged, ["calls 1 0.00", "input_text_tokens 5 0.0000125"], "{at_once}");
            assert!(crate::verify::verify(&*reader, &[], || ()).is_ok());
        }
    }
}

/// Who reads as of one moment sees nothing of what is written meanwhile, whatever is asked.
pub fn a_moment_stays(store: impl Store, reader: &dyn Reader, at_one_moment: impl Fn() -> Box<dyn Reader>) {
    let mut ledger = Ledger::new(store);
    ledger.append(&[&delivery_of(1)], NOW_NS).unwrap();
    let held = at_one_moment();
    let before = seen(&*held);
    let mut append = |sequence| drop(ledger.append(&[&delivery_of(sequence)], NOW_NS).unwrap());
    (2..=9).for_each(&mut append);
    assert_eq!(seen(&*held), before);
    assert_ne!(seen(reader), before);
    let heads = crate::verify::verify(&*held, &[], || append(10)).unwrap();
    assert_eq!(heads.iter().map(|head| head.entry.number).max(), Some(1));
}

/// A number that the ledger has already, behind the rules' back: the database itself refuses it.
fn nothing_is_kept_of_a_transaction_that_fails(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    ledger.append(&[&delivery(&[one(1, 1)])], NOW_NS).unwrap();
    let before = seen(&*reader);
    let two = delivery(&[one(2, 1), one(1, 2)]);
    let failed = ledger.store_mut().transact(&ledger::keys(&[&two]), &mut |known| {
        let mut decision = Decision::new(known, None, NOW_NS);
        decision.take(&two);
        let mut decided = decision.changes();
        let mut again = decided.entries[0].clone();
        again.emitter = emitter(1);
        again.sequence = 1;
        again.id.number += 2;
        decided.entries.push(again);
        decided
    });
    assert!(failed.is_err());
    assert_eq!(seen(&*reader), before, "something of it was kept");
    ledger.append(&[&two], NOW_NS).unwrap();
    assert_eq!(entries(&*reader).len(), 3, "sent again, it is taken");
}

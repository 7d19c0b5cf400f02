//! What is quarantined: what is beyond a credential's limits, and what a person releases.

use std::sync::Arc;

use super::*;
use crate::ledger::limits::Limits;
use crate::store::{QuarantinedEvent, Whose};
use crate::tenant::TenantPattern;

pub fn run(fresh: Fresh<'_>) {
    what_is_beyond_the_limits_is_quarantined_and_can_be_released_once(fresh);
    no_journal_brings_in_what_its_sender_may_not_charge(fresh);
    an_alarm_about_a_taken_number_is_released_under_a_name_of_its_own(fresh);
    a_released_call_that_is_charged_already_is_a_copy(fresh);
    under_a_clock_that_is_behind_nothing_is_taken(fresh);
}

fn record(tenant: &str, tokens: u64) -> Record {
    let mut record = Record { provider: "openai".to_owned(), evidence: Evidence::Reported, ..Record::default() };
    (record.identity.tenant, record.identity.source) = (tenant.to_owned(), Source::Header);
    record.response_model = Some("responded".to_owned());
    record.usage.set(Class::InputText, Some(tokens));
    record
}

fn deliver(sender: Sender, sequence: u64, record: &Record) -> Delivery {
    let arrivals = vec![Arrival::new(wire::event::encode(record, &emitter(1), sequence))];
    Delivery { sender, statement: None, arrivals }
}

fn aside(reader: &dyn Reader) -> Vec<QuarantinedEvent> {
    all(|each| reader.quarantined(Whose::All, each)).into_iter().map(|kept| kept.last).collect()
}

fn tokens(reader: &dyn Reader) -> i64 {
    let rows = all(|each| reader.rollup(&Selection::default(), each));
    rows.iter().filter(|row| row.counted.name() == "input_text_tokens").map(|row| row.sum.quantity).sum()
}

fn priced(store: Box<dyn Store>) -> Ledger<Box<dyn Store>> {
    let mut ledger = Ledger::new(store);
    ledger.set_prices(Some(Arc::new(PriceBook::parse(BOOK).unwrap())));
    ledger
}

/// A journal's bearer may have no limits. What the sender itself may not charge stays apart all the same, until a person
/// releases it; and of what can be no event only the beginning is kept.
fn no_journal_brings_in_what_its_sender_may_not_charge(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = priced(store);
    let limits = Limits { tenants: vec![TenantPattern::parse("acme").unwrap()], ..Limits::default() };
    let bound = Sender { limits: Arc::new(limits), ..sender(false) };
    let beyond = record("globex", 5);
    for who in [bound.clone(), sender(true), sender(true), bound] {
        let taken = ledger.append(&[&deliver(who, 1, &beyond)], NOW_NS).unwrap().remove(0);
        assert_eq!((taken.accepted, taken.alarms), (0, 1));
    }
    let kept = aside(&*reader).remove(0);
    assert_eq!(kept.reason, "data.tenant: its credential may not charge this tenant");
    ledger.release(&kept, "they pay", NOW_NS + 1).unwrap().unwrap();
    let taken = ledger.append(&[&deliver(sender(true), 1, &beyond)], NOW_NS).unwrap().remove(0);
    assert_eq!((taken.duplicates, tokens(&*reader)), (1, 5));
    let long = format!("{{\"id\":\"{}-9\",\"x\":\"{}\"}}", emitter(1), "y".repeat(1 << 20));
    let arrivals = vec![Arrival::new(long.into_bytes())];
    ledger.append(&[&Delivery { sender: sender(true), statement: None, arrivals }], NOW_NS).unwrap();
    let largest = aside(&*reader).iter().map(|kept| kept.bytes.len()).max();
    assert_eq!(largest, Some(crate::ledger::MAX_EVENT));
}

fn what_is_beyond_the_limits_is_quarantined_and_can_be_released_once(fresh: Fresh<'_>) {
    let tenants = vec![TenantPattern::parse("acme/*").unwrap()];
    // 2.50 USD a million.
    let limits = Limits { tenants, tokens: 1000, charge: "0.001".parse().unwrap() };
    for journal in [false, true] {
        let sender = Sender { limits: Arc::new(limits.clone()), ..sender(journal) };
        for (tenant, count, reason) in [
            ("globex", 1, "data.tenant: its credential may not charge this tenant"),
            ("acme/ml", 1001, "data.input_text_tokens: must be at most 1000 in one call, not 1001"),
            ("acme/ml", 401, "data: costs 0.0010025 USD; one call must cost at most 0.001 USD"),
        ] {
            let (store, reader) = fresh();
            let mut ledger = priced(store);
            assert_eq!(
                ledger.append(&[&deliver(sender.clone(), 1, &record("acme/ml", 400))], NOW_NS).unwrap()[0].accepted,
                1
            );
            let beyond = deliver(sender.clone(), 2, &record(tenant, count));
            let taken = ledger.append(&[&beyond], NOW_NS).unwrap();
            let not_charged = vec![(emitter(1), 2)];
            assert_eq!(taken, [Taken { alarms: 1, not_charged, ..Taken::default() }], "{reason}");
            assert_eq!((aside(&*reader)[0].reason.as_str(), tokens(&*reader)), (reason, 400));
            // Its number is not spent: what comes behind it leaves a hole with a cause.
            ledger.append(&[&deliver(sender.clone(), 3, &record("acme/ml", 1))], NOW_NS).unwrap();
            let kept = aside(&*reader).remove(0);
            let released = ledger.release(&kept, "they pay", NOW_NS + 1).unwrap().unwrap();
            assert_eq!((released.number.clone(), released.copy_of), ((emitter(1), 2), None));
            assert_eq!(tokens(&*reader), 401 + count as i64, "{reason}");
            assert!(ledger.release(&kept, "they pay", NOW_NS + 1).unwrap().is_err(), "twice");
            let entry = reader.entry(released.entry).unwrap().unwrap();
            assert_eq!((entry.kind, entry.reason.as_deref()), (Kind::Release, Some("they pay")));
            assert_eq!(
                ledger.append(&[&beyond], NOW_NS).unwrap()[0].duplicates,
                1,
                "it is recognised when it comes again"
            );
            // A release is an entry like another: it can be corrected.
            let entry =
                all(|each| reader.standing(&Selection { call: Some(released.number), ..Selection::default() }, each));
            let void = Correction { entry: entry[0].clone(), instead: None, reason: "they do not".to_owned() };
            assert_eq!(ledger.correct(&[void], NOW_NS).unwrap(), 1);
            assert_eq!(tokens(&*reader), 401);
            crate::verify::verify(&*reader, &[], || ()).unwrap();
            let kept = all(|each| reader.quarantined(Whose::All, each));
            assert_eq!(kept[0].released, Some(released.entry));
        }
    }
}

/// A thief spent the number: what it was of is charged all the same, and what the thief sent can be taken back.
fn an_alarm_about_a_taken_number_is_released_under_a_name_of_its_own(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = priced(store);
    ledger.append(&[&deliver(sender(false), 1, &record("thief", 0))], NOW_NS).unwrap();
    for count in [7, 8] {
        let taken = ledger.append(&[&deliver(sender(false), 1, &record("acme", count))], NOW_NS).unwrap();
        assert_eq!((taken[0].alarms, taken[0].not_charged.as_slice()), (1, &[(emitter(1), 1)][..]));
    }
    let kept = aside(&*reader);
    assert_eq!(kept.len(), 2, "two under one number");
    let released: Vec<_> = kept.iter().map(|kept| ledger.release(kept, "seen", NOW_NS).unwrap().unwrap()).collect();
    assert_eq!(tokens(&*reader), 15);
    assert_ne!(released[0].number, released[1].number);
    assert!(released.iter().all(|one| one.number.0.starts_with("release:") && one.number.1 == 1), "{released:?}");
    for kept in &kept {
        assert!(ledger.release(kept, "seen", NOW_NS).unwrap().is_err(), "twice");
    }
    assert_eq!(tokens(&*reader), 15);
    crate::verify::verify(&*reader, &[], || ()).unwrap();
    let question = crate::gaps::Question { now_ns: NOW_NS + 86_400_000_000_000, silent_after_ns: 1 };
    let gaps = crate::gaps::find(&*reader, question).unwrap();
    assert!(gaps.iter().all(|gaps| gaps.alarms.is_empty()), "what was released is no alarm any more");
    assert!(
        gaps.iter().filter(|gaps| gaps.emitter.starts_with("release:")).all(crate::gaps::Gaps::is_clean),
        "{gaps:?}"
    );
}

fn a_released_call_that_is_charged_already_is_a_copy(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = priced(store);
    let seen = |proxy: u8| Record {
        response_id: Some("chatcmpl-1".to_owned()),
        request_id: Some("request-1".to_owned()),
        proxy: Some(emitter(proxy)),
        ..record("acme", 9)
    };
    let bound = Limits { tokens: 1, ..Limits::default() };
    let bound = Sender { limits: Arc::new(bound), ..sender(false) };
    ledger.append(&[&deliver(bound, 1, &seen(1))], NOW_NS).unwrap();
    let arrivals = vec![Arrival::new(wire::event::encode(&seen(2), &emitter(2), 1))];
    ledger.append(&[&Delivery { sender: sender(false), statement: None, arrivals }], NOW_NS).unwrap();
    let released = ledger.release(&aside(&*reader)[0], "seen", NOW_NS).unwrap().unwrap();
    assert!(released.copy_of.is_some() && released.charge.to_string() == "0.00", "{released:?}");
    assert_eq!(tokens(&*reader), 9);
    crate::verify::verify(&*reader, &[], || ()).unwrap();
}

/// The event is fine, the collector's own clock is not: its sender must come again. Only under a clock that may be right an
/// event of the future is quarantined, and it can be released.
fn under_a_clock_that_is_behind_nothing_is_taken(fresh: Fresh<'_>) {
    const RIGHT_NS: i64 = 1_790_000_000_000_000_000;
    const HOUR_NS: i64 = 3_600_000_000_000;
    let (store, reader) = fresh();
    let mut ledger = priced(store);
    let at =
        |ns: i64, sequence| deliver(sender(false), sequence, &Record { started_ns: ns as u64, ..record("acme", 1) });
    let is_refused = |result: Result<Vec<Taken>, StoreError>| matches!(result, Err(StoreError::Clock(_)));
    assert!(is_refused(ledger.append(&[&at(RIGHT_NS, 1)], NOW_NS)), "it is 1970");
    assert_eq!(ledger.append(&[&at(RIGHT_NS, 1)], RIGHT_NS).unwrap()[0].accepted, 1);
    let before = seen(&*reader);
    assert!(is_refused(ledger.append(&[&at(RIGHT_NS, 2)], RIGHT_NS - 2 * HOUR_NS)), "it was set back");
    assert_eq!(seen(&*reader), before);
    let late = ledger.append(&[&at(RIGHT_NS - 3 * HOUR_NS, 3)], RIGHT_NS - 2 * HOUR_NS).unwrap();
    assert_eq!(late[0].accepted, 1, "what is not of the future is taken by any clock");
    assert!(
        is_refused(ledger.append(&[&at(RIGHT_NS, 2)], RIGHT_NS - 2 * HOUR_NS)),
        "and that is no proof of the clock"
    );
    let ahead = at(RIGHT_NS + 2 * HOUR_NS, 2);
    assert_eq!(ledger.append(&[&ahead], RIGHT_NS).unwrap()[0].dead_letters, 1, "the meter's clock is ahead");
    let kept = aside(&*reader).remove(0);
    let released = ledger.release(&kept, "its clock was ahead", RIGHT_NS).unwrap().unwrap();
    assert_eq!(released.number, (emitter(1), 2));
    assert_eq!(ledger.append(&[&ahead], RIGHT_NS + 3 * HOUR_NS).unwrap()[0].duplicates, 1);
    crate::verify::verify(&*reader, &[], || ()).unwrap();
}

//! A call that nobody is charged for any more is charged again: once.

use super::copies::{seen, seen_behind, send};
use super::*;
use crate::ledger::again::{Again, Now, now};

pub fn run(fresh: Fresh<'_>) {
    a_voided_call_is_charged_again_once(fresh);
    a_copy_is_charged_when_its_holder_was_voided_once_in_all(fresh);
    what_another_meter_took_the_place_of_is_not_void(fresh);
    counts_replace_an_estimate_that_was_charged_again(fresh);
}

fn standing(reader: &dyn Reader) -> Vec<Entry> {
    all(|each| reader.standing(&Selection::default(), each))
}

fn record(reader: &dyn Reader, meter: u8) -> Entry {
    reader.record(&(emitter(meter), 1)).unwrap().unwrap()
}

/// The charge that a person wants of a meter's record; none if somebody is charged.
fn again(reader: &dyn Reader, meter: u8) -> Option<Again> {
    let record = record(reader, meter);
    let Now::Void(void) = now(reader, record.clone()).unwrap() else { return None };
    let rating = Correction::rated(&PriceBook::parse(BOOK).unwrap(), &record, "globex").unwrap();
    let instead = Instead { tenant: "globex".to_owned(), rating };
    Some(Again { record, reversal: void.reversal, instead, reason: "it is a call after all".to_owned() })
}

fn void(ledger: &mut Ledger<Box<dyn Store>>, entry: Entry) {
    let void = Correction { entry, instead: None, reason: "a test call".to_owned() };
    assert_eq!(ledger.correct(&[void], NOW_NS).unwrap(), 1);
}

fn a_voided_call_is_charged_again_once(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    ledger.append(&[&delivery(&[one(1, 1)])], NOW_NS).unwrap();
    for _ in 0..3 {
        assert!(again(&*reader, 1).is_none(), "it stands");
        void(&mut ledger, standing(&*reader).remove(0));
        assert!(standing(&*reader).is_empty());
        let charge = again(&*reader, 1).unwrap();
        let entry = ledger.charge_again(&charge, NOW_NS).unwrap().unwrap();
        let before = "it was charged again before".to_owned();
        assert_eq!(ledger.charge_again(&charge, NOW_NS).unwrap(), Err(before));
        let now = standing(&*reader);
        assert_eq!(now.iter().map(|entry| (entry.id, entry.tenant.as_str())).collect::<Vec<_>>(), [(entry, "globex")]);
        assert!(now[0].event.is_some() && now[0].charge.to_string() == "0.0000125", "{now:?}");
        crate::verify::verify(&*reader, &[], || ()).unwrap();
    }
}

/// Whichever of the records is named, and whoever is voided in between.
fn a_copy_is_charged_when_its_holder_was_voided_once_in_all(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    send(&mut ledger, 1, 1, &seen());
    send(&mut ledger, 2, 1, &seen_behind());
    send(&mut ledger, 3, 1, &Record { proxy: Some(emitter(3)), ..seen_behind() });
    assert_eq!(kinds(&*reader), (1, 2));
    assert!(again(&*reader, 2).is_none(), "its holder stands");
    void(&mut ledger, standing(&*reader).remove(0));
    let all = [1, 2, 3].map(|meter| again(&*reader, meter).unwrap());
    assert!(ledger.charge_again(&all[1], NOW_NS).unwrap().is_ok());
    for charge in &all {
        assert!(ledger.charge_again(charge, NOW_NS).unwrap().is_err());
    }
    let now = standing(&*reader);
    assert_eq!(now.iter().map(|entry| entry.emitter.clone()).collect::<Vec<_>>(), [emitter(2)]);
    void(&mut ledger, now[0].clone());
    let charge = again(&*reader, 3).unwrap();
    assert!(ledger.charge_again(&charge, NOW_NS).unwrap().is_ok());
    assert!([1, 2, 3].iter().all(|meter| again(&*reader, *meter).is_none()));
    crate::verify::verify(&*reader, &[], || ()).unwrap();
}

fn what_another_meter_took_the_place_of_is_not_void(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    send(&mut ledger, 1, 1, &Record { evidence: Evidence::Estimated, ..seen() });
    send(&mut ledger, 2, 1, &seen_behind());
    let Now::Stands(stands) = now(&*reader, record(&*reader, 1)).unwrap() else { panic!("it is void") };
    assert_eq!(stands.emitter, emitter(2));
    void(&mut ledger, stands);
    assert!(again(&*reader, 1).is_some(), "and with the other one it is");
}

/// What stands of a call that was charged again is what a better record takes the place of.
fn counts_replace_an_estimate_that_was_charged_again(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let (mut ledger, mut memory) = (Ledger::new(store), Ledger::new(Box::new(Memory::new()) as Box<dyn Store>));
    let estimated = Record { evidence: Evidence::Estimated, ..seen() };
    let smaller = Record { evidence: Evidence::Estimated, proxy: Some(emitter(3)), ..seen_behind() };
    send(&mut ledger, 1, 1, &estimated);
    send(&mut ledger, 3, 1, &smaller);
    void(&mut ledger, standing(&*reader).remove(0));
    let charge = again(&*reader, 3).unwrap();
    assert!(ledger.charge_again(&charge, NOW_NS).unwrap().is_ok());
    send(&mut ledger, 2, 1, &seen_behind());
    let now = standing(&*reader);
    assert_eq!(now.iter().map(|entry| entry.emitter.clone()).collect::<Vec<_>>(), [emitter(2)]);
    crate::verify::verify(&*reader, &[], || ()).unwrap();
    // The store in memory finds the same.
    send(&mut memory, 1, 1, &estimated);
    send(&mut memory, 3, 1, &smaller);
    let first = entries(&*reader).remove(0);
    void(&mut memory, first);
    assert!(memory.charge_again(&charge, NOW_NS).unwrap().is_ok());
    let keys = ledger::keys(&[&Delivery {
        sender: sender(false),
        statement: None,
        arrivals: vec![Arrival::new(wire::event::encode(&seen_behind(), &emitter(2), 1))],
    }]);
    let mut held = Vec::new();
    let look = &mut |known: crate::store::Known| {
        held = known.held.values().map(|entry| entry.emitter.clone()).collect();
        Decision::new(known, None, NOW_NS).changes()
    };
    memory.store_mut().transact(&keys, look).unwrap();
    assert_eq!(held, [emitter(3)]);
}

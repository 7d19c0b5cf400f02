//! Who may spend an emitter's numbers.

use super::*;

pub fn run(fresh: Fresh<'_>) {
    what_two_senders_send_is_kept_of_each(fresh);
    numbers_are_of_whoever_has_the_key(fresh);
    what_is_said_without_a_key_is_forgotten_when_it_is_shown(fresh);
}

/// One may speak for the emitter, the other may not: what cannot be read has a number only from the first.
fn what_two_senders_send_is_kept_of_each(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let (mut ledger, mut memory) = (Ledger::new(store), Ledger::new(Memory::new()));
    let unreadable = Arrival::new(format!("{{\"id\":\"{}-2\"}}", emitter(1)).into());
    let foreign = Sender::new("another", false);
    for sender in [foreign.clone(), sender(false), foreign, sender(true)] {
        let again = Delivery { sender, statement: None, arrivals: vec![unreadable.clone()] };
        for delivery in [&delivery(&[one(1, 1)]), &again] {
            ledger.append(&[delivery], NOW_NS).unwrap();
            memory.append(&[delivery], NOW_NS).unwrap();
        }
    }
    assert_eq!(seen(&*reader), seen(memory.store()));
    let deliveries = |whose: Whose<'_>| {
        all(|each| reader.quarantined(whose, each)).iter().map(|kept| kept.deliveries).collect::<Vec<_>>()
    };
    assert_eq!((deliveries(Whose::Emitter(&emitter(1))), deliveries(Whose::Nobody)), (vec![2], vec![2]));
}

/// A token alone, stolen or not, spends no number of an emitter that has a key, and says nothing of it.
fn numbers_are_of_whoever_has_the_key(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    let name = emitter(1);
    let says = |head, ended| {
        let drops = vec![DroppedRange { first: 1, last: head, reason: Reason::Full }];
        Some(Statement { emitter: name.clone(), head, dropped: head, drops, ended })
    };
    let with_key = |credential: &str| Sender { emitter: Some(name.clone()), ..Sender::new(credential, false) };
    let mut send = |sender: Sender, number, statement| {
        let delivery = Delivery { sender, statement, arrivals: vec![one(1, number).arrival()] };
        let taken = ledger.append(&[&delivery], NOW_NS).unwrap().remove(0);
        (taken.accepted, taken.alarms)
    };
    assert_eq!(send(with_key("old"), 1, None), (1, 0));
    assert_eq!(send(sender(false), 2, says(9, true)), (0, 2), "the number and the statement");
    assert_eq!(send(Sender { credential: "old".to_owned(), ..sender(false) }, 2, None), (0, 1));
    assert_eq!(send(Sender { emitter: Some(emitter(2)), ..with_key("old") }, 2, None), (0, 1), "another's key");
    assert_eq!(send(with_key("new name"), 2, None), (1, 0));
    assert_eq!(send(sender(true), 3, None), (1, 0), "a journal's bearer");
    let (_, emitter) = all(|each| reader.emitters(each)).swap_remove(0);
    assert_eq!((emitter.last, emitter.head, emitter.dropped, emitter.ended), (3, 0, 0, None));
    // A journal that is read first opens the door to nobody.
    let (store, _) = fresh();
    let mut ledger = Ledger::new(store);
    for (sender, accepted) in [(sender(true), 1), (sender(false), 0), (with_key("old"), 1)] {
        let number = if sender.journal { 1 } else { 2 };
        let delivery = Delivery { sender, statement: None, arrivals: vec![one(1, number).arrival()] };
        assert_eq!(ledger.append(&[&delivery], NOW_NS).unwrap()[0].accepted, accepted);
    }
}

/// Who has a token alone, stolen or not, may speak for an emitter that nobody has heard of, until that shows its key: an end
/// that was invented does not hide that it falls silent.
fn what_is_said_without_a_key_is_forgotten_when_it_is_shown(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    let name = emitter(1);
    let said = Some(Statement { emitter: name.clone(), head: 3, dropped: 3, drops: Vec::new(), ended: true });
    let with_key = Sender { emitter: Some(name.clone()), ..Sender::new("its own", false) };
    let mut send = |sender: &Sender, statement: &Option<Statement>, numbers: &[u64]| {
        let arrivals = numbers.iter().map(|number| one(1, *number).arrival()).collect();
        ledger.append(&[&Delivery { sender: sender.clone(), statement: statement.clone(), arrivals }], NOW_NS).unwrap();
        let (_, emitter) = all(|each| reader.emitters(each)).swap_remove(0);
        (emitter.last, emitter.head, emitter.dropped, emitter.ended)
    };
    assert_eq!(send(&Sender::new("stolen", false), &said, &[]), (0, 3, 3, Some(Ended::Emitter)));
    assert_eq!(send(&with_key, &None, &[1, 2, 3]), (3, 0, 0, None), "though it has not counted beyond");
    // Of its own word nothing is forgotten.
    assert_eq!(send(&with_key, &said, &[]), (3, 3, 3, Some(Ended::Emitter)));
    assert_eq!(send(&with_key, &None, &[3]), (3, 3, 3, Some(Ended::Emitter)));
    // Nor is what a journal says of one that has not been heard of.
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    for (sender, statement) in [(sender(true), said), (with_key, None)] {
        ledger.append(&[&Delivery { sender, statement, arrivals: Vec::new() }], NOW_NS).unwrap();
    }
    let (_, emitter) = all(|each| reader.emitters(each)).swap_remove(0);
    assert_eq!((emitter.head, emitter.ended), (3, Some(Ended::Journal)));
}

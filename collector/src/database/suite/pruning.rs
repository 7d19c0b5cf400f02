//! What is kept for a time only: what goes at which age, what stays, and what of it is still known.

use super::copies::{seen, seen_behind};
use super::*;
use crate::ledger::limits::Limits;
use crate::prune::{Pruned, Request, from, run_by};
use crate::store::Quarantined;

/// The tenth of February: January can be closed.
const LATER_NS: i64 = 40 * DAY_NS as i64;
const SETTLED_NS: i64 = LATER_NS + 1000;
const AGAIN_NS: i64 = LATER_NS + 2000;

pub fn run(fresh: Fresh<'_>) {
    settled_events_go_at_their_age_and_stay_known(fresh);
    old_days_of_closed_months_go_and_a_later_copy_is_charged(fresh);
    a_pair_that_waits_stays_with_what_counts_its_slots(fresh);
}

/// A ledger in a database, and the same in memory.
struct Both {
    ledger: Ledger<Box<dyn Store>>,
    reader: Box<dyn Reader>,
    memory: Ledger<Memory>,
}

impl Both {
    fn new(fresh: Fresh<'_>) -> Both {
        let (store, reader) = fresh();
        let prices = Some(std::sync::Arc::new(PriceBook::parse(BOOK).unwrap()));
        let (mut ledger, mut memory) = (Ledger::new(store), Ledger::new(Memory::new()));
        ledger.set_prices(prices.clone());
        memory.set_prices(prices);
        Both { ledger, reader, memory }
    }

    fn take(&mut self, delivery: &Delivery, now_ns: i64) -> Taken {
        let taken = self.ledger.append(&[delivery], now_ns).unwrap();
        assert_eq!(taken, self.memory.append(&[delivery], now_ns).unwrap());
        taken.into_iter().next().unwrap()
    }

    fn send(&mut self, meter: u8, sequence: u64, record: &Record) {
        let arrivals = vec![Arrival::new(wire::event::encode(record, &emitter(meter), sequence))];
        let taken = self.take(&Delivery { sender: sender(false), statement: None, arrivals }, LATER_NS);
        assert_eq!(taken.accepted, 1, "{taken:?}");
    }

    fn close_january(&mut self) {
        let month = "1970-01".parse().unwrap();
        self.ledger.close_month(month, "a test", LATER_NS).unwrap().unwrap();
        self.memory.close_month(month, "a test", LATER_NS).unwrap().unwrap();
    }

    fn void(&mut self, call: (String, i64)) {
        let which = Selection { call: Some(call), ..Selection::default() };
        let entry = all(|each| self.reader.standing(&which, each)).remove(0);
        let void = [Correction { entry, instead: None, reason: "a test".to_owned() }];
        assert_eq!(self.ledger.correct(&void, LATER_NS).unwrap(), 1);
        assert_eq!(self.memory.correct(&void, LATER_NS).unwrap(), 1);
    }

    /// Says first what would go; then fails at every transaction, and is run again.
    fn prune(&mut self, request: Request) -> Pruned {
        let would = run_by(&*self.reader, request, 1, &mut |_| Ok(()), &mut |_, _| ()).unwrap();
        let mut pieces = Vec::new();
        let snapshot = self.memory.store().clone();
        let mut keep = |piece| {
            pieces.push(piece);
            Ok(())
        };
        let found = run_by(&snapshot, request, 2, &mut keep, &mut |_, _| ()).unwrap();
        assert_eq!(would, found);
        pieces.iter().for_each(|piece| self.memory.prune(piece, AGAIN_NS).unwrap());
        let mut killed = 0;
        loop {
            let mut left = 1;
            let mut take = from(&mut self.ledger, AGAIN_NS);
            let mut some = |piece| {
                left -= 1;
                if left < 0 { Err(StoreError::Unusable("it was killed".to_owned())) } else { take(piece) }
            };
            match run_by(&*self.reader, request, 2, &mut some, &mut |_, _| ()) {
                Err(_) => killed += 1,
                Ok(_) => break,
            }
        }
        assert!(killed > 0 || pieces.len() < 2, "it was never killed");
        self.check();
        let again = run_by(&*self.reader, request, 2, &mut |_| Ok(()), &mut |_, _| ()).unwrap();
        assert_eq!(again, Pruned::default(), "nothing is left to go");
        would
    }

    fn check(&self) {
        assert_eq!(super::seen(&*self.reader), super::seen(self.memory.store()));
        crate::verify::verify(&*self.reader, &[], || ()).unwrap();
    }

    fn kept(&self) -> Vec<Quarantined> {
        all(|each| self.reader.quarantined(Whose::All, each))
    }

    /// What is told of what is missing, of what is charged, and of what waits.
    fn told(&self) -> (String, i64, String) {
        let question = crate::gaps::Question { now_ns: AGAIN_NS, silent_after_ns: i64::MAX };
        let mut gaps = crate::gaps::find(&*self.reader, question).unwrap();
        // But not how often, and when last.
        for kept in gaps.iter_mut().flat_map(|gaps| &mut gaps.alarms) {
            (kept.deliveries, kept.last.received_ns) = (1, kept.first_received_ns);
        }
        let sums = all(|each| self.reader.rollup(&Selection::default(), each));
        let calls = sums.iter().filter(|row| row.counted.name() == "calls").map(|row| row.sum.quantity).sum();
        (format!("{gaps:?}"), calls, format!("{:?}", self.reader.tally().unwrap()))
    }
}

/// Deliveries, each of which is quarantined, whatever was done to one before.
fn strange() -> Vec<Delivery> {
    let of = |sender, sequence, tokens| {
        let record = Record { response_id: None, ..seen() };
        let mut record = Record { started_ns: 0, ..record };
        record.usage.set(Class::InputText, Some(tokens));
        let arrivals = vec![Arrival::new(wire::event::encode(&record, &emitter(1), sequence))];
        Delivery { sender, statement: None, arrivals }
    };
    let bound = Sender { limits: Limits { tokens: 200, ..Limits::default() }.into(), ..sender(false) };
    let unread = vec![Arrival::new(b"\xffann".to_vec())];
    vec![
        // Another content under a number that is taken; too much; somebody else's; what nobody can read.
        of(sender(false), 1, 7),
        of(bound, 2, 201),
        of(Sender::new("stranger", false), 3, 8),
        Delivery { sender: sender(false), statement: None, arrivals: unread },
        // And one that waits.
        of(sender(false), 1, 9),
    ]
}

fn settled_events_go_at_their_age_and_stay_known(fresh: Fresh<'_>) {
    for is_void in [false, true] {
        let mut both = Both::new(fresh);
        both.take(&delivery(&[one(1, 1)]), LATER_NS);
        let strange = strange();
        for delivery in &strange {
            let taken = both.take(delivery, LATER_NS);
            assert_eq!(taken.alarms + taken.dead_letters, 1);
        }
        let waits = strange.last().unwrap().arrivals[0].bytes.clone();
        let events: Vec<_> =
            both.kept().into_iter().map(|kept| kept.last).filter(|event| event.bytes != waits).collect();
        for event in &events {
            let is_unread = !event.bytes.starts_with(b"{");
            let outcomes = if is_void || is_unread {
                let dismissed = both.ledger.dismiss(event, "a test", SETTLED_NS).unwrap();
                (dismissed, both.memory.dismiss(event, "a test", SETTLED_NS).unwrap())
            } else {
                let released = both.ledger.release(event, "a test", SETTLED_NS).unwrap();
                (released, both.memory.release(event, "a test", SETTLED_NS).unwrap())
            };
            assert!(outcomes.0.is_ok());
            assert_eq!(outcomes.0, outcomes.1);
        }
        both.check();
        let told = both.told();
        let ask = |before_ns| Request { quarantined: Some(before_ns), copies: Some(i64::MAX) };
        assert_eq!(both.prune(ask(SETTLED_NS)), Pruned::default(), "they were settled then, not before");
        assert_eq!(both.kept().len(), 5);
        // One comes again: its last delivery counts.
        both.take(&strange[3], AGAIN_NS);
        assert_eq!(both.prune(ask(SETTLED_NS + 1)).quarantined, 3);
        assert_eq!(both.kept().len(), 2);
        assert_eq!(both.prune(ask(AGAIN_NS + 1)).quarantined, 1);
        let [kept] = both.kept().try_into().unwrap();
        assert_eq!((kept.last.bytes.as_slice(), kept.released), (waits.as_slice(), None));
        assert_eq!(both.told(), told, "what is told of the ledger");
        // All of them come again, from their senders and from a journal: none is charged, and none is an alarm for anybody.
        for from_journal in [false, true] {
            for delivery in &strange {
                let sender = if from_journal { sender(true) } else { delivery.sender.clone() };
                let taken = both.take(&Delivery { sender, ..delivery.clone() }, AGAIN_NS);
                let is_free = from_journal && is_void && delivery.sender.credential == "stranger";
                assert_eq!(taken.accepted, u64::from(is_free), "a stranger's leaves the number to whoever has it");
            }
            if !from_journal {
                assert_eq!(both.told(), told);
            }
        }
        both.check();
        let waiting: Vec<_> = both.kept().into_iter().filter(|kept| kept.released.is_none()).collect();
        assert_eq!(waiting.iter().map(|kept| kept.last.bytes.as_slice()).collect::<Vec<_>>(), [waits.as_slice()]);
        for event in &events {
            assert!(both.ledger.release(event, "a test", AGAIN_NS).unwrap().is_err(), "twice");
            assert!(both.ledger.dismiss(event, "a test", AGAIN_NS).unwrap().is_err(), "twice");
        }
    }
}

/// A call of a day, and what the meter of the next proxy saw of it.
fn on_day(day: u64) -> [Record; 2] {
    let of = |record: Record| Record {
        started_ns: day * DAY_NS + DAY_NS / 2,
        response_id: Some(format!("chatcmpl-{day}")),
        ..record
    };
    [of(seen()), of(seen_behind())]
}

fn old_days_of_closed_months_go_and_a_later_copy_is_charged(fresh: Fresh<'_>) {
    let begins = |day: u64| (day * DAY_NS) as i64;
    let mut both = Both::new(fresh);
    let days = [3, 27, 28, 29, 30, 31];
    for (sequence, day) in (1..).zip(days) {
        both.send(1, sequence, &on_day(day)[0]);
    }
    let ask = |before_ns| Request { quarantined: None, copies: Some(before_ns) };
    assert_eq!(both.prune(ask(begins(39))), Pruned::default(), "no month is closed");
    both.close_january();
    let went = |responses| Pruned { responses, ..Pruned::default() };
    assert_eq!(both.prune(ask(begins(29) - 1)), went(2), "the day before is not over by then");
    assert_eq!(both.prune(ask(begins(29))), went(1));
    // The last day of the month stays.
    assert_eq!(both.prune(ask(begins(30))), went(1));
    for (sequence, day) in (1..).zip(days) {
        let before = kinds(&*both.reader);
        both.send(2, sequence, &on_day(day)[1]);
        let is_known = day >= 30;
        let now = kinds(&*both.reader);
        assert_eq!((now.0 - before.0, now.1 - before.1), if is_known { (0, 1) } else { (1, 0) }, "{day}");
    }
    both.check();
    // What was charged since is known again, and the day that is left of January is the last one to go.
    assert_eq!(both.prune(ask(begins(39))), went(5));
    let found = |day: u64| both.reader.holders(day as i64, crate::ledger::responses::keys(&on_day(day)[0])[0].response);
    assert_eq!((found(30).unwrap().len(), found(31).unwrap().len()), (0, 1), "February is not closed");
}

/// Nothing proves that these are of one call.
fn a_pair_that_waits_stays_with_what_counts_its_slots(fresh: Fresh<'_>) {
    let mut both = Both::new(fresh);
    let without = |record: &Record| Record { request_id: None, trace_id: None, ..record.clone() };
    for (sequence, day) in (1..).zip([5, 6, 7]) {
        let [one, other] = on_day(day);
        both.send(1, sequence, &one);
        both.send(2, sequence, &without(&other));
    }
    both.void((emitter(2), 1));
    both.void((emitter(1), 3));
    both.close_january();
    let pairs = |both: &Both| -> Vec<(String, bool)> {
        let pairs = all(|row| crate::copies::each(&*both.reader, row));
        pairs.iter().map(|pair| (pair.response_id.clone(), pair.is_open())).collect()
    };
    let of = |day: u64, is_open: bool| (format!("chatcmpl-{day}"), is_open);
    assert_eq!(pairs(&both), [of(5, false), of(6, true), of(7, false)]);
    let went = both.prune(Request { quarantined: None, copies: Some(LATER_NS) });
    assert_eq!(went, Pruned { quarantined: 0, responses: 2, pairs: 2 });
    assert_eq!(pairs(&both), [of(6, true)], "it waits for a person");
    // One more of the same: beside it, not in its place.
    both.send(3, 1, &Record { proxy: Some(emitter(3)), ..without(&on_day(6)[1]) });
    assert_eq!(pairs(&both), [of(6, true), of(6, true)]);
    both.check();
    both.void((emitter(2), 2));
    both.void((emitter(3), 1));
    let went = both.prune(Request { quarantined: None, copies: Some(LATER_NS) });
    assert_eq!((went.pairs, pairs(&both).is_empty()), (2, true));
}

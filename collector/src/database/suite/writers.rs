//! Several who write to one database.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::store::Dimension;

/// What a meter saw of calls that others see too. They begin right before midnight for one half of the meters, and at
/// midnight for the other.
pub fn seen_by(meter: u8, calls: std::ops::RangeInclusive<u64>) -> Delivery {
    let arrival = |call: u64| {
        let mut record = Record { provider: "openai".to_owned(), duration_us: 5_000_000, ..Record::default() };
        record.started_ns = DAY_NS * (1 + call % 2) - 1 + u64::from(meter % 2);
        record.response_id = Some(format!("chatcmpl-{call}"));
        record.request_id = Some(format!("request-{call}"));
        record.proxy = Some(emitter(meter));
        record.usage.set(Class::InputText, Some(3));
        Arrival::new(wire::event::encode(&record, &emitter(meter), call))
    };
    Delivery { sender: sender(false), statement: None, arrivals: calls.map(arrival).collect() }
}

/// Several who write to one database at once, each what a meter of its own saw of the same calls, step by step together;
/// then all of them everything again, each in another order.
pub fn many_writers(open: &(dyn Fn() -> Box<dyn Store> + Sync), reader: &dyn Reader) {
    const WRITERS: u8 = 4;
    const STEPS: u64 = 30;
    const CALLS: u64 = 4 * STEPS;
    let step = Barrier::new(usize::from(WRITERS));
    // What cannot be opened fails here, where nobody waits for it.
    drop(open());
    let write = |number: u8| {
        let mut ledger = Ledger::new(open());
        // A sender comes again when it is told to. What is not taken is missed below: nobody may panic while the others wait
        // for his step.
        let mut send = |delivery: Delivery| {
            let tries = (0..20).map(|_| ledger.append(&[&delivery], NOW_NS));
            let taken = tries.filter_map(Result::ok).next().unwrap_or_default();
            let whole = taken.first().filter(|taken| (taken.dead_letters, taken.alarms) == (0, 0));
            whole.map_or(0, |taken| taken.accepted)
        };
        let batch = |step: u64| 4 * step + 1..=4 * step + 4;
        let mut accepted = 0;
        for at in 0..STEPS {
            step.wait();
            accepted += send(seen_by(number, batch(at)));
        }
        for at in 0..STEPS {
            accepted += send(seen_by((number + 1) % WRITERS, batch((at + 7 * u64::from(number)) % STEPS)));
        }
        accepted
    };
    let accepted: u64 = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|number| scope.spawn(move || write(number))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    let events = u64::from(WRITERS) * CALLS;
    assert_eq!(accepted, events, "every event is new once");
    assert_eq!(kinds(reader), (CALLS, events - CALLS), "every call is charged once");
    crate::verify::verify(reader, &[], || {}).unwrap();
    let sums = all(|each| reader.rollup(&Selection::default(), each));
    let sum = |name: &str| {
        sums.iter().filter(|row| row.counted.name() == name).map(|row| row.sum.quantity).sum::<i64>().unsigned_abs()
    };
    assert_eq!((sum("calls"), sum("input_text_tokens")), (CALLS, 3 * CALLS));
    for (name, emitter) in all(|each| reader.emitters(each)) {
        let whole = Range { first: 1, last: i64::try_from(CALLS).unwrap() };
        assert_eq!(emitter.ranges.as_slice(), [whole], "{name}");
    }
}

/// While two collectors write, every level of the sums says the same of one moment, whichever it is.
pub fn sums_agree_while_others_write(
    open: &(dyn Fn() -> Box<dyn Store> + Sync),
    reader: &dyn Reader,
    at_one_moment: &dyn Fn() -> Box<dyn Reader>,
) {
    const CALLS: u64 = 60;
    drop(open());
    let left = AtomicU64::new(2);
    let write = |number: u8| {
        let mut ledger = Ledger::new(open());
        let told = (1..=CALLS).map(|call| {
            let delivery = seen_by(number, call..=call);
            let mut tries = (0..20).filter_map(|_| ledger.append(&[&delivery], NOW_NS).ok());
            tries.next().map_or(0, |taken| taken[0].accepted)
        });
        let accepted: u64 = told.sum();
        left.fetch_sub(1, Ordering::Relaxed);
        accepted
    };
    let moments = std::thread::scope(|scope| {
        let writers = [0, 1].map(|number| {
            scope.spawn({
                let write = &write;
                move || write(number)
            })
        });
        let mut moments = BTreeSet::new();
        while left.load(Ordering::Relaxed) > 0 {
            let held = at_one_moment();
            for by in
                [&[Dimension::Month, Dimension::Tenant][..], &[Dimension::Day], &[Dimension::Day, Dimension::Tenant]]
            {
                let [told, added] = totals::told_and_added_up(&*held, &Selection::default(), by);
                assert_eq!(told, added, "{by:?}");
                moments.insert(told.values().map(|sum| sum[0]).sum::<i128>());
            }
        }
        assert_eq!(writers.map(|writer| writer.join().unwrap()), [CALLS; 2]);
        moments
    });
    assert!(moments.len() > 1, "nothing was read while they wrote");
    crate::verify::verify(reader, &[], || {}).unwrap();
}

/// How many calls are charged, and how many records are copies of them.
pub fn kinds(reader: &dyn Reader) -> (u64, u64) {
    let entries = entries(reader);
    let count = |kind: Kind| entries.iter().filter(|entry| entry.kind == kind).count() as u64;
    (count(Kind::Call), count(Kind::Copy))
}

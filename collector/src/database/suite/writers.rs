//! Several who write to one database.

use super::*;

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

/// How many calls are charged, and how many records are copies of them.
pub fn kinds(reader: &dyn Reader) -> (u64, u64) {
    let entries = entries(reader);
    let count = |kind: Kind| entries.iter().filter(|entry| entry.kind == kind).count() as u64;
    (count(Kind::Call), count(Kind::Copy))
}

use super::*;
use meter::failures::CollectorFailure;
use wire::statement::DroppedRange;

/// The name that the key of the tests proves.
const EMITTER: &str = "a23bee2b24db041e1c3d9748ab7ffa99";
const LIMITS: Limits = Limits {
    batch: config::Batch { max_events: 4, max_bytes: 1000, max_age_ms: 100 },
    max_bytes: 10_000,
    heartbeat_ms: 5000,
};

fn key() -> EmitterKey {
    EmitterKey::new(0, 0xabc)
}

fn outbox(events: usize) -> Outbox {
    let mut outbox = Outbox::new(key(), LIMITS);
    more(&mut outbox, events);
    outbox
}

pub(super) fn more(outbox: &mut Outbox, events: usize) {
    for _ in 0..events {
        let sequence = outbox.next_sequence();
        assert!(outbox.push(0, sequence, format!("{{\"n\":{sequence}}}").into_bytes()));
    }
}

/// Responses of an ingest that knows nothing of statements.
pub(super) fn status(status: u64) -> Response {
    Response { status: Some(status), ..Response::default() }
}

/// Responses of our own collector.
pub(super) fn ours(status: u64) -> Response {
    Response { status: Some(status), reads_statements: true, ..Response::default() }
}

fn said(batch: Option<Batch>) -> String {
    batch.map(|batch| batch.statement.to_string().replace(EMITTER, "E")).unwrap_or_default()
}

/// An outbox whose events the collector has taken, at 100 ms.
pub(super) fn idle(events: usize, response: Response) -> Outbox {
    let mut outbox = outbox(events);
    while !outbox.is_empty() {
        outbox.poll(100, 10).unwrap();
        outbox.settle(100, response, 0);
    }
    outbox
}

fn outbox_of_a_foreign_ingest() -> Outbox {
    Outbox::from_handoff(&outbox(6).handoff().unwrap(), LIMITS).unwrap()
}

cases! {
    fn deterministic_a_batch_is_due_by_count_bytes_or_age() {
        assert_eq!(outbox(3).poll(99, 10), None);
        assert_eq!(outbox(3).poll(100, 10).unwrap().events, 3);
        let batch = outbox(5).poll(0, 10).unwrap();
        assert_eq!((batch.body.as_slice(), batch.events), (br#"[{"n":1},{"n":2},{"n":3},{"n":4}]"#.as_slice(), 4));
        let mut large = outbox(0);
        assert!(large.push(0, 1, vec![b'x'; 1200]) && large.push(0, 2, vec![b'y'; 10]));
        assert_eq!(large.poll(0, 10).unwrap().events, 1, "an event larger than a batch goes alone");
    }

    fn contract_the_oldest_event_is_the_one_that_waits_longest_for_its_acknowledgement() {
        let mut outbox = outbox(0);
        assert_eq!(outbox.oldest_ms(), None);
        for now_ms in [10, 20, 30, 40, 50] {
            let sequence = outbox.next_sequence();
            outbox.push(now_ms, sequence, b"{}".to_vec());
        }
        outbox.poll(60, 10).unwrap();
        outbox.settle(70, status(503), 0);
        assert_eq!(outbox.oldest_ms(), Some(10), "what was sent in vain still waits");
        outbox.poll(10_000, 10).unwrap();
        assert_eq!(outbox.oldest_ms(), Some(10), "and what is in flight");
        outbox.settle(10_000, status(200), 0);
        assert_eq!(outbox.oldest_ms(), Some(50));
        outbox.poll(11_000, 10).unwrap();
        outbox.settle(11_000, status(200), 0);
        assert_eq!(outbox.oldest_ms(), None);
    }

    fn contract_one_batch_in_flight_and_order_is_kept() {
        let mut outbox = outbox(5);
        let first = outbox.poll(0, 10).unwrap();
        assert_eq!(outbox.poll(500, 10), None);
        let settled = outbox.settle(500, status(503), 0);
        assert_eq!((settled.retried, settled.acknowledged), (4, 0));
        assert_eq!(outbox.poll(500, 10).unwrap(), first, "the same events again");
        assert_eq!(outbox.settle(501, status(200), 0), Settled { acknowledged: 4, freed: 28, ..Settled::default() });
        assert_eq!(outbox.poll(600, 10).unwrap().body, br#"[{"n":5}]"#);
        outbox.settle(600, status(204), 0);
        assert!(outbox.is_empty() && outbox.bytes() == 0);
    }

    fn contract_nothing_but_an_unreadable_event_is_given_up() {
        for failure in [None, Some(301), Some(401), Some(403), Some(404), Some(408), Some(429), Some(500), Some(503), Some(504)] {
            let mut outbox = outbox(1);
            for try_number in 0..50 {
                let now = try_number * BACKOFF_MAX_MS + 100;
                assert_eq!(outbox.poll(now, 10).unwrap().events, 1, "{failure:?}");
                assert_eq!(outbox.settle(now, Response { status: failure, ..Response::default() }, u64::MAX).retried, 1);
            }
        }
    }

    fn contract_what_did_not_succeed_has_its_reason() {
        let page = Response { is_page: true, ..status(200) };
        let cases = [
            (status(200), None),
            (status(204), None),
            (page, Some(CollectorFailure::NotACollector)),
            (Response { is_page: true, ..status(401) }, Some(CollectorFailure::Unauthorized)),
            (status(404), Some(CollectorFailure::NotFound)),
            (status(400), Some(CollectorFailure::RefusedEvents)),
            (status(503), Some(CollectorFailure::Unavailable)),
            (status(302), Some(CollectorFailure::UnexpectedStatus)),
            (Response::default(), Some(CollectorFailure::Timeout)),
            (Response::lost(CollectorFailure::NoCluster), Some(CollectorFailure::NoCluster)),
        ];
        for (response, expected) in cases {
            for events in [1, 2] {
                let mut outbox = outbox(events);
                outbox.poll(100, 10).unwrap();
                let settled = outbox.settle(100, response, 0);
                assert_eq!(settled.failure, expected, "{response:?}");
                assert_eq!(settled.acknowledged > 0, expected.is_none(), "{response:?}");
            }
        }
        let mut silent = idle(1, ours(200));
        silent.poll(10_000, 10).unwrap();
        assert_eq!(silent.settle(10_000, ours(400), 0).failure, None, "it takes no dispatch without events, which is no failure");
    }

    fn contract_backoff_doubles_is_jittered_and_bounded() {
        let mut outbox = outbox(1);
        let mut now = 100;
        let mut delays = Vec::new();
        for _ in 0..10 {
            outbox.poll(now, 10).unwrap();
            outbox.settle(now, status(500), outbox.bound_for_test());
            let delay = (0..=60_000).find(|delay| now + delay >= outbox.not_before_ms).unwrap();
            delays.push(delay);
            now += delay;
        }
        assert_eq!(delays, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000, 30000]);
        outbox.poll(now, 10).unwrap();
        outbox.settle(now, status(500), 0);
        assert_eq!(outbox.not_before_ms, now, "full jitter begins at zero");
        outbox.poll(now, 10).unwrap();
        outbox.settle(now, Response { status: Some(429), retry_after_ms: Some(45_000), ..Response::default() }, 0);
        assert_eq!(outbox.poll(now + 44_999, 10), None);
        outbox.poll(now + 45_000, 10).unwrap();
        outbox.settle(now, Response { status: Some(429), retry_after_ms: Some(u64::MAX), ..Response::default() }, 0);
        assert_eq!(outbox.not_before_ms, now + RETRY_AFTER_MAX_MS);
    }

    fn contract_poison_is_isolated_and_its_neighbours_arrive() {
        for poison in 1..=4u64 {
            let mut outbox = outbox(4);
            let (mut taken, mut rejected, mut told, mut rounds) = (0, Vec::new(), Vec::new(), 0);
            while !outbox.is_empty() {
                rounds += 1;
                assert!(rounds < 20);
                let batch = outbox.poll(100, 10).unwrap();
                let has_poison = String::from_utf8_lossy(&batch.body).contains(&format!("{{\"n\":{poison}}}"));
                told.extend(batch.statement.drops);
                let settled = outbox.settle(100, status(if has_poison { 400 } else { 200 }), 0);
                taken += settled.acknowledged;
                rejected.extend(settled.rejected);
            }
            assert_eq!((taken, rejected), (3, vec![format!("{EMITTER}-{poison}")]));
            more(&mut outbox, 1);
            told.extend(outbox.poll(200, 10).unwrap().statement.drops);
            assert_eq!(told, [DroppedRange { first: poison, last: poison, reason: Reason::Refused }], "with the next dispatch, once");
        }
    }

    fn contract_a_full_queue_drops_the_new_event_and_spends_its_number() {
        let mut outbox = Outbox::new(key(), Limits { max_bytes: 100, ..LIMITS });
        let fits: Vec<bool> = (0..4).map(|_| { let sequence = outbox.next_sequence(); outbox.push(0, sequence, vec![b'x'; 40]) }).collect();
        assert_eq!(fits, [true, true, false, false]);
        assert_eq!((outbox.next_sequence(), outbox.bytes()), (5, 80));
        assert_eq!(said(outbox.poll(100, 10)), "E; head=5; dropped=2; drops=3-4:full");
        assert!(!outbox.push(100, 5, vec![b'x'; 40]), "it was dropped while the dispatch was under way");
        outbox.settle(100, status(503), 0);
        assert_eq!(said(outbox.poll(200, 10)), "E; head=5; dropped=3; drops=3-5:full", "nobody has heard of it");
        assert!(!outbox.push(200, 6, vec![b'x'; 40]));
        outbox.settle(200, status(200), 0);
        more(&mut outbox, 1);
        assert_eq!(said(outbox.poll(300, 10)), "E; head=6; dropped=4; drops=6-6:full", "what was heard is not told again");
        outbox.settle(300, status(200), 0);
        more(&mut outbox, 1);
        assert_eq!(said(outbox.poll(400, 10)), "E; head=7; dropped=4");
    }

    fn contract_a_silent_emitter_speaks_up_to_a_collector_that_understands_it() {
        let mut outbox = idle(3, ours(200));
        assert_eq!(outbox.poll(5099, 10), None);
        let batch = outbox.poll(5100, 10).unwrap();
        assert_eq!((batch.body.as_slice(), batch.events), (b"[]".as_slice(), 0));
        assert_eq!(said(Some(batch)), "E; head=3; dropped=0");
        outbox.settle(5100, ours(200), 0);
        assert_eq!((outbox.poll(10_099, 10), said(outbox.poll(10_100, 10))), (None, "E; head=3; dropped=0".into()));
        assert!(outbox.poll(99_999, 10).is_none(), "one dispatch at a time");
        outbox.settle(10_100, Response::default(), 0);
        assert!(outbox.poll(15_100, 10).is_some(), "no response changes nothing");
        outbox.settle(15_100, ours(400), 0);
        assert!(outbox.poll(99_999, 10).is_none(), "it does not want them");
    }

    fn contract_a_second_connection_is_kept_warm_beside_a_batch() {
        let mut outbox = idle(1, ours(200));
        assert!(!outbox.goes_beside(10_000), "nothing is in flight");
        more(&mut outbox, 4);
        outbox.poll(10_000, 10).unwrap();
        assert_eq!((outbox.goes_beside(10_000), outbox.goes_beside(14_999), outbox.goes_beside(15_000)), (true, false, true));
        outbox.settle(15_000, ours(200), 0);
        outbox.poll(30_000, 10).unwrap();
        assert!(!outbox.goes_beside(30_000), "a heartbeat has the connection for itself");
        for (response, heartbeat_ms) in [(status(200), 5000), (ours(200), 0)] {
            let mut outbox = idle(1, response);
            outbox.limits.heartbeat_ms = heartbeat_ms;
            more(&mut outbox, 4);
            outbox.poll(10_000, 10).unwrap();
            assert!(!outbox.goes_beside(10_000));
        }
    }

    fn contract_nobody_else_is_spoken_to() {
        assert_eq!(idle(3, status(200)).poll(99_999, 10), None, "an ingest of another make");
        assert_eq!(idle(0, ours(200)).poll(99_999, 10), None, "nothing was counted");
        let mut never = idle(1, ours(200));
        never.reconfigure(Limits { heartbeat_ms: 0, ..LIMITS }, true);
        assert_eq!(never.poll(99_999, 10), None);
        let mut moved = idle(1, ours(200));
        moved.reconfigure(LIMITS, false);
        assert_eq!(moved.poll(99_999, 10), None, "another collector");
        let mut replaced = idle(1, ours(200));
        replaced.poll(5100, 10).unwrap();
        replaced.settle(5100, status(200), 0);
        assert!(replaced.poll(99_999, 10).is_some(), "somebody else in its place changes nothing");
    }

    fn race_a_response_to_a_heartbeat_never_touches_the_queue() {
        for response in [ours(200), ours(400), ours(413), ours(503), status(200), status(422), Response::default()] {
            let mut outbox = idle(1, ours(200));
            outbox.poll(5100, 10).unwrap();
            more(&mut outbox, 6);
            let settled = outbox.settle(5100, response, 0);
            assert_eq!(Settled { failure: None, ..settled }, Settled::default(), "{response:?}");
            let batch = outbox.poll(5200, 10).unwrap();
            assert_eq!(batch.body, br#"[{"n":2},{"n":3},{"n":4},{"n":5}]"#, "{response:?}: neither taken nor halved");
        }
    }

    fn contract_the_final_flush_takes_everything_along_and_says_that_it_is_the_last() {
        let mut outbox = idle(1, ours(200));
        more(&mut outbox, 9);
        let in_flight = outbox.poll(200, 10).unwrap();
        let batch = outbox.final_flush(200, 10).unwrap();
        assert_eq!((in_flight.events, batch.events), (4, 9), "more than a batch, and what is in flight once more");
        assert_eq!(said(Some(batch.clone())), "E; head=10; dropped=0; end");
        assert!(!outbox.is_done());
        assert_eq!(outbox.settle(200, ours(503), 0).retried, 9);
        assert_eq!(outbox.poll(200, 10), Some(batch), "again, as long as somebody asks");
        assert_eq!(outbox.settle(200, ours(200), 0).acknowledged, 9);
        assert!(outbox.is_done() && outbox.poll(200, 10).is_none());
        more(&mut outbox, 1);
        assert_eq!(said(outbox.poll(300, 10)), "E; head=11; dropped=0; end", "it was not the last");
    }

    fn contract_the_final_flush_is_bounded_and_says_end_only_when_nothing_stays_behind() {
        let mut outbox = idle(1, ours(200));
        outbox.limits.max_bytes = 8 << 20;
        for sequence in 2..=14 {
            outbox.next_sequence();
            assert!(outbox.push(100, sequence, vec![b'x'; 100_000]));
        }
        let batch = outbox.final_flush(100, 10).unwrap();
        assert!(batch.events == 5 && batch.body.len() <= FINAL_FLUSH_MAX_BYTES, "{}", batch.events);
        assert_eq!(said(Some(batch)), "E; head=14; dropped=0");
        outbox.settle(100, ours(200), 0);
        assert_eq!(said(outbox.poll(100, 10)), "E; head=14; dropped=0");
        outbox.settle(100, ours(200), 0);
        assert_eq!(said(outbox.poll(100, 10)), "E; head=14; dropped=0; end");
        outbox.settle(100, ours(200), 0);
        assert!(outbox.is_done());
    }

    fn contract_the_final_flush_to_another_ingest_is_an_ordinary_batch() {
        let mut outbox = outbox(6);
        assert_eq!(outbox.final_flush(0, 10).unwrap().events, 4);
        outbox.settle(0, status(204), 0);
        assert_eq!(outbox.poll(0, 10).unwrap().events, 2, "the rest follows without waiting for its age");
        outbox.settle(0, status(204), 0);
        assert!(outbox.is_done() && outbox.final_flush(0, 10).is_none(), "no dispatch without events");
    }

    fn contract_an_emitter_with_nothing_left_says_goodbye_once() {
        let mut outbox = idle(2, ours(200));
        let batch = outbox.final_flush(200, 10).unwrap();
        assert_eq!((batch.events, said(Some(batch))), (0, "E; head=2; dropped=0; end".into()));
        outbox.settle(200, ours(200), 0);
        assert!(outbox.is_done() && outbox.poll(99_999, 10).is_none());
        assert_eq!(idle(0, ours(200)).final_flush(0, 10), None, "nothing was counted");
        // But leases are returned by it.
        let mut lessee = idle(0, ours(200));
        lessee.hold_leases();
        assert_eq!(said(lessee.final_flush(0, 10)), "E; head=0; dropped=0; end");
        lessee.settle(0, ours(200), 0);
        assert!(lessee.is_done());
    }

    fn contract_the_final_flush_is_repeated_until_every_drop_is_told() {
        let mut outbox = idle(1, ours(200));
        outbox.limits.max_bytes = 0;
        for _ in 0..100 {
            outbox.next_sequence();
            let sequence = outbox.next_sequence();
            assert!(!outbox.push(100, sequence, vec![b'x'; 9]));
        }
        assert_eq!(outbox.final_flush(100, 10).unwrap().statement.drops.len(), 64);
        outbox.settle(100, ours(200), 0);
        let rest = outbox.poll(100, 10).unwrap().statement;
        assert_eq!((rest.drops.len(), rest.dropped, rest.ended), (36, 100, true));
        outbox.settle(100, ours(200), 0);
        assert!(outbox.is_done());
    }

    fn contract_a_handoff_is_taken_over_with_its_emitter_and_its_numbers() {
        let mut outbox = idle(1, ours(200));
        more(&mut outbox, 3);
        outbox.limits.max_bytes = 0;
        let sequence = outbox.next_sequence();
        assert!(!outbox.push(100, sequence, vec![b'x']));
        let final_flush = outbox.final_flush(100, 10).unwrap();
        let mut successor = Outbox::from_handoff(&outbox.handoff().unwrap(), LIMITS).unwrap();
        assert_eq!(successor.bytes(), outbox.bytes());
        assert_eq!(successor.poll(100, 10).unwrap(), final_flush, "it may have been cut off, so it is said again");
        let again = Outbox::from_handoff(&successor.handoff().unwrap(), LIMITS).unwrap().poll(100, 10);
        assert_eq!(again.as_ref(), Some(&final_flush), "an successor may end, too");
        assert_eq!(successor.settle(100, ours(400), 0).retried, 3);
        while let Some(batch) = successor.poll(100, 10) {
            successor.settle(100, ours(if batch.body == br#"[{"n":3}]"# || batch.events > 1 { 422 } else { 200 }), 0);
        }
        assert_eq!((successor.is_done(), successor.handoff(), successor.drops.count()), (true, None, 2));
        let mut foreign = outbox_of_a_foreign_ingest();
        assert_eq!(foreign.poll(0, 10).unwrap().events, 4);
        foreign.settle(0, status(204), 0);
        assert_eq!(foreign.poll(0, 10).unwrap().events, 2);
        foreign.settle(0, status(204), 0);
        assert!(foreign.is_done());
    }

    fn contract_nothing_is_left_when_everything_was_heard_and_nonsense_is_not_taken_over() {
        assert_eq!(idle(0, ours(200)).handoff(), None);
        assert_eq!(idle(3, status(200)).handoff(), None);
        let whole = outbox(2).handoff().unwrap();
        assert!(Outbox::from_handoff(&whole, LIMITS).is_some());
        for wrong in [&b""[..], b"\n", b"listens\n", b"deaf x; head=1; dropped=0\n", &whole[..whole.len() - 1], &[&whole[..], b"x {}\n"].concat(), &[&whole[..], b"3\n"].concat()] {
            assert!(Outbox::from_handoff(wrong, LIMITS).is_none(), "{:?}", String::from_utf8_lossy(wrong));
        }
    }

    fn race_poison_in_a_final_flush_is_isolated_all_the_same() {
        let mut outbox = idle(1, ours(200));
        more(&mut outbox, 9);
        let (mut batch, mut taken, mut rounds) = (outbox.final_flush(100, 10), 0, 0);
        while let Some(dispatch) = batch {
            rounds += 1;
            assert!(rounds < 20);
            let has_poison = String::from_utf8_lossy(&dispatch.body).contains("{\"n\":7}");
            taken += outbox.settle(100, ours(if has_poison { 400 } else { 200 }), 0).acknowledged;
            batch = outbox.poll(100, 10);
        }
        assert_eq!((taken, outbox.drops.count(), outbox.is_done()), (8, 1, true));
    }

    fn race_a_response_that_never_comes_does_not_block_the_queue() {
        let mut outbox = outbox(1);
        outbox.poll(100, 50).unwrap();
        assert!(!outbox.is_overdue(149) && outbox.is_overdue(150));
        assert_eq!(outbox.settle(150, Response::default(), 0).retried, 1);
        assert_eq!(outbox.settle(151, status(200), 0), Settled::default(), "a late response settles nothing");
        assert!(!outbox.is_empty());
    }
}

impl Outbox {
    /// The random number that draws the longest delay.
    fn bound_for_test(&self) -> u64 {
        (BACKOFF_BASE_MS << self.failures).min(BACKOFF_MAX_MS)
    }
}

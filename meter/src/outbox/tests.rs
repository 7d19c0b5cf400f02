use super::*;

const EMITTER: &str = "0123456789abcdef0123456789abcdef";
const BOUNDS: Bounds = Bounds { max_events: 4, max_bytes: 1000, max_age_ms: 100 };

fn outbox(events: usize) -> Outbox {
    let mut outbox = Outbox::new(EMITTER.into(), BOUNDS, 10_000);
    for _ in 0..events {
        let sequence = outbox.next_sequence();
        assert!(outbox.push(0, sequence, format!("{{\"n\":{sequence}}}").into_bytes()));
    }
    outbox
}

fn status(status: u64) -> Answer {
    Answer { status: Some(status), retry_after_ms: None }
}

cases! {
    fn deterministic_a_batch_is_due_by_count_bytes_or_age() {
        assert_eq!(outbox(3).poll(99, 10), None);
        assert_eq!(outbox(3).poll(100, 10).unwrap().events, 3);
        assert_eq!(outbox(5).poll(0, 10).unwrap(), Batch { body: br#"[{"n":1},{"n":2},{"n":3},{"n":4}]"#.to_vec(), events: 4 });
        let mut large = outbox(0);
        assert!(large.push(0, 1, vec![b'x'; 1200]) && large.push(0, 2, vec![b'y'; 10]));
        assert_eq!(large.poll(0, 10).unwrap().events, 1, "an event larger than a batch goes alone");
    }

    fn contract_one_batch_in_flight_and_order_is_kept() {
        let mut outbox = outbox(5);
        let first = outbox.poll(0, 10).unwrap();
        assert_eq!((outbox.poll(500, 10), outbox.flush(500, 10)), (None, None));
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
                assert_eq!(outbox.settle(now, Answer { status: failure, retry_after_ms: None }, u64::MAX).retried, 1);
            }
        }
    }

    fn contract_backoff_doubles_is_jittered_and_bounded() {
        let mut outbox = outbox(1);
        let mut now = 100;
        let mut delays = Vec::new();
        for _ in 0..10 {
            outbox.poll(now, 10).unwrap();
            outbox.settle(now, status(500), outbox.bound_for_test());
            let delay = (0..=60_000).find(|delay| outbox.is_due(now + delay)).unwrap();
            delays.push(delay);
            now += delay;
        }
        assert_eq!(delays, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000, 30000]);
        outbox.poll(now, 10).unwrap();
        outbox.settle(now, status(500), 0);
        assert!(outbox.is_due(now), "full jitter begins at zero");
        outbox.poll(now, 10).unwrap();
        outbox.settle(now, Answer { status: Some(429), retry_after_ms: Some(45_000) }, 0);
        assert!(!outbox.is_due(now + 44_999) && outbox.is_due(now + 45_000));
        outbox.poll(now + 45_000, 10).unwrap();
        outbox.settle(now, Answer { status: Some(429), retry_after_ms: Some(u64::MAX) }, 0);
        assert!(outbox.is_due(now + RETRY_AFTER_MAX_MS));
    }

    fn contract_poison_is_isolated_and_its_neighbours_arrive() {
        for poison in 1..=4u64 {
            let mut outbox = outbox(4);
            let (mut taken, mut rejected, mut rounds) = (0, Vec::new(), 0);
            while !outbox.is_empty() {
                rounds += 1;
                assert!(rounds < 20);
                let batch = outbox.poll(100, 10).unwrap();
                let has_poison = String::from_utf8_lossy(&batch.body).contains(&format!("{{\"n\":{poison}}}"));
                let settled = outbox.settle(100, status(if has_poison { 400 } else { 200 }), 0);
                taken += settled.acknowledged;
                rejected.extend(settled.rejected);
            }
            assert_eq!((taken, rejected), (3, vec![format!("{EMITTER}-{poison}")]));
        }
    }

    fn contract_a_full_queue_drops_the_new_event_and_spends_its_number() {
        let mut outbox = Outbox::new(EMITTER.into(), BOUNDS, 100);
        let fits: Vec<bool> = (0..4).map(|_| { let sequence = outbox.next_sequence(); outbox.push(0, sequence, vec![b'x'; 40]) }).collect();
        assert_eq!(fits, [true, true, false, false]);
        assert_eq!((outbox.next_sequence(), outbox.bytes()), (5, 80));
    }

    fn race_an_answer_that_never_comes_does_not_block_the_queue() {
        let mut outbox = outbox(1);
        outbox.poll(100, 50).unwrap();
        assert!(!outbox.is_overdue(149) && outbox.is_overdue(150));
        assert_eq!(outbox.settle(150, Answer::default(), 0).retried, 1);
        assert_eq!(outbox.settle(151, status(200), 0), Settled::default(), "a late answer settles nothing");
        assert!(!outbox.is_empty());
    }
}

impl Outbox {
    /// The random number that draws the longest delay.
    fn bound_for_test(&self) -> u64 {
        (BACKOFF_BASE_MS << self.failures).min(BACKOFF_MAX_MS)
    }
}

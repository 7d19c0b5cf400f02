use super::super::tests::{idle, more, ours, status};
use super::*;

/// The tries that an outbox makes within so many: how many events each had. `answers` says what comes of one.
fn tries(outbox: &mut Outbox, most: usize, mut answers: impl FnMut(usize) -> Response) -> (Vec<usize>, Settled) {
    let (mut sent, mut all) = (Vec::new(), Settled::default());
    // Behind all waiting.
    let mut now_ms = outbox.not_before_ms.max(1_000_000);
    for _ in 0..most {
        now_ms += 60_000;
        let Some(batch) = outbox.poll(now_ms, 10) else { break };
        sent.push(batch.events);
        let settled = outbox.settle(now_ms, answers(batch.events), 0);
        all.acknowledged += settled.acknowledged;
        all.rejected = all.rejected.or(settled.rejected);
    }
    (sent, all)
}

cases! {
    fn contract_where_the_collector_has_responded_nobody_else_acknowledges_or_refuses() {
        for foreign in [200, 204, 400, 403, 413, 422] {
            let mut outbox = idle(5, ours(200));
            more(&mut outbox, 12);
            let (sent, settled) = tries(&mut outbox, 200, |_| status(foreign));
            assert_eq!((settled.acknowledged, settled.rejected), (0, None), "{foreign}");
            assert_eq!((sent.len(), outbox.queue.len()), (200, 12), "{foreign}: it is sent again and again");
            // The collector is back, and gets them all.
            let (_, settled) = tries(&mut outbox, 50, |_| ours(200));
            assert_eq!((settled.acknowledged, outbox.is_empty()), (12, true), "{foreign}");
        }
        let mut outbox = idle(5, ours(200));
        more(&mut outbox, 1);
        outbox.poll(1_000_000, 10).unwrap();
        assert_eq!(outbox.settle(1_000_000, status(200), 0).failure, Some(CollectorFailure::NotACollector));
    }

    fn contract_another_ingest_acknowledges_and_refuses_as_before() {
        let mut outbox = idle(5, status(200));
        more(&mut outbox, 2);
        assert_eq!(tries(&mut outbox, 9, |_| status(204)).1.acknowledged, 2);
        more(&mut outbox, 1);
        assert!(tries(&mut outbox, 9, |_| status(400)).1.rejected.is_some());
    }

    fn race_a_body_that_is_too_long_for_somebody_on_the_way_is_halved_at_once() {
        let mut outbox = idle(5, ours(200));
        more(&mut outbox, 64);
        let now_ms = outbox.not_before_ms.max(1_000_000);
        let mut sent = Vec::new();
        while let Some(batch) = outbox.poll(now_ms, 10) {
            sent.push(batch.events);
            outbox.settle(now_ms, if batch.events > 8 { status(413) } else { ours(200) }, 0);
        }
        assert!(outbox.is_empty(), "{sent:?}");
    }

    fn race_an_event_that_somebody_on_the_way_refuses_holds_up_no_others() {
        for refused in [400, 403] {
            refuses(refused);
        }
    }
}

fn refuses(refused: u64) {
    let mut outbox = idle(5, ours(200));
    more(&mut outbox, 8);
    let bad = outbox.queue.get(2).unwrap().sequence;
    let mut now_ms = 1_000_000;
    let (mut acknowledged, mut rejected, mut asked) = (0, Vec::new(), 0);
    while !outbox.is_empty() {
        now_ms += 60_000;
        let Some(batch) = outbox.poll(now_ms, 10) else { panic!("it has stopped") };
        let body = String::from_utf8(batch.body).unwrap();
        asked += usize::from(batch.events == 0);
        let response = if body.contains(&format!("\"n\":{bad}}}")) { status(refused) } else { ours(200) };
        let settled = outbox.settle(now_ms, response, 0);
        acknowledged += settled.acknowledged;
        rejected.extend(settled.rejected);
    }
    assert_eq!((acknowledged, rejected.len()), (7, 1));
    assert!(rejected[0].ends_with(&format!("-{bad}")) && asked >= 7, "{rejected:?} {asked}");
}

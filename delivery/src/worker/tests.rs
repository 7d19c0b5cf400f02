use std::collections::BTreeMap;

use super::*;
use crate::outbox::Limits;

mod configured;
mod interrupted;

/// A proxy whose replies a test decides.
#[derive(Default)]
struct Proxy {
    shared: BTreeMap<String, SharedValue>,
    /// Why no dispatch can be made.
    unsent: Option<CollectorFailure>,
    /// So many writes of the list lose to another VM.
    contended: usize,
    /// Reads and writes of such keys fail.
    broken: Option<&'static str>,
    token: u32,
    /// What was done, in order.
    done: Vec<String>,
}

impl Proxy {
    fn drive(&mut self, delivery: &mut Delivery) -> Vec<String> {
        while let Some(action) = delivery.poll() {
            self.perform(delivery, action);
        }
        std::mem::take(&mut self.done)
    }

    fn perform(&mut self, delivery: &mut Delivery, action: Action) {
        match action {
            Action::Dispatch { batch, is_beside } => {
                let end = if batch.statement.ended { " end" } else { "" };
                let what = if is_beside { "beside" } else { "send" };
                self.done.push(format!("{what} {} of {}{end}", batch.events, batch.statement.head));
                self.token += 1;
                delivery.dispatched(self.unsent.map_or(Ok(self.token), Err));
            }
            Action::Read { key } => {
                let is_broken = self.broken.is_some_and(|broken| key.starts_with(broken));
                delivery.read(if is_broken { Err(Unavailable) } else { Ok(self.shared.get(&key).cloned()) });
            }
            Action::Write { key, value, cas } => {
                let written = self.write(key, value, cas);
                delivery.written(written);
            }
            Action::Done => self.done.push("done".to_owned()),
            Action::Settled(Outcome { settled, is_abandoned: false, .. }) => match settled.failure {
                None => self.done.push(format!("acknowledged {}", settled.acknowledged)),
                Some(failure) => self.done.push(failure.as_str().to_owned()),
            },
            Action::Settled(_) => self.done.push("abandoned".to_owned()),
            Action::NotHandedOff { .. } => self.done.push("not handed off".to_owned()),
        }
    }

    fn write(&mut self, key: String, bytes: Vec<u8>, cas: u32) -> Written {
        if self.broken.is_some_and(|broken| key.starts_with(broken)) {
            return Written::Failed;
        }
        let version = self.shared.get(&key).map_or(0, |value| value.cas);
        if cas != 0 && self.contended > 0 {
            self.contended -= 1;
            // Another VM was faster, and has written the same again.
            self.shared.get_mut(&key).unwrap().cas += 1;
            return Written::CasMismatch;
        }
        if cas != 0 && cas != version {
            return Written::CasMismatch;
        }
        self.shared.insert(key, SharedValue { bytes, cas: version + 1 });
        Written::Done
    }

    /// Bytes of handoffs that lie there, named or not.
    fn left(&self) -> usize {
        self.shared.iter().filter(|(key, _)| key.starts_with(LEFT_BY)).map(|(_, value)| value.bytes.len()).sum()
    }

    fn list(&self) -> String {
        String::from_utf8(self.shared[LIST].bytes.clone()).unwrap()
    }
}

const LIST: &str = "meshmeter: left";
const LEFT_BY: &str = "meshmeter: left by";

fn config(collector: &str, max_age_ms: u64) -> Config {
    let json = format!(r#"{{{collector}"batch":{{"max_age_ms":{max_age_ms}}}}}"#);
    meter::config::parse(json.as_bytes()).unwrap()
}

fn to(cluster: &str) -> Config {
    config(&format!(r#""collector":{{"cluster":"{cluster}","timeout_ms":1000}},"#), 100)
}

/// A VM with one root context, 1, and so many events, and a proxy that is ready for it.
fn vm(number: u64, proxy: &mut Proxy, events: usize) -> Delivery {
    let mut delivery = Delivery::new(EmitterKey::new(0, number), number, &to("here"));
    delivery.configure(1, &to("here"));
    proxy.drive(&mut delivery);
    more(&mut delivery, events);
    delivery
}

fn more(delivery: &mut Delivery, events: usize) {
    let encode = |_: &(), _: &str, sequence| format!("{{\"n\":{sequence}}}").into_bytes();
    let emitted = delivery.emit(0, &vec![(); events], true, encode, |_| {});
    assert!(emitted.iter().all(|emitted| emitted.is_queued));
}

/// A response of our own collector.
fn ours(status: u64) -> Response {
    Response { status: Some(status), reads_statements: true, ..Response::default() }
}

cases! {
    fn contract_events_are_sent_and_acknowledged_and_a_second_connection_is_kept_warm() {
        let mut proxy = Proxy::default();
        let mut vm = vm(1, &mut proxy, 2);
        vm.tick(99, 1);
        assert!(proxy.drive(&mut vm).is_empty(), "nothing is due");
        vm.tick(100, 1);
        assert_eq!(proxy.drive(&mut vm), ["send 2 of 2"]);
        assert_eq!(vm.bytes(), 14);
        vm.respond(150, 1, 1, ours(200));
        assert_eq!(proxy.drive(&mut vm), ["acknowledged 2"]);
        assert_eq!((vm.bytes(), vm.is_idle()), (0, true));
        more(&mut vm, 1);
        vm.tick(15_100, 1);
        assert_eq!(proxy.drive(&mut vm), ["send 1 of 3", "beside 0 of 3"]);
        vm.respond(15_150, 1, 3, ours(200));
        assert!(proxy.drive(&mut vm).is_empty(), "the response to what goes beside is of no interest");
        vm.respond(15_150, 1, 2, ours(200));
        assert_eq!(proxy.drive(&mut vm), ["acknowledged 1"]);
        vm.tick(30_150, 1);
        assert_eq!(proxy.drive(&mut vm), ["send 0 of 3"], "a heartbeat");
    }

    fn contract_records_of_a_call_are_numbered_and_are_lines_of_the_journal_whether_they_fit_or_not() {
        let limits = Limits { max_bytes: 100, ..Settings::of(&to("here")).limits };
        for (is_sent, queued) in [(true, [true, false, true]), (false, [false; 3])] {
            let mut delivery = Delivery::new(EmitterKey::new(0, 1), 1, &to("here"));
            delivery.own.reconfigure(limits, true);
            let emitter = delivery.emitter().to_owned();
            let mut journal = Vec::new();
            let encode = |size: &usize, by: &str, sequence: u64| {
                assert_eq!(by, emitter);
                sequence.to_string().repeat(*size).into_bytes()
            };
            let emitted = delivery.emit(7, &[50, 60, 50], is_sent, encode, |lines| journal = lines.to_vec());
            assert_eq!(journal, ["1".repeat(50), "2".repeat(60), "3".repeat(50)].join("\n").as_bytes());
            let due = [(1, 50), (2, 60), (3, 50)].into_iter().zip(queued);
            let due: Vec<_> =
                due.map(|((sequence, bytes), is_queued)| Emitted { sequence, bytes, is_queued }).collect();
            assert_eq!(emitted, due);
            assert_eq!(delivery.bytes(), if is_sent { 100 } else { 0 });
            let emitted = delivery.emit(7, &[1], is_sent, encode, |line| assert_eq!(line, b"4"));
            assert_eq!(emitted[0].sequence, 4, "a number is spent in any case");
        }
    }

    fn contract_ticks_come_often_enough_for_batches_and_for_metrics() {
        let mut delivery = Delivery::new(EmitterKey::new(0, 1), 1, &to("here"));
        for (max_age_ms, tick_ms) in [(100, 50), (400, 100), (1000, 250), (3000, 250), (60_000, 250)] {
            assert_eq!(delivery.configure(1, &config("", max_age_ms)), tick_ms);
        }
    }

    fn contract_the_root_context_configured_last_sends_and_the_old_one_stays_for_its_response() {
        let mut proxy = Proxy::default();
        let mut vm = vm(1, &mut proxy, 1);
        vm.tick(100, 1);
        assert_eq!(proxy.drive(&mut vm), ["send 1 of 1"]);
        vm.configure(2, &to("here"));
        more(&mut vm, 1);
        assert!(!vm.is_alone(1) && !vm.is_alone(2));
        assert!(!vm.done(110, 1), "its dispatch is in flight");
        vm.tick(120, 1);
        assert!(proxy.drive(&mut vm).is_empty());
        vm.respond(130, 1, 1, ours(200));
        assert_eq!(proxy.drive(&mut vm), ["acknowledged 1", "done"], "it sends no more");
        vm.tick(140, 2);
        assert_eq!(proxy.drive(&mut vm), ["send 1 of 2"]);
        assert!(vm.is_alone(2));
    }

    fn contract_an_old_root_context_without_a_dispatch_may_go_at_once_and_the_newest_may_be_the_one_that_goes() {
        let mut proxy = Proxy::default();
        let mut vm = vm(1, &mut proxy, 1);
        vm.configure(2, &to("here"));
        proxy.drive(&mut vm);
        assert!(vm.done(100, 2));
        vm.tick(100, 1);
        assert_eq!(proxy.drive(&mut vm), ["send 1 of 1"]);
        assert!(vm.done(100, 7), "one that was never configured");
    }

    fn contract_without_a_collector_nothing_is_sent_or_handed_off() {
        let mut proxy = Proxy::default();
        let mut vm = Delivery::new(EmitterKey::new(0, 1), 1, &config("", 100));
        vm.configure(1, &config("", 100));
        more(&mut vm, 1);
        vm.tick(1000, 1);
        assert!(vm.done(1000, 1));
        assert!(proxy.drive(&mut vm).is_empty());
        assert_eq!(proxy.left(), 0);
    }

    fn contract_what_an_ending_vm_has_is_delivered_by_the_next_one_under_its_name() {
        let mut proxy = Proxy::default();
        let mut old = vm(1, &mut proxy, 3);
        old.tick(100, 1);
        assert_eq!(proxy.drive(&mut old), ["send 3 of 3"]);
        more(&mut old, 2);
        assert!(old.is_alone(1) && old.done(110, 1));
        assert_eq!(proxy.drive(&mut old), ["abandoned", "send 5 of 5 end"]);
        assert_eq!(proxy.list(), format!("{} {} here meshmeter-collector /v1/events", old.emitter(), proxy.left()));
        let mut new = vm(2, &mut proxy, 0);
        for now_ms in [200, 300, 699] {
            new.tick(now_ms, 1);
            assert!(proxy.drive(&mut new).is_empty(), "at a shutdown both VMs end");
        }
        more(&mut new, 1);
        new.tick(700, 1);
        assert_eq!(proxy.drive(&mut new), ["send 5 of 5 end"]);
        assert_eq!((new.predecessor(), proxy.left(), proxy.list().as_str()), (Some(old.emitter()), 0, ""));
        new.respond(710, 1, proxy.token, ours(200));
        assert_eq!(proxy.drive(&mut new), ["acknowledged 5", "send 1 of 1"], "then its own");
        assert_eq!(new.predecessor(), None);
    }

    fn contract_an_ending_vm_hands_off_what_it_had_taken_over_too_and_one_is_taken_over_at_a_time() {
        let mut proxy = Proxy::default();
        let mut first = vm(1, &mut proxy, 1);
        first.done(100, 1);
        proxy.drive(&mut first);
        let mut second = vm(2, &mut proxy, 1);
        second.tick(200, 1);
        assert_eq!(proxy.drive(&mut second), ["send 1 of 1"]);
        second.respond(700, 1, proxy.token, Response { status: Some(500), ..Response::default() });
        assert_eq!(proxy.drive(&mut second), ["unavailable", "send 1 of 1 end"]);
        second.done(710, 1);
        assert_eq!(proxy.drive(&mut second), ["abandoned", "send 1 of 1 end"]);
        assert_eq!(proxy.list().lines().count(), 2);
        let mut third = vm(3, &mut proxy, 0);
        third.tick(800, 1);
        assert!(proxy.drive(&mut third).is_empty());
        third.tick(1300, 1);
        assert_eq!(proxy.drive(&mut third), ["send 1 of 1 end"]);
        assert_eq!((third.predecessor(), proxy.list().lines().count()), (Some(second.emitter()), 1));
        third.respond(1310, 1, proxy.token, ours(200));
        assert_eq!(proxy.drive(&mut third), ["acknowledged 1"]);
        third.tick(1810, 1);
        assert_eq!(proxy.drive(&mut third), ["send 1 of 1 end"]);
        assert_eq!(third.predecessor(), Some(first.emitter()));
        assert_eq!(proxy.list(), "");
    }

    fn contract_what_was_meant_for_another_collector_stays() {
        let mut proxy = Proxy::default();
        let mut old = vm(1, &mut proxy, 1);
        old.done(100, 1);
        proxy.drive(&mut old);
        let mut new = vm(2, &mut proxy, 0);
        new.configure(2, &to("elsewhere"));
        proxy.drive(&mut new);
        new.tick(200, 2);
        assert!(proxy.drive(&mut new).is_empty());
        assert_eq!((new.predecessor(), proxy.list().lines().count()), (None, 1));
    }

    fn contract_handoffs_are_bounded_and_what_has_no_room_does_not_stay() {
        let mut proxy = Proxy::default();
        let mut ending = vm(1, &mut proxy, 1);
        ending.done(100, 1);
        proxy.drive(&mut ending);
        let handoff = proxy.left();
        for (others, handed_off) in [((64 << 20) - handoff, true), ((64 << 20) + 1 - handoff, false)] {
            proxy.shared.retain(|key, _| key == LIST);
            proxy.shared.get_mut(LIST).unwrap().bytes = format!("other {others} elsewhere").into_bytes();
            let mut ending = vm(1, &mut proxy, 1);
            ending.done(100, 1);
            let done = proxy.drive(&mut ending);
            assert_eq!(!done.contains(&"not handed off".to_owned()), handed_off, "{done:?}");
            assert_eq!(proxy.left() > 0, handed_off);
            assert_eq!(done.last().unwrap(), "send 1 of 1 end", "it is flushed all the same");
        }
    }

    fn race_a_list_that_others_change_too_is_changed_all_the_same() {
        for (contended, handed_off) in [(1, true), (99, true), (100, false), (1000, false)] {
            let mut proxy = Proxy::default();
            let mut old = vm(1, &mut proxy, 1);
            proxy.contended = contended;
            old.done(100, 1);
            let done = proxy.drive(&mut old);
            assert_eq!(!done.contains(&"not handed off".to_owned()), handed_off, "{contended}: {done:?}");
            assert_eq!(proxy.left() > 0, handed_off, "{contended}");
            if handed_off {
                proxy.contended = 100;
                let mut new = vm(2, &mut proxy, 0);
                new.tick(200, 1);
                proxy.drive(&mut new);
                new.tick(700, 1);
                assert!(proxy.drive(&mut new).is_empty(), "others are faster");
                new.tick(800, 1);
                assert!(proxy.drive(&mut new).is_empty(), "it is there, and known anew");
                new.tick(1300, 1);
                assert_eq!(proxy.drive(&mut new), ["send 1 of 1 end"]);
            }
        }
    }

    fn race_shared_data_that_fails_anywhere_keeps_nothing_of_its_own_back() {
        for broken in [LIST, LEFT_BY] {
            let mut proxy = Proxy::default();
            let mut old = vm(1, &mut proxy, 1);
            proxy.broken = Some(broken);
            old.done(100, 1);
            assert_eq!(proxy.drive(&mut old), ["not handed off", "send 1 of 1 end"], "{broken}");
            proxy.broken = None;
            let mut old = vm(2, &mut proxy, 1);
            old.done(100, 1);
            proxy.drive(&mut old);
            let mut new = vm(3, &mut proxy, 0);
            new.tick(200, 1);
            proxy.drive(&mut new);
            more(&mut new, 1);
            proxy.broken = Some(broken);
            new.tick(700, 1);
            // If the list can be had and the handoff cannot, only the journal has it.
            let done: &[&str] = if broken == LIST { &["send 1 of 1"] } else { &["not handed off", "send 1 of 1"] };
            assert_eq!(proxy.drive(&mut new), done, "{broken}");
        }
        let lists: [(&[u8], &[&str]); 3] = [
            (b"\xff", &["send 1 of 1"]),
            (b"nobody 1 here meshmeter-collector /v1/events", &["not handed off", "send 1 of 1"]),
            (b"\n\n  \n", &["send 1 of 1"]),
        ];
        for (list, done) in lists {
            let mut proxy = Proxy::default();
            let mut vm = vm(1, &mut proxy, 1);
            proxy.shared.insert(LIST.to_owned(), SharedValue { bytes: list.to_vec(), cas: 9 });
            vm.tick(0, 1);
            assert!(proxy.drive(&mut vm).is_empty());
            vm.tick(500, 1);
            assert_eq!(proxy.drive(&mut vm), done);
        }
    }

    fn race_a_dispatch_that_cannot_be_made_is_settled_with_its_reason_and_tried_again() {
        let mut proxy = Proxy { unsent: Some(CollectorFailure::NoCluster), ..Proxy::default() };
        let mut vm = vm(1, &mut proxy, 1);
        vm.tick(100, 1);
        assert_eq!(proxy.drive(&mut vm), ["send 1 of 1", "no_cluster"]);
        proxy.unsent = None;
        vm.tick(60_000, 1);
        assert_eq!(proxy.drive(&mut vm), ["send 1 of 1"]);
    }

    fn race_a_response_that_is_late_or_foreign_settles_nothing() {
        let mut proxy = Proxy::default();
        let mut vm = vm(1, &mut proxy, 1);
        vm.tick(100, 1);
        proxy.drive(&mut vm);
        vm.tick(2099, 1);
        assert!(proxy.drive(&mut vm).is_empty());
        vm.tick(2100, 1);
        assert_eq!(proxy.drive(&mut vm), ["timeout"], "the timeout and a second have passed");
        vm.respond(2101, 1, 1, ours(200));
        vm.tick(60_000, 1);
        assert_eq!(proxy.drive(&mut vm), ["send 1 of 1"]);
        assert!(!vm.awaits(1) && vm.awaits(2));
        vm.respond(60_001, 1, 1, ours(200));
        assert!(proxy.drive(&mut vm).is_empty());
        assert_eq!(vm.bytes(), 7);
    }
}

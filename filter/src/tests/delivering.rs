//! Dispatches, handoffs and ends.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::thread;

use proxy_wasm::traits::{Context, RootContext};

use super::abi::{self, BAD_ARGUMENT, DISPATCH_RESPONSE_HEADERS, INTERNAL_FAILURE, Sent, Shared};
use super::{CONFIGURATION, call, configured};
use crate::plugin::Plugin;

const LIST: &str = "meshmeter: left";

/// The timer of a root context, and what it sends then.
fn tick(plugin: &mut Plugin, now_ms: u64) -> Vec<Sent> {
    abi::set_time(now_ms);
    plugin.on_tick();
    abi::sent()
}

/// The collector responds to a dispatch.
fn respond(plugin: &mut Plugin, token: u32, status: &str) -> Vec<Sent> {
    let headers = [(":status", status), ("meshmeter-collector", "1"), ("content-type", "application/json")];
    let count = abi::set_headers(DISPATCH_RESPONSE_HEADERS, &headers);
    plugin.on_http_call_response(token, count, 2, 0);
    abi::sent()
}

#[test]
fn contract_a_record_is_sent_to_the_collector_and_acknowledged() {
    let mut plugin = configured(1, CONFIGURATION);
    assert_eq!(abi::tick_ms(), 50);
    call(&plugin);
    let record = abi::written("meshmeter").unwrap();
    let sent = tick(&mut plugin, 1100);
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].cluster.as_str(), sent[0].timeout_ms), ("collector", 1000));
    assert_eq!(sent[0].body, format!("[{record}]"));
    assert_eq!((sent[0].header(":path"), sent[0].header(":method")), ("/v1/events", "POST"));
    assert!(sent[0].header("meshmeter-emitter").ends_with("; head=1; dropped=0"));
    assert!(respond(&mut plugin, sent[0].token, "200").is_empty());
    tick(&mut plugin, 1150);
    assert_eq!(abi::metric("meshmeter_events_acknowledged_total"), 1);
    assert_eq!(abi::metric("meshmeter_outbox_bytes"), 0);
}

#[test]
fn race_a_dispatch_that_fails_at_once_is_counted_with_its_reason_and_tried_again() {
    for (status, reason) in [(BAD_ARGUMENT, "no_cluster"), (INTERNAL_FAILURE, "not_sent")] {
        let tested = thread::spawn(move || {
            let mut plugin = configured(1, CONFIGURATION);
            call(&plugin);
            abi::fail("proxy_http_call", status, 1);
            assert!(tick(&mut plugin, 1100).is_empty());
            assert!(abi::logged(reason), "{reason}");
            let sent = tick(&mut plugin, 10_000);
            assert_eq!(sent.len(), 1, "after the backoff");
            assert_eq!(abi::metric("meshmeter_events_retried_total"), 1);
            assert_eq!(abi::metric("meshmeter_collector_failures_total"), 1);
        });
        tested.join().unwrap();
    }
}

#[test]
fn race_a_response_without_headers_is_a_reset() {
    let mut plugin = configured(1, CONFIGURATION);
    call(&plugin);
    let sent = tick(&mut plugin, 1100);
    plugin.on_http_call_response(sent[0].token, 0, 0, 0);
    assert!(abi::logged("reset"));
    assert!(respond(&mut plugin, sent[0].token, "200").is_empty());
    tick(&mut plugin, 1150);
    assert_eq!(abi::metric("meshmeter_events_acknowledged_total"), 0, "it was settled before");
}

#[test]
fn contract_an_old_root_context_stays_until_its_response_is_there() {
    let mut old = configured(1, CONFIGURATION);
    call(&old);
    let sent = tick(&mut old, 1100);
    let mut new = configured(2, CONFIGURATION);
    abi::set_time(1110);
    assert!(!old.on_done());
    assert_eq!(abi::done(), 0);
    abi::fail("proxy_done", INTERNAL_FAILURE, 1);
    respond(&mut old, sent[0].token, "200");
    assert!(abi::logged("Envoy keeps a root context that is done"));
    call(&new);
    assert_eq!(tick(&mut new, 1300).len(), 1, "the new one sends");
}

#[test]
fn race_what_an_ending_vm_has_is_delivered_by_the_next_although_others_change_the_list_meanwhile() {
    let mut old = configured(1, CONFIGURATION);
    call(&old);
    // Another VM hands something off between this one's reading of the list and its writing.
    abi::interrupt("proxy_set_shared_data", || {
        abi::interrupt("proxy_set_shared_data", || {
            let mut shared = abi::shared();
            let version = shared.values().map(|(_, version)| *version).max().unwrap() + 1;
            shared.insert(LIST.to_owned(), (b"other 5 another collector".to_vec(), version));
            abi::set_shared(shared);
        });
    });
    assert!(old.on_done());
    let sent = abi::sent();
    assert_eq!(sent.len(), 1, "the final flush");
    assert!(sent[0].header("meshmeter-emitter").ends_with("; head=1; dropped=0; end"));
    let shared = abi::shared();
    let list = String::from_utf8(shared[LIST].0.clone()).unwrap();
    assert_eq!(list.lines().count(), 2, "{list}");
    let flushed = sent[0].clone();
    let left = thread::spawn(move || next_vm(shared, flushed)).join().unwrap();
    assert_eq!(left[LIST].0, b"other 5 another collector");
    assert!(left.iter().all(|(key, (value, _))| !key.starts_with("meshmeter: left by") || value.is_empty()));
}

/// A VM that finds what another has handed off; returns what it leaves of it.
fn next_vm(shared: Shared, flushed: Sent) -> Shared {
    abi::set_shared(shared);
    let mut plugin = configured(1, CONFIGURATION);
    assert!(tick(&mut plugin, 1100).is_empty());
    let sent = tick(&mut plugin, 1600);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].body, flushed.body);
    assert_eq!(sent[0].header("meshmeter-emitter"), flushed.header("meshmeter-emitter"));
    assert_eq!(sent[0].header("meshmeter-emitter-key"), flushed.header("meshmeter-emitter-key"));
    respond(&mut plugin, sent[0].token, "200");
    assert!(plugin.on_done());
    abi::shared()
}

#[test]
fn race_shared_data_that_fails_is_said_and_the_final_flush_is_sent_all_the_same() {
    for name in ["proxy_get_shared_data", "proxy_set_shared_data"] {
        let tested = thread::spawn(move || {
            let mut plugin = configured(1, CONFIGURATION);
            call(&plugin);
            abi::fail(name, INTERNAL_FAILURE, usize::MAX);
            assert!(plugin.on_done());
            assert_eq!(abi::sent().len(), 1, "{name}");
            assert!(abi::logged("no room for what emitter"), "{name}");
        });
        tested.join().unwrap();
    }
}

#[test]
fn race_callbacks_in_the_middle_of_a_hostcall_trap_nowhere_and_send_nothing_twice() {
    // In the middle of these the VM's state is held, or not; and either way another callback may come.
    let names = [
        "proxy_http_call",
        "proxy_get_shared_data",
        "proxy_set_shared_data",
        "proxy_increment_metric",
        "proxy_define_metric",
        "proxy_get_current_time_nanoseconds",
        "proxy_log",
    ];
    for name in names {
        let tested = thread::spawn(move || {
            let other = Rc::new(RefCell::new(configured(2, CONFIGURATION)));
            let mut plugin = configured(1, CONFIGURATION);
            let happened = Rc::new(Cell::new(false));
            let (interrupting, happens) = (other.clone(), happened.clone());
            abi::interrupt(name, move || {
                happens.set(true);
                let mut other = interrupting.borrow_mut();
                call(&other);
                other.on_tick();
                other.on_http_call_response(1, 0, 0, 0);
            });
            call(&plugin);
            for now_ms in [1100, 1200, 1300] {
                let mut sent = tick(&mut plugin, now_ms);
                while let Some(one) = sent.pop() {
                    assert!(sent.is_empty(), "{name}: more than one in flight: {one:?} {sent:?}");
                    sent = respond(&mut plugin, one.token, "200");
                }
                other.borrow_mut().on_tick();
            }
            assert!(happened.get(), "{name}");
            let queued = abi::metric("meshmeter_events_queued_total");
            assert!(queued > 0 && queued == abi::metric("meshmeter_events_acknowledged_total"), "{name}: {queued}");
            assert_eq!(abi::metric("meshmeter_outbox_bytes"), 0, "{name}");
        });
        tested.join().unwrap();
    }
}

#[test]
fn race_the_end_of_the_vm_in_the_middle_of_a_dispatch_sends_its_final_flush() {
    let mut plugin = configured(1, CONFIGURATION);
    let other = Rc::new(RefCell::new(configured(2, CONFIGURATION)));
    call(&plugin);
    assert!(plugin.on_done());
    let ending = Rc::new(RefCell::new(Plugin::new(2)));
    let interrupting = ending.clone();
    // The same root context, as Envoy never calls it: its dispatch has not returned yet.
    abi::interrupt("proxy_http_call", move || {
        assert!(interrupting.borrow_mut().on_done());
    });
    let sent = tick(&mut other.borrow_mut(), 1100);
    assert_eq!(sent.len(), 1, "one without a configuration cannot send: {sent:?}");
    assert!(
        abi::shared()[LIST].0.starts_with(sent[0].header("meshmeter-emitter").split(';').next().unwrap().as_bytes())
    );
}

#[test]
fn race_without_ticks_metrics_are_told_at_once_and_it_is_said() {
    abi::fail("proxy_set_tick_period_milliseconds", INTERNAL_FAILURE, 1);
    let plugin = configured(1, CONFIGURATION);
    assert!(abi::logged("Envoy gives no ticks"));
    call(&plugin);
    assert_eq!(abi::metric("meshmeter_calls_total"), 1);
}

#[test]
fn contract_a_configuration_that_cannot_be_read_is_refused() {
    super::set_logger();
    abi::fail("proxy_get_buffer_bytes", INTERNAL_FAILURE, 1);
    assert!(!Plugin::new(1).on_configure(10));
    assert!(abi::logged("configuration refused"));
}

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
pub fn tick(plugin: &mut Plugin, now_ms: u64) -> Vec<Sent> {
    abi::set_time(now_ms);
    plugin.on_tick();
    abi::sent()
}

/// The collector responds to a dispatch.
pub fn respond(plugin: &mut Plugin, token: u32, status: &str) -> Vec<Sent> {
    respond_with(plugin, token, status, &[])
}

fn respond_with(plugin: &mut Plugin, token: u32, status: &str, more: &[(&str, &str)]) -> Vec<Sent> {
    let headers = [(":status", status), ("meshmeter-collector", "1"), ("content-type", "application/json")];
    let headers = [&headers[..], more].concat();
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
fn contract_a_gauge_says_how_long_events_have_waited_and_one_which_version_runs() {
    let mut plugin = configured(1, CONFIGURATION);
    let age = || abi::metric("meshmeter_outbox_oldest_age_seconds");
    call(&plugin);
    tick(&mut plugin, 1100);
    tick(&mut plugin, 9100);
    assert_eq!((age(), abi::metric("meshmeter_plugin_build_info")), (8, 1), "what was sent in vain waits");
    let again = tick(&mut plugin, 60_000);
    assert_eq!(age(), 59, "and what is in flight");
    respond(&mut plugin, again[0].token, "200");
    tick(&mut plugin, 62_000);
    assert_eq!((age(), abi::metric("meshmeter_plugin_build_info")), (0, 1));
}

#[test]
fn contract_what_the_collector_quarantines_and_what_it_refuses_is_counted() {
    for (status, header, due) in [
        ("200", &[("meshmeter-quarantined", "1")][..], [1, 1, 0]),
        ("200", &[], [1, 0, 0]),
        ("400", &[], [0, 0, 1]),
        ("503", &[], [0, 0, 0]),
    ] {
        let tested = thread::spawn(move || {
            let mut plugin = configured(1, CONFIGURATION);
            call(&plugin);
            let sent = tick(&mut plugin, 1100);
            respond_with(&mut plugin, sent[0].token, status, header);
            tick(&mut plugin, 1150);
            let counts = ["acknowledged", "quarantined", "rejected"];
            assert_eq!(counts.map(|what| abi::metric(&format!("meshmeter_events_{what}_total"))), due, "{status}");
            assert_eq!(abi::metric("meshmeter_collector_failures_total"), i64::from(status != "200"), "{status}");
        });
        tested.join().unwrap();
    }
}

#[test]
fn contract_the_token_of_the_environment_is_shown_to_the_collector_and_no_other() {
    // A variable that Cargo sets for its tests.
    let token = std::env::var("CARGO_PKG_VERSION").unwrap();
    for (variable, shown) in [("CARGO_PKG_VERSION", format!("Bearer {token}")), ("MESHMETER_UNSET", String::new())] {
        let json = format!(
            r#"{{"collector":{{"cluster":"collector","token_env":"{variable}"}},"batch":{{"max_age_ms":100}}}}"#
        );
        let mut plugin = configured(1, &json);
        call(&plugin);
        let sent = tick(&mut plugin, 1100);
        assert_eq!(sent[0].header("authorization"), shown);
        respond(&mut plugin, sent[0].token, "200");
    }
}

#[test]
fn contract_a_dispatch_that_an_ending_vm_gives_up_is_no_failure_of_the_collectors() {
    let mut plugin = configured(1, CONFIGURATION);
    call(&plugin);
    assert_eq!(tick(&mut plugin, 1100).len(), 1);
    call(&plugin);
    assert!(plugin.on_done());
    assert_eq!(abi::sent().len(), 1, "the final flush");
    assert_eq!(abi::metric("meshmeter_events_retried_total"), 1, "it goes along again");
    assert_eq!(abi::metric("meshmeter_collector_failures_total"), 0);
    assert!(!abi::logged("the collector takes no events"));
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
            assert!(abi::logged("is not handed off"), "{name}");
        });
        tested.join().unwrap();
    }
}

/// In the middle of a hostcall of a call, a tick or a response: another call ends, and the same root context's timer and
/// response come. The SDK's dispatcher lets only callbacks of streams come in the middle of those of a root context, and the
/// reverse, and panics at any other; Envoy sends none. These tests go past the dispatcher: whatever is let through is safe.
#[test]
fn race_callbacks_in_the_middle_of_a_hostcall_trap_nowhere_and_each_call_is_recorded_or_counted() {
    // When, in the middle of what, and whether the VM's state is held then, so that the other call has no record.
    let cases = [
        ("a call", "proxy_get_current_time_nanoseconds", false),
        ("a call", "proxy_get_property", false),
        ("a call", "proxy_get_shared_data", true),
        ("a call", "proxy_set_shared_data", true),
        ("a call", "proxy_define_metric", true),
        ("a call", "proxy_record_metric", true),
        ("a call", "proxy_set_property", false),
        ("a tick", "proxy_get_current_time_nanoseconds", false),
        ("a tick", "proxy_increment_metric", true),
        ("a tick", "proxy_get_shared_data", false),
        ("a tick", "proxy_http_call", false),
        ("a response", "proxy_get_header_map_value", false),
        ("a response", "proxy_get_current_time_nanoseconds", false),
        ("a response", "proxy_log", true),
        ("a response", "proxy_define_metric", true),
    ];
    for (when, name, is_held) in cases {
        thread::spawn(move || interrupted(when, name, is_held)).join().unwrap();
    }
}

fn interrupted(when: &str, name: &'static str, is_held: bool) {
    let again = Rc::new(RefCell::new(configured(1, CONFIGURATION)));
    let mut plugin = configured(1, CONFIGURATION);
    let happened = Rc::new(Cell::new(false));
    let (interrupting, happens) = (again.clone(), happened.clone());
    let arm = |now: &str| {
        let (interrupting, happens) = (interrupting.clone(), happens.clone());
        let happens = move || {
            happens.set(true);
            let mut again = interrupting.borrow_mut();
            call(&again);
            again.on_tick();
            again.on_http_call_response(77, 0, 0, 0);
        };
        if now == when {
            abi::interrupt(name, happens);
        }
    };
    arm("a call");
    call(&plugin);
    arm("a tick");
    let mut sent = tick(&mut plugin, 1100);
    arm("a response");
    let mut status = "500";
    for now_ms in [1100, 10_000, 20_000, 30_000] {
        while let Some(one) = sent.pop() {
            assert!(sent.is_empty(), "{when}, {name}: more than one in flight: {one:?} {sent:?}");
            sent = respond(&mut plugin, one.token, std::mem::replace(&mut status, "200"));
        }
        sent = tick(&mut plugin, now_ms);
    }
    assert!(happened.get(), "{when}, {name}");
    let counts = ["meshmeter_records_total", "meshmeter_events_acknowledged_total", "meshmeter_calls_unrecorded_total"];
    let due = if is_held { [1, 1, 1] } else { [2, 2, 0] };
    assert_eq!(counts.map(abi::metric), due, "{when}, {name}");
    assert_eq!(abi::logged("there is no record of it"), is_held, "{when}, {name}");
    assert_eq!(abi::metric("meshmeter_outbox_bytes"), 0, "{when}, {name}");
}

#[test]
fn race_the_end_of_the_vm_in_the_middle_of_a_dispatch_sends_its_final_flush() {
    let mut plugin = configured(1, CONFIGURATION);
    let ending = RefCell::new(configured(1, CONFIGURATION));
    call(&plugin);
    // The same root context, as neither Envoy nor the SDK's dispatcher calls it: its dispatch has not returned yet.
    abi::interrupt("proxy_http_call", move || {
        assert!(ending.borrow_mut().on_done());
    });
    let sent = tick(&mut plugin, 1100);
    let statements: Vec<&str> = sent.iter().map(|sent| sent.header("meshmeter-emitter")).collect();
    assert_eq!(sent.len(), 2, "{statements:?}");
    assert!(statements[0].ends_with("; head=1; dropped=0; end"), "{statements:?}");
    assert!(statements[1].ends_with("; head=1; dropped=0"), "what was on its way: {statements:?}");
    assert_eq!(sent[0].body, sent[1].body);
    assert!(abi::shared()[LIST].0.starts_with(statements[0].split(';').next().unwrap().as_bytes()), "it is handed off");
    // Nobody waits for the dispatch that was interrupted.
    respond(&mut plugin, sent[1].token, "200");
    tick(&mut plugin, 1200);
    assert_eq!(abi::metric("meshmeter_events_acknowledged_total"), 0);
    respond(&mut plugin, sent[0].token, "200");
    tick(&mut plugin, 1300);
    assert_eq!(abi::metric("meshmeter_events_acknowledged_total"), 1);
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

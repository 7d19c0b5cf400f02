//! Where dispatches go if the collector has several clusters, or an alias.

use super::abi::{self, BAD_ARGUMENT, INTERNAL_FAILURE};
use super::delivering::{respond, tick};
use super::{call, configured};

const TWO: &str = r#"{"collector":{"cluster":["first","second"],"timeout_ms":1000},"batch":{"max_age_ms":100}}"#;
const ALIAS: &str = r#"{"collector":{"alias":"collector","timeout_ms":1000},"batch":{"max_age_ms":100}}"#;
const BOTH: &str =
    r#"{"collector":{"alias":"collector","cluster":"second","timeout_ms":1000},"batch":{"max_age_ms":100}}"#;
/// Where Envoy Gateway says what cluster an alias is.
const BACKEND: &str = "xds\0route_metadata\0filter_metadata\0gateway.envoyproxy.io/extension-backends\0collector";

fn failures() -> i64 {
    abi::metric("meshmeter_collector_failures_total")
}

#[test]
fn contract_a_dispatch_goes_once_to_the_first_cluster_that_there_is() {
    let mut plugin = configured(1, TWO);
    let mut now_ms = 1000;
    for (unknown, goes_to) in
        [(&["first"][..], "second"), (&[], "first"), (&["second"], "first"), (&["first"], "second")]
    {
        abi::set_unknown_clusters(unknown);
        call(&plugin);
        now_ms += 1000;
        let sent = tick(&mut plugin, now_ms);
        assert_eq!(sent.len(), 1, "{unknown:?}: {sent:?}");
        assert_eq!(sent[0].cluster, goes_to, "{unknown:?}");
        respond(&mut plugin, sent[0].token, "200");
    }
    tick(&mut plugin, now_ms + 100);
    assert_eq!((abi::metric("meshmeter_events_acknowledged_total"), failures()), (4, 0));
}

#[test]
fn race_where_no_cluster_is_there_an_event_waits_until_one_is_and_it_is_said_which_are_looked_for() {
    let mut plugin = configured(1, TWO);
    abi::set_unknown_clusters(&["first", "second"]);
    call(&plugin);
    assert!(tick(&mut plugin, 1100).is_empty());
    assert!(abi::logged("no_cluster: Envoy has no such cluster; cluster first or second, path /v1/events"));
    abi::set_unknown_clusters(&["first"]);
    let sent = tick(&mut plugin, 10_000);
    assert_eq!((sent.len(), sent[0].cluster.as_str()), (1, "second"));
    respond(&mut plugin, sent[0].token, "200");
    tick(&mut plugin, 10_100);
    assert_eq!(
        (abi::metric("meshmeter_events_acknowledged_total"), failures()),
        (1, 1),
        "one dispatch failed, not two"
    );
}

#[test]
fn race_a_cluster_that_is_there_and_cannot_send_is_not_passed_over() {
    let mut plugin = configured(1, TWO);
    call(&plugin);
    abi::fail("proxy_http_call", INTERNAL_FAILURE, 1);
    assert!(tick(&mut plugin, 1100).is_empty(), "nothing goes to the second one");
    assert!(abi::logged("not_sent"));
    // Both statuses, one after the other: the second cluster is there.
    abi::fail("proxy_http_call", BAD_ARGUMENT, 1);
    let sent = tick(&mut plugin, 10_000);
    assert_eq!((sent.len(), sent[0].cluster.as_str()), (1, "second"));
}

#[test]
fn contract_an_alias_is_the_cluster_that_the_route_of_the_last_call_has_for_it() {
    let mut plugin = configured(1, ALIAS);
    call(&plugin);
    assert!(tick(&mut plugin, 1100).is_empty(), "no route knows the alias");
    assert!(abi::logged("the route of no call has had this alias yet"));
    assert!(abi::logged("alias collector, path /v1/events"));
    abi::set_property(BACKEND, b"envoyextensionpolicy/a/b/backend/0");
    call(&plugin);
    let sent = tick(&mut plugin, 10_000);
    assert_eq!((sent.len(), sent[0].cluster.as_str()), (1, "envoyextensionpolicy/a/b/backend/0"));
    assert_eq!(sent[0].body.matches("\"specversion\"").count(), 2, "what has waited goes along");
    respond(&mut plugin, sent[0].token, "200");
    // A new configuration in the same VM need not wait for a call; a new name counts from the next call on.
    let mut plugin = configured(2, ALIAS);
    abi::set_time(11_000);
    abi::set_property(BACKEND, b"another");
    call(&plugin);
    let sent = tick(&mut plugin, 12_000);
    assert_eq!((sent.len(), sent[0].cluster.as_str()), (1, "another"));
    respond(&mut plugin, sent[0].token, "200");
    tick(&mut plugin, 12_100);
    assert_eq!(abi::metric("meshmeter_events_acknowledged_total"), 3);
}

#[test]
fn contract_an_alias_goes_before_the_clusters_and_they_stand_in_for_it() {
    let mut plugin = configured(1, BOTH);
    let mut now_ms = 1000;
    let long = "x".repeat(1025);
    let cases: [(&[u8], &[&str], &str); 5] = [
        (b"", &[], "second"),
        (b"generated", &[], "generated"),
        (b"generated", &["generated"], "second"),
        (b"\xff", &["generated"], "second"),
        (long.as_bytes(), &["generated"], "second"),
    ];
    for (property, unknown, goes_to) in cases {
        abi::set_property(BACKEND, property);
        abi::set_unknown_clusters(unknown);
        call(&plugin);
        now_ms += 1000;
        let sent = tick(&mut plugin, now_ms);
        assert_eq!((sent.len(), sent[0].cluster.as_str()), (1, goes_to), "{property:?} {unknown:?}");
        respond(&mut plugin, sent[0].token, "200");
    }
}

#[test]
fn contract_a_vm_that_sees_no_call_sends_to_the_cluster_that_another_one_has_learned() {
    let mut plugin = configured(1, ALIAS);
    abi::set_property(BACKEND, b"envoyextensionpolicy/a/b/backend/0");
    call(&plugin);
    // As the VM of the main thread is, which takes over what an update leaves: it has the shared data only.
    crate::vm::with(|vm| vm.aliased = crate::alias::Aliased::default());
    let sent = tick(&mut plugin, 1100);
    assert_eq!((sent.len(), sent[0].cluster.as_str()), (1, "envoyextensionpolicy/a/b/backend/0"));
}

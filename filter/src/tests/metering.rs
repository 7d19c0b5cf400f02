//! Calls on a proxy that does not give what it should.

use std::thread;

use proxy_wasm::traits::{Context, RootContext};

use super::abi::{self, INTERNAL_FAILURE, NOT_FOUND, REQUEST_BODY, REQUEST_HEADERS};
use super::delivering::{respond, tick};
use super::{ASKED, CONFIGURATION, RESPONDED, call, configured, pass, pass_with};
use crate::host::{self, Headers};

/// Every hostcall that a call or its delivery may make, but for the dispatch: that is the SDK's, which panics at a status that
/// Envoy does not give.
const HOSTCALLS: [&str; 15] = [
    "proxy_get_buffer_bytes",
    "proxy_set_buffer_bytes",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_remove_header_map_value",
    "proxy_get_property",
    "proxy_set_property",
    "proxy_get_shared_data",
    "proxy_set_shared_data",
    "proxy_define_metric",
    "proxy_increment_metric",
    "proxy_record_metric",
    "proxy_get_current_time_nanoseconds",
    "proxy_done",
];
/// Every status of the ABI that is not success, and two that are none.
const STATUSES: [u32; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, u32::MAX];

/// A stream that is asked for its usage, and the response to it, of which that is taken out again.
const STREAM: &[u8] = br#"{"model":"gpt-4o","stream":true,"messages":[{"role":"user"}]}"#;
const STREAM_HEAD: &[(&str, &str)] =
    &[(":status", "200"), ("content-type", "text/event-stream"), ("content-length", "152")];
const STREAMED: &[u8] = b"data: {\"id\":\"r2\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4o\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10}}\n\ndata: [DONE]\n\n";

/// The record of the last call.
fn record() -> String {
    abi::written("meshmeter").unwrap_or_default()
}

#[test]
fn race_a_hostcall_that_fails_stops_no_call_and_the_next_call_is_metered() {
    for name in HOSTCALLS {
        for status in STATUSES {
            thread::spawn(move || failing(name, status)).join().unwrap();
        }
    }
}

/// A hostcall fails while calls pass, a dispatch goes out, a response comes and a root context goes.
fn failing(name: &'static str, status: u32) {
    let mut old = configured(1, CONFIGURATION);
    call(&old);
    abi::set_time(1100);
    old.on_tick();
    let first = abi::sent();
    let mut plugin = configured(2, CONFIGURATION);
    assert!(!old.on_done(), "it waits for its response");
    let before = abi::calls(name);
    abi::fail(name, status, usize::MAX);
    call(&plugin);
    pass_with(&plugin, (STREAM, STREAM.len()), STREAM_HEAD, (STREAMED, STREAMED.len()));
    // What it says of it is shared among VMs.
    respond(&mut old, first[0].token, "500");
    tick(&mut plugin, 2000);
    tick(&mut plugin, 2500);
    assert!(abi::calls(name) > before, "{name}");
    abi::recover();
    record();
    call(&plugin);
    let record = record();
    assert!(record.contains("\"input_tokens\":7"), "{name} {status}");
    // What is in flight is overdue by then, and its backoff over.
    let sent: Vec<_> = [100_000, 200_000].into_iter().flat_map(|now_ms| tick(&mut plugin, now_ms)).collect();
    assert!(sent.iter().any(|sent| sent.body.contains(&record)), "{name} {status}: {sent:?}");
}

#[test]
fn race_properties_that_fail_leave_a_record_without_them() {
    let plugin = configured(1, CONFIGURATION);
    abi::fail("proxy_get_property", INTERNAL_FAILURE, usize::MAX);
    call(&plugin);
    let record = record();
    assert!(record.contains("\"tenant\":\"invalid\"") && record.contains("\"input_tokens\":7"), "{record}");
    assert!(!record.contains("\"cluster\""), "{record}");
    assert!(abi::calls("proxy_get_property") > 0);
    abi::recover();
    abi::set_property("xds\0cluster_name", b"openai");
    call(&plugin);
    assert!(self::record().contains("\"cluster\":\"openai\""));
}

#[test]
fn race_a_body_shorter_or_longer_than_said_is_read_as_far_as_both_go() {
    let plugin = configured(1, CONFIGURATION);
    pass(&plugin, (ASKED, 10 * ASKED.len()), (RESPONDED, 1_000_000));
    assert!(record().contains("\"input_tokens\":7"), "what is there is read");
    pass(&plugin, (ASKED, 0), (RESPONDED, RESPONDED.len() - 60));
    assert!(!record().contains("\"input_tokens\":7"), "what was not said to be there is not read");
    pass(&plugin, (b"", 100), (b"", 100));
    assert!(record().contains("\"evidence\""), "there is a record all the same");
}

#[test]
fn race_a_body_that_is_gone_leaves_a_record_without_counts() {
    for status in [NOT_FOUND, INTERNAL_FAILURE] {
        let plugin = configured(1, CONFIGURATION);
        abi::fail("proxy_get_buffer_bytes", status, usize::MAX);
        call(&plugin);
        abi::recover();
        let record = record();
        assert!(record.contains("\"status\":200") && !record.contains("\"input_tokens\":7"), "{record}");
    }
}

#[test]
fn race_a_request_that_cannot_be_changed_goes_on_as_it_is() {
    let plugin = configured(1, CONFIGURATION);
    pass(&plugin, (STREAM, STREAM.len()), (b"", 0));
    let changed = String::from_utf8(abi::buffer(REQUEST_BODY)).unwrap();
    assert_eq!(changed.matches("include_usage").count(), 1, "{changed}");
    // Shorter than said: what is put in its place has not the length that was announced, but nothing is put in twice.
    pass(&plugin, (STREAM, 10 * STREAM.len()), (b"", 0));
    let changed = String::from_utf8(abi::buffer(REQUEST_BODY)).unwrap();
    assert_eq!(changed.matches("include_usage").count(), 1, "{changed}");
    for name in ["proxy_get_buffer_bytes", "proxy_set_buffer_bytes", "proxy_replace_header_map_value"] {
        abi::fail(name, INTERNAL_FAILURE, usize::MAX);
        pass(&plugin, (STREAM, STREAM.len()), (b"", 0));
        let body = String::from_utf8(abi::buffer(REQUEST_BODY)).unwrap();
        assert_eq!(body.matches("include_usage").count(), 0, "{name}: {body}");
        abi::recover();
    }
}

#[test]
fn race_headers_that_are_none_are_left_out() {
    let whole = [&1u32.to_le_bytes()[..], &1u32.to_le_bytes(), &2u32.to_le_bytes(), b"a\0bc\0"].concat();
    let read = |bytes: &[u8]| {
        abi::set_header_bytes(REQUEST_HEADERS, bytes);
        host::headers(Headers::Request).unwrap().get("a").map(<[u8]>::to_vec)
    };
    assert_eq!(read(&whole).as_deref(), Some(&b"bc"[..]));
    for end in 0..whole.len() - 1 {
        assert_eq!(read(&whole[..end]), None, "{end} bytes");
    }
    let many = [&u32::MAX.to_le_bytes()[..], &whole[4..]].concat();
    assert_eq!(read(&many).as_deref(), Some(&b"bc"[..]), "more are said than there are");
    let long = [&1u32.to_le_bytes()[..], &u32::MAX.to_le_bytes(), &u32::MAX.to_le_bytes(), b"a\0bc\0"].concat();
    assert_eq!(read(&long), None);
}

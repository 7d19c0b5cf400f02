//! Several instances of the plugin in one filter chain: a call has one record.

use proxy_wasm::traits::{HttpContext, RootContext};
use proxy_wasm::types::Action;

use super::abi::{self, INTERNAL_FAILURE, REQUEST_BODY, REQUEST_HEADERS, RESPONSE_BODY, RESPONSE_HEADERS};
use super::delivering::tick;
use super::{ASKED, CONFIGURATION, REQUEST, RESPONDED, RESPONSE, configured};
use crate::plugin::Plugin;

/// Metrics and journal only.
const WITHOUT: &str = "{}";
/// A path that nothing is known of: only the response shows that it is a call.
const ELSEWHERE: &[(&str, &str)] =
    &[(":method", "POST"), (":authority", "llm.corp"), (":path", "/ask"), ("content-type", "application/json")];
/// A path of OpenAI's at a host that nobody knows.
const BY_PATH: &[(&str, &str)] = &[
    (":method", "POST"),
    (":authority", "llm.corp"),
    (":path", "/v1/chat/completions"),
    ("content-type", "application/json"),
];
/// A rule that knows the first of them.
const KNOWS: &str = r#"{"collector":{"cluster":"collector"},"providers":[{"host":"llm.corp","path":"ask","provider":"corp","api":"openai_chat"}]}"#;

const METERED: &str = "meshmeter_records_total";
const ALREADY: &str = "meshmeter_calls_already_metered_total";

/// A call through a chain of instances: requests pass in their order, responses in the reverse, and each is told of the end in
/// their order.
fn through(chain: &[&Plugin], head: &[(&str, &str)]) {
    abi::begin_stream();
    let mut streams: Vec<Box<dyn HttpContext>> =
        chain.iter().map(|plugin| plugin.create_http_context(9).unwrap()).collect();
    let headers = abi::set_headers(REQUEST_HEADERS, head);
    for stream in &mut streams {
        assert_eq!(stream.on_http_request_headers(headers, false), Action::Continue);
    }
    abi::set_buffer(REQUEST_BODY, ASKED);
    for stream in &mut streams {
        assert_eq!(stream.on_http_request_body(ASKED.len(), true), Action::Continue);
    }
    let headers = abi::set_headers(RESPONSE_HEADERS, RESPONSE);
    for stream in streams.iter_mut().rev() {
        assert_eq!(stream.on_http_response_headers(headers, false), Action::Continue);
    }
    abi::set_buffer(RESPONSE_BODY, RESPONDED);
    for stream in streams.iter_mut().rev() {
        assert_eq!(stream.on_http_response_body(RESPONDED.len(), true), Action::Continue);
    }
    streams.iter_mut().for_each(|stream| stream.on_log());
    abi::end_stream();
}

/// The events that are sent, and how many calls were metered and left to another instance.
fn outcome(plugin: &mut Plugin) -> (usize, i64, i64) {
    let sent = tick(plugin, 20_000);
    let events = sent.iter().map(|sent| sent.body.matches("\"specversion\"").count()).sum();
    (events, abi::metric(METERED), abi::metric(ALREADY))
}

#[test]
fn deterministic_of_two_instances_the_first_meters_and_the_other_counts_and_says_it_once() {
    let first = configured(1, CONFIGURATION);
    let mut second = configured(2, CONFIGURATION);
    for _ in 0..3 {
        through(&[&first, &second], REQUEST);
        let journal = abi::written("meshmeter").unwrap();
        assert!(journal.contains("\"input_tokens\":7") && !journal.contains('\n'), "{journal}");
    }
    assert_eq!(outcome(&mut second), (3, 3, 3));
    assert_eq!(abi::metric("meshmeter_calls_total"), 3);
    assert_eq!(abi::metric("gen_ai_client_inference_calls_total"), 3);
    assert_eq!(abi::metric("meshmeter_identity_refused_total"), 0);
    assert_eq!(abi::times_logged("the plugin is configured twice"), 1);
}

#[test]
fn deterministic_a_third_instance_counts_too_and_a_single_one_never_does() {
    let first = configured(1, CONFIGURATION);
    let (second, mut third) = (configured(2, CONFIGURATION), configured(3, CONFIGURATION));
    through(&[&first], REQUEST);
    through(&[&first], REQUEST);
    assert_eq!((abi::metric(ALREADY), abi::times_logged("configured twice")), (0, 0));
    through(&[&first, &second, &third], REQUEST);
    assert_eq!(outcome(&mut third), (3, 3, 2));
}

#[test]
fn deterministic_an_instance_with_a_collector_meters_wherever_it_stands() {
    let bills = configured(1, CONFIGURATION);
    let shows = configured(2, WITHOUT);
    for head in [REQUEST, BY_PATH] {
        through(&[&bills, &shows], head);
        through(&[&shows, &bills], head);
    }
    let mut bills = configured(3, CONFIGURATION);
    assert_eq!(outcome(&mut bills), (4, 4, 4));
}

#[test]
fn deterministic_a_call_that_only_its_response_shows_is_metered_once() {
    let first = configured(1, CONFIGURATION);
    let mut second = configured(2, CONFIGURATION);
    through(&[&first, &second], ELSEWHERE);
    assert_eq!(outcome(&mut second), (1, 1, 1));
}

#[test]
fn deterministic_a_call_by_path_is_metered_by_the_first_unless_another_knows_it_surely() {
    let first = configured(1, CONFIGURATION);
    let second = configured(2, CONFIGURATION);
    through(&[&first, &second], BY_PATH);
    let json = KNOWS.replace(",\"path\":\"ask\"", "");
    let mut knows = configured(3, &json);
    through(&[&first, &knows], BY_PATH);
    assert!(abi::written("meshmeter").unwrap().contains("\"provider\":\"corp\""));
    assert_eq!(outcome(&mut knows), (2, 2, 2));
}

#[test]
fn deterministic_the_instance_that_is_certain_meters_whichever_comes_first() {
    let guesses = configured(1, CONFIGURATION);
    let mut knows = configured(2, KNOWS);
    through(&[&guesses, &knows], ELSEWHERE);
    assert!(abi::written("meshmeter").unwrap().contains("\"provider\":\"corp\""));
    through(&[&knows, &guesses], ELSEWHERE);
    assert!(abi::written("meshmeter").unwrap().contains("\"provider\":\"corp\""));
    assert_eq!(outcome(&mut knows), (2, 2, 2));
}

#[test]
fn contract_what_is_no_call_is_not_marked() {
    let plugin = configured(1, CONFIGURATION);
    let get = [(":method", "GET"), (":authority", "api.openai.com"), (":path", "/v1/models")];
    abi::begin_stream();
    let mut stream = plugin.create_http_context(9).unwrap();
    let headers = abi::set_headers(REQUEST_HEADERS, &get);
    let before = abi::calls("proxy_set_property");
    assert_eq!(stream.on_http_request_headers(headers, true), Action::Continue);
    stream.on_log();
    abi::end_stream();
    assert_eq!(abi::calls("proxy_set_property"), before);
}

#[test]
fn contract_no_header_of_a_client_makes_an_instance_leave_a_call() {
    let mut plugin = configured(1, CONFIGURATION);
    for name in ["meshmeter_metered", "wasm.meshmeter_metered", "meshmeter-metered"] {
        through(&[&plugin], &[REQUEST, &[(name, "\u{1}\u{2}")]].concat());
    }
    assert_eq!(outcome(&mut plugin), (3, 3, 0));
}

#[test]
fn race_where_the_mark_cannot_be_read_or_set_calls_are_metered_twice_rather_than_not_at_all() {
    let first = configured(1, CONFIGURATION);
    let mut second = configured(2, CONFIGURATION);
    for name in ["proxy_get_property", "proxy_set_property"] {
        abi::fail(name, INTERNAL_FAILURE, usize::MAX);
        through(&[&first, &second], REQUEST);
        abi::recover();
    }
    assert_eq!(outcome(&mut second), (4, 4, 0));
}

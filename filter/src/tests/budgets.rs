//! Calls that budgets let pass or refuse, and the exchange of leases.

use std::thread;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::Action;
use wire::lease::{self, Budget, Ceiling, Lease, Mode, Request, Response, Scope, Unit};

use super::abi::{
    self, DISPATCH_RESPONSE_BODY, DISPATCH_RESPONSE_HEADERS, REQUEST_BODY, REQUEST_HEADERS, RESPONSE_BODY,
    RESPONSE_HEADERS, Sent,
};
use super::delivering::{respond, tick};
use super::{REQUEST, call, configured, end};
use crate::plugin::Plugin;

const HELD: &str = r#"{"collector":{"cluster":"collector","timeout_ms":1000},"batch":{"max_age_ms":100},"budgets":{"assume_output_tokens":4000}}"#;
/// Its body takes 1,078 tokens at most, and its response 11.
const BOUNDED: &[u8] = br#"{"model":"gpt-4o","max_tokens":10,"messages":["user"]}"#;

fn budget(name: &str, unit: Unit) -> Budget {
    Budget { name: name.to_owned(), scope: Scope::default(), per_tenant: false, unit, mode: Mode::Hard }
}

/// A lease of the first minute, of a limit of 10,000.
fn lease(granted: u64, left: u64) -> Lease {
    Lease { window_s: 0, until_s: 60, granted, charged: 0, limit: 10_000, left, available: left }
}

/// The requests for leases among what was sent.
fn asked(sent: &[Sent]) -> Option<(u32, Request)> {
    let sent = sent.iter().find(|sent| sent.header(":path") == "/v1/leases")?;
    assert_eq!((sent.cluster.as_str(), sent.header(":method")), ("collector", "POST"));
    assert_eq!(sent.header("meshmeter-emitter-key").len(), 32);
    Some((sent.token, lease::request(sent.body.as_bytes()).unwrap()))
}

/// The collector responds with this body.
fn give(plugin: &mut Plugin, token: u32, status: &str, body: &[u8]) -> Vec<Sent> {
    let headers = [(":status", status), ("content-type", "application/json")];
    let count = abi::set_headers(DISPATCH_RESPONSE_HEADERS, &headers);
    let size = abi::set_buffer(DISPATCH_RESPONSE_BODY, body);
    plugin.on_http_call_response(token, count, size, 0);
    abi::sent()
}

/// A worker that holds such a lease of this budget.
fn holds(budget: Budget, lease: Lease) -> Plugin {
    let mut plugin = configured(1, HELD);
    let (token, request) = asked(&tick(&mut plugin, 1000)).expect("budgets are asked for at once");
    assert_eq!((request.number, request.revision), (1, 0));
    let budgets = Response { number: 1, revision: 2, budgets: Some(vec![budget]), ..Response::default() };
    let sent = give(&mut plugin, token, "200", &lease::encode_response(&budgets));
    let asked_for = asked(&sent).expect("what is shared is asked for without waiting");
    grant(&mut plugin, asked_for, lease);
    plugin
}

/// In a proxy of its own.
fn apart(test: impl FnOnce() + Send + 'static) {
    thread::spawn(test).join().unwrap();
}

fn grant(plugin: &mut Plugin, (token, request): (u32, Request), lease: Lease) {
    let response = Response {
        number: request.number,
        revision: 2,
        budgets: None,
        leases: vec![Some(lease); request.leases.len()],
        prices: vec![Some(Ceiling { input: 2, output: 5, call: 100 }); request.prices.len()],
    };
    give(plugin, token, "200", &lease::encode_response(&response));
}

fn begin(plugin: &Plugin, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (Box<dyn HttpContext>, Action) {
    abi::begin_stream();
    let mut stream = plugin.create_http_context(9).unwrap();
    let length = body.len().to_string();
    let mut head: Vec<(&str, &str)> = REQUEST.to_vec();
    head.retain(|(name, _)| {
        !matches!(*name, ":path" | "content-length") && !headers.iter().any(|(other, _)| other == name)
    });
    head.extend([(":path", path), ("content-length", length.as_str())]);
    head.extend(headers);
    let count = abi::set_headers(REQUEST_HEADERS, &head);
    assert_eq!(stream.on_http_request_headers(count, false), Action::Continue);
    // Envoy says the end in a callback of its own, when the provider has the rest: it is not waited for.
    let size = abi::set_buffer(REQUEST_BODY, body);
    let action = stream.on_http_request_body(size, false);
    (stream, action)
}

/// The response of a refused call, if it is one.
fn refused(plugin: &Plugin, body: &[u8]) -> Option<abi::LocalResponse> {
    refused_at(plugin, "/v1/chat/completions", "api.openai.com", body)
}

fn refused_at(plugin: &Plugin, path: &str, host: &str, body: &[u8]) -> Option<abi::LocalResponse> {
    let (mut stream, action) = begin(plugin, path, &[(":authority", host)], body);
    assert!(abi::responses().is_empty(), "Envoy would close the connection");
    let is_refused = action == Action::Pause;
    let size = if is_refused { body.len() } else { 0 };
    assert_eq!(stream.on_http_request_body(size, true), action);
    let response = abi::responses().pop();
    assert_eq!(is_refused, response.is_some());
    end(&mut *stream);
    abi::end_stream();
    response
}

#[test]
fn contract_a_call_passes_while_there_is_room_and_is_refused_before_the_provider_has_it_whole() {
    let mut plugin = holds(budget("all", Unit::Tokens), lease(2300, 10_000));
    let (mut first, action) = begin(&plugin, "/v1/chat/completions", &[], BOUNDED);
    assert_eq!(action, Action::Continue);
    let (mut second, action) = begin(&plugin, "/v1/chat/completions", &[], BOUNDED);
    assert_eq!(action, Action::Continue);
    let third = refused(&plugin, BOUNDED).expect("there is no room for a third");
    let [wait_s, wait_ms] = ["retry-after", "retry-after-ms"].map(|name| third.header(name).parse::<u64>().unwrap());
    assert!(third.status == 429 && (2000..4000).contains(&wait_ms), "calls that run have it: {wait_ms}");
    assert_eq!(wait_s, wait_ms.div_ceil(1000));
    let record = abi::written("meshmeter").unwrap();
    assert!(record.contains(r#""outcome":"refused""#) && record.contains(r#""refused_by":"budget:all""#), "{record}");
    assert!(!record.contains("_tokens\":"), "{record}");
    // What they have reserved is released, whatever they were.
    end(&mut *first);
    end(&mut *second);
    assert!(refused(&plugin, BOUNDED).is_none());
    tick(&mut plugin, 1200);
    assert_eq!(abi::metric("meshmeter_budget_refused_total"), 1);
    let stat = "meshmeter_budget_refused_total.meshmeter_budget=.=all;.;meshmeter_reason=.=no_lease;.;";
    assert_eq!(abi::metric(stat), 1);
}

#[test]
fn contract_what_a_call_has_cost_counts_until_the_collector_says_what_it_was_charged() {
    let mut plugin = holds(budget("all", Unit::Tokens), lease(2300, 10_000));
    call(&plugin); // It takes ten tokens.
    let (_stream, _) = begin(&plugin, "/v1/chat/completions", &[], BOUNDED);
    let (_stream, action) = begin(&plugin, "/v1/chat/completions", &[], BOUNDED);
    assert_eq!(action, Action::Continue);
    // 2,300 - 10 - 2 × 1,089 are left.
    let small: &[u8] = br#"{"model":"m","input":"x"}"#;
    assert!(refused_at(&plugin, "/v1/embeddings", "api.openai.com", small).is_some(), "it may take 1,049");
    assert!(asked(&tick(&mut plugin, 1100)).is_none(), "less than was asked for has come a moment ago");
    let (token, request) = asked(&tick(&mut plugin, 1300)).unwrap();
    assert_eq!(request.acknowledged, 0);
    assert_eq!(request.leases[0].need, 10 + 2 * 1089 + 1049, "{request:?}");
    grant(&mut plugin, (token, request), lease(3237, 10_000));
    assert!(refused_at(&plugin, "/v1/embeddings", "api.openai.com", small).is_none());
}

#[test]
fn contract_a_call_that_no_budget_covers_and_what_is_no_call_are_left_alone() {
    apart(|| {
        let scope = Scope { tenant: Some("somebody".into()), ..Scope::default() };
        let plugin = holds(Budget { scope, ..budget("some", Unit::Tokens) }, lease(0, 0));
        assert!(refused(&plugin, BOUNDED).is_none());
    });
    let plugin = holds(budget("all", Unit::Tokens), lease(0, 0));
    assert!(refused(&plugin, BOUNDED).is_some());
    assert!(
        refused_at(&plugin, "/upload", "files.example", BOUNDED).is_none(),
        "only its response can show what it is"
    );
    assert!(
        refused_at(&plugin, "/v1/chat/completions", "x.example", br#"{"messages":[]}"#).is_none(),
        "it names no model"
    );
}

#[test]
fn contract_a_refusal_has_the_form_of_the_providers_errors() {
    let bedrock = "/model/anthropic.claude-v2/invoke";
    let gemini = "/v1beta/models/gemini-2.5-pro:generateContent";
    let openai_429 = r#"{"error":{"message":"M","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
    let openai_402 =
        r#"{"error":{"message":"M","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
    let info = r#""details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"59s"}]"#;
    let cases = [
        ("/v1/chat/completions", "api.openai.com", openai_429.to_owned(), openai_402.to_owned()),
        ("/v1/responses", "api.openai.com", openai_429.to_owned(), openai_402.to_owned()),
        (
            "/v1/messages",
            "api.anthropic.com",
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"M"}}"#.to_owned(),
            r#"{"type":"error","error":{"type":"billing_error","message":"M"}}"#.to_owned(),
        ),
        (
            gemini,
            "generativelanguage.googleapis.com",
            format!(r#"{{"error":{{"code":429,"message":"M","status":"RESOURCE_EXHAUSTED",{info}}}}}"#),
            format!(r#"{{"error":{{"code":402,"message":"M","status":"RESOURCE_EXHAUSTED",{info}}}}}"#),
        ),
        (
            bedrock,
            "bedrock-runtime.us-east-1.amazonaws.com",
            r#"{"message":"M"}"#.to_owned(),
            r#"{"message":"M"}"#.to_owned(),
        ),
        ("/v2/chat", "api.cohere.com", r#"{"message":"M"}"#.to_owned(), r#"{"message":"M"}"#.to_owned()),
    ];
    for (path, host, tokens, money) in cases {
        for (unit, status, expected) in [(Unit::Tokens, 429, tokens), (Unit::Usd, 402, money)] {
            apart(move || {
                let mut plugin = configured(1, HELD);
                let (token, _) = asked(&tick(&mut plugin, 1000)).unwrap();
                let budgets = Response {
                    number: 1,
                    revision: 2,
                    budgets: Some(vec![budget("all", unit)]),
                    ..Response::default()
                };
                let sent = give(&mut plugin, token, "200", &lease::encode_response(&budgets));
                grant(&mut plugin, asked(&sent).unwrap(), lease(0, 0));
                refused_at(&plugin, path, host, BOUNDED);
                if let Some(asked_for) = asked(&tick(&mut plugin, 1100)) {
                    grant(&mut plugin, asked_for, lease(0, 0));
                }
                let refusal = refused_at(&plugin, path, host, BOUNDED).expect(path);
                assert_eq!((refusal.status, refusal.header("content-type")), (status, "application/json"), "{path}");
                assert_eq!((refusal.header("retry-after"), refusal.header("retry-after-ms")), ("59", ""), "{path}");
                let message = format!(
                    "Refused by budget all ({}): less is left of it than this call can cost; try again in 59 s.",
                    unit.as_str()
                );
                assert_eq!(refusal.body.replace(&message, "M"), expected, "{path}");
                let amazon = if status == 402 { "ServiceQuotaExceededException" } else { "ThrottlingException" };
                assert_eq!(refusal.header("x-amzn-errortype"), if path == bedrock { amazon } else { "" });
            });
        }
    }
}

#[test]
fn contract_a_client_is_told_not_to_come_again_where_that_cannot_help_soon() {
    apart(|| {
        let plugin = holds(budget("all", Unit::Tokens), lease(9000, 10_000));
        let large = refused(&plugin, br#"{"model":"gpt-4o","max_tokens":20000}"#).unwrap();
        assert_eq!((large.status, large.header("retry-after"), large.header("x-should-retry")), (429, "", "false"));
        assert!(large.body.contains("this call can cost more than all of it; ask for less"), "{}", large.body);
    });
    let hour = Lease { until_s: 3600, ..lease(0, 0) };
    let plugin = holds(budget("all", Unit::Tokens), hour);
    let late = refused(&plugin, BOUNDED).unwrap();
    assert_eq!((late.header("retry-after"), late.header("x-should-retry")), ("3599", "false"));
}

#[test]
fn contract_a_name_that_is_no_name_stays_inside_the_message() {
    let plugin = holds(budget("a\"},{\n", Unit::Tokens), lease(0, 0));
    let refusal = refused(&plugin, BOUNDED).unwrap();
    assert!(refusal.body.contains("Refused by budget a_____ (tokens)"), "{}", refusal.body);
}

#[test]
fn contract_a_call_with_trailers_and_one_without_a_body_are_no_way_around() {
    let plugin = holds(budget("all", Unit::Tokens), lease(0, 0));
    abi::begin_stream();
    let mut stream = plugin.create_http_context(9).unwrap();
    let head: Vec<_> = REQUEST.iter().filter(|(name, _)| *name != "content-length").copied().collect();
    let count = abi::set_headers(REQUEST_HEADERS, &head);
    assert_eq!(stream.on_http_request_headers(count, false), Action::Continue);
    let size = abi::set_buffer(REQUEST_BODY, br#"{"model":"gpt-4o","messages":["#);
    assert_eq!(stream.on_http_request_body(size, false), Action::Continue);
    assert_eq!(stream.on_http_request_trailers(1), Action::Pause);
    assert_eq!(abi::responses().len(), 1);
    end(&mut *stream);
    abi::end_stream();
    abi::begin_stream();
    let mut stream = plugin.create_http_context(9).unwrap();
    let count = abi::set_headers(REQUEST_HEADERS, REQUEST);
    assert_eq!(stream.on_http_request_headers(count, true), Action::Pause);
    assert_eq!(abi::responses().len(), 1);
    end(&mut *stream);
}

#[test]
fn race_where_the_collector_gives_no_leases_calls_pass_and_it_is_said_once() {
    let mut plugin = configured(1, HELD);
    for step in 0..20 {
        let sent = tick(&mut plugin, 1000 + step * 5000);
        if let Some((token, _)) = asked(&sent) {
            give(&mut plugin, token, "404", b"no such page");
        }
    }
    assert!(refused(&plugin, BOUNDED).is_none());
    tick(&mut plugin, 100_000);
    assert_eq!(abi::metric("meshmeter_budget_unheld_total"), 1);
    assert_eq!(abi::times_logged("gives no leases of budgets: not_found"), 1);
    assert!(abi::metric("meshmeter_lease_failures_total") > 5);
    assert_eq!(abi::metric("meshmeter_collector_failures_total"), 0, "of events none has failed");
}

#[test]
fn contract_a_lease_that_is_not_given_is_counted_and_calls_pass_as_without_the_collector() {
    let mut plugin = configured(1, HELD);
    let (token, _) = asked(&tick(&mut plugin, 1000)).unwrap();
    let budgets = Some(vec![budget("all", Unit::Tokens)]);
    let budgets = Response { number: 1, revision: 2, budgets, ..Response::default() };
    let (token, request) = asked(&give(&mut plugin, token, "200", &lease::encode_response(&budgets))).unwrap();
    assert_eq!(request.leases.len(), 1);
    let none = Response { number: 2, revision: 2, leases: vec![None], ..Response::default() };
    give(&mut plugin, token, "200", &lease::encode_response(&none));
    assert!(refused(&plugin, BOUNDED).is_none());
    tick(&mut plugin, 1500);
    let counted = ["meshmeter_lease_failures_total", "meshmeter_budget_unheld_total"].map(abi::metric);
    assert_eq!((counted, abi::times_logged("gives no leases of budgets")), ([1, 1], 0));
}

#[test]
fn race_responses_that_are_none_change_nothing() {
    for (status, body) in
        [("200", "<html>"), ("200", "{}"), ("200", r#"{"number":9,"revision":1}"#), ("503", "{}"), ("", "")]
    {
        apart(move || {
            let mut plugin = configured(1, HELD);
            let (token, _) = asked(&tick(&mut plugin, 1000)).unwrap();
            give(&mut plugin, token, status, body.as_bytes());
            assert!(refused(&plugin, BOUNDED).is_none());
            let (token, request) = asked(&tick(&mut plugin, 3000)).expect("it is asked again");
            assert_eq!(request.number, 2);
            let budgets = Response {
                number: 2,
                revision: 1,
                budgets: Some(vec![budget("all", Unit::Tokens)]),
                ..Response::default()
            };
            give(&mut plugin, token, "200", &lease::encode_response(&budgets));
            assert!(refused(&plugin, BOUNDED).is_some());
        });
    }
}

#[test]
fn contract_a_dispatch_of_events_brings_word_that_the_budgets_have_changed() {
    let mut plugin = holds(budget("all", Unit::Tokens), lease(10_000, 10_000));
    call(&plugin);
    let sent = tick(&mut plugin, 1200);
    let events = sent.iter().find(|sent| sent.header(":path") == "/v1/events").unwrap();
    let headers = [(":status", "200"), ("meshmeter-collector", "1"), ("meshmeter-budgets", "3")];
    let count = abi::set_headers(DISPATCH_RESPONSE_HEADERS, &headers);
    plugin.on_http_call_response(events.token, count, 2, 0);
    let (_, request) = asked(&tick(&mut plugin, 1300)).expect("they are asked for");
    assert_eq!((request.revision, request.acknowledged), (0, 1));
}

#[test]
fn race_a_root_context_that_goes_leaves_no_request_behind() {
    let mut old = configured(1, HELD);
    let (token, _) = asked(&tick(&mut old, 1000)).unwrap();
    let mut new = configured(2, HELD);
    assert!(old.on_done());
    assert!(asked(&tick(&mut old, 1050)).is_none(), "the new one sends");
    let (_, request) = asked(&tick(&mut new, 1100)).unwrap();
    assert_eq!(request.number, 2);
    give(&mut new, token, "200", b"{}");
    assert!(refused(&new, BOUNDED).is_none());
}

#[test]
fn race_a_call_that_ends_while_the_state_is_held_releases_what_it_has_reserved() {
    let mut plugin = holds(budget("all", Unit::Tokens), lease(1100, 10_000));
    let (stream, action) = begin(&plugin, "/v1/chat/completions", &[], BOUNDED);
    assert_eq!(action, Action::Continue);
    let stream = std::cell::RefCell::new(stream);
    assert!(refused(&plugin, BOUNDED).is_some());
    // That is told to the proxy with the state in hand.
    abi::interrupt("proxy_increment_metric", move || end(&mut **stream.borrow_mut()));
    tick(&mut plugin, 1050);
    tick(&mut plugin, 1100);
    assert!(refused(&plugin, BOUNDED).is_none());
    respond(&mut plugin, 999, "200");
}

#[test]
fn contract_a_call_that_nobody_could_tell_in_time_is_counted_if_a_budget_covers_it() {
    for (tenant, counted) in [(None, 1), (Some("somebody"), 0)] {
        apart(move || {
            let scope = Scope { tenant: tenant.map(str::to_owned), ..Scope::default() };
            let mut plugin = holds(Budget { scope, ..budget("all", Unit::Tokens) }, lease(0, 0));
            // Without a model a request to an unknown host may be anything.
            let head = [(":authority", "llm.internal")];
            let (mut stream, action) = begin(&plugin, "/v1/chat/completions", &head, br#"{"messages":[]}"#);
            assert_eq!(action, Action::Continue);
            let count = abi::set_headers(RESPONSE_HEADERS, &[(":status", "200"), ("content-type", "application/json")]);
            assert_eq!(stream.on_http_response_headers(count, false), Action::Continue);
            let body = br#"{"model":"m","usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#;
            let size = abi::set_buffer(RESPONSE_BODY, body);
            assert_eq!(stream.on_http_response_body(size, true), Action::Continue);
            end(&mut *stream);
            abi::end_stream();
            tick(&mut plugin, 1500);
            assert!(abi::written("meshmeter").unwrap().contains("\"completed\""));
            assert_eq!(abi::metric("meshmeter_budget_late_total"), counted);
        });
    }
}

//! The plugin on a proxy that fails, loses and interrupts as Envoy cannot be made to.

pub(crate) mod abi;
mod budgets;
mod clusters;
mod delivering;
mod identity;
mod instances;
mod metering;

use proxy_wasm::traits::{HttpContext, RootContext};
use proxy_wasm::types::Action;

use crate::plugin::Plugin;
use abi::{REQUEST_BODY, REQUEST_HEADERS, RESPONSE_BODY, RESPONSE_HEADERS};

/// A configuration with a collector.
const CONFIGURATION: &str = r#"{"collector":{"cluster":"collector","timeout_ms":1000},"batch":{"max_age_ms":100}}"#;

/// Lines of the log go to the proxy, and panics to the test.
pub(crate) fn set_logger() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
        std::panic::set_hook(hook);
    });
}

/// A root context that has taken a configuration, at 1,000 ms.
fn configured(root: u32, json: &str) -> Plugin {
    set_logger();
    abi::set_time(1000);
    let mut plugin = Plugin::new(root);
    assert!(plugin.on_configure(abi::set_configuration(json)));
    plugin
}

const REQUEST: &[(&str, &str)] = &[
    (":method", "POST"),
    (":authority", "api.openai.com"),
    (":path", "/v1/chat/completions"),
    ("content-type", "application/json"),
    ("content-length", "62"),
    ("x-request-id", "the-request"),
];
const ASKED: &[u8] = br#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;
const RESPONSE: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
const RESPONDED: &[u8] = br#"{"id":"r1","object":"chat.completion","model":"gpt-4o","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#;

/// A call passes; every callback lets it go on. `request` and `response` are bodies in one piece, of the size that is said.
fn pass(plugin: &Plugin, request: (&[u8], usize), response: (&[u8], usize)) {
    pass_with(plugin, request, RESPONSE, response);
}

fn pass_with(plugin: &Plugin, request: (&[u8], usize), head: &[(&str, &str)], response: (&[u8], usize)) {
    abi::begin_stream();
    let mut stream = plugin.create_http_context(9).unwrap();
    let headers = abi::set_headers(REQUEST_HEADERS, REQUEST);
    assert_eq!(stream.on_http_request_headers(headers, false), Action::Continue);
    abi::set_buffer(REQUEST_BODY, request.0);
    assert_eq!(stream.on_http_request_body(request.1, true), Action::Continue);
    let headers = abi::set_headers(RESPONSE_HEADERS, head);
    assert_eq!(stream.on_http_response_headers(headers, false), Action::Continue);
    abi::set_buffer(RESPONSE_BODY, response.0);
    assert_eq!(stream.on_http_response_body(response.1, true), Action::Continue);
    end(&mut *stream);
    abi::end_stream();
}

/// A whole call passes.
fn call(plugin: &Plugin) {
    pass(plugin, (ASKED, ASKED.len()), (RESPONDED, RESPONDED.len()));
}

fn end(stream: &mut dyn HttpContext) {
    stream.on_done();
    stream.on_log();
}

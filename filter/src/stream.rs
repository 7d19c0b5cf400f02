//! One HTTP stream: hands its heads and chunks to a call, and makes the record when it is over.
//!
//! The bytes are only looked at: every callback lets the stream go on, whatever metering makes of it.

use std::rc::Rc;

use meter::call::{Call, Ended, RequestHead, ResponseHead};
use meter::config::Config;
use meter::event::MAX_TEXT;
use meter::identity::{self, Identity};
use meter::usage::Usage;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::caller::EnvoyCaller;
use crate::host::{self, Buffer, Failure, Headers};
use crate::vm;

/// What a metered stream carries from its beginning to its end.
struct Metered {
    call: Call,
    identity: Identity,
    request_id: Option<String>,
    provider_request_id: Option<String>,
    /// The single values are in the filter state.
    published: bool,
}

/// A stream; `metered` is empty if it is no LLM call, and after its record is made.
pub struct Stream {
    config: Option<Rc<Config>>,
    metered: Option<Metered>,
}

impl Stream {
    pub fn new(config: Option<Rc<Config>>) -> Self {
        Stream { config, metered: None }
    }

    fn begin(&mut self) -> Option<Metered> {
        let config = self.config.as_deref()?;
        let method = request_header(":method")?;
        if method != b"POST" {
            return None;
        }
        let (host, path) = (request_header(":authority").unwrap_or_default(), request_header(":path")?);
        let encoding = request_header("content-encoding");
        let head = RequestHead { method: &method, host: &host, path: &path, content_encoding: encoding.as_deref() };
        let call = Call::begin(&head, config.detect_by_shape, host::now_ns())?;
        let identity = identity::resolve(&config.tenant, &EnvoyCaller, |refusal| {
            vm::with(|vm| vm.count_refusal(refusal));
        });
        let request_id = request_header("x-request-id").and_then(text);
        Some(Metered { call, identity, request_id, provider_request_id: None, published: false })
    }

    /// The answer is complete: rate limits and span tags may read its counts before the stream is over.
    fn answered(&mut self) {
        if let Some(metered) = &mut self.metered {
            metered.call.response_end();
            if let (false, Some(usage)) = (metered.published, metered.call.usage()) {
                metered.published = true;
                publish(&metered.identity, &usage);
            }
        }
    }

    /// Makes the record, once: on_log comes whatever ends the stream.
    fn finish(&mut self) {
        let Some(metered) = self.metered.take() else { return };
        let (now_ns, published) = (host::now_ns(), metered.published);
        let ended = Ended {
            now_ns,
            response_flags: known(host::number("response\0flags")).unwrap_or(0),
            identity: metered.identity,
            attempts: known(host::number("upstream\0request_attempt_count")),
            provider_request_id: metered.provider_request_id,
            request_id: metered.request_id,
            route: known(host::property("xds\0route_name")).and_then(text),
            cluster: known(host::property("xds\0cluster_name")).and_then(text),
            node: vm::with(|vm| vm.node()).flatten(),
        };
        let Some(record) = metered.call.finish(ended) else { return };
        if !published {
            publish(&record.identity, &record.usage);
        }
        let send = self.config.as_ref().is_some_and(|config| config.collector.is_some());
        if let Some(event) = vm::with(|vm| vm.emit(&record, now_ns, send)) {
            known(host::set_property("meshmeter", &event).map(Some));
        }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        self.metered = self.begin();
        Action::Continue
    }

    fn on_http_request_body(&mut self, size: usize, _end_of_stream: bool) -> Action {
        if let Some(metered) = &mut self.metered
            && size > 0
            && metered.call.reads_request()
            && let Some(bytes) = known(host::buffer(Buffer::RequestBody, size))
        {
            metered.call.request_body(&bytes);
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _headers: usize, end_of_stream: bool) -> Action {
        if let Some(metered) = &mut self.metered {
            let header = |name: &str| known(host::header(Headers::Response, name));
            let status = header(":status").and_then(|status| std::str::from_utf8(&status).ok()?.parse().ok());
            let (content_type, encoding) = (header("content-type"), header("content-encoding"));
            metered.call.response_head(&ResponseHead {
                status,
                content_type: content_type.as_deref(),
                content_encoding: encoding.as_deref(),
            });
            // OpenAI's name and Anthropic's.
            metered.provider_request_id = header("x-request-id").or_else(|| header("request-id")).and_then(text);
        }
        if end_of_stream {
            self.answered();
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if let Some(metered) = &mut self.metered
            && size > 0
        {
            metered.call.first_byte(host::now_ns);
            if metered.call.reads_response()
                && let Some(bytes) = known(host::buffer(Buffer::ResponseBody, size))
            {
                metered.call.response_body(&bytes);
            }
        }
        if end_of_stream {
            self.answered();
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _trailers: usize) -> Action {
        self.answered();
        Action::Continue
    }

    fn on_log(&mut self) {
        self.finish();
    }
}

/// Puts single values into the filter state, for access logs, span tags and rate limits.
fn publish(identity: &Identity, usage: &Usage) {
    let set = |name: &str, value: &str| known(host::set_property(name, value.as_bytes()).map(Some));
    set("meshmeter_tenant", &identity.tenant);
    for (name, count) in
        [("meshmeter_input_tokens", usage.input_total()), ("meshmeter_output_tokens", usage.output_total())]
    {
        if let Some(count) = count {
            set(name, &count.to_string());
        }
    }
}

/// What the host knows; a failure is counted and otherwise like not knowing.
fn known<T>(answer: Result<Option<T>, Failure>) -> Option<T> {
    answer.unwrap_or_else(|failure| {
        vm::with(|vm| vm.count_failure(failure));
        None
    })
}

fn request_header(name: &str) -> Option<Vec<u8>> {
    known(host::header(Headers::Request, name))
}

/// A short text of a header or property, as the record keeps it.
fn text(mut value: Vec<u8>) -> Option<String> {
    value.truncate(MAX_TEXT);
    match String::from_utf8(value) {
        Ok(text) if text.is_empty() => None,
        Ok(text) => Some(text),
        Err(error) => Some(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

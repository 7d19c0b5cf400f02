//! The plain way to write the filter: a JSON response is buffered and parsed by serde_json when it is whole, a stream event
//! by event; only the usage is kept (no tree). What it found stands in the filter state `wasm.bench_usage`.

#![allow(missing_docs)] // The SDK's macro exports a function without.

use proxy_wasm::{
    traits::{Context, HttpContext, RootContext},
    types::{Action, ContextType},
};
use serde::Deserialize;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(Root) });
}}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::default()))
    }
}

#[derive(Deserialize)]
struct Response {
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

#[derive(Default)]
struct Stream {
    events: bool,
    open: Vec<u8>,
    usage: Option<Usage>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let kind = self.get_http_response_header("content-type").unwrap_or_default();
        self.events = kind.starts_with("text/event-stream");
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        if self.events {
            if let Some(chunk) = self.get_http_response_body(0, size) {
                self.open.extend_from_slice(&chunk);
                self.read_events();
            }
        } else if !end {
            return Action::Pause;
        } else if let Some(body) = self.get_http_response_body(0, size) {
            self.usage = parse(&body);
        }
        if end {
            self.tell();
        }
        Action::Continue
    }
}

impl Stream {
    fn read_events(&mut self) {
        let mut start = 0;
        while let Some(length) = self.open[start..].windows(2).position(|two| two == b"\n\n") {
            let event = &self.open[start..start + length];
            if let Some(usage) = event.strip_prefix(b"data: ").and_then(parse) {
                self.usage = Some(usage);
            }
            start += length + 2;
        }
        self.open.drain(..start);
    }

    fn tell(&self) {
        if let Some(usage) = &self.usage {
            let (input, output) = (usage.prompt_tokens.unwrap_or(0), usage.completion_tokens.unwrap_or(0));
            self.set_property(vec!["bench_usage"], Some(format!("{input} {output}").as_bytes()));
        }
    }
}

fn parse(json: &[u8]) -> Option<Usage> {
    serde_json::from_slice::<Response>(json).ok()?.usage
}

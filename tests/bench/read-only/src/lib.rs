//! The floor of any proxy-wasm filter that sees bodies: it reads each chunk of a response and does nothing with it.
//! A gauge, set once a second, proves that it read.

#![allow(missing_docs)] // The SDK's macro exports a function without.

use std::{cell::Cell, time::Duration};

use proxy_wasm::{
    hostcalls,
    traits::{Context, HttpContext, RootContext},
    types::{Action, BufferType, ContextType, MetricType},
};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(Root { gauge: None }) });
}}

thread_local! {
    static READ: Cell<u64> = const { Cell::new(0) };
}

struct Root {
    gauge: Option<u32>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        self.gauge = hostcalls::define_metric(MetricType::Gauge, "bench_bytes_read").ok();
        self.set_tick_period(Duration::from_secs(1));
        true
    }

    fn on_tick(&mut self) {
        let read = READ.get();
        if let (Some(gauge), true) = (self.gauge, read > 0) {
            let _ = hostcalls::record_metric(gauge, read);
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream))
    }
}

struct Stream;

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_response_body(&mut self, size: usize, _: bool) -> Action {
        if let Ok(Some(chunk)) = hostcalls::get_buffer(BufferType::HttpResponseBody, 0, size) {
            READ.set(READ.get() + chunk.len() as u64);
        }
        Action::Continue
    }
}

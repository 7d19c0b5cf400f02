//! The root context: takes the configuration, sends batches on its ticks, and sends the final flush of its VM.

use std::rc::Rc;
use std::time::Duration;

use meter::config::{self, Collector, Config};
use meter::failures::CollectorFailure;
use meter::outbox::{Batch, Response};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, Status};
use wire::emitter::{self, EmitterKey};
use wire::event::BATCH_CONTENT_TYPE;
use wire::quarantine;
use wire::statement::{self, Statement};

use crate::failures;
use crate::handoff;
use crate::host::{self, Buffer, Headers};
use crate::process;
use crate::refusals;
use crate::stream::Stream;
use crate::unmapped;
use crate::vm;

/// How old the metrics may be.
const METRICS_MS: u64 = 250;

/// A root context, one per VM and configuration.
pub struct Plugin {
    context_id: u32,
    /// Envoy is done with it; it stays for the response to its call.
    leaves: bool,
    config: Option<Rc<Config>>,
    authorization: Option<String>,
}

impl Plugin {
    pub fn new(context_id: u32) -> Self {
        Plugin { context_id, leaves: false, config: None, authorization: None }
    }

    fn collector(&self) -> Option<&Collector> {
        self.config.as_ref()?.collector.as_ref()
    }

    fn is_sender(&self) -> bool {
        vm::with(|vm| vm.is_sender(self.context_id)).unwrap_or(false)
    }

    /// A response later than this never comes: its root context is gone.
    fn patience_ms(collector: &Collector) -> u64 {
        collector.timeout_ms.saturating_add(1000)
    }

    fn send_due(&self) {
        let Some(collector) = self.collector() else { return };
        let now_ms = vm::millis(host::now_ns());
        let batch = vm::with(|vm| vm.poll(now_ms, Self::patience_ms(collector)));
        if let Some(batch) = batch.flatten() {
            self.send(collector, batch, now_ms);
        }
    }

    fn send(&self, collector: &Collector, batch: Batch, now_ms: u64) {
        let statement = batch.statement.to_string();
        let sent = self.call(collector, &batch.key, &statement, &batch.body);
        let beside = vm::with(|vm| match sent {
            Ok(token) => {
                vm.called(token, self.context_id);
                vm.goes_beside(now_ms)
            }
            Err(status) => {
                vm.settle(now_ms, Response::lost(unsent(status)));
                false
            }
        });
        if beside == Some(true) {
            // Nobody waits for its response, so it tells nothing that has to be told.
            let statement = Statement { drops: Vec::new(), ..batch.statement };
            let _ = self.call(collector, &batch.key, &statement.to_string(), b"[]");
        }
    }

    fn call(&self, collector: &Collector, key: &EmitterKey, statement: &str, body: &[u8]) -> Result<u32, Status> {
        let mut headers = vec![
            (":method", "POST"),
            (":scheme", "http"),
            (":path", collector.path.as_str()),
            (":authority", collector.authority.as_str()),
            ("content-type", BATCH_CONTENT_TYPE),
            (emitter::KEY_HEADER, key.secret()),
            (statement::HEADER, statement),
        ];
        if let Some(authorization) = &self.authorization {
            headers.push(("authorization", authorization));
        }
        let timeout = Duration::from_millis(collector.timeout_ms);
        // The SDK's own call, for it keeps the list of tokens; it returns both statuses that Envoy can give.
        hostcalls::dispatch_http_call(&collector.cluster, headers, Some(body), vec![], timeout)
    }

    /// The end of the VM, or of Envoy: what waits is sent at once, for there is no later.
    fn send_final_flush(&self) {
        let Some(collector) = self.collector() else { return };
        let now_ms = vm::millis(host::now_ns());
        let final_flush = vm::with(|vm| vm.end(now_ms, Self::patience_ms(collector)));
        if let Some(final_flush) = final_flush.flatten() {
            self.send(collector, final_flush, now_ms);
        }
    }

    /// Lets Envoy delete a root context that stayed for a response, when it has it.
    fn leave(&mut self) {
        let waits = vm::with(|vm| vm.is_caller(self.context_id)).unwrap_or(false);
        if self.leaves && !waits {
            self.leaves = false;
            if host::done().is_err() {
                log::error!("meshmeter: Envoy keeps a root context that is done");
            }
        }
    }
}

impl Context for Plugin {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _trailers: usize) {
        if !vm::with(|vm| vm.awaits(token)).unwrap_or(false) {
            return;
        }
        // A call that was reset in the middle of the response has no headers.
        let response = if headers == 0 { Response::lost(CollectorFailure::Reset) } else { response(body) };
        vm::with(|vm| vm.settle(vm::millis(host::now_ns()), response));
        if self.is_sender() {
            self.send_due();
        }
        self.leave();
    }

    /// The end of a configuration, of the VM, or of Envoy. If another root context is left, that one sends on, and this
    /// one stays until its own dispatch has its response. The last one cannot stay: Envoy destroys the VM at once.
    fn on_done(&mut self) -> bool {
        if vm::with(|vm| vm.is_alone(self.context_id)).unwrap_or(false) {
            vm::with(|vm| vm.metrics.tell_at_once());
            self.send_final_flush();
            return true;
        }
        vm::with(|vm| vm.leave(self.context_id));
        self.leaves = vm::with(|vm| vm.is_caller(self.context_id)).unwrap_or(false);
        !self.leaves
    }
}

impl RootContext for Plugin {
    /// Runs several times per process, on the main thread and in a VM that is thrown away: nothing may be counted here.
    fn on_configure(&mut self, size: usize) -> bool {
        let json = host::buffer(Buffer::PluginConfiguration, 0..size).ok().flatten().unwrap_or_default();
        let config = match config::parse(&json) {
            Ok(config) => config,
            Err(problems) => {
                for problem in problems.to_string().lines() {
                    log::error!("meshmeter: configuration refused: {problem}");
                }
                return false;
            }
        };
        match &config.collector {
            None if host::first_to_mark("meshmeter: no collector") => {
                log::warn!(
                    "meshmeter: no collector.cluster configured: metrics and access-log records only, no billing"
                );
            }
            None => {}
            Some(collector) => {
                let token = std::env::var(&collector.token_env).ok().filter(|token| !token.trim().is_empty());
                self.authorization = token.map(|token| format!("Bearer {}", token.trim()));
            }
        }
        for shared in [handoff::LIST, process::NAME, failures::SAID, refusals::KNOWN, unmapped::SAID] {
            shared.prepare();
        }
        vm::configure(&config, self.context_id, self.authorization.is_some());
        // Often enough that a batch is not much older than it may be.
        let period_ms = (config.batch.max_age_ms / 4).clamp(50, METRICS_MS);
        if host::set_tick(u32::try_from(period_ms).unwrap_or(50)).is_err() {
            log::error!("meshmeter: Envoy gives no ticks: events are queued, but not sent");
            vm::with(|vm| vm.metrics.tell_at_once());
        }
        self.config = Some(Rc::new(config));
        true
    }

    fn on_tick(&mut self) {
        vm::with(|vm| vm.metrics.tell());
        if self.is_sender() {
            self.send_due();
        }
        self.leave();
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(self.config.clone())))
    }
}

/// Why Envoy did not send a call.
fn unsent(status: Status) -> CollectorFailure {
    match status {
        Status::BadArgument => CollectorFailure::NoCluster,
        _ => CollectorFailure::NotSent,
    }
}

/// The collector's response, read off the headers of the call.
fn response(body: usize) -> Response {
    let header = |name: &str| host::header(Headers::CallResponse, name).ok().flatten();
    let number = |name: &str| std::str::from_utf8(&header(name)?).ok()?.trim().parse::<u64>().ok();
    let is_html = |kind: Vec<u8>| kind.get(..9).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/html"));
    Response {
        status: number(":status"),
        retry_after_ms: number("retry-after").map(|s| s.saturating_mul(1000)),
        reads_statements: header(statement::COLLECTOR_HEADER).is_some(),
        quarantined: header(quarantine::HEADER).map_or(0, |numbers| quarantine::count(&numbers)),
        is_page: body > 0 && header("content-type").is_some_and(is_html),
        lost: None,
    }
}

//! The root context: takes the configuration, sends batches on its ticks, and says the last word of its VM.

use std::rc::Rc;
use std::time::Duration;

use meter::config::{self, Collector, Config};
use meter::event::{BATCH_CONTENT_TYPE, statement};
use meter::outbox::{Answer, Batch};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::host::{self, Buffer, Headers};
use crate::stream::Stream;
use crate::vm;

/// How long a VM that is not needed any more stays to empty its outbox, ms. A collector that restarts is back within
/// it; what then still waits is in the journal.
const DRAIN_MAX_MS: u64 = 60_000;

/// A root context, one per VM and configuration.
pub struct Plugin {
    context_id: u32,
    /// Envoy is done with it; it stays at most until then.
    stays_until_ms: Option<u64>,
    config: Option<Rc<Config>>,
    authorization: Option<String>,
}

impl Plugin {
    pub fn new(context_id: u32) -> Self {
        Plugin { context_id, stays_until_ms: None, config: None, authorization: None }
    }

    fn collector(&self) -> Option<&Collector> {
        self.config.as_ref()?.collector.as_ref()
    }

    fn is_sender(&self) -> bool {
        vm::with(|vm| vm.is_sender(self.context_id)).unwrap_or(false)
    }

    /// An answer later than this never comes: its root context is gone.
    fn patience_ms(collector: &Collector) -> u64 {
        collector.timeout_ms.saturating_add(1000)
    }

    fn send_due(&self) {
        let Some(collector) = self.collector() else { return };
        let now_ms = vm::millis(host::now_ns());
        let batch = vm::with(|vm| {
            if vm.outbox.is_overdue(now_ms) {
                vm.settle(now_ms, Answer::default());
            }
            vm.outbox.poll(now_ms, Self::patience_ms(collector))
        });
        if let Some(batch) = batch.flatten() {
            self.send(collector, batch, now_ms);
        }
    }

    fn send(&self, collector: &Collector, batch: Batch, now_ms: u64) {
        let statement = batch.statement.to_string();
        let mut headers = vec![
            (":method", "POST"),
            (":scheme", "http"),
            (":path", collector.path.as_str()),
            (":authority", collector.authority.as_str()),
            ("content-type", BATCH_CONTENT_TYPE),
            (statement::HEADER, statement.as_str()),
        ];
        if let Some(authorization) = &self.authorization {
            headers.push(("authorization", authorization));
        }
        let timeout = Duration::from_millis(collector.timeout_ms);
        // The SDK's own call, for it keeps the list of tokens; it returns both statuses that Envoy can give.
        let sent = hostcalls::dispatch_http_call(&collector.cluster, headers, Some(&batch.body), vec![], timeout);
        vm::with(|vm| match sent {
            Ok(token) => vm.called(token, self.context_id),
            Err(_) => vm.settle(now_ms, Answer::default()),
        });
    }

    /// The end of the VM: what waits is sent at once, for at a shutdown there is no later. False: not all is said.
    fn say_last_word(&self) -> bool {
        let Some(collector) = self.collector() else { return true };
        let now_ms = vm::millis(host::now_ns());
        let batch = vm::with(|vm| {
            // Nobody may be there any more to hear its answer: its events go along again.
            if vm.outbox.is_in_flight() {
                vm.settle(now_ms, Answer::default());
            }
            vm.outbox.last_word(now_ms, Self::patience_ms(collector))
        });
        match batch.flatten() {
            Some(batch) => {
                self.send(collector, batch, now_ms);
                false
            }
            None => true,
        }
    }

    /// Lets Envoy delete a root context that stayed for something, when that is over.
    fn leave(&mut self) {
        let Some(until_ms) = self.stays_until_ms else { return };
        let is_over = vm::millis(host::now_ns()) >= until_ms;
        let is_done =
            vm::with(|vm| !vm.is_caller(self.context_id) && (!vm.is_sender(self.context_id) || vm.outbox.is_done()));
        if is_over || is_done.unwrap_or(true) {
            self.stays_until_ms = None;
            vm::with(|vm| vm.leave(self.context_id));
            if host::done().is_err() {
                log::error!("meshmeter: Envoy keeps a root context that is done");
            }
        }
    }
}

impl Context for Plugin {
    fn on_http_call_response(&mut self, token: u32, headers: usize, _body: usize, _trailers: usize) {
        if !vm::with(|vm| vm.awaits(token)).unwrap_or(false) {
            return;
        }
        // A call that was reset in the middle of the answer has no headers.
        let answer = if headers == 0 { Answer::default() } else { answer() };
        vm::with(|vm| vm.settle(vm::millis(host::now_ns()), answer));
        if self.is_sender() {
            self.send_due();
        }
        self.leave();
    }

    /// The end of a configuration, of the VM, or of Envoy, which does not wait. If another root context is left, that one
    /// sends on, and this one stays for the answer to its own call; the last one says the last word, and stays until
    /// everything is acknowledged.
    fn on_done(&mut self) -> bool {
        let is_alone = vm::with(|vm| vm.is_alone(self.context_id)).unwrap_or(false);
        let may_go = if is_alone {
            self.say_last_word()
        } else {
            vm::with(|vm| {
                vm.leave(self.context_id);
                !vm.is_caller(self.context_id)
            })
            .unwrap_or(true)
        };
        if !may_go {
            self.stays_until_ms = Some(vm::millis(host::now_ns()).saturating_add(DRAIN_MAX_MS));
        }
        may_go
    }
}

impl RootContext for Plugin {
    /// Runs several times per process, on the main thread and in a VM that is thrown away: nothing may be counted here.
    fn on_configure(&mut self, size: usize) -> bool {
        let json = host::buffer(Buffer::PluginConfiguration, size).ok().flatten().unwrap_or_default();
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
                // Often enough that a batch is not much older than it may be.
                let period_ms = (config.batch.max_age_ms / 4).clamp(50, 1000);
                if host::set_tick(u32::try_from(period_ms).unwrap_or(1000)).is_err() {
                    log::error!("meshmeter: Envoy gives no ticks: events are queued, but not sent");
                }
            }
        }
        vm::configure(&config, self.context_id);
        self.config = Some(Rc::new(config));
        true
    }

    fn on_tick(&mut self) {
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

/// The collector's answer, read off the headers of the call.
fn answer() -> Answer {
    let number = |name: &str| {
        let value = host::header(Headers::CallResponse, name).ok().flatten()?;
        std::str::from_utf8(&value).ok()?.trim().parse::<u64>().ok()
    };
    Answer {
        status: number(":status"),
        retry_after_ms: number("retry-after").map(|s| s.saturating_mul(1000)),
        reads_statements: matches!(host::header(Headers::CallResponse, statement::COLLECTOR_HEADER), Ok(Some(_))),
    }
}

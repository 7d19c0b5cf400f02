//! The root context: takes the configuration, hands Envoy's callbacks to delivery, and does what delivery wants.

use std::rc::Rc;
use std::time::Duration;

use delivery::lease::Lost;
use delivery::{Action, Batch, Response, SharedValue, Unavailable, Written, lease_headers};
use meter::config::{self, Collector, Config};
use meter::failures::CollectorFailure;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, Status};
use wire::lease;

use crate::alias;
use crate::failures;
use crate::host::{self, Buffer, Failure, Headers};
use crate::process;
use crate::refusals;
use crate::stream::Stream;
use crate::unmapped;
use crate::vm;
use crate::waiting;

/// The longest response with leases that is read, bytes: 1,000 budgets take some 300 KB.
const MAX_LEASES: usize = 4 << 20;
/// How often to tick where the VM's state cannot be had, ms.
const TICK_MS: u32 = 250;

/// A root context, one per VM and configuration.
pub struct Plugin {
    context_id: u32,
    config: Option<Rc<Config>>,
    authorization: Option<String>,
}

impl Plugin {
    pub fn new(context_id: u32) -> Self {
        Plugin { context_id, config: None, authorization: None }
    }

    /// Does what delivery wants, until it wants nothing more. No state is held meanwhile, so that a callback of a stream may
    /// come in the middle of a hostcall. One of a root context may not: the SDK's dispatcher holds all root contexts while one of
    /// them runs, and would panic. Envoy sends neither.
    fn deliver(&self) {
        while let Some(action) = vm::with(|vm| vm.delivery.poll()).flatten() {
            match action {
                Action::Dispatch { batch, .. } => {
                    let result = self.dispatch(&batch);
                    vm::with(|vm| vm.delivery.dispatched(result));
                }
                Action::Read { key } => {
                    let value = host::shared(&key).map_err(|_| Unavailable);
                    let value = value.map(|value| value.map(|(bytes, cas)| SharedValue { bytes, cas }));
                    vm::with(|vm| vm.delivery.read(value));
                }
                Action::Write { key, value, cas } => {
                    let written = match host::set_shared(&key, &value, cas) {
                        Ok(()) => Written::Done,
                        Err(Failure(host::CAS_MISMATCH)) => Written::CasMismatch,
                        Err(_) => Written::Failed,
                    };
                    vm::with(|vm| vm.delivery.written(written));
                }
                Action::Done => {
                    if host::done().is_err() {
                        log::error!("meshmeter: Envoy keeps a root context that is done");
                    }
                }
                Action::Settled(outcome) => {
                    let now_ms = vm::millis(host::now_ns());
                    vm::with(|vm| vm.settled(now_ms, &outcome));
                }
                Action::NotHandedOff { emitter } => {
                    log::error!(
                        "meshmeter: what emitter {emitter} left is not handed off, for want of room or of shared data; the journal has it"
                    );
                }
            }
        }
    }

    /// Sends a batch to the collector; its token, or why there is none.
    fn dispatch(&self, batch: &Batch) -> Result<u32, CollectorFailure> {
        let collector = self.config.as_ref().and_then(|config| config.collector.as_ref());
        let collector = collector.ok_or(CollectorFailure::NotSent)?;
        let statement = batch.statement.to_string();
        let headers = batch.headers(collector, &statement, self.authorization.as_deref());
        send(collector, &headers, &batch.body)
    }

    /// Asks the collector for leases, if it is time, and this root context is the one that sends.
    fn ask(&self, now_ms: u64) {
        let Some(config) = self.config.as_deref() else { return };
        let (Some(collector), Some(budgets)) = (&config.collector, &config.budgets) else { return };
        let asked = vm::with(|vm| {
            if !vm.delivery.sends(self.context_id) {
                return None;
            }
            let request = vm.leases.poll(now_ms, vm.delivery.acknowledged())?;
            Some((request, vm.delivery.key().clone()))
        });
        let Some((request, key)) = asked.flatten() else { return };
        let headers = lease_headers(collector, &budgets.path, &key, self.authorization.as_deref());
        let result = send(collector, &headers, &lease::encode_request(&request));
        vm::with(|vm| {
            vm.leases.dispatched(now_ms, result);
            if let Err(failure) = result {
                vm.heard_leases(now_ms, Some(failure));
            }
        });
    }

    /// The response to a request for leases.
    fn hear_leases(&self, token: u32, response: Response, size: usize) {
        let now_ms = vm::millis(host::now_ns());
        let lost = |failure| Lost { failure, retry_after_ms: response.retry_after_ms };
        let leases = if response.is_taken() {
            let body = host::buffer(Buffer::CallResponseBody, 0..size.min(MAX_LEASES)).ok().flatten();
            let leases = body.and_then(|body| lease::response(&body).ok());
            leases.ok_or_else(|| lost(CollectorFailure::NotACollector))
        } else {
            Err(lost(response.failure()))
        };
        let failure = leases.as_ref().err().map(|lost| lost.failure);
        let is_missing = leases.as_ref().is_ok_and(|response| response.leases.contains(&None));
        let is_given = leases.as_ref().is_ok_and(|response| response.leases.iter().any(Option::is_some));
        vm::with(|vm| {
            let is_it = vm.leases.respond(now_ms, token, leases);
            let failure = failure.or_else(|| (!is_it).then_some(CollectorFailure::NotACollector));
            vm.heard_leases(now_ms, failure);
            if is_it && is_missing {
                vm.missed_lease();
            }
            if is_it && is_given {
                vm.delivery.hold_leases();
            }
        });
        self.ask(now_ms);
    }
}

/// Sends a request to the collector; its token, or why there is none.
fn send(collector: &Collector, headers: &[(&str, &str)], body: &[u8]) -> Result<u32, CollectorFailure> {
    let timeout = Duration::from_millis(collector.timeout_ms);
    let aliased = collector.alias.as_deref().and_then(alias::cluster);
    // A cluster that Envoy does not have sends nothing, so the next name may be tried at once, and nothing is sent twice.
    // Which one it was is not kept: clusters come and go.
    for cluster in aliased.iter().chain(&collector.clusters) {
        // The SDK's own function, for it keeps the list of tokens; it returns both statuses that Envoy can give.
        match hostcalls::dispatch_http_call(cluster, headers.to_vec(), Some(body), vec![], timeout) {
            Ok(token) => return Ok(token),
            Err(Status::BadArgument) => {}
            Err(_) => return Err(CollectorFailure::NotSent),
        }
    }
    Err(CollectorFailure::NoCluster)
}

impl Context for Plugin {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _trailers: usize) {
        let is_lease = vm::with(|vm| vm.leases.awaits(token)).unwrap_or(false);
        if !is_lease && !vm::with(|vm| vm.delivery.awaits(token)).unwrap_or(false) {
            return;
        }
        // One that was reset in the middle of the response has no headers.
        let response = match headers {
            0 => Response::lost(CollectorFailure::Reset),
            _ => Response::read(|name| host::header(Headers::CallResponse, name).ok().flatten(), body > 0),
        };
        if is_lease {
            return self.hear_leases(token, response, body);
        }
        let now_ms = vm::millis(host::now_ns());
        vm::with(|vm| vm.delivery.respond(now_ms, self.context_id, token, response));
        self.deliver();
    }

    /// The end of a configuration, of the VM, or of Envoy.
    fn on_done(&mut self) -> bool {
        let now_ms = vm::millis(host::now_ns());
        let may_go = vm::with(|vm| {
            if vm.delivery.is_alone(self.context_id) {
                vm.count_unrecorded();
                vm.metrics.tell_at_once();
            }
            vm.delivery.done(now_ms, self.context_id)
        });
        self.deliver();
        may_go.unwrap_or(true)
    }
}

impl RootContext for Plugin {
    /// Runs several times per process, on the main thread and in a VM that is thrown away: nothing may be counted here.
    fn on_configure(&mut self, size: usize) -> bool {
        let Ok(json) = host::buffer(Buffer::PluginConfiguration, 0..size) else {
            log::error!("meshmeter: configuration refused: Envoy does not give it");
            return false;
        };
        let mut config = match config::parse(&json.unwrap_or_default()) {
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
        for variable in config.take_secrets(|name| std::env::var(name).ok()) {
            log::error!(
                "meshmeter: the environment variable {variable} (tenant[].secret_env) holds no secret of 16 characters or more: \
                 calls with an API key are charged to nobody (tenant `invalid`, reason no_hash_key)"
            );
        }
        for shared in [process::NAME, failures::SAID, refusals::KNOWN, refusals::TAKEN, unmapped::SAID, waiting::NOTES]
        {
            shared.prepare();
        }
        let tick_ms = vm::configure(&config, self.context_id, self.authorization.is_some());
        self.deliver();
        if host::set_tick(tick_ms.and_then(|ms| u32::try_from(ms).ok()).unwrap_or(TICK_MS)).is_err() {
            log::error!("meshmeter: Envoy gives no ticks: events are queued, but not sent");
            vm::with(|vm| vm.metrics.tell_at_once());
        }
        self.config = Some(Rc::new(config));
        true
    }

    fn on_tick(&mut self) {
        let now_ms = vm::millis(host::now_ns());
        vm::with(|vm| {
            vm.count_unrecorded();
            vm.count_running(now_ms);
            vm.metrics.tell();
            vm.delivery.tick(now_ms, self.context_id);
            vm.release_rest();
        });
        self.deliver();
        self.ask(now_ms);
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(self.config.clone())))
    }
}

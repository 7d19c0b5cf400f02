//! What outlives a configuration: one outbox and one set of metric ids per VM, that is, per worker.
//!
//! An update of the configuration makes a new root context in the same VM; queued events and metric ids stay. One root
//! context sends: the one configured last of those that are still there.

use std::cell::RefCell;
use std::hash::BuildHasher;

use meter::config::{Collector, Config};
use meter::estimate::Ratios;
use meter::identity::Refusal;
use meter::outbox::{Batch, Limits, Outbox, Response, Settled};
use meter::telemetry::{Metric, Telemetry};
use wire::emitter::EmitterKey;
use wire::event;
use wire::record::Record;

use crate::failures::Report;
use crate::handoff;
use crate::host::{self, Failure};
use crate::metrics::Metrics;
use crate::process;
use crate::redirected::Redirected;
use crate::unmapped::Unmapped;

thread_local! {
    static VM: RefCell<Option<Vm>> = const { RefCell::new(None) };
}

/// The state of this VM.
pub struct Vm {
    outbox: Outbox,
    /// What a VM before this one has left: one after the other, so that memory stays bounded.
    predecessor: Option<Outbox>,
    limits: Limits,
    telemetry: Telemetry,
    /// What Envoy knows of it.
    pub metrics: Metrics,
    /// What calls without counts are estimated by.
    pub ratios: Ratios,
    /// What must be known of requests that Envoy sends elsewhere.
    pub redirected: Redirected,
    /// The root contexts that have not ended, the sender last.
    roots: Vec<u32>,
    /// Where the events go.
    address: String,
    /// What goes wrong with it.
    report: Report,
    /// The call in flight, and the root context that made it.
    call: Option<(u32, u32)>,
    /// Envoy's node id, once it was asked for.
    node: Option<Option<String>>,
    /// The Envoy process, once it was asked for.
    proxy: Option<String>,
    /// Of which clusters it has been said that no provider is known there.
    unmapped: Unmapped,
    /// It has been said that a host is unproven.
    warned_of_unproven: bool,
    /// It has been said that a provider refuses to be asked.
    warned_of_refusal: bool,
    random: std::hash::RandomState,
    drawn: u64,
}

/// Runs with the VM's state, if there is one and nobody else has it: a callback that comes in the middle of another
/// must not trap.
pub fn with<T>(run: impl FnOnce(&mut Vm) -> T) -> Option<T> {
    VM.with(|vm| vm.try_borrow_mut().ok()?.as_mut().map(run))
}

/// Makes the state on the first configuration, and hands it to a later one.
pub fn configure(config: &Config, root: u32, has_token: bool) {
    VM.with(|vm| {
        let Ok(mut vm) = vm.try_borrow_mut() else { return };
        vm.get_or_insert_with(|| Vm::new(config)).hand_over(config, root, has_token);
    });
}

impl Vm {
    fn new(config: &Config) -> Self {
        // Fresh in every VM: the keys of a `RandomState` are 128 bits of the host's `random_get`.
        let random = std::hash::RandomState::new();
        let key = EmitterKey::new(random.hash_one("emitter: high"), random.hash_one("emitter: low"));
        Vm {
            outbox: Outbox::new(key, limits(config)),
            predecessor: None,
            limits: limits(config),
            telemetry: Telemetry::new(config.max_series),
            metrics: Metrics::default(),
            ratios: Ratios::default(),
            redirected: Redirected::default(),
            roots: Vec::new(),
            address: address(config),
            report: Report::default(),
            call: None,
            node: None,
            proxy: None,
            unmapped: Unmapped::default(),
            warned_of_unproven: false,
            warned_of_refusal: false,
            random,
            drawn: 0,
        }
    }

    fn hand_over(&mut self, config: &Config, root: u32, has_token: bool) {
        self.limits = limits(config);
        let address = address(config);
        for outbox in std::iter::once(&mut self.outbox).chain(&mut self.predecessor) {
            outbox.reconfigure(self.limits, self.address == address);
        }
        self.address = address;
        self.report.configure(config, has_token);
        self.telemetry.set_max_series(config.max_series);
        self.leave(root);
        self.roots.push(root);
    }

    /// Whether this root context is the one that sends.
    pub fn is_sender(&self, root: u32) -> bool {
        self.roots.last() == Some(&root)
    }

    /// Whether this root context is the last there is.
    pub fn is_alone(&self, root: u32) -> bool {
        self.roots == [root]
    }

    /// This root context sends no more.
    pub fn leave(&mut self, root: u32) {
        self.roots.retain(|other| *other != root);
    }

    /// A root context has made the call that the outbox gave it.
    pub fn called(&mut self, token: u32, root: u32) {
        self.call = Some((token, root));
    }

    /// Whether the response to this call settles what is in flight.
    pub fn awaits(&self, token: u32) -> bool {
        self.call.is_some_and(|(awaited, _)| awaited == token)
    }

    /// Whether this root context waits for a response that settles what is in flight.
    pub fn is_caller(&self, root: u32) -> bool {
        self.call.is_some_and(|(_, caller)| caller == root)
    }

    /// The outbox whose call is in flight.
    fn in_flight(&mut self) -> Option<&mut Outbox> {
        std::iter::once(&mut self.outbox).chain(&mut self.predecessor).find(|outbox| outbox.is_in_flight())
    }

    /// The call in flight is over, with this response.
    pub fn settle(&mut self, now_ms: u64, response: Response) {
        let Some(settled) = self.close(now_ms, response) else { return };
        match settled.failure {
            Some(failure) => {
                self.telemetry.count_reason(&mut self.metrics, Metric::CollectorFailures, failure.as_str());
                self.report.failed(now_ms, failure, response.status);
            }
            None => self.report.succeeded(response.reads_statements),
        }
        if settled.quarantined > 0 {
            self.report.quarantined(now_ms, settled.quarantined);
        }
    }

    fn close(&mut self, now_ms: u64, response: Response) -> Option<Settled> {
        self.call = None;
        let random = self.random();
        let settled = self.in_flight().map(|outbox| outbox.settle(now_ms, response, random))?;
        self.count_settled(&settled);
        Some(settled)
    }

    /// The next call, if one is due and none is in flight: what was taken over first, for it is old and comes to an end.
    pub fn poll(&mut self, now_ms: u64, patience_ms: u64) -> Option<Batch> {
        match self.in_flight().map(|outbox| outbox.is_overdue(now_ms)) {
            Some(false) => return None,
            Some(true) => self.settle(now_ms, Response::default()),
            None => {}
        }
        if self.predecessor.as_ref().is_none_or(Outbox::is_done) {
            self.predecessor = handoff::pick_up(&self.address, self.limits);
        }
        let predecessor = self.predecessor.as_mut().and_then(|outbox| outbox.poll(now_ms, patience_ms));
        predecessor.or_else(|| self.outbox.poll(now_ms, patience_ms))
    }

    /// Whether a call is to be made beside the one in flight.
    pub fn goes_beside(&mut self, now_ms: u64) -> bool {
        self.in_flight().is_some_and(|outbox| outbox.goes_beside(now_ms))
    }

    /// The end of the VM: the final flush of its own outbox, to be sent at once; what is not acknowledged is left to the
    /// next VM.
    pub fn end(&mut self, now_ms: u64, patience_ms: u64) -> Option<Batch> {
        // Its response will not be heard: the events go along again, and the collector recognises them.
        self.close(now_ms, Response::default());
        let final_flush = self.outbox.final_flush(now_ms, patience_ms);
        for outbox in std::iter::once(&self.outbox).chain(&self.predecessor) {
            if !handoff::leave(outbox, &self.address) {
                log::error!("meshmeter: no room for what emitter {} leaves; the journal has it", outbox.emitter());
            }
        }
        final_flush
    }

    /// A random number, for jitter.
    pub fn random(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        self.random.hash_one(self.drawn)
    }

    /// Counts an identity that was not taken.
    pub fn count_refusal(&mut self, refusal: Refusal) {
        self.telemetry.count_reason(&mut self.metrics, Metric::IdentityRefused, refusal.as_str());
    }

    /// Counts a hostcall that failed; metering goes on without its response.
    pub fn count_failure(&mut self, _: Failure) {
        self.telemetry.add(&mut self.metrics, Metric::HostFailures, 1);
    }

    /// A provider has refused a call because of the question for its usage; `is_news`: it was not known of this model there.
    pub fn count_asking_refused(&mut self, is_news: bool) {
        self.telemetry.add(&mut self.metrics, Metric::AskingRefused, 1);
        if is_news && !std::mem::replace(&mut self.warned_of_refusal, true) {
            log::warn!(
                "meshmeter: a provider refuses stream_options.include_usage, which the plugin has added to a request: the client \
                 saw that error. For an hour streams of that model are not asked there again, and estimated. If it never takes \
                 the option, say so: \"providers\": [{{\"cluster\": \"...\", \"provider\": \"...\", \"include_usage\": false}}]. \
                 Said once by each worker; meshmeter_asking_refused_total counts"
            );
        }
    }

    /// A call has ended with records, its own first, the others parts of it: metrics, the events for the journal, one a
    /// line, and for the collector.
    pub fn emit(
        &mut self,
        records: &[Record],
        now_ns: u64,
        send: bool,
        publish: impl FnOnce(&[u8]) -> Result<(), Failure>,
    ) {
        let parts = records.len().saturating_sub(1);
        self.telemetry.add(&mut self.metrics, Metric::Seen, i64::from(!records.is_empty()));
        self.telemetry.add(&mut self.metrics, Metric::Parts, signed(parts));
        let events: Vec<(u64, Vec<u8>)> = records.iter().map(|record| self.encode(record)).collect();
        let published = match events.as_slice() {
            [(_, event)] => publish(event),
            events => {
                let lines: Vec<&[u8]> = events.iter().map(|(_, event)| event.as_slice()).collect();
                publish(&lines.join(&b'\n'))
            }
        };
        if let Err(failure) = published {
            self.count_failure(failure);
        }
        if send {
            events.into_iter().for_each(|(sequence, event)| self.queue(millis(now_ns), sequence, event));
        }
    }

    /// Says once of a cluster that no provider is known there. What stands there is the operator's word.
    pub fn warn_of_unmapped(&mut self, record: &Record) {
        let Some(cluster) = record.cluster.as_deref().filter(|cluster| self.unmapped.is_news(cluster)) else { return };
        log::warn!(
            "meshmeter: calls through cluster {cluster} are not attributed to a provider: they are recorded as {}, for which no \
             price book has a price of its own. Say which provider is there: \"providers\": [{{\"cluster\": \"{cluster}\", \"provider\": \
             \"...\"}}], with a name of your own for a model that you run yourself. Said once for a cluster",
            record.provider
        );
    }

    /// Says once what to do about calls whose host is unproven. Of the client's words nothing is repeated.
    pub fn warn_of_unproven(&mut self, record: &Record) {
        if !std::mem::replace(&mut self.warned_of_unproven, true) {
            let cluster = record.cluster.as_deref().unwrap_or("(none)");
            log::warn!(
                "meshmeter: a client named the host of a known provider, but nothing shows that its call went there: it is \
                 recorded as {}, not at that provider's price. If cluster {cluster} leads to the provider, say so: \
                 \"providers\": [{{\"cluster\": \"{cluster}\", \"provider\": \"...\"}}]. Said once; such records have the \
                 flag host_unproven",
                record.provider
            );
        }
    }

    fn encode(&mut self, record: &Record) -> (u64, Vec<u8>) {
        self.telemetry.record(&mut self.metrics, record);
        self.telemetry.add(&mut self.metrics, Metric::Records, 1);
        let sequence = self.outbox.next_sequence();
        (sequence, event::encode(record, self.outbox.emitter(), sequence))
    }

    fn queue(&mut self, now_ms: u64, sequence: u64, event: Vec<u8>) {
        let bytes = event.len();
        let (metric, bytes) = match self.outbox.push(now_ms, sequence, event) {
            true => (Metric::Queued, bytes),
            false => (Metric::Dropped, 0),
        };
        self.telemetry.add(&mut self.metrics, metric, 1);
        self.telemetry.add(&mut self.metrics, Metric::OutboxBytes, signed(bytes));
    }

    /// Counts what became of a batch.
    fn count_settled(&mut self, settled: &Settled) {
        let rejected = i64::from(settled.rejected.is_some());
        let counts = [
            (Metric::Acknowledged, signed(settled.acknowledged)),
            (Metric::Quarantined, signed(settled.quarantined)),
            (Metric::Retried, signed(settled.retried)),
            (Metric::Rejected, rejected),
            (Metric::OutboxBytes, signed(settled.freed).saturating_neg()),
        ];
        for (metric, amount) in counts {
            self.telemetry.add(&mut self.metrics, metric, amount);
        }
        if let Some(id) = &settled.rejected {
            log::error!("meshmeter: the collector refuses event {id}; it is given up, the access log has it");
        }
    }

    /// Envoy's node id, asked for once.
    pub fn node(&mut self) -> Option<&str> {
        let ask = || host::property("xds\0node\0id").ok().flatten().and_then(|id| String::from_utf8(id).ok());
        self.node.get_or_insert_with(ask).as_deref()
    }

    /// The Envoy process: random, drawn by the first of its VMs that has something to record, and the same for all of them.
    pub fn proxy(&mut self) -> Option<&str> {
        if self.proxy.is_none() {
            let drawn = format!("{:016x}{:016x}", self.random(), self.random());
            self.proxy = process::agree(&drawn);
        }
        self.proxy.as_deref()
    }

    /// Whether this is a proxy of Istio's, whose node ids are `TYPE~IP~ID~DOMAIN`.
    pub fn is_istio(&mut self) -> bool {
        self.node().is_some_and(|id| id.split('~').count() == 4)
    }
}

fn limits(config: &Config) -> Limits {
    let heartbeat_ms = config.collector.as_ref().map_or(0, |collector| collector.heartbeat_ms);
    Limits { batch: config.batch, max_bytes: config.outbox_max_bytes, heartbeat_ms }
}

/// Whom a configuration means by its collector.
fn address(config: &Config) -> String {
    let joined = |c: &Collector| [c.cluster.as_str(), c.authority.as_str(), c.path.as_str()].join(" ");
    config.collector.as_ref().map(joined).unwrap_or_default()
}

/// Milliseconds of a time in nanoseconds.
pub fn millis(now_ns: u64) -> u64 {
    now_ns / 1_000_000
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

//! What outlives a configuration: delivery and one set of metric ids per VM, that is, per worker.
//!
//! An update of the configuration makes a new root context in the same VM; queued events and metric ids stay.

use std::cell::{Cell, RefCell};
use std::hash::BuildHasher;

use delivery::lease::{Admission, Leases, Reason, Spending, Ticket};
use delivery::{Delivery, Emitted, Outcome, Settled};
use meter::call::Bound;
use meter::config::Config;
use meter::estimate::Ratios;
use meter::failures::{CollectorFailure, Failures};
use meter::identity::Refusal;
use meter::telemetry::{Metric, NOT_GRANTED, Telemetry};
use wire::emitter::EmitterKey;
use wire::event;
use wire::record::{self, ProviderSource, Record};

use crate::alias::Aliased;
use crate::envoy_version;
use crate::failures::Report;
use crate::host::{self, Failure};
use crate::metrics::Metrics;
use crate::process;
use crate::redirected::Redirected;
use crate::refusals;
use crate::responders::Responders;
use crate::running::Running;
use crate::unmapped::Unmapped;
use crate::waiting;

thread_local! {
    static VM: RefCell<Option<Vm>> = const { RefCell::new(None) };
    /// Calls that ended while the state was held, and are not counted yet.
    static UNRECORDED: Cell<i64> = const { Cell::new(0) };
}

/// The state of this VM.
pub struct Vm {
    /// How events get to the collector.
    pub delivery: Delivery,
    /// What this worker may spend of the budgets.
    pub leases: Leases,
    /// Who responds, for calls of which budgets have to know in time.
    pub responders: Responders,
    /// What goes wrong with them.
    lease_failures: Failures,
    telemetry: Telemetry,
    /// What Envoy knows of it.
    pub metrics: Metrics,
    /// What calls without counts are estimated by.
    pub ratios: Ratios,
    /// Where usage was asked for and given.
    pub taken: refusals::Told,
    /// What must be known of requests that Envoy sends elsewhere.
    pub redirected: Redirected,
    /// The collector's cluster, where routes name it.
    pub aliased: Aliased,
    /// What goes wrong with the collector.
    report: Report,
    /// How long it has run.
    running: Running,
    /// Envoy's node id, once it was asked for.
    node: Option<Option<String>>,
    /// Envoy's service cluster, once it was asked for.
    node_cluster: Option<Option<String>>,
    /// The Envoy process, once it was asked for.
    proxy: Option<String>,
    /// Of which clusters it has been said that no provider is known there.
    unmapped: Unmapped,
    /// It has been said that a host is unproven.
    warned_of_unproven: bool,
    /// It has been said that a provider refuses to be asked.
    warned_of_refusal: bool,
    /// Another instance of the plugin was met.
    warned_of_another: bool,
    random: std::hash::RandomState,
}

/// Runs with the VM's state, if there is one and nobody else has it: a callback that comes in the middle of another
/// must not trap.
pub fn with<T>(run: impl FnOnce(&mut Vm) -> T) -> Option<T> {
    VM.with(|vm| vm.try_borrow_mut().ok()?.as_mut().map(run))
}

/// A call has ended while the state was held, and there is no record of it: that is said, and counted when the state is free.
pub fn unrecorded() {
    if UNRECORDED.get() == 0 {
        log::error!("meshmeter: a call ended in the middle of another callback: there is no record of it");
    }
    UNRECORDED.set(UNRECORDED.get().saturating_add(1));
}

/// Makes the state on the first configuration, and hands it to a later one. Returns how often the root context is to tick, ms.
pub fn configure(config: &Config, root: u32, has_token: bool) -> Option<u64> {
    VM.with(|vm| {
        let mut vm = vm.try_borrow_mut().ok()?;
        let vm = vm.get_or_insert_with(|| Vm::new(config));
        vm.report.configure(config, has_token);
        vm.telemetry.set_max_series(config.max_series);
        vm.leases.configure(config);
        Some(vm.delivery.configure(root, config))
    })
}

impl Vm {
    fn new(config: &Config) -> Self {
        // Fresh in every VM: the keys of a `RandomState` are 128 bits of the host's `random_get`.
        let random = std::hash::RandomState::new();
        let key = EmitterKey::new(random.hash_one("emitter: high"), random.hash_one("emitter: low"));
        Vm {
            delivery: Delivery::new(key, random.hash_one("jitter"), config),
            leases: Leases::new(random.hash_one("leases"), config),
            responders: Responders::default(),
            lease_failures: Failures::default(),
            telemetry: Telemetry::new(config.max_series),
            metrics: Metrics::default(),
            ratios: Ratios::default(),
            taken: refusals::Told::default(),
            redirected: Redirected::default(),
            aliased: Aliased::default(),
            report: Report::default(),
            running: Running::default(),
            node: None,
            node_cluster: None,
            proxy: None,
            unmapped: Unmapped::default(),
            warned_of_unproven: false,
            warned_of_refusal: false,
            warned_of_another: false,
            random,
        }
    }

    /// Counts what became of a dispatch, and says what went wrong.
    pub fn settled(&mut self, now_ms: u64, outcome: &Outcome) {
        let Outcome { settled, response, is_abandoned, .. } = outcome;
        self.count_settled(settled);
        match settled.failure {
            _ if *is_abandoned => return,
            Some(failure) => {
                self.telemetry.count_reason(&mut self.metrics, Metric::CollectorFailures, failure.as_str());
                self.report.failed(now_ms, failure, response.status);
            }
            None => {
                self.report.succeeded(response.reads_statements);
                if let Some(revision) = response.budgets {
                    self.leases.hear_revision(revision);
                }
            }
        }
        if settled.quarantined > 0 {
            self.report.quarantined(now_ms, settled.quarantined);
        }
    }

    /// Whether a call may pass, by the budgets.
    pub fn admit(&mut self, now_ms: u64, call: &Spending<'_>, bound: &Bound) -> Admission {
        let admission = self.leases.admit(now_ms, call, bound);
        let Vm { telemetry, metrics, .. } = self;
        for budget in &admission.shadows {
            telemetry.count_budget(metrics, &budget.name, Reason::Shadow.as_str());
        }
        if let Some(refusal) = &admission.refusal {
            telemetry.count_budget(metrics, refusal.name(), refusal.reason.as_str());
        }
        telemetry.add(metrics, Metric::BudgetUnheld, i64::from(admission.is_unheld));
        admission
    }

    /// A request for leases has had its response, or there is none: says so once in a while.
    pub fn heard_leases(&mut self, now_ms: u64, failure: Option<CollectorFailure>) {
        let Some(failure) = failure else {
            if self.lease_failures.succeeded() {
                log::info!("meshmeter: the collector gives leases again");
            }
            return;
        };
        self.telemetry.count_reason(&mut self.metrics, Metric::LeaseFailures, failure.as_str());
        if let Some(count) = self.lease_failures.failed(now_ms, failure) {
            log::warn!(
                "meshmeter: the collector gives no leases of budgets: {}: {}; failed requests of this worker since this was last \
                 said: {count}; what becomes of calls then is said by budgets.without_collector",
                failure.as_str(),
                failure.meaning()
            );
        }
    }

    /// Counts a response that gives some lease not.
    pub fn missed_lease(&mut self) {
        self.telemetry.count_reason(&mut self.metrics, Metric::LeaseFailures, NOT_GRANTED);
    }

    /// Counts the calls that ended while the state was held.
    pub fn count_unrecorded(&mut self) {
        self.telemetry.add(&mut self.metrics, Metric::Unrecorded, UNRECORDED.take());
    }

    /// Counts how long this VM has run; about once a second it also says which version runs, and how long events have waited.
    pub fn count_running(&mut self, now_ms: u64) {
        let seconds = self.running.seconds(now_ms);
        self.telemetry.add(&mut self.metrics, Metric::VmSeconds, seconds);
        if seconds > 0 {
            self.telemetry.inform(&mut self.metrics, Metric::BuildInfo, env!("CARGO_PKG_VERSION"));
            if let Some(age) = waiting::note(self.random.hash_one("waiting"), now_ms, self.delivery.oldest_ms()) {
                self.telemetry.set(&mut self.metrics, Metric::OutboxAge, age);
            }
        }
    }

    /// Counts a call that another instance of the plugin meters, and says once that there is one.
    pub fn count_already_metered(&mut self) {
        self.telemetry.add(&mut self.metrics, Metric::AlreadyMetered, 1);
        if !std::mem::replace(&mut self.warned_of_another, true) && host::first_to_mark("meshmeter: another instance") {
            log::warn!(
                "meshmeter: the plugin is configured twice in one filter chain (two WasmPlugins, a WasmPlugin and a \
                 TrafficExtension, two filters): another instance meters these calls, and this one leaves them to it. Keep one. \
                 Said once; meshmeter_calls_already_metered_total counts"
            );
        }
    }

    /// Counts what a provider took at a path that is not known, and of which there is no record.
    pub fn count_unknown_path(&mut self, provider: &str) {
        self.telemetry.of_provider(&mut self.metrics, Metric::UnknownPath, provider);
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
        ticket: &mut Option<Ticket>,
        publish: impl FnOnce(&[u8]) -> Result<(), Failure>,
    ) {
        let parts = records.len().saturating_sub(1);
        let Vm { delivery, telemetry, metrics, .. } = self;
        telemetry.add(metrics, Metric::Seen, i64::from(!records.is_empty()));
        telemetry.add(metrics, Metric::Parts, signed(parts));
        let encode = |record: &Record, emitter: &str, sequence| {
            telemetry.record(metrics, record);
            telemetry.add(metrics, Metric::Records, 1);
            event::encode(record, emitter, sequence)
        };
        let mut published = Ok(());
        let emitted = delivery.emit(millis(now_ns), records, send, encode, |events| published = publish(events));
        if let Err(failure) = published {
            self.count_failure(failure);
        }
        if send {
            emitted.iter().for_each(|emitted| self.count_queued(emitted));
            if let (Some(record), Some(last)) = (records.first(), emitted.last()) {
                self.settle(millis(now_ns), ticket.take(), record, records, last.sequence);
            }
        }
    }

    /// What a call has reserved makes room for what it has cost. One of which budgets were never asked is counted.
    fn settle(&mut self, now_ms: u64, ticket: Option<Ticket>, call: &Record, records: &[Record], sequence: u64) {
        let sum = |count: fn(&Record) -> Option<u64>| records.iter().filter_map(count).fold(0, u64::saturating_add);
        let counts = (sum(|record| record.usage.input_total()), sum(|record| record.usage.output_total()));
        let spending = Spending {
            tenant: &call.identity.tenant,
            provider: &call.provider,
            model: call.request_model.as_deref().or(call.response_model.as_deref()),
            started_s: millis(call.started_ns) / 1000,
        };
        let has_passed = ticket.is_none() && call.refused_by.is_none() && call.outcome != record::Outcome::NotSent;
        if let Some(cluster) = call.cluster.as_deref().filter(|_| call.provider_source != Some(ProviderSource::Shape)) {
            self.responders.learn(cluster, &call.provider);
        }
        let is_covered = self.leases.settle(now_ms, ticket.unwrap_or_default(), &spending, counts, sequence);
        self.telemetry.add(&mut self.metrics, Metric::BudgetLate, i64::from(has_passed && is_covered));
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

    fn count_queued(&mut self, emitted: &Emitted) {
        let (metric, bytes) = match emitted.is_queued {
            true => (Metric::Queued, emitted.bytes),
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

    /// Envoy's node id, asked for once, with the first call; then Envoy is looked at, too.
    pub fn node(&mut self) -> Option<&str> {
        let ask = || {
            envoy_version::warn_if_untested();
            of_node("xds\0node\0id")
        };
        self.node.get_or_insert_with(ask).as_deref()
    }

    /// Envoy's service cluster, asked for once.
    pub fn node_cluster(&mut self) -> Option<&str> {
        self.node_cluster.get_or_insert_with(|| of_node("xds\0node\0cluster")).as_deref()
    }

    /// The Envoy process: random, drawn by the first of its VMs that has something to record, and the same for all of them.
    pub fn proxy(&mut self) -> Option<&str> {
        if self.proxy.is_none() {
            let drawn =
                format!("{:016x}{:016x}", self.random.hash_one("process: high"), self.random.hash_one("process: low"));
            self.proxy = process::agree(&drawn);
        }
        self.proxy.as_deref()
    }

    /// Whether this is a proxy of Istio's, whose node ids are `TYPE~IP~ID~DOMAIN`.
    pub fn is_istio(&mut self) -> bool {
        self.node().is_some_and(|id| id.split('~').count() == 4)
    }
}

/// What Envoy's node says of itself, if it says anything.
fn of_node(path: &str) -> Option<String> {
    let text = host::property(path).ok().flatten().and_then(|text| String::from_utf8(text).ok());
    text.filter(|text| !text.is_empty())
}

/// Milliseconds of a time in nanoseconds.
pub fn millis(now_ns: u64) -> u64 {
    now_ns / 1_000_000
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

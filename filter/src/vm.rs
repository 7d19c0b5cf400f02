//! What outlives a configuration: one outbox and one set of metric ids per VM, that is, per worker.
//!
//! An update of the configuration makes a new root context in the same VM; queued events and metric ids stay.

use std::cell::RefCell;
use std::hash::BuildHasher;

use meter::config::Config;
use meter::estimate::Ratios;
use meter::event;
use meter::identity::Refusal;
use meter::outbox::{Outbox, Settled};
use meter::record::Record;
use meter::telemetry::{Metric, Telemetry};

use crate::host::{self, Failure, Metrics};

thread_local! {
    static VM: RefCell<Option<Vm>> = const { RefCell::new(None) };
}

/// The state of this VM.
pub struct Vm {
    pub outbox: Outbox,
    pub telemetry: Telemetry,
    /// What calls without counts are estimated by.
    pub ratios: Ratios,
    /// The root context that sends: the one configured last.
    pub sender: u32,
    /// The call in flight.
    pub token: Option<u32>,
    /// Envoy's node id.
    pub node: Option<String>,
    random: std::hash::RandomState,
    drawn: u64,
}

/// Runs with the VM's state, if there is one and nobody else has it: a callback that comes in the middle of another
/// must not trap.
pub fn with<T>(run: impl FnOnce(&mut Vm) -> T) -> Option<T> {
    VM.with(|vm| vm.try_borrow_mut().ok()?.as_mut().map(run))
}

/// Makes the state on the first configuration, and hands it to a later one.
pub fn configure(config: &Config, sender: u32) {
    VM.with(|vm| {
        let Ok(mut vm) = vm.try_borrow_mut() else { return };
        let state = vm.get_or_insert_with(|| Vm::new(config));
        state.outbox.set_bounds(config.batch, config.outbox_max_bytes);
        state.telemetry.set_max_series(config.max_series);
        state.sender = sender;
    });
}

impl Vm {
    fn new(config: &Config) -> Self {
        // Fresh in every VM: the keys of a `RandomState` are 128 bits of the host's `random_get`.
        let random = std::hash::RandomState::new();
        let emitter = format!("{:016x}{:016x}", random.hash_one("emitter: high"), random.hash_one("emitter: low"));
        Vm {
            outbox: Outbox::new(emitter, config.batch, config.outbox_max_bytes),
            telemetry: Telemetry::new(config.max_series),
            ratios: Ratios::default(),
            sender: 0,
            token: None,
            node: None,
            random,
            drawn: 0,
        }
    }

    /// A random number, for jitter.
    pub fn random(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        self.random.hash_one(self.drawn)
    }

    /// Counts an identity that was not taken.
    pub fn count_refusal(&mut self, refusal: Refusal) {
        self.telemetry.count_reason(&mut Metrics, Metric::IdentityRefused, refusal.as_str());
    }

    /// Counts a host call that failed; metering goes on without its answer.
    pub fn count_failure(&mut self, _: Failure) {
        self.telemetry.add(&mut Metrics, Metric::HostFailures, 1);
    }

    /// A call has ended with records, its own first: metrics, and the event of its own for the access log. The others are
    /// parts of it; they go to the collector only.
    pub fn emit(&mut self, records: &[Record], now_ns: u64, send: bool) -> Vec<u8> {
        let parts = records.len().saturating_sub(1);
        self.telemetry.add(&mut Metrics, Metric::Seen, i64::from(!records.is_empty()));
        self.telemetry.add(&mut Metrics, Metric::Parts, signed(parts));
        let mut events = records.iter().map(|record| self.emit_one(record, now_ns, send));
        let own = events.next().unwrap_or_default();
        events.for_each(drop);
        own
    }

    fn emit_one(&mut self, record: &Record, now_ns: u64, send: bool) -> Vec<u8> {
        self.telemetry.record(&mut Metrics, record);
        let sequence = self.outbox.next_sequence();
        let event = event::encode(record, self.outbox.emitter(), sequence);
        self.telemetry.add(&mut Metrics, Metric::Records, 1);
        if send {
            let (metric, bytes) = match self.outbox.push(millis(now_ns), sequence, event.clone()) {
                true => (Metric::Queued, event.len()),
                false => (Metric::Dropped, 0),
            };
            self.telemetry.add(&mut Metrics, metric, 1);
            self.telemetry.add(&mut Metrics, Metric::OutboxBytes, signed(bytes));
        }
        event
    }

    /// Counts what became of a batch.
    pub fn settled(&mut self, settled: &Settled) {
        let rejected = i64::from(settled.rejected.is_some());
        let counts = [
            (Metric::Acknowledged, signed(settled.acknowledged)),
            (Metric::Retried, signed(settled.retried)),
            (Metric::Rejected, rejected),
            (Metric::OutboxBytes, signed(settled.freed).saturating_neg()),
        ];
        for (metric, amount) in counts {
            self.telemetry.add(&mut Metrics, metric, amount);
        }
        if let Some(id) = &settled.rejected {
            log::error!("meshmeter: the collector refuses event {id}; it is given up, the access log has it");
        }
    }

    /// Envoy's node id, asked for once.
    pub fn node(&mut self) -> Option<String> {
        if self.node.is_none() {
            self.node = host::property("xds\0node\0id").ok().flatten().and_then(|id| String::from_utf8(id).ok());
        }
        self.node.clone()
    }
}

/// Milliseconds of a time in nanoseconds.
pub fn millis(now_ns: u64) -> u64 {
    now_ns / 1_000_000
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

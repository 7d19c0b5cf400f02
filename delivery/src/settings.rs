//! What a configuration says of delivery.

use meter::config::{Collector, Config};

use crate::outbox::Limits;

/// A tick comes at least so often, ms; metrics are told to the proxy on ticks, too.
const TICK_MAX_MS: u64 = 250;
/// And at most so often, ms.
const TICK_MIN_MS: u64 = 50;
/// Where budgets are held, a tick comes at least so often, ms: a call that finds no lease is told to come again soon.
const TICK_WITH_BUDGETS_MS: u64 = 100;
/// So much longer than the proxy waits for a response it may take until it says so, ms.
const GRACE_MS: u64 = 1000;

/// The settings of one configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    pub limits: Limits,
    /// Which collector it is; empty without one.
    pub address: String,
    /// How long a response may take: one that comes later never comes. None: there is no collector.
    pub patience_ms: Option<u64>,
    /// How often to tick, ms: often enough that a batch is not much older than it may be.
    pub tick_ms: u64,
}

impl Settings {
    pub fn of(config: &Config) -> Settings {
        let collector = config.collector.as_ref();
        let heartbeat_ms = collector.map_or(0, |collector| collector.heartbeat_ms);
        let tick_max_ms = if config.budgets.is_some() { TICK_WITH_BUDGETS_MS } else { TICK_MAX_MS };
        Settings {
            limits: Limits { batch: config.batch, max_bytes: config.outbox_max_bytes, heartbeat_ms },
            address: collector.map(Collector::address).unwrap_or_default(),
            patience_ms: collector.map(|collector| collector.timeout_ms.saturating_add(GRACE_MS)),
            tick_ms: (config.batch.max_age_ms / 4).clamp(TICK_MIN_MS, tick_max_ms),
        }
    }
}

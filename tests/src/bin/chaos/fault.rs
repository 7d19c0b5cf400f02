//! What goes wrong, and in which order: every kind once a round, shuffled by the seed.

use std::{fmt, time::Duration};

use e2e::gate::Mode;

use crate::seed::Random;

/// How long the plugin waits for the collector's response, in this experiment.
pub const TIMEOUT: Duration = Duration::from_millis(1000);

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The collector, or the way to it, does this to calls.
    Collector(Mode),
    /// The collector gets SIGKILL and is started again.
    CollectorKilled,
    /// The collector is away until events are dropped.
    OutboxFull,
    /// The plugin's configuration is updated.
    Configuration,
    /// The plugin's code is updated.
    Code,
    /// The VM of a worker traps: `request`, or in the middle of an `response`.
    Trap(&'static str),
    /// Envoy gets SIGTERM and is started again.
    EnvoyTerminated,
    /// Envoy gets SIGKILL and is started again.
    EnvoyKilled,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Fault; 15] = [
        Fault::Collector(Mode::Slow(Duration::from_millis(300))),
        Fault::Collector(Mode::Slow(Duration::from_millis(1500))),
        Fault::Collector(Mode::Respond(503)),
        Fault::Collector(Mode::Respond(500)),
        Fault::Collector(Mode::Hang),
        Fault::Collector(Mode::ResetBefore),
        Fault::Collector(Mode::ResetWithin),
        Fault::Collector(Mode::ResetAfter),
        Fault::CollectorKilled,
        Fault::OutboxFull,
        Fault::Configuration,
        Fault::Code,
        Fault::Trap("request"),
        Fault::EnvoyTerminated,
        Fault::EnvoyKilled,
    ];

    /// Whether it befalls the collector, and events come twice for it; otherwise some do not come at all.
    pub fn is_at_the_collector(&self) -> bool {
        matches!(self, Fault::Collector(_) | Fault::CollectorKilled)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Collector(Mode::Slow(time)) if *time > TIMEOUT => f.write_str("the collector responds too late"),
            Fault::Collector(Mode::Slow(_)) => f.write_str("the collector responds slowly"),
            Fault::Collector(Mode::Respond(status)) => write!(f, "the collector responds with {status}"),
            Fault::Collector(Mode::Hang) => f.write_str("the collector takes calls and says nothing"),
            Fault::Collector(Mode::ResetBefore) => f.write_str("connections are reset before the collector"),
            Fault::Collector(Mode::ResetWithin) => f.write_str("the collector's responses break in the middle"),
            Fault::Collector(Mode::ResetAfter) => f.write_str("the collector commits, then the connection is cut"),
            Fault::Collector(mode) => write!(f, "the way to the collector: {mode:?}"),
            Fault::CollectorKilled => f.write_str("the collector is killed (SIGKILL)"),
            Fault::OutboxFull => f.write_str("the collector is away until events are dropped"),
            Fault::Configuration => f.write_str("the plugin's configuration is updated"),
            Fault::Code => f.write_str("the plugin's code is updated"),
            Fault::Trap(place) => write!(f, "a VM traps ({place})"),
            Fault::EnvoyTerminated => f.write_str("Envoy is told to stop (SIGTERM)"),
            Fault::EnvoyKilled => f.write_str("Envoy is killed (SIGKILL)"),
        }
    }
}

/// So many rounds of `kinds`, each in an order of its own.
pub fn schedule(kinds: &[Fault], rounds: u64, seed: u64) -> Vec<Fault> {
    let shuffled = |round| {
        let mut kinds = kinds.to_vec();
        Random::of(seed, u64::MAX - round).shuffle(&mut kinds);
        // The two places of a trap take turns.
        let turn = |fault| match fault {
            Fault::Trap(_) if round % 2 == 1 => Fault::Trap("response"),
            fault => fault,
        };
        kinds.into_iter().map(turn).collect::<Vec<_>>()
    };
    (0..rounds).flat_map(shuffled).collect()
}

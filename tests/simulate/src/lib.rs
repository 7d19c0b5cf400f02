//! The proof, simulated: the delivery, the ingest and the ledger that are shipped, in a world where a seed decides every
//! delay, loss, crash and copy. After each schedule it is checked that no call is lost, and none charged twice.
//!
//! One world is one thread, one clock, one source of chance: the same seed gives the same schedule, step by step.

pub mod arguments;
mod calls;
mod closing;
mod counts;
mod disk;
mod drive;
mod envoy;
mod journal;
mod laws;
mod mirror;
mod mutation;
mod nature;
mod network;
mod oracle;
mod plan;
mod random;
mod reading;
mod release;
pub mod runner;
mod service;
mod shared;
mod trace;
mod truth;
mod twins;
mod vm;
mod world;

pub use counts::Counts;
pub use mutation::Mutation;
pub use nature::Violation;

use world::World;

/// What a schedule came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The law that does not hold, if there is one.
    pub violation: Option<Violation>,
    /// What was counted.
    pub counts: Counts,
    /// Over all its steps.
    pub hash: u64,
    /// Its steps, if they were wanted.
    pub lines: Vec<String>,
    /// The world that the seed drew.
    pub plan: String,
}

/// Runs the schedule of a seed.
pub fn run(seed: u64, mutation: Option<Mutation>, readable: bool) -> Outcome {
    let mut world = World::new(seed, mutation, readable);
    let violation = world.run().err();
    let adjusted = world.disk.borrow().memory.sums.keys().filter(|group| !group.adjusts.is_empty()).count() as u64;
    let World { nature, oracle, closed, .. } = world;
    let counts = Counts {
        accepted: oracle.entered,
        duplicates: oracle.duplicates,
        dead_letters: oracle.dead,
        alarms: oracle.alarms,
        copies: oracle.twins.copies,
        possible: oracle.twins.possible,
        released: oracle.released.len() as u64,
        closed: closed.is_some().into(),
        adjusted,
        simulated_seconds: nature.now_us / 1_000_000,
        ..nature.counts
    };
    let plan = format!("{:?}", nature.plan);
    Outcome { violation, counts, hash: nature.trace.hash(), lines: nature.trace.into_lines(), plan }
}

//! The proof, simulated: the delivery, the ingest and the ledger that are shipped, in a world where a seed decides every
//! delay, loss, crash and copy. After each schedule it is checked that no call is lost, and none charged twice.
//!
//! One world is one thread, one clock, one source of chance: the same seed gives the same schedule, step by step.

pub mod arguments;
pub mod budgets;
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

/// A world whose schedules can be run.
pub trait World {
    /// What is counted in it.
    type Counts: Counted;
    /// What can be missing in it.
    type Mutation: Guard;

    /// Runs the schedule of a seed.
    fn run(seed: u64, mutation: Option<Self::Mutation>, readable: bool) -> Outcome<Self::Counts>;
}

/// What a world counts.
pub trait Counted: Clone + Default + Send {
    /// Adds another's.
    fn add(&mut self, more: &Self);
    /// All of them, with their names.
    fn named(&self) -> Vec<(&'static str, u64)>;
}

/// Guards that can be taken away.
pub trait Guard: Copy + Send + Sync + 'static {
    /// Every one.
    const ALL: &'static [Self];
    /// Its word on the command line.
    fn word(self) -> &'static str;
    /// What is missing.
    fn help(self) -> &'static str;
}

/// Delivery, from the record to the ledger and back from journals.
#[derive(Debug)]
pub struct Delivering;

impl World for Delivering {
    type Counts = Counts;
    type Mutation = Mutation;

    fn run(seed: u64, mutation: Option<Mutation>, readable: bool) -> Outcome<Counts> {
        run(seed, mutation, readable)
    }
}

/// What a schedule came to.
#[derive(Debug, Default)]
pub struct Outcome<C = Counts> {
    /// The law that does not hold, if there is one.
    pub violation: Option<Violation>,
    /// What was counted.
    pub counts: C,
    /// Over all its steps.
    pub hash: u64,
    /// Its steps, if they were wanted.
    pub lines: Vec<String>,
    /// The world that the seed drew.
    pub plan: String,
}

/// Runs the schedule of a seed.
pub fn run(seed: u64, mutation: Option<Mutation>, readable: bool) -> Outcome {
    let mut world = world::World::new(seed, mutation, readable);
    let violation = world.run().err();
    let adjusted = world.disk.borrow().memory.sums.keys().filter(|group| !group.adjusts.is_empty()).count() as u64;
    let world::World { nature, oracle, closed, .. } = world;
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

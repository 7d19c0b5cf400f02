//! What happened, step by step: as a hash always, as lines if somebody wants to read them.

use std::hash::{Hash, Hasher};

/// A step of a schedule.
#[derive(Clone, Copy, Debug, Hash)]
pub enum Step {
    Call { vm: usize, number: u64, bytes: usize, queued: bool },
    Send { vm: usize, token: u32, events: usize, bytes: usize, head: u64, dropped: u64, drops: usize, end: bool },
    CannotSend { vm: usize },
    Proxy { vm: usize, token: u32, status: u64 },
    RequestLost { vm: usize, token: u32 },
    ResponseLost { vm: usize, token: u32 },
    Arrive { vm: usize, token: u32, collector: usize },
    Refused { vm: usize, token: u32, collector: usize, status: u64 },
    Response { vm: usize, token: u32, status: u64 },
    Settled { vm: usize, acknowledged: usize, retried: usize, rejected: bool },
    Commit { collector: usize, deliveries: usize, kept: bool, told: bool },
    CollectorDown { collector: usize, crashed: bool },
    CollectorUp { collector: usize },
    Outage { until_us: u64 },
    Configure { vm: usize, root: u32 },
    Done { vm: usize, root: u32, may_go: bool },
    Gone { vm: usize, root: u32 },
    HandedOff { vm: usize, bytes: usize },
    TakenOver { vm: usize, bytes: usize },
    Beside { vm: usize, token: u32 },
    EnvoyStarts { host: usize },
    EnvoyTerminated { host: usize },
    EnvoyKilled { host: usize },
    Trap { vm: usize },
    JournalTorn { host: usize, bytes: usize },
    Clock { host: usize, ms: i64 },
    Impostor { kind: u64, bytes: usize },
    PriceArrives { corrected: u64 },
    Release { released: bool },
    MonthClosed { closed: bool },
    Reconcile { live: bool, complete: bool, events: u64, accepted: u64, duplicates: u64, torn: u64 },
    Quiet,
    Calm { chain: [u8; 8] },
}

/// The steps of a schedule.
#[derive(Debug)]
pub struct Trace {
    hash: Fnv,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// Nothing yet.
    pub fn new(readable: bool) -> Trace {
        Trace { hash: Fnv(0xcbf2_9ce4_8422_2325), lines: readable.then(Vec::new) }
    }

    /// One more step.
    pub fn step(&mut self, now_us: u64, step: Step) {
        now_us.hash(&mut self.hash);
        step.hash(&mut self.hash);
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>5}.{:06}  {step:?}", now_us / 1_000_000, now_us % 1_000_000));
        }
    }

    /// Different for different steps.
    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// The lines, if they were wanted.
    pub fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

/// FNV-1a: unlike the standard library's it is the same in every process.
#[derive(Debug)]
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

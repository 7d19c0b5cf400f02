//! What a seed decides before a schedule begins: how large the world is, what can go wrong in it, and how often.

use std::rc::Rc;

use meter::config::{self, Config};

use crate::random::Random;

/// Midnight between two days on which prices differ, ns: 2026-02-01.
pub const MIDNIGHT_NS: u64 = 1_769_904_000_000_000_000;
const SECOND_US: u64 = 1_000_000;

/// How Envoy keeps its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journal {
    /// Every line is written at once.
    Flushed,
    /// Lines wait for the buffer or the timer.
    Buffered,
    /// There is none.
    None,
}

/// What the Envoys say of the workloads whose replicas they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workloads {
    /// Nothing.
    Unnamed,
    /// All are replicas of one: no call passes two of them.
    One,
    /// Each is of another.
    Each,
}

/// A schedule's world.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Envoys.
    pub hosts: usize,
    /// Whose replicas they are.
    pub workloads: Workloads,
    /// Plugin VMs that count, of each Envoy.
    pub workers: usize,
    /// In front of one store.
    pub collectors: usize,
    /// How long calls come and things go wrong.
    pub active_us: u64,
    /// Between two calls of a host, mean.
    pub call_every_us: u64,
    /// When it begins, of true time.
    pub start_ns: u64,
    /// How the journal is kept.
    pub journal: Journal,
    /// Whether the journal is an access log in JSON.
    pub access_log: bool,
    /// Whether an Envoy that starts again goes on in the file of the one before.
    pub same_file: bool,
    /// Whether the hosts end before the journals are read.
    pub hosts_end: bool,
    /// Batches that may wait in a collector.
    pub queue: usize,
    /// Between here and there, one way, at most.
    pub latency_us: u64,
    /// Another plugin has left nearly as much in what the VMs share as may lie there.
    pub crowded: bool,
    /// A commit, at most.
    pub commit_us: u64,
    /// A proxy on the way refuses larger bodies by 413.
    pub max_body: Option<usize>,
    /// What goes wrong.
    pub faults: Faults,
    /// Which calls there are.
    pub mix: Mix,
}

/// What goes wrong: by request or commit in a thousand, or every so many microseconds (0: never).
#[derive(Clone, Debug, Default)]
pub struct Faults {
    pub dispatch_error: u32,
    pub contention: u32,
    pub lose_request: u32,
    pub lose_response: u32,
    pub reset_response: u32,
    pub proxy_error: u32,
    pub proxy_refuses: u32,
    pub duplicate: u32,
    pub late: u32,
    pub very_late: u32,
    pub store_fails: u32,
    pub store_fails_after: u32,
    pub store_begins_anew: u32,
    pub crash_before_commit: u32,
    pub crash_after_commit: u32,
    pub stop_collector_us: u64,
    pub outage_us: u64,
    pub update_config_us: u64,
    pub update_code_us: u64,
    pub kill_us: u64,
    pub terminate_us: u64,
    pub trap_us: u64,
    pub clock_us: u64,
    pub impostor_us: u64,
    pub reconcile_us: u64,
    pub price_us: u64,
    pub release_us: u64,
    pub close_us: u64,
}

/// Which calls there are, in a thousand.
#[derive(Clone, Debug, Default)]
pub struct Mix {
    /// A record that this version of the collector cannot read.
    pub dead_letter: u32,
    /// Bytes that break the batch.
    pub broken: u32,
    /// What a proxy on the way refuses by 400.
    pub offensive: u32,
    /// It is beyond what its credential may charge.
    pub beyond: u32,
    /// Two meters see the same call.
    pub pair: u32,
    /// Another model is used in the same call.
    pub part: u32,
    /// A server that gives all its responses the same id, half of them to a client that repeats its request ids.
    pub small_server: u32,
    /// No counts.
    pub missing: u32,
    /// A long record.
    pub long: u32,
}

impl Plan {
    /// The world of a seed.
    pub fn draw(random: &mut Random) -> Plan {
        let active_us = random.within(10, 60) * SECOND_US;
        let hosts = random.within(1, 3) as usize;
        let calls = random.pick(&[30, 100, 200, 300, 600, 1200]);
        let journal = random.pick(&[Journal::Flushed, Journal::Flushed, Journal::Buffered, Journal::None]);
        Plan {
            hosts,
            workloads: random.pick(&[Workloads::Unnamed, Workloads::Each, Workloads::Each, Workloads::One]),
            workers: random.within(1, 2) as usize,
            collectors: random.within(1, 3) as usize,
            active_us,
            call_every_us: active_us * hosts as u64 / calls,
            start_ns: MIDNIGHT_NS - random.below(90) * 1_000_000_000,
            journal,
            access_log: random.chance(300),
            same_file: random.chance(700),
            hosts_end: random.chance(600),
            queue: random.pick(&[1, 2, 8, 64]),
            latency_us: random.pick(&[1_000, 20_000, 200_000]),
            crowded: random.chance(150),
            commit_us: random.pick(&[2_000, 20_000, 300_000]),
            max_body: random.chance(150).then(|| random.within(9_000, 40_000) as usize),
            faults: Faults::draw(random, active_us),
            mix: Mix::draw(random),
        }
    }
}

impl Faults {
    /// Each fault in some worlds only: what always happens hides what seldom does.
    fn draw(random: &mut Random, active_us: u64) -> Faults {
        let mut often = |most: u64| if random.chance(350) { random.within(1, most) as u32 } else { 0 };
        let mut faults = Faults {
            dispatch_error: often(100),
            contention: often(1000),
            lose_request: often(300),
            lose_response: often(300),
            reset_response: often(200),
            proxy_error: often(300),
            proxy_refuses: often(30),
            duplicate: often(300),
            late: often(200),
            very_late: often(60),
            store_fails: often(200),
            store_fails_after: often(200),
            store_begins_anew: often(300),
            crash_before_commit: often(150),
            crash_after_commit: often(150),
            ..Faults::default()
        };
        let mut every = |per_mille: u32| if random.chance(per_mille) { active_us / random.within(1, 6) } else { 0 };
        faults.stop_collector_us = every(300);
        faults.outage_us = every(400);
        faults.update_config_us = every(400);
        faults.update_code_us = every(300);
        faults.kill_us = every(350);
        faults.terminate_us = every(250);
        faults.trap_us = every(200);
        faults.clock_us = every(150);
        faults.impostor_us = every(400);
        faults.reconcile_us = every(150);
        faults.price_us = every(150);
        faults.release_us = every(500);
        faults.close_us = every(400);
        faults
    }
}

impl Mix {
    fn draw(random: &mut Random) -> Mix {
        let mut some = |per_mille: u32, most: u64| {
            if random.chance(per_mille) { random.within(1, most) as u32 } else { 0 }
        };
        Mix {
            dead_letter: some(200, 40),
            broken: some(150, 15),
            offensive: some(200, 20),
            beyond: some(300, 60),
            pair: some(300, 400),
            part: some(200, 200),
            small_server: some(200, 300),
            missing: some(400, 200),
            long: some(400, 900),
        }
    }
}

/// A configuration of the plugin, checked by its own code.
pub fn configuration(random: &mut Random, tight: bool) -> Rc<Config> {
    let outbox = if tight { random.within(65_536, 90_000) } else { random.pick(&[65_536, 262_144, 8_388_608]) };
    let json = serde_json::json!({
        "collector": {
            "cluster": "meshmeter_collector",
            "authority": random.pick(&["meshmeter-collector", "meshmeter-collector", "the-other-name"]),
            "timeout_ms": random.pick(&[500, 2000, 5000]),
            "heartbeat_ms": random.pick(&[1000, 5000, 15_000, 15_000, 15_000, 0]),
        },
        "batch": {
            "max_events": random.pick(&[1, 3, 10, 100, 100, 1000]),
            "max_bytes": random.pick(&[16_384, 65_536, 262_144]),
            "max_age_ms": random.pick(&[100, 1000, 1000, 3000]),
        },
        "outbox": { "max_bytes": outbox },
    });
    let checked = config::parse(json.to_string().as_bytes());
    Rc::new(checked.unwrap_or_else(|problems| panic!("the simulation's own configuration: {problems}")))
}

//! What a seed decides before a schedule begins.

use crate::plan::MIDNIGHT_NS;
use crate::random::Random;

/// A budget as `meshmeter budgets set` takes it.
#[derive(Clone, Debug)]
pub struct Planned {
    pub name: String,
    pub tenant: Option<&'static str>,
    pub model: Option<&'static str>,
    pub per_tenant: bool,
    /// In nano-USD, or in tokens.
    pub is_usd: bool,
    pub limit: u64,
    /// A minute, or an hour.
    pub window_s: u64,
}

/// A schedule's world.
#[derive(Clone, Debug)]
pub struct Plan {
    pub workers: usize,
    pub collectors: usize,
    pub start_us: u64,
    pub active_us: u64,
    pub budgets: Vec<Planned>,
    /// Between two bursts, mean.
    pub burst_every_us: u64,
    /// Calls at once, at most.
    pub burst: u64,
    /// Calls of which nobody knows what they cost, in a thousand.
    pub open: u32,
    /// A call, at most.
    pub duration_us: u64,
    /// Without a collector nothing passes.
    pub is_closed: bool,
    pub latency_us: u64,
    /// Clocks are off by so much at most, ms.
    pub skew_ms: u64,
    /// In a thousand.
    pub lose: u32,
    pub replay: u32,
    pub fail: u32,
    /// Mean time between, µs; 0: never.
    pub kill_us: u64,
    pub end_us: u64,
    pub outage_us: u64,
    pub change_us: u64,
}

/// Who calls.
pub const TENANTS: [&str; 4] = ["acme", "acme/ml", "acme/web", "globex"];
/// What is asked for; the last has no price.
pub const MODELS: [&str; 3] = ["alpha", "alpha", "beta"];
/// What an open call is thought to write.
pub const ASSUMED: u64 = 2000;

const SECOND_US: u64 = 1_000_000;

impl Plan {
    /// The world of a seed.
    pub fn draw(random: &mut Random) -> Plan {
        let count = random.within(1, 4);
        let mut budgets: Vec<Planned> = Vec::new();
        for number in 0..count {
            let budget = Planned::draw(random, number);
            // Two that count the same are refused.
            if !budgets.iter().any(|other| other.counts_as(&budget)) {
                budgets.push(budget);
            }
        }
        let mut seldom = |chance, mean_us| if random.chance(chance) { random.around(mean_us) } else { 0 };
        let (kill_us, end_us) = (seldom(300, 40 * SECOND_US), seldom(300, 30 * SECOND_US));
        let (outage_us, change_us) = (seldom(350, 40 * SECOND_US), seldom(250, 30 * SECOND_US));
        let mut often = |most| if random.chance(400) { random.within(1, most) as u32 } else { 0 };
        let (lose, replay, fail) = (often(200), often(200), often(150));
        Plan {
            workers: random.within(1, 6) as usize,
            collectors: random.within(1, 2) as usize,
            start_us: MIDNIGHT_NS / 1000 - random.below(90) * SECOND_US,
            active_us: random.within(20, 100) * SECOND_US,
            budgets,
            burst_every_us: random.pick(&[300_000, 1_000_000, 4_000_000]),
            burst: random.pick(&[1, 4, 64]),
            open: random.pick(&[0, 0, 100, 1000]),
            duration_us: random.pick(&[50_000, 2_000_000, 30_000_000]),
            is_closed: random.chance(700),
            latency_us: random.pick(&[1_000, 20_000, 300_000]),
            skew_ms: random.pick(&[0, 50, 3000]),
            lose,
            replay,
            fail,
            kill_us,
            end_us,
            outage_us,
            change_us,
        }
    }
}

impl Planned {
    fn counts_as(&self, other: &Planned) -> bool {
        let what = |budget: &Planned| (budget.tenant, budget.model, budget.per_tenant, budget.is_usd, budget.window_s);
        what(self) == what(other)
    }

    fn draw(random: &mut Random, number: u64) -> Planned {
        let is_usd = random.chance(400);
        let tokens = random.pick(&[500, 5_000, 50_000, 500_000]);
        Planned {
            name: format!("budget-{number}"),
            tenant: random.pick(&[None, Some("acme"), Some("acme/ml")]),
            model: random.pick(&[None, None, Some("alpha")]),
            per_tenant: random.chance(400),
            is_usd,
            // A token of output costs 10,000 nano-USD.
            limit: random.around(tokens) * if is_usd { 5000 } else { 1 },
            window_s: random.pick(&[60, 60, 60, 3600]),
        }
    }
}

//! What really happened: what calls cost, by plain arithmetic.

use std::collections::BTreeMap;

use super::plan::Planned;

/// Nano-USD for a token of input and of output of the model that has a price.
pub const INPUT: u64 = 2500;
pub const OUTPUT: u64 = 10_000;

/// The price book.
pub const BOOK: &str = "[[price]]\nprovider = \"openai\"\nmodel = \"alpha\"\nvalid_from = 1970-01-01\ninput_text = \"2.50\"\n\
                        output_text = \"10.00\"\n";

/// A call.
#[derive(Clone, Debug)]
pub struct Call {
    pub tenant: &'static str,
    pub model: &'static str,
    pub input: u64,
    /// What it may write; none: nobody knows.
    pub max_output: Option<u64>,
    /// What it writes.
    pub output: u64,
    pub duration_us: u64,
}

/// A window: the budget's place, when it begins, and for whom.
pub type Window = (usize, u64, String);

impl Call {
    /// What it costs in a budget.
    pub fn cost(&self, budget: &Planned) -> u64 {
        self.amount(budget, self.output)
    }

    /// What it costs if it writes so much.
    pub fn amount(&self, budget: &Planned, output: u64) -> u64 {
        match (budget.is_usd, self.model) {
            (false, _) => self.input + output,
            (true, "alpha") => self.input * INPUT + output * OUTPUT,
            (true, _) => 0,
        }
    }

    /// The windows in which it counts.
    pub fn windows(&self, budgets: &[Planned], started_s: u64) -> Vec<Window> {
        let is_below = |top: &str| self.tenant == top || self.tenant.starts_with(&format!("{top}/"));
        let covers = |budget: &Planned| {
            budget.tenant.is_none_or(is_below) && budget.model.is_none_or(|model| model == self.model)
        };
        let window = |(at, budget): (usize, &Planned)| {
            let subject = if budget.per_tenant { self.tenant.to_owned() } else { String::new() };
            (at, started_s / budget.window_s * budget.window_s, subject)
        };
        budgets.iter().enumerate().filter(|(_, budget)| covers(budget)).map(window).collect()
    }
}

/// What is known of a window.
#[derive(Clone, Debug, Default)]
pub struct Fact {
    /// What calls that ended have cost, and were not lost with their worker.
    pub spent: u64,
    /// By worker: the dearest call of which nobody knew what it would cost.
    pub open: BTreeMap<usize, u64>,
    /// What passed without a lease.
    pub unheld: u64,
}

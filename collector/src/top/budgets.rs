//! Budgets: what is left of those that matter for what is shown, and what is said of those that have little left.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;

use crate::money::Charge;
use crate::terminal::{grouped, printable};

/// Parts of a limit by which budgets are compared.
const WHOLE: i128 = 1000;
/// With so many parts of it spent, little is left.
const MOST: i128 = 900;
/// Decimals of amounts.
const DECIMALS: u8 = 4;

/// A budget in the window of now, as the collector says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Budget {
    /// Its name.
    pub name: String,
    /// The tenant that it covers, with those below it.
    pub tenant: Option<String>,
    /// The provider.
    pub provider: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// Each tenant has the limit for itself.
    #[serde(default)]
    pub per_tenant: bool,
    /// `hard`, `soft` or `shadow`.
    pub mode: String,
    /// `minute` to `month`.
    pub window: String,
    /// When the window is over, seconds since 1970.
    pub until: i64,
    /// `tokens` or `usd`.
    pub unit: String,
    /// The limit.
    pub limit: String,
    /// What was spent: by the one that spent most, where each tenant has the limit for itself.
    pub spent: String,
    /// Which tenant that is.
    pub spent_by: Option<String>,
    /// What is left.
    pub left: String,
    /// How many have nothing left.
    #[serde(default)]
    pub exhausted: u64,
}

/// The budgets to show: those that cover one of these tenants first, those with the least left before others.
pub fn in_order<'a>(budgets: &'a [Budget], tenants: &BTreeSet<&str>) -> Vec<&'a Budget> {
    let mut all: Vec<&Budget> = budgets.iter().collect();
    all.sort_by_cached_key(|budget| {
        let covers = tenants.iter().any(|tenant| budget.covers(tenant));
        (Reverse(covers), Reverse(budget.share()), budget.name.clone())
    });
    all
}

/// What is said of budgets of which nothing or little is left; a shadow refuses nothing.
pub fn said(budgets: &[Budget]) -> Vec<String> {
    let mut all: Vec<&Budget> = budgets.iter().filter(|budget| budget.mode != "shadow").collect();
    all.sort_by_cached_key(|budget| (Reverse(budget.share()), budget.name.clone()));
    all.into_iter().filter_map(Budget::said).collect()
}

impl Budget {
    /// Whether it has to do with a tenant and those below it.
    pub fn concerns(&self, top: &str) -> bool {
        self.covers(top) || self.tenant.as_ref().is_some_and(|own| is_below(own, top))
    }

    fn covers(&self, tenant: &str) -> bool {
        self.tenant.as_ref().is_none_or(|top| is_below(tenant, top))
    }

    /// How much of the limit is spent, in thousandths.
    fn share(&self) -> i128 {
        let (limit, spent) = (self.number(&self.limit), self.number(&self.spent));
        let share = match spent.checked_mul(WHOLE) {
            Some(spent) => spent.checked_div(limit),
            None => limit.checked_div(WHOLE).and_then(|part| spent.checked_div(part)),
        };
        share.unwrap_or(WHOLE)
    }

    /// An amount, in the smallest part of its unit.
    fn number(&self, text: &str) -> i128 {
        match self.unit.as_str() {
            "usd" => text.parse().map_or(0, Charge::yocto_usd),
            _ => text.parse().unwrap_or(0),
        }
    }

    fn amount(&self, text: &str) -> String {
        match self.unit.as_str() {
            "usd" => text
                .parse::<Charge>()
                .map_or_else(|_| printable(text), |charge| charge.rounded(DECIMALS).unwrap_or(charge).to_string()),
            _ => text.parse().map_or_else(|_| printable(text), grouped),
        }
    }

    fn percent(&self) -> String {
        format!("{} %", self.share().checked_div(10).unwrap_or_default())
    }

    fn until(&self, format: &str) -> String {
        Timestamp::from_second(self.until).map_or_else(|_| "-".to_owned(), |until| until.strftime(format).to_string())
    }

    /// Whose calls count, in words.
    fn of(&self) -> String {
        let each = if self.per_tenant { "each of " } else { "" };
        let tenant = self.tenant.as_deref().unwrap_or("all tenants");
        let rest =
            [&self.provider, &self.model].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
        let rest = if rest.is_empty() { rest } else { format!(", {rest}") };
        printable(format!("{each}{tenant}{rest}"))
    }

    fn said(&self) -> Option<String> {
        let (name, mode) = (printable(&self.name), printable(&self.mode));
        let until = self.until("%Y-%m-%d %H:%M UTC");
        let by = self.spent_by.as_deref().map_or_else(String::new, |tenant| format!(" by {}", printable(tenant)));
        let (share, is_long) = (self.share(), matches!(self.window.as_str(), "day" | "week" | "month"));
        match self.exhausted {
            _ if share >= WHOLE && !self.per_tenant => Some(format!("budget {name} ({mode}) is spent until {until}")),
            1 => Some(format!("budget {name} ({mode}) is spent{by} until {until}")),
            tenants if tenants > 1 => {
                Some(format!("budget {name} ({mode}) is spent by {tenants} tenants until {until}"))
            }
            // Of an hour or a minute that is nothing to say.
            _ if share >= MOST && is_long => {
                Some(format!("budget {name} ({mode}) is spent to {}{by} until {until}", self.percent()))
            }
            _ => None,
        }
    }

    /// What its line has: three texts, and six numbers.
    pub fn cells(&self, refused: Option<i128>) -> [String; 9] {
        let spent = match &self.spent_by {
            Some(_) => format!("{} max", self.amount(&self.spent)),
            None => self.amount(&self.spent),
        };
        [
            printable(&self.name),
            self.of(),
            printable(format!("{}, {} a {}", self.mode, self.unit, self.window)),
            self.amount(&self.limit),
            spent,
            self.amount(&self.left),
            self.percent(),
            self.until("%m-%d %H:%M"),
            refused.map_or_else(|| "-".to_owned(), grouped),
        ]
    }
}

fn is_below(tenant: &str, top: &str) -> bool {
    tenant.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests;

//! Budgets as they stand: what `meshmeter budgets` shows, and the metrics.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::budget::amount::text_of_whole;
use crate::budget::grant::Has;
use crate::budget::period::second;
use crate::budget::{Amount, Definition, Span};
use crate::ledger::leases::is_silent;
use crate::store::{Reader, StoreError};
use crate::terminal::{self, printable};

mod explain;
mod notes;

pub use explain::{Explained, explain};
pub use notes::notes;

/// A budget in the window of now.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The budget.
    pub budget: Definition,
    /// The window.
    pub span: Span,
    /// What was spent: by all together, or, where each tenant has the limit for itself, by the one that spent most.
    pub spent: Amount,
    /// Which tenant that is.
    pub subject: Option<String>,
    /// What workers hold of it, of all tenants, in whole units.
    pub leased: u64,
    /// How many tenants have spent something, where each has the limit for itself.
    pub tenants: u64,
    /// How many of them have nothing left; else 1 if nothing is left.
    pub exhausted: u64,
}

impl Standing {
    /// What is not spent yet, in whole units.
    pub fn left(&self) -> u64 {
        self.budget.limit.saturating_sub(self.spent.whole(self.budget.unit()))
    }
}

/// Every budget in force, in the window of now.
pub fn standing(reader: &dyn Reader, now_ns: i64) -> Result<Vec<Standing>, StoreError> {
    let budgets = reader.budgets()?;
    budgets.iter().filter_map(|budget| stands(reader, budget, now_ns).transpose()).collect()
}

fn stands(reader: &dyn Reader, budget: &Definition, now_ns: i64) -> Result<Option<Standing>, StoreError> {
    let Some(span) = budget.zone.window(budget.period, second(now_ns)) else { return Ok(None) };
    let mut standing = Standing {
        budget: budget.clone(),
        span,
        spent: Amount::default(),
        subject: None,
        leased: 0,
        tenants: 0,
        exhausted: 0,
    };
    reader.balances(budget.id, span.begins_s, &mut |(key, spent)| {
        if key.begins_s == span.begins_s {
            standing.tenants = standing.tenants.saturating_add(1);
            let is_exhausted = spent.whole(budget.unit()) >= budget.limit;
            standing.exhausted = standing.exhausted.saturating_add(u64::from(is_exhausted));
            if spent >= standing.spent {
                standing.spent = spent;
                standing.subject = Some(key.subject).filter(|_| budget.budget.per_tenant);
            }
        }
        Ok(())
    })?;
    reader.leases(budget.id, span.begins_s, &mut |(key, _, lease)| {
        if key.begins_s == span.begins_s && !is_silent(lease.seen_ns, now_ns) {
            let held = Has::of(lease.granted, lease.charged, budget.unit()).held();
            standing.leased = standing.leased.saturating_add(held);
        }
        Ok(())
    })?;
    if !budget.budget.per_tenant && budget.limit == 0 {
        standing.exhausted = 1;
    }
    Ok(Some(standing))
}

/// The scope in words: `acme, openai gpt-5`.
fn scope(budget: &Definition) -> String {
    let scope = &budget.budget.scope;
    let tenant = scope.tenant.as_deref().map(printable);
    let each = if budget.budget.per_tenant { "each of " } else { "" };
    let model = [&scope.provider, &scope.model].into_iter().flatten().map(printable).collect::<Vec<_>>().join(" ");
    let who = format!("{each}{}", tenant.unwrap_or_else(|| "all tenants".to_owned()));
    if model.is_empty() { who } else { format!("{who}, {model}") }
}

/// A line for each budget, for the eye.
pub fn table(all: &[Standing]) -> String {
    if all.is_empty() {
        return "no budgets: `meshmeter budgets set` sets one\n".to_owned();
    }
    let mut table = Table::new();
    let header = ["budget", "of", "mode", "window", "until", "unit", "limit", "spent", "leased", "left", "exhausted"];
    table.load_style(presets::NOTHING).set_header(header);
    for standing in all {
        let Standing { budget, span, spent, subject, leased, tenants, exhausted } = standing;
        let unit = budget.unit();
        let most = match subject {
            Some(subject) => format!("{} by {}", spent.text(unit), printable(subject)),
            None => spent.text(unit),
        };
        let exhausted = match budget.budget.per_tenant {
            true => format!("{exhausted} of {tenants} tenants"),
            false => if *exhausted > 0 { "yes" } else { "no" }.to_owned(),
        };
        table.add_row([
            budget.name().to_owned(),
            scope(budget),
            budget.budget.mode.as_str().to_owned(),
            budget.period.as_str().to_owned(),
            budget.zone.text(span.ends_s),
            unit.as_str().to_owned(),
            text_of_whole(budget.limit, unit),
            most,
            text_of_whole(*leased, unit),
            text_of_whole(standing.left(), unit),
            exhausted,
        ]);
    }
    for column in table.column_iter_mut().skip(6).take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{}\n", table.trim_fmt())
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    #[serde(flatten)]
    scope: Scope<'a>,
    mode: &'static str,
    window: &'static str,
    zone: &'a str,
    begins: i64,
    until: i64,
    unit: &'static str,
    limit: String,
    spent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    spent_by: Option<&'a str>,
    leased: String,
    left: String,
    tenants: u64,
    exhausted: u64,
}

#[derive(Serialize)]
struct Scope<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    per_tenant: bool,
}

impl<'a> Scope<'a> {
    fn of(budget: &'a Definition) -> Scope<'a> {
        let scope = &budget.budget.scope;
        let [tenant, provider, model] = [&scope.tenant, &scope.provider, &scope.model].map(Option::as_deref);
        Scope { tenant, provider, model, per_tenant: budget.budget.per_tenant }
    }
}

impl Serialize for Standing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Standing { budget, span, spent, subject, leased, tenants, exhausted } = self;
        let unit = budget.unit();
        let line = Line {
            name: budget.name(),
            scope: Scope::of(budget),
            mode: budget.budget.mode.as_str(),
            window: budget.period.as_str(),
            zone: budget.zone.name(),
            begins: span.begins_s,
            until: span.ends_s,
            unit: unit.as_str(),
            limit: text_of_whole(budget.limit, unit),
            spent: spent.text(unit),
            spent_by: subject.as_deref(),
            leased: text_of_whole(*leased, unit),
            left: text_of_whole(self.left(), unit),
            tenants: *tenants,
            exhausted: *exhausted,
        };
        line.serialize(serializer)
    }
}

/// As JSON.
pub fn json<T: Serialize + ?Sized>(shown: &T) -> Result<String, String> {
    let text = serde_json::to_string_pretty(shown).map_err(|error| error.to_string())?;
    Ok(terminal::json(&text) + "\n")
}

//! A budget explained: which calls count, what its windows have spent, who holds leases, and who changed it and why.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Scope, scope};
use crate::budget::amount::text_of_whole;
use crate::budget::balance::WindowKey;
use crate::budget::definition::Change;
use crate::budget::grant::Has;
use crate::budget::period::second;
use crate::budget::{Amount, Definition, Zone};
use crate::ledger::leases::is_silent;
use crate::store::entry::{Entry, Kind};
use crate::store::{Reader, StoreError};
use crate::terminal::printable;

/// Windows that are shown.
const WINDOWS: usize = 12;
/// Balances in memory at once.
const READ: usize = 4096;
/// Leases that are shown.
const LEASES: usize = 100;

/// A budget, explained.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// As it is in force; nothing if it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<Now>,
    /// What its last windows have spent, the latest first.
    windows: Vec<Window>,
    /// Who holds something.
    leases: Vec<Lease>,
    /// How it was changed, the first change first.
    changes: Vec<Changed>,
}

#[derive(Debug, Serialize)]
struct Now {
    name: String,
    covers: String,
    #[serde(flatten)]
    scope: OwnedScope,
    mode: &'static str,
    window: &'static str,
    zone: String,
    unit: &'static str,
    limit: String,
    counts_since: i64,
    #[serde(skip)]
    of_zone: Zone,
    /// Whether the calls of the tenant that was asked about count here.
    #[serde(skip_serializing_if = "Option::is_none")]
    covers_tenant: Option<bool>,
}

#[derive(Debug, Serialize)]
struct OwnedScope {
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    per_tenant: bool,
}

#[derive(Debug, Serialize)]
struct Window {
    begins: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    tenant: String,
    spent: String,
}

#[derive(Debug, Serialize)]
struct Lease {
    emitter: String,
    begins: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    tenant: String,
    granted: String,
    charged: String,
    held: String,
    /// Seconds since it last asked.
    asked_ago_s: i64,
}

#[derive(Debug, Serialize)]
struct Changed {
    entry: String,
    at: i64,
    who: String,
    why: String,
    what: String,
}

/// Explains the budget of a name; `None` if there never was one.
pub fn explain(
    reader: &dyn Reader,
    name: &str,
    tenant: Option<&str>,
    now_ns: i64,
) -> Result<Option<Explained>, StoreError> {
    let changes = changes(reader, name)?;
    let budgets = reader.budgets()?;
    let budget = budgets.get(name);
    if budget.is_none() && changes.is_empty() {
        return Ok(None);
    }
    let mut explained = Explained {
        budget: budget.map(|budget| now(budget, tenant)),
        windows: Vec::new(),
        leases: Vec::new(),
        changes,
    };
    if let Some(budget) = budget {
        let subject = tenant.filter(|_| budget.budget.per_tenant);
        explained.windows = windows(reader, budget, subject)?;
        explained.leases = leases(reader, budget, subject, now_ns)?;
    }
    Ok(Some(explained))
}

fn now(budget: &Definition, tenant: Option<&str>) -> Now {
    let Scope { tenant: top, provider, model, per_tenant } = Scope::of(budget);
    let own = |text: Option<&str>| text.map(str::to_owned);
    let of_tenant = wire::lease::Scope { tenant: own(top), ..Default::default() };
    Now {
        name: budget.name().to_owned(),
        covers: scope(budget),
        scope: OwnedScope { tenant: own(top), provider: own(provider), model: own(model), per_tenant },
        mode: budget.budget.mode.as_str(),
        window: budget.period.as_str(),
        zone: budget.zone.name().to_owned(),
        unit: budget.unit().as_str(),
        limit: text_of_whole(budget.limit, budget.unit()),
        counts_since: budget.since_s,
        of_zone: budget.zone.clone(),
        covers_tenant: tenant.map(|tenant| of_tenant.covers(tenant, "", None)),
    }
}

/// The last windows. Of a budget with many tenants, of each window those that spent most.
fn windows(reader: &dyn Reader, budget: &Definition, subject: Option<&str>) -> Result<Vec<Window>, StoreError> {
    let mut all: Vec<(WindowKey, Amount)> = Vec::new();
    let sort = |all: &mut Vec<(WindowKey, Amount)>| {
        all.sort_by(|(one, spent), (other, more)| (other.begins_s, more).cmp(&(one.begins_s, spent)));
        all.truncate(WINDOWS);
    };
    reader.balances(budget.id, i64::MIN, &mut |(key, spent)| {
        if subject.is_none_or(|subject| key.subject == subject) {
            all.push((key, spent));
        }
        if all.len() >= READ {
            sort(&mut all);
        }
        Ok(())
    })?;
    sort(&mut all);
    let shown = all.into_iter().map(|(WindowKey { begins_s, subject, .. }, spent)| Window {
        begins: begins_s,
        tenant: subject,
        spent: spent.text(budget.unit()),
    });
    Ok(shown.collect())
}

fn leases(
    reader: &dyn Reader,
    budget: &Definition,
    subject: Option<&str>,
    now_ns: i64,
) -> Result<Vec<Lease>, StoreError> {
    let Some(span) = budget.zone.window(budget.period, second(now_ns)) else { return Ok(Vec::new()) };
    let unit = budget.unit();
    let mut all = Vec::new();
    reader.leases(budget.id, span.begins_s, &mut |(key, emitter, lease)| {
        let held = Has::of(lease.granted, lease.charged, unit).held();
        let is_held = held > 0 && !is_silent(lease.seen_ns, now_ns);
        if is_held && all.len() < LEASES && subject.is_none_or(|subject| key.subject == subject) {
            all.push(Lease {
                emitter,
                begins: key.begins_s,
                tenant: key.subject,
                granted: text_of_whole(lease.granted, unit),
                charged: lease.charged.text(unit),
                held: text_of_whole(held, unit),
                asked_ago_s: second(now_ns.saturating_sub(lease.seen_ns)),
            });
        }
        Ok(())
    })?;
    Ok(all)
}

fn changes(reader: &dyn Reader, name: &str) -> Result<Vec<Changed>, StoreError> {
    let mut all = Vec::new();
    for entry in reader.budget_changes()? {
        let (revision, change) = read(&entry)?;
        if change.name() == name {
            all.push((revision, entry, change));
        }
    }
    all.sort_by_key(|(revision, ..)| *revision);
    let mut before: Option<Definition> = None;
    let mut changes = Vec::new();
    for (_, entry, change) in all {
        let what = match &change {
            Change::Set(now) => what(before.as_ref(), now),
            Change::Removed { .. } => "removed".to_owned(),
        };
        changes.push(Changed {
            entry: entry.id.to_string(),
            at: second(entry.received_ns),
            who: change.who().to_owned(),
            why: entry.reason.unwrap_or_default(),
            what,
        });
        before = if let Change::Set(now) = change { Some(now) } else { None };
    }
    Ok(changes)
}

fn read(entry: &Entry) -> Result<(i64, Change), StoreError> {
    let text = entry.event.as_deref().unwrap_or_default();
    let read = if entry.kind == Kind::BudgetSet { Change::set(text) } else { Change::removed(text) };
    read.map_err(|problem| StoreError::Unusable(format!("entry {}: {problem}", entry.id)))
}

/// What a change has made otherwise.
fn what(before: Option<&Definition>, now: &Definition) -> String {
    let texts = |budget: &Definition| {
        let unit = budget.unit();
        [
            format!("{} {}", text_of_whole(budget.limit, unit), unit.as_str()),
            format!("each {} ({})", budget.period.as_str(), budget.zone.name()),
            scope(budget),
            budget.budget.mode.as_str().to_owned(),
        ]
    };
    let Some(before) = before else { return format!("set: {}", texts(now).join(", ")) };
    let changed = texts(before).into_iter().zip(texts(now)).filter(|(before, now)| before != now);
    let changed: Vec<String> = changed.map(|(before, now)| format!("{before} to {now}")).collect();
    let anew = if before.id == now.id { "" } else { "; its counting began anew" };
    format!("changed: {}{anew}", changed.join(", "))
}

impl Explained {
    /// Whether it is in force.
    pub fn is_in_force(&self) -> bool {
        self.budget.is_some()
    }

    /// For the eye.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a text cannot fail.
        let zone = match &self.budget {
            Some(now) => {
                let _ = now.write(&mut text);
                now.of_zone.clone()
            }
            None => {
                text.push_str("It was removed, and counts nothing.\n");
                Zone::default()
            }
        };
        let of = |tenant: &str| if tenant.is_empty() { String::new() } else { format!("  {}", printable(tenant)) };
        let unit = self.budget.as_ref().map_or("", |now| now.unit);
        if self.budget.is_some() {
            text.push_str("\nWindows (spent):\n");
            for Window { begins, tenant, spent } in &self.windows {
                let _ = writeln!(text, "  from {}{}  {spent} {unit}", zone.text(*begins), of(tenant));
            }
            if self.windows.is_empty() {
                text.push_str("  nothing was spent yet\n");
            }
            text.push_str("\nLeases (held by workers):\n");
            for Lease { emitter, begins, tenant, granted, charged, held, asked_ago_s } in &self.leases {
                let _ = writeln!(
                    text,
                    "  {}{}  from {}  {held} {unit} (granted {granted}, charged {charged}), asked {asked_ago_s} s ago",
                    printable(emitter),
                    of(tenant),
                    zone.text(*begins)
                );
            }
            if self.leases.is_empty() {
                text.push_str("  nobody holds any\n");
            }
        }
        text.push_str("\nChanges:\n");
        for Changed { entry, at, who, why, what } in &self.changes {
            let (who, why, what) = (printable(who), printable(why), printable(what));
            let _ = writeln!(text, "  {}  entry {entry}  {who}: {what} ({why})", zone.text(*at));
        }
        text
    }
}

impl Now {
    fn write(&self, text: &mut String) -> std::fmt::Result {
        let Now { name, covers, mode, window, zone, unit, limit, counts_since, of_zone, covers_tenant, .. } = self;
        writeln!(text, "{name}: at most {limit} {unit} each {window} ({zone}), {mode}")?;
        writeln!(text, "Counts the calls of {covers}; by the model that was asked for, else the one that responded.")?;
        let counted =
            if *unit == "usd" { "What the tenant is charged counts" } else { "Input and output tokens count" };
        writeln!(text, "{counted}, in the window in which the call began, since {}.", of_zone.text(*counts_since))?;
        match covers_tenant {
            Some(true) => writeln!(text, "The calls of the tenant that was asked about count here."),
            Some(false) => writeln!(text, "The calls of the tenant that was asked about do not count here."),
            None => Ok(()),
        }
    }
}

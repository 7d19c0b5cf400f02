//! Whether calls are held to the budgets that the collector has.

use std::collections::BTreeSet;

use meter::failures::CollectorFailure;
use meter::telemetry::{Metric, NOT_GRANTED};

use crate::doctor::code::Code;
use crate::doctor::collector::Collector;
use crate::doctor::envoy::Envoy;
use crate::doctor::finding::{Findings, some};
use crate::exposition::Scrape;
use crate::terminal::printable;

use super::REASON;
use super::ledger::name::UNPRICED;

const LIMIT: &str = "meshmeter_budget_limit";
const SPENT: &str = "meshmeter_budget_spent";
/// Of budgets that each tenant has for itself only.
const EXHAUSTED: &str = "meshmeter_budget_exhausted_tenants";
const UNPRICED_CALLS: &str = "meshmeter_unpriced_calls_total";
const BUDGET: &str = "meshmeter_budget";
/// The labels of a budget at the collector.
const LABELS: [&str; 3] = ["budget", "unit", "mode"];

/// What the plugin counts of budgets.
pub fn check(envoy: &Envoy, findings: &mut Findings) {
    let mut passes = envoy.growth(Metric::BudgetUnheld) > 0.0;
    for Failed { reason, count, grown } in failures(envoy).filter(|failed| failed.grown > 0.0) {
        passes = true;
        let (code, what) = match reason {
            NOT_GRANTED => (Code::LeasesNotGranted, "responses without some lease that was asked for".to_owned()),
            reason => (Code::LeasesFail, format!("requests for leases that failed with {}", meaning(reason))),
        };
        findings.add(code, format!("{what} since Envoy started: {count}, just now: {grown}"));
    }
    let unheld = envoy.count(Metric::BudgetUnheld);
    if unheld > 0.0 {
        let code = if passes { Code::BudgetUnheld } else { Code::BudgetUnheldBefore };
        findings.add(code, format!("calls since Envoy started: {unheld}"));
    }
    let refused = envoy.after.series(Metric::BudgetRefused.spec().name, [BUDGET, REASON]);
    let refused = refused.into_iter().map(|([budget, reason], calls)| {
        let budget = if budget.is_empty() { "no budget known yet" } else { budget };
        format!("{} {} {calls}", printable(budget), printable(reason))
    });
    findings.add_each(Code::BudgetRefused, &refused.collect::<Vec<_>>(), |by| {
        format!("calls by budget and reason since Envoy started: {by}")
    });
}

/// Requests for leases that failed for one reason.
struct Failed<'a> {
    reason: &'a str,
    count: f64,
    grown: f64,
}

fn failures(envoy: &Envoy) -> impl Iterator<Item = Failed<'_>> {
    let name = Metric::LeaseFailures.spec().name;
    let before = envoy.before.by(name, REASON);
    envoy.after.by(name, REASON).into_iter().map(move |(reason, count)| Failed {
        reason,
        count,
        grown: count - before.get(reason).copied().unwrap_or_default(),
    })
}

/// Requests for leases that failed, and do not now. A budget that was removed is not granted once: that says nothing.
pub fn failed_before(envoy: &Envoy) -> Vec<String> {
    let past = failures(envoy).filter(|failed| failed.count > 0.0 && failed.grown <= 0.0);
    let past = past.filter(|failed| failed.reason != NOT_GRANTED);
    past.map(|Failed { reason, count, .. }| {
        format!("requests for leases that failed with {} since Envoy started: {count}", meaning(reason))
    })
    .collect()
}

fn meaning(reason: &str) -> String {
    match CollectorFailure::from_word(reason) {
        Some(CollectorFailure::NotFound) => "not_found (it has no leases at this path)".to_owned(),
        Some(failure) => format!("{reason} ({})", failure.meaning()),
        None => printable(reason),
    }
}

/// What the collector's metrics say of its budgets.
pub fn of_collector(collector: &Collector, findings: &mut Findings) {
    let Some(scrape) = &collector.after else { return };
    let (limits, spent) = (scrape.series(LIMIT, LABELS), scrape.series(SPENT, LABELS));
    let with_spent = limits.iter().map(|(budget, limit)| (budget, *limit, spent.get(budget).copied().unwrap_or(0.0)));
    let nothing_left = with_spent.filter(|(_, limit, spent)| spent >= limit);
    let exhausted = scrape.series(EXHAUSTED, LABELS);
    let nothing_left = nothing_left.map(|(budget, limit, spent)| {
        let [name, unit, mode] = *budget;
        let tenants = exhausted
            .get(budget)
            .map(|tenants| format!(" of the tenant that spent most; tenants with nothing left: {tenants}"));
        let tenants = tenants.unwrap_or_default();
        format!("{} ({}, {spent} of {limit} {}{tenants})", printable(name), printable(mode), printable(unit))
    });
    findings.add_each(Code::BudgetSpent, &nothing_left.collect::<Vec<_>>(), |all| format!("nothing is left of {all}"));
    let in_usd = limits.keys().filter(|[_, unit, mode]| *unit == "usd" && *mode != "soft");
    let in_usd: Vec<String> = in_usd.map(|[name, ..]| printable(name)).collect();
    let unpriced = unpriced(scrape);
    if let Some(unpriced) = unpriced.filter(|_| !in_usd.is_empty()) {
        findings.add(Code::BudgetUnpriced, format!("budgets in USD: {}; {unpriced}", some(&in_usd)));
    }
}

/// What has no price, if there is something.
fn unpriced(scrape: &Scrape) -> Option<String> {
    let models = scrape.series(UNPRICED_CALLS, ["gen_ai_provider_name", "gen_ai_response_model"]);
    let models = models.into_iter().filter(|(_, records)| *records > 0.0);
    let models: Vec<String> = models.map(|([provider, model], _)| printable(format!("{provider} {model}"))).collect();
    let all = scrape.sum(UNPRICED);
    if !models.is_empty() {
        return Some(format!("models without a price since the collector started: {}", some(&models)));
    }
    (all > 0.0).then(|| format!("calls, by day, tenant and model, with something that has no price: {all}"))
}

/// Whether the plugin does not hold budgets that the collector has.
pub fn off(envoy: &Envoy, collector: &Collector, findings: &mut Findings) {
    let (Some(scrape), Some(config)) = (&collector.after, &envoy.config) else { return };
    let held = scrape.series(LIMIT, LABELS).into_keys().filter(|[_, _, mode]| *mode != "soft");
    let held: Vec<String> = held.map(|[name, _, mode]| format!("{} ({})", printable(name), printable(mode))).collect();
    let is_off = |text: &str| {
        let own = meter::config::parse(text.as_bytes());
        own.is_ok_and(|own| own.collector.is_some() && own.budgets.is_none())
    };
    let listeners = config.plugins().filter(|(_, plugin)| is_off(&plugin.configuration));
    let listeners: BTreeSet<String> = listeners.map(|(listener, _)| listener.name.clone()).collect();
    if !held.is_empty() {
        findings.add_each(Code::BudgetsOff, &Vec::from_iter(listeners), |listeners| {
            format!("the plugin of listener {listeners} has no `budgets`; the collector has {}", some(&held))
        });
    }
}

//! The checks: each looks at what was seen, and adds what it finds. No I/O here.

use meter::telemetry::Metric;

use super::Observation;
use super::call::Sent;
use super::code::Code;
use super::collector::Collector;
use super::envoy::Envoy;
use super::finding::{Finding, Findings, Unseen};

mod budgets;
mod delivery;
mod file;
mod journal;
mod ledger;
mod metrics;
mod plugin;
mod providers;

/// Labels of the plugin's metrics.
const TENANT: &str = "tenant";
const PROVIDER: &str = "gen_ai_provider_name";
const REASON: &str = "meshmeter_reason";
/// Clocks that differ by less than this may as well be read at different times, seconds.
const CLOCKS_S: i64 = 60;

/// Judges what was seen; the most serious findings come first.
pub fn diagnose(seen: &Observation) -> Vec<Finding> {
    let mut found = Vec::new();
    for (url, envoy) in &seen.envoys {
        let mut findings = Findings::about(format!("Envoy {url}"), &mut found);
        match envoy {
            Err(Unseen::Unreachable(problem)) => findings.add(Code::EnvoyUnreachable, problem.clone()),
            Err(Unseen::Other(problem)) => findings.add(Code::NotEnvoy, problem.clone()),
            Ok(envoy) => judge(envoy, &mut findings),
        }
    }
    if let Some((url, collector)) = &seen.collector {
        let mut findings = Findings::about(format!("collector {url}"), &mut found);
        match collector {
            Err(Unseen::Unreachable(problem)) => findings.add(Code::CollectorUnreachable, problem.clone()),
            Err(Unseen::Other(problem)) => findings.add(Code::NotCollector, problem.clone()),
            Ok(collector) => {
                ledger::check(collector, &mut findings);
                budgets::of_collector(collector, &mut findings);
                same_collector(seen, collector, &mut findings);
                beside(seen, collector, &mut found);
            }
        }
    }
    if let Some((name, text)) = &seen.file
        && file::check(text, &mut Findings::about(name.clone(), &mut found))
    {
        for envoy in seen.envoys.values().flatten() {
            file::compare(text, envoy, &mut Findings::about(format!("Envoy {}", envoy.url), &mut found));
        }
    }
    if let Some(sent) = &seen.call {
        call(seen, sent, &mut Findings::about(format!("test call {}", sent.url), &mut found));
    }
    found.sort_by(|one, other| other.severity().cmp(&one.severity()).then_with(|| one.at.cmp(&other.at)));
    found
}

fn judge(envoy: &Envoy, findings: &mut Findings) {
    findings.add_each(Code::PageUnread, &envoy.unread, str::to_owned);
    let Some(config) = &envoy.config else { return };
    plugin::check(envoy, config, findings);
    providers::check(envoy, config, findings);
    metrics::check(envoy, config, findings);
    budgets::check(envoy, findings);
    delivery::check(envoy, config, findings);
    journal::check(envoy, config, findings);
}

/// Events that were acknowledged while one looked must have reached the collector that one looked at.
fn same_collector(seen: &Observation, collector: &Collector, findings: &mut Findings) {
    let acknowledged: f64 = seen.envoys.values().flatten().map(|envoy| envoy.growth(Metric::Acknowledged)).sum();
    let Some(after) = &collector.after else { return };
    let taken = after.sum(ledger::name::EVENTS) - collector.before.sum(ledger::name::EVENTS);
    if acknowledged > 0.0 && taken == 0.0 {
        findings.add(
            Code::AnotherCollector,
            format!("events acknowledged just now: {acknowledged}; received by this collector: 0"),
        );
    }
}

/// What only both together show.
fn beside(seen: &Observation, collector: &Collector, found: &mut Vec<Finding>) {
    for envoy in seen.envoys.values().flatten() {
        let mut findings = Findings::about(format!("Envoy {}", envoy.url), found);
        budgets::off(envoy, collector, &mut findings);
        let clocks = envoy.info.ahead_s.zip(collector.ahead_s);
        let apart_s = clocks.and_then(|(envoy, collector)| envoy.checked_sub(collector)).unwrap_or_default();
        if apart_s.saturating_abs() > CLOCKS_S {
            let word = if apart_s > 0 { "ahead of" } else { "behind" };
            let by_s = apart_s.unsigned_abs();
            findings.add(Code::ClocksDiffer, format!("Envoy's clock is {by_s} s {word} the collector's"));
        }
    }
}

fn call(seen: &Observation, sent: &Sent, findings: &mut Findings) {
    if let Some(problem) = sent.problem() {
        findings.add(Code::CallFailed, problem);
    }
    // What did not get a response has perhaps not come to Envoy at all.
    let envoys: Vec<&Envoy> = seen.envoys.values().flatten().collect();
    if envoys.is_empty() || sent.response.is_err() {
        return;
    }
    let growth = |metric: Metric| -> f64 { envoys.iter().map(|envoy| envoy.growth(metric)).sum() };
    if growth(Metric::Seen) == 0.0 {
        findings.add(Code::CallUnmetered, "no call was counted while it was made");
    } else if growth(Metric::Acknowledged) == 0.0 && growth(Metric::Queued) > 0.0 {
        findings.add(Code::CallUndelivered, "no event was acknowledged after it");
    }
}

#[cfg(test)]
mod tests;

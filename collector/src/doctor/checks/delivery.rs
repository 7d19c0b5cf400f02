//! Whether events get from the plugin to the collector.

use std::collections::BTreeSet;

use meter::config::Collector;
use meter::failures::CollectorFailure;
use meter::telemetry::Metric;

use crate::doctor::code::Code;
use crate::doctor::envoy::Envoy;
use crate::doctor::envoy::config::Config;
use crate::doctor::envoy::http::Plugin;
use crate::doctor::finding::Findings;

use super::{REASON, budgets};

pub fn check(envoy: &Envoy, config: &Config, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    let mut missing = false;
    for (_, plugin) in config.plugins() {
        if seen.insert((&plugin.configuration, &plugin.vm))
            && let Ok(own) = meter::config::parse(plugin.configuration.as_bytes())
        {
            match &own.collector {
                None => findings.add(Code::CollectorNotConfigured, "its configuration has no `collector`"),
                Some(collector) => missing |= configured(envoy, config, plugin, collector, findings),
            }
        }
    }
    let failing = failures(envoy, missing, findings);
    let (waiting, growth) = (envoy.count(Metric::OutboxBytes), envoy.growth(Metric::OutboxBytes));
    if !failing && growth > 0.0 && envoy.growth(Metric::Acknowledged) == 0.0 {
        findings.add(
            Code::OutboxGrows,
            format!(
                "bytes of events that wait: {waiting}, {growth} more than at the beginning, and none was acknowledged"
            ),
        );
    }
    for (metric, code, what) in [
        (Metric::Dropped, Code::EventsDropped, "events dropped"),
        (Metric::Rejected, Code::EventsRejected, "events given up"),
    ] {
        let count = envoy.count(metric);
        if count > 0.0 {
            findings.add(code, format!("{what} since Envoy started: {count}, just now: {}", envoy.growth(metric)));
        }
    }
}

/// What the configuration alone shows. True: there is no cluster.
fn configured(envoy: &Envoy, config: &Config, plugin: &Plugin, own: &Collector, findings: &mut Findings) -> bool {
    let cluster =
        own.clusters.iter().find(|name| config.clusters.contains_key(*name) || envoy.hosts.contains_key(*name));
    let missing = cluster.is_none() && own.alias.is_none();
    if missing {
        findings.add(Code::CollectorClusterMissing, format!("Envoy has no {}", own.clusters_in_words()));
    }
    if let Some(hosts) = cluster.and_then(|name| envoy.hosts.get(name)).filter(|hosts| hosts.healthy == 0) {
        let name = cluster.map(String::as_str).unwrap_or_default();
        findings.add(Code::CollectorUnhealthy, format!("healthy hosts of cluster {name}: 0 of {}", hosts.all));
    }
    let is_token = |name: &String| *name == own.token_env;
    if plugin.set_variables.iter().any(is_token) {
        findings.add(Code::TokenExposed, format!("the value of {} is in the configuration", own.token_env));
    } else if !plugin.host_variables.iter().any(is_token) && envoy.count(Metric::Acknowledged) == 0.0 {
        findings.add(Code::TokenMissing, format!("the VM does not get {}", own.token_env));
    }
    missing
}

/// What dispatches came to. True: they fail now.
fn failures(envoy: &Envoy, missing: bool, findings: &mut Findings) -> bool {
    let name = Metric::CollectorFailures.spec().name;
    let before = envoy.before.by(name, REASON);
    let all: Vec<Failed> = envoy
        .after
        .by(name, REASON)
        .into_iter()
        .filter_map(|(reason, count)| {
            let grown = count - before.get(reason).copied().unwrap_or_default();
            Some(Failed { kind: CollectorFailure::from_word(reason)?, count, grown })
        })
        .filter(|failed| failed.count > 0.0)
        .collect();
    // Between two tries of a dispatch minutes can pass: that events wait and none is acknowledged says the same.
    let waiting = envoy.count(Metric::OutboxBytes);
    let stuck = waiting > 0.0 && envoy.growth(Metric::Acknowledged) == 0.0;
    let grows = all.iter().any(|failed| failed.grown > 0.0);
    let most = all.iter().map(|failed| failed.count).fold(0.0, f64::max);
    let is_now = |failed: &&Failed| failed.grown > 0.0 || (stuck && !grows && failed.count == most);
    let (now, past): (Vec<&Failed>, Vec<&Failed>) = all.iter().partition(is_now);
    for failed in &now {
        // The configuration has said so already.
        if !(missing && failed.kind == CollectorFailure::NoCluster) {
            findings.add(failed.code(), format!("{}; bytes of events that wait: {waiting}", failed.in_words()));
        }
    }
    let mut past: Vec<String> = past.iter().filter(|_| now.is_empty()).map(|failed| failed.in_words()).collect();
    past.extend(budgets::failed_before(envoy));
    findings.add_each(Code::CollectorFailedBefore, &past, str::to_owned);
    !now.is_empty()
}

/// Dispatches that failed for one reason.
struct Failed {
    kind: CollectorFailure,
    count: f64,
    grown: f64,
}

impl Failed {
    fn code(&self) -> Code {
        match self.kind {
            CollectorFailure::Unauthorized => Code::CollectorUnauthorized,
            CollectorFailure::NotFound | CollectorFailure::NotACollector => Code::CollectorMisplaced,
            CollectorFailure::NoCluster => Code::CollectorClusterMissing,
            CollectorFailure::Unavailable
            | CollectorFailure::Timeout
            | CollectorFailure::Reset
            | CollectorFailure::NotSent => Code::CollectorUnavailable,
            CollectorFailure::RefusedEvents
            | CollectorFailure::TooManyRequests
            | CollectorFailure::UnexpectedStatus => Code::CollectorRefuses,
        }
    }

    fn in_words(&self) -> String {
        let Failed { kind, count, grown } = self;
        format!(
            "dispatches that failed with {} ({}) since Envoy started: {count}, just now: {grown}",
            kind.as_str(),
            kind.meaning()
        )
    }
}

//! Whether the plugin's metrics can be used, and what they say of calls.

use std::collections::BTreeSet;

use meter::telemetry::Metric;

use crate::doctor::code::Code;
use crate::doctor::envoy::Envoy;
use crate::doctor::envoy::config::Config;
use crate::doctor::finding::{Findings, some};

use super::{REASON, TENANT};

/// A share of calls without counts beyond this is worth a look; errors of providers have none and do not count.
const MANY: f64 = 0.1;
/// So few calls are no share of anything.
const FEW: f64 = 10.0;

pub fn check(envoy: &Envoy, config: &Config, findings: &mut Findings) {
    if config.plugins().next().is_none() {
        return;
    }
    labels(envoy, config, findings);
    if let Some(statistics) = config.statistics.as_ref().filter(|statistics| !statistics.unbucketed.is_empty()) {
        let names: Vec<String> = statistics.unbucketed.iter().map(|name| (*name).to_owned()).collect();
        findings.add(Code::BucketsDefault, format!("these histograms have Envoy's own buckets: {}", some(&names)));
    }
    let overflow = envoy.count(Metric::SeriesOverflow);
    if overflow > 0.0 {
        findings.add(Code::SeriesOverflow, format!("records since Envoy started: {overflow}"));
    }
    calls(envoy, findings);
    identities(envoy, findings);
}

/// A label without a rule stays in the name, where Envoy writes `_` for what Prometheus does not take.
fn labels(envoy: &Envoy, config: &Config, findings: &mut Findings) {
    let specs = || Metric::ALL.iter().map(|metric| metric.spec());
    let mut missing: BTreeSet<String> = BTreeSet::new();
    if let Some(statistics) = &config.statistics {
        let labels = specs().flat_map(|spec| spec.labels).filter(|label| !statistics.tags.contains(**label));
        missing.extend(labels.map(|label| (*label).to_owned()));
    }
    for name in envoy.after.names() {
        let in_name = |label: &&&str, begin: &str| name.starts_with(&format!("{begin}_{label}_"));
        let labels = specs().flat_map(|spec| spec.labels.iter().filter(move |label| in_name(label, spec.name)));
        missing.extend(labels.map(|label| (*label).to_owned()));
    }
    findings
        .add_each(Code::LabelsMissing, &Vec::from_iter(missing), |labels| format!("no rule makes a label of {labels}"));
}

fn calls(envoy: &Envoy, findings: &mut Findings) {
    let unrecorded = envoy.count(Metric::Unrecorded);
    if unrecorded > 0.0 {
        findings.add(Code::CallsUnrecorded, format!("calls since Envoy started: {unrecorded}"));
    }
    let all = envoy.count(Metric::Seen);
    let reasons = envoy.after.by(Metric::UsageMissing.spec().name, REASON);
    let reasons: Vec<_> = reasons.into_iter().filter(|(reason, _)| *reason != "error_status").collect();
    let missing: f64 = reasons.iter().map(|(_, calls)| calls).sum();
    if missing >= FEW && missing > all * MANY {
        let by: Vec<String> = reasons.iter().map(|(reason, calls)| format!("{reason} {calls}")).collect();
        findings.add(Code::UsageMissing, format!("{missing} of {all} calls since Envoy started: {}", some(&by)));
    }
}

fn identities(envoy: &Envoy, findings: &mut Findings) {
    let refused = envoy.after.by(Metric::IdentityRefused.spec().name, REASON);
    let refused: Vec<String> = refused.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    findings.add_each(Code::IdentitiesRefused, &refused, |by| format!("since Envoy started: {by}"));
    let unknown = envoy.after.by(Metric::Calls.spec().name, TENANT).remove("unknown").unwrap_or_default();
    if unknown > 0.0 {
        findings.add(Code::TenantUnknown, format!("calls of the tenant `unknown` since Envoy started: {unknown}"));
    }
}

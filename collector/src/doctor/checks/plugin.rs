//! Whether the plugin is there, runs in every worker, and stands where it should.

use std::collections::BTreeSet;

use meter::identity::{Shows, ValueSource};
use meter::telemetry::Metric;

use crate::doctor::code::Code;
use crate::doctor::envoy::Envoy;
use crate::doctor::envoy::config::Config;
use crate::doctor::envoy::http::{Filter, Http, Is};
use crate::doctor::finding::{Findings, some};

use super::providers;

/// Filters that can respond to a request, change its path or send it elsewhere by themselves: the last words of their types.
const ACTING: &[&str] =
    &["ext_proc.v3.ExternalProcessor", "lua.v3.Lua", "cache.v3.CacheConfig", "golang.v3.Config", "wasm.v3.Wasm"];
/// The versions of Envoy that the tests run.
const TESTED: &[&str] = &[include_str!("../../../../envoy/VERSION"), include_str!("../../../../envoy/OLDER_VERSIONS")];

pub fn check(envoy: &Envoy, config: &Config, findings: &mut Findings) {
    itself(envoy, findings);
    for (resource, details) in &config.refused {
        findings.add(Code::ConfigurationRefused, format!("{resource}: {details}"));
    }
    refused(envoy, config, findings);
    present(config, findings);
    running(envoy, config, findings);
    for (_, http) in config.http_chains() {
        order(http, config, findings);
    }
    let upstream = config.clusters.iter().filter(|(_, cluster)| cluster.has_plugin).map(|(name, _)| name.clone());
    findings.add_each(Code::PluginUpstream, &upstream.collect::<Vec<_>>(), |clusters| {
        format!("the plugin is an upstream filter of {clusters}")
    });
}

fn itself(envoy: &Envoy, findings: &mut Findings) {
    let minor = |version: &str| version.trim().rsplit_once('.').map(|(minor, _)| minor.to_owned());
    let tested: BTreeSet<String> = TESTED.iter().flat_map(|list| list.lines()).filter_map(minor).collect();
    if minor(&envoy.info.version).is_some_and(|version| !tested.contains(&version)) {
        let tested = tested.into_iter().collect::<Vec<_>>().join(", ");
        findings.add(Code::EnvoyUntested, format!("this is Envoy {}; tested are {tested}", envoy.info.version));
    }
    if envoy.info.state != "LIVE" {
        findings.add(Code::EnvoyNotLive, format!("Envoy's state is {}", envoy.info.state));
    }
    let failed = envoy.count(Metric::HostFailures);
    if failed > 0.0 {
        findings.add(Code::HostcallsFail, format!("hostcalls that failed since Envoy started: {failed}"));
    }
}

/// What Envoy counts of configurations that it refused; it keeps the reasons of some of them only.
fn refused(envoy: &Envoy, config: &Config, findings: &mut Findings) {
    if !config.refused.is_empty() {
        return;
    }
    // What came by itself, by ECDS, Envoy shows although the plugin has refused it.
    let problems = problems(config);
    if !problems.is_empty() && envoy.after.has(Metric::VmSeconds.spec().name) {
        let what = format!("the plugin refuses the configuration that Envoy was given last: {problems}");
        return findings.add(Code::ConfigurationRefused, what);
    }
    let is_refusal = |name: &str| {
        name == "envoy_listener_manager_lds_update_rejected"
            || name == "envoy_listener_manager_listener_create_failure"
            || (name.starts_with("envoy_extension_config_discovery_") && name.ends_with("config_fail"))
    };
    for name in envoy.after.names().into_iter().filter(|name| is_refusal(name)) {
        let count = envoy.after.sum(name);
        if count > 0.0 {
            findings.add(Code::ConfigurationRefused, format!("{name} since Envoy started: {count}"));
        }
    }
}

fn present(config: &Config, findings: &mut Findings) {
    let chains: Vec<_> = config.http_chains().collect();
    let mut missing = Vec::new();
    for (listener, http) in &chains {
        for filter in http.filters.iter().filter(|filter| matches!(filter.is, Is::Missing)) {
            let instead = if filter.kind.is_empty() { "nothing" } else { &filter.kind };
            missing.push(format!("{} in listener {} (instead: {instead})", filter.name, listener.name));
        }
    }
    missing.dedup();
    findings.add_each(Code::PluginNotFetched, &missing, |places| format!("the plugin is not in its place: {places}"));
    if missing.is_empty() && config.plugins().next().is_none() {
        let mut what = format!("none of the {} HTTP filter chains has the plugin", chains.len());
        let routes = chains.iter().flat_map(|(_, http)| config.routes_of(http));
        let providers: BTreeSet<_> = routes.filter_map(|route| providers::of_route(config, route)).collect();
        if !providers.is_empty() {
            let providers: Vec<String> = providers.into_iter().map(str::to_owned).collect();
            what.push_str(&format!("; there are routes to {}", some(&providers)));
        }
        findings.add(Code::PluginAbsent, what);
    }
}

fn running(envoy: &Envoy, config: &Config, findings: &mut Findings) {
    let plugins: Vec<_> = config.plugins().map(|(_, plugin)| plugin).collect();
    if plugins.is_empty() {
        return;
    }
    if !envoy.after.has(Metric::VmSeconds.spec().name) {
        let why = problems(config);
        let why = if why.is_empty() { why } else { format!(": its configuration is wrong: {why}") };
        findings.add(Code::PluginNotRunning, format!("there is no {}{why}", Metric::VmSeconds.spec().name));
    }
    let kinds: BTreeSet<&str> = plugins.iter().map(|plugin| plugin.vm.as_str()).collect();
    let (workers, kinds) = (envoy.info.workers, u64::try_from(kinds.len()).unwrap_or(1));
    let expected = workers.saturating_add(1).saturating_mul(kinds);
    let expected_vms = f64::from(u32::try_from(expected).unwrap_or(u32::MAX));
    if let Some(vms) = envoy.vms.filter(|vms| *vms < expected_vms - 0.5) {
        let of = if kinds > 1 { format!(", for each of {kinds} VM configurations") } else { String::new() };
        findings.add(
            Code::WorkerUnmetered,
            format!("{vms:.0} of {expected} VMs of the plugin run; one should for each worker ({workers}) and for the main thread{of}"),
        );
    }
    crashed(envoy, findings);
    let open = plugins.iter().filter(|plugin| plugin.failure_policy == "FAIL_OPEN").map(|plugin| plugin.name.clone());
    let open: BTreeSet<String> = open.collect();
    findings.add_each(Code::FailOpen, &open.into_iter().collect::<Vec<_>>(), |names| {
        format!("the failure policy of {names} is FAIL_OPEN")
    });
}

/// What is wrong with the configurations of the plugin.
fn problems(config: &Config) -> String {
    let problems =
        config.plugins().filter_map(|(_, plugin)| meter::config::parse(plugin.configuration.as_bytes()).err());
    let problems: BTreeSet<String> = problems.map(|problems| problems.to_string()).collect();
    problems.into_iter().collect::<Vec<_>>().join("; ").replace('\n', "; ")
}

fn crashed(envoy: &Envoy, findings: &mut Findings) {
    let sum = |ending: &str| -> f64 {
        let names = envoy.after.names().into_iter();
        let names = names.filter(|name| name.starts_with("envoy_wasm_") && name.ends_with(ending));
        names.map(|name| envoy.after.sum(name)).sum()
    };
    let (reloaded, failed) = (sum("_vm_reload_success"), sum("_vm_reload_failure"));
    if reloaded + failed > 0.0 {
        findings.add(
            Code::PluginCrashed,
            format!("VMs loaded again after a trap since Envoy started: {reloaded}; attempts that failed: {failed}"),
        );
    }
}

fn order(http: &Http, config: &Config, findings: &mut Findings) {
    let places = http.filters.iter().enumerate().filter(|(_, filter)| filter.plugin().is_some());
    let places: Vec<(usize, &Filter)> = places.collect();
    let listener = || {
        let of = |(_, other): &(_, &Http)| std::ptr::eq(*other, http);
        config.http_chains().find(of).map(|(listener, _)| listener.name.clone()).unwrap_or_default()
    };
    let Some((first, plugin)) = places.first() else { return };
    if places.len() > 1 {
        let names = places.iter().map(|(_, filter)| filter.name.clone()).collect::<Vec<_>>();
        findings.add(Code::PluginTwice, format!("listener {} has it as {}", listener(), some(&names)));
    }
    let own = plugin.plugin().and_then(|plugin| meter::config::parse(plugin.configuration.as_bytes()).ok());
    let is_claim = |source: &ValueSource| matches!(source, ValueSource::Jwt { .. });
    let reads_claims = own.is_some_and(|own| {
        let mut sources = own.tenant.iter().map(|source| &source.shows);
        sources.any(|shows| match shows {
            Shows::Element { .. } => true,
            Shows::Value(source) => is_claim(source),
            _ => false,
        }) || own.tags.iter().any(|tag| is_claim(&tag.from))
    });
    let behind = http.filters.iter().skip(*first).any(|filter| filter.kind.ends_with("JwtAuthentication"));
    if reads_claims && behind {
        findings.add(Code::JwtAfterPlugin, format!("in listener {} jwt_authn comes after the plugin", listener()));
    }
    let acts = |filter: &&Filter| ACTING.iter().any(|kind| filter.kind.ends_with(kind));
    let before = http.filters.iter().take(*first).filter(acts).map(|filter| filter.name.clone()).collect::<Vec<_>>();
    findings.add_each(Code::FilterBeforePlugin, &before, |names| format!("in listener {}: {names}", listener()));
}

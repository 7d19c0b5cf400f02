//! Whether calls to known providers pass the plugin, and can be read there.

use std::collections::BTreeSet;

use meter::provider::{self, Api};
use meter::telemetry::Metric;

use crate::doctor::code::Code;
use crate::doctor::envoy::Envoy;
use crate::doctor::envoy::config::Config;
use crate::doctor::envoy::http::{Chain, Content, Http, Is, Route};
use crate::doctor::finding::{Findings, some};
use crate::terminal::printable;

pub fn check(envoy: &Envoy, config: &Config, findings: &mut Findings) {
    // Without any plugin there is no more to say than that.
    if config.plugins().next().is_some() {
        for (listener, http) in config.http_chains() {
            let routes = config.routes_of(http).filter(|route| !http.meters(route));
            let named = routes.filter_map(|route| Some(format!("{} ({})", of_route(config, route)?, where_to(route))));
            let named: BTreeSet<String> = named.filter(|_| !is_place(http)).collect();
            findings.add_each(Code::ProviderUnmetered, &Vec::from_iter(named), |routes| {
                format!("in listener {} routes without the plugin lead to {routes}", listener.name)
            });
        }
    }
    for listener in &config.listeners {
        let named: BTreeSet<String> = listener.chains.iter().filter_map(|chain| encrypted(config, chain)).collect();
        findings.add_each(Code::ProviderEncrypted, &Vec::from_iter(named), |providers| {
            format!("listener {} passes connections to {providers}", listener.name)
        });
    }
    unattributed(envoy, config, findings);
}

/// Whether the plugin has a place there that it has not come to, of which another finding tells.
fn is_place(http: &Http) -> bool {
    http.filters.iter().any(|filter| matches!(filter.is, Is::Missing))
}

fn where_to(route: &Route) -> String {
    let host = [&route.rewrite].into_iter().chain(&route.domains).find(|host| !host.is_empty());
    format!("host {}, cluster {}", host.map_or("*", |host| host), route.clusters.join(" or "))
}

/// The provider that a route leads to, if its host or its cluster is that of a known one.
pub fn of_route(config: &Config, route: &Route) -> Option<&'static str> {
    let hosts = [&route.rewrite].into_iter().chain(&route.domains);
    let by_host = hosts.filter(|host| !host.is_empty()).find_map(|host| of_name(host));
    by_host.or_else(|| route.clusters.iter().find_map(|cluster| of_cluster(config, cluster)))
}

fn of_cluster(config: &Config, name: &str) -> Option<&'static str> {
    let by_name = provider::provider_of_cluster(name);
    let cluster = config.clusters.get(name)?;
    let names = cluster.server_names.iter().chain(&cluster.hosts);
    by_name.or_else(|| names.filter_map(|name| of_name(name)).next())
}

/// The provider of a host, or of any host that a pattern such as `*.openai.com` fits.
fn of_name(name: &str) -> Option<&'static str> {
    let Some(ending) = name.strip_prefix('*').filter(|ending| ending.matches('.').count() > 1) else {
        return provider::provider_of(name.as_bytes());
    };
    let fits = |hosts: &[&str]| hosts.iter().any(|host| host.ends_with(ending));
    provider::known().find(|(_, hosts)| fits(hosts)).map(|(name, _)| name)
}

/// The provider that a chain passes bytes to.
fn encrypted(config: &Config, chain: &Chain) -> Option<String> {
    let Content::Bytes(clusters) = &chain.content else { return None };
    let by_name = chain.server_names.iter().find_map(|name| Some((of_name(name)?, name)));
    let by_cluster = || clusters.iter().find_map(|name| Some((of_cluster(config, name)?, name)));
    by_name.or_else(by_cluster).map(|(provider, name)| format!("{provider} ({name})"))
}

/// Providers that are named after the API that was spoken, because nothing says who responded.
fn unattributed(envoy: &Envoy, config: &Config, findings: &mut Findings) {
    let nobody: BTreeSet<&str> =
        Api::WORDS.iter().filter_map(|word| Api::from_word(word)).map(Api::compatible).collect();
    let own = config.plugins().filter_map(|(_, plugin)| meter::config::parse(plugin.configuration.as_bytes()).ok());
    let named: BTreeSet<String> = own.flat_map(|own| own.detect.rules).map(|rule| rule.provider).collect();
    let counted = envoy.after.by(Metric::Calls.spec().name, super::PROVIDER);
    let counted = counted.into_iter().filter(|(name, _)| nobody.contains(name) && !named.contains(*name));
    let counted: Vec<String> = counted.map(|(name, calls)| format!("{} {calls}", printable(name))).collect();
    if !counted.is_empty() {
        findings.add(Code::ProviderUnattributed, format!("calls since Envoy started: {}", some(&counted)));
    }
}

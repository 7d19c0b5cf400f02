//! What Envoy says of its configuration (`/config_dump`), as far as metering depends on it: where the plugin stands, what passes
//! there, and where calls can go. A dump holds much else, and what is in it may be of any version: what is absent or of another
//! shape than expected is left out.

use std::collections::{BTreeMap, BTreeSet};

use meter::telemetry::{Kind, Metric};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::http::{self, Chain, Content, Route};
use super::json::{list, list_at, text, text_at, unwrapped};

/// What Envoy puts before the name of a plugin's metric, and Prometheus does not show.
const CUSTOM: &str = "wasmcustom.";

/// The parts of Envoy's configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The listeners, each with its chains of network filters.
    pub listeners: Vec<Listener>,
    /// The clusters, by name.
    pub clusters: BTreeMap<String, Cluster>,
    /// The route configurations that Envoy has got from its control plane, by name.
    pub routes: BTreeMap<String, Vec<Route>>,
    /// Why a listener or another resource was refused, by its name.
    pub refused: BTreeMap<String, String>,
    /// What the bootstrap says of statistics, if the dump has a bootstrap.
    pub statistics: Option<Statistics>,
}

/// What the bootstrap says of statistics.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// The labels that have a rule.
    pub tags: BTreeSet<String>,
    /// The plugin's histograms that have Envoy's own buckets.
    pub unbucketed: Vec<&'static str>,
}

/// A listener.
#[derive(Clone, Debug, Default)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Its chains.
    pub chains: Vec<Chain>,
}

/// A cluster: where calls can go.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// The addresses or names of its endpoints, as far as they are in the configuration.
    pub hosts: Vec<String>,
    /// The names that it asks for in TLS.
    pub server_names: Vec<String>,
    /// Whether the plugin stands among its upstream HTTP filters.
    pub has_plugin: bool,
}

#[derive(Deserialize)]
struct Dump<'a> {
    #[serde(borrow)]
    configs: Vec<Section<'a>>,
}

/// A part of a dump; each has some of these.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Section<'a> {
    #[serde(borrow)]
    bootstrap: Option<&'a RawValue>,
    #[serde(borrow)]
    static_listeners: Vec<&'a RawValue>,
    #[serde(borrow)]
    dynamic_listeners: Vec<&'a RawValue>,
    #[serde(borrow)]
    static_clusters: Vec<&'a RawValue>,
    #[serde(borrow)]
    dynamic_active_clusters: Vec<&'a RawValue>,
    #[serde(borrow)]
    static_route_configs: Vec<&'a RawValue>,
    #[serde(borrow)]
    dynamic_route_configs: Vec<&'a RawValue>,
    #[serde(borrow)]
    ecds_filters: Vec<&'a RawValue>,
}

/// HTTP filters that Envoy has got by extension discovery, by name: their `typed_config`.
pub(super) type Extensions = BTreeMap<String, Value>;

impl Config {
    /// Reads a dump.
    pub fn parse(dump: &[u8]) -> Result<Config, String> {
        let Dump { configs } = serde_json::from_slice(dump).map_err(|error| error.to_string())?;
        let mut config = Config::default();
        let mut extensions = Extensions::new();
        for filter in configs.iter().flat_map(|section| &section.ecds_filters).filter_map(|raw| value(raw)) {
            let name = text_at(&filter, "/ecds_filter/name").to_owned();
            config.note_refused("extension", &name, &filter);
            if let Some(own) = filter.pointer("/ecds_filter/typed_config") {
                extensions.insert(name, own.clone());
            }
        }
        for section in &configs {
            config.add(section, &extensions);
        }
        Ok(config)
    }

    fn add(&mut self, section: &Section, extensions: &Extensions) {
        if let Some(bootstrap) = section.bootstrap.and_then(value) {
            let tags = list_at(&bootstrap, "/stats_config/stats_tags").map(|tag| text(tag, "tag_name").to_owned());
            let buckets: Vec<&Value> = list_at(&bootstrap, "/stats_config/histogram_bucket_settings").collect();
            let covers = |name: &str| buckets.iter().filter_map(|one| one.get("match")).any(|one| fits(one, name));
            let histograms = Metric::ALL.iter().map(|metric| metric.spec()).filter(|spec| spec.kind == Kind::Histogram);
            let unbucketed = histograms.map(|spec| spec.name).filter(|name| !covers(&format!("{CUSTOM}{name}")));
            self.statistics = Some(Statistics { tags: tags.collect(), unbucketed: unbucketed.collect() });
        }
        for listener in section.static_listeners.iter().filter_map(|raw| value(raw)) {
            self.add_listener(listener.get("listener"), extensions);
        }
        for listener in section.dynamic_listeners.iter().filter_map(|raw| value(raw)) {
            self.note_refused("listener", text(&listener, "name"), &listener);
            self.add_listener(listener.pointer("/active_state/listener"), extensions);
        }
        for cluster in section.static_clusters.iter().chain(&section.dynamic_active_clusters) {
            let Some(cluster) = value(cluster) else { continue };
            if let Some(cluster) = cluster.get("cluster") {
                self.clusters.insert(text(cluster, "name").to_owned(), self::cluster(cluster, extensions));
            }
        }
        for routes in section.static_route_configs.iter().chain(&section.dynamic_route_configs) {
            let Some(routes) = value(routes) else { continue };
            if let Some(routes) = routes.get("route_config") {
                self.routes.insert(text(routes, "name").to_owned(), http::routes(routes));
            }
        }
    }

    fn add_listener(&mut self, listener: Option<&Value>, extensions: &Extensions) {
        let Some(listener) = listener else { return };
        let default = listener.get("default_filter_chain");
        let chains = list(listener, "filter_chains").chain(default).map(|chain| http::chain(chain, extensions));
        let name = match text(listener, "name") {
            "" => text_at(listener, "/address/socket_address/address").to_owned(),
            name => name.to_owned(),
        };
        self.listeners.push(Listener { name, chains: chains.collect() });
    }

    fn note_refused(&mut self, kind: &str, name: &str, resource: &Value) {
        let details = text_at(resource, "/error_state/details");
        if !details.is_empty() {
            self.refused.insert(format!("{kind} {name}"), details.to_owned());
        }
    }

    /// Every HTTP filter chain, with its listener.
    pub fn http_chains(&self) -> impl Iterator<Item = (&Listener, &http::Http)> {
        let chains =
            self.listeners.iter().flat_map(|listener| listener.chains.iter().map(move |chain| (listener, chain)));
        chains.filter_map(|(listener, chain)| match &chain.content {
            Content::Http(http) => Some((listener, &**http)),
            _ => None,
        })
    }

    /// The routes of a chain.
    pub fn routes_of<'a>(&'a self, http: &'a http::Http) -> impl Iterator<Item = &'a Route> {
        let discovered = self.routes.get(&http.route_config).into_iter().flatten();
        http.routes.iter().chain(discovered)
    }

    /// Every place of the plugin in a listener, with that listener.
    pub fn plugins(&self) -> impl Iterator<Item = (&Listener, &http::Plugin)> {
        self.http_chains().flat_map(|(listener, http)| http.plugins().map(move |plugin| (listener, plugin)))
    }
}

fn value(raw: &RawValue) -> Option<Value> {
    serde_json::from_str(raw.get()).ok()
}

/// Whether a matcher of Envoy fits the name of a statistic. A regular expression is taken to fit if it names what the plugin's
/// histograms begin with: to read it would need Envoy's own engine.
fn fits(matcher: &Value, name: &str) -> bool {
    let (exact, prefix, suffix) = (text(matcher, "exact"), text(matcher, "prefix"), text(matcher, "suffix"));
    let (contains, regex) = (text(matcher, "contains"), text_at(matcher, "/safe_regex/regex"));
    let is_given = |pattern: &str, fits: bool| !pattern.is_empty() && fits;
    name == exact
        || is_given(prefix, name.starts_with(prefix))
        || is_given(suffix, name.ends_with(suffix))
        || is_given(contains, name.contains(contains))
        || regex.contains("gen_ai")
}

fn cluster(cluster: &Value, extensions: &Extensions) -> Cluster {
    let mut found = Cluster::default();
    for endpoints in list_at(cluster, "/load_assignment/endpoints") {
        for endpoint in list(endpoints, "lb_endpoints") {
            let host = text_at(endpoint, "/endpoint/address/socket_address/address");
            found.hosts.extend((!host.is_empty()).then(|| host.to_owned()));
        }
    }
    let of_matches = list(cluster, "transport_socket_matches").filter_map(|one| one.get("transport_socket"));
    for socket in of_matches.chain(cluster.get("transport_socket")) {
        let (_, own) = unwrapped(socket.get("typed_config"));
        let name = text(own, "sni");
        found.server_names.extend((!name.is_empty()).then(|| name.to_owned()));
    }
    let options = cluster.get("typed_extension_protocol_options").and_then(Value::as_object);
    let mut filters =
        options.into_iter().flat_map(|options| options.values()).flat_map(|one| list(one, "http_filters"));
    found.has_plugin = filters.any(|filter| http::filter(filter, extensions).plugin().is_some());
    found
}

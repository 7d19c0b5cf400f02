//! Filter chains: which filters stand in them and in what order, where the plugin is, and where routes lead.

use serde_json::Value;

use super::config::Extensions;
use super::json::{list, list_at, text, text_at, unwrapped};

const CONNECTION_MANAGER: &str = "HttpConnectionManager";
const TCP_PROXY: &str = "TcpProxy";
/// By this word the plugin is known, in one of the names that the operator gives it.
const NAME: &str = "meshmeter";
/// By this the access log knows a record.
const RECORD: &str = "wasm.meshmeter:";

/// A chain of network filters.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// For which server names of TLS it is.
    pub server_names: Vec<String>,
    /// What it does with connections.
    pub content: Content,
}

/// What a chain does with connections.
#[derive(Clone, Debug, Default)]
pub enum Content {
    /// It reads HTTP.
    Http(Box<Http>),
    /// It passes bytes to one of these clusters.
    Bytes(Vec<String>),
    /// Something else.
    #[default]
    Other,
}

/// What a connection manager does.
#[derive(Clone, Debug, Default)]
pub struct Http {
    /// Its HTTP filters, in order.
    pub filters: Vec<Filter>,
    /// Its access logs.
    pub logs: Vec<AccessLog>,
    /// Its own routes.
    pub routes: Vec<Route>,
    /// The name of the route configuration that it gets from its control plane; empty: none.
    pub route_config: String,
}

impl Http {
    /// The places of the plugin.
    pub fn plugins(&self) -> impl Iterator<Item = &Plugin> {
        self.filters.iter().filter_map(Filter::plugin)
    }

    /// Whether calls of a route pass the plugin.
    pub fn meters(&self, route: &Route) -> bool {
        self.filters.iter().any(|filter| filter.plugin().is_some() && !route.disables(filter))
    }
}

/// An HTTP filter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Its name.
    pub name: String,
    /// The type of its configuration, without package; empty if it has none.
    pub kind: String,
    /// What it is.
    pub is: Is,
    /// It is configured, and off unless a route turns it on.
    pub disabled: bool,
}

/// What a filter is.
#[derive(Clone, Debug, Default)]
pub enum Is {
    /// The plugin.
    Plugin(Box<Plugin>),
    /// A place for the plugin, into which it has not come.
    Missing,
    /// Another filter.
    #[default]
    Other,
}

impl Filter {
    /// The plugin, if it is one.
    pub fn plugin(&self) -> Option<&Plugin> {
        match &self.is {
            Is::Plugin(plugin) => Some(plugin),
            _ => None,
        }
    }
}

/// The plugin as Envoy runs it.
#[derive(Clone, Debug, Default)]
pub struct Plugin {
    /// Its name in Envoy's statistics.
    pub name: String,
    /// Its own configuration, JSON.
    pub configuration: String,
    /// What happens when it fails, in Envoy's word.
    pub failure_policy: String,
    /// Its VM: instances with the same share it.
    pub vm: String,
    /// The names of variables that its VM gets from Envoy's environment.
    pub host_variables: Vec<String>,
    /// The names of variables whose values are in the configuration.
    pub set_variables: Vec<String>,
}

/// An access log.
#[derive(Clone, Debug, Default)]
pub struct AccessLog {
    /// The file, if it is one.
    pub file: Option<String>,
    /// Whether it writes the plugin's records.
    pub has_record: bool,
}

/// A route.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// The hosts that it is for.
    pub domains: Vec<String>,
    /// Where it leads.
    pub clusters: Vec<String>,
    /// The host that the upstream is asked for in the place of the client's.
    pub rewrite: String,
    /// The filters that are off here.
    pub off: Vec<String>,
    /// The filters that have a setting of their own here, and are not off.
    pub on: Vec<String>,
}

impl Route {
    fn disables(&self, filter: &Filter) -> bool {
        let is = |name: &String| *name == filter.name;
        self.off.iter().any(is) || (filter.disabled && !self.on.iter().any(is))
    }
}

pub(super) fn chain(chain: &Value, extensions: &Extensions) -> Chain {
    let names = list_at(chain, "/filter_chain_match/server_names").filter_map(Value::as_str).map(str::to_owned);
    let contents = list(chain, "filters").map(|filter| {
        let (kind, own) = unwrapped(filter.get("typed_config"));
        match kind.rsplit('.').next().unwrap_or_default() {
            CONNECTION_MANAGER => Content::Http(Box::new(http(own, extensions))),
            TCP_PROXY => {
                let weighted = list_at(own, "/weighted_clusters/clusters").map(|cluster| text(cluster, "name"));
                let clusters = weighted.chain([text(own, "cluster")]).filter(|name| !name.is_empty());
                Content::Bytes(clusters.map(str::to_owned).collect())
            }
            _ => Content::Other,
        }
    });
    let content = contents.filter(|content| !matches!(content, Content::Other)).last().unwrap_or_default();
    Chain { server_names: names.collect(), content }
}

fn http(manager: &Value, extensions: &Extensions) -> Http {
    Http {
        filters: list(manager, "http_filters").map(|one| filter(one, extensions)).collect(),
        logs: list(manager, "access_log").map(access_log).collect(),
        routes: manager.get("route_config").map(routes).unwrap_or_default(),
        route_config: text_at(manager, "/rds/route_config_name").to_owned(),
    }
}

pub(super) fn filter(filter: &Value, extensions: &Extensions) -> Filter {
    let name = text(filter, "name");
    let discovered = filter.get("config_discovery").is_some();
    let typed = filter.get("typed_config").or_else(|| extensions.get(name).filter(|_| discovered));
    let (kind, own) = unwrapped(typed);
    let config = own.get("config").unwrap_or(&Value::Null);
    let is = if kind.ends_with("http.wasm.v3.Wasm") {
        let plugin = plugin(config);
        if is_ours(name, config, &plugin) { Is::Plugin(Box::new(plugin)) } else { Is::Other }
    } else if discovered && name.contains(NAME) {
        Is::Missing
    } else {
        Is::Other
    };
    let disabled = filter.get("disabled").and_then(Value::as_bool).unwrap_or_default();
    Filter { name: name.to_owned(), kind: kind.to_owned(), is, disabled }
}

fn plugin(config: &Value) -> Plugin {
    let vm = config.get("vm_config").unwrap_or(&Value::Null);
    let (kind, own) = unwrapped(config.get("configuration"));
    let configuration = match (kind, own.get("value")) {
        (_, Some(Value::String(text))) => text.clone(),
        (_, Some(value)) => value.to_string(),
        (_, None) if own.is_null() => String::new(),
        (_, None) => without_type(own).to_string(),
    };
    let variables = |pointer: &str| list_at(vm, pointer).filter_map(Value::as_str).map(str::to_owned).collect();
    let set = vm.pointer("/environment_variables/key_values").and_then(Value::as_object);
    let open = config.get("fail_open").and_then(Value::as_bool).unwrap_or_default();
    Plugin {
        name: text(config, "name").to_owned(),
        configuration,
        failure_policy: if open { "FAIL_OPEN" } else { text(config, "failure_policy") }.to_owned(),
        vm: vm.to_string(),
        host_variables: variables("/environment_variables/host_env_keys"),
        set_variables: set.map(|set| set.keys().cloned().collect()).unwrap_or_default(),
    }
}

fn without_type(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        object.remove("@type");
    }
    value
}

/// Whether a Wasm filter is the plugin: one of its names says so, or it has a configuration as only the plugin takes it.
fn is_ours(name: &str, config: &Value, plugin: &Plugin) -> bool {
    let vm = config.get("vm_config").unwrap_or(&Value::Null);
    let names = [
        name,
        &plugin.name,
        text(config, "root_id"),
        text(vm, "vm_id"),
        text_at(vm, "/code/local/filename"),
        text_at(vm, "/code/remote/http_uri/uri"),
    ];
    let is_named = || names.iter().any(|name| name.to_ascii_lowercase().contains(NAME));
    let is_configured = || {
        let keys = serde_json::from_str::<serde_json::Map<String, Value>>(&plugin.configuration);
        keys.is_ok_and(|keys| !keys.is_empty()) && meter::config::parse(plugin.configuration.as_bytes()).is_ok()
    };
    is_named() || is_configured()
}

fn access_log(log: &Value) -> AccessLog {
    let (kind, own) = unwrapped(log.get("typed_config"));
    let path = text(own, "path");
    let file = kind.ends_with("FileAccessLog").then(|| path.to_owned());
    let file = file.or_else(|| kind.contains("Std").then(|| "standard output".to_owned()));
    AccessLog { file, has_record: own.to_string().contains(RECORD) }
}

pub(super) fn routes(routes: &Value) -> Vec<Route> {
    let mut found = Vec::new();
    for host in list(routes, "virtual_hosts") {
        let domains: Vec<String> = list(host, "domains").filter_map(Value::as_str).map(str::to_owned).collect();
        for route in list(host, "routes") {
            let Some(action) = route.get("route") else { continue };
            let weighted = list_at(action, "/weighted_clusters/clusters").map(|cluster| text(cluster, "name"));
            let clusters = weighted.chain([text(action, "cluster")]).filter(|name| !name.is_empty());
            let mut one = Route {
                domains: domains.clone(),
                clusters: clusters.map(str::to_owned).collect(),
                rewrite: text(action, "host_rewrite_literal").to_owned(),
                ..Route::default()
            };
            for holder in [routes, host, route] {
                one.set(holder);
            }
            found.push(one);
        }
    }
    found
}

impl Route {
    /// Takes what a level says of filters; the innermost holds.
    fn set(&mut self, holder: &Value) {
        for (name, own) in holder.get("typed_per_filter_config").and_then(Value::as_object).into_iter().flatten() {
            let off = own.get("disabled").and_then(Value::as_bool).unwrap_or_default();
            for list in [&mut self.off, &mut self.on] {
                list.retain(|other| other != name);
            }
            let list = if off { &mut self.off } else { &mut self.on };
            list.push(name.clone());
        }
    }
}

//! The shipped bootstrap, `envoy/envoy.yaml`, with only its addresses, paths and ports changed to those of a test.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path};

use serde_json::{Map, Value, json};

use crate::{Result, paths};

/// The plugin's name among the HTTP filters.
pub const FILTER: &str = "meshmeter";

/// A bootstrap as JSON.
#[derive(Clone, Debug)]
pub struct Bootstrap(Value);

impl Bootstrap {
    /// Reads the file that users take.
    pub fn shipped() -> Result<Self> {
        let path = paths::bootstrap();
        let yaml = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(serde_saphyr::from_str(&yaml)?))
    }

    /// All of it, for changes that no other test makes.
    pub fn json(&mut self) -> &mut Value {
        &mut self.0
    }

    /// Writes it where Envoy can read it.
    pub fn write(&self, path: &Path) -> Result<()> {
        Ok(fs::write(path, serde_json::to_vec_pretty(&self.0)?)?)
    }

    /// Every listener and the admin page on a free port of the loopback interface.
    pub fn any_port(&mut self) {
        let any = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
        self.0["admin"]["address"] = any.clone();
        for listener in self.listeners() {
            listener["address"] = any.clone();
        }
    }

    /// Replaces whole strings: the paths of files.
    pub fn replace(&mut self, texts: &BTreeMap<&str, String>) -> Result<()> {
        for (old, new) in texts {
            let mut found = 0;
            visit(&mut self.0, &mut |value| {
                if value.as_str() == Some(old) {
                    *value = Value::String(new.clone());
                    found += 1;
                }
            });
            if found == 0 {
                return Err(format!("{} does not contain {old}", paths::bootstrap().display()).into());
            }
        }
        Ok(())
    }

    /// Sends a cluster's traffic to `address` in plain text.
    pub fn point(&mut self, cluster: &str, address: SocketAddr) -> Result<()> {
        let cluster = self.cluster(cluster)?;
        let socket = cluster
            .pointer_mut("/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address")
            .ok_or("the cluster has no endpoint")?;
        *socket = json!({"address": address.ip().to_string(), "port_value": address.port()});
        if let Some(cluster) = cluster.as_object_mut() {
            cluster.remove("transport_socket");
            cluster.insert("type".to_owned(), "STATIC".into());
            cluster.remove("dns_lookup_family");
        }
        Ok(())
    }

    /// Envoy follows redirects itself, on every route.
    pub fn follow_redirects(&mut self) {
        visit(&mut self.0, &mut |value| {
            if let Some(route) = value.get_mut("route").filter(|route| route.get("cluster").is_some()) {
                route["internal_redirect_policy"] =
                    json!({"max_internal_redirects": 3, "redirect_response_codes": [302, 307, 308]});
            }
        });
    }

    /// Lets a cluster speak TLS, with whoever is there.
    pub fn encrypt(&mut self, cluster: &str) -> Result<()> {
        let context = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
        self.cluster(cluster)?["transport_socket"] =
            json!({"name": "envoy.transport_sockets.tls", "typed_config": {"@type": context}});
        Ok(())
    }

    fn cluster(&mut self, name: &str) -> Result<&mut Value> {
        let clusters = self.0["static_resources"]["clusters"].as_array_mut().ok_or("no clusters")?;
        let found = clusters.iter_mut().find(|cluster| cluster["name"] == name);
        found.ok_or_else(|| format!("no cluster {name}").into())
    }

    /// Lets the forward proxy send every host that it does not know to the self-hosted model: what the shipped file does not
    /// do, because then a client's Host is all that there is. For tests of hosts that the file does not know, and for attacks.
    pub fn everywhere(&mut self) -> Result<()> {
        let mut found = false;
        for listener in self.listeners().filter(|listener| listener["name"] == "llm") {
            visit(listener, &mut |value| {
                if let Some(hosts) = value.get_mut("virtual_hosts").and_then(Value::as_array_mut) {
                    let route = json!({"cluster": "self_hosted", "timeout": "0s"});
                    let routes = json!([{"name": "everywhere", "match": {"prefix": "/"}, "route": route}]);
                    hosts.push(json!({"name": "everywhere", "domains": ["*"], "routes": routes}));
                    found = true;
                }
            });
        }
        if found { Ok(()) } else { Err("the listener llm has no virtual hosts".into()) }
    }

    /// Gives every route this time for a response, such as `0.3s`.
    pub fn timeout(&mut self, timeout: &str) {
        visit(&mut self.0, &mut |value| {
            if value.get("cluster").is_some() && value.get("timeout").is_some() {
                value["timeout"] = timeout.into();
            }
        });
    }

    /// The plugin's configuration.
    pub fn plugin(&self) -> Result<Value> {
        let mut found = None;
        visit(&mut self.0.clone(), &mut |value| {
            if value.get("vm_config").is_some() {
                found = value["configuration"]["value"].as_str().map(str::to_owned);
            }
        });
        Ok(serde_json::from_str(&found.ok_or("the bootstrap has no plugin")?)?)
    }

    /// Gives the plugin another configuration; any text.
    pub fn set_plugin(&mut self, text: &str) {
        visit(&mut self.0, &mut |value| {
            if value.get("vm_config").is_some() {
                value["configuration"]["value"] = text.into();
            }
        });
    }

    /// Keeps one listener only, with these filters before the router and these access logs.
    pub fn only(&mut self, listener: &str, filters: &[Value], logs: &[Value]) {
        if let Some(listeners) = self.0["static_resources"]["listeners"].as_array_mut() {
            listeners.retain(|candidate| candidate["name"] == listener);
        }
        for listener in self.listeners() {
            visit(listener, &mut |value| {
                if let Some(chain) = value.get_mut("http_filters").and_then(Value::as_array_mut) {
                    let router = chain.pop();
                    *chain = filters.iter().cloned().chain(router).collect();
                    value["access_log"] = logs.into();
                }
            });
        }
    }

    /// Puts another instance of the plugin behind the one that is there, in every chain of filters. `change` is given its
    /// configuration (`typed_config.config`), which is a copy of the first one's.
    pub fn again(&mut self, change: fn(&mut Value)) {
        for listener in self.listeners() {
            visit(listener, &mut |value| {
                let Some(chain) = value.get_mut("http_filters").and_then(Value::as_array_mut) else { return };
                let Some(place) = chain.iter().position(|filter| filter["name"] == FILTER) else { return };
                let mut second = chain[place].clone();
                second["name"] = format!("{FILTER}-again").into();
                change(&mut second["typed_config"]["config"]);
                chain.insert(place + 1, second);
            });
        }
    }

    /// Changes the configuration (`typed_config.config`) of every plugin.
    pub fn each_plugin(&mut self, change: impl Fn(&mut Value)) {
        visit(&mut self.0, &mut |value| {
            if value.get("vm_config").is_some() {
                change(value);
            }
        });
    }

    /// Has every route say in its metadata what cluster an alias is, as Envoy Gateway does.
    pub fn alias(&mut self, alias: &str, cluster: &str) {
        visit(&mut self.0, &mut |value| {
            if value.get("match").is_some() && value.get("route").is_some() {
                let backends = json!({"gateway.envoyproxy.io/extension-backends": {alias: cluster}});
                value["metadata"] = json!({"filter_metadata": backends});
            }
        });
    }

    /// Gives a cluster another name.
    pub fn rename(&mut self, cluster: &str, name: &str) -> Result<()> {
        self.cluster(cluster)?["name"] = name.into();
        Ok(())
    }

    /// Gives a cluster another name, and its routes that name.
    pub fn rename_with_routes(&mut self, cluster: &str, name: &str) -> Result<()> {
        self.rename(cluster, name)?;
        visit(&mut self.0, &mut |value| {
            if value.get("cluster").is_some_and(|known| known == cluster) {
                value["cluster"] = name.into();
            }
        });
        Ok(())
    }

    /// Lets in every client whose certificate the authority has signed, whatever names stand in it.
    pub fn any_client_name(&mut self) {
        visit(&mut self.0, &mut |value| {
            if let Some(context) = value.get_mut("validation_context").and_then(Value::as_object_mut) {
                context.remove("match_typed_subject_alt_names");
            }
        });
    }

    /// Has the listener with certificates show the plugin all of a client's host names and e-mail addresses, too.
    pub fn all_client_names(&mut self) {
        let kinds = [("client_dns_names", "DNS"), ("client_emails", "EMAIL")];
        visit(&mut self.0, &mut |value| {
            let Some(state) = value.get_mut("on_downstream_tls_handshake").and_then(Value::as_array_mut) else {
                return;
            };
            for (name, kind) in kinds {
                let format = format!("%DOWNSTREAM_PEER_{kind}_SAN%");
                let mut entry = state[0].clone();
                entry["object_key"] = format!("meshmeter.{name}").into();
                entry["format_string"]["text_format_source"]["inline_string"] = format.into();
                state.push(entry);
            }
        });
    }

    /// Makes the listener with certificates a gateway of its own in front of the plugin: it tells who the client is in
    /// `x-forwarded-client-cert`, and sends everything to another listener, at this abstract socket, where the plugin is.
    pub fn behind_a_gateway(&mut self, socket: &str) -> Result<()> {
        let listeners = self.0["static_resources"]["listeners"].as_array_mut().ok_or("no listeners")?;
        let named = |name: &str| listeners.iter().position(|listener| listener["name"] == name);
        let (inner, edge) = (named("llm").ok_or("no listener llm")?, named("llm_mtls").ok_or("no listener llm_mtls")?);
        let pipe = json!({"pipe": {"path": socket}});
        let mut behind = listeners[inner].clone();
        behind["name"] = "behind".into();
        behind["address"] = pipe.clone();
        visit(&mut behind, &mut |value| {
            if value.get("http_filters").is_some() {
                value["forward_client_cert_details"] = "ALWAYS_FORWARD_ONLY".into();
            }
        });
        visit(&mut listeners[edge], &mut |value| {
            if let Some(filters) = value.get_mut("http_filters").and_then(Value::as_array_mut) {
                filters.retain(|filter| filter["name"] != FILTER);
                value["forward_client_cert_details"] = "APPEND_FORWARD".into();
                value["set_current_client_cert_details"] = json!({"subject": true, "uri": true, "dns": true});
                value["access_log"] = json!([]);
            }
            if value.get("match").is_some() && value.get("route").is_some() {
                value["route"] = json!({"cluster": "behind", "timeout": "0s"});
            }
        });
        listeners.push(behind);
        let endpoint = json!({"lb_endpoints": [{"endpoint": {"address": pipe}}]});
        let assignment = json!({"cluster_name": "behind", "endpoints": [endpoint]});
        let clusters = self.0["static_resources"]["clusters"].as_array_mut().ok_or("no clusters")?;
        clusters.push(json!({"name": "behind", "type": "STATIC", "load_assignment": assignment}));
        Ok(())
    }

    /// Makes it a replica of this workload.
    pub fn workload(&mut self, name: &str) {
        self.0["node"]["cluster"] = name.into();
    }

    /// What the proxy's node says of itself.
    pub fn node_metadata(&mut self, metadata: Value) {
        self.0["node"]["metadata"] = metadata;
    }

    /// Makes it a waypoint of Istio's ambient mesh, as far as the meter can see: by its node id, and by the filter state with
    /// the identities of the outer connection.
    pub fn waypoint(&mut self, principal: &str) {
        self.0["node"]["id"] = "waypoint~127.0.0.1~waypoint.team-a~team-a.svc.cluster.local".into();
        let entry = |key: &str, value: &str| {
            let format = json!({"text_format_source": {"inline_string": value}});
            json!({"object_key": key, "factory_key": "envoy.string", "format_string": format})
        };
        let own = "spiffe://cluster.local/ns/team-a/sa/waypoint";
        let state = json!({
            "name": "peer",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config",
                "on_request_headers": [
                    entry("io.istio.peer_principal", principal),
                    entry("io.istio.local_principal", own),
                ],
            },
        });
        for listener in self.listeners() {
            visit(listener, &mut |value| {
                if let Some(chain) = value.get_mut("http_filters").and_then(Value::as_array_mut) {
                    chain.insert(0, state.clone());
                }
            });
        }
    }

    /// The meter, as it stands among the HTTP filters.
    pub fn filter(&self) -> Result<Value> {
        let mut found = None;
        visit(&mut self.0.clone(), &mut |value| {
            if value["name"] == FILTER && value.get("typed_config").is_some() {
                found = Some(value.clone());
            }
        });
        found.ok_or_else(|| "the bootstrap has no plugin".into())
    }

    /// Moves the listeners into a file that Envoy watches, and returns what [`write_listeners`] puts there.
    pub fn listeners_from(&mut self, file: &Path) -> Result<Value> {
        let folder = file.parent().ok_or("the file of listeners has no folder")?;
        let resources = self.0["static_resources"].as_object_mut().ok_or("no static resources")?;
        let mut listeners = resources.remove("listeners").ok_or("no listeners")?;
        for listener in listeners.as_array_mut().into_iter().flatten() {
            listener["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener".into();
        }
        let source = json!({"path": file, "watched_directory": {"path": folder}});
        self.0["dynamic_resources"] =
            json!({"lds_config": {"resource_api_version": "V3", "path_config_source": source}});
        Ok(listeners)
    }

    /// Moves the plugin into a file that Envoy watches, and returns what [`write_filter`] puts there.
    pub fn filter_from(&mut self, file: &Path) -> Result<Value> {
        let folder = file.parent().ok_or("the file of the filter has no folder")?;
        let mut found = None;
        visit(&mut self.0, &mut |value| {
            let filters = value.get_mut("http_filters").and_then(Value::as_array_mut);
            for filter in filters.into_iter().flatten().filter(|filter| filter["name"] == FILTER) {
                let Some(own) = filter.as_object_mut().and_then(|filter| filter.remove("typed_config")) else {
                    continue;
                };
                filter["config_discovery"] = json!({
                    "type_urls": [own["@type"]],
                    "config_source": {
                        "resource_api_version": "V3",
                        "path_config_source": {"path": file, "watched_directory": {"path": folder}},
                    },
                });
                found = Some(own);
            }
        });
        found.ok_or_else(|| "the bootstrap has no plugin".into())
    }

    /// Visits every value.
    pub(crate) fn each(&mut self, mut act: impl FnMut(&mut Value)) {
        visit(&mut self.0, &mut act);
    }

    fn listeners(&mut self) -> impl Iterator<Item = &mut Value> {
        self.0["static_resources"]["listeners"].as_array_mut().into_iter().flatten()
    }
}

/// Puts listeners where Envoy watches for them, in one step: Envoy sees a file that is moved into the folder.
pub fn write_listeners(file: &Path, version: u32, listeners: &Value) -> Result<()> {
    publish(file, version, listeners)
}

/// Puts the plugin where Envoy watches for it, with this configuration and code.
pub fn write_filter(file: &Path, version: u32, filter: &Value, plugin: &str, code: &Path) -> Result<()> {
    let mut filter = set_plugin_of(filter, plugin);
    filter["config"]["vm_config"]["code"]["local"]["filename"] = json!(code);
    let kind = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";
    publish(file, version, &json!([{"@type": kind, "name": FILTER, "typed_config": filter}]))
}

fn publish(file: &Path, version: u32, resources: &Value) -> Result<()> {
    let response = json!({"version_info": version.to_string(), "resources": resources});
    let draft = file.with_extension("draft");
    fs::write(&draft, serde_json::to_vec(&response)?)?;
    Ok(fs::rename(draft, file)?)
}

/// Gives the plugin in `listeners` another configuration.
pub fn set_plugin_of(listeners: &Value, text: &str) -> Value {
    let mut bootstrap = Bootstrap(listeners.clone());
    bootstrap.set_plugin(text);
    bootstrap.0
}

fn visit(value: &mut Value, act: &mut impl FnMut(&mut Value)) {
    act(value);
    match value {
        Value::Array(list) => list.iter_mut().for_each(|value| visit(value, act)),
        Value::Object(object) => {
            let object: &mut Map<String, Value> = object;
            object.values_mut().for_each(|value| visit(value, act));
        }
        _ => {}
    }
}

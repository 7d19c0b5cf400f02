//! Files of `envoy/` that are parts of a bootstrap: put where they say that they go.

use std::fs;

use serde_json::{Value, json};

use crate::{Result, bootstrap::Bootstrap, paths};

impl Bootstrap {
    /// Adds the parts in a file under `envoy/`: `plugin` to the plugin's configuration, `listener` and
    /// `http_connection_manager` and
    /// `access_log` to each of these, `http_filters` behind the plugin, `route` to each route, `clusters` to the clusters.
    pub fn add_parts(&mut self, file: &str) -> Result<()> {
        let path = paths::workspace().join("envoy").join(file);
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let parts: Value = serde_saphyr::from_str(&text)?;
        let known =
            ["plugin", "listener", "http_connection_manager", "access_log", "http_filters", "route", "clusters"];
        if let Some(name) =
            parts.as_object().into_iter().flatten().map(|(name, _)| name).find(|name| !known.contains(&name.as_str()))
        {
            return Err(format!("{}: nobody knows where {name} goes", path.display()).into());
        }
        let mut plugin = self.plugin()?;
        merge(&mut plugin, &parts["plugin"]);
        self.set_plugin(&plugin.to_string());
        self.each(|value| {
            if value.get("http_filters").is_some_and(Value::is_array) {
                merge(value, &parts["http_connection_manager"]);
                append(&mut value["access_log"], &parts["access_log"]);
                for (place, filter) in parts["http_filters"].as_array().into_iter().flatten().enumerate() {
                    if let Some(filters) = value["http_filters"].as_array_mut() {
                        filters.insert(filters.len() - 1 - place, filter.clone());
                    }
                }
            }
            if value.get("filter_chains").is_some() {
                merge(value, &parts["listener"]);
            }
            if value.get("match").is_some() && value.get("route").is_some() {
                merge(value, &parts["route"]);
            }
            if value.get("clusters").is_some_and(Value::is_array) {
                append(&mut value["clusters"], &parts["clusters"]);
            }
        });
        Ok(())
    }

    /// Has a cluster end at a Unix domain socket.
    pub fn point_at_socket(&mut self, cluster: &str, socket: &str) {
        self.each(|value| {
            if value["name"] == cluster && value.get("load_assignment").is_some() {
                value["type"] = "STATIC".into();
                value.as_object_mut().map(|cluster| cluster.remove("dns_lookup_family"));
                let address = json!({"pipe": {"path": socket}});
                value["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"] = address;
            }
        });
    }
}

/// Adds the members of an object to another.
fn merge(into: &mut Value, from: &Value) {
    for (name, value) in from.as_object().into_iter().flatten() {
        into[name] = value.clone();
    }
}

fn append(list: &mut Value, more: &Value) {
    if let (Some(list), Some(more)) = (list.as_array_mut(), more.as_array()) {
        list.extend(more.iter().cloned());
    }
}

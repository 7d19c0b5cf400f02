use serde_json::json;

use super::http::{Content, Is};
use super::*;

fn dump(configs: &[Value]) -> Config {
    Config::parse(json!({"configs": configs}).to_string().as_bytes()).unwrap()
}

fn manager(manager: &Value) -> Value {
    let mut own = manager.clone();
    own["@type"] =
        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager".into();
    json!({"name": "hcm", "typed_config": own})
}

fn wasm(config: Value) -> Value {
    json!({"@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm", "config": config})
}

/// As Istio's proxies have it: the plugin by extension discovery, routes by name, clusters with TLS by matching.
#[test]
fn contract_a_dump_of_istios_form_is_read() {
    let plugin = wasm(json!({
        "name": "istio-egress.meshmeter",
        "root_id": "meshmeter",
        "failure_policy": "FAIL_RELOAD",
        "vm_config": {
            "code": {"local": {"filename": "/var/lib/istio/data/plugin.wasm"}},
            "environment_variables": {"host_env_keys": ["MESHMETER_INGEST_TOKEN"], "key_values": {"A": "b"}},
        },
        "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "{\"include_usage\":false}"},
    }));
    let listener = json!({
        "name": "0.0.0.0_8443",
        "filter_chains": [
            {"filters": [manager(&json!({
                "rds": {"route_config_name": "https.443"},
                "http_filters": [
                    {"name": "extenstions.istio.io/wasmplugin/istio-egress.meshmeter", "config_discovery": {}},
                    {"name": "envoy.filters.http.router"},
                ],
            }))]},
            {"filter_chain_match": {"server_names": ["api.openai.com"]}, "filters": [
                {"name": "stats", "typed_config": {"@type": "type.googleapis.com/stats.PluginConfig"}},
                {"name": "tcp", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                    "weighted_clusters": {"clusters": [{"name": "a"}, {"name": "b"}]},
                }},
            ]},
        ],
    });
    let config = dump(&[
        json!({"dynamic_listeners": [
            {"name": "0.0.0.0_8443", "active_state": {"listener": listener}},
            {"name": "broken", "error_state": {"details": "no such filter"}},
        ]}),
        json!({"dynamic_route_configs": [{"route_config": {"name": "https.443", "virtual_hosts": [{
            "domains": ["api.openai.com", "api.openai.com:443"],
            "routes": [
                {"route": {"weighted_clusters": {"clusters": [{"name": "outbound|443||api.openai.com"}, {"name": "other"}]}}},
                {"redirect": {}},
            ],
        }]}}]}),
        json!({"dynamic_active_clusters": [{"cluster": {
            "name": "outbound|443||api.openai.com",
            "transport_socket_matches": [{"transport_socket": {"typed_config": {"sni": "api.openai.com"}}}],
        }}]}),
        json!({"ecds_filters": [{"ecds_filter": {
            "name": "extenstions.istio.io/wasmplugin/istio-egress.meshmeter",
            "typed_config": plugin,
        }}]}),
    ]);
    let (listener, http) = config.http_chains().next().unwrap();
    assert_eq!(listener.name, "0.0.0.0_8443");
    let plugin = http.plugins().next().unwrap();
    assert_eq!((plugin.name.as_str(), plugin.failure_policy.as_str()), ("istio-egress.meshmeter", "FAIL_RELOAD"));
    assert_eq!(plugin.configuration, "{\"include_usage\":false}");
    assert_eq!(
        (&plugin.host_variables[..], &plugin.set_variables[..]),
        (&["MESHMETER_INGEST_TOKEN".to_owned()][..], &["A".to_owned()][..])
    );
    let route = config.routes_of(http).next().unwrap();
    assert_eq!(route.clusters, ["outbound|443||api.openai.com", "other"]);
    assert!(http.meters(route) && config.routes_of(http).count() == 1);
    assert!(matches!(&config.listeners[0].chains[1].content, Content::Bytes(clusters) if clusters == &["a", "b"]));
    assert_eq!(config.clusters["outbound|443||api.openai.com"].server_names, ["api.openai.com"]);
    assert_eq!(config.refused["listener broken"], "no such filter");
    assert!(config.statistics.is_none());
}

#[test]
fn contract_the_plugin_is_known_by_its_names_or_by_its_configuration() {
    let place = |filter: Value| {
        let listener =
            json!({"name": "l", "filter_chains": [{"filters": [manager(&json!({"http_filters": [filter]}))]}]});
        let config = dump(&[json!({"static_listeners": [{"listener": listener}]})]);
        config.http_chains().next().unwrap().1.filters[0].clone()
    };
    let configuration = |text: &str| json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": text});
    let named = place(json!({"name": "usage", "typed_config": wasm(json!({"vm_config": {"vm_id": "Meshmeter"}}))}));
    assert!(named.plugin().is_some());
    let configured = wasm(json!({"configuration": configuration("{\"detect\": {\"by_shape\": false}}")}));
    assert!(place(json!({"name": "usage", "typed_config": configured})).plugin().is_some());
    for other in ["", "{}", "{\"jwt\": 1}", "text"] {
        let other = wasm(json!({"name": "other", "configuration": configuration(other)}));
        assert!(place(json!({"name": "usage", "typed_config": other})).plugin().is_none());
    }
    // Wrapped, as control planes do with what they do not know, and with a configuration that is no text.
    let own = json!({"config": {"name": "meshmeter", "fail_open": true, "configuration": {
        "@type": "type.googleapis.com/google.protobuf.Struct", "value": {"include_usage": false}}}});
    let wrapped = json!({
        "@type": "type.googleapis.com/udpa.type.v1.TypedStruct",
        "type_url": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "value": own,
    });
    let filter = place(json!({"name": "usage", "typed_config": wrapped}));
    let plugin = filter.plugin().unwrap();
    assert_eq!(
        (plugin.configuration.as_str(), plugin.failure_policy.as_str()),
        ("{\"include_usage\":false}", "FAIL_OPEN")
    );
    assert!(matches!(place(json!({"name": "meshmeter", "config_discovery": {}})).is, Is::Missing));
    assert!(matches!(place(json!({"name": "other", "config_discovery": {}})).is, Is::Other));
}

#[test]
fn contract_a_dump_of_any_other_shape_does_no_harm() {
    for text in ["", "{}", "[]", "{\"configs\": 1}", "<html>"] {
        assert!(Config::parse(text.as_bytes()).is_err(), "{text}");
    }
    let odd = json!({"configs": [
        {"static_listeners": [1, {"listener": []}, {"listener": {"name": 7, "filter_chains": [null, {"filters": [{}, 3]}]}}]},
        {"static_clusters": [{"cluster": {"load_assignment": {"endpoints": [{"lb_endpoints": [{}]}]}}}, "x"]},
        {"dynamic_route_configs": [{"route_config": {"virtual_hosts": [{"routes": [{"route": 1}]}]}}]},
        {"bootstrap": {"stats_config": {"stats_tags": [4]}}},
    ]});
    let config = Config::parse(odd.to_string().as_bytes()).unwrap();
    assert_eq!((config.listeners.len(), config.http_chains().count()), (2, 0));
}

#[test]
fn contract_histograms_are_covered_by_whatever_matcher_fits() {
    let unbucketed = |matcher: Value| {
        let settings = json!([{"match": matcher, "buckets": [1]}]);
        let config = dump(&[json!({"bootstrap": {"stats_config": {"histogram_bucket_settings": settings}}})]);
        config.statistics.unwrap().unbucketed
    };
    let one = Metric::InputTokens.spec().name;
    let all = Metric::ALL.iter().filter(|metric| metric.spec().kind == meter::telemetry::Kind::Histogram).count();
    assert_eq!(unbucketed(json!({"prefix": "wasmcustom."})).len(), 0);
    assert_eq!(unbucketed(json!({"safe_regex": {"regex": ".*gen_ai.*"}})).len(), 0);
    assert_eq!(unbucketed(json!({"suffix": one})).len(), all - 1);
    assert_eq!(unbucketed(json!({"exact": format!("wasmcustom.{one}")})).len(), all - 1);
    assert_eq!(unbucketed(json!({"prefix": "cluster."})).len(), all);
}

#[test]
fn contract_server_info_and_hosts_are_read() {
    let page = |body: Value| Page { status: 200, body: body.to_string().into_bytes(), ..Page::default() };
    let info = Info::parse(&page(json!({
        "version": "abc/1.40.0/Clean/RELEASE/BoringSSL",
        "state": "LIVE",
        "command_line_options": {"concurrency": 4, "file_flush_interval": "10s", "file_flush_min_size": 0},
    })));
    let expected = Info {
        version: "1.40.0".to_owned(),
        state: "LIVE".to_owned(),
        workers: 4,
        ahead_s: None,
        flush_interval: "10s".to_owned(),
    };
    assert_eq!(info, Some(expected));
    for other in [json!({}), json!({"version": "1"}), json!([]), json!({"version": "1", "command_line_options": {}})] {
        assert_eq!(Info::parse(&page(other)), None);
    }
    let host = |health: Value| json!({"health_status": health, "stats": [{"name": "cx_connect_fail", "value": "3"}]});
    let clusters = json!({"cluster_statuses": [{"name": "c", "host_statuses": [
        host(json!({"eds_health_status": "HEALTHY"})),
        host(json!({"eds_health_status": "UNHEALTHY"})),
        host(json!({"eds_health_status": "HEALTHY", "failed_active_health_check": true})),
    ]}]});
    let found = hosts(clusters.to_string().as_bytes());
    assert_eq!(found["c"], Hosts { all: 3, healthy: 1, connections_failed: 9 });
    assert!(hosts(b"<html>").is_empty());
}

#[test]
fn deterministic_the_rate_of_a_counter_of_seconds_is_free_of_its_steps() {
    // Three VMs that count whole seconds, each in its own time; readings of a second, four seconds apart.
    for phases in [[0.0, 0.0, 0.0], [0.9, 0.9, 0.9], [0.1, 0.5, 0.8]] {
        let at = |time: f64| -> f64 { phases.iter().map(|phase: &f64| (time + phase).floor()).sum() };
        let begun = Instant::now();
        let reading = |second: u64| {
            let times: Vec<f64> = (0..10).map(|tenth| second as f64 + f64::from(tenth) / 10.0).collect();
            let value = times.iter().map(|time| at(*time)).sum::<f64>() / 10.0;
            Reading { begun: begun + Duration::from_secs(second), is_there: true, middle: 0.45, value }
        };
        let rate = reading(4).since(reading(0)).unwrap();
        assert!((rate - 3.0).abs() < 0.01, "{phases:?}: {rate}");
    }
    assert_eq!(seconds("x: 1\nmeshmeter_vm_seconds_total: 7\nwasmcustom.meshmeter_vm_seconds_total: 2\n"), Some(9.0));
    assert_eq!(seconds("<html>: 1"), None);
}

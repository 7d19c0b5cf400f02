//! `meshmeter doctor` on Envoys that are configured wrongly: each start of a real Envoy has several mistakes in it.

use std::{fs, net::SocketAddr, path::Path};

use e2e::{
    Result,
    bootstrap::{Bootstrap, FILTER},
    client::{Call, Route},
    collector::INGEST_TOKEN,
    doctor::{Report, doctor, url},
    envoy::{Envoy, WORKERS},
    identity::Identity,
    paths,
    stack::{self, Options, Stack},
    wait,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What a mistake is made in: the bootstrap and the directory of the test.
type Change = fn(&mut Bootstrap, &Path) -> Result<()>;

/// Starts an Envoy with mistakes, and examines it. Nobody listens behind its clusters.
async fn examined(change: Change) -> Result<Report> {
    let dir = TempDir::new()?;
    let nowhere: SocketAddr = "127.0.0.1:9".parse()?;
    let identity = Identity::create(dir.path())?;
    let mut bootstrap = stack::bootstrap(dir.path(), &identity, nowhere, nowhere)?;
    change(&mut bootstrap, dir.path())?;
    let program = paths::envoy()?;
    let mut envoy = Envoy::with_arguments(&program, dir.path(), &bootstrap, Some(INGEST_TOKEN), WORKERS, &[])?;
    envoy.ready().await?;
    // For what shows in calls only, though none arrives.
    let route = Route::plain(envoy.listener("llm").await?);
    for _ in 0..8 {
        let body = json!({"model": "claude", "messages": []});
        route.send(&Call::post("api.anthropic.com", "/v1/messages", &body)).await?;
    }
    let report = doctor(&["--envoy", &url(envoy.admin()?)]).await?;
    envoy.stop()?;
    envoy.quiet();
    Ok(report)
}

/// The listener of this name.
fn listener<'a>(bootstrap: &'a mut Bootstrap, name: &str) -> Result<&'a mut Value> {
    let listeners = bootstrap.json()["static_resources"]["listeners"].as_array_mut().ok_or("no listeners")?;
    listeners.iter_mut().find(|listener| listener["name"] == name).ok_or_else(|| format!("no listener {name}").into())
}

/// The connection manager of a listener: the last of its network filters.
fn manager<'a>(bootstrap: &'a mut Bootstrap, name: &str) -> Result<&'a mut Value> {
    let filters = listener(bootstrap, name)?["filter_chains"][0]["filters"].as_array_mut().ok_or("no filters")?;
    Ok(&mut filters.last_mut().ok_or("no filter")?["typed_config"])
}

fn filters<'a>(bootstrap: &'a mut Bootstrap, name: &str) -> Result<&'a mut Vec<Value>> {
    Ok(manager(bootstrap, name)?["http_filters"].as_array_mut().ok_or("no HTTP filters")?)
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_doctor_finds_mistakes_in_filter_chains() -> Result<()> {
    let report = examined(|bootstrap, _| {
        bootstrap.json()["stats_config"] = json!({});
        bootstrap.each_plugin(|config| config["failure_policy"] = "FAIL_OPEN".into());
        let plugin = bootstrap.filter()?;
        // gateway: a filter that acts, the plugin twice, then jwt_authn; no journal.
        let lua = json!({
            "name": "rewriter",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                "default_source_code": {"inline_string": "function envoy_on_request(handle) end"},
            },
        });
        let chain = filters(bootstrap, "gateway")?;
        let (jwt, router) = (chain.remove(0), chain.pop());
        let mut again = plugin.clone();
        again["name"] = "again".into();
        *chain = [lua, plugin.clone(), again, jwt].into_iter().chain(router).collect();
        manager(bootstrap, "gateway")?["access_log"] = json!([]);
        // llm: a route on which the plugin is off.
        let off = json!({"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true});
        manager(bootstrap, "llm")?["route_config"]["virtual_hosts"][0]["routes"][0]["typed_per_filter_config"] =
            json!({FILTER: off});
        // llm_mtls: no plugin at all.
        filters(bootstrap, "llm_mtls")?.retain(|filter| filter["name"] != FILTER);
        // Bytes to a provider, by the name in the TLS handshake.
        let tcp = json!({
            "name": "tcp",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": "tcp",
                "cluster": "self_hosted",
            },
        });
        let inspector = "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector";
        let through = json!({
            "name": "through",
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "listener_filters": [{"name": "tls", "typed_config": {"@type": inspector}}],
            "filter_chains": [{"filter_chain_match": {"server_names": ["api.anthropic.com"]}, "filters": [tcp]}],
        });
        let listeners = bootstrap.json()["static_resources"]["listeners"].as_array_mut().ok_or("no listeners")?;
        listeners.push(through);
        // The plugin upstream of a cluster.
        let codec = "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec";
        let options = json!({
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http_protocol_options": {}},
            "http_filters": [plugin, {"name": "codec", "typed_config": {"@type": codec}}],
        });
        let clusters = bootstrap.json()["static_resources"]["clusters"].as_array_mut().ok_or("no clusters")?;
        let own = clusters.iter_mut().find(|cluster| cluster["name"] == "self_hosted").ok_or("no cluster")?;
        own["typed_extension_protocol_options"] =
            json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options});
        Ok(())
    })
    .await?;
    assert!(report.what("fail_open")?.contains("FAIL_OPEN"), "{report:?}");
    assert!(report.what("plugin_twice")?.contains("listener gateway has it as meshmeter, again"), "{report:?}");
    assert!(report.what("jwt_after_plugin")?.contains("gateway"), "{report:?}");
    assert!(report.what("filter_before_plugin")?.contains("rewriter"), "{report:?}");
    assert!(report.what("plugin_upstream")?.contains("self_hosted"), "{report:?}");
    let unmetered = report.what("provider_unmetered")?;
    assert!(unmetered.contains("in listener llm_mtls") && unmetered.contains("anthropic"), "{unmetered}");
    assert!(unmetered.contains("in listener llm routes without the plugin lead to openai"), "{unmetered}");
    assert!(!unmetered.contains("gateway"), "{unmetered}");
    assert!(report.what("provider_encrypted")?.contains("anthropic (api.anthropic.com)"), "{report:?}");
    let labels = report.what("labels_missing")?;
    assert!(labels.contains("gen_ai_provider_name"), "{labels}");
    assert!(report.what("buckets_default")?.contains("gen_ai_client_inference_operation_input_tokens"), "{report:?}");
    assert!(report.what("journal_absent")?.contains("gateway"), "{report:?}");
    let unflushed = report.what("journal_unflushed")?;
    assert!(unflushed.contains("journal: lines of all access logs"), "{unflushed}");
    assert_eq!(report.code, 4);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_doctor_finds_mistakes_on_the_way_to_the_collector() -> Result<()> {
    let report = examined(|bootstrap, _| {
        bootstrap.each_plugin(|config| {
            config["vm_config"]["environment_variables"] = json!({"key_values": {"MESHMETER_INGEST_TOKEN": "s3cret"}});
            config["configuration"]["value"] = r#"{"collector": {"cluster": "nowhere"}}"#.into();
        });
        let chain = filters(bootstrap, "llm_mtls")?;
        for filter in chain.iter_mut().filter(|filter| filter["name"] == FILTER) {
            filter["typed_config"]["config"]["configuration"]["value"] = "{}".into();
        }
        for log in manager(bootstrap, "llm")?["access_log"].as_array_mut().ok_or("no access log")? {
            log["typed_config"]["path"] = "/dev/full".into();
        }
        Ok(())
    })
    .await?;
    assert!(report.what("collector_cluster_missing")?.contains("no cluster nowhere"), "{report:?}");
    assert!(report.what("token_exposed")?.contains("MESHMETER_INGEST_TOKEN"), "{report:?}");
    report.what("collector_not_configured")?;
    report.what("journal_unwritten")?;
    assert!(!format!("{report:?}").contains("s3cret"), "the token is not repeated: {report:?}");

    let report = examined(|bootstrap, _| {
        bootstrap.each_plugin(|config| {
            drop(config["vm_config"].as_object_mut().map(|vm| vm.remove("environment_variables")))
        });
        let clusters = bootstrap.json()["static_resources"]["clusters"].as_array_mut().ok_or("no clusters")?;
        let own = clusters.iter_mut().find(|cluster| cluster["name"] == "meshmeter_collector").ok_or("no cluster")?;
        own["load_assignment"]["endpoints"] = json!([]);
        Ok(())
    })
    .await?;
    assert!(report.what("token_missing")?.contains("MESHMETER_INGEST_TOKEN"), "{report:?}");
    assert!(
        report.what("collector_unhealthy")?.contains("healthy hosts of cluster meshmeter_collector: 0 of 0"),
        "{report:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_doctor_finds_that_the_plugin_is_not_there() -> Result<()> {
    let report = examined(|bootstrap, _| {
        for name in ["gateway", "llm", "llm_mtls"] {
            filters(bootstrap, name)?.retain(|filter| filter["name"] != FILTER);
        }
        Ok(())
    })
    .await?;
    let what = report.what("plugin_absent")?;
    assert!(what.contains("none of the 3 HTTP filter chains") && what.contains("anthropic, openai"), "{what}");
    assert_eq!(report.codes().len(), 1, "{report:?}");

    // What Istio serves in the place of a plugin that it could not fetch, and may fail open.
    let report = examined(|bootstrap, dir| {
        let file = dir.join("extension.json");
        let kind = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";
        bootstrap.filter_from(&file)?;
        let extension = json!({
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": FILTER,
            "typed_config": {"@type": kind},
        });
        fs::write(&file, json!({"version_info": "1", "resources": [extension]}).to_string())?;
        for name in ["gateway", "llm", "llm_mtls"] {
            for filter in filters(bootstrap, name)?.iter_mut().filter(|filter| filter["name"] == FILTER) {
                filter["config_discovery"]["type_urls"] = json!([kind]);
            }
        }
        Ok(())
    })
    .await?;
    assert!(report.what("plugin_not_fetched")?.contains("RBAC"), "{report:?}");
    assert!(report.what("plugin_absent").is_err(), "{report:?}");
    assert_eq!(report.code, 4);

    // The code comes from elsewhere, and does not come.
    let report = examined(|bootstrap, _| {
        bootstrap.each_plugin(|config| {
            let uri = json!({"uri": "http://127.0.0.1:9/meshmeter.wasm", "cluster": "self_hosted", "timeout": "1s"});
            config["vm_config"]["code"] = json!({"remote": {"http_uri": uri, "sha256": "0".repeat(64)}});
        });
        Ok(())
    })
    .await?;
    assert!(report.what("plugin_not_running")?.contains("meshmeter_vm_seconds_total"), "{report:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_doctor_finds_a_configuration_that_envoy_refused() -> Result<()> {
    let mut stack = Stack::with(Options { live: true, ..Options::default() }).await?;
    let envoy = url(stack.envoy.admin()?);
    let live = stack.live.as_mut().ok_or("it cannot be changed")?;
    live.plugin = json!({"colector": {}});
    live.update()?;
    let report = wait::until("the refusal", || async {
        let report = doctor(&["--envoy", &envoy]).await?;
        report.what("configuration_refused")?;
        Ok(report)
    })
    .await?;
    assert!(report.what("plugin_not_running").is_err(), "the one before it runs: {report:?}");
    stack.envoy.stop()?;
    stack.envoy.quiet();
    stack.collector.stop()?;
    stack.collector.quiet();
    Ok(())
}

//! The collector's cluster by several names, and by an alias of Envoy Gateway's: nothing is lost or sent twice.

use e2e::{
    Result,
    bootstrap::Bootstrap,
    stack::{Options, Stack, with_request_id},
    wait,
};
use serde_json::{Value, json};

const CALLS: u64 = 8;
/// As Envoy Gateway names the cluster of a rule of an HTTPRoute.
const GENERATED: &str = "httproute/meshmeter/collector/rule/0";

async fn call(stack: &Stack) -> Result<()> {
    let fixture = stack.provider.catalogue().get("vllm.json")?;
    for number in 0..CALLS {
        stack.llm().send(&with_request_id(fixture.call(), &format!("call-{number}"))).await?;
    }
    Ok(())
}

/// Calls, and checks that each event was sent once, and that no dispatch failed.
async fn delivered(options: Options) -> Result<()> {
    let stack = Stack::with(options).await?;
    call(&stack).await?;
    stack.settled(CALLS).await?;
    assert_eq!(stack.gate.acknowledged()?.len() as u64, CALLS);
    let metrics = stack.envoy.metrics().await?;
    assert_eq!(metrics.sum("meshmeter_collector_failures_total", &[]), 0);
    assert_eq!(metrics.sum("meshmeter_events_retried_total", &[]), 0);
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_the_first_cluster_that_envoy_has_gets_the_events() -> Result<()> {
    let plugin = |plugin: &mut Value| plugin["collector"]["cluster"] = json!([GENERATED, "meshmeter_collector"]);
    delivered(Options { plugin, ..Options::default() }).await?;
    let change = |bootstrap: &mut Bootstrap| bootstrap.rename("meshmeter_collector", GENERATED);
    delivered(Options { plugin, change, ..Options::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_an_alias_leads_to_the_cluster_that_the_route_names() -> Result<()> {
    let plugin = |plugin: &mut Value| plugin["collector"] = json!({"alias": "collector"});
    let change = |bootstrap: &mut Bootstrap| -> Result<()> {
        bootstrap.rename("meshmeter_collector", GENERATED)?;
        bootstrap.alias("collector", GENERATED);
        Ok(())
    };
    delivered(Options { plugin, change, ..Options::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_an_alias_that_no_route_has_is_said_and_the_events_wait() -> Result<()> {
    let plugin = |plugin: &mut Value| {
        plugin["collector"] = json!({"alias": "collector"});
        plugin["batch"] = json!({"max_age_ms": 100});
    };
    let stack = Stack::with(Options { plugin, ..Options::default() }).await?;
    call(&stack).await?;
    wait::until("failures", || async {
        let failures = [("meshmeter_reason", "no_cluster")];
        let found = stack.envoy.metrics().await?.sum("meshmeter_collector_failures_total", &failures);
        wait::ensure(found >= 3, || format!("there are {found}"))
    })
    .await?;
    let log = stack.envoy.log();
    assert!(log.contains("the route of no call has had this alias yet"), "{log}");
    assert!(log.contains("; alias collector, path /v1/events;"), "{log}");
    let metrics = stack.envoy.metrics().await?;
    assert_eq!(metrics.sum("meshmeter_events_dropped_total", &[]), 0);
    assert!(metrics.sum("meshmeter_outbox_bytes", &[]) > 0);
    stack.finish()
}

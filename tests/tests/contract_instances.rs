//! The plugin more than once in one chain of filters, as a WasmPlugin and a TrafficExtension of one name are: one record, one
//! event, one charge for each call.

use e2e::{
    Result,
    bootstrap::Bootstrap,
    client::Call,
    exchange::Upload,
    expect,
    provider::FIXTURE,
    script::Script,
    stack::{Options, Stack, with_request_id},
    wait,
    wire::Wire,
};
use serde_json::{Value, json};

const SAID: &str = "the plugin is configured twice";

/// Sends a call of each kind through a chain in which the plugin stands twice, and checks that each is metered once.
async fn once(kind: &str, change: fn(&mut Bootstrap) -> Result<()>) -> Result<()> {
    let stack = Stack::with(Options { change, everywhere: true, ..Options::default() }).await?;
    let fixtures = stack.provider.catalogue().0.clone();
    for fixture in &fixtures {
        let id = format!("call-{}", fixture.name);
        expect::faithful(&stack, fixture, &id).await.map_err(|error| format!("{kind}: {error}"))?;
    }
    // A call that only its response shows, a call that is none, and a client that would have its call left unmetered.
    let fixture = stack.provider.catalogue().get("chat_two.json")?;
    let mut shape = fixture.call().header(FIXTURE, &fixture.name);
    (shape.host, shape.path) = ("gateway.internal".to_owned(), "/gateway/ask".to_owned());
    let mut hidden = fixture.call();
    for name in ["meshmeter_metered", "wasm.meshmeter_metered"] {
        hidden = hidden.header(name, "12");
    }
    for (id, call) in [("shape", shape), ("hidden", hidden)] {
        stack.llm().send(&with_request_id(call, id)).await?;
        stack.event_of(id).await?;
    }
    stack.llm().send(&Call::get("api.openai.com", "/v1/models")).await?;
    let calls = fixtures.len() as u64 + 2;
    let report = stack.settled(calls).await.map_err(|error| format!("{kind}: {error}"))?;
    assert_eq!(stack.gate.acknowledged()?.len() as u64, calls, "{kind}: events");
    let metrics = stack.envoy.metrics_of(calls).await?;
    let counted = |name| metrics.sum(name, &[]);
    assert_eq!(counted("meshmeter_calls_already_metered_total"), calls, "{kind}");
    assert_eq!(counted("gen_ai_client_inference_calls_total"), calls, "{kind}");
    let input: u64 = ["input_text_tokens", "cache_read_tokens"].iter().map(|class| report.count(class)).sum();
    assert!(input > 0 && report.calls() == calls, "{kind}: {report:?}");
    let said = stack.envoy.log().matches(SAID).count();
    assert_eq!(said, 1, "{kind}: {}", stack.envoy.log());
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_of_two_instances_one_meters_whatever_they_share() -> Result<()> {
    once("the same in all", |bootstrap| {
        bootstrap.again(|_| {});
        Ok(())
    })
    .await?;
    once("another root id", |bootstrap| {
        bootstrap.again(|config| config["root_id"] = "another".into());
        Ok(())
    })
    .await?;
    once("another VM", |bootstrap| {
        bootstrap.again(|config| config["vm_config"]["vm_id"] = "another".into());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_an_instance_without_a_collector_leaves_calls_to_one_with_it() -> Result<()> {
    // The first stands in front, so that it is the one to give way.
    let plugin = |plugin: &mut Value| *plugin = json!({});
    let change = |bootstrap: &mut Bootstrap| -> Result<()> {
        bootstrap.again(|config| {
            config["vm_config"]["vm_id"] = "another".into();
            config["configuration"]["value"] = r#"{"collector": {"cluster": "meshmeter_collector"}}"#.into();
        });
        Ok(())
    };
    let stack = Stack::with(Options { plugin, change, ..Options::default() }).await?;
    let fixtures = stack.provider.catalogue().0.clone();
    for (number, fixture) in fixtures.iter().enumerate() {
        let call = with_request_id(fixture.call(), &format!("call-{number}"));
        assert!(stack.llm().send(&call).await?.whole);
    }
    let calls = fixtures.len() as u64;
    stack.settled(calls).await?;
    wait::until("the other instance to count", || async {
        let left = stack.envoy.metrics().await?.sum("meshmeter_calls_already_metered_total", &[]);
        wait::ensure(left == calls, || format!("{left} of {calls}"))
    })
    .await?;
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_request_that_envoy_sends_elsewhere_is_metered_there_and_once() -> Result<()> {
    let change = |bootstrap: &mut Bootstrap| -> Result<()> {
        bootstrap.again(|config| config["vm_config"]["vm_id"] = "another".into());
        Ok(())
    };
    let wire = Wire::with(Options { change, redirects: true, ..Options::default() }).await?;
    let fixture = wire.stack.provider.catalogue().get("chat_two.json")?.clone();
    let there = wire.server.add(Script::new("application/json", fixture.response(1, true).1));
    let to = format!("http://api.openai.com/v1/chat/completions?script={there}");
    let elsewhere = Script::new("text/plain", "elsewhere").status(307).header("location", &to);
    let (response, arrived, event) = wire.send("redirected", &fixture.call(), Upload::WHOLE, elsewhere).await?;
    assert!(response.status == 200 && arrived.path.contains("script="), "it was not sent on");
    expect::usage(&event, "completed", "reported", &fixture.expected.usage)?;
    wire.finish(1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_single_instance_in_several_listeners_never_gives_way() -> Result<()> {
    let stack = Stack::start().await?;
    let fixture = stack.provider.catalogue().get("vllm.json")?.clone();
    let mtls = stack.llm_mtls("spiffe://cluster.local/ns/team-a/sa/alice")?;
    for (id, route) in [("plain", stack.llm()), ("mtls", mtls)] {
        route.send(&with_request_id(fixture.call(), id)).await?;
    }
    stack.settled(2).await?;
    assert_eq!(stack.envoy.metrics().await?.sum("meshmeter_calls_already_metered_total", &[]), 0);
    assert!(!stack.envoy.log().contains(SAID));
    stack.finish()
}

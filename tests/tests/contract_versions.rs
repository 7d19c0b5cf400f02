//! The Envoys of `envoy/OLDER_VERSIONS`: what makes a bill, in short. `just e2e-older` runs every test on them.

use std::{path::PathBuf, process::Command};

use e2e::{
    Result,
    bootstrap::Bootstrap,
    expect, paths,
    stack::{Options, Stack, with_request_id},
    wait,
};
use serde_json::{Value, json};

const SPIFFE: &str = "spiffe://cluster.local/ns/team-a/sa/alice";

#[test]
fn contract_each_older_envoy_is_the_version_that_it_is_said_to_be() -> Result<()> {
    let older = paths::older_envoys()?;
    assert!(!older.is_empty());
    for (version, program) in older {
        let output = Command::new(program).arg("--version").output()?;
        let says = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(says.contains(&format!("/{version}/")), "{version}: {says}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_calls_on_an_older_envoy_are_metered_and_charged_once() -> Result<()> {
    for (version, program) in paths::older_envoys()? {
        metered(&version, program).await.map_err(|error| format!("Envoy {version}: {error}"))?;
    }
    Ok(())
}

/// JSON, streams, one of them asked for its usage, a tenant by certificate, the same plugin twice, the journal.
async fn metered(version: &str, program: PathBuf) -> Result<()> {
    let change = |bootstrap: &mut Bootstrap| -> Result<()> {
        bootstrap.again(|config| config["vm_config"]["vm_id"] = "another".into());
        Ok(())
    };
    let stack = Stack::with(Options { program: Some(program), change, ..Options::default() }).await?;
    let names = ["vllm.json", "chat_tools.json", "chat_stream_unasked.sse", "messages_stream.sse", "responses.json"];
    for name in names {
        let fixture = stack.provider.catalogue().get(name)?.clone();
        expect::faithful(&stack, &fixture, &format!("{version}-{name}")).await?;
    }
    let fixture = stack.provider.catalogue().get("responses_stream.sse")?.clone();
    stack.llm_mtls(SPIFFE)?.send(&with_request_id(fixture.call(), "certificate")).await?;
    let event = stack.event_of("certificate").await?;
    wait::ensure(event.text("tenant") == "team-a", || event.raw.clone())?;
    let calls = names.len() as u64 + 1;
    stack.settled(calls).await?;
    let metrics = stack.envoy.metrics_of(calls).await?;
    let left = metrics.sum("meshmeter_calls_already_metered_total", &[]);
    wait::ensure(left == calls, || format!("{left} calls were left to the first instance, of {calls}"))?;
    let labels = [("tenant", "team-a"), ("gen_ai_provider_name", "openai")];
    let labelled = metrics.sum("gen_ai_client_inference_calls_total", &labels);
    wait::ensure(labelled == 1, || format!("{labelled} calls with labels"))?;
    wait::ensure(!stack.envoy.log().contains("the plugin is tested on"), || "it is said to be too old".to_owned())?;
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn race_an_older_envoy_that_is_told_to_stop_flushes_its_queue() -> Result<()> {
    for (version, program) in paths::older_envoys()? {
        flushed(program).await.map_err(|error| format!("Envoy {version}: {error}"))?;
    }
    Ok(())
}

/// What waits for its batch when Envoy is told to stop arrives.
async fn flushed(program: PathBuf) -> Result<()> {
    let plugin = |plugin: &mut Value| plugin["batch"] = json!({"max_events": 5, "max_age_ms": 60_000});
    let options = Options { program: Some(program), plugin, workers: 1, ..Options::default() };
    let mut stack = Stack::with(options).await?;
    let call = stack.provider.catalogue().get("vllm.json")?.call();
    // A whole batch, so that the connection is warm; then some that wait.
    for (first, last, held) in [(1, 5, 5), (6, 8, 5)] {
        for number in first..=last {
            stack.llm().send(&with_request_id(call.clone(), &format!("call-{number}"))).await?;
            stack.event_of(&format!("call-{number}")).await?;
        }
        stack.collector.holds(held).await?;
    }
    stack.envoy.stop()?;
    stack.collector.holds(8).await?;
    stack.finish_stopped()
}

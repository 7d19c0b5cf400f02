//! `meshmeter doctor` on the shipped bootstrap, on calls and on what becomes of their events.

use e2e::{
    Result,
    bootstrap::Bootstrap,
    doctor::{self, doctor, url},
    gate::Mode,
    paths,
    stack::{Options, Stack, with_request_id},
    wait,
};
use serde_json::{Value, json};

const TENANT: &str = "x-tenant-id: acme";

/// The admin listener of an Envoy.
fn admin(stack: &Stack) -> Result<String> {
    Ok(url(stack.envoy.admin()?))
}

async fn calls(stack: &Stack, fixture: &str, count: u64) -> Result<()> {
    let fixture = stack.provider.catalogue().get(fixture)?;
    for number in 0..count {
        stack
            .llm()
            .send(&with_request_id(fixture.call().header("x-tenant-id", "acme"), &format!("call-{number}")))
            .await?;
    }
    Ok(())
}

async fn failures(stack: &Stack, reason: &str) -> Result<()> {
    wait::until(&format!("a dispatch that fails with {reason}"), || async {
        let reason = [("meshmeter_reason", reason)];
        let found = stack.envoy.metrics().await?.sum("meshmeter_collector_failures_total", &reason);
        wait::ensure(found > 0, || "there is none".to_owned())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_doctor_finds_nothing_wrong_with_the_shipped_bootstrap() -> Result<()> {
    let stack = Stack::start().await?;
    calls(&stack, "chat_two.json", 2).await?;
    stack.settled(2).await?;
    let (envoy, collector) = (admin(&stack)?, url(stack.collector.address()));
    let config = stack.file("plugin.json");
    std::fs::write(&config, shipped(&stack)?)?;
    let config = config.to_string_lossy().into_owned();
    let chat = format!("{}/openai/v1/chat/completions", url(stack.gateway_address()));
    let call = ["--call", &chat, "--call-model", "gpt-4.1-mini", "--call-header", TENANT];
    let report =
        doctor(&[&["--envoy", &envoy, "--collector", &collector, "--config", &config], &call[..]].concat()).await?;
    assert!(report.codes().is_empty() && report.code == 0, "{report:?}");
    assert_eq!(report.examined[0]["with_plugin"], 3, "{report:?}");
    assert_eq!(report.examined[0]["filter_chains"], 3, "{report:?}");
    stack.settled(3).await?;

    let (code, text, _) = doctor::run(None, &["--envoy", &envoy]).await?;
    assert!(code == 0 && text.contains("workers: 2, HTTP filter chains with the plugin: 3 of 3"), "{text}");

    // Another configuration than the one that runs, and calls that fail or that nobody meters.
    let mut other: Value = serde_json::from_str(&shipped(&stack)?)?;
    other["metrics"] = json!({"max_series": 100});
    other["tenant"] = json!([]);
    std::fs::write(&config, other.to_string())?;
    let models = format!("{}/openai/v1/moderations", url(stack.gateway_address()));
    let call = ["--call", &models, "--call-model", "none", "--call-header", "x-fault: unknown-shape"];
    let report = doctor(&[&["--envoy", &envoy, "--config", &config], &call[..]].concat()).await?;
    let what = report.what("config_differs")?;
    assert!(what.contains("listener gateway: metrics, tenant\n"), "{what}");
    report.what("call_unmetered")?;
    let nowhere = "http://127.0.0.1:9/v1/chat/completions";
    let report = doctor(&["--envoy", &envoy, "--call", nowhere, "--call-model", "none"]).await?;
    assert!(report.what("call_failed")?.contains("nothing responds"), "{report:?}");
    assert_eq!(report.code, 4);
    stack.finish()
}

/// The plugin's configuration as it ships.
fn shipped(stack: &Stack) -> Result<String> {
    let text = std::fs::read_to_string(stack.file("envoy.json"))?;
    let mut bootstrap = Bootstrap::shipped()?;
    *bootstrap.json() = serde_json::from_str(&text)?;
    Ok(bootstrap.plugin()?.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_doctor_says_why_events_do_not_arrive() -> Result<()> {
    let plugin = |plugin: &mut Value| plugin["batch"] = json!({"max_age_ms": 100});
    let mut stack = Stack::with(Options { plugin, open: false, ..Options::default() }).await?;
    let envoy = admin(&stack)?;
    let chat = format!("{}/openai/v1/chat/completions", url(stack.gateway_address()));
    let call = ["--call", &chat, "--call-model", "gpt-4.1-mini", "--call-header", TENANT];
    let report = doctor(&[&["--envoy", &envoy], &call[..]].concat()).await?;
    assert!(report.what("call_undelivered").is_ok(), "{report:?}");
    assert!(report.what("collector_unavailable")?.contains("unavailable"), "{report:?}");
    assert_eq!(report.code, 4);
    stack.gate.open()?;
    for (mode, reason, code, severity) in [
        (Mode::Respond(401), "unauthorized", "collector_unauthorized", "error"),
        (Mode::Respond(404), "not_found", "collector_misplaced", "error"),
        (Mode::Respond(429), "too_many_requests", "collector_refuses", "warning"),
    ] {
        stack.gate.set(mode);
        failures(&stack, reason).await?;
        let report = doctor(&["--envoy", &envoy]).await?;
        assert!(report.what(code)?.contains(reason), "{report:?}");
        assert!(report.findings.iter().any(|found| found.code == code && found.severity == severity), "{report:?}");
    }
    stack.gate.set(Mode::Pass);
    stack.settled(1).await?;
    let report = doctor(&["--envoy", &envoy]).await?;
    assert!(report.codes().is_empty(), "{report:?}");
    assert!(report.what("collector_failed_before")?.contains("unauthorized"), "{report:?}");
    // An event that the collector cannot read, and an Envoy that drains.
    stack.gate.set(Mode::Refuse("refuse-me"));
    let call = stack.provider.catalogue().get("chat_two.json")?.call();
    stack.llm().send(&with_request_id(call, "refuse-me")).await?;
    wait::until("the refused event", || async {
        let rejected = stack.envoy.metrics().await?.sum("meshmeter_events_rejected_total", &[]);
        wait::ensure(rejected == 1, || format!("{rejected}"))
    })
    .await?;
    stack.envoy.post("/healthcheck/fail").await?;
    let report = doctor(&["--envoy", &envoy]).await?;
    report.what("events_rejected")?;
    assert!(report.what("envoy_not_live")?.contains("DRAINING"), "{report:?}");
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_doctor_finds_outboxes_that_fill_and_another_collector() -> Result<()> {
    let plugin = |plugin: &mut Value| {
        plugin["outbox"] = json!({"max_bytes": 65_536});
        plugin["collector"]["timeout_ms"] = 20_000.into();
    };
    let stack = Stack::with(Options { plugin, workers: 1, ..Options::default() }).await?;
    let (envoy, elsewhere) = (admin(&stack)?, tempfile::tempdir()?);
    let other = e2e::collector::Collector::start(elsewhere.path()).await?;
    stack.gate.set(Mode::Hang);
    // While it is looked at, calls come and nothing is acknowledged.
    let (report, called) = tokio::join!(doctor_of(&envoy), async { wait_and_call(&stack, 20).await });
    called?;
    report?.what("outbox_grows")?;
    calls(&stack, "chat_two.json", 120).await?;
    wait::until("dropped events", || async {
        let dropped = stack.envoy.metrics().await?.sum("meshmeter_events_dropped_total", &[]);
        wait::ensure(dropped > 0, || "there are none".to_owned())
    })
    .await?;
    doctor(&["--envoy", &envoy]).await?.what("events_dropped")?;
    stack.gate.set(Mode::Pass);
    let there = url(other.address());
    let report = wait::until("events that arrive while it looks", || async {
        let both = ["--envoy", envoy.as_str(), "--collector", there.as_str()];
        let (report, called) = tokio::join!(doctor(&both), async { wait_and_call(&stack, 70).await });
        called?;
        let report = report?;
        report.what("another_collector")?;
        Ok(report)
    })
    .await?;
    assert!(report.code >= 3, "{report:?}");
    drop(other);
    let mut stack = stack;
    stack.envoy.stop()?;
    stack.finish_stopped()
}

async fn doctor_of(envoy: &str) -> Result<doctor::Report> {
    doctor(&["--envoy", envoy]).await
}

/// Calls, in the middle of what takes some seconds.
async fn wait_and_call(stack: &Stack, count: u64) -> Result<()> {
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    calls(stack, "chat_two.json", count).await
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_doctor_finds_what_is_wrong_with_calls() -> Result<()> {
    let plugin = |plugin: &mut Value| plugin["metrics"] = json!({"max_series": 1});
    // Of one worker, so that the only room for series goes to the tenant of the first call.
    let stack = Stack::with(Options { plugin, workers: 1, ..Options::default() }).await?;
    let call = stack.provider.catalogue().get("vllm.json")?.call();
    for number in 0..12 {
        // A header twice names nobody.
        let mut call = with_request_id(call.clone(), &format!("call-{number}"));
        if number % 2 == 1 {
            call = call.header("x-tenant-id", "acme").header("x-tenant-id", "acme");
        }
        stack.llm().send(&call).await?;
    }
    let broken = stack.provider.catalogue().get("chat_two.json")?.call().fault(e2e::fault::Fault::UnknownShape);
    for number in 12..24 {
        let _ = stack.llm().send(&with_request_id(broken.clone(), &format!("call-{number}"))).await;
    }
    wait::until("what is counted of them", || async {
        let counted = stack.envoy.metrics().await?.sum("meshmeter_calls_total", &[]);
        wait::ensure(counted >= 24, || format!("{counted}"))
    })
    .await?;
    let report = doctor(&["--envoy", &admin(&stack)?]).await?;
    assert!(report.what("provider_unattributed")?.contains("openai_compatible"), "{report:?}");
    assert!(report.what("identities_refused")?.contains("repeated_header 6"), "{report:?}");
    report.what("tenant_unknown")?;
    report.what("usage_missing")?;
    report.what("series_overflow")?;
    assert_eq!(report.code, 3, "{report:?}");
    let mut stack = stack;
    stack.envoy.stop()?;
    stack.envoy.quiet();
    stack.collector.stop()?;
    stack.collector.quiet();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn race_doctor_finds_a_worker_whose_vm_has_failed() -> Result<()> {
    for (policy, code, after) in [("FAIL_OPEN", "worker_unmetered", 200), ("FAIL_RELOAD", "plugin_crashed", 503)] {
        let change = match policy {
            "FAIL_OPEN" => |bootstrap: &mut Bootstrap| trapping(bootstrap, "FAIL_OPEN"),
            _ => |bootstrap: &mut Bootstrap| trapping(bootstrap, "FAIL_RELOAD"),
        };
        let mut stack = Stack::with(Options { workers: 1, change, ..Options::default() }).await?;
        let call = stack.provider.catalogue().get("chat_two.json")?.call();
        let _ = stack.llm().send(&call.clone().header("x-meshmeter-trap", "request")).await;
        assert_eq!(stack.llm().send(&call).await?.status, after, "{policy}");
        wait::until("traffic again", || async {
            let response = stack.llm().send(&call).await?;
            wait::ensure(response.status == 200, || format!("HTTP {}", response.status))
        })
        .await?;
        let report = doctor(&["--envoy", &admin(&stack)?]).await?;
        report.what(code)?;
        if policy == "FAIL_OPEN" {
            assert!(report.what("fail_open")?.contains("meshmeter"), "{report:?}");
            assert!(report.what(code)?.starts_with("1 of 2 VMs of the plugin run"), "{report:?}");
        } else {
            assert!(report.what("worker_unmetered").is_err(), "{report:?}");
        }
        stack.envoy.stop()?;
        stack.envoy.quiet();
        stack.collector.stop()?;
        stack.collector.quiet();
    }
    Ok(())
}

fn trapping(bootstrap: &mut Bootstrap, policy: &str) -> Result<()> {
    let code = paths::trap_wasm()?.to_string_lossy().into_owned();
    bootstrap.each_plugin(|config| {
        config["failure_policy"] = policy.into();
        config["vm_config"]["code"]["local"]["filename"] = code.clone().into();
    });
    Ok(())
}

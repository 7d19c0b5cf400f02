//! A collector that is absent, slow, failing or cut off never touches traffic, and in the end has every event once.

use std::collections::BTreeMap;

use e2e::{
    Result,
    gate::Mode,
    include_usage,
    stack::{Options, Stack, with_request_id},
    wait,
};
use serde_json::json;

const CALLS: u64 = 6;

/// Makes some calls and checks that nobody notices anything.
async fn calls(stack: &Stack, turn: &str) -> Result<()> {
    let fixtures = stack.provider.catalogue().0.clone();
    for number in 0..CALLS {
        let fixture = &fixtures[number as usize % fixtures.len()];
        let id = format!("{turn}-{number}");
        let call = with_request_id(fixture.call(), &id);
        let response = stack.llm().send(&call).await?;
        assert!(response.whole && response.status == 200, "{id}: HTTP {}", response.status);
        let seen = include_usage::seen(&call, &stack.provider.served_to(&id)?);
        assert!(response.body == seen, "{id}: the response's bytes were changed");
    }
    Ok(())
}

/// Every event was acknowledged, and none is in the ledger twice.
async fn exactly_once(stack: &Stack, total: u64) -> Result<()> {
    let report = stack.settled(total).await?;
    assert_eq!(report.calls(), total);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for event in stack.gate.acknowledged()? {
        *seen.entry(event.id().to_owned()).or_default() += 1;
    }
    assert_eq!(seen.len() as u64, total, "acknowledged ids");
    let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "sent again after an acknowledgement: {twice:?}");
    Ok(())
}

fn impatient(plugin: &mut serde_json::Value) {
    plugin["collector"]["timeout_ms"] = json!(300);
    plugin["batch"] = json!({"max_age_ms": 100});
}

#[tokio::test(flavor = "multi_thread")]
async fn race_absent_collector_gets_everything_when_it_comes() -> Result<()> {
    let mut stack = Stack::with(Options { open: false, plugin: impatient, ..Options::default() }).await?;
    calls(&stack, "absent").await?;
    wait::until("a retry", || async {
        let metrics = stack.envoy.metrics().await?;
        let waiting = metrics.sum("meshmeter_events_queued_total", &[]);
        wait::ensure(waiting == CALLS, || format!("{waiting} of {CALLS} are queued"))?;
        assert_eq!(metrics.sum("meshmeter_events_acknowledged_total", &[]), 0);
        let retried = metrics.sum("meshmeter_events_retried_total", &[]);
        wait::ensure(retried > 0, || "nothing is retried".to_owned())
    })
    .await?;
    assert_eq!(stack.collector.report()?.calls(), 0);
    stack.gate.open()?;
    exactly_once(&stack, CALLS).await?;
    calls(&stack, "present").await?;
    exactly_once(&stack, 2 * CALLS).await?;
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn race_failing_collector_loses_nothing_and_counts_nothing_twice() -> Result<()> {
    let stack = Stack::with(Options { plugin: impatient, ..Options::default() }).await?;
    let faults = [
        ("error-500", Mode::Respond(500)),
        ("error-503", Mode::Respond(503)),
        ("wrong-token", Mode::Respond(401)),
        ("hangs", Mode::Hang),
        ("reset-before", Mode::ResetBefore),
        ("reset-after", Mode::ResetAfter),
    ];
    let mut total = 0;
    for (name, mode) in faults {
        stack.gate.set(mode);
        calls(&stack, name).await?;
        total += CALLS;
        wait::until(&format!("two attempts, {name}"), || async {
            let attempts = stack.gate.passages().iter().filter(|passage| passage.mode == mode).count();
            wait::ensure(attempts >= 2, || format!("there were {attempts}"))
        })
        .await?;
        stack.gate.set(Mode::Pass);
        exactly_once(&stack, total).await.map_err(|error| format!("{name}: {error}"))?;
    }
    // The responses that were lost: the collector had those events before, and said so.
    let page = String::from_utf8_lossy(&stack.collector.get("/metrics").await?.body).into_owned();
    let scrape = e2e::prometheus::Scrape::parse(&page);
    let duplicates = scrape.sum("meshmeter_collector_events_total", &[("outcome", "duplicate")]);
    assert!(duplicates > 0, "no duplicate reached the collector:\n{page}");
    assert_eq!(scrape.sum("meshmeter_collector_events_total", &[("outcome", "dead_letter")]), 0);
    stack.finish()
}

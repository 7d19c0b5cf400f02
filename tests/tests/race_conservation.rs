//! Calls = records = acknowledged + queued + dropped, with everything at once.

use std::{collections::BTreeSet, sync::Arc};

use e2e::{
    Result,
    event::Event,
    expect,
    fault::Fault,
    gate::Mode,
    include_usage,
    stack::{Options, Stack, TENANT_HEADER, with_request_id},
    wait,
};
use serde_json::json;
use tokio::task::JoinSet;

const CALLS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn race_many_calls_at_once_give_one_record_each() -> Result<()> {
    let stack = Arc::new(Stack::start().await?);
    let fixtures = stack.provider.catalogue().0.clone();
    let mut running = JoinSet::new();
    for number in 0..CALLS {
        let fixture = &fixtures[number % fixtures.len()];
        let mut call = with_request_id(fixture.call(), &format!("call-{number}"))
            .header(TENANT_HEADER, &format!("tenant-{}", number % 7));
        let mut limit = usize::MAX;
        match number % 10 {
            3 => call = call.fault(Fault::Status(500)),
            5 => call = call.fault(Fault::ResetAfter(1)),
            7 => (call, limit) = (call.fault(Fault::StallAfter(1)), 1),
            _ => {}
        }
        let stack = stack.clone();
        running.spawn(async move {
            let response = stack.llm().abort_after(&call, limit).await?;
            e2e::Result::Ok((number, call, response))
        });
    }
    while let Some(ended) = running.join_next().await {
        let (number, call, response) = ended??;
        let undisturbed = !matches!(number % 10, 3 | 5 | 7);
        if undisturbed {
            assert!(response.whole, "call-{number} was cut");
            let served = stack.provider.served_to(&format!("call-{number}"))?;
            let seen = include_usage::seen(&call, &served);
            assert!(response.body == seen, "call-{number}: the response's bytes were changed");
        }
    }
    let report = stack.settled(CALLS as u64).await?;
    // What the provider told, cut calls included, is what the ledger has: class by class, beside the guesses.
    let journal = stack.journal()?;
    for class in e2e::event::CLASSES {
        let served: u64 = stack.provider.served().iter().filter_map(|served| served.usage.get(class)).sum();
        let guessed: u64 = journal.iter().filter_map(|event| expect::guessed(event, &stack, class)).sum();
        assert_eq!(report.count(class), served + guessed, "{class}");
    }
    Arc::into_inner(stack).ok_or("a call still runs")?.finish()
}

/// Sends so many calls, a few at once, and fails if one is disturbed.
async fn calls(stack: &Arc<Stack>, name: &'static str, count: usize) -> Result<()> {
    let fixture = stack.provider.catalogue().get("responses.json")?.clone();
    let mut running = JoinSet::new();
    for lane in 0..8 {
        let (stack, fixture) = (stack.clone(), fixture.clone());
        running.spawn(async move {
            for number in (lane..count).step_by(8) {
                let call = with_request_id(fixture.call(), &format!("{name}-{number}"));
                let response = stack.llm().send(&call).await?;
                wait::ensure(response.whole && response.status == 200, || format!("{name}-{number} was disturbed"))?;
            }
            e2e::Result::Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn race_a_full_outbox_drops_by_the_number_and_never_touches_traffic() -> Result<()> {
    let plugin = |plugin: &mut serde_json::Value| {
        plugin["outbox"] = json!({"max_bytes": 65_536});
        plugin["batch"] = json!({"max_age_ms": 100});
    };
    let mut stack = Arc::new(Stack::with(Options { open: false, plugin, ..Options::default() }).await?);
    calls(&stack, "call", 400).await?;
    let journal = wait::until("400 events in the journal", || async {
        let journal = stack.journal()?;
        wait::ensure(journal.len() == 400, || format!("it has {}", journal.len()))?;
        Ok(journal)
    })
    .await?;
    let metrics = stack.envoy.metrics_of(400).await?;
    let (queued, dropped) =
        (metrics.sum("meshmeter_events_queued_total", &[]), metrics.sum("meshmeter_events_dropped_total", &[]));
    assert!(queued > 0 && dropped > 0, "{queued} queued, {dropped} dropped");
    assert_eq!(queued + dropped, 400);
    assert_eq!(metrics.sum("meshmeter_records_total", &[]), 400);
    Arc::get_mut(&mut stack).ok_or("a call still runs")?.gate.open()?;
    stack.collector.holds(queued).await?;
    wait::until("the outbox to be empty", || async {
        let metrics = stack.envoy.metrics().await?;
        let acknowledged = metrics.sum("meshmeter_events_acknowledged_total", &[]);
        wait::ensure(acknowledged == queued, || format!("{acknowledged} of {queued} are acknowledged"))?;
        let bytes = metrics.sum("meshmeter_outbox_bytes", &[]);
        wait::ensure(bytes == 0, || format!("{bytes} bytes are in it"))
    })
    .await?;
    assert_eq!(stack.collector.report()?.calls(), queued);
    // What was dropped is named: its number is spent, and the journal has it.
    let taken: BTreeSet<String> = stack.gate.acknowledged()?.iter().map(|event| event.id().to_owned()).collect();
    let missing = journal.iter().filter(|event| !taken.contains(event.id())).count() as u64;
    assert_eq!(missing, dropped);
    Arc::into_inner(stack).ok_or("a call still runs")?.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn race_an_event_that_the_collector_refuses_does_not_block_the_others() -> Result<()> {
    let stack = Arc::new(Stack::start().await?);
    stack.gate.set(Mode::Refuse("poison-"));
    calls(&stack, "good", 30).await?;
    calls(&stack, "poison", 2).await?;
    calls(&stack, "more", 30).await?;
    stack.collector.holds(60).await?;
    wait::until("the poison to be given up", || async {
        let metrics = stack.envoy.metrics().await?;
        let sums = ["acknowledged", "rejected"].map(|what| metrics.sum(&format!("meshmeter_events_{what}_total"), &[]));
        wait::ensure(sums == [60, 2], || format!("acknowledged, rejected: {sums:?}"))
    })
    .await?;
    assert_eq!(stack.collector.report()?.calls(), 60);
    let log = stack.envoy.log();
    for event in stack.journal()?.iter().filter(|event| event.text("request_id").starts_with("poison-")) {
        assert!(log.contains(event.id()), "the log does not name {}", event.id());
    }
    Arc::into_inner(stack).ok_or("a call still runs")?.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn race_the_last_events_arrive_when_envoy_is_told_to_stop() -> Result<()> {
    // No gate: the collector itself must take what it was handed before the connection closed.
    let mut stack = Arc::new(Stack::with(Options { direct: true, ..Options::default() }).await?);
    calls(&stack, "early", 40).await?;
    stack.settled(40).await?;
    // A worker whose connection to the collector is warm gets its final flush through.
    let emitter = |event: &Event| event.text("emitter").to_owned();
    let warm: BTreeSet<String> = stack.journal()?.iter().map(emitter).collect();
    calls(&stack, "late", 20).await?;
    Arc::get_mut(&mut stack).ok_or("a call still runs")?.envoy.stop()?;
    let journal = stack.journal()?;
    assert_eq!(journal.len(), 60);
    let due = journal.iter().filter(|event| warm.contains(event.text("emitter"))).count() as u64;
    stack.collector.holds(due).await?;
    Arc::into_inner(stack).ok_or("a call still runs")?.finish_stopped()
}

//! What the plugin says of itself with each call: how far it has counted, and what it dropped and why.

use std::collections::{BTreeMap, BTreeSet};

use e2e::{
    Result,
    envoy::WORKERS,
    gate::Mode,
    stack::{Options, Stack, with_request_id},
    statement::Statement,
    wait,
};
use serde_json::{Value, json};

async fn calls(stack: &Stack, name: &str, count: usize) -> Result<()> {
    let fixture = stack.provider.catalogue().get("responses.json")?.clone();
    for number in 0..count {
        let response = stack.llm().send(&with_request_id(fixture.call(), &format!("{name}-{number}"))).await?;
        assert!(response.whole && response.status == 200, "{name}-{number}");
    }
    wait::until("a record of every call", || async {
        let written = stack.journal()?.iter().filter(|event| event.text("request_id").starts_with(name)).count();
        wait::ensure(written == count, || format!("{written} of {count}"))
    })
    .await
}

/// What the collector has heard, in order.
fn heard(stack: &Stack) -> Result<Vec<Statement>> {
    let passages = stack.gate.passages();
    let taken = passages.iter().filter(|passage| passage.status == Some(200));
    taken.map(|passage| passage.said()).collect()
}

/// Waits until the collector has heard of every number in the journal, and returns those that it does not have, with the
/// reasons that it was told; a reason is told in one acknowledged call only.
async fn holes(stack: &Stack) -> Result<BTreeMap<(String, u64), String>> {
    let mut missing = BTreeSet::new();
    let number = |event: &e2e::event::Event| (event.text("emitter").to_owned(), event.count("sequence").unwrap_or(0));
    missing.extend(stack.journal()?.iter().map(number));
    for event in stack.gate.acknowledged()? {
        missing.remove(&number(&event));
    }
    wait::until("a word on every hole", || async {
        let mut told = BTreeMap::new();
        let mut dropped = BTreeMap::new();
        for said in heard(stack)? {
            for (number, reason) in said.drops {
                let again = told.insert((said.emitter.clone(), number), reason);
                assert!(again.is_none(), "{number} was told again after it was heard");
            }
            dropped.insert(said.emitter, said.dropped);
        }
        wait::ensure(told.keys().eq(missing.iter()), || format!("{} of {}", told.len(), missing.len()))?;
        wait::ensure(dropped.values().sum::<u64>() == missing.len() as u64, || format!("counted: {dropped:?}"))?;
        Ok(told)
    })
    .await
}

fn eager(plugin: &mut Value) {
    plugin["collector"]["heartbeat_ms"] = json!(200);
    plugin["batch"] = json!({"max_age_ms": 100});
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_what_a_full_outbox_drops_is_told_as_ranges() -> Result<()> {
    let plugin = |plugin: &mut Value| {
        eager(plugin);
        plugin["outbox"] = json!({"max_bytes": 65_536});
        // The final flush needs a connection that is free, also of heartbeats.
        plugin["collector"]["heartbeat_ms"] = json!(60_000);
    };
    let mut stack = Stack::with(Options { open: false, plugin, ..Options::default() }).await?;
    stack.gate.show(true);
    calls(&stack, "call", 300).await?;
    let metrics = stack.envoy.metrics_of(300).await?;
    let [queued, dropped] =
        ["queued", "dropped"].map(|what| metrics.sum(&format!("meshmeter_events_{what}_total"), &[]));
    assert!(dropped > 0 && queued + dropped == 300, "{queued} queued, {dropped} dropped");
    stack.gate.open()?;
    stack.collector.holds(queued).await?;
    wait::until("every batch to get its response", || async {
        let have = stack.gate.acknowledged()?.len() as u64;
        wait::ensure(have == queued, || format!("{have} of {queued}"))
    })
    .await?;
    let holes = holes(&stack).await?;
    assert_eq!(holes.len() as u64, dropped);
    assert!(holes.values().all(|reason| reason == "full"), "{holes:?}");
    // The final flush needs a connection that is free: no response is on its way any more.
    wait::until("the plugin to have every response", || async {
        let have = stack.envoy.metrics().await?.sum("meshmeter_events_acknowledged_total", &[]);
        wait::ensure(have == queued, || format!("{have} of {queued}"))
    })
    .await?;
    // The collector understood all of it, and that nothing more will come.
    stack.envoy.stop()?;
    wait::until("the final flush to be in the ledger", || async {
        let gaps = gaps(&stack)?;
        let emitters: Vec<&Value> = gaps["emitters"].as_array().into_iter().flatten().collect();
        let ended = emitters.iter().all(|emitter| emitter["state"] == "ended" && emitter["ended_by"] == "emitter");
        wait::ensure(ended && gaps["totals"]["open_ends"] == 0, || format!("{gaps}"))?;
        let named: BTreeSet<(String, u64)> = emitters
            .iter()
            .flat_map(|emitter| {
                let name = emitter["emitter"].as_str().unwrap_or_default();
                let holes = emitter["holes"].as_array().into_iter().flatten().filter(|hole| hole["cause"] == "full");
                let ranges =
                    holes.map(|hole| (hole["first"].as_u64().unwrap_or(0), hole["last"].as_u64().unwrap_or(0)));
                ranges.flat_map(|(first, last)| first..=last).map(move |number| (name.to_owned(), number))
            })
            .collect();
        wait::ensure(named.iter().eq(holes.keys()), || format!("{gaps}"))?;
        wait::ensure(gaps["totals"]["missing"] == dropped && gaps["totals"]["unnamed_drops"] == 0, || format!("{gaps}"))
    })
    .await?;
    stack.finish_stopped()
}

/// What `meshmeter gaps` says, had everybody been silent for long.
fn gaps(stack: &Stack) -> Result<Value> {
    let mut command = std::process::Command::new(e2e::paths::collector()?);
    command.args(["gaps", "--all", "--format", "json", "--silent-after", "0s", "--database"]);
    let output = command.arg(stack.collector.database()).output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_what_the_collector_refuses_is_told_to_it() -> Result<()> {
    let stack = Stack::with(Options { plugin: eager, ..Options::default() }).await?;
    stack.gate.show(true);
    stack.gate.set(Mode::Refuse("poison-"));
    calls(&stack, "good", 20).await?;
    calls(&stack, "poison", 2).await?;
    calls(&stack, "more", 20).await?;
    stack.collector.holds(40).await?;
    wait::until("every batch to get its response", || async {
        let have = stack.gate.acknowledged()?.len();
        wait::ensure(have == 40, || format!("{have} of 40"))
    })
    .await?;
    let holes = holes(&stack).await?;
    assert!(holes.len() == 2 && holes.values().all(|reason| reason == "refused"), "{holes:?}");
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_idle_workers_show_that_they_live_and_their_final_flush_arrives() -> Result<()> {
    let mut stack = Stack::with(Options { plugin: eager, ..Options::default() }).await?;
    stack.gate.show(true);
    calls(&stack, "call", 20).await?;
    stack.settled(20).await?;
    let mut heads: BTreeMap<String, u64> = BTreeMap::new();
    for event in stack.journal()? {
        *heads.entry(event.text("emitter").to_owned()).or_default() += 1;
    }
    let idle = stack.gate.passed();
    wait::until("two heartbeats of each", || async {
        let since = stack.gate.since(idle);
        let beats = |emitter: &str| since.iter().filter(|passage| passage.statement.starts_with(emitter)).count();
        wait::ensure(heads.keys().all(|emitter| beats(emitter) >= 2), || format!("{} calls", since.len()))
    })
    .await?;
    for passage in stack.gate.since(idle) {
        let said = passage.said()?;
        assert!(passage.is_heartbeat() && passage.content_type == "application/cloudevents-batch+json");
        assert!(passage.authorised && !said.ended && said.drops.is_empty(), "{said:?}");
        assert_eq!(heads.get(&said.emitter), Some(&said.head), "who never counted never speaks");
    }
    stack.envoy.stop()?;
    let ended = |statements: Vec<Statement>| -> BTreeMap<String, u64> {
        statements.into_iter().filter(|said| said.ended).map(|said| (said.emitter, said.head)).collect()
    };
    wait::until("the final flush", || async {
        let ends = ended(heard(&stack)?);
        wait::ensure(ends == heads, || format!("{ends:?}, expected {heads:?}"))
    })
    .await?;
    stack.finish_stopped()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_no_ingest_that_does_not_read_statements_gets_a_call_without_events() -> Result<()> {
    let mut stack = Stack::with(Options { plugin: eager, ..Options::default() }).await?;
    stack.gate.show(false);
    calls(&stack, "call", 20).await?;
    stack.settled(20).await?;
    // When a plugin that became idle later has shown three times that it lives, so would this one have.
    let other = Stack::with(Options { plugin: eager, ..Options::default() }).await?;
    other.gate.show(true);
    calls(&other, "other", 20).await?;
    other.settled(20).await?;
    let idle = other.gate.passed();
    wait::until("three heartbeats elsewhere", || async {
        let beats = other.gate.since(idle).iter().filter(|passage| passage.is_heartbeat()).count();
        wait::ensure(beats >= 3 * usize::from(WORKERS), || format!("there are {beats}"))
    })
    .await?;
    other.finish()?;
    stack.envoy.stop()?;
    let passages = stack.gate.passages();
    assert!(!passages.is_empty() && passages.iter().all(|passage| !passage.is_heartbeat()));
    assert!(heard(&stack)?.iter().all(|said| said.head > 0), "the statement itself does no harm");
    stack.finish_stopped()
}

//! Updates and ends of the plugin while calls go on: nothing is lost or charged twice, and the final flush of a VM arrives.

use std::collections::{BTreeMap, BTreeSet};

use e2e::{
    Result,
    gate::Mode,
    stack::{Options, Stack},
    statement::Statement,
    traffic::Traffic,
    wait,
};
use serde_json::json;

/// Envoy with a plugin that can be changed, and a collector that reads statements.
async fn live() -> Result<Stack> {
    let stack = Stack::with(Options { live: true, ..Options::default() }).await?;
    stack.gate.show(true);
    Ok(stack)
}

/// Calls that name a tenant in several headers: the configuration in force decides which counts.
fn traffic(stack: &Stack, name: &'static str) -> Result<Traffic> {
    let call = stack.provider.catalogue().get("responses.json")?.call();
    let call = call.header("x-team-1", "first").header("x-team-2", "second");
    Ok(Traffic::start(&stack.llm(), &call, name))
}

/// Waits until the workers that have calls are warm: two connections each to the collector, as in any Envoy that has been
/// running for a while. Returns their emitters.
async fn warm(stack: &Stack, traffic: &Traffic) -> Result<BTreeMap<String, u64>> {
    // Every connection has had a call, so no other worker comes in later.
    traffic.goes_on(100).await?;
    wait::until("a call beside a batch, of each worker", || async {
        let passages = stack.gate.passages();
        let beside = passages.iter().filter(|passage| passage.is_heartbeat() && passage.status == Some(200));
        let warm = beside.map(|passage| Ok(passage.said()?.emitter)).collect::<Result<BTreeSet<String>>>()?;
        let heads = heads(stack)?;
        wait::ensure(heads.keys().eq(&warm), || format!("{warm:?} of {heads:?}"))?;
        Ok(heads)
    })
    .await
}

/// The highest number of each emitter in the journal.
fn heads(stack: &Stack) -> Result<BTreeMap<String, u64>> {
    let mut heads = BTreeMap::new();
    for event in stack.journal()? {
        let head: &mut u64 = heads.entry(event.text("emitter").to_owned()).or_default();
        *head = event.count("sequence").ok_or("no sequence")?.max(*head);
    }
    Ok(heads)
}

/// Waits until calls are counted by so many emitters that are not among `old`.
async fn new_vms(stack: &Stack, old: &BTreeMap<String, u64>, workers: usize) -> Result<BTreeMap<String, u64>> {
    wait::until("VMs with the new code", || async {
        let mut new = heads(stack)?;
        new.retain(|emitter, _| !old.contains_key(emitter));
        wait::ensure(new.len() == workers, || format!("{} new emitters", new.len()))?;
        Ok(new)
    })
    .await
}

/// What the collector has taken of statements that were the last.
fn ends(stack: &Stack) -> Result<BTreeMap<String, Statement>> {
    let mut ends = BTreeMap::new();
    for passage in stack.gate.passages().iter().filter(|passage| passage.status == Some(200)) {
        let said = passage.said()?;
        if said.ended {
            ends.insert(said.emitter.clone(), said);
        }
    }
    Ok(ends)
}

/// Waits until each of these emitters has said that its highest number was the last.
async fn all_ended(stack: &Stack, of: impl Fn(&str) -> bool) -> Result<()> {
    wait::until("the final flush", || async {
        let ends = ends(stack)?;
        for (emitter, head) in heads(stack)?.into_iter().filter(|(emitter, _)| of(emitter)) {
            let end = ends.get(&emitter).ok_or_else(|| format!("{emitter} has not said it"))?;
            wait::ensure(end.head == head, || format!("{end:?}, expected {head}"))?;
        }
        Ok(())
    })
    .await
}

/// Waits until what clients got, the journal, what was acknowledged and the ledger are the same calls.
async fn conserved(stack: &Stack, whole: &BTreeSet<String>) -> Result<()> {
    wait::until("everything to be acknowledged", || async {
        let journal = stack.journal()?;
        let recorded: BTreeSet<String> = journal.iter().map(|event| event.text("request_id").to_owned()).collect();
        let unmetered: Vec<_> = whole.difference(&recorded).collect();
        wait::ensure(unmetered.is_empty(), || format!("responded to and not recorded: {unmetered:?}"))?;
        let acknowledged: BTreeSet<String> = stack.gate.acknowledged()?.into_iter().map(|event| event.raw).collect();
        let written: BTreeSet<String> = journal.into_iter().map(|event| event.raw).collect();
        let lost: Vec<_> = written.symmetric_difference(&acknowledged).collect();
        wait::ensure(lost.is_empty(), || format!("in one of journal and acknowledged only: {lost:?}"))?;
        let calls = stack.collector.report()?.calls();
        wait::ensure(calls == written.len() as u64, || format!("{calls} calls in the ledger, of {}", written.len()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn race_what_an_old_vm_still_has_is_handed_to_the_vm_with_the_new_code() -> Result<()> {
    let mut stack = live().await?;
    let traffic = traffic(&stack, "call")?;
    let before = warm(&stack, &traffic).await?;
    stack.gate.set(Mode::Respond(503));
    traffic.goes_on(100).await?;
    stack.live.as_mut().ok_or("the stack is not live")?.change_code()?;
    new_vms(&stack, &before, before.len()).await?;
    // The old VMs are gone, and nobody has taken what they had.
    assert!(ends(&stack)?.is_empty());
    stack.gate.set(Mode::Pass);
    all_ended(&stack, |emitter| before.contains_key(emitter)).await?;
    let whole = traffic.stop().await?;
    conserved(&stack, &whole).await?;
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn race_updates_of_configuration_and_code_lose_nothing_and_double_nothing() -> Result<()> {
    let mut stack = live().await?;
    let traffic = traffic(&stack, "call")?;
    let workers = warm(&stack, &traffic).await?.len();
    let mut old = BTreeMap::new();
    for (header, tenant) in [("x-team-1", "first"), ("x-team-2", "second")] {
        let present = new_vms(&stack, &old, workers).await?;
        let seen = stack.journal()?.len();
        let live = stack.live.as_mut().ok_or("the stack is not live")?;
        live.plugin["tenant"] = json!([{"from": "header", "name": header, "trusted": true}]);
        live.update()?;
        wait::until("every worker to count under the new configuration", || async {
            let events = stack.journal()?.split_off(seen);
            let counted = events.iter().filter(|event| event.text("tenant") == tenant);
            let emitters: BTreeSet<&str> = counted.map(|event| event.text("emitter")).collect();
            wait::ensure(emitters.len() == workers, || format!("{emitters:?} do"))
        })
        .await?;
        assert!(new_vms(&stack, &old, workers).await?.keys().eq(present.keys()), "a new configuration is no new VM");
        assert!(!ends(&stack)?.keys().any(|emitter| present.contains_key(emitter)), "it has not ended");
        stack.live.as_mut().ok_or("the stack is not live")?.change_code()?;
        old.extend(present);
        new_vms(&stack, &old, workers).await?;
        all_ended(&stack, |emitter| old.contains_key(emitter)).await?;
    }
    let whole = traffic.stop().await?;
    conserved(&stack, &whole).await?;
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn race_a_listener_that_is_removed_flushes_its_queue() -> Result<()> {
    let mut stack = live().await?;
    let traffic = traffic(&stack, "call")?;
    warm(&stack, &traffic).await?;
    let whole = traffic.stop().await?;
    stack.live.as_mut().ok_or("the stack is not live")?.remove_listeners()?;
    all_ended(&stack, |_| true).await?;
    conserved(&stack, &whole).await?;
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn race_an_envoy_that_is_told_to_stop_under_traffic_flushes_its_queue() -> Result<()> {
    let mut stack = live().await?;
    let traffic = traffic(&stack, "call")?;
    warm(&stack, &traffic).await?;
    stack.envoy.stop()?;
    let whole = traffic.stop().await?;
    all_ended(&stack, |_| true).await?;
    conserved(&stack, &whole).await?;
    stack.finish_stopped()
}

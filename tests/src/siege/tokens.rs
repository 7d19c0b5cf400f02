//! A stolen ingest token in the hands of somebody who knows the emitters' names.

use serde_json::{Value, json};

use super::Attack;
use crate::{
    Result,
    client::{Call, Route},
    collector::INGEST_TOKEN,
    event::Event,
    stack::{Options, Stack, TENANT_HEADER, metered},
    wait,
};

/// The attacks.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "stolen-token",
        keeps: "no number of another emitter is spent, and no gap of it is closed",
        short: true,
        run: || Box::pin(stolen_token()),
    },
    Attack {
        name: "token-of-other-tenants",
        keeps: "a token charges only the tenants that it is bound to; Envoy says so, and a person can release what it sent",
        short: true,
        run: || Box::pin(token_of_other_tenants()),
    },
];

/// The plugin's token may charge `acme` and what is below it. Another tenant's calls reach the collector all the same.
async fn token_of_other_tenants() -> Result<()> {
    let credential = "egress ingest-e2e-3f9c-0123456789 tenants=acme,acme/* max_tokens=1000000";
    let token = credential.split(' ').nth(1).unwrap_or_default();
    let stack = Stack::with(Options { credential, token, ..Options::default() }).await?;
    let fixture = stack.provider.catalogue().0[0].clone();
    let as_tenant = |tenant: &str| fixture.call().header(TENANT_HEADER, tenant);
    for (id, tenant) in [("own", "acme"), ("below", "acme/ml"), ("other", "globex"), ("longer", "acme2")] {
        let (response, _) = metered(&stack, &stack.llm(), as_tenant(tenant), id).await?;
        wait::ensure(response.status == 200, || format!("{id}: HTTP {}", response.status))?;
    }
    let report = stack.settled_but(4, 2).await?;
    let charged: Vec<&str> = report.lines.iter().map(|line| line.tenant.as_str()).collect();
    wait::ensure(charged == ["acme", "acme/ml"], || format!("charged: {charged:?}"))?;
    let told = stack.envoy.metrics().await?.sum("meshmeter_events_quarantined_total", &[]);
    wait::ensure(told == 2, || format!("the plugin counts {told} events that are quarantined"))?;
    let log = stack.envoy.log();
    wait::ensure(log.contains("events of this worker and not charged them"), || "Envoy's log says nothing".to_owned())?;
    let other = stack.event_of("other").await?;
    super::ledger::release(&stack.collector, other.id(), &[])?;
    let report = stack.collector.report()?;
    let has = |tenant: &str| report.lines.iter().any(|line| line.tenant == tenant);
    wait::ensure(has("globex") && !has("acme2"), || format!("after the release: {report:?}"))?;
    stack.finish()
}

/// The thief has read an event in a log: he sends the emitter's next numbers with nothing in them, and says that the rest
/// was dropped and that the emitter has ended. Then the emitter itself goes on.
async fn stolen_token() -> Result<()> {
    let stack = Stack::start().await?;
    let fixture = stack.provider.catalogue().0[0].clone();
    let (_, first) = metered(&stack, &stack.llm(), fixture.call(), "before").await?;
    stack.settled(1).await?;
    let emitter = first.text("emitter").to_owned();
    let last = first.count("sequence").ok_or("the event has no number")?;
    let collector = Route::plain(stack.collector.address());
    let stolen = format!("Bearer {INGEST_TOKEN}");
    let forged: Vec<Value> = (1..=5).map(|more| empty(&first, last + more)).collect::<Result<_>>()?;
    for key in [None, Some("0123456789abcdef0123456789abcdef"), Some(emitter.as_str())] {
        let mut call = Call::post("collector", "/v1/events", &Value::Array(forged.clone()))
            .header("authorization", &stolen)
            .header("meshmeter-emitter", &format!("{emitter}; head=90; dropped=80; drops=10-89:full; end"));
        call.headers.retain(|(name, _)| name != "content-type");
        call = call.header("content-type", "application/cloudevents-batch+json");
        if let Some(key) = key {
            call = call.header("meshmeter-emitter-key", key);
        }
        let taken = collector.send(&call).await?.json()?;
        wait::ensure(taken["accepted"] == 0, || format!("with the key {key:?}: {taken}"))?;
    }
    for number in 1..=4 {
        metered(&stack, &stack.llm(), fixture.call(), &format!("after-{number}")).await?;
    }
    stack.settled(5).await?;
    let gaps: Value = serde_json::from_str(&stack.collector.about("gaps", &["--format", "json"])?)?;
    let of = |value: &Value| value["emitter"] == emitter.as_str();
    let own = gaps["emitters"].as_array().and_then(|all| all.iter().find(|one| of(one)));
    let own = own.ok_or_else(|| format!("the emitter is not in {gaps}"))?;
    for (name, expected) in [("missing", json!(0)), ("unnamed_drops", json!(0))] {
        wait::ensure(own[name] == expected, || format!("{name}: {own}"))?;
    }
    wait::ensure(own["ended_by"].is_null(), || format!("it is said to have ended: {own}"))?;
    stack.finish()
}

/// A whole event under another number, of a call that cost nothing.
fn empty(event: &Event, number: u64) -> Result<Value> {
    let mut forged: Value = serde_json::from_str(&event.raw)?;
    forged["data"]["sequence"] = json!(number);
    forged["id"] = json!(format!("{}-{number}", event.text("emitter")));
    let data = forged["data"].as_object_mut().ok_or("an event without data")?;
    data.retain(|name, _| !name.ends_with("_tokens") && name != "raw_usage");
    Ok(forged)
}

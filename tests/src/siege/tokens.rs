//! A stolen ingest token in the hands of somebody who knows the emitters' names.

use serde_json::{Value, json};

use super::Attack;
use crate::{
    Result,
    client::{Call, Route},
    collector::INGEST_TOKEN,
    event::Event,
    stack::{Stack, metered},
    wait,
};

/// The attacks.
pub const ATTACKS: &[Attack] = &[Attack {
    name: "stolen-token",
    keeps: "no number of another emitter is spent, and no gap of it is closed",
    short: true,
    run: || Box::pin(stolen_token()),
}];

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

//! What an event must say, given what the provider served.

use serde_json::Value;

use crate::{
    Result,
    event::Event,
    fixture::{Classes, Expected, Fixture},
    include_usage,
    provider::Served,
    stack::{Stack, metered},
    wait::ensure,
};

/// Sends a fixture's call through the forward proxy. Fails unless not a byte was changed on the way but for what asks for usage,
/// and the event says what was served.
pub async fn faithful(stack: &Stack, fixture: &Fixture, id: &str) -> Result<()> {
    let call = fixture.call();
    let (response, event) = metered(stack, &stack.llm(), call.clone(), id).await?;
    let served = stack.provider.served_to(id)?;
    ensure(response.whole && response.status == 200, || format!("{id}: HTTP {}", response.status))?;
    ensure(served.fixture.as_deref() == Some(fixture.name.as_str()), || format!("{id}: {:?}", served.fixture))?;
    ensure(response.body == include_usage::seen(&call, &served), || {
        format!("{id}: the response's bytes were changed")
    })?;
    include_usage::arrived(&call, &served).map_err(|error| format!("{id}: {error}"))?;
    reported(&event, &served, &fixture.expected).map_err(|error| format!("{id}: {error}"))?;
    let cluster = match fixture.expected.provider.as_str() {
        "openai_compatible" => "self_hosted",
        provider => provider,
    };
    let request = format!("req_{id}");
    let texts = [
        ("cluster", cluster),
        ("route", cluster),
        ("node", "meshmeter-standalone"),
        ("node_cluster", "meshmeter"),
        ("provider_request_id", request.as_str()),
        ("tenant", "unknown"),
        ("tenant_source", "unknown"),
    ];
    for (name, text) in texts {
        ensure(event.text(name) == text, || format!("{id}: {name}: {}, expected {text}", event.text(name)))?;
    }
    Ok(())
}

/// Fails unless `event` is the record of a call that was served whole.
pub fn reported(event: &Event, served: &Served, expected: &Expected) -> Result<()> {
    let mut differences = envelope(event);
    let mut text = |name: &str, want: Option<&str>| {
        let have = event.get(name);
        if have.as_str() != want || (want.is_none() && !have.is_null()) {
            differences.push(format!("{name}: {have}, expected {want:?}"));
        }
    };
    let reported = !served.usage.is_empty();
    text("provider", Some(&expected.provider));
    text("api", Some(expected.api.name()));
    text("operation", Some("chat"));
    text("request_model", Some(&expected.request_model));
    text("response_model", Some(&expected.response_model));
    text("response_id", served.response_id.as_deref());
    text("service_tier", expected.service_tier.as_deref());
    text("outcome", Some("completed"));
    text("evidence", Some(if reported { "reported" } else { "estimated" }));
    text("missing_reason", if reported { None } else { Some("not_requested") });
    text("error_type", None);
    let mut value = |name: &str, want: Value| {
        let have = event.get(name);
        if *have != want {
            differences.push(format!("{name}: {have}, expected {want}"));
        }
    };
    value("stream", expected.stream.into());
    value("status", 200.into());
    value("attempts", 1.into());
    value("flags", Value::Null);
    value(
        "provider_total_tokens",
        expected.provider_total_tokens.filter(|_| reported).map_or(Value::Null, Value::from),
    );
    let guessed = event.classes();
    differences.extend(classes(event, if reported { &expected.usage } else { &guessed }));
    if !reported {
        differences.extend(guess(event, &IN_AND_OUT));
    }
    agree(event, &differences)
}

const IN_AND_OUT: [&str; 2] = ["input_text_tokens", "output_text_tokens"];

/// Fails unless `event` says how the call ended and why there is no usage.
pub fn missing(event: &Event, outcome: &str, reason: &str) -> Result<()> {
    let mut differences = envelope(event);
    for (name, want) in [("outcome", outcome), ("evidence", "missing"), ("missing_reason", reason)] {
        if event.text(name) != want {
            differences.push(format!("{name}: {}, expected {want}", event.get(name)));
        }
    }
    differences.extend(classes(event, &Classes::new()));
    agree(event, &differences)
}

/// Fails unless `event` says how the call ended and why there is no usage, and has a guess of text in and text out in its place.
pub fn estimated(event: &Event, outcome: &str, reason: &str) -> Result<()> {
    guessed_as(event, outcome, reason, &IN_AND_OUT)
}

/// The same of a call whose response began, and broke off before the model had written anything: it owes its input.
pub fn input_estimated(event: &Event, outcome: &str, reason: &str) -> Result<()> {
    guessed_as(event, outcome, reason, &["input_text_tokens"])
}

fn guessed_as(event: &Event, outcome: &str, reason: &str, want: &[&str]) -> Result<()> {
    let mut differences = envelope(event);
    for (name, want) in [("outcome", outcome), ("evidence", "estimated"), ("missing_reason", reason)] {
        if event.text(name) != want {
            differences.push(format!("{name}: {}, expected {want}", event.get(name)));
        }
    }
    differences.extend(classes(event, &event.classes()));
    differences.extend(guess(event, want));
    agree(event, &differences)
}

/// Fails unless `event` has what a stream told at its start; its first count of the output may be raised by a guess.
pub fn at_start(event: &Event, outcome: &str, start: &Classes) -> Result<()> {
    const OUTPUT: &str = "output_text_tokens";
    let mut want = start.clone();
    let (told, have) = (start.get(OUTPUT).copied().unwrap_or(0), event.count(OUTPUT).unwrap_or(0));
    let raised = event.get("flags").as_array().is_some_and(|flags| flags.contains(&"output_estimated".into()));
    if raised != (have > told) || have < told {
        return agree(event, &[format!("{OUTPUT}: {have}, expected {told} or a guess above it")]);
    }
    if raised {
        want.insert(OUTPUT.to_owned(), have);
    }
    usage(event, outcome, "partial", &want)
}

/// What of a class is a guess: all that an estimated event has, and what it has above what the provider told.
pub fn guessed(event: &Event, stack: &Stack, class: &str) -> Option<u64> {
    let raised = event.get("flags").as_array().is_some_and(|flags| flags.contains(&"output_estimated".into()));
    if event.text("evidence") != "estimated" && !raised {
        return None;
    }
    let told = stack.provider.served_to(event.text("request_id")).ok()?.usage.get(class).copied();
    event.count(class)?.checked_sub(told.unwrap_or(0))
}

/// Fails unless `event` has exactly these classes, and how good they are.
pub fn usage(event: &Event, outcome: &str, evidence: &str, want: &Classes) -> Result<()> {
    let mut differences = envelope(event);
    for (name, want) in [("outcome", outcome), ("evidence", evidence)] {
        if event.text(name) != want {
            differences.push(format!("{name}: {}, expected {want}", event.get(name)));
        }
    }
    differences.extend(classes(event, want));
    agree(event, &differences)
}

/// What every event has, whatever happened to the call.
fn envelope(event: &Event) -> Vec<String> {
    let id = format!("{}-{}", event.text("emitter"), event.get("sequence"));
    let attributes = [
        ("specversion", "1.0"),
        ("type", "meshmeter.call.v1"),
        ("source", "meshmeter"),
        ("id", &id),
        ("subject", event.text("tenant")),
    ];
    let mut differences: Vec<String> = attributes
        .into_iter()
        .filter(|(name, want)| event.attribute(name) != Some(want))
        .map(|(name, want)| format!("{name}: {:?}, expected {want}", event.attribute(name)))
        .collect();
    let emitter = event.text("emitter");
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if emitter.len() != 32 || !emitter.bytes().all(hex) {
        differences.push(format!("emitter: {emitter:?}, expected 32 lower-case hex digits"));
    }
    if event.count("sequence").is_none_or(|sequence| sequence == 0) {
        differences.push("sequence: expected a number from 1".to_owned());
    }
    let time = event.attribute("time").unwrap_or_default();
    if !time.ends_with('Z') || time.len() != "2026-01-01T00:00:00.000000000Z".len() {
        differences.push(format!("time: {time:?}, expected RFC 3339 with nanoseconds, UTC"));
    }
    if event.raw.contains(['\n', '\r']) {
        differences.push("the event is more than one line".to_owned());
    }
    if let Some(name) = event.null() {
        differences.push(format!("{name}: null; what is unknown must be absent"));
    }
    differences
}

fn classes(event: &Event, want: &Classes) -> Vec<String> {
    let have = event.classes();
    let mut differences = Vec::new();
    if have != *want {
        differences.push(format!("classes: {have:?}, expected {want:?}"));
    }
    // Cache hits that are not billed are said for information, and are in no total.
    let inputs =
        |name: &str| (name.starts_with("input_") || name.starts_with("cache_")) && name != "cache_read_unbilled_tokens";
    let outputs = |name: &str| name.starts_with("output_");
    for (name, total) in [("input_tokens", sum(want, inputs)), ("output_tokens", sum(want, outputs))] {
        if event.count(name) != total {
            differences.push(format!("{name}: {}, expected {total:?}", event.get(name)));
        }
    }
    differences
}

/// A guess has no more of its classes than the words of these tests can make.
fn guess(event: &Event, want: &[&str]) -> Option<String> {
    let have = event.classes();
    let names: Vec<&str> = have.keys().map(String::as_str).collect();
    let fits = names == want && have.values().all(|n| (1..1000).contains(n));
    (!fits).then(|| format!("classes: {have:?}, expected a guess of {want:?}"))
}

fn sum(classes: &Classes, of: impl Fn(&str) -> bool) -> Option<u64> {
    classes.iter().filter(|(name, _)| of(name)).map(|(_, count)| *count).reduce(|a, b| a + b)
}

fn agree(event: &Event, differences: &[String]) -> Result<()> {
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!("{}\nin the event {}", differences.join("\n"), event.raw).into())
}

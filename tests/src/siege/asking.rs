//! Requests that avoid being asked for their usage.

mod provoked;
mod refused;

use std::io::Write;

use bytes::Bytes;
use hyper::Version;
use serde_json::json;

use super::Attack;
use crate::{
    Result,
    client::{Call, Response, Route},
    exchange::{self, Upload},
    expect,
    fixture::Fixture,
    include_usage::OPTION,
    provider, reading,
    script::Script,
    stack::{Options, Stack, with_request_id},
    wait::ensure,
    wire::Wire,
};

/// The attacks.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "spelled-requests",
        keeps: "the provider's counts, whatever the spelling, framing and path of a request, and every byte of its stream",
        short: true,
        run: || Box::pin(spelled()),
    },
    Attack {
        name: "unaskable-requests",
        keeps: "why a stream was not asked for its usage, and every byte of it",
        short: true,
        run: || Box::pin(unaskable()),
    },
    Attack {
        name: "refused-requests",
        keeps: "what may not pass unasked: no such request reaches the provider whole, and no other is refused",
        short: true,
        run: || Box::pin(refused::refused()),
    },
    Attack {
        name: "provoked-refusals",
        keeps: "the question for usage: an error that repeats its input or lists names is no refusal, nor is any where calls were counted",
        short: true,
        run: || Box::pin(provoked::provoked()),
    },
    Attack {
        name: "redirected-requests",
        keeps: "one record of a call that Envoy sends elsewhere, and every byte of its stream",
        short: true,
        run: || Box::pin(redirected()),
    },
    Attack {
        name: "huge-requests",
        keeps: "the provider's counts and the client's bytes: millions of names, levels and pieces",
        short: false,
        run: || Box::pin(huge()),
    },
];

const CHAT: &str = "/v1/chat/completions";
const FIXTURE: &str = "chat_stream_unasked.sse";
const SPIFFE: &str = "spiffe://cluster.local/ns/team-a/sa/alice";
const CHUNKED: Upload = Upload { sized: false, ..Upload::WHOLE };

fn call(body: impl Into<Bytes>) -> Call {
    let mut call = Call::post("api.openai.com", CHAT, &json!({})).header("accept-encoding", "gzip");
    call.body = body.into();
    call
}

fn at(path: &str, call: Call) -> Call {
    Call { path: path.to_owned(), ..call }
}

fn of_type(content_type: &str, mut call: Call) -> Call {
    call.headers.retain(|(name, _)| name != "content-type");
    call.header("content-type", content_type)
}

fn gzip(body: &str) -> Result<Vec<u8>> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(body.as_bytes())?;
    Ok(gzip.finish()?)
}

/// Sends a call and reads its response to the end.
async fn send(route: &Route, version: Version, call: &Call, upload: Upload) -> Result<Response> {
    let mut exchange = exchange::open(route, version, call, upload).await?.ok_or("the client left")?;
    let mut body = Vec::new();
    let whole = exchange.read(&mut body, usize::MAX).await;
    Ok(Response { status: exchange.status, headers: exchange.headers.clone(), body: body.into(), whole })
}

/// Sends a call to a provider that reads requests as servers do, and fails unless the client sees what it would have seen
/// without the meter.
async fn unnoticed(stack: &Stack, id: &str, call: Call, upload: Upload, version: Version) -> Result<Fixture> {
    let fixture = stack.provider.catalogue().get(FIXTURE)?.clone();
    let serial = stack.provider.served().len() as u64 + 1;
    let mut call =
        with_request_id(call, id).header(provider::FIXTURE, FIXTURE).header(provider::SERIAL, &serial.to_string());
    if !call.headers.iter().any(|(name, _)| name == reading::HEADER) {
        call = call.header(reading::HEADER, "last");
    }
    let route = if version == Version::HTTP_2 { stack.llm_mtls(SPIFFE)? } else { stack.llm() };
    let response = send(&route, version, &call, upload).await.map_err(|error| format!("{id}: {error}"))?;
    let expected = fixture.response(serial, false).1;
    ensure(response.whole && response.status == 200 && response.body == expected, || {
        format!("{id}: the client saw {} {}", response.status, String::from_utf8_lossy(&response.body))
    })?;
    Ok(fixture)
}

async fn spelled() -> Result<()> {
    let stack = Stack::with(Options { workers: 1, ..Options::default() }).await?;
    let stream = r#"{"model":"m","stream":true}"#;
    let reads = |holds: &str, body: &str| call(body.to_owned()).header(reading::HEADER, holds);
    let twice = r#"{"stream":true,"stream":true,"stream_options":{"include_usage":false},"stream_options":{"x":1}}"#;
    let all =
        r#"{"\u0073\u0074\u0072\u0065\u0061\u006d":true,"\u0073tream\u005foptions":{"\u0069nclude\u005Fusage":null}}"#;
    let calls = [
        ("an-escape", call(r#"{"model":"m","str\u0065am":true}"#), Upload::WHOLE),
        ("all-escapes", call(all), Upload::WHOLE),
        ("another-name", call(r#"{"str\u0065ams":0,"stream":true,"mod\u0065l":"m"}"#), Upload::WHOLE),
        ("null-first", call(r#"{"stream_options":null,"model":"m","stream":true}"#), Upload::WHOLE),
        ("null-first-by-bytes", call(r#"{"stream_options" : null , "stream":true}"#), Upload::pieces(1)),
        ("empty-first", call(r#"{"model":"m","stream_options":{},"stream":true}"#), Upload::pieces(5)),
        ("null-twice", reads("first", r#"{"stream_options":null,"stream_options":null,"stream":true}"#), Upload::WHOLE),
        ("twice-last", reads("last", twice), Upload::WHOLE),
        ("twice-first", reads("first", twice), Upload::WHOLE),
        ("off-then-on", reads("last", r#"{"stream":false,"stream":true}"#), Upload::WHOLE),
        (
            "object-then-null",
            reads("last", r#"{"stream":true,"stream_options":{"x":1},"stream_options":null}"#),
            Upload::WHOLE,
        ),
        ("chunked", call(stream), CHUNKED),
        (
            "chunked-by-bytes",
            call(r#"{"stream_options":null,"stream":true}"#),
            Upload { sized: false, ..Upload::pieces(1) },
        ),
        ("chunked-with-trailers", call(stream), Upload { trailers: true, ..CHUNKED }),
        ("chunked-options", call(r#"{"stream":true,"stream_options":{"a":1},"stream_options":{"b":1}}"#), CHUNKED),
        ("empty-frames", call(stream), Upload { empties: true, ..Upload::pieces(20) }),
        ("empty-frames-chunked", call(stream), Upload { empties: true, ..CHUNKED }),
        ("path-percent", at("/v1/chat/complet%69ons", call(stream)), Upload::WHOLE),
        ("path-slashes", at("/v1//chat/./completions//", call(stream)), Upload::WHOLE),
        ("path-slash-percent", at("/v1/chat%2Fcompletions?x=1", call(stream)), Upload::WHOLE),
        ("text", of_type("text/plain", call(stream)), Upload::WHOLE),
    ];
    let mut sent = 0;
    for (id, call, upload) in calls {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let id = format!("{id}-{version:?}");
            let fixture = unnoticed(&stack, &id, call.clone(), upload, version).await?;
            let event = stack.event_of(&id).await?;
            expect::usage(&event, "completed", "reported", &fixture.expected.usage)
                .map_err(|error| format!("{id}: {error}"))?;
            ensure(event.get("usage_not_asked").is_null(), || format!("{id}: {}", event.raw))?;
            sent += 1;
        }
    }
    stack.settled(sent).await?;
    stack.finish()
}

async fn unaskable() -> Result<()> {
    let stack = Stack::with(Options { workers: 1, ..Options::default() }).await?;
    let stream = r#"{"model":"m","messages":[{"content":"a question"}],"stream":true}"#;
    let compressed = |body: &str| Ok::<_, crate::Error>(call(gzip(body)?).header("content-encoding", "gzip"));
    let form = "application/x-www-form-urlencoded";
    let calls = [
        ("gzip", compressed(stream)?, "encoded"),
        ("md5", call(stream).header("content-md5", "Q2hlY2sgSW50ZWdyaXR5IQ=="), "signed"),
        ("digest", call(stream).header("digest", "SHA-256=x"), "signed"),
        ("content-digest", call(stream).header("content-digest", "sha-256=:x:"), "signed"),
        ("signature", call(stream).header("signature", "sig1=:x:"), "signed"),
        ("aws", call(stream).header("authorization", "AWS4-HMAC-SHA256 Credential=x"), "signed"),
        ("form", of_type(form, call(stream)), "not_json"),
        ("on-then-off", call(r#"{"stream":true,"stream":false}"#).header(reading::HEADER, "first"), "ambiguous"),
        ("options-twice", call(r#"{"stream":true,"stream_options":{"a":1},"stream_options":{"b":1}}"#), "ambiguous"),
        ("another-case", call(r#"{"STREAM":true}"#), "ambiguous"),
        ("no-json", call(r#"{"stream":true,}"#), "unreadable"),
        ("another-path", at("/v1/beta/chat/complete", call(stream)), "unknown_path"),
    ];
    let mut sent = 0;
    for (id, call, reason) in &calls {
        unnoticed(&stack, id, call.clone(), Upload::WHOLE, Version::HTTP_11).await?;
        let event = stack.event_of(id).await?;
        let said = ["usage_not_asked", "evidence", "missing_reason", "outcome"].map(|name| event.text(name));
        let expected = [*reason, "estimated", "not_requested", "completed"];
        ensure(said == expected, || format!("{id}: not {expected:?}: {}", event.raw))?;
        sent += 1;
    }
    // A body that is compressed is read all the same, and one that asks by itself needs nobody.
    let event = stack.event_of("gzip").await?;
    ensure(event.text("request_model") == "m" && event.count("input_tokens") > Some(0), || event.raw.clone())?;
    let asks = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    let own = with_request_id(compressed(asks)?, "own").header(provider::FIXTURE, FIXTURE);
    let response = stack.llm().send(&own).await?;
    ensure(String::from_utf8_lossy(&response.body).contains("\"completion_tokens\""), || {
        "its usage is gone".to_owned()
    })?;
    let event = stack.event_of("own").await?;
    ensure(event.text("evidence") == "reported" && event.get("usage_not_asked").is_null(), || event.raw.clone())?;
    // At the gateway only the end of the call shows who could have been asked.
    let unknown = Call { host: "localhost".to_owned(), ..at("/openai/v1/chat/completions%20", call(stream)) };
    let unknown = with_request_id(unknown, "gateway").header(provider::FIXTURE, FIXTURE);
    stack.gateway().send(&unknown).await?;
    let event = stack.event_of("gateway").await?;
    let said = ["provider", "usage_not_asked", "evidence"].map(|name| event.text(name));
    ensure(said == ["openai", "unknown_path", "estimated"], || event.raw.clone())?;
    stack.settled(sent + 2).await?;
    let metrics = stack.envoy.metrics().await?;
    let reasons = || calls.iter().map(|(_, _, reason)| *reason).chain(["unknown_path"]);
    for reason in reasons() {
        let counted = metrics.sum("meshmeter_usage_not_asked_total", &[("meshmeter_reason", reason)]);
        let made = reasons().filter(|other| *other == reason).count() as u64;
        ensure(counted == made, || format!("{counted} are counted as {reason}, {made} were made"))?;
    }
    stack.finish()
}

async fn redirected() -> Result<()> {
    let wire = Wire::with(Options { redirects: true, ..Options::default() }).await?;
    let fixture = wire.stack.provider.catalogue().get(FIXTURE)?.clone();
    let asks = r#"{"stream":true,"stream_options":{"include_usage":true}}"#;
    let calls = [
        ("asked", call(r#"{"model":"m","stream":true}"#), Upload::WHOLE, 1),
        ("asked-twice", call(r#"{"model":"m","stream":true}"#), Upload::WHOLE, 2),
        ("asked-chunked", call(r#"{"stream":true}"#), CHUNKED, 1),
        ("own", call(asks), Upload::WHOLE, 1),
        ("forged", call(asks).header("x-envoy-original-url", "http://api.openai.com/"), Upload::WHOLE, 0),
    ];
    let mut sent = 0;
    for (id, call, upload, hops) in calls {
        let response = fixture.response(sent + 1, true).1;
        let mut last = Script::sse(response.clone());
        for _ in 0..hops {
            let to = format!("http://api.openai.com{CHAT}?script={}", wire.server.add(last));
            last = Script::new("text/plain", "elsewhere").status(307).header("location", &to);
        }
        let (got, arrived, event) = wire.send(id, &call, upload, last).await?;
        let own = call.body == asks;
        let seen = if own { response } else { crate::include_usage::not_asked(&response) };
        ensure(got.whole && got.body == seen, || {
            format!("{id}: the client saw {}", String::from_utf8_lossy(&got.body))
        })?;
        ensure(arrived.path.contains("script=") == (hops > 0), || format!("{id}: it was not sent on"))?;
        let asked = crate::include_usage::is_asked(&crate::strict::parse(&arrived.body)?);
        ensure(asked, || format!("{id}: {}", arrived.body.escape_ascii()))?;
        expect::usage(&event, "completed", "reported", &fixture.expected.usage)
            .map_err(|error| format!("{id}: {error}"))?;
        sent += 1;
    }
    // A redirect that Envoy leaves to the client is the end of the call.
    let left = Script::new("text/plain", "elsewhere").status(301).header("location", "http://api.openai.com/x");
    let (got, _, event) = wire.send("left", &call(r#"{"stream":true}"#), Upload::WHOLE, left).await?;
    ensure(got.status == 301 && event.count("status") == Some(301), || event.raw.clone())?;
    wire.finish(sent + 1).await
}

async fn huge() -> Result<()> {
    let wire = Wire::with(Options::default()).await?;
    let fixture = wire.stack.provider.catalogue().get(FIXTURE)?.clone();
    let many = |member: &str, times: usize| vec![member; times].join(",");
    let deep = format!("{}{}", "[".repeat(2_000_000), "]".repeat(2_000_000));
    let bodies = [
        ("names", format!("{{{},\"stream\":true}}", many(r#""strea":{"stream":0}"#, 1_000_000)), 100_000),
        ("escapes", format!("{{{},\"stream\":true}}", many(r#""str\u0065a":0"#, 1_000_000)), 100_000),
        ("levels", format!("{{\"a\":{deep},\"stream\":true}}"), 100_000),
        ("nulls", format!("{{{},\"stream\":true}}", many(r#""stream_options":null"#, 200_000)), 99_991),
        ("text", format!("{{\"a\":\"{}\",\"stream\":true}}", "\\\\\\\"".repeat(25_000_000)), 1_000_000),
        ("pieces", format!("{{{},\"stream\":true}}", many(r#""stream_option":1"#, 2_000)), 1),
    ];
    let mut sent = 0;
    for (id, body, piece) in bodies {
        for upload in [Upload::pieces(piece), Upload { sized: false, ..Upload::pieces(piece) }] {
            let id = format!("{id}-{}", upload.sized);
            let response = fixture.response(sent + 1, true).1;
            let (got, arrived, event) =
                wire.send(&id, &call(body.clone()), upload, Script::sse(response.clone())).await?;
            ensure(got.whole && got.body == crate::include_usage::not_asked(&response), || {
                format!("{id}: other bytes")
            })?;
            let end = format!("\"stream\":true{OPTION}}}");
            let trimmed = arrived.body.trim_ascii_end();
            ensure(trimmed.ends_with(end.as_bytes()), || format!("{id}: it was not asked"))?;
            let grown = if upload.sized { OPTION.len() } else { trimmed.len().saturating_sub(body.len()) };
            ensure(arrived.body.len() == body.len() + grown || id.starts_with("nulls"), || {
                format!("{id}: bytes are gone")
            })?;
            expect::usage(&event, "completed", "reported", &fixture.expected.usage)?;
            sent += 1;
        }
    }
    wire.finish(sent).await
}

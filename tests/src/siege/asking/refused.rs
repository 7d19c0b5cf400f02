//! Streams that would not say their usage, where the configuration wants them refused.

use hyper::Version;
use serde_json::json;

use super::{CHUNKED, call, gzip, of_type, send};
use crate::{
    Result,
    client::Call,
    exchange::Upload,
    script::{self, Script},
    stack::{Options, with_request_id},
    wait::{self, ensure},
    wire::Wire,
};

const RESPONSE: &str =
    r#"{"object":"chat.completion","usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
const STREAM: &str = r#"{"model":"m","stream":true,"messages":[]}"#;
const ASKS: &str = r#"{"stream":true,"stream_options":{"include_usage":true}}"#;
const QUIET: &str = r#"{"model":"m","stream":false}"#;

fn encoded(coding: &str, body: impl Into<bytes::Bytes>) -> Call {
    call(body).header("content-encoding", coding)
}

fn signed(body: &'static str) -> Call {
    call(body).header("content-md5", "Q2hlY2sgSW50ZWdyaXR5IQ==")
}

pub(super) async fn refused() -> Result<()> {
    let plugin = |plugin: &mut serde_json::Value| plugin["include_usage_else"] = json!("refuse");
    let wire = Wire::with(Options { plugin, ..Options::default() }).await?;
    let cases = [
        ("encoded", encoded("gzip", gzip(STREAM)?), Upload::WHOLE, "encoded"),
        ("encoded-pieces", encoded("gzip", gzip(STREAM)?), Upload::pieces(10), "encoded"),
        ("unknown-coding", encoded("pigeon", STREAM), Upload::WHOLE, "encoded"),
        ("signed", signed(STREAM), Upload::WHOLE, "signed"),
        ("signed-pieces", signed(STREAM), Upload::pieces(1), "signed"),
        ("signed-chunked", signed(STREAM), CHUNKED, "signed"),
        ("form", of_type("application/x-www-form-urlencoded", call(STREAM)), Upload::WHOLE, "not_json"),
        ("signed-no-json", signed("{'stream':true}"), Upload::WHOLE, "signed"),
        ("ambiguous", call(r#"{"stream":"true"}"#), Upload::pieces(3), "ambiguous"),
        ("unreadable", call(r#"{"stream":true // yes"#), Upload::WHOLE, "unreadable"),
        ("ambiguous-chunked", call(r#"{"stream":true,"stream":false}"#), CHUNKED, "ambiguous"),
    ];
    for (id, call, upload, reason) in &cases {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let id = format!("{id}-{version:?}");
            let mtls = wire.stack.llm_mtls(super::SPIFFE)?;
            let route = if version == Version::HTTP_2 { mtls } else { wire.stack.llm() };
            let script = wire.server.add(Script::new("application/json", RESPONSE));
            let call = with_request_id(call.clone(), &id).header(script::HEADER, &script);
            let response = send(&route, version, &call, *upload).await.map_err(|error| format!("{id}: {error}"))?;
            let error = &response.json()?["error"];
            let told = response.status == 400
                && response.headers.get("content-type").is_some_and(|kind| kind == "application/json")
                && error["code"] == "usage_not_asked"
                && error["type"] == "invalid_request_error"
                && error["message"].as_str().is_some_and(|text| text.contains("include_usage"));
            ensure(told, || format!("{id}: {} {}", response.status, String::from_utf8_lossy(&response.body)))?;
            let event = wire.stack.event_of(&id).await?;
            let said = ["outcome", "evidence", "usage_not_asked"].map(|name| event.text(name));
            ensure(said == ["refused", "missing", reason], || format!("{id}: {}", event.raw))?;
            ensure(event.classes().is_empty(), || format!("{id}: it has counts: {}", event.raw))?;
        }
    }
    // Of these the provider has seen the head at most, or a part of the body, but nothing that it could respond.
    let unread = wire.server.arrived().into_iter().any(|arrived| arrived.header("content-encoding") == "pigeon");
    ensure(!unread, || "what nobody can read is refused by its head, and yet it arrived".to_owned())?;
    wait::until("the provider to be told that they do not come", || async {
        let whole = wire.server.arrived().into_iter().find(|arrived| arrived.problem.is_none());
        ensure(whole.is_none(), || format!("one arrived whole: {whole:?}"))
    })
    .await?;
    let others = [
        ("asks", signed(ASKS)),
        ("asks-encoded", encoded("gzip", gzip(ASKS)?)),
        ("quiet", signed(QUIET)),
        ("quiet-encoded", encoded("gzip", gzip(QUIET)?)),
        ("asked-here", call(STREAM)),
        ("off", call(QUIET)),
        ("embeddings", Call { path: "/v1/embeddings".to_owned(), ..signed(STREAM) }),
        ("responses", Call { path: "/v1/responses".to_owned(), ..signed(STREAM) }),
        ("files", Call { path: "/v1/files".to_owned(), ..encoded("pigeon", STREAM) }),
        ("elsewhere", Call { host: "llm.internal".to_owned(), ..signed(STREAM) }),
    ];
    for (id, call) in &others {
        let (response, ..) = wire.send(id, call, Upload::WHOLE, Script::new("application/json", RESPONSE)).await?;
        ensure(response.status == 200 && response.body == RESPONSE, || format!("{id}: {}", response.status))?;
    }
    let calls = (2 * cases.len() + others.len()) as u64;
    wire.stack.settled(calls).await?;
    let metrics = wire.stack.envoy.metrics().await?;
    let counted = metrics.sum("gen_ai_client_inference_calls_total", &[("meshmeter_outcome", "refused")]);
    ensure(counted == 2 * cases.len() as u64, || format!("{counted} are counted as refused"))?;
    wire.finish(calls).await
}

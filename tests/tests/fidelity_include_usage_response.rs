//! Taking the response to `include_usage` out again: the client sees what it would have seen without the meter, at the
//! same time, and nothing is held back.

use std::sync::Arc;

use bytes::Bytes;
use e2e::{
    Result,
    client::Call,
    exchange::Upload,
    expect,
    fixture::{Fixture, events},
    include_usage::not_asked,
    script::Script,
    wait,
    wire::Wire,
};
use hyper::Version;
use serde_json::json;
use tokio::sync::Semaphore;

const SPIFFE: &str = "spiffe://cluster.local/ns/team-a/sa/alice";

fn call() -> Call {
    let messages = json!([{"role": "user", "content": "Wie wird das Wetter in Zürich?"}]);
    let body = json!({"model": "gpt-4.1-nano", "stream": true, "messages": messages});
    Call::post("api.openai.com", "/v1/chat/completions", &body)
}

/// The stream as the provider sends it, and how the client must see it.
fn streams(wire: &Wire, name: &str) -> Result<(Fixture, String, String)> {
    let fixture = wire.stack.provider.catalogue().get(name)?.clone();
    let asked = fixture.response(1, true).1;
    let seen = not_asked(&asked);
    assert!(seen.len() < asked.len());
    Ok((fixture, asked, seen))
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_the_chunk_is_taken_out_at_any_pace() -> Result<()> {
    let wire = Wire::start(|_| {}).await?;
    let mut calls = 0;
    for name in ["chat_stream_unasked.sse", "chat_stream_tools.sse", "chat_stream_two.sse"] {
        let (fixture, asked, seen) = streams(&wire, name)?;
        let paces = [
            ("at-once", Script::sse(asked.clone())),
            ("at-once-sized", Script::sse(asked.clone()).sized()),
            ("bytes", Script::sse(asked.clone()).split(1)),
            ("bytes-sized", Script::sse(asked.clone()).split(1).sized()),
            ("sevens", Script::sse(asked.clone()).split(7)),
            ("events", Script::sse(asked.clone()).by_event()),
        ];
        for (pace, script) in paces {
            for version in [Version::HTTP_11, Version::HTTP_2] {
                let id = format!("{pace}-{version:?}-{name}");
                let route = if version == Version::HTTP_2 { wire.stack.llm_mtls(SPIFFE)? } else { wire.stack.llm() };
                let response = wire.exchange(&route, version, &id, &call(), Upload::WHOLE, script.clone()).await?;
                assert!(response.whole, "{id}: it was cut");
                assert!(response.body == seen, "{id}: the client saw {}", String::from_utf8_lossy(&response.body));
                assert!(!response.headers.contains_key("content-length"), "{id}: a length that is not true");
                let event = wire.stack.event_of(&id).await?;
                expect::usage(&event, "completed", "reported", &fixture.expected.usage)?;
                calls += 1;
            }
        }
    }
    wire.finish(calls).await
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_a_client_that_asked_keeps_its_chunk() -> Result<()> {
    let wire = Wire::start(|_| {}).await?;
    let (fixture, asked, _) = streams(&wire, "chat_stream_two.sse")?;
    let body = json!({"stream": true, "stream_options": {"include_usage": true}});
    let call = Call::post("api.openai.com", "/v1/chat/completions", &body);
    for (id, script) in [("sized", Script::sse(asked.clone()).sized()), ("bytes", Script::sse(asked.clone()).split(1))]
    {
        let (response, _, event) = wire.send(id, &call, Upload::WHOLE, script).await?;
        assert!(response.whole && response.body == asked, "{id}: the response's bytes were changed");
        expect::usage(&event, "completed", "reported", &fixture.expected.usage)?;
    }
    wire.finish(2).await
}

/// The provider sends an event, and the next one only when the client has the one before.
#[tokio::test(flavor = "multi_thread")]
async fn fidelity_every_event_arrives_before_the_next_is_sent() -> Result<()> {
    let wire = Wire::start(|_| {}).await?;
    let (_, asked, _) = streams(&wire, "chat_stream_tools.sse")?;
    let filtered = r#"data: {"choices":[],"created":0,"id":"","prompt_filter_results":[{"prompt_index":0}]}"#;
    let asked = format!(": hello\n\n{filtered}\n\n{asked}")
        .replace("data: [DONE]", "event: x\ndata: {\"error\":1}\n\ndata: [DONE]");
    let mut calls = 0;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for line_end in ["\n", "\r\n", "\r"] {
            let id = format!("gated-{version:?}-{}", line_end.escape_debug());
            let may_send = Arc::new(Semaphore::new(0));
            let pieces: Vec<Bytes> =
                events(&asked).into_iter().map(|event| event.replace('\n', line_end).into()).collect();
            let script = Script::sse(Bytes::new()).pieces(&pieces).when(&may_send);
            let route = if version == Version::HTTP_2 { wire.stack.llm_mtls(SPIFFE)? } else { wire.stack.llm() };
            // The head comes with the first event.
            may_send.add_permits(1);
            let mut exchange = wire.open(&route, version, &id, &call(), Upload::WHOLE, script).await?;
            let (mut seen, mut expected) = (Vec::new(), Vec::new());
            for (number, (event, piece)) in events(&asked).into_iter().zip(&pieces).enumerate() {
                if number > 0 {
                    may_send.add_permits(1);
                }
                expected.extend_from_slice(not_asked(event).replace('\n', line_end).as_bytes());
                let ended = exchange.read(&mut seen, expected.len()).await;
                assert!(!ended && seen == expected, "{id}: {piece:?} was held back or changed");
            }
            assert!(exchange.read(&mut seen, usize::MAX).await && seen == expected, "{id}: there was more");
            let event = wire.stack.event_of(&id).await?;
            assert_eq!((event.text("evidence"), event.count("output_tokens")), ("reported", Some(61)), "{}", event.raw);
            calls += 1;
        }
    }
    wire.finish(calls).await
}

/// What Envoy has read from the provider, bytes.
async fn received(wire: &Wire) -> Result<u64> {
    let of_provider = [("envoy_cluster_name", "openai")];
    Ok(wire.stack.envoy.metrics().await?.sum("envoy_cluster_upstream_cx_rx_bytes_total", &of_provider))
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_a_stream_that_is_cut_keeps_what_came() -> Result<()> {
    let wire = Wire::start(|_| {}).await?;
    let (fixture, asked, seen) = streams(&wire, "chat_stream_unasked.sse")?;
    let five = |stream: &str| events(stream).iter().take(5).map(|event| event.len()).sum::<usize>();
    let (whole, whole_seen) = (five(&asked), five(&seen));
    let into = asked[whole..].find("content").ok_or("an event with content")?;
    let behind_the_usage = asked.find("data: [DONE]").ok_or("an end")?;
    let cuts = [
        ("behind-an-event", whole, whole_seen),
        ("in-an-event", whole + into, whole_seen + into),
        ("behind-the-usage", behind_the_usage, seen.find("data: [DONE]").ok_or("an end")?),
    ];
    for (cut, sent, arrives) in cuts {
        let script = Script::sse(asked[..sent].to_owned()).by_event();
        for leaves in [true, false] {
            let (id, outcome) = match leaves {
                true => (format!("left-{cut}"), "client_aborted"),
                false => (format!("reset-{cut}"), "upstream_reset"),
            };
            // A provider that has more to say, but may not; or one that is cut off.
            let pieces = events(&asked[..sent]);
            let unseen = if cut == "behind-the-usage" { 1 } else { 0 };
            let more = Arc::new(Semaphore::new(pieces.len() - unseen));
            let script = match leaves {
                true => Script::sse(asked[..sent].to_owned()).by_event().and("data: [DONE]\n\n").when(&more),
                false => script.clone().when(&more).reset(),
            };
            let mut exchange =
                wire.open(&wire.stack.llm(), Version::HTTP_11, &id, &call(), Upload::WHOLE, script.clone()).await?;
            let mut body = Vec::new();
            assert!(!exchange.read(&mut body, arrives).await, "{id}: it ended as if it were whole");
            if let Some(usage) = pieces.last().filter(|_| unseen > 0) {
                // The client does not see this event: Envoy has it when it has read as many bytes.
                let before = received(&wire).await?;
                more.add_permits(unseen);
                wait::until("Envoy to read the usage", || async {
                    let more = received(&wire).await? - before;
                    wait::ensure(more >= usage.len() as u64, || format!("it has read {more} bytes"))
                })
                .await?;
            }
            if !leaves {
                script.let_reset();
                assert!(!exchange.read(&mut body, usize::MAX).await, "{id}: it ended as if it were whole");
            }
            drop(exchange);
            assert!(body == seen.as_bytes()[..arrives], "{id}: the client saw {}", String::from_utf8_lossy(&body));
            let event = wire.stack.event_of(&id).await?;
            match cut {
                "behind-the-usage" => expect::usage(&event, outcome, "reported", &fixture.expected.usage),
                _ => expect::estimated(&event, outcome, "truncated_body"),
            }
            .map_err(|error| format!("{id}: {error}"))?;
        }
    }
    wire.finish(6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_nothing_else_is_taken_out() -> Result<()> {
    let wire = Wire::start(|_| {}).await?;
    let usage = r#""usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}"#;
    let choice = r#"data: {"choices":[{"index":0,"delta":{"content":"hi"}}],"object":"chat.completion.chunk"}"#;
    let (id, done) = (r#""id":"c","object":"chat.completion.chunk""#, "data: [DONE]\n\n");
    let chunk = format!("data: {{{id},\"choices\":[],{usage}}}\n\n");
    let turned = format!("data: {{{usage},{id},\"choices\":[ ]}}\n\n");
    let with_choice = format!("data: {{{id},{usage},\"choices\":[{{\"index\":0,\"delta\":{{}}}}]}}\n\n");
    let long = format!("data: {{{id},\"x\":\"{}\",\"choices\":[],{usage}}}\n\n", "x".repeat(20_000));
    let text = r#"data: {"choices":[{"delta":{"content":"\"choices\":[],\"usage\":{\"prompt_tokens\":1}"}}]}"#;
    let stream = "text/event-stream";
    // What it is, its type and status, what is sent, what must be seen, and whether there are counts.
    let cases = [
        ("usage-first", stream, 200, format!("{choice}\n\n{turned}{done}"), format!("{choice}\n\n{done}"), true),
        (
            "carriage-returns",
            stream,
            200,
            format!("{choice}\n\n{chunk}{done}").replace('\n', "\r\n"),
            format!("{choice}\n\n{done}").replace('\n', "\r\n"),
            true,
        ),
        (
            "no-space",
            stream,
            200,
            format!("{choice}\n\n{chunk}{done}").replace("data: ", "data:"),
            format!("{choice}\n\n{done}").replace("data: ", "data:"),
            true,
        ),
        ("no-last-line-end", stream, 200, format!("{choice}\n\n{}", chunk.trim_end()), format!("{choice}\n\n"), true),
        ("no-last-line-end-of-a-choice", stream, 200, format!("{chunk}{choice}"), choice.to_owned(), true),
        (
            "with-a-choice",
            stream,
            200,
            format!("{choice}\n\n{with_choice}{done}"),
            format!("{choice}\n\n{with_choice}{done}"),
            true,
        ),
        ("in-the-text", stream, 200, format!("{text}\n\n{chunk}{done}"), format!("{text}\n\n{done}"), true),
        ("very-long", stream, 200, format!("{choice}\n\n{long}{done}"), format!("{choice}\n\n{long}{done}"), true),
        (
            "json",
            "application/json",
            200,
            format!("{{{id},\"choices\":[],{usage}}}"),
            format!("{{{id},\"choices\":[],{usage}}}"),
            true,
        ),
        ("no-stream", "text/plain", 200, "\n\ndata: x".to_owned(), "\n\ndata: x".to_owned(), false),
        ("empty", stream, 200, String::new(), String::new(), false),
        (
            "error",
            stream,
            500,
            "data: {\"error\":{\"type\":\"x\"}}\n\n".to_owned(),
            "data: {\"error\":{\"type\":\"x\"}}\n\n".to_owned(),
            false,
        ),
    ];
    for (id, kind, status, sent, seen, counts) in &cases {
        for pieces in [usize::MAX, 1] {
            let id = format!("{id}-{pieces}");
            let script = Script::new(kind, sent.clone()).status(*status).split(pieces);
            let (response, _, event) = wire.send(&id, &call(), Upload::WHOLE, script).await?;
            assert!(response.whole && response.status == *status, "{id}");
            assert!(response.body == *seen, "{id}: the client saw {}", String::from_utf8_lossy(&response.body));
            let have = (event.count("input_tokens"), event.count("output_tokens"));
            assert_eq!(have, if *counts { (Some(7), Some(2)) } else { (None, None) }, "{}", event.raw);
        }
    }
    wire.finish(2 * cases.len() as u64).await
}

/// Names with escapes behind the options: what was asked for must be taken out again.
#[tokio::test(flavor = "multi_thread")]
async fn fidelity_whoever_did_not_ask_sees_no_response_to_that() -> Result<()> {
    let wire = Wire::start(|_| {}).await?;
    let (_, asked, seen) = streams(&wire, "chat_stream_two.sse")?;
    let bodies = [
        r#"{"stream":true,"stream_options":{},"met\u0061data":{}}"#,
        r#"{"stream":true,"stream_options":{"include_usage":false},"met\u0061data":{}}"#,
        r#"{"met\u0061data":{},"stream":true}"#,
    ];
    for body in bodies {
        let mut call = call();
        call.body = body.into();
        let unasked = e2e::include_usage::not_asked(&asked);
        // As a provider would: with usage only if it was asked for.
        for (id, response) in [("plain", &unasked), ("asked", &asked)] {
            let id = format!("{id}-{}", body.len());
            let (got, arrived, _) = wire.send(&id, &call, Upload::WHOLE, Script::sse(response.clone())).await?;
            let is_asked = e2e::include_usage::is_asked(&e2e::strict::parse(&arrived.body)?);
            let expected = match (is_asked, response == &asked) {
                (true, true) => &seen,
                (false, false) => &unasked,
                _ => continue,
            };
            assert!(got.body == *expected, "{id}: {body} gave {}", String::from_utf8_lossy(&got.body));
        }
    }
    wire.finish(6).await
}

//! Providers that speak neither of the three big APIs, through a real Envoy: every byte passes, and the record is right.

use bytes::Bytes;
use e2e::{Result, aws, client::Call, exchange::Upload, expect, fixture::Classes, script::Script, wire::Wire};
use serde_json::json;

/// A call, its response and its record.
struct Case {
    name: &'static str,
    /// Host and path.
    to: (&'static str, &'static str),
    script: Script,
    /// Provider, API and model.
    who: (&'static str, &'static str, &'static str),
    stream: bool,
    classes: &'static [(&'static str, u64)],
}

const BEDROCK: &str = "bedrock-runtime.eu-central-1.amazonaws.com";
const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";

fn gemini() -> Vec<Case> {
    const USAGE: &str = r#""usageMetadata":{"promptTokenCount":120,"cachedContentTokenCount":100,"candidatesTokenCount":11,"thoughtsTokenCount":40,"toolUsePromptTokenCount":9,"totalTokenCount":180,"promptTokensDetails":[{"modality":"TEXT","tokenCount":112},{"modality":"AUDIO","tokenCount":8}]},"modelVersion":"gemini-2.5-flash","responseId":"r1""#;
    const SO_FAR: &str = r#""usageMetadata":{"promptTokenCount":120,"candidatesTokenCount":2,"totalTokenCount":122},"modelVersion":"gemini-2.5-flash","responseId":"r1""#;
    let part = |text: &str, usage: &str| {
        format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}],"role":"model"}}}}],{usage}}}"#)
    };
    let (first, last) = (part("Gr\\u00fc\\u00dfe, \\\"promptTokenCount\\\":9", SO_FAR), part("!", USAGE));
    let who = ("gcp.gemini", "gemini", "gemini-2.5-flash");
    let classes: &[_] = &[
        ("cache_read_tokens", 100),
        ("input_audio_tokens", 8),
        ("input_text_tokens", 12),
        ("input_tool_tokens", 9),
        ("output_reasoning_tokens", 40),
        ("output_text_tokens", 11),
    ];
    let host = "generativelanguage.googleapis.com";
    let case = |name, path, script, stream| Case { name, to: (host, path), script, who, stream, classes };
    vec![
        case(
            "gemini-array",
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
            Script::new("application/json; charset=UTF-8", format!("[{first}\r\n,\r\n{last}\r\n]\r\n")),
            true,
        ),
        case(
            "gemini-sse",
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse&key=k",
            Script::sse(format!("data: {first}\r\n\r\ndata: {last}\r\n\r\n")),
            true,
        ),
        case(
            "gemini-json",
            "/v1beta/models/gemini-2.5-flash:generateContent",
            Script::new("application/json; charset=UTF-8", last.clone()),
            false,
        ),
    ]
}

fn bedrock() -> Vec<Case> {
    let converse = [
        aws::event("messageStart", r#"{"role":"assistant"}"#),
        aws::event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"\"usage\":{\"inputTokens\":9}"}}"#),
        aws::event("messageStop", r#"{"stopReason":"end_turn"}"#),
        aws::event(
            "metadata",
            r#"{"metrics":{"latencyMs":9},"usage":{"inputTokens":30,"outputTokens":7,"totalTokens":157,"cacheReadInputTokens":100,"cacheWriteInputTokens":20,"cacheDetails":[{"inputTokens":20,"ttl":"1h"}]}}"#,
        ),
    ];
    let invoke = [
        aws::chunk(
            r#"{"type":"message_start","message":{"id":"msg_b","model":"claude-sonnet-4-5-20250929","usage":{"input_tokens":12,"cache_creation_input_tokens":4,"cache_read_input_tokens":50,"cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":0},"output_tokens":1}}}"#,
        ),
        aws::chunk(r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Grüße"}}"#),
        aws::chunk(r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":33}}"#),
        aws::chunk(
            r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":12,"outputTokenCount":33,"invocationLatency":8,"firstByteLatency":3,"cacheReadInputTokenCount":50,"cacheWriteInputTokenCount":4}}"#,
        ),
    ];
    let headers = Script::new("application/json", r#"{"outputs":[{"text":"Hallo","stop_reason":"stop"}]}"#)
        .header("x-amzn-bedrock-input-token-count", "17")
        .header("x-amzn-bedrock-output-token-count", "5");
    let to = |path| (BEDROCK, path);
    vec![
        Case {
            name: "converse-stream",
            to: to("/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream"),
            script: Script::new(EVENT_STREAM, converse.concat()),
            who: ("aws.bedrock", "bedrock_converse", ""),
            stream: true,
            classes: &[
                ("cache_read_tokens", 100),
                ("cache_write_1h_tokens", 20),
                ("cache_write_5m_tokens", 0),
                ("input_text_tokens", 30),
                ("output_text_tokens", 7),
            ],
        },
        Case {
            name: "invoke-stream",
            to: to("/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream"),
            script: Script::new(EVENT_STREAM, invoke.concat()),
            who: ("aws.bedrock", "bedrock_invoke", "claude-sonnet-4-5-20250929"),
            stream: true,
            classes: &[
                ("cache_read_tokens", 50),
                ("cache_write_1h_tokens", 0),
                ("cache_write_5m_tokens", 4),
                ("input_text_tokens", 12),
                ("output_text_tokens", 33),
            ],
        },
        Case {
            name: "invoke-by-headers",
            to: to("/model/mistral.mistral-7b-instruct-v0:2/invoke"),
            script: headers,
            who: ("aws.bedrock", "bedrock_invoke", ""),
            stream: false,
            classes: &[("input_text_tokens", 17), ("output_text_tokens", 5)],
        },
    ]
}

fn others() -> Vec<Case> {
    let ollama = [
        r#"{"model":"qwen3:8b","created_at":"2026-11-20T10:00:00Z","message":{"role":"assistant","content":"eval_count\":9"},"done":false}"#,
        r#"{"model":"qwen3:8b","created_at":"2026-11-20T10:00:01Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":5000000000,"prompt_eval_count":26,"prompt_eval_duration":1,"eval_count":298,"eval_duration":1}"#,
    ];
    let usage = r#"{"billed_units":{"input_tokens":11,"output_tokens":21},"tokens":{"input_tokens":73,"output_tokens":24},"cached_tokens":64}"#;
    let cohere = format!(
        "event: message-start\ndata: {{\"id\":\"c1\",\"type\":\"message-start\",\"delta\":{{\"message\":{{\"role\":\"assistant\"}}}}}}\n\n\
         event: content-delta\ndata: {{\"type\":\"content-delta\",\"index\":0,\"delta\":{{\"message\":{{\"content\":{{\"text\":\"Ja\"}}}}}}}}\n\n\
         event: message-end\ndata: {{\"type\":\"message-end\",\"delta\":{{\"finish_reason\":\"COMPLETE\",\"usage\":{usage}}}}}\n\n"
    );
    let billed: &[_] = &[("cache_read_unbilled_tokens", 64), ("input_text_tokens", 11), ("output_text_tokens", 21)];
    vec![
        Case {
            name: "ollama",
            to: ("llm.internal", "/api/chat"),
            script: Script::new("application/x-ndjson", format!("{}\n{}\n", ollama[0], ollama[1])),
            who: ("self_hosted", "plain", "qwen3:8b"),
            stream: true,
            classes: &[("input_text_tokens", 26), ("output_text_tokens", 298)],
        },
        Case {
            name: "cohere-stream",
            to: ("api.cohere.com", "/v2/chat"),
            script: Script::sse(cohere),
            who: ("cohere", "cohere", ""),
            stream: true,
            classes: billed,
        },
        Case {
            name: "cohere",
            to: ("api.cohere.com", "/v2/chat"),
            script: Script::new(
                "application/json",
                format!(
                    r#"{{"id":"c1","message":{{"role":"assistant","content":[{{"type":"text","text":"Ja"}}]}},"usage":{usage}}}"#
                ),
            ),
            who: ("cohere", "cohere", ""),
            stream: false,
            classes: billed,
        },
    ]
}

fn classes(list: &[(&str, u64)]) -> Classes {
    list.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// All hosts lead to one server, which stands for each of them.
fn trusting(plugin: &mut serde_json::Value) {
    plugin["detect"]["trust_host"] = json!(true);
}

/// Sends a case in pieces of a size; the model is in the request where the API has it there.
async fn check(wire: &Wire, case: &Case, piece: usize) -> Result<()> {
    let id = format!("{}-{piece}", case.name);
    let body = json!({"model": "asked-for", "stream": case.stream, "messages": [{"role": "user", "content": "Grüße"}]});
    let call = Call::post(case.to.0, case.to.1, &body)
        .header("authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20261120/eu-central-1/bedrock/aws4_request")
        .header("accept-encoding", "gzip");
    let (response, arrived, event) = wire.send(&id, &call, Upload::WHOLE, case.script.clone().split(piece)).await?;
    assert!(response.whole && response.body == case.script.body(), "{id}: the response's bytes were changed");
    assert!(arrived.body == call.body && arrived.header("accept-encoding") == "gzip", "{id}: the request was changed");
    let (provider, api, model) = case.who;
    assert_eq!((event.text("provider"), event.text("api")), (provider, api), "{id}: {}", event.raw);
    assert_eq!(event.text("response_model"), model, "{id}: {}", event.raw);
    assert_eq!(event.get("stream"), case.stream, "{id}: {}", event.raw);
    expect::usage(&event, "completed", "reported", &classes(case.classes))
        .map_err(|error| format!("{id}: {error}").into())
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_other_providers_give_one_record_each() -> Result<()> {
    let wire = Wire::start(trusting).await?;
    let cases = [gemini(), bedrock(), others()].into_iter().flatten();
    let (mut calls, mut problems) = (0, Vec::new());
    for case in cases {
        for piece in [usize::MAX, 7, 1] {
            problems.extend(check(&wire, &case, piece).await.err().map(|error| error.to_string()));
            calls += 1;
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    wire.finish(calls).await
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_an_exception_in_an_event_stream_is_told() -> Result<()> {
    let wire = Wire::start(trusting).await?;
    let call = Call::post(BEDROCK, "/model/amazon.nova-lite-v1:0/converse-stream", &json!({"messages": []}));
    let body: Bytes = [
        aws::event("messageStart", r#"{"role":"assistant"}"#),
        aws::exception("throttlingException", r#"{"message":"Too many tokens, please wait before trying again."}"#),
    ]
    .concat()
    .into();
    let script = Script::new(EVENT_STREAM, body.clone());
    let (response, _, event) = wire.send("exception", &call, Upload::WHOLE, script).await?;
    assert!(response.body == body);
    assert_eq!(event.text("error_type"), "throttlingException", "{}", event.raw);
    assert_eq!(event.text("request_model"), "amazon.nova-lite-v1:0", "{}", event.raw);
    expect::missing(&event, "completed", "absent")?;
    wire.finish(1).await
}

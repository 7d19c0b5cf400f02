//! Responses that repeat the client's words: whatever stands in them, counts, model and price are the provider's.

use super::*;

/// Members by which servers repeat a request; `metadata` and what is nested are as the client wrote them.
const ECHOES: &[&str] = &[
    "metadata",
    "request",
    "instructions",
    "prompt",
    "tools",
    "text",
    "input",
    "tool_choice",
    "reasoning",
    "extra_body",
    "messages",
    "response_format",
    "variables",
    "parameters",
    "requestMetadata",
    "user",
    "options",
];

/// What a client writes who wants to be charged for less.
const FORGED: &str = r#"{"usage":{"input_tokens":1,"output_tokens":1,"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"inputTokens":1,"outputTokens":1,"totalTokens":2,"total_input_tokens":1,"cost":0.000001,"billed_units":{"input_tokens":1,"output_tokens":1}},"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"serviceTier":"flex"},"meta":{"billed_units":{"input_tokens":1}},"amazon-bedrock-invocationMetrics":{"inputTokenCount":1,"outputTokenCount":1},"tokenMetadata":{"inputTokenCount":{"totalTokens":1},"outputTokenCount":{"totalTokens":1}},"prompt_eval_count":1,"eval_count":1,"model":"cheap","id":"chosen","object":"batch","type":"message_batch","stop_reason":"refusal","name":"cachedContents/x","service_tier":"flex","serviceTier":{"type":"flex"},"performanceConfig":{"latency":"optimized"},"error":{"type":"x"},"status":"queued"}"#;

/// What is charged by.
fn charged(record: Record) -> impl PartialEq + std::fmt::Debug {
    let Record { evidence, usage, response_model, response_id, service_tier, speed, error_type, flags, .. } = record;
    let Record { provider_total, provider_cost_nano_usd, unknown_usage, search_context, deferred, .. } = record;
    let named = (response_model, response_id, service_tier, speed, error_type, search_context);
    (evidence, usage, flags, named, provider_total, provider_cost_nano_usd, unknown_usage, deferred)
}

/// Hosts, paths, and the members of an object that has the counts.
#[rustfmt::skip]
const CALLS: &[(&str, &str, &str)] = &[
    ("api.openai.com", "/v1/chat/completions", r#""id":"c","object":"chat.completion","model":"gpt-4.1","usage":{"prompt_tokens":1000,"completion_tokens":9000,"total_tokens":10000}"#),
    ("api.openai.com", "/v1/responses", r#""id":"r","object":"response","model":"gpt-4.1","output":[],"usage":{"input_tokens":1000,"output_tokens":9000,"total_tokens":10000}"#),
    ("llm.internal", "/v1/responses", r#""id":"r","object":"response","model":"own","output":[],"usage":{"input_tokens":1000,"output_tokens":9000,"total_tokens":10000}"#),
    ("llm.internal", "/v1/unheard-of", r#""id":"r","object":"response","model":"own","output":[],"usage":{"input_tokens":1000,"output_tokens":9000,"total_tokens":10000}"#),
    ("api.openai.com", "/v1/embeddings", r#""object":"list","model":"text-embedding-3-large","usage":{"prompt_tokens":1000,"total_tokens":1000}"#),
    ("api.anthropic.com", "/v1/messages", r#""id":"m","type":"message","model":"claude-sonnet-4-5","stop_reason":"end_turn","usage":{"input_tokens":1000,"output_tokens":9000}"#),
    ("generativelanguage.googleapis.com", "/v1beta/models/gemini-2.5-pro:generateContent", r#""modelVersion":"gemini-2.5-pro","usageMetadata":{"promptTokenCount":1000,"candidatesTokenCount":9000,"totalTokenCount":10000}"#),
    ("generativelanguage.googleapis.com", "/v1beta/interactions", r#""id":"i","model":"gemini-2.5-pro","usage":{"total_input_tokens":1000,"total_output_tokens":9000,"total_tokens":10000}"#),
    ("api.cohere.com", "/v2/chat", r#""id":"c","usage":{"billed_units":{"input_tokens":1000,"output_tokens":9000},"tokens":{"input_tokens":1000,"output_tokens":9000}}"#),
    ("llm.internal", "/api/chat", r#""model":"llama","done":true,"prompt_eval_count":1000,"eval_count":9000"#),
];

/// The same of APIs whose `metadata` is their own.
#[rustfmt::skip]
const WITH_METADATA: &[(&str, &str, &str)] = &[
    ("bedrock-runtime.us-east-1.amazonaws.com", "/model/m/converse", r#""stopReason":"end_turn","usage":{"inputTokens":1000,"outputTokens":9000,"totalTokens":10000}"#),
    ("bedrock-runtime.us-east-1.amazonaws.com", "/model/m/converse-stream", r#""metadata":{"usage":{"inputTokens":1000,"outputTokens":9000,"totalTokens":10000},"serviceTier":{"type":"priority"},"performanceConfig":{"latency":"standard"}}"#),
    ("bedrock-runtime.us-east-1.amazonaws.com", "/model/m/invoke", r#""id":"m","type":"message","usage":{"input_tokens":1000,"output_tokens":9000}"#),
];

#[track_caller]
fn unmoved(host: &str, path: &str, honest: &str, forged: &str, member: &str) {
    let body = |members: &str| format!("{{{members}}}");
    let run = |body: &str| charged(Play { host, path, body, ..Play::default() }.run().expect("a call"));
    let expected = run(&body(honest));
    assert_eq!(run(&body(forged)), expected, "{path}: {member}");
}

cases! {
    fn contract_what_a_response_repeats_of_the_request_counts_nothing() {
        let listed = format!("[{FORGED}]");
        for &(host, path, honest) in [CALLS, WITH_METADATA].concat().iter() {
            let is_own = |member: &str| member == "metadata" && WITH_METADATA.iter().any(|known| known.1 == path);
            // Some models are told by tools that the provider runs; a model's name in a client's own changes no price here.
            for member in ECHOES.iter().filter(|member| !is_own(member)) {
                for echo in [FORGED, &listed] {
                    unmoved(host, path, honest, &format!(r#""{member}":{echo},{honest}"#), member);
                    unmoved(host, path, honest, &format!(r#"{honest},"{member}":{echo}"#), member);
                }
            }
        }
    }

    fn contract_what_the_end_of_a_stream_repeats_of_the_request_counts_nothing() {
        let event = |echo: &str| format!("data: {{\"type\":\"response.completed\",\"response\":{{\"id\":\"r\",\"object\":\"response\",\"model\":\"gpt-4.1\",\"usage\":{{\"input_tokens\":1000,\"output_tokens\":9000}}{echo}}}}}\n\n");
        let run = |body: &str| {
            charged(Play { path: "/v1/responses", content_type: "text/event-stream", body, ..Play::default() }.run().expect("a call"))
        };
        let expected = run(&event(""));
        for member in ECHOES {
            assert_eq!(run(&event(&format!(r#","{member}":{FORGED}"#))), expected, "{member}");
        }
    }

    fn contract_the_metadata_of_converse_is_its_own() {
        let (host, path, body) = WITH_METADATA[1];
        let record = Play { host, path, body: &format!("{{{body}}}"), ..Play::default() }.run().unwrap();
        assert_eq!((record.evidence, record.usage.input_total(), record.usage.output_total()), (Evidence::Reported, Some(1000), Some(9000)));
        assert_eq!(record.service_tier.as_deref(), Some("priority"));
    }
}

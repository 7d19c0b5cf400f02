use super::*;

mod destination;
mod elsewhere;
mod fees;
mod golden;
mod members;
use wire::usage::Class::{self, *};

use crate::framing::Body;
use crate::provider::{Detect, Rule};

const DETECT: Detect = Detect { by_shape: true, trust_host: false, rules: Vec::new() };

/// Facts of a body.
fn facts(body: &str) -> Facts {
    let mut facts = Facts::default();
    let mut reader = Body::new(None);
    reader.feed(response_paths(None, Endpoint::Model), body.as_bytes(), &mut facts);
    reader.end(response_paths(None, Endpoint::Model), &mut facts);
    facts
}

/// Their reading.
fn reading(api: Api, body: &str) -> Reading {
    read(api, &facts(body), &Target::of(api))
}

#[track_caller]
fn expect(api: Api, body: &str, classes: &[(Class, u64)], flags: &[Flag]) {
    let reading = reading(api, body);
    let mut expected: Vec<(Class, u64)> = classes.to_vec();
    expected.sort_unstable();
    assert_eq!(reading.usage.iter().collect::<Vec<_>>(), expected, "{body}");
    assert_eq!(reading.flags, flags, "{body}");
}

cases! {
    fn deterministic_chat_parts_are_inside() {
        expect(Api::OpenAiChat, r#"{"usage":{"prompt_tokens":53,"completion_tokens":123,"total_tokens":176,"prompt_tokens_details":{"audio_tokens":37,"text_tokens":16}}}"#,
            &[(InputText, 16), (InputAudio, 37), (OutputText, 123)], &[]);
        expect(Api::OpenAiChat, r#"{"usage":{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":64,"cache_write_tokens":6},"completion_tokens_details":{"reasoning_tokens":40,"audio_tokens":0}}}"#,
            &[(InputText, 30), (CacheRead, 64), (CacheWriteOther, 6), (OutputText, 10), (OutputReasoning, 40), (OutputAudio, 0)], &[]);
    }

    fn deterministic_each_reason_why_the_model_stopped_is_kept_once() {
        let stream = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\ndata: {\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"length\"}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        let long = format!(r#"{{"finish_reason":"{}"}}"#, "x".repeat(65));
        let cases = [
            (r#"{"choices":[{"finish_reason":"stop"},{"finish_reason":"length"},{"finish_reason":"stop"}]}"#, Some("stop,length")),
            (stream, Some("length,stop")),
            (r#"{"type":"message","stop_reason":"end_turn"}"#, Some("end_turn")),
            (r#"{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}"#, Some("max_output_tokens")),
            (r#"{"candidates":[{"finishReason":"MAX_TOKENS"}]}"#, Some("MAX_TOKENS")),
            (r#"{"output":{},"stopReason":"tool_use"}"#, Some("tool_use")),
            (r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE"}}"#, Some("COMPLETE")),
            (r#"{"model":"m","done":true,"done_reason":"stop"}"#, Some("stop")),
            (r#"{"generated_text":"a","details":{"finish_reason":"eos_token"}}"#, Some("eos_token")),
            // What is no word may be anything.
            (r#"{"choices":[{"finish_reason":"a sentence"},{"finish_reason":"a,b"},{"finish_reason":""},{"finish_reason":7},{"finish_reason":null}]}"#, None),
            (&long, None),
        ];
        for (body, expected) in cases {
            assert_eq!(facts(body).finish_reasons.as_deref(), expected, "{body}");
        }
        let many: Vec<String> = (0..1000).map(|number| format!(r#"{{"finish_reason":"reason-{number}"}}"#)).collect();
        assert!(facts(&format!(r#"{{"choices":[{}]}}"#, many.join(","))).finish_reasons.unwrap().len() <= 256 + 1);
    }

    fn deterministic_the_total_proves_parts_that_lie_beside() {
        // xAI's chat: reasoning beside the completion.
        expect(Api::OpenAiChat, r#"{"usage":{"prompt_tokens":12,"completion_tokens":2,"total_tokens":354,"prompt_tokens_details":{"cached_tokens":11},"completion_tokens_details":{"reasoning_tokens":340}}}"#,
            &[(InputText, 1), (CacheRead, 11), (OutputText, 2), (OutputReasoning, 340)], &[]);
        // Mistral's audio: beside the prompt.
        expect(Api::OpenAiChat, r#"{"usage":{"prompt_tokens":9,"completion_tokens":201,"total_tokens":585,"prompt_tokens_details":{"audio_tokens":375}}}"#,
            &[(InputText, 9), (InputAudio, 375), (OutputText, 201)], &[]);
        expect(Api::OpenAiChat, r#"{"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":20}}"#,
            &[(InputText, 10), (OutputText, 5)], &[Flag::TotalMismatch]);
        // Two explanations are none.
        expect(Api::OpenAiChat, r#"{"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":18,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":3}}}"#,
            &[(InputText, 7), (CacheRead, 3), (OutputText, 2), (OutputReasoning, 3)], &[Flag::TotalMismatch]);
    }

    fn deterministic_a_part_larger_than_its_whole_is_not_charged() {
        expect(Api::OpenAiChat, r#"{"usage":{"prompt_tokens":31,"completion_tokens":9,"total_tokens":40,"prompt_tokens_details":{"cached_tokens":161}}}"#,
            &[(InputText, 31), (OutputText, 9), (CacheReadUnbilled, 161)], &[Flag::PartExceedsParent]);
    }

    fn deterministic_responses() {
        expect(Api::OpenAiResponses, r#"{"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":0},"output_tokens":2397,"output_tokens_details":{"reasoning_tokens":1920},"total_tokens":2433}}"#,
            &[(InputText, 36), (CacheRead, 0), (OutputText, 477), (OutputReasoning, 1920)], &[]);
        let stream = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":504,\"input_tokens_details\":{\"cached_tokens\":192},\"output_tokens\":1170,\"output_tokens_details\":{\"reasoning_tokens\":1109},\"total_tokens\":1674}}}\n\n";
        expect(Api::OpenAiResponses, stream, &[(InputText, 312), (CacheRead, 192), (OutputText, 61), (OutputReasoning, 1109)], &[]);
    }

    fn deterministic_anthropic_cache_is_beside_the_input() {
        expect(Api::AnthropicMessages, r#"{"type":"message","usage":{"input_tokens":10,"cache_creation_input_tokens":300,"cache_read_input_tokens":2000,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200},"output_tokens":50,"output_tokens_details":{"thinking_tokens":20},"server_tool_use":{"web_search_requests":2}}}"#,
            &[(InputText, 10), (CacheRead, 2000), (CacheWrite5m, 100), (CacheWrite1h, 200), (OutputText, 30), (OutputReasoning, 20), (WebSearches, 2)], &[]);
    }

    fn deterministic_anthropic_stream_overlays_the_start_with_the_delta() {
        let start = r#"data: {"type":"message_start","message":{"usage":{"input_tokens":2,"cache_creation_input_tokens":3068,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":3068,"ephemeral_1h_input_tokens":0},"output_tokens":69}}}"#;
        let delta = r#"data: {"type":"message_delta","usage":{"input_tokens":6,"cache_creation_input_tokens":3337,"cache_read_input_tokens":6289,"output_tokens":198}}"#;
        expect(Api::AnthropicMessages, &format!("{start}\n\n{delta}\n\n"),
            &[(InputText, 6), (CacheRead, 6289), (CacheWrite5m, 3337), (CacheWrite1h, 0), (OutputText, 198)], &[Flag::TtlAssumed]);
        assert!(!reading(Api::AnthropicMessages, start).complete, "the start's output is only a first count");
        assert!(reading(Api::AnthropicMessages, &format!("{start}\n\n{delta}")).complete);
    }

    fn contract_a_later_zero_or_null_erases_nothing() {
        let stream = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\ndata: {\"type\":\"message_delta\",\"usage\":{\"input_tokens\":0,\"cache_read_input_tokens\":null,\"output_tokens\":7}}\n\n";
        expect(Api::AnthropicMessages, stream, &[(InputText, 25), (OutputText, 7)], &[]);
    }

    fn deterministic_detection_by_host_and_path() {
        let find = |method: &str, host: &str, path: &str| {
            detect(method.as_bytes(), host.as_bytes(), path.as_bytes(), &DETECT, &()).map(|target| (target.provider.map(|name| name.into_owned()), target.api, target.certainty))
        };
        use Certainty::*;
        for (host, path, expected) in [
            ("api.openai.com", "/v1/chat/completions", Some((Some("openai"), Some(Api::OpenAiChat), Known))),
            ("API.OpenAI.com:443", "/v1/responses/?x=1", Some((Some("openai"), Some(Api::OpenAiResponses), Known))),
            ("eu.api.openai.com", "/v1/responses", Some((Some("openai"), Some(Api::OpenAiResponses), Known))),
            ("evil-api.openai.com.example", "/v1/responses", Some((None, Some(Api::OpenAiResponses), Path))),
            ("api.anthropic.com", "/v1/messages?beta=true", Some((Some("anthropic"), Some(Api::AnthropicMessages), Known))),
            ("api.anthropic.com", "/v1/messages/count_tokens", None),
            ("api.openai.com", "/v1/responses/resp_1/cancel", None),
            ("api.openai.com", "/v1/responses/input_tokens", None),
            ("x.openai.azure.com", "//openai/deployments/d/chat/completions?api-version=1", Some((Some("azure.ai.openai"), Some(Api::OpenAiChat), Known))),
            ("europe-west4-aiplatform.googleapis.com", "/v1/x/models/gemini-2.5-flash:streamGenerateContent?alt=sse", Some((Some("gcp.vertex_ai"), Some(Api::Gemini), Known))),
            ("bedrock-runtime.us-east-1.amazonaws.com", "/model/us.amazon.nova%3A0/converse-stream", Some((Some("aws.bedrock"), Some(Api::BedrockConverse), Known))),
            ("bedrock-runtime-fips.us-east-1.amazonaws.com.evil.example", "/x", Some((None, None, Shape))),
            ("api.openai.com", "/v1/files", Some((Some("openai"), None, Shape))),
            ("vllm.internal:8000", "/v1/chat/completions", Some((None, Some(Api::OpenAiChat), Path))),
            ("[::1]", "/anything", Some((None, None, Shape))),
            ("", "", Some((None, None, Shape))),
        ] {
            let expected = expected.map(|(provider, api, certainty)| (provider.map(str::to_owned), api, certainty));
            assert_eq!(find("POST", host, path), expected, "{host}{path}");
        }
        assert_eq!(find("GET", "api.openai.com", "/v1/chat/completions"), None);
        let off = Detect { by_shape: false, trust_host: false, rules: vec![] };
        assert_eq!(detect(b"POST", b"x", b"/", &off, &()), None);
    }

    fn deterministic_every_spelling_of_a_path_is_the_same_path() {
        let of = |path: &str| {
            detect(b"POST", b"api.openai.com", path.as_bytes(), &DETECT, &()).map(|target| (target.api, target.asking.is_here(), target.may_take_include_usage))
        };
        for path in [
            "/v1/chat/completions", "/v1/chat/completions/", "/v1/chat/complet%69ons", "/v1/%63%68%61%74/completion%73?a=b", "//v1//chat//completions//",
            "/v1/./chat/completions/.", "/v1/models/../chat/completions", "/v1/chat/x/%2e%2E/completions", "/v1/chat;a=b/completions;c", "/v1/chat%2Fcompletions",
            "/v1%2fchat%2fcompletions%2f", "/V1/Chat/Completions", "v1/chat/completions#x", "/../../chat/completions",
        ] {
            assert_eq!(of(path), Some((Some(Api::OpenAiChat), true, false)), "{path}");
        }
        for path in ["/v1/chat/complet", "/v1/chat/completions/x", "/v1/chat/completions%00", "/", "", "/%", "/v1/chat/complet%6ions"] {
            assert_eq!(of(path), Some((None, false, true)), "{path}");
        }
        for path in ["/v1/messages/count%5Ftokens", "/v1//tokenize/", "/v1/responses%2Finput_tokens"] {
            assert_eq!(of(path), None, "{path}");
        }
        let model = |path: &str| detect(b"POST", b"bedrock-runtime.eu-west-1.amazonaws.com", path.as_bytes(), &DETECT, &()).unwrap();
        let named = model("/model/arn%3Aaws%3Abedrock%2Fprofile/converse");
        assert_eq!((named.api, named.model.as_deref()), (Some(Api::BedrockConverse), Some("arn:aws:bedrock/profile")));
    }

    fn deterministic_configured_hosts_come_first() {
        let rule = |host: &str, path: Option<&str>, api, include_usage| Rule {
            host: Some(host.into()), path: path.map(str::to_owned), provider: "corp".into(), api, include_usage: Some(include_usage), ..Rule::default()
        };
        let rules = vec![
            rule("llm.corp", Some("ask/*"), Some(Api::Gemini), true),
            rule("*.corp", None, None, true),
            rule("api.openai.com", None, None, false),
        ];
        let detect_with = |host: &str, path: &str| {
            let target = detect(b"POST", host.as_bytes(), path.as_bytes(), &Detect { by_shape: true, trust_host: false, rules: rules.clone() }, &()).unwrap();
            (target.provider.unwrap().into_owned(), target.api, target.certainty, target.asking.is_here())
        };
        assert_eq!(detect_with("llm.corp:80", "/ask/me"), ("corp".into(), Some(Api::Gemini), Certainty::Known, false));
        assert_eq!(detect_with("llm.corp", "/other"), ("corp".into(), None, Certainty::Shape, false));
        assert_eq!(detect_with("vllm.corp", "/v1/chat/completions"), ("corp".into(), Some(Api::OpenAiChat), Certainty::Known, true));
        assert_eq!(detect_with("api.openai.com", "/v1/chat/completions"), ("corp".into(), Some(Api::OpenAiChat), Certainty::Known, false));
        let takes = |path: &str| detect(b"POST", b"api.openai.com", path.as_bytes(), &DETECT, &()).unwrap().asking.is_here();
        assert_eq!(["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"].map(takes), [true, true, false, false]);
    }

    fn contract_raw_usage_is_kept_and_capped() {
        let mut facts = Facts::default();
        let padding = "1,".repeat(5_000);
        let body = format!(r#"{{"usage":{{"prompt_tokens":1,"pad":[{padding}1],"completion_tokens":2}}}}"#);
        let mut reader = Body::new(None);
        reader.feed(response_paths(None, Endpoint::Model), body.as_bytes(), &mut facts);
        assert!(facts.raw_usage().unwrap().len() <= wire::event::MAX_RAW_USAGE);
        assert!(facts.flags.contains(Flag::RawUsageCapped));
        assert_eq!(read(Api::OpenAiChat, &facts, &Target::of(Api::OpenAiChat)).usage.get(OutputText), Some(2));
        let mut facts = Facts::default();
        let mut reader = Body::new(None);
        reader.feed(response_paths(None, Endpoint::Model), br#"{"usage": {"prompt_tokens" : 1}}"#, &mut facts);
        assert_eq!(facts.raw_usage().as_deref(), Some(r#"{"usage":{"prompt_tokens" : 1}}"#));
    }
}

mod bound;
mod cut;
mod echo;
mod forms;
mod prompts;
mod requests;
mod told;
mod units;

use wire::record::{Evidence, Flag, Missing, Outcome, Record};
use wire::usage::Class;

use super::*;
use crate::estimate::Ratios;
use crate::provider::Endpoint;

const DETECT: Detect = Detect { by_shape: true, trust_host: false, rules: Vec::new() };
const MS: u64 = 1_000_000;

/// A stream to play: host, path, request, status, content type, chunks of the response, and how it ended.
#[derive(Clone, Copy, Debug)]
struct Play<'a> {
    host: &'a str,
    path: &'a str,
    request: &'a str,
    status: Option<u64>,
    content_type: &'a str,
    encoding: Option<&'a str>,
    body: &'a str,
    cut: Option<Cut>,
}

impl Default for Play<'_> {
    fn default() -> Self {
        Play {
            host: "api.openai.com",
            path: "/v1/chat/completions",
            request: r#"{"model":"gpt-4.1","messages":[{"role":"user","content":"\"model\":\"fake\""}]}"#,
            status: Some(200),
            content_type: "application/json",
            encoding: None,
            body: CHAT,
            cut: None,
        }
    }
}

impl Play<'_> {
    fn run_split(&self, size: usize) -> Option<Record> {
        let head = RequestHead {
            method: b"POST",
            host: self.host.as_bytes(),
            path: self.path.as_bytes(),
            content_encoding: None,
        };
        let mut call = Call::begin(&head, &DETECT, 5_000 * MS)?;
        self.request.as_bytes().chunks(size).for_each(|chunk| call.request_body(chunk));
        if self.status.is_some() {
            call.response_head(&ResponseHead {
                status: self.status,
                content_type: Some(self.content_type.as_bytes()),
                content_encoding: self.encoding.map(str::as_bytes),
            });
        }
        for (index, chunk) in self.body.as_bytes().chunks(size).enumerate() {
            call.first_byte(|| 5_100 * MS + index as u64);
            call.response_body(chunk);
        }
        if self.cut.is_none() {
            call.response_end();
            call.response_end();
        }
        call.finish(Ended { now_ns: 5_200 * MS, cut: self.cut, ..Ended::default() }, &mut Ratios::default())
            .into_iter()
            .next()
    }

    /// The record, the same for every size of chunk.
    fn run(&self) -> Option<Record> {
        let whole = self.run_split(usize::MAX);
        for size in [1, 2, 3, 7, 64] {
            assert_eq!(self.run_split(size), whole, "chunks of {size}");
        }
        whole
    }
}

const CHAT: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4.1-2025-04-14","service_tier":"default","choices":[{"message":{"content":"\"usage\":{\"prompt_tokens\":9999}"}}],"usage":{"prompt_tokens":30,"completion_tokens":12,"total_tokens":42,"prompt_tokens_details":{"cached_tokens":10}}}"#;
const CHUNKS: &str = "data: {\"id\":\"chatcmpl-2\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4.1\",\"choices\":[{\"delta\":{\"content\":\"Hi\"}}],\"usage\":null}\n\n";
const USAGE_CHUNK: &str = "data: {\"id\":\"chatcmpl-2\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4.1\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":11,\"total_tokens\":16}}\n\n";

cases! {
    fn deterministic_a_whole_response_gives_a_full_record() {
        let record = Play::default().run().unwrap();
        assert_eq!((record.provider.as_str(), record.api.as_str(), record.operation.as_str()), ("openai", "openai_chat", "chat"));
        assert_eq!(record.request_model.as_deref(), Some("gpt-4.1"));
        assert_eq!(record.response_model.as_deref(), Some("gpt-4.1-2025-04-14"));
        assert_eq!((record.response_id.as_deref(), record.service_tier.as_deref()), (Some("chatcmpl-1"), Some("default")));
        assert_eq!(record.usage.iter().collect::<Vec<_>>(), [(Class::InputText, 20), (Class::CacheRead, 10), (Class::OutputText, 12)]);
        assert_eq!((record.outcome, record.evidence, record.missing_reason), (Outcome::Completed, Evidence::Reported, None));
        assert_eq!((record.status, record.stream, record.provider_total), (Some(200), false, Some(42)));
        assert_eq!((record.duration_us, record.time_to_first_token_us, record.time_per_output_token_us), (200_000, Some(100_000), None));
        assert!(record.flags.is_empty());
    }

    fn deterministic_a_stream_has_times_per_token() {
        let body = format!("{CHUNKS}{CHUNKS}{USAGE_CHUNK}data: [DONE]\n\n");
        let record = Play { content_type: "text/event-stream", body: &body, ..Play::default() }.run().unwrap();
        assert!(record.stream);
        assert_eq!((record.usage.input_total(), record.usage.output_total()), (Some(5), Some(11)));
        assert_eq!(record.time_per_output_token_us, Some(10_000));
        assert_eq!(record.evidence, Evidence::Reported);
    }

    fn contract_every_ending_gives_one_record_that_says_why_there_is_no_usage() {
        let stream = format!("{CHUNKS}data: [DONE]\n\n");
        let error = r#"{"error":{"message":"secret prompt","type":"invalid_request_error"}}"#;
        let client = Some(Cut::Client);
        let cases = [
            (Play { body: &stream, ..Play::default() }, Outcome::Completed, Missing::NotRequested),
            (Play { body: &stream, request: r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#, ..Play::default() }, Outcome::Completed, Missing::Absent),
            (Play { body: "{\"object\":\"chat.completion\"}", ..Play::default() }, Outcome::Completed, Missing::Absent),
            (Play { body: "", ..Play::default() }, Outcome::Completed, Missing::NoBody),
            (Play { body: "<html>", ..Play::default() }, Outcome::Completed, Missing::UnknownFormat),
            (Play { body: "{\"object\":\"chat.completion\",", ..Play::default() }, Outcome::Completed, Missing::TruncatedBody),
            (Play { body: "{\"object\"}", ..Play::default() }, Outcome::Completed, Missing::MalformedBody),
            (Play { encoding: Some("pigeon"), ..Play::default() }, Outcome::Completed, Missing::EncodedBody),
            (Play { encoding: Some("GZIP"), ..Play::default() }, Outcome::Completed, Missing::MalformedBody),
            (Play { status: Some(400), body: error, ..Play::default() }, Outcome::ErrorStatus, Missing::ErrorStatus),
            (Play { status: Some(503), body: "upstream connect error", cut: Some(Cut::NotSent), ..Play::default() }, Outcome::NotSent, Missing::ErrorStatus),
            (Play { body: CHUNKS, cut: client, ..Play::default() }, Outcome::ClientAborted, Missing::TruncatedBody),
            (Play { body: CHUNKS, cut: Some(Cut::Upstream), ..Play::default() }, Outcome::UpstreamReset, Missing::TruncatedBody),
            (Play { status: None, body: "", cut: client, ..Play::default() }, Outcome::ClientAborted, Missing::NoResponse),
            (Play { status: Some(504), body: "timeout", cut: Some(Cut::Timeout), ..Play::default() }, Outcome::Timeout, Missing::ErrorStatus),
        ];
        for (play, outcome, reason) in cases {
            let record = play.run().unwrap();
            assert_eq!((record.outcome, record.missing_reason), (outcome, Some(reason)), "{} {:?}", play.body, play.status);
            // Where the model has written something, that is what the estimate goes by.
            let expected = if play.body.contains("Hi") { (Evidence::Estimated, Some(1)) } else { (Evidence::Missing, None) };
            assert_eq!((record.evidence, record.usage.output_total()), expected, "{}", play.body);
        }
        let record = Play { status: Some(400), body: error, ..Play::default() }.run().unwrap();
        assert_eq!(record.error_type.as_deref(), Some("invalid_request_error"));
    }

    fn contract_a_response_of_the_proxys_own_is_none_of_the_providers() {
        let cases = [
            // Timeout, reset, no connection, a limit, and a refusal without a flag.
            (Some(Cut::Timeout), 504, Outcome::Timeout, true), (Some(Cut::Upstream), 503, Outcome::UpstreamReset, true), (Some(Cut::NotSent), 503, Outcome::NotSent, false),
            (Some(Cut::NotSent), 429, Outcome::NotSent, false), (None, 403, Outcome::NotSent, false), (Some(Cut::Client), 504, Outcome::ClientAborted, true),
        ];
        for (cut, status, outcome, is_estimated) in cases {
            let head = RequestHead { method: b"POST", host: b"api.openai.com", path: b"/v1/chat/completions", content_encoding: None };
            let mut call = Call::begin(&head, &DETECT, 0).unwrap();
            call.request_body(Play::default().request.as_bytes());
            call.response_head(&ResponseHead { status: Some(status), content_type: Some(b"application/json"), content_encoding: None });
            call.local_reply();
            assert!(call.has_response() && !call.has_upstream_response());
            call.response_body(CHAT.as_bytes());
            call.response_end();
            let ended = Ended { cut, sent: true, ..Ended::default() };
            let record = call.finish(ended, &mut Ratios::default()).remove(0);
            let expected = if is_estimated { Evidence::Estimated } else { Evidence::Missing };
            assert_eq!((record.outcome, record.evidence, record.status), (outcome, expected, Some(status)), "{cut:?}");
            assert_eq!(record.missing_reason, Some(Missing::NoResponse), "{cut:?}");
            assert_eq!((record.usage.input_total().is_some(), record.usage.output_total()), (is_estimated, None), "{cut:?}");
            assert_eq!(record.response_id, None, "the body is not the provider's");
        }
    }

    fn contract_a_refusal_is_heard_in_any_format_and_coding() {
        let named = r#"{"error":{"message":"Unrecognized request argument supplied: stream_options"}}"#;
        for (status, content_type, body, expected) in [
            (400, "application/json", named, true),
            (422, "application/json", named, true),
            (400, "text/plain", "unknown field include_usage", true),
            (400, "application/json", r#"{"error":{"message":"no such model"}}"#, false),
            (401, "application/json", named, false),
            (200, "application/json", named, false),
        ] {
            for size in [1, 7, usize::MAX] {
                let head = RequestHead { method: b"POST", host: b"api.openai.com", path: b"/v1/chat/completions", content_encoding: None };
                let mut call = Call::begin(&head, &DETECT, 0).unwrap();
                call.response_head(&ResponseHead { status: Some(status), content_type: Some(content_type.as_bytes()), content_encoding: None });
                call.await_refusal();
                for piece in body.as_bytes().chunks(size) {
                    if call.reads_response() {
                        call.response_body(piece);
                    }
                }
                assert!(!call.is_asking_refused(), "what follows may show an echo");
                call.response_end();
                assert_eq!(call.is_asking_refused(), expected, "{status} {body} by {size}");
            }
        }
        let head = RequestHead { method: b"POST", host: b"api.openai.com", path: b"/v1/chat/completions", content_encoding: None };
        let mut call = Call::begin(&head, &DETECT, 0).unwrap();
        call.response_head(&ResponseHead { status: Some(400), content_type: None, content_encoding: None });
        call.response_body(named.as_bytes());
        call.response_end();
        assert!(!call.is_asking_refused(), "nobody asked");
    }

    fn contract_whether_to_ask_is_decided_by_all_that_the_request_says() {
        let bar = |host: &str, path: &str, body: &str| {
            let head = RequestHead { method: b"POST", host: host.as_bytes(), path: path.as_bytes(), content_encoding: None };
            let mut call = Call::begin(&head, &DETECT, 0).unwrap();
            call.request_body(body.as_bytes());
            (call.may_be_asked(), call.bar().is_some())
        };
        let azure = "/openai/deployments/d/chat/completions?api-version=2024-10-21";
        for (host, path, body, expected) in [
            ("x.openai.azure.com", azure, r#"{"stream":true}"#, (true, false)),
            ("x.openai.azure.com", azure, r#"{"stream":true,"data_sources":[{"type":"azure_search","parameters":{}}]}"#, (true, true)),
            ("x.openai.azure.com", azure, r#"{"stream":true,"d\u0061ta_sources":[{}]}"#, (true, true)),
            ("x.openai.azure.com", azure, r#"{"stream":true,"data_sources":null,"x":{"data_sources":[{}]}}"#, (true, false)),
            ("x.openai.azure.com", azure, r#"{"stream":tru"#, (true, false)),
            ("x.openai.azure.com", azure, "no JSON", (true, true)),
            ("api.openai.com", "/v1/chat/completions", "no JSON", (true, false)),
            ("x.azuredatabricks.net", "/serving-endpoints/databricks-claude-3/invocations", "{}", (false, true)),
            ("x.azuredatabricks.net", "/serving-endpoints/chat/completions", r#"{"model":"databricks-claude-3"}"#, (true, true)),
            ("x.azuredatabricks.net", "/serving-endpoints/chat/completions", r#"{"model":"databricks-llama-4"}"#, (true, false)),
        ] {
            assert_eq!(bar(host, path, body), expected, "{host}{path} {body}");
        }
    }

    fn contract_usage_seen_before_the_end_is_kept() {
        let late = format!("{CHUNKS}{USAGE_CHUNK}");
        let record = Play { body: &late, cut: Some(Cut::Client), ..Play::default() }.run().unwrap();
        assert_eq!((record.evidence, record.usage.output_total(), record.outcome), (Evidence::Reported, Some(11), Outcome::ClientAborted));
        assert!(record.flags.contains(Flag::BodyIncomplete));
        let start = "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude\",\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n";
        let anthropic = Play { host: "api.anthropic.com", path: "/v1/messages", body: start, cut: Some(Cut::Client), ..Play::default() };
        let record = anthropic.run().unwrap();
        assert_eq!((record.evidence, record.usage.input_total()), (Evidence::Partial, Some(25)));
        assert_eq!(record.response_id.as_deref(), Some("msg_1"));
    }

    fn deterministic_another_models_share_is_a_record_of_its_own() {
        let head = RequestHead { method: b"POST", host: b"api.anthropic.com", path: b"/v1/messages", content_encoding: None };
        let mut call = Call::begin(&head, &DETECT, 0).unwrap();
        call.response_head(&ResponseHead { status: Some(200), content_type: None, content_encoding: None });
        call.response_body(br#"{"type":"message","id":"msg_1","model":"top","usage":{"input_tokens":5,"output_tokens":6,"iterations":[{"type":"message","input_tokens":5,"output_tokens":6},{"type":"advisor_message","model":"adviser","input_tokens":27,"output_tokens":38}]}}"#);
        let records = call.finish(Ended::default(), &mut Ratios::default());
        let told: Vec<_> = records.iter().map(|record| (record.part.as_deref(), record.model(), record.usage.input_total(), record.response_id.as_deref())).collect();
        assert_eq!(told, [(None, Some("top"), Some(5), Some("msg_1")), (Some("advisor_message"), Some("adviser"), Some(27), Some("msg_1"))]);
        assert!(records[1].raw_usage.is_none() && records[0].raw_usage.is_some());
    }

    fn contract_calls_of_tools_alone_are_no_usage() {
        let item = "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"web_search_call\",\"id\":\"ws\",\"action\":{\"type\":\"search\"}}}\n\n";
        let text = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Two words\"}\n\n";
        let play = Play { path: "/v1/responses", cut: Some(Cut::Client), ..Play::default() };
        let searched = Play { body: item, cut: None, ..play }.run().unwrap();
        assert_eq!((searched.evidence, searched.usage.get(Class::WebSearches), searched.usage.output_total()), (Evidence::Missing, Some(1), None));
        assert!(searched.missing_reason.is_some());
        // One that breaks off owes its input.
        let cut = Play { body: item, ..play }.run().unwrap();
        assert_eq!((cut.evidence, cut.usage.get(Class::WebSearches), cut.usage.output_total()), (Evidence::Estimated, Some(1), None));
        assert!(cut.usage.input_total() > Some(0));
        let spoken = Play { body: &format!("{item}{text}"), ..play }.run().unwrap();
        assert_eq!((spoken.evidence, spoken.usage.get(Class::WebSearches)), (Evidence::Estimated, Some(1)));
        assert!(spoken.usage.output_total() > Some(0));
    }

    fn deterministic_a_record_names_what_nobody_reads() {
        let known = Play::default().run().unwrap();
        assert_eq!((known.unknown_usage.as_deref(), known.flags.contains(Flag::UnknownUsage)), (None, false));
        let body = CHAT.replace("\"total_tokens\":42", "\"total_tokens\":42,\"smell_tokens\":3");
        let unknown = Play { body: &body, ..Play::default() }.run().unwrap();
        assert_eq!((unknown.unknown_usage.as_deref(), unknown.flags.contains(Flag::UnknownUsage)), (Some("smell_tokens"), true));
    }

    fn deterministic_a_header_has_the_tier_unless_the_body_has_it() {
        let tier = |body: &str, name: &str, status: u64| {
            let path = b"/v1beta/models/gemini-3-pro:generateContent";
            let head = RequestHead { method: b"POST", host: b"generativelanguage.googleapis.com", path, content_encoding: None };
            let mut call = Call::begin(&head, &DETECT, 0).unwrap();
            assert!(call.reads_headers());
            call.response_head(&ResponseHead { status: Some(status), content_type: None, content_encoding: None });
            call.response_header(name, b"priority");
            call.response_body(body.as_bytes());
            call.finish(Ended::default(), &mut Ratios::default()).remove(0).service_tier
        };
        let body = r#"{"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"totalTokenCount":7}}"#;
        let told = body.replace("\"totalTokenCount\"", "\"serviceTier\":\"flex\",\"totalTokenCount\"");
        assert_eq!(tier(body, "x-gemini-service-tier", 200).as_deref(), Some("priority"));
        assert_eq!(tier(&told, "x-gemini-service-tier", 200).as_deref(), Some("flex"));
        assert_eq!(tier(body, "x-other", 200), None);
        assert_eq!(tier(body, "x-gemini-service-tier", 500), None);
    }

    fn deterministic_estimates_learn_from_completed_calls() {
        let mut ratios = Ratios::default();
        let stream = |usage: &str| {
            let text = "words and more words ".repeat(30);
            format!("data: {{\"model\":\"m\",\"object\":\"chat.completion.chunk\",\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n{usage}")
        };
        let mut run = |body: &str, cut| {
            let head = RequestHead { method: b"POST", host: b"api.openai.com", path: b"/v1/chat/completions", content_encoding: None };
            let mut call = Call::begin(&head, &DETECT, 0).unwrap();
            call.request_body(format!("{{\"messages\":[{{\"content\":\"{}\"}}]}}", "x".repeat(500)).as_bytes());
            call.response_head(&ResponseHead { status: Some(200), content_type: None, content_encoding: None });
            call.response_body(body.as_bytes());
            let record = call.finish(Ended { cut, ..Ended::default() }, &mut ratios).remove(0);
            (record.evidence, record.usage.input_total(), record.usage.output_total())
        };
        assert_eq!(run(&stream(""), Some(Cut::Client)), (Evidence::Estimated, Some(125), Some(120)));
        let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":110,\"completion_tokens\":300,\"total_tokens\":410}}\n\n";
        assert_eq!(run(&stream(usage), None), (Evidence::Reported, Some(110), Some(300)));
        assert_eq!(run(&stream(""), Some(Cut::Client)), (Evidence::Estimated, Some(110), Some(300)));
    }

    fn contract_a_record_says_why_a_stream_was_not_asked() {
        let stream = r#"{"model":"m","stream":true}"#;
        let (chunks, counted) = (format!("{CHUNKS}data: [DONE]\n\n"), format!("{CHUNKS}{USAGE_CHUNK}"));
        let made = |request: &str, path: &str, body: &str, not_asked, refused: Option<&str>| {
            let head = RequestHead { method: b"POST", host: b"api.openai.com", path: path.as_bytes(), content_encoding: None };
            let mut call = Call::begin(&head, &DETECT, 0).unwrap();
            call.request_body(request.as_bytes());
            if !body.is_empty() {
                call.response_head(&ResponseHead { status: Some(200), content_type: None, content_encoding: None });
                call.response_body(body.as_bytes());
            }
            let record = call.finish(Ended { not_asked, refused_by: refused.map(str::to_owned), ..Ended::default() }, &mut Ratios::default()).remove(0);
            (record.usage_not_asked, record.outcome, record.evidence)
        };
        let (path, signed) = ("/v1/chat/completions", Some(NotAsked::Signed));
        assert_eq!(made(stream, path, &chunks, signed, None), (signed, Outcome::Completed, Evidence::Estimated));
        assert_eq!(made(stream, path, &counted, signed, None), (None, Outcome::Completed, Evidence::Reported));
        assert_eq!(made(stream, path, CHAT, signed, None), (None, Outcome::Completed, Evidence::Reported));
        assert_eq!(made(r#"{"model":"m"}"#, path, r#"{"object":"chat.completion"}"#, signed, None), (None, Outcome::Completed, Evidence::Missing));
        assert_eq!(made(r#"{"stream":true,"stream_options":{"include_usage":true}}"#, path, &chunks, signed, None).0, None);
        assert_eq!(made(stream, "/v1/chat/complet", &chunks, None, None), (Some(NotAsked::UnknownPath), Outcome::Completed, Evidence::Estimated));
        assert_eq!(made(stream, "/v1/responses", &chunks, None, None).0, None);
        // The response is the meter's own.
        assert_eq!(made(stream, path, &counted, signed, Some("usage_not_asked")), (signed, Outcome::Refused, Evidence::Missing));
        assert_eq!(made(stream, path, "", signed, Some("usage_not_asked")), (signed, Outcome::Refused, Evidence::Missing));
        assert_eq!(made(stream, path, "", signed, Some("budget:x")), (None, Outcome::Refused, Evidence::Missing));
    }

    fn deterministic_a_request_says_the_same_in_every_spelling() {
        let gzip = {
            let plain = br#"{"model":"m\n","messages":[{"role":"user","content":"a question"}],"stream":true}"#;
            let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
            // One stored block.
            let length = u16::try_from(plain.len()).unwrap();
            member.push(1);
            member.extend([length.to_le_bytes(), (!length).to_le_bytes()].concat());
            member.extend_from_slice(plain);
            member
        };
        let long = "\\u006d".repeat(200);
        let spelled = format!(r#"{{"\u006d\u006f\u0064\u0065\u006c":"{long}","\u0073tream":false,"stream":true}}"#);
        let options = r#"{"stream":true,"\u0073\u0074\u0072\u0065\u0061\u006d\u005f\u006f\u0070\u0074\u0069\u006f\u006e\u0073":{"\u0069\u006e\u0063\u006c\u0075\u0064\u0065\u005f\u0075\u0073\u0061\u0067\u0065":true}}"#;
        let reset = r#"{"stream":true,"stream_options":{"include_usage":true},"stream_options":{"x":1}}"#;
        let null = r#"{"stream":true,"stream_options":{"include_usage":true},"temperature":NaN,"stream_options":null}"#;
        for (coding, body, model, without_usage) in [
            (Some("gzip"), &gzip[..], Some("m".to_owned()), true),
            (None, spelled.as_bytes(), Some("m".repeat(200)), true),
            (None, options.as_bytes(), None, false),
            (None, reset.as_bytes(), None, true),
            (None, null.as_bytes(), None, true),
            (None, b"\xef\xbb\xbf{\"stream\":true,\"model\":\"m\"}{\"stream\":false}", Some("m".to_owned()), true),
            (None, b"{\"stream\":true", None, false),
            (Some("pigeon"), b"{\"stream\":true}", None, false),
            (None, b"<stream>", None, false),
            (None, b"{'stream':true}", None, false),
        ] {
            let unread = coding == Some("pigeon") || body.iter().any(|byte| matches!(byte, b'<' | b'\''));
            for size in [1, 2, 7, 64, usize::MAX] {
                let mut asked = Asked::new(coding.map(str::as_bytes), Endpoint::Model);
                body.chunks(size).for_each(|chunk| asked.feed(chunk));
                assert_eq!((asked.streams_without_usage(), asked.is_unread()), (without_usage, unread), "{}", body.escape_ascii());
                assert_eq!(asked.take_model(), model, "{}", body.escape_ascii());
            }
        }
    }

    fn deterministic_unknown_hosts_are_confirmed_by_request_or_response() {
        let unknown = Play { host: "llm.internal", path: "/v1/chat/completions", ..Play::default() };
        assert_eq!(unknown.run().unwrap().provider, "openai_compatible");
        let failed = Play { status: Some(500), body: "oops", ..unknown };
        assert_eq!(failed.run().unwrap().outcome, Outcome::ErrorStatus);
        let odd = Play { path: "/ask", ..unknown };
        assert_eq!(odd.run().unwrap().api, "openai_chat");
        let other_api = Play { host: "mail.internal", path: "/v1/messages", request: r#"{"to":"bob"}"#, body: r#"{"id":"m1","status":"sent"}"#, ..Play::default() };
        assert_eq!(other_api.run(), None);
        let no_call = Play { host: "shop.internal", path: "/cart", request: r#"{"model":"boots"}"#, body: r#"{"usage":{"cpu":1}}"#, ..Play::default() };
        assert_eq!(no_call.run(), None);
    }

    fn deterministic_the_bodys_own_counts_beat_the_paths_promise() {
        let body = r#"{"object":"response","id":"resp_1","usage":{"input_tokens":7,"output_tokens":3,"total_tokens":10}}"#;
        let record = Play { body, ..Play::default() }.run().unwrap();
        assert_eq!((record.api.as_str(), record.usage.input_total()), ("openai_responses", Some(7)));
    }

    fn contract_envoys_own_response_replaces_the_providers() {
        let head = RequestHead { method: b"POST", host: b"api.openai.com", path: b"/v1/chat/completions", content_encoding: None };
        let mut call = Call::begin(&head, &DETECT, 0).unwrap();
        for status in [200, 504] {
            call.response_head(&ResponseHead { status: Some(status), content_type: None, content_encoding: None });
        }
        assert_eq!(call.finish(Ended::default(), &mut Ratios::default())[0].status, Some(504));
    }
}

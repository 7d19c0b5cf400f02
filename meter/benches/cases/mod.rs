//! What is measured, natively (criterion) and in a WebAssembly VM (`meter/benches/speed.rs`): whole calls, from the first
//! byte of a response to its record, in the pieces that Envoy hands over.

// Each bench takes its part.
#![allow(dead_code)]

use std::fmt::Write as _;

use meter::call::{Call, Ended, RequestHead, ResponseHead};
use meter::estimate::Ratios;
use meter::provider::Detect;
use wire::record::Evidence;

/// What Envoy hands over at once, bytes: a read of the socket.
const READ: usize = 16 * 1024;

/// A response, and how it arrives.
pub struct Case {
    /// Its name in reports.
    pub name: &'static str,
    /// The body, in pieces.
    pub pieces: Vec<Vec<u8>>,
    path: &'static str,
    host: &'static str,
}

impl Case {
    /// The length of the body, bytes.
    pub fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }

    /// The pieces, an event each in a stream.
    pub fn events(&self) -> u64 {
        self.pieces.len() as u64
    }

    /// Meters the call; the counts must be there.
    pub fn run(&self) {
        let head = RequestHead {
            method: b"POST",
            host: self.host.as_bytes(),
            path: self.path.as_bytes(),
            content_encoding: None,
        };
        let rules = Detect { by_shape: true, trust_host: false, rules: Vec::new() };
        let mut call = Call::begin(&head, &rules, 0).expect("a call");
        call.response_head(&ResponseHead { status: Some(200), content_type: None, content_encoding: None });
        for piece in &self.pieces {
            call.response_body(std::hint::black_box(piece));
        }
        call.response_end();
        let records = call.finish(Ended::default(), &mut Ratios::default());
        assert_eq!(records.first().map(|record| record.evidence), Some(Evidence::Reported), "{}", self.name);
    }
}

const CHAT: &str = "/v1/chat/completions";

/// Bodies of some megabytes: what is long in responses.
pub fn bodies() -> Vec<Case> {
    let response = |content: &str| {
        format!(
            "{{{HEAD}\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{content}\"}}}}],{USAGE}}}"
        )
    };
    let embedding = numbers(1 << 21);
    let mut mixed = String::from("{\"id\":\"resp_1\",\"object\":\"response\",\"model\":\"gpt-5\",\"output\":[");
    for number in 0..6000 {
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(
            mixed,
            "{comma}\n    {{\"type\": \"function_call\", \"id\": \"fc_{number:012x}\", \"status\": \"completed\", \"arguments\": \"{{\\\"city\\\":\\\"Zürich\\\",\\\"days\\\":{number}}}\", \"call_id\": \"call_{number}\", \"name\": \"get_weather\"}},\n    {{\"type\": \"message\", \"content\": [{{\"type\": \"output_text\", \"annotations\": [], \"logprobs\": [], \"text\": \"The weather is fine.\\n\\nTake a coat.\"}}], \"role\": \"assistant\"}}"
        );
    }
    mixed.push_str("],\"usage\":{\"input_tokens\":9,\"output_tokens\":7,\"total_tokens\":16}}");
    vec![
        body("prose", CHAT, &response(&PROSE.repeat(10_000))),
        body("code", CHAT, &response(&CODE.repeat(10_000))),
        body(
            "base64",
            "/v1/images/generations",
            &format!(
                "{{\"created\":1,\"data\":[{{\"b64_json\":\"{}\"}}],\"usage\":{{\"input_tokens\":9,\"output_tokens\":7,\"total_tokens\":16}}}}",
                "iVBORw0KGgoAAAANSUhEUgAABAAAAAQACAIAAADwf7zU".repeat(60_000)
            ),
        ),
        body(
            "numbers",
            "/v1/embeddings",
            &format!(
                "{{\"object\":\"list\",\"data\":[{{\"object\":\"embedding\",\"index\":0,\"embedding\":[{embedding}]}}],\"model\":\"m\",\"usage\":{{\"prompt_tokens\":5,\"total_tokens\":5}}}}"
            ),
        ),
        body("mixed", "/v1/responses", &mixed),
    ]
}

/// Streams of a thousand events, each in a piece of its own, as a model writes them.
pub fn streams() -> Vec<Case> {
    let words = ["The", " weather", " in", " Zürich", " is", " fine", ".\\n", " \\\"Take\\\"", " a", " coat"];
    let mut chat: Vec<String> = (0..1000).map(|number| format!("data: {{{HEAD}\"service_tier\":\"default\",\"system_fingerprint\":\"fp_3a1c9e77b2\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}\"}},\"logprobs\":null,\"finish_reason\":null}}],\"usage\":null,\"obfuscation\":\"{}\"}}\n\n", words[number % 10], &"W3kTz9QbYhLm"[..12 - words[number % 10].len()])).collect();
    chat.push(format!("data: {{{HEAD}\"choices\":[],{USAGE}}}\n\n"));
    chat.push("data: [DONE]\n\n".to_owned());
    let mut deltas = vec!["event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude\",\"content\":[],\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n".to_owned()];
    deltas.extend((0..1000).map(|number| format!("event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{}\"}}}}\n\n", words[number % 10])));
    deltas.push("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":1000}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".to_owned());
    let stream = |name, host, path, events: Vec<String>| Case {
        name,
        path,
        host,
        pieces: events.into_iter().map(String::into_bytes).collect(),
    };
    vec![
        stream("openai chat chunk", "api.openai.com", CHAT, chat),
        stream("anthropic delta", "api.anthropic.com", "/v1/messages", deltas),
    ]
}

const HEAD: &str = "\"id\":\"chatcmpl-CdRBw2LfQ000000000003\",\"object\":\"chat.completion.chunk\",\"created\":1763650101,\"model\":\"gpt-4.1-mini-2025-04-14\",";
const USAGE: &str = "\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":10,\"total_tokens\":29,\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}";
const PROSE: &str = "Clouds form when moist air rises and cools until the vapour in it condenses on dust. The drops are so small that the slightest wind holds them up; only when they have grown a million times over do they fall. In the Alps the air has no choice but to rise, and so it rains there more than in the plains on either side.\\n\\n";
const CODE: &str = "    for (name, value) in &call.headers {\\n        request = request.header(name, \\\"value\\\");\\n    }\\n\\tprintf(\\\"%d\\\\n\\\", x);\\n";

fn body(name: &'static str, path: &'static str, text: &str) -> Case {
    let pieces = text.as_bytes().chunks(READ).map(<[u8]>::to_vec).collect();
    Case { name, path, host: "api.openai.com", pieces }
}

/// Numbers as they stand in embeddings, about so many bytes.
fn numbers(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 32);
    let mut state = 1u32;
    while text.len() < bytes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let _ = write!(text, "{}0.0{:08}, ", if state >> 31 == 0 { "" } else { "-" }, state / 50);
    }
    text.push('0');
    text
}

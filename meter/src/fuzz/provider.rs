//! A whole call: any response leaves records that a collector takes, the same for any split.

use wire::event::{decode, encode};
use wire::record::{Evidence, Record};
use wire::usage::{Kind, MAX_COUNT};

use super::{seed, splits};
use crate::call::{Call, Ended, RequestHead, ResponseHead, counting_headers};
use crate::estimate::Ratios;
use crate::provider::Detect;

/// Calls whose responses mean different things; an input's bytes choose one.
const CALLS: &[(&str, &str)] = &[
    ("api.openai.com", "/v1/chat/completions"),
    ("api.openai.com", "/v1/responses"),
    ("api.openai.com", "/v1/embeddings"),
    ("api.openai.com", "/v1/images/generations"),
    ("api.openai.com", "/v1/audio/transcriptions"),
    ("api.anthropic.com", "/v1/messages"),
    ("generativelanguage.googleapis.com", "/v1beta/models/gemini-3-pro:streamGenerateContent"),
    ("bedrock-runtime.us-east-1.amazonaws.com", "/model/vendor.model-v1/converse-stream"),
    ("bedrock-runtime.us-east-1.amazonaws.com", "/model/vendor.model-v1/invoke"),
    ("api.cohere.com", "/v2/chat"),
    ("api.cohere.com", "/v2/rerank"),
    ("api.mistral.ai", "/v1/chat/completions"),
    ("api.x.ai", "/v1/chat/completions"),
    ("localhost:11434", "/api/chat"),
    ("unknown.example", "/v1/chat/completions"),
    ("unknown.example", "/anything"),
    ("generativelanguage.googleapis.com", "/v1beta/interactions"),
    ("api.perplexity.ai", "/chat/completions"),
    ("openrouter.ai", "/api/v1/chat/completions"),
];

/// Meters a response of these bytes in every split, and looks at the records.
pub fn provider(bytes: &[u8]) {
    let seed = seed(bytes);
    let (host, path) = CALLS[seed as usize % CALLS.len()];
    let call = |pieces: &[&[u8]]| {
        let head =
            RequestHead { method: b"POST", host: host.as_bytes(), path: path.as_bytes(), content_encoding: None };
        let rules = Detect { by_shape: true, trust_host: false, rules: Vec::new() };
        let Some(mut call) = Call::begin(&head, &rules, 0) else { return Vec::new() };
        call.request_body(b"{\"model\":\"m\",\"stream\":true,\"messages\":[{\"content\":\"two words\"}]}");
        call.response_head(&ResponseHead {
            status: Some(if seed & (1 << 20) == 0 { 200 } else { 500 }),
            content_type: None,
            content_encoding: None,
        });
        if seed & (1 << 21) == 0 {
            counting_headers().for_each(|name| call.response_header(name, b"7"));
        }
        pieces.iter().for_each(|piece| call.response_body(piece));
        if seed & (1 << 22) == 0 {
            call.response_end();
        }
        let usage = call.usage();
        let records = call.finish(Ended::default(), &mut Ratios::default());
        if let (Some(usage), Some(record)) = (usage, records.first())
            && record.evidence == Evidence::Reported
        {
            assert_eq!(usage, record.usage, "what was published is not what was recorded");
        }
        records
    };
    let [whole, single, pieces] = splits(bytes).map(|pieces| call(&pieces));
    assert_eq!(single, whole, "byte by byte, {host}{path}");
    assert_eq!(pieces, whole, "in pieces, {host}{path}");
    whole.iter().for_each(check);
}

fn check(record: &Record) {
    let usage = &record.usage;
    let sum = |kind: Kind| -> Option<u64> {
        let of_kind = usage.iter().filter(|(class, _)| class.kind() == kind);
        of_kind.map(|(_, count)| count).reduce(|sum, count| sum.checked_add(count).expect("a total overflows"))
    };
    assert_eq!((usage.input_total(), usage.output_total()), (sum(Kind::Input), sum(Kind::Output)));
    for (class, count) in usage.iter() {
        assert!(count <= MAX_COUNT, "{class:?}: {count}");
    }
    let is_reported = matches!(record.evidence, Evidence::Reported | Evidence::Partial);
    assert_eq!(is_reported, record.missing_reason.is_none(), "{record:?}");
    // A part may be named without counts; calls of tools can be seen where no counts are.
    let has = |unit: bool| usage.iter().any(|(class, _)| (class.kind() == Kind::Unit) == unit);
    assert!(record.evidence != Evidence::Missing || !has(false), "{record:?}");
    assert!(record.evidence == Evidence::Missing || !usage.is_empty(), "{record:?}");
    let names = record.unknown_usage.as_deref().unwrap_or_default();
    assert!(names.len() <= 256 && names.split(',').count() <= 4, "{names}");
    let event = encode(record, "0123456789abcdef0123456789abcdef", 1);
    if let Err(problem) = decode(&event) {
        panic!("a collector refuses it: {problem}: {}", String::from_utf8_lossy(&event));
    }
}

use super::*;
use crate::Invalid;
use crate::identity::{Identity, Source};
use crate::record::{Deferred, Evidence, Flag, Missing, NotAsked, Outcome, ProviderSource, Record, Tag, TagSource};
use crate::usage::Usage;

const EMITTER: &str = "00112233445566778899aabbccddeeff";

const TAGS: &str = "data.tags: must be a list of at most 8 lists of name, value and source, texts of at most 256 bytes; a source is jwt or header, and a name stands once";

/// A record with every field set, so that a field that one side forgets shows.
fn full() -> Record {
    let text = |text: &str| Some(text.to_owned());
    let mut record = Record {
        started_ns: 1_790_000_000_123_456_789,
        duration_us: 1_500_000,
        time_to_first_token_us: Some(200_000),
        time_per_output_token_us: Some(12_345),
        identity: Identity {
            tenant: "acme/ml".into(),
            source: Source::Jwt,
            principal: text("spiffe://cluster.local/ns/a/sa/b"),
        },
        provider: "openai".into(),
        provider_source: Some(ProviderSource::Rewritten),
        upstream_host: text("api.openai.com"),
        api: "openai_chat".into(),
        operation: "chat".into(),
        request_model: text("gpt-4.1"),
        response_model: text("gpt-4.1-2025-04-14"),
        stream: true,
        status: Some(200),
        attempts: Some(2),
        response_id: text("chatcmpl-1"),
        provider_request_id: text("req_1"),
        request_id: text("\"quoted\" \u{1F600}"),
        trace_id: text("4bf92f3577b34da6a3ce929d0e0e4736"),
        span_id: text("00f067aa0ba902b7"),
        proxy: text("ffeeddccbbaa99887766554433221100"),
        route: text("chat"),
        cluster: text("openai"),
        node: text("node-1"),
        node_cluster: text("egress"),
        service_tier: text("default"),
        service_tier_asked: text("auto"),
        speed: text("fast"),
        inference_geo: text("us"),
        region: text("us-east-1"),
        path_model: text("us.anthropic.claude-opus-4-8"),
        size: text("1024x1024"),
        quality: text("hd"),
        search_context: text("medium"),
        search_tool: text("web_search_preview"),
        session_id: text("session-1"),
        agent_id: text("agent-1"),
        tags: vec![
            Tag { name: "team".into(), value: "a \"b\"".into(), source: TagSource::Jwt },
            Tag { name: "app".into(), value: String::new(), source: TagSource::Header },
        ],
        deferred: Some(Deferred::Background),
        unknown_usage: text("usage.new_tokens"),
        error_type: text("overloaded_error"),
        outcome: Outcome::Completed,
        evidence: Evidence::Reported,
        missing_reason: Some(Missing::Absent),
        usage_not_asked: Some(NotAsked::Signed),
        refused_by: text("budget:org-day"),
        provider_total: Some(66),
        provider_cost_nano_usd: Some(172_125),
        part: text("advisor_message"),
        raw_usage: text("{\"usage\":{\"prompt_tokens\":1}}"),
        ..Record::default()
    };
    for flag in Flag::ALL {
        record.flags.insert(*flag);
    }
    let mut usage = Usage::default();
    for (count, class) in (1..).zip(Class::ALL) {
        usage.set(*class, Some(count));
    }
    record.usage = usage;
    record
}

fn edited(edit: impl Fn(&mut serde_json::Value)) -> Result<Event, Invalid> {
    let mut value: serde_json::Value = serde_json::from_slice(&encode(&full(), EMITTER, 7)).unwrap();
    edit(&mut value);
    decode(value.to_string().as_bytes())
}

cases! {
    fn contract_every_field_survives_the_wire_and_stands_in_the_catalogue() {
        let bytes = encode(&full(), EMITTER, 7);
        let event = decode(&bytes).unwrap();
        assert_eq!(event.record, full());
        assert_eq!((event.id.as_str(), event.sequence), ("00112233445566778899aabbccddeeff-7", 7));
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let mut sent: Vec<&str> = value["data"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut documented: Vec<&str> = specs().map(|spec| spec.name).collect();
        sent.sort_unstable();
        documented.sort_unstable();
        assert_eq!(sent, documented);
        assert_eq!(value["time"], "2026-09-21T14:13:20.123456789Z");
        assert_eq!(value["subject"], "acme/ml");
        assert_eq!(encode(&full(), EMITTER, 7), bytes, "the same record gives the same bytes");
        assert!(!bytes.contains(&b'\n'), "one line, or it is no journal");
    }

    fn contract_absent_is_neither_zero_nor_null() {
        let text = String::from_utf8(encode(&Record::default(), EMITTER, 1)).unwrap();
        assert!(!text.contains("null") && !text.contains("tokens"), "{text}");
        let event = decode(text.replace("\"provider\":\"\"", "\"provider\":\"x\"").as_bytes()).unwrap();
        assert!(event.record.usage.is_empty());
    }

    fn contract_a_wrong_event_names_field_and_what_is_allowed() {
        use serde_json::json;
        type Edit = fn(&mut serde_json::Value);
        let cases: [(Edit, &str); 20] = [
            (|v| *v = json!([]), "must be a JSON object, a CloudEvent"),
            (|v| v["type"] = json!("x"), "type: must be \"meshmeter.call.v1\""),
            (|v| v["time"] = json!("today"), "time: must be a time in UTC as in RFC 3339, 2026-01-31T12:00:00.000000000Z, after 1970"),
            (|v| v["id"] = json!("x-7"), "id: must be data.emitter, a hyphen and data.sequence"),
            (|v| v["data"] = json!(1), "data: must be an object"),
            (|v| v["data"]["emitter"] = json!("XY"), "data.emitter: must be 32 lower-case hex digits"),
            (|v| v["data"]["sequence"] = json!(0), "data.sequence: must be a whole number from 1 to 9007199254740991"),
            (|v| v["data"]["tenant"] = json!("a b"), "data.tenant: must be ASCII letters, digits and ._-@:/, at most 128 bytes, without path segments that are empty, `.` or `..`, and not unknown, invalid or overflow"),
            (|v| v["data"]["tenant"] = json!("unknown"), "data.tenant: must be ASCII letters, digits and ._-@:/, at most 128 bytes, without path segments that are empty, `.` or `..`, and not unknown, invalid or overflow"),
            (|v| v["data"]["tenant_source"] = json!("unknown"), "data.tenant: must be unknown, as the tenant_source is"),
            (|v| v["data"]["tenant_source"] = json!("invalid"), "data.tenant: must be invalid, as the tenant_source is"),
            (|v| { v["data"].as_object_mut().unwrap().remove("api"); }, "data.api: is missing"),
            (|v| v["data"]["input_text_tokens"] = json!(-1), "data.input_text_tokens: must be a whole number from 0 to 1099511627776"),
            (|v| v["data"]["input_text_tokens"] = json!(1.5), "data.input_text_tokens: must be a whole number from 0 to 1099511627776"),
            (|v| v["data"]["output_tokens"] = json!(1), "data.output_tokens: must be the sum of its classes"),
            (|v| v["data"]["evidence"] = json!("sure"), "data.evidence: must be one of reported, partial, estimated, missing"),
            (|v| v["data"]["tags"] = json!([["a", "b"]]), TAGS),
            (|v| v["data"]["tags"] = json!([["a", "b", "client"]]), TAGS),
            (|v| v["data"]["tags"] = json!([["a", "b", "jwt"], ["a", "c", "jwt"]]), TAGS),
            (|v| v["data"]["stream"] = json!("yes"), "data.stream: must be true or false"),
        ];
        for (edit, expected) in cases {
            assert_eq!(edited(edit).unwrap_err().to_string(), expected);
        }
        let later = edited(|v| { v["data"]["flags"] = json!(["later"]); v["data"]["later"] = json!(1); }).unwrap();
        assert!(later.record.flags.is_empty());
    }

    fn contract_deep_nesting_is_refused_not_a_crash() {
        let deep = "[".repeat(10_000);
        assert!(decode(deep.as_bytes()).is_err());
        assert!(decode(b"\xff\xfe").is_err());
    }
}

//! Record to bytes: one line of JSON.

use super::{EXTRACTOR, Field, MAX_RAW_USAGE, MAX_TAGS, MAX_TEXT, SOURCE, TYPE};
use crate::json::{Object, digits, rfc3339};
use crate::record::Record;

/// What an event takes at most in most cases, bytes.
const USUAL: usize = 2048;

/// The event of a record, one line of JSON without a newline.
///
/// The same record, emitter and sequence always give the same bytes, so that a resent or journalled event is recognised.
pub fn encode(record: &Record, emitter: &str, sequence: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL);
    let mut event = Object::begin(&mut bytes);
    event.text("specversion", "1.0");
    event.text("type", TYPE);
    event.text("source", SOURCE);
    event.plain("id", |out| {
        out.extend_from_slice(emitter.as_bytes());
        out.push(b'-');
        digits(out, sequence, 1);
    });
    event.plain("time", |out| rfc3339(out, record.started_ns));
    event.text("subject", &record.identity.tenant);
    event.object("data", |data| fields(data, record, emitter, sequence));
    event.end();
    bytes
}

fn fields(data: &mut Object<'_>, record: &Record, emitter: &str, sequence: u64) {
    macro_rules! text {
        ($($field:ident $value:expr;)+) => {
            $(if let Some(text) = $value.as_deref() {
                data.text(const { Field::$field.name() }, capped(text, MAX_TEXT));
            })+
        };
    }
    macro_rules! number {
        ($($field:ident $value:expr;)+) => {
            $(if let Some(number) = $value {
                data.number(const { Field::$field.name() }, number);
            })+
        };
    }
    data.text(Field::Emitter.name(), emitter);
    data.number(Field::Sequence.name(), sequence);
    data.text(Field::Tenant.name(), &record.identity.tenant);
    data.text(Field::TenantSource.name(), record.identity.source.as_str());
    text! { Principal record.identity.principal; }
    data.text(Field::Provider.name(), &record.provider);
    if let Some(source) = record.provider_source {
        data.text(Field::ProviderSource.name(), source.as_str());
    }
    text! { UpstreamHost record.upstream_host; }
    data.text(Field::Api.name(), &record.api);
    data.text(Field::Operation.name(), &record.operation);
    text! {
        RequestModel record.request_model;
        ResponseModel record.response_model;
    }
    data.bool(Field::Stream.name(), record.stream);
    number! {
        Status record.status;
        Attempts record.attempts;
    }
    text! {
        ResponseId record.response_id;
        ProviderRequestId record.provider_request_id;
        RequestId record.request_id;
        TraceId record.trace_id;
        SpanId record.span_id;
        Proxy record.proxy;
        Route record.route;
        Cluster record.cluster;
        Node record.node;
        NodeCluster record.node_cluster;
        ServiceTier record.service_tier;
        ServiceTierAsked record.service_tier_asked;
        Speed record.speed;
        InferenceGeo record.inference_geo;
        Region record.region;
        PathModel record.path_model;
        Size record.size;
        Quality record.quality;
        SearchContext record.search_context;
        SearchTool record.search_tool;
        SessionId record.session_id;
        AgentId record.agent_id;
        ErrorType record.error_type;
    }
    if !record.tags.is_empty() {
        let tags = record.tags.iter().take(MAX_TAGS);
        data.lists(Field::Tags.name(), tags.map(|tag| [&*tag.name, capped(&tag.value, MAX_TEXT), tag.source.as_str()]));
    }
    if let Some(deferred) = record.deferred {
        data.text(Field::Deferred.name(), deferred.as_str());
    }
    text! { UnknownUsage record.unknown_usage; }
    data.text(Field::Outcome.name(), record.outcome.as_str());
    data.text(Field::Evidence.name(), record.evidence.as_str());
    if let Some(reason) = record.missing_reason {
        data.text(Field::MissingReason.name(), reason.as_str());
    }
    if let Some(reason) = record.usage_not_asked {
        data.text(Field::UsageNotAsked.name(), reason.as_str());
    }
    text! { RefusedBy record.refused_by; }
    if !record.flags.is_empty() {
        data.words(Field::Flags.name(), record.flags.iter().map(|flag| flag.as_str()));
    }
    data.number(Field::Duration.name(), record.duration_us);
    number! {
        TimeToFirstToken record.time_to_first_token_us;
        TimePerOutputToken record.time_per_output_token_us;
        InputTokens record.usage.input_total();
        OutputTokens record.usage.output_total();
    }
    for (class, count) in record.usage.iter() {
        data.number(class.name(), count);
    }
    number! {
        ProviderTotal record.provider_total;
        ProviderCost record.provider_cost_nano_usd;
    }
    if let Some(raw) = record.raw_usage.as_deref() {
        data.text(Field::RawUsage.name(), capped(raw, MAX_RAW_USAGE));
    }
    text! { Part record.part; }
    data.text(Field::Extractor.name(), EXTRACTOR);
}

/// The longest prefix of at most `max` bytes that ends between characters.
fn capped(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while end > 0 && !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or("")
}

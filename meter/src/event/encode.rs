//! Record to bytes: one line of JSON.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{EXTRACTOR, Field, MAX_RAW_USAGE, MAX_TEXT, SOURCE, TYPE};
use crate::record::Record;

/// The event of a record, one line of JSON without a newline.
///
/// The same record, emitter and sequence always give the same bytes, so that a resent or journalled event is
/// recognised. Returns an empty vector only if the record cannot be written, which no record can cause.
pub fn encode(record: &Record, emitter: &str, sequence: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1024);
    let envelope = Envelope { record, emitter, sequence };
    if serde_json::to_writer(&mut bytes, &envelope).is_err() {
        bytes.clear();
    }
    bytes
}

struct Envelope<'a> {
    record: &'a Record,
    emitter: &'a str,
    sequence: u64,
}

impl Serialize for Envelope<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let started = std::time::UNIX_EPOCH
            .checked_add(std::time::Duration::from_nanos(self.record.started_ns))
            .unwrap_or(std::time::UNIX_EPOCH);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("specversion", "1.0")?;
        map.serialize_entry("type", TYPE)?;
        map.serialize_entry("source", SOURCE)?;
        map.serialize_entry("id", &format_args!("{}-{}", self.emitter, self.sequence))?;
        map.serialize_entry("time", &format_args!("{}", humantime::format_rfc3339_nanos(started)))?;
        map.serialize_entry("subject", &self.record.identity.tenant)?;
        map.serialize_entry("data", &Payload(self))?;
        map.end()
    }
}

struct Payload<'a>(&'a Envelope<'a>);

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Envelope { record, emitter, sequence } = self.0;
        let mut map = serializer.serialize_map(None)?;
        macro_rules! put {
            ($field:ident, $value:expr) => {
                map.serialize_entry(const { Field::$field.name() }, $value)?
            };
        }
        macro_rules! text {
            ($field:ident, $value:expr) => {
                if let Some(text) = $value.as_deref() {
                    put!($field, capped(text, MAX_TEXT));
                }
            };
        }
        macro_rules! number {
            ($field:ident, $value:expr) => {
                if let Some(number) = $value {
                    put!($field, &number);
                }
            };
        }
        put!(Emitter, emitter);
        put!(Sequence, sequence);
        put!(Tenant, &record.identity.tenant);
        put!(TenantSource, record.identity.source.as_str());
        text!(Principal, record.identity.principal);
        put!(Provider, &record.provider);
        put!(Api, &record.api);
        put!(Operation, &record.operation);
        text!(RequestModel, record.request_model);
        text!(ResponseModel, record.response_model);
        put!(Stream, &record.stream);
        number!(Status, record.status);
        number!(Attempts, record.attempts);
        text!(ResponseId, record.response_id);
        text!(ProviderRequestId, record.provider_request_id);
        text!(RequestId, record.request_id);
        text!(Route, record.route);
        text!(Cluster, record.cluster);
        text!(Node, record.node);
        text!(ServiceTier, record.service_tier);
        text!(ErrorType, record.error_type);
        put!(Outcome, record.outcome.as_str());
        put!(Evidence, record.evidence.as_str());
        if let Some(reason) = record.missing_reason {
            put!(MissingReason, reason.as_str());
        }
        if !record.flags.is_empty() {
            put!(Flags, &Words(record));
        }
        put!(Duration, &record.duration_us);
        number!(TimeToFirstToken, record.time_to_first_token_us);
        number!(TimePerOutputToken, record.time_per_output_token_us);
        number!(InputTokens, record.usage.input_total());
        number!(OutputTokens, record.usage.output_total());
        for (class, count) in record.usage.iter() {
            map.serialize_entry(class.name(), &count)?;
        }
        number!(ProviderTotal, record.provider_total);
        number!(ProviderCost, record.provider_cost_nano_usd);
        if let Some(raw) = record.raw_usage.as_deref() {
            put!(RawUsage, capped(raw, MAX_RAW_USAGE));
        }
        text!(Part, record.part);
        put!(Extractor, EXTRACTOR);
        map.end()
    }
}

struct Words<'a>(&'a Record);

impl Serialize for Words<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.flags.iter().map(|flag| flag.as_str()))
    }
}

/// The longest prefix of at most `max` bytes that ends between characters.
fn capped(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while end > 0 && !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or("")
}

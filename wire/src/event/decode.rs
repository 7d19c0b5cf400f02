//! Bytes to record, for whoever receives events: every problem names its field and what is allowed.

use serde_json::{Map, Value};

use super::{Field, Kind, MAX_TAGS, MAX_TEXT, TYPE};
use crate::Invalid;
use crate::emitter::is_emitter;
use crate::identity::{self, ALLOWED, Identity, Source};
use crate::record::{
    Deferred, Evidence, Flag, Flags, Missing, NotAsked, Outcome, ProviderSource, Record, Tag, TagSource,
};
use crate::usage::{Class, MAX_COUNT, Usage};

/// An event that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Globally unique and the same over retries: `EMITTER-SEQUENCE`.
    pub id: String,
    /// Who counted.
    pub emitter: String,
    /// The emitter's number of the record.
    pub sequence: u64,
    /// The record.
    pub record: Record,
}

/// Reads one event. Fields that this version does not know are left alone.
pub fn decode(bytes: &[u8]) -> Result<Event, Invalid> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| Invalid::new("", format!("not readable as JSON: {error}")))?;
    let Value::Object(envelope) = value else {
        return Err(Invalid::new("", "must be a JSON object, a CloudEvent"));
    };
    expect_word(&envelope, "specversion", "1.0")?;
    expect_word(&envelope, "type", TYPE)?;
    let id = envelope_text(&envelope, "id")?;
    let started_ns = time(envelope_text(&envelope, "time")?)?;
    let Some(Value::Object(data)) = envelope.get("data") else {
        return Err(Invalid::new("data", "must be an object"));
    };
    let data = Data(data);
    let emitter = data.required(Field::Emitter, Data::text)?;
    if !is_emitter(&emitter) {
        return Err(Invalid::new("data.emitter", "must be 32 lower-case hex digits"));
    }
    let sequence = data.required(Field::Sequence, Data::number)?;
    if id != format!("{emitter}-{sequence}") {
        return Err(Invalid::new("id", "must be data.emitter, a hyphen and data.sequence"));
    }
    Ok(Event { id: id.to_owned(), record: data.record(started_ns)?, emitter, sequence })
}

fn expect_word(envelope: &Map<String, Value>, name: &str, expected: &str) -> Result<(), Invalid> {
    match envelope.get(name) {
        Some(Value::String(text)) if text == expected => Ok(()),
        _ => Err(Invalid::new(name, format!("must be \"{expected}\""))),
    }
}

fn envelope_text<'a>(envelope: &'a Map<String, Value>, name: &str) -> Result<&'a str, Invalid> {
    match envelope.get(name) {
        Some(Value::String(text)) if !text.is_empty() && text.len() <= super::MAX_TEXT => Ok(text),
        _ => Err(Invalid::new(name, format!("must be a text of 1 to {} bytes", super::MAX_TEXT))),
    }
}

fn time(text: &str) -> Result<u64, Invalid> {
    let problem =
        || Invalid::new("time", "must be a time in UTC as in RFC 3339, 2026-01-31T12:00:00.000000000Z, after 1970");
    let time = humantime::parse_rfc3339(text).map_err(|_| problem())?;
    let since = time.duration_since(std::time::UNIX_EPOCH).map_err(|_| problem())?;
    u64::try_from(since.as_nanos()).map_err(|_| problem())
}

/// The event's `data`.
struct Data<'a>(&'a Map<String, Value>);

impl Data<'_> {
    fn record(&self, started_ns: u64) -> Result<Record, Invalid> {
        let identity = Identity {
            tenant: self.required(Field::Tenant, Data::text)?,
            source: self.required(Field::TenantSource, |data, field| data.word(field, Source::from_word))?,
            principal: self.text(Field::Principal)?,
        };
        if !identity::is_from(&identity.tenant, identity.source) {
            let allowed = match identity.source {
                Source::Unknown => "must be unknown, as the tenant_source is",
                Source::Invalid => "must be invalid, as the tenant_source is",
                _ => ALLOWED,
            };
            return Err(Invalid::new("data.tenant", allowed));
        }
        Ok(Record {
            started_ns,
            identity,
            duration_us: self.number(Field::Duration)?.unwrap_or(0),
            time_to_first_token_us: self.number(Field::TimeToFirstToken)?,
            time_per_output_token_us: self.number(Field::TimePerOutputToken)?,
            provider: self.required(Field::Provider, Data::text)?,
            provider_source: self.word(Field::ProviderSource, ProviderSource::from_word)?,
            upstream_host: self.text(Field::UpstreamHost)?,
            api: self.required(Field::Api, Data::text)?,
            operation: self.required(Field::Operation, Data::text)?,
            request_model: self.text(Field::RequestModel)?,
            response_model: self.text(Field::ResponseModel)?,
            stream: self.bool(Field::Stream)?.unwrap_or(false),
            status: self.number(Field::Status)?,
            attempts: self.number(Field::Attempts)?,
            response_id: self.text(Field::ResponseId)?,
            provider_request_id: self.text(Field::ProviderRequestId)?,
            request_id: self.text(Field::RequestId)?,
            trace_id: self.text(Field::TraceId)?,
            span_id: self.text(Field::SpanId)?,
            proxy: self.text(Field::Proxy)?,
            route: self.text(Field::Route)?,
            cluster: self.text(Field::Cluster)?,
            node: self.text(Field::Node)?,
            node_cluster: self.text(Field::NodeCluster)?,
            service_tier: self.text(Field::ServiceTier)?,
            service_tier_asked: self.text(Field::ServiceTierAsked)?,
            speed: self.text(Field::Speed)?,
            inference_geo: self.text(Field::InferenceGeo)?,
            region: self.text(Field::Region)?,
            path_model: self.text(Field::PathModel)?,
            size: self.text(Field::Size)?,
            quality: self.text(Field::Quality)?,
            search_context: self.text(Field::SearchContext)?,
            search_tool: self.text(Field::SearchTool)?,
            session_id: self.text(Field::SessionId)?,
            agent_id: self.text(Field::AgentId)?,
            tags: self.tags()?,
            deferred: self.word(Field::Deferred, Deferred::from_word)?,
            unknown_usage: self.text(Field::UnknownUsage)?,
            error_type: self.text(Field::ErrorType)?,
            outcome: self.required(Field::Outcome, |data, field| data.word(field, Outcome::from_word))?,
            evidence: self.required(Field::Evidence, |data, field| data.word(field, Evidence::from_word))?,
            missing_reason: self.word(Field::MissingReason, Missing::from_word)?,
            usage_not_asked: self.word(Field::UsageNotAsked, NotAsked::from_word)?,
            refused_by: self.text(Field::RefusedBy)?,
            flags: self.flags()?,
            usage: self.usage()?,
            provider_total: self.number(Field::ProviderTotal)?,
            provider_cost_nano_usd: self.number(Field::ProviderCost)?,
            raw_usage: self.text(Field::RawUsage)?,
            part: self.text(Field::Part)?,
        })
    }

    fn required<T>(
        &self,
        field: Field,
        read: impl Fn(&Self, Field) -> Result<Option<T>, Invalid>,
    ) -> Result<T, Invalid> {
        read(self, field)?.ok_or_else(|| Invalid::new(&path(field), "is missing"))
    }

    fn text(&self, field: Field) -> Result<Option<String>, Invalid> {
        let Kind::Text(max) = field.spec().kind else { return Ok(None) };
        match self.0.get(field.name()) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= max => Ok(Some(text.clone())),
            Some(_) => Err(Invalid::new(&path(field), format!("must be a text of at most {max} bytes"))),
        }
    }

    fn number(&self, field: Field) -> Result<Option<u64>, Invalid> {
        let Kind::Number(min, max) = field.spec().kind else { return Ok(None) };
        number(self.0.get(field.name()), &path(field), min, max)
    }

    fn bool(&self, field: Field) -> Result<Option<bool>, Invalid> {
        match self.0.get(field.name()) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(Invalid::new(&path(field), "must be true or false")),
        }
    }

    fn word<T>(&self, field: Field, from_word: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Invalid> {
        let Kind::Word(allowed) = field.spec().kind else { return Ok(None) };
        let Some(value) = self.0.get(field.name()) else { return Ok(None) };
        let word = value.as_str().and_then(from_word);
        word.map(Some).ok_or_else(|| Invalid::new(&path(field), format!("must be one of {}", allowed.join(", "))))
    }

    fn tags(&self) -> Result<Vec<Tag>, Invalid> {
        let problem = || {
            let allowed = format!(
                "must be a list of at most {MAX_TAGS} lists of name, value and source, texts of at most {MAX_TEXT} bytes; \
                 a source is jwt or header, and a name stands once"
            );
            Invalid::new(&path(Field::Tags), allowed)
        };
        let Some(value) = self.0.get(Field::Tags.name()) else { return Ok(Vec::new()) };
        let list = value.as_array().filter(|list| list.len() <= MAX_TAGS).ok_or_else(problem)?;
        let mut tags: Vec<Tag> = Vec::new();
        for tag in list {
            let texts: Option<Vec<&str>> =
                tag.as_array().and_then(|texts| texts.iter().map(|text| text.as_str()).collect());
            let [name, value, source] = texts.as_deref().unwrap_or_default() else { return Err(problem()) };
            let source = TagSource::from_word(source).ok_or_else(problem)?;
            if name.is_empty() || name.len().max(value.len()) > MAX_TEXT || tags.iter().any(|tag| tag.name == *name) {
                return Err(problem());
            }
            tags.push(Tag { name: (*name).to_owned(), value: (*value).to_owned(), source });
        }
        Ok(tags)
    }

    /// Flags of a later version are left alone: they explain counts, they do not change them.
    fn flags(&self) -> Result<Flags, Invalid> {
        let mut flags = Flags::default();
        let problem = || Invalid::new(&path(Field::Flags), "must be a list of texts");
        match self.0.get(Field::Flags.name()) {
            None => {}
            Some(Value::Array(words)) => {
                for word in words {
                    if let Some(flag) = Flag::from_word(word.as_str().ok_or_else(problem)?) {
                        flags.insert(flag);
                    }
                }
            }
            Some(_) => return Err(problem()),
        }
        Ok(flags)
    }

    /// The totals are checked against the classes: a count that cannot be attributed is never taken silently.
    fn usage(&self) -> Result<Usage, Invalid> {
        let mut usage = Usage::default();
        for &class in Class::ALL {
            let path = format!("data.{}", class.name());
            usage.set(class, number(self.0.get(class.name()), &path, 0, MAX_COUNT)?);
        }
        let totals = [(Field::InputTokens, usage.input_total()), (Field::OutputTokens, usage.output_total())];
        for (field, sum) in totals {
            if self.number(field)? != sum {
                return Err(Invalid::new(&path(field), "must be the sum of its classes"));
            }
        }
        Ok(usage)
    }
}

fn number(value: Option<&Value>, path: &str, min: u64, max: u64) -> Result<Option<u64>, Invalid> {
    let Some(value) = value else { return Ok(None) };
    match value.as_u64() {
        Some(number) if (min..=max).contains(&number) => Ok(Some(number)),
        _ => Err(Invalid::new(path, format!("must be a whole number from {min} to {max}"))),
    }
}

fn path(field: Field) -> String {
    format!("data.{}", field.name())
}

//! One event as the harness reads it: the raw bytes, and values by name.

use serde_json::{Value, value::RawValue};

use crate::{Result, fixture::Classes};

/// The classes of the contract; tests are independent of the meter's own list.
pub const CLASSES: [&str; 25] = [
    "input_text_tokens",
    "input_audio_tokens",
    "input_image_tokens",
    "input_video_tokens",
    "input_tool_tokens",
    "cache_read_tokens",
    "cache_read_audio_tokens",
    "cache_read_image_tokens",
    "cache_read_video_tokens",
    "cache_read_explicit_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_write_30m_tokens",
    "cache_write_12h_tokens",
    "cache_write_other_tokens",
    "output_text_tokens",
    "output_reasoning_tokens",
    "output_audio_tokens",
    "output_image_tokens",
    "output_video_tokens",
    "output_citation_tokens",
    "web_searches",
    "cache_read_unbilled_tokens",
    "search_units",
    "audio_seconds",
];

/// A CloudEvent and the bytes it came in.
#[derive(Clone, Debug)]
pub struct Event {
    /// The event's bytes.
    pub raw: String,
    value: Value,
}

impl Event {
    /// Reads one event.
    pub fn parse(raw: &str) -> Result<Self> {
        Ok(Self { raw: raw.to_owned(), value: serde_json::from_str(raw)? })
    }

    /// Reads a batch, keeping the bytes of each event.
    pub fn batch(body: &[u8]) -> Result<Vec<Self>> {
        let events: Vec<&RawValue> = serde_json::from_slice(body)?;
        events.into_iter().map(|event| Self::parse(event.get())).collect()
    }

    /// The CloudEvents id.
    pub fn id(&self) -> &str {
        self.value["id"].as_str().unwrap_or_default()
    }

    /// An attribute of the envelope.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.value[name].as_str()
    }

    /// A field of `data` that is null, if there is one.
    pub fn null(&self) -> Option<&str> {
        let fields = self.value["data"].as_object().into_iter().flatten();
        fields.filter(|(_, value)| value.is_null()).map(|(name, _)| name.as_str()).next()
    }

    /// A value of `data`.
    pub fn get(&self, name: &str) -> &Value {
        &self.value["data"][name]
    }

    /// A text of `data`, empty if it is absent.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).as_str().unwrap_or_default()
    }

    /// A count of `data`.
    pub fn count(&self, name: &str) -> Option<u64> {
        self.get(name).as_u64()
    }

    /// The disjoint classes it reports.
    pub fn classes(&self) -> Classes {
        CLASSES.into_iter().filter_map(|class| Some((class.to_owned(), self.count(class)?))).collect()
    }
}

/// The events in Envoy's own log, where `journal.log` puts them too. Envoy may have been killed in the middle of one.
pub fn logged(log: &str) -> impl Iterator<Item = Event> {
    log.lines().filter_map(|line| Event::parse(line.split_once("meshmeter: record ")?.1).ok())
}

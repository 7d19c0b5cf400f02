//! What an answer says, before anybody knows what it means: counts and texts by their path.

use std::sync::OnceLock;

use super::Api;
use crate::framing::Values;
use crate::record::{Flag, Flags};
use crate::scan::{Count, Paths, Scalar, Sink, count};

/// The cap of the usage objects that are kept as they came, bytes.
const MAX_RAW: usize = crate::event::MAX_RAW_USAGE;

/// Something an answer can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A number.
    Count(Number),
    /// A text.
    Text(Text),
    /// A usage object as it came.
    Raw(Raw),
}

macro_rules! numbers {
    ($($variant:ident $path:literal,)+) => {
        /// A count, named after its path.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Number {
            $(#[doc = concat!("`", $path, "`")] $variant,)+
        }

        /// Where each stands below a usage object.
        const NUMBERS: &[(&str, Number)] = &[$(($path, Number::$variant),)+];
    };
}

numbers! {
    PromptTokens "prompt_tokens",
    CompletionTokens "completion_tokens",
    TotalTokens "total_tokens",
    PromptCached "prompt_tokens_details.cached_tokens",
    PromptCacheWrite "prompt_tokens_details.cache_write_tokens",
    PromptAudio "prompt_tokens_details.audio_tokens",
    PromptImage "prompt_tokens_details.image_tokens",
    CompletionReasoning "completion_tokens_details.reasoning_tokens",
    CompletionAudio "completion_tokens_details.audio_tokens",
    InputTokens "input_tokens",
    OutputTokens "output_tokens",
    InputCached "input_tokens_details.cached_tokens",
    InputCacheWrite "input_tokens_details.cache_write_tokens",
    OutputReasoning "output_tokens_details.reasoning_tokens",
    OutputThinking "output_tokens_details.thinking_tokens",
    CacheCreation "cache_creation_input_tokens",
    CacheCreation5m "cache_creation.ephemeral_5m_input_tokens",
    CacheCreation1h "cache_creation.ephemeral_1h_input_tokens",
    CacheReadInput "cache_read_input_tokens",
    WebSearchRequests "server_tool_use.web_search_requests",
}

/// A text, named after its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// `object`
    Object,
    /// `type`
    Type,
    /// `id`
    Id,
    /// `model`
    Model,
    /// `service_tier`
    ServiceTier,
    /// `error.type`, `error.code`
    ErrorType,
}

/// Where a usage object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raw {
    /// `usage`
    Usage,
    /// `response.usage`, in an event of OpenAI Responses.
    ResponseUsage,
    /// `message.usage`, in Anthropic's `message_start`.
    MessageUsage,
}

impl Raw {
    const ALL: [(&'static str, Raw); 3] =
        [("usage", Raw::Usage), ("response.usage", Raw::ResponseUsage), ("message.usage", Raw::MessageUsage)];

    fn path(self) -> &'static str {
        match self {
            Raw::Usage => "usage",
            Raw::ResponseUsage => "response.usage",
            Raw::MessageUsage => "message.usage",
        }
    }
}

/// The texts by their paths.
const TEXTS: &[(&str, Text)] = &[
    ("object", Text::Object),
    ("type", Text::Type),
    ("id", Text::Id),
    ("model", Text::Model),
    ("service_tier", Text::ServiceTier),
    ("error.type", Text::ErrorType),
    ("error.code", Text::ErrorType),
    ("response.id", Text::Id),
    ("response.model", Text::Model),
    ("response.service_tier", Text::ServiceTier),
    ("response.error.code", Text::ErrorType),
    ("message.id", Text::Id),
    ("message.model", Text::Model),
    ("usage.service_tier", Text::ServiceTier),
    ("message.usage.service_tier", Text::ServiceTier),
];

/// The paths of every API, as one tree: it also finds what an unknown host speaks.
pub fn response_paths() -> &'static Paths<Fact> {
    static PATHS: OnceLock<Paths<Fact>> = OnceLock::new();
    PATHS.get_or_init(|| {
        let mut leaves: Vec<(&'static str, Fact)> =
            TEXTS.iter().map(|(path, text)| (*path, Fact::Text(*text))).collect();
        for (place, _) in Raw::ALL {
            for (path, number) in NUMBERS {
                // Built once per VM; the table needs names that live as long as it does.
                let path: &'static str = String::leak(format!("{place}.{path}"));
                leaves.push((path, Fact::Count(*number)));
            }
        }
        Paths::new(&leaves, &Raw::ALL.map(|(path, raw)| (path, Fact::Raw(raw))), &[])
    })
}

/// What an answer has said so far. Counts are cumulative, never added: of each the last that says something holds.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    counts: [Option<u64>; NUMBERS.len()],
    /// The first id: some gateways change it in every event.
    pub id: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The service tier that was used.
    pub service_tier: Option<String>,
    /// The provider's word for an error.
    pub error_type: Option<String>,
    /// Values that could not be read.
    pub flags: Flags,
    /// The API whose mark the body bears.
    pub mark: Option<Api>,
    /// The answer itself says that it is over.
    pub terminal: bool,
    /// Usage objects that arrived whole.
    closed: [bool; 3],
    raw: Vec<(Raw, Vec<u8>)>,
}

impl Facts {
    /// A count, if the answer gave it.
    pub fn get(&self, number: Number) -> Option<u64> {
        self.counts.get(number as usize).copied().flatten()
    }

    /// Whether a usage object arrived whole.
    pub fn closed(&self, raw: Raw) -> bool {
        self.closed.get(raw as usize).copied().unwrap_or(false)
    }

    /// The usage objects as they came, a JSON text of path and object; flagged if one was too long.
    pub fn raw_usage(&self) -> Option<String> {
        if self.raw.is_empty() {
            return None;
        }
        let objects =
            self.raw.iter().map(|(raw, bytes)| format!("\"{}\":{}", raw.path(), String::from_utf8_lossy(bytes)));
        Some(format!("{{{}}}", objects.collect::<Vec<_>>().join(",")))
    }

    /// The API that the body itself gives away, also without its mark.
    pub fn shape(&self) -> Option<Api> {
        let has = |number| self.get(number).is_some();
        if self.mark.is_some() {
            self.mark
        } else if has(Number::PromptTokens) && has(Number::CompletionTokens) {
            Some(Api::OpenAiChat)
        } else if has(Number::InputTokens) && (has(Number::InputCached) || has(Number::OutputReasoning)) {
            Some(Api::OpenAiResponses)
        } else if has(Number::InputTokens) && (has(Number::CacheReadInput) || has(Number::CacheCreation)) {
            Some(Api::AnthropicMessages)
        } else {
            None
        }
    }

    fn number(&mut self, number: Number, value: Scalar<'_>) {
        let Some(slot) = self.counts.get_mut(number as usize) else { return };
        match count(value) {
            // A later zero or null takes nothing back.
            Count::Value(0) if slot.is_some() => {}
            Count::Value(count) => *slot = Some(count),
            Count::Null => {}
            Count::Bad => self.flags.insert(Flag::BadValue),
        }
    }

    fn text(&mut self, text: Text, value: &str) {
        match text {
            Text::Object => self.object(value),
            Text::Type => self.kind(value),
            Text::Id => keep_first(&mut self.id, value),
            Text::Model => keep_last(&mut self.model, value),
            Text::ServiceTier => keep_last(&mut self.service_tier, value),
            Text::ErrorType => keep_first(&mut self.error_type, value),
        }
    }

    fn object(&mut self, value: &str) {
        match value {
            "chat.completion" | "chat.completion.chunk" => self.mark = Some(Api::OpenAiChat),
            "response" | "response.compaction" => self.mark = Some(Api::OpenAiResponses),
            _ => {}
        }
    }

    fn kind(&mut self, value: &str) {
        match value {
            "message" | "message_start" => self.mark = Some(Api::AnthropicMessages),
            "message_stop" => self.terminal = true,
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.mark = Some(Api::OpenAiResponses);
                self.terminal = true;
            }
            "response.created" => self.mark = Some(Api::OpenAiResponses),
            _ => {}
        }
    }
}

fn keep_first(slot: &mut Option<String>, value: &str) {
    if slot.is_none() && !value.is_empty() {
        *slot = Some(value.to_owned());
    }
}

fn keep_last(slot: &mut Option<String>, value: &str) {
    // Most events repeat it: no allocation for the same again.
    if !value.is_empty() && slot.as_deref() != Some(value) {
        *slot = Some(value.to_owned());
    }
}

impl Sink<Fact> for Facts {
    fn scalar(&mut self, fact: Fact, value: Scalar<'_>) {
        match (fact, value) {
            (Fact::Count(number), value) => self.number(number, value),
            (Fact::Text(text), Scalar::Text(value)) => self.text(text, value),
            _ => {}
        }
    }

    fn raw_begin(&mut self, fact: Fact) {
        let Fact::Raw(raw) = fact else { return };
        match self.raw.iter_mut().find(|(known, _)| *known == raw) {
            Some((_, bytes)) => bytes.clear(),
            None => self.raw.push((raw, Vec::new())),
        }
    }

    fn raw(&mut self, fact: Fact, bytes: &[u8]) {
        let Fact::Raw(raw) = fact else { return };
        let held: usize = self.raw.iter().map(|(_, bytes)| bytes.len()).fold(0, usize::saturating_add);
        let room = MAX_RAW.saturating_sub(held).saturating_sub(64);
        let kept = bytes.len().min(room);
        if kept < bytes.len() {
            self.flags.insert(Flag::RawUsageCapped);
        }
        if let Some((_, target)) = self.raw.iter_mut().find(|(known, _)| *known == raw) {
            target.extend_from_slice(bytes.get(..kept).unwrap_or_default());
        }
    }

    fn flow(&mut self, _: Fact, _: &[u8]) {}

    fn raw_end(&mut self, fact: Fact) {
        let Fact::Raw(raw) = fact else { return };
        if let Some(closed) = self.closed.get_mut(raw as usize) {
            *closed = true;
        }
    }
}

impl Values<Fact> for Facts {
    fn done(&mut self) {
        self.terminal = true;
    }
}

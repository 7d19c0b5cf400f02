//! The texts by their paths, and what they give away.

use super::{Api, Facts};

/// A text, by what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// What kind of object it is.
    Object,
    /// What kind of event it is.
    Type,
    /// The answer's id.
    Id,
    /// The model that answered.
    Model,
    /// The service tier that was used.
    ServiceTier,
    /// The provider's word for an error.
    ErrorType,
    /// The name of a resource, which a cached content has.
    Name,
}

pub(super) const TEXTS: &[(&str, Text)] = &[
    ("object", Text::Object),
    ("type", Text::Type),
    ("event_type", Text::Type),
    ("id", Text::Id),
    ("responseId", Text::Id),
    ("response_id", Text::Id),
    ("generation_id", Text::Id),
    ("request_id", Text::Id),
    ("model", Text::Model),
    ("modelVersion", Text::Model),
    ("model_id", Text::Model),
    ("model_version", Text::Model),
    ("service_tier", Text::ServiceTier),
    ("serviceTier.type", Text::ServiceTier),
    ("error", Text::ErrorType),
    ("error.type", Text::ErrorType),
    ("error.code", Text::ErrorType),
    ("error.status", Text::ErrorType),
    ("__type", Text::ErrorType),
    ("name", Text::Name),
    ("response.id", Text::Id),
    ("response.model", Text::Model),
    ("response.modelVersion", Text::Model),
    ("response.responseId", Text::Id),
    ("response.response_id", Text::Id),
    ("response.service_tier", Text::ServiceTier),
    ("response.error.code", Text::ErrorType),
    ("message.id", Text::Id),
    ("message.model", Text::Model),
    ("interaction.id", Text::Id),
    ("interaction.model", Text::Model),
    ("usage.service_tier", Text::ServiceTier),
    ("message.usage.service_tier", Text::ServiceTier),
    ("usageMetadata.serviceTier", Text::ServiceTier),
    ("usageMetadata.trafficType", Text::ServiceTier),
];

impl Facts {
    pub(super) fn text(&mut self, text: Text, value: &str) {
        match text {
            Text::Object => self.object(value),
            Text::Type => self.kind(value),
            Text::Id => keep_first(&mut self.id, value),
            Text::Model => keep_last(&mut self.model, value),
            Text::ServiceTier => keep_last(&mut self.service_tier, value),
            // A sentence is a message, and messages may repeat the prompt.
            Text::ErrorType if value.len() <= 64 && !value.contains(' ') => keep_first(&mut self.error_type, value),
            Text::ErrorType => {}
            // Making a cached content counts its tokens, but they are paid for when they are read.
            Text::Name => self.not_own |= value.starts_with("cachedContents/") || value.contains("/cachedContents/"),
        }
    }

    fn object(&mut self, value: &str) {
        match value {
            "chat.completion" | "chat.completion.chunk" | "text_completion" => self.mark = Some(Api::OpenAiChat),
            "response" | "response.compaction" => self.mark = Some(Api::OpenAiResponses),
            "batch" | "message_batch" => self.not_own = true,
            _ => {}
        }
    }

    fn kind(&mut self, value: &str) {
        match value {
            "message" | "message_start" => self.mark = Some(Api::AnthropicMessages),
            "message_stop" | "message-end" | "stream-end" | "interaction.completed" => self.terminal = true,
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

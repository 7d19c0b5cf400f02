//! The texts by their paths, and what they give away.

use wire::usage::Class;

use super::tools::ITEM_DONE;
use super::{Api, Facts};

/// A text, by what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// What kind of object it is.
    Object,
    /// What kind of event it is.
    Type,
    /// The response's id.
    Id,
    /// The model that responded.
    Model,
    /// The service tier that was used.
    ServiceTier,
    /// The provider's word for an error.
    ErrorType,
    /// The name of a resource, which a cached content has.
    Name,
    /// The speed that it was served with.
    Speed,
    /// Where inference ran.
    InferenceGeo,
    /// The model of a tool that is a model itself.
    ToolModel,
    /// The kind of a tool that the model could call.
    ToolKind,
    /// Why the model stopped, in Anthropic's places: there it can be a refusal that is not charged.
    StopReason,
    /// The same elsewhere.
    FinishReason,
    /// How much a search put into the prompt.
    SearchContext,
    /// Whose cache served the prompt: one that the request set up, or the provider's own.
    CacheType,
    /// The service that a router handed the call on to.
    Service,
}

/// The longest reason why a model stopped that is kept, bytes; and from which length on no further one is added to others.
const MAX_REASON: usize = 64;
const MAX_REASONS: usize = 192;

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
    ("modelId", Text::Model),
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
    ("serviceTier", Text::ServiceTier),
    ("metadata.serviceTier.type", Text::ServiceTier),
    ("usage.serviceTier", Text::ServiceTier),
    ("usage.extra_properties.google.traffic_type", Text::ServiceTier),
    ("response.usageMetadata.serviceTier", Text::ServiceTier),
    ("response.usageMetadata.trafficType", Text::ServiceTier),
    ("usage.speed", Text::Speed),
    ("message.usage.speed", Text::Speed),
    ("performanceConfig.latency", Text::Speed),
    ("metadata.performanceConfig.latency", Text::Speed),
    ("usage.inference_geo", Text::InferenceGeo),
    ("message.usage.inference_geo", Text::InferenceGeo),
    ("usage.prompt_tokens_details.cache_type", Text::CacheType),
    ("usage.input_tokens_details.cache_type", Text::CacheType),
    // Bedrock's prompt routers.
    ("trace.promptRouter.invokedModelId", Text::Model),
    ("metadata.trace.promptRouter.invokedModelId", Text::Model),
    ("tools[].model", Text::ToolModel),
    ("response.tools[].model", Text::ToolModel),
    ("tools[].type", Text::ToolKind),
    ("response.tools[].type", Text::ToolKind),
    ("stop_reason", Text::StopReason),
    ("delta.stop_reason", Text::StopReason),
    ("message.stop_reason", Text::StopReason),
    ("choices[].finish_reason", Text::FinishReason),
    ("candidates[].finishReason", Text::FinishReason),
    ("response.candidates[].finishReason", Text::FinishReason),
    ("incomplete_details.reason", Text::FinishReason),
    ("response.incomplete_details.reason", Text::FinishReason),
    ("stopReason", Text::FinishReason),
    ("messageStop.stopReason", Text::FinishReason),
    ("finish_reason", Text::FinishReason),
    ("delta.finish_reason", Text::FinishReason),
    ("response.finish_reason", Text::FinishReason),
    ("details.finish_reason", Text::FinishReason),
    ("done_reason", Text::FinishReason),
    ("usage.search_context_size", Text::SearchContext),
    // LM Studio.
    ("model_instance_id", Text::Model),
    ("result.model_instance_id", Text::Model),
    ("result.response_id", Text::Id),
];

impl Facts {
    pub(super) fn text(&mut self, text: Text, value: &str) {
        match text {
            Text::Object => self.object(value),
            Text::Type => self.kind(value),
            Text::Id => keep_first(&mut self.id, value),
            Text::Model => keep_last(&mut self.model, value),
            Text::ServiceTier => keep_last(&mut self.service_tier, value),
            Text::Speed => keep_last(&mut self.speed, value),
            Text::InferenceGeo => keep_last(&mut self.inference_geo, value),
            Text::ToolModel => keep_last(&mut self.tool_model, value),
            Text::ToolKind => self.search_tool = self.search_tool.or_else(|| search_tool(value)),
            Text::SearchContext => keep_last(&mut self.search_context, value),
            Text::CacheType => self.has_explicit_cache = value == "ephemeral",
            Text::Service => keep_last(&mut self.service, value),
            Text::StopReason => {
                self.is_refused |= value == "refusal";
                self.finish(value);
            }
            Text::FinishReason => self.finish(value),
            // A sentence is a message, and messages may repeat the prompt.
            Text::ErrorType if value.len() <= 64 && !value.contains(' ') => keep_first(&mut self.error_type, value),
            Text::ErrorType => {}
            // Making a cached content counts its tokens, but they are paid for when they are read.
            Text::Name => self.not_own |= value.starts_with("cachedContents/") || value.contains("/cachedContents/"),
        }
    }

    /// The model has stopped, for one or several of its responses. Each reason is kept once.
    fn finish(&mut self, reason: &str) {
        // A word, as those of errors.
        let is_word = !reason.is_empty() && reason.len() <= MAX_REASON && !reason.contains([' ', ',']);
        let reasons = self.finish_reasons.as_deref().unwrap_or_default();
        if !is_word || reasons.split(',').any(|known| known == reason) || reasons.len() >= MAX_REASONS {
            return;
        }
        let comma = if reasons.is_empty() { "" } else { "," };
        self.finish_reasons = Some([reasons, comma, reason].concat());
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
        self.tools.event(value == ITEM_DONE);
        match value {
            "message" | "message_start" => self.mark = Some(Api::AnthropicMessages),
            "message_stop" | "message-end" | "stream-end" | "interaction.completed" => self.terminal = true,
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.mark = Some(Api::OpenAiResponses);
                self.terminal = true;
            }
            "response.created" => self.mark = Some(Api::OpenAiResponses),
            "image_generation.completed" | "image_edit.completed" => self.makes = Some(Class::OutputImage),
            "speech.audio.done" => self.makes = Some(Class::OutputAudio),
            _ => {}
        }
    }
}

/// Google's search of the web for enterprises, which has no kind.
pub(crate) const ENTERPRISE_SEARCH: &str = "enterprise_web_search";

/// Which tool that searches the web a kind of tool is, without its date; prices tell these apart.
pub(crate) fn search_tool(kind: &str) -> Option<&'static str> {
    if kind.starts_with("web_search_preview") {
        Some("web_search_preview")
    } else {
        kind.starts_with("web_search").then_some("web_search")
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

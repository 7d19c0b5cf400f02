//! OpenAI's meaning: every part is inside its whole. Sources: OpenAI's OpenAPI file (`CompletionUsage`,
//! `ResponseUsage`); the organization usage schema says that input is cached + cache writes + the rest.

use super::facts::{Facts, Number, Raw};
use super::settle::{Counts, settle};
use super::{Reading, anthropic};

/// Chat Completions: `usage`, in a stream only if `stream_options.include_usage` asked for it.
pub(super) fn chat(facts: &Facts) -> Reading {
    let mut reading = settle(Counts {
        input: facts.get(Number::PromptTokens),
        output: facts.get(Number::CompletionTokens),
        total: facts.get(Number::TotalTokens),
        cache_read: facts.get(Number::PromptCached),
        cache_write: facts.get(Number::PromptCacheWrite),
        audio_input: facts.get(Number::PromptAudio),
        image_input: facts.get(Number::PromptImage),
        reasoning: facts.get(Number::CompletionReasoning),
        audio_output: facts.get(Number::CompletionAudio),
    });
    reading.complete = facts.closed(Raw::Usage);
    reading
}

/// Responses: `usage` of the object, or `response.usage` of the event that ends the stream.
pub(super) fn responses(facts: &Facts) -> Reading {
    let mut reading = settle(Counts {
        input: facts.get(Number::InputTokens),
        output: facts.get(Number::OutputTokens),
        total: facts.get(Number::TotalTokens),
        cache_read: facts.get(Number::InputCached),
        cache_write: facts.get(Number::InputCacheWrite),
        reasoning: facts.get(Number::OutputReasoning),
        ..Counts::default()
    });
    anthropic::web_searches(facts, &mut reading);
    reading.complete = facts.closed(Raw::Usage) || facts.closed(Raw::ResponseUsage);
    reading
}

//! OpenAI's meaning: every part is inside its whole. Sources: OpenAI's OpenAPI file (`CompletionUsage`,
//! `ResponseUsage`); the organization usage schema says that input is cached + cache writes + the rest.
//!
//! What is compatible with it differs in names and in a few meanings, which are noted where they are read.

use super::facts::{Facts, Number::*};
use super::settle::{Counts, settle};
use super::{Reading, Target, anthropic};
use crate::usage::Class;

/// Chat Completions, and what counts like it: `usage`, in a stream only if `stream_options.include_usage` asked for it.
pub(super) fn chat(facts: &Facts, target: &Target) -> Reading {
    let mut counts = Counts {
        input: facts.get(PromptTokens),
        output: facts.get(CompletionTokens),
        total: facts.get(TotalTokens),
        // OpenAI; DeepSeek; Moonshot; Databricks, in Anthropic's words but OpenAI's meaning; Mistral's two aliases.
        cache_read: facts.first(&[
            PromptCached,
            CacheHit,
            FlatCached,
            CacheReadInput,
            InputCached,
            NumCached,
            PromptDetailCached,
        ]),
        cache_write: facts.first(&[PromptCacheWrite, PromptCacheCreation, PromptCacheCreationInput, CacheCreation]),
        audio_input: facts.get(PromptAudio),
        image_input: facts.get(PromptImage),
        video_input: facts.get(PromptVideo),
        reasoning: facts.first(&[CompletionReasoning, FlatReasoning, OutputReasoning]),
        audio_output: facts.get(CompletionAudio),
        image_output: facts.get(CompletionImage),
    };
    match (counts.input, counts.output, counts.total) {
        // Embeddings and reranks may say a total only: it is the input.
        (None, None, total) => counts.input = total,
        // Gemini's compatible endpoint counts thoughts in the total only.
        (Some(input), Some(output), Some(total)) if target.is("gcp.gemini") && counts.reasoning.unwrap_or(0) == 0 => {
            counts.reasoning = total.checked_sub(input.saturating_add(output)).filter(|&thoughts| thoughts > 0);
        }
        // Vercel's gateway leaves thoughts out of the output and of the total; its own costs prove it.
        (_, Some(output), _) if target.is("vercel") && counts.reasoning.is_some_and(|reasoning| reasoning > output) => {
            counts.output = Some(output.saturating_add(counts.reasoning.unwrap_or(0)));
            counts.total = None;
        }
        _ => {}
    }
    let mut reading = settle(counts);
    reading.total = facts.get(TotalTokens);
    reading.set(Class::OutputCitation, facts.get(Citation));
    reading.set(Class::WebSearches, facts.get(SearchQueries));
    reading.set(Class::AudioSeconds, facts.get(PromptAudioSeconds));
    reading.complete = facts.any_closed();
    reading
}

/// Responses: `usage` of the object, or `response.usage` of the event that ends the stream. Images and transcriptions
/// have the same names.
pub(super) fn responses(facts: &Facts) -> Reading {
    let mut reading = settle(Counts {
        input: facts.get(InputTokens),
        output: facts.get(OutputTokens),
        total: facts.get(TotalTokens),
        cache_read: facts.get(InputCached),
        cache_write: facts.first(&[InputCacheWrite, InputCacheCreation]),
        reasoning: facts.get(OutputReasoning),
        audio_input: facts.get(InputAudioTokens),
        image_input: facts.get(InputImageTokens),
        image_output: facts.get(OutputImageTokens),
        ..Counts::default()
    });
    anthropic::web_searches(facts, &mut reading);
    reading.set(Class::AudioSeconds, facts.get(Seconds));
    reading.complete = facts.any_closed();
    reading
}

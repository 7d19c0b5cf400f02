//! OpenAI's meaning: every part is inside its whole. Sources: OpenAI's OpenAPI file (`CompletionUsage`,
//! `ResponseUsage`); the organization usage schema says that input is cached + cache writes + the rest.
//!
//! What is compatible with it differs in names and in a few meanings, which are noted where they are read.

use wire::record::Flags;
use wire::usage::{Class, MAX_COUNT, Usage};

use super::asking::IncludeUsage;
use super::catalogue::Provider;
use super::facts::{Facts, Number::*};
use super::paths::{Endpoint, Path, path};
use super::region::in_host;
use super::settle::{Counts, settle};
use super::{Api, Part, Reading, Target};

const DALL_E_2: &str = "dall-e-2";

/// OpenAI, with the paths of the APIs that are most spoken.
pub(super) const OPENAI: Provider = Provider {
    regions: &[in_host("", ".api.openai.com")],
    paths: &[
        path("chat/completions", Api::OpenAiChat, "chat"),
        path("completions", Api::OpenAiChat, "text_completion"),
        path("responses", Api::OpenAiResponses, "chat"),
        path("responses/compact", Api::OpenAiResponses, "chat"),
        path("embeddings", Api::OpenAiChat, "embeddings"),
        path("v1/decisions", Api::OpenAiResponses, "decide"),
        // "Defaults to `dall-e-2` unless a parameter specific to the GPT image models is used" (API reference, Create image).
        path("images/generations", Api::OpenAiResponses, "generate_content").at(Endpoint::Image).by_default(DALL_E_2),
        path("images/edits", Api::OpenAiResponses, "generate_content").at(Endpoint::Image),
        path("images/variations", Api::OpenAiResponses, "generate_content").at(Endpoint::Image),
        path("audio/transcriptions", Api::OpenAiResponses, "generate_content").at(Endpoint::Transcription),
        path("audio/translations", Api::OpenAiResponses, "generate_content").at(Endpoint::Transcription),
        path("audio/speech", Api::OpenAiResponses, "generate_content").at(Endpoint::Speech),
        path("v1/videos", Api::OpenAiResponses, "generate_content").at(Endpoint::Video),
        path("v1/videos/*/remix", Api::OpenAiResponses, "generate_content").at(Endpoint::Video),
        path("v1/batches", Api::OpenAiChat, "batch").at(Endpoint::Batch),
        path("threads/runs", Api::OpenAiChat, "invoke_agent"),
        path("threads/*/runs", Api::OpenAiChat, "invoke_agent"),
        path("threads/*/runs/*/submit_tool_outputs", Api::OpenAiChat, "invoke_agent"),
    ],
    not_own: &["responses/input_tokens", "responses/*/cancel", "batches/*/cancel"],
    include_usage: Some(&IncludeUsage { completions: true, says_null: true, ..IncludeUsage::ANY }),
    ..Provider::of("openai", &["api.openai.com", "*.api.openai.com"])
};

/// Chat Completions, and what counts like it: `usage`, in a stream only if `stream_options.include_usage` asked for it.
pub(super) fn chat(facts: &Facts, target: &Target) -> Reading {
    let mut counts = Counts {
        input: facts.get(PromptTokens),
        output: facts.get(CompletionTokens),
        total: facts.get(TotalTokens),
        audio_input: facts.get(PromptAudio),
        image_input: facts.get(PromptImage),
        video_input: facts.get(PromptVideo),
        reasoning: facts.first(&[CompletionReasoning, FlatReasoning, OutputReasoning]),
        audio_output: facts.get(CompletionAudio),
        image_output: facts.get(CompletionImage),
        ..caches(facts)
    };
    let connectors = connectors(facts, &mut counts);
    let beside = reasoning_beside(facts, target, &mut counts);
    match (counts.input, counts.output, counts.total) {
        (None, None, None) => timings(facts, &mut counts),
        // Embeddings and reranks may say a total only: it is the input.
        (None, None, total) => {
            counts.input = total;
            counts.image_input = counts.image_input.or_else(|| pixels(facts, total));
        }
        // Gemini's compatible endpoints count thoughts in the total only; without a response there is nothing but thoughts.
        (Some(input), output, Some(total)) if is_gemini(facts, target) && counts.reasoning.unwrap_or(0) == 0 => {
            let sum = input.saturating_add(output.unwrap_or(0));
            counts.reasoning = total.checked_sub(sum).filter(|&thoughts| thoughts > 0).or(counts.reasoning);
        }
        // Vercel's gateway leaves thoughts out of the output and of the total; its own costs prove it.
        (_, Some(output), _)
            if target.known().is_some_and(|provider| provider.reasoning_in_no_total)
                && counts.reasoning.is_some_and(|reasoning| reasoning > output) =>
        {
            counts.output = Some(output.saturating_add(counts.reasoning.unwrap_or(0)));
            counts.total = None;
        }
        _ => {}
    }
    counts.make(makes(facts, target));
    let mut reading = settle(counts);
    explicit(facts, &mut reading);
    reading.total = facts.get(TotalTokens);
    if beside.is_some() {
        reading.set(Class::OutputReasoning, beside);
    }
    reading.set(Class::InputTool, connectors);
    reading.set(Class::OutputCitation, facts.get(Citation));
    reading.set(Class::AudioSeconds, facts.get(PromptAudioSeconds));
    reading.complete = facts.any_closed() || facts.has(TimingsPredicted);
    reading
}

/// What caches served and took, under all names that are known: those of Chat Completions and of Responses occur in the other's
/// objects, too.
fn caches(facts: &Facts) -> Counts {
    Counts {
        // OpenAI; DeepSeek; Moonshot; Databricks and Perplexity, in Anthropic's words but OpenAI's meaning; Mistral's two aliases.
        cache_read: facts.first(&[
            PromptCached,
            InputCached,
            InputTokenCached,
            CacheHit,
            FlatCached,
            CacheReadInput,
            InputCacheRead,
            NumCached,
            PromptDetailCached,
        ]),
        cached_audio: facts.first(&[PromptCachedAudio, InputCachedAudio, InputTokenCachedAudio]),
        cached_image: facts.first(&[PromptCachedImage, InputCachedImage, InputTokenCachedImage]),
        cache_write: facts.first(&[
            PromptCacheWrite,
            InputCacheWrite,
            PromptCacheCreation,
            InputCacheCreation,
            PromptCacheCreationInput,
            InputCacheCreationInput,
            PromptCache5m,
            CacheCreation,
        ]),
        write_30m: facts.first(&[PromptWrite30m, InputWrite30m]),
        write_12h: facts.first(&[PromptWrite12h, InputWrite12h]),
        ..Counts::default()
    }
}

/// Qwen says whose cache it was. "Explicit cache and implicit cache are mutually exclusive" (Model Studio, Context Cache), and
/// have prices of their own.
fn explicit(facts: &Facts, reading: &mut Reading) {
    if facts.has_explicit_cache {
        reading.usage.set(Class::CacheReadExplicit, reading.usage.get(Class::CacheRead));
        reading.usage.set(Class::CacheRead, None);
    }
}

/// What a total of tokens has for pixels, beside those of the text: Voyage sells the two at prices of their own.
fn pixels(facts: &Facts, total: Option<u64>) -> Option<u64> {
    let has_pixels = facts.first(&[ImagePixels, VideoPixels]).is_some_and(|pixels| pixels > 0);
    total?.checked_sub(facts.get(FlatText)?).filter(|_| has_pixels)
}

/// What Mistral's connectors put into the prompt lies beside it, unless the total proves otherwise.
fn connectors(facts: &Facts, counts: &mut Counts) -> Option<u64> {
    let tokens = facts.get(ConnectorTokens)?;
    let sum = counts.input.unwrap_or(0).saturating_add(counts.output.unwrap_or(0));
    if counts.total == Some(sum) && tokens > 0 {
        counts.input = counts.input.map(|input| input.saturating_sub(tokens));
    }
    counts.total = counts.total.and_then(|total| total.checked_sub(tokens));
    Some(tokens)
}

/// Perplexity's deep research prices its reasoning beside the completion, and has it in no total. Source: Perplexity's
/// pricing, "reasoning tokens" of sonar-deep-research.
fn reasoning_beside(facts: &Facts, target: &Target, counts: &mut Counts) -> Option<u64> {
    let searches = target.known().is_some_and(|provider| provider.research_beside)
        || facts.has(Citation)
        || facts.has(SearchQueries);
    let reasoning = counts.reasoning.filter(|&reasoning| searches && reasoning > 0)?;
    let model = facts.model.as_deref().or(target.model.as_deref());
    let researches = model.is_some_and(|model| model.contains("deep-research"));
    let sum = counts.input.unwrap_or(0).saturating_add(counts.output.unwrap_or(0));
    let in_no_total = counts.total.is_none_or(|total| total == sum);
    if !in_no_total || !(researches || Some(reasoning) > counts.output) {
        return None;
    }
    counts.reasoning = None;
    Some(reasoning)
}

/// llama.cpp's own counts, in every stream: the prompt without what its cache served.
fn timings(facts: &Facts, counts: &mut Counts) {
    let cached = facts.get(TimingsCached);
    counts.input = facts.get(TimingsPrompt).map(|prompt| prompt.saturating_add(cached.unwrap_or(0)).min(MAX_COUNT));
    counts.cache_read = cached;
    counts.output = facts.get(TimingsPredicted);
}

/// Whether Gemini responds, whoever serves it.
fn is_gemini(facts: &Facts, target: &Target) -> bool {
    let model = facts.model.as_deref().or(target.model.as_deref());
    target.known().is_some_and(|provider| provider.reasoning_in_total_only)
        || model.is_some_and(|model| model.contains("gemini"))
}

/// What the endpoint makes.
fn makes(facts: &Facts, target: &Target) -> Class {
    facts.makes.or(target.known_path.map(Path::makes)).unwrap_or(Class::OutputText)
}

/// Responses: `usage` of the object, or `response.usage` of the event that ends the stream. Images and transcriptions
/// have the same names.
pub(super) fn responses(facts: &Facts, target: &Target) -> Reading {
    let mut counts = Counts {
        input: facts.get(InputTokens),
        output: facts.get(OutputTokens),
        total: facts.get(TotalTokens),
        reasoning: facts.get(OutputReasoning),
        audio_input: facts.first(&[InputAudioTokens, InputAudioDetails]),
        image_input: facts.first(&[InputImageTokens, InputTokenImage]),
        video_input: facts.get(InputVideoDetails),
        audio_output: facts.first(&[OutputAudioDetails, OutputAudioTokens]),
        image_output: facts.get(OutputImageTokens),
        text_output: facts.get(OutputTextTokens),
        ..caches(facts)
    };
    counts.make(makes(facts, target));
    let mut reading = settle(counts);
    explicit(facts, &mut reading);
    reading.parts.extend(image_gen(facts));
    reading.set(Class::AudioSeconds, facts.get(Seconds));
    reading.complete = facts.any_closed();
    reading
}

/// The model that made images as a tool: its tokens stand beside the usage.
fn image_gen(facts: &Facts) -> Option<Part> {
    let input = facts.get(ImageGenInput);
    let mut counts = Counts {
        input,
        output: facts.get(ImageGenOutput),
        cache_read: facts.get(ImageGenCached),
        image_input: facts.get(ImageGenInputImage),
        image_output: facts.get(ImageGenOutputImage),
        text_output: facts.get(ImageGenOutputText),
        ..Counts::default()
    };
    counts.make(Class::OutputImage);
    let reading = settle(counts);
    let used = |usage: &Usage| usage.iter().any(|(_, count)| count > 0);
    used(&reading.usage).then(|| Part {
        name: "image_gen".to_owned(),
        // Where the response does not repeat its tools, nothing says which model it was: never the one that responded.
        model: Some(facts.tool_model.clone().unwrap_or_else(|| "image_generation".to_owned())),
        usage: reading.usage,
        flags: reading.flags.into_iter().fold(Flags::default(), Flags::with),
    })
}

//! Gemini's meanings: thoughts lie beside the candidates, the tools' prompt beside the prompt, the cache inside it.
//! Sources: python-genai's `types.py`; the total is prompt + candidates + thoughts + tool use.

use serde_json::Value;
use wire::record::Flag;
use wire::usage::{Class, MAX_COUNT, Usage};

use super::catalogue::Provider;
use super::facts::{Facts, Number::*, Raw};
use super::paths::{Endpoint, path};
use super::plain::plain;
use super::region::in_host;
use super::{Api, Reading};

pub(super) const GEMINI: Provider = Provider {
    paths: &[
        path("*:generateContent", Api::Gemini, "generate_content"),
        path("*:streamGenerateContent", Api::Gemini, "generate_content"),
        path("*:embedContent", Api::Gemini, "embeddings"),
        path("*:batchEmbedContents", Api::Gemini, "embeddings"),
        path("interactions", Api::GeminiInteractions, "generate_content"),
        path("cachedContents", Api::Gemini, "cache_content").at(Endpoint::CachedContent),
        path("*:batchGenerateContent", Api::Gemini, "batch").at(Endpoint::Batch),
        path("*:asyncBatchEmbedContent", Api::Gemini, "batch").at(Endpoint::Batch),
    ],
    not_own: &["*:countTokens"],
    counts_in_headers: true,
    reasoning_in_total_only: true,
    ..Provider::of("gcp.gemini", &["generativelanguage.googleapis.com", "cloudcode-pa.googleapis.com"])
};

/// Vertex AI has Gemini's paths, Anthropic's API under its own, and models of any maker.
pub(super) const VERTEX: Provider = Provider {
    regions: &[in_host("aiplatform.", ".rep.googleapis.com"), in_host("", "-aiplatform.googleapis.com")],
    paths: &[
        path("*:rawPredict", Api::AnthropicMessages, "chat"),
        path("*:streamRawPredict", Api::AnthropicMessages, "chat"),
        path("*:predict", Api::Plain, "embeddings").at(Endpoint::AnyModel),
        path("*:predictLongRunning", Api::Plain, "generate_content").at(Endpoint::Video),
        path("batchPredictionJobs", Api::Gemini, "batch").at(Endpoint::Batch),
    ],
    // PaLM's, and those of embeddings.
    plain: &[plain(&[PalmInput], &[PalmOutput], &[]), plain(&[VertexTokens], &[], &[])],
    not_own: &["count-tokens:rawPredict"],
    counts_in_headers: true,
    charges_cache_writes: true,
    ..Provider::of(
        "gcp.vertex_ai",
        &[
            "aiplatform.googleapis.com",
            "*-aiplatform.googleapis.com",
            "aiplatform.*.rep.googleapis.com",
            "claude.googleapis.com",
        ],
    )
};

/// generateContent, embedContent, Live.
pub(super) fn generate(facts: &Facts) -> Reading {
    let mut reading = Reading { total: facts.get(GeminiTotal), complete: facts.any_closed(), ..Reading::default() };
    let prompt = facts.get(GeminiPrompt);
    let output = facts.first(&[GeminiCandidates, GeminiResponse]);
    let tool = facts.get(GeminiTool);
    let untold = || only_total(reading.total, &[prompt?, output.unwrap_or(0), tool.unwrap_or(0)]);
    let thoughts = facts.get(GeminiThoughts).or_else(untold);
    let cached = facts.get(GeminiCached);
    let raw = facts.raw(Raw::Metadata).or_else(|| facts.raw(Raw::ResponseMetadata));
    let details = Details::of(raw);

    let (cached, fresh) = match (prompt, cached) {
        (Some(prompt), Some(cached)) if cached > prompt => {
            reading.flags.push(Flag::PartExceedsParent);
            (None, Some(prompt))
        }
        (Some(prompt), cached) => (cached, prompt.checked_sub(cached.unwrap_or(0))),
        // Embeddings say a total only.
        (None, cached) if output.is_none() && thoughts.is_none() => (cached, reading.total),
        (None, cached) => (cached, None),
    };
    let mut cache = details.list(&["cacheTokensDetails"]);
    let mut input = details.list(&["promptTokensDetails", "promptTokenDetails"]);
    for modality in Modality::ALL {
        input.take(modality, cache.get(modality));
    }
    split(&mut reading, cached, &mut cache, CACHE);
    split(&mut reading, fresh, &mut input, INPUT);
    let mut made = details.list(&["candidatesTokensDetails", "responseTokensDetails"]);
    if made.is_empty() && facts.model.as_deref().is_some_and(|model| model.ends_with("-tts")) {
        // A model that speaks and does nothing else.
        made.audio = output.unwrap_or(0);
    }
    split(&mut reading, output, &mut made, OUTPUT);
    reading.set(Class::OutputReasoning, thoughts);
    reading.set(Class::InputTool, tool);
    let sum = [prompt, output, thoughts, tool].into_iter().flatten().fold(0, u64::saturating_add);
    if prompt.is_some() && reading.total.is_some_and(|total| total > 0 && total != sum) {
        reading.flags.push(Flag::TotalMismatch);
    }
    reading
}

/// Thoughts that nothing but the total shows.
fn only_total(total: Option<u64>, told: &[u64]) -> Option<u64> {
    let told = told.iter().copied().fold(0, u64::saturating_add);
    total?.checked_sub(told).filter(|&thoughts| thoughts > 0)
}

/// The Interactions API.
pub(super) fn interactions(facts: &Facts) -> Reading {
    let mut reading = Reading { total: facts.get(TotalTokens), complete: facts.any_closed(), ..Reading::default() };
    let (input, output) = (facts.get(TotalInput), facts.get(TotalOutput));
    let tool = facts.get(TotalToolUse);
    let untold = || only_total(reading.total, &[input?, output.unwrap_or(0), tool.unwrap_or(0)]);
    let thoughts = facts.first(&[TotalReasoning, TotalThought]).or_else(untold);
    let cached = facts.get(TotalCached).filter(|&cached| input.is_none_or(|input| cached <= input));
    let raw = facts.raw(Raw::InteractionUsage).or_else(|| facts.raw(Raw::Usage));
    let details = Details::of(raw);
    let mut cache = details.list(&["cached_tokens_by_modality"]);
    let mut fresh = details.list(&["input_tokens_by_modality"]);
    for modality in Modality::ALL {
        fresh.take(modality, cache.get(modality));
    }
    split(&mut reading, cached, &mut cache, CACHE);
    split(&mut reading, input.and_then(|input| input.checked_sub(cached.unwrap_or(0))), &mut fresh, INPUT);
    reading.set(Class::InputTool, tool);
    details.grounding(&mut reading);
    let mut made = details.list(&["output_tokens_by_modality"]);
    let sum = [input, output, thoughts, tool].into_iter().flatten().fold(0, u64::saturating_add);
    match (reading.total, output, thoughts) {
        // The total proves that thoughts are part of the output.
        (Some(total), Some(output), Some(thoughts))
            if total < sum && total == sum.saturating_sub(thoughts) && thoughts <= output =>
        {
            split(&mut reading, output.checked_sub(thoughts), &mut made, OUTPUT);
        }
        (total, output, _) => {
            split(&mut reading, output, &mut made, OUTPUT);
            if total.is_some_and(|total| total > 0 && total != sum) {
                reading.flags.push(Flag::TotalMismatch);
            }
        }
    }
    reading.set(Class::OutputReasoning, thoughts);
    reading
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Modality {
    Audio,
    Image,
    Video,
}

impl Modality {
    const ALL: [Modality; 3] = [Modality::Audio, Modality::Image, Modality::Video];

    /// By its name in either case, or by its number in Google's protobuf.
    fn of(value: &Value) -> Option<Modality> {
        let named = |names: &[&str]| {
            value.as_str().is_some_and(|name| names.iter().any(|known| known.eq_ignore_ascii_case(name)))
        };
        let number = value.as_u64();
        // The cache calls a document what the prompt calls an image, and the other way round.
        if named(&["IMAGE", "DOCUMENT"]) || matches!(number, Some(2 | 5)) {
            Some(Modality::Image)
        } else if named(&["AUDIO"]) || number == Some(4) {
            Some(Modality::Audio)
        } else if named(&["VIDEO"]) || number == Some(3) {
            Some(Modality::Video)
        } else {
            None
        }
    }
}

/// The classes of text, audio, image, video.
type Classes = [Class; 4];
const INPUT: Classes = [Class::InputText, Class::InputAudio, Class::InputImage, Class::InputVideo];
const CACHE: Classes = [Class::CacheRead, Class::CacheReadAudio, Class::CacheReadImage, Class::CacheReadVideo];
const OUTPUT: Classes = [Class::OutputText, Class::OutputAudio, Class::OutputImage, Class::OutputVideo];

/// Splits a count by modality. The count holds: details that exceed it are cut, the rest is text or unknown.
fn split(reading: &mut Reading, count: Option<u64>, details: &mut List, [text, audio, image, video]: Classes) {
    let Some(mut left) = count else { return };
    for (modality, class) in [(Modality::Audio, audio), (Modality::Image, image), (Modality::Video, video)] {
        let said = details.get(modality);
        let taken = said.min(left);
        if taken > 0 {
            set(&mut reading.usage, class, taken);
        }
        if taken < said {
            reading.flag(Flag::PartExceedsParent);
        }
        left = left.saturating_sub(taken);
    }
    reading.set(text, Some(left));
}

fn set(usage: &mut Usage, class: Class, count: u64) {
    usage.set(class, Some(count));
}

/// The lists of a usage object.
struct Details(Option<Value>);

impl Details {
    /// Parsed only if one of them can matter: text alone needs no split.
    fn of(raw: Option<&[u8]>) -> Self {
        let other = |raw: &&[u8]| {
            let is_other = |at: usize| {
                let value = raw.get(at..).unwrap_or_default().iter().skip("modality".len());
                let first = value.copied().find(|byte| !matches!(byte, b'"' | b':') && !byte.is_ascii_whitespace());
                // Text, unspecified, and their numbers.
                !matches!(first, Some(b'T' | b't' | b'M' | b'm' | b'0' | b'1'))
            };
            memchr::memmem::find_iter(raw, "modality").any(is_other)
                || memchr::memmem::find(raw, b"grounding_tool").is_some()
        };
        Details(raw.filter(other).and_then(|raw| wire::read_json(raw).ok()))
    }

    /// Interactions count what grounded them.
    fn grounding(&self, reading: &mut Reading) {
        let counts = self.0.as_ref().and_then(|usage| usage.get("grounding_tool_count")?.as_array());
        for entry in counts.into_iter().flatten() {
            let class = match entry.get("type").and_then(Value::as_str) {
                Some("google_search") => Class::WebSearches,
                Some("google_maps") => Class::MapsSearches,
                Some("retrieval") => Class::FileSearches,
                _ => continue,
            };
            let count = entry.get("count").and_then(Value::as_u64).filter(|&count| count <= MAX_COUNT);
            let sum = count.map(|count| reading.usage.get(class).unwrap_or(0).saturating_add(count).min(MAX_COUNT));
            reading.set(class, sum.or(reading.usage.get(class)));
        }
    }

    fn list(&self, names: &[&str]) -> List {
        let mut list = List::default();
        let Some(usage) = &self.0 else { return list };
        let entries = names.iter().find_map(|name| usage.get(*name)?.as_array());
        for entry in entries.into_iter().flatten() {
            let tokens = entry.get("tokenCount").or_else(|| entry.get("tokens"));
            let tokens = tokens.and_then(Value::as_u64).filter(|&count| count <= MAX_COUNT).unwrap_or(0);
            let Some(modality) = entry.get("modality").and_then(Modality::of) else { continue };
            let slot = list.slot(modality);
            *slot = slot.saturating_add(tokens);
        }
        list
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct List {
    audio: u64,
    image: u64,
    video: u64,
}

impl List {
    fn slot(&mut self, modality: Modality) -> &mut u64 {
        match modality {
            Modality::Audio => &mut self.audio,
            Modality::Image => &mut self.image,
            Modality::Video => &mut self.video,
        }
    }

    fn is_empty(&self) -> bool {
        self.audio == 0 && self.image == 0 && self.video == 0
    }

    fn get(&mut self, modality: Modality) -> u64 {
        *self.slot(modality)
    }

    /// Takes out what the cache served.
    fn take(&mut self, modality: Modality, count: u64) {
        let slot = self.slot(modality);
        *slot = slot.saturating_sub(count);
    }
}

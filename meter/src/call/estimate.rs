//! Where counts are missing, puts estimates in their place; where they are whole, learns from them.

use wire::record::{Evidence, Flag, Flags, Missing, Outcome, Record};
use wire::usage::{Class, MAX_COUNT, Usage};

use super::request::Asked;
use crate::estimate::{Key, Output, Ratios, Text};
use crate::provider::{Api, Endpoint};

/// What a response can have cost in output beside its own bytes, tokens, where nothing says that it was anything but text:
/// the longest output that a model offers, all of it in thoughts that no text shows and no count tells apart.
const UNSEEN_OUTPUT: u64 = 128 * 1024;
/// The same where it counts thoughts, sound or pictures: several such outputs, of one model that calls itself in turns.
const UNSEEN_OUTPUT_COUNTED: u64 = 1024 * 1024;
/// What a call can have cost in input beside its own bytes, tokens: what the provider keeps, finds or adds itself, in turns
/// each of which reads it again. The largest contexts have 10 million tokens.
const UNSEEN_INPUT: u64 = 16 * 1024 * 1024;

/// Bytes of sound that a second takes: those of an MP3 at 128 kbit/s, which is between speech in Opus (a fifth) and in a
/// plain WAV of 16 kHz (twice as many).
const SOUND_BYTES_A_SECOND: u64 = 16_000;
/// OpenAI: sound that a model hears is one token per 100 ms.
const SOUND_TOKENS_A_SECOND: u64 = 10;
/// Bytes of text in a unit of Cohere's reranks: 100 documents of 500 tokens each.
const SEARCH_UNIT_BYTES: u64 = 100 * 500 * 4;
/// Tokens that an image takes in a prompt, about: one of 1024 by 1024 pixels takes 765 with OpenAI's models, 1,400 with
/// Anthropic's and 1,032 with Gemini.
const IMAGE_TOKENS: u64 = 1000;

/// Input that is no text.
const OTHER_INPUT: &[Class] = &[
    Class::InputAudio,
    Class::InputImage,
    Class::InputVideo,
    Class::InputTool,
    Class::CacheReadAudio,
    Class::CacheReadImage,
    Class::CacheReadVideo,
    Class::WebSearches,
    Class::WebFetches,
    Class::XSearches,
    Class::MapsSearches,
    Class::FileSearches,
    Class::CodeExecutions,
    Class::ContainerSessions,
];
/// Output that is no text that the response shows.
const OTHER_OUTPUT: &[Class] = &[Class::OutputAudio, Class::OutputImage, Class::OutputVideo, Class::OutputCitation];

/// The two sides of a call, as far as estimates go by them.
pub(super) struct Seen<'a> {
    pub request: &'a Asked,
    pub api: Api,
    pub endpoint: Endpoint,
    /// What the model wrote.
    pub text: &'a Text,
    /// The response's bytes, decoded.
    pub response_bytes: u64,
}

pub(super) fn settle(record: &mut Record, seen: &Seen<'_>, ratios: &mut Ratios) {
    if seen.is_implausible(&record.usage) {
        // It is what the provider says, and stays; but nothing is made of it.
        record.flags.insert(Flag::ImplausibleCount);
        return;
    }
    fill(record, seen, ratios);
    if record.evidence != Evidence::Reported && seen.is_unlikely(&record.usage) {
        // A bomb, or a text that no model writes: it stays, for a person to look at.
        record.flags.insert(Flag::ImplausibleCount);
    }
}

fn fill(record: &mut Record, seen: &Seen<'_>, ratios: &mut Ratios) {
    match record.evidence {
        Evidence::Reported => learn(record, seen, ratios),
        Evidence::Partial => raise_output(record, seen, ratios),
        Evidence::Missing if is_worth_a_guess(record, seen.text) => guess(record, seen, ratios),
        // The response had begun: the provider charges what it has read, whatever had been delivered by then.
        Evidence::Missing if was_taken_and_cut(record) => guess(record, seen, ratios),
        // Images of a model that sells them by the token: there is no price for one, nor a count for what was delivered.
        Evidence::Estimated if was_taken_and_cut(record) && is_by_token(record) && seen.endpoint == Endpoint::Image => {
            record.usage.set(Class::InputText, input(record, seen.request, ratios));
            name_unseen(record, ["output.image"].into_iter());
        }
        Evidence::Missing | Evidence::Estimated => {}
    }
}

/// Whether an OpenAI model of images or sound is sold by the token, and not by the image or the second.
fn is_by_token(record: &Record) -> bool {
    record.model().is_some_and(|model| model.starts_with("gpt-") || model.starts_with("chatgpt-"))
}

/// Whether the provider had taken a call that then broke off.
fn was_taken_and_cut(record: &Record) -> bool {
    broke_off(record) && record.status.is_some_and(|status| status < 400) && record.deferred.is_none()
}

/// Names what a response that broke off holds beside text, where no counts say what it costs.
pub(super) fn name_unseen(record: &mut Record, names: impl Iterator<Item = &'static str>) {
    let is_counted = matches!(record.evidence, Evidence::Reported | Evidence::Partial);
    if is_counted || !was_taken_and_cut(record) {
        return;
    }
    for name in names {
        record.flags.insert(Flag::UnknownUsage);
        let known = record.unknown_usage.take().map(|known| known + ",").unwrap_or_default();
        record.unknown_usage = Some(known + name);
    }
}

/// No response has begun to a request that was sent: the provider charges what it has read all the same.
pub(super) fn no_response(record: &mut Record, request: &Asked, api: Api, endpoint: Endpoint, ratios: &Ratios) {
    let begins = matches!(endpoint, Endpoint::Batch | Endpoint::Job | Endpoint::Video | Endpoint::CachedContent);
    if broke_off(record) && !begins {
        let (class, count) = owed(record, request, api, endpoint, ratios);
        if count.is_some() {
            record.usage.set(class, count);
            record.evidence = Evidence::Estimated;
        }
    }
}

fn broke_off(record: &Record) -> bool {
    matches!(record.outcome, Outcome::ClientAborted | Outcome::Timeout | Outcome::UpstreamReset)
}

impl Seen<'_> {
    /// Whether counts are more than the bytes of the call and all that can stand behind them.
    fn is_implausible(&self, usage: &Usage) -> bool {
        let counted = has(usage, OTHER_OUTPUT) || has(usage, &[Class::OutputReasoning]);
        let unseen = if counted { UNSEEN_OUTPUT_COUNTED } else { UNSEEN_OUTPUT };
        let output = unseen.saturating_mul(self.request.choices()).saturating_add(self.response_bytes);
        let input = UNSEEN_INPUT.saturating_add(self.request.bytes());
        usage.output_total() > Some(output) || usage.input_total() > Some(input)
    }

    /// Whether an estimate is more than a model writes, or reads: the bytes explain it, but nothing else does.
    fn is_unlikely(&self, usage: &Usage) -> bool {
        let output = UNSEEN_OUTPUT.saturating_mul(self.request.choices());
        usage.output_total() > Some(output) || usage.input_total() > Some(UNSEEN_INPUT)
    }

    /// What is to be said of the counts of another model.
    pub(super) fn flags(&self, usage: &Usage) -> Flags {
        let mut flags = Flags::default();
        if self.is_implausible(usage) {
            flags.insert(Flag::ImplausibleCount);
        }
        flags
    }

    fn output(&self, record: &Record, ratios: &Ratios) -> Output {
        ratios.output(key(record).as_ref(), self.text, self.request.limit(self.api))
    }
}

fn has(usage: &Usage, classes: &[Class]) -> bool {
    classes.iter().any(|&class| usage.get(class).is_some_and(|count| count > 0))
}

fn key(record: &Record) -> Option<Key<'_>> {
    let Record { identity, provider, cluster, .. } = record;
    Some(Key { tenant: &identity.tenant, provider, upstream: cluster.as_deref(), model: record.model()? })
}

fn learn(record: &Record, seen: &Seen<'_>, ratios: &mut Ratios) {
    let Record { usage, .. } = record;
    // A stream that broke off after its counts has shown all of its text only if it was complete.
    let (false, Some(key)) = (record.flags.contains(Flag::BodyIncomplete), key(record)) else { return };
    if let Some(tokens) = usage.input_total().filter(|_| !has(usage, OTHER_INPUT)) {
        ratios.learn_input(&key, seen.request.text(), tokens);
    }
    if let Some(tokens) = usage.output_total().filter(|_| !has(usage, OTHER_OUTPUT)) {
        ratios.learn_output(&key, seen.text, tokens, usage.get(Class::OutputReasoning).unwrap_or(0));
    }
}

/// The counts at the start of a stream have a first count of the output only.
fn raise_output(record: &mut Record, seen: &Seen<'_>, ratios: &Ratios) {
    let Output { text, hidden } = seen.output(record, ratios);
    let guess = text.saturating_add(hidden.unwrap_or(0)).min(MAX_COUNT);
    let so_far = record.usage.output_total().unwrap_or(0);
    if let Some(more) = guess.checked_sub(so_far).filter(|&more| more > 0) {
        let text = record.usage.get(Class::OutputText).unwrap_or(0);
        record.usage.set(Class::OutputText, Some(text.saturating_add(more)));
        record.flags.insert(Flag::OutputEstimated);
    }
}

/// Whether the model worked for the call: it has written something, and no error took its place.
fn is_worth_a_guess(record: &Record, text: &Text) -> bool {
    let why = record.missing_reason;
    let worked = !matches!(record.outcome, Outcome::NotSent | Outcome::ErrorStatus);
    let unread = matches!(why, Some(Missing::EncodedBody | Missing::UnknownFormat | Missing::ErrorStatus));
    worked && !unread && text.bytes() > 0
}

fn guess(record: &mut Record, seen: &Seen<'_>, ratios: &Ratios) {
    if seen.text.bytes() > 0 {
        let Output { text, hidden } = seen.output(record, ratios);
        record.usage.set(Class::OutputText, Some(text.min(MAX_COUNT)));
        record.usage.set(Class::OutputReasoning, hidden.map(|hidden| hidden.min(MAX_COUNT)));
    }
    let (class, count) = owed(record, seen.request, seen.api, seen.endpoint, ratios);
    record.usage.set(class, count);
    if seen.text.bytes() > 0 || count.is_some() {
        record.evidence = Evidence::Estimated;
    }
}

/// What is owed for what the provider read, in what its endpoint sells it by.
fn owed(record: &Record, request: &Asked, api: Api, endpoint: Endpoint, ratios: &Ratios) -> (Class, Option<u64>) {
    let sound = || request.form_bytes().map(|bytes| bytes.div_ceil(SOUND_BYTES_A_SECOND));
    match endpoint {
        Endpoint::Transcription if is_by_token(record) => {
            (Class::InputAudio, sound().map(|seconds| seconds.saturating_mul(SOUND_TOKENS_A_SECOND)))
        }
        Endpoint::Transcription => (Class::AudioSeconds, sound()),
        _ if api == Api::Cohere && record.operation == "rerank" => {
            (Class::SearchUnits, Some(request.text().bytes().div_ceil(SEARCH_UNIT_BYTES).max(1)))
        }
        _ => (Class::InputText, input(record, request, ratios)),
    }
}

/// The best guess of what the request's text and images took, if it has any.
fn input(record: &Record, request: &Asked, ratios: &Ratios) -> Option<u64> {
    let text = &request.text_or_bound();
    let images = request.weight().images.saturating_mul(IMAGE_TOKENS);
    let tokens = ratios.input(key(record).as_ref(), text).saturating_add(images);
    Some(tokens.min(MAX_COUNT)).filter(|&tokens| tokens > 0)
}

#[cfg(test)]
mod tests;

//! Where counts are missing, puts estimates in their place; where they are whole, learns from them.

use wire::record::{Evidence, Flag, Flags, Missing, Outcome, Record};
use wire::usage::{Class, MAX_COUNT, Usage};

use super::request::Asked;
use crate::estimate::{Key, Output, Ratios, Text};
use crate::provider::Api;

/// What a response can have cost in output beside its own bytes, tokens, where nothing says that it was anything but text:
/// the longest output that a model offers, all of it in thoughts that no text shows and no count tells apart.
const UNSEEN_OUTPUT: u64 = 128 * 1024;
/// The same where it counts thoughts, sound or pictures: several such outputs, of one model that calls itself in turns.
const UNSEEN_OUTPUT_COUNTED: u64 = 1024 * 1024;
/// What a call can have cost in input beside its own bytes, tokens: what the provider keeps, finds or adds itself, in turns
/// each of which reads it again. The largest contexts have 10 million tokens.
const UNSEEN_INPUT: u64 = 16 * 1024 * 1024;

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
    match record.evidence {
        Evidence::Reported => learn(record, seen, ratios),
        Evidence::Partial => raise_output(record, seen, ratios),
        Evidence::Missing if is_worth_a_guess(record, seen.text) => guess(record, seen, ratios),
        Evidence::Missing | Evidence::Estimated => {}
    }
}

/// No response has begun to a request that was sent: the provider charges what it has read all the same.
pub(super) fn no_response(record: &mut Record, request: &Asked, ratios: &Ratios) {
    let broke_off = matches!(record.outcome, Outcome::ClientAborted | Outcome::Timeout | Outcome::UpstreamReset);
    let input = input(record, request, ratios).filter(|_| broke_off);
    if input.is_some() {
        record.usage.set(Class::InputText, input);
        record.evidence = Evidence::Estimated;
    }
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
    let Output { text, hidden } = seen.output(record, ratios);
    let input = input(record, seen.request, ratios);
    record.usage.set(Class::OutputText, Some(text.min(MAX_COUNT)));
    record.usage.set(Class::OutputReasoning, hidden.map(|hidden| hidden.min(MAX_COUNT)));
    record.usage.set(Class::InputText, input);
    record.evidence = Evidence::Estimated;
}

/// The best guess of what the request's text took, if it has any.
fn input(record: &Record, request: &Asked, ratios: &Ratios) -> Option<u64> {
    let text = request.text();
    (text.bytes() > 0).then(|| ratios.input(key(record).as_ref(), text).min(MAX_COUNT))
}

#[cfg(test)]
mod tests;

//! Where counts are missing, puts estimates in their place; where they are whole, learns from them.

use crate::estimate::{Output, Ratios, Text};
use crate::record::{Evidence, Flag, Missing, Outcome, Record};
use crate::usage::{Class, MAX_COUNT};

pub(super) fn settle(record: &mut Record, request: &Text, answer: &Text, ratios: &mut Ratios) {
    match record.evidence {
        Evidence::Reported => learn(record, request, answer, ratios),
        Evidence::Partial => raise_output(record, answer, ratios),
        Evidence::Missing if is_worth_a_guess(record, answer) => guess(record, request, answer, ratios),
        Evidence::Missing | Evidence::Estimated => {}
    }
}

fn learn(record: &Record, request: &Text, answer: &Text, ratios: &mut Ratios) {
    // A stream that broke off after its counts has shown all of its text only if it was complete.
    if record.flags.contains(Flag::BodyIncomplete) {
        return;
    }
    let Some(model) = record.model() else { return };
    if let Some(tokens) = record.usage.input_total() {
        ratios.learn_input(model, request, tokens);
    }
    if let Some(tokens) = record.usage.output_total() {
        ratios.learn_output(model, answer, tokens, record.usage.get(Class::OutputReasoning).unwrap_or(0));
    }
}

/// The counts at the start of a stream have a first count of the output only.
fn raise_output(record: &mut Record, answer: &Text, ratios: &Ratios) {
    let Output { text, hidden } = ratios.output(record.model(), answer);
    let guess = text.saturating_add(hidden.unwrap_or(0)).min(MAX_COUNT);
    let so_far = record.usage.output_total().unwrap_or(0);
    if let Some(more) = guess.checked_sub(so_far).filter(|&more| more > 0) {
        let text = record.usage.get(Class::OutputText).unwrap_or(0);
        record.usage.set(Class::OutputText, Some(text.saturating_add(more)));
        record.flags.insert(Flag::OutputEstimated);
    }
}

/// Whether the model worked for the call: it has written something, and no error took its place.
fn is_worth_a_guess(record: &Record, answer: &Text) -> bool {
    let why = record.missing_reason;
    let worked = !matches!(record.outcome, Outcome::NotSent | Outcome::ErrorStatus);
    let unread = matches!(why, Some(Missing::EncodedBody | Missing::UnknownFormat | Missing::ErrorStatus));
    worked && !unread && answer.bytes() > 0
}

fn guess(record: &mut Record, request: &Text, answer: &Text, ratios: &Ratios) {
    let Output { text, hidden } = ratios.output(record.model(), answer);
    let input = (request.bytes() > 0).then(|| ratios.input(record.model(), request).min(MAX_COUNT));
    record.usage.set(Class::OutputText, Some(text.min(MAX_COUNT)));
    record.usage.set(Class::OutputReasoning, hidden.map(|hidden| hidden.min(MAX_COUNT)));
    record.usage.set(Class::InputText, input);
    record.evidence = Evidence::Estimated;
}

//! Anthropic's meaning: `input_tokens` does not contain the cache's; `output_tokens` contains thinking. Sources:
//! anthropic-sdk's `types/usage.py`, `types/message_delta_usage.py`.
//!
//! A stream says the input in `message_start` with a small first count of the output, and the final counts, cumulative,
//! in `message_delta`. Only `message_start` has the lifetimes of cache writes.

mod iterations;

use wire::record::Flag;
use wire::usage::Class;

use super::catalogue::Provider;
use super::facts::{Facts, Number, Raw};
use super::paths::{Endpoint, path};
use super::{Api, Reading, Target};

pub(super) const ANTHROPIC: Provider = Provider {
    paths: &[
        path("v1/messages", Api::AnthropicMessages, "chat"),
        path("messages/batches", Api::AnthropicMessages, "batch").at(Endpoint::Batch),
    ],
    not_own: &["count_tokens", "count-tokens"],
    // Claude Platform on AWS: Anthropic's own service, at its prices, paid through AWS.
    ..Provider::of("anthropic", &["api.anthropic.com", "aws-external-anthropic.*.api.aws"])
};

/// Messages: `usage`, or `message.usage` overlaid by the later `usage`.
pub(super) fn messages(facts: &Facts, target: &Target) -> Reading {
    let mut reading = Reading::default();
    let usage = &mut reading.usage;
    usage.set(Class::InputText, fresh_input(facts, target));
    usage.set(Class::CacheRead, facts.first(&[Number::CacheReadInput, Number::PromptCached]));
    let thinking = facts.get(Number::OutputThinking);
    match (facts.get(Number::OutputTokens), thinking) {
        (Some(output), Some(thinking)) => match output.checked_sub(thinking) {
            Some(rest) => {
                usage.set(Class::OutputText, Some(rest));
                usage.set(Class::OutputReasoning, Some(thinking));
            }
            None => {
                usage.set(Class::OutputText, Some(output));
                reading.flags.push(Flag::PartExceedsParent);
            }
        },
        (output, _) => usage.set(Class::OutputText, output),
    }
    cache_writes(facts, &mut reading);
    reading.complete = facts.closed(Raw::Usage);
    iterations::apply(facts, &mut reading);
    if facts.is_refused
        && facts.is_zero_last(Number::OutputTokens)
        && facts.written(Api::AnthropicMessages).bytes() == 0
    {
        // Anthropic: a refusal before any output is not billed. A stream's first count of the output is taken back.
        reading.set(Class::OutputText, Some(0));
        reading.set(Class::OutputReasoning, None);
        reading.flag(Flag::NotBilled);
    }
    reading
}

/// The input beside the cache. Servers that only speak as Anthropic does may mean the whole prompt by it: those whose usage
/// repeats the cached tokens as a part of the prompt in OpenAI's words, and those of nobody's host whose input is what the
/// cache served and took, to the token.
fn fresh_input(facts: &Facts, target: &Target) -> Option<u64> {
    let input = facts.get(Number::InputTokens)?;
    let read = facts.first(&[Number::CacheReadInput, Number::PromptCached]).unwrap_or(0);
    let cached = read.saturating_add(facts.get(Number::CacheCreation).unwrap_or(0));
    // An input that is much less cannot contain it. One that is a little less was counted before the cache was.
    let says_part = read > 0 && facts.get(Number::PromptCached) == Some(read) && input >= cached / 2;
    let repeats = target.provider.is_none() && read > 0 && input == cached;
    Some(if says_part || repeats { input.saturating_sub(cached) } else { input })
}

/// The total of cache writes is the later word, the split by lifetime may be older: what the split leaves open is
/// counted as 5 minutes, the default lifetime.
fn cache_writes(facts: &Facts, reading: &mut Reading) {
    let (five, hour) = (facts.get(Number::CacheCreation5m), facts.get(Number::CacheCreation1h));
    let split = five.unwrap_or(0).saturating_add(hour.unwrap_or(0));
    let Some(total) = facts.get(Number::CacheCreation) else {
        reading.usage.set(Class::CacheWrite5m, five);
        reading.usage.set(Class::CacheWrite1h, hour);
        return;
    };
    match total.checked_sub(split) {
        Some(0) if five.is_some() || hour.is_some() => {
            reading.usage.set(Class::CacheWrite5m, five);
            reading.usage.set(Class::CacheWrite1h, hour);
        }
        Some(open) => {
            reading.usage.set(Class::CacheWrite5m, Some(five.unwrap_or(0).saturating_add(open)));
            reading.usage.set(Class::CacheWrite1h, hour);
            if open > 0 {
                reading.flags.push(Flag::TtlAssumed);
            }
        }
        None => {
            let five = five.unwrap_or(0).min(total);
            reading.usage.set(Class::CacheWrite5m, Some(five));
            reading.usage.set(Class::CacheWrite1h, Some(total.saturating_sub(five)));
            reading.flags.push(Flag::PartExceedsParent);
        }
    }
}

//! APIs that say how many tokens went in and came out, and nothing else.

use wire::usage::Class;

use super::Reading;
use super::catalogue::PROVIDERS;
use super::facts::{Facts, Number, Number::*};

/// The counts of such an API.
#[derive(Debug)]
pub(super) struct Plain {
    input: &'static [Number],
    output: &'static [Number],
    /// Input from a cache, a part of the input.
    cached: &'static [Number],
    /// Reasoning, a part of the output.
    reasoning: &'static [Number],
}

/// Input, output, and input from a cache that is a part of the input; of several names the first that is there counts.
pub(super) const fn plain(input: &'static [Number], output: &'static [Number], cached: &'static [Number]) -> Plain {
    Plain { input, output, cached, reasoning: &[] }
}

/// Those of servers that people run themselves: SGLang, llama.cpp, LM Studio.
const SELF_HOSTED: &[Plain] = &[
    plain(&[SglangPrompt], &[SglangCompletion], &[SglangCached]),
    plain(&[LlamaCppEvaluated], &[LlamaCppPredicted], &[]),
    Plain { reasoning: &[StudioReasoning], ..plain(&[StudioInput], &[StudioOutput], &[]) },
];

fn counts_of(facts: &Facts) -> Option<&'static Plain> {
    let mut all = PROVIDERS.iter().flat_map(|provider| provider.plain).chain(SELF_HOSTED);
    all.find(|plain| facts.first(plain.input).is_some() || facts.first(plain.output).is_some())
}

/// Whether one of them is there.
pub(super) fn is_there(facts: &Facts) -> bool {
    counts_of(facts).is_some()
}

/// Reads it.
pub(super) fn read(facts: &Facts) -> Reading {
    let mut reading = Reading { complete: true, total: facts.get(TencentTotal), ..Reading::default() };
    let Some(plain) = counts_of(facts) else { return reading };
    let input = facts.first(plain.input);
    match (input, facts.first(plain.cached)) {
        (Some(input), Some(cached)) if cached <= input => {
            reading.set(Class::InputText, input.checked_sub(cached));
            reading.set(Class::CacheRead, Some(cached));
        }
        _ => reading.set(Class::InputText, input),
    }
    let output = facts.first(plain.output);
    let reasoning = facts.first(plain.reasoning).filter(|&reasoning| Some(reasoning) <= output);
    let rest = output.and_then(|output| output.checked_sub(reasoning.unwrap_or(0)));
    reading.set(Class::OutputText, rest);
    reading.set(Class::OutputReasoning, reasoning);
    reading
}

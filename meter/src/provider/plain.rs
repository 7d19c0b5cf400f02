//! APIs that say how many tokens went in and came out, and nothing else.

use wire::usage::Class;

use super::Reading;
use super::facts::{Facts, Number, Number::*};

/// Input, output, input from a cache that is part of the input, and reasoning that is part of the output.
struct Row {
    input: &'static [Number],
    output: &'static [Number],
    cached: &'static [Number],
    reasoning: &'static [Number],
}

const fn row(input: &'static [Number], output: &'static [Number], cached: &'static [Number]) -> Row {
    Row { input, output, cached, reasoning: &[] }
}

/// Ollama, watsonx's generation, Replicate, Text Generation Inference, Aleph Alpha, Vertex's PaLM and embeddings,
/// SGLang, llama.cpp, LM Studio, Tencent, and the native bodies of Llama and Titan.
const ROWS: &[Row] = &[
    row(&[OllamaPrompt], &[OllamaEval], &[OllamaCached]),
    row(&[WatsonxInput], &[WatsonxGenerated], &[]),
    row(&[ReplicateInput], &[ReplicateOutput], &[]),
    row(&[TgiInput], &[TgiGenerated], &[]),
    row(&[AlephPrompt], &[AlephGenerated], &[]),
    row(&[PalmInput], &[PalmOutput], &[]),
    row(&[VertexTokens], &[], &[]),
    row(&[SglangPrompt], &[SglangCompletion], &[SglangCached]),
    row(&[LlamaCppEvaluated], &[LlamaCppPredicted], &[]),
    Row { reasoning: &[StudioReasoning], ..row(&[StudioInput], &[StudioOutput], &[]) },
    row(&[TencentPrompt], &[TencentCompletion], &[]),
    row(&[LlamaPrompt], &[LlamaGeneration], &[]),
    row(&[TitanInput], &[TitanOutput, TitanTotalOutput], &[]),
];

fn row_of(facts: &Facts) -> Option<&'static Row> {
    ROWS.iter().find(|row| facts.first(row.input).is_some() || facts.first(row.output).is_some())
}

/// Whether one of them is there.
pub(super) fn is_there(facts: &Facts) -> bool {
    row_of(facts).is_some()
}

/// Reads it.
pub(super) fn read(facts: &Facts) -> Reading {
    let mut reading = Reading { complete: true, total: facts.get(TencentTotal), ..Reading::default() };
    let Some(row) = row_of(facts) else { return reading };
    let input = facts.first(row.input);
    match (input, facts.first(row.cached)) {
        (Some(input), Some(cached)) if cached <= input => {
            reading.set(Class::InputText, input.checked_sub(cached));
            reading.set(Class::CacheRead, Some(cached));
        }
        _ => reading.set(Class::InputText, input),
    }
    let output = facts.first(row.output);
    let reasoning = facts.first(row.reasoning).filter(|&reasoning| Some(reasoning) <= output);
    let rest = output.and_then(|output| output.checked_sub(reasoning.unwrap_or(0)));
    reading.set(Class::OutputText, rest);
    reading.set(Class::OutputReasoning, reasoning);
    reading
}

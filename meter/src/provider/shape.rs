//! Which API a body speaks, by the counts in it.

use super::facts::{Facts, Number, Number::*};
use super::{Api, plain};

/// The counts that give an API away: any of a row. Rows are asked in this order, for some APIs carry a second set of
/// counts in another's names.
const ROWS: &[(Api, &[Number])] = &[
    (Api::Gemini, &[GeminiPrompt, GeminiCandidates, GeminiThoughts, GeminiTotal]),
    (Api::BedrockAgent, &[AgentInput, AgentOutput]),
    (Api::BedrockInvoke, &[InvocationInput, InvocationOutput]),
    (Api::GeminiInteractions, &[TotalInput, TotalOutput]),
    (Api::BedrockConverse, &[ConverseInput, ConverseOutput]),
    (Api::Cohere, &[BilledInput, BilledOutput, BilledImage, BilledSearch, CohereInput, CohereOutput]),
    (Api::OpenAiChat, &[PromptTokens, CompletionTokens]),
    (Api::AnthropicMessages, &[CacheReadInput, CacheCreation]),
    (Api::OpenAiResponses, &[InputTokens, OutputTokens]),
    (Api::OpenAiChat, &[TotalTokens]),
];

/// The API that the body itself gives away: by its mark, else by its counts.
pub fn shape(facts: &Facts) -> Option<Api> {
    // A mark without any of its counts says what the call was, not what its counts mean.
    let by_counts = || ROWS.iter().find(|(_, numbers)| facts.first(numbers).is_some()).map(|(api, _)| *api);
    let marked = facts.mark.filter(|api| has_counts(*api, facts));
    marked.or_else(by_counts).or_else(|| plain::is_there(facts).then_some(Api::Plain)).or(facts.mark)
}

/// Whether the body has a count that belongs to the API.
pub fn has_counts(api: Api, facts: &Facts) -> bool {
    match api {
        // Many APIs have a total beside their own counts.
        Api::OpenAiChat => {
            facts.first(&[PromptTokens, CompletionTokens, TimingsPredicted]).is_some()
                || (facts.has(TotalTokens) && facts.first(&[InputTokens, OutputTokens]).is_none())
        }
        // Its input and output share their names with others'.
        Api::AnthropicMessages => facts.first(&[InputTokens, OutputTokens]).is_some(),
        // Native bodies are of any kind.
        Api::BedrockInvoke => facts
            .first(&[
                InvocationInput,
                InvocationOutput,
                TitanInput,
                LlamaPrompt,
                LlamaGeneration,
                HeaderInput,
                HeaderOutput,
            ])
            .is_some(),
        Api::Plain => plain::is_there(facts),
        api => ROWS.iter().any(|(row, numbers)| *row == api && facts.first(numbers).is_some()),
    }
}

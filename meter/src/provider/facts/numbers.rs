//! The counts by their paths.

use super::Text;
use crate::scan::Scalar;

/// How several of one count go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merge {
    /// Cumulative: the last holds.
    Last,
    /// One per element of a list: they are added.
    Sum,
}

macro_rules! numbers {
    (placed { $($placed:ident $below:literal,)+ } direct { $($direct:ident $($path:literal)+,)+ } sums { $($sum:ident $($each:literal)+,)+ }) => {
        /// A count, named after its path.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Number {
            $(#[doc = concat!("`", $below, "` of a usage object")] $placed,)+
            $(#[doc = concat!($("`", $path, "` ",)+)] $direct,)+
            $(#[doc = concat!("the sum of ", $("`", $each, "` ",)+)] $sum,)+
        }

        /// How many there are.
        pub(super) const NUMBERS: usize = [$(Number::$placed,)+ $(Number::$direct,)+ $(Number::$sum,)+].len();

        /// Those below a usage object, wherever that stands.
        pub(in crate::provider) const PLACED: &[(&str, Number)] = &[$(($below, Number::$placed),)+];

        /// Those with a path of their own.
        pub(super) const DIRECT: &[(&str, Number)] =
            &[$($(($path, Number::$direct),)+)+ $($(($each, Number::$sum),)+)+];

        impl Number {
            pub(super) fn merge(self) -> Merge {
                match self {
                    $(Number::$sum => Merge::Sum,)+
                    _ => Merge::Last,
                }
            }
        }
    };
}

numbers! {
    placed {
        // OpenAI Chat Completions and what is compatible with it.
        PromptTokens "prompt_tokens",
        CompletionTokens "completion_tokens",
        TotalTokens "total_tokens",
        PromptCached "prompt_tokens_details.cached_tokens",
        PromptCacheWrite "prompt_tokens_details.cache_write_tokens",
        PromptCacheCreation "prompt_tokens_details.cache_creation_tokens",
        PromptCacheCreationInput "prompt_tokens_details.cache_creation_input_tokens",
        PromptCache5m "prompt_tokens_details.cache_creation.ephemeral_5m_input_tokens",
        PromptWrite30m "prompt_tokens_details.cache_write_tokens_details.ttl_30m_tokens",
        PromptWrite12h "prompt_tokens_details.cache_write_tokens_details.ttl_12h_tokens",
        PromptCachedAudio "prompt_tokens_details.cached_tokens_details.audio_tokens",
        PromptCachedImage "prompt_tokens_details.cached_tokens_details.image_tokens",
        PromptAudio "prompt_tokens_details.audio_tokens",
        PromptImage "prompt_tokens_details.image_tokens",
        PromptVideo "prompt_tokens_details.video_tokens",
        PromptDetailCached "prompt_token_details.cached_tokens",
        CompletionReasoning "completion_tokens_details.reasoning_tokens",
        CompletionAudio "completion_tokens_details.audio_tokens",
        CompletionImage "completion_tokens_details.image_tokens",
        FlatCached "cached_tokens",
        // Voyage's, of which pixels have a price of their own.
        FlatText "text_tokens",
        ImagePixels "image_pixels",
        VideoPixels "video_pixels",
        NumCached "num_cached_tokens",
        CacheHit "prompt_cache_hit_tokens",
        FlatReasoning "reasoning_tokens",
        Citation "citation_tokens",
        SearchQueries "num_search_queries",
        // Perplexity's agents.
        AgentSearches "tool_calls_details.search_web.invocation",
        AgentFetches "tool_calls_details.fetch_url.invocation",
        // OpenRouter.
        SearchRequests "server_tool_use_details.web_search_requests",
        // DashScope.
        PluginSearches "plugins.search.count",
        // Mistral's conversations: what its connectors put into the prompt, and how often they ran.
        ConnectorTokens "connector_tokens",
        ConnectorWeb "connectors.web_search",
        ConnectorWebPremium "connectors.web_search_premium",
        ConnectorCode "connectors.code_interpreter",
        ConnectorImages "connectors.image_generation",
        ConnectorFiles "connectors.document_library",
        // xAI's own tools.
        XaiSources "num_sources_used",
        XaiTools "num_server_side_tools_used",
        XaiWeb "server_side_tool_usage_details.web_search_calls",
        XaiX "server_side_tool_usage_details.x_search_calls",
        XaiCode "server_side_tool_usage_details.code_interpreter_calls",
        XaiFiles "server_side_tool_usage_details.file_search_calls",
        XaiDocuments "server_side_tool_usage_details.document_search_calls",
        XaiImages "server_side_tool_usage_details.image_generation_calls",
        PromptAudioSeconds "prompt_audio_seconds",
        // OpenAI Responses, images and transcription.
        InputTokens "input_tokens",
        OutputTokens "output_tokens",
        InputCached "input_tokens_details.cached_tokens",
        InputCacheWrite "input_tokens_details.cache_write_tokens",
        InputCacheCreation "input_tokens_details.cache_creation_tokens",
        // Perplexity's agents.
        InputCacheRead "input_tokens_details.cache_read_input_tokens",
        InputCacheCreationInput "input_tokens_details.cache_creation_input_tokens",
        InputWrite30m "input_tokens_details.cache_write_tokens_details.ttl_30m_tokens",
        InputWrite12h "input_tokens_details.cache_write_tokens_details.ttl_12h_tokens",
        InputCachedAudio "input_tokens_details.cached_tokens_details.audio_tokens",
        InputCachedImage "input_tokens_details.cached_tokens_details.image_tokens",
        InputImageTokens "input_tokens_details.image_tokens",
        InputAudioDetails "input_tokens_details.audio_tokens",
        InputVideoDetails "input_tokens_details.video_tokens",
        InputAudioTokens "input_token_details.audio_tokens",
        InputTokenCached "input_token_details.cached_tokens",
        InputTokenImage "input_token_details.image_tokens",
        InputTokenCachedAudio "input_token_details.cached_tokens_details.audio_tokens",
        InputTokenCachedImage "input_token_details.cached_tokens_details.image_tokens",
        OutputReasoning "output_tokens_details.reasoning_tokens",
        OutputImageTokens "output_tokens_details.image_tokens",
        OutputTextTokens "output_tokens_details.text_tokens",
        OutputAudioDetails "output_tokens_details.audio_tokens",
        OutputAudioTokens "output_token_details.audio_tokens",
        Seconds "seconds",
        // Anthropic.
        OutputThinking "output_tokens_details.thinking_tokens",
        CacheCreation "cache_creation_input_tokens",
        CacheCreation5m "cache_creation.ephemeral_5m_input_tokens",
        CacheCreation1h "cache_creation.ephemeral_1h_input_tokens",
        CacheReadInput "cache_read_input_tokens",
        WebSearchRequests "server_tool_use.web_search_requests",
        CodeRequests "server_tool_use.code_execution_requests",
        // Bedrock Converse, and Nova by InvokeModel.
        ConverseInput "inputTokens",
        ConverseOutput "outputTokens",
        ConverseTotal "totalTokens",
        ConverseCacheRead "cacheReadInputTokens",
        ConverseCacheWrite "cacheWriteInputTokens",
        // Those of the converse twins and of InvokeModel's own metrics.
        CacheReadCount "cacheReadInputTokenCount",
        CacheWriteCount "cacheWriteInputTokenCount",
        InvocationInput "inputTokenCount",
        InvocationOutput "outputTokenCount",
        // Gemini.
        GeminiPrompt "promptTokenCount",
        GeminiCandidates "candidatesTokenCount",
        GeminiResponse "responseTokenCount",
        GeminiThoughts "thoughtsTokenCount",
        GeminiTool "toolUsePromptTokenCount",
        GeminiCached "cachedContentTokenCount",
        GeminiTotal "totalTokenCount",
        // Gemini Interactions.
        TotalInput "total_input_tokens",
        TotalOutput "total_output_tokens",
        TotalCached "total_cached_tokens",
        TotalThought "total_thought_tokens",
        TotalReasoning "total_reasoning_tokens",
        TotalToolUse "total_tool_use_tokens",
        // Cohere.
        BilledInput "billed_units.input_tokens",
        BilledOutput "billed_units.output_tokens",
        BilledImage "billed_units.image_tokens",
        BilledSearch "billed_units.search_units",
        CohereInput "tokens.input_tokens",
        CohereOutput "tokens.output_tokens",
        CohereReasoning "tokens.reasoning_tokens",
        // Tencent.
        TencentPrompt "PromptTokens",
        TencentCompletion "CompletionTokens",
        TencentTotal "TotalTokens",
    }
    direct {
        OllamaPrompt "prompt_eval_count",
        OllamaCached "prompt_eval_cached_count",
        OllamaEval "eval_count",
        LlamaPrompt "prompt_token_count",
        LlamaGeneration "generation_token_count",
        TitanInput "inputTextTokenCount",
        TitanTotalOutput "totalOutputTextTokenCount",
        OciPrompt "chatResponse.usage.promptTokens",
        OciCompletion "chatResponse.usage.completionTokens",
        WatsonxInput "results[].input_token_count",
        WatsonxGenerated "results[].generated_token_count",
        ReplicateInput "metrics.input_token_count",
        ReplicateOutput "metrics.output_token_count",
        AlephPrompt "num_tokens_prompt_total",
        AlephGenerated "num_tokens_generated",
        TgiInput "details.input_length",
        TgiGenerated "details.generated_tokens",
        PalmInput "metadata.tokenMetadata.inputTokenCount.totalTokens",
        PalmOutput "metadata.tokenMetadata.outputTokenCount.totalTokens",
        SglangPrompt "meta_info.prompt_tokens",
        SglangCompletion "meta_info.completion_tokens",
        SglangCached "meta_info.cached_tokens",
        LlamaCppEvaluated "tokens_evaluated",
        LlamaCppPredicted "tokens_predicted",
        // llama.cpp's, in every last chunk; the prompt without what the cache served.
        TimingsPrompt "timings.prompt_n",
        TimingsCached "timings.cache_n",
        TimingsPredicted "timings.predicted_n",
        // LM Studio's own API, whole and at the end of a stream.
        StudioInput "stats.input_tokens" "result.stats.input_tokens",
        StudioOutput "stats.total_output_tokens" "result.stats.total_output_tokens",
        StudioReasoning "stats.reasoning_output_tokens" "result.stats.reasoning_output_tokens",
        // What OpenAI's tools used beside the model.
        ToolSearches "tool_usage.web_search.num_requests" "response.tool_usage.web_search.num_requests",
        ImageGenInput "tool_usage.image_gen.input_tokens" "response.tool_usage.image_gen.input_tokens",
        ImageGenInputImage
            "tool_usage.image_gen.input_tokens_details.image_tokens"
            "response.tool_usage.image_gen.input_tokens_details.image_tokens",
        ImageGenCached
            "tool_usage.image_gen.input_tokens_details.cached_tokens"
            "response.tool_usage.image_gen.input_tokens_details.cached_tokens",
        ImageGenOutput "tool_usage.image_gen.output_tokens" "response.tool_usage.image_gen.output_tokens",
        ImageGenOutputImage
            "tool_usage.image_gen.output_tokens_details.image_tokens"
            "response.tool_usage.image_gen.output_tokens_details.image_tokens",
        ImageGenOutputText
            "tool_usage.image_gen.output_tokens_details.text_tokens"
            "response.tool_usage.image_gen.output_tokens_details.text_tokens",
        // Given by headers of the response; their paths name no place in a body.
        HeaderInput "",
        HeaderOutput "",
        HeaderCacheRead "",
        HeaderCacheWrite "",
    }
    sums {
        // Units of a guardrail, by policy: of a guardrail that is applied alone, and below each assessment (`GUARDED`).
        GuardTopic "usage.topicPolicyUnits",
        GuardContent "usage.contentPolicyUnits",
        GuardImage "usage.contentPolicyImageUnits",
        GuardSensitive "usage.sensitiveInformationPolicyUnits",
        GuardGrounding "usage.contextualGroundingPolicyUnits",
        GuardReasoning "usage.automatedReasoningPolicyUnits",
        TitanOutput "results[].tokenCount",
        VertexTokens "predictions[].embeddings.statistics.token_count",
        AgentInput
            "trace.trace.orchestrationTrace.modelInvocationOutput.metadata.usage.inputTokens"
            "trace.trace.preProcessingTrace.modelInvocationOutput.metadata.usage.inputTokens"
            "trace.trace.postProcessingTrace.modelInvocationOutput.metadata.usage.inputTokens"
            "trace.trace.routingClassifierTrace.modelInvocationOutput.metadata.usage.inputTokens"
            "trace.orchestrationTrace.modelInvocationOutput.metadata.usage.inputTokens"
            "trace.preProcessingTrace.modelInvocationOutput.metadata.usage.inputTokens"
            "trace.postProcessingTrace.modelInvocationOutput.metadata.usage.inputTokens"
            "trace.routingClassifierTrace.modelInvocationOutput.metadata.usage.inputTokens",
        AgentOutput
            "trace.trace.orchestrationTrace.modelInvocationOutput.metadata.usage.outputTokens"
            "trace.trace.preProcessingTrace.modelInvocationOutput.metadata.usage.outputTokens"
            "trace.trace.postProcessingTrace.modelInvocationOutput.metadata.usage.outputTokens"
            "trace.trace.routingClassifierTrace.modelInvocationOutput.metadata.usage.outputTokens"
            "trace.orchestrationTrace.modelInvocationOutput.metadata.usage.outputTokens"
            "trace.preProcessingTrace.modelInvocationOutput.metadata.usage.outputTokens"
            "trace.postProcessingTrace.modelInvocationOutput.metadata.usage.outputTokens"
            "trace.routingClassifierTrace.modelInvocationOutput.metadata.usage.outputTokens",
    }
}

/// What a header of a response says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// A count.
    Count(Number),
    /// A text.
    Text(Text),
    /// Whether a gateway had the response in its own cache.
    Cached,
}

/// The headers of a response that say something: counts of Bedrock and of Text Generation Inference, the service tiers of
/// Google and Bedrock, Bedrock's speed, and who served a call of Hugging Face's router.
pub const HEADERS: &[(&str, Header)] = &[
    ("x-amzn-bedrock-input-token-count", Header::Count(Number::HeaderInput)),
    ("x-amzn-bedrock-output-token-count", Header::Count(Number::HeaderOutput)),
    ("x-amzn-bedrock-cache-read-input-token-count", Header::Count(Number::HeaderCacheRead)),
    ("x-amzn-bedrock-cache-write-input-token-count", Header::Count(Number::HeaderCacheWrite)),
    ("x-prompt-tokens", Header::Count(Number::HeaderInput)),
    ("x-generated-tokens", Header::Count(Number::HeaderOutput)),
    ("x-gemini-service-tier", Header::Text(Text::ServiceTier)),
    ("x-amzn-bedrock-service-tier", Header::Text(Text::ServiceTier)),
    // Cloudflare's AI gateway: what it has in its cache, nobody is asked for.
    ("cf-aig-cache-status", Header::Cached),
    ("x-amzn-bedrock-performanceconfig-latency", Header::Text(Text::Speed)),
    ("x-inference-provider", Header::Text(Text::Service)),
];

/// The units of a guardrail: each policy has its own price.
pub(in crate::provider) const GUARDED: [Number; 6] = [
    Number::GuardTopic,
    Number::GuardContent,
    Number::GuardImage,
    Number::GuardSensitive,
    Number::GuardGrounding,
    Number::GuardReasoning,
];

impl Number {
    /// Its path; that of a usage object's member begins there.
    pub(in crate::provider) fn path(self) -> &'static str {
        let named = PLACED.iter().chain(DIRECT).find(|(_, number)| *number == self);
        named.map_or("", |(path, _)| *path)
    }

    /// Whether it measures what comes in fractions.
    pub(super) fn is_measure(self) -> bool {
        matches!(self, Number::Seconds | Number::PromptAudioSeconds | Number::BilledSearch)
    }
}

/// A measure that is no whole number, such as seconds, counts as the next one.
pub(super) fn round_up(value: Scalar<'_>) -> Option<u64> {
    let Scalar::Number(digits) = value else { return None };
    crate::scan::scaled(digits, 3).map(|thousandths| thousandths.div_ceil(1000))
}

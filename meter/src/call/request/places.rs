//! Where in a request's body stands what a call is known by.

use std::sync::OnceLock;

use super::wishes::{WISHES, Wish};
use crate::provider::{Api, BARRING, barring_bits};
use crate::scan::{Paths, Rest};

/// What stands in a place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field {
    Model,
    /// A model in the words of one provider: `model`, wherever it stands, is what all others read.
    OtherModel,
    Stream,
    StreamOptions,
    IncludeUsage,
    Text,
    /// Something that the model reads and no text here shows, of any length.
    Other,
    /// An image.
    Image,
    /// An image, or something longer: its kind says which.
    Media,
    /// The media type of [`Field::Media`].
    MediaType,
    /// The same, but no longer than it is here.
    Shown,
    /// The same, and no text.
    Sealed,
    /// What [`Field::Media`] holds: no text, unless its kind says so.
    Data,
    /// The kind of that.
    DataKind,
    /// A token, as a number.
    Token,
    /// Like [`Field::Other`], and some providers refuse to be asked for usage beside it: its bit of [`BARRING`].
    Barring(u8),
    /// The definitions of tools.
    Tools,
    /// A tool that the provider runs.
    OtherTool,
    /// Google's search of the web for enterprises, which is such a tool.
    EnterpriseSearch,
    /// One of the documents that are to be ranked.
    Document,
    /// The kind of a tool.
    ToolKind,
    /// The name of a tool: one of the client's own, if it has no kind, or that of a function.
    ToolName,
    /// The kind of an item, which can stand for one that the provider keeps.
    Kind,
    /// An item of the input, its id, and its kind.
    Item,
    ItemId,
    ItemKind,
    /// A list: if it is something else, who reads it may find more in it than is looked for.
    List,
    /// How many tokens may be written.
    Limit(&'static [Api]),
    /// What has such limits; of two the last may hold.
    Limits(&'static [Api]),
    /// How many responses are wanted.
    Choices,
    /// A text whose characters may be paid for.
    Spoken,
    /// One of several prompts.
    Prompt,
    /// Something else that prices depend on.
    Wish(Wish),
}

/// The texts whose characters may be paid for: those that are to be spoken, and some that are to be embedded.
const SPOKEN: &[&str] = &["input", "text", "instances[].text"];

/// Where the text stands that the model reads, in places that have something else, too. Every other text is read, unless it is
/// known not to be: see [`rest`].
#[rustfmt::skip]
const TEXTS: &[&str] = &[
    "messages[].content", "messages[].content[].content", "system", "prompt", "prompt[]",
    "input[]", "input[].content", "input[].output", "inputs", "inputs[]",
    // Documents that are text.
    "messages[].content[].source.content", "messages[].content[].source.content[].text",
    "messages[].content[].content[].source.content[].text", "messages[].content[].document.source.text",
    "messages[].content[].document.source.content[].text",
];

/// Where data stands that is text or something else, and its kind.
const DATA: &[&str] = &[
    "messages[].content[].source.data",
    "messages[].content[].content[].source.data",
    "contents[].parts[].inlineData.data",
    "contents[].parts[].inline_data.data",
];
const DATA_KINDS: &[&str] = &["messages[].content[].source.type", "messages[].content[].content[].source.type"];

/// Prompts of tokens.
const TOKENS: &[&str] = &["input[].[]", "prompt[].[]"];

/// Names of what no model reads as text: ids and kinds, and what is binary.
#[rustfmt::skip]
const NOT_READ: &[&str] = &[
    "type", "role", "id", "status", "object", "index", "call_id", "item_id", "tool_call_id", "tool_use_id", "toolUseId",
    "mimeType", "mime_type", "media_type", "mediaType", "detail", "cache_control", "cachePoint", "filename", "file_id",
    "fileUri", "file_uri", "url", "uri", "s3Location", "data", "b64_json", "bytes", "file_data",
    "signature", "thoughtSignature", "thought_signature", "encrypted_content", "redactedContent",
];

/// Members of a request that say what is to be done, and nothing to the model.
#[rustfmt::skip]
const OPTIONS: &[&str] = &[
    "user", "metadata", "requestMetadata", "safety_identifier", "prompt_cache_key", "service_tier", "serviceTier",
    "modalities", "voice", "stop", "stop_sequences", "include", "reasoning_effort", "encoding_format", "truncation",
    "tool_choice", "anthropic_version", "anthropic_beta", "extra_headers", "logit_bias", "response_modalities",
];

/// All text that has no place of its own: prompts come in members that nobody here has heard of.
const fn rest() -> Rest<Field> {
    Rest {
        below: &[""],
        leaf: Field::Text,
        but: NOT_READ,
        // What tools were called with, of any names.
        whole: &["arguments", "args", "variables", "chat_template_kwargs"],
        nowhere: OPTIONS,
        ends: |_| true,
    }
}

/// Objects that the model reads as text.
#[rustfmt::skip]
const TEXT_OBJECTS: &[&str] = &[
    "messages[].content[].input", "messages[].content[].toolUse.input", "messages[].content[].toolResult.content[].json",
    "contents[].parts[].functionCall.args", "contents[].parts[].functionResponse.response",
];

/// Where something else stands that the model reads, or that makes the provider add something.
#[rustfmt::skip]
const OTHERS: &[&str] = &[
    // Sound, video and files, in messages and by themselves.
    "messages[].content[].input_audio", "messages[].content[].audio_url",
    "messages[].content[].video_url", "messages[].content[].document_url", "messages[].content[].file",
    "messages[].content[].audio", "messages[].content[].video", "messages[].content[].document",
    "messages[].content[].toolResult.content[].document",
    // One or several.
    "messages[].images", "messages[].audio", "images", "image", "audio", "file",
    "input[].content[].input_audio", "input[].content[].file_id",
    "input[].content[].file_data", "input[].content[].file_url", "inputs[].content[].video_url", "instances[].video",
    // What the provider keeps, finds, or writes itself into the prompt.
    "mcp_servers", "plugins", "web_search_options", "search_parameters", "connectors", "container",
    "previous_response_id", "conversation", "conversation_id", "prompt.id", "cachedContent", "cached_content", "assistant_id",
    "thread_id", "context_management", "preset", "chat_template",
];

/// What is a list in the words of its API.
#[rustfmt::skip]
const LISTS: &[&str] = &[
    "messages", "messages[].content", "messages[].content[].content", "input", "input[].content", "input[].output",
    "contents", "contents[].parts", "tools",
];

/// Where an image stands, and nothing else.
#[rustfmt::skip]
const IMAGES: &[&str] = &[
    "messages[].content[].image_url", "messages[].content[].image", "messages[].content[].toolResult.content[].image",
    "input[].content[].image_url", "input[].output[].image_url", "input[].image", "inputs[].content[].image_url",
    "inputs[].content[].image_base64", "instances[].image",
];

/// Where an image or something else stands, as an object.
#[rustfmt::skip]
const MEDIA: &[&str] = &[
    "messages[].content[].source", "messages[].content[].content[].source", "contents[].parts[].inlineData",
    "contents[].parts[].inline_data", "contents[].parts[].fileData", "contents[].parts[].file_data",
];

/// Where the kind of what the model reads stands.
#[rustfmt::skip]
const KINDS: &[&str] = &[
    "input[].content[].type", "input[].output[].type", "messages[].content[].type",
    "messages[].content[].content[].type",
];

/// Where its media type stands, in the objects of Gemini.
#[rustfmt::skip]
const MEDIA_TYPES: &[&str] = &[
    "contents[].parts[].inlineData.mimeType", "contents[].parts[].inline_data.mime_type",
    "contents[].parts[].fileData.mimeType", "contents[].parts[].file_data.mime_type",
];

/// Tools that Gemini runs itself: they have no kind.
#[rustfmt::skip]
const OTHER_TOOLS: &[&str] = &[
    "tools[].googleSearch", "tools[].google_search", "tools[].googleSearchRetrieval", "tools[].google_search_retrieval",
    "tools[].codeExecution", "tools[].code_execution", "tools[].urlContext", "tools[].url_context", "tools[].googleMaps",
    "tools[].google_maps", "tools[].fileSearch", "tools[].file_search", "tools[].retrieval",
    "tools[].mcpServers", "tools[].mcp_servers",
    "tools[].computerUse", "tools[].computer_use",
];

const ENTERPRISE_SEARCHES: &[&str] = &["tools[].enterpriseWebSearch", "tools[].enterprise_web_search"];

/// Where something stands that the provider puts into the prompt in words of its own.
const SHOWN: &[&str] = &["documents", "response_format", "text.format.schema", "generationConfig.responseSchema"];

/// What the model wrote and only the provider can read.
const SEALED: &[&str] = &["input[].encrypted_content"];

/// Definitions of tools: the model reads them in words of the provider's own, and its own tools say nothing of what they add.
const TOOLS: &[&str] = &["tools", "functions", "toolConfig.tools", "tool_config.tools"];

/// Where limits of the output stand, and who obeys them. What an API does not know limits nothing.
#[rustfmt::skip]
const LIMITS: &[(&str, &[Api])] = &[
    ("max_tokens", &[Api::OpenAiChat, Api::AnthropicMessages, Api::BedrockInvoke, Api::Cohere]),
    ("max_completion_tokens", &[Api::OpenAiChat]),
    ("max_output_tokens", &[Api::OpenAiResponses]),
    ("max_tokens_to_sample", &[Api::AnthropicMessages, Api::BedrockInvoke]),
    ("max_gen_len", &[Api::BedrockInvoke]),
    ("textGenerationConfig.maxTokenCount", &[Api::BedrockInvoke]),
    ("inferenceConfig.maxTokens", &[Api::BedrockConverse, Api::BedrockInvoke]),
    ("inferenceConfig.max_new_tokens", &[Api::BedrockInvoke]),
    // Google reads both spellings of every name.
    ("generationConfig.maxOutputTokens", &[Api::Gemini]),
    ("generationConfig.max_output_tokens", &[Api::Gemini]),
    ("generation_config.maxOutputTokens", &[Api::Gemini, Api::GeminiInteractions]),
    ("generation_config.max_output_tokens", &[Api::Gemini, Api::GeminiInteractions]),
    ("options.num_predict", &[Api::Plain]),
    ("parameters.max_new_tokens", &[Api::Plain]),
];

/// Where the objects are that have them.
#[rustfmt::skip]
const GROUPS: &[(&str, &[Api])] = &[
    ("textGenerationConfig", &[Api::BedrockInvoke]),
    ("inferenceConfig", &[Api::BedrockConverse, Api::BedrockInvoke]),
    ("generationConfig", &[Api::Gemini]),
    ("generation_config", &[Api::Gemini, Api::GeminiInteractions]),
    ("options", &[Api::Plain]),
    ("parameters", &[Api::Plain]),
];

/// Where the number of responses stands.
#[rustfmt::skip]
const CHOICES: &[&str] = &[
    "n", "best_of", "num_generations", "generationConfig.candidateCount", "generationConfig.candidate_count",
    "generation_config.candidateCount", "generation_config.candidate_count", "parameters.sampleCount",
    "parameters.sample_count",
    "imageGenerationConfig.numberOfImages",
];

/// All places.
pub(super) fn paths() -> &'static Paths<Field> {
    static PATHS: OnceLock<Paths<Field>> = OnceLock::new();
    PATHS.get_or_init(|| {
        let options = ("stream_options", Field::StreamOptions);
        let prompt = ("prompt[]", Field::Prompt);
        let mut leaves = vec![
            ("model", Field::Model),
            ("stream", Field::Stream),
            options,
            ("stream_options.include_usage", Field::IncludeUsage),
            prompt,
            ("tools[].type", Field::ToolKind),
            // Tools of the client's own that code calls which the provider runs.
            ("tools[].allowed_callers[]", Field::ToolKind),
            ("tools[].name", Field::ToolName),
            ("functions[].name", Field::ToolName),
            ("toolConfig.tools[].toolSpec.name", Field::ToolName),
            ("tools[].functionDeclarations[].name", Field::ToolName),
            ("tools[].function_declarations[].name", Field::ToolName),
            // A call within a call, as Perplexity takes it for later.
            ("request.model", Field::Model),
            ("modelId", Field::Model),
            ("model_id", Field::OtherModel),
            ("servingMode.modelId", Field::OtherModel),
            ("rerankingConfiguration.bedrockRerankingConfiguration.modelConfiguration.modelArn", Field::OtherModel),
            ("documents[]", Field::Document),
            ("sources[].type", Field::Document),
            ("input[]", Field::Item),
            ("input[].id", Field::ItemId),
            ("input[].type", Field::ItemKind),
        ];
        leaves.extend(WISHES.iter().map(|(path, wish)| (*path, Field::Wish(*wish))));
        leaves.extend(LIMITS.iter().map(|(path, apis)| (*path, Field::Limit(apis))));
        leaves.extend(GROUPS.iter().map(|(path, apis)| (*path, Field::Limits(apis))));
        leaves.extend(LISTS.iter().map(|path| (*path, Field::List)));
        leaves.extend(CHOICES.iter().map(|path| (*path, Field::Choices)));
        let all = |paths: &[&'static str], field| paths.iter().map(|path| (*path, field)).collect::<Vec<_>>();
        leaves.extend(all(KINDS, Field::Kind));
        leaves.extend(all(MEDIA_TYPES, Field::MediaType));
        let barring: Vec<_> =
            BARRING.iter().zip(barring_bits()).map(|(name, bit)| (*name, Field::Barring(bit))).collect();
        let media = [all(IMAGES, Field::Image), all(MEDIA, Field::Media)].concat();
        leaves.extend(all(DATA_KINDS, Field::DataKind));
        leaves.extend(all(TOKENS, Field::Token));
        let shown = [all(SHOWN, Field::Shown), all(SEALED, Field::Sealed)].concat();
        let others = [all(OTHERS, Field::Other), media, shown, barring].concat();
        let data = all(DATA, Field::Data);
        let texts = [others.clone(), all(TEXTS, Field::Text), all(SPOKEN, Field::Spoken), data].concat();
        let objects = [
            vec![options, prompt],
            others,
            all(TEXT_OBJECTS, Field::Text),
            all(TOOLS, Field::Tools),
            all(OTHER_TOOLS, Field::OtherTool),
            all(ENTERPRISE_SEARCHES, Field::EnterpriseSearch),
            vec![("documents[]", Field::Document)],
        ]
        .concat();
        Paths::new(&leaves, &objects, &texts).with_rest(&rest())
    })
}

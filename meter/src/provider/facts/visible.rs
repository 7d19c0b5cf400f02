//! The texts by their paths that show what a model wrote: what estimates go by.
//!
//! What was written can stand in members that nobody has heard of yet. So in what a model writes every text counts but
//! those that are known to be something else: ids, the envelope, what the provider's own tools found, and what is no text.

use super::places::Fact;
use super::tools::Place;
use crate::scan::Rest;

/// Where the text stands that the model wrote, whole or in pieces. A stream's closing event repeats it elsewhere.
#[rustfmt::skip]
pub(super) const VISIBLE: &[&str] = &[
    "choices[].text", "choices[].delta.tool_calls[].function.name", "choices[].message.tool_calls[].function.name",
    // OpenAI Responses and Anthropic.
    "delta", "output[].arguments", "content_block.name",
    // Gemini, Bedrock, Cohere, Ollama, Hugging Face.
    "message.content", "message.tool_plan",
    "content", "response", "generation", "outputText", "token.text", "generated_text", "completion", "results[].outputText",
    "results[].generated_text", "completions[].data.text", "generations[].text", "tool_call_delta.name",
    "tool_call_delta.parameters",
];

/// Objects that the model wrote: the arguments of its tool calls.
#[rustfmt::skip]
pub(super) const VISIBLE_OBJECTS: &[&str] = &[
    "content[].input", "candidates[].content.parts[].functionCall.args", "output.message.content[].toolUse.input",
];

/// Such objects in a place that says again what others said.
pub(super) const AGAIN_OBJECTS: &[(&str, Again)] = &[("tool_calls[].parameters", Again::Calls)];

/// Where thoughts stand that the model shows.
pub(super) const THOUGHTS: &[&str] = &[
    "choices[].delta.reasoning_content",
    "choices[].delta.reasoning",
    "choices[].message.reasoning_content",
    "choices[].message.reasoning",
    "delta.thinking",
    "content[].thinking",
    "delta.reasoningContent.text",
    "output.message.content[].reasoningContent.reasoningText.text",
    "message.thinking",
];

/// A place that says again what was written, or says it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// A text that is over, and what Cohere's first API writes, in pieces or whole.
    Text,
    /// A part of an item that is over.
    Part,
    /// An item that is over.
    Item,
    /// The list of all items.
    List,
    /// The tokens one by one.
    Tokens,
    /// Thoughts; beside them they may stand as a text.
    Thoughts,
    /// Calls of tools that are over, of Cohere's first API.
    Calls,
}

/// How many such places there are.
pub(super) const AGAIN: usize = 7;

/// Those that are texts.
pub(super) const AGAIN_TEXTS: &[(&str, Again)] = &[
    ("text", Again::Text),
    ("tool_calls[].name", Again::Calls),
    ("choices[].logprobs.content[].token", Again::Tokens),
    ("choices[].logprobs.tokens[]", Again::Tokens),
];

/// What a model made that is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// An image.
    Image,
    /// Sound.
    Audio,
    /// One of them.
    Media,
}

#[rustfmt::skip]
pub(super) const BINARIES: &[(&str, Binary)] = &[
    ("b64_json", Binary::Image), ("partial_image_b64", Binary::Image), ("item.result", Binary::Image),
    ("choices[].delta.images[].image_url.url", Binary::Image), ("choices[].message.images[].image_url.url", Binary::Image),
    ("audio", Binary::Audio), ("choices[].delta.audio.data", Binary::Audio), ("choices[].message.audio.data", Binary::Audio),
    ("candidates[].content.parts[].inlineData.data", Binary::Media),
    ("candidates[].content.parts[].inline_data.data", Binary::Media),
];

/// Names of what the model did not write as text.
#[rustfmt::skip]
const NOT_WRITTEN: &[&str] = &[
    // The envelope, ids and kinds.
    "type", "role", "object", "id", "index", "status", "model", "format", "phase", "finish_reason", "stop_reason",
    "stop_sequence", "call_id", "item_id", "tool_call_id", "tool_use_id", "toolUseId", "container_id", "response_id",
    "server_label", "mimeType", "mime_type", "media_type", "language", "usage", "system_fingerprint",
    // What seals thoughts.
    "signature", "thoughtSignature", "thought_signature", "encrypted_content", "redactedContent",
    // What is no text.
    "data", "b64_json", "image_url", "images", "url", "inlineData", "inline_data", "fileData", "file_data",
    // What the provider found or ran, and where it found it.
    "annotations", "citations", "citation", "results", "result", "outputs", "output", "search_results",
    "codeExecutionResult", "code_execution_result", "executed_tools", "toolResponse", "tool_response", "functionResponse",
    "function_response", "toolResult", "stdout", "stderr", "fetch_url_content", "all_retrieved_documents",
    // The same once more.
    "logprobs", "provider_specific_fields", "thinking_blocks",
];

/// Members of an item that the model did not write: the tools that a server has, what they found and how they failed, what
/// OpenAI checks, and what the caller had said of a shell. Deeper down the same names can be the model's.
macro_rules! items {
    ($($place:literal),+) => {
        &[$(
            concat!($place, ".tools"), concat!($place, ".error"), concat!($place, ".contents"), concat!($place, ".info"),
            concat!($place, ".action.sources"), concat!($place, ".pending_safety_checks"),
            concat!($place, ".acknowledged_safety_checks"), concat!($place, ".environment.skills"),
        )+]
    };
}

const fn again(below: &'static [&'static str], again: Again, nowhere: &'static [&'static str]) -> Rest<Fact> {
    Rest { below, leaf: Fact::Again(again), but: NOT_WRITTEN, whole: &[], nowhere, ends }
}

/// Whether nothing in an object that is wanted whole was written.
fn ends(fact: Fact) -> bool {
    !matches!(fact, Fact::Item(Place::Listed | Place::Streamed | Place::Step))
}

/// Where all texts were written. Those of items are in objects that are read whole for something else.
#[rustfmt::skip]
pub(super) const WRITTEN: &[Rest<Fact>] = &[
    again(&["part"], Again::Part, &[]),
    again(&["item"], Again::Item, items!("item")),
    again(&["response.output[]"], Again::List, items!("response.output[]")),
    again(&["choices[].delta.reasoning_details", "choices[].message.reasoning_details"], Again::Thoughts, &[]),
    Rest {
        below: &["output[]", "outputs[]"],
        leaf: Fact::Visible,
        but: NOT_WRITTEN,
        whole: &[],
        nowhere: items!("output[]", "outputs[]"),
        ends,
    },
    Rest {
        below: &[
            "choices[].delta", "choices[].message", "delta", "content[]", "content_block",
            "candidates[].content.parts[]", "response.candidates[].content.parts[]", "contentBlockDelta.delta",
            "contentBlockStart.start", "output.message.content[]", "message.content", "message.tool_calls",
        ],
        leaf: Fact::Visible,
        but: NOT_WRITTEN,
        whole: &["arguments", "args", "input"],
        // What Anthropic's own tools found.
        nowhere: &["content_block.content", "content[].content"],
        ends,
    },
];

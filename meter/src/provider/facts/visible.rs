//! The texts by their paths that show what a model wrote: what estimates go by.

/// Where the text stands that the model wrote, whole or in pieces. A stream's closing event repeats it elsewhere.
#[rustfmt::skip]
pub(super) const VISIBLE: &[&str] = &[
    "choices[].delta.content", "choices[].delta.refusal", "choices[].text",
    "choices[].delta.tool_calls[].function.name", "choices[].delta.tool_calls[].function.arguments",
    "choices[].delta.function_call.arguments",
    "choices[].message.content", "choices[].message.refusal",
    "choices[].message.tool_calls[].function.name", "choices[].message.tool_calls[].function.arguments",
    // OpenAI Responses and Anthropic.
    "delta", "delta.text", "delta.partial_json", "output[].content[].text", "output[].name", "output[].arguments",
    "content[].text", "content[].name", "content_block.name",
    // Gemini, Bedrock, Cohere, Ollama, Hugging Face.
    "candidates[].content.parts[].text", "candidates[].content.parts[].functionCall.name",
    "delta.toolUse.input", "contentBlockDelta.delta.text", "output.message.content[].text",
    "output.message.content[].toolUse.name", "delta.message.content.text", "message.content[].text",
    "message.content", "response", "generation", "outputText", "token.text", "generated_text",
];

/// Objects that the model wrote: the arguments of its tool calls.
pub(super) const VISIBLE_OBJECTS: &[&str] =
    &["content[].input", "candidates[].content.parts[].functionCall.args", "output.message.content[].toolUse.input"];

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

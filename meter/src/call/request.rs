//! What a request asks for, read from its body as it streams by.

mod form;
mod wishes;

use std::sync::OnceLock;

use form::Form;
pub(super) use wishes::Wishes;
use wishes::{WISHES, Wish};

use crate::encoding::Decoder;
use crate::estimate::{Characters, Text};
use crate::framing::{Body, Format, Values};
use crate::provider::{Api, BARRING, Endpoint, barring_bits};
use crate::scan::{Count, Paths, Piece, Scalar, Sink, count};

#[derive(Clone, Copy, Debug)]
enum Field {
    Model,
    Stream,
    StreamOptions,
    IncludeUsage,
    Text,
    /// Something that the model reads and no text here shows.
    Other,
    /// The same, and some providers refuse to be asked for usage beside it: its bit of [`BARRING`].
    Barring(u8),
    /// The definitions of tools.
    Tools,
    /// The kind of an item, which can stand for one that the provider keeps.
    Kind,
    /// How many tokens may be written.
    Limit(&'static [Api]),
    /// How many responses are wanted.
    Choices,
    /// A text whose characters may be paid for.
    Spoken,
    /// Something else that prices depend on.
    Wish(Wish),
}

/// The texts whose characters may be paid for: those that are to be spoken, and some that are to be embedded.
const SPOKEN: &[&str] = &["input", "text", "instances[].text"];

/// The most responses that one request can ask for.
const MAX_CHOICES: u64 = 128;

/// Where the text stands that the model reads.
#[rustfmt::skip]
const TEXTS: &[&str] = &[
    "messages[].content", "messages[].content[].text", "messages[].tool_calls[].function.arguments",
    // The results of tools.
    "messages[].content[].content", "messages[].content[].content[].text",
    "messages[].content[].toolResult.content[].text",
    "system", "system[].text", "prompt", "prompt[]",
    "input[]", "input[].content", "input[].content[].text", "input[].arguments", "input[].output", "instructions",
    "contents[].parts[].text", "systemInstruction.parts[].text", "system_instruction.parts[].text",
    "content.parts[].text", "requests[].content.parts[].text",
    "message", "texts[]", "inputs", "inputs[]", "inputText", "query", "documents[]",
];

/// The same as objects, which the model reads as text.
#[rustfmt::skip]
const TEXT_OBJECTS: &[&str] = &[
    "messages[].content[].input", "messages[].content[].toolUse.input", "messages[].content[].toolResult.content[].json",
    "contents[].parts[].functionCall.args", "contents[].parts[].functionResponse.response",
];

/// Where something else stands that the model reads, or that makes the provider add something.
#[rustfmt::skip]
const OTHERS: &[&str] = &[
    // Images, sound, video and files, in messages and by themselves.
    "messages[].content[].image_url", "messages[].content[].input_audio", "messages[].content[].audio_url",
    "messages[].content[].video_url", "messages[].content[].document_url", "messages[].content[].file",
    "messages[].content[].source", "messages[].content[].content[].source", "messages[].content[].image",
    "messages[].content[].audio", "messages[].content[].video", "messages[].content[].document",
    "messages[].content[].toolResult.content[].image", "messages[].content[].toolResult.content[].document",
    "messages[].images", "messages[].audio", "images", "image", "audio", "file",
    "input[].content[].image_url", "input[].content[].input_audio", "input[].content[].file_id",
    "input[].content[].file_data", "input[].content[].file_url", "input[].output[].image_url", "input[].encrypted_content",
    "input[].image", "inputs[].content[].image_url", "inputs[].content[].image_base64", "inputs[].content[].video_url",
    "contents[].parts[].inlineData", "contents[].parts[].inline_data", "contents[].parts[].fileData",
    "contents[].parts[].file_data", "instances[].image", "instances[].video",
    // What the provider keeps, finds, or writes itself into the prompt.
    "mcp_servers", "plugins", "web_search_options",
    "search_parameters", "connectors", "documents", "response_format", "text.format.schema",
    "generationConfig.responseSchema", "container", "previous_response_id", "conversation", "conversation_id",
    "prompt.id", "cachedContent", "cached_content", "assistant_id", "thread_id", "context_management",
];

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
    ("generationConfig.maxOutputTokens", &[Api::Gemini]),
    ("generation_config.max_output_tokens", &[Api::Gemini, Api::GeminiInteractions]),
    ("options.num_predict", &[Api::Plain]),
    ("parameters.max_new_tokens", &[Api::Plain]),
];

/// Where the number of responses stands.
#[rustfmt::skip]
const CHOICES: &[&str] = &[
    "n", "best_of", "num_generations", "generationConfig.candidateCount", "parameters.sampleCount",
    "imageGenerationConfig.numberOfImages",
];

fn paths() -> &'static Paths<Field> {
    static PATHS: OnceLock<Paths<Field>> = OnceLock::new();
    PATHS.get_or_init(|| {
        let options = ("stream_options", Field::StreamOptions);
        let mut leaves = vec![
            ("model", Field::Model),
            ("stream", Field::Stream),
            options,
            ("stream_options.include_usage", Field::IncludeUsage),
            ("input[].type", Field::Kind),
            // A call within a call, as Perplexity takes it for later.
            ("request.model", Field::Model),
            ("modelId", Field::Model),
        ];
        leaves.extend(WISHES.iter().map(|(path, wish)| (*path, Field::Wish(*wish))));
        leaves.extend(LIMITS.iter().map(|(path, apis)| (*path, Field::Limit(apis))));
        leaves.extend(CHOICES.iter().map(|path| (*path, Field::Choices)));
        let all = |paths: &[&'static str], field| paths.iter().map(|path| (*path, field)).collect::<Vec<_>>();
        let barring: Vec<_> =
            BARRING.iter().zip(barring_bits()).map(|(name, bit)| (*name, Field::Barring(bit))).collect();
        let others = [all(OTHERS, Field::Other), barring].concat();
        let texts = [others.clone(), all(TEXTS, Field::Text), all(SPOKEN, Field::Spoken)].concat();
        let objects = [vec![options], others, all(TEXT_OBJECTS, Field::Text), all(TOOLS, Field::Tools)].concat();
        Paths::new(&leaves, &objects, &texts)
    })
}

/// What a request asks for.
#[derive(Debug)]
pub(super) struct Asked {
    decoder: Decoder,
    body: Body<Field>,
    /// Instead of the body, where that is a form.
    form: Option<Box<Form>>,
    bytes: u64,
    found: Found,
}

#[derive(Debug, Default)]
struct Found {
    model: Option<String>,
    stream: bool,
    include_usage: bool,
    text: Text,
    /// By API the largest limit of the output, 0 if there is none.
    limits: [u32; Api::ALL.len()],
    choices: u64,
    /// Which of [`BARRING`] are there, a bit each.
    barring: u8,
    /// The characters of such texts, where they may be paid for.
    characters: Option<Box<Characters>>,
    wishes: Option<Box<Wishes>>,
    /// The body's value is over.
    whole: bool,
}

impl Asked {
    pub(super) fn new(content_encoding: Option<&[u8]>, endpoint: Endpoint) -> Self {
        let characters = matches!(endpoint, Endpoint::Speech | Endpoint::AnyModel).then(Box::default);
        let found = Found { characters, ..Found::default() };
        Asked { decoder: Decoder::new(content_encoding), body: Body::new(None), form: None, bytes: 0, found }
    }

    pub(super) fn reads(&self) -> bool {
        let is_json = matches!(self.body.format(), Format::Empty | Format::Json);
        let wants = self.form.as_ref().map_or(is_json && !self.found.whole, |form| form.reads());
        wants && self.decoder.reads()
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        if self.reads() {
            let Asked { decoder, body, form, found, .. } = self;
            decoder.feed(bytes, &mut |plain| {
                if form.is_none() && body.format() == Format::Empty && plain.first() == Some(&b'-') {
                    *form = Some(Box::new(Form::new()));
                }
                match form {
                    Some(form) => form.feed(plain, &mut |name, value| found.field(name, value)),
                    None if !found.whole => body.feed(paths(), plain, found),
                    None => {}
                }
            });
            if !self.reads() {
                // Nothing more of it is wanted: its memory goes now.
                self.decoder.end();
            }
        }
    }

    /// Whether nobody can tell what the body says: it is no JSON, or in a coding that cannot be undone, or not to its end.
    pub(super) fn is_unread(&self) -> bool {
        let is_json =
            self.form.is_none() && matches!(self.body.format(), Format::Empty | Format::Json) && !self.body.is_broken();
        !(self.found.whole || self.decoder.reads() && is_json)
    }

    /// Whether the request has said that it asks for a stream, and not for its usage.
    pub(super) fn streams_without_usage(&self) -> bool {
        self.found.whole && self.found.stream && !self.found.include_usage
    }

    /// Whether the request can have been sent whole: its value is over, or nobody can tell.
    pub(super) fn may_be_whole(&self) -> bool {
        self.found.whole || self.is_unread()
    }

    /// The members that some providers do not take the question for usage with, a bit of [`BARRING`] each.
    pub(super) fn barring(&self) -> u8 {
        self.found.barring
    }

    pub(super) fn model(&self) -> Option<&str> {
        self.found.model.as_deref()
    }

    pub(super) fn names_model(&self) -> bool {
        self.found.model.is_some()
    }

    pub(super) fn take_model(&mut self) -> Option<String> {
        self.found.model.take()
    }

    pub(super) fn stream(&self) -> bool {
        self.found.stream
    }

    pub(super) fn includes_usage(&self) -> bool {
        self.found.include_usage
    }

    /// The filter asks for usage in the client's place.
    pub(super) fn set_includes_usage(&mut self) {
        self.found.include_usage = true;
    }

    /// The text that the model reads.
    pub(super) fn text(&self) -> &Text {
        &self.found.text
    }

    /// How long the body is so far, as far as it was fetched.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What else prices depend on.
    pub(super) fn wishes(&mut self) -> Wishes {
        self.found.wishes.take().map(|wishes| *wishes).unwrap_or_default()
    }

    /// Whether the response is to be made in the background.
    pub(super) fn is_in_background(&self) -> bool {
        self.found.wishes.as_ref().is_some_and(|wishes| wishes.background)
    }

    /// How many characters have been read of a text that may be paid for by them, if all of it was.
    pub(super) fn characters(&self) -> Option<u64> {
        let characters = self.found.characters.as_ref().filter(|_| self.found.whole)?;
        Some(characters.count()).filter(|&count| count > 0)
    }

    /// How many responses are wanted at most.
    pub(super) fn choices(&self) -> u64 {
        self.found.choices.clamp(1, MAX_CHOICES)
    }

    /// How many tokens may be written in all, if the request says so in the words of its API.
    pub(super) fn limit(&self, api: Api) -> Option<u64> {
        let limit = self.found.limits.get(api as usize).copied().filter(|&limit| limit > 0)?;
        Some(u64::from(limit).saturating_mul(self.choices()))
    }
}

impl Found {
    fn bar(&mut self, bit: u8) {
        self.text.set_has_more();
        if !self.whole {
            self.barring |= bit;
        }
    }

    /// A field of a form, as a scalar of its name.
    fn field(&mut self, name: &str, value: &str) {
        let value = match value {
            "true" => Scalar::Bool(true),
            "false" => Scalar::Bool(false),
            value => Scalar::Text(value),
        };
        match name {
            "model" => self.scalar(Field::Model, value),
            "stream" => self.scalar(Field::Stream, value),
            "n" => self.scalar(Field::Choices, value),
            name => {
                if let Some((_, wish)) = WISHES.iter().find(|(path, _)| *path == name) {
                    self.scalar(Field::Wish(*wish), value);
                }
            }
        }
    }

    fn limit(&mut self, apis: &[Api], value: Scalar<'_>) {
        let Count::Value(limit) = count(value) else { return };
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        for &api in apis {
            if let Some(known) = self.limits.get_mut(api as usize) {
                *known = limit.max(*known);
            }
        }
    }
}

impl Sink<Field> for Found {
    fn scalar(&mut self, field: Field, value: Scalar<'_>) {
        if self.whole {
            // A second value is no part of the request.
            return;
        }
        match (field, value) {
            (Field::Model, Scalar::Text(text)) if !text.is_empty() => self.model = Some(text.to_owned()),
            // Of a repeated name the last holds, as most readers have it.
            (Field::Stream, value) => self.stream = value == Scalar::Bool(true),
            (Field::IncludeUsage, value) => self.include_usage = value == Scalar::Bool(true),
            (Field::StreamOptions, _) => self.include_usage = false,
            (Field::Kind, Scalar::Text("item_reference")) => self.text.set_has_more(),
            (Field::Limit(apis), value) => self.limit(apis, value),
            (Field::Choices, value) => {
                if let Count::Value(choices) = count(value) {
                    self.choices = choices.max(self.choices);
                }
            }
            (Field::Wish(_), Scalar::Null) => {}
            (Field::Wish(wish), value) => self.wishes.get_or_insert_default().take(wish, value),
            _ => {}
        }
    }
    fn raw_begin(&mut self, field: Field) {
        match field {
            Field::StreamOptions => self.include_usage &= self.whole,
            Field::Other | Field::Tools => self.text.set_has_more(),
            Field::Barring(bit) => self.bar(bit),
            _ => {}
        }
    }
    fn raw(&mut self, field: Field, bytes: &[u8]) {
        if !matches!(field, Field::StreamOptions) {
            self.flow(field, Piece::of(bytes));
        }
    }
    fn raw_end(&mut self, _: Field) {}
    fn flow(&mut self, field: Field, piece: Piece<'_>) {
        match field {
            Field::Other => self.text.set_has_more(),
            Field::Barring(bit) => self.bar(bit),
            Field::Spoken => {
                if let Some(characters) = self.characters.as_mut().filter(|_| !self.whole) {
                    characters.feed(piece.bytes);
                }
                self.text.feed(piece, false);
            }
            _ => self.text.feed(piece, false),
        }
    }
}

impl Values<Field> for Found {
    fn value_end(&mut self) {
        self.whole = true;
    }
}

//! What a request asks for, read from its body as it streams by.

use std::sync::OnceLock;

use crate::estimate::Text;
use crate::framing::{Body, Format, Values};
use crate::scan::{Paths, Scalar, Sink};

#[derive(Clone, Copy, Debug)]
enum Field {
    Model,
    Stream,
    IncludeUsage,
    Text,
}

/// Where the text stands that the model reads.
const TEXTS: &[&str] = &[
    "messages[].content",
    "messages[].content[].text",
    "messages[].tool_calls[].function.arguments",
    "system",
    "system[].text",
    "prompt",
    "prompt[]",
    "input",
    "input[]",
    "input[].content",
    "input[].content[].text",
    "instructions",
    "contents[].parts[].text",
    "systemInstruction.parts[].text",
    "message",
    "texts[]",
    "inputs",
];

fn paths() -> &'static Paths<Field> {
    static PATHS: OnceLock<Paths<Field>> = OnceLock::new();
    PATHS.get_or_init(|| {
        let leaves =
            [("model", Field::Model), ("stream", Field::Stream), ("stream_options.include_usage", Field::IncludeUsage)];
        let texts: Vec<_> = TEXTS.iter().map(|path| (*path, Field::Text)).collect();
        Paths::new(&leaves, &[], &texts)
    })
}

/// What a request asks for.
#[derive(Debug)]
pub(super) struct Asked {
    body: Body<Field>,
    encoded: bool,
    found: Found,
}

#[derive(Debug, Default)]
struct Found {
    model: Option<String>,
    stream: bool,
    include_usage: bool,
    text: Text,
}

impl Asked {
    pub(super) fn new(encoded: bool) -> Self {
        Asked { body: Body::new(None), encoded, found: Found::default() }
    }

    pub(super) fn reads(&self) -> bool {
        !self.encoded && matches!(self.body.format(), Format::Empty | Format::Json)
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.reads() {
            self.body.feed(paths(), bytes, &mut self.found);
        }
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
}

impl Sink<Field> for Found {
    fn scalar(&mut self, field: Field, value: Scalar<'_>) {
        match (field, value) {
            (Field::Model, Scalar::Text(text)) if !text.is_empty() => self.model = Some(text.to_owned()),
            (Field::Stream, Scalar::Bool(value)) => self.stream = value,
            (Field::IncludeUsage, Scalar::Bool(value)) => self.include_usage = value,
            _ => {}
        }
    }
    fn raw_begin(&mut self, _: Field) {}
    fn raw(&mut self, _: Field, _: &[u8]) {}
    fn raw_end(&mut self, _: Field) {}
    fn flow(&mut self, _: Field, bytes: &[u8]) {
        self.text.feed(bytes, false);
    }
}

impl Values<Field> for Found {}

//! What a request asks for, read from its body as it streams by.

use std::sync::OnceLock;

use crate::encoding::Decoder;
use crate::estimate::Text;
use crate::framing::{Body, Format, Values};
use crate::scan::{Paths, Scalar, Sink};

#[derive(Clone, Copy, Debug)]
enum Field {
    Model,
    Stream,
    StreamOptions,
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
        let options = ("stream_options", Field::StreamOptions);
        let leaves = [
            ("model", Field::Model),
            ("stream", Field::Stream),
            options,
            ("stream_options.include_usage", Field::IncludeUsage),
        ];
        let texts: Vec<_> = TEXTS.iter().map(|path| (*path, Field::Text)).collect();
        Paths::new(&leaves, &[options], &texts)
    })
}

/// What a request asks for.
#[derive(Debug)]
pub(super) struct Asked {
    decoder: Decoder,
    body: Body<Field>,
    found: Found,
}

#[derive(Debug, Default)]
struct Found {
    model: Option<String>,
    stream: bool,
    include_usage: bool,
    text: Text,
    /// The body's value is over.
    whole: bool,
}

impl Asked {
    pub(super) fn new(content_encoding: Option<&[u8]>) -> Self {
        Asked { decoder: Decoder::new(content_encoding), body: Body::new(None), found: Found::default() }
    }

    pub(super) fn reads(&self) -> bool {
        !self.found.whole && self.decoder.reads() && matches!(self.body.format(), Format::Empty | Format::Json)
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.reads() {
            let Asked { decoder, body, found } = self;
            decoder.feed(bytes, &mut |plain| {
                if !found.whole {
                    body.feed(paths(), plain, found);
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
        let is_json = matches!(self.body.format(), Format::Empty | Format::Json) && !self.body.is_broken();
        !(self.found.whole || self.decoder.reads() && is_json)
    }

    /// Whether the request has said that it asks for a stream, and not for its usage.
    pub(super) fn streams_without_usage(&self) -> bool {
        self.found.whole && self.found.stream && !self.found.include_usage
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
            _ => {}
        }
    }
    fn raw_begin(&mut self, _: Field) {
        self.include_usage &= self.whole;
    }
    fn raw(&mut self, _: Field, _: &[u8]) {}
    fn raw_end(&mut self, _: Field) {}
    fn flow(&mut self, _: Field, bytes: &[u8]) {
        self.text.feed(bytes, false);
    }
}

impl Values<Field> for Found {
    fn value_end(&mut self) {
        self.whole = true;
    }
}

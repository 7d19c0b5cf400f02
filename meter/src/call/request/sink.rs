//! What is found in a request, as the scanner tells it.

use super::form::Fields;
use super::places::Field;
use super::wishes::WISHES;
use super::{DataText, Found, MAX_CHOICES};
use crate::framing::Values;
use crate::provider::{ENTERPRISE_SEARCH, search_tool};
use crate::scan::{Count, Piece, Scalar, Sink, count};

impl Sink<Field> for Found {
    const MINDS_SHAPES: bool = true;

    fn began(&mut self, field: Field, object: bool) {
        match field {
            Field::Item => self.item = (false, false),
            Field::List if object => self.has_more(),
            Field::Limits(apis) => self.limits_again(apis),
            Field::Choices => self.choices = MAX_CHOICES,
            _ => {}
        }
    }

    fn alike(&mut self, field: Field) {
        match field {
            Field::Limit(apis) | Field::Limits(apis) => self.no_limit(apis),
            Field::Choices => self.choices = MAX_CHOICES,
            Field::Model
            | Field::OtherModel
            | Field::Stream
            | Field::StreamOptions
            | Field::IncludeUsage
            | Field::Wish(_) => {}
            Field::Document => {}
            _ => self.has_more(),
        }
    }

    fn ended(&mut self, field: Field) {
        // The id of something that the provider keeps.
        if let (Field::Item, (true, false)) = (field, self.item) {
            self.has_more();
        }
    }

    fn skips(&self, field: Field) -> bool {
        matches!(field, Field::Item | Field::List)
    }

    fn scalar(&mut self, field: Field, value: Scalar<'_>) {
        if self.whole {
            // A second value is no part of the request.
            return;
        }
        match (field, value) {
            // Servers that take a name with spaces around it take it without them.
            (Field::Model, Scalar::Text(text)) if !text.trim().is_empty() => {
                self.model = Some(text.trim().to_owned());
                self.has_model = true;
            }
            (Field::OtherModel, Scalar::Text(text)) if !text.trim().is_empty() && !self.has_model => {
                self.model = Some(text.trim().to_owned());
            }
            // Of a repeated name the last holds, as most readers have it.
            (Field::Stream, value) => self.stream = value == Scalar::Bool(true),
            (Field::IncludeUsage, value) => self.include_usage = value == Scalar::Bool(true),
            (Field::StreamOptions, _) => self.include_usage = false,
            (Field::Kind, Scalar::Text(kind)) => self.kind(kind),
            (Field::ItemKind, Scalar::Text(kind)) => {
                let (has_id, _) = self.item;
                self.item = (has_id, true);
                self.kind(kind);
            }
            (Field::ItemId, Scalar::Text(_)) => {
                let (_, has_kind) = self.item;
                self.item = (true, has_kind);
            }
            (Field::Limits(apis), _) => self.limits_again(apis),
            // A prompt of numbers is one of tokens.
            (Field::Token | Field::Item | Field::Prompt, Scalar::Number(_)) => self.text.add_token(),
            (Field::DataKind, Scalar::Text("text")) => self.data.1 = DataText::Plain,
            (Field::MediaType, Scalar::Text(kind)) if kind.starts_with("text/") => self.data.1 = DataText::Encoded,
            (Field::MediaType, Scalar::Text(kind)) if kind.starts_with("image/") => {
                self.media_images = self.media_images.saturating_add(1);
            }
            (Field::ToolKind, Scalar::Text("function" | "custom" | "direct")) | (Field::ToolName, _) => {
                self.own_tools = true
            }
            (Field::ToolKind, Scalar::Text(kind)) => {
                self.other_tools = true;
                if let Some(tool) = search_tool(kind) {
                    self.wishes.get_or_insert_default().search_tool.get_or_insert(tool);
                }
            }
            (Field::Document, Scalar::Text(_)) => self.documents = self.documents.saturating_add(1),
            (Field::Prompt, Scalar::Text(_)) => self.prompts = self.prompts.saturating_add(1),
            (Field::Limit(apis), value) => self.limit(apis, value),
            (Field::Choices, value) => {
                let choices = match count(value) {
                    Count::Value(choices) => choices,
                    Count::Null => 0,
                    // Whoever reads it may find a number in it.
                    _ => MAX_CHOICES,
                };
                self.choices = choices.max(self.choices);
            }
            (Field::Wish(_), Scalar::Null) => {}
            (Field::Wish(wish), value) => self.wishes.get_or_insert_default().take(wish, value),
            _ => {}
        }
    }
    fn raw_begin(&mut self, field: Field) {
        match field {
            Field::StreamOptions => self.include_usage &= self.whole,
            Field::Other => self.has_more(),
            Field::Image => {
                self.text.set_has_more();
                self.images = self.images.saturating_add(1);
            }
            Field::Media => {
                self.text.set_has_more();
                self.media = self.media.saturating_add(1);
                self.data = Default::default();
            }
            Field::Shown | Field::Sealed | Field::Tools => {
                self.text.set_has_more();
                self.tools |= matches!(field, Field::Tools);
                self.forms = true;
            }
            Field::Prompt => self.prompts = self.prompts.saturating_add(1),
            Field::Barring(bit) => self.bar(bit),
            _ => {}
        }
    }
    fn nested(&mut self, field: Field) {
        match field {
            // Within the definitions of tools.
            Field::OtherTool => self.other_tools = true,
            Field::EnterpriseSearch => {
                self.other_tools = true;
                self.wishes.get_or_insert_default().search_tool = Some(ENTERPRISE_SEARCH);
            }
            // Within the list of them.
            Field::Document => self.documents = self.documents.saturating_add(1),
            _ => {}
        }
    }
    fn raw(&mut self, field: Field, bytes: &[u8]) {
        if !matches!(field, Field::StreamOptions | Field::Prompt) {
            self.flow(field, Piece::of(bytes));
        }
    }
    fn raw_end(&mut self, field: Field) {
        if let Field::Media = field {
            let (length, text) = std::mem::take(&mut self.data);
            match text {
                DataText::No => {}
                DataText::Plain => self.text.add_bytes(length),
                DataText::Encoded => self.text.add_bytes(length.saturating_mul(3) / 4),
            }
        }
    }
    fn flow(&mut self, field: Field, piece: Piece<'_>) {
        match field {
            Field::Other | Field::Image | Field::Media => {
                self.text.set_has_more();
                // A text may stand for one, too: an address, an id.
                self.unseen |= matches!(field, Field::Other);
                self.an_image |= matches!(field, Field::Image);
                self.item_bytes = self.item_bytes.saturating_add(piece.bytes.len() as u64);
            }
            Field::OtherTool | Field::EnterpriseSearch => {}
            Field::Data => self.data.0 = self.data.0.saturating_add(piece.bytes.len() as u64),
            Field::Sealed => self.text.set_has_more(),
            Field::Shown => {
                self.text.set_has_more();
                self.text.feed(piece, false);
            }
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

impl Fields for Found {
    fn matters(&self, name: &str) -> bool {
        matches!(name, "model" | "stream" | "n") || WISHES.iter().any(|(path, _)| *path == name)
    }

    /// A field, as a scalar of its name. Of several the last holds, as most servers have it.
    fn field(&mut self, name: &str, value: &str, is_plain: bool) {
        let text = value.trim();
        let before = self.fields.iter().position(|(known, ..)| known == name);
        if let Some((_, known, was_plain)) = before.and_then(|at| self.fields.get_mut(at)) {
            self.unclear |= known != text;
            if *was_plain && !is_plain {
                return;
            }
            (*known, *was_plain) = (text.to_owned(), is_plain);
        } else {
            self.fields.push((name.to_owned(), text.to_owned(), is_plain));
        }
        let value = match text {
            "true" => Scalar::Bool(true),
            "false" => Scalar::Bool(false),
            text => Scalar::Text(text),
        };
        // JSON before it was none of the request.
        self.unclear |= std::mem::take(&mut self.whole);
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

    fn unclear(&mut self) {
        self.unclear = true;
    }
}

impl Values<Field> for Found {
    fn value_end(&mut self) {
        self.whole = true;
    }
}

//! What is found in a request, as the scanner tells it.

use super::places::Field;
use super::{Found, MAX_CHOICES};
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
            Field::Model | Field::Stream | Field::StreamOptions | Field::IncludeUsage | Field::Wish(_) => {}
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
            (Field::Model, Scalar::Text(text)) if !text.is_empty() => self.model = Some(text.to_owned()),
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
            }
            Field::Shown | Field::Tools => {
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
    fn raw_end(&mut self, _: Field) {}
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
            Field::Shown => self.text.set_has_more(),
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

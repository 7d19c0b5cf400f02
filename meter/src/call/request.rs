//! What a request asks for, read from its body as it streams by.

mod form;
mod places;
mod sink;
mod wishes;

use form::Form;
use places::{Field, paths};
pub(super) use wishes::Wishes;

use crate::encoding::Decoder;
use crate::estimate::{Characters, Text};
use crate::framing::{Body, Format};
use crate::provider::{Api, Endpoint};
use crate::scan::{Count, Scalar, count};

/// The most responses that one request can ask for: vLLM's limit; the providers' are lower.
const MAX_CHOICES: u64 = 16_384;
/// Kinds of what the model reads that are there as they are read. Others are files, sound, or what the provider keeps or finds.
#[rustfmt::skip]
const SHOWN: &[&str] = &[
    "message", "text", "input_text", "output_text", "refusal", "thinking", "redacted_thinking", "reasoning", "reasoning_text",
    "summary_text", "tool_use", "tool_result", "search_result", "function_call", "function_call_output", "custom_tool_call",
    "custom_tool_call_output", "local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output",
    "apply_patch_call", "apply_patch_call_output",
];
/// In the place of a limit: what the request says of it can be read in several ways.
const NO_LIMIT: u32 = u32::MAX;

/// What a request asks for.
#[derive(Debug)]
pub(super) struct Asked {
    decoder: Decoder,
    body: Body<Field>,
    /// The body, where it is a form.
    form: Option<Box<Form>>,
    /// It may be JSON.
    is_json: bool,
    /// Its content type, as far as that matters.
    kind: Kind,
    bytes: u64,
    found: Found,
}

/// What of a thing's data is text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum DataText {
    /// Nothing, as far as it says.
    #[default]
    No,
    /// All of it.
    Plain,
    /// It is in base64.
    Encoded,
}

/// What a content type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// There is none.
    Unsaid,
    /// That the body is sound, an image or the like, which says nothing of a call.
    Media,
    /// Something else.
    Said,
}

#[derive(Debug, Default)]
struct Found {
    model: Option<String>,
    /// It is what `model` says.
    has_model: bool,
    stream: bool,
    include_usage: bool,
    text: Text,
    /// By API the largest limit of the output, 0 if there is none.
    limits: [u32; Api::ALL.len()],
    choices: u64,
    prompts: u64,
    /// How many documents there are to rank.
    documents: u64,
    /// Which of [`BARRING`](crate::provider::BARRING) are there, a bit each.
    barring: u8,
    /// How long the body is, decoded.
    bytes: u64,
    /// How many characters it has, where they may be paid for.
    sent_characters: u64,
    /// It is in UTF-16, by its first bytes.
    is_wide: bool,
    /// How long images, files and the like are in the body.
    item_bytes: u64,
    /// How many images there are: by their places, by their kinds, and at least.
    images: u64,
    image_kinds: u64,
    an_image: bool,
    /// How many things there are that may be images, and how many of them are by their kind.
    media: u64,
    media_images: u64,
    /// How long the data is of the thing that may be an image, and what text it is of that.
    data: (u64, DataText),
    /// There is something that the provider puts into words of its own.
    forms: bool,
    /// There are definitions of tools; tools of the client's own; and of the provider's.
    tools: bool,
    own_tools: bool,
    other_tools: bool,
    /// There is something that the body does not show.
    unseen: bool,
    /// The item of the input that is being read has an id, and a kind.
    item: (bool, bool),
    /// The characters of such texts, where they may be paid for.
    characters: Option<Box<Characters>>,
    wishes: Option<Box<Wishes>>,
    /// The body's value is over.
    whole: bool,
    /// The fields of a form that matter, and whether each is one to every server.
    fields: Vec<(String, String, bool)>,
    /// Servers may differ in what the request says.
    unclear: bool,
}

impl Asked {
    pub(super) fn new(content_encoding: Option<&[u8]>, endpoint: Endpoint) -> Self {
        let characters = matches!(endpoint, Endpoint::Speech | Endpoint::AnyModel).then(Box::default);
        let found = Found { characters, ..Found::default() };
        let (decoder, body) = (Decoder::new(content_encoding), Body::new(None));
        Asked { decoder, body, form: None, is_json: true, kind: Kind::Unsaid, bytes: 0, found }
    }

    /// The request's content type, before its body.
    pub(super) fn set_type(&mut self, content_type: &[u8]) {
        let kind = content_type.trim_ascii_start().to_ascii_lowercase();
        let media: &[&[u8]] = &[b"audio/", b"image/", b"video/", b"application/octet-stream"];
        self.kind = if media.iter().any(|media| kind.starts_with(media)) { Kind::Media } else { Kind::Said };
        if kind.starts_with(b"multipart/form-data") {
            self.form = Some(Box::new(Form::new(Some(content_type))));
        }
    }

    pub(super) fn reads(&self) -> bool {
        let is_json = matches!(self.body.format(), Format::Empty | Format::Json);
        let reads_form = self.form.as_ref().is_some_and(|form| form.reads());
        // Where characters may be paid for, those of a body that is no JSON are counted, too.
        let is_wanted = is_json || self.found.characters.is_some();
        (reads_form || self.is_json && is_wanted && !self.found.whole) && self.decoder.reads()
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        if self.reads() {
            let Asked { decoder, body, form, is_json, kind, found, .. } = self;
            decoder.feed(bytes, &mut |plain| {
                found.is_wide |= found.bytes == 0
                    && matches!(plain, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, b'{', ..] | [b'{', 0, ..]);
                if found.characters.is_some() {
                    let begins = plain.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
                    found.sent_characters = found.sent_characters.saturating_add(begins as u64);
                }
                found.bytes = found.bytes.saturating_add(plain.len() as u64);
                let begun = plain.trim_ascii_start();
                if *is_json && body.format() == Format::Empty && begun.first() == Some(&b'-') {
                    *is_json = false;
                    // A server that goes by the content type takes it for no form.
                    found.unclear |= form.is_none() && *kind != Kind::Unsaid;
                    form.get_or_insert_with(|| Box::new(Form::new(None)));
                }
                // What stands before a form may be JSON, and to a server that takes no forms it is all there is.
                if *is_json && !found.whole && matches!(body.format(), Format::Empty | Format::Json) {
                    body.feed(paths(), plain, found);
                }
                if let Some(form) = form {
                    form.feed(plain, found);
                }
            });
            if !self.reads() {
                // Nothing more of it is wanted: its memory goes now.
                self.decoder.end();
            }
        }
    }

    /// Bytes that were not fetched.
    pub(super) fn passed(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// Whether nobody can tell what the body says: it is no JSON, or in a coding that cannot be undone, or not to its end.
    pub(super) fn is_unread(&self) -> bool {
        let is_form = !self.is_json || self.form.as_ref().is_some_and(|form| form.has_begun());
        let is_json = !is_form && matches!(self.body.format(), Format::Empty | Format::Json) && !self.body.is_broken();
        !(self.found.whole || self.decoder.reads() && is_json)
    }

    /// Whether the body's value is over.
    pub(super) fn is_whole(&self) -> bool {
        self.found.whole
    }

    /// What there is to read for the model.
    pub(super) fn weight(&self) -> Weight {
        let Found { bytes, item_bytes, forms, tools, own_tools, other_tools, .. } = self.found;
        let Found { images, image_kinds, an_image, media, media_images, unseen, .. } = self.found;
        let is_unread = self.is_unread();
        // What cannot be read is taken for a file: a form with sound or an image in it is one.
        let (bytes, item_bytes) = if is_unread { (self.bytes, self.bytes) } else { (bytes, item_bytes) };
        let images = images.max(image_kinds).max(u64::from(an_image));
        let is_all_images = media <= media_images;
        Weight {
            text_bytes: bytes.saturating_sub(item_bytes),
            images: images.saturating_add(if is_all_images { media } else { 0 }),
            has_tools: forms,
            is_open: is_unread || unseen || !is_all_images || other_tools || tools && !own_tools,
        }
    }

    /// Whether the request has said that it asks for a stream, and not for its usage.
    pub(super) fn streams_without_usage(&self) -> bool {
        self.found.whole && self.found.stream && !self.found.include_usage
    }

    /// Whether the request can have been sent whole: its value is over, or nobody can tell.
    pub(super) fn may_be_whole(&self) -> bool {
        self.found.whole || self.is_unread()
    }

    /// The members that some providers do not take the question for usage with, a bit of [`BARRING`](crate::provider::BARRING) each.
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

    /// How long a form is so far: nearly all of it is the file that is uploaded.
    pub(super) fn form_bytes(&self) -> Option<u64> {
        self.form.as_ref().map(|_| self.bytes)
    }

    /// The same, or what it can be where nobody can tell what the body says. Text in UTF-16 takes two bytes for one.
    pub(super) fn text_or_bound(&self) -> Text {
        let mut text = self.found.text.clone();
        if self.is_unread() && self.form.is_none() {
            text.set_at_least(self.bytes / 2);
        }
        text
    }

    /// How long the body is so far.
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

    /// Whether what it says, of what is charged by that, is in doubt: servers may differ in it, or it cannot be read.
    pub(super) fn is_unclear(&self) -> bool {
        let has_body = self.bytes > 0 || !self.decoder.is_identity();
        let is_unread = self.form.is_none() && has_body && self.kind != Kind::Media && !self.found.whole;
        self.found.unclear || is_unread || self.form.as_ref().is_some_and(|form| form.is_odd())
    }

    /// How many characters a text that may be paid for by them has about, where the request was not read to its end: those that
    /// were read, unless there may be more in the rest; or else as many as were sent.
    pub(super) fn characters_about(&self) -> Option<u64> {
        let read = self.found.characters.as_ref().filter(|_| !self.found.whole)?.count();
        let sent = if self.found.is_wide { self.found.bytes.div_euclid(2) } else { self.found.sent_characters };
        let rest = sent.saturating_sub(read);
        Some(if read >= rest { read } else { sent.max(read) }).filter(|&count| count > 0)
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

    /// How many prompts it has, each of which gets responses of its own.
    pub(super) fn prompts(&self) -> u64 {
        self.found.prompts.max(1)
    }

    /// How many documents are to be ranked, as far as the request was read.
    pub(super) fn documents(&self) -> u64 {
        self.found.documents
    }

    /// How many tokens may be written in all, if the request says so in the words of its API.
    pub(super) fn limit(&self, api: Api) -> Option<u64> {
        let limit = self.found.limits.get(api as usize).copied().filter(|&limit| limit > 0 && limit < NO_LIMIT)?;
        Some(u64::from(limit).saturating_mul(self.choices()).saturating_mul(self.prompts()))
    }
}

/// What a request has for the model to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight {
    /// How long it is, decoded, without what is counted by the item.
    pub text_bytes: u64,
    /// Images.
    pub images: u64,
    /// Definitions of tools, schemas and the like.
    pub has_tools: bool,
    /// The model may read more than the body shows.
    pub is_open: bool,
}

impl Found {
    /// A kind of something that the model reads.
    fn kind(&mut self, kind: &str) {
        match kind {
            // Anthropic's, whose source may be something else, too.
            "image" => self.media_images = self.media_images.saturating_add(1),
            "image_url" | "input_image" => self.image_kinds = self.image_kinds.saturating_add(1),
            kind if SHOWN.contains(&kind) => {}
            _ => self.has_more(),
        }
    }

    /// The model may read more than the body shows.
    fn has_more(&mut self) {
        self.text.set_has_more();
        self.unseen = true;
    }

    fn bar(&mut self, bit: u8) {
        self.has_more();
        if !self.whole {
            self.barring |= bit;
        }
    }

    /// What limits the output can be read in several ways.
    fn no_limit(&mut self, apis: &[Api]) {
        for &api in apis {
            if let Some(known) = self.limits.get_mut(api as usize) {
                *known = NO_LIMIT;
            }
        }
    }

    /// What has limits begins. What stood in another one before it does not hold, or not alone.
    fn limits_again(&mut self, apis: &[Api]) {
        for &api in apis {
            if let Some(known) = self.limits.get_mut(api as usize).filter(|known| **known > 0) {
                *known = NO_LIMIT;
            }
        }
    }

    fn limit(&mut self, apis: &[Api], value: Scalar<'_>) {
        let limit = match count(value) {
            Count::Value(limit) => u32::try_from(limit).unwrap_or(u32::MAX).min(NO_LIMIT.saturating_sub(1)),
            _ => 0,
        };
        for &api in apis {
            if let Some(known) = self.limits.get_mut(api as usize) {
                // Of a repeated name most readers take the last. If that is no limit, a limit before it is none.
                *known = if limit == 0 && *known > 0 { NO_LIMIT } else { limit.max(*known) };
            }
        }
    }
}

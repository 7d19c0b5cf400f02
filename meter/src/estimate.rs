//! Counts for calls whose provider gave none: from the visible text, never called reported.
//!
//! The best step that can be taken is: what completed calls took per byte of text, and for thoughts that no text shows
//! per call, learned as they pass; else classes of words, for streams; else four bytes a token. There is no tokenizer:
//! measured across vendors it is no better, for what is left is hidden output, and its vocabularies are larger than all
//! the rest of the plugin.
//!
//! An estimate becomes money, and what teaches it comes from others. So calls teach only calls of the same tenant to
//! the same model behind the same upstream ([`Key`]), only what text can be is learned ([`BYTES_A_TOKEN_MOST`],
//! [`MAX_HIDDEN`]), and no estimate exceeds what the shown text can be or the request allows.
//!
//! Text is measured in bytes of UTF-8, with its escapes undone. Bytes predict tokens better than characters do: today's
//! tokenizers begin with bytes and take 3 to 5 of them a token in nearly every script, but 1 to 4 characters.

mod escapes;
mod memory;
mod words;

use crate::scan::Piece;
use escapes::Escapes;
pub use memory::{Key, Ratios};
use words::Words;

/// Bytes a token where nothing is known: the average of English text.
const BYTES_A_TOKEN: u64 = 4;
/// The most bytes a token: four times what text has on average. Only runs of the same character have longer ones. The
/// least is one: where nothing else fits, a tokenizer makes a token of each byte.
pub const BYTES_A_TOKEN_MOST: u64 = 16;
/// Tokens of thoughts that no text shows in one response, at most: no model offers to write more than 128 Ki tokens.
pub const MAX_HIDDEN: u64 = 128 * 1024;

/// The visible text of one direction of a call.
#[derive(Clone, Debug, Default)]
pub struct Text {
    bytes: u64,
    escapes: Escapes,
    words: Words,
    /// The words were not counted for all of it.
    bytes_only: bool,
    /// The model's thoughts are part of it.
    shows_thoughts: bool,
    /// There is more than the text.
    has_more: bool,
}

impl Text {
    /// A piece of text in JSON, escapes and all. Words are counted for streams; a long text in one piece is only measured.
    pub fn feed(&mut self, piece: Piece<'_>, count_words: bool) {
        self.bytes_only |= !count_words;
        let Text { escapes, words, bytes: length, .. } = self;
        if count_words {
            escapes.feed(piece.bytes, &mut |plain| {
                *length = length.saturating_add(plain.len() as u64);
                words.feed(plain);
            });
        } else {
            *length = length.saturating_add(escapes.length(piece));
        }
    }

    /// The model's thoughts are part of the text.
    pub fn set_shows_thoughts(&mut self) {
        self.shows_thoughts = true;
    }

    /// There is more than the text: images, sound, files, or what the provider adds by itself.
    pub fn set_has_more(&mut self) {
        self.has_more = true;
    }

    /// How long it is so far, bytes of UTF-8.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// There is so much text besides, bytes of UTF-8.
    pub fn add_bytes(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.bytes_only = true;
    }

    /// There is a token besides, as a number.
    pub fn add_token(&mut self) {
        self.add_bytes(BYTES_A_TOKEN);
    }

    /// It is no shorter than this.
    pub fn set_at_least(&mut self, bytes: u64) {
        let more = bytes.saturating_sub(self.bytes);
        self.has_more |= more > 0;
        self.add_bytes(more);
    }

    /// Takes this text in the place of its own, if it is longer: both say the same.
    pub fn take_longer(&mut self, other: &Text) {
        if other.bytes > self.bytes {
            let shows_thoughts = self.shows_thoughts || other.shows_thoughts;
            *self = Text { shows_thoughts, has_more: self.has_more || other.has_more, ..other.clone() };
        }
    }

    /// Takes thoughts besides, unless it shows them already.
    pub fn take_thoughts(&mut self, thoughts: &Text) {
        if !self.shows_thoughts {
            self.join(thoughts);
            self.shows_thoughts = true;
        }
    }

    /// Takes a text besides.
    pub fn join(&mut self, other: &Text) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.words.join(&other.words);
        self.bytes_only |= other.bytes_only;
    }

    /// Whether so many tokens can be this text and nothing else.
    fn can_be(&self, tokens: u64) -> bool {
        (self.least()..=self.bytes).contains(&tokens)
    }

    fn least(&self) -> u64 {
        self.bytes.div_ceil(BYTES_A_TOKEN_MOST)
    }

    fn tokens_by_words(&self) -> u64 {
        let tokens = if self.bytes_only { self.bytes.div_ceil(BYTES_A_TOKEN) } else { self.words.tokens() };
        tokens.clamp(self.least(), self.bytes)
    }
}

/// Counts the characters of a text in JSON, its escapes undone: what speech is paid for.
#[derive(Clone, Debug, Default)]
pub struct Characters {
    escapes: Escapes,
    count: u64,
}

impl Characters {
    /// A piece of the text, escapes and all.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Characters { escapes, count } = self;
        escapes.feed(bytes, &mut |plain| {
            // Every byte but those that continue a character begins one.
            let begun = plain.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
            *count = count.saturating_add(begun as u64);
        });
    }

    /// How many there are so far.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// An estimate of what a model wrote, tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// What the text shows.
    pub text: u64,
    /// Thoughts that it does not show, if the model is known to have them.
    pub hidden: Option<u64>,
}

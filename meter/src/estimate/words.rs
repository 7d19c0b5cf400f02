//! Counts words by classes, a byte at a time: what tokenizers of today's models make of them, roughly.
//!
//! A word of up to 8 letters is one token, and one more for every 5 letters behind; three digits are one; a run of the same
//! punctuation is one; a line break is one; a character beyond the alphabets is most of one.

/// Tokens are counted in hundredths.
const TOKEN: u64 = 100;
/// The cost of a character of three bytes or more (CJK).
const WIDE: u64 = 80;
/// The cost of a character of two bytes: half a token beyond the letters of a word.
const NARROW: u64 = 45;
const SHORT_WORD: u32 = 8;
const MORE_LETTERS: u32 = 5;
const DIGITS: u32 = 3;

/// A count of tokens, so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Words {
    hundredths: u64,
    last: Class,
    /// How long the run of the last class is.
    run: u32,
    /// The last punctuation.
    mark: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Class {
    #[default]
    Space,
    Letter,
    Digit,
    Mark,
    Line,
}

impl Words {
    /// Text as UTF-8; a character may come in pieces.
    pub fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.byte(byte);
        }
    }

    /// Whole tokens, at least one if there was any text.
    pub fn tokens(&self) -> u64 {
        self.hundredths.div_ceil(TOKEN)
    }

    /// Those of another text besides.
    pub fn join(&mut self, other: &Words) {
        self.hundredths = self.hundredths.saturating_add(other.hundredths);
    }

    fn byte(&mut self, byte: u8) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => self.letter(),
            b'0'..=b'9' => self.digit(),
            b' ' | b'\t' => self.last = Class::Space,
            b'\n' | b'\r' => self.line(),
            // The first byte of a character; what follows it is part of it.
            0xc0..=0xdf => self.add(NARROW, Class::Letter),
            0xe0..=0xff => self.add(WIDE, Class::Space),
            0x80..=0xbf => {}
            other => self.mark(other),
        }
    }

    fn add(&mut self, hundredths: u64, class: Class) {
        self.hundredths = self.hundredths.saturating_add(hundredths);
        self.last = class;
        self.run = 0;
    }

    fn letter(&mut self) {
        self.extend(Class::Letter, |run| {
            run == 1 || (run > SHORT_WORD && run.saturating_sub(SHORT_WORD) % MORE_LETTERS == 1)
        });
    }

    fn digit(&mut self) {
        self.extend(Class::Digit, |run| run % DIGITS == 1);
    }

    fn line(&mut self) {
        self.extend(Class::Line, |run| run == 1);
    }

    fn mark(&mut self, mark: u8) {
        if self.last == Class::Mark && self.mark != mark {
            self.last = Class::Space;
        }
        self.mark = mark;
        self.extend(Class::Mark, |run| run == 1);
    }

    /// One more of a class; `costs` says whether a run of this length begins another token.
    fn extend(&mut self, class: Class, costs: impl Fn(u32) -> bool) {
        self.run = if self.last == class { self.run.saturating_add(1) } else { 1 };
        self.last = class;
        if costs(self.run) {
            self.hundredths = self.hundredths.saturating_add(TOKEN);
        }
    }
}

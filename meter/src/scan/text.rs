//! Collects a text in fixed memory and undoes its escapes.

/// A buffer of fixed size that knows whether something did not fit.
#[derive(Clone, Debug)]
pub(crate) struct Short<const N: usize> {
    bytes: [u8; N],
    len: usize,
    overflow: bool,
}

impl<const N: usize> Short<N> {
    pub(crate) const fn new() -> Self {
        Short { bytes: [0; N], len: 0, overflow: false }
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.overflow = false;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len()).min(N);
        let room = end.saturating_sub(self.len);
        if let (Some(target), Some(source)) = (self.bytes.get_mut(self.len..end), bytes.get(..room)) {
            target.copy_from_slice(source);
        }
        self.overflow |= room < bytes.len();
        self.len = end;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(crate) fn overflowed(&self) -> bool {
        self.overflow
    }
}

/// Undoes JSON's escapes in a text that comes in pieces, so that what was kept is the beginning of the text, however it is
/// written. Lone surrogates and an escape that is cut by the end become U+FFFD.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unescape {
    escape: Escape,
    /// The first half of a surrogate pair.
    high: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    No,
    /// Behind the backslash.
    Begun,
    /// Behind `\u` and so many digits.
    Hex(u8, u32),
}

impl Unescape {
    /// Adds a piece to what is kept. A closing quote must not be in it.
    pub(crate) fn push<const N: usize>(&mut self, piece: &[u8], kept: &mut Short<N>) {
        let mut rest = piece;
        while let Some(&byte) = rest.first() {
            let used = if self.escape == Escape::No { self.plain(rest, kept) } else { self.escaped(byte, kept) };
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    /// The text is over.
    pub(crate) fn end<const N: usize>(&mut self, kept: &mut Short<N>) {
        if self.escape != Escape::No {
            self.unit(REPLACEMENT, kept);
        }
        self.lone(kept);
        *self = Unescape::default();
    }

    fn plain<const N: usize>(&mut self, rest: &[u8], kept: &mut Short<N>) -> usize {
        let length = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        if length == 0 {
            self.escape = Escape::Begun;
            return 1;
        }
        self.lone(kept);
        kept.push(rest.get(..length).unwrap_or_default());
        length
    }

    fn escaped<const N: usize>(&mut self, byte: u8, kept: &mut Short<N>) -> usize {
        let unit = match (self.escape, char::from(byte).to_digit(16)) {
            (Escape::Hex(3, value), Some(digit)) => value << 4 | digit,
            (Escape::Hex(digits, value), Some(digit)) => {
                self.escape = Escape::Hex(digits.saturating_add(1), value << 4 | digit);
                return 1;
            }
            (Escape::Hex(..), None) => REPLACEMENT,
            _ => match byte {
                b'u' => {
                    self.escape = Escape::Hex(0, 0);
                    return 1;
                }
                b'n' => 0x0a,
                b't' => 0x09,
                b'r' => 0x0d,
                b'b' => 0x08,
                b'f' => 0x0c,
                other => u32::from(other),
            },
        };
        self.unit(unit, kept);
        1
    }

    /// An escape has given a UTF-16 unit.
    fn unit<const N: usize>(&mut self, unit: u32, kept: &mut Short<N>) {
        self.escape = Escape::No;
        match (self.high, unit) {
            (Some(high), 0xdc00..=0xdfff) => {
                self.high = None;
                put(0x10000u32.saturating_add((high & 0x3ff) << 10).saturating_add(unit & 0x3ff), kept);
            }
            (_, 0xd800..=0xdbff) => {
                self.lone(kept);
                self.high = Some(unit);
            }
            _ => {
                self.lone(kept);
                put(unit, kept);
            }
        }
    }

    /// A first half has no second one.
    fn lone<const N: usize>(&mut self, kept: &mut Short<N>) {
        if self.high.take().is_some() {
            put(REPLACEMENT, kept);
        }
    }
}

const REPLACEMENT: u32 = char::REPLACEMENT_CHARACTER as u32;

fn put<const N: usize>(unit: u32, kept: &mut Short<N>) {
    let character = char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
    kept.push(character.encode_utf8(&mut [0; 4]).as_bytes());
}

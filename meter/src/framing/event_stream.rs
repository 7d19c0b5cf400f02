//! `application/vnd.amazon.eventstream`: frames of a prelude, headers, a payload and a checksum.
//!
//! A payload is a JSON value, or one in base64 inside another (`{"bytes":"…","p":"…"}`, Bedrock's InvokeModel); that one is
//! read in its place. Only the prelude's checksum is verified: a wrong length would put every later frame out of step.

use super::{Pieces, Values};
use crate::scan::{Piece, Scalar, Scanner, Sink};

/// The largest frame, bytes: AWS allows 16 MiB of payload and 128 KiB of headers.
const MAX_FRAME: u32 = (16 << 20) + (128 << 10) + 16;
/// The longest headers that are looked at, bytes; Bedrock's take some 100. Longer ones are passed over.
const MAX_HEADERS: usize = 1024;
const PRELUDE: usize = 12;
/// Prelude and both checksums.
const OVERHEAD: u32 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Prelude,
    Headers,
    Payload,
    Checksum,
    /// Out of step: nothing behind it can be told apart.
    Lost,
}

/// Where the reader stands.
#[derive(Clone, Debug)]
pub(super) struct EventStream<L> {
    part: Part,
    /// Bytes left of the part.
    left: u32,
    payload: u32,
    prelude: [u8; PRELUDE],
    headers: Vec<u8>,
    inner: Inner<L>,
}

impl<L: Copy> Default for EventStream<L> {
    fn default() -> Self {
        EventStream {
            part: Part::Prelude,
            left: PRELUDE as u32,
            payload: 0,
            prelude: [0; PRELUDE],
            headers: Vec::new(),
            inner: Inner { scanner: Scanner::default(), base64: Base64::default(), used: false },
        }
    }
}

impl<L: Copy> EventStream<L> {
    /// Whether a frame has begun and not ended.
    pub(super) fn is_inside(&self) -> bool {
        self.part != Part::Lost && !(self.part == Part::Prelude && self.left == PRELUDE as u32)
    }

    pub(super) fn feed<V: Values<L>>(&mut self, bytes: &[u8], pieces: &mut Pieces<'_, L, V>) {
        let mut rest = bytes;
        while !rest.is_empty() && self.part != Part::Lost {
            let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at(take);
            match self.part {
                Part::Prelude => {
                    let at = PRELUDE.saturating_sub(usize::try_from(self.left).unwrap_or(PRELUDE));
                    if let Some(target) = self.prelude.get_mut(at..at.saturating_add(take)) {
                        target.copy_from_slice(now);
                    }
                }
                Part::Headers => {
                    let room = MAX_HEADERS.saturating_sub(self.headers.len());
                    self.headers.extend_from_slice(now.get(..take.min(room)).unwrap_or_default());
                }
                Part::Payload => self.inner.feed(now, pieces),
                Part::Checksum | Part::Lost => {}
            }
            self.left = self.left.saturating_sub(u32::try_from(take).unwrap_or(u32::MAX));
            rest = later;
            while self.left == 0 && self.part != Part::Lost {
                self.next(pieces);
            }
        }
    }

    fn next<V: Values<L>>(&mut self, pieces: &mut Pieces<'_, L, V>) {
        (self.part, self.left) = match self.part {
            Part::Prelude => match lengths(&self.prelude) {
                Some((headers, payload)) => {
                    self.payload = payload;
                    self.headers.clear();
                    (Part::Headers, headers)
                }
                None => {
                    pieces.reader.broken = true;
                    (Part::Lost, 0)
                }
            },
            Part::Headers => {
                if let Some(name) =
                    header(&self.headers, b":exception-type").or_else(|| header(&self.headers, b":error-code"))
                {
                    pieces.values.exception(name);
                }
                (Part::Payload, self.payload)
            }
            Part::Payload => {
                if self.payload > 0 {
                    self.inner.end(pieces);
                    pieces.end();
                }
                (Part::Checksum, 4)
            }
            Part::Checksum | Part::Lost => (Part::Prelude, PRELUDE as u32),
        };
    }
}

/// The lengths of headers and payload; `None` if the prelude is none.
fn lengths(prelude: &[u8; PRELUDE]) -> Option<(u32, u32)> {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *prelude;
    let total = u32::from_be_bytes([a, b, c, d]);
    let headers = u32::from_be_bytes([e, f, g, h]);
    let checksum = u32::from_be_bytes([i, j, k, l]);
    if total > MAX_FRAME || crc32(&[a, b, c, d, e, f, g, h]) != checksum {
        return None;
    }
    Some((headers, total.checked_sub(OVERHEAD)?.checked_sub(headers)?))
}

/// The value of a header that is a text.
fn header<'a>(headers: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let mut rest = headers;
    loop {
        let (&length, after) = rest.split_first()?;
        let (name, after) = after.split_at_checked(usize::from(length))?;
        let (&kind, after) = after.split_first()?;
        let (value, after) = match kind {
            0 | 1 => after.split_at_checked(0)?,
            2 => after.split_at_checked(1)?,
            3 => after.split_at_checked(2)?,
            4 => after.split_at_checked(4)?,
            5 | 8 => after.split_at_checked(8)?,
            6 | 7 => {
                let (&[high, low], after) = after.split_first_chunk()?;
                after.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?
            }
            9 => after.split_at_checked(16)?,
            _ => return None,
        };
        if name == wanted && kind == 7 {
            return Some(value);
        }
        rest = after;
    }
}

/// The checksum of the prelude (CRC-32 of IEEE 802.3), bit by bit: eight bytes a frame.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// A JSON value in base64 inside a payload.
#[derive(Clone, Debug)]
struct Inner<L> {
    scanner: Scanner<L>,
    base64: Base64,
    used: bool,
}

impl<L: Copy> Inner<L> {
    fn feed<V: Values<L>>(&mut self, bytes: &[u8], pieces: &mut Pieces<'_, L, V>) {
        let mut unwrap = Unwrap { inner: self, paths: pieces.paths, values: pieces.values };
        let used = pieces.reader.scanner.feed(pieces.paths, bytes, &mut unwrap);
        pieces.reader.broken |= !bytes.get(used..).unwrap_or_default().trim_ascii().is_empty();
    }

    fn end<V: Values<L>>(&mut self, pieces: &mut Pieces<'_, L, V>) {
        if std::mem::take(&mut self.used) {
            pieces.reader.broken |= self.scanner.progress() != crate::scan::Progress::Done;
            pieces.values.value_end();
            self.scanner.reset();
            self.base64 = Base64::default();
        }
    }
}

/// Passes on what a payload says, and reads what is wrapped in it.
struct Unwrap<'a, L, V> {
    inner: &'a mut Inner<L>,
    paths: &'a crate::scan::Paths<L>,
    values: &'a mut V,
}

impl<L: Copy, V: Values<L>> Sink<L> for Unwrap<'_, L, V> {
    fn skips(&self, leaf: L) -> bool {
        self.values.skips(leaf)
    }
    fn like(&mut self, leaf: L, name: &[u8]) {
        self.values.like(leaf, name);
    }
    fn scalar(&mut self, leaf: L, value: Scalar<'_>) {
        self.values.scalar(leaf, value);
    }
    fn raw_begin(&mut self, leaf: L) {
        self.values.raw_begin(leaf);
    }
    fn nested(&mut self, leaf: L) {
        self.values.nested(leaf);
    }
    fn raw(&mut self, leaf: L, bytes: &[u8]) {
        self.values.raw(leaf, bytes);
    }
    fn raw_end(&mut self, leaf: L) {
        self.values.raw_end(leaf);
    }
    fn flow(&mut self, leaf: L, piece: Piece<'_>) {
        if !V::is_wrapped(leaf) {
            return self.values.flow(leaf, piece);
        }
        self.inner.used = true;
        let Inner { scanner, base64, .. } = &mut *self.inner;
        for piece in piece.bytes.chunks(256) {
            let mut decoded = [0u8; 192];
            let length = base64.decode(piece, &mut decoded);
            scanner.feed(self.paths, decoded.get(..length).unwrap_or_default(), self.values);
        }
    }
}

/// Decodes base64 as it comes. What is not of its alphabet is passed over: JSON may escape the slash.
#[derive(Clone, Copy, Debug, Default)]
struct Base64 {
    bits: u32,
    held: u32,
}

impl Base64 {
    /// Decodes up to 256 characters into at most 192 bytes.
    fn decode(&mut self, text: &[u8], out: &mut [u8; 192]) -> usize {
        let mut length = 0usize;
        for &character in text {
            let value = match character {
                b'A'..=b'Z' => character.wrapping_sub(b'A'),
                b'a'..=b'z' => character.wrapping_sub(b'a').wrapping_add(26),
                b'0'..=b'9' => character.wrapping_sub(b'0').wrapping_add(52),
                b'+' => 62,
                b'/' => 63,
                _ => continue,
            };
            self.bits = (self.bits << 6) | u32::from(value);
            self.held = self.held.saturating_add(6);
            if self.held >= 8 {
                self.held = self.held.saturating_sub(8);
                if let Some(slot) = out.get_mut(length) {
                    *slot = (self.bits >> self.held) as u8;
                    length = length.saturating_add(1);
                }
            }
        }
        length
    }
}

//! Undoes the escapes of a JSON text that flows by in pieces, without holding any of it.

use crate::scan::{Piece, run};

/// Where in an escape the text stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Escapes {
    /// Behind a backslash.
    open: bool,
    /// Hex digits of `\u` that are left.
    digits: u8,
    /// What those so far say.
    unit: u32,
    /// The first half of a surrogate pair stood right before.
    high: Option<u32>,
}

/// Stands for a character that is none.
const REPLACEMENT: u32 = 0xfffd;

impl Escapes {
    /// Hands on what the bytes stand for, as UTF-8. Of a pair of surrogates the first gives the first two bytes of the
    /// character and the second the others, so that nothing waits for what may never come.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut impl FnMut(&[u8])) {
        let mut rest = bytes;
        while let Some((&byte, behind)) = rest.split_first() {
            if self.digits > 0 {
                self.digit(byte, out);
                rest = behind;
            } else if std::mem::take(&mut self.open) {
                self.escape(byte, out);
                rest = behind;
            } else if byte == b'\\' {
                self.open = true;
                rest = behind;
            } else {
                self.high = None;
                let (plain, behind) = rest.split_at_checked(run(rest, [b'\\'])).unwrap_or((rest, &[]));
                out(plain);
                rest = behind;
            }
        }
    }

    /// The length of what the bytes stand for; the same as of what [`Escapes::feed`] hands on, but at once where the scanner has counted the escapes.
    pub(super) fn length(&mut self, Piece { bytes, escapes, open_escape }: Piece<'_>) -> u64 {
        let is_between = self.digits == 0 && !self.open && self.high.is_none();
        if let Some(escapes) = escapes.filter(|_| is_between) {
            self.open = open_escape;
            return bytes.len().saturating_sub(escapes) as u64;
        }
        let mut length = 0u64;
        self.feed(bytes, &mut |plain| length = length.saturating_add(plain.len() as u64));
        length
    }

    /// What stands behind the backslash.
    fn escape(&mut self, byte: u8, out: &mut impl FnMut(&[u8])) {
        let plain = match byte {
            b'u' => {
                self.digits = 4;
                self.unit = 0;
                return;
            }
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            other => other,
        };
        self.high = None;
        out(&[plain]);
    }

    /// A digit of `\u`; one that is none makes the character one that is none.
    fn digit(&mut self, byte: u8, out: &mut impl FnMut(&[u8])) {
        self.digits = self.digits.saturating_sub(1);
        let digit = char::from(byte).to_digit(16);
        self.unit = digit.map_or(u32::MAX, |digit| self.unit.checked_mul(16).map_or(u32::MAX, |unit| unit | digit));
        if self.digits > 0 {
            return;
        }
        let high = self.high.take();
        match (high, self.unit) {
            (Some(high), low @ 0xdc00..=0xdfff) => pair(high, low, |bytes| out(&[bytes[2], bytes[3]])),
            (_, high @ 0xd800..=0xdbff) => {
                self.high = Some(high);
                pair(high, 0xdc00, |bytes| out(&[bytes[0], bytes[1]]));
            }
            (_, unit) => {
                let character = char::from_u32(unit).or(char::from_u32(REPLACEMENT)).unwrap_or_default();
                out(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
}

/// The four bytes of a character of two surrogates.
fn pair(high: u32, low: u32, out: impl FnOnce([u8; 4])) {
    let value = 0x10000u32.saturating_add((high & 0x3ff) << 10 | (low & 0x3ff));
    let mut bytes = [0; 4];
    char::from_u32(value).unwrap_or(char::MAX).encode_utf8(&mut bytes);
    out(bytes);
}

#[cfg(test)]
mod tests {
    #[cfg(not(target_arch = "wasm32"))]
    use proptest::prelude::*;

    use super::*;
    use crate::scan::inside;

    fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let (mut escapes, mut text, mut open) = (Escapes::default(), Vec::new(), false);
        let mut lengths = [Escapes::default(), Escapes::default()];
        for bytes in pieces {
            let before = text.len();
            escapes.feed(bytes, &mut |plain| text.extend_from_slice(plain));
            let inside = inside(bytes, open);
            open = inside.open_escape;
            let counted = Piece { bytes, escapes: inside.escapes, open_escape: inside.open_escape };
            for (lengths, piece) in lengths.iter_mut().zip([Piece::of(bytes), counted]) {
                assert_eq!(lengths.length(piece), (text.len() - before) as u64, "{}", String::from_utf8_lossy(bytes));
            }
        }
        text
    }

    cases! {
        fn deterministic_escapes_become_what_they_stand_for_in_every_split() {
            let raw = r#"a\u0020\u00fc\u4f60\ud83d\ude00\n\r\t\b\f\/\\\\u0041\"z"#;
            let plain: String = serde_json::from_str(&format!("\"{raw}\"")).unwrap();
            for size in 1..=raw.len() {
                assert_eq!(decode(raw.as_bytes().chunks(size)), plain.as_bytes(), "by {size}");
            }
        }

        fn contract_escapes_that_are_none_stay_short() {
            // Half a pair is half a character; what follows stands for itself.
            for (raw, length) in [
                (r"\ud83d", 2), (r"\ud83dx", 3), (r"\ud83d\n\ude00", 2 + 1 + 3), (r"\ude00", 3), (r"\ud83d\ud83d", 4),
                (r"\uzzzz", 3), (r"\u12", 0), (r"\", 0), (r"\q", 1), (r"\uffff", 3),
            ] {
                assert_eq!(decode([raw.as_bytes()]).len(), length, "{raw}");
            }
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    proptest::proptest! {
        #![proptest_config(cases::properties())]

        #[test]
        fn deterministic_any_text_in_any_split_is_what_serde_json_reads(
            text in prop_oneof![".{0,40}", "[\"\\\\\n a]{0,300}"], spelled in proptest::collection::vec(0u8..9, 40), sizes in proptest::collection::vec(prop_oneof![1usize..9, 60usize..200], 1..9)
        ) {
            // Each character as it is, as short as JSON has it, or as `\u`.
            let mut raw = String::new();
            for (character, how) in text.chars().zip(spelled.iter().cycle()) {
                let short = serde_json::to_string(&character).unwrap();
                match how {
                    0..8 => raw.push_str(&short[1..short.len() - 1]),
                    _ => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| raw.push_str(&format!("\\u{unit:04X}"))),
                }
            }
            let (mut pieces, mut rest) = (Vec::new(), raw.as_bytes());
            for size in sizes.iter().cycle() {
                if rest.is_empty() { break }
                let (piece, behind) = rest.split_at(rest.len().min(*size));
                pieces.push(piece);
                rest = behind;
            }
            let plain: String = serde_json::from_str(&format!("\"{raw}\"")).unwrap();
            proptest::prop_assert_eq!(decode(pieces), plain.as_bytes());
            proptest::prop_assert_eq!(&plain, &text);
        }
    }
}

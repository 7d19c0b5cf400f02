//! Numbers and literals.

use super::{MAX_SCALAR, Scalar};

/// Whether a byte ends a number or literal.
pub(super) fn ends_word(byte: &u8) -> bool {
    matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t')
}

/// Whether a byte begins a number or literal.
pub(super) fn begins_word(byte: u8) -> bool {
    matches!(byte, b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b'N' | b'I')
}

/// The length of the number or literal at the beginning, if there is one and its end.
pub(crate) fn word_length(bytes: &[u8]) -> Option<usize> {
    bytes.first().filter(|&&byte| begins_word(byte))?;
    let length = bytes.iter().take(MAX_SCALAR.saturating_add(1)).position(ends_word)?;
    word(bytes.get(..length)?).is_some().then_some(length)
}

/// Numbers that JSON does not have, but Python writes and reads: what stands beside them must not be lost.
const NO_NUMBERS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];

/// A number or literal, if it is one.
pub(super) fn word(word: &[u8]) -> Option<Scalar<'_>> {
    match word.first() {
        Some(b'n') => (word == b"null").then_some(Scalar::Null),
        Some(b't') => (word == b"true").then_some(Scalar::Bool(true)),
        Some(b'f') => (word == b"false").then_some(Scalar::Bool(false)),
        _ => {
            let plain = word.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
            (plain || NO_NUMBERS.contains(&word)).then_some(Scalar::Number(word))
        }
    }
}

//! Numbers and literals.

use super::Scalar;

/// Whether a byte ends a number or literal.
pub(super) fn ends_word(byte: &u8) -> bool {
    matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t')
}

/// A number or literal, if it is one.
pub(super) fn word(word: &[u8]) -> Option<Scalar<'_>> {
    match word.first() {
        Some(b'n') => (word == b"null").then_some(Scalar::Null),
        Some(b't') => (word == b"true").then_some(Scalar::Bool(true)),
        Some(b'f') => (word == b"false").then_some(Scalar::Bool(false)),
        _ => {
            let plain = word.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
            plain.then_some(Scalar::Number(word))
        }
    }
}

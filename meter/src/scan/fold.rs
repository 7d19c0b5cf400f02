//! Names that readers take for the same who mind no case.

/// Signs that are another letter where case is folded as Unicode does, which is how Go's `encoding/json` compares names.
const FOLDED: [(&[u8], u8); 2] = [("\u{17f}".as_bytes(), b's'), ("\u{212a}".as_bytes(), b'k')];

/// Whether a name is a known one, which is in ASCII, but for the case of its letters.
pub(crate) fn is_alike(known: &str, name: &[u8]) -> bool {
    if name.is_ascii() {
        return known.as_bytes().eq_ignore_ascii_case(name);
    }
    let mut rest = name;
    let is_next = |wanted: u8| {
        let sign = FOLDED.iter().find(|(sign, letter)| rest.starts_with(sign) && wanted.eq_ignore_ascii_case(letter));
        let length = match (sign, rest.first()) {
            (Some((sign, _)), _) => sign.len(),
            (None, Some(byte)) if wanted.eq_ignore_ascii_case(byte) => 1,
            _ => return false,
        };
        rest = rest.get(length..).unwrap_or_default();
        true
    };
    known.bytes().all(is_next) && rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    cases! {
        fn deterministic_case_is_folded_as_unicode_does() {
            for name in ["stream", "STREAM", "\u{17f}tream", "\u{17f}TREAM"] {
                assert!(is_alike("stream", name.as_bytes()), "{name}");
            }
            for name in ["", "strea", "streams", "\u{17f}", "\u{17f}treams", "s\u{17f}tream", "strea\u{17f}", "\u{e9}tream"] {
                assert!(!is_alike("stream", name.as_bytes()), "{name}");
            }
            assert!(is_alike("to\u{6b}ens", "TO\u{212a}EN\u{17f}".as_bytes()) && !is_alike("tokens", b"to\xe2\x84ens"));
        }
    }
}

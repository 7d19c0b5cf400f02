//! Runs over bytes that nobody asked for, in blocks that the compiler turns into SIMD.

/// Bytes looked at together: two to four vectors.
const BLOCK: usize = 64;

/// How many bytes at the beginning are neither a quote nor a backslash: the inside of a text.
pub(super) fn text(bytes: &[u8]) -> usize {
    run(bytes, |byte| byte == b'"' || byte == b'\\')
}

/// How many bytes at the beginning are neither quotes nor brackets: numbers, commas, literals, white space.
pub(super) fn plain(bytes: &[u8]) -> usize {
    // `[` and `{`, `]` and `}` differ in one bit only.
    run(bytes, |byte| {
        let folded = byte | 0x20;
        byte == b'"' || folded == b'{' || folded == b'}'
    })
}

/// How many bytes come before the first that stops.
pub(crate) fn run(bytes: &[u8], stops: impl Fn(u8) -> bool + Copy) -> usize {
    let mut at = 0usize;
    for block in bytes.chunks(BLOCK) {
        // No early exit inside a block: that is what lets the compiler compare a whole vector at once.
        if block.iter().fold(false, |any, &byte| any | stops(byte)) {
            let inside = block.iter().position(|&byte| stops(byte)).unwrap_or(block.len());
            return at.saturating_add(inside);
        }
        at = at.saturating_add(block.len());
    }
    at
}

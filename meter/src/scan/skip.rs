//! Runs over bytes that nobody asked for, sixteen at a time.

/// How many bytes at the beginning are neither a quote nor a backslash: the inside of a text.
#[inline]
pub(super) fn text(bytes: &[u8]) -> usize {
    run(bytes, [b'"', b'\\'])
}

/// A piece of a text, up to its closing quote or the end of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inside {
    pub(super) length: usize,
    /// The closing quote stands behind it.
    pub(super) closed: bool,
    /// It has escapes.
    pub(super) escaped: bool,
    /// It ends with the backslash of an escape that goes on.
    pub(super) open_escape: bool,
}

/// The inside of a text at the beginning, escapes and all; `escape`: its first byte stands behind a backslash.
#[inline]
pub(super) fn inside(bytes: &[u8], escape: bool) -> Inside {
    let (mut escaped, mut escape) = (false, escape);
    let (whole, tail) = bytes.as_chunks::<WIDTH>();
    let mut chunks = whole.iter();
    let is_plain = |chunk: &[u8; WIDTH]| find(chunk, [b'"', b'\\'], 0) == WIDTH;
    while let Some(chunk) = if escape { chunks.next() } else { chunks.find(|chunk| !is_plain(chunk)) } {
        let mut quotes = mask(chunk, b'"');
        let backslashes = mask(chunk, b'\\');
        let mut left = backslashes;
        if std::mem::take(&mut escape) {
            quotes &= !FIRST;
            left &= !FIRST;
        }
        // Of several backslashes in a row each second one is escaped itself.
        while left != 0 {
            let backslash = left & left.wrapping_neg();
            let behind = (backslash & !LAST) << LANE;
            left &= !(backslash | behind);
            quotes &= !behind;
            escape = backslash == LAST;
        }
        if quotes != 0 {
            let before = (quotes & quotes.wrapping_neg()).wrapping_sub(1);
            let chunks_before = whole.len().saturating_sub(chunks.len()).saturating_sub(1);
            let length = chunks_before.saturating_mul(WIDTH).saturating_add((quotes.trailing_zeros() / LANE) as usize);
            return Inside { length, closed: true, escaped: escaped || backslashes & before != 0, open_escape: false };
        }
        escaped |= backslashes != 0;
    }
    for (index, &byte) in tail.iter().enumerate() {
        match byte {
            _ if std::mem::take(&mut escape) => {}
            b'"' => {
                let length = bytes.len().saturating_sub(tail.len()).saturating_add(index);
                return Inside { length, closed: true, escaped, open_escape: false };
            }
            b'\\' => {
                escape = true;
                escaped = true;
            }
            _ => {}
        }
    }
    Inside { length: bytes.len(), closed: false, escaped, open_escape: escape }
}

/// How many bytes at the beginning are neither quotes nor brackets: numbers, commas, literals, white space.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> usize {
    run(bytes, [b'"', b'{', b'}', b'[', b']'])
}

/// How many bytes stand in a JSON text as they are.
#[inline]
pub(crate) fn unescaped(bytes: &[u8]) -> usize {
    stop(bytes, [b'"', b'\\'], 0x20)
}

/// Whether two runs are the same: libc's own comparison goes byte by byte in WebAssembly.
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    let ((chunks, tail), (others, other_tail)) = (one.as_chunks::<16>(), other.as_chunks::<16>());
    let same = |(one, other): (&[u8; 16], &[u8; 16])| u128::from_ne_bytes(*one) == u128::from_ne_bytes(*other);
    one.len() == other.len() && chunks.iter().zip(others).all(same) && tail.iter().eq(other_tail)
}

/// How many bytes come before the first of `stops`.
#[inline]
pub(crate) fn run<const N: usize>(bytes: &[u8], stops: [u8; N]) -> usize {
    stop(bytes, stops, 0)
}

/// How many bytes come before the first that is one of `stops` or less than `least`.
#[inline(always)]
fn stop<const N: usize>(bytes: &[u8], stops: [u8; N], least: u8) -> usize {
    let mut at = 0usize;
    let (chunks, tail) = bytes.as_chunks::<WIDTH>();
    for chunk in chunks {
        let found = find(chunk, stops, least);
        if found < WIDTH {
            return at.saturating_add(found);
        }
        at = at.saturating_add(WIDTH);
    }
    at.saturating_add(tail.iter().position(|byte| *byte < least || stops.contains(byte)).unwrap_or(tail.len()))
}

use wide::{FIRST, LANE, LAST, WIDTH, find, mask};

/// One vector of WebAssembly.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wide {
    use core::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_lt, u8x16_splat, u64x2, v128, v128_or};

    pub(super) const WIDTH: usize = 16;
    /// Bits of a mask for a byte.
    pub(super) const LANE: u32 = 1;
    pub(super) const FIRST: u32 = 1;
    pub(super) const LAST: u32 = 1 << 15;

    #[inline(always)]
    fn vector(chunk: &[u8; WIDTH]) -> v128 {
        let whole = u128::from_le_bytes(*chunk);
        u64x2(whole as u64, (whole >> 64) as u64)
    }

    /// Where `wanted` is.
    #[inline(always)]
    pub(super) fn mask(chunk: &[u8; WIDTH], wanted: u8) -> u32 {
        u32::from(u8x16_bitmask(u8x16_eq(vector(chunk), u8x16_splat(wanted))))
    }

    /// Where the first byte stands that is one of `stops` or less than `least`, [`WIDTH`] if nowhere.
    #[inline(always)]
    pub(super) fn find<const N: usize>(chunk: &[u8; WIDTH], stops: [u8; N], least: u8) -> usize {
        let vector = vector(chunk);
        let mut found = u8x16_lt(vector, u8x16_splat(least));
        for stop in stops {
            found = v128_or(found, u8x16_eq(vector, u8x16_splat(stop)));
        }
        // No bit set: 16 zeros below the seventeenth.
        (u32::from(u8x16_bitmask(found)) | 1 << WIDTH).trailing_zeros() as usize
    }
}

/// Two machine words, in place of a vector.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod wide {
    pub(super) const WIDTH: usize = 8;

    /// Bits of a mask for a byte, the highest of them in use.
    pub(super) const LANE: u32 = 8;
    pub(super) const FIRST: u64 = 1 << 7;
    pub(super) const LAST: u64 = 1 << 63;

    const ONES: u64 = u64::MAX / 255;

    /// Where `wanted` is.
    #[inline(always)]
    pub(super) fn mask(chunk: &[u8; WIDTH], wanted: u8) -> u64 {
        let zero = u64::from_le_bytes(*chunk) ^ ONES.wrapping_mul(u64::from(wanted));
        // No carry from one byte to the next: a byte is zero if neither this sum nor itself has the highest bit.
        let low = ONES.wrapping_mul(0x7f);
        !((zero & low).wrapping_add(low) | zero) & (ONES << 7)
    }

    /// Where the first byte stands that is one of `stops` or less than `least`, [`WIDTH`] if nowhere.
    #[inline(always)]
    pub(super) fn find<const N: usize>(chunk: &[u8; WIDTH], stops: [u8; N], least: u8) -> usize {
        let word = u64::from_le_bytes(*chunk);
        // Marks bytes that are less, and some above one that it marks rightly.
        let mut found = word.wrapping_sub(ONES.wrapping_mul(u64::from(least))) & !word & (ONES << 7);
        for stop in stops {
            // The bytes that are zero behind the exclusive or; what is marked wrongly lies above one marked rightly.
            let zero = word ^ ONES.wrapping_mul(u64::from(stop));
            found |= zero.wrapping_sub(ONES) & !zero & (ONES << 7);
        }
        (found.trailing_zeros() / 8) as usize
    }
}

//! Runs over bytes that nobody asked for, sixteen at a time.

/// How many bytes at the beginning are neither a quote nor a backslash: the inside of a text.
#[inline]
pub(super) fn text(bytes: &[u8]) -> usize {
    run(bytes, [b'"', b'\\'])
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

use wide::{WIDTH, find};

/// One vector of WebAssembly.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wide {
    use core::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_lt, u8x16_splat, u64x2, v128_or};

    pub(super) const WIDTH: usize = 16;

    /// Where the first byte stands that is one of `stops` or less than `least`, [`WIDTH`] if nowhere.
    #[inline(always)]
    pub(super) fn find<const N: usize>(chunk: &[u8; WIDTH], stops: [u8; N], least: u8) -> usize {
        let whole = u128::from_le_bytes(*chunk);
        let vector = u64x2(whole as u64, (whole >> 64) as u64);
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

    const ONES: u64 = u64::MAX / 255;

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

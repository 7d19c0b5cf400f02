//! Runs over bytes that nobody asked for, sixteen at a time.

/// A piece of a text, up to its closing quote or the end of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inside {
    pub(crate) length: usize,
    /// The closing quote stands behind it.
    pub(crate) closed: bool,
    /// How many escapes begin in it, if each takes two bytes: none of them is a `\u`, nor is its first byte the end of one.
    pub(crate) escapes: Option<usize>,
    /// It ends with the backslash of an escape that goes on.
    pub(crate) open_escape: bool,
}

/// The inside of a text at the beginning, escapes and all; `escape`: its first byte stands behind a backslash.
#[inline]
pub(crate) fn inside(bytes: &[u8], escape: bool) -> Inside {
    // Most texts are short and have no escapes.
    let short = if escape { None } else { bytes.first_chunk::<WIDTH>() };
    let found = short.map_or(WIDTH, |chunk| find(chunk, [b'"', b'\\']));
    if short.and_then(|chunk| chunk.get(found)) == Some(&b'"') {
        return Inside { length: found, closed: true, escapes: Some(0), open_escape: false };
    }
    let (blocks, tail) = bytes.as_chunks::<BLOCK>();
    let mut last = [0; BLOCK];
    last.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
    let (mut open, mut count, mut long) = (u64::from(escape), 0usize, escape);
    // The place of a block is reckoned when it is the one: V8 makes more of a loop that does not count.
    for (index, block) in blocks.iter().chain([&last]).enumerate() {
        let (quotes, backslashes) = (mask(block, b'"'), mask(block, b'\\'));
        let behind = escaped(backslashes, &mut open);
        let closing = quotes & !behind;
        // All bits where nothing closes.
        let before = (closing & closing.wrapping_neg()).wrapping_sub(1);
        count = count.saturating_add((backslashes & !behind & before).count_ones() as usize);
        if behind & before != 0 {
            long |= behind & before & mask(block, b'u') != 0;
        }
        if closing != 0 {
            let length = index.saturating_mul(BLOCK).saturating_add(closing.trailing_zeros() as usize);
            return Inside { length, closed: true, escapes: Some(count).filter(|_| !long), open_escape: false };
        }
    }
    // The last backslash begins an escape if it is not escaped itself.
    let run = bytes.iter().rev().take_while(|&&byte| byte == b'\\').count();
    let open_escape = (run % 2 == 1) != (run == bytes.len() && escape);
    Inside { length: bytes.len(), closed: false, escapes: Some(count).filter(|_| !long), open_escape }
}

/// Which bytes of a block stand behind the backslash of an escape. `open`: the first does, and then: the first of the next
/// block does.
///
/// No branch depends on where escapes are: one that is guessed wrongly costs more than the whole block.
#[inline(always)]
fn escaped(backslashes: u64, open: &mut u64) -> u64 {
    const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
    // Of several backslashes in a row each second one is escaped itself: the subtraction carries each run to its end, and
    // leaves in it the places with the parity of its first.
    let begins = backslashes & !*open;
    let carried = ((begins << 1) | ODD).wrapping_sub(begins) ^ ODD;
    let escaped = carried ^ (backslashes | *open);
    *open = (carried & backslashes) >> 63;
    escaped
}

/// How many bytes at the beginning are neither quotes nor brackets: numbers, commas, literals, white space.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> usize {
    run(bytes, [b'"', b'{', b'}', b'[', b']'])
}

/// Whether two runs are the same: libc's own comparison goes byte by byte in WebAssembly.
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    let ((chunks, tail), (others, other_tail)) = (one.as_chunks::<16>(), other.as_chunks::<16>());
    let same = |(one, other): (&[u8; 16], &[u8; 16])| u128::from_ne_bytes(*one) == u128::from_ne_bytes(*other);
    one.len() == other.len() && chunks.iter().zip(others).all(same) && tail.iter().eq(other_tail)
}

/// How many bytes come before the first of `stops`.
#[inline]
pub(crate) fn run<const N: usize>(bytes: &[u8], stops: [u8; N]) -> usize {
    let mut at = 0usize;
    let (chunks, tail) = bytes.as_chunks::<WIDTH>();
    for chunk in chunks {
        let found = find(chunk, stops);
        if found < WIDTH {
            return at.saturating_add(found);
        }
        at = at.saturating_add(WIDTH);
    }
    at.saturating_add(tail.iter().position(|byte| stops.contains(byte)).unwrap_or(tail.len()))
}

use wide::{WIDTH, find, mask};

/// As many bytes as a mask has bits.
const BLOCK: usize = 64;

/// One vector of WebAssembly.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wide {
    use super::BLOCK;
    use core::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_splat, u64x2, v128, v128_or};

    pub(super) const WIDTH: usize = 16;

    #[inline(always)]
    fn vector(chunk: &[u8; WIDTH]) -> v128 {
        let whole = u128::from_le_bytes(*chunk);
        u64x2(whole as u64, (whole >> 64) as u64)
    }

    /// Where `wanted` is, a bit for each byte.
    #[inline(always)]
    pub(super) fn mask(block: &[u8; BLOCK], wanted: u8) -> u64 {
        let (chunks, _) = block.as_chunks::<WIDTH>();
        let bits = |chunk| u64::from(u8x16_bitmask(u8x16_eq(vector(chunk), u8x16_splat(wanted))));
        chunks.iter().rev().fold(0, |mask, chunk| mask << WIDTH | bits(chunk))
    }

    /// Where the first byte stands that is one of `stops`, [`WIDTH`] if nowhere.
    #[inline(always)]
    pub(super) fn find<const N: usize>(chunk: &[u8; WIDTH], stops: [u8; N]) -> usize {
        let vector = vector(chunk);
        let mut found = u8x16_splat(0);
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
    use super::BLOCK;

    pub(super) const WIDTH: usize = 8;

    const ONES: u64 = u64::MAX / 255;

    /// Where `wanted` is, a bit for each byte.
    #[inline(always)]
    pub(super) fn mask(block: &[u8; BLOCK], wanted: u8) -> u64 {
        block.iter().rev().fold(0, |mask, &byte| mask << 1 | u64::from(byte == wanted))
    }

    /// Where the first byte stands that is one of `stops`, [`WIDTH`] if nowhere.
    #[inline(always)]
    pub(super) fn find<const N: usize>(chunk: &[u8; WIDTH], stops: [u8; N]) -> usize {
        let word = u64::from_le_bytes(*chunk);
        let mut found = 0;
        for stop in stops {
            // The bytes that are zero behind the exclusive or; what is marked wrongly lies above one marked rightly.
            let zero = word ^ ONES.wrapping_mul(u64::from(stop));
            found |= zero.wrapping_sub(ONES) & !zero & (ONES << 7);
        }
        (found.trailing_zeros() / 8) as usize
    }
}

//! The literals of a block: as they are, one repeated, or in a Huffman code (RFC 8878, 3.1.1.3.1 and 4.2).

use super::bits::Backward;
use super::fse::Fse;
use crate::encoding::window::Window;
use crate::encoding::work::Work;

/// The longest code, bits.
const MAX_BITS: u32 = 11;
/// The symbols of a code of weights.
const WEIGHTS: usize = 13;
/// Weights that a description can have; the last symbol's follows from theirs.
const MAX_WEIGHTS: usize = 255;

/// The work of reading a code and building its table.
const CODE: u64 = 2048;

/// A Huffman code as one table.
pub(super) struct Huffman {
    /// Symbol and length of its code.
    entries: [(u8, u8); 1 << MAX_BITS],
    /// Bits of the longest code; 0 if there is none yet.
    log: u32,
}

impl Huffman {
    pub(super) fn new() -> Self {
        Huffman { entries: [(0, 0); 1 << MAX_BITS], log: 0 }
    }

    pub(super) fn forget(&mut self) {
        self.log = 0;
    }

    /// Reads the description of a code; returns the bytes it took.
    fn parse(&mut self, bytes: &[u8]) -> Option<usize> {
        self.log = 0;
        let (&head, rest) = bytes.split_first()?;
        let mut weights = [0u8; MAX_WEIGHTS];
        let (count, used) = if head < 128 {
            (compressed_weights(rest.get(..usize::from(head))?, &mut weights)?, usize::from(head))
        } else {
            let count = usize::from(head.wrapping_sub(127));
            let packed = rest.get(..count.div_ceil(2))?;
            for (pair, byte) in weights.chunks_mut(2).zip(packed) {
                pair.iter_mut().zip([byte >> 4, byte & 15]).for_each(|(weight, value)| *weight = value);
            }
            (count, packed.len())
        };
        self.build(weights.get(..count)?)?;
        used.checked_add(1)
    }

    fn build(&mut self, weights: &[u8]) -> Option<()> {
        let states = |weight: u8| 1usize.wrapping_shl(u32::from(weight)) >> 1;
        if weights.iter().any(|&weight| u32::from(weight) > MAX_BITS) {
            return None;
        }
        let sum = weights.iter().fold(0usize, |sum, &weight| sum.wrapping_add(states(weight)));
        let log = sum.checked_ilog2()?.wrapping_add(1);
        let left = 1usize.wrapping_shl(log).checked_sub(sum)?;
        if log > MAX_BITS || !left.is_power_of_two() {
            return None;
        }
        let last = left.ilog2().wrapping_add(1) as u8;
        let mut entries = self.entries.iter_mut();
        for weight in 1..=log as u8 {
            let all = (0u8..=u8::MAX).zip(weights.iter().chain([&last]));
            for (symbol, _) in all.filter(|(_, known)| **known == weight) {
                let bits = log.wrapping_add(1).wrapping_sub(u32::from(weight)) as u8;
                entries.by_ref().take(states(weight)).for_each(|entry| *entry = (symbol, bits));
            }
        }
        self.log = log;
        Some(())
    }

    /// The symbol and the length of the code at the top of so many bits.
    fn look(&self, bits: u64) -> (u8, u8) {
        self.entries.get(bits as usize).copied().unwrap_or_default()
    }
}

/// Weights in a finite state code: two states take turns until the bits are used up.
fn compressed_weights(bytes: &[u8], weights: &mut [u8; MAX_WEIGHTS]) -> Option<usize> {
    let mut table = Fse::<64>::new();
    let used = table.parse(bytes, WEIGHTS)?;
    let mut bits = Backward::new(bytes.get(used..)?)?;
    let mut now = table.start(&mut bits)?;
    let mut other = table.start(&mut bits)?;
    let mut count = 0usize;
    let mut put = |symbol| {
        *weights.get_mut(count)? = symbol;
        count = count.wrapping_add(1);
        Some(count)
    };
    loop {
        put(now.symbol())?;
        if table.next(&mut now, &mut bits).is_none() {
            return put(other.symbol());
        }
        std::mem::swap(&mut now, &mut other);
    }
}

/// The literals of a block, decoded as they are taken.
pub(super) struct Literals<'a> {
    source: Source<'a>,
    /// How many were not taken.
    left: usize,
}

enum Source<'a> {
    Plain(&'a [u8]),
    Same(u8),
    Coded { huffman: &'a Huffman, streams: [&'a [u8]; 4], next: usize, now: Stream<'a>, each: usize },
}

struct Stream<'a> {
    bits: Backward<'a>,
    left: usize,
}

impl<'a> Literals<'a> {
    /// Reads the section's head; returns it and what stands behind the section.
    pub(super) fn parse(
        bytes: &'a [u8],
        huffman: &'a mut Huffman,
        max: usize,
        work: &Work,
    ) -> Option<(Self, &'a [u8])> {
        let first = *bytes.first()?;
        let (kind, form) = (first & 3, (first >> 2) & 3);
        let head = bytes.iter().take(5).rev().fold(0u64, |head, &byte| (head << 8) | u64::from(byte));
        let (size, coded, used) = match (kind, form) {
            (0 | 1, 0 | 2) => ((head >> 3) & 0x1f, 0, 1),
            (0 | 1, 1) => ((head >> 4) & 0xfff, 0, 2),
            (0 | 1, _) => ((head >> 4) & 0xf_ffff, 0, 3),
            (_, 0 | 1) => ((head >> 4) & 0x3ff, (head >> 14) & 0x3ff, 3),
            (_, 2) => ((head >> 4) & 0x3fff, (head >> 18) & 0x3fff, 4),
            _ => ((head >> 4) & 0x3_ffff, (head >> 22) & 0x3_ffff, 5),
        };
        let size = usize::try_from(size).ok().filter(|&size| size <= max)?;
        let bytes = bytes.get(used..)?;
        let (source, rest) = match kind {
            0 => {
                let (plain, rest) = bytes.split_at_checked(size)?;
                (Source::Plain(plain), rest)
            }
            1 => {
                let (&same, rest) = bytes.split_first()?;
                (Source::Same(same), rest)
            }
            _ => {
                let (coded, rest) = bytes.split_at_checked(usize::try_from(coded).ok()?)?;
                let used = match kind {
                    2 => {
                        work.spend(CODE)?;
                        huffman.parse(coded)?
                    }
                    _ => 0,
                };
                if huffman.log == 0 {
                    return None;
                }
                (Source::coded(coded.get(used..)?, huffman, size, form != 0)?, rest)
            }
        };
        Some((Literals { source, left: size }, rest))
    }

    /// How many were not taken.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Writes the next ones.
    pub(super) fn take(&mut self, count: usize, window: &mut Window) -> Option<()> {
        self.left = self.left.checked_sub(count)?;
        match &mut self.source {
            Source::Plain(bytes) => {
                let (piece, rest) = bytes.split_at_checked(count)?;
                *bytes = rest;
                window.push(piece)
            }
            Source::Same(byte) => window.fill(count, |target| {
                target.fill(*byte);
                Some(())
            }),
            Source::Coded { huffman, streams, next, now, each } => window.fill(count, |mut target| {
                while !target.is_empty() {
                    if now.left == 0 {
                        if now.bits.left() != 0 {
                            return None;
                        }
                        *now = Stream { bits: Backward::new(streams.get(*next)?)?, left: *each };
                        *next = next.wrapping_add(1);
                    }
                    let size = target.len().min(now.left);
                    let (piece, rest) = std::mem::take(&mut target).split_at_mut_checked(size)?;
                    now.read(huffman, piece)?;
                    target = rest;
                }
                Some(())
            }),
        }
    }

    /// Whether nothing is left over.
    pub(super) fn is_over(&self) -> bool {
        let bits = match &self.source {
            Source::Coded { now, .. } => now.bits.left(),
            _ => 0,
        };
        self.left == 0 && bits == 0
    }
}

impl<'a> Source<'a> {
    fn coded(bytes: &'a [u8], huffman: &'a Huffman, size: usize, four: bool) -> Option<Self> {
        if !four {
            let now = Stream { bits: Backward::new(bytes)?, left: size };
            return Some(Source::Coded { huffman, streams: [&[]; 4], next: 4, now, each: 0 });
        }
        let (sizes, mut rest) = bytes.split_at_checked(6).filter(|_| size >= 6)?;
        let mut streams = [rest; 4];
        for (stream, size) in streams.iter_mut().zip(sizes.chunks_exact(2)) {
            let size = size.iter().rev().fold(0, |size, &byte| (size << 8) | usize::from(byte));
            (*stream, rest) = rest.split_at_checked(size)?;
        }
        *streams.last_mut()? = rest;
        // The last stream has what remains of all.
        let each = size.div_ceil(4);
        let now = Stream { bits: Backward::new(streams.first()?)?, left: each.min(size) };
        Some(Source::Coded { huffman, streams, next: 1, now, each })
    }
}

impl Stream<'_> {
    fn read(&mut self, huffman: &Huffman, target: &mut [u8]) -> Option<()> {
        self.left = self.left.checked_sub(target.len())?;
        let log = huffman.log;
        let mask = 1u64.wrapping_shl(log).wrapping_sub(1);
        // Four codes have at most 44 bits: one look at 56 is enough for them.
        let mut fours = target.chunks_exact_mut(4);
        for four in fours.by_ref() {
            if self.bits.left() < 56 {
                for symbol in four {
                    *symbol = self.one(huffman)?;
                }
                continue;
            }
            let word = self.bits.peek(56);
            let mut used = 0u32;
            for symbol in four {
                let shift = 56u32.wrapping_sub(log).wrapping_sub(used);
                let (value, bits) = huffman.look(word.wrapping_shr(shift) & mask);
                *symbol = value;
                used = used.wrapping_add(u32::from(bits));
            }
            self.bits.skip(used)?;
        }
        for symbol in fours.into_remainder() {
            *symbol = self.one(huffman)?;
        }
        Some(())
    }

    fn one(&mut self, huffman: &Huffman) -> Option<u8> {
        let (value, bits) = huffman.look(self.bits.peek(huffman.log));
        self.bits.skip(u32::from(bits))?;
        Some(value)
    }
}

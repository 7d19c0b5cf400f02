//! A compressed block: literals, and sequences that say where they go and what is copied between them.

use super::MAX_BLOCK;
use super::bits::Backward;
use super::fse::Fse;
use super::literals::{Huffman, Literals};
use crate::encoding::window::Window;
use crate::encoding::work::Work;

/// What blocks of a frame hand down to the next.
pub(super) struct Tables {
    huffman: Huffman,
    literals: Fse<512>,
    offsets: Fse<256>,
    copies: Fse<512>,
    /// The offsets used last.
    recent: [usize; 3],
}

/// The work of a sequence, beside the bytes that it copies: it may take no bit.
const SEQUENCE: u64 = 128;
/// The work of building a table of states, beside the states.
const TABLE: u64 = 1024;

/// What every frame begins with.
const RECENT: [usize; 3] = [1, 4, 8];

/// A code of lengths: what each symbol stands for is a base and bits to add (RFC 8878, 3.1.1.3.2.1.1).
type Lengths = [(u32, u8)];

const LITERAL_LENGTHS: &Lengths = &[
    (0, 0),
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 0),
    (12, 0),
    (13, 0),
    (14, 0),
    (15, 0),
    (16, 1),
    (18, 1),
    (20, 1),
    (22, 1),
    (24, 2),
    (28, 2),
    (32, 3),
    (40, 3),
    (48, 4),
    (64, 6),
    (128, 7),
    (256, 8),
    (512, 9),
    (1024, 10),
    (2048, 11),
    (4096, 12),
    (8192, 13),
    (16384, 14),
    (32768, 15),
    (65536, 16),
];

const COPY_LENGTHS: &Lengths = &[
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 0),
    (12, 0),
    (13, 0),
    (14, 0),
    (15, 0),
    (16, 0),
    (17, 0),
    (18, 0),
    (19, 0),
    (20, 0),
    (21, 0),
    (22, 0),
    (23, 0),
    (24, 0),
    (25, 0),
    (26, 0),
    (27, 0),
    (28, 0),
    (29, 0),
    (30, 0),
    (31, 0),
    (32, 0),
    (33, 0),
    (34, 0),
    (35, 1),
    (37, 1),
    (39, 1),
    (41, 1),
    (43, 2),
    (47, 2),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 5),
    (131, 7),
    (259, 8),
    (515, 9),
    (1027, 10),
    (2051, 11),
    (4099, 12),
    (8195, 13),
    (16387, 14),
    (32771, 15),
    (65539, 16),
];

/// Symbols of the code of offsets: each is the number of bits that follow.
const OFFSETS: usize = 32;

/// The tables that need not be told (RFC 8878, 3.1.1.3.2.2).
const LITERAL_ODDS: &[i16] =
    &[4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1];
const COPY_ODDS: &[i16] = &[
    1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
];
const OFFSET_ODDS: &[i16] =
    &[1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1];

impl Tables {
    pub(super) fn new() -> Box<Self> {
        Box::new(Tables {
            huffman: Huffman::new(),
            literals: Fse::new(),
            offsets: Fse::new(),
            copies: Fse::new(),
            recent: RECENT,
        })
    }

    /// A frame begins: nothing is handed down.
    pub(super) fn reset(&mut self) {
        self.huffman.forget();
        self.literals.forget();
        self.offsets.forget();
        self.copies.forget();
        self.recent = RECENT;
    }

    /// Decodes a block of at most `max` bytes; `None` if it breaks the rules.
    pub(super) fn decode(&mut self, block: &[u8], max: usize, window: &mut Window, work: &Work) -> Option<()> {
        let Tables { huffman, literals: literal_table, offsets, copies, recent } = self;
        let (mut literals, bytes) = Literals::parse(block, huffman, max, work)?;
        let (count, bytes) = count(bytes)?;
        let mut room = max.min(MAX_BLOCK);
        if count > 0 {
            let (&modes, mut bytes) = bytes.split_first()?;
            work.spend(SEQUENCE.saturating_mul(count as u64))?;
            bytes = table(literal_table, modes >> 6, bytes, LITERAL_LENGTHS.len(), (LITERAL_ODDS, 6), work)?;
            bytes = table(offsets, modes >> 4, bytes, OFFSETS, (OFFSET_ODDS, 5), work)?;
            bytes = table(copies, modes >> 2, bytes, COPY_LENGTHS.len(), (COPY_ODDS, 6), work)?;
            let bits = &mut Backward::new(bytes).filter(|_| modes & 3 == 0)?;
            let mut literal = literal_table.start(bits)?;
            let mut offset = offsets.start(bits)?;
            let mut copy = copies.start(bits)?;
            for index in 1..=count {
                let width = u32::from(offset.symbol());
                let value = usize::try_from(bits.read(width)?.checked_add(1u64.wrapping_shl(width))?).ok()?;
                let copied = length(COPY_LENGTHS, copy.symbol(), bits)?;
                let plain = length(LITERAL_LENGTHS, literal.symbol(), bits)?;
                room = room.checked_sub(copied)?.checked_sub(plain)?;
                literals.take(plain, window)?;
                window.repeat(distance(recent, value, plain == 0)?, copied)?;
                if index < count {
                    literal_table.next(&mut literal, bits)?;
                    copies.next(&mut copy, bits)?;
                    offsets.next(&mut offset, bits)?;
                }
            }
            if bits.left() != 0 {
                return None;
            }
        } else if !bytes.is_empty() {
            return None;
        }
        let rest = literals.left();
        room.checked_sub(rest)?;
        literals.take(rest, window)?;
        literals.is_over().then_some(())
    }
}

/// How many sequences there are, and what stands behind that number.
fn count(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let first = usize::from(first);
    let byte = |index: usize| rest.get(index).copied().map(usize::from);
    let (count, used) = match first {
        0..128 => (first, 0),
        128..255 => ((first & 0x7f) << 8 | byte(0)?, 1),
        _ => ((byte(0)? | byte(1)? << 8).wrapping_add(0x7f00), 2),
    };
    Some((count, rest.get(used..)?))
}

/// Makes a table ready, as the lowest two bits of `mode` say; returns what stands behind its description.
fn table<'a, const N: usize>(
    table: &mut Fse<N>,
    mode: u8,
    bytes: &'a [u8],
    symbols: usize,
    (odds, log): (&[i16], u32),
    work: &Work,
) -> Option<&'a [u8]> {
    match mode & 3 {
        // Small blocks have it again and again.
        0 if table.reuse_preset() => Some(bytes),
        0 => {
            work.spend(TABLE)?;
            table.preset(odds, log).map(|()| bytes)
        }
        1 => {
            let (&symbol, rest) = bytes.split_first()?;
            table.constant(symbol);
            Some(rest)
        }
        2 => {
            work.spend(TABLE.saturating_add(N as u64))?;
            let used = table.parse(bytes, symbols)?;
            bytes.get(used..)
        }
        _ => table.is_ready().then_some(bytes),
    }
}

fn length(lengths: &Lengths, symbol: u8, bits: &mut Backward<'_>) -> Option<usize> {
    let &(base, width) = lengths.get(usize::from(symbol))?;
    usize::try_from(bits.read(u32::from(width))?).ok()?.checked_add(base as usize)
}

/// What an offset's value means: the first three stand for offsets used before.
fn distance(recent: &mut [usize; 3], value: usize, no_literals: bool) -> Option<usize> {
    let [first, second, third] = *recent;
    let distance = match value.checked_sub(3) {
        Some(distance) if distance > 0 => distance,
        _ => match value.wrapping_add(usize::from(no_literals)) {
            1 => return Some(first),
            2 => {
                *recent = [second, first, third];
                return Some(second);
            }
            3 => third,
            _ => first.checked_sub(1)?,
        },
    };
    *recent = [distance, first, second];
    Some(distance)
}

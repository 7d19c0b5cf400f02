//! Blocks in the code that need not be told (RFC 1951, 3.2.6): no table is built for them.

use super::{Inflate, Out, Stop, WINDOW};

/// What the symbols of lengths from 257 on, and those of distances, stand for: a base and bits to add.
const LENGTHS: &[(u16, u8)] = &[
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];
const DISTANCES: &[(u16, u8)] = &[
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12289, 12),
    (16385, 13),
    (24577, 13),
];

/// A symbol with all that belongs to it.
enum Symbol {
    Literal(u8),
    Copy { length: usize, distance: usize },
    End,
}

impl Inflate {
    /// Reads symbols, to the end of the block at most; `false` if the bytes end before it does.
    pub(super) fn fixed(&mut self, bytes: &mut &[u8], out: Out<'_>) -> Result<bool, Stop> {
        let mut start = self.at;
        let ended = loop {
            let (symbol, used) = match self.symbol(bytes) {
                Ok(Some(symbol)) => symbol,
                Ok(None) => break Ok(false),
                Err(stop) => break Err(stop),
            };
            self.skip(used);
            match symbol {
                Symbol::End => break Ok(true),
                Symbol::Literal(byte) => {
                    if let Some(place) = self.window.get_mut(self.at) {
                        *place = byte;
                    }
                    self.advance(1, &mut start, out)?;
                }
                Symbol::Copy { length, distance } => self.copy(length, distance, &mut start, out)?,
            }
        };
        let piece = self.window.get(start..self.at).unwrap_or_default();
        if !piece.is_empty() && !out(piece) {
            return Err(Stop::Full);
        }
        if ended == Ok(true) {
            self.block_end();
        }
        ended
    }

    /// Writes `length` bytes again that stand `distance` back.
    fn copy(&mut self, length: usize, distance: usize, start: &mut usize, out: Out<'_>) -> Result<(), Stop> {
        // What is being written can be part of what is read: the piece to copy doubles.
        let (mut left, mut span) = (length, distance);
        while left > 0 {
            let from = self.at.wrapping_add(WINDOW).wrapping_sub(span) % WINDOW;
            let size = left.min(span).min(WINDOW.saturating_sub(from.max(self.at)));
            self.window.copy_within(from..from.wrapping_add(size), self.at);
            self.advance(size, start, out)?;
            left = left.wrapping_sub(size);
            if size == span && span <= WINDOW / 2 {
                span = span.wrapping_mul(2);
            }
        }
        Ok(())
    }

    /// So many bytes were written; where the window comes round, what was written since `start` is handed on.
    fn advance(&mut self, size: usize, start: &mut usize, out: Out<'_>) -> Result<(), Stop> {
        self.at = self.at.wrapping_add(size);
        if self.at < WINDOW {
            return Ok(());
        }
        self.at = 0;
        let piece = self.window.get(std::mem::take(start)..).unwrap_or_default();
        if out(piece) { Ok(()) } else { Err(Stop::Full) }
    }

    /// The next symbol and how many bits it has; none of them is taken.
    fn symbol(&mut self, bytes: &mut &[u8]) -> Result<Option<(Symbol, u32)>, Stop> {
        let Some((symbol, used)) = self.literal_or_length(bytes) else { return Ok(None) };
        let index = match symbol {
            0..256 => return Ok(Some((Symbol::Literal(symbol as u8), used))),
            256 => return Ok(Some((Symbol::End, used))),
            _ => usize::from(symbol.wrapping_sub(257)),
        };
        let &(base, width) = LENGTHS.get(index).ok_or(Stop::Broken)?;
        let width = u32::from(width);
        let Some(more) = self.peek(used, width, bytes) else { return Ok(None) };
        let length = usize::from(base).wrapping_add(more as usize);
        let used = used.wrapping_add(width);
        let Some(code) = self.peek(used, 5, bytes) else { return Ok(None) };
        let &(base, width) = DISTANCES.get(reversed(code, 5) as usize).ok_or(Stop::Broken)?;
        let (width, used) = (u32::from(width), used.wrapping_add(5));
        let Some(more) = self.peek(used, width, bytes) else { return Ok(None) };
        let distance = usize::from(base).wrapping_add(more as usize);
        Ok(Some((Symbol::Copy { length, distance }, used.wrapping_add(width))))
    }

    /// Codes of 7 to 9 bits, the highest first.
    fn literal_or_length(&mut self, bytes: &mut &[u8]) -> Option<(u16, u32)> {
        let code = reversed(self.peek(0, 7, bytes)?, 7);
        if code < 0b001_1000 {
            return Some((code.wrapping_add(256), 7));
        }
        let code = reversed(self.peek(0, 8, bytes)?, 8);
        if code < 0b1100_0000 {
            return Some((code.wrapping_sub(0b0011_0000), 8));
        }
        if code < 0b1100_1000 {
            return Some((code.wrapping_sub(0b1100_0000).wrapping_add(280), 8));
        }
        let code = reversed(self.peek(0, 9, bytes)?, 9);
        Some((code.wrapping_sub(0b1_1001_0000).wrapping_add(144), 9))
    }
}

fn reversed(code: u32, length: u32) -> u16 {
    (code as u16).reverse_bits().wrapping_shr(16u32.wrapping_sub(length))
}

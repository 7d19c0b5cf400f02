//! Bits of a block: most streams are read from their end to their beginning.

/// Reads forward, the lowest bit first.
pub(super) struct Forward<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Forward<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Forward { bytes, at: 0 }
    }

    /// The next bits, at most 32 of them, zeros behind the end.
    pub(super) fn peek(&self, count: u32) -> u32 {
        (word(self.bytes, self.at) & mask(count)) as u32
    }

    /// Goes on; `None` behind the end.
    pub(super) fn skip(&mut self, count: u32) -> Option<()> {
        self.at = self.at.checked_add(count as usize)?;
        (self.at.div_ceil(8) <= self.bytes.len()).then_some(())
    }

    /// Bytes that were begun.
    pub(super) fn bytes(&self) -> usize {
        self.at.div_ceil(8)
    }
}

/// Reads backward from a mark: the highest bit that is set in the last byte.
pub(super) struct Backward<'a> {
    bytes: &'a [u8],
    /// Bits that were not read.
    left: usize,
}

impl<'a> Backward<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let (last, before) = bytes.split_last()?;
        let left = before.len().checked_mul(8)?.checked_add(last.checked_ilog2()? as usize)?;
        Some(Backward { bytes, left })
    }

    /// The next bits, at most 56 of them; `None` if there are fewer.
    pub(super) fn read(&mut self, count: u32) -> Option<u64> {
        self.left = self.left.checked_sub(count as usize)?;
        Some(word(self.bytes, self.left) & mask(count))
    }

    /// The next bits, at most 56 of them, with zeros for those that are missing.
    pub(super) fn peek(&self, count: u32) -> u64 {
        match self.left.checked_sub(count as usize) {
            Some(start) => word(self.bytes, start) & mask(count),
            None => {
                let bits = word(self.bytes, 0) & mask(self.left as u32);
                bits.wrapping_shl(count.wrapping_sub(self.left as u32))
            }
        }
    }

    /// Goes on; `None` before the beginning.
    pub(super) fn skip(&mut self, count: u32) -> Option<()> {
        self.left = self.left.checked_sub(count as usize)?;
        Some(())
    }

    /// Bits that were not read.
    pub(super) fn left(&self) -> usize {
        self.left
    }
}

/// At least 57 bits from a bit on, with zeros behind the end.
fn word(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at / 8..).unwrap_or_default();
    let word = match rest.first_chunk() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => rest.iter().rev().fold(0, |word, &byte| (word << 8) | u64::from(byte)),
    };
    word.wrapping_shr((at % 8) as u32)
}

/// As many ones, fewer than 64.
fn mask(count: u32) -> u64 {
    1u64.wrapping_shl(count).wrapping_sub(1)
}

//! Bits of a stream, the lowest first, over any split of its bytes.

/// The input ends here for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lack;

/// Bits that are held, and the input behind them.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    held: u64,
    count: u32,
    input: &'a [u8],
}

impl<'a> Bits<'a> {
    /// Goes on with what [`Bits::rest`] left.
    pub(super) fn new((held, count): (u64, u32), input: &'a [u8]) -> Self {
        Bits { held, count, input }
    }

    /// Takes input until at least 56 bits are held or there is no more.
    pub(super) fn refill(&mut self) {
        if self.count >= 56 {
            return;
        }
        if let Some((word, _)) = self.input.split_first_chunk::<8>() {
            self.held |= u64::from_le_bytes(*word).wrapping_shl(self.count);
            let bytes = 63u32.wrapping_sub(self.count) / 8;
            self.input = self.input.get(bytes as usize..).unwrap_or_default();
            self.count |= 56;
            // The bits above `count` were taken too; they come again.
            self.held &= 1u64.wrapping_shl(self.count).wrapping_sub(1);
            return;
        }
        while self.count < 56
            && let Some((&byte, rest)) = self.input.split_first()
        {
            self.held |= u64::from(byte).wrapping_shl(self.count);
            self.count = self.count.wrapping_add(8);
            self.input = rest;
        }
    }

    /// The next bits, zeros for those that are missing.
    pub(super) fn peek(&self, count: u32) -> u32 {
        (self.held & 1u64.wrapping_shl(count).wrapping_sub(1)) as u32
    }

    /// Goes on.
    pub(super) fn skip(&mut self, count: u32) -> Result<(), Lack> {
        self.count = self.count.checked_sub(count).ok_or(Lack)?;
        self.held = self.held.wrapping_shr(count);
        Ok(())
    }

    /// The next bits.
    pub(super) fn read(&mut self, count: u32) -> Result<u32, Lack> {
        let bits = self.peek(count);
        self.skip(count)?;
        Ok(bits)
    }

    /// Goes on to the next byte; whether what is skipped is zero.
    pub(super) fn align(&mut self) -> bool {
        let over = self.count % 8;
        let zero = self.peek(over) == 0;
        self.count = self.count.wrapping_sub(over);
        self.held = self.held.wrapping_shr(over);
        zero
    }

    /// Bytes as they are, from the bits that are held; `None` behind them.
    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = self.read(8).ok()?;
        Some(byte as u8)
    }

    /// Bytes as they are, once no bits are held.
    pub(super) fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (bytes, rest) = self.input.split_at_checked(most).unwrap_or((self.input, &[]));
        self.input = rest;
        bytes
    }

    /// What is held at the end of the input.
    pub(super) fn rest(&self) -> (u64, u32) {
        (self.held, self.count)
    }
}

//! Deflate, alone or inside zlib (RFC 1950 and 1951).
//!
//! miniz_oxide decodes the blocks that bring codes of their own, as all long ones do. It builds its tables anew for each block, in
//! the time of some 16 KB of text, so that the other blocks, a few bytes each in a stream that is flushed after every
//! event, are decoded here.

mod fixed;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{BlockBoundaryState, DecompressorOxide, decompress, inflate_flags};

use super::hash::adler32;
use super::work::Work;
use super::{Out, Stop};

/// The window of the format, bytes.
pub(super) const WINDOW: usize = 32 * 1024;
/// The work of a block with codes of its own, beside its bytes.
const CODED: u64 = 16 * 1024;
/// The work of any other.
const BLOCK: u64 = 64;

const FLAGS: u32 = inflate_flags::TINFL_FLAG_IGNORE_ADLER32
    | inflate_flags::TINFL_FLAG_HAS_MORE_INPUT
    | inflate_flags::TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;

/// What the next bits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// A block's head.
    Head,
    /// The size of a stored block.
    Size,
    /// As many bytes as they are.
    Stored(usize),
    /// Symbols in the fixed code.
    Fixed,
    /// A block with its own codes.
    Coded,
    Over,
}

/// Inflates one stream.
pub(super) struct Inflate {
    part: Part,
    /// The block is the last.
    last: bool,
    /// Bits that were taken, the lowest first, and how many: less than a byte between blocks.
    held: u64,
    count: u32,
    machine: Option<Box<DecompressorOxide>>,
    window: Box<[u8]>,
    at: usize,
}

impl Inflate {
    pub(super) fn new() -> Self {
        let window = vec![0; WINDOW].into_boxed_slice();
        Inflate { part: Part::Head, last: false, held: 0, count: 0, machine: None, window, at: 0 }
    }

    /// Makes ready for another stream.
    pub(super) fn reset(&mut self) {
        self.part = Part::Head;
        self.held = 0;
        self.count = 0;
    }

    /// Reads on, to the end of the stream at most; returns whether it came there, and moves `bytes` on.
    pub(super) fn feed(&mut self, bytes: &mut &[u8], work: &Work, out: Out<'_>) -> Result<bool, Stop> {
        loop {
            let more = match self.part {
                Part::Over => return Ok(true),
                Part::Head => self.head(bytes, work)?,
                Part::Size => self.size(bytes)?,
                Part::Stored(left) => self.stored(left, bytes, out)?,
                Part::Fixed => self.fixed(bytes, out)?,
                Part::Coded => self.coded(bytes, out)?,
            };
            if !more {
                return Ok(false);
            }
        }
    }

    /// The three bits that a block begins with; `false` if they are not there.
    fn head(&mut self, bytes: &mut &[u8], work: &Work) -> Result<bool, Stop> {
        let before = (*bytes, self.held, self.count);
        let Some(head) = self.peek(0, 3, bytes) else { return Ok(false) };
        let kind = head >> 1;
        work.spend(if kind == 2 { CODED } else { BLOCK }).ok_or(Stop::Full)?;
        if kind == 2 {
            // It reads the head itself, from the bits before it.
            (*bytes, self.held, self.count) = before;
            let (num_bits, bit_buf) = (self.count as u8, self.held as u8);
            let state = BlockBoundaryState { num_bits, bit_buf, ..BlockBoundaryState::default() };
            let machine = DecompressorOxide::from_block_boundary_state(&state);
            match &mut self.machine {
                Some(known) => **known = machine,
                None => self.machine = Some(Box::new(machine)),
            }
            self.part = Part::Coded;
            return Ok(true);
        }
        self.skip(3);
        self.last = head & 1 == 1;
        self.part = match kind {
            0 => Part::Size,
            1 => Part::Fixed,
            _ => return Err(Stop::Broken),
        };
        Ok(true)
    }

    /// The size of a stored block, from the next whole byte on.
    fn size(&mut self, bytes: &mut &[u8]) -> Result<bool, Stop> {
        let odd = self.count % 8;
        let Some(sizes) = self.peek(odd, 32, bytes) else { return Ok(false) };
        self.skip(odd.wrapping_add(32));
        let (size, complement) = (sizes & 0xffff, sizes >> 16);
        if size ^ complement != 0xffff {
            return Err(Stop::Broken);
        }
        self.part = Part::Stored(size as usize);
        Ok(true)
    }

    fn stored(&mut self, left: usize, bytes: &mut &[u8], out: Out<'_>) -> Result<bool, Stop> {
        if left == 0 {
            self.block_end();
            return Ok(true);
        }
        let size = left.min(bytes.len()).min(WINDOW.saturating_sub(self.at));
        let (piece, rest) = bytes.split_at_checked(size).unwrap_or_default();
        if piece.is_empty() {
            return Ok(false);
        }
        *bytes = rest;
        let end = self.at.saturating_add(size);
        if let Some(target) = self.window.get_mut(self.at..end) {
            target.copy_from_slice(piece);
        }
        self.at = end % WINDOW;
        self.part = Part::Stored(left.saturating_sub(size));
        if out(piece) { Ok(true) } else { Err(Stop::Full) }
    }

    fn coded(&mut self, bytes: &mut &[u8], out: Out<'_>) -> Result<bool, Stop> {
        let machine = self.machine.get_or_insert_default();
        let (status, used, made) = decompress(machine, bytes, &mut self.window, self.at, FLAGS);
        *bytes = bytes.get(used..).unwrap_or_default();
        let end = self.at.saturating_add(made);
        let piece = self.window.get(self.at..end).unwrap_or_default();
        if !piece.is_empty() && !out(piece) {
            return Err(Stop::Full);
        }
        self.at = end % WINDOW;
        match status {
            TINFLStatus::Done => self.part = Part::Over,
            TINFLStatus::NeedsMoreInput => return Ok(false),
            TINFLStatus::HasMoreOutput => {}
            TINFLStatus::BlockBoundary => {
                let state = machine.block_boundary_state().unwrap_or_default();
                self.held = state.bit_buf.into();
                self.count = state.num_bits.into();
                self.part = Part::Head;
            }
            _ => return Err(Stop::Broken),
        }
        Ok(true)
    }

    fn block_end(&mut self) {
        self.part = if self.last { Part::Over } else { Part::Head };
    }

    /// The bits behind the next `behind`; takes no more bytes than they need. `None` if they are not there.
    fn peek(&mut self, behind: u32, count: u32, bytes: &mut &[u8]) -> Option<u32> {
        let wanted = behind.wrapping_add(count);
        while self.count < wanted {
            let (&byte, rest) = bytes.split_first()?;
            *bytes = rest;
            self.held |= u64::from(byte).wrapping_shl(self.count);
            self.count = self.count.wrapping_add(8);
        }
        Some((self.held.wrapping_shr(behind) & 1u64.wrapping_shl(count).wrapping_sub(1)) as u32)
    }

    fn skip(&mut self, count: u32) {
        self.held = self.held.wrapping_shr(count);
        self.count = self.count.saturating_sub(count);
    }
}

/// `deflate` as a content coding: inside zlib as it should be, or alone as some send it.
pub(super) struct Deflate {
    /// The first byte, until the second says what it is.
    first: Option<u8>,
    inflate: Option<Inflate>,
    /// The checksum inside zlib, and how many bytes of it have come.
    adler: Option<u32>,
    tail: (u32, u8),
    over: bool,
}

impl Deflate {
    pub(super) fn new() -> Self {
        Deflate { first: None, inflate: None, adler: None, tail: (0, 0), over: false }
    }

    /// Whether it may end here.
    pub(super) fn is_whole(&self) -> bool {
        self.over
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8], work: &Work, out: Out<'_>) -> Result<(), Stop> {
        while let Some((&byte, rest)) = bytes.split_first().filter(|_| !self.over) {
            match self.first {
                None => {
                    self.first = Some(byte);
                    bytes = rest;
                }
                Some(first) if self.inflate.is_none() => {
                    let mut inflate = Inflate::new();
                    if first & 15 == 8 && u16::from_be_bytes([first, byte]) % 31 == 0 {
                        // A dictionary that both sides know beforehand, or a window that there is none of.
                        if byte & 0x20 != 0 || first >> 4 > 7 {
                            return Err(Stop::Broken);
                        }
                        self.adler = Some(1);
                        bytes = rest;
                    } else if inflate.feed(&mut [first].as_slice(), work, out)? {
                        self.over = true;
                    }
                    self.inflate = Some(inflate);
                }
                Some(_) => self.body(&mut bytes, work, out)?,
            }
        }
        Ok(())
    }

    fn body(&mut self, bytes: &mut &[u8], work: &Work, out: Out<'_>) -> Result<(), Stop> {
        let Deflate { inflate: Some(inflate), adler, .. } = self else { return Ok(()) };
        let over = inflate.feed(bytes, work, &mut |piece| {
            if let Some(adler) = adler {
                *adler = adler32(*adler, piece);
            }
            out(piece)
        })?;
        let Some(adler) = adler.filter(|_| over) else {
            self.over = over;
            return Ok(());
        };
        while let (Some((&byte, rest)), false) = (bytes.split_first(), self.over) {
            *bytes = rest;
            let (value, count) = self.tail;
            self.tail = (value << 8 | u32::from(byte), count.saturating_add(1));
            self.over = count == 3;
        }
        if self.over && self.tail.0 != adler { Err(Stop::Broken) } else { Ok(()) }
    }
}

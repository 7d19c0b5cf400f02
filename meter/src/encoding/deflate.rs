//! Deflate, alone or inside zlib (RFC 1950 and 1951).

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use super::{Out, Stop};

/// The window of the format, bytes.
pub(super) const WINDOW: usize = 32 * 1024;

/// Inflates one stream.
pub(super) struct Inflate {
    machine: Box<DecompressorOxide>,
    window: Box<[u8]>,
    at: usize,
    flags: u32,
}

impl Inflate {
    pub(super) fn new(zlib: bool) -> Self {
        let wrapped = inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER | inflate_flags::TINFL_FLAG_COMPUTE_ADLER32;
        let flags = if zlib { wrapped } else { inflate_flags::TINFL_FLAG_IGNORE_ADLER32 };
        Inflate {
            machine: Box::default(),
            window: vec![0; WINDOW].into_boxed_slice(),
            at: 0,
            flags: flags | inflate_flags::TINFL_FLAG_HAS_MORE_INPUT,
        }
    }

    /// Makes ready for another stream.
    pub(super) fn reset(&mut self) {
        self.machine.init();
        self.at = 0;
    }

    /// Reads on, to the end of the stream at most; returns whether it came there, and moves `bytes` on.
    pub(super) fn feed(&mut self, bytes: &mut &[u8], out: Out<'_>) -> Result<bool, Stop> {
        loop {
            let (status, used, made) = decompress(&mut self.machine, bytes, &mut self.window, self.at, self.flags);
            *bytes = bytes.get(used..).unwrap_or_default();
            let end = self.at.saturating_add(made);
            let piece = self.window.get(self.at..end).unwrap_or_default();
            if !piece.is_empty() && !out(piece) {
                return Err(Stop::Full);
            }
            self.at = end % WINDOW;
            match status {
                TINFLStatus::Done => return Ok(true),
                TINFLStatus::NeedsMoreInput => return Ok(false),
                TINFLStatus::HasMoreOutput => {}
                _ => return Err(Stop::Broken),
            }
        }
    }
}

/// `deflate` as a content coding: inside zlib as it should be, or alone as some send it.
pub(super) struct Deflate {
    /// The first byte, until the second says what it is.
    first: Option<u8>,
    inflate: Option<Inflate>,
    over: bool,
}

impl Deflate {
    pub(super) fn new() -> Self {
        Deflate { first: None, inflate: None, over: false }
    }

    /// Whether it may end here.
    pub(super) fn is_whole(&self) -> bool {
        self.over
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8], out: Out<'_>) -> Result<(), Stop> {
        while !self.over && !bytes.is_empty() {
            let Some(inflate) = &mut self.inflate else {
                let Some((&byte, rest)) = bytes.split_first() else { return Ok(()) };
                bytes = rest;
                match self.first {
                    None => self.first = Some(byte),
                    Some(first) => {
                        let zlib = first & 15 == 8 && u16::from_be_bytes([first, byte]) % 31 == 0;
                        let inflate = self.inflate.insert(Inflate::new(zlib));
                        self.over = inflate.feed(&mut [first, byte].as_slice(), out)?;
                    }
                }
                continue;
            };
            self.over = inflate.feed(&mut bytes, out)?;
        }
        Ok(())
    }
}

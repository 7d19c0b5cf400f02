//! Zstandard (RFC 8878), written for a proxy: a block is held, the window grows as it is written, nothing else.
//!
//! The crates there are hold a block's literals and sequences beside it, more than a megabyte for hostile ones.

mod bits;
mod block;
mod fse;
mod literals;

use super::hash::XxHash64;
use super::window::Window;
use super::work::Work;
use super::{Out, Stop};
use block::Tables;

/// The largest window, bytes: what the format asks every decoder to support; encoders use more only when told to.
pub(super) const MAX_WINDOW: usize = 8 * 1024 * 1024;
/// The largest block, bytes, compressed or not. The format reads it from its end: it has to be there whole.
pub(super) const MAX_BLOCK: usize = 128 * 1024;

/// The work of a block or frame, beside what is in it.
const HEAD: u64 = 64;

const MAGIC: u32 = 0xfd2f_b528;
/// The lowest four bits are free.
const SKIPPABLE: u32 = 0x184d_2a50;

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Four bytes that say what follows.
    Magic,
    /// The size of something to skip.
    SkipSize,
    /// As many bytes to skip.
    Skip(u64),
    /// The first byte of a frame's head.
    Descriptor,
    /// The rest of it.
    Head(u8),
    /// A block's head.
    Block,
    /// As many bytes as they are.
    Plain(usize),
    /// A byte that stands for as many.
    Same(usize),
    /// The rest of a compressed block of this size.
    Compressed(usize),
    /// The checksum of the frame.
    Checksum,
    /// Behind the frames: something else.
    Over,
}

/// A decoder of frames.
pub(super) struct Zstd {
    state: State,
    /// A head that did not arrive in one piece.
    held: [u8; 16],
    held_len: usize,
    block: Vec<u8>,
    tables: Box<Tables>,
    window: Window,
    /// The largest block of this frame.
    max_block: usize,
    /// The size of the frame's content, if it says so.
    content: Option<u64>,
    /// The frame ends with a checksum.
    checked: bool,
    hash: XxHash64,
    /// The block is the frame's last.
    last: bool,
    /// Frames that arrived whole.
    frames: u64,
}

impl Zstd {
    pub(super) fn new() -> Self {
        Zstd {
            state: State::Magic,
            held: [0; 16],
            held_len: 0,
            block: Vec::new(),
            tables: Tables::new(),
            window: Window::default(),
            max_block: 0,
            content: None,
            checked: false,
            hash: XxHash64::new(),
            last: false,
            frames: 0,
        }
    }

    /// Whether it may end here.
    pub(super) fn is_whole(&self) -> bool {
        self.state == State::Over || (self.state == State::Magic && self.held_len == 0)
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8], work: &Work, out: Out<'_>) -> Result<(), Stop> {
        while !bytes.is_empty() || self.state == State::Plain(0) {
            match self.state {
                State::Over => return Ok(()),
                State::Skip(left) => {
                    let size = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = bytes.get(size..).unwrap_or_default();
                    let left = left.saturating_sub(size as u64);
                    self.state = if left == 0 { State::Magic } else { State::Skip(left) };
                }
                State::Plain(left) => {
                    let size = left.min(bytes.len());
                    let (piece, rest) = bytes.split_at_checked(size).unwrap_or_default();
                    bytes = rest;
                    self.window.push(piece).ok_or(Stop::Broken)?;
                    self.hand(out)?;
                    self.state = State::Plain(left.saturating_sub(size));
                    if left == size {
                        self.block_end()?;
                    }
                }
                State::Compressed(size) => {
                    let missing = size.saturating_sub(self.block.len());
                    let (piece, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
                    bytes = rest;
                    if self.block.is_empty() && piece.len() == size {
                        self.compressed(piece, work, out)?;
                        continue;
                    }
                    self.block.reserve_exact(missing);
                    self.block.extend_from_slice(piece);
                    if self.block.len() == size {
                        let mut block = std::mem::take(&mut self.block);
                        self.compressed(&block, work, out)?;
                        block.clear();
                        self.block = block;
                    }
                }
                _ => {
                    work.spend(HEAD).ok_or(Stop::Full)?;
                    self.head(&mut bytes, out)?;
                }
            }
        }
        Ok(())
    }

    /// Collects the few bytes of a head and reads it.
    fn head(&mut self, bytes: &mut &[u8], out: Out<'_>) -> Result<(), Stop> {
        let wanted = match self.state {
            State::Magic | State::SkipSize | State::Checksum => 4,
            State::Block => 3,
            State::Head(descriptor) => head_size(descriptor),
            _ => 1,
        };
        let missing = wanted.saturating_sub(self.held_len);
        let (piece, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
        *bytes = rest;
        let end = self.held_len.saturating_add(piece.len());
        if let Some(target) = self.held.get_mut(self.held_len..end) {
            target.copy_from_slice(piece);
        }
        self.held_len = end;
        if end < wanted {
            return Ok(());
        }
        self.held_len = 0;
        let held = self.held;
        let value = held.get(..wanted).map_or(0, little);
        self.state = match self.state {
            State::Magic if value == u64::from(MAGIC) => State::Descriptor,
            State::Magic if value & !15 == u64::from(SKIPPABLE) => State::SkipSize,
            // Behind a whole frame it is nothing of ours.
            State::Magic if self.frames > 0 => State::Over,
            State::Magic => return Err(Stop::Broken),
            State::SkipSize if value == 0 => State::Magic,
            State::SkipSize => State::Skip(value),
            State::Descriptor => {
                let descriptor = value as u8;
                if descriptor & 8 != 0 {
                    return Err(Stop::Broken);
                }
                match head_size(descriptor) {
                    0 => return self.begin(descriptor, &[]),
                    _ => State::Head(descriptor),
                }
            }
            State::Head(descriptor) => return self.begin(descriptor, held.get(..wanted).unwrap_or_default()),
            State::Block => return self.block(value),
            State::Same(count) => {
                self.window
                    .fill(count, |target| {
                        target.fill(value as u8);
                        Some(())
                    })
                    .ok_or(Stop::Broken)?;
                self.hand(out)?;
                return self.block_end();
            }
            State::Checksum if value == self.hash.finish() & 0xffff_ffff => self.frame_end(),
            _ => return Err(Stop::Broken),
        };
        Ok(())
    }

    /// A frame's head has arrived.
    fn begin(&mut self, descriptor: u8, head: &[u8]) -> Result<(), Stop> {
        let (single, dictionary, content) = fields(descriptor);
        let mut rest = head;
        let mut next = |size: usize| {
            let (field, behind) = rest.split_at_checked(size).unwrap_or_default();
            rest = behind;
            little(field)
        };
        let window = next(usize::from(!single));
        // A dictionary that both sides know beforehand: not ours.
        if next(dictionary) != 0 {
            return Err(Stop::Unsupported);
        }
        let value = next(content);
        self.content = match content {
            0 => None,
            2 => Some(value.wrapping_add(256)),
            _ => Some(value),
        };
        let window = if single {
            self.content.unwrap_or_default()
        } else {
            let base = 1u64.wrapping_shl((window >> 3).wrapping_add(10) as u32);
            base.wrapping_add((base / 8).wrapping_mul(window & 7))
        };
        let window = usize::try_from(window).ok().filter(|&window| window <= MAX_WINDOW).ok_or(Stop::Unsupported)?;
        self.window.reset(window);
        self.max_block = window.min(MAX_BLOCK);
        self.tables.reset();
        self.checked = descriptor & 4 != 0;
        self.hash = XxHash64::new();
        self.state = State::Block;
        Ok(())
    }

    /// A block's head has arrived.
    fn block(&mut self, head: u64) -> Result<(), Stop> {
        self.last = head & 1 != 0;
        let size = usize::try_from(head >> 3).ok().filter(|&size| size <= self.max_block).ok_or(Stop::Broken)?;
        self.state = match (head >> 1) & 3 {
            0 => State::Plain(size),
            1 => State::Same(size),
            2 if size > 0 => State::Compressed(size),
            _ => return Err(Stop::Broken),
        };
        Ok(())
    }

    fn compressed(&mut self, block: &[u8], work: &Work, out: Out<'_>) -> Result<(), Stop> {
        self.tables.decode(block, self.max_block, &mut self.window, work).ok_or(Stop::Broken)?;
        self.hand(out)?;
        self.block_end()
    }

    fn block_end(&mut self) -> Result<(), Stop> {
        let written = self.window.written();
        let fits = self.content.is_none_or(|content| if self.last { written == content } else { written <= content });
        if !fits {
            return Err(Stop::Broken);
        }
        self.state = match (self.last, self.checked) {
            (false, _) => State::Block,
            (true, true) => State::Checksum,
            (true, false) => self.frame_end(),
        };
        Ok(())
    }

    fn frame_end(&mut self) -> State {
        self.frames = self.frames.saturating_add(1);
        State::Magic
    }

    fn hand(&mut self, out: Out<'_>) -> Result<(), Stop> {
        let Zstd { window, hash, checked, .. } = self;
        let whole = window.hand(&mut |piece| {
            if *checked {
                hash.update(piece);
            }
            out(piece)
        });
        if whole { Ok(()) } else { Err(Stop::Full) }
    }
}

/// Whether the window is the content, and the sizes of the fields for a dictionary and for the content's size.
fn fields(descriptor: u8) -> (bool, usize, usize) {
    let single = descriptor & 0x20 != 0;
    let dictionary = match descriptor & 3 {
        3 => 4,
        size => usize::from(size),
    };
    let content = match descriptor >> 6 {
        0 => usize::from(single),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    (single, dictionary, content)
}

fn head_size(descriptor: u8) -> usize {
    let (single, dictionary, content) = fields(descriptor);
    usize::from(!single).saturating_add(dictionary).saturating_add(content)
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &byte| (value << 8) | u64::from(byte))
}

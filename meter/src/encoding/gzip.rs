//! gzip (RFC 1952): members, one after the other.

use super::deflate::Inflate;
use super::hash::crc32;
use super::work::Work;
use super::{Out, Stop};

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The ten bytes of a member's head, by their index.
    Head(u8),
    /// The size of the extra field, low byte first.
    ExtraSize(u8),
    /// As much of the extra field.
    Extra(u16),
    /// A name.
    Name,
    /// A comment.
    Comment,
    /// The head's checksum.
    HeadCheck(u8),
    /// What is compressed.
    Deflate,
    /// Checksum and size, by index.
    Tail(u8),
    /// Behind the members: something else.
    Over,
}

const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const HEAD_CHECK: u8 = 2;
const RESERVED: u8 = 0xe0;
/// The work of a member, beside its blocks'.
const MEMBER: u64 = 128;

/// A decoder of members.
pub(super) struct Gzip {
    state: State,
    flags: u8,
    inflate: Inflate,
    crc: u32,
    size: u32,
    extra: u16,
    tail: u64,
    /// Members that arrived whole.
    members: u64,
}

impl Gzip {
    pub(super) fn new() -> Self {
        let inflate = Inflate::new();
        Gzip { state: State::Head(0), flags: 0, inflate, crc: 0, size: 0, extra: 0, tail: 0, members: 0 }
    }

    /// Whether it may end here.
    pub(super) fn is_whole(&self) -> bool {
        self.state == State::Over || (self.state == State::Head(0) && self.members > 0)
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8], work: &Work, out: Out<'_>) -> Result<(), Stop> {
        while let Some((&byte, rest)) = bytes.split_first() {
            match self.state {
                State::Over => return Ok(()),
                State::Deflate => {
                    let Gzip { inflate, crc, size, .. } = self;
                    let over = inflate.feed(&mut bytes, work, &mut |piece| {
                        *crc = crc32(*crc, piece);
                        *size = size.wrapping_add(piece.len() as u32);
                        out(piece)
                    })?;
                    if over {
                        work.spend(MEMBER).ok_or(Stop::Full)?;
                        self.state = State::Tail(0);
                    }
                }
                _ => {
                    self.state = self.head(byte)?;
                    bytes = rest;
                }
            }
        }
        Ok(())
    }

    fn head(&mut self, byte: u8) -> Result<State, Stop> {
        Ok(match self.state {
            State::Head(index) => match (index, byte) {
                (0, 0x1f) | (1, 0x8b) | (2, 8) | (4..=8, _) => State::Head(index.saturating_add(1)),
                (3, flags) if flags & RESERVED == 0 => {
                    self.flags = flags;
                    State::Head(4)
                }
                (9, _) => self.behind(0),
                // Behind a whole member it is nothing of ours.
                (0, _) if self.members > 0 => State::Over,
                _ => return Err(Stop::Broken),
            },
            State::ExtraSize(0) => {
                self.extra = u16::from(byte);
                State::ExtraSize(1)
            }
            State::ExtraSize(_) => match self.extra | u16::from(byte) << 8 {
                0 => self.behind(EXTRA),
                size => State::Extra(size),
            },
            State::Extra(left) if left > 1 => State::Extra(left.saturating_sub(1)),
            State::Extra(_) => self.behind(EXTRA),
            State::Name if byte == 0 => self.behind(NAME),
            State::Comment if byte == 0 => self.behind(COMMENT),
            State::HeadCheck(0) => State::HeadCheck(1),
            State::HeadCheck(_) => State::Deflate,
            State::Tail(index) => {
                self.tail = (self.tail >> 8) | u64::from(byte) << 56;
                match index {
                    7 => self.member_end()?,
                    _ => State::Tail(index.saturating_add(1)),
                }
            }
            same => same,
        })
    }

    /// What follows a part of the head, in the order of the format.
    fn behind(&self, part: u8) -> State {
        let has = |flag| self.flags & flag != 0;
        match part {
            0 if has(EXTRA) => State::ExtraSize(0),
            0 | EXTRA if has(NAME) => State::Name,
            0 | EXTRA | NAME if has(COMMENT) => State::Comment,
            _ if has(HEAD_CHECK) => State::HeadCheck(0),
            _ => State::Deflate,
        }
    }

    fn member_end(&mut self) -> Result<State, Stop> {
        if self.tail != u64::from(self.crc) | u64::from(self.size) << 32 {
            return Err(Stop::Broken);
        }
        self.members = self.members.saturating_add(1);
        self.inflate.reset();
        self.crc = 0;
        self.size = 0;
        Ok(State::Head(0))
    }
}

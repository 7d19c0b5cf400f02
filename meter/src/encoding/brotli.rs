//! Brotli (RFC 7932), written for a proxy: the window grows as it is written, and codes take what their symbols need.
//!
//! The crate there is allocates the largest tables that a code can have and the whole window at once; from it come
//! only the format's dictionary and the transforms of its words.

mod bits;
mod code;
mod command;
mod head;
mod tables;

use super::window::Window;
use super::work::Work;
use super::{Out, Stop};
use bits::{Bits, Lack};
use code::{Code, Description};
use head::move_to_front;
use tables::{BLOCK_COUNTS, COPIES, Extra};

/// The largest window, as a power of two: 4 MiB, what encoders take unless told otherwise.
pub(super) const MAX_WINDOW: u32 = 22;
/// What the codes and context maps of one meta-block may take, bytes: encoders on the fly stay below a tenth of it.
const MAX_TABLES: usize = 40 * 1024;
/// What is written before it is handed on, bytes; less than the smallest window has.
const PIECE: usize = 8 * 1024;
/// The work of a step: many take no bit.
const STEP: u64 = 32;
/// The work of a literal, beside the byte: it may take no bit.
const LITERAL: u64 = 16;
/// The work of a code, beside its table, and of beginning a meta-block.
const CODE: u64 = 256;

/// The one block of a kind without block types: a meta-block has fewer symbols.
const ENDLESS: u32 = u32::MAX;

/// Literals, commands, distances.
const KINDS: usize = 3;
const LITERALS: usize = 0;
const COMMANDS: usize = 1;
const DISTANCES: usize = 2;

/// What the next bits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Window,
    Head,
    /// The size of metadata, and bytes of it.
    Metadata,
    Skip,
    Plain,
    /// The number of block types.
    Types(usize),
    TypeCode(usize),
    CountCode(usize),
    FirstCount(usize),
    Postfix,
    /// Context modes of the literals' block types, from this one on.
    Modes(usize),
    /// The number of codes for literals or distances.
    Trees(usize),
    /// How runs of zeros are written in the map of contexts.
    Runs(usize),
    MapCode(usize),
    Map(usize),
    MapEnd(usize),
    /// Codes of a kind, from this one on.
    Codes(usize),
    Command,
    CopyLength(u16),
    Literals,
    Distance,
    DistanceExtra(usize),
    Copy,
    BlockSwitch(usize),
    BlockCount(usize),
    Over,
}

/// Symbols of one kind: in blocks, each of a type that chooses the code.
#[derive(Default)]
struct Kind {
    types: u16,
    /// The type before and the type now.
    now: (u16, u16),
    /// Symbols left in the block.
    left: u32,
    type_code: Code,
    count_code: Code,
    codes: Vec<Code>,
    /// Codes of this kind.
    trees: u16,
    /// By block type and context the code; empty if there is one.
    map: Vec<u8>,
}

/// A decoder of one stream.
pub(super) struct Brotli {
    state: State,
    /// Where to go on behind a switch of blocks.
    behind: State,
    held: (u64, u32),
    window: Window,
    /// How far back a copy may reach.
    reach: usize,
    /// This meta-block is the last.
    last: bool,
    /// Bytes left of the meta-block.
    left: usize,
    kinds: [Kind; KINDS],
    description: Box<Description>,
    modes: Vec<u8>,
    postfix: u32,
    direct: usize,
    /// The longest run of zeros in a map, as a power of two.
    runs: u16,
    /// The size of the map that is being read.
    map_size: usize,
    map_code: Code,
    /// Literals left of the command.
    literals: usize,
    /// The bytes before.
    before: (u8, u8),
    copy: usize,
    /// The command repeats the last distance.
    implicit: bool,
    distance: usize,
    /// The distances used last, the latest first.
    recent: [usize; 4],
    /// What codes and maps take.
    tables: usize,
    /// Work of this step.
    work: u64,
}

/// Why a step did not end.
enum Halt {
    /// The input ends here for now.
    Lack,
    Stop(Stop),
}

impl From<Lack> for Halt {
    fn from(_: Lack) -> Self {
        Halt::Lack
    }
}

const BROKEN: Halt = Halt::Stop(Stop::Broken);

impl Brotli {
    pub(super) fn new() -> Self {
        Brotli {
            state: State::Window,
            behind: State::Window,
            held: (0, 0),
            window: Window::default(),
            reach: 0,
            last: false,
            left: 0,
            kinds: Default::default(),
            description: Description::new(),
            modes: Vec::new(),
            postfix: 0,
            direct: 0,
            runs: 0,
            map_size: 0,
            map_code: Code::default(),
            literals: 0,
            before: (0, 0),
            copy: 0,
            implicit: false,
            distance: 0,
            recent: [4, 11, 15, 16],
            tables: 0,
            work: 0,
        }
    }

    /// Whether it may end here.
    pub(super) fn is_whole(&self) -> bool {
        self.state == State::Over
    }

    pub(super) fn feed(&mut self, bytes: &[u8], work: &Work, out: Out<'_>) -> Result<(), Stop> {
        let mut bits = Bits::new(self.held, bytes);
        let result = loop {
            if self.state == State::Over {
                break Ok(());
            }
            if self.window.waiting() >= PIECE as u64 && !self.window.hand(out) {
                break Err(Stop::Full);
            }
            if !matches!(self.state, State::Plain | State::Skip) {
                bits.refill();
            }
            // A step that lacks bits changes nothing and takes none: at most 56, it finds them held the next time.
            let before = bits;
            if work.spend(STEP.saturating_add(std::mem::take(&mut self.work))).is_none() {
                break Err(Stop::Full);
            }
            match self.step(&mut bits) {
                Ok(state) => self.state = state,
                Err(Halt::Lack) => {
                    bits = before;
                    break Ok(());
                }
                Err(Halt::Stop(stop)) => break Err(stop),
            }
        };
        self.held = bits.rest();
        if !self.window.hand(out) {
            return Err(Stop::Full);
        }
        result
    }

    fn step(&mut self, bits: &mut Bits<'_>) -> Result<State, Halt> {
        match self.state {
            State::Window => self.window_bits(bits),
            State::Head => self.head(bits),
            State::Metadata => self.metadata(bits),
            State::Skip | State::Plain => self.plain(bits),
            State::Types(kind) => self.types(kind, bits),
            State::TypeCode(kind) => self.type_code(kind, bits),
            State::CountCode(kind) => self.count_code(kind, bits),
            State::FirstCount(kind) => self.first_count(kind, bits),
            State::Postfix => {
                self.postfix = bits.read(2)?;
                self.direct = (bits.read(4)? as usize).wrapping_shl(self.postfix);
                self.modes.clear();
                Ok(State::Modes(0))
            }
            State::Modes(index) => {
                if index >= usize::from(self.kind(LITERALS)?.types) {
                    return Ok(State::Trees(LITERALS));
                }
                let mode = bits.read(2)? as u8;
                self.modes.push(mode);
                Ok(State::Modes(index.wrapping_add(1)))
            }
            State::Trees(kind) => self.trees(kind, bits),
            State::Runs(kind) => self.runs(kind, bits),
            State::MapCode(kind) => match self.describe(bits)? {
                None => Ok(State::MapCode(kind)),
                Some(code) => {
                    self.map_code = code;
                    Ok(State::Map(kind))
                }
            },
            State::Map(kind) => self.map(kind, bits),
            State::MapEnd(kind) => {
                if bits.read(1)? == 1 {
                    move_to_front(&mut self.kind(kind)?.map);
                }
                Ok(self.behind_map(kind))
            }
            State::Codes(kind) => self.codes(kind, bits),
            State::Command => self.command(bits),
            State::CopyLength(code) => {
                self.copy = extra(COPIES.get(usize::from(code)), bits)?;
                Ok(State::Literals)
            }
            State::Literals => self.literals(bits),
            State::Distance => self.distance(bits),
            State::DistanceExtra(code) => self.distance_extra(code, bits),
            State::Copy => self.copy(),
            State::BlockSwitch(kind) => self.block_switch(kind, bits),
            State::BlockCount(kind) => {
                let count = block_count(&self.kind(kind)?.count_code, bits)?;
                self.kind(kind)?.left = count;
                Ok(self.behind)
            }
            State::Over => Ok(State::Over),
        }
    }

    fn kind(&mut self, kind: usize) -> Result<&mut Kind, Halt> {
        self.kinds.get_mut(kind).ok_or(BROKEN)
    }

    fn window_bits(&mut self, bits: &mut Bits<'_>) -> Result<State, Halt> {
        let log = if bits.read(1)? == 0 {
            16
        } else {
            match bits.read(3)? {
                0 => match bits.read(3)? {
                    0 => 17,
                    // The mark of windows beyond the format's.
                    1 => return Err(Halt::Stop(Stop::Unsupported)),
                    short => short.wrapping_add(8),
                },
                long => long.wrapping_add(17),
            }
        };
        if log > MAX_WINDOW {
            return Err(Halt::Stop(Stop::Unsupported));
        }
        let size = 1usize.wrapping_shl(log);
        self.window.reset(size);
        self.reach = size.wrapping_sub(16);
        Ok(State::Head)
    }

    /// The head of a meta-block, to its length.
    fn head(&mut self, bits: &mut Bits<'_>) -> Result<State, Halt> {
        let last = bits.read(1)? == 1;
        if last && bits.read(1)? == 1 {
            return if bits.align() { Ok(State::Over) } else { Err(BROKEN) };
        }
        let nibbles = match bits.read(2)? {
            3 => {
                let reserved = bits.read(1)?;
                self.last = last;
                return if reserved == 0 { Ok(State::Metadata) } else { Err(BROKEN) };
            }
            nibbles => nibbles.wrapping_add(4),
        };
        let length = bits.read(nibbles.wrapping_mul(4))?;
        let lowest = 1u32.wrapping_shl(nibbles.wrapping_sub(1).wrapping_mul(4));
        if nibbles > 4 && length < lowest {
            return Err(BROKEN);
        }
        let plain = !last && bits.read(1)? == 1;
        if plain && !bits.align() {
            return Err(BROKEN);
        }
        self.last = last;
        self.left = (length as usize).wrapping_add(1);
        self.tables = 0;
        self.work = CODE;
        self.kinds = Default::default();
        Ok(if plain { State::Plain } else { State::Types(0) })
    }

    fn metadata(&mut self, bits: &mut Bits<'_>) -> Result<State, Halt> {
        let bytes = bits.read(2)?;
        let length = bits.read(bytes.wrapping_mul(8))?;
        let lowest = 1u32.wrapping_shl(bytes.saturating_sub(1).wrapping_mul(8));
        if (bytes > 1 && length < lowest) || !bits.align() {
            return Err(BROKEN);
        }
        self.left = if bytes == 0 { 0 } else { (length as usize).wrapping_add(1) };
        Ok(State::Skip)
    }

    /// Bytes as they are: to be skipped, or a meta-block that is not compressed.
    fn plain(&mut self, bits: &mut Bits<'_>) -> Result<State, Halt> {
        if self.left == 0 {
            return Ok(if self.last { State::Over } else { State::Head });
        }
        let held = bits.byte();
        let bytes = match &held {
            Some(byte) => std::slice::from_ref(byte),
            None => bits.bytes(self.left.min(PIECE)),
        };
        if bytes.is_empty() {
            return Err(Halt::Lack);
        }
        self.left = self.left.wrapping_sub(bytes.len());
        if self.state == State::Plain {
            self.window.push(bytes).ok_or(BROKEN)?;
            for &byte in bytes.get(bytes.len().saturating_sub(2)..).unwrap_or_default() {
                self.before = (byte, self.before.0);
            }
        }
        Ok(self.state)
    }
}

fn extra(code: Option<&Extra>, bits: &mut Bits<'_>) -> Result<usize, Halt> {
    let &(base, width) = code.ok_or(BROKEN)?;
    Ok((base as usize).wrapping_add(bits.read(u32::from(width))? as usize))
}

fn block_count(code: &Code, bits: &mut Bits<'_>) -> Result<u32, Halt> {
    let symbol = code.read(bits)?;
    Ok(extra(BLOCK_COUNTS.get(usize::from(symbol)), bits)? as u32)
}

#[cfg(test)]
mod tests;

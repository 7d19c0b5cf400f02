//! What stands before the commands of a meta-block: block types, maps of contexts and codes (RFC 7932, 9.2).

use super::bits::{Bits, Lack};
use super::code::{Code, Found, MAX_ALPHABET};
use super::tables::BLOCK_COUNTS;
use super::{
    BROKEN, Brotli, CODE, COMMANDS, DISTANCES, ENDLESS, Halt, KINDS, LITERALS, MAX_TABLES, State, Stop, block_count,
};

impl Brotli {
    pub(super) fn types(&mut self, kind: usize, bits: &mut Bits<'_>) -> Result<State, Halt> {
        let types = number(bits)?;
        let blocks = self.kind(kind)?;
        blocks.types = types;
        blocks.now = (1, 0);
        blocks.left = ENDLESS;
        if types == 1 {
            return Ok(behind_types(kind));
        }
        self.description.begin(usize::from(types).wrapping_add(2));
        Ok(State::TypeCode(kind))
    }

    pub(super) fn type_code(&mut self, kind: usize, bits: &mut Bits<'_>) -> Result<State, Halt> {
        let Some(code) = self.describe(bits)? else { return Ok(self.state) };
        self.kind(kind)?.type_code = code;
        self.description.begin(BLOCK_COUNTS.len());
        Ok(State::CountCode(kind))
    }

    pub(super) fn count_code(&mut self, kind: usize, bits: &mut Bits<'_>) -> Result<State, Halt> {
        let Some(code) = self.describe(bits)? else { return Ok(self.state) };
        self.kind(kind)?.count_code = code;
        Ok(State::FirstCount(kind))
    }

    pub(super) fn first_count(&mut self, kind: usize, bits: &mut Bits<'_>) -> Result<State, Halt> {
        let blocks = self.kind(kind)?;
        blocks.left = block_count(&blocks.count_code, bits)?;
        Ok(behind_types(kind))
    }

    pub(super) fn trees(&mut self, kind: usize, bits: &mut Bits<'_>) -> Result<State, Halt> {
        let trees = number(bits)?;
        let contexts = if kind == LITERALS { 64 } else { 4 };
        let blocks = self.kind(kind)?;
        blocks.trees = trees;
        if trees == 1 {
            return Ok(self.behind_map(kind));
        }
        self.map_size = usize::from(blocks.types).wrapping_mul(contexts);
        let size = self.map_size;
        self.account(size)?;
        self.kind(kind)?.map = Vec::with_capacity(size);
        Ok(State::Runs(kind))
    }

    pub(super) fn runs(&mut self, kind: usize, bits: &mut Bits<'_>) -> Result<State, Halt> {
        let runs = if bits.read(1)? == 1 { bits.read(4)?.wrapping_add(1) } else { 0 };
        self.runs = runs as u16;
        let alphabet = usize::from(self.kind(kind)?.trees).wrapping_add(runs as usize);
        self.description.begin(alphabet);
        Ok(State::MapCode(kind))
    }

    pub(super) fn map(&mut self, kind: usize, bits: &mut Bits<'_>) -> Result<State, Halt> {
        let (runs, size) = (self.runs, self.map_size);
        if self.kind(kind)?.map.len() >= size {
            return Ok(State::MapEnd(kind));
        }
        let symbol = self.map_code.read(bits)?;
        let (value, count) = match symbol.checked_sub(runs) {
            Some(value) if symbol > runs || runs == 0 => (value, 1),
            _ if symbol == 0 => (0, 1),
            _ => (0, (bits.read(u32::from(symbol))? as usize).wrapping_add(1usize.wrapping_shl(u32::from(symbol)))),
        };
        let map = &mut self.kind(kind)?.map;
        let end = map.len().wrapping_add(count);
        if end > size {
            return Err(BROKEN);
        }
        map.resize(end, value as u8);
        Ok(State::Map(kind))
    }

    pub(super) fn behind_map(&mut self, kind: usize) -> State {
        self.map_code = Code::default();
        if kind == LITERALS {
            return State::Trees(DISTANCES);
        }
        self.description.begin(self.alphabet(LITERALS));
        State::Codes(LITERALS)
    }

    pub(super) fn alphabet(&self, kind: usize) -> usize {
        match kind {
            LITERALS => 256,
            COMMANDS => MAX_ALPHABET,
            _ => self.direct.wrapping_add(16).wrapping_add(48usize.wrapping_shl(self.postfix)),
        }
    }

    pub(super) fn codes(&mut self, kind: usize, bits: &mut Bits<'_>) -> Result<State, Halt> {
        let Some(code) = self.describe(bits)? else { return Ok(self.state) };
        let blocks = self.kind(kind)?;
        let count = usize::from(if kind == COMMANDS { blocks.types } else { blocks.trees });
        if blocks.codes.capacity() == 0 {
            blocks.codes.reserve_exact(count);
        }
        blocks.codes.push(code);
        let next = if blocks.codes.len() < count { kind } else { kind.wrapping_add(1) };
        if next == KINDS {
            return Ok(State::Command);
        }
        self.description.begin(self.alphabet(next));
        Ok(State::Codes(next))
    }

    /// Reads on in a code's description.
    pub(super) fn describe(&mut self, bits: &mut Bits<'_>) -> Result<Option<Code>, Halt> {
        match self.description.read(bits)? {
            Found::More => Ok(None),
            Found::Broken => Err(BROKEN),
            Found::Code(code) => {
                self.work = self.work.saturating_add(CODE).saturating_add(code.size() as u64);
                self.account(code.size())?;
                Ok(Some(code))
            }
        }
    }

    /// Counts what codes and maps take.
    pub(super) fn account(&mut self, bytes: usize) -> Result<(), Halt> {
        self.tables = self.tables.saturating_add(bytes);
        if self.tables > MAX_TABLES { Err(Halt::Stop(Stop::Unsupported)) } else { Ok(()) }
    }
}

fn behind_types(kind: usize) -> State {
    let next = kind.wrapping_add(1);
    if next < KINDS { State::Types(next) } else { State::Postfix }
}

/// A number from 1 to 256.
fn number(bits: &mut Bits<'_>) -> Result<u16, Lack> {
    if bits.read(1)? == 0 {
        return Ok(1);
    }
    let width = bits.read(3)?;
    let value = 1u32.wrapping_shl(width).wrapping_add(bits.read(width)?).wrapping_add(1);
    Ok(value as u16)
}

/// Undoes the map's own coding: each value is a place in a list whose entries move to the front when used.
pub(super) fn move_to_front(map: &mut [u8]) {
    let mut list = [0u8; 256];
    list.iter_mut().zip(0u8..=u8::MAX).for_each(|(place, value)| *place = value);
    for value in map {
        let place = usize::from(*value);
        *value = list.get(place).copied().unwrap_or_default();
        list.copy_within(..place, 1);
        list[0] = *value;
    }
}

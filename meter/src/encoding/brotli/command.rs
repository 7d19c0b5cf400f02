//! The commands of a meta-block: literals, and copies out of the window or the dictionary (RFC 7932, 4, 5, 8 and 9.3).

use brotli_decompressor::dictionary::{
    kBrotliDictionary, kBrotliDictionaryOffsetsByLength, kBrotliDictionarySizeBitsByLength,
};
use brotli_decompressor::transform::{TransformDictionaryWord, kNumTransforms};

use super::bits::{Bits, Lack};
use super::tables::{CELLS, INSERTS, context};
use super::{BROKEN, Brotli, COMMANDS, DISTANCES, Halt, LITERAL, LITERALS, PIECE, State, extra};

impl Brotli {
    pub(super) fn command(&mut self, bits: &mut Bits<'_>) -> Result<State, Halt> {
        if self.left == 0 {
            return match self.last {
                true if bits.align() => Ok(State::Over),
                true => Err(BROKEN),
                false => Ok(State::Head),
            };
        }
        let kind = self.kind(COMMANDS)?;
        if kind.left == 0 {
            self.behind = State::Command;
            return Ok(State::BlockSwitch(COMMANDS));
        }
        let code = kind.codes.get(usize::from(kind.now.1)).ok_or(BROKEN)?;
        let symbol = code.read(bits)?;
        let (insert, copy) = *CELLS.get(usize::from(symbol >> 6)).ok_or(BROKEN)?;
        let literals = extra(INSERTS.get(usize::from(insert.wrapping_add(symbol >> 3 & 7))), bits)?;
        kind.left = kind.left.wrapping_sub(1);
        self.implicit = symbol < 128;
        self.literals = literals;
        if literals > self.left {
            return Err(BROKEN);
        }
        Ok(State::CopyLength(copy.wrapping_add(symbol & 7)))
    }

    pub(super) fn literals(&mut self, bits: &mut Bits<'_>) -> Result<State, Halt> {
        let [kind, _, _] = &mut self.kinds;
        let mut result = Ok(());
        let wanted = self.literals.min(kind.left as usize).min(PIECE);
        let mode = self.modes.get(usize::from(kind.now.1)).copied().unwrap_or_default();
        let map = kind.map.get(usize::from(kind.now.1).wrapping_mul(64)..).unwrap_or_default();
        let room = self.window.room(wanted).ok_or(BROKEN)?;
        let mut made = 0usize;
        for target in room {
            bits.refill();
            let index = match kind.trees {
                1 => 0,
                _ => map.get(context(mode, self.before)).copied().map_or(usize::MAX, usize::from),
            };
            match kind.codes.get(index).map(|code| code.read(bits)) {
                Some(Ok(symbol)) => {
                    *target = symbol as u8;
                    self.before = (*target, self.before.0);
                    made = made.wrapping_add(1);
                }
                Some(Err(Lack)) => {
                    result = Err(Halt::Lack);
                    break;
                }
                None => return Err(BROKEN),
            }
        }
        self.window.advance(made);
        self.work = LITERAL.saturating_mul(made as u64);
        self.literals = self.literals.wrapping_sub(made);
        self.left = self.left.wrapping_sub(made);
        kind.left = kind.left.wrapping_sub(made as u32);
        // What was read stays read: there is nothing to be taken back if at least one literal was.
        if made == 0 {
            result?;
        }
        if self.literals > 0 {
            if kind.left == 0 {
                self.behind = State::Literals;
                return Ok(State::BlockSwitch(LITERALS));
            }
            return Ok(State::Literals);
        }
        // The last command of a meta-block may end here; what it would copy does not count.
        if self.left == 0 {
            return Ok(State::Command);
        }
        if self.implicit {
            self.distance = self.recent[0];
            return self.resolve();
        }
        Ok(State::Distance)
    }

    pub(super) fn distance(&mut self, bits: &mut Bits<'_>) -> Result<State, Halt> {
        let context = self.copy.saturating_sub(2).min(3);
        let direct = self.direct;
        let kind = self.kind(DISTANCES)?;
        if kind.left == 0 {
            self.behind = State::Distance;
            return Ok(State::BlockSwitch(DISTANCES));
        }
        let index = match kind.trees {
            1 => 0,
            _ => {
                let index = usize::from(kind.now.1).wrapping_mul(4).wrapping_add(context);
                kind.map.get(index).copied().map_or(usize::MAX, usize::from)
            }
        };
        let symbol = usize::from(kind.codes.get(index).ok_or(BROKEN)?.read(bits)?);
        kind.left = kind.left.wrapping_sub(1);
        let [first, second, third, fourth] = self.recent;
        let near = |base: usize, step: usize| {
            let by = (step / 2).wrapping_add(1);
            let distance = if step.is_multiple_of(2) { base.checked_sub(by) } else { base.checked_add(by) };
            distance.filter(|&distance| distance > 0).ok_or(BROKEN)
        };
        self.distance = match symbol {
            0 => {
                self.implicit = true;
                first
            }
            1 => second,
            2 => third,
            3 => fourth,
            4..=9 => near(first, symbol.wrapping_sub(4))?,
            10..=15 => near(second, symbol.wrapping_sub(10))?,
            _ => match symbol.wrapping_sub(16).checked_sub(direct) {
                None => symbol.wrapping_sub(15),
                Some(code) => return Ok(State::DistanceExtra(code)),
            },
        };
        self.resolve()
    }

    pub(super) fn distance_extra(&mut self, code: usize, bits: &mut Bits<'_>) -> Result<State, Halt> {
        let postfix = self.postfix;
        let high = code.wrapping_shr(postfix);
        let low = code & 1usize.wrapping_shl(postfix).wrapping_sub(1);
        let width = (high >> 1).wrapping_add(1) as u32;
        let offset = (2usize | high & 1).wrapping_shl(width).wrapping_sub(4);
        let steps = offset.wrapping_add(bits.read(width)? as usize).wrapping_shl(postfix);
        self.distance = steps.wrapping_add(low).wrapping_add(self.direct).wrapping_add(1);
        self.resolve()
    }

    /// The distance is known: it leads into the window or into the dictionary.
    pub(super) fn resolve(&mut self) -> Result<State, Halt> {
        let written = usize::try_from(self.window.written()).unwrap_or(usize::MAX);
        let reach = self.reach.min(written);
        match self.distance.checked_sub(reach.wrapping_add(1)) {
            Some(word) => {
                let mut target = [0; MAX_WORD];
                let word = self::word(self.copy, word, &mut target).ok_or(BROKEN)?;
                self.left = self.left.checked_sub(word.len()).ok_or(BROKEN)?;
                self.window.push(word).ok_or(BROKEN)?;
                for &byte in word.get(word.len().saturating_sub(2)..).unwrap_or_default() {
                    self.before = (byte, self.before.0);
                }
                Ok(State::Command)
            }
            // A word can be shorter than what it is copied for; a copy out of the window is not.
            None if self.copy > self.left => Err(BROKEN),
            None => {
                if !self.implicit {
                    let [first, second, third, _] = self.recent;
                    self.recent = [self.distance, first, second, third];
                }
                Ok(State::Copy)
            }
        }
    }

    pub(super) fn copy(&mut self) -> Result<State, Halt> {
        let size = self.copy.min(PIECE);
        self.window.repeat(self.distance, size).ok_or(BROKEN)?;
        self.copy = self.copy.wrapping_sub(size);
        self.left = self.left.wrapping_sub(size);
        if self.copy > 0 {
            return Ok(State::Copy);
        }
        self.before = self.window.last();
        Ok(State::Command)
    }

    pub(super) fn block_switch(&mut self, kind: usize, bits: &mut Bits<'_>) -> Result<State, Halt> {
        let blocks = self.kind(kind)?;
        let symbol = blocks.type_code.read(bits)?;
        let (before, now) = blocks.now;
        let next = match symbol {
            0 => before,
            1 => now.wrapping_add(1),
            _ => symbol.wrapping_sub(2),
        };
        let next = if next >= blocks.types { next.wrapping_sub(blocks.types) } else { next };
        blocks.now = (now, next);
        Ok(State::BlockCount(kind))
    }
}

/// The longest word with what its transform puts around it.
pub(super) const MAX_WORD: usize = 64;

/// A word of the dictionary, transformed.
pub(super) fn word(length: usize, number: usize, target: &mut [u8; MAX_WORD]) -> Option<&[u8]> {
    let bits = *kBrotliDictionarySizeBitsByLength.get(length).filter(|&&bits| bits > 0)?;
    let index = number & 1usize.wrapping_shl(u32::from(bits)).wrapping_sub(1);
    let transform = i32::try_from(number.wrapping_shr(u32::from(bits))).ok()?;
    if transform >= kNumTransforms {
        return None;
    }
    let start = (*kBrotliDictionaryOffsetsByLength.get(length)? as usize).checked_add(index.checked_mul(length)?)?;
    let word = kBrotliDictionary.get(start..start.checked_add(length)?)?;
    let made = TransformDictionaryWord(target, word, length as i32, transform);
    target.get(..usize::try_from(made).ok()?)
}

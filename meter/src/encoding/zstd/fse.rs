//! Finite state entropy: tables of states, built from the probabilities of symbols (RFC 8878, 4.1).

use super::bits::{Backward, Forward};

/// A state: what it stands for and where it leads.
#[derive(Clone, Copy, Default)]
struct Entry {
    base: u16,
    symbol: u8,
    bits: u8,
}

/// A table of at most `N` states.
pub(super) struct Fse<const N: usize> {
    entries: [Entry; N],
    /// States, as a power of two.
    log: u32,
    ready: bool,
    /// It is the one that need not be told.
    preset: bool,
}

/// The symbols of any code here.
const MAX_SYMBOLS: usize = 256;

impl<const N: usize> Fse<N> {
    pub(super) fn new() -> Self {
        Fse { entries: [Entry::default(); N], log: 0, ready: false, preset: false }
    }

    pub(super) fn forget(&mut self) {
        self.ready = false;
    }

    /// Whether there is a table to be used again.
    pub(super) fn is_ready(&self) -> bool {
        self.ready
    }

    /// Whether it is still the table that need not be told; then it is used again.
    pub(super) fn reuse_preset(&mut self) -> bool {
        self.ready |= self.preset;
        self.preset
    }

    /// Builds that table.
    pub(super) fn preset(&mut self, odds: &[i16], log: u32) -> Option<()> {
        self.build(odds, log)?;
        self.preset = true;
        Some(())
    }

    /// A table that says the same symbol for ever.
    pub(super) fn constant(&mut self, symbol: u8) {
        if let Some(entry) = self.entries.first_mut() {
            *entry = Entry { symbol, base: 0, bits: 0 };
            self.log = 0;
            self.ready = true;
            self.preset = false;
        }
    }

    /// Reads a table of symbols below `symbols`; returns the bytes it took.
    pub(super) fn parse(&mut self, bytes: &[u8], symbols: usize) -> Option<usize> {
        self.ready = false;
        let mut bits = Forward::new(bytes);
        let log = bits.peek(4).wrapping_add(5);
        bits.skip(4)?;
        if log > N.checked_ilog2()? {
            return None;
        }
        let mut odds = [0i16; MAX_SYMBOLS];
        let mut odds_left = odds.get_mut(..symbols)?.iter_mut();
        let mut left = 1u32.wrapping_shl(log);
        while left > 0 {
            let most = left.wrapping_add(1);
            let width = most.checked_ilog2()?.wrapping_add(1);
            let value = bits.peek(width);
            let short = 1u32.wrapping_shl(width).wrapping_sub(1).wrapping_sub(most);
            let half = 1u32.wrapping_shl(width.wrapping_sub(1)).wrapping_sub(1);
            let value = if value & half < short {
                bits.skip(width.wrapping_sub(1))?;
                value & half
            } else {
                bits.skip(width)?;
                if value > half { value.wrapping_sub(short) } else { value }
            };
            // 0 stands for "less than one", which takes one state.
            left = left.checked_sub(if value == 0 { 1 } else { value.wrapping_sub(1) })?;
            *odds_left.next()? = i16::try_from(value).ok()?.wrapping_sub(1);
            // Behind a symbol that does not occur it says how many more do not.
            let mut more = value == 1;
            while more {
                let absent = bits.peek(2);
                bits.skip(2)?;
                for _ in 0..absent {
                    odds_left.next()?;
                }
                more = absent == 3;
            }
        }
        self.build(&odds, log)?;
        Some(bits.bytes())
    }

    /// Builds the table from the states that each symbol has; -1 is one state at the end.
    pub(super) fn build(&mut self, odds: &[i16], log: u32) -> Option<()> {
        self.ready = false;
        self.preset = false;
        let size = 1usize.wrapping_shl(log);
        let entries = self.entries.get_mut(..size)?;
        let mut end = size;
        let mut counts = [0u16; MAX_SYMBOLS];
        for ((symbol, &odd), count) in (0u8..=u8::MAX).zip(odds).zip(&mut counts) {
            if odd == -1 {
                end = end.checked_sub(1)?;
                entries.get_mut(end)?.symbol = symbol;
            }
            *count = odd.unsigned_abs();
        }
        let step = (size >> 1).wrapping_add(size >> 3).wrapping_add(3);
        let mask = size.wrapping_sub(1);
        let mut at = 0usize;
        for (symbol, &odd) in (0u8..=u8::MAX).zip(odds) {
            for _ in 0..odd.max(0) {
                entries.get_mut(at)?.symbol = symbol;
                // The step is odd: this visits every state before it comes round.
                at = at.wrapping_add(step) & mask;
                while at >= end && end > 0 {
                    at = at.wrapping_add(step) & mask;
                }
            }
        }
        for entry in entries {
            let count = counts.get_mut(usize::from(entry.symbol))?;
            let bits = log.checked_sub(count.checked_ilog2()?)?;
            entry.bits = bits as u8;
            entry.base = u16::try_from((u32::from(*count).wrapping_shl(bits)).checked_sub(size as u32)?).ok()?;
            *count = count.wrapping_add(1);
        }
        self.log = log;
        self.ready = true;
        Some(())
    }

    /// Where the states begin.
    pub(super) fn start(&self, bits: &mut Backward<'_>) -> Option<State> {
        self.entries.get(bits.read(self.log)? as usize).copied().map(State)
    }

    /// The next state.
    pub(super) fn next(&self, state: &mut State, bits: &mut Backward<'_>) -> Option<()> {
        let add = bits.read(u32::from(state.0.bits))? as usize;
        state.0 = *self.entries.get(usize::from(state.0.base).wrapping_add(add))?;
        Some(())
    }
}

/// A decoder's place in a table.
#[derive(Clone, Copy)]
pub(super) struct State(Entry);

impl State {
    pub(super) fn symbol(self) -> u8 {
        self.0.symbol
    }
}

//! The counts of an answer, in little memory: every open stream has them.

use super::numbers::{NUMBERS, Number};

/// The counts that were given: a few, of the many that there are names for.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// A bit for each that is in the list: most questions are for others.
    given: u128,
    list: Vec<(Number, u64)>,
}

const _: () = assert!(NUMBERS <= u128::BITS as usize);

impl Counts {
    fn bit(number: Number) -> u128 {
        1u128.checked_shl(number as u32).unwrap_or(0)
    }

    /// A count, if it was given.
    pub(super) fn get(&self, number: Number) -> Option<u64> {
        if self.given & Self::bit(number) == 0 {
            return None;
        }
        self.list.iter().find(|(given, _)| *given == number).map(|(_, count)| *count)
    }

    /// Takes a count, in place of one before.
    pub(super) fn set(&mut self, number: Number, count: u64) {
        self.given |= Self::bit(number);
        match self.list.iter_mut().find(|(given, _)| *given == number) {
            Some((_, known)) => *known = count,
            None => self.list.push((number, count)),
        }
    }
}

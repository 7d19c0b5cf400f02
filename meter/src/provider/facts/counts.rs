//! The counts of a response, in little memory: every open stream has them.

use std::cell::Cell;

use super::numbers::{NUMBERS, Number};

/// The counts that were given: a few, of the many that there are names for.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Those that are in the list: most questions are for others.
    given: Set,
    /// Those whose last value was zero, though they had been given.
    taken_back: Set,
    /// Those that somebody asked for.
    read: Cell<Set>,
    list: Vec<(Number, u64)>,
}

/// A bit for each number.
#[derive(Clone, Copy, Debug, Default)]
struct Set([u128; 2]);

const _: () = assert!(NUMBERS <= 2 * u128::BITS as usize);

impl Set {
    fn place(number: Number) -> (usize, u128) {
        let number = number as u32;
        let word = usize::from(number >= u128::BITS);
        (word, 1u128.checked_shl(number % u128::BITS).unwrap_or(0))
    }

    fn has(&self, number: Number) -> bool {
        let (word, bit) = Self::place(number);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn put(&mut self, number: Number, is_there: bool) {
        let (word, bit) = Self::place(number);
        if let Some(bits) = self.0.get_mut(word) {
            *bits = if is_there { *bits | bit } else { *bits & !bit };
        }
    }
}

impl Counts {
    /// A count, if it was given.
    pub(super) fn get(&self, number: Number) -> Option<u64> {
        if !self.given.has(number) {
            return None;
        }
        let mut read = self.read.get();
        read.put(number, true);
        self.read.set(read);
        self.list.iter().find(|(given, _)| *given == number).map(|(_, count)| *count)
    }

    /// Takes a count, in place of one before.
    pub(super) fn set(&mut self, number: Number, count: u64) {
        self.given.put(number, true);
        self.taken_back.put(number, false);
        match self.list.iter_mut().find(|(given, _)| *given == number) {
            Some((_, known)) => *known = count,
            None => self.list.push((number, count)),
        }
    }

    /// Forgets who has asked for what.
    pub(super) fn forget_reads(&self) {
        self.read.set(Set::default());
    }

    /// What was given and nobody has asked for, unless something that was read says the same.
    pub(super) fn unread(&self) -> impl Iterator<Item = Number> {
        let read = self.read.get();
        let is_said = move |count: u64| self.list.iter().any(|(known, same)| read.has(*known) && *same == count);
        let unread = self.list.iter().filter(move |(number, count)| *count > 0 && !read.has(*number));
        unread.filter(move |(_, count)| !is_said(*count)).map(|(number, _)| *number)
    }

    /// Notes that a count that was given is zero now.
    pub(super) fn take_back(&mut self, number: Number) {
        self.taken_back.put(number, true);
    }

    /// Whether the last value of a count was zero.
    pub(super) fn is_zero_last(&self, number: Number) -> bool {
        self.taken_back.has(number) || self.get(number) == Some(0)
    }
}

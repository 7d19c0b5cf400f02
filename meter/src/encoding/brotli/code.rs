//! Prefix codes of brotli: how they are used, built and read (RFC 7932, 3).

use super::bits::{Bits, Lack};

/// The longest code, bits.
const MAX_BITS: usize = 15;
/// The largest alphabet: insert-and-copy lengths.
pub(super) const MAX_ALPHABET: usize = 704;
/// Bits that are looked up at once; longer codes take a second look.
const ROOT: u32 = 8;

/// A code as tables.
///
/// An entry's lower four bits are the length of the code, and those above them the symbol. A length above [`ROOT`]
/// leads on: to a table at that place, for as many further bits.
#[derive(Default)]
pub(super) struct Code {
    root: u32,
    entries: Box<[u16]>,
}

impl Code {
    /// A code of one symbol, which takes no bits.
    pub(super) fn one(symbol: u16) -> Self {
        Code { root: 0, entries: vec![symbol << 4].into_boxed_slice() }
    }

    /// What it takes, bytes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>().saturating_add(self.entries.len().saturating_mul(2))
    }

    /// Builds the code of these lengths; `None` if they leave something over or take too much.
    pub(super) fn build(lengths: &[u8]) -> Option<Self> {
        let mut counts = [0u16; MAX_BITS + 1];
        for &length in lengths {
            let count = counts.get_mut(usize::from(length))?;
            *count = count.wrapping_add(1);
        }
        counts[0] = 0;
        let mut space = 1i32 << MAX_BITS;
        let mut longest = 0u32;
        for (length, &count) in (0u32..).zip(&counts) {
            space = space.checked_sub(i32::from(count).checked_mul((1i32 << MAX_BITS).checked_shr(length)?)?)?;
            longest = if count > 0 { length } else { longest };
        }
        if space != 0 {
            return None;
        }
        let root = longest.min(ROOT);
        let size = 1usize.wrapping_shl(root);
        let mut entries = vec![0u16; size];
        let mut code = 0u32;
        // The table that codes longer than the root are put into: which, where and of how many bits.
        let mut second = (u32::MAX, 0usize, 0u32);
        // The symbols by the lengths of their codes, in one pass: a code of few bits may describe many.
        let mut sorted = [0u16; MAX_ALPHABET];
        let mut ends = [0usize; MAX_BITS + 1];
        let mut end = 0usize;
        for (place, &count) in ends.iter_mut().zip(&counts) {
            *place = end;
            end = end.wrapping_add(usize::from(count));
        }
        for (symbol, &length) in (0u16..).zip(lengths).filter(|(_, length)| **length > 0) {
            let place = ends.get_mut(usize::from(length))?;
            *sorted.get_mut(*place)? = symbol;
            *place = place.wrapping_add(1);
        }
        let mut symbols = sorted.iter();
        for length in 1..=longest {
            code = code.wrapping_shl(1);
            for &symbol in symbols.by_ref().take(counts.get(length as usize).copied().map_or(0, usize::from)) {
                if length <= root {
                    let entry = symbol << 4 | length as u16;
                    spread(entries.get_mut(..size)?, reversed(code, length), length, entry);
                } else {
                    let over = length.wrapping_sub(root);
                    let place = reversed(code.wrapping_shr(over), root);
                    if second.0 != place {
                        second = (place, entries.len(), second_size(&counts, length, root)?);
                        *entries.get_mut(place as usize)? =
                            u16::try_from(second.1).ok()? << 4 | ROOT.wrapping_add(second.2) as u16;
                        entries.resize(entries.len().checked_add(1usize.wrapping_shl(second.2))?, 0);
                    }
                    let low = code & 1u32.wrapping_shl(over).wrapping_sub(1);
                    spread(entries.get_mut(second.1..)?, reversed(low, over), over, symbol << 4 | over as u16);
                }
                let count = counts.get_mut(length as usize)?;
                *count = count.wrapping_sub(1);
                code = code.wrapping_add(1);
            }
        }
        Some(Code { root, entries: entries.into_boxed_slice() })
    }

    /// Reads a symbol.
    pub(super) fn read(&self, bits: &mut Bits<'_>) -> Result<u16, Lack> {
        let mut entry = self.at(bits.peek(self.root) as usize);
        let mut length = u32::from(entry & 15);
        if length > ROOT {
            let further = bits.peek(length).wrapping_shr(ROOT) as usize;
            entry = self.at(usize::from(entry >> 4).wrapping_add(further));
            length = ROOT.wrapping_add(u32::from(entry & 15));
        }
        bits.skip(length)?;
        Ok(entry >> 4)
    }

    fn at(&self, index: usize) -> u16 {
        self.entries.get(index).copied().unwrap_or_default()
    }
}

/// Codes are read from their highest bit on, but stand in the stream from the lowest on.
fn reversed(code: u32, length: u32) -> u32 {
    code.reverse_bits().checked_shr(32u32.wrapping_sub(length)).unwrap_or(0)
}

/// Writes an entry to all places whose lower bits are the code.
fn spread(table: &mut [u16], code: u32, length: u32, entry: u16) {
    let step = 1usize.wrapping_shl(length);
    table.iter_mut().skip(code as usize).step_by(step).for_each(|place| *place = entry);
}

/// The bits of a second table that begins with codes of this length.
fn second_size(counts: &[u16; MAX_BITS + 1], length: u32, root: u32) -> Option<u32> {
    let mut bits = length.wrapping_sub(root);
    let mut left = 1i32.wrapping_shl(bits);
    while root.wrapping_add(bits) < MAX_BITS as u32 {
        left = left.wrapping_sub(i32::from(*counts.get(root.wrapping_add(bits) as usize)?));
        if left <= 0 {
            break;
        }
        bits = bits.wrapping_add(1);
        left = left.wrapping_shl(1);
    }
    Some(bits)
}

/// Reads a code's description, however it is split.
pub(super) struct Description {
    alphabet: usize,
    step: Step,
    lengths: [u8; MAX_ALPHABET],
    /// Symbols whose length is known.
    at: usize,
    /// The code of the lengths.
    code: Code,
    /// What the lengths leave of the code, of 2^15.
    space: i32,
    /// The last length that is not zero.
    before: u8,
    /// A length that is being repeated, and how often so far.
    repeated: (u8, usize),
}

#[derive(Clone, Copy)]
enum Step {
    Kind,
    /// As many symbols and nothing else.
    Simple(u32),
    /// The lengths of the code of lengths, from this one on.
    Inner(usize),
    Lengths,
}

/// The order in which the lengths of the code of lengths come.
const ORDER: [usize; 18] = [1, 2, 3, 4, 0, 5, 17, 6, 16, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// How they are coded: by the next four bits the length of the code and what it stands for.
const INNER: [(u8, u8); 16] = [
    (2, 0),
    (2, 4),
    (2, 3),
    (3, 2),
    (2, 0),
    (2, 4),
    (2, 3),
    (4, 1),
    (2, 0),
    (2, 4),
    (2, 3),
    (3, 2),
    (2, 0),
    (2, 4),
    (2, 3),
    (4, 5),
];
const SPACE: i32 = 1 << MAX_BITS;

/// What a step can come to.
pub(super) enum Found {
    /// There is more to read.
    More,
    /// The code.
    Code(Code),
    /// It breaks the rules.
    Broken,
}

impl Description {
    pub(super) fn new() -> Box<Self> {
        Box::new(Description {
            alphabet: 0,
            step: Step::Kind,
            lengths: [0; MAX_ALPHABET],
            at: 0,
            code: Code::default(),
            space: 0,
            before: 8,
            repeated: (0, 0),
        })
    }

    /// Another code begins.
    pub(super) fn begin(&mut self, alphabet: usize) {
        self.alphabet = alphabet.min(MAX_ALPHABET);
        self.step = Step::Kind;
        self.lengths = [0; MAX_ALPHABET];
        self.at = 0;
        self.before = 8;
        self.repeated = (0, 0);
    }

    /// Reads on, at most 56 bits.
    pub(super) fn read(&mut self, bits: &mut Bits<'_>) -> Result<Found, Lack> {
        match self.step {
            Step::Kind => match bits.read(2)? {
                1 => self.step = Step::Simple(bits.read(2)?.wrapping_add(1)),
                skipped => {
                    self.space = 32;
                    self.step = Step::Inner(skipped as usize);
                }
            },
            Step::Simple(count) => return self.simple(count, bits),
            Step::Inner(index) => return self.inner(index, bits),
            Step::Lengths => return self.length(bits),
        }
        Ok(Found::More)
    }

    fn simple(&mut self, count: u32, bits: &mut Bits<'_>) -> Result<Found, Lack> {
        let width = (self.alphabet as u32).wrapping_sub(1).checked_ilog2().map_or(0, |log| log.wrapping_add(1));
        let mut symbols = [0u16; 4];
        let used = symbols.get_mut(..count as usize).unwrap_or_default();
        for symbol in used.iter_mut() {
            *symbol = bits.read(width)? as u16;
        }
        let by_depth = count == 4 && bits.read(1)? == 1;
        let lengths: &[u8] = match (count, by_depth) {
            (1, _) => &[0],
            (2, _) => &[1, 1],
            (3, _) => &[1, 2, 2],
            (_, false) => &[2, 2, 2, 2],
            _ => &[1, 2, 3, 3],
        };
        for (symbol, length) in used.iter().zip(lengths) {
            match self.lengths.get_mut(..self.alphabet).and_then(|known| known.get_mut(usize::from(*symbol))) {
                Some(known) if *known == 0 => *known = *length,
                _ => return Ok(Found::Broken),
            }
        }
        if count == 1 {
            return Ok(Found::Code(Code::one(symbols[0])));
        }
        Ok(self.build())
    }

    fn inner(&mut self, index: usize, bits: &mut Bits<'_>) -> Result<Found, Lack> {
        if let Some(&symbol) = ORDER.get(index).filter(|_| self.space > 0) {
            let (width, length) = INNER.get(bits.peek(4) as usize).copied().unwrap_or_default();
            bits.skip(u32::from(width))?;
            if let Some(known) = self.lengths.get_mut(symbol) {
                *known = length;
            }
            if length > 0 {
                self.space = self.space.wrapping_sub(32i32.wrapping_shr(u32::from(length)));
            }
            self.step = Step::Inner(index.wrapping_add(1));
            return Ok(Found::More);
        }
        let lengths = self.lengths.get(..ORDER.len()).unwrap_or_default();
        let mut used = (0u16..).zip(lengths).filter(|(_, length)| **length > 0);
        let code = match (used.next(), used.next()) {
            (Some((symbol, _)), None) => Some(Code::one(symbol)),
            _ => Code::build(lengths),
        };
        let Some(code) = code else { return Ok(Found::Broken) };
        self.code = code;
        self.lengths = [0; MAX_ALPHABET];
        self.space = SPACE;
        self.step = Step::Lengths;
        Ok(Found::More)
    }

    fn length(&mut self, bits: &mut Bits<'_>) -> Result<Found, Lack> {
        if self.at >= self.alphabet || self.space <= 0 {
            return Ok(self.build());
        }
        let symbol = self.code.read(bits)? as u8;
        let (length, count) = match symbol {
            0..=15 => {
                self.repeated.1 = 0;
                if symbol > 0 {
                    self.before = symbol;
                }
                (symbol, 1)
            }
            _ => {
                let (length, width) = if symbol == 16 { (self.before, 2) } else { (0, 3) };
                let more = bits.read(width)? as usize;
                let so_far = if self.repeated.0 == length { self.repeated.1 } else { 0 };
                let grown = if so_far > 0 { so_far.wrapping_sub(2).wrapping_shl(width) } else { 0 };
                // Beyond the alphabet it is refused below: it does not grow without end.
                let now = grown.wrapping_add(more).wrapping_add(3);
                self.repeated = (length, now);
                (length, now.wrapping_sub(so_far))
            }
        };
        let end = self.at.wrapping_add(count);
        match self.lengths.get_mut(..self.alphabet).and_then(|lengths| lengths.get_mut(self.at..end)) {
            Some(lengths) => lengths.fill(length),
            None => return Ok(Found::Broken),
        }
        self.at = end;
        if length > 0 {
            let taken = SPACE.wrapping_shr(u32::from(length)).wrapping_mul(count as i32);
            self.space = self.space.wrapping_sub(taken);
        }
        Ok(Found::More)
    }

    fn build(&self) -> Found {
        match self.lengths.get(..self.alphabet).and_then(Code::build) {
            Some(code) => Found::Code(code),
            None => Found::Broken,
        }
    }
}

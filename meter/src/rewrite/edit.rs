//! The changes of one chunk: nothing is copied before the first of them.

/// Most chunks grow by less, bytes: what was held of the one before, and what is added.
const USUAL: usize = 256;

/// What becomes of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It passes as it is.
    None,
    /// It passes, with what was written behind it.
    Behind,
    /// What was written goes in its place.
    Whole,
}

/// A chunk, and what is written instead.
pub(super) struct Edit<'a> {
    bytes: &'a [u8],
    out: &'a mut Vec<u8>,
    /// So many bytes of the chunk are written, or dropped.
    done: usize,
    changed: bool,
}

impl<'a> Edit<'a> {
    pub(super) fn new(bytes: &'a [u8], out: &'a mut Vec<u8>) -> Self {
        Edit { bytes, out, done: 0, changed: false }
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Writes bytes before the one at a place.
    pub(super) fn insert(&mut self, at: usize, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.write_up_to(at);
            self.out.extend_from_slice(bytes);
        }
    }

    /// Leaves bytes out.
    pub(super) fn drop(&mut self, from: usize, to: usize) {
        if from < to {
            self.write_up_to(from);
            self.done = to;
        }
    }

    fn write_up_to(&mut self, at: usize) {
        if !self.changed {
            self.changed = true;
            self.out.reserve(self.bytes.len().saturating_add(USUAL));
        }
        self.out.extend_from_slice(self.bytes.get(self.done..at).unwrap_or_default());
        self.done = self.done.max(at);
    }

    /// So much white space goes behind it all.
    pub(super) fn finish(mut self, pad: usize) -> Change {
        if self.changed {
            self.write_up_to(self.bytes.len());
        }
        self.out.resize(self.out.len().saturating_add(pad), b' ');
        match (self.changed, pad) {
            (true, _) => Change::Whole,
            (false, 0) => Change::None,
            (false, _) => Change::Behind,
        }
    }
}

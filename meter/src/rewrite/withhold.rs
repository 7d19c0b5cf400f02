//! Takes the chunk that answers `include_usage` out of a stream, for a client that did not ask.
//!
//! That chunk has usage and no choices. Bytes of an event wait only until it is clear that it is another one: at its first
//! choice, or at the end of the event, before which no client can read it anyway.

use crate::scan::{Paths, Progress, Scalar, Scanner, Sink, run};
use std::sync::OnceLock;

/// An event longer than this is none of those, bytes: they take some 500.
const MAX_HELD: usize = 8 * 1024;

const DATA: &[u8] = b"data:";

#[derive(Clone, Copy, Debug)]
enum Mark {
    Choice,
    Usage,
}

fn paths() -> &'static Paths<Mark> {
    static PATHS: OnceLock<Paths<Mark>> = OnceLock::new();
    PATHS.get_or_init(|| Paths::new(&[], &[("choices[]", Mark::Choice), ("usage", Mark::Usage)], &[]))
}

#[derive(Debug, Default)]
struct Marks {
    choice: bool,
    usage: bool,
}

impl Sink<Mark> for Marks {
    fn scalar(&mut self, _: Mark, _: Scalar<'_>) {}
    fn raw_begin(&mut self, mark: Mark) {
        self.choice |= matches!(mark, Mark::Choice);
    }
    fn raw(&mut self, _: Mark, _: &[u8]) {}
    fn raw_end(&mut self, mark: Mark) {
        self.usage |= matches!(mark, Mark::Usage);
    }
    fn flow(&mut self, _: Mark, _: &[u8]) {}
}

/// Filters one answer.
#[derive(Debug, Default)]
pub struct Withhold {
    /// The bytes of an event that is not decided yet.
    held: Vec<u8>,
    /// The current event passes.
    passes: bool,
    /// So many bytes of the line seen, up to the field's name.
    line: usize,
    /// The line is a `data` field.
    is_data: bool,
    scanner: Scanner<Mark>,
    marks: Marks,
    /// The last event was taken out and ended with a CR: a LF now belongs to it.
    after_cr: AfterCr,
}

/// What a LF behind a CR belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum AfterCr {
    #[default]
    No,
    Kept,
    TakenOut,
}

impl Withhold {
    /// Passes on a chunk into `out`, without what is held or taken out.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            let used = if byte == b'\n' || byte == b'\r' {
                self.line_end(byte, out);
                1
            } else {
                self.after_cr = AfterCr::No;
                let length = self.content(rest);
                self.keep(rest.get(..length).unwrap_or_default(), out);
                length
            };
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    /// The answer is over: what is held passes.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if !self.is_answer() {
            out.append(&mut self.held);
        }
        self.held.clear();
    }

    /// A run of bytes within a line; returns how many.
    fn content(&mut self, rest: &[u8]) -> usize {
        if let Some(&expected) = DATA.get(self.line) {
            self.is_data = (self.line == 0 || self.is_data) && rest.first() == Some(&expected);
            self.line = self.line.saturating_add(1);
            return 1;
        }
        let length = run(rest, [b'\n', b'\r']);
        self.line = self.line.saturating_add(length);
        if self.is_data && !self.passes {
            self.scanner.feed(paths(), rest.get(..length).unwrap_or_default(), &mut self.marks);
            // A choice, another object, or none at all: not the one.
            self.passes |= match self.scanner.progress() {
                Progress::Broken => true,
                Progress::Done => !self.is_answer(),
                Progress::Empty | Progress::Inside => self.marks.choice,
            };
        }
        length
    }

    /// Holds bytes of the event, or passes them on.
    fn keep(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if !self.passes && self.held.len().saturating_add(bytes.len()) > MAX_HELD {
            self.passes = true;
        }
        if self.passes {
            out.append(&mut self.held);
            out.extend_from_slice(bytes);
        } else {
            self.held.extend_from_slice(bytes);
        }
    }

    fn line_end(&mut self, byte: u8, out: &mut Vec<u8>) {
        match (std::mem::take(&mut self.after_cr), byte) {
            (AfterCr::TakenOut, b'\n') => return,
            (AfterCr::Kept, b'\n') => return self.keep_behind(byte, out),
            _ => {}
        }
        let blank = self.line == 0;
        self.line = 0;
        self.is_data = false;
        if !blank {
            self.after_cr = if byte == b'\r' { AfterCr::Kept } else { AfterCr::No };
            return self.keep(&[byte], out);
        }
        let taken_out = !self.passes && self.is_answer();
        if taken_out {
            self.held.clear();
        } else {
            out.append(&mut self.held);
            out.push(byte);
        }
        if byte == b'\r' {
            self.after_cr = if taken_out { AfterCr::TakenOut } else { AfterCr::Kept };
        }
        self.passes = false;
        self.marks = Marks::default();
        self.scanner.reset();
    }

    /// A LF that belongs to a CR before it goes where that went.
    fn keep_behind(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.held.is_empty() { out.push(byte) } else { self.keep(&[byte], out) }
    }

    /// Whether the event that is held is the answer to `include_usage`.
    fn is_answer(&self) -> bool {
        self.marks.usage && !self.marks.choice && self.scanner.progress() == Progress::Done
    }
}

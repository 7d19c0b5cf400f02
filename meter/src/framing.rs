//! Chunks of a body to the JSON values inside it: finds the framing by the first bytes, then feeds a scanner.
//!
//! The content type is only a hint: providers answer with JSON where a stream was asked for, and the other way round.

mod sse;

use sse::Sse;

use crate::scan::{Paths, Progress, Scanner, Sink};

/// What a body turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// No byte of content yet.
    Empty,
    /// One JSON value.
    Json,
    /// A stream of server-sent events.
    Sse,
    /// Nothing the meter reads.
    Unknown,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Where its format lets it end.
    Whole,
    /// In the middle of a value.
    Cut,
    /// It broke the rules of its format somewhere.
    Broken,
}

/// Takes the values of a body.
pub trait Values<L>: Sink<L> {
    /// A value of a stream has ended, whole or broken.
    fn value_end(&mut self) {}
    /// The stream's own end marker, `[DONE]`.
    fn done(&mut self) {}
}

/// Reads one body. Holds no content beside the scanner's short buffers.
#[derive(Clone, Debug)]
pub struct Body<L> {
    format: Format,
    says_stream: bool,
    sse: Sse,
    scanner: Scanner<L>,
    /// A value of the stream was broken.
    broken: bool,
}

impl<L: Copy> Body<L> {
    /// A body; `content_type` as the header says, in any case.
    pub fn new(content_type: Option<&[u8]>) -> Self {
        let stream = b"text/event-stream";
        let says_stream = content_type
            .and_then(|value| value.trim_ascii_start().get(..stream.len()))
            .is_some_and(|value| value.eq_ignore_ascii_case(stream));
        Body { format: Format::Empty, says_stream, sse: Sse::default(), scanner: Scanner::default(), broken: false }
    }

    /// What it turned out to be.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Reads on.
    pub fn feed(&mut self, paths: &Paths<L>, bytes: &[u8], values: &mut impl Values<L>) {
        let mut bytes = bytes;
        if self.format == Format::Empty {
            bytes = bytes.trim_ascii_start();
            let Some(&first) = bytes.first() else { return };
            self.format = self.sniff(first);
        }
        match self.format {
            Format::Json => self.scanner.feed(paths, bytes, values),
            Format::Sse => {
                let mut events = Events { paths, scanner: &mut self.scanner, values, broken: &mut self.broken };
                self.sse.feed(bytes, &mut events);
            }
            Format::Empty | Format::Unknown => {}
        }
    }

    /// The body is over: a last event without its blank line still counts.
    pub fn end(&mut self, paths: &Paths<L>, values: &mut impl Values<L>) -> Ending {
        match self.format {
            Format::Empty | Format::Unknown => Ending::Whole,
            Format::Json => match self.scanner.progress() {
                Progress::Done | Progress::Empty => Ending::Whole,
                Progress::Inside => Ending::Cut,
                Progress::Broken => Ending::Broken,
            },
            Format::Sse => {
                let cut = self.scanner.progress() == Progress::Inside;
                let mut events = Events { paths, scanner: &mut self.scanner, values, broken: &mut self.broken };
                self.sse.end(&mut events);
                match (self.broken, cut) {
                    (_, true) => Ending::Cut,
                    (true, false) => Ending::Broken,
                    (false, false) => Ending::Whole,
                }
            }
        }
    }

    fn sniff(&self, first: u8) -> Format {
        match first {
            b'{' | b'[' => Format::Json,
            // The byte order mark, a comment, or one of `data`, `event`, `id`, `retry`.
            0xef | b':' | b'd' | b'e' | b'i' | b'r' => Format::Sse,
            _ if self.says_stream => Format::Sse,
            _ => Format::Unknown,
        }
    }
}

/// Feeds the data of each event to a scanner of its own start.
struct Events<'a, L, V> {
    paths: &'a Paths<L>,
    scanner: &'a mut Scanner<L>,
    values: &'a mut V,
    broken: &'a mut bool,
}

impl<L: Copy, V: Values<L>> sse::Events for Events<'_, L, V> {
    fn data(&mut self, bytes: &[u8]) {
        self.scanner.feed(self.paths, bytes, self.values);
    }

    fn end(&mut self, is_done_marker: bool) {
        if is_done_marker {
            self.values.done();
        } else {
            *self.broken |= matches!(self.scanner.progress(), Progress::Broken | Progress::Inside);
            self.values.value_end();
        }
        self.scanner.reset();
    }
}

#[cfg(test)]
mod tests;

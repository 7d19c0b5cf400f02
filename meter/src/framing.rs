//! Chunks of a body to the JSON values inside it: finds the framing by the first bytes, then feeds a scanner.
//!
//! The content type is only a hint: providers response with JSON where a stream was asked for, and the other way round.

mod event_stream;
mod json;
mod sse;
mod template;

use event_stream::EventStream;
use json::Json;
use sse::Sse;
use template::{Template, Traced};

use crate::scan::{Paths, Progress, Scanner, Sink};

/// What a body turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// No byte of content yet.
    Empty,
    /// JSON values: one, one a line, or those of one array.
    Json,
    /// A stream of server-sent events.
    Sse,
    /// `application/vnd.amazon.eventstream`: binary frames around JSON.
    EventStream,
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
    /// What the body turned out to be, before its first value.
    fn format(&mut self, _format: Format) {}
    /// A value has ended, whole or broken.
    fn value_end(&mut self) {}
    /// The stream's own end marker, `[DONE]`.
    fn done(&mut self) {}
    /// The name of an exception that ends an AWS event stream.
    fn exception(&mut self, _name: &[u8]) {}
    /// Whether a flowing text is a JSON value in base64, to be read in its place.
    fn is_wrapped(_leaf: L) -> bool {
        false
    }
}

/// Reads one body. Holds no content beside the scanner's short buffers.
#[derive(Clone, Debug)]
pub struct Body<L> {
    format: Format,
    hint: Hint,
    /// Bytes of a byte order mark seen.
    mark: usize,
    sse: Sse,
    json: Json,
    /// Made for the few bodies that have them: every open stream has the rest.
    frames: Option<Box<EventStream<L>>>,
    reader: Reader<L>,
}

/// Reads the values, whatever frames them.
#[derive(Clone, Debug)]
struct Reader<L> {
    scanner: Scanner<L>,
    template: Template<L>,
    /// A value was broken.
    broken: bool,
    /// How many there were.
    count: u64,
}

/// What the content type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hint {
    None,
    Sse,
    EventStream,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl<L: Copy> Body<L> {
    /// A body; `content_type` as the header says, in any case.
    pub fn new(content_type: Option<&[u8]>) -> Self {
        let says = |name: &[u8]| {
            let start = content_type.and_then(|value| value.trim_ascii_start().get(..name.len()));
            start.is_some_and(|value| value.eq_ignore_ascii_case(name))
        };
        let hint = if says(b"text/event-stream") {
            Hint::Sse
        } else if says(b"application/vnd.amazon.eventstream") {
            Hint::EventStream
        } else {
            Hint::None
        };
        Body {
            format: Format::Empty,
            hint,
            mark: 0,
            sse: Sse::default(),
            json: Json::default(),
            frames: None,
            reader: Reader { scanner: Scanner::default(), template: Template::default(), broken: false, count: 0 },
        }
    }

    /// What it turned out to be.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether it has broken the rules of its format, or has none.
    pub fn is_broken(&self) -> bool {
        self.reader.broken || self.format == Format::Unknown
    }

    /// Whether it holds its response in pieces.
    pub fn is_stream(&self) -> bool {
        match self.format {
            Format::Sse | Format::EventStream => true,
            Format::Json => self.reader.count > 1 || self.json.is_array(),
            Format::Empty | Format::Unknown => false,
        }
    }

    /// Reads on.
    pub fn feed(&mut self, paths: &Paths<L>, bytes: &[u8], values: &mut impl Values<L>) {
        let mut bytes = bytes;
        while self.format == Format::Empty {
            let Some((&first, rest)) = bytes.split_first() else { return };
            if BYTE_ORDER_MARK.get(self.mark) == Some(&first) {
                self.mark = self.mark.saturating_add(1);
            } else if !first.is_ascii_whitespace() {
                self.format = self.sniff(first);
                values.format(self.format);
                break;
            }
            bytes = rest;
        }
        let mut pieces = Pieces { paths, reader: &mut self.reader, values };
        match self.format {
            Format::Json => self.json.feed(bytes, &mut pieces),
            Format::Sse => self.sse.feed(bytes, &mut pieces),
            Format::EventStream => self.frames.get_or_insert_default().feed(bytes, &mut pieces),
            Format::Empty | Format::Unknown => {}
        }
    }

    /// The body is over: a last event without its blank line still counts.
    pub fn end(&mut self, paths: &Paths<L>, values: &mut impl Values<L>) -> Ending {
        let inside = self.reader.scanner.progress() == Progress::Inside;
        let cut = match self.format {
            Format::Empty | Format::Unknown => return Ending::Whole,
            Format::Json => inside || self.json.is_open(),
            Format::Sse => {
                self.sse.end(&mut Pieces { paths, reader: &mut self.reader, values });
                inside
            }
            Format::EventStream => self.frames.as_ref().is_some_and(|frames| frames.is_inside()),
        };
        match (cut, self.reader.broken) {
            (true, _) => Ending::Cut,
            (false, true) => Ending::Broken,
            (false, false) => Ending::Whole,
        }
    }

    fn sniff(&self, first: u8) -> Format {
        match (first, self.hint) {
            // A frame begins with its length, which stays below 16 MiB; no text begins with a zero.
            (0, _) => Format::EventStream,
            (b'{' | b'[', _) => Format::Json,
            (_, Hint::EventStream) => Format::Unknown,
            // A comment, or one of `data`, `event`, `id`, `retry`.
            (b':' | b'd' | b'e' | b'i' | b'r', _) | (_, Hint::Sse) => Format::Sse,
            _ => Format::Unknown,
        }
    }
}

/// Feeds the pieces of a body to a scanner.
struct Pieces<'a, L, V> {
    paths: &'a Paths<L>,
    reader: &'a mut Reader<L>,
    values: &'a mut V,
}

impl<L: Copy, V: Values<L>> Pieces<'_, L, V> {
    /// Feeds the scanner; returns how many bytes it took.
    fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut traced = Traced { values: &mut *self.values, template: &mut self.reader.template };
        self.reader.scanner.feed(self.paths, bytes, &mut traced)
    }

    /// Takes the event at the beginning of `bytes` whole, if it repeats the last one; returns its length.
    fn repeated(&mut self, bytes: &[u8]) -> Option<usize> {
        let used = self.reader.template.take(bytes, self.values)?;
        self.reader.count = self.reader.count.saturating_add(1);
        self.values.value_end();
        Some(used)
    }

    /// Bytes of a value whose end the framing marks; what stands behind the value in there must be white space.
    fn bytes(&mut self, bytes: &[u8]) {
        let used = self.feed(bytes);
        let rest = bytes.get(used..).unwrap_or_default();
        self.reader.broken |= !rest.trim_ascii().is_empty();
    }

    /// The value has ended.
    fn end(&mut self) {
        self.reader.broken |= matches!(self.reader.scanner.progress(), Progress::Broken | Progress::Inside);
        self.reader.template.walked(self.reader.scanner.progress() == Progress::Done && !self.reader.broken);
        self.reader.count = self.reader.count.saturating_add(1);
        self.values.value_end();
        self.reader.scanner.reset();
    }
}

#[cfg(test)]
mod tests;

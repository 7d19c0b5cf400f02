//! Server-sent events, by the rules of the WHATWG's HTML standard that providers' streams touch.
//!
//! Lines end with LF, CRLF or a lone CR. A field is a name, a colon and a value; one space behind the colon is not part
//! of the value. Several `data` fields of an event are joined by a newline. A blank line ends the event. Only `data`
//! is passed on, as it comes: no line is ever held, so no line is too long. What an event is called is in its data too.

use super::{Pieces, Values};
use crate::scan::run;

const DATA: &[u8] = b"data";
const DONE: &[u8] = b"[DONE]";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// In a field's name; so many bytes match `data`, `None`: it is another field.
    Name { matched: Option<usize>, empty: bool },
    /// Behind the colon of a `data` field.
    Space,
    /// In the value of a `data` field.
    Data,
    /// In a line that does not matter.
    Other,
}

const START: Line = Line::Name { matched: Some(0), empty: true };

/// Where the parser stands.
#[derive(Clone, Debug)]
pub(super) struct Sse {
    line: Line,
    /// The last byte was a CR: a LF now belongs to it.
    after_cr: bool,
    /// The next byte begins an event.
    at_event: bool,
    /// The current event has data.
    has_data: bool,
    /// So many bytes of the event's data match the end marker; `None`: it is another text.
    done: Option<usize>,
}

impl Default for Sse {
    fn default() -> Self {
        Sse { line: START, after_cr: false, at_event: true, has_data: false, done: Some(0) }
    }
}

impl Sse {
    pub(super) fn feed<L: Copy, V: Values<L>>(&mut self, bytes: &[u8], events: &mut Pieces<'_, L, V>) {
        let mut rest = bytes;
        // The event that began in these bytes.
        let mut event: Option<&[u8]> = None;
        while let Some(&byte) = rest.first() {
            if std::mem::take(&mut self.after_cr) && byte == b'\n' {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            if std::mem::take(&mut self.at_event) {
                if let Some(used) = events.repeated(rest) {
                    self.at_event = true;
                    self.after_cr = rest.get(used.saturating_sub(1)) == Some(&b'\r');
                    rest = rest.get(used..).unwrap_or_default();
                    continue;
                }
                event = Some(rest);
                events.reader.template.begin(rest);
            }
            let used = match self.line {
                // As nearly every line of a stream begins.
                START if rest.starts_with(b"data: ") => {
                    self.begin_value(events);
                    6
                }
                Line::Data | Line::Other => self.value(rest, events),
                Line::Name { .. } | Line::Space if byte == b'\n' || byte == b'\r' => {
                    self.line_end(byte, events);
                    1
                }
                Line::Name { matched, .. } => {
                    self.line = name(matched, byte);
                    1
                }
                Line::Space => {
                    self.begin_value(events);
                    usize::from(byte == b' ')
                }
            };
            rest = rest.get(used..).unwrap_or_default();
            if self.at_event
                && let Some(begun) = event.take()
            {
                let length = begun.len().saturating_sub(rest.len());
                events.reader.template.end(begun.get(..length).unwrap_or_default());
            }
        }
        if !self.at_event {
            events.reader.template.lose();
        }
    }

    /// The stream is over. A cut name without a colon can be a field too, but never one with data.
    pub(super) fn end<L: Copy, V: Values<L>>(&mut self, events: &mut Pieces<'_, L, V>) {
        if self.has_data {
            self.event_end(events);
        }
    }

    /// A run of a value's bytes, up to and with the end of the line.
    fn value<L: Copy, V: Values<L>>(&mut self, rest: &[u8], events: &mut Pieces<'_, L, V>) -> usize {
        let length = run(rest, [b'\n', b'\r']);
        let value = rest.get(..length).unwrap_or_default();
        if self.line == Line::Data && !value.is_empty() {
            self.match_done(value);
            events.bytes(value);
        }
        match rest.get(length) {
            Some(&byte) => {
                self.line_end(byte, events);
                length.saturating_add(1)
            }
            None => length,
        }
    }

    fn begin_value<L: Copy, V: Values<L>>(&mut self, events: &mut Pieces<'_, L, V>) {
        if self.has_data {
            events.reader.template.lose();
            self.match_done(b"\n");
            events.bytes(b"\n");
        }
        self.has_data = true;
        self.line = Line::Data;
    }

    fn line_end<L: Copy, V: Values<L>>(&mut self, byte: u8, events: &mut Pieces<'_, L, V>) {
        self.after_cr = byte == b'\r';
        let blank = matches!(self.line, Line::Name { empty: true, .. });
        self.at_event = blank;
        match self.line {
            // A value may be empty, and `data` without a colon is a field with an empty value.
            Line::Space | Line::Name { matched: Some(4), .. } => self.begin_value(events),
            _ => {}
        }
        if blank && self.has_data {
            self.event_end(events);
        }
        self.line = START;
    }

    fn event_end<L: Copy, V: Values<L>>(&mut self, events: &mut Pieces<'_, L, V>) {
        if self.done == Some(DONE.len()) {
            events.reader.scanner.reset();
            events.values.done();
        } else {
            events.end();
        }
        self.has_data = false;
        self.done = Some(0);
    }

    fn match_done(&mut self, value: &[u8]) {
        for byte in value {
            let Some(seen) = self.done else { return };
            self.done = match DONE.get(seen) {
                Some(expected) if expected == byte => Some(seen.saturating_add(1)),
                // White space around the marker is not part of it.
                _ if *byte == b' ' && (seen == 0 || seen == DONE.len()) => Some(seen),
                _ => None,
            };
        }
    }
}

fn name(matched: Option<usize>, byte: u8) -> Line {
    let seen = matched.unwrap_or(usize::MAX);
    if byte == b':' {
        // A line that begins with a colon is a comment.
        return if seen == DATA.len() { Line::Space } else { Line::Other };
    }
    match DATA.get(seen) {
        Some(expected) if *expected == byte => Line::Name { matched: Some(seen.saturating_add(1)), empty: false },
        _ => Line::Name { matched: None, empty: false },
    }
}

//! Takes out of a stream the response to `include_usage`, for a client that did not ask.
//!
//! That is one chunk, with usage and no choices, and on some hosts a `"usage":null` in every other chunk. Bytes of an event
//! wait only until it is clear that it is another one: at its first choice, or at the end of its JSON, before which no
//! client can read it anyway; and those of a member that may be the null, until that is clear.

use super::run_of_text;
use crate::scan::run;

/// An event longer than this is none of those, bytes: they take some 500.
const MAX_HELD: usize = 8 * 1024;
/// The longest member that may be the null, bytes: comma, name, colon and white space.
const MAX_PENDING: usize = 64;
/// The longest name that matters, bytes.
const MAX_NAME: usize = 8;

const DATA: &[u8] = b"data:";
const NULL: &[u8] = b"null";

/// Where the JSON of an event stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the root object.
    #[default]
    Start,
    /// A name, or the end of the object.
    Name,
    InName,
    Colon,
    Value,
    /// In a text of the root object.
    Text,
    /// In a number or literal of it.
    Word,
    /// In a `null` that may be taken out; so many bytes of it.
    Null(usize),
    /// At the beginning of the choices.
    Choices,
    /// In an object or array of it.
    Nested,
    NestedText,
    /// Behind a value.
    After,
    /// Behind the root object.
    Done,
    /// Not understood.
    Lost,
}

/// The members that matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Key {
    Choices,
    Usage,
    #[default]
    Other,
}

/// The JSON of one event, as far as it matters.
#[derive(Clone, Debug, Default)]
struct Event {
    state: State,
    name: [u8; MAX_NAME],
    name_length: usize,
    key: Key,
    escape: bool,
    depth: u64,
    choice: bool,
    usage: bool,
}

/// What a LF behind a CR belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum AfterCr {
    #[default]
    No,
    Kept,
    TakenOut,
}

/// Filters one response.
#[derive(Debug, Default)]
pub struct Withhold {
    /// The nulls are taken out too.
    nulls: bool,
    /// The bytes of an event that is not decided yet.
    held: Vec<u8>,
    /// A member that may be the null.
    pending: Vec<u8>,
    /// The current event passes.
    passes: bool,
    /// So many bytes of the line seen, up to the field's name.
    line: usize,
    /// The line is a `data` field.
    is_data: bool,
    event: Event,
    after_cr: AfterCr,
}

impl Withhold {
    /// For a host that, once asked, says `"usage":null` in every other chunk (`nulls`), or does not.
    pub fn new(nulls: bool) -> Self {
        Withhold { nulls, ..Withhold::default() }
    }

    /// Passes on a chunk into `out`, without what is held or taken out.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            let used = if byte == b'\n' || byte == b'\r' {
                self.line_end(byte, out);
                1
            } else {
                self.after_cr = AfterCr::No;
                self.content(rest, out)
            };
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    /// The response is over: what is held passes.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.release(out);
        if !self.event.is_usage_event() {
            out.append(&mut self.held);
        }
        self.held.clear();
    }

    /// A run of bytes within a line; returns how many.
    fn content(&mut self, rest: &[u8], out: &mut Vec<u8>) -> usize {
        if let Some(&expected) = DATA.get(self.line) {
            self.is_data = (self.line == 0 || self.is_data) && rest.first() == Some(&expected);
            self.line = self.line.saturating_add(1);
            self.keep(rest.get(..1).unwrap_or_default(), out);
            return 1;
        }
        let length = run(rest, [b'\n', b'\r']);
        self.line = self.line.saturating_add(length);
        let content = rest.get(..length).unwrap_or_default();
        if self.is_data {
            self.data(content, out);
        } else {
            self.keep(content, out);
        }
        length
    }

    /// Bytes of an event's JSON.
    fn data(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let before = self.event.state;
            let used = self.event.step(rest);
            let after = self.event.state;
            let piece = rest.get(..used).unwrap_or_default();
            rest = rest.get(used..).unwrap_or_default();
            // A member begins with its comma; what it is shows with its name and its value's first byte.
            let begins = before == State::After && after == State::Name;
            let pends = self.nulls && (begins || (!self.pending.is_empty() && self.event.may_be_null()));
            if pends && self.pending.len().saturating_add(used) <= MAX_PENDING {
                self.pending.extend_from_slice(piece);
            } else if before == State::Null(NULL.len()) && after == State::After {
                // The null has ended: it was one.
                self.pending.clear();
                self.keep(piece, out);
            } else {
                self.release(out);
                self.keep(piece, out);
            }
            self.passes |= match after {
                State::Lost => true,
                State::Done => !self.event.is_usage_event(),
                _ => self.event.choice,
            };
        }
    }

    /// What may have been the null is not.
    fn release(&mut self, out: &mut Vec<u8>) {
        if !self.pending.is_empty() {
            let pending = std::mem::take(&mut self.pending);
            self.keep(&pending, out);
        }
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
        self.release(out);
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
        let taken_out = !self.passes && self.event.is_usage_event();
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
        self.event = Event::default();
    }

    /// A LF that belongs to a CR before it goes where that went.
    fn keep_behind(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.held.is_empty() { out.push(byte) } else { self.keep(&[byte], out) }
    }
}

impl Event {
    /// Whether the event is the response to `include_usage`.
    fn is_usage_event(&self) -> bool {
        self.usage && !self.choice && self.state == State::Done
    }

    /// Whether the member that has begun may still be the null.
    fn may_be_null(&self) -> bool {
        match self.state {
            State::Name | State::InName => true,
            State::Colon | State::Value | State::Null(_) => self.key == Key::Usage,
            _ => false,
        }
    }

    /// Handles a byte, or a run of bytes that stay in one state; returns how many.
    fn step(&mut self, rest: &[u8]) -> usize {
        let Some(&byte) = rest.first() else { return 0 };
        match self.state {
            State::Text => return self.text(rest, State::After),
            State::NestedText => return self.text(rest, State::Nested),
            State::Nested => return self.nested(rest),
            State::Lost => return rest.len(),
            State::InName => self.in_name(byte),
            State::Word => match byte {
                b',' | b'}' | b' ' | b'\t' => {
                    self.state = State::After;
                    return self.step(rest);
                }
                _ => {}
            },
            State::Null(matched) => match (NULL.get(matched), byte) {
                (Some(&expected), byte) if expected == byte => self.state = State::Null(matched.saturating_add(1)),
                // Its end is looked at again, as what follows the value.
                (None, b',' | b'}' | b' ' | b'\t') => {
                    self.state = State::After;
                    return 0;
                }
                _ => self.state = State::Lost,
            },
            _ if matches!(byte, b' ' | b'\t') => {}
            State::Start if byte == b'{' => self.state = State::Name,
            State::Name if byte == b'"' => {
                self.name_length = 0;
                self.state = State::InName;
            }
            State::Name | State::After if byte == b'}' => self.state = State::Done,
            State::After if byte == b',' => self.state = State::Name,
            State::Colon if byte == b':' => self.state = State::Value,
            State::Value => self.value(byte),
            State::Choices if byte == b']' => self.state = State::After,
            State::Choices => {
                self.choice = true;
                self.depth = 1;
                self.state = State::Nested;
                return self.nested(rest);
            }
            _ => self.state = State::Lost,
        }
        1
    }

    fn in_name(&mut self, byte: u8) {
        match byte {
            _ if std::mem::take(&mut self.escape) => {}
            b'"' => {
                self.key = match self.name.get(..self.name_length) {
                    Some(b"choices") => Key::Choices,
                    Some(b"usage") => Key::Usage,
                    _ => Key::Other,
                };
                self.state = State::Colon;
            }
            b'\\' => {
                self.escape = true;
                // Whoever writes a name with escapes means another.
                self.name_length = usize::MAX;
            }
            _ => {
                if let Some(slot) = self.name.get_mut(self.name_length) {
                    *slot = byte;
                }
                self.name_length = self.name_length.saturating_add(1);
            }
        }
    }

    fn value(&mut self, byte: u8) {
        self.state = match (self.key, byte) {
            (Key::Usage, b'n') => State::Null(1),
            (Key::Choices, b'[') => State::Choices,
            (key, b'{' | b'[') => {
                self.usage |= key == Key::Usage && byte == b'{';
                self.depth = 1;
                State::Nested
            }
            (_, b'"') => State::Text,
            (_, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => State::Word,
            _ => State::Lost,
        };
    }

    fn nested(&mut self, rest: &[u8]) -> usize {
        let plain = run(rest, [b'"', b'{', b'}', b'[', b']']);
        match rest.get(plain) {
            None => return plain,
            Some(b'"') => self.state = State::NestedText,
            Some(b'{' | b'[') => self.depth = self.depth.saturating_add(1),
            Some(_) => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    self.state = State::After;
                }
            }
        }
        plain.saturating_add(1)
    }

    fn text(&mut self, rest: &[u8], behind: State) -> usize {
        let (used, closed) = run_of_text(rest, &mut self.escape);
        if closed {
            self.state = behind;
        }
        used
    }
}

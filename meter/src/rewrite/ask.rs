//! Adds `stream_options.include_usage` to a request that asks for a stream.
//!
//! The content length was announced before the body was seen, with [`ROOM`] bytes on top. So exactly as many are added:
//! what the option does not need is JSON white space before the last brace. An explicit `false` or `null` becomes `true`
//! in place. The root's closing brace is where everything is known, and where the option goes in if there was none.

use super::run_of_text;

/// What is added before the closing brace.
const OPTION: &[u8] = b",\"stream_options\":{\"include_usage\":true}";
/// What is added to options that are there, before their closing brace.
const INNER: &[u8] = b",\"include_usage\":true";
/// What a `null` in the place of the options becomes.
const OBJECT: &[u8] = b"{\"include_usage\":true}";

/// How many bytes the body grows by, always.
pub const ROOM: usize = OPTION.len();

/// The longest name that matters, bytes.
const MAX_NAME: usize = 16;

/// Whether usage is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// It is not: no stream, or not understood.
    No,
    /// The client does.
    Client,
    /// The client did not; it was added.
    Added,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the root object.
    Start,
    /// A name or the end of the object.
    Name,
    /// Inside a name.
    InName,
    /// Behind a name.
    Colon,
    /// Before a value.
    Value,
    /// Inside a text, number or literal of this level.
    InText,
    InWord,
    /// Inside a `false` or `null` that becomes `true`; so many bytes done.
    Flip(usize),
    /// Inside a `null` that became an object; so many bytes left.
    Swallow(usize),
    /// Behind a value.
    After,
    /// Behind the root object.
    Done,
    /// Not understood: passed unchanged.
    Lost,
}

/// Where a name leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Stream,
    Options,
    IncludeUsage,
    Other,
}

/// The options, as far as they were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Options {
    Absent,
    /// There, but no object that could be added to.
    Unusable,
    /// An object; usage is asked for in it.
    Asked,
}

/// Rewrites one request body.
#[derive(Clone, Debug)]
pub struct Ask {
    state: State,
    /// 1 in the root object, 2 in its `stream_options`.
    level: u8,
    /// Brackets open below that.
    skipped: u64,
    /// Inside a text below that.
    skipped_text: bool,
    escape: bool,
    name: [u8; MAX_NAME],
    name_length: usize,
    key: Key,
    /// The current object has no member yet.
    empty: bool,
    stream: Option<bool>,
    options: Options,
    include_usage: Option<bool>,
    asking: Asking,
    /// A name is written with escapes: it could be one that matters, so none is added beside it.
    disguised: bool,
    room: usize,
    /// Bytes of the body that are still to come.
    left: u64,
}

impl Ask {
    /// For a body of a known length, bytes.
    pub fn new(length: u64) -> Self {
        Ask {
            state: State::Start,
            level: 0,
            skipped: 0,
            skipped_text: false,
            escape: false,
            name: [0; MAX_NAME],
            name_length: 0,
            key: Key::Other,
            empty: true,
            stream: None,
            options: Options::Absent,
            include_usage: None,
            asking: Asking::No,
            disguised: false,
            room: ROOM,
            left: length,
        }
    }

    /// Whether usage is asked for; certain behind the root object, or where the body stopped being understood.
    pub fn asking(&self) -> Asking {
        match self.state {
            State::Done | State::Lost => self.asking,
            _ => Asking::No,
        }
    }

    /// Whether the whole body has passed.
    pub fn is_over(&self) -> bool {
        self.left == 0
    }

    /// Rewrites a chunk into `out`. With the last byte of the body the promise of its length is kept, also where the root
    /// object never closed: trailers may follow, and nothing could be added any more.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let used = self.step(rest, out).max(1);
            rest = rest.get(used..).unwrap_or_default();
        }
        self.left = self.left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.left == 0 {
            self.pad(out);
        }
    }

    /// Whether these bytes are the whole body and none of them can ask for a stream: then they stay as they are, and [`ROOM`]
    /// bytes of white space go behind them.
    pub fn passes(&mut self, bytes: &[u8]) -> bool {
        let whole = self.state == State::Start && u64::try_from(bytes.len()) == Ok(self.left);
        let passes = whole && memchr::memmem::find(bytes, b"stream").is_none();
        if passes {
            self.state = State::Lost;
            (self.room, self.left) = (0, 0);
        }
        passes
    }

    /// Bytes have passed that could not be had: nothing in the body is understood any more.
    pub fn missed(&mut self, bytes: usize, out: &mut Vec<u8>) {
        self.state = State::Lost;
        self.left = self.left.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.left == 0 {
            self.pad(out);
        }
    }

    fn pad(&mut self, out: &mut Vec<u8>) {
        out.resize(out.len().saturating_add(std::mem::take(&mut self.room)), b' ');
    }

    /// Adds bytes, if there is room for them.
    fn add(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        match self.room.checked_sub(bytes.len()) {
            Some(left) => {
                self.room = left;
                out.extend_from_slice(bytes);
                true
            }
            None => false,
        }
    }

    /// Handles the first byte or a run of bytes; returns how many.
    fn step(&mut self, rest: &[u8], out: &mut Vec<u8>) -> usize {
        let Some(&byte) = rest.first() else { return 0 };
        if self.skipped > 0 {
            return self.skip(rest, out);
        }
        match self.state {
            State::Lost | State::Done => {
                out.extend_from_slice(rest);
                return rest.len();
            }
            State::InText => return self.text(rest, out),
            State::InName => self.in_name(byte),
            State::InWord => {
                if matches!(byte, b',' | b'}' | b' ' | b'\n' | b'\r' | b'\t') {
                    self.state = State::After;
                    return self.step(rest, out);
                }
            }
            State::Flip(done) => {
                self.flip(done, byte, rest, out);
                return 1;
            }
            State::Swallow(left) => {
                self.state = if left > 1 { State::Swallow(left.saturating_sub(1)) } else { State::After };
                return 1;
            }
            _ if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') => {}
            State::Start => match byte {
                b'{' => self.enter(1),
                _ => self.state = State::Lost,
            },
            State::Name => match byte {
                b'"' => {
                    self.name_length = 0;
                    self.state = State::InName;
                }
                b'}' => self.leave(out),
                _ => self.state = State::Lost,
            },
            State::Colon => self.state = if byte == b':' { State::Value } else { State::Lost },
            State::Value => {
                self.empty = false;
                return self.value(byte, out);
            }
            State::After => match byte {
                b',' => self.state = State::Name,
                b'}' => self.leave(out),
                _ => self.state = State::Lost,
            },
        }
        out.push(byte);
        1
    }

    fn enter(&mut self, level: u8) {
        self.level = level;
        self.empty = true;
        self.state = State::Name;
    }

    fn in_name(&mut self, byte: u8) {
        match byte {
            _ if std::mem::take(&mut self.escape) => {}
            b'"' => {
                let name = self.name.get(..self.name_length).unwrap_or_default();
                self.key = match (self.level, name) {
                    (1, b"stream") => Key::Stream,
                    (1, b"stream_options") => Key::Options,
                    (2, b"include_usage") => Key::IncludeUsage,
                    _ => Key::Other,
                };
                self.state = State::Colon;
            }
            b'\\' => {
                self.disguised = true;
                self.escape = true;
                self.name_length = MAX_NAME;
                self.name = [0; MAX_NAME];
            }
            _ => {
                if let Some(slot) = self.name.get_mut(self.name_length) {
                    *slot = byte;
                    self.name_length = self.name_length.saturating_add(1);
                } else {
                    // Too long to match; it stays so.
                    self.name = [0; MAX_NAME];
                }
            }
        }
    }

    fn value(&mut self, byte: u8, out: &mut Vec<u8>) -> usize {
        match (self.key, byte) {
            (Key::Options, b'{') => {
                self.options = Options::Unusable;
                self.include_usage = None;
                self.enter(2);
            }
            (Key::Options, b'n') if self.stream == Some(true) && self.room == ROOM => {
                self.add(OBJECT, out);
                // The four bytes that are swallowed make room again.
                self.room = self.room.saturating_add(4);
                self.options = Options::Asked;
                self.asking = Asking::Added;
                self.state = State::Swallow(3);
                return 1;
            }
            (Key::IncludeUsage, b'f' | b'n') if self.stream != Some(false) => {
                self.include_usage = Some(true);
                self.asking = Asking::Added;
                self.state = State::Flip(0);
                return self.step_flip(byte, out);
            }
            (Key::IncludeUsage, b't') => {
                self.include_usage = Some(true);
                self.asking = Asking::Client;
                self.state = State::InWord;
            }
            (key, _) => {
                match key {
                    Key::Stream => self.stream = Some(byte == b't'),
                    Key::Options => self.options = Options::Unusable,
                    Key::IncludeUsage => self.include_usage = Some(false),
                    Key::Other => {}
                }
                match byte {
                    b'{' | b'[' => self.skipped = 1,
                    b'"' => self.state = State::InText,
                    b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => self.state = State::InWord,
                    _ => self.state = State::Lost,
                }
            }
        }
        out.push(byte);
        1
    }

    fn step_flip(&mut self, byte: u8, out: &mut Vec<u8>) -> usize {
        self.flip(0, byte, &[byte], out);
        1
    }

    /// One byte of a `false` or `null`: the same place of `true`, and a space for the fifth.
    fn flip(&mut self, done: usize, byte: u8, rest: &[u8], out: &mut Vec<u8>) {
        match (b"true ".get(done), byte) {
            (Some(&new), b'a'..=b'z') => {
                out.push(new);
                self.state = State::Flip(done.saturating_add(1));
            }
            _ => {
                self.state = State::After;
                self.step(rest, out);
            }
        }
    }

    /// The closing brace of the options or of the root; it is pushed by the caller.
    fn leave(&mut self, out: &mut Vec<u8>) {
        if self.level == 2 {
            if self.include_usage.is_none() && self.stream != Some(false) && !self.disguised {
                let inner = if self.empty { INNER.get(1..).unwrap_or_default() } else { INNER };
                if self.add(inner, out) {
                    self.include_usage = Some(true);
                    self.asking = Asking::Added;
                }
            }
            if self.include_usage == Some(true) {
                self.options = Options::Asked;
            }
            self.level = 1;
            self.empty = false;
            self.state = State::After;
            return;
        }
        let asked = match (self.stream, self.options) {
            (Some(true), Options::Absent) if self.room == ROOM && !self.disguised => {
                self.add(OPTION, out);
                Asking::Added
            }
            (Some(true), Options::Asked) => self.asking,
            _ => Asking::No,
        };
        self.asking = asked;
        self.pad(out);
        self.state = State::Done;
    }

    fn text(&mut self, rest: &[u8], out: &mut Vec<u8>) -> usize {
        let (used, closed) = run_of_text(rest, &mut self.escape);
        out.extend_from_slice(rest.get(..used).unwrap_or_default());
        if closed {
            self.state = State::After;
        }
        used
    }

    fn skip(&mut self, rest: &[u8], out: &mut Vec<u8>) -> usize {
        let used = if self.skipped_text {
            let (used, closed) = run_of_text(rest, &mut self.escape);
            self.skipped_text = !closed;
            used
        } else {
            let plain = crate::scan::run(rest, [b'"', b'{', b'}', b'[', b']']);
            match rest.get(plain) {
                None => {}
                Some(b'"') => self.skipped_text = true,
                Some(b'{' | b'[') => self.skipped = self.skipped.saturating_add(1),
                Some(_) => {
                    self.skipped = self.skipped.saturating_sub(1);
                    if self.skipped == 0 {
                        self.state = State::After;
                    }
                }
            }
            plain.saturating_add(1).min(rest.len())
        };
        out.extend_from_slice(rest.get(..used).unwrap_or_default());
        used
    }
}

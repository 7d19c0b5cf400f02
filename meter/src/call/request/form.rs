//! The fields of a `multipart/form-data` body (RFC 7578), read as it streams by: what uploads of sound and images ask for.
//!
//! Servers differ in what they take for a form, and a client must not choose by that what it is charged for. So everything is
//! read that some server reads, as most of them do; and where others would find something else, that is said.
//!
//! The line that parts fields is the one of the content type; where there is none, it is the body's first. What stands before
//! the first of them, behind the last, and in files passes unread.

mod parameters;

use std::str::from_utf8;

use parameters::parameter;

use crate::scan::Short;

/// The longest boundary: twice and more of what a header may say (70 characters).
const MAX_BOUNDARY: usize = 256;
/// The longest name of a header that matters: `content-transfer-encoding`.
const MAX_NAME: usize = 32;
/// So much of a field's `content-disposition` is read: the name of a file may be long.
const MAX_DISPOSITION: usize = 1024;
/// The longest value that is kept, without white space around it; a longer one is none of a field that matters.
const MAX_VALUE: usize = 256;

/// Who wants the fields.
pub(super) trait Fields {
    /// Whether a field of that name says something.
    fn matters(&self, name: &str) -> bool;
    /// A field that does. `is_plain`: every server takes it for one.
    fn field(&mut self, name: &str, value: &str, is_plain: bool);
    /// Servers may differ in what the form says.
    fn unclear(&mut self);
}

/// Reads one form.
#[derive(Debug)]
pub(super) struct Form {
    state: State,
    inside: Inside,
    /// Two hyphens and the boundary; empty until it is known.
    line: Vec<u8>,
    /// How much of it has been seen, at the beginning of a line.
    seen: usize,
    /// Whether lines end with a carriage return, as the first line that parts fields does.
    returns: Option<bool>,
    /// The last line ended with one.
    returned: bool,
    /// The last byte was one.
    carriage: bool,
    name: Short<MAX_NAME>,
    header: Header,
    disposition: Short<MAX_DISPOSITION>,
    coding: Short<MAX_NAME>,
    /// The field's name, and whether it is one to every server.
    field: (String, bool),
    value: Short<MAX_VALUE>,
    /// White space that has come behind the value.
    spaces: usize,
    /// What its content type says of the text is not understood.
    is_odd: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Inside of the first line, which is to say what parts fields.
    First,
    /// At the beginning of a line.
    Line,
    /// Further on in it.
    Rest,
    /// Behind what parts fields; a hyphen has come, if it is one.
    Parted(bool),
    /// At the beginning of a line in a field's head, in the name of a header, in its value.
    HeadLine,
    HeadName,
    HeadValue,
    /// Behind the hyphens at the end of all.
    Last,
    /// The form is over, or none.
    Over,
}

/// What a line is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Value,
    /// What stands before all fields, or in a file.
    Nothing,
}

/// What a line of a head is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    Disposition,
    Coding,
    Other,
}

impl Form {
    /// A form whose content type is that; `None`: it is one by its first byte only.
    pub(super) fn new(content_type: Option<&[u8]>) -> Self {
        let content_type = content_type.map(String::from_utf8_lossy);
        let said = content_type.as_deref().and_then(|kind| parameter(kind, "boundary"));
        let charset = content_type.as_deref().and_then(|kind| parameter(kind, "charset"));
        let is_plain = |charset: &str| ["utf-8", "utf8", "us-ascii", "iso-8859-1"].contains(&charset);
        let is_charset = charset.is_none_or(|charset| is_plain(&charset.value.to_ascii_lowercase()));
        let is_boundary =
            said.as_ref().is_some_and(|said| !said.is_odd && (1..=MAX_BOUNDARY).contains(&said.value.len()));
        let boundary = said.map(|said| said.value).filter(|said| !said.is_empty() && said.len() <= MAX_BOUNDARY);
        let line = boundary.map(|boundary| [b"--", boundary.as_bytes()].concat());
        Form {
            state: if line.is_some() { State::Line } else { State::First },
            inside: Inside::Nothing,
            line: line.unwrap_or_default(),
            seen: 0,
            returns: None,
            returned: true,
            carriage: false,
            name: Short::new(),
            header: Header::Other,
            disposition: Short::new(),
            coding: Short::new(),
            field: (String::new(), false),
            value: Short::new(),
            spaces: 0,
            is_odd: content_type.is_some() && !(is_boundary && is_charset),
        }
    }

    /// Whether more can come of it.
    pub(super) fn reads(&self) -> bool {
        self.state != State::Over
    }

    /// Whether servers may differ in what it says, by its content type or because it has no end.
    pub(super) fn is_odd(&self) -> bool {
        self.is_odd || !matches!(self.state, State::Last | State::Over) || self.line.is_empty()
    }

    /// Whether it is one, as far as it has come.
    pub(super) fn has_begun(&self) -> bool {
        self.returns.is_some()
    }

    /// Reads on; hands on each field that matters.
    pub(super) fn feed(&mut self, bytes: &[u8], to: &mut impl Fields) {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            let mut used = 1;
            match self.state {
                State::First => self.first(byte),
                State::Line => used = self.in_line(byte, to),
                State::Rest => used = self.in_rest(rest),
                State::Parted(hyphen) => used = self.parted(byte, hyphen, to),
                State::HeadLine => used = self.head_line(byte, to),
                State::HeadName => self.head_name(byte, to),
                State::HeadValue => self.head_value(byte),
                State::Last => {
                    // Most servers want no more of it, but some take this for a line of what it stands in.
                    if !byte.is_ascii_whitespace() {
                        to.unclear();
                    }
                    self.state = State::Over;
                }
                State::Over => return,
            }
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    fn first(&mut self, byte: u8) {
        match byte {
            // What other lines it may be, it is not at the beginning of the body.
            b'\n' if self.line.starts_with(b"--") => {
                self.returns = Some(self.carriage);
                let length = self.line.trim_ascii_end().len();
                self.line.truncate(length);
                self.begin_head();
            }
            b'\r' => self.carriage = true,
            byte if byte.is_ascii_control() || self.line.len() > MAX_BOUNDARY => self.give_up(),
            byte => self.line.push(byte),
        }
    }

    fn give_up(&mut self) {
        self.line.clear();
        self.state = State::Over;
    }

    /// At the beginning of a line, which may be the one that parts fields.
    fn in_line(&mut self, byte: u8, to: &mut impl Fields) -> usize {
        if self.line.get(self.seen) != Some(&byte) {
            self.not_parted();
            return 0;
        }
        self.seen = self.seen.saturating_add(1);
        if self.seen == self.line.len() {
            self.state = State::Parted(false);
            self.carriage = false;
            if self.returns == Some(true) && !self.returned {
                // To some servers this parts fields, to most it is a line of what it stands in.
                to.unclear();
                self.not_parted();
            }
        }
        1
    }

    /// The line was none; what has been seen of it belongs to what it stands in.
    fn not_parted(&mut self) {
        let seen = std::mem::take(&mut self.seen);
        let line = std::mem::take(&mut self.line);
        self.keep(line.get(..seen).unwrap_or_default());
        self.line = line;
        self.carriage = false;
        self.state = State::Rest;
    }

    /// Behind the line there are two hyphens at the end of all, and else white space and the next field.
    fn parted(&mut self, byte: u8, hyphen: bool, to: &mut impl Fields) -> usize {
        match byte {
            b'-' if hyphen => {
                self.end_of_field(to);
                self.state = State::Last;
            }
            b'-' if !self.carriage => self.state = State::Parted(true),
            b'\n' if !hyphen => {
                if self.returns.is_some_and(|returns| returns != self.carriage) {
                    to.unclear();
                }
                self.returns.get_or_insert(self.carriage);
                self.end_of_field(to);
                self.begin_head();
            }
            b'\r' if !hyphen => self.carriage = true,
            b' ' | b'\t' if !hyphen && !self.carriage => {}
            _ => {
                self.not_parted();
                if hyphen {
                    self.keep(b"-");
                }
                return 0;
            }
        }
        1
    }

    fn in_rest(&mut self, rest: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', rest);
        let used = end.map_or(rest.len(), |end| end.saturating_add(1));
        let bytes = rest.get(..used).unwrap_or_default();
        self.keep(bytes);
        if end.is_some() {
            self.returned = match bytes.len() {
                1 => self.carriage,
                length => bytes.get(length.saturating_sub(2)) == Some(&b'\r'),
            };
            (self.state, self.seen) = (State::Line, 0);
        }
        self.carriage = bytes.last() == Some(&b'\r');
        used
    }

    fn begin_head(&mut self) {
        self.disposition.clear();
        self.coding.clear();
        self.header = Header::Other;
        self.carriage = false;
        self.state = State::HeadLine;
    }

    fn head_line(&mut self, byte: u8, to: &mut impl Fields) -> usize {
        match byte {
            b'\r' => self.carriage = true,
            b'\n' => self.end_of_head(to),
            // It goes on with the line before.
            b' ' | b'\t' => self.state = State::HeadValue,
            _ => {
                self.name.clear();
                self.state = State::HeadName;
                return 0;
            }
        }
        1
    }

    fn head_name(&mut self, byte: u8, to: &mut impl Fields) {
        match byte {
            b'\n' => (self.header, self.state, self.carriage) = (Header::Other, State::HeadLine, false),
            b':' => {
                let name = self.name.bytes().trim_ascii();
                let is = |known: &[u8]| name.eq_ignore_ascii_case(known) && !self.name.overflowed();
                self.header = match () {
                    _ if is(b"content-disposition") => Header::Disposition,
                    _ if is(b"content-transfer-encoding") => Header::Coding,
                    _ => Header::Other,
                };
                if self.header == Header::Disposition && !self.disposition.is_empty() {
                    // Of two some servers take the first.
                    to.unclear();
                    self.disposition.clear();
                }
                self.state = State::HeadValue;
            }
            byte => self.name.push(&[byte]),
        }
    }

    fn head_value(&mut self, byte: u8) {
        match (byte, self.header) {
            (b'\n', _) => (self.state, self.carriage) = (State::HeadLine, false),
            (byte, Header::Disposition) => self.disposition.push(&[byte]),
            (byte, Header::Coding) => self.coding.push(&[byte]),
            (_, Header::Other) => {}
        }
    }

    /// What the head is that of: a field whose value matters, or something else.
    fn end_of_head(&mut self, to: &mut impl Fields) {
        let is_cut = self.disposition.overflowed();
        let head = String::from_utf8_lossy(self.disposition.bytes()).replace(['\r', '\n'], " ");
        let name = parameter(&head, "name");
        let is_file = parameter(&head, "filename").is_some();
        // What some servers may read in a name that is spelled in a strange way.
        let letters =
            |name: &str| name.chars().filter(|c| c.is_alphanumeric() || "._".contains(*c)).collect::<String>();
        self.inside = Inside::Nothing;
        match name {
            Some(name) if to.matters(&name.value) => {
                let is_plain = !is_file && !is_cut;
                if name.is_odd || !is_plain || !self.is_plainly_coded() {
                    to.unclear();
                }
                (self.field, self.inside) = ((name.value, is_plain), Inside::Value);
            }
            Some(name) if to.matters(&letters(&name.value)) => {
                to.unclear();
                (self.field, self.inside) = ((letters(&name.value), false), Inside::Value);
            }
            Some(_) => {}
            None if is_cut => to.unclear(),
            None => {}
        }
        self.value.clear();
        self.spaces = 0;
        // An empty value ends with a line of its own.
        (self.state, self.seen, self.returned) = (State::Line, 0, false);
    }

    fn is_plainly_coded(&self) -> bool {
        let coding = self.coding.bytes().trim_ascii();
        coding.is_empty() || [&b"7bit"[..], b"8bit", b"binary"].iter().any(|plain| coding.eq_ignore_ascii_case(plain))
    }

    /// Keeps what belongs to a value, without the white space around it.
    fn keep(&mut self, bytes: &[u8]) {
        if self.inside != Inside::Value || self.value.overflowed() {
            return;
        }
        let begun = if self.value.is_empty() { bytes.trim_ascii_start() } else { bytes };
        let words = begun.trim_ascii_end();
        if !words.is_empty() {
            for _ in 0..self.spaces.min(MAX_VALUE) {
                self.value.push(b" ");
            }
            for byte in words {
                self.value.push(&[if byte.is_ascii_whitespace() { b' ' } else { *byte }]);
            }
            self.spaces = 0;
        }
        if !self.value.is_empty() {
            self.spaces = self.spaces.saturating_add(begun.len().saturating_sub(words.len()));
        }
    }

    fn end_of_field(&mut self, to: &mut impl Fields) {
        self.seen = 0;
        if std::mem::replace(&mut self.inside, Inside::Nothing) != Inside::Value {
            return;
        }
        match from_utf8(self.value.bytes()).ok().filter(|value| !self.value.overflowed() && !value.contains('\0')) {
            Some(value) => to.field(&self.field.0, value, self.field.1),
            None => to.unclear(),
        }
    }
}

#[cfg(test)]
mod tests;

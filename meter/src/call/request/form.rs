//! The fields of a `multipart/form-data` body (RFC 7578), read as it streams by: what uploads of sound and images ask for.
//!
//! A body is taken for a form by its first bytes, which are the line that parts its fields. Files pass unread.

use crate::scan::Short;

/// The longest line between fields: two hyphens and a boundary of 70 characters, with room to spare.
const MAX_LINE: usize = 128;
/// The longest head of a field that is read.
const MAX_HEAD: usize = 512;
/// The longest value that is kept; a longer one is none of a field that matters.
const MAX_VALUE: usize = 256;

/// Reads one form.
#[derive(Debug)]
pub(super) struct Form {
    state: State,
    /// `\r\n`, and the line that parts the fields.
    line: Short<MAX_LINE>,
    /// How much of that line has been seen.
    seen: usize,
    /// A field's head, then its value.
    head: Short<MAX_HEAD>,
    value: Short<MAX_VALUE>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Inside of the first line.
    First,
    /// Behind a line that parts fields: the rest of it.
    Parted,
    /// Inside of a field's head.
    Head,
    /// Inside of a field's value.
    Value,
    /// Inside of a file.
    File,
    /// The form is over, or none.
    Over,
}

impl Form {
    pub(super) fn new() -> Self {
        let mut line = Short::new();
        line.push(b"\r\n");
        Form { state: State::First, line, seen: 0, head: Short::new(), value: Short::new() }
    }

    /// Whether more can come of it.
    pub(super) fn reads(&self) -> bool {
        self.state != State::Over
    }

    /// Reads on; hands on each field that is no file, with its name.
    pub(super) fn feed(&mut self, bytes: &[u8], field: &mut impl FnMut(&str, &str)) {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            let mut used = 1;
            match self.state {
                State::First => self.first(byte),
                State::Parted => self.parted(byte),
                State::Head => self.in_head(byte),
                State::Value | State::File if self.seen == 0 => {
                    used = memchr::memchr(b'\r', rest).unwrap_or(rest.len());
                    self.keep(rest.get(..used).unwrap_or_default());
                    // The carriage return itself may begin the line.
                    self.seen = usize::from(used < rest.len());
                    used = used.saturating_add(self.seen);
                }
                State::Value | State::File => used = self.in_line(byte, field),
                State::Over => return,
            }
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    fn first(&mut self, byte: u8) {
        match byte {
            b'\r' => {}
            b'\n' if self.line.bytes().starts_with(b"\r\n--") && !self.line.overflowed() => self.begin(State::Head),
            // No boundary has control characters.
            byte if byte.is_ascii_control() || self.line.overflowed() => self.state = State::Over,
            byte => self.line.push(&[byte]),
        }
    }

    /// Behind the line there are two hyphens at the end of all, and else white space and the next field.
    fn parted(&mut self, byte: u8) {
        match byte {
            b'\n' => self.begin(State::Head),
            b'\r' | b' ' | b'\t' => {}
            _ => self.state = State::Over,
        }
    }

    fn begin(&mut self, state: State) {
        self.state = state;
        self.seen = 0;
        self.head.clear();
        self.value.clear();
    }

    fn in_head(&mut self, byte: u8) {
        self.head.push(&[byte]);
        if byte == b'\n' && (self.head.bytes().ends_with(b"\r\n\r\n") || self.head.bytes() == b"\r\n") {
            let is_field = self.name().is_some();
            self.state = if is_field { State::Value } else { State::File };
        } else if self.head.overflowed() {
            // What it is the head of cannot be told, and its value may be anything.
            self.state = State::File;
        }
    }

    /// The field's name, if it is no file.
    fn name(&self) -> Option<&str> {
        let head = std::str::from_utf8(self.head.bytes()).ok()?;
        let said = |line: &&str| line.get(..20).is_some_and(|name| name.eq_ignore_ascii_case("content-disposition:"));
        let line = head.lines().find(said)?;
        let parameter = |name: &str| {
            let of =
                |part: &&str| part.trim_start().get(..name.len()).is_some_and(|part| part.eq_ignore_ascii_case(name));
            line.split(';').skip(1).find(of)
        };
        if parameter("filename").is_some() {
            return None;
        }
        Some(parameter("name=")?.trim().get(5..)?.trim_matches('"'))
    }

    /// Inside of what may be the line that parts fields.
    fn in_line(&mut self, byte: u8, field: &mut impl FnMut(&str, &str)) -> usize {
        if self.line.bytes().get(self.seen) == Some(&byte) {
            self.seen = self.seen.saturating_add(1);
            if self.seen == self.line.bytes().len() {
                self.end_of_field(field);
            }
            return 1;
        }
        // It was not; of what the line begins with, only its carriage return can begin it anew.
        let seen = std::mem::take(&mut self.seen);
        let line = self.line.clone();
        self.keep(line.bytes().get(..seen).unwrap_or_default());
        0
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.state == State::Value {
            self.value.push(bytes);
        }
    }

    fn end_of_field(&mut self, field: &mut impl FnMut(&str, &str)) {
        if self.state == State::Value
            && !self.value.overflowed()
            && let (Some(name), Ok(value)) = (self.name(), std::str::from_utf8(self.value.bytes()))
        {
            field(name, value);
        }
        self.state = State::Parted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8], size: usize) -> Vec<(String, String)> {
        let (mut form, mut fields) = (Form::new(), Vec::new());
        for piece in body.chunks(size) {
            form.feed(piece, &mut |name, value| fields.push((name.to_owned(), value.to_owned())));
        }
        fields
    }

    const FORM: &str = "--x-1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
        --x-1\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n\
        RIFF\r\n--x-\r\r\n--x\r\n\r\n--x-1\r\nContent-Disposition: form-data; name=prompt\r\n\r\na\r\n-b\r\r\n--x-1 \r\n\
        Content-Disposition: form-data; name=\"n\"\r\n\r\n\r\n--x-1--\r\nContent-Disposition: form-data; name=\"no\"\r\n\r\nx\r\n--x-1--";

    cases! {
        fn contract_fields_are_read_however_a_form_is_cut_and_files_are_not() {
            let expected = [("model", "whisper-1"), ("prompt", "a\r\n-b\r"), ("n", "")];
            let expected: Vec<_> = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            for size in [1, 2, 3, 5, 8, 64, usize::MAX] {
                assert_eq!(read(FORM.as_bytes(), size), expected, "pieces of {size}");
            }
        }

        fn deterministic_what_is_no_form_gives_nothing() {
            let long_line = format!("--{}\r\n", "a".repeat(300));
            let long_head = format!("--a\r\nContent-Disposition: form-data; name=\"model\"; x={}\r\n\r\nm\r\n--a--", "a".repeat(600));
            let long_value = format!("--a\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{}\r\n--a--", "a".repeat(600));
            for body in ["", "--", "-\r\n", "--\0\r\n", "- x\r\n", &long_line, &long_head, &long_value, "--a\r\nno head\r\n\r\nx\r\n--a--"] {
                assert_eq!(read(body.as_bytes(), 7), [], "{body}");
            }
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    mod properties {
        use super::*;
        use proptest::prelude::*;

        proptest! {
            #![proptest_config(cases::properties())]
            #[test]
            fn deterministic_any_bytes_say_the_same_however_they_are_cut(
                parts in prop::collection::vec(prop_oneof![
                    Just("--x".to_owned()), Just("\r\n".to_owned()), Just("--".to_owned()), Just("\r".to_owned()),
                    Just("Content-Disposition: form-data; name=\"model\"".to_owned()), Just("; filename=a".to_owned()), "[a-x-]{0,3}",
                ], 0..40),
                size in 1usize..9,
            ) {
                let body = format!("--x\r\n{}", parts.concat());
                prop_assert_eq!(read(body.as_bytes(), size), read(body.as_bytes(), usize::MAX));
            }
        }
    }
}

//! Walks along the bytes of a request, down to the options.

use super::{Ask, Edit, Key, Said, State, Who};
use crate::rewrite::run_of_text;
use crate::scan::{Unescape, inside, is_alike};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Ask {
    /// Handles the byte at a place of the chunk, or a run of bytes; returns how many.
    pub(super) fn step(&mut self, at: usize, edit: &mut Edit<'_>) -> usize {
        let rest = edit.bytes().get(at..).unwrap_or_default();
        let Some(&byte) = rest.first() else { return 1 };
        if self.skipped > 0 {
            return self.skip(rest);
        }
        match self.state {
            State::Lost | State::Done => return rest.len(),
            State::Text => return self.text(rest),
            State::InName => return self.in_name(rest, edit),
            State::Word => return self.in_word(at, edit),
            _ if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') => {}
            State::Start if byte == b'{' => self.enter(1),
            State::Start if BYTE_ORDER_MARK.get(self.mark) == Some(&byte) => self.mark = self.mark.saturating_add(1),
            State::Name if byte == b'"' => self.begin_name(at, edit),
            State::Name if byte == b'}' && self.empty => self.leave(at, edit),
            State::Colon if byte == b':' => self.state = State::Value,
            State::Value => return self.value(at, byte, edit),
            State::After if matches!(byte, b',' | b'}') => {
                self.move_held(at, edit);
                if byte == b'}' {
                    self.leave(at, edit);
                } else {
                    self.next(at, edit);
                }
            }
            _ => {
                self.release(edit);
                self.lose();
            }
        }
        1
    }

    fn enter(&mut self, level: u8) {
        (self.level, self.empty, self.state) = (level, true, State::Name);
    }

    fn begin_name(&mut self, at: usize, edit: &mut Edit<'_>) {
        self.name.clear();
        self.unescape = Unescape::default();
        self.escape = false;
        if self.level == 1 {
            self.hold = Some(at);
        } else {
            // Options with a member stay where they are.
            self.release(edit);
        }
        self.state = State::InName;
    }

    fn in_name(&mut self, rest: &[u8], edit: &mut Edit<'_>) -> usize {
        let run = inside(rest, self.escape);
        self.escape = run.open_escape;
        self.unescape.push(rest.get(..run.length).unwrap_or_default(), &mut self.name);
        if run.closed {
            self.unescape.end(&mut self.name);
            self.key = self.named();
            self.state = State::Colon;
        }
        let may_be_options =
            if run.closed { self.key == Key::Options } else { b"stream_options".starts_with(self.name.bytes()) };
        if !may_be_options {
            self.release(edit);
        }
        run.length.saturating_add(usize::from(run.closed))
    }

    fn named(&self) -> Key {
        let known: &[(&str, Key)] = match self.level {
            1 => &[("stream", Key::Stream), ("stream_options", Key::Options)],
            _ => &[("include_usage", Key::IncludeUsage)],
        };
        let name = self.name.bytes();
        match known.iter().find(|(known, _)| is_alike(known, name)) {
            Some((known, key)) if known.as_bytes() == name && !self.name.overflowed() => *key,
            Some(_) if !self.name.overflowed() => Key::Lookalike,
            _ => Key::Other,
        }
    }

    fn value(&mut self, at: usize, byte: u8, edit: &mut Edit<'_>) -> usize {
        self.empty = false;
        match (self.key, byte) {
            (Key::Options, b'{') => {
                self.include_usage = None;
                self.enter(2);
                return 1;
            }
            (Key::IncludeUsage, b'f' | b'n') => self.hold = Some(at),
            _ => {}
        }
        match byte {
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                self.name.clear();
                self.state = State::Word;
                return self.in_word(at, edit);
            }
            b'"' => (self.state, self.escape) = (State::Text, false),
            b'{' | b'[' => (self.state, self.skipped) = (State::After, 1),
            _ => {
                self.release(edit);
                self.lose();
                return 1;
            }
        }
        self.said(Said::Odd, edit);
        1
    }

    /// A number or literal, or what a reader that is not strict takes for one.
    fn in_word(&mut self, at: usize, edit: &mut Edit<'_>) -> usize {
        let rest = edit.bytes().get(at..).unwrap_or_default();
        let ends = |byte: &u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.' | b'_'));
        let used = rest.iter().position(ends).unwrap_or(rest.len());
        self.name.push(rest.get(..used).unwrap_or_default());
        if used == rest.len() {
            return used;
        }
        let end = at.saturating_add(used);
        self.state = State::After;
        match (self.key, self.name.bytes()) {
            (Key::Options, b"null") if self.hold.is_some() => {}
            (Key::IncludeUsage, word @ (b"false" | b"null")) if self.stream != Some(Said::Off) => {
                let flipped: &[u8] = if word == b"null" { b"true" } else { b"true " };
                self.replace_held(end, flipped, edit);
                (self.include_usage, self.who) = (Some(Said::True), Who::Us);
            }
            (_, b"true") => self.said(Said::True, edit),
            (_, b"false" | b"null") => self.said(Said::Off, edit),
            _ => self.said(Said::Odd, edit),
        }
        used
    }

    fn text(&mut self, rest: &[u8]) -> usize {
        let (used, closed) = run_of_text(rest, &mut self.escape);
        if closed {
            self.state = State::After;
        }
        used
    }

    fn skip(&mut self, rest: &[u8]) -> usize {
        if self.skipped_text {
            let (used, closed) = run_of_text(rest, &mut self.escape);
            self.skipped_text = !closed;
            return used;
        }
        let plain = crate::scan::run(rest, [b'"', b'{', b'}', b'[', b']']);
        match rest.get(plain) {
            None => {}
            Some(b'"') => (self.skipped_text, self.escape) = (true, false),
            Some(b'{' | b'[') => self.skipped = self.skipped.saturating_add(1),
            Some(_) => self.skipped = self.skipped.saturating_sub(1),
        }
        plain.saturating_add(1).min(rest.len())
    }
}

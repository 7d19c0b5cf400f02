//! Adds `stream_options.include_usage` to a request that asks for a stream.
//!
//! Where the content length was announced before the body was seen, it was with [`ROOM`] bytes on top: so exactly as many
//! are added, and what the option does not need is white space behind the body. An explicit `false` or `null` becomes
//! `true` in place. Everything else is known at the root's closing brace only; so the option goes in there, and options
//! that say nothing (`null`, `{}`) are moved there. Names are compared decoded. Of a repeated name some readers take the
//! first and some the last: a request counts as asked if each reading of it that streams has the option.

mod parts;
mod walk;

use wire::record::NotAsked;

use super::edit::{Change, Edit};
use crate::scan::{Short, Unescape};
use parts::{Key, Moved, Said, State, Who};

/// What is added before the root's closing brace.
const OPTION: &[u8] = b",\"stream_options\":{\"include_usage\":true}";
/// What is added to options that are there, before their closing brace.
const INNER: &[u8] = b",\"include_usage\":true";

/// How many bytes a body of announced length grows by, always.
pub const ROOM: usize = OPTION.len();

/// The longest name or word that matters, bytes.
const MAX_NAME: usize = 16;
/// The longest member that can be moved or flipped, bytes: with every letter of its name escaped it takes 91.
const MAX_HELD: usize = 128;

const SPACES: &[u8] = &[b' '; MAX_HELD];

/// Whether usage is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// The request has not said it all yet.
    Open,
    /// It asks for no stream.
    No,
    /// The client does.
    Client,
    /// The client did not; it was added.
    Added,
    /// It cannot be asked, or not in every reading.
    Not(NotAsked),
}

/// Rewrites one request body.
#[derive(Clone, Debug)]
pub struct Ask {
    state: State,
    /// 1 in the root object, 2 in its `stream_options`.
    level: u8,
    /// The current object has no member yet.
    empty: bool,
    /// Brackets open below the level.
    skipped: u64,
    /// Inside a text below it.
    skipped_text: bool,
    /// The next byte of a text or name is behind a backslash.
    escape: bool,
    /// Bytes of a byte order mark seen.
    mark: usize,
    /// The name, decoded, or the word.
    name: Short<MAX_NAME>,
    unescape: Unescape,
    key: Key,
    /// Where in this chunk bytes begin that wait until it is clear what they are, behind those of earlier chunks.
    hold: Option<usize>,
    held: Short<MAX_HELD>,
    moved: Option<Moved>,
    /// What was passed on last in the root is its brace or a comma.
    dangling: bool,
    stream: Option<Said>,
    /// `stream` was once more than off.
    streamed: bool,
    include_usage: Option<Said>,
    who: Who,
    /// Options were seen.
    options: bool,
    /// Some of the options do not ask.
    unsure: bool,
    /// A name in another case says something.
    lookalike: bool,
    asking: Asking,
    /// Why the option is not to be added where the client has none.
    bar: Option<NotAsked>,
    /// `stream` was there more than once, or one of the names in another case.
    repeated: bool,
    /// The option was added, and the client has said nothing of it.
    alone: bool,
    /// Bytes that may be added; of no account without `left`.
    room: usize,
    /// Bytes of the body that are still to come, if its length was announced.
    left: Option<u64>,
}

impl Ask {
    /// For a body of an announced length, bytes, which is kept with [`ROOM`] on top; or of any length.
    pub fn new(length: Option<u64>) -> Self {
        Ask {
            state: State::Start,
            level: 0,
            empty: true,
            skipped: 0,
            skipped_text: false,
            escape: false,
            mark: 0,
            name: Short::new(),
            unescape: Unescape::default(),
            key: Key::Other,
            hold: None,
            held: Short::new(),
            moved: None,
            dangling: true,
            stream: None,
            streamed: false,
            include_usage: None,
            who: Who::Nobody,
            options: false,
            unsure: false,
            lookalike: false,
            asking: Asking::Open,
            bar: None,
            repeated: false,
            alone: false,
            room: ROOM,
            left: length,
        }
    }

    /// Whether usage is asked for.
    pub fn asking(&self) -> Asking {
        self.asking
    }

    /// Whether the response may have something that the client did not ask for.
    pub fn is_added(&self) -> bool {
        self.who == Who::Us
    }

    /// Whether nothing but what was added can be what a provider says of the option: the client has no word of it.
    pub fn is_alone(&self) -> bool {
        self.alone
    }

    /// Why the option is not to be added where the client has none, as far as is known: asked before each chunk, and what holds
    /// for the one with the root's closing brace counts.
    pub fn set_bar(&mut self, bar: Option<NotAsked>) {
        self.bar = bar;
    }

    /// Whether no byte can change anything any more: those that come need not be had.
    pub fn is_settled(&self) -> bool {
        matches!(self.state, State::Done | State::Lost)
    }

    /// Whether the whole body has passed, as far as its length says.
    pub fn is_over(&self) -> bool {
        self.left == Some(0)
    }

    /// Rewrites a chunk; `out` is used only where the bytes change. With the last byte of an announced length its promise
    /// is kept, also where the root object never closed: trailers may follow, and nothing could be added any more.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Change {
        let mut edit = Edit::new(bytes, out);
        let mut at = 0usize;
        while at < bytes.len() {
            // Nothing used means only that the state has changed: the end of a word is looked at twice.
            at = at.saturating_add(self.step(at, &mut edit));
        }
        let pad = self.count(bytes.len());
        if let Some(from) = self.hold {
            if pad.is_some() {
                self.release(&mut edit);
            } else if self.holds(bytes.len()) > MAX_HELD {
                self.give_up(&mut edit);
            } else {
                self.held.push(bytes.get(from..).unwrap_or_default());
                edit.drop(from, bytes.len());
                self.hold = Some(0);
            }
        }
        edit.finish(pad.unwrap_or(0))
    }

    /// The next bytes pass as they are: they could not be had, or need not be. What comes is to be added behind them.
    pub fn pass(&mut self, bytes: usize, out: &mut Vec<u8>) -> Change {
        if !self.is_settled() {
            out.extend_from_slice(self.held.bytes());
            self.held.clear();
            self.hold = None;
            self.lose();
        }
        let pad = self.count(bytes).unwrap_or(0);
        out.resize(out.len().saturating_add(pad), b' ');
        if out.is_empty() { Change::None } else { Change::Behind }
    }

    /// The body is over, however long it was: what is held goes out behind its last bytes.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Change {
        self.pass(0, out)
    }

    /// Counts bytes of the body; with the last one of an announced length returns what is to be added behind it.
    fn count(&mut self, bytes: usize) -> Option<usize> {
        let left = self.left.as_mut().filter(|left| **left > 0)?;
        *left = left.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
        if *left > 0 {
            return None;
        }
        if !self.is_settled() {
            self.asking = Asking::Not(NotAsked::Unreadable);
        }
        Some(std::mem::take(&mut self.room))
    }

    /// Nothing is understood any more.
    fn lose(&mut self) {
        self.state = State::Lost;
        self.asking = Asking::Not(NotAsked::Unreadable);
    }

    /// A member has said what it says, and stays where it is.
    fn said(&mut self, said: Said, edit: &mut Edit<'_>) {
        self.release(edit);
        match self.key {
            Key::Stream => {
                self.repeated |= self.stream.is_some();
                self.stream = Some(said);
                self.streamed |= said != Said::Off;
            }
            Key::Options => {
                // No object: nothing can be added to it.
                (self.options, self.unsure, self.moved, self.who) = (true, true, None, Who::Nobody);
            }
            Key::IncludeUsage => {
                self.include_usage = Some(said);
                self.who = if said == Said::True { Who::Client } else { Who::Nobody };
            }
            Key::Lookalike => {
                self.lookalike |= said != Said::Off;
                self.repeated = true;
            }
            Key::Other => {}
        }
    }

    /// The comma behind a member.
    fn next(&mut self, at: usize, edit: &mut Edit<'_>) {
        self.state = State::Name;
        if self.level == 1 && self.dangling {
            let behind = at.saturating_add(1);
            edit.drop(at, behind);
            edit.insert(behind, self.blank(1));
        }
    }

    /// The closing brace of the options or of the root.
    fn leave(&mut self, at: usize, edit: &mut Edit<'_>) {
        if self.level == 1 {
            return self.close(at, edit);
        }
        if self.holds(at) > MAX_HELD {
            self.release(edit);
        }
        (self.level, self.state) = (1, State::After);
        if self.hold.is_some() {
            // Without a member: it is moved, if the root goes on as an object must.
            return;
        }
        let member = if self.empty { INNER.get(1..).unwrap_or_default() } else { INNER };
        self.empty = false;
        if self.include_usage.is_none() && self.stream != Some(Said::Off) && self.fit(member, at, edit) {
            (self.include_usage, self.who) = (Some(Said::True), Who::Us);
        }
        if self.include_usage != Some(Said::True) {
            (self.unsure, self.who) = (true, Who::Nobody);
        }
        (self.options, self.moved) = (true, None);
    }

    /// The root object is over: what it asks for is known.
    fn close(&mut self, at: usize, edit: &mut Edit<'_>) {
        self.state = State::Done;
        let streams = self.stream == Some(Said::True);
        let lacks = streams && (self.moved.is_some() || !self.options);
        if lacks && self.bar.is_none() && self.write(OPTION, at, edit) {
            self.who = Who::Us;
            self.alone = !self.options && self.moved.is_none() && !self.repeated;
        } else if let Some(moved) = self.moved {
            self.who = Who::Nobody;
            let member: &[u8] = match moved {
                Moved::Null => b",\"stream_options\":null",
                Moved::Empty => b",\"stream_options\":{}",
            };
            self.write(member, at, edit);
        }
        self.asking = match self.who {
            _ if !streams && !self.streamed && !self.lookalike => Asking::No,
            Who::Client if streams && !self.unsure && !self.lookalike => Asking::Client,
            Who::Us if streams && !self.unsure && !self.lookalike => Asking::Added,
            _ if lacks && !self.unsure && !self.lookalike && self.bar.is_some() => {
                Asking::Not(self.bar.unwrap_or(NotAsked::Ambiguous))
            }
            _ => Asking::Not(NotAsked::Ambiguous),
        };
    }

    /// Writes a member of the root, if there is room for it.
    fn write(&mut self, member: &[u8], at: usize, edit: &mut Edit<'_>) -> bool {
        let member = if self.dangling { member.get(1..).unwrap_or_default() } else { member };
        self.fit(member, at, edit)
    }

    /// Adds bytes, if there is room for them.
    fn fit(&mut self, bytes: &[u8], at: usize, edit: &mut Edit<'_>) -> bool {
        if self.left.is_some() {
            let Some(room) = self.room.checked_sub(bytes.len()) else { return false };
            self.room = room;
        }
        edit.insert(at, bytes);
        true
    }

    /// What goes in the place of bytes that are taken out, so that an announced length is kept: white space, as far as they are
    /// not needed to make room again.
    fn blank(&mut self, bytes: usize) -> &'static [u8] {
        let Some(_) = self.left else { return b"" };
        let room = self.room.saturating_add(bytes).min(ROOM);
        let regained = room.saturating_sub(self.room);
        self.room = room;
        SPACES.get(..bytes.saturating_sub(regained)).unwrap_or_default()
    }

    /// How much is held, up to a place of this chunk.
    fn holds(&self, at: usize) -> usize {
        let here = self.hold.map_or(0, |from| at.saturating_sub(from));
        self.held.bytes().len().saturating_add(here)
    }

    /// What is held is too long.
    fn give_up(&mut self, edit: &mut Edit<'_>) {
        let ended = self.level == 1 && self.state == State::After;
        if ended { self.said(Said::Odd, edit) } else { self.release(edit) }
    }

    /// What is held turns out to be nothing special.
    fn release(&mut self, edit: &mut Edit<'_>) {
        if let Some(from) = self.hold.take() {
            edit.insert(from, self.held.bytes());
            self.held.clear();
            self.dangling = false;
        }
    }

    /// Something else goes in the place of what is held, up to a place of this chunk.
    fn replace_held(&mut self, at: usize, bytes: &[u8], edit: &mut Edit<'_>) {
        if let Some(from) = self.hold.take() {
            edit.drop(from, at);
            edit.insert(at, bytes);
            self.held.clear();
        }
    }

    /// Options that say nothing have ended: they are written at the end of the root, where it is known whether it streams.
    fn move_held(&mut self, at: usize, edit: &mut Edit<'_>) {
        if self.level != 1 || self.hold.is_none() {
            return;
        }
        let held = self.holds(at);
        if held > MAX_HELD {
            return self.give_up(edit);
        }
        self.moved = Some(if self.empty { Moved::Empty } else { Moved::Null });
        self.empty = false;
        let spaces = self.blank(held);
        self.replace_held(at, spaces, edit);
        self.dangling = true;
    }
}

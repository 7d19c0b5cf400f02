//! The state machine that walks the bytes.

use super::paths::{MAX_NAME, Node};
use super::text::{Short, Unescape};
use super::word::{begins_word, ends_word, word, word_length};
use super::{MAX_DEPTH, MAX_SCALAR, Paths, Piece, Progress, Scalar, Sink, skip};

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value begins.
    Value,
    /// An array has begun: an element or the end.
    ElementOrEnd,
    /// An object has begun: a name or the end.
    NameOrEnd,
    /// Behind a comma in an object: a name.
    Name,
    /// Inside a name.
    InName,
    /// Behind a name.
    Colon,
    /// Inside a text value.
    InText,
    /// Inside a number or literal.
    InWord,
    /// Behind a value: a comma or the end of what holds it.
    After,
    /// Inside an object or array that no path leads into.
    Skipping,
    /// Inside a text in there.
    SkippingText,
    /// The one value is over.
    Done,
    /// Not JSON.
    Broken,
}

/// An open object or array on a wanted path.
#[derive(Clone, Copy, Debug)]
struct Level {
    node: Node,
    object: bool,
}

/// Walks one JSON value. Fixed size; whatever the bytes are, work is linear in their number.
#[derive(Clone, Debug)]
pub struct Scanner<L> {
    state: State,
    /// Where the value that is being read stands in the tree; `None` off every path.
    node: Option<Node>,
    levels: [Level; MAX_DEPTH],
    depth: usize,
    /// Brackets open inside what is being skipped.
    skipped: u64,
    /// The next byte is behind a backslash.
    escape: bool,
    /// The name or text that is being read has escapes.
    escaped: bool,
    unescape: Unescape,
    name: Short<MAX_NAME>,
    scalar: Short<MAX_SCALAR>,
    /// The object or array that is being passed on whole, and the depth it stands at.
    raw: Option<(L, usize)>,
}

impl<L: Copy> Default for Scanner<L> {
    fn default() -> Self {
        Scanner {
            state: State::Value,
            node: Some(Paths::<L>::ROOT),
            levels: [Level { node: 0, object: false }; MAX_DEPTH],
            depth: 0,
            skipped: 0,
            escape: false,
            escaped: false,
            unescape: Unescape::default(),
            name: Short::new(),
            scalar: Short::new(),
            raw: None,
        }
    }
}

impl<L: Copy> Scanner<L> {
    /// Makes ready for the next value, without touching the buffers.
    pub fn reset(&mut self) {
        self.state = State::Value;
        self.node = Some(Paths::<L>::ROOT);
        self.depth = 0;
        self.skipped = 0;
        self.escape = false;
        self.raw = None;
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        match self.state {
            State::Value if self.depth == 0 => Progress::Empty,
            State::Done => Progress::Done,
            State::Broken => Progress::Broken,
            _ => Progress::Inside,
        }
    }

    /// Walks on, to the end of the value at most; returns how many bytes that took.
    pub fn feed(&mut self, paths: &Paths<L>, bytes: &[u8], sink: &mut impl Sink<L>) -> usize {
        let mut raw_from = 0usize;
        let mut at = 0usize;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty() && !self.is_over()) {
            let had_raw = self.raw.is_some();
            let used = self.step(paths, rest, sink);
            // Nothing used means only that the state has changed: the end of a word is looked at twice.
            let next = at.saturating_add(used);
            if let Some((leaf, depth)) = self.raw {
                if !had_raw {
                    raw_from = at;
                }
                if self.closed_at(depth) {
                    sink.raw(leaf, bytes.get(raw_from..next).unwrap_or_default());
                    sink.raw_end(leaf);
                    self.raw = None;
                }
            }
            at = next;
        }
        if let Some((leaf, _)) = self.raw {
            sink.raw(leaf, bytes.get(raw_from..at).unwrap_or_default());
        }
        at
    }

    /// Whether no byte can change anything: the value has ended, or what followed is not JSON.
    fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Broken)
    }

    fn closed_at(&self, depth: usize) -> bool {
        self.depth == depth && matches!(self.state, State::After | State::Done)
    }

    /// Handles the first byte, or a run of bytes of one kind; returns how many.
    fn step(&mut self, paths: &Paths<L>, rest: &[u8], sink: &mut impl Sink<L>) -> usize {
        let Some(&byte) = rest.first() else { return 0 };
        match self.state {
            State::InName => return self.in_name(paths, rest, sink),
            State::InText => return self.in_text(paths, rest, sink),
            State::InWord => return self.in_word(paths, rest, sink),
            State::Skipping => return self.skipping(rest),
            State::SkippingText => return self.skipping_text(rest),
            _ => {}
        }
        if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            return 1;
        }
        match (self.state, byte) {
            (State::Value | State::ElementOrEnd, b'{' | b'[') => self.open(paths, byte == b'{', sink),
            (State::Value | State::ElementOrEnd, b'"') => {
                self.begin(State::InText);
                let inner = rest.get(1..).unwrap_or_default();
                return if inner.is_empty() { 1 } else { self.in_text(paths, inner, sink).saturating_add(1) };
            }
            (State::Value | State::ElementOrEnd, byte) if begins_word(byte) => {
                self.begin(State::InWord);
                return self.in_word(paths, rest, sink);
            }
            (State::ElementOrEnd, b']') | (State::NameOrEnd, b'}') => self.close(paths, sink),
            (State::NameOrEnd | State::Name, b'"') => {
                self.name.clear();
                self.escaped = false;
                self.escape = false;
                self.unescape = Unescape::default();
                self.state = State::InName;
                let inner = rest.get(1..).unwrap_or_default();
                return if inner.is_empty() { 1 } else { self.in_name(paths, inner, sink).saturating_add(1) };
            }
            (State::Colon, b':') => self.state = State::Value,
            (State::After, b',') => self.next(paths),
            (State::After, b'}' | b']') => match self.level() {
                Some(level) if level.object == (byte == b'}') => self.close(paths, sink),
                _ => self.state = State::Broken,
            },
            _ => self.state = State::Broken,
        }
        1
    }

    fn begin(&mut self, state: State) {
        self.scalar.clear();
        self.escaped = false;
        self.escape = false;
        self.unescape = Unescape::default();
        self.state = state;
    }

    fn level(&self) -> Option<Level> {
        self.levels.get(self.depth.checked_sub(1)?).copied()
    }

    fn open<S: Sink<L>>(&mut self, paths: &Paths<L>, object: bool, sink: &mut S) {
        if S::MINDS_SHAPES
            && let Some(leaf) = self.node.and_then(|node| paths.leaf(node))
        {
            sink.began(leaf, object);
        }
        match (self.raw, self.node.and_then(|node| paths.raw(node))) {
            (None, Some(leaf)) => {
                self.raw = Some((leaf, self.depth));
                sink.raw_begin(leaf);
            }
            (Some(_), Some(leaf)) => sink.nested(leaf),
            (_, None) => {}
        }
        // Deeper than can be told apart: all of it flows, names and brackets too.
        if let (None, true, Some(leaf)) =
            (self.raw, self.depth >= MAX_DEPTH, self.node.and_then(|node| paths.flow(node)))
        {
            self.raw = Some((leaf, self.depth));
            sink.raw_begin(leaf);
        }
        let wanted =
            self.node.filter(|&node| if object { paths.has_names(node) } else { paths.element(node).is_some() });
        match (wanted, self.levels.get_mut(self.depth)) {
            (Some(node), Some(level)) => {
                *level = Level { node, object };
                self.depth = self.depth.saturating_add(1);
                if object {
                    self.state = State::NameOrEnd;
                } else {
                    self.node = paths.element(node);
                    self.state = State::ElementOrEnd;
                }
            }
            _ => {
                self.skipped = 1;
                self.state = State::Skipping;
            }
        }
    }

    fn close<S: Sink<L>>(&mut self, paths: &Paths<L>, sink: &mut S) {
        if S::MINDS_SHAPES
            && let Some(leaf) = self.level().and_then(|level| paths.leaf(level.node))
        {
            sink.ended(leaf);
        }
        self.depth = self.depth.saturating_sub(1);
        self.ended();
    }

    fn ended(&mut self) {
        self.state = if self.depth == 0 { State::Done } else { State::After };
    }

    fn next(&mut self, paths: &Paths<L>) {
        match self.level() {
            Some(Level { object: true, .. }) => self.state = State::Name,
            Some(Level { object: false, node }) => {
                self.node = paths.element(node);
                self.state = State::Value;
            }
            None => self.state = State::Broken,
        }
    }

    /// Finds the place of a name.
    fn named<S: Sink<L>>(paths: &Paths<L>, parent: Node, name: &[u8], sink: &mut S) -> Option<Node> {
        let (node, is_known) = paths.named(parent, name);
        let like = || {
            let (leaf, node) = paths.like(parent, name)?;
            sink.like(leaf, name);
            Some(node)
        };
        let node = if is_known { node } else { node.or_else(like) };
        if S::MINDS_SHAPES
            && !is_known
            && let Some(leaf) = paths.alike(parent, name)
        {
            sink.alike(leaf);
        }
        node
    }

    fn in_name(&mut self, paths: &Paths<L>, rest: &[u8], sink: &mut impl Sink<L>) -> usize {
        let skip::Inside { length: used, closed: end, .. } = self.text_run(rest);
        let run = rest.get(..used).unwrap_or_default();
        let parent = self.level().map(|level| level.node);
        if end && self.name.is_empty() && !self.escaped {
            // The whole name is at hand, as most are: it is not copied.
            self.node = parent.and_then(|parent| Self::named(paths, parent, run, sink));
            // Behind a name there is a colon; white space before it takes the long way.
            let colon = rest.get(used.saturating_add(1)) == Some(&b':');
            self.state = if colon { State::Value } else { State::Colon };
            let used = used.saturating_add(1).saturating_add(usize::from(colon));
            return if colon && self.node.is_none() { self.unwanted(paths, rest, used, sink) } else { used };
        }
        self.unescape.push(run, &mut self.name);
        if !end {
            return used;
        }
        self.unescape.end(&mut self.name);
        let known = parent.filter(|_| !self.name.overflowed());
        self.node = known.and_then(|parent| Self::named(paths, parent, self.name.bytes(), sink));
        self.state = State::Colon;
        used.saturating_add(1)
    }

    /// Takes a scalar that nobody wants together with its name, if it is at hand whole; `used` bytes were.
    fn unwanted(&mut self, paths: &Paths<L>, rest: &[u8], used: usize, sink: &mut impl Sink<L>) -> usize {
        let value = rest.get(used..).unwrap_or_default();
        let (value, quotes) = match value.split_first() {
            Some((b'"', text)) => {
                let inside = skip::inside(text, false);
                (text.get(..inside.length).filter(|_| inside.closed), 2)
            }
            _ => (word_length(value).and_then(|length| value.get(..length)), 0),
        };
        // Anything else takes the long way.
        let Some(value) = value else { return used };
        sink.passed(value, None);
        self.ended();
        self.comma(paths, rest, used.saturating_add(value.len()).saturating_add(quotes))
    }

    fn in_text(&mut self, paths: &Paths<L>, rest: &[u8], sink: &mut impl Sink<L>) -> usize {
        let inside = self.text_run(rest);
        let (used, end) = (inside.length, inside.closed);
        let run = rest.get(..used).unwrap_or_default();
        let leaf = self.node.and_then(|node| paths.leaf(node)).filter(|&leaf| !sink.skips(leaf));
        let flow = self.node.and_then(|node| paths.flow(node));
        if let Some(leaf) = leaf {
            self.leaf_text(leaf, run, end, sink);
        }
        if let Some(flow) = flow {
            sink.flow(flow, Piece { bytes: run, escapes: inside.escapes, open_escape: inside.open_escape });
        }
        if !end {
            return used;
        }
        if leaf.is_none() {
            sink.passed(run, flow);
        }
        self.ended();
        self.comma(paths, rest, used.saturating_add(1))
    }

    /// Collects a text that is wanted; most are at hand whole.
    fn leaf_text(&mut self, leaf: L, run: &[u8], end: bool, sink: &mut impl Sink<L>) {
        let whole = end && self.scalar.is_empty() && !self.escaped && run.len() <= MAX_SCALAR;
        if !whole {
            self.unescape.push(run, &mut self.scalar);
        }
        if end {
            self.unescape.end(&mut self.scalar);
            let text = if whole { run } else { self.scalar.bytes() };
            match std::str::from_utf8(text) {
                Ok(text) => sink.scalar(leaf, Scalar::Text(text)),
                Err(_) => sink.scalar(leaf, Scalar::Text(&String::from_utf8_lossy(text))),
            }
        }
    }

    /// Takes the comma behind a scalar too, if it stands there; `used` bytes were.
    fn comma(&mut self, paths: &Paths<L>, rest: &[u8], used: usize) -> usize {
        if self.state == State::After && rest.get(used) == Some(&b',') {
            self.next(paths);
            return used.saturating_add(1);
        }
        used
    }

    /// A piece of a text, up to its end or the end of the bytes.
    fn text_run(&mut self, rest: &[u8]) -> skip::Inside {
        let inside = skip::inside(rest, std::mem::take(&mut self.escape));
        self.escape = inside.open_escape;
        self.escaped |= inside.escapes != Some(0);
        inside
    }

    fn in_word(&mut self, paths: &Paths<L>, rest: &[u8], sink: &mut impl Sink<L>) -> usize {
        let used = rest.iter().position(ends_word).unwrap_or(rest.len());
        let run = rest.get(..used).unwrap_or_default();
        let whole = used < rest.len() && self.scalar.is_empty() && used <= MAX_SCALAR;
        if !whole {
            self.scalar.push(run);
        }
        if used == rest.len() {
            return used;
        }
        let leaf = self.node.and_then(|node| paths.leaf(node));
        let bytes = if whole { run } else { self.scalar.bytes() };
        let word = if self.scalar.overflowed() { Some(Scalar::Overlong) } else { word(bytes) };
        match (word, leaf) {
            (None, _) => {
                self.state = State::Broken;
                return used;
            }
            (Some(word), Some(leaf)) => sink.scalar(leaf, word),
            _ => {}
        }
        self.ended();
        // Another delimiter is looked at again, as what follows the value.
        self.comma(paths, rest, used)
    }

    fn skipping(&mut self, rest: &[u8]) -> usize {
        let plain = skip::plain(rest);
        match rest.get(plain) {
            None => return plain,
            Some(b'"') => {
                self.escape = false;
                self.state = State::SkippingText;
            }
            Some(b'{' | b'[') => self.skipped = self.skipped.saturating_add(1),
            Some(_) => {
                self.skipped = self.skipped.saturating_sub(1);
                if self.skipped == 0 {
                    self.ended();
                }
            }
        }
        plain.saturating_add(1)
    }

    fn skipping_text(&mut self, rest: &[u8]) -> usize {
        let skip::Inside { length: used, closed: end, .. } = self.text_run(rest);
        if end {
            self.state = State::Skipping;
            return used.saturating_add(1);
        }
        used
    }
}

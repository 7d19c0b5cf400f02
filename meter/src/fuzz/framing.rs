//! The framing: any split gives the same values, the same format and the same ending, whatever the header says.

use super::splits;
use crate::framing::{Body, Values};
use crate::scan::{Paths, Piece, Scalar, Sink};

/// What the content type may say.
const HINTS: [Option<&[u8]>; 3] = [None, Some(b"text/event-stream"), Some(b"application/vnd.amazon.eventstream")];

const LEAVES: &[(&str, u8)] = &[("usage.prompt_tokens", 0), ("type", 1), ("n", 2), ("metadata.usage.inputTokens", 3)];
const RAWS: &[(&str, u8)] = &[("usage", 10)];
const FLOWS: &[(&str, u8)] = &[("bytes", WRAPPED), ("text", 21)];
const WRAPPED: u8 = 20;

/// What is found, in order; what comes in pieces is joined, and what a value repeats from the one before is left out.
#[derive(Debug, Default, PartialEq)]
struct Found {
    items: Vec<Item>,
    /// The texts of the current value.
    texts: Vec<Item>,
    /// Those of the last that had some.
    said: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq)]
enum Item {
    Scalar(u8, String),
    RawBegin(u8),
    Raw(u8, Vec<u8>),
    RawEnd(u8),
    Flow(u8, Vec<u8>),
    ValueEnd,
    Done,
    Exception(Vec<u8>),
}

impl Found {
    /// What broken JSON leaves open ends where the piece ends: no reader may use it.
    fn forget_open(&mut self) {
        let mut closed: Vec<u8> = Vec::new();
        let kept: Vec<Item> = std::mem::take(&mut self.items)
            .into_iter()
            .rev()
            .filter(|item| match item {
                Item::RawEnd(leaf) => {
                    closed.push(*leaf);
                    true
                }
                Item::Raw(leaf, _) => closed.contains(leaf),
                Item::RawBegin(leaf) => closed.pop_if(|closed| closed == leaf).is_some(),
                _ => true,
            })
            .collect();
        self.items = kept.into_iter().rev().collect();
        self.say();
    }

    fn say(&mut self) {
        let texts = std::mem::take(&mut self.texts);
        if !texts.is_empty() && texts != self.said {
            self.items.extend_from_slice(&texts);
            self.said = texts;
        }
    }
}

impl Sink<u8> for Found {
    fn scalar(&mut self, leaf: u8, value: Scalar<'_>) {
        let repeats = matches!(value, Scalar::Text(_) | Scalar::Null);
        let items = if repeats { &mut self.texts } else { &mut self.items };
        items.push(Item::Scalar(leaf, format!("{value:?}")));
    }
    fn raw_begin(&mut self, leaf: u8) {
        self.items.push(Item::RawBegin(leaf));
    }
    /// An object that is passed on whole and the values in it arrive by turns, as the pieces have it: only the order
    /// among bytes is kept.
    fn raw(&mut self, leaf: u8, bytes: &[u8]) {
        let open = self.items.iter_mut().rev().find_map(|item| match item {
            Item::Raw(of, raw) if *of == leaf => Some(Some(raw)),
            Item::RawBegin(of) if *of == leaf => Some(None),
            _ => None,
        });
        match open {
            Some(Some(raw)) => raw.extend_from_slice(bytes),
            _ => {
                let begin = self.items.iter().rposition(|item| *item == Item::RawBegin(leaf));
                self.items
                    .insert(begin.expect("bytes of an object that has not begun") + 1, Item::Raw(leaf, bytes.to_vec()));
            }
        }
    }
    fn raw_end(&mut self, leaf: u8) {
        self.items.push(Item::RawEnd(leaf));
    }
    fn flow(&mut self, leaf: u8, Piece { bytes, .. }: Piece<'_>) {
        match self.items.last_mut() {
            Some(Item::Flow(last, flow)) if *last == leaf => flow.extend_from_slice(bytes),
            _ if bytes.is_empty() => {}
            _ => self.items.push(Item::Flow(leaf, bytes.to_vec())),
        }
    }
}

impl Values<u8> for Found {
    fn value_end(&mut self) {
        self.say();
        self.items.push(Item::ValueEnd);
    }
    fn done(&mut self) {
        self.items.push(Item::Done);
    }
    fn exception(&mut self, name: &[u8]) {
        self.items.push(Item::Exception(name.to_vec()));
    }
    fn is_wrapped(leaf: u8) -> bool {
        leaf == WRAPPED
    }
}

/// Reads the bytes as a body in every split and compares.
pub fn framing(bytes: &[u8]) {
    let paths = Paths::new(LEAVES, RAWS, FLOWS);
    for hint in HINTS {
        let read = |pieces: &[&[u8]]| {
            let (mut body, mut found) = (Body::new(hint), Found::default());
            pieces.iter().for_each(|piece| body.feed(&paths, piece, &mut found));
            let ending = body.end(&paths, &mut found);
            found.forget_open();
            (found, body.format(), body.is_stream(), ending)
        };
        let [whole, single, pieces] = splits(bytes).map(|pieces| read(&pieces));
        assert_eq!(single, whole, "byte by byte, {hint:?}");
        assert_eq!(pieces, whole, "in pieces, {hint:?}");
    }
}

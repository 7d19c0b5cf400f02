//! Recognises the events of a stream that repeat the one before them, but for a value or two.
//!
//! Nearly every event of a stream has the bytes of the last one, save for the words that the model wrote, a padding or a
//! number that nobody wants. To walk its JSON again would change nothing, but for those words. So the event that was
//! walked last is kept with the places of the values that may differ, and one that is the same everywhere else is taken
//! whole: only its words are passed on. What adds up, counts above all, makes no template.

use std::ops::Range;

use crate::scan::{Piece, Scalar, Sink, is_same, run, word_length};

/// The longest event that is kept, bytes.
const MAX_EVENT: usize = 1024;
/// The most values of it that may differ; more of them may not.
const MAX_PLACES: usize = 16;

/// Where a value stands that may differ: a text without its quotes, a number or a literal.
#[derive(Clone, Copy, Debug)]
struct Place<L> {
    from: usize,
    to: usize,
    /// What the text is to whom it flows.
    flow: Option<L>,
    /// It did differ, or it flows.
    varies: bool,
}

/// The last event that was walked.
#[derive(Clone, Debug)]
pub(super) struct Template<L> {
    /// It was the last of all, and the next can be recognised by it.
    holds: bool,
    event: Vec<u8>,
    places: Vec<Place<L>>,
    walk: Walk<L>,
}

/// The event that is being walked.
#[derive(Clone, Debug)]
struct Walk<L> {
    /// Where it stands in memory: what is found in it is told by its address.
    begin: Option<usize>,
    places: Vec<Place<L>>,
    /// Texts flowed that have no place.
    flows: usize,
    /// Something in it adds up.
    adds_up: bool,
    /// Its data was one whole JSON value.
    whole: bool,
}

impl<L> Default for Template<L> {
    fn default() -> Self {
        let walk = Walk { begin: None, places: Vec::new(), flows: 0, adds_up: false, whole: false };
        Template { holds: false, event: Vec::new(), places: Vec::new(), walk }
    }
}

impl<L: Copy> Template<L> {
    /// The length of the event at the beginning of `bytes`, if it repeats the last one; its texts flow on.
    pub(super) fn take(&self, bytes: &[u8], values: &mut impl Sink<L>) -> Option<usize> {
        if !self.holds {
            return None;
        }
        let mut taken: [Range<usize>; MAX_PLACES] = Default::default();
        let (mut from, mut at) = (0usize, 0usize);
        let varying = || self.places.iter().filter(|place| place.varies);
        for (place, taken) in varying().zip(&mut taken) {
            at = self.constant(from..place.from, bytes, at)?;
            let is_text = self.event.get(place.from.checked_sub(1)?) == Some(&b'"');
            let length = value(bytes.get(at..)?, is_text)?;
            *taken = at..at.saturating_add(length);
            at = taken.end;
            from = place.to;
        }
        at = self.constant(from..self.event.len(), bytes, at)?;
        // Only now it is certain.
        for (place, taken) in varying().zip(taken) {
            if let (Some(leaf), Some(text)) = (place.flow, bytes.get(taken)) {
                values.flow(leaf, Piece::of(text));
            }
        }
        Some(at)
    }

    /// Where `bytes` go on behind what is the same as here.
    fn constant(&self, here: Range<usize>, bytes: &[u8], at: usize) -> Option<usize> {
        let here = self.event.get(here)?;
        let end = at.saturating_add(here.len());
        is_same(here, bytes.get(at..end)?).then_some(end)
    }

    /// An event is going to be walked, from the first of `bytes` on.
    pub(super) fn begin(&mut self, bytes: &[u8]) {
        self.holds = false;
        let mut places = std::mem::take(&mut self.walk.places);
        places.clear();
        self.walk = Walk { begin: Some(bytes.as_ptr().addr()), places, flows: 0, adds_up: false, whole: false };
    }

    /// The event goes on where it cannot be followed.
    pub(super) fn lose(&mut self) {
        self.holds = false;
        self.walk.begin = None;
    }

    /// Its data has ended.
    pub(super) fn walked(&mut self, whole: bool) {
        self.walk.whole = whole;
    }

    /// The event has ended: these are its bytes.
    pub(super) fn end(&mut self, event: &[u8]) {
        let Walk { begin, places, flows, adds_up, whole } = &mut self.walk;
        let in_order = places.is_sorted_by(|one, next| one.to <= next.from);
        let within = places.last().is_none_or(|last| last.to < event.len());
        let is_followed = begin.take() == Some(event.as_ptr().addr()) && in_order && within;
        self.holds = is_followed && *whole && !*adds_up && *flows == 0 && event.len() <= MAX_EVENT;
        if !self.holds {
            return;
        }
        if self.places.len() == places.len() {
            for (old, new) in self.places.iter().zip(places.iter_mut()) {
                new.varies |= old.varies || self.event.get(old.from..old.to) != event.get(new.from..new.to);
            }
        }
        std::mem::swap(&mut self.places, places);
        self.event.clear();
        self.event.extend_from_slice(event);
    }
}

impl<L> Walk<L> {
    fn place(&mut self, value: &[u8], flow: Option<L>) {
        let from = self.begin.and_then(|begin| value.as_ptr().addr().checked_sub(begin));
        if let (Some(from), true) = (from, self.places.len() < MAX_PLACES) {
            let varies = flow.is_some();
            self.flows = self.flows.saturating_sub(usize::from(varies));
            self.places.push(Place { from, to: from.saturating_add(value.len()), flow, varies });
        }
    }
}

/// The length of a text's inside or of a number or literal at the beginning, if it ends there and within its line.
fn value(bytes: &[u8], is_text: bool) -> Option<usize> {
    if !is_text {
        return word_length(bytes);
    }
    let mut at = 0usize;
    loop {
        at = at.saturating_add(run(bytes.get(at..)?, [b'"', b'\\', b'\n', b'\r']));
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' if !matches!(bytes.get(at.saturating_add(1))?, b'\n' | b'\r') => at = at.saturating_add(2),
            _ => return None,
        }
    }
}

/// Passes on what a scanner finds, and notes what of it a template must know.
pub(super) struct Traced<'a, L, V> {
    pub(super) values: &'a mut V,
    pub(super) template: &'a mut Template<L>,
}

impl<L: Copy, V: Sink<L>> Sink<L> for Traced<'_, L, V> {
    const MINDS_SHAPES: bool = V::MINDS_SHAPES;

    fn began(&mut self, leaf: L, object: bool) {
        self.values.began(leaf, object);
    }

    fn alike(&mut self, leaf: L) {
        self.values.alike(leaf);
    }

    fn like(&mut self, leaf: L, name: &[u8]) {
        self.values.like(leaf, name);
    }

    fn ended(&mut self, leaf: L) {
        self.values.ended(leaf);
    }

    fn skips(&self, leaf: L) -> bool {
        self.values.skips(leaf)
    }

    fn scalar(&mut self, leaf: L, value: Scalar<'_>) {
        // A text says the same when it is said again.
        self.template.walk.adds_up |= !matches!(value, Scalar::Text(_) | Scalar::Null);
        self.values.scalar(leaf, value);
    }

    fn raw_begin(&mut self, leaf: L) {
        self.template.walk.adds_up = true;
        self.values.raw_begin(leaf);
    }

    fn nested(&mut self, leaf: L) {
        self.values.nested(leaf);
    }

    fn raw(&mut self, leaf: L, bytes: &[u8]) {
        self.values.raw(leaf, bytes);
    }

    fn raw_end(&mut self, leaf: L) {
        self.values.raw_end(leaf);
    }

    fn flow(&mut self, leaf: L, piece: Piece<'_>) {
        self.template.walk.flows = self.template.walk.flows.saturating_add(1);
        self.values.flow(leaf, piece);
    }

    fn passed(&mut self, value: &[u8], flow: Option<L>) {
        if self.template.walk.begin.is_some() {
            self.template.walk.place(value, flow);
        }
    }
}

#[cfg(test)]
mod tests;

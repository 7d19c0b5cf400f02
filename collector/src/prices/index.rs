//! Finds the entries of a model: names are hashed, and so are beginnings of names; only other patterns are tried.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use super::entry::Entry;
use super::pattern::{Pattern, Shape};

/// The entries by provider and model.
#[derive(Debug, Default)]
pub(super) struct Index(HashMap<String, Shelf>);

/// The entries of a provider.
#[derive(Debug, Default)]
struct Shelf {
    exact: HashMap<String, Vec<Slot>>,
    prefixes: HashMap<String, Vec<Slot>>,
    /// The lengths that prefixes have.
    lengths: BTreeSet<usize>,
    /// The other patterns with their entries, the closest first.
    globs: Vec<(Pattern, Vec<Slot>)>,
}

/// An entry, and by which of its patterns it was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub entry: usize,
    pub pattern: usize,
}

impl Index {
    pub fn new(entries: &[Entry]) -> Index {
        let mut index = Index::default();
        for (entry, Entry { provider, models, .. }) in entries.iter().enumerate() {
            let shelf = index.0.entry(provider.clone()).or_default();
            for (pattern, model) in models.iter().enumerate() {
                shelf.put(model, Slot { entry, pattern });
            }
        }
        for shelf in index.0.values_mut() {
            shelf.globs.sort_by(|(one, _), (other, _)| one.rank().cmp(&other.rank()));
        }
        index
    }

    /// Whether there is anything of a provider.
    pub fn has(&self, provider: &str) -> bool {
        self.0.contains_key(provider)
    }

    /// What `choose` takes of the entries of a model, which is in lower case: it is asked once a pattern that matches,
    /// the closest first.
    pub fn find<T>(&self, provider: &str, model: &str, choose: impl FnMut(&[Slot]) -> Option<T>) -> Option<T> {
        self.0.get(provider)?.find(model, choose)
    }
}

impl Shelf {
    fn put(&mut self, model: &Pattern, slot: Slot) {
        let slots = match model.shape() {
            Shape::Exact(name) => self.exact.entry(name.to_owned()).or_default(),
            Shape::Prefix(prefix) => {
                self.lengths.insert(prefix.len());
                self.prefixes.entry(prefix.to_owned()).or_default()
            }
            Shape::Glob => match self.globs.iter_mut().position(|(pattern, _)| pattern == model) {
                Some(at) => match self.globs.get_mut(at) {
                    Some((_, slots)) => slots,
                    None => return,
                },
                None => return self.globs.push((model.clone(), vec![slot])),
            },
        };
        slots.push(slot);
    }

    fn find<T>(&self, model: &str, mut choose: impl FnMut(&[Slot]) -> Option<T>) -> Option<T> {
        if let Some(found) = self.exact.get(model).and_then(|slots| choose(slots)) {
            return Some(found);
        }
        let mut globs = self.globs.iter().filter(|(pattern, _)| pattern.matches(model)).peekable();
        for length in self.lengths.range(..=model.len()).rev() {
            let Some(slots) = model.get(..*length).and_then(|prefix| self.prefixes.get(prefix)) else { continue };
            while let Some((_, slots)) = globs.next_if(|(pattern, _)| pattern.rank() < (Reverse(*length), 1, "")) {
                if let Some(found) = choose(slots) {
                    return Some(found);
                }
            }
            if let Some(found) = choose(slots) {
                return Some(found);
            }
        }
        globs.find_map(|(_, slots)| choose(slots))
    }
}

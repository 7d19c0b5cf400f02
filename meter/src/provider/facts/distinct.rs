//! Things of which only their number matters, told apart in bounded memory.

use std::hash::{DefaultHasher, Hash, Hasher};

/// More items, containers or queries are not told apart: no response has so many.
const MAX_DISTINCT: usize = 1024;

/// Things told apart by a hash.
#[derive(Clone, Debug, Default)]
pub(super) struct Distinct(Vec<u64>);

impl Distinct {
    /// Whether one is new; `None`: there is no room to tell.
    pub fn add(&mut self, hash: u64) -> Option<bool> {
        match self.0.binary_search(&hash) {
            Ok(_) => Some(false),
            Err(_) if self.0.len() >= MAX_DISTINCT => None,
            Err(at) => {
                self.0.insert(at, hash);
                Some(true)
            }
        }
    }

    pub fn into_hashes(self) -> Vec<u64> {
        self.0
    }

    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }
}

pub(super) fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

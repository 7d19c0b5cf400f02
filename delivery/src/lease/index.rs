//! Places by a hash of what stands there.

use std::hash::{DefaultHasher, Hasher};

/// Places in a list, by hash; who asks compares what stands there, for hashes may meet.
#[derive(Debug, Default)]
pub struct Index(Vec<(u64, u32)>);

impl Index {
    /// Adds a place.
    pub fn insert(&mut self, hash: u64, place: u32) {
        let at = self.0.partition_point(|known| *known < (hash, place));
        self.0.insert(at, (hash, place));
    }

    /// Removes a place.
    pub fn remove(&mut self, hash: u64, place: u32) {
        if let Ok(at) = self.0.binary_search(&(hash, place)) {
            self.0.remove(at);
        }
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The places of a hash.
    pub fn find(&self, hash: u64) -> impl Iterator<Item = u32> + '_ {
        let from = self.0.partition_point(|(known, _)| *known < hash);
        let rest = self.0.get(from..).unwrap_or_default();
        rest.iter().take_while(move |(known, _)| *known == hash).map(|(_, place)| *place)
    }
}

/// The hash of some texts. Without the seed nobody finds texts whose hashes meet.
pub fn hash(seed: u64, texts: &[Option<&str>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(seed);
    for text in texts {
        match text {
            // No byte of a text in UTF-8 is one of these two.
            None => hasher.write_u8(0xfe),
            Some(text) => {
                hasher.write(text.as_bytes());
                hasher.write_u8(0xff);
            }
        }
    }
    hasher.finish()
}

//! Room for sets of counters, shared out so that nobody's names crowd out another's: as in the plugin's metrics, but a set that
//! made room is gone, for nothing here keeps it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A set that was not used for so long makes room for another.
pub const IDLE: Duration = Duration::from_secs(3600);

/// Sets by key, each of whoever's call was the first in it.
#[derive(Debug)]
pub struct Room<K, T> {
    sets: HashMap<Arc<K>, Held<T>>,
    of_owners: HashMap<String, usize>,
    /// All of them again, to be copied at once.
    pub list: Vec<Arc<T>>,
    /// Before this time no set is idle.
    idle_at: Option<Instant>,
}

#[derive(Debug)]
struct Held<T> {
    owner: String,
    used: Instant,
    set: Arc<T>,
}

/// How many sets there may be.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Of all owners.
    pub all: usize,
    /// Of one.
    pub of_owner: usize,
    /// Those that only an owner without any may have.
    pub reserved: usize,
}

impl<K, T> Default for Room<K, T> {
    fn default() -> Room<K, T> {
        Room { sets: HashMap::new(), of_owners: HashMap::new(), list: Vec::new(), idle_at: None }
    }
}

impl<K: Eq + Hash, T> Room<K, T> {
    /// The set of a key, made now if there is room for it.
    pub fn get(
        &mut self,
        key: &K,
        owner: &str,
        share: Share,
        now: Instant,
        make: impl FnOnce() -> (K, T),
    ) -> Option<Arc<T>> {
        if let Some(set) = self.used(key, now) {
            return Some(set);
        }
        if !self.has_room(owner, share) {
            self.forget_idle(now);
        }
        self.has_room(owner, share).then(|| self.make(owner, now, make()))
    }

    /// A set beyond all bounds: whoever asks sees to it that these are few.
    pub fn rest(&mut self, key: &K, owner: &str, now: Instant, make: impl FnOnce() -> (K, T)) -> Arc<T> {
        self.used(key, now).unwrap_or_else(|| self.make(owner, now, make()))
    }

    /// How many sets an owner has.
    pub fn of(&self, owner: &str) -> usize {
        self.of_owners.get(owner).copied().unwrap_or(0)
    }

    fn used(&mut self, key: &K, now: Instant) -> Option<Arc<T>> {
        let held = self.sets.get_mut(key)?;
        held.used = held.used.max(now);
        Some(held.set.clone())
    }

    fn has_room(&self, owner: &str, share: Share) -> bool {
        let own = self.of(owner);
        let all = if own == 0 { share.all } else { share.all.saturating_sub(share.reserved) };
        self.sets.len() < all && own < share.of_owner
    }

    fn make(&mut self, owner: &str, now: Instant, (key, set): (K, T)) -> Arc<T> {
        let count = self.of_owners.entry(owner.to_owned()).or_default();
        *count = count.saturating_add(1);
        let set = Arc::new(set);
        self.sets.insert(Arc::new(key), Held { owner: owner.to_owned(), used: now, set: set.clone() });
        self.list.push(set.clone());
        set
    }

    /// Forgets what was not used for long; looks only when there can be some.
    fn forget_idle(&mut self, now: Instant) {
        if self.idle_at.is_some_and(|idle_at| now < idle_at) {
            return;
        }
        let mut oldest = now;
        let of_owners = &mut self.of_owners;
        self.sets.retain(|_, held| {
            if now.saturating_duration_since(held.used) < IDLE {
                oldest = oldest.min(held.used);
                return true;
            }
            if let Some(count) = of_owners.get_mut(&held.owner) {
                *count = count.saturating_sub(1);
            }
            false
        });
        of_owners.retain(|_, count| *count > 0);
        self.list = self.sets.values().map(|held| held.set.clone()).collect();
        self.idle_at = oldest.checked_add(IDLE);
    }
}

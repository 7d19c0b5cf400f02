//! Room for label sets, shared out so that nobody's names crowd out another's.
//!
//! Half of the room is for whoever comes first, at most an eighth of all for one owner. The other half is kept so that each
//! owner finds room for one set of each kind. A set that is not used for an hour makes room. But Envoy keeps every metric
//! for as long as it runs, so the sets that are ever made are bounded too, by the same shares.

use std::collections::HashMap;

/// A set that was not used for so long makes room for another.
const IDLE_NS: u64 = 3_600_000_000_000;
/// So many times the sets that may be in use may be made in all.
const TURNS: usize = 4;

/// What a set is for; each owner has room for one of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A model that answered.
    Model,
    /// All calls that no model answered.
    Unanswered,
    /// All models that found no room.
    Overflow,
}

/// The number of kinds.
const KINDS: usize = 3;

/// Label sets by their key, each with an owner.
#[derive(Debug)]
pub(super) struct Room<T> {
    max: usize,
    sets: HashMap<String, Held<T>>,
    owners: HashMap<String, Owner>,
    /// What found no room at all, by key; whoever asks sees to it that these are few.
    rest: HashMap<String, T>,
    /// Those beyond what is kept for each owner.
    further: Counts,
    /// Sets ever made.
    made: usize,
    /// Before this time no set is idle.
    idle_at_ns: u64,
}

#[derive(Debug)]
struct Held<T> {
    owner: String,
    /// It is the one of this kind that its owner has room for in any case.
    kept: Option<Kind>,
    used_ns: u64,
    set: T,
}

/// Sets in use, and sets ever made.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    used: usize,
    made: usize,
}

/// Owners stay known when their sets are gone: there are no more of them than sets were made.
#[derive(Clone, Copy, Debug, Default)]
struct Owner {
    kept: [Counts; KINDS],
    further: Counts,
}

impl<T: Default> Room<T> {
    pub(super) fn new(max: usize) -> Self {
        Room {
            max,
            sets: HashMap::new(),
            owners: HashMap::new(),
            rest: HashMap::new(),
            further: Counts::default(),
            made: 0,
            idle_at_ns: 0,
        }
    }

    /// Changes the bound; sets in use stay.
    pub(super) fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    /// Whether there is a set of this key, made now if there is room for it.
    pub(super) fn has(&mut self, key: &str, owner: &str, kind: Kind, now_ns: u64) -> bool {
        self.sets.contains_key(key) || self.makes(key, owner, kind, now_ns)
    }

    /// The set of a key, used at this time.
    pub(super) fn get(&mut self, key: &str, now_ns: u64) -> Option<&mut T> {
        let held = self.sets.get_mut(key)?;
        held.used_ns = held.used_ns.max(now_ns);
        Some(&mut held.set)
    }

    /// A set beyond all bounds.
    pub(super) fn rest(&mut self, key: &str) -> &mut T {
        self.rest.entry(key.to_owned()).or_default()
    }

    fn makes(&mut self, key: &str, owner: &str, kind: Kind, now_ns: u64) -> bool {
        if !self.admits(owner, kind) {
            self.forget_idle(now_ns);
            if !self.admits(owner, kind) {
                return false;
            }
        }
        let counts = self.owners.entry(owner.to_owned()).or_default();
        let kept = counts.kept.get_mut(kind as usize).filter(|kept| kept.are_below(1));
        let is_kept = kept.is_some();
        match kept {
            Some(kept) => kept.one_more(),
            None => {
                counts.further.one_more();
                self.further.one_more();
            }
        }
        self.made = self.made.saturating_add(1);
        let kept = is_kept.then_some(kind);
        self.sets.insert(key.to_owned(), Held { owner: owner.to_owned(), kept, used_ns: now_ns, set: T::default() });
        true
    }

    fn admits(&self, owner: &str, kind: Kind) -> bool {
        let owner = self.owners.get(owner).copied().unwrap_or_default();
        let all = Counts { used: self.sets.len(), made: self.made };
        let is_kept = owner.kept.get(kind as usize).is_some_and(|kept| kept.are_below(1));
        let is_shared = owner.further.are_below((self.max / 8).max(1)) && self.further.are_below(self.max / 2);
        all.are_below(self.max) && (is_kept || is_shared)
    }

    /// Makes room of what was not used for long; looks only when there can be some.
    fn forget_idle(&mut self, now_ns: u64) {
        if now_ns < self.idle_at_ns {
            return;
        }
        let mut oldest_ns = now_ns;
        self.sets.retain(|_, held| {
            if now_ns.saturating_sub(held.used_ns) < IDLE_NS {
                oldest_ns = oldest_ns.min(held.used_ns);
                return true;
            }
            let owner = self.owners.get_mut(&held.owner);
            match (held.kept, owner) {
                (Some(kind), Some(owner)) => owner.kept.get_mut(kind as usize).map_or((), Counts::one_less),
                (None, Some(owner)) => {
                    owner.further.one_less();
                    self.further.one_less();
                }
                (_, None) => {}
            }
            false
        });
        self.idle_at_ns = oldest_ns.saturating_add(IDLE_NS);
    }
}

impl Counts {
    fn are_below(self, bound: usize) -> bool {
        self.used < bound && self.made < bound.saturating_mul(TURNS)
    }

    fn one_more(&mut self) {
        self.used = self.used.saturating_add(1);
        self.made = self.made.saturating_add(1);
    }

    fn one_less(&mut self) {
        self.used = self.used.saturating_sub(1);
    }
}

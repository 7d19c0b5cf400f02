//! Room for label sets, shared out so that nobody's names crowd out another's.
//!
//! Half of the room is for whoever comes first, at most an eighth of all for one owner. The other half is kept so that each
//! owner finds room for one set of each kind. A set that is not used for an hour makes room for another. But Envoy keeps
//! every metric for as long as it runs, so the sets that are ever made are bounded too, by the same shares; one that was
//! made goes on under its name whenever it is used again.

use std::collections::HashMap;

/// A set that was not used for so long makes room for another.
const IDLE_NS: u64 = 3_600_000_000_000;
/// So many times the sets that may be in use may be made in all.
const TURNS: usize = 4;

/// What a set is for; each owner has room for one of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A model that responded.
    Model,
    /// All calls without a response of a model.
    NoResponse,
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
    /// Those that are kept for their owners.
    kept: Counts,
    /// Those beyond.
    further: Counts,
    /// Before this time no set is idle.
    idle_at_ns: u64,
}

#[derive(Debug)]
struct Held<T> {
    owner: String,
    kind: Kind,
    place: Place,
    used_ns: u64,
    set: T,
}

/// The room that a set takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// What is kept for its owner.
    Kept,
    /// What is for whoever comes first.
    Further,
    /// None: it was idle.
    None,
}

/// Sets in use, and sets ever made.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    used: usize,
    made: usize,
}

/// Owners stay known: there are no more of them than sets were made.
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
            kept: Counts::default(),
            further: Counts::default(),
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
        if held.place == Place::None
            && let Some(owner) = self.owners.get_mut(&held.owner)
        {
            // It exists in Envoy: nothing is made, and nothing can refuse it.
            held.place = if owner.is_without(held.kind) { Place::Kept } else { Place::Further };
            let all = if held.place == Place::Kept { &mut self.kept } else { &mut self.further };
            for counts in owner.counts(held.kind, held.place).into_iter().chain(Some(all)) {
                counts.used = counts.used.saturating_add(1);
            }
        }
        Some(&mut held.set)
    }

    /// A set beyond all bounds.
    pub(super) fn rest(&mut self, key: &str) -> &mut T {
        self.rest.entry(key.to_owned()).or_default()
    }

    fn makes(&mut self, key: &str, owner: &str, kind: Kind, now_ns: u64) -> bool {
        let mut place = self.place(owner, kind);
        if place == Place::None {
            self.forget_idle(now_ns);
            place = self.place(owner, kind);
        }
        let all = match place {
            Place::Kept => &mut self.kept,
            Place::Further => &mut self.further,
            Place::None => return false,
        };
        let own = self.owners.entry(owner.to_owned()).or_default().counts(kind, place);
        for counts in own.into_iter().chain(Some(all)) {
            counts.used = counts.used.saturating_add(1);
            counts.made = counts.made.saturating_add(1);
        }
        let held = Held { owner: owner.to_owned(), kind, place, used_ns: now_ns, set: T::default() };
        self.sets.insert(key.to_owned(), held);
        true
    }

    /// Where there is room for one more set of an owner.
    fn place(&self, owner: &str, kind: Kind) -> Place {
        let owner = self.owners.get(owner).copied().unwrap_or_default();
        let half = self.max / 2;
        let own = owner.kept.get(kind as usize).is_some_and(|kept| kept.are_below(1));
        if own && self.kept.are_below(self.max.saturating_sub(half)) {
            Place::Kept
        } else if owner.further.are_below((self.max / 8).max(1)) && self.further.are_below(half) {
            Place::Further
        } else {
            Place::None
        }
    }

    /// Makes room of what was not used for long; looks only when there can be some.
    fn forget_idle(&mut self, now_ns: u64) {
        if now_ns < self.idle_at_ns {
            return;
        }
        let mut oldest_ns = now_ns;
        for held in self.sets.values_mut().filter(|held| held.place != Place::None) {
            if now_ns.saturating_sub(held.used_ns) < IDLE_NS {
                oldest_ns = oldest_ns.min(held.used_ns);
                continue;
            }
            let all = if held.place == Place::Kept { &mut self.kept } else { &mut self.further };
            let own = self.owners.get_mut(&held.owner).and_then(|owner| owner.counts(held.kind, held.place));
            for counts in own.into_iter().chain(Some(all)) {
                counts.used = counts.used.saturating_sub(1);
            }
            held.place = Place::None;
        }
        self.idle_at_ns = oldest_ns.saturating_add(IDLE_NS);
    }
}

impl Owner {
    fn is_without(&self, kind: Kind) -> bool {
        self.kept.get(kind as usize).is_some_and(|kept| kept.used == 0)
    }

    fn counts(&mut self, kind: Kind, place: Place) -> Option<&mut Counts> {
        match place {
            Place::Kept => self.kept.get_mut(kind as usize),
            Place::Further => Some(&mut self.further),
            Place::None => None,
        }
    }
}

impl Counts {
    fn are_below(self, bound: usize) -> bool {
        self.used < bound && self.made < bound.saturating_mul(TURNS)
    }
}

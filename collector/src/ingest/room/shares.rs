//! Who has how much of the room, and how much more each may have.
//!
//! A credential may have three times what is free then: alone three quarters of everything, and where many want much, each the
//! same and a part stays free, so that who has nothing yet finds room. Of what its credential may have, an emitter may have as
//! much in the same way; senders that show no key are one emitter.

use std::collections::HashMap;

use super::Bounds;

/// Whose a place is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub credential: String,
    pub emitter: Option<String>,
}

/// An amount of the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    pub places: usize,
    pub bytes: usize,
    pub events: usize,
    pub batches: usize,
}

/// What is taken, in all and by whom.
#[derive(Debug, Default)]
pub struct Shares {
    pub all: Amount,
    of: HashMap<String, OfCredential>,
}

#[derive(Debug, Default)]
struct OfCredential {
    all: Amount,
    of: HashMap<Option<String>, Amount>,
}

/// Why there is no more for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacks {
    /// There is no more for anybody.
    Room,
    /// The rest is for others: other credentials, or other emitters of its own.
    Share {
        /// Whether only its own credential can give it more, by having less.
        is_own: bool,
    },
}

impl Shares {
    /// Whether somebody may have so much more.
    pub fn may_have(&self, owner: &Owner, more: Amount, bounds: Bounds) -> Result<(), Lacks> {
        let (credential, emitter) = self.had(owner);
        if !credential.with(more).is_within(Amount::default().rest(bounds.into())) {
            return Err(Lacks::Share { is_own: true });
        }
        let free = Amount::from(bounds).without(self.all);
        if !more.is_within(free) {
            return Err(Lacks::Room);
        }
        let rest = credential.rest(free);
        if !more.is_within(rest) {
            return Err(Lacks::Share { is_own: false });
        }
        if more.is_within(emitter.rest(rest)) { Ok(()) } else { Err(Lacks::Share { is_own: true }) }
    }

    fn had(&self, owner: &Owner) -> (Amount, Amount) {
        let Some(of) = self.of.get(&owner.credential) else { return Default::default() };
        (of.all, of.of.get(&owner.emitter).copied().unwrap_or_default())
    }

    /// Somebody has one more place.
    pub fn enter(&mut self, owner: &Owner) {
        self.of.entry(owner.credential.clone()).or_default().of.entry(owner.emitter.clone()).or_default();
        self.add(owner, Amount { places: 1, ..Amount::default() });
    }

    /// Somebody who has a place has so much more.
    pub fn add(&mut self, owner: &Owner, more: Amount) {
        self.all.add(more);
        let Some(of) = self.of.get_mut(&owner.credential) else { return };
        of.all.add(more);
        if let Some(emitter) = of.of.get_mut(&owner.emitter) {
            emitter.add(more);
        }
    }

    /// Somebody has so much less. Who has no place any more is forgotten.
    pub fn sub(&mut self, owner: &Owner, less: Amount) {
        self.all.sub(less);
        let Some(of) = self.of.get_mut(&owner.credential) else { return };
        of.all.sub(less);
        if let Some(emitter) = of.of.get_mut(&owner.emitter) {
            emitter.sub(less);
            if emitter.places == 0 {
                of.of.remove(&owner.emitter);
            }
        }
        if of.all.places == 0 {
            self.of.remove(&owner.credential);
        }
    }

    /// What each emitter of each credential has.
    #[cfg(test)]
    pub fn each(&self) -> impl Iterator<Item = (&str, Option<&str>, Amount)> {
        self.of.iter().flat_map(|(credential, of)| {
            of.of.iter().map(|(emitter, amount)| (credential.as_str(), emitter.as_deref(), *amount))
        })
    }
}

impl Amount {
    pub fn with(mut self, more: Amount) -> Amount {
        self.add(more);
        self
    }

    pub fn without(mut self, less: Amount) -> Amount {
        self.sub(less);
        self
    }

    /// How much more somebody who has this may have of what is free: three times what is free then.
    fn rest(self, free: Amount) -> Amount {
        // `has + rest <= 3 * (free - rest + 1)`: of one to three there is all of it.
        let rest = |has: usize, free: usize| free.saturating_add(1).saturating_mul(3).saturating_sub(has) / 4;
        Amount {
            places: usize::MAX,
            bytes: rest(self.bytes, free.bytes),
            events: rest(self.events, free.events),
            batches: rest(self.batches, free.batches),
        }
    }

    fn is_within(self, most: Amount) -> bool {
        self.bytes <= most.bytes && self.events <= most.events && self.batches <= most.batches
    }

    fn add(&mut self, more: Amount) {
        self.places = self.places.saturating_add(more.places);
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.events = self.events.saturating_add(more.events);
        self.batches = self.batches.saturating_add(more.batches);
    }

    fn sub(&mut self, less: Amount) {
        self.places = self.places.saturating_sub(less.places);
        self.bytes = self.bytes.saturating_sub(less.bytes);
        self.events = self.events.saturating_sub(less.events);
        self.batches = self.batches.saturating_sub(less.batches);
    }
}

impl From<Bounds> for Amount {
    fn from(bounds: Bounds) -> Amount {
        Amount { places: usize::MAX, bytes: bounds.bytes, events: bounds.events, batches: bounds.batches }
    }
}

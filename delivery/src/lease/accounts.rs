//! All accounts of a worker, bounded, and shared out so that the subjects of one tenant never crowd out another's.

use std::sync::Arc;

use wire::lease::Budget;

use super::account::Account;
use super::catalogue::Catalogue;
use super::index::{Index, hash};

/// Accounts at most, some 300 bytes each.
const MAX: usize = 4096;
/// Of these so many at most are of one tenant and all below it: by the first segment of its name.
const MAX_OF_OWNER: u32 = 512;
/// The account of a window that is over stays so long: a request that began in it may take its time. Longer would let the
/// windows that are over take the room of those to come.
const GRACE_S: u64 = 30;

/// Where an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    slot: u32,
    /// Of the account: a slot is used again.
    id: u64,
}

#[derive(Debug)]
struct Held {
    id: u64,
    hash: u64,
    owner: Option<u64>,
    account: Account,
}

/// The accounts, by budget and subject.
#[derive(Debug)]
pub struct Accounts {
    seed: u64,
    slots: Vec<Option<Held>>,
    free: Vec<u32>,
    index: Index,
    /// How many accounts each owner has, in the order of their hashes.
    owners: Vec<(u64, u32)>,
    next_id: u64,
}

impl Accounts {
    pub fn new(seed: u64) -> Accounts {
        Accounts { seed, slots: Vec::new(), free: Vec::new(), index: Index::default(), owners: Vec::new(), next_id: 0 }
    }

    pub fn get(&mut self, place: Place) -> Option<&mut Account> {
        let held = self.slots.get_mut(usize::try_from(place.slot).ok()?)?.as_mut()?;
        (held.id == place.id).then_some(&mut held.account)
    }

    /// The account of the window with this second, or else the one whose window is not known yet.
    pub fn find(&self, budget: &str, subject: &str, at_s: u64) -> Option<Place> {
        let mut unknown = None;
        for slot in self.index.find(self.hash(budget, subject)) {
            let Some(held) = self.held(slot).filter(|held| held.account.is_of(budget, subject)) else { continue };
            match held.account.has(at_s) {
                Some(true) => return Some(Place { slot, id: held.id }),
                Some(false) => {}
                None => unknown = Some(Place { slot, id: held.id }),
            }
        }
        unknown
    }

    /// Adds an account, if there is room.
    pub fn add(&mut self, account: Account) -> Option<Place> {
        let subject = account.subject.as_str();
        let owner = subject.split('/').next().filter(|owner| !owner.is_empty());
        let owner = owner.map(|owner| hash(self.seed, &[Some(owner)]));
        if self.slots.len().saturating_sub(self.free.len()) >= MAX || !self.count(owner) {
            return None;
        }
        let hash = self.hash(&account.budget.name, subject);
        self.next_id = self.next_id.saturating_add(1);
        let held = Some(Held { id: self.next_id, hash, owner, account });
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => u32::try_from(self.slots.len()).ok()?,
        };
        match self.slots.get_mut(usize::try_from(slot).ok()?) {
            Some(place) => *place = held,
            None => self.slots.push(held),
        }
        self.index.insert(hash, slot);
        Some(Place { slot, id: self.next_id })
    }

    /// One more account of an owner, if that is not too many.
    fn count(&mut self, owner: Option<u64>) -> bool {
        let Some(owner) = owner else { return true };
        match self.owners.binary_search_by_key(&owner, |(known, _)| *known) {
            Ok(at) => self.owners.get_mut(at).is_some_and(|(_, count)| {
                let has_room = *count < MAX_OF_OWNER;
                *count = count.saturating_add(u32::from(has_room));
                has_room
            }),
            Err(at) => {
                self.owners.insert(at, (owner, 1));
                true
            }
        }
    }

    fn uncount(&mut self, owner: Option<u64>) {
        let Some(at) = owner.and_then(|owner| self.owners.binary_search_by_key(&owner, |(known, _)| *known).ok())
        else {
            return;
        };
        let Some((_, count)) = self.owners.get_mut(at) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.owners.remove(at);
        }
    }

    /// Whether more than half of the room is taken.
    pub fn is_full(&self) -> bool {
        self.slots.len().saturating_sub(self.free.len()) > MAX / 2
    }

    /// Every place, beginning behind this one: who asks for some only begins where it has stopped.
    pub fn places(&self, behind: u32) -> Vec<Place> {
        let place = |(slot, held): (u32, &Option<Held>)| Some(Place { slot, id: held.as_ref()?.id });
        let places: Vec<Place> = (0u32..).zip(&self.slots).filter_map(place).collect();
        let at = places.partition_point(|place| place.slot <= behind);
        let (before, after) = places.split_at_checked(at).unwrap_or_default();
        [after, before].concat()
    }

    /// Forgets what is not needed any more.
    pub fn sweep(&mut self, now_ms: u64) {
        let is_full = self.is_full();
        self.retain(|account| !account.is_done(now_ms, GRACE_S, is_full));
    }

    /// The budgets have changed. Accounts of those that are gone, or count otherwise now, go; the others are asked for again.
    pub fn reconcile(&mut self, catalogue: &Catalogue) {
        self.retain(|account| {
            let budget = &account.budget;
            let known = catalogue.named(&budget.name);
            let same = known.filter(|known| (known.unit, known.per_tenant) == (budget.unit, budget.per_tenant));
            let Some(budget) = same else { return false };
            account.budget = Arc::clone(budget);
            account.doubt();
            true
        });
    }

    /// Nothing is held any more.
    pub fn void(&mut self) {
        self.slots.iter_mut().flatten().for_each(|held| held.account.void());
    }

    /// Other accounts of the same budget and subject whose window meets that of this lease are no more.
    pub fn supersede(&mut self, place: Place, lease: &wire::lease::Lease) {
        let Some(held) = self.held(place.slot).filter(|held| held.id == place.id) else { return };
        let others: Vec<u32> = self.index.find(held.hash).filter(|slot| *slot != place.slot).collect();
        let (budget, subject) = (Arc::clone(&held.account.budget), held.account.subject.clone());
        for slot in others {
            let other = usize::try_from(slot).ok().and_then(|slot| self.slots.get_mut(slot)?.as_mut());
            if let Some(other) = other.filter(|other| other.account.is_of(&budget.name, &subject))
                && other.account.meets(lease)
            {
                other.account.supersede();
            }
        }
    }

    /// The budget has an account for all tenants already.
    pub fn has_shared(&self, budget: &Budget) -> bool {
        let slots = self.index.find(self.hash(&budget.name, ""));
        slots.filter_map(|slot| self.held(slot)).any(|held| held.account.is_of(&budget.name, ""))
    }

    fn retain(&mut self, mut keeps: impl FnMut(&mut Account) -> bool) {
        for slot in 0..self.slots.len() {
            let Some(place) = self.slots.get_mut(slot) else { continue };
            let Some(held) = place.take_if(|held| !keeps(&mut held.account)) else { continue };
            self.uncount(held.owner);
            if let Ok(slot) = u32::try_from(slot) {
                self.index.remove(held.hash, slot);
                self.free.push(slot);
            }
        }
    }

    fn held(&self, slot: u32) -> Option<&Held> {
        self.slots.get(usize::try_from(slot).ok()?)?.as_ref()
    }

    fn hash(&self, budget: &str, subject: &str) -> u64 {
        hash(self.seed, &[Some(budget), Some(subject)])
    }
}

impl Place {
    pub fn slot(self) -> u32 {
        self.slot
    }
}

//! The port to what is kept, for the one who writes: what a transaction asks for, what it finds, and what it leaves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::budgets::{BudgetsChange, LeaseChanges, Lessee, WindowState};
use super::emitters::{Emitter, Note};
use super::entry::{Entry, EntryId, Hash};
use super::error::StoreError;
use super::forgetting::{ForgetChanges, is_same};
use super::months::Closed;
use super::names::{Names, Secret};
use super::pruning::PruneChanges;
use super::responses::{Place, PossibleCopy, PossibleKey, ResponseKey};
use super::sealing::{SealChanges, State};
use super::sums::{Counted, Group, GroupSums, Sum};
use crate::budget::balance::WindowKey;
use crate::budget::{Amount, Budgets};

/// What the rules must know before they decide.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// The numbers that came, by emitter; none for one that only spoke.
    pub emitters: BTreeMap<String, BTreeSet<i64>>,
    /// Responses of providers.
    pub responses: BTreeSet<ResponseKey>,
    /// Whose sums will change.
    pub groups: BTreeSet<Group>,
    /// Entries that will be taken back.
    pub reversals: BTreeSet<EntryId>,
    /// Events quarantined, by their digests, that a person releases, or that a journal would bring in.
    pub released: BTreeSet<[u8; 32]>,
    /// Entries that a correction may refer to already.
    pub corrected: BTreeSet<EntryId>,
    /// Whether a month is to be closed or sealed, the budgets are to change, names are replaced, or old rows go: nobody else may write
    /// meanwhile, and all chains' ends are asked for, and what is sealed.
    pub closes: bool,
    /// The budgets in force, as far as is known. A store that has another revision loads its own.
    pub budgets: Arc<Budgets>,
    /// Windows of which leases are asked for: nobody else may grant any of them meanwhile.
    pub windows: BTreeSet<WindowKey>,
    /// Emitters that ask for leases.
    pub lessees: BTreeSet<String>,
    /// Now: what is booked about calls of a closed month counts on this day.
    pub now_ns: i64,
}

impl Keys {
    /// Whose sums may change: those of the calls' own days, and of closed months those of the day on which it counts now.
    pub fn all_groups<'k>(&'k self, held: impl Iterator<Item = &'k Entry>, closed: &Closed) -> BTreeSet<Group> {
        let began = self.groups.iter().cloned().chain(held.filter_map(Group::began));
        let mut all = BTreeSet::new();
        for group in began {
            all.insert(group.booked(closed, self.now_ns));
            all.insert(group);
        }
        all
    }
}

/// Where a writer's chain ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Its last entry; number 0: none yet.
    pub entry: EntryId,
    /// That entry's hash.
    pub hash: Hash,
}

/// What a store has of the keys.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The chain that grows.
    pub head: Head,
    /// The latest time at which something was written to it.
    pub written_ns: i64,
    /// Emitters that were heard of, with their ranges around the numbers asked for.
    pub emitters: HashMap<String, Emitter>,
    /// The events of numbers that are there already.
    pub contents: HashMap<(String, i64), Content>,
    /// Who is charged for a response.
    pub responses: HashMap<ResponseKey, Place>,
    /// By the entries of those holders who saw no counts: what stands of them now, each with its event.
    pub held: BTreeMap<EntryId, Entry>,
    /// Sums: those that [`Keys::all_groups`] names.
    pub sums: HashMap<Group, GroupSums>,
    /// Entries that were taken back before.
    pub reversed: BTreeSet<EntryId>,
    /// Whose the entries are that will be taken back; of one that is sealed nothing.
    pub tenants: BTreeMap<EntryId, String>,
    /// Those of the keys that a correction refers to.
    pub corrected: BTreeSet<EntryId>,
    /// Months that are closed.
    pub closed: Closed,
    /// Where every chain ends, if [`Keys::closes`].
    pub heads: Vec<EntryId>,
    /// What is sealed, if [`Keys::closes`].
    pub seal: State,
    /// Events quarantined that were not released yet.
    pub kept: BTreeMap<[u8; 32], QuarantinedEvent>,
    /// The budgets in force.
    pub budgets: Arc<Budgets>,
    /// The windows that were asked for; one that has nothing yet may be absent.
    pub windows: BTreeMap<WindowKey, WindowState>,
    /// Those of the lessees that have asked before.
    pub lessees: BTreeMap<String, Lessee>,
    /// What the salts of new entries are drawn from: the ledger's, not the store's.
    pub secret: Secret,
}

/// The event of a number that is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// As it was sent, but for names that were replaced.
    pub event: String,
    /// Which these are.
    pub names: Names,
}

impl Content {
    /// Whether an event that came is the same.
    pub fn is(&self, event: &str) -> bool {
        is_same(&self.event, &self.names, event)
    }
}

/// What a store must keep, all or nothing.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The chain's new end.
    pub head: Head,
    /// The latest time at which something was written to it, if there are entries.
    pub written_ns: i64,
    /// New entries, in their order.
    pub entries: Vec<Entry>,
    /// What is known of emitters now.
    pub emitters: BTreeMap<String, Emitter>,
    /// What happened to numbers. The same note again is no other.
    pub notes: Vec<Note>,
    /// Who is charged for a response now.
    pub responses: BTreeMap<ResponseKey, Place>,
    /// Records that were charged and may be copies. What is noted in the same slot again counts up.
    pub possible: BTreeMap<PossibleKey, PossibleCopy>,
    /// Sums that changed.
    pub sums: Vec<(Group, Counted, Sum)>,
    /// Events quarantined. The same again only counts up.
    pub quarantined: Vec<QuarantinedEvent>,
    /// Events quarantined that were released, and the entries that they became.
    pub released: BTreeMap<[u8; 32], EntryId>,
    /// How the budgets in force change.
    pub budgets: Option<BudgetsChange>,
    /// What is added to balances.
    pub spent: BTreeMap<WindowKey, Amount>,
    /// What becomes of leases.
    pub leases: LeaseChanges,
    /// What becomes of names.
    pub forget: ForgetChanges,
    /// What becomes of sealed months.
    pub seal: SealChanges,
    /// What is not needed any more.
    pub prune: PruneChanges,
}

/// An event that is quarantined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantinedEvent {
    /// Whether it contradicts the ledger or is beyond its sender's limits; otherwise it cannot be taken.
    pub alarm: bool,
    /// Why, naming the field.
    pub reason: String,
    /// Whose it says it is, if that could be read; of an event that cannot be taken only if the sender may spend it.
    pub number: Option<(String, i64)>,
    /// Who sent it.
    pub credential: String,
    /// When it came.
    pub received_ns: i64,
    /// Its bytes; of one that is longer than any event the beginning.
    pub bytes: Vec<u8>,
}

impl QuarantinedEvent {
    /// The reason for an event from somebody who may not spend its emitter's numbers.
    pub const FOREIGN: &str = "data.emitter: its numbers belong to another sender";
    /// The reason for an event whose number is far beyond the last one that is known of its emitter.
    pub const LEAP: &str = "data.sequence: must be at most 1000000 beyond the last number that is known of its emitter";

    /// Its word in the database.
    pub fn kind(&self) -> &'static str {
        if self.alarm { "alarm" } else { "dead_letter" }
    }

    /// Whether it came from somebody who may not spend the emitter's numbers.
    pub fn is_foreign(&self) -> bool {
        self.alarm && self.reason == Self::FOREIGN
    }

    /// Whether it is quarantined only for its number, which is far beyond all that was known of its emitter.
    pub fn is_leap(&self) -> bool {
        self.alarm && self.reason == Self::LEAP
    }

    /// By which it is known again: what it is, whose it is, what it says. What a stranger repeats stays beside what the
    /// emitter itself sent.
    pub fn digest(&self) -> [u8; 32] {
        let emitter = self.number.as_ref().map_or("", |(emitter, _)| emitter.as_str());
        let kind = if self.is_foreign() { "foreign" } else { self.kind() };
        Self::digest_of(kind, emitter, &self.bytes)
    }

    /// By which an event would be known again that its own sender may not charge.
    pub fn digest_of_alarm(emitter: &str, bytes: &[u8]) -> [u8; 32] {
        Self::digest_of("alarm", emitter, bytes)
    }

    fn digest_of(kind: &str, emitter: &str, bytes: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(kind).chain_update(emitter).chain_update(bytes).finalize().into()
    }
}

/// Where the ledger is kept.
pub trait Store {
    /// Loads what the keys name, lets the rules decide, and keeps what they decided: when this returns, all of it is on
    /// the disk, or nothing. What was loaded stays as it is until then.
    fn transact(&mut self, keys: &Keys, decide: &mut dyn FnMut(Known) -> Changes) -> Result<(), StoreError>;

    /// Whether it could keep something now: a transaction that changes nothing in the ledger.
    fn probe(&mut self) -> Result<(), StoreError> {
        self.transact(&Keys::default(), &mut |known| Changes { head: known.head, ..Changes::default() })
    }

    /// Takes what was replaced out of the free space of the files, too: false if that is for others to do, or not done to the end
    /// because somebody reads.
    fn scrub(&mut self) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Whether so much of its files is free that it is worth to write them anew.
    fn is_sparse(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Whether what was kept is still there to be found; cheap enough to be asked all the time.
    fn look(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl<S: Store + ?Sized> Store for Box<S> {
    fn transact(&mut self, keys: &Keys, decide: &mut dyn FnMut(Known) -> Changes) -> Result<(), StoreError> {
        (**self).transact(keys, decide)
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        (**self).probe()
    }

    fn scrub(&mut self) -> Result<bool, StoreError> {
        (**self).scrub()
    }

    fn is_sparse(&self) -> Result<bool, StoreError> {
        (**self).is_sparse()
    }

    fn look(&self) -> Result<(), StoreError> {
        (**self).look()
    }
}

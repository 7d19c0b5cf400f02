//! The ledger's rules: what becomes of an event. No I/O and no clock: a [`Store`] loads what the rules ask for, they
//! decide, and the store keeps what they decided, all in one transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wire::event::Event;
use wire::statement::Statement;

use crate::money::Charge;
use crate::prices::PriceBook;
use crate::store::StoreError;
use decide::Decision;
use emitters::{Emitter, Note};
use entry::{Entry, EntryId, Hash};
use limits::Limits;
use months::Closed;
use responses::{Place, PossibleCopy, PossibleKey, ResponseKey};
use sums::{Counted, Group, GroupSums, Sum, Sums};

pub mod again;
mod clock;
pub mod closing;
mod copies;
pub mod correct;
pub(crate) mod decide;
pub mod emitters;
mod entering;
pub mod entry;
pub mod limits;
pub mod memory;
pub mod months;
pub mod ranges;
pub mod release;
pub mod responses;
pub mod sums;

/// The longest event, bytes: several times what a meter sends.
pub(crate) const MAX_EVENT: usize = 64 << 10;

/// One event of a delivery.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Its bytes as they were sent.
    pub bytes: Vec<u8>,
    /// What they say, or why they cannot be taken.
    pub decoded: Result<Event, String>,
}

impl Arrival {
    /// An event as it came.
    pub fn new(bytes: Vec<u8>) -> Arrival {
        let decoded = if bytes.len() > MAX_EVENT {
            Err(format!("must be at most {MAX_EVENT} bytes"))
        } else {
            wire::event::decode(&bytes).map_err(|invalid| invalid.to_string())
        };
        Arrival { bytes, decoded }
    }
}

/// Who delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The credential's name.
    pub credential: String,
    /// Whether it brings a journal: it may speak for every emitter.
    pub journal: bool,
    /// The emitter whose key it has shown.
    pub emitter: Option<String>,
    /// What it may charge.
    pub limits: Arc<Limits>,
}

impl Sender {
    /// Who sends under a credential, within the limits that hold where none are set.
    pub fn new(credential: &str, journal: bool) -> Sender {
        Sender { credential: credential.to_owned(), journal, emitter: None, limits: Arc::default() }
    }
}

/// What came in one request.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Who sent it.
    pub sender: Sender,
    /// What the emitter says of itself.
    pub statement: Option<Statement>,
    /// The events.
    pub arrivals: Vec<Arrival>,
}

/// What became of a delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Taken {
    /// Events that are new in the ledger.
    pub accepted: u64,
    /// Events that the ledger had before: not charged again.
    pub duplicates: u64,
    /// Events that are quarantined, with a reason.
    pub dead_letters: u64,
    /// Events that contradict the ledger or are beyond what their sender may charge: quarantined, counted, not charged.
    pub alarms: u64,
    /// Which those are, emitter and number. Their sender must not take them for charged.
    #[serde(skip)]
    pub not_charged: Vec<(String, i64)>,
    /// What tenants pay for the new ones, before corrections.
    #[serde(skip)]
    pub charge: Charge,
    /// What providers take for them.
    #[serde(skip)]
    pub cost: Charge,
}

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
    /// Whether a month is to be closed: nobody else may write meanwhile, and all chains' ends are asked for.
    pub closes: bool,
    /// Now: what is booked about calls of a closed month counts on this day.
    pub now_ns: i64,
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
    pub contents: HashMap<(String, i64), String>,
    /// Who is charged for a response.
    pub responses: HashMap<ResponseKey, Place>,
    /// By the entries of those holders who saw no counts: what stands of them now, each with its event.
    pub held: BTreeMap<EntryId, Entry>,
    /// Sums: those that [`Keys::all_groups`] names.
    pub sums: HashMap<Group, GroupSums>,
    /// Entries that were taken back before.
    pub reversed: BTreeSet<EntryId>,
    /// Those of the keys that a correction refers to.
    pub corrected: BTreeSet<EntryId>,
    /// Months that are closed.
    pub closed: Closed,
    /// Where every chain ends, if a month is to be closed.
    pub heads: Vec<EntryId>,
    /// Events quarantined that were not released yet.
    pub kept: BTreeMap<[u8; 32], QuarantinedEvent>,
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
    /// Its word in the database.
    pub fn kind(&self) -> &'static str {
        if self.alarm { "alarm" } else { "dead_letter" }
    }

    /// Whether it came from somebody who may not spend the emitter's numbers.
    pub fn is_foreign(&self) -> bool {
        self.alarm && self.reason == decide::FOREIGN
    }

    /// Whether it is quarantined only for its number, which is far beyond all that was known of its emitter.
    pub fn is_leap(&self) -> bool {
        self.alarm && self.reason == decide::LEAP
    }

    /// By which it is known again: what it is, whose it is, what it says. What a stranger repeats stays beside what the
    /// emitter itself sent.
    pub fn digest(&self) -> [u8; 32] {
        let emitter = self.number.as_ref().map_or("", |(emitter, _)| emitter.as_str());
        let kind = if self.is_foreign() { "foreign" } else { self.kind() };
        Self::digest_of(kind, emitter, &self.bytes)
    }

    /// By which an event would be known again that its own sender may not charge.
    fn digest_of_alarm(emitter: &str, bytes: &[u8]) -> [u8; 32] {
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

    fn look(&self) -> Result<(), StoreError> {
        (**self).look()
    }
}

/// The ledger, in a store.
#[derive(Debug)]
pub struct Ledger<S> {
    store: S,
    prices: Option<Arc<PriceBook>>,
}

impl<S: Store> Ledger<S> {
    /// The ledger in a store; nothing has a price yet.
    pub fn new(store: S) -> Ledger<S> {
        Ledger { store, prices: None }
    }

    /// Rates what comes from now on by this book; by none, everything is unpriced.
    pub fn set_prices(&mut self, prices: Option<Arc<PriceBook>>) {
        self.prices = prices;
    }

    /// Where it is kept.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Where it is kept, to be changed.
    pub fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    /// Takes deliveries in one transaction: when it returns, all of them are kept, or none. Nothing is taken either while
    /// the clock is seen to be behind.
    pub fn append(&mut self, deliveries: &[&Delivery], now_ns: i64) -> Result<Vec<Taken>, StoreError> {
        let mut all = Ok(Vec::new());
        let prices = self.prices.as_deref();
        let keys = Keys { now_ns, ..keys(deliveries) };
        self.store.transact(&keys, &mut |known| {
            if let Some(problem) = clock::behind(deliveries, known.written_ns, now_ns) {
                all = Err(problem);
                return Changes { head: known.head, written_ns: known.written_ns, ..Changes::default() };
            }
            let mut decision = Decision::new(known, prices, now_ns);
            // A store that must begin anew asks again.
            all = Ok(deliveries.iter().map(|delivery| decision.take(delivery)).collect());
            decision.changes()
        })?;
        all
    }
}

/// What the rules will ask about deliveries.
pub(crate) fn keys(deliveries: &[&Delivery]) -> Keys {
    let mut keys = Keys::default();
    for delivery in deliveries {
        if let Some(statement) = &delivery.statement {
            keys.emitters.entry(statement.emitter.clone()).or_default();
        }
        for arrival in &delivery.arrivals {
            let Ok(event) = &arrival.decoded else {
                // Whether the sender may name it is asked, no more.
                if let Some((emitter, _)) = entering::number(&arrival.bytes) {
                    keys.emitters.entry(emitter).or_default();
                }
                continue;
            };
            keys.of(event);
            if delivery.sender.journal {
                keys.released.insert(QuarantinedEvent::digest_of_alarm(&event.emitter, &arrival.bytes));
            }
        }
    }
    keys
}

impl Keys {
    /// Whose sums may change: those of the calls' own days, and of closed months those of the day on which it counts now.
    pub fn all_groups<'k>(&'k self, held: impl Iterator<Item = &'k Entry>, closed: &Closed) -> BTreeSet<Group> {
        let began = self.groups.iter().cloned().chain(held.filter_map(correct::began));
        let mut all = BTreeSet::new();
        for group in began {
            all.insert(closed.group(&group, self.now_ns));
            all.insert(group);
        }
        all
    }

    /// What the rules will ask about an event.
    fn of(&mut self, event: &Event) {
        if let Ok(sequence) = i64::try_from(event.sequence) {
            self.emitters.entry(event.emitter.clone()).or_default().insert(sequence);
        }
        self.responses.extend(responses::keys(&event.record));
        self.groups.extend(Group::of(&event.record));
    }
}

//! The ledger's rules: what becomes of an event. No I/O and no clock: a [`Store`] loads what the rules ask for, they
//! decide, and the store keeps what they decided, all in one transaction.

use std::sync::Arc;

use wire::event::Event;
use wire::statement::Statement;

use crate::budget::Budgets;
use crate::money::Charge;
use crate::prices::PriceBook;
use crate::store::names::Secret;
use crate::store::sums::Group;
use crate::store::{Changes, Keys, Known, QuarantinedEvent, Store, StoreError};
use decide::Decision;
pub use failure::Failure;
use limits::Limits;
use spending::Spending;

pub mod again;
pub mod budgets;
mod ceilings;
mod clock;
pub mod closing;
mod copies;
pub mod correct;
pub(crate) mod decide;
mod entering;
mod failure;
pub mod forget;
pub mod leases;
pub mod limits;
pub mod owed;
mod pruning;
pub mod reason;
pub mod release;
pub mod responses;
pub mod scan;
pub mod sealing;
pub mod share;
pub mod spending;

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
    /// The revision of the budgets in force.
    #[serde(skip)]
    pub budgets: i64,
    /// Both, and what they used, by tenant, provider and model.
    #[serde(skip)]
    pub spending: Spending,
}

/// The ledger, in a store.
///
/// ```
/// use collector::database::memory::Memory;
/// use collector::ledger::{Arrival, Delivery, Ledger, Sender};
///
/// let event = br#"{"specversion": "1.0", "type": "meshmeter.call.v1", "source": "meshmeter",
///     "id": "0f8fad5bd9cb469fa16570867728950e-1", "time": "2026-01-31T12:00:00Z", "subject": "acme",
///     "data": {"emitter": "0f8fad5bd9cb469fa16570867728950e", "sequence": 1, "tenant": "acme", "tenant_source": "spiffe",
///         "provider": "openai", "api": "openai_chat", "operation": "chat", "response_model": "gpt-5",
///         "outcome": "completed", "evidence": "reported", "input_tokens": 19, "input_text_tokens": 19}}"#;
/// let delivery = Delivery {
///     sender: Sender::new("egress", false),
///     statement: None,
///     arrivals: vec![Arrival::new(event.to_vec())],
/// };
/// let now_ns = 1_769_860_801_000_000_000;
///
/// let mut ledger = Ledger::new(Memory::new());
/// let taken = ledger.append(&[&delivery], now_ns)?;
/// assert_eq!(taken[0].accepted, 1);
///
/// // The same event again is recognised, and not charged again.
/// let taken = ledger.append(&[&delivery], now_ns)?;
/// assert_eq!((taken[0].accepted, taken[0].duplicates), (0, 1));
/// # Ok::<(), collector::store::StoreError>(())
/// ```
#[derive(Debug)]
pub struct Ledger<S> {
    store: S,
    prices: Option<Arc<PriceBook>>,
    /// What prices of which calls can be asked for, of this book.
    ceilings: ceilings::Ceilings,
    /// The budgets as they were in the last transaction.
    budgets: Arc<Budgets>,
    /// When leases that are too old were taken out.
    pruned_ns: i64,
    /// What salts are drawn from, when the first one was needed.
    secret: Option<Secret>,
}

impl<S: Store> Ledger<S> {
    /// The ledger in a store; nothing has a price yet.
    pub fn new(store: S) -> Ledger<S> {
        // Tests compare ledgers of the same calls, hash by hash.
        let secret = if cfg!(test) { Some(Secret::default()) } else { None };
        Ledger { store, prices: None, ceilings: Default::default(), budgets: Arc::default(), pruned_ns: 0, secret }
    }

    /// The same for a simulation, which must be repeated exactly: whoever knows the secret can find out names that were replaced.
    pub fn with_secret(store: S, secret: Secret) -> Ledger<S> {
        Ledger { secret: Some(secret), ..Ledger::new(store) }
    }

    /// Rates what comes from now on by this book; by none, everything is unpriced.
    pub fn set_prices(&mut self, prices: Option<Arc<PriceBook>>) {
        self.prices = prices;
        self.ceilings = Default::default();
    }

    /// A transaction with the budgets in force: known ones, if they are.
    fn transact(&mut self, keys: Keys, decide: &mut dyn FnMut(Known) -> Changes) -> Result<(), StoreError> {
        let keys = Keys { budgets: self.budgets.clone(), ..keys };
        let mut budgets = None;
        let secret = match self.secret {
            Some(secret) => secret,
            None => *self.secret.insert(Secret::drawn()?),
        };
        self.store.transact(&keys, &mut |known| {
            budgets = Some(known.budgets.clone());
            decide(Known { secret, ..known })
        })?;
        self.budgets = budgets.unwrap_or_default();
        Ok(())
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
        let prices = self.prices.clone();
        let keys = Keys { now_ns, ..keys(deliveries) };
        self.transact(keys, &mut |known| {
            if let Some(problem) = clock::behind(deliveries, known.written_ns, now_ns) {
                all = Err(problem);
                return Changes { head: known.head, written_ns: known.written_ns, ..Changes::default() };
            }
            let budgets = known.budgets.revision();
            let mut decision = Decision::new(known, prices.as_deref(), now_ns);
            // A store that must begin anew asks again.
            let mut take = |delivery: &&Delivery| Taken { budgets, ..decision.take(delivery) };
            all = Ok(deliveries.iter().map(&mut take).collect());
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
            let numbers = keys.emitters.entry(statement.emitter.clone()).or_default();
            // Whether all of it is there.
            numbers.extend(i64::try_from(statement.head).ok().filter(|head| statement.ended && *head > 0));
        }
        for arrival in &delivery.arrivals {
            let Ok(event) = &arrival.decoded else {
                // Whether the sender may name it is asked, no more.
                if let Some((emitter, _)) = entering::number(&arrival.bytes) {
                    keys.emitters.entry(emitter).or_default();
                }
                continue;
            };
            ask_about(&mut keys, event);
            if delivery.sender.journal {
                keys.released.insert(QuarantinedEvent::digest_of_alarm(&event.emitter, &arrival.bytes));
            }
        }
    }
    keys
}

/// What the rules will ask about an event.
fn ask_about(keys: &mut Keys, event: &Event) {
    if let Ok(sequence) = i64::try_from(event.sequence) {
        keys.emitters.entry(event.emitter.clone()).or_default().insert(sequence);
    }
    keys.responses.extend(responses::keys(&event.record));
    keys.groups.extend(Group::of(&event.record));
}

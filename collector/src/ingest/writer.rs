//! The one writer: commits the batches that wait together, and says who gets which response.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::lease::{self, Response};

use super::leases::{Asked, Windows};
use super::queue::{Most, Next, Queue};
use super::refusal::{Busy, Refusal};
use super::request::Batch;
use crate::ledger::leases::LeaseRequest;
use crate::ledger::{Delivery, Ledger, Taken};
use crate::prices::PriceBook;
use crate::store::{Store, StoreError};

/// The most batches of one commit, and the most requests for leases.
pub const MAX_GROUP: usize = 256;
/// What one commit takes: bounds how long the next one is waited for. Events, a quarter of a second of slow cores.
const BATCHES: Most = Most { things: MAX_GROUP, cost: 4096 };
/// The same of requests for leases: as many as a thousand windows that are looked up with all who hold something of them.
const LEASES: Most = Most { things: MAX_GROUP, cost: 4 * lease::MAX_LEASES * Windows::COST };
/// How long the ledger's file may be gone before only a new start helps.
pub const GONE: Duration = Duration::from_secs(10);

/// A batch, and who waits for the response to it.
#[derive(Debug)]
pub struct Job<W> {
    /// What is to be stored.
    pub batch: Batch,
    /// To whom the response goes.
    pub waiter: W,
}

/// A request for leases, and who waits for the response to it.
#[derive(Debug)]
pub struct LeaseJob<L> {
    /// What is asked for.
    pub asked: Asked,
    /// To whom the response goes.
    pub waiter: L,
}

/// What is to be done, in this order.
#[derive(Debug)]
pub enum Action<W, L = W> {
    /// A batch has its response: it is stored, or nothing of it is.
    Respond {
        /// To whom.
        waiter: W,
        /// Under which credential the batch came.
        credential: String,
        /// For how many commits it waited, its own included: 1 if no other's turn came before.
        commits: u64,
        /// What became of it.
        result: Result<Taken, Refusal>,
    },
    /// A request for leases has its response: what it is granted is stored, or nothing of it is.
    Lend {
        /// To whom.
        waiter: L,
        /// Under which credential it was asked for.
        credential: String,
        /// For how many commits it waited, its own included.
        commits: u64,
        /// What it may spend.
        result: Result<Response, Refusal>,
    },
    /// Whether the last transaction has succeeded: what `/readyz` says.
    Stored(bool),
    /// A commit has failed; its batches will be sent again.
    Failed(StoreError),
    /// The ledger's file is gone, for the first time.
    Gone(String),
    /// The ledger's file is where it was again.
    Back,
}

/// The ledger, and what waits for it.
#[derive(Debug)]
pub struct Writer<S, W, L = W> {
    ledger: Ledger<S>,
    waiting: Queue<Job<W>>,
    /// What the commit that has begun takes.
    group: Vec<Next<Job<W>>>,
    /// Requests for leases that wait.
    asking: Queue<LeaseJob<L>>,
    /// Those that the commit that has begun takes.
    lending: Vec<Next<LeaseJob<L>>>,
    /// Since when the ledger's file has been gone.
    gone_since: Option<Instant>,
    actions: VecDeque<Action<W, L>>,
}

impl<S: Store, W, L> Writer<S, W, L> {
    /// Nothing waits yet.
    pub fn new(ledger: Ledger<S>) -> Writer<S, W, L> {
        Writer {
            ledger,
            waiting: Queue::default(),
            group: Vec::new(),
            asking: Queue::default(),
            lending: Vec::new(),
            gone_since: None,
            actions: VecDeque::new(),
        }
    }

    /// Rates what is committed from now on by this book.
    pub fn set_prices(&mut self, book: Arc<PriceBook>) {
        self.ledger.set_prices(Some(book));
    }

    /// A batch waits for a commit.
    pub fn push(&mut self, job: Job<W>) {
        let events = job.batch.delivery.arrivals.len();
        self.waiting.push(job.batch.whose(), events, job);
    }

    /// A request for leases waits for a commit.
    pub fn ask(&mut self, job: LeaseJob<L>) {
        let leases = job.asked.request.request.leases.len();
        self.asking.push(job.asked.whose(), leases, job);
    }

    /// Whether nothing waits, and no commit has begun.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.asking.is_empty() && !self.has_begun()
    }

    fn has_begun(&self) -> bool {
        !self.group.is_empty() || !self.lending.is_empty()
    }

    /// Begins a commit of what waits, as much as one takes; returns whether there is one to be done. One that has begun
    /// takes no more.
    pub fn begin(&mut self) -> bool {
        if !self.has_begun() {
            self.group = self.waiting.take(BATCHES, |job| job.batch.delivery.arrivals.len());
            self.group.iter().for_each(|next| next.thing.batch.place.dequeued());
            let mut windows = Windows::default();
            self.lending = self.asking.take(LEASES, |job| windows.cost(&job.asked.request.request.leases));
            self.lending.iter().for_each(|next| next.thing.asked.place.dequeued());
        }
        self.has_begun()
    }

    /// Does the commit that has begun; the actions say who gets which response. Returns whether it has succeeded. Leases are
    /// granted in a transaction of their own, behind the events: they find what those have spent.
    pub fn commit(&mut self, now: Instant, now_ns: i64) -> bool {
        let stored = self.group.is_empty() || self.store(now, now_ns);
        let lent = self.lending.is_empty() || self.lend(now, now_ns);
        stored && lent
    }

    fn lend(&mut self, now: Instant, now_ns: i64) -> bool {
        let requests: Vec<&LeaseRequest> = self.lending.iter().map(|next| &next.thing.asked.request).collect();
        let result = self.ledger.lease(&requests, now_ns);
        let stored = result.is_ok();
        self.actions.push_back(Action::Stored(stored));
        self.looked(result.as_ref().err(), now);
        // Their room is free before they know it.
        let heard = self.lending.drain(..).map(|Next { thing: LeaseJob { asked, waiter }, commits }| {
            (waiter, asked.request.sender.credential, commits)
        });
        let lend = |((waiter, credential, commits), result)| Action::Lend { waiter, credential, commits, result };
        match result {
            Ok(all) => self.actions.extend(heard.zip(all.into_iter().map(Ok)).map(lend)),
            Err(error) => {
                self.actions.push_back(Action::Failed(error));
                let not_stored = || Err(Refusal::Busy(Busy::NotStored));
                self.actions.extend(heard.zip(std::iter::repeat_with(not_stored)).map(lend));
            }
        }
        stored
    }

    fn store(&mut self, now: Instant, now_ns: i64) -> bool {
        let deliveries: Vec<&Delivery> = self.group.iter().map(|next| &next.thing.batch.delivery).collect();
        let result = self.ledger.append(&deliveries, now_ns);
        let stored = result.is_ok();
        self.actions.push_back(Action::Stored(stored));
        self.looked(result.as_ref().err(), now);
        // Their room is free before they know it.
        let heard = self
            .group
            .drain(..)
            .map(|Next { thing: Job { batch, waiter }, commits }| (waiter, batch.delivery.sender.credential, commits));
        let respond = |((waiter, credential, commits), result)| Action::Respond { waiter, credential, commits, result };
        match result {
            Ok(all) => self.actions.extend(heard.zip(all.into_iter().map(Ok)).map(respond)),
            Err(error) => {
                self.actions.push_back(Action::Failed(error));
                let not_stored = || Err(Refusal::Busy(Busy::NotStored));
                self.actions.extend(heard.zip(std::iter::repeat_with(not_stored)).map(respond));
            }
        }
        stored
    }

    /// Tries whether something could be stored.
    pub fn probe(&mut self, now: Instant) -> Result<(), StoreError> {
        let result = self.ledger.store_mut().probe();
        self.actions.push_back(Action::Stored(result.is_ok()));
        self.looked(result.as_ref().err(), now);
        result
    }

    /// Looks whether the ledger is still where it was.
    pub fn look(&mut self, now: Instant) {
        let looked = self.ledger.store().look();
        self.looked(looked.as_ref().err(), now);
    }

    /// Notes whether the ledger's file is gone, for the first time or still.
    fn looked(&mut self, error: Option<&StoreError>, now: Instant) {
        match error {
            Some(error @ StoreError::Gone(_)) => {
                self.actions.push_back(Action::Stored(false));
                if self.gone_since.is_none() {
                    self.gone_since = Some(now);
                    self.actions.push_back(Action::Gone(error.to_string()));
                }
            }
            // Whatever else is wrong, the file is there.
            _ => {
                if self.gone_since.take().is_some() {
                    self.actions.push_back(Action::Back);
                }
            }
        }
    }

    /// Whether the ledger's file has been gone for so long that only a new start helps.
    pub fn is_lost(&self, now: Instant) -> bool {
        self.gone_since.is_some_and(|since| now.saturating_duration_since(since) >= GONE)
    }

    /// What is to be done next.
    pub fn next_action(&mut self) -> Option<Action<W, L>> {
        self.actions.pop_front()
    }
}

#[cfg(test)]
mod tests;

//! The one writer: commits the batches that wait together, and says who gets which response.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::lease::{self, Response};

use super::leases::Asked;
use super::refusal::{Busy, Refusal};
use super::request::Batch;
use crate::ledger::leases::LeaseRequest;
use crate::ledger::{Delivery, Ledger, Taken};
use crate::prices::PriceBook;
use crate::store::{Store, StoreError};

/// The most batches of one commit: bounds how long the first one waits.
pub const MAX_GROUP: usize = 256;
/// The most leases of one commit: for each the window is looked up with all who hold something of it.
const MAX_LEASES: usize = 4 * lease::MAX_LEASES;
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
        /// What became of it.
        result: Result<Taken, Refusal>,
    },
    /// A request for leases has its response: what it is granted is stored, or nothing of it is.
    Lend {
        /// To whom.
        waiter: L,
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
    waiting: VecDeque<Job<W>>,
    /// What the commit that has begun takes.
    group: Vec<Job<W>>,
    /// Requests for leases that wait.
    asking: VecDeque<LeaseJob<L>>,
    /// Those that the commit that has begun takes.
    lending: Vec<LeaseJob<L>>,
    /// Since when the ledger's file has been gone.
    gone_since: Option<Instant>,
    actions: VecDeque<Action<W, L>>,
}

impl<S: Store, W, L> Writer<S, W, L> {
    /// Nothing waits yet.
    pub fn new(ledger: Ledger<S>) -> Writer<S, W, L> {
        Writer {
            ledger,
            waiting: VecDeque::new(),
            group: Vec::new(),
            asking: VecDeque::new(),
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
        self.waiting.push_back(job);
    }

    /// A request for leases waits for a commit.
    pub fn ask(&mut self, job: LeaseJob<L>) {
        self.asking.push_back(job);
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
            let most = self.waiting.len().min(MAX_GROUP);
            self.group.extend(self.waiting.drain(..most));
            self.group.iter().for_each(|job| job.batch.place.dequeued());
            let mut leases = 0_usize;
            // The first one always fits.
            let fits = |job: &&LeaseJob<L>| {
                leases = leases.saturating_add(job.asked.request.request.leases.len());
                leases <= MAX_LEASES
            };
            let most = self.asking.iter().take(MAX_GROUP).take_while(fits).count();
            self.lending.extend(self.asking.drain(..most));
            self.lending.iter().for_each(|job| job.asked.place.dequeued());
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
        let requests: Vec<&LeaseRequest> = self.lending.iter().map(|job| &job.asked.request).collect();
        let result = self.ledger.lease(&requests, now_ns);
        let stored = result.is_ok();
        self.actions.push_back(Action::Stored(stored));
        self.looked(result.as_ref().err(), now);
        // Their room is free before they know it.
        let waiters = self.lending.drain(..).map(|job| job.waiter);
        match result {
            Ok(all) => self
                .actions
                .extend(waiters.zip(all).map(|(waiter, response)| Action::Lend { waiter, result: Ok(response) })),
            Err(error) => {
                self.actions.push_back(Action::Failed(error));
                let not_stored = || Err(Refusal::Busy(Busy::NotStored));
                self.actions.extend(waiters.map(|waiter| Action::Lend { waiter, result: not_stored() }));
            }
        }
        stored
    }

    fn store(&mut self, now: Instant, now_ns: i64) -> bool {
        let deliveries: Vec<&Delivery> = self.group.iter().map(|job| &job.batch.delivery).collect();
        let result = self.ledger.append(&deliveries, now_ns);
        let stored = result.is_ok();
        self.actions.push_back(Action::Stored(stored));
        self.looked(result.as_ref().err(), now);
        let group = self.group.drain(..);
        // Their room is free before they know it.
        let heard = group.map(|Job { batch: Batch { delivery, .. }, waiter }| (waiter, delivery.sender.credential));
        match result {
            Ok(all) => self.actions.extend(heard.zip(all).map(|((waiter, credential), taken)| Action::Respond {
                waiter,
                credential,
                result: Ok(taken),
            })),
            Err(error) => {
                self.actions.push_back(Action::Failed(error));
                let not_stored = || Err(Refusal::Busy(Busy::NotStored));
                self.actions.extend(heard.map(|(waiter, credential)| Action::Respond {
                    waiter,
                    credential,
                    result: not_stored(),
                }));
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

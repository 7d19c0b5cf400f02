//! The memory of bodies and their events, and the places in the writer's queue: bounded in all and shared between credentials
//! and their emitters. A sender that is slow gives way to one that is not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::refusal::{Busy, Refusal};
use shares::{Amount, Lacks, Owner, Shares};

mod shares;

/// A body that is still coming after so long gives way to others.
const YIELDS_AFTER: Duration = Duration::from_secs(10);
/// So does one that has not got on for so long.
const YIELDS_IDLE: Duration = Duration::from_secs(2);

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Memory of bodies, from their first byte to the commit.
    pub bytes: usize,
    /// Their events, from when they are counted to the commit.
    pub events: usize,
    /// Batches that wait for the writer.
    pub batches: usize,
}

/// The memory of all bodies together, bytes.
const BODIES: usize = 128 << 20;
/// Events of all bodies together, each of which takes about 1 KiB however short it is.
const EVENTS: usize = 128 << 10;

/// All there is.
#[derive(Debug)]
pub struct Room {
    bounds: Bounds,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    shares: Shares,
    /// By number, and so by age.
    places: BTreeMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    owner: Owner,
    since: Instant,
    /// When it last got on.
    progress: Instant,
    /// Whether the body is still coming.
    coming: bool,
    amount: Amount,
    /// Who waits for it to give way.
    waits: Option<Waker>,
}

/// What one request has of it; given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    room: Arc<Room>,
    number: u64,
}

impl Room {
    /// What a collector has, with so many batches in its queue.
    pub fn with_queue(batches: usize) -> Arc<Room> {
        Room::new(Bounds { bytes: BODIES, events: EVENTS, batches })
    }

    /// Nothing is taken yet.
    pub fn new(bounds: Bounds) -> Arc<Room> {
        Arc::new(Room { bounds, taken: Mutex::default() })
    }

    /// A place for a request, of an emitter that shows its key or of none; it has nothing yet.
    pub fn place(self: &Arc<Room>, credential: &str, emitter: Option<&str>, now: Instant) -> Place {
        let owner = Owner { credential: credential.to_owned(), emitter: emitter.map(str::to_owned) };
        let mut taken = self.taken();
        let number = taken.next;
        taken.next = number.saturating_add(1);
        taken.shares.enter(&owner);
        let amount = Amount { places: 1, ..Amount::default() };
        let held = Held { owner, since: now, progress: now, coming: true, amount, waits: None };
        taken.places.insert(number, held);
        drop(taken);
        Place { room: self.clone(), number }
    }

    /// How many batches wait for the writer.
    pub fn waiting(&self) -> usize {
        self.taken().shares.all.batches
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes more for a place, if there is so much. Bodies that have been coming for long by `now` give way; without it none.
    fn take(&self, number: u64, more: Amount, busy: Busy, now: Option<Instant>) -> Result<(), Refusal> {
        let mut taken = self.taken();
        loop {
            let held = taken.places.get(&number).ok_or(Refusal::Busy(Busy::Bodies))?;
            let Err(lacks) = taken.shares.may_have(&held.owner, more, self.bounds) else { break };
            // Beyond the own share only one's own can give way.
            let is_own = lacks == Lacks::Share { is_own: true };
            let own = is_own.then(|| held.owner.credential.clone());
            if !now.is_some_and(|now| taken.give_way(number, own.as_deref(), now)) {
                return Err(taken.refusal(number, lacks, busy));
            }
        }
        taken.add(number, more);
        Ok(())
    }
}

impl Taken {
    fn refusal(&self, number: u64, lacks: Lacks, busy: Busy) -> Refusal {
        match (lacks, self.places.get(&number)) {
            (Lacks::Share { .. }, Some(held)) => Refusal::Share { credential: held.owner.credential.clone(), of: busy },
            _ => Refusal::Busy(busy),
        }
    }

    fn add(&mut self, number: u64, more: Amount) {
        let Some(held) = self.places.get_mut(&number) else { return };
        held.amount = held.amount.with(more);
        self.shares.add(&held.owner, more);
    }

    /// Takes everything from a place.
    fn remove(&mut self, number: u64) -> Option<Held> {
        let held = self.places.remove(&number)?;
        self.shares.sub(&held.owner, held.amount);
        Some(held)
    }

    /// Ends the oldest body that has been coming for long, of a credential or of anybody.
    fn give_way(&mut self, asking: u64, own: Option<&str>, now: Instant) -> bool {
        let for_long = |since: Instant, long: Duration| now.saturating_duration_since(since) >= long;
        let is_meant = |held: &Held| {
            held.coming
                && held.amount.bytes > 0
                && (for_long(held.since, YIELDS_AFTER) || for_long(held.progress, YIELDS_IDLE))
                && own.is_none_or(|own| held.owner.credential == own)
        };
        let oldest = self.places.iter().find(|(number, held)| **number != asking && is_meant(held));
        let Some(number) = oldest.map(|(number, _)| *number) else { return false };
        if let Some(waits) = self.remove(number).and_then(|held| held.waits) {
            waits.wake();
        }
        true
    }
}

impl Place {
    /// Memory for more of the body.
    pub fn bytes(&self, bytes: usize, now: Instant) -> Result<(), Refusal> {
        self.room.take(self.number, Amount { bytes, ..Amount::default() }, Busy::Bodies, Some(now))
    }

    /// The body gets on.
    pub fn progress(&self, now: Instant) {
        if let Some(held) = self.room.taken().places.get_mut(&self.number) {
            held.progress = now;
        }
    }

    /// The body is whole: it gives way no more.
    pub fn whole(&self) -> Result<(), Refusal> {
        let mut taken = self.room.taken();
        let held = taken.places.get_mut(&self.number).ok_or(Refusal::Busy(Busy::Bodies))?;
        held.coming = false;
        Ok(())
    }

    /// Room for its events.
    pub fn events(&self, events: usize) -> Result<(), Refusal> {
        self.room.take(self.number, Amount { events, ..Amount::default() }, Busy::Events, None)
    }

    /// A place in the queue.
    pub fn queue(&self) -> Result<(), Refusal> {
        self.room.take(self.number, Amount { batches: 1, ..Amount::default() }, Busy::Queue, None)
    }

    /// It waits in the queue no more.
    pub fn dequeued(&self) {
        let mut taken = self.room.taken();
        let Taken { places, shares, .. } = &mut *taken;
        let Some(held) = places.get_mut(&self.number) else { return };
        let less = Amount { batches: std::mem::take(&mut held.amount.batches), ..Amount::default() };
        shares.sub(&held.owner, less);
    }

    /// Ready when another needs the room more: what this place had is taken from it.
    pub fn poll_gives_way(&self, context: &mut Context<'_>) -> Poll<()> {
        match self.room.taken().places.get_mut(&self.number) {
            None => Poll::Ready(()),
            Some(held) => {
                held.waits = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.room.taken().remove(self.number));
    }
}

#[cfg(test)]
mod tests;

//! The memory of bodies and their events, and the places in the writer's queue: bounded in all and for each credential.
//! A sender that is slow gives way to one that is not.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::refusal::{Busy, Refusal};

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

impl Bounds {
    /// What one credential may have of it: whoever has stolen one leaves room for the others.
    fn share(self) -> Bounds {
        let most = |all: usize| all.saturating_sub(all / 4);
        Bounds { bytes: most(self.bytes), events: most(self.events), batches: most(self.batches) }
    }
}

/// All there is.
#[derive(Debug)]
pub struct Room {
    bounds: Bounds,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    all: Amount,
    of: HashMap<String, Amount>,
    /// By number, and so by age.
    places: BTreeMap<u64, Held>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Amount {
    places: usize,
    bytes: usize,
    events: usize,
    batches: usize,
}

#[derive(Debug)]
struct Held {
    credential: String,
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

    /// A place for a request; it has nothing yet.
    pub fn place(self: &Arc<Room>, credential: &str, now: Instant) -> Place {
        let mut taken = self.taken();
        let number = taken.next;
        taken.next = number.saturating_add(1);
        let amount = Amount { places: 1, ..Amount::default() };
        taken.of.entry(credential.to_owned()).or_default().add(amount);
        let held =
            Held { credential: credential.to_owned(), since: now, progress: now, coming: true, amount, waits: None };
        taken.places.insert(number, held);
        drop(taken);
        Place { room: self.clone(), number }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes more for a place, if there is so much. Bodies that have been coming for long by `now` give way; without it none.
    fn take(&self, number: u64, more: Amount, busy: Busy, now: Option<Instant>) -> Result<(), Refusal> {
        let mut taken = self.taken();
        let share = self.bounds.share();
        loop {
            let held = taken.places.get(&number).ok_or(Refusal::Busy(Busy::Bodies))?;
            let of = taken.of.get(&held.credential).copied().unwrap_or_default();
            let in_share = of.with(more).fits(share);
            if in_share && taken.all.with(more).fits(self.bounds) {
                break;
            }
            // Beyond the own share only one's own can give way.
            let own = (!in_share).then(|| held.credential.clone());
            if !now.is_some_and(|now| taken.give_way(number, own.as_deref(), now)) {
                return Err(Refusal::Busy(busy));
            }
        }
        taken.add(number, more);
        Ok(())
    }
}

impl Taken {
    fn add(&mut self, number: u64, more: Amount) {
        let Some(held) = self.places.get_mut(&number) else { return };
        held.amount.add(more);
        self.all.add(more);
        if let Some(of) = self.of.get_mut(&held.credential) {
            of.add(more);
        }
    }

    /// Takes everything from a place.
    fn remove(&mut self, number: u64) -> Option<Held> {
        let held = self.places.remove(&number)?;
        self.all.sub(held.amount);
        if let Some(of) = self.of.get_mut(&held.credential) {
            of.sub(held.amount);
            if of.places == 0 {
                self.of.remove(&held.credential);
            }
        }
        Some(held)
    }

    /// Ends the oldest body that has been coming for long, of a credential or of anybody.
    fn give_way(&mut self, asking: u64, own: Option<&str>, now: Instant) -> bool {
        let for_long = |since: Instant, long: Duration| now.saturating_duration_since(since) >= long;
        let is_meant = |held: &Held| {
            held.coming
                && held.amount.bytes > 0
                && (for_long(held.since, YIELDS_AFTER) || for_long(held.progress, YIELDS_IDLE))
                && own.is_none_or(|own| held.credential == own)
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
        let Some(held) = taken.places.get_mut(&self.number) else { return };
        let less = Amount { batches: std::mem::take(&mut held.amount.batches), ..Amount::default() };
        let credential = held.credential.clone();
        taken.all.sub(less);
        if let Some(of) = taken.of.get_mut(&credential) {
            of.sub(less);
        }
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

impl Amount {
    fn with(mut self, more: Amount) -> Amount {
        self.add(more);
        self
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

    fn fits(self, bounds: Bounds) -> bool {
        self.bytes <= bounds.bytes && self.events <= bounds.events && self.batches <= bounds.batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: Bounds = Bounds { bytes: 400, events: 40, batches: 4 };

    fn gave_way(place: &Place) -> bool {
        place.poll_gives_way(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn contract_one_credential_leaves_room_for_others() {
        let room = Room::new(BOUNDS);
        let now = Instant::now();
        let (stolen, honest) = (room.place("stolen", now), room.place("honest", now));
        assert_eq!(stolen.bytes(300, now), Ok(()));
        assert_eq!(stolen.bytes(1, now), Err(Refusal::Busy(Busy::Bodies)));
        assert_eq!((stolen.events(30), stolen.events(1)), (Ok(()), Err(Refusal::Busy(Busy::Events))));
        let more: Vec<Place> = (0..3).map(|_| room.place("stolen", now)).collect();
        assert!(more.iter().all(|place| place.queue().is_ok()));
        assert_eq!(stolen.queue(), Err(Refusal::Busy(Busy::Queue)));
        assert_eq!((honest.bytes(100, now), honest.events(10), honest.queue()), (Ok(()), Ok(()), Ok(())));
        more[0].dequeued();
        assert_eq!(stolen.queue(), Ok(()), "what the writer has taken waits no more");
    }

    #[test]
    fn contract_a_body_that_has_been_coming_for_long_gives_way_and_a_whole_one_does_not() {
        let room = Room::new(BOUNDS);
        let now = Instant::now();
        let places: Vec<Place> = (0..3).map(|_| room.place("one", now)).collect();
        assert!(places.iter().all(|place| place.bytes(100, now).is_ok()));
        let late = room.place("one", now);
        assert_eq!(late.bytes(50, now), Err(Refusal::Busy(Busy::Bodies)), "none of them is slow yet");
        places[0].whole().unwrap();
        let then = now + YIELDS_IDLE;
        places[2].progress(then);
        late.progress(then);
        assert!(!gave_way(&places[1]));
        assert_eq!(late.bytes(50, then), Ok(()));
        assert!(gave_way(&places[1]) && !gave_way(&places[0]) && !gave_way(&places[2]));
        assert_eq!(places[1].whole(), Err(Refusal::Busy(Busy::Bodies)), "what gave way is not taken");
        assert_eq!(places[1].bytes(1, then), Err(Refusal::Busy(Busy::Bodies)));
        assert_eq!(late.bytes(100, then), Err(Refusal::Busy(Busy::Bodies)), "the whole one stays");
        let (long, other) = (now + YIELDS_AFTER, room.place("other", now));
        places[2].progress(long);
        late.whole().unwrap();
        assert_eq!(other.bytes(200, long), Ok(()), "in all there is no room: the slow one of another gives way");
        assert!(gave_way(&places[2]), "however much it got on");
        drop((places, late, other));
        let taken = room.taken();
        assert!(taken.of.is_empty() && taken.places.is_empty() && taken.all == Amount::default(), "{taken:?}");
    }

    proptest! {
        #[test]
        fn deterministic_what_is_taken_is_what_the_places_hold(
            steps in prop::collection::vec((0_usize..6, 0_usize..8, 0_usize..150), 0..200)
        ) {
            let room = Room::new(BOUNDS);
            let mut now = Instant::now();
            let mut places: Vec<Place> = Vec::new();
            for (step, which, amount) in steps {
                let which = which % places.len().max(1);
                match (step, places.get(which)) {
                    (0, _) | (_, None) => places.push(room.place(["a", "b", "c"][amount % 3], now)),
                    (1, Some(place)) => { let _ = place.bytes(amount, now); }
                    (2, Some(place)) => { let _ = place.events(amount / 10); }
                    (3, Some(place)) => { let _ = place.whole().and_then(|()| place.queue()); }
                    (4, Some(place)) => place.dequeued(),
                    _ => drop(places.swap_remove(which)),
                }
                now += Duration::from_millis(100 * amount as u64);
                let taken = room.taken();
                let sum = taken.places.values().fold(Amount::default(), |sum, held| sum.with(held.amount));
                prop_assert_eq!(Amount { places: 0, ..sum }, taken.all);
                prop_assert!(taken.all.fits(BOUNDS) && taken.of.values().all(|of| of.fits(BOUNDS.share())));
                let by_credential = taken.of.values().fold(Amount::default(), |sum, of| sum.with(*of));
                prop_assert_eq!(by_credential, sum);
            }
        }
    }
}

//! The one writer: commits the batches that wait together, and says who gets which response.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::refusal::{Busy, Refusal};
use super::request::Batch;
use crate::ledger::{Delivery, Ledger, Taken};
use crate::prices::PriceBook;
use crate::store::{Store, StoreError};

/// The most batches of one commit: bounds how long the first one waits.
pub const MAX_GROUP: usize = 256;
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

/// What is to be done, in this order.
#[derive(Debug)]
pub enum Action<W> {
    /// A batch has its response: it is stored, or nothing of it is.
    Respond {
        /// To whom.
        waiter: W,
        /// Under which credential the batch came.
        credential: String,
        /// What became of it.
        result: Result<Taken, Refusal>,
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
pub struct Writer<S, W> {
    ledger: Ledger<S>,
    waiting: VecDeque<Job<W>>,
    /// What the commit that has begun takes.
    group: Vec<Job<W>>,
    /// Since when the ledger's file has been gone.
    gone_since: Option<Instant>,
    actions: VecDeque<Action<W>>,
}

impl<S: Store, W> Writer<S, W> {
    /// Nothing waits yet.
    pub fn new(ledger: Ledger<S>) -> Writer<S, W> {
        Writer { ledger, waiting: VecDeque::new(), group: Vec::new(), gone_since: None, actions: VecDeque::new() }
    }

    /// Rates what is committed from now on by this book.
    pub fn set_prices(&mut self, book: Arc<PriceBook>) {
        self.ledger.set_prices(Some(book));
    }

    /// A batch waits for a commit.
    pub fn push(&mut self, job: Job<W>) {
        self.waiting.push_back(job);
    }

    /// Whether nothing waits, and no commit has begun.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.group.is_empty()
    }

    /// Begins a commit of what waits, as much as one takes; returns whether there is one to be done. One that has begun
    /// takes no more.
    pub fn begin(&mut self) -> bool {
        if self.group.is_empty() {
            let most = self.waiting.len().min(MAX_GROUP);
            self.group.extend(self.waiting.drain(..most));
            self.group.iter().for_each(|job| job.batch.place.dequeued());
        }
        !self.group.is_empty()
    }

    /// Does the commit that has begun; the actions say who gets which response. Returns whether it has succeeded.
    pub fn commit(&mut self, now: Instant, now_ns: i64) -> bool {
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
    pub fn next_action(&mut self) -> Option<Action<W>> {
        self.actions.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::super::rate::Admitted;
    use super::super::request::{Head, Request};
    use super::super::room::{Bounds, Room};
    use super::*;
    use crate::database::memory::Memory;
    use crate::ledger::Sender;
    use crate::store::{Changes, Keys, Known};
    use wire::record::Record;

    /// A store that fails as it is told to.
    #[derive(Default)]
    struct Failing {
        memory: Memory,
        fails: Option<fn() -> StoreError>,
    }

    impl Store for Failing {
        fn transact(&mut self, keys: &Keys, decide: &mut dyn FnMut(Known) -> Changes) -> Result<(), StoreError> {
            match self.fails {
                Some(error) => Err(error()),
                None => self.memory.transact(keys, decide),
            }
        }

        fn look(&self) -> Result<(), StoreError> {
            self.fails.map_or(Ok(()), |error| Err(error()))
        }
    }

    fn writer() -> Writer<Failing, u64> {
        Writer::new(Ledger::new(Failing { memory: Memory::new(), fails: None }))
    }

    fn batch(room: &Arc<Room>, sequence: u64) -> Batch {
        let record = Record { provider: "openai".to_owned(), ..Record::default() };
        let event = wire::event::encode(&record, &"a".repeat(32), sequence);
        let head = Head { content_type: Some(b"application/cloudevents+json"), ..Head::default() };
        let admitted = Admitted { sender: Sender::new("default", false), bucket: None };
        let request = Request::begin(&head, admitted, false, room, Instant::now()).unwrap();
        request.place().bytes(1, Instant::now()).unwrap();
        request.finish(&event, Instant::now()).unwrap()
    }

    fn actions(writer: &mut Writer<Failing, u64>) -> Vec<Action<u64>> {
        std::iter::from_fn(|| writer.next_action()).collect()
    }

    fn words(writer: &mut Writer<Failing, u64>) -> Vec<String> {
        let word = |action| match action {
            Action::Respond { waiter, result, .. } => format!("{waiter}: {}", result.map_or(503, |_| 200)),
            Action::Stored(well) => format!("stored {well}"),
            Action::Failed(_) => "failed".to_owned(),
            Action::Gone(_) => "gone".to_owned(),
            Action::Back => "back".to_owned(),
        };
        actions(writer).into_iter().map(word).collect()
    }

    #[test]
    fn contract_batches_that_wait_share_one_commit_and_each_gets_its_own_response() {
        let room = Room::new(Bounds { bytes: 40, events: 40, batches: 40 });
        let mut writer = writer();
        // Every second batch is the one before again.
        for waiter in 0..20 {
            writer.push(Job { batch: batch(&room, 1 + waiter / 2), waiter });
        }
        assert!(writer.begin() && writer.commit(Instant::now(), 1) && !writer.begin() && writer.is_idle());
        let mut responded = 0;
        for action in actions(&mut writer) {
            let Action::Respond { waiter, credential, result } = action else { continue };
            let taken = result.unwrap();
            let expected = if waiter % 2 == 0 { (1, 0) } else { (0, 1) };
            assert_eq!((taken.accepted, taken.duplicates, waiter), (expected.0, expected.1, responded));
            assert_eq!(credential, "default");
            responded += 1;
        }
        assert_eq!(responded, 20);
        let place = room.place("default", Instant::now());
        let all = (place.bytes(30, Instant::now()), place.events(30));
        assert_eq!(all, (Ok(()), Ok(())), "the room of the bodies is free again");
    }

    #[test]
    fn contract_a_commit_takes_no_more_than_its_bound_and_what_comes_meanwhile_waits_for_the_next() {
        let room = Room::new(Bounds { bytes: 4000, events: 4000, batches: 4000 });
        let mut writer = writer();
        let count = |writer: &mut Writer<Failing, u64>| {
            actions(writer).iter().filter(|action| matches!(action, Action::Respond { .. })).count()
        };
        (0..300).for_each(|number| writer.push(Job { batch: batch(&room, number + 1), waiter: number }));
        assert!(writer.begin());
        writer.push(Job { batch: batch(&room, 301), waiter: 300 });
        assert!(writer.begin() && writer.commit(Instant::now(), 1));
        assert_eq!(count(&mut writer), MAX_GROUP);
        assert!(writer.begin() && writer.commit(Instant::now(), 1));
        assert_eq!((count(&mut writer), writer.is_idle()), (301 - MAX_GROUP, true));
    }

    #[test]
    fn contract_a_commit_that_fails_is_told_to_everybody_in_it_and_frees_their_room() {
        let room = Room::new(Bounds { bytes: 8, events: 8, batches: 8 });
        let mut writer = writer();
        writer.ledger.store_mut().fails = Some(|| StoreError::Unusable("full".to_owned()));
        (0..2).for_each(|waiter| writer.push(Job { batch: batch(&room, waiter + 1), waiter }));
        assert!(writer.begin() && !writer.commit(Instant::now(), 1));
        assert_eq!(words(&mut writer), ["stored false", "failed", "0: 503", "1: 503"]);
        assert_eq!(room.place("default", Instant::now()).events(6), Ok(()));
        // The senders come again.
        writer.ledger.store_mut().fails = None;
        writer.push(Job { batch: batch(&room, 1), waiter: 2 });
        assert!(writer.begin() && writer.commit(Instant::now(), 1));
        assert_eq!(words(&mut writer), ["stored true", "2: 200"]);
    }

    #[test]
    fn deterministic_a_file_that_is_gone_is_told_once_and_lost_after_its_time() {
        let mut writer = writer();
        let begun = Instant::now();
        writer.ledger.store_mut().fails = Some(|| StoreError::Gone("deleted".to_owned()));
        writer.look(begun);
        assert_eq!(words(&mut writer), ["stored false", "gone"]);
        assert!(writer.probe(begun + GONE / 2).is_err());
        assert_eq!(words(&mut writer), ["stored false", "stored false"]);
        assert!(!writer.is_lost(begun + GONE / 2) && writer.is_lost(begun + GONE));
        writer.ledger.store_mut().fails = Some(|| StoreError::Unusable("busy".to_owned()));
        writer.look(begun + GONE);
        assert_eq!((words(&mut writer), writer.is_lost(begun + GONE)), (vec!["back".to_owned()], false));
    }
}

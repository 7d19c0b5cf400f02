//! The one writer: takes every delivery that waits, commits them together, then responds to each.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};

use super::health::Condition;
use super::log;
use super::metrics::Metrics;
use super::pricing::Pricing;
use super::room::Place;
use crate::ledger::{Delivery, Ledger, Taken};
use crate::store::{Store, StoreError};

/// The most deliveries of one commit: bounds how long the first one waits.
const MAX_GROUP: usize = 256;
/// How long the ledger's file may be gone before the process ends.
const GONE: Duration = Duration::from_secs(10);

/// What the writer is asked for.
pub enum Work {
    /// To store a delivery.
    Store(Job),
    /// To try whether it could.
    Probe(oneshot::Sender<bool>),
    /// To see whether the ledger is still where it was, and whether there are new prices.
    Look,
}

/// A delivery that waits to be committed.
pub struct Job {
    pub delivery: Delivery,
    /// What became of it; `None` if nothing of it was stored.
    pub done: oneshot::Sender<Option<Taken>>,
    /// The room that its body and its events were given.
    pub place: Place,
}

/// The writer's thread.
pub struct Writer<'a, S> {
    pub ledger: Ledger<S>,
    pub prices: Pricing,
    pub condition: &'a Condition,
    pub metrics: &'a Metrics,
    /// Since when the ledger's file has been gone.
    pub gone: Option<Instant>,
}

impl<S: Store> Writer<'_, S> {
    /// Writes until the last sender is gone and nothing waits any more, or until the ledger's file has been gone for so
    /// long that only a new start helps.
    pub fn run(mut self, mut waiting: mpsc::Receiver<Work>) -> Result<(), String> {
        let mut works: Vec<Work> = Vec::new();
        while waiting.blocking_recv_many(&mut works, MAX_GROUP) > 0 {
            let mut group: Vec<Job> = Vec::new();
            for work in works.drain(..) {
                match work {
                    Work::Store(job) => {
                        job.place.dequeued();
                        group.push(job);
                    }
                    Work::Probe(done) => {
                        // Who has gone away meanwhile does not want to know.
                        let _ = done.send(self.probe());
                    }
                    Work::Look => {
                        let looked = self.ledger.store().look();
                        self.looked(looked.as_ref().err());
                        self.reprice();
                    }
                }
            }
            if !group.is_empty() {
                self.store(group);
            }
            if self.gone.is_some_and(|since| since.elapsed() >= GONE) {
                return Err("the ledger's file is not the one that was opened; nothing can be stored".to_owned());
            }
        }
        Ok(())
    }

    /// Takes a new price book, if there is one.
    fn reprice(&mut self) {
        if let Some(book) = self.prices.changed() {
            self.ledger.set_prices(Some(book));
        }
    }

    fn store(&mut self, mut group: Vec<Job>) {
        // A full queue has no room for a look.
        self.reprice();
        let deliveries: Vec<&Delivery> = group.iter().map(|job| &job.delivery).collect();
        let begun = Instant::now();
        let result = self.ledger.append(&deliveries, now_ns());
        self.metrics.committed(begun.elapsed(), result.is_ok());
        self.condition.stored(result.is_ok());
        self.looked(result.as_ref().err());
        match result {
            Ok(all) => {
                for (job, taken) in group.drain(..).zip(all) {
                    self.metrics.taken(&taken);
                    say_alarms(&job.delivery.sender.credential, &taken);
                    job.response(Some(taken));
                }
            }
            Err(error) => {
                log::often("cannot store, the senders will come again", || error.to_string());
                for job in group.drain(..) {
                    job.response(None);
                }
            }
        }
    }

    fn probe(&mut self) -> bool {
        let result = self.ledger.store_mut().probe();
        if let Err(error) = &result {
            log::often("cannot store", || error.to_string());
        }
        self.condition.stored(result.is_ok());
        self.looked(result.as_ref().err());
        result.is_ok()
    }

    /// Notes whether the ledger's file is gone, for the first time or still.
    fn looked(&mut self, error: Option<&StoreError>) {
        match error {
            Some(error @ StoreError::Gone(_)) => {
                self.condition.stored(false);
                if self.gone.is_none() {
                    let seconds = GONE.as_secs();
                    log::error(&format!("{error}; nothing is acknowledged, and in {seconds} s the process ends"));
                    self.gone = Some(Instant::now());
                }
            }
            // Whatever else is wrong, the file is there.
            _ => {
                if self.gone.take().is_some() {
                    log::info("the ledger's file is where it was again");
                }
            }
        }
    }
}

/// Says that events of a delivery are quarantined: nobody is charged for them until a person decides.
fn say_alarms(credential: &str, taken: &Taken) {
    let kept = taken.not_charged.len();
    if let Some((emitter, number)) = taken.not_charged.first() {
        log::often("alarm", || {
            format!(
                "{kept} events of the credential {credential} are quarantined and not charged, the first is \
                 {emitter}-{number}; `meshmeter alarms` says why"
            )
        });
    } else if taken.alarms > 0 {
        log::often("alarm", || {
            format!("the credential {credential} speaks for an emitter of another sender; what it says is not taken")
        });
    }
}

impl Job {
    fn response(self, taken: Option<Taken>) {
        drop(self.place);
        // Who has gone away meanwhile will send again, and be told that it is a duplicate.
        let _ = self.done.send(taken);
    }
}

fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::memory::Memory;
    use crate::ledger::{Arrival, Sender};
    use crate::serve::metrics::Now;
    use crate::serve::room::{Bounds, Room};
    use wire::record::Record;

    fn delivery(sequence: u64) -> Delivery {
        let record = Record { provider: "openai".to_owned(), ..Record::default() };
        Delivery {
            sender: Sender::new("default", false),
            statement: None,
            arrivals: vec![Arrival::new(wire::event::encode(&record, &"a".repeat(32), sequence))],
        }
    }

    #[test]
    fn contract_deliveries_that_wait_share_one_commit_and_each_gets_its_own_response() {
        let metrics = Metrics::new();
        let room = Room::new(Bounds { bytes: 40, events: 40, batches: 40 });
        let (jobs, waiting) = mpsc::channel(40);
        let mut responses = Vec::new();
        for number in 0..20 {
            let (done, response) = oneshot::channel();
            responses.push(response);
            let place = room.place("one");
            place.bytes(1).unwrap();
            place.events(1).unwrap();
            place.queue().unwrap();
            // Every second delivery is the one before again.
            let job = Job { delivery: delivery(1 + number / 2), done, place };
            jobs.try_send(Work::Store(job)).ok().unwrap();
        }
        let (done, mut probed) = oneshot::channel();
        jobs.try_send(Work::Probe(done)).ok().unwrap();
        drop(jobs);
        let condition = Condition::new();
        let (ledger, prices) = (Ledger::new(Memory::new()), Pricing::none());
        let writer = Writer { ledger, prices, condition: &condition, metrics: &metrics, gone: None };
        writer.run(waiting).unwrap();
        for (number, mut response) in responses.into_iter().enumerate() {
            let taken = response.try_recv().unwrap().unwrap();
            assert_eq!((taken.accepted, taken.duplicates), if number % 2 == 0 { (1, 0) } else { (0, 1) });
        }
        assert!(probed.try_recv().unwrap());
        let text = metrics.text(&Now::default()).unwrap();
        assert!(text.contains("meshmeter_collector_commits_total{outcome=\"stored\"} 1\n"), "{text}");
        let place = room.place("one");
        assert_eq!((place.bytes(30), place.events(30)), (Ok(()), Ok(())), "the room of the bodies is free again");
    }
}

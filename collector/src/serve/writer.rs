//! The one writer: takes every delivery that waits, commits them together, then answers each.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::log;
use super::metrics::Metrics;
use super::pricing::Pricing;
use crate::ledger::{Delivery, Ledger, Store, Taken};

/// The most deliveries of one commit: bounds how long the first one waits.
const MAX_GROUP: usize = 256;

/// A delivery that waits to be committed.
pub struct Job {
    pub delivery: Delivery,
    /// What became of it; `None` if nothing of it was stored.
    pub done: oneshot::Sender<Option<Taken>>,
    /// The memory that its body and its events were given.
    pub room: [OwnedSemaphorePermit; 2],
}

/// Writes until the last sender is gone and nothing waits any more.
pub fn run<S: Store>(mut ledger: Ledger<S>, mut prices: Pricing, mut waiting: mpsc::Receiver<Job>, metrics: &Metrics) {
    let mut group: Vec<Job> = Vec::new();
    while waiting.blocking_recv_many(&mut group, MAX_GROUP) > 0 {
        if let Some(book) = prices.changed() {
            ledger.set_prices(Some(book));
        }
        let deliveries: Vec<&Delivery> = group.iter().map(|job| &job.delivery).collect();
        let begun = Instant::now();
        let result = ledger.append(&deliveries, now_ns());
        metrics.committed(begun.elapsed(), result.is_ok());
        match result {
            Ok(all) => {
                for (job, taken) in group.drain(..).zip(all) {
                    metrics.taken(&taken);
                    job.answer(Some(taken));
                }
            }
            Err(error) => {
                log(&format!("cannot store, the senders will come again: {error}"));
                for job in group.drain(..) {
                    job.answer(None);
                }
            }
        }
    }
}

impl Job {
    fn answer(self, taken: Option<Taken>) {
        drop(self.room);
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
    use crate::ledger::memory::Memory;
    use crate::ledger::{Arrival, Sender};
    use meter::record::Record;
    use std::sync::Arc;
    use tokio::sync::Semaphore;

    fn delivery(sequence: u64) -> Delivery {
        let record = Record { provider: "openai".to_owned(), ..Record::default() };
        Delivery {
            sender: Sender::new("default", false),
            statement: None,
            arrivals: vec![Arrival::new(meter::event::encode(&record, &"a".repeat(32), sequence))],
        }
    }

    #[test]
    fn contract_deliveries_that_wait_share_one_commit_and_each_gets_its_own_answer() {
        let metrics = Metrics::new();
        let rooms = Arc::new(Semaphore::new(40));
        let (jobs, waiting) = mpsc::channel(20);
        let mut answers = Vec::new();
        for number in 0..20 {
            let (done, answer) = oneshot::channel();
            answers.push(answer);
            let room = [(); 2].map(|()| rooms.clone().try_acquire_owned().unwrap());
            // Every second delivery is the one before again.
            jobs.try_send(Job { delivery: delivery(1 + number / 2), done, room }).ok().unwrap();
        }
        drop(jobs);
        run(Ledger::new(Memory::new()), Pricing::none(), waiting, &metrics);
        for (number, mut answer) in answers.into_iter().enumerate() {
            let taken = answer.try_recv().unwrap().unwrap();
            assert_eq!((taken.accepted, taken.duplicates), if number % 2 == 0 { (1, 0) } else { (0, 1) });
        }
        let text = metrics.text(0).unwrap();
        assert!(text.contains("meshmeter_collector_commits_total{outcome=\"stored\"} 1\n"), "{text}");
        assert_eq!(rooms.available_permits(), 40, "the memory of the bodies is free again");
    }
}

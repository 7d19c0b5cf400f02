//! The writer's thread: gives the batches that wait to [`crate::ingest::writer`], and does what that decides.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use wire::lease;

use super::health::Condition;
use super::log;
use super::metrics::Metrics;
use super::pricing::Fresh;
use crate::ingest::refusal::Refusal;
use crate::ingest::writer::{Action, GONE, Job, LeaseJob, Writer};
use crate::ledger::Taken;
use crate::store::Store;

/// To whom the response to a batch goes.
pub type Waiter = oneshot::Sender<Result<Taken, Refusal>>;

/// To whom the response to a request for leases goes.
pub type Lessee = oneshot::Sender<Result<lease::Response, Refusal>>;

/// What the writer is asked for.
pub enum Work {
    /// To store a batch.
    Store(Job<Waiter>),
    /// To grant leases.
    Lend(LeaseJob<Lessee>),
    /// To try whether it could.
    Probe(oneshot::Sender<bool>),
    /// To see whether the ledger is still where it was, and whether there are new prices.
    Look,
}

/// The writer's thread.
pub struct WriterThread<'a, S> {
    pub writer: Writer<S, Waiter, Lessee>,
    pub prices: Fresh,
    pub condition: &'a Condition,
    pub metrics: &'a Metrics,
}

impl<S: Store> WriterThread<'_, S> {
    /// Writes until the last sender is gone and nothing waits any more, or until the ledger's file has been gone for so
    /// long that only a new start helps.
    pub fn run(mut self, mut waiting: mpsc::Receiver<Work>) -> Result<(), String> {
        loop {
            // Whoever has come during a commit has its turn in the next one.
            while let Ok(work) = waiting.try_recv() {
                self.hear(work);
            }
            if self.writer.is_lost(Instant::now()) {
                return Err("the ledger's file is not the one that was opened; nothing can be stored".to_owned());
            }
            if self.writer.begin() {
                // Where batches always wait there is no room for a look.
                self.reprice();
                let begun = Instant::now();
                let stored = self.writer.commit(begun, now_ns());
                self.metrics.committed(begun.elapsed(), stored);
                self.act();
                continue;
            }
            match waiting.blocking_recv() {
                Some(work) => self.hear(work),
                None => return Ok(()),
            }
        }
    }

    fn hear(&mut self, work: Work) {
        match work {
            Work::Store(job) => self.writer.push(job),
            Work::Lend(job) => self.writer.ask(job),
            Work::Probe(done) => {
                // Who has gone away meanwhile does not want to know.
                let _ = done.send(self.probe());
            }
            Work::Look => {
                self.writer.look(Instant::now());
                self.reprice();
            }
        }
        self.act();
    }

    /// Takes a new price book, if there is one.
    fn reprice(&mut self) {
        if let Some(book) = self.prices.take() {
            self.writer.set_prices(book);
        }
    }

    fn probe(&mut self) -> bool {
        let result = self.writer.probe(Instant::now());
        if let Err(error) = &result {
            log::often("cannot store", || error.to_string());
        }
        result.is_ok()
    }

    fn act(&mut self) {
        while let Some(action) = self.writer.next_action() {
            match action {
                Action::Respond { waiter, credential, commits, result } => {
                    self.metrics.turns.waited(&credential, commits);
                    if let Ok(taken) = &result {
                        self.metrics.taken(taken);
                        say_alarms(&credential, taken);
                    }
                    // Who has gone away meanwhile will send again, and be told that it is a duplicate.
                    let _ = waiter.send(result);
                }
                Action::Lend { waiter, credential, commits, result } => {
                    self.metrics.turns.waited(&credential, commits);
                    // Who has gone away meanwhile asks again, and is told what stands.
                    let _ = waiter.send(result);
                }
                Action::Stored(well) => self.condition.stored(well),
                Action::Failed(error) => {
                    log::often("cannot store, the senders will retry", || error.to_string());
                }
                Action::Gone(problem) => {
                    let seconds = GONE.as_secs();
                    log::error(&format!("{problem}; nothing is acknowledged, and in {seconds} s the process ends"));
                }
                Action::Back => log::info("the ledger's file is where it was again"),
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

pub fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::memory::Memory;
    use crate::ingest::rate::Admitted;
    use crate::ingest::request::{Head, Request};
    use crate::ingest::room::{Bounds, Room};
    use crate::ledger::{Ledger, Sender};
    use crate::serve::metrics::{Now, Tenants};

    #[test]
    fn contract_the_thread_responds_to_all_that_wait_and_counts_one_commit() {
        let metrics = Metrics::new();
        let room = Room::new(Bounds { bytes: 40, events: 40, batches: 40 });
        let (jobs, waiting) = mpsc::channel(40);
        let mut responses = Vec::new();
        for _ in 0..20 {
            let (waiter, response) = oneshot::channel();
            responses.push(response);
            let head = Head { content_type: Some(b"application/cloudevents+json"), ..Head::default() };
            let admitted = Admitted { sender: Sender::new("default", false), bucket: None };
            let request = Request::begin(&head, admitted, false, &room, Instant::now()).unwrap();
            let batch = request.finish(b"unreadable", Instant::now()).unwrap();
            jobs.try_send(Work::Store(Job { batch, waiter })).ok().unwrap();
        }
        let (done, mut probed) = oneshot::channel();
        jobs.try_send(Work::Probe(done)).ok().unwrap();
        drop(jobs);
        let condition = Condition::new();
        let (writer, prices) = (Writer::new(Ledger::new(Memory::new())), Fresh::default());
        WriterThread { writer, prices, condition: &condition, metrics: &metrics }.run(waiting).unwrap();
        for mut response in responses {
            assert_eq!(response.try_recv().unwrap().unwrap().dead_letters, 1);
        }
        assert!(probed.try_recv().unwrap());
        let text = metrics.text(&Now::default(), Tenants::Unnamed).unwrap();
        assert!(text.contains("meshmeter_collector_commits_total{outcome=\"stored\"} 1\n"), "{text}");
        assert!(text.contains("meshmeter_collector_batches_total 20\n"), "{text}");
    }
}

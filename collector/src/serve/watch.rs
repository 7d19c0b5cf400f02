//! What is looked at every second beside the requests: files that may have changed, the disk, the ledger's file, and what
//! the log has held back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::WeakSender;

use super::health::{Condition, Disk};
use super::tls::Tls;
use super::writer::Work;
use super::{auth, log, tls};

/// How often.
const INTERVAL: Duration = Duration::from_secs(1);

/// What is looked at.
pub struct Watch {
    pub tokens: (auth::Reread, Arc<auth::Tokens>),
    pub tls: Option<(tls::Reread, Arc<Tls>)>,
    pub disk: Option<Disk>,
    pub condition: Arc<Condition>,
    pub jobs: WeakSender<Work>,
}

impl Watch {
    /// Looks until the process ends: a thread of its own, for a disk can be slow to respond.
    pub fn start(mut self) -> Result<(), String> {
        let thread = std::thread::Builder::new().name("watch".to_owned());
        let started = thread.spawn(move || {
            loop {
                self.look();
                std::thread::sleep(INTERVAL);
            }
        });
        started.map(drop).map_err(|error| format!("no thread to watch files: {error}"))
    }

    fn look(&mut self) {
        if let Some(disk) = &self.disk {
            disk.look(&self.condition);
        }
        let (reread, tokens) = &mut self.tokens;
        reread.look(tokens);
        if let Some((reread, tls)) = &mut self.tls {
            reread.look(tls);
        }
        if let Some(jobs) = self.jobs.upgrade() {
            // A writer that has something to do looks at the file with each transaction.
            if jobs.capacity() == jobs.max_capacity() {
                let _ = jobs.try_send(Work::Look);
            }
        }
        log::tick();
    }
}

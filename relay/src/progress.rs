//! How far a relay is, for whoever watches it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of a running relay.
#[derive(Debug, Default)]
pub struct Progress {
    sent: AtomicU64,
    behind: AtomicU64,
    sessions: AtomicU64,
}

impl Progress {
    /// Entries that this process has sent, in transactions that were committed.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Entries of the ledger that were not sent when it was last looked at.
    pub fn behind(&self) -> u64 {
        self.behind.load(Ordering::Relaxed)
    }

    /// Sessions with Kafka that were opened: more than one means that one was given up after a failure.
    pub fn sessions(&self) -> u64 {
        self.sessions.load(Ordering::Relaxed)
    }

    pub(crate) fn opened(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn looked(&self, behind: u64) {
        self.behind.store(behind, Ordering::Relaxed);
    }

    pub(crate) fn committed(&self, entries: usize) {
        let entries = u64::try_from(entries).unwrap_or(u64::MAX);
        self.sent.fetch_add(entries, Ordering::Relaxed);
        self.behind.store(self.behind().saturating_sub(entries), Ordering::Relaxed);
    }
}

//! What is kept for a time only goes.

use super::Ledger;
use super::decide::Decision;
use crate::store::pruning::PruneChanges;
use crate::store::{Changes, Keys, Store, StoreError};

impl<S: Store> Ledger<S> {
    /// Lets go what is not needed any more, all of it or nothing. Nobody else writes meanwhile: what a transaction has loaded is
    /// there until it is over.
    pub fn prune(&mut self, prune: &PruneChanges, now_ns: i64) -> Result<(), StoreError> {
        self.transact(Keys { now_ns, closes: true, ..Keys::default() }, &mut |known| {
            let decision = Decision::new(known, None, now_ns);
            Changes { prune: prune.clone(), ..decision.changes() }
        })
    }
}

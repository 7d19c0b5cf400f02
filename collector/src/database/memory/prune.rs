//! What is kept for a time only, in memory.

use super::Memory;
use crate::store::pruning::{Held, Page, PruneChanges};
use crate::store::responses::{PossibleKey, ResponseKey};

impl Memory {
    /// What a transaction lets go.
    pub(super) fn prune(&mut self, changes: PruneChanges) {
        let PruneChanges { quarantined, possible, responses } = changes;
        self.pruned.extend(quarantined.iter().filter(|digest| self.released.contains_key(*digest)));
        self.quarantined.retain(|event| !self.pruned.contains(&event.digest()));
        for (key, noted) in possible {
            if self.possible.get(&key) == Some(&noted) {
                self.possible.remove(&key);
            }
        }
        for key in responses {
            if !self.has_pair(key) {
                self.responses.remove(&key);
            }
        }
    }

    fn has_pair(&self, key: ResponseKey) -> bool {
        let first = PossibleKey { day: key.day, response: key.response, slot: i64::MIN };
        let next = self.possible.range(first..).next();
        next.is_some_and(|(noted, _)| (noted.day, noted.response) == (key.day, key.response))
    }

    pub(super) fn held(&self, page: Page) -> Vec<Held> {
        let is_meant = |key: &&ResponseKey| **key > page.behind && key.day <= page.until_day;
        let mut keys: Vec<ResponseKey> = self.responses.keys().filter(is_meant).copied().collect();
        keys.sort_unstable();
        keys.truncate(page.most);
        keys.into_iter().map(|key| Held { key, has_pair: self.has_pair(key) }).collect()
    }
}

//! Names that are replaced, in memory.

use super::Memory;
use crate::store::forgetting::{Ended, ForgetChanges, Replaced};
use crate::store::sums::Sum;
use crate::tenant::is_within;

impl Memory {
    /// What a transaction does about names.
    pub(super) fn forget(&mut self, changes: ForgetChanges) {
        let ForgetChanges { begun, replaced, quarantined, ended } = changes;
        self.forgetting.extend(begun);
        for Replaced { entry, tenant, event, names, .. } in replaced {
            if let Some(kept) = self.entries.iter_mut().find(|kept| kept.id == entry) {
                (kept.tenant, kept.event, kept.names) = (tenant, event, names);
            }
        }
        for changed in quarantined {
            for event in self.quarantined.iter_mut().filter(|event| event.digest() == changed.before) {
                event.bytes = changed.bytes.clone();
            }
            let released = self.released.remove(&changed.before);
            self.released.extend(released.map(|entry| (changed.after, entry)));
        }
        let Some(Ended { digest, tenant }) = ended else { return };
        self.forgetting.retain(|pending| pending.digest != digest);
        let Some(tenant) = tenant else { return };
        let is_nothing = |sum: &Sum| *sum == Sum::default();
        self.sums.retain(|group, sums| !is_within(&group.tenant, &tenant) || !sums.values().all(is_nothing));
        self.budgets.forget(&tenant);
    }
}

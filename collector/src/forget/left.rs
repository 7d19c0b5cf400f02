//! Where a name may be besides, and stays: in texts that are for nobody to replace.

use crate::ledger::forget::Target;
use crate::store::emitters::Emitter;
use crate::store::entry::Entry;

/// How many of each have the name in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    reasons: u64,
    events: u64,
    quarantined: u64,
    emitters: u64,
}

impl Left {
    /// An entry, as it is to be.
    pub(super) fn entry(&mut self, entry: &Entry, target: &Target) {
        count(&mut self.reasons, entry.reason.as_deref().is_some_and(|reason| reason.contains(target.name())));
        count(&mut self.events, entry.event.as_deref().is_some_and(|event| event.contains(target.name())));
    }

    /// An event that is quarantined, as it is to be.
    pub(super) fn quarantined(&mut self, bytes: &[u8], target: &Target) {
        let name = target.name().as_bytes();
        count(&mut self.quarantined, bytes.windows(name.len().max(1)).any(|part| part == name));
    }

    /// An emitter.
    pub(super) fn emitter(&mut self, emitter: &Emitter, target: &Target) {
        let texts = [&emitter.credential, &emitter.node];
        count(&mut self.emitters, texts.iter().any(|text| text.contains(target.name())));
    }

    /// For a person: a line for each kind that there is.
    pub fn lines(&self) -> Vec<String> {
        let all = [
            (self.reasons, "entries whose reason has the name: what a person typed is not replaced"),
            (self.events, "entries whose event has the name in another field: that is not replaced"),
            (self.quarantined, "events in quarantine that have the name where it is not known as one"),
            (self.emitters, "emitters whose credential or node is named so"),
        ];
        all.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
    }
}

fn count(all: &mut u64, is_one: bool) {
    *all = all.saturating_add(u64::from(is_one));
}

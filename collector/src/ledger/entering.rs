//! An event on its way into the ledger: what it alone tells.

use wire::emitter::is_emitter;
use wire::event::Event;

use crate::prices::Rating;
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::sums::Group;

/// An event that is to be entered, checked as far as it alone can tell.
pub(super) struct Entering<'e> {
    pub event: &'e Event,
    pub text: &'e str,
    pub sequence: i64,
    pub started_ns: i64,
    pub group: Group,
}

/// How an event is entered.
pub(super) struct Terms<'t> {
    /// Under which number.
    pub emitter: &'t str,
    pub sequence: i64,
    /// What it is, if it is no copy.
    pub kind: Kind,
    /// Why, if a person wants it.
    pub reason: Option<&'t str>,
}

impl Entering<'_> {
    /// Its entry: a copy, which costs nothing, if it refers to another.
    pub fn entry(
        &self,
        id: EntryId,
        received_ns: i64,
        terms: &Terms<'_>,
        copy_of: Option<EntryId>,
        rating: Option<Rating>,
    ) -> Entry {
        Entry {
            id,
            kind: if copy_of.is_some() { Kind::Copy } else { terms.kind },
            emitter: terms.emitter.to_owned(),
            sequence: terms.sequence,
            refers: copy_of,
            started_ns: self.started_ns,
            received_ns,
            tenant: self.group.tenant.clone(),
            provider: self.group.provider.clone(),
            model: self.group.model.clone(),
            evidence: self.group.evidence(),
            charge: rating.as_ref().map(Rating::charge).unwrap_or_default(),
            cost: rating.as_ref().map(Rating::cost).unwrap_or_default(),
            rating: rating.map(|rating| rating.to_json()),
            reason: terms.reason.map(str::to_owned),
            event: Some(self.text.to_owned()),
            billed: None,
            hash: Default::default(),
            names: Default::default(),
        }
    }
}

/// An event as it is to be entered, or why it cannot be.
pub(super) fn entering<'e>(event: &'e Event, bytes: &'e [u8]) -> Result<Entering<'e>, String> {
    let dead = |reason: &str| reason.to_owned();
    let sequence = i64::try_from(event.sequence).map_err(|_| dead("data.sequence: does not fit in 64 bits"))?;
    let late = || dead("time: must be before the year 2262");
    let started_ns = i64::try_from(event.record.started_ns).map_err(|_| late())?;
    let group = Group::of(&event.record).ok_or_else(late)?;
    let text = std::str::from_utf8(bytes).map_err(|_| dead("not readable as UTF-8"))?;
    Ok(Entering { event, text, sequence, started_ns, group })
}

/// The number of an event that cannot be taken, so that its hole has a name. Anything may stand there.
pub fn number(bytes: &[u8]) -> Option<(String, i64)> {
    #[derive(serde::Deserialize)]
    struct Id {
        id: String,
    }
    let Id { id } = serde_json::from_slice(bytes).ok()?;
    let (emitter, sequence) = id.split_once('-')?;
    let sequence = sequence.parse().ok().filter(|sequence| (1..1 << 53).contains(sequence))?;
    is_emitter(emitter).then(|| (emitter.to_owned(), sequence))
}

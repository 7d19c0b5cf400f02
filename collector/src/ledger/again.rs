//! A call that nobody is charged for any more, charged again: once, whoever asks how often, and whichever of its records is named.
//!
//! What took the charge back is a reversal with nothing instead. The new charge refers to that reversal, and the database lets
//! one correction refer to an entry. All records of a call, the one that was charged and its copies, lead to the same reversal.

use super::Ledger;
use super::correct::{self, Instead};
use super::decide::Decision;
use super::share::Share;
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::sealing;
use crate::store::sums::Group;
use crate::store::{Keys, Reader, Store, StoreError};

/// Why a record is taken back when another takes its place.
pub const SAW_MORE: &str = "another meter saw more of this call";

/// What there is of the charge of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Now {
    /// This entry is charged.
    Stands(Entry),
    /// Nobody is charged.
    Void(Void),
}

/// A charge that was taken back, with nothing instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Void {
    /// What was charged last.
    pub last: Entry,
    /// What took it back.
    pub reversal: EntryId,
}

/// A charge of a call that nobody is charged for.
#[derive(Clone, Debug)]
pub struct Again {
    /// The record that is to be charged, with its event.
    pub record: Entry,
    /// What took the last charge back.
    pub reversal: EntryId,
    /// Who is charged, and what for.
    pub instead: Instead,
    /// Why.
    pub reason: String,
}

/// What is charged now for the call of an entry.
pub fn now(reader: &dyn Reader, entry: Entry) -> Result<Now, StoreError> {
    follow(reader, entry, &mut |_| ())
}

/// What is charged now for the call of an entry, and on the way to it every entry that was charged for the call, each with the
/// reversal behind it.
pub fn follow(reader: &dyn Reader, entry: Entry, passed: &mut dyn FnMut(&Entry)) -> Result<Now, StoreError> {
    let mut entry = match entry.refers.filter(|_| entry.kind == Kind::Copy) {
        Some(holder) => {
            passed(&entry);
            found(reader, holder)?
        }
        None => entry,
    };
    loop {
        passed(&entry);
        let Some(reversal) = reader.reversal_of(entry.id)? else { return Ok(Now::Stands(entry)) };
        let taken_back = found(reader, reversal)?;
        passed(&taken_back);
        let corrected = match reader.correction_of(entry.id)? {
            None => reader.correction_of(reversal)?,
            corrected => corrected,
        };
        entry = match corrected {
            Some(correction) => found(reader, correction)?,
            None => match instead(reader, &taken_back, &entry)? {
                Some(other) => other,
                None => return Ok(Now::Void(Void { last: entry, reversal })),
            },
        };
    }
}

/// The other meter's record that an entry was taken back for: it stands right before the reversal.
fn instead(reader: &dyn Reader, reversal: &Entry, entry: &Entry) -> Result<Option<Entry>, StoreError> {
    let before = EntryId { number: reversal.id.number.saturating_sub(1), ..reversal.id };
    let is_other = |other: &Entry| other.kind.is_record() && other.kind.is_charged() && other.emitter != entry.emitter;
    Ok(if reversal.reason.as_deref() == Some(SAW_MORE) { reader.entry(before)?.filter(is_other) } else { None })
}

fn found(reader: &dyn Reader, id: EntryId) -> Result<Entry, StoreError> {
    reader.entry(id)?.ok_or_else(|| StoreError::Unusable(format!("entry {id}: is missing")))
}

impl<S: Store> Ledger<S> {
    /// Charges a call again; the error says why not, and nothing has changed then.
    pub fn charge_again(&mut self, again: &Again, now_ns: i64) -> Result<Result<EntryId, String>, StoreError> {
        let mut keys = Keys { now_ns, corrected: [again.reversal].into(), ..Keys::default() };
        keys.reversals.insert(again.record.id);
        let began = Group::began(&again.record);
        keys.groups.extend(began.map(|group| Group { tenant: again.instead.tenant.clone(), ..group }));
        let mut outcome = Err(String::new());
        self.transact(keys, &mut |known| {
            let mut decision = Decision::new(known, None, now_ns);
            outcome = decision.charge_again(again);
            decision.changes()
        })?;
        Ok(outcome)
    }
}

impl Decision<'_> {
    fn charge_again(&mut self, again: &Again) -> Result<EntryId, String> {
        let Again { record, reversal, instead, reason } = again;
        if self.known.corrected.contains(reversal) {
            return Err("it was charged again before".to_owned());
        }
        if !self.is_here(record.id) {
            return Err(sealing::refusal(record));
        }
        let began = Group::began(record).ok_or("it began after the year 2262")?;
        let group = self.group(&Group { tenant: instead.tenant.clone(), ..began });
        let event = correct::event_of(record)?;
        self.add(&group, &Share::of(&event.record, &instead.rating))?;
        self.count(&event.record, &instead.tenant, instead.rating.charge(), None);
        let id = self.next_id();
        self.enter(Entry {
            kind: Kind::Correction,
            refers: Some(*reversal),
            received_ns: self.now_ns(),
            tenant: instead.tenant.clone(),
            charge: instead.rating.charge(),
            cost: instead.rating.cost(),
            rating: Some(instead.rating.to_json()),
            reason: Some(reason.clone()),
            event: None,
            billed: self.billed(record.started_ns),
            ..record.clone()
        });
        Ok(id)
    }
}

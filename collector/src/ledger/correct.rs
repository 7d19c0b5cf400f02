//! Corrections: what was wrong is taken back by a reversal, and stands anew behind it. Nothing is changed.

use wire::event::Event;

use super::Ledger;
use super::decide::Decision;
use super::share::Share;
use crate::money::Charge;
use crate::prices::{PriceBook, Rating, RatingInput};
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::sealing;
use crate::store::sums::Group;
use crate::store::{Keys, Store, StoreError, WrittenEntry};

/// An entry that is to be corrected.
#[derive(Clone, Debug)]
pub struct Correction {
    /// The entry as it stands, with the event of its call.
    pub entry: Entry,
    /// What shall stand instead; nothing: the call is not charged.
    pub instead: Option<Instead>,
    /// Why.
    pub reason: String,
}

/// What stands instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instead {
    /// Who is charged.
    pub tenant: String,
    /// What for.
    pub rating: Rating,
}

impl Correction {
    /// What a price book makes of a standing entry: `None` if that is what stands there.
    pub fn by(book: &PriceBook, entry: Entry, reason: &str) -> Result<Option<Correction>, String> {
        let rating = Correction::rated(book, &entry, &entry.tenant)?;
        let standing = entry.rating.as_deref().map(Rating::from_json).transpose()?;
        if standing.is_some_and(|standing| standing.charges_as(&rating)) {
            return Ok(None);
        }
        let instead = Some(Instead { tenant: entry.tenant.clone(), rating });
        Ok(Some(Correction { entry, instead, reason: reason.to_owned() }))
    }

    /// What a price book makes of an entry with the event of its call, if a tenant is charged for it.
    pub fn rated(book: &PriceBook, entry: &Entry, tenant: &str) -> Result<Rating, String> {
        let event = event_of(entry)?;
        Ok(book.rate(&RatingInput::of(&event.record, tenant).ok_or("it began after the year 2262")?))
    }

    /// The new charge less the old one.
    pub fn difference(&self) -> Charge {
        let new = self.instead.as_ref().map(|instead| instead.rating.charge()).unwrap_or_default();
        new.checked_sub(self.entry.charge).unwrap_or_default()
    }
}

/// The call of an entry, as it was sent.
pub fn event_of(entry: &Entry) -> Result<Event, String> {
    let text = entry.event.as_deref().ok_or_else(|| format!("entry {}: its call has no event", entry.id))?;
    wire::event::decode(text.as_bytes()).map_err(|invalid| format!("entry {}: {invalid}", entry.id))
}

/// How an entry was rated; one that has no rating is charged nothing.
pub fn rating_of(entry: &Entry) -> Result<Rating, String> {
    Ok(entry.rating.as_deref().map(Rating::from_json).transpose()?.unwrap_or_default())
}

/// An entry with the call that it is about, read.
#[derive(Clone, Debug)]
pub struct Called {
    /// The entry.
    pub entry: Entry,
    /// The call, as it was sent.
    pub event: Event,
    /// How it was rated.
    pub rating: Rating,
}

impl Called {
    /// Reads what an entry has as texts.
    pub fn of(entry: Entry) -> Result<Called, String> {
        let (event, rating) = (event_of(&entry)?, rating_of(&entry)?);
        Ok(Called { entry, event, rating })
    }

    /// What it counts.
    pub fn share(&self) -> Share {
        Share::of(&self.event.record, &self.rating)
    }
}

/// What an entry counts.
pub fn share_of(entry: &Entry) -> Result<Share, String> {
    Ok(Share::of(&event_of(entry)?.record, &rating_of(entry)?))
}

/// What an entry adds to the sums, if anything.
pub fn share_of_written(written: &WrittenEntry) -> Result<Option<Share>, String> {
    let WrittenEntry { entry, call, taken_back } = written;
    let of = |event: &Option<String>, rating: &Option<String>| {
        let of = Entry { event: event.clone(), rating: rating.clone(), ..bare(entry) };
        Ok::<_, String>(Share::of(&event_of(&of)?.record, &rating_of(&of)?))
    };
    match entry.kind {
        Kind::Call | Kind::Release => of(&entry.event, &entry.rating).map(Some),
        Kind::Correction => of(call, &entry.rating).map(Some),
        Kind::Reversal => {
            let rating = if entry.rating.is_some() { &entry.rating } else { taken_back };
            of(call, rating).map(|share| Some(share.reversed()))
        }
        _ => Ok(None),
    }
}

/// An entry without its texts.
fn bare(entry: &Entry) -> Entry {
    Entry { id: entry.id, ..Entry::about_no_call(entry.kind, "", 0, 0, "") }
}

impl<S: Store> Ledger<S> {
    /// Makes corrections in one transaction; returns how many. One whose entry was taken back meanwhile is left.
    pub fn correct(&mut self, corrections: &[Correction], now_ns: i64) -> Result<u64, StoreError> {
        let mut keys = Keys { now_ns, ..Keys::default() };
        for correction in corrections {
            keys.reversals.insert(correction.entry.id);
            let group = Group::began(&correction.entry);
            if let (Some(group), Some(instead)) = (&group, &correction.instead) {
                keys.groups.insert(Group { tenant: instead.tenant.clone(), ..group.clone() });
            }
            keys.groups.extend(group);
        }
        let mut done = 0;
        let mut problem = None;
        self.transact(keys, &mut |known| {
            let mut decision = Decision::new(known, None, now_ns);
            (done, problem) = (0_u64, None);
            for correction in corrections {
                let corrected = match decision.is_here(correction.entry.id) {
                    true => decision.correct(correction),
                    false => Err(sealing::refusal(&correction.entry)),
                };
                match corrected {
                    Ok(corrected) => done = done.saturating_add(u64::from(corrected)),
                    Err(why) => problem = Some(why),
                }
            }
            decision.changes()
        })?;
        match problem {
            None => Ok(done),
            Some(problem) => Err(StoreError::Unusable(format!("{done} corrected, not all: {problem}"))),
        }
    }
}

impl Decision<'_> {
    /// Whether the database has one of [`Keys::reversals`] itself: nobody takes back what is in an archive alone.
    pub(super) fn is_here(&self, id: EntryId) -> bool {
        self.known.tenants.contains_key(&id)
    }

    /// Reversal and correction; false if the entry was taken back before.
    pub(super) fn correct(&mut self, correction: &Correction) -> Result<bool, String> {
        let Correction { entry, instead, reason } = correction;
        // A name that was replaced since it was read must not come back, nor its sums.
        if self.known.tenants.get(&entry.id).is_some_and(|tenant| *tenant != entry.tenant) {
            return Err(format!("entry {}: its tenant's name was replaced meanwhile; ask again", entry.id));
        }
        if !self.take_back(entry.id) {
            return Ok(false);
        }
        // Not where the entry counts: if that month was closed since, it stays as it is.
        let group = self.group(&Group::began(entry).ok_or("it began after the year 2262")?);
        let event = event_of(entry)?;
        self.add(&group, &share_of(entry)?.reversed())?;
        self.count_back(&event.record, &entry.tenant, entry.charge);
        let base = Entry {
            refers: Some(entry.id),
            received_ns: self.now_ns(),
            reason: Some(reason.clone()),
            event: None,
            rating: None,
            billed: self.billed(entry.started_ns),
            ..entry.clone()
        };
        let [charge, cost] = [entry.charge, entry.cost].map(|amount| amount.checked_neg().unwrap_or_default());
        self.enter(Entry { kind: Kind::Reversal, charge, cost, ..base.clone() });
        if let Some(Instead { tenant, rating }) = instead {
            self.add(&Group { tenant: tenant.clone(), ..group }, &Share::of(&event.record, rating))?;
            self.count(&event.record, tenant, rating.charge(), None);
            self.enter(Entry {
                kind: Kind::Correction,
                tenant: tenant.clone(),
                charge: rating.charge(),
                cost: rating.cost(),
                rating: Some(rating.to_json()),
                ..base
            });
        }
        Ok(true)
    }
}

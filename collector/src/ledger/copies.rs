//! Which records are of one call, and which may be: decided within a transaction.

use wire::event::Event;

use super::correct::event_of;
use super::decide::Decision;
use super::owed;
use crate::store::entry::EntryId;
use crate::store::responses::{Holder, Place, PossibleCopy, PossibleKey, ResponseKey, SLOTS, days};

impl Decision<'_> {
    fn place(&self, key: &ResponseKey) -> Option<&Place> {
        self.responses.get(key).or_else(|| self.known.responses.get(key))
    }

    /// Whose call `new` is a record of, if that is proven.
    pub(super) fn same_call(&self, places: &[ResponseKey], new: &Holder, event: &Event) -> Option<Holder> {
        let holders = places.iter().filter_map(|key| self.place(key)).map(|place| &place.holder);
        let mut proven = holders.filter(|holder| holder.is_same_call(new));
        proven.find(|holder| self.owes_as(holder.entry, event)).cloned()
    }

    /// Whether an event owes what an entry does. Of an entry that nobody is charged for any more, or that is in an archive
    /// alone, that cannot be said, and no sender brings it there.
    fn owes_as(&self, entry: EntryId, event: &Event) -> bool {
        let standing = self.standing(entry).and_then(|entry| event_of(&entry).ok());
        standing.is_none_or(|standing| owed::is_same(self.prices, &standing.record, &event.record))
    }

    /// `new` is another record of a call: whoever comes next must have passed another proxy again.
    pub(super) fn join(&mut self, places: &[ResponseKey], first: &Holder, new: &Holder, is_charged: bool) {
        let joined = first.joined(new, is_charged);
        for key in places {
            let Some(mut place) = self.place(key).cloned() else { continue };
            let held = std::iter::once(&mut place.holder).chain(&mut place.latest);
            let mut changed = false;
            for holder in held.filter(|holder| holder.entry == first.entry) {
                *holder = joined.clone();
                changed = true;
            }
            if changed {
                self.responses.insert(*key, place);
            }
        }
    }

    /// `new` is charged as a call of its own. It can be found again, and if it may be a copy all the same, that is noted: of
    /// the first or the last record under its response id, so that a server that repeats its ids costs no more than another.
    pub(super) fn hold(&mut self, places: &[ResponseKey], new: &Holder) {
        let of_response = places.iter().filter(|key| key.proof == 0);
        let held: Vec<(ResponseKey, Place)> =
            of_response.filter_map(|key| Some((*key, self.place(key)?.clone()))).collect();
        let mut noted = None;
        for (key, place) in &held {
            let like = [&place.holder, place.latest()].into_iter().find(|like| like.is_possible_copy(new));
            if let Some(like) = like.filter(|_| noted.is_none()) {
                self.note(key.response, place, like.entry, new.entry);
                noted = Some(place.holder.entry);
            }
        }
        let is_own_free = places.first().is_some_and(|own| self.place(own).is_none());
        for (key, mut place) in held {
            if noted == Some(place.holder.entry) {
                place.possible = place.possible.saturating_add(1);
            }
            place.latest = Some(new.clone());
            self.responses.insert(key, place);
        }
        let Some(own) = places.first() else { return };
        if is_own_free {
            self.responses.insert(*own, Place::of(new.clone()));
        } else if let Some(proof) = new.request.or(new.trace) {
            self.responses.insert(ResponseKey { proof, ..*own }, Place::of(new.clone()));
        }
    }

    fn note(&mut self, response: i64, place: &Place, first: EntryId, second: EntryId) {
        let day = days(place.holder.started_ns).first().copied().unwrap_or_default();
        let slot = place.possible.min(SLOTS.saturating_sub(1));
        let pair = PossibleCopy { first, second, records: 0, noted_ns: self.now_ns() };
        let noted = self.possible.entry(PossibleKey { day, response, slot }).or_insert(pair);
        *noted = PossibleCopy { records: noted.records.saturating_add(1), ..pair };
    }
}

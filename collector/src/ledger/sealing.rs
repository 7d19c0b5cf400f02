//! Months are sealed, and brought back: what of that is in the ledger's own words.

use super::Ledger;
use super::decide::Decision;
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::months::Month;
use crate::store::sealing::{Piece, Said, SealChanges, Sealed, State};
use crate::store::{Head, Keys, Store, StoreError};

/// Why nothing is sealed or brought back now.
pub const FORGETTING: &str = "a name is being replaced: run meshmeter forget to its end first";
const CHANGED: &str = "somebody else has sealed, brought back or replaced a name meanwhile: run it again";

impl<S: Store> Ledger<S> {
    /// Says how far chains are sealed: up to where the archive was found to have them (`Sealed`), or still, when what is behind
    /// these ends was brought back (`Unsealed`). `was`: how it was found when that was begun; the error says what has changed
    /// since, and then nothing is sealed.
    pub fn say(
        &mut self,
        kind: Kind,
        was: &State,
        said: &Said,
        reason: &str,
        now_ns: i64,
    ) -> Result<Result<EntryId, String>, StoreError> {
        let ends = said.ends().ok_or_else(|| StoreError::Unusable("a hash is none".to_owned()))?;
        let pin = said.pin().ok_or_else(|| StoreError::Unusable("the digest of an archive is none".to_owned()))?;
        let before = said.before().filter(|_| !ends.is_empty());
        let mut outcome = Err(String::new());
        self.transact(Keys { now_ns, closes: true, ..Keys::default() }, &mut |known| {
            outcome = changed(&known.seal, was).map_or(Ok(EntryId::default()), Err);
            let (head, written_ns) = (known.head, known.written_ns);
            let mut decision = Decision::new(known, None, now_ns);
            if outcome.is_err() {
                return crate::store::Changes { head, written_ns, ..Default::default() };
            }
            let id = decision.next_id();
            let entry = Entry::about_no_call(kind, "", 0, now_ns, reason);
            decision.enter(Entry { event: Some(said.to_json()), ..entry });
            let sealed = |(before, end): (Month, &Head)| Sealed {
                end: *end,
                before,
                said: id,
                place: said.place.clone(),
                endpoint: said.endpoint.clone(),
                at_ns: now_ns,
                behind: None,
                pin,
            };
            decision.seal.sealed =
                Some(before.iter().flat_map(|before| ends.iter().map(move |end| (*before, end))).map(sealed).collect());
            outcome = Ok(id);
            decision.changes()
        })?;
        Ok(outcome)
    }

    /// Notes that entries are on their way back, or are not any more: from then on none of them goes, or it may again.
    pub fn turn(&mut self, was: &State, sealed: Vec<Sealed>, now_ns: i64) -> Result<Result<(), String>, StoreError> {
        let mut outcome = Ok(());
        self.change(now_ns, &mut |known| {
            outcome = changed(known, was).map_or(Ok(()), Err);
            SealChanges { sealed: outcome.is_ok().then(|| sealed.clone()), ..SealChanges::default() }
        })?;
        Ok(outcome)
    }

    /// Takes entries out of the database that are sealed, but for those that it needs itself. The error says why none may go now.
    pub fn take_out(&mut self, piece: Piece, now_ns: i64) -> Result<Result<(), String>, StoreError> {
        let mut outcome = Ok(());
        self.change(now_ns, &mut |known| {
            let until = EntryId { writer: piece.writer, number: piece.until };
            let is_sealed = known.sealed.iter().any(|sealed| sealed.covers(until) && sealed.behind.is_none());
            outcome = match is_sealed {
                _ if known.forgetting > 0 => Err(FORGETTING.to_owned()),
                false => Err(CHANGED.to_owned()),
                true => Ok(()),
            };
            SealChanges { moved: outcome.is_ok().then_some(piece), ..SealChanges::default() }
        })?;
        Ok(outcome)
    }

    /// Brings entries back, as they were written.
    pub fn put_back(&mut self, entries: &[Entry], now_ns: i64) -> Result<(), StoreError> {
        self.change(now_ns, &mut |_| SealChanges { returned: entries.to_vec(), ..SealChanges::default() })
    }

    fn change(&mut self, now_ns: i64, by: &mut dyn FnMut(&State) -> SealChanges) -> Result<(), StoreError> {
        self.transact(Keys { now_ns, closes: true, ..Keys::default() }, &mut |known| {
            let seal = by(&known.seal);
            let mut decision = Decision::new(known, None, now_ns);
            decision.seal = seal;
            decision.changes()
        })
    }
}

/// What is not as it was.
fn changed(is: &State, was: &State) -> Option<String> {
    if is.forgetting > 0 {
        return Some(FORGETTING.to_owned());
    }
    (is != was).then(|| CHANGED.to_owned())
}

//! What a person closes: a month, whose report never changes from then on; an emitter, of which nothing more will come.

use super::Ledger;
use super::decide::Decision;
use crate::store::emitters::Ended;
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::months::{Closed, Closing, Month};
use crate::store::ranges::Range;
use crate::store::{Keys, Store, StoreError};

/// Why a month cannot be closed, whatever is open.
pub fn refusal(month: Month, closed: &Closed, now_ns: i64) -> Option<String> {
    if Month::of(now_ns).is_none_or(|now| now <= month) {
        return Some(format!("{month} is not over: only a month before this one can be closed"));
    }
    closed.contains(month).then(|| format!("{month} was closed before"))
}

impl<S: Store> Ledger<S> {
    /// Closes a month, for ever. The error says why not, and nothing has changed then.
    pub fn close_month(
        &mut self,
        month: Month,
        reason: &str,
        now_ns: i64,
    ) -> Result<Result<EntryId, String>, StoreError> {
        let keys = Keys { now_ns, closes: true, ..Keys::default() };
        self.close(keys, |decision| decision.close_month(month, reason))
    }

    /// Closes an emitter: what is missing of it will not come, and it has ended. If it comes all the same, it is charged.
    pub fn close_emitter(
        &mut self,
        emitter: &str,
        reason: &str,
        now_ns: i64,
    ) -> Result<Result<EntryId, String>, StoreError> {
        let mut keys = Keys { now_ns, ..Keys::default() };
        keys.emitters.entry(emitter.to_owned()).or_default();
        self.close(keys, |decision| decision.close_emitter(emitter, reason))
    }

    fn close(
        &mut self,
        keys: Keys,
        by: impl Fn(&mut Decision<'_>) -> Result<EntryId, String>,
    ) -> Result<Result<EntryId, String>, StoreError> {
        let mut outcome = Err(String::new());
        let now_ns = keys.now_ns;
        self.transact(keys, &mut |known| {
            let mut decision = Decision::new(known, None, now_ns);
            outcome = by(&mut decision);
            decision.changes()
        })?;
        Ok(outcome)
    }
}

impl Decision<'_> {
    fn close_month(&mut self, month: Month, reason: &str) -> Result<EntryId, String> {
        if let Some(why) = refusal(month, &self.known.closed, self.now_ns()) {
            return Err(why);
        }
        let closing = Closing::of(month, self.known.heads.iter().copied());
        let entry = Entry::about_no_call(Kind::MonthClosed, "", 0, self.now_ns(), reason);
        let id = self.next_id();
        self.enter(Entry { started_ns: month.begins_ns(), event: Some(closing.to_json()), ..entry });
        self.known.closed.insert(month);
        Ok(id)
    }

    fn close_emitter(&mut self, name: &str, reason: &str) -> Result<EntryId, String> {
        let Some(known) = self.known_emitter(name) else {
            return Err("nothing was ever heard of this emitter".to_owned());
        };
        let head = known.head.max(known.last);
        let (emitter, mut notes) = self.emitter_of_others(name);
        if emitter.ended == Some(Ended::Person) {
            return Err("it was closed before".to_owned());
        }
        emitter.ended = Some(Ended::Person);
        emitter.head = head;
        if head > 0 {
            notes.closed(Range { first: 1, last: head });
        }
        let id = self.next_id();
        self.enter(Entry::about_no_call(Kind::EmitterClosed, name, head, self.now_ns(), reason));
        Ok(id)
    }
}

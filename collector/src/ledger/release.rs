//! Releases: a person lets an event be charged that was quarantined.

use wire::event::Event;

use super::correct::Correction;
use super::decide::Decision;
use super::entering::{self, Entering, Terms};
use super::share::Share;
use super::{Arrival, Ledger, ask_about};
use crate::money::Charge;
use crate::store::emitters::{Ended, What};
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::ranges::Range;
use crate::store::{Keys, QuarantinedEvent, Store, StoreError};

/// Why nothing is done to an event.
const RELEASED: &str = "it was released before";

/// What a release made of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// Its entry.
    pub entry: EntryId,
    /// Under which number it stands there.
    pub number: (String, i64),
    /// What it costs.
    pub charge: Charge,
    /// Whether there is more to it that has no price.
    pub unpriced: bool,
    /// The entry that is charged for its call already: then it is a copy, and costs nothing.
    pub copy_of: Option<EntryId>,
}

impl<S: Store> Ledger<S> {
    /// Charges an event that was quarantined; exactly once, whoever asks how often. The error says why not, and nothing has
    /// changed then.
    pub fn release(
        &mut self,
        kept: &QuarantinedEvent,
        reason: &str,
        now_ns: i64,
    ) -> Result<Result<Released, String>, StoreError> {
        self.settle(kept, reason, now_ns, |decision, kept, reason| decision.release(kept, reason))
    }

    /// Closes an event that was quarantined without a charge: a release and its reversal in one transaction.
    pub fn dismiss(
        &mut self,
        kept: &QuarantinedEvent,
        reason: &str,
        now_ns: i64,
    ) -> Result<Result<Released, String>, StoreError> {
        if Arrival::new(kept.bytes.clone()).decoded.is_err() {
            return self.dismiss_unread(kept, reason, now_ns);
        }
        self.settle(kept, reason, now_ns, |decision, kept, reason| decision.dismiss(kept, reason))
    }

    /// The same, of what cannot be read: there is no call, so an entry of its own says that a person has seen it.
    fn dismiss_unread(
        &mut self,
        kept: &QuarantinedEvent,
        reason: &str,
        now_ns: i64,
    ) -> Result<Result<Released, String>, StoreError> {
        let mut keys = Keys { now_ns, released: [kept.digest()].into(), ..Keys::default() };
        if let Some((emitter, number)) = &kept.number {
            keys.emitters.entry(emitter.clone()).or_default().insert(*number);
        }
        let mut outcome = Err(String::new());
        self.transact(keys, &mut |known| {
            let mut decision = Decision::new(known, None, now_ns);
            outcome = decision.dismiss_unread(kept, reason);
            decision.changes()
        })?;
        Ok(outcome)
    }

    fn settle(
        &mut self,
        kept: &QuarantinedEvent,
        reason: &str,
        now_ns: i64,
        by: fn(&mut Decision<'_>, &Kept<'_>, &str) -> Result<Released, String>,
    ) -> Result<Result<Released, String>, StoreError> {
        let digest = kept.digest();
        let arrival = Arrival::new(kept.bytes.clone());
        let Ok(event) = &arrival.decoded else {
            return Ok(Err("it cannot be read".to_owned()));
        };
        let mut keys = Keys { now_ns, ..Keys::default() };
        ask_about(&mut keys, event);
        keys.released.insert(digest);
        let (own_name, own_number) = own_number(&digest);
        keys.emitters.entry(own_name).or_default().insert(own_number);
        let mut outcome = Err(String::new());
        let prices = self.prices.clone();
        self.transact(keys, &mut |known| {
            let mut decision = Decision::new(known, prices.as_deref(), now_ns);
            let kept = Kept { digest, event, bytes: &arrival.bytes, is_foreign: kept.is_foreign() };
            outcome = by(&mut decision, &kept, reason);
            decision.changes()
        })?;
        Ok(outcome)
    }
}

/// The number of an event whose own is taken by another: a name that follows from the event, so that it has it once, and that
/// no emitter can have.
fn own_number(digest: &[u8; 32]) -> (String, i64) {
    let digits: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    (format!("release:{digits}"), 1)
}

/// An event that is quarantined.
struct Kept<'k> {
    digest: [u8; 32],
    event: &'k Event,
    bytes: &'k [u8],
    /// Whether its sender may not spend the number that it names.
    is_foreign: bool,
}

impl Decision<'_> {
    fn release(&mut self, kept: &Kept<'_>, reason: &str) -> Result<Released, String> {
        let entering = self.entering(kept)?;
        let Event { emitter, .. } = kept.event;
        let is_taken = self.has(emitter, entering.sequence);
        if is_taken && self.is_content(emitter, entering.sequence, entering.text) == Some(true) {
            return Err("it is in the ledger already".to_owned());
        }
        let number = if is_taken { own_number(&kept.digest) } else { (emitter.clone(), entering.sequence) };
        let rating = self.rate(kept.event, &entering.group);
        let (charge, unpriced) = (rating.charge(), rating.is_unpriced());
        let terms = Terms { emitter: &number.0, sequence: number.1, kind: Kind::Release, reason: Some(reason) };
        let entry = self.next_id();
        let copy_of = self.charge(&entering, rating, &terms)?;
        self.spend(kept, &number, is_taken);
        self.released.insert(kept.digest, entry);
        let charge = if copy_of.is_some() { Charge::default() } else { charge };
        Ok(Released { entry, number, charge, unpriced: unpriced && copy_of.is_none(), copy_of })
    }

    /// Not by the rules for copies: an event that shall count for nothing must neither replace what another meter saw of its
    /// call nor stand in the way of it.
    fn dismiss(&mut self, kept: &Kept<'_>, reason: &str) -> Result<Released, String> {
        let entering = self.entering(kept)?;
        let Event { emitter, record, .. } = kept.event;
        // The number of another sender is left to him.
        let has_own = kept.is_foreign || self.has(emitter, entering.sequence);
        let number = if has_own { own_number(&kept.digest) } else { (emitter.clone(), entering.sequence) };
        let rating = self.rate(kept.event, &entering.group);
        let group = self.group(&entering.group);
        self.add(&group, &Share::of(record, &rating))?;
        self.count(record, &group.tenant, rating.charge(), None);
        let terms = Terms { emitter: &number.0, sequence: number.1, kind: Kind::Release, reason: Some(reason) };
        let entry = entering.entry(self.next_id(), self.now_ns(), &terms, None, Some(rating));
        let entry = Entry { billed: self.billed(entering.started_ns), ..entry };
        let id = entry.id;
        self.enter(entry.clone());
        self.correct(&Correction { entry, instead: None, reason: reason.to_owned() })?;
        self.spend(kept, &number, has_own);
        self.released.insert(kept.digest, id);
        Ok(Released { entry: id, number, charge: Charge::default(), unpriced: false, copy_of: None })
    }

    fn dismiss_unread(&mut self, kept: &QuarantinedEvent, reason: &str) -> Result<Released, String> {
        let digest = kept.digest();
        if !self.known.kept.contains_key(&digest) {
            return Err(RELEASED.to_owned());
        }
        let number = kept.number.clone().unwrap_or_default();
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let entry = Entry::about_no_call(Kind::Dismissal, &number.0, number.1, self.now_ns(), reason);
        let id = self.next_id();
        self.enter(Entry { event: Some(format!("{{\"digest\":\"{digits}\"}}")), ..entry });
        self.released.insert(digest, id);
        // What it names will not come any more.
        if self.known_emitter(&number.0).is_some() && !self.has(&number.0, number.1) {
            let (_, mut notes) = self.emitter_of_others(&number.0);
            notes.closed(Range { first: number.1, last: number.1 });
        }
        Ok(Released { entry: id, number, charge: Charge::default(), unpriced: false, copy_of: None })
    }

    /// The event, if it still waits for a person's decision.
    fn entering<'k>(&self, kept: &Kept<'k>) -> Result<Entering<'k>, String> {
        if !self.known.kept.contains_key(&kept.digest) || self.released.contains_key(&kept.digest) {
            return Err(RELEASED.to_owned());
        }
        entering::entering(kept.event, kept.bytes)
    }

    /// Spends the number, so that the same event is recognised when it comes again.
    fn spend(&mut self, kept: &Kept<'_>, number: &(String, i64), is_own: bool) {
        // Whoever sent it was the first to use the emitter's numbers.
        let owner = self.known.kept.get(&kept.digest).map(|kept| kept.credential.clone());
        let owner = owner.filter(|_| !is_own && self.known_emitter(&number.0).is_none());
        let (emitter, notes) = self.emitter_of_others(&number.0);
        emitter.insert(number.1, What::Released, notes);
        if let Some(owner) = owner {
            emitter.credential = owner;
        }
        if is_own {
            // Nobody counts under this name.
            emitter.head = number.1;
            emitter.ended = Some(Ended::Release);
        }
    }
}

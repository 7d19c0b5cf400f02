//! Releases: a person lets an event be charged that was kept apart.

use meter::event::Event;

use super::decide::{self, Decision, Terms};
use super::emitters::{Ended, What};
use super::entry::{EntryId, Kind};
use super::{Arrival, Keys, Ledger, SetAside, Store};
use crate::money::Charge;
use crate::store::StoreError;

/// What a release made of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// Its entry.
    pub entry: EntryId,
    /// Under which number it stands there.
    pub number: (String, i64),
    /// What it costs.
    pub charge: Charge,
    /// The entry that is charged for its call already: then it is a copy, and costs nothing.
    pub copy_of: Option<EntryId>,
}

impl<S: Store> Ledger<S> {
    /// Charges an event that was kept apart; exactly once, whoever asks how often. The error says why not, and nothing has
    /// changed then.
    pub fn release(
        &mut self,
        kept: &SetAside,
        reason: &str,
        now_ns: i64,
    ) -> Result<Result<Released, String>, StoreError> {
        let digest = kept.digest();
        let arrival = Arrival::new(kept.bytes.clone());
        let Ok(event) = &arrival.decoded else {
            return Ok(Err("it cannot be read".to_owned()));
        };
        let mut keys = Keys::default();
        keys.of(event);
        keys.released.insert(digest);
        let (own_name, own_number) = own_number(&digest);
        keys.emitters.entry(own_name).or_default().insert(own_number);
        let mut outcome = Err(String::new());
        let prices = self.prices.clone();
        self.store.transact(&keys, &mut |known| {
            let mut decision = Decision::new(known, prices.as_deref(), now_ns);
            outcome = decision.release(digest, event, &arrival.bytes, reason);
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

impl Decision<'_> {
    fn release(&mut self, digest: [u8; 32], event: &Event, bytes: &[u8], reason: &str) -> Result<Released, String> {
        if !self.known.kept.contains_key(&digest) || self.released.contains_key(&digest) {
            return Err("it was released before".to_owned());
        }
        let entering = decide::entering(event, bytes)?;
        let is_taken = self.has(&event.emitter, entering.sequence);
        if is_taken && self.content(&event.emitter, entering.sequence) == Some(entering.text) {
            return Err("it is in the ledger already".to_owned());
        }
        // The number is spent, so that the same event is recognised when it comes again.
        // Whoever sent it was the first to use the emitter's numbers.
        let owner = self.known.kept.get(&digest).map(|kept| kept.credential.clone());
        let owner = owner.filter(|_| !is_taken && self.known_emitter(&event.emitter).is_none());
        let number = if is_taken { own_number(&digest) } else { (event.emitter.clone(), entering.sequence) };
        let rating = self.rate(event, &entering.group);
        let charge = rating.charge();
        let terms = Terms { emitter: &number.0, sequence: number.1, kind: Kind::Release, reason: Some(reason) };
        let entry = self.next_id();
        let copy_of = self.charge(&entering, rating, &terms)?;
        let (emitter, notes) = self.emitter_of_others(&number.0);
        emitter.insert(number.1, What::Released, notes);
        if let Some(owner) = owner {
            emitter.credential = owner;
        }
        if is_taken {
            // Nobody counts under this name.
            emitter.head = number.1;
            emitter.ended = Some(Ended::Release);
        }
        self.released.insert(digest, entry);
        let charge = if copy_of.is_some() { Charge::default() } else { charge };
        Ok(Released { entry, number, charge, copy_of })
    }
}

//! What the ledger has already of the calls that a new budget counts: read from the chains, most of it before anybody waits.

use std::collections::BTreeMap;

use super::correct::event_of;
use crate::budget::balance::{Counted, WindowKey};
use crate::budget::period::second;
use crate::budget::set::Windows;
use crate::budget::{Amount, Definition};
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::{Reader, StoreError};

/// The entries of a budget's windows, as far as they were read.
pub struct Scan<'r> {
    reader: &'r dyn Reader,
    definition: Definition,
    windows: Windows,
    sums: BTreeMap<WindowKey, Amount>,
    /// By writer, the last entry that was read.
    read: BTreeMap<i64, i64>,
}

impl<'r> Scan<'r> {
    /// Nothing is read yet.
    pub fn new(reader: &'r dyn Reader, definition: &Definition) -> Scan<'r> {
        let (windows, sums, read) = Default::default();
        Scan { reader, definition: definition.clone(), windows, sums, read }
    }

    /// Reads the chains up to where they end now, or to these ends.
    pub fn read_to(&mut self, heads: &[EntryId], each: &mut dyn FnMut()) -> Result<(), StoreError> {
        for head in heads {
            let behind = EntryId { number: self.read.get(&head.writer).copied().unwrap_or_default(), ..*head };
            if behind.number >= head.number {
                continue;
            }
            let mut problem = Ok(());
            self.reader.entries(behind, &mut |entry| {
                each();
                // What came since then is read when the ends are known.
                if entry.id.number <= head.number && problem.is_ok() {
                    problem = add(self.reader, &self.definition, &mut self.windows, &mut self.sums, entry);
                }
                Ok(())
            })?;
            problem?;
            self.read.insert(head.writer, head.number);
        }
        Ok(())
    }

    /// What a budget has spent by then, if it is the one that was scanned for. For another one all is read again.
    pub fn balances(
        &mut self,
        definition: &Definition,
        heads: &[EntryId],
    ) -> Result<BTreeMap<WindowKey, Amount>, StoreError> {
        if !self.definition.counts_as(definition) || self.definition.since_s != definition.since_s {
            *self = Scan::new(self.reader, definition);
        }
        // The thread that holds the transaction may be driving a connection, and cannot drive another one.
        let reading = || self.read_to(heads, &mut || ());
        let read = std::thread::scope(|scope| scope.spawn(reading).join());
        read.unwrap_or_else(|_| Err(StoreError::Unusable("the ledger could not be read".to_owned())))?;
        let with_id = |(key, sum): (&WindowKey, &Amount)| (WindowKey { budget: definition.id, ..key.clone() }, *sum);
        Ok(self.sums.iter().map(with_id).collect())
    }
}

/// An entry counts, or takes back what counted.
fn add(
    reader: &dyn Reader,
    definition: &Definition,
    windows: &mut Windows,
    sums: &mut BTreeMap<WindowKey, Amount>,
    mut entry: Entry,
) -> Result<(), StoreError> {
    let is_back = entry.kind == Kind::Reversal;
    if !(entry.kind.is_charged() || is_back) || second(entry.started_ns) < definition.since_s {
        return Ok(());
    }
    if entry.event.is_none() {
        let record = reader.record(&(entry.emitter.clone(), entry.sequence))?;
        entry.event = record.and_then(|record| record.event);
    }
    let event = event_of(&entry).map_err(StoreError::Unusable)?;
    // A reversal's charge is negative: what it takes back is the opposite.
    let charge = if is_back { entry.charge.checked_neg().unwrap_or_default() } else { entry.charge };
    let call = Counted::of(&event.record, &entry.tenant, charge).filter(|call| call.is_covered_by(definition));
    if let Some((key, amount)) = call.and_then(|call| call.in_budget(definition, windows)) {
        let sum = sums.entry(key).or_default();
        *sum = sum.plus(if is_back { amount.reversed() } else { amount });
    }
    Ok(())
}

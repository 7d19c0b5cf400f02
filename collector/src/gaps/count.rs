//! How much is missing, in numbers: for whoever watches the ledger all the time. From the small tables only: the ledger
//! itself is not read.

use super::{Question, State, missing};
use crate::store::{Reader, StoreError, Tally};

/// How much is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Numbers of emitters that the ledger lacks.
    pub missing: i64,
    /// Emitters that fell silent without a final flush.
    pub open_ends: i64,
    /// What the store itself can count.
    pub tally: Tally,
}

/// Counts it.
pub fn count(reader: &dyn Reader, question: Question) -> Result<Counts, StoreError> {
    let mut counts = Counts { tally: reader.tally()?, ..Counts::default() };
    reader.emitters(&mut |(_, emitter)| {
        let state = State::of(&emitter, question);
        counts.open_ends = counts.open_ends.saturating_add(i64::from(state == State::OpenEnd));
        let of_it = missing(&emitter, state);
        counts.missing = of_it.iter().fold(counts.missing, |sum, range| sum.saturating_add(range.count()));
        Ok(())
    })?;
    Ok(counts)
}

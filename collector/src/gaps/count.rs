//! How much is missing, in numbers: for whoever watches the ledger all the time. From the small tables only: the ledger
//! itself is not read.

use super::{Question, State, missing};
use crate::store::emitters::Emitter;
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

/// An emitter of which the ledger lacks something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// Who counted.
    pub emitter: String,
    /// Envoy's node.
    pub node: String,
    /// Whether it still counts.
    pub state: State,
    /// When it last spoke.
    pub heard_ns: i64,
    /// How many numbers are missing.
    pub missing: i64,
}

/// Counts it, and names so many of the emitters of which most is missing.
pub fn count(reader: &dyn Reader, question: Question, most: usize) -> Result<(Counts, Vec<Lacking>), StoreError> {
    let mut counts = Counts { tally: reader.tally()?, ..Counts::default() };
    let mut lacking: Vec<Lacking> = Vec::new();
    let shorten = |lacking: &mut Vec<Lacking>| {
        lacking.sort_by(|one, other| other.missing.cmp(&one.missing).then_with(|| one.emitter.cmp(&other.emitter)));
        lacking.truncate(most);
    };
    reader.emitters(&mut |(name, emitter)| {
        let state = State::of(&emitter, question);
        counts.open_ends = counts.open_ends.saturating_add(i64::from(state == State::OpenEnd));
        let of_it = missing(&emitter, state);
        let missing = of_it.iter().fold(0_i64, |sum, range| sum.saturating_add(range.count()));
        counts.missing = counts.missing.saturating_add(missing);
        if missing > 0 || state == State::OpenEnd {
            let Emitter { node, heard_ns, .. } = emitter;
            lacking.push(Lacking { emitter: name, node, state, heard_ns, missing });
        }
        // Now and then: there may be as many as there were workers.
        if lacking.len() > most.saturating_mul(2) {
            shorten(&mut lacking);
        }
        Ok(())
    })?;
    shorten(&mut lacking);
    Ok((counts, lacking))
}

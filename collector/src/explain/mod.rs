//! One call from raw usage to charge: what its event says, how it was rated, and what became of it since. Nothing is asked but
//! the ledger: what a price book would say now is `meshmeter prices explain`.

use std::collections::BTreeMap;

use wire::event::Event;

use crate::ledger::again::{self, Now};
use crate::ledger::correct::event_of;
use crate::prices::Rating;
use crate::store::entry::{Entry, EntryId, Hash, Kind};
use crate::store::months::{Closing, Month};
use crate::store::sums::Group;
use crate::store::{Reader, StoreError};

pub mod find;
mod json;
pub(crate) mod rating;
mod text;

/// An entry, explained with all entries of its call.
#[derive(Debug)]
pub struct Explanation {
    /// The entry that was asked for.
    asked: EntryId,
    /// The event of the call, as it was sent; none if the entry is about no call.
    sent: Option<String>,
    /// The same, read; or why it cannot be.
    event: Option<Result<Event, String>>,
    /// The entries of the call, in the order in which one followed from another.
    steps: Vec<Step>,
    /// What is charged for the call now.
    charged: Option<Entry>,
}

/// An entry with what can be told of it.
#[derive(Debug)]
struct Step {
    entry: Entry,
    /// How it was rated; or why that cannot be read.
    rating: Option<Result<Rating, String>>,
    /// Where it counts, if it does.
    counts: Option<Counts>,
    chain: Chain,
}

/// Where an entry counts.
#[derive(Debug)]
struct Counts {
    day: String,
    /// The closed month of its call, if it counts in another.
    adjusts: String,
    /// What has closed the month in which it counts.
    closed: Option<EntryId>,
}

wire::words! {
    /// Whether an entry is what was written behind the one before it.
    Chain {
        /// Its hash is that of its content and of the hash before it.
        Intact "intact",
        /// It is not.
        Altered "altered",
        /// The entry before it is missing.
        Broken "broken",
    }
}

impl Explanation {
    /// Explains an entry.
    pub fn of(reader: &dyn Reader, entry: Entry) -> Result<Explanation, StoreError> {
        let asked = entry.id;
        let mut entries = Vec::new();
        let mut charged = None;
        let record = match entry.kind {
            kind if kind.is_record() => Some(entry.clone()),
            Kind::Reversal | Kind::Correction => reader.record(&(entry.emitter.clone(), entry.sequence))?,
            _ => None,
        };
        let (sent, event) = match &record {
            Some(record) => (record.event.clone(), Some(event_of(record))),
            None => (None, None),
        };
        if let Some(record) = record
            && let Now::Stands(stands) = again::follow(reader, record, &mut |entry| entries.push(entry.clone()))?
        {
            charged = Some(stands);
        }
        if !entries.iter().any(|known| known.id == asked) {
            entries.push(entry);
        }
        let closings = closings(reader)?;
        let steps = entries.into_iter().map(|entry| Step::of(reader, entry, &closings)).collect::<Result<_, _>>()?;
        Ok(Explanation { asked, sent, event, steps, charged })
    }

    /// Entries that are not what was written.
    pub fn problems(&self) -> Vec<String> {
        let bad = self.steps.iter().filter_map(|step| match step.chain {
            Chain::Intact => None,
            Chain::Altered => Some(format!("entry {}: was altered", step.entry.id)),
            Chain::Broken => Some(format!("entry {}: the entry before it is missing", step.entry.id)),
        });
        bad.collect()
    }
}

impl Step {
    fn of(reader: &dyn Reader, entry: Entry, closings: &BTreeMap<Month, EntryId>) -> Result<Step, StoreError> {
        let before = match entry.id.number.checked_sub(1) {
            Some(number) if number > 0 => reader.entry(EntryId { number, ..entry.id })?.map(|before| before.hash),
            _ => Some(Hash::default()),
        };
        let chain = match before {
            Some(before) if entry.follows(&before) => Chain::Intact,
            Some(_) => Chain::Altered,
            None => Chain::Broken,
        };
        let is_counted = entry.kind.is_charged() || entry.kind == Kind::Reversal;
        let group = Group::of_entry(&entry).filter(|_| is_counted);
        let counts = group.map(|Group { day, adjusts, .. }| {
            let closed = Month::of_day(&day).and_then(|month| closings.get(&month).copied());
            Counts { day, adjusts, closed }
        });
        let rating = entry.rating.as_deref().map(Rating::from_json);
        Ok(Step { entry, rating, counts, chain })
    }
}

/// By month, what has closed it.
fn closings(reader: &dyn Reader) -> Result<BTreeMap<Month, EntryId>, StoreError> {
    let closings = reader.closings()?.into_iter();
    Ok(closings.filter_map(|entry| Some((Closing::read(&entry)?.0, entry.id))).collect())
}

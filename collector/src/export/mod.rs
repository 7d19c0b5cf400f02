//! The ledger's entries for `meshmeter export`: each with what it adds to the ledger's sums.

use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Map, Value};
use warehouse::{End, Error, Line, Position, Row, Source};

use crate::ledger::correct::share_of_written;
use crate::ledger::share::Share;
use crate::store::days::day_of;
use crate::store::entry::{EntryId, Hash};
use crate::store::months::Month;
use crate::store::sums::Counted;
use crate::store::{Reader, StoreError, WrittenEntry};

/// The chains of a ledger.
pub struct Ledger<'r>(pub &'r dyn Reader);

impl Source for Ledger<'_> {
    fn ends(&self) -> Result<Vec<Position>, Error> {
        let heads = self.0.heads().map_err(|error| failed(&error))?;
        Ok(heads.iter().map(|head| position(head.entry)).collect())
    }

    fn hash(&self, at: Position) -> Result<Option<[u8; 32]>, Error> {
        let entry = self.0.entry(id(at)).map_err(|error| failed(&error))?;
        Ok(entry.map(|entry| entry.hash.0))
    }

    fn rows(&self, behind: &End, until: i64, each: &mut dyn FnMut(Row) -> Result<(), Error>) -> Result<(), Error> {
        let mut before = (id(behind.position), Hash(behind.hash));
        let mut stopped = None;
        let read = self.0.written(before.0, until, &mut |written| {
            let expected = EntryId { number: before.0.number.saturating_add(1), ..before.0 };
            let entry = &written.entry;
            // An export is of the ledger that was written, or it ends here.
            if entry.id != expected {
                return Err(StoreError::Unusable(format!("entry {expected}: is missing")));
            }
            if !entry.follows(&before.1) {
                return Err(StoreError::Unusable(format!("entry {expected}: was altered")));
            }
            before = (entry.id, entry.hash);
            let row = row(written).map_err(StoreError::Unusable)?;
            each(row).map_err(|error| {
                let text = error.to_string();
                stopped = Some(error);
                StoreError::Unusable(text)
            })
        });
        match stopped {
            Some(error) => Err(error),
            None => read.map_err(|error| failed(&error)),
        }
    }
}

fn failed(error: &StoreError) -> Error {
    Error::new(error.to_string())
}

fn position(id: EntryId) -> Position {
    Position { writer: id.writer, entry: id.number }
}

fn id(position: Position) -> EntryId {
    EntryId { writer: position.writer, number: position.entry }
}

/// What an event says, whatever it is.
#[derive(Deserialize)]
struct Sent {
    #[serde(default)]
    data: Map<String, Value>,
}

/// An entry as a row.
pub fn row(written: WrittenEntry) -> Result<Row, String> {
    let share = share_of_written(&written)?;
    let WrittenEntry { entry, call, .. } = written;
    let is_record = entry.kind.is_record();
    let event = call.as_deref().or_else(|| entry.event.as_deref().filter(|_| is_record));
    let sent: Option<Sent> =
        event.map(serde_json::from_str).transpose().map_err(|error| format!("entry {}: {error}", entry.id))?;
    let day = entry.billed.clone().or_else(|| day_of(entry.started_ns)).unwrap_or_default();
    let day: Date = day.parse().map_err(|_| format!("entry {}: has no day on which it counts", entry.id))?;
    // The row says the day by itself and by the month of the call: the entry's own words must be found again in that.
    if entry.billed.as_ref().is_some_and(|billed| *billed != day.to_string()) {
        return Err(format!("entry {}: the day on which it counts is not written as days are", entry.id));
    }
    let began = Month::of(entry.started_ns).filter(|_| entry.billed.is_some());
    let mut calls = 0;
    let mut lines = Vec::new();
    for (counted, sum) in share.iter().flat_map(Share::iter) {
        match counted {
            Counted::Calls => calls = sum.quantity,
            Counted::Usage(class) => lines.push(Line {
                class: *class,
                quantity: sum.quantity,
                charge: sum.charge.yocto_usd(),
                cost: sum.cost.yocto_usd(),
                unpriced: sum.unpriced,
                fallback: sum.fallback,
            }),
            // They are the calls by `deferred` and `unknown_usage`, which are columns.
            Counted::Deferred(_) | Counted::Unknown(_) => {}
        }
    }
    Ok(Row {
        position: position(entry.id),
        hash: entry.hash.0,
        kind: entry.kind.as_str(),
        refers: entry.refers.map(position),
        emitter: entry.emitter,
        sequence: entry.sequence,
        day,
        adjusts: began.map(|month| month.to_string()),
        started_ns: entry.started_ns,
        received_ns: entry.received_ns,
        tenant: entry.tenant,
        provider: entry.provider,
        model: entry.model,
        evidence: entry.evidence.as_str(),
        charge: entry.charge.yocto_usd(),
        cost: entry.cost.yocto_usd(),
        rating: entry.rating,
        reason: entry.reason,
        event: entry.event,
        salt: entry.names.to_bytes(),
        call: sent.map(|sent| sent.data),
        calls,
        lines,
    })
}

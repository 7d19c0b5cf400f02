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
        let read = self.0.written_in_parts(before.0, until, &mut |written| {
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

#[cfg(test)]
mod tests {
    use wire::record::Evidence;

    use super::*;
    use crate::money::Charge;
    use crate::store::entry::{Entry, Kind};
    use crate::store::names::{Names, Sealed, Secret};

    /// An entry made of what its row has, and of nothing else.
    fn again(row: &Row) -> Entry {
        Entry {
            id: id(row.position),
            kind: Kind::from_word(row.kind).unwrap(),
            emitter: row.emitter.clone(),
            sequence: row.sequence,
            refers: row.refers.map(id),
            started_ns: row.started_ns,
            received_ns: row.received_ns,
            tenant: row.tenant.clone(),
            provider: row.provider.clone(),
            model: row.model.clone(),
            evidence: Evidence::from_word(row.evidence).unwrap(),
            charge: Charge::from_yocto_usd(row.charge),
            cost: Charge::from_yocto_usd(row.cost),
            rating: row.rating.clone(),
            reason: row.reason.clone(),
            event: row.event.clone(),
            billed: row.adjusts.as_ref().map(|_| row.day.to_string()),
            hash: Hash(row.hash),
            names: Names::from_bytes(row.salt.as_deref()).unwrap(),
        }
    }

    #[test]
    fn contract_a_row_has_all_that_an_entrys_hash_is_over() {
        let before = Hash([3; 32]);
        let event = r#"{"id":"1", "data":{"tenant":"acme/ann","principal":"p","tags":[["user","\u0061nn","jwt"]]}}"#;
        let salted = Secret([7; 32]).salt(&before.0);
        let replaced = |was_plain| Names::Replaced {
            was_plain,
            fields: vec![
                Sealed::Salt([1; 16]),
                Sealed::Digest([2; 32]),
                Sealed::Salt([4; 16]),
                Sealed::Digest([5; 32]),
            ],
        };
        for names in [Names::Plain, salted, replaced(false), replaced(true)] {
            for (bit, billed) in [None, Some("2026-11-30"), Some("2026-10-31")].into_iter().enumerate() {
                for has in 0..32_u32 {
                    let is = |at: u32| has >> at & 1 == 1;
                    let mut entry = Entry {
                        id: EntryId { writer: 3, number: 8 },
                        refers: is(0).then_some(EntryId { writer: 2, number: 5 }),
                        rating: is(1).then(|| " {} ".to_owned()),
                        reason: is(2).then(String::new),
                        charge: Charge::from_yocto_usd(if is(3) { -1 } else { 10_i128.pow(37) }),
                        cost: Charge::from_yocto_usd(if is(4) { -1 } else { 10_i128.pow(37) }),
                        event: Some(event.to_owned()),
                        tenant: "acme/ann".to_owned(),
                        provider: "p".to_owned(),
                        model: "m\0".to_owned(),
                        evidence: Evidence::Partial,
                        billed: billed.map(str::to_owned),
                        names: names.clone(),
                        ..Entry::about_no_call(Kind::Copy, "e", bit as i64, 1_793_491_199_999_999_999, "")
                    };
                    entry.hash = entry.hash_after(&before);
                    let row = row(WrittenEntry { entry: entry.clone(), call: None, taken_back: None }).unwrap();
                    assert_eq!(again(&row), entry);
                    assert_eq!(again(&row).content(&before), Some(entry.hash));
                }
            }
        }
        let entry =
            Entry { billed: Some("20261130".to_owned()), ..Entry::about_no_call(Kind::Dismissal, "e", 1, 5, "") };
        let refused = row(WrittenEntry { entry, call: None, taken_back: None }).unwrap_err();
        assert_eq!(refused, "entry 0:0: the day on which it counts is not written as days are");
    }
}

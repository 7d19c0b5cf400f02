//! Months come back: their entries are read from the archive, checked by the chain, and put where they were. Whoever is killed runs
//! it again; until it is done they are sealed.

use super::archive::Archived;
use super::merged::Present;
use super::{Failure, seal};
use crate::ledger::Ledger;
use crate::pause;
use crate::store::entry::{Entry, EntryId, Hash, Kind};
use crate::store::months::Month;
use crate::store::sealing::{Piece, Said, Sealed, State, counts_in};
use crate::store::{Each, Head, Reader, Store, StoreError};

/// Entries of one transaction.
const AT_ONCE: usize = 500;

/// What is to come back.
#[derive(Debug)]
pub struct Back {
    was: State,
    /// What stays sealed of each chain; number 0: nothing.
    ends: Vec<Head>,
    /// All of that counts before this month.
    from: Option<Month>,
}

impl Back {
    /// How many entries come back.
    pub fn entries(&self) -> u64 {
        let both = self.was.sealed.iter().zip(&self.ends);
        both.map(|(sealed, end)| sealed.end.entry.number.saturating_sub(end.entry.number).unsigned_abs()).sum()
    }
}

/// What comes back: all from the first entry on that counts in the month or later, in each chain.
pub fn come_back(reader: &dyn Reader, archived: &Archived, from: Option<Month>) -> Result<Back, Failure> {
    let was = seal::state(reader)?;
    let mut ends = Vec::new();
    for Sealed { end, .. } in &was.sealed {
        let none = Head { entry: EntryId { number: 0, ..end.entry }, hash: Hash::default() };
        let last = match from {
            Some(month) => first_counting(archived, *end, month)?.map(|first| first.number.saturating_sub(1)),
            None => Some(0),
        };
        ends.push(match last {
            None => *end,
            Some(0) => none,
            Some(number) => {
                let id = EntryId { number, ..end.entry };
                let entry = archived.entry(id)?;
                let hash = entry.map(|entry| entry.hash);
                Head { entry: id, hash: hash.ok_or_else(|| Failure::Refused(format!("entry {id}: is missing")))? }
            }
        });
    }
    Ok(Back { was, ends, from })
}

fn first_counting(archived: &Archived, end: Head, month: Month) -> Result<Option<EntryId>, StoreError> {
    let mut first = None;
    let months = month.to_string()..="9999-12".to_owned();
    let behind = EntryId { number: 0, ..end.entry };
    let read = archived.entries(behind, end.entry.number, Some(months), None, &mut |entry| {
        first = counts_in(&entry).map(|_| entry.id);
        // It is found: no more is read.
        if first.is_some() { Err(StoreError::Unusable(String::new())) } else { Ok(()) }
    });
    match first {
        Some(first) => Ok(Some(first)),
        None => read.map(|()| None),
    }
}

/// Brings entries back, and says so in the ledger. `each` hears of every entry that is read, twice: they are checked first.
pub fn bring_back<S: Store>(
    reader: &dyn Reader,
    ledger: &mut Ledger<S>,
    archived: &Archived,
    back: &Back,
    by: (&str, &str),
    now_ns: i64,
    each: &mut dyn FnMut(),
) -> Result<EntryId, Failure> {
    bring_back_by(reader, ledger, archived, back, by, now_ns, AT_ONCE, each)
}

/// The same, so many entries at once.
#[allow(clippy::too_many_arguments)] // What a test asks beside.
pub(crate) fn bring_back_by<S: Store>(
    reader: &dyn Reader,
    ledger: &mut Ledger<S>,
    archived: &Archived,
    back: &Back,
    (who, reason): (&str, &str),
    now_ns: i64,
    at_once: usize,
    each: &mut dyn FnMut(),
) -> Result<EntryId, Failure> {
    let Some(first) = back.was.sealed.first().filter(|_| back.entries() > 0) else {
        return Err(Failure::Refused("nothing of that is sealed".to_owned()));
    };
    for (sealed, end) in back.was.sealed.iter().zip(&back.ends) {
        follow(archived, *end, sealed.end, &mut |_| {
            each();
            Ok(())
        })?;
    }
    let behind = |(sealed, end): (&Sealed, &Head)| Sealed { behind: Some(end.entry.number), ..sealed.clone() };
    let turned: Vec<Sealed> = back.was.sealed.iter().zip(&back.ends).map(behind).collect();
    if turned != back.was.sealed {
        ledger.turn(&back.was, turned.clone(), now_ns)?.map_err(Failure::Refused)?;
    }
    for (sealed, end) in back.was.sealed.iter().zip(&back.ends) {
        let Head { entry: EntryId { writer, number: behind }, .. } = *end;
        let present = Present::of_pieces(reader, [Piece { writer, behind, until: sealed.end.entry.number }])?;
        let mut waiting: Vec<Entry> = Vec::new();
        let mut put = |waiting: &mut Vec<Entry>| {
            pause::after(|| ledger.put_back(waiting, now_ns))?;
            waiting.clear();
            Ok::<_, StoreError>(())
        };
        follow(archived, *end, sealed.end, &mut |entry| {
            each();
            if present.lacks(&entry) {
                waiting.push(entry);
            }
            if waiting.len() >= at_once { put(&mut waiting) } else { Ok(()) }
        })?;
        if !waiting.is_empty() {
            put(&mut waiting)?;
        }
    }
    let said = Said {
        who: who.to_owned(),
        place: first.place.clone(),
        endpoint: first.endpoint.clone(),
        before: back.from.map(|month| month.to_string()),
        archive: first.pin.said(),
        chains: Said::chains(back.ends.iter().copied().filter(|end| end.entry.number > 0)),
    };
    let was = State { sealed: turned, ..back.was.clone() };
    ledger.say(Kind::Unsealed, &was, &said, reason, now_ns)?.map_err(Failure::Refused)
}

/// Entries of the archive behind one of them, each of which must follow the one before, up to one that is known.
fn follow(archived: &Archived, behind: Head, end: Head, each: Each<'_, Entry>) -> Result<(), StoreError> {
    let mut before = behind;
    archived.entries(behind.entry, end.entry.number, None, None, &mut |entry| {
        if !entry.follows(&before.hash) {
            return Err(StoreError::Unusable(format!("entry {}: was altered in the archive", entry.id)));
        }
        before = Head { entry: entry.id, hash: entry.hash };
        each(entry)
    })?;
    match before == end {
        true => Ok(()),
        false => Err(StoreError::Unusable(format!("entry {}: is another one in the archive", end.entry))),
    }
}

//! Where the chains of the ledger stood that a billing statement was computed at: what came later is not in it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::store::entry::{EntryId, Hash};
use crate::store::months::{Closing, Month};
use crate::store::{Head, Reader, StoreError};

/// The last entry of each chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position(BTreeMap<i64, Head>);

/// A position as a person writes it, the hashes where they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked(Vec<(EntryId, Option<Hash>)>);

/// Reads `1:42`, `1:42:HASH`, and several of them with commas between.
impl FromStr for Asked {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Asked, &'static str> {
        const FORM: &str =
            "must be the last entry of each chain, WRITER:ENTRY or WRITER:ENTRY:HASH, separated by commas";
        let one = |text: &str| {
            let (id, hash) = match text.match_indices(':').nth(1) {
                Some((at, _)) => (text.get(..at)?, Some(Hash::from_hex(text.get(at.saturating_add(1)..)?)?)),
                None => (text, None),
            };
            Some((id.parse::<EntryId>().ok()?, hash))
        };
        let all: Vec<(EntryId, Option<Hash>)> =
            text.split(',').map(|text| one(text.trim())).collect::<Option<_>>().ok_or(FORM)?;
        let mut writers: Vec<i64> = all.iter().map(|(id, _)| id.writer).collect();
        writers.sort_unstable();
        match writers.windows(2).any(|two| matches!(two, [one, other] if one == other)) {
            true => Err("must name each chain once"),
            false => Ok(Asked(all)),
        }
    }
}

impl Position {
    /// The position that is asked for, if the ledger has it; or why it has not.
    pub fn asked(reader: &dyn Reader, asked: &Asked) -> Result<Result<Position, String>, StoreError> {
        let mut heads = BTreeMap::new();
        for (id, hash) in &asked.0 {
            let head = match head(reader, *id)? {
                Some(head) => head,
                None => return Ok(Err(format!("the ledger has no entry {id}"))),
            };
            if hash.is_some_and(|hash| hash != head.hash) {
                return Ok(Err(format!("entry {id} has another hash: this is not the ledger of that position")));
            }
            heads.insert(id.writer, head);
        }
        Ok(Ok(Position(heads)))
    }

    /// Where the chains end.
    pub fn now(reader: &dyn Reader) -> Result<Position, StoreError> {
        Ok(Position(reader.heads()?.into_iter().map(|head| (head.entry.writer, head)).collect()))
    }

    /// Where the chains ended when a month was closed, with the closing itself: nothing behind it can count in that month.
    pub fn of_closing(reader: &dyn Reader, closing: &Closing, by: EntryId) -> Result<Position, StoreError> {
        let mut heads = BTreeMap::new();
        for id in closing.heads().filter(|id| id.writer != by.writer).chain([by]) {
            let missing = || StoreError::Unusable(format!("entry {id}: is missing"));
            heads.insert(id.writer, head(reader, id)?.ok_or_else(missing)?);
        }
        Ok(Position(heads))
    }

    /// Whether an entry was there.
    pub fn includes(&self, id: EntryId) -> bool {
        self.0.get(&id.writer).is_some_and(|head| id.number <= head.entry.number)
    }

    /// The last entry of each chain.
    pub fn heads(&self) -> impl Iterator<Item = &Head> {
        self.0.values()
    }
}

/// As `--at` takes it.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, head) in self.heads().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(f, "{comma}{}:{}", head.entry, head.hash)?;
        }
        Ok(())
    }
}

fn head(reader: &dyn Reader, entry: EntryId) -> Result<Option<Head>, StoreError> {
    if entry.number == 0 {
        return Ok(Some(Head { entry, hash: Hash::default() }));
    }
    Ok(reader.entry(entry)?.map(|found| Head { entry, hash: found.hash }))
}

/// By month, the entry that has closed it and what it says.
pub(super) fn closing(reader: &dyn Reader, month: Month) -> Result<Option<(EntryId, Closing)>, StoreError> {
    let mut closings = reader.closings()?.into_iter();
    Ok(closings.find_map(|entry| {
        let (of, closing) = Closing::read(&entry)?;
        (of == month).then_some((entry.id, closing))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_a_position_is_read_as_it_is_printed() {
        let hash = Hash([7; 32]);
        let head = |writer, number| Head { entry: EntryId { writer, number }, hash };
        let position = Position([(1, head(1, 5)), (2, head(2, 9))].into());
        let read: Asked = position.to_string().parse().unwrap();
        assert_eq!(read.0, position.heads().map(|head| (head.entry, Some(head.hash))).collect::<Vec<_>>());
        assert_eq!("1:5, 2:9".parse::<Asked>().unwrap().0.len(), 2);
        for bad in ["", "1", "1:", ":1", "1:5:", "1:5:00", "1:5,", "1:5,1:6", "1:-5", "a:1", "1:5:00:00"] {
            assert!(bad.parse::<Asked>().is_err(), "{bad}");
        }
    }
}

//! Sealed months: which entries are in an archive alone, and how they go and come back.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::place;
use super::read::{each_row, known_word};
use super::write;
use crate::store::entry::{EntryId, Hash};
use crate::store::months::Month;
use crate::store::sealing::{Piece, Pin, SealChanges, Sealed, State};
use crate::store::{Each, Head, StoreError};

/// How far each chain is sealed.
pub fn sealed(connection: &Connection) -> Result<Vec<Sealed>, StoreError> {
    let sql = "SELECT entry, hash, said, place, endpoint, at_ns, behind, before_month, commits, manifests
        FROM sealed ORDER BY entry";
    let read = |row: &Row<'_>| {
        Ok(Sealed {
            end: Head { entry: place::id(row.get(0)?), hash: Hash(row.get(1)?) },
            said: place::id(row.get(2)?),
            place: row.get(3)?,
            endpoint: row.get(4)?,
            at_ns: row.get(5)?,
            behind: row.get(6)?,
            before: known_word(7, row.get_ref(7)?.as_str()?, |month| month.parse().ok())?,
            pin: Pin { commits: row.get(8)?, manifests: Hash(row.get(9)?) },
        })
    };
    Ok(connection.prepare_cached(sql)?.query_map([], read)?.collect::<Result<_, _>>()?)
}

/// What must not change between what was checked and what is sealed.
pub fn state(tx: &Transaction<'_>) -> Result<State, StoreError> {
    let count = |sql: &str| -> Result<usize, StoreError> {
        let count: i64 = tx.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    };
    Ok(State {
        sealed: sealed(tx)?,
        forgetting: count("SELECT count(*) FROM forgetting")?,
        forgotten: count("SELECT count(*) FROM ledger WHERE kind = 'forgotten'")?,
    })
}

/// The keys behind a piece's begin up to its end.
fn keys(Piece { writer, behind, until }: Piece) -> [i64; 2] {
    [behind, until].map(|number| place::key(EntryId { writer, number }).min(place::end(writer)))
}

/// The numbers of entries that are here.
pub fn present(connection: &Connection, piece: Piece, each: Each<'_, i64>) -> Result<(), StoreError> {
    let sql = "SELECT entry FROM ledger WHERE entry > ?1 AND entry <= ?2 ORDER BY entry";
    each_row(connection, sql, keys(piece), |row| Ok(place::id(row.get(0)?).number), each)
}

/// The first entry behind one that counts in a month or later.
pub fn first_counting(connection: &Connection, behind: EntryId, month: Month) -> Result<Option<EntryId>, StoreError> {
    // In the order of the chain, whatever other indexes there are.
    let sql = "SELECT entry FROM ledger WHERE entry > ?1 AND entry <= ?2
        AND kind IN ('call', 'copy', 'release', 'reversal', 'correction')
        AND (+billed IS NULL AND +started_ns >= ?3 OR +billed >= ?4) ORDER BY entry LIMIT 1";
    let values =
        params![place::key(behind), place::end(behind.writer), month.begins_ns(), month.first_day().to_string()];
    Ok(connection.query_row(sql, values, |row| Ok(place::id(row.get(0)?))).optional()?)
}

/// What a transaction does about sealed months.
pub fn changes(tx: &Transaction<'_>, changes: &SealChanges) -> Result<(), StoreError> {
    let SealChanges { sealed, moved, returned } = changes;
    if let Some(sealed) = sealed {
        tx.execute("DELETE FROM sealed", [])?;
        let mut put = tx.prepare_cached(
            "INSERT INTO sealed (entry, hash, said, place, endpoint, at_ns, behind, before_month, commits, manifests)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        for Sealed { end, before, said, place, endpoint, at_ns, behind, pin } in sealed {
            let (entry, said, before) = (place::key(end.entry), place::key(*said), before.to_string());
            let Pin { commits, manifests } = pin;
            let values = params![entry, end.hash.0, said, place, endpoint, at_ns, behind, before, commits, manifests.0];
            put.execute(values)?;
        }
    }
    if let Some(piece) = moved {
        // What the database needs itself stays: the trigger would not let it go.
        tx.prepare_cached(
            "DELETE FROM ledger WHERE entry > ?1 AND entry <= ?2 AND kind IN ('call', 'copy', 'release')
             AND NOT EXISTS (SELECT 1 FROM ledger r WHERE r.emitter = ledger.emitter AND r.sequence = ledger.sequence
                             AND r.kind IN ('reversal', 'correction'))",
        )?
        .execute(keys(*piece))?;
    }
    returned.iter().try_for_each(|entry| write::append(tx, entry, " ON CONFLICT (entry) DO NOTHING"))
}

//! Sealed months: which entries are in an archive alone, and how they go and come back, while nobody else has a transaction.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::failure::Failure;
use super::known::{entry_id, hash, word};
use super::reader::PostgresReader;
use super::session::Session;
use super::write::put_entries;
use crate::store::entry::EntryId;
use crate::store::months::Month;
use crate::store::sealing::{Piece, Pin, SealChanges, Sealed, State};
use crate::store::{Each, Head, StoreError};

/// How far each chain is sealed.
pub const SEALED: &str =
    "SELECT writer, entry, hash, said_writer, said_entry, place, endpoint, at_ns, behind, before_month, commits, manifests
    FROM sealed ORDER BY writer";

/// A row of [`SEALED`].
pub fn sealed(row: &Row) -> Result<Sealed, StoreError> {
    Ok(Sealed {
        end: Head { entry: entry_id(row, 0)?.unwrap_or_default(), hash: hash(row, 2)? },
        said: entry_id(row, 3)?.unwrap_or_default(),
        place: row.try_get(5)?,
        endpoint: row.try_get(6)?,
        at_ns: row.try_get(7)?,
        behind: row.try_get(8)?,
        before: word(row, 9, "before_month", |month| month.parse().ok())?,
        pin: Pin { commits: row.try_get(10)?, manifests: hash(row, 11)? },
    })
}

/// What must not change between what was checked and what is sealed.
pub async fn state(session: &Session) -> Result<State, Failure> {
    let client = &session.connection.client;
    let rows = client.query(SEALED, &[]).await?;
    let sealed = rows.iter().map(sealed).collect::<Result<_, _>>()?;
    let counts = "SELECT (SELECT count(*) FROM forgetting), (SELECT count(*) FROM ledger WHERE kind = 'forgotten')";
    let counts = client.query_one(counts, &[]).await?;
    let count = |at: usize| -> Result<usize, Failure> {
        let count: i64 = counts.try_get(at)?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    };
    Ok(State { sealed, forgetting: count(0)?, forgotten: count(1)? })
}

/// The numbers of entries that are here.
pub fn present(reader: &PostgresReader, piece: Piece, each: Each<'_, i64>) -> Result<(), StoreError> {
    let sql = "SELECT entry FROM ledger WHERE writer = $1 AND entry > $2 AND entry <= $3 ORDER BY entry";
    reader.each_row(sql, &[&piece.writer, &piece.behind, &piece.until], |row| Ok(row.try_get(0)?), each)
}

/// The first entry behind one that counts in a month or later.
pub fn first_counting(reader: &PostgresReader, behind: EntryId, month: Month) -> Result<Option<EntryId>, StoreError> {
    let sql = "SELECT writer, entry FROM ledger WHERE writer = $1 AND entry > $2
        AND kind IN ('call', 'copy', 'release', 'reversal', 'correction')
        AND (billed IS NULL AND started_ns >= $3 OR billed >= $4) ORDER BY entry LIMIT 1";
    let (begins, first) = (month.begins_ns(), month.first_day().to_string());
    Ok(reader.all(sql, &[&behind.writer, &behind.number, &begins, &first], |row| entry_id(row, 0))?.pop().flatten())
}

/// What a transaction does about sealed months.
pub async fn changes(session: &Session, changes: &SealChanges) -> Result<(), Failure> {
    let SealChanges { sealed, moved, returned } = changes;
    let client = &session.connection.client;
    if let Some(sealed) = sealed {
        client.execute("DELETE FROM sealed", &[]).await?;
        let put = "INSERT INTO sealed (writer, entry, hash, said_writer, said_entry, place, endpoint, at_ns, behind, before_month,
                commits, manifests)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        for Sealed { end, before, said, place, endpoint, at_ns, behind, pin } in sealed {
            let (hash, before, manifests) = (end.hash.0.as_slice(), before.to_string(), pin.manifests.0.as_slice());
            let Head { entry: end, .. } = end;
            let values: [&(dyn ToSql + Sync); 12] = [
                &end.writer,
                &end.number,
                &hash,
                &said.writer,
                &said.number,
                place,
                endpoint,
                at_ns,
                behind,
                &before,
                &pin.commits,
                &manifests,
            ];
            client.execute(put, &values).await?;
        }
    }
    if let Some(Piece { writer, behind, until }) = moved {
        // What the database needs itself stays: the trigger would not let it go.
        let sql = "DELETE FROM ledger l WHERE l.writer = $1 AND l.entry > $2 AND l.entry <= $3
            AND l.kind IN ('call', 'copy', 'release')
            AND NOT EXISTS (SELECT 1 FROM ledger r WHERE r.emitter = l.emitter AND r.sequence = l.sequence
                            AND r.kind IN ('reversal', 'correction'))";
        client.execute(sql, &[writer, behind, until]).await?;
    }
    put_entries(session, &session.statements.return_entries, returned).await
}

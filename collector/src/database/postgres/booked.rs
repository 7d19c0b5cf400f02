//! What is booked for a tenant in a month, what each entry of a chain counts, and which entries a response id leads to.

use super::known::{ENTRY, entry, word};
use super::reader::{PostgresReader, Values};
use crate::store::entry::{Entry, EntryId};
use crate::store::responses::Place;
use crate::store::{Booked, Each, StoreError, WrittenEntry};

/// What is booked, each with the event of its call, a reversal with the rating of what it takes back.
pub fn booked(reader: &PostgresReader, which: &Booked, each: Each<'_, Entry>) -> Result<(), StoreError> {
    let part = |counts: &str| {
        format!(
            "SELECT {}, coalesce(l.event, c.event) FROM ledger l
             LEFT JOIN ledger o ON l.kind = 'reversal' AND o.writer = l.refers_writer AND o.entry = l.refers_entry
             LEFT JOIN ledger c ON l.event IS NULL
             AND c.emitter = l.emitter AND c.sequence = l.sequence AND c.kind IN ('call', 'copy', 'release')
             WHERE l.kind IN ('call', 'correction', 'release', 'reversal') AND l.writer = $1 AND l.entry <= $2
             AND (l.tenant = $3 OR $4 AND l.tenant >= $3 || '/' AND l.tenant < $3 || '0') AND {counts}",
            ENTRY.replace("l.rating", "coalesce(l.rating, o.rating)")
        )
    };
    // One index each.
    let began = part("l.billed IS NULL AND l.started_ns >= $5 AND l.started_ns < $6");
    let sql = format!("{began} UNION ALL {} ORDER BY 2", part("l.billed >= $7 AND l.billed <= $8"));
    let ((begins, ends), (first, last)) = (which.begins_and_ends_ns(), which.days());
    let Booked { tenant, below, until, .. } = which;
    let values: &Values<'_> = &[&until.writer, &until.number, tenant, below, &begins, &ends, &first, &last];
    reader.each_row(&sql, values, entry, each)
}

/// Entries in their order, a reversal or a correction with the event of its call, a reversal with the rating of what it takes back.
pub fn written(
    reader: &PostgresReader,
    behind: EntryId,
    until: i64,
    each: Each<'_, WrittenEntry>,
) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT {ENTRY}, l.event, c.event, o.rating FROM ledger l
         LEFT JOIN ledger o ON l.kind = 'reversal' AND o.writer = l.refers_writer AND o.entry = l.refers_entry
         LEFT JOIN ledger c ON l.kind IN ('reversal', 'correction')
         AND c.emitter = l.emitter AND c.sequence = l.sequence AND c.kind IN ('call', 'copy', 'release')
         WHERE l.writer = $1 AND l.entry > $2 AND l.entry <= $3 ORDER BY l.entry"
    );
    let read = |row: &tokio_postgres::Row| {
        Ok(WrittenEntry { entry: entry(row)?, call: row.try_get(21)?, taken_back: row.try_get(22)? })
    };
    reader.each_row(&sql, &[&behind.writer, &behind.number, &until], read, each)
}

/// The records that are charged for calls of a response id, which began on a day.
pub fn holders(reader: &PostgresReader, day: i64, response: i64) -> Result<Vec<EntryId>, StoreError> {
    let sql = "SELECT place FROM responses WHERE day = $1 AND response = $2 ORDER BY proof";
    let places = reader.all(sql, &[&day, &response], |row| word(row, 0, "place", Place::from_text))?;
    Ok(places.iter().flat_map(Place::entries).collect())
}

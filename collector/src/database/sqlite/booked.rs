//! What is booked for a tenant in a month, what each entry of the chain counts, and which entries a response id leads to.

use rusqlite::{Connection, Row, params};

use super::place;
use super::read::{ENTRY, each_row, entry, known_word};
use crate::store::entry::{Entry, EntryId};
use crate::store::responses::Place;
use crate::store::{Booked, Each, StoreError, WrittenEntry};

/// What is booked, each with the event of its call, a reversal with the rating of what it takes back.
pub fn booked(connection: &Connection, which: &Booked, each: Each<'_, Entry>) -> Result<(), StoreError> {
    let whose: &[&str] = match which.below {
        true => &["l.tenant = ?2", "l.tenant >= ?2 || '/' AND l.tenant < ?2 || '0'"],
        false => &["l.tenant = ?2"],
    };
    let mut parts = Vec::new();
    for whose in whose {
        // One index each: a plus says that a column is no bound of one.
        let times = if whose.contains(">=") { "+l.started_ns" } else { "l.started_ns" };
        let began = format!("l.billed IS NULL AND {times} >= ?3 AND {times} < ?4 AND {whose}");
        let booked = format!("l.billed BETWEEN ?5 AND ?6 AND {}", whose.replace("l.tenant", "+l.tenant"));
        for counts in [began, booked] {
            parts.push(format!(
                "SELECT {}, coalesce(l.event, c.event) FROM ledger l
                 LEFT JOIN ledger o ON l.kind = 'reversal' AND o.entry = l.refers
                 LEFT JOIN ledger c ON l.event IS NULL
                 AND c.emitter = l.emitter AND c.sequence = l.sequence AND c.kind IN ('call', 'copy', 'release')
                 WHERE l.kind IN ('call', 'correction', 'release', 'reversal') AND +l.entry > ?7 AND +l.entry <= ?1
                 AND {counts}",
                ENTRY.replace("l.rating", "coalesce(l.rating, o.rating)")
            ));
        }
    }
    let sql = format!("{} ORDER BY 1", parts.join(" UNION ALL "));
    let ((begins, ends), (first, last)) = (which.begins_and_ends_ns(), which.days());
    let until = which.until;
    let before = place::key(EntryId { number: 0, ..until });
    let key = params![place::key(until), which.tenant, begins, ends, first, last, before];
    each_row(connection, &sql, key, entry, each)
}

/// Entries in their order, a reversal or a correction with the event of its call, a reversal with the rating of what it takes back.
pub fn written(
    connection: &Connection,
    behind: i64,
    until: i64,
    each: Each<'_, WrittenEntry>,
) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT {ENTRY}, l.event, c.event, o.rating FROM ledger l
         LEFT JOIN ledger o ON l.kind = 'reversal' AND o.entry = l.refers
         LEFT JOIN ledger c ON l.kind IN ('reversal', 'correction')
         AND c.emitter = l.emitter AND c.sequence = l.sequence AND c.kind IN ('call', 'copy', 'release')
         WHERE l.entry > ?1 AND l.entry <= ?2 ORDER BY l.entry"
    );
    let read = |row: &Row<'_>| Ok(WrittenEntry { entry: entry(row)?, call: row.get(19)?, taken_back: row.get(20)? });
    each_row(connection, &sql, [behind, until], read, each)
}

/// The records that are charged for calls of a response id, which began on a day.
pub fn holders(connection: &Connection, day: i64, response: i64) -> Result<Vec<EntryId>, StoreError> {
    let sql = "SELECT place FROM responses WHERE day = ?1 AND response = ?2 ORDER BY proof";
    let place = |row: &Row<'_>| known_word(0, row.get_ref(0)?.as_str()?, Place::from_text);
    let mut holders = Vec::new();
    let mut each = |place: Place| {
        holders.extend(place.entries());
        Ok(())
    };
    each_row(connection, sql, [day, response], place, &mut each)?;
    Ok(holders)
}

//! The entries that count in a span of time, for reports of what the sums do not have.

use tokio_postgres::Row;

use super::known::{ENTRY, entry};
use crate::store::{CountedEntry, StoreError};

/// What counts in a span of time: its values are the ends, the tenant, the first and the last day.
pub fn sql() -> String {
    // What is below a tenant is one range of the index: a `0` is the next character behind a `/`.
    let whose = "($3::text IS NULL OR l.tenant = $3 OR l.tenant >= $3 || '/' AND l.tenant < $3 || '0')";
    let began = "l.billed IS NULL AND l.started_ns >= $1 AND l.started_ns < $2";
    // The days are texts of one form, whatever the collation.
    let days = "BETWEEN $4::text AND $5::text";
    // The record of a call has its event; a correction has that of its record.
    let event = "LEFT JOIN ledger c ON l.event IS NULL
         AND c.emitter = l.emitter AND c.sequence = l.sequence AND c.kind IN ('call', 'copy', 'release')";
    let standing = |counts: &str| {
        format!(
            "SELECT {ENTRY}, coalesce(l.event, c.event), NULL::bigint, NULL::text FROM ledger l {event}
             WHERE l.kind IN ('call', 'correction', 'release') AND {counts} AND {whose}
             AND NOT EXISTS (SELECT 1 FROM ledger r WHERE r.refers_writer = l.writer AND r.refers_entry = l.entry
                             AND r.kind = 'reversal')"
        )
    };
    let booked = format!("l.billed {days}");
    // One index each.
    format!(
        "{} UNION ALL {} UNION ALL
         SELECT {ENTRY}, coalesce(l.event, c.event), r.received_ns, r.billed FROM ledger r
         JOIN ledger l ON l.writer = r.refers_writer AND l.entry = r.refers_entry {event}
         WHERE r.kind = 'reversal' AND r.billed IS NOT NULL AND (r.billed {days} OR {began} OR {booked}) AND {whose}",
        standing(began),
        standing(&booked)
    )
}

/// An entry that counts, with what takes it back.
pub fn counted(row: &Row) -> Result<CountedEntry, StoreError> {
    let taken_back = row.try_get::<_, Option<i64>>(21)?.zip(row.try_get(22)?);
    Ok(CountedEntry { entry: entry(row)?, taken_back })
}

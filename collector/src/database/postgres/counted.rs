//! The entries that count in a span of time, for reports of what the sums do not have.

use tokio_postgres::Row;

use super::known::{ENTRY, entry};
use crate::store::{CountedEntry, StoreError};

/// What counts in a span of time: its values are the ends, the tenant, the first and the last day.
pub fn sql() -> String {
    // The days are texts of one form, whatever the collation.
    let days = "BETWEEN $4::text AND $5::text";
    let began = format!("(l.billed IS NULL AND l.started_ns >= $1 AND l.started_ns < $2 OR l.billed {days})");
    let whose = "($3::text IS NULL OR l.tenant = $3 OR starts_with(l.tenant, $3 || '/'))";
    let event = "JOIN ledger c
         ON c.emitter = l.emitter AND c.sequence = l.sequence AND c.kind IN ('call', 'copy', 'release')";
    format!(
        "SELECT {ENTRY}, c.event, NULL::bigint, NULL::text FROM ledger l {event}
         WHERE l.kind IN ('call', 'correction', 'release') AND {began} AND {whose}
         AND NOT EXISTS (SELECT 1 FROM ledger r WHERE r.refers_writer = l.writer AND r.refers_entry = l.entry
                         AND r.kind = 'reversal')
         UNION ALL
         SELECT {ENTRY}, c.event, r.received_ns, r.billed FROM ledger r
         JOIN ledger l ON l.writer = r.refers_writer AND l.entry = r.refers_entry {event}
         WHERE r.kind = 'reversal' AND r.billed IS NOT NULL AND (r.billed {days} OR {began}) AND {whose}"
    )
}

/// An entry that counts, with what takes it back.
pub fn counted(row: &Row) -> Result<CountedEntry, StoreError> {
    let taken_back = row.try_get::<_, Option<i64>>(21)?.zip(row.try_get(22)?);
    Ok(CountedEntry { entry: entry(row)?, taken_back })
}

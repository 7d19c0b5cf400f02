//! The entries that count in a span of time, for reports of what the sums do not have.

use rusqlite::{Connection, Row, params};

use super::read::{ENTRY, each_row, entry};
use crate::store::{CountedEntry, Each, Span, StoreError};

/// Those that stand, and those that were taken back after their month was closed.
pub fn counted(connection: &Connection, span: &Span, each: Each<'_, CountedEntry>) -> Result<(), StoreError> {
    let counts = "(l.billed IS NULL AND l.started_ns >= ?1 AND l.started_ns < ?2 OR l.billed BETWEEN ?4 AND ?5)";
    let whose = "(?3 IS NULL OR l.tenant = ?3 OR substr(l.tenant, 1, length(?3) + 1) = ?3 || '/')";
    let event = "JOIN ledger c
        ON c.emitter = l.emitter AND c.sequence = l.sequence AND c.kind IN ('call', 'copy', 'release')";
    let sql = format!(
        "SELECT {ENTRY}, c.event, NULL, NULL FROM ledger l {event}
         WHERE l.kind IN ('call', 'correction', 'release') AND {counts} AND {whose}
         AND NOT EXISTS (SELECT 1 FROM ledger r WHERE r.refers = l.entry AND r.kind = 'reversal')
         UNION ALL
         SELECT {ENTRY}, c.event, r.received_ns, r.billed FROM ledger r JOIN ledger l ON l.entry = r.refers {event}
         WHERE r.kind = 'reversal' AND r.billed IS NOT NULL AND (r.billed BETWEEN ?4 AND ?5 OR {counts}) AND {whose}"
    );
    let [first, last] = span.days();
    let values = params![span.from_ns, span.until_ns, span.tenant, first, last];
    let read = |row: &Row<'_>| {
        let taken_back = row.get::<_, Option<i64>>(18)?.zip(row.get(19)?);
        Ok(CountedEntry { entry: entry(row)?, taken_back })
    };
    each_row(connection, &sql, values, read, each)
}

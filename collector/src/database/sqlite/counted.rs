//! The entries that count in a span of time, for reports of what the sums do not have.

use rusqlite::{Connection, Row, params};

use super::read::{ENTRY, each_row, entry};
use crate::store::{CountedEntry, Each, Span, StoreError};

/// Whose entries, where one tenant is asked for: its own, then those of what is below it (a `0` is the next character behind a
/// `/`). Each is one range of the index, which is of tenant and time.
const OF_TENANT: [&str; 2] = ["l.tenant = ?3", "l.tenant >= ?3 || '/' AND l.tenant < ?3 || '0'"];
const OF_ALL: [&str; 1] = ["?3 IS NULL"];

/// Those that stand, and those that were taken back after their month was closed.
pub fn counted(connection: &Connection, span: &Span, each: Each<'_, CountedEntry>) -> Result<(), StoreError> {
    let whose: &[&str] = if span.tenant.is_some() { &OF_TENANT } else { &OF_ALL };
    // The record of a call has its event; a correction has that of its record.
    let event = "LEFT JOIN ledger c ON l.event IS NULL
        AND c.emitter = l.emitter AND c.sequence = l.sequence AND c.kind IN ('call', 'copy', 'release')";
    let mut parts = Vec::new();
    for whose in whose {
        // One index each: a plus says that a column is no bound of one.
        let times = if whose.contains(">=") { "+l.started_ns" } else { "l.started_ns" };
        let began = format!("l.billed IS NULL AND {times} >= ?1 AND {times} < ?2 AND {whose}");
        let booked = format!("l.billed BETWEEN ?4 AND ?5 AND {}", whose.replace("l.tenant", "+l.tenant"));
        for counts in [&began, &booked] {
            parts.push(format!(
                "SELECT {ENTRY}, coalesce(l.event, c.event), NULL, NULL FROM ledger l {event}
                 WHERE l.kind IN ('call', 'correction', 'release') AND {counts}
                 AND NOT EXISTS (SELECT 1 FROM ledger r WHERE r.refers = l.entry AND r.kind = 'reversal')"
            ));
        }
        parts.push(format!(
            "SELECT {ENTRY}, coalesce(l.event, c.event), r.received_ns, r.billed
             FROM ledger r CROSS JOIN ledger l ON l.entry = r.refers {event}
             WHERE r.kind = 'reversal' AND r.billed IS NOT NULL
             AND (r.billed BETWEEN ?4 AND ?5 OR {began} OR {booked}) AND {whose}"
        ));
    }
    let [first, last] = span.days();
    let values = params![span.from_ns, span.until_ns, span.tenant, first, last];
    let read = |row: &Row<'_>| {
        let taken_back = row.get::<_, Option<i64>>(19)?.zip(row.get(20)?);
        Ok(CountedEntry { entry: entry(row)?, taken_back })
    };
    each_row(connection, &parts.join(" UNION ALL "), values, read, each)
}

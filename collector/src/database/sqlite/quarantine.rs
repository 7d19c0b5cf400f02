//! What is quarantined, for those who read.

use rusqlite::Connection;

use super::known::{KEPT, quarantined};
use super::read::each_row;
use crate::store::{Each, Quarantined, StoreError, Whose};

/// Without what was released and does not say any more what it was.
pub fn all(connection: &Connection, whose: Whose<'_>, each: Each<'_, Quarantined>) -> Result<(), StoreError> {
    let (which, emitter) = match whose {
        Whose::All => ("?1 IS NULL", None),
        Whose::Emitter(name) => ("emitter = ?1", Some(name)),
        Whose::Nobody => ("emitter IS ?1", None),
    };
    let sql = format!(
        "{KEPT} WHERE {which} AND (released IS NULL OR length(event) > 0)
         ORDER BY emitter, sequence, first_received_ns, event"
    );
    each_row(connection, &sql, [emitter], quarantined, each)
}

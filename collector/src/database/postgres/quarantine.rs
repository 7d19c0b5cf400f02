//! What is quarantined, for those who read.

use super::known::{KEPT, quarantined};
use super::reader::PostgresReader;
use crate::store::{Each, Quarantined, StoreError, Whose};

/// Without what was released and does not say any more what it was.
pub fn all(reader: &PostgresReader, whose: Whose<'_>, each: Each<'_, Quarantined>) -> Result<(), StoreError> {
    let (which, emitter) = match whose {
        Whose::All => ("$1::text IS NULL", None),
        Whose::Emitter(name) => ("emitter = $1", Some(name)),
        Whose::Nobody => ("$1::text IS NULL AND emitter IS NULL", None),
    };
    let sql = format!(
        "{KEPT} WHERE {which} AND (released_entry IS NULL OR length(event) > 0)
         ORDER BY emitter NULLS FIRST, sequence NULLS FIRST, first_received_ns, event"
    );
    reader.each_row(&sql, &[&emitter], quarantined, each)
}

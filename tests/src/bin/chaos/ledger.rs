//! The ledger, read past the collector: what stands in its database is what counts.

use std::path::Path;

use e2e::{Result, event::Event};
use rusqlite::{Connection, OpenFlags};

/// An entry that is a call's record.
pub struct Entry {
    /// Whether it is charged. A copy, the same response seen by a second meter, is kept and not charged.
    pub charged: bool,
    pub event: Event,
}

/// All of them, in the order they came.
pub fn read(database: &Path) -> Result<Vec<Entry>> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement =
        connection.prepare("SELECT kind, event FROM ledger WHERE kind IN ('call', 'copy') ORDER BY entry")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (kind, event) = row?;
        Ok(Entry { charged: kind == "call", event: Event::parse(&event)? })
    })
    .collect()
}

//! A ledger on its way into a backup.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::check::Chains;
use super::form::{Begin, Cells, End, FORMAT, First, Sum, VERSION, hex};
use crate::store::tables::{Item, Table};
use crate::store::{Head, StoreError};

/// The level of gzip: half the size of level 1, and still faster than a ledger is read from a disk.
const LEVEL: u32 = 4;

/// A backup that is written.
pub struct Writing<W: Write> {
    to: GzEncoder<W>,
    sha: Sha256,
    line: Vec<u8>,
    table: Option<&'static Table>,
    rows: u64,
    chains: Chains,
}

impl<W: Write> Writing<W> {
    /// Begins one.
    pub fn new(to: W, now: Timestamp) -> Result<Writing<W>, StoreError> {
        let (sha, line, table, rows, chains) = Default::default();
        let mut writing = Writing { to: GzEncoder::new(to, Compression::new(LEVEL)), sha, line, table, rows, chains };
        writing.line(&First {
            format: FORMAT.to_owned(),
            version: VERSION,
            written_by: env!("CARGO_PKG_VERSION").to_owned(),
            begun: now.to_string(),
        })?;
        Ok(writing)
    }

    /// What comes next. A ledger whose chains are not whole is no backup of itself: that is said, and not written over another.
    pub fn item(&mut self, item: Item) -> Result<(), StoreError> {
        match item {
            Item::Table(table) => {
                self.table = Some(table);
                let columns = table.columns.iter().map(|column| column.name).collect();
                self.line(&Begin { table: table.name, columns })
            }
            Item::Row(row) => {
                if let Some(table) = self.table {
                    self.chains.row(table, &row).map_err(broken)?;
                }
                self.rows = self.rows.saturating_add(1);
                self.line(&Cells(&row))
            }
        }
    }

    /// Entries that there are in all, as far as is known; and rows that were written.
    pub fn progress(&self) -> (u64, u64) {
        (self.chains.entries(), self.rows)
    }

    /// Ends it; what it was written to, and where the chains end.
    pub fn end(mut self) -> Result<(W, Vec<Head>), StoreError> {
        let heads = self.chains.heads().map_err(broken)?;
        let sha256 = hex(&self.sha.clone().finalize());
        let rows = self.rows;
        self.line(&End { end: Sum { rows, sha256 } })?;
        Ok((self.to.finish().map_err(failed)?, heads))
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), StoreError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line).map_err(|error| StoreError::Unusable(error.to_string()))?;
        self.line.push(b'\n');
        self.sha.update(&self.line);
        self.to.write_all(&self.line).map_err(failed)
    }
}

fn failed(error: io::Error) -> StoreError {
    StoreError::Unusable(format!("the backup cannot be written: {error}"))
}

fn broken(problem: String) -> StoreError {
    StoreError::Unusable(format!("the ledger is not what was written: {problem}"))
}

//! Where the ledger can be kept: the databases, each an adapter to the port in [`crate::store`].

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::secret;
use crate::store::tables::{EachItem, NextItem};
use crate::store::{Reader, Store, StoreError};

mod checks;
mod coarse;
pub mod memory;
pub mod postgres;
pub mod sqlite;
#[cfg(test)]
mod suite;

/// Who hears how far a work is, a line each time.
pub type Tell<'a> = &'a mut dyn FnMut(&str);

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(postgres::Address),
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Location, String> {
        if let Some(address) = postgres::Address::of(text) {
            return Ok(Location::Postgres(address));
        }
        if text.is_empty() || secret::is_connection(text) {
            // The text is not repeated: there may be a password in it.
            return Err(
                "must be postgres://USER:PASSWORD@HOST/DATABASE, or the path of a file; one whose name looks like \
                        an address begins with its directory, ./NAME"
                    .to_owned(),
            );
        }
        Ok(Location::Sqlite(text.into()))
    }
}

impl Location {
    /// Opens the database for a command that writes, beside a collector or without; creates what is missing.
    pub fn open(&self) -> Result<Box<dyn Store + Send>, StoreError> {
        match self {
            Location::Sqlite(path) => Ok(Box::new(sqlite::Sqlite::open_patiently(path)?)),
            Location::Postgres(_) => self.open_telling(&mut |_| {}),
        }
    }

    /// Opens it for a collector, whose senders wait. A ledger of an earlier version is brought up to date: what takes long says
    /// how far it is.
    pub fn open_telling(&self, tell: Tell<'_>) -> Result<Box<dyn Store + Send>, StoreError> {
        match self {
            Location::Sqlite(path) => Ok(Box::new(sqlite::Sqlite::open(path)?)),
            Location::Postgres(address) => Ok(Box::new(postgres::Postgres::open_telling(address, tell)?)),
        }
    }

    /// Who reads it; nothing is opened yet.
    pub fn reader(&self) -> Arc<dyn Reader> {
        match self {
            Location::Sqlite(path) => Arc::new(sqlite::SqliteReader::new(path)),
            Location::Postgres(address) => Arc::new(postgres::PostgresReader::new(address.clone())),
        }
    }

    /// Who reads it as of now, whatever is written meanwhile: one question after the other, for a work that takes a while.
    pub fn reader_at_one_moment(&self) -> Result<Arc<dyn Reader>, StoreError> {
        Ok(match self {
            Location::Sqlite(path) => Arc::new(sqlite::SqliteReader::new(path).at_one_moment()?),
            Location::Postgres(address) => Arc::new(postgres::PostgresReader::new(address.clone()).at_one_moment()?),
        })
    }

    /// All that is kept, table by table, as of one moment; whoever writes goes on meanwhile.
    pub fn read_all(&self, each: EachItem<'_>) -> Result<(), StoreError> {
        match self {
            Location::Sqlite(path) => sqlite::read_all(&sqlite::SqliteReader::new(path), each),
            Location::Postgres(address) => postgres::read_all(address, each),
        }
    }

    /// Makes a ledger of what is given, where none is or an empty one: all of it, or nothing.
    pub fn restore(&self, next: NextItem<'_>) -> Result<(), StoreError> {
        match self {
            Location::Sqlite(path) => sqlite::restore(path, next),
            Location::Postgres(address) => postgres::restore(address, next),
        }
    }
}

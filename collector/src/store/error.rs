//! Why a store could not do what it was asked for.

use std::fmt;

use crate::terminal::printable;

/// Why the store could not do what it was asked for.
#[derive(Debug)]
pub enum StoreError {
    /// The database refused or failed.
    Database(Box<dyn std::error::Error + Send + Sync>),
    /// It is not a ledger that this version can use.
    Unusable(String),
    /// Its file was deleted or replaced: what is written goes nowhere.
    Gone(String),
    /// A part of it is kept elsewhere, where nobody responds now.
    Away(String),
    /// The collector's own clock is behind what it names: until it is set, nothing can be taken that seems to be of the future.
    Clock(&'static str),
}

impl StoreError {
    /// Added up it is more than can be counted.
    pub fn too_large() -> StoreError {
        StoreError::Unusable("a sum does not fit in 128 bits".to_owned())
    }

    /// Something in the database that this version does not know.
    pub fn unknown(column: &str, value: &str) -> StoreError {
        let value = printable(value);
        StoreError::Unusable(format!("{column}: this version does not know \"{value}\"; use the version that wrote it"))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Database(error) => write!(f, "database: {error}"),
            StoreError::Unusable(problem) | StoreError::Gone(problem) | StoreError::Away(problem) => {
                f.write_str(problem)
            }
            StoreError::Clock(than) => write!(f, "this host's clock is behind {than}: set it"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StoreError::Database(error) => Some(error.as_ref()),
            StoreError::Unusable(_) | StoreError::Gone(_) | StoreError::Away(_) | StoreError::Clock(_) => None,
        }
    }
}

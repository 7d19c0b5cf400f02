//! Sealed months: the first part of each chain is in an archive, the Parquet files that `meshmeter export` writes, and of those
//! entries the database has only what it needs itself. Whoever reads the ledger reads both as one.

mod archive;
mod beside;
mod merged;
mod reader;
mod seal;
mod unseal;

pub use archive::{Archived, Settings, open, whole_name};
pub use reader::Whole;
#[cfg(test)]
pub(crate) use seal::run_by;
pub use seal::{Checked, Plan, Request, check, plan, run};
#[cfg(test)]
pub(crate) use unseal::bring_back_by;
pub use unseal::{Back, bring_back, come_back};

use std::fmt;

use crate::store::StoreError;

/// Why nothing is done, or not all.
#[derive(Debug)]
pub enum Failure {
    /// The store failed, or the archive.
    Store(StoreError),
    /// It cannot be done so.
    Refused(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Store(error) => error.fmt(f),
            Failure::Refused(problem) => f.write_str(problem),
        }
    }
}

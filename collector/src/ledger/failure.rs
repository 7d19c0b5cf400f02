//! Why a change that a person asks for is not made.

use std::fmt;

use crate::store::StoreError;

/// Why nothing is done, or not all.
#[derive(Debug)]
pub enum Failure {
    /// The store failed.
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

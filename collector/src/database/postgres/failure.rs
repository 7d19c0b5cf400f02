//! What the server says when it cannot, and whether it is worth asking again.

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::store::StoreError;

/// Why a transaction did not work out.
#[derive(Debug)]
pub enum Failure {
    /// Another collector was faster: what was loaded is no longer so.
    Raced(String),
    /// The connection is gone, and nothing was to be committed yet.
    Lost(String),
    /// Asking again would not help.
    Failed(StoreError),
}

impl Failure {
    /// For who asked.
    pub fn into_error(self) -> StoreError {
        match self {
            Failure::Raced(text) | Failure::Lost(text) => StoreError::Database(text.into()),
            Failure::Failed(error) => error,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Failed(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let said = text(&error);
        match error.code() {
            Some(code)
                if [
                    SqlState::T_R_SERIALIZATION_FAILURE,
                    SqlState::T_R_DEADLOCK_DETECTED,
                    SqlState::UNIQUE_VIOLATION,
                ]
                .contains(code) =>
            {
                Failure::Raced(said)
            }
            // An administrator ends the connection, or the server goes down.
            Some(code) if code.code().starts_with("57P") => Failure::Lost(said),
            None if is_lost(&error) => Failure::Lost(said),
            _ => Failure::Failed(StoreError::Database(said.into())),
        }
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> StoreError {
        StoreError::Database(text(&error).into())
    }
}

/// Whether the connection broke.
pub fn is_lost(error: &Error) -> bool {
    error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>())
}

/// What was said. Without the server's details: they would quote rows.
pub fn text(error: &Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(said), _) => format!("{} (SQLSTATE {})", said.message(), said.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

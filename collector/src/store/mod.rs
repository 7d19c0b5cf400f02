//! What the collector keeps: the ledger, the sequence ranges, the rollup and the dead letters.
//!
//! This is the boundary of storage: what goes in and what comes out. [`sqlite`] is the store behind it.

use std::fmt;

use jiff::civil::Date;
use meter::event::Event;
use meter::record::{Evidence, Record};
use meter::usage::Class;
use serde_json::value::RawValue;

mod ranges;
mod rollup;
pub mod sqlite;

/// One event of a delivery.
pub struct Arrival {
    /// Its bytes as they were sent.
    pub bytes: Box<RawValue>,
    /// What they say, or why they cannot be taken.
    pub decoded: Result<Event, String>,
}

/// The events of one delivery.
pub type Batch = Vec<Arrival>;

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Taken {
    /// Events that are new in the ledger.
    pub accepted: u64,
    /// Events that the ledger had before: not charged again.
    pub duplicates: u64,
    /// Events that are kept apart, with a reason.
    pub dead_letters: u64,
}

/// What a row of the rollup counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counted {
    /// Calls.
    Calls,
    /// A class of usage.
    Usage(Class),
}

impl Counted {
    const CALLS: &'static str = "calls";

    fn name(self) -> &'static str {
        match self {
            Counted::Calls => Self::CALLS,
            Counted::Usage(class) => class.name(),
        }
    }

    fn from_name(name: &str) -> Option<Counted> {
        if name == Self::CALLS { Some(Counted::Calls) } else { Class::from_name(name).map(Counted::Usage) }
    }
}

/// A row of the rollup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupRow {
    /// The day (UTC) on which the calls began.
    pub day: Date,
    /// Who is charged.
    pub tenant: String,
    /// Who answered.
    pub provider: String,
    /// The model that answered, else the one asked for, else empty.
    pub model: String,
    /// How good the counts are.
    pub evidence: Evidence,
    /// What is counted.
    pub counted: Counted,
    /// How many.
    pub quantity: i64,
}

/// Which rows of the rollup to read.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The first day.
    pub since: Option<Date>,
    /// The last day.
    pub until: Option<Date>,
    /// Only this tenant, and what is below it: `acme` and `acme/ml`.
    pub tenant: Option<String>,
}

/// The model a call is charged for.
pub fn model_of(record: &Record) -> &str {
    record.response_model.as_deref().or(record.request_model.as_deref()).unwrap_or("")
}

/// Why the store could not do what it was asked for.
#[derive(Debug)]
pub enum StoreError {
    /// The database refused or failed.
    Database(rusqlite::Error),
    /// The file is not a ledger that this version can use.
    Unusable(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Database(error) => write!(f, "database: {error}"),
            StoreError::Unusable(problem) => f.write_str(problem),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StoreError::Database(error) => Some(error),
            StoreError::Unusable(_) => None,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::Database(error)
    }
}

//! The port to where the ledger is kept: what passes through it, what a database must be able to do, and how it fails. The
//! ledger's rules stand above it and know no database; the databases (`crate::database`) are adapters beneath it. Only what a
//! version without a chain has left goes through the rules when its database is migrated.

mod booked;
pub mod budgets;
pub mod days;
pub mod emitters;
pub mod entry;
mod error;
pub mod forgetting;
pub mod months;
pub mod names;
pub mod pruning;
pub mod ranges;
mod reader;
pub mod responses;
pub mod sealing;
pub mod sums;
pub mod tables;
mod totals;
mod transaction;

pub use booked::Booked;
pub use error::StoreError;
pub use reader::{CountedEntry, Each, Quarantined, Reader, Selection, Span, Tally, Whose, WrittenEntry};
pub use totals::{Dimension, RollupRow, Total};
pub use transaction::{Changes, Content, Head, Keys, Known, QuarantinedEvent, Store};

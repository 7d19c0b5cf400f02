//! Ledger entries as Parquet files: rows in, files in a directory or a bucket out, each row once.
//!
//! [`export()`] reads rows from a [`Source`] in the order of the ledger's chains and writes them to a [`Place`]. It knows no
//! database and no price book: what an entry counts is in its [`Row`]. What a file has in it is said in [`columns`], from which
//! its schema and the documentation are made.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::unwrap_used
    )
)]

pub mod archive;
mod buffer;
pub mod columns;
mod error;
mod export;
mod file;
mod files;
mod log;
pub mod place;
mod row;
mod selection;

pub use archive::{Archive, Kept};
pub use error::Error;
pub use export::{Commit, Done, Progress, Source, export};
pub use files::{Bounds, Written, tenant_hash};
pub use place::Place;
pub use row::{End, Line, Position, Row};
pub use selection::Selection;

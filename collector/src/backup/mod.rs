//! A ledger as one file: everything that is kept, as of one moment, whatever database it comes from and goes to.
//!
//! The file is JSON lines, compressed with gzip: a line that says what it is, then for each table a line with its name and columns
//! and a line for each row, and at the end how many rows there were and the SHA-256 of all lines before. It is written and read
//! row by row. What is read is checked as it comes: its form, every entry's hash, the ends of the chains, the checksum; the database
//! keeps nothing of it unless it was right to the end.

mod check;
mod file;
mod form;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use file::{Partial, rename};
pub use form::table as documentation;
pub use read::Reading;
pub use write::Writing;

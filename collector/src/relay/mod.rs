//! The ledger as a stream: its entries as messages, for the crate `relay`, which sends them to Kafka.

mod message;
pub mod metrics;
mod source;
#[cfg(test)]
pub mod tests;

pub use message::{FIELDS, Field};
pub use source::LedgerSource;

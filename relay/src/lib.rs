//! Sends the entries of a ledger to a Kafka topic: those of each writer in the order of their chain, each exactly once for a
//! reader with `isolation.level=read_committed`.
//!
//! A transaction has entries and the [`Position`] behind them, which goes to a topic of its own. Both are committed or
//! neither is, so the position says at any time what readers have. Whoever opens a session under the relay's transactional id
//! first ends whatever an earlier one left behind, and then reads the position. So nothing depends on how a relay ended, and
//! after any failure a session is given up and another one is opened.
//!
//! This crate knows no database. A [`Source`] gives entries as JSON, and [`run`] drives it. The client of Kafka is known to
//! `session`, `kafka` and `failure` alone.

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

mod address;
mod failure;
mod kafka;
mod options;
mod position;
mod progress;
mod run;
mod session;
mod source;

pub use address::{Address, topic};
pub use kafka::{Mechanism, Sasl, Security, Tls};
pub use options::Options;
pub use position::{Beginning, Place, Position};
pub use progress::Progress;
pub use run::{Ended, Log, run};
pub use source::{End, Limit, Message, Source, SourceError};

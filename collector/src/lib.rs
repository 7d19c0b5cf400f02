//! The billing collector: takes usage events, keeps the ledger, rates it and reports.
//!
//! [`serve`] receives, [`store`] keeps, [`report`] adds up; [`prices`] and [`money`] are what a charge is made of.
//! The binary `meshmeter` is a thin command line over this library.
//!
//! What arrives is read with the crate [`wire`]. Of [`meter`] this library uses detection and catalogues alone: [`reconcile`]
//! judges with it which lines of an access log are calls, [`prices`] knows the providers by the names that it gives them, `check`
//! checks the plugin's configuration, and [`doctor`] knows the plugin's metrics and the providers' hosts. How a response is read,
//! and what its counts mean, is no business of the collector's.

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

pub mod backup;
pub mod budget;
pub mod copies;
pub mod database;
pub mod doctor;
pub mod explain;
pub mod export;
pub mod exposition;
pub mod fetch;
pub mod files;
pub mod forget;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod gaps;
pub mod ingest;
pub mod ledger;
pub mod money;
pub mod open;
mod pause;
pub mod prices;
pub mod prune;
pub mod quarantine;
pub mod reconcile;
pub mod relay;
pub mod report;
pub mod sealed;
pub mod secret;
pub mod serve;
pub mod statement;
pub mod store;
pub mod tenant;
pub mod terminal;
pub mod top;
pub mod verify;

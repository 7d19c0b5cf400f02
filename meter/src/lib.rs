//! The core of meshmeter: bytes and facts of an LLM call in, one usage record out. The record itself, and all else that the
//! collector sees, is in the crate [`wire`].
//!
//! Sans-IO: no proxy-wasm, no clock, no network. Time comes in as an argument, outputs are polled. It runs inside
//! other people's proxies, so nothing in here may panic, and every buffer has a cap that is a named constant.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

#[cfg(test)]
#[macro_use]
extern crate cases;

pub mod call;
pub mod config;
pub mod encoding;
pub mod estimate;
pub mod failures;
mod framing;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod identity;
pub mod provider;
pub mod rewrite;
pub mod scan;
pub mod signals;
pub mod telemetry;

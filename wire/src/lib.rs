//! What crosses the wire from the plugin to the collector, and how it is written and read on both sides.
//!
//! A call's [`record::Record`] with its [`usage::Usage`] and [`identity::Identity`] travels as one CloudEvent ([`event`]).
//! The emitter proves its name with a key ([`emitter`]) and states how far it has counted ([`statement`]); the collector
//! responds with what it has quarantined ([`quarantine`]). What a worker may spend of a budget it holds as a lease
//! ([`lease`]). Nothing here knows how any of it came about or is charged.
//!
//! The collector reads what anybody may have sent, and the plugin runs inside other people's proxies: nothing in here may
//! panic, and every text has a cap that is a named constant.

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

#[macro_use]
mod words;

pub mod emitter;
pub mod event;
pub mod identity;
mod invalid;
mod json;
pub mod lease;
pub mod quarantine;
pub mod record;
pub mod statement;
pub mod usage;

pub use invalid::Invalid;

/// Reads JSON. Whoever reads some in the plugin reads it by this: each instance of the reader takes 25 KB of WebAssembly.
#[inline(never)]
pub fn read_json(bytes: &[u8]) -> Result<serde_json::Value, serde_json::Error> {
    serde_json::from_slice(bytes)
}

/// The words of a catalogue for its readers: what makes the tables of the documentation has them, the plugin has not.
pub const fn for_readers(text: &'static str) -> &'static str {
    if cfg!(target_os = "wasi") { "" } else { text }
}

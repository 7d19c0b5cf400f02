//! Exports of made-up ledgers, read back: killed at every step, repeated, filtered, refused.

mod altered;
mod archive;
mod bucket;
mod columns;
mod killed;
#[cfg(target_os = "linux")]
mod large;
mod pinned;
mod repeated;
mod support;

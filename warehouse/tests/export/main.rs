//! Exports of made-up ledgers, read back: killed at every step, repeated, filtered, refused.

mod columns;
mod killed;
mod repeated;
mod support;

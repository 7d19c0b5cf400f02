//! What must hold for any bytes that come to the collector: functions that panic where it does not.
//!
//! `just fuzz SECONDS` calls them from libFuzzer; the tests here call them with seeds and with random mutations of seeds.
//! To add one: as in `meter/src/fuzz.rs`; seeds go into `tests/fuzz/seeds/collector/`.
// A promise that does not hold must panic: that is what a fuzzer looks for.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod ingest;
mod journals;
mod laws;
mod prices;
mod request;

pub use ingest::ingest;
pub use journals::journals;
use meter::fuzz::Function;
pub use prices::prices;

/// Every fuzz function by the name of its target.
pub const TARGETS: &[(&str, Function)] = &[("ingest", ingest), ("journals", journals), ("prices", prices)];

/// When everything comes in: 2026-02-01T00:00:00Z.
const NOW_NS: i64 = 1_769_904_000_000_000_000;

#[cfg(test)]
mod tests {
    use meter::fuzz::smoke::{Trial, declared};

    use super::*;

    #[test]
    fn contract_every_fuzz_function_holds_for_seeds_and_mutations() {
        Trial::new("collector", &[], 6000).run(TARGETS);
    }

    #[test]
    fn contract_each_target_is_declared() {
        declared("collector", TARGETS);
    }
}

//! Every fuzz function over the seeds and mutations of them, and whether libFuzzer knows it.

use super::TARGETS;
use super::smoke::{Trial, declared};

/// The longest mutated input, bytes: byte by byte, long ones take their time.
const LONGEST: usize = 2000;

#[test]
fn contract_every_fuzz_function_holds_for_seeds_and_mutations() {
    Trial::new("meter", &["fixtures/provider"], LONGEST).run(TARGETS);
}

#[test]
fn contract_each_target_is_declared() {
    declared("meter", TARGETS);
}

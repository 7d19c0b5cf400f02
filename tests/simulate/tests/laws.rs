//! The laws hold, and whoever takes a guard away is noticed.

use simulate::budgets::Budgeting;
use simulate::runner::{Until, run_many};
use simulate::{Counted, Delivering, Guard, Mutation, World, run};

/// Enough that every fault happens with every other.
const SCHEDULES: u64 = 80;
/// Without a guard a law must break within so many schedules; the slowest is noticed in half of them.
const BOUND: u64 = 100;
/// The same with budgets, where a worker that ends while calls run seldom has what others then get.
const BUDGETS_BOUND: u64 = 400;

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The laws hold in so many schedules, and everything that can happen does.
fn holds<W: World>(schedules: u64) {
    let total = run_many::<W>(1, Until::Schedules(schedules), None, threads(), &|_| {});
    assert_eq!(total.broken, None, "its steps: just simulate --seed N --trace");
    let idle: Vec<&str> =
        total.counts.named().into_iter().filter_map(|(name, count)| (count == 0).then_some(name)).collect();
    assert!(idle.is_empty(), "a run in which this never happens shows little: {idle:?}");
}

fn notices<W: World>(bound: u64) {
    for mutation in W::Mutation::ALL {
        let total = run_many::<W>(1, Until::Schedules(bound), Some(*mutation), threads(), &|_| {});
        assert!(total.broken.is_some(), "{} was not noticed in {bound} schedules", mutation.word());
    }
}

#[test]
fn race_whatever_goes_wrong_no_call_is_lost_and_none_charged_twice() {
    holds::<Delivering>(SCHEDULES);
}

#[test]
fn race_whatever_goes_wrong_no_worker_spends_what_another_has() {
    holds::<Budgeting>(SCHEDULES);
}

#[test]
fn deterministic_without_a_guard_a_law_breaks() {
    notices::<Delivering>(BOUND);
    notices::<Budgeting>(BUDGETS_BOUND);
}

#[test]
fn deterministic_the_same_seed_gives_the_same_steps() {
    for seed in 1..=12 {
        let (first, second) = (run(seed, None, true), run(seed, None, false));
        assert_eq!((first.hash, first.counts), (second.hash, second.counts), "seed {seed}");
        assert!(first.lines.len() > 10 && second.lines.is_empty());
    }
    assert_ne!(run(1, None, false).hash, run(2, None, false).hash);
}

#[test]
fn deterministic_a_broken_law_breaks_again_with_the_same_words() {
    let mutation = Some(Mutation::AcknowledgeBeforeCommit);
    let total = run_many::<Delivering>(1, Until::Schedules(BOUND), mutation, threads(), &|_| {});
    let (seed, violation) = total.broken.expect("it is noticed");
    assert_eq!(run(seed, mutation, false).violation, Some(violation));
}

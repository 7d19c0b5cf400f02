//! Many schedules, on every core: each world is a thread's own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Counted, Counts, Outcome, Violation, World};

/// Until when.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// So many schedules.
    Schedules(u64),
    /// So long.
    Time(Duration),
}

/// What many schedules came to.
#[derive(Clone, Debug, Default)]
pub struct Total<C = Counts> {
    /// How many.
    pub schedules: u64,
    /// What was counted in them.
    pub counts: C,
    /// The lowest seed whose schedule breaks a law, and which.
    pub broken: Option<(u64, Violation)>,
}

/// Runs the schedules of the seeds from `first`, until one breaks a law. `progress` is told now and then.
pub fn run_many<W: World>(
    first: u64,
    until: Until,
    mutation: Option<W::Mutation>,
    threads: usize,
    progress: &(dyn Fn(&Total<W::Counts>) + Sync),
) -> Total<W::Counts> {
    let (next, stop) = (AtomicU64::new(first), AtomicBool::new(false));
    let (total, begun) =
        (Mutex::new(Total { schedules: 0, counts: W::Counts::default(), broken: None }), Instant::now());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let is_over = match until {
                        Until::Schedules(count) => seed - first >= count,
                        Until::Time(time) => begun.elapsed() >= time,
                    };
                    if is_over {
                        break;
                    }
                    let outcome = run_caught::<W>(seed, mutation);
                    let mut total = total.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    total.schedules += 1;
                    total.counts.add(&outcome.counts);
                    if let Some(violation) = outcome.violation {
                        stop.store(true, Ordering::Relaxed);
                        if total.broken.as_ref().is_none_or(|(known, _)| seed < *known) {
                            total.broken = Some((seed, violation));
                        }
                    }
                    progress(&total);
                }
            });
        }
    });
    total.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A panic in the code under test is the worst that can be found.
fn run_caught<W: World>(seed: u64, mutation: Option<W::Mutation>) -> Outcome<W::Counts> {
    catch_unwind(AssertUnwindSafe(|| W::run(seed, mutation, false))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Outcome { violation: Some(Violation::new("nothing panics", text.unwrap_or_default())), ..Outcome::default() }
    })
}

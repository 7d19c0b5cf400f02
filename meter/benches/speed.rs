//! The benches' cases without criterion, for a WebAssembly VM: `just bench-scan`.

mod cases;

use std::time::{Duration, Instant};

/// Until the VM has compiled what is hot for the second time.
const WARM_UP: Duration = Duration::from_millis(700);
const MEASURE: Duration = Duration::from_millis(20);
const ROUNDS: usize = 50;

fn main() {
    // Words behind the program's name choose cases, as with criterion.
    let words: Vec<String> = std::env::args().skip(1).collect();
    let chosen = |case: &cases::Case| words.is_empty() || words.iter().any(|word| case.name.contains(word.as_str()));
    for case in cases::bodies().into_iter().filter(chosen) {
        println!("{:18} {:7.2} GB/s", case.name, case.bytes() as f64 / nanoseconds(&case));
    }
    for case in cases::streams().into_iter().filter(chosen) {
        println!("{:18} {:7.0} ns per event", case.name, nanoseconds(&case) / case.events() as f64);
    }
}

/// Of one run, in the best of many short rounds: what else the machine does can only add to it.
fn nanoseconds(case: &cases::Case) -> f64 {
    repeat(case, WARM_UP);
    (0..ROUNDS).map(|_| repeat(case, MEASURE)).fold(f64::INFINITY, f64::min)
}

fn repeat(case: &cases::Case, time: Duration) -> f64 {
    let begin = Instant::now();
    let mut runs = 0u32;
    while begin.elapsed() < time {
        case.run();
        runs += 1;
    }
    begin.elapsed().as_nanos() as f64 / f64::from(runs)
}

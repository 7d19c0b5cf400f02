//! A long work in many transactions leaves time to whoever else writes.

use std::time::{Duration, Instant};

/// The longest pause.
const LONGEST: Duration = Duration::from_millis(500);

/// Does one transaction of a long work. Then whoever else writes has as long as it took.
pub fn after<T>(transaction: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = transaction();
    std::thread::sleep(begun.elapsed().min(LONGEST));
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_whoever_else_writes_has_as_long_as_a_transaction_took_and_at_most_half_a_second() {
        for (took_ms, least_ms) in [(0, 0), (40, 80), (600, 1100)] {
            let begun = Instant::now();
            let done = after(|| {
                std::thread::sleep(Duration::from_millis(took_ms));
                took_ms
            });
            assert_eq!(done, took_ms);
            assert!(begun.elapsed() >= Duration::from_millis(least_ms), "{:?}", begun.elapsed());
        }
        let begun = Instant::now();
        after(|| std::thread::sleep(Duration::from_millis(1500)));
        assert!(begun.elapsed() < Duration::from_millis(2800), "{:?}", begun.elapsed());
    }
}

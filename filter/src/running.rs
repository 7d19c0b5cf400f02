//! How long this VM has run, so that one that does not run any more is missed.

/// The most that counts between two ticks, ms: ticks come several times a second, and a clock that was set forward is not time
/// that the VM has run.
const MAX_MS: u64 = 5000;

/// The time that is counted already.
#[derive(Debug, Default)]
pub struct Running {
    /// Up to when; none before the first tick.
    counted_ms: Option<u64>,
}

impl Running {
    /// Whole seconds that have passed since they were last counted.
    pub fn seconds(&mut self, now_ms: u64) -> i64 {
        let Some(counted_ms) = self.counted_ms.replace(now_ms) else { return 0 };
        let passed_ms = now_ms.saturating_sub(counted_ms).min(MAX_MS);
        let (seconds, rest_ms) = (passed_ms / 1000, passed_ms % 1000);
        self.counted_ms = Some(now_ms.saturating_sub(rest_ms));
        i64::try_from(seconds).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_seconds_are_counted_once_whatever_the_ticks_and_the_clock_do() {
        let mut running = Running::default();
        let steps = [(100, 0), (350, 0), (1100, 1), (1100, 0), (1350, 0), (2099, 0), (2100, 1), (4700, 2), (5100, 1)];
        for (now_ms, seconds) in steps {
            assert_eq!(running.seconds(now_ms), seconds, "{now_ms}");
        }
        assert_eq!(running.seconds(86_400_000), 5, "the clock was set forward");
        assert_eq!(running.seconds(1000), 0, "and back");
        assert_eq!(running.seconds(2000), 1);
    }
}

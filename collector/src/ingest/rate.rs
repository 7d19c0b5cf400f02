//! How many events a second a credential may send: a bucket that is filled at a rate, and may go into debt for one batch,
//! so that a batch of any size passes at last.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::refusal::Refusal;
use crate::ledger::Sender;

/// The highest rate, events a second: far above what a collector takes.
pub const MAX_RATE: u32 = 1_000_000;
/// What may come at once: the events of so long.
const BURST: Duration = Duration::from_secs(10);

/// The buckets of a credential: requests for leases have one of their own, of the same size. Otherwise a tenant that
/// makes its Envoy send too many events would keep it from leases, and so switch its own budgets off.
#[derive(Debug)]
pub struct Bucket {
    rate: u32,
    /// Until when the events that were sent have used up the rate.
    events_until: Mutex<Instant>,
    /// The same of requests for leases.
    leases_until: Mutex<Instant>,
}

impl Bucket {
    /// A full one.
    pub fn new(rate: u32, now: Instant) -> Bucket {
        Bucket { rate: rate.clamp(1, MAX_RATE), events_until: Mutex::new(now), leases_until: Mutex::new(now) }
    }

    /// Takes room for so many events, all or none, or says after how long to come again. What is taken for no events
    /// only asks.
    pub fn take(&self, events: usize, now: Instant) -> Result<(), Duration> {
        self.take_from(&self.events_until, events, now)
    }

    /// The same for requests for leases, by what they count as.
    pub fn take_for_leases(&self, events: usize, now: Instant) -> Result<(), Duration> {
        self.take_from(&self.leases_until, events, now)
    }

    fn take_from(&self, used_until: &Mutex<Instant>, events: usize, now: Instant) -> Result<(), Duration> {
        let mut used_until = used_until.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = used_until.saturating_duration_since(now);
        if ahead >= BURST {
            return Err(ahead.saturating_sub(BURST));
        }
        let nanos = u128::try_from(events).unwrap_or(u128::MAX).saturating_mul(1_000_000_000);
        let takes = nanos.checked_div(u128::from(self.rate)).and_then(|nanos| u64::try_from(nanos).ok());
        let begin = now.max(*used_until);
        *used_until = begin.checked_add(Duration::from_nanos(takes.unwrap_or(u64::MAX))).unwrap_or(begin);
        Ok(())
    }
}

/// A sender that was let in.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Who delivers, for the ledger.
    pub sender: Sender,
    /// How much of it; none: as much as it likes.
    pub bucket: Option<Arc<Bucket>>,
}

impl Admitted {
    /// Takes room for so many events from the credential's rate; none only ask.
    pub fn take(&self, events: usize, now: Instant) -> Result<(), Refusal> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        bucket.take(events, now).map_err(Refusal::TooMany)
    }

    /// The same for a request for leases.
    pub fn take_for_leases(&self, events: usize, now: Instant) -> Result<(), Refusal> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        bucket.take_for_leases(events, now).map_err(Refusal::TooMany)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_in_the_long_run_no_more_passes_than_the_rate_and_the_wait_that_is_told_is_true() {
        for (rate, batch) in [(1, 100), (3, 1), (1000, 100), (50, 16_384)] {
            let begun = Instant::now();
            let bucket = Bucket::new(rate, begun);
            let (mut now, mut passed) = (begun, 0_u64);
            for _ in 0..2000 {
                match bucket.take(batch, now) {
                    Ok(()) => passed += batch as u64,
                    Err(wait) => {
                        if wait > Duration::from_millis(1) {
                            assert!(
                                bucket.take(batch, now + wait - Duration::from_millis(1)).is_err(),
                                "told too much"
                            );
                        }
                        now += wait;
                        assert_eq!(bucket.take(0, now + Duration::from_nanos(1)), Ok(()), "told too little");
                        now += Duration::from_nanos(1);
                    }
                }
            }
            let allowed = (now - begun + BURST).as_secs_f64() * f64::from(rate) + batch as f64 + 1.0;
            assert!(passed as f64 <= allowed, "{passed} of {allowed} at {rate}");
            assert!(passed as f64 * 1.01 >= allowed - batch as f64 - 2.0, "{passed} of {allowed} at {rate}");
        }
    }

    #[test]
    fn contract_who_was_silent_may_send_a_burst_and_no_more() {
        let begun = Instant::now();
        let bucket = Bucket::new(10, begun);
        let later = begun + Duration::from_secs(3600);
        let passed = (0..1000).filter(|_| bucket.take(1, later).is_ok()).count();
        assert_eq!(passed, 100);
        assert_eq!(bucket.take(usize::MAX, later + Duration::from_secs(1)), Ok(()), "one batch of any size");
        assert!(bucket.take(1, later + Duration::from_secs(3600)).is_err());
    }
}

//! The archive of sealed months is looked at now and then, so that somebody hears of it before a report does: as gauges, and in
//! the log. Nothing waits for it, and whether the collector is ready does not depend on it. How many months are sealed the database
//! says, whenever somebody asks for metrics.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::log;
use super::responses::blocking;
use crate::sealed::{Months, Seen, Settings, Watcher};
use crate::store::sealing::Sealed;
use crate::store::{Reader, StoreError};

/// How often at most.
const INTERVAL: Duration = Duration::from_secs(600);
/// So rarely that it takes one part in so many of the time.
const SHARE: u32 = 50;
/// But as often as this.
const LONGEST: Duration = Duration::from_secs(3600);

/// What is known of the archive; nothing as long as nothing is sealed. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    known: Arc<Mutex<Option<Known>>>,
    months: Arc<Mutex<Months>>,
}

/// What the gauges say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    months: usize,
    broken: usize,
    /// When it was looked at last, seconds since 1970; 0 if it was not.
    checked_s: u64,
}

impl Archive {
    pub fn registered(registry: &mut Registry) -> Archive {
        let archive = Archive::default();
        registry.register_collector(Box::new(archive.clone()));
        archive
    }

    #[cfg(test)]
    pub fn set(&self, known: Option<Known>) {
        *held(&self.known) = known;
    }

    /// Counts anew how many months are sealed.
    pub async fn refresh(&self, reader: Arc<dyn Reader>) {
        let archive = self.clone();
        let counted = blocking(move || archive.count(&*reader).map_err(|error| error.to_string())).await;
        if let Err(problem) = counted {
            log::often("sealed_months", || format!("how many months are sealed cannot be counted: {problem}"));
        }
    }

    /// What is sealed, if anything is, and how many months that are. What was seen of them at the last look stays.
    fn count(&self, reader: &dyn Reader) -> Result<Option<(Vec<Sealed>, usize)>, StoreError> {
        // Held until it is known, so that nobody says what was known before.
        let mut counted = held(&self.months);
        let sealed = counted.sealed(reader)?;
        let mut known = held(&self.known);
        *known = sealed.as_ref().map(|(_, months)| {
            let Known { broken, checked_s, .. } = known.unwrap_or_default();
            Known { months: *months, broken: broken.min(*months), checked_s }
        });
        Ok(sealed)
    }

    /// Looks until the process ends: a thread of its own, for an archive can be slow to respond.
    pub fn watch(&self, reader: Arc<dyn Reader>, settings: Settings) -> Result<(), String> {
        let (archive, mut watcher) = (self.clone(), Watcher::of(settings));
        let mut told = Vec::new();
        let thread = std::thread::Builder::new().name("archive".to_owned());
        let started = thread.spawn(move || {
            loop {
                let begun = Instant::now();
                match archive.look(&*reader, &mut watcher) {
                    Ok(seen) => told = tell(&seen.unwrap_or_default(), told),
                    Err(problem) => log::warn(&format!("the archive of sealed months was not looked at: {problem}")),
                }
                std::thread::sleep(pause(begun.elapsed()));
            }
        });
        started.map(drop).map_err(|error| format!("no thread to watch the archive: {error}"))
    }

    fn look(&self, reader: &dyn Reader, watcher: &mut Watcher) -> Result<Option<Seen>, StoreError> {
        // Should the look not end, as at a network disk that hangs, the time of the last one says so.
        let Some((sealed, months)) = self.count(reader)? else { return Ok(None) };
        let seen = watcher.look(&sealed, months);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Meanwhile less may be sealed, or nothing.
        if let Some(known) = held(&self.known).as_mut() {
            (known.broken, known.checked_s) = (seen.broken.min(known.months), now.as_secs());
        }
        Ok(Some(seen))
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells what is not there, when that has changed. Returns what was told.
fn tell(seen: &Seen, told: Vec<String>) -> Vec<String> {
    if seen.problems == told {
        return told;
    }
    let Seen { months, broken, .. } = seen;
    for problem in &seen.problems {
        log::error(problem);
    }
    match broken {
        0 => log::info("the archive of sealed months is there again"),
        _ => log::error(&format!("{broken} of {months} sealed months cannot be read: reports that need them fail")),
    }
    seen.problems.clone()
}

/// How long nothing is looked at, after a look that took so long.
fn pause(took: Duration) -> Duration {
    took.saturating_mul(SHARE).clamp(INTERVAL, LONGEST)
}

impl Collector for Archive {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let Some(Known { months, broken, checked_s }) = *held(&self.known) else { return Ok(()) };
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let gauges = [
            ("sealed_months", count(months), "Months that are sealed; absent if none is."),
            (
                "sealed_months_broken",
                count(broken),
                "Sealed months of which a file of the archive was missing or of another length at the last look; all, if the \
                 archive did not respond or has other manifests.",
            ),
            (
                "archive_checked_timestamp_seconds",
                i64::try_from(checked_s).unwrap_or(i64::MAX),
                "When the archive of sealed months was last looked at; 0 before that.",
            ),
        ];
        for (name, value, meaning) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, meaning, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_a_slow_archive_is_looked_at_more_rarely_but_always_within_the_hour() {
        assert_eq!(pause(Duration::ZERO), INTERVAL);
        assert_eq!(pause(Duration::from_secs(12)), INTERVAL);
        assert_eq!(pause(Duration::from_secs(30)), Duration::from_secs(1500));
        assert_eq!(pause(Duration::from_secs(300)), LONGEST);
    }
}

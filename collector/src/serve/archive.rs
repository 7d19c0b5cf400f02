//! The archive of sealed months is looked at now and then, so that somebody hears of it before a report does: as gauges, and in
//! the log. Nothing waits for it, and whether the collector is ready does not depend on it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::log;
use crate::database::Location;
use crate::sealed::{Seen, Settings, Watcher};
use crate::store::StoreError;

/// How often at most.
const INTERVAL: Duration = Duration::from_secs(600);
/// So rarely that it takes one part in so many of the time.
const SHARE: u32 = 50;
/// But as often as this.
const LONGEST: Duration = Duration::from_secs(3600);

/// What is known of the archive; nothing as long as nothing is sealed. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Archive(Arc<Mutex<Option<Known>>>);

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

    pub fn set(&self, known: Option<Known>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    fn known(&self) -> Option<Known> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks until the process ends: a thread of its own, for an archive can be slow to respond.
    pub fn watch(&self, database: &Location, settings: Settings) -> Result<(), String> {
        let (archive, mut watcher) = (self.clone(), Watcher::of(database, settings));
        let mut told = Vec::new();
        let thread = std::thread::Builder::new().name("archive".to_owned());
        let started = thread.spawn(move || {
            loop {
                let begun = Instant::now();
                match archive.look(&mut watcher) {
                    Ok(seen) => told = tell(&seen.unwrap_or_default(), told),
                    Err(problem) => log::warn(&format!("the archive of sealed months was not looked at: {problem}")),
                }
                std::thread::sleep(pause(begun.elapsed()));
            }
        });
        started.map(drop).map_err(|error| format!("no thread to watch the archive: {error}"))
    }

    fn look(&self, watcher: &mut Watcher) -> Result<Option<Seen>, StoreError> {
        let Some((sealed, months)) = watcher.sealed()? else {
            self.set(None);
            return Ok(None);
        };
        // Should the look not end, as at a network disk that hangs, the time of the last one says so.
        self.set(Some(Known { months, ..self.known().unwrap_or_default() }));
        let seen = watcher.look(&sealed, months);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.set(Some(Known { months: seen.months, broken: seen.broken, checked_s: now.as_secs() }));
        Ok(Some(seen))
    }
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
        let Some(Known { months, broken, checked_s }) = self.known() else { return Ok(()) };
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

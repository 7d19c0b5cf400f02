//! What the ledger lacks, as gauges: counted when somebody asks for the metrics, and not again for a while.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::log;
use super::responses::blocking;
use crate::gaps::{self, Counts, Question};
use crate::store::{Reader, StoreError, Tally};

/// How often it is counted at most.
const INTERVAL: Duration = Duration::from_secs(15);
/// It is counted so rarely that it takes one part in so many of the time, however large the ledger is.
const SHARE: u32 = 50;
/// Who has not been heard of for so long, and had no final flush, has fallen silent: as in `meshmeter gaps`.
const SILENT_AFTER_NS: i64 = 300_000_000_000;

/// What the ledger lacks, as it was counted last. Clones share it.
#[derive(Clone, Debug)]
pub struct Wanting {
    /// Nothing if it is not known: then there are no gauges.
    counts: Arc<Mutex<Option<Counts>>>,
    /// When it may be counted again.
    next: Arc<tokio::sync::Mutex<Option<Instant>>>,
}

impl Wanting {
    pub fn registered(registry: &mut Registry) -> Wanting {
        let wanting = Wanting { counts: Arc::default(), next: Arc::default() };
        registry.register_collector(Box::new(wanting.clone()));
        wanting
    }

    /// Counts again, if it is time to. Who asks meanwhile waits for the same response.
    pub async fn refresh(&self, reader: Arc<dyn Reader>) {
        let mut next = self.next.lock().await;
        let begun = Instant::now();
        if next.is_some_and(|next| begun < next) {
            return;
        }
        // Should whoever asks go away meanwhile, nobody else begins at once.
        *next = begun.checked_add(INTERVAL);
        let counts = blocking(move || count(&*reader).map_err(|error| error.to_string())).await;
        if let Err(problem) = &counts {
            log::warn(&format!("what the ledger lacks cannot be counted: {problem}"));
        }
        self.set(counts.ok());
        let now = Instant::now();
        let pause = now.saturating_duration_since(begun).saturating_mul(SHARE).max(INTERVAL);
        *next = now.checked_add(pause);
    }

    pub fn set(&self, counts: Option<Counts>) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }
}

impl Collector for Wanting {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let Some(counts) = *self.counts.lock().unwrap_or_else(PoisonError::into_inner) else { return Ok(()) };
        let Counts { missing, open_ends, tally: Tally { alarms, dead_letters, unpriced_calls } } = counts;
        let gauges = [
            (
                "missing_numbers",
                missing,
                "Numbers of emitters that are missing in the ledger: `meshmeter gaps` names them.",
            ),
            ("open_ends", open_ends, "Emitters that fell silent 5 minutes ago or earlier, without a final flush."),
            ("alarms", alarms, "Quarantined events that contradict the ledger or exceed the limits of a credential."),
            ("dead_letters", dead_letters, "Quarantined events that cannot be read."),
            ("unpriced_calls", unpriced_calls, "Calls of a day, tenant and model of which something has no price."),
        ];
        for (name, count, meaning) in gauges {
            let gauge = ConstGauge::new(count);
            gauge.encode(encoder.encode_descriptor(name, meaning, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

fn count(reader: &dyn Reader) -> Result<Counts, StoreError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ns = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
    gaps::count(reader, Question { now_ns, silent_after_ns: SILENT_AFTER_NS })
}

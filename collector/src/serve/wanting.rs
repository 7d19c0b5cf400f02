//! What the ledger lacks, as gauges and as JSON: counted when somebody asks, and not again for a while.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serde::Serialize;

use super::responses::blocking;
use super::{App, log};
use crate::gaps::{self, Counts, Lacking, Question};
use crate::ingest::refusal::{Busy, Refusal};
use crate::store::{Reader, StoreError, Tally};
use crate::terminal;

/// How often it is counted at most.
const INTERVAL: Duration = Duration::from_secs(15);
/// It is counted so rarely that it takes one part in so many of the time, however large the ledger is.
const SHARE: u32 = 50;
/// Who has not been heard of for so long, and had no final flush, has fallen silent: as in `meshmeter gaps`.
const SILENT_AFTER_NS: i64 = 300_000_000_000;
/// Emitters that are named, of those of which something is missing.
pub const NAMED: usize = 100;

/// What the ledger lacks, as it was counted last. Clones share it.
#[derive(Clone, Debug)]
pub struct Wanting {
    /// Nothing if it is not known: then there are no gauges.
    found: Arc<Mutex<Option<Found>>>,
    /// When it may be counted again.
    next: Arc<tokio::sync::Mutex<Option<Instant>>>,
}

/// How much is lacking, and of which emitters most.
type Found = (Counts, Vec<Lacking>);

impl Wanting {
    pub fn registered(registry: &mut Registry) -> Wanting {
        let wanting = Wanting { found: Arc::default(), next: Arc::default() };
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
        let found = blocking(move || find(&*reader).map_err(|error| error.to_string())).await;
        if let Err(problem) = &found {
            log::warn(&format!("what the ledger lacks cannot be counted: {problem}"));
        }
        self.set(found.ok());
        let now = Instant::now();
        let pause = now.saturating_duration_since(begun).saturating_mul(SHARE).max(INTERVAL);
        *next = now.checked_add(pause);
    }

    pub fn set(&self, found: Option<Found>) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }

    fn found(&self) -> Option<Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Serialize)]
struct Gaps<'a> {
    missing: i64,
    open_ends: i64,
    alarms: i64,
    dead_letters: i64,
    emitters: Vec<Emitter<'a>>,
}

#[derive(Serialize)]
struct Emitter<'a> {
    emitter: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    node: &'a str,
    state: &'static str,
    heard: String,
    missing: i64,
}

/// `GET /v1/gaps`: how much is missing, and of which emitters most.
pub async fn handle(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    app.metrics.wanting.refresh(app.reader.clone()).await;
    let (counts, lacking) = app.metrics.wanting.found().ok_or(Refusal::Busy(Busy::Database))?;
    let emitters = lacking.iter().map(|of| Emitter {
        emitter: &of.emitter,
        node: &of.node,
        state: of.state.as_str(),
        heard: gaps::time(of.heard_ns),
        missing: of.missing,
    });
    let gaps = Gaps {
        missing: counts.missing,
        open_ends: counts.open_ends,
        alarms: counts.tally.alarms,
        dead_letters: counts.tally.dead_letters,
        emitters: emitters.collect(),
    };
    let text = serde_json::to_string_pretty(&gaps).map_err(|error| Refusal::Internal(error.to_string()))?;
    Ok(([(CONTENT_TYPE, "application/json")], terminal::json(&text) + "\n").into_response())
}

impl Collector for Wanting {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let Some((counts, _)) = self.found() else { return Ok(()) };
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

fn find(reader: &dyn Reader) -> Result<Found, StoreError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ns = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
    gaps::count(reader, Question { now_ns, silent_after_ns: SILENT_AFTER_NS }, NAMED)
}

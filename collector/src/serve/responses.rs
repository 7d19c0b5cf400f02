//! Responses about the service itself: metrics.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use tokio::sync::OwnedSemaphorePermit;

use super::metrics::Tenants;
use super::{App, log, metrics};
use crate::ingest::refusal::{Busy, Refusal};
use crate::report::ReportError;
use crate::sealed::SEALED_MEANWHILE;
use crate::store::StoreError;

/// A longer text of metrics, bytes, takes a place until it is sent: each is in memory as long.
const LONG: usize = 1 << 20;

pub async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    scraped(app, Tenants::Named).await
}

/// The same for whoever asks, as far as it is for everybody.
pub async fn open_metrics(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    let tenants = app.open_tenants;
    scraped(app, tenants).await
}

async fn scraped(app: Arc<App>, tenants: Tenants) -> Result<Response, Refusal> {
    // Held until the text is sent.
    let place = app.scrapes.clone().acquire_owned().await.map_err(|_| Refusal::Busy(Busy::Stopping))?;
    app.metrics.wanting.refresh(app.reader.clone()).await;
    app.metrics.budgets.refresh(app.reader.clone()).await;
    app.metrics.archive.refresh(app.reader.clone()).await;
    let (strangers, known) = app.registry.count();
    let now = metrics::Now { queued: app.room.waiting(), strangers, known };
    let metrics = app.metrics.clone();
    // Of a hundred thousand tenants it takes a while.
    let text = blocking(move || metrics.text(&now, tenants).map_err(|error| error.to_string()));
    let text = text.await.map_err(Refusal::Internal)?;
    // One that is short is nothing to wait for.
    let place = (text.len() > LONG).then_some(place);
    let body = Body::from(Bytes::from_owner(Scrape { text, _place: place }));
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], body).into_response())
}

/// A text on its way, and its place among those that are.
struct Scrape {
    text: String,
    _place: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Scrape {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl App {
    /// Asks the ledger; a few at a time, for each has files open and holds its response in memory.
    pub async fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, NotRead> + Send + 'static,
    ) -> Result<T, Refusal> {
        let _one = self.readers.acquire().await.map_err(|_| Refusal::Busy(Busy::Stopping))?;
        let read = tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(NotRead::Problem(NO_END.to_owned())));
        // What is said of files, buckets and databases is for whoever runs the collector, and not for every reader.
        read.map_err(|why| match why {
            NotRead::Meanwhile => Refusal::Busy(Busy::Database),
            NotRead::Away(problem) => {
                log::often("archive", || problem);
                Refusal::Busy(Busy::Archive)
            }
            NotRead::Problem(problem) => {
                log::often("not_read", || problem);
                Refusal::Internal("the ledger cannot be read now: the collector's log says why".to_owned())
            }
        })
    }
}

/// Why the ledger could not be read.
pub enum NotRead {
    /// It changed meanwhile.
    Meanwhile,
    /// The archive of sealed months does not respond.
    Away(String),
    /// Something else.
    Problem(String),
}

impl From<StoreError> for NotRead {
    fn from(error: StoreError) -> NotRead {
        match error {
            StoreError::Away(problem) => NotRead::Away(problem),
            StoreError::Unusable(problem) if problem == SEALED_MEANWHILE => NotRead::Meanwhile,
            error => NotRead::Problem(error.to_string()),
        }
    }
}

impl From<ReportError> for NotRead {
    fn from(error: ReportError) -> NotRead {
        match error {
            ReportError::Store(error) => error.into(),
            error => NotRead::Problem(error.to_string()),
        }
    }
}

const NO_END: &str = "the work did not end as it should";

pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(NO_END.to_owned()))
}

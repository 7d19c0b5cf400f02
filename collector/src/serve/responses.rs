//! Responses about the service itself and the ledger: report and metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use tokio::sync::OwnedSemaphorePermit;

use super::auth::Scope;
use super::connections::Connection;
use super::metrics::Tenants;
use super::{App, metrics};
use crate::ingest::refusal::{Busy, Refusal};
use crate::report::{Bounds, Format, Question, Report, ReportError};

/// A longer text of metrics, bytes, takes a place until it is sent: each is in memory as long.
const LONG: usize = 1 << 20;

/// Calls that a report may read, if the sums cannot tell: some seconds for a million. The command has no such bound.
const MAX_CALLS: u64 = 5_000_000;
/// Lines of a report: it is one text, and in memory until it is sent.
const MAX_LINES: usize = 100_000;

/// Reads the parameters of a report.
fn question(parameters: Vec<(String, String)>) -> Result<(Question, Format), Refusal> {
    let (formats, parameters): (Vec<_>, Vec<_>) = parameters.into_iter().partition(|(name, _)| name == "format");
    let format = match formats.as_slice() {
        [] => Format::Json,
        [(_, format)] if format == "json" => Format::Json,
        [(_, format)] if format == "csv" => Format::Csv,
        [(_, format)] if format == "markdown" => Format::Markdown,
        _ => return Err(Refusal::BadRequest("format: must be json, csv or markdown".to_owned())),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ns = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
    let question = Question::parse(parameters, now_ns).map_err(|bad| Refusal::BadRequest(bad.to_string()))?;
    Ok((question, format))
}

pub async fn report(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
    parameters: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, Refusal> {
    app.admit(&connection, &headers, &[Scope::Read]).await?;
    let Query(parameters) = parameters.map_err(|rejection| Refusal::BadRequest(rejection.body_text()))?;
    let (question, format) = question(parameters)?;
    let report = app.report(question).await?;
    let lines = report.len();
    if lines > MAX_LINES {
        let problem = format!(
            "top: there are {lines} lines, and at most {MAX_LINES} are sent; top, fewer columns in by, or a shorter period"
        );
        return Err(Refusal::BadRequest(problem));
    }
    let text = blocking(move || report.render(format).map_err(|error| error.to_string()));
    let text = text.await.map_err(Refusal::Internal)?;
    let content_type = match format {
        Format::Csv => "text/csv; charset=utf-8",
        Format::Markdown => "text/markdown; charset=utf-8",
        Format::Json | Format::Table => "application/json",
    };
    Ok(([(CONTENT_TYPE, content_type)], text).into_response())
}

/// Tells whoever works for a request that nobody waits for its end any more.
#[derive(Default)]
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl App {
    /// Makes a report. One that reads calls is alone: it takes as long as there are calls.
    pub async fn report(&self, question: Question) -> Result<Report, Refusal> {
        let stopping = |_| Refusal::Busy(Busy::Stopping);
        let _alone = if question.reads_entries() { Some(self.scans.acquire().await.map_err(stopping)?) } else { None };
        let reader = self.reader.clone();
        let waiting = Waiting::default();
        let gone = waiting.0.clone();
        let report = self.reading(move || {
            let mut each =
                |_| if gone.load(Ordering::Relaxed) { Err("nobody waits for it".to_owned()) } else { Ok(()) };
            match Report::within(&*reader, question, &mut Bounds { calls: MAX_CALLS, each: &mut each }) {
                Err(ReportError::TooMuch(problem)) => Ok(Err(problem)),
                report => report.map(Ok).map_err(|error| error.to_string()),
            }
        });
        report.await?.map_err(Refusal::BadRequest)
    }
}

pub async fn metrics(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    app.admit(&connection, &headers, &[Scope::Read]).await?;
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
        work: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, Refusal> {
        let _one = self.readers.acquire().await.map_err(|_| Refusal::Busy(Busy::Stopping))?;
        blocking(work).await.map_err(Refusal::Internal)
    }
}

pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err("the work did not end as it should".to_owned()))
}

//! Responses about the service itself and the ledger: report and metrics.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::auth::Scope;
use super::connections::Connection;
use super::metrics::Tenants;
use super::{App, metrics};
use crate::ingest::refusal::{Busy, Refusal};
use crate::report::{self, Format, Question, Report};
use crate::store::Selection;

/// A longer text of metrics, bytes, takes a place until it is sent: each is in memory as long.
const LONG: usize = 1 << 20;

/// The parameters of a report.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    format: Option<String>,
    since: Option<String>,
    until: Option<String>,
    tenant: Option<String>,
    by: Option<String>,
    round: Option<String>,
}

impl Parameters {
    fn question(self) -> Result<(Question, Format), Refusal> {
        let bad = |name: &str, problem: String| Refusal::BadRequest(format!("{name}: {problem}"));
        let day = |name: &str, text: Option<String>| {
            text.map(|text| report::day(&text)).transpose().map_err(|problem| bad(name, problem))
        };
        let format = match self.format.as_deref() {
            None | Some("json") => Format::Json,
            Some("csv") => Format::Csv,
            Some(_) => return Err(bad("format", "must be json or csv".to_owned())),
        };
        let by = report::dimensions(self.by.as_deref().unwrap_or(report::DEFAULT_BY))
            .map_err(|problem| bad("by", problem))?;
        let decimals = |text: String| text.parse().ok().filter(|decimals| *decimals <= 15);
        let round = match self.round {
            None => None,
            Some(text) => {
                Some(decimals(text).ok_or_else(|| bad("round", "must be a whole number from 0 to 15".to_owned()))?)
            }
        };
        let selection = Selection {
            since: day("since", self.since)?,
            until: day("until", self.until)?,
            tenant: self.tenant,
            call: None,
        };
        Ok((Question { selection, by, round }, format))
    }
}

pub async fn report(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Response, Refusal> {
    app.admit(&connection, &headers, &[Scope::Read]).await?;
    let Query(parameters) = parameters.map_err(|rejection| Refusal::BadRequest(rejection.body_text()))?;
    let (question, format) = parameters.question()?;
    let reader = app.reader.clone();
    let text = app.reading(move || {
        let report = Report::of(&*reader, question).map_err(|error| error.to_string())?;
        report.render(format).map_err(|error| error.to_string())
    });
    let text = text.await?;
    let content_type = match format {
        Format::Csv => "text/csv; charset=utf-8",
        Format::Json | Format::Table => "application/json",
    };
    Ok(([(CONTENT_TYPE, content_type)], text).into_response())
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
    let queued = app.jobs.max_capacity().saturating_sub(app.jobs.capacity());
    let (strangers, known) = app.registry.count();
    let now = metrics::Now { queued, strangers, known };
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

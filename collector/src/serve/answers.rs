//! What the service answers about itself and the ledger: report, metrics, health.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::auth::Scope;
use super::refusal::Refusal;
use super::{App, log, metrics};
use crate::report::{self, Format, Question, Report};
use crate::store::Selection;

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
    headers: HeaderMap,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Response, Refusal> {
    app.tokens.authorize(&headers, &[Scope::Read])?;
    let Query(parameters) = parameters.map_err(|rejection| Refusal::BadRequest(rejection.body_text()))?;
    let (question, format) = parameters.question()?;
    let reader = app.reader.clone();
    let text = blocking(move || {
        let report = Report::answer(&*reader, question).map_err(|error| error.to_string())?;
        report.render(format).map_err(|error| error.to_string())
    });
    let text = text.await.map_err(Refusal::Internal)?;
    let content_type = match format {
        Format::Csv => "text/csv; charset=utf-8",
        Format::Json | Format::Table => "application/json",
    };
    Ok(([(CONTENT_TYPE, content_type)], text).into_response())
}

pub async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Refusal> {
    app.tokens.authorize(&headers, &[Scope::Read])?;
    app.metrics.wanting.refresh(app.reader.clone()).await;
    let queued = app.jobs.max_capacity().saturating_sub(app.jobs.capacity());
    let text = app.metrics.text(queued).map_err(|error| Refusal::Internal(error.to_string()))?;
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

/// Healthy is: the writer lives, and the database answers.
pub async fn health(State(app): State<Arc<App>>) -> Result<&'static str, Refusal> {
    if app.jobs.is_closed() {
        return Err(Refusal::Busy("the writer has ended"));
    }
    let reader = app.reader.clone();
    let answer = blocking(move || reader.ping().map_err(|error| error.to_string())).await;
    answer.map(|()| "ok\n").map_err(|problem| {
        // Whoever asks is not known: the reason is for the operator.
        log(&format!("not healthy: {problem}"));
        Refusal::Busy("the database does not answer")
    })
}

pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err("the work did not end in order".to_owned()))
}

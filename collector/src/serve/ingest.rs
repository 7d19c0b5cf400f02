//! `POST /v1/events` over HTTP: reads what [`crate::ingest`] decides about, and responds after the commit.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use wire::{emitter, quarantine, statement};

use super::auth::Scope;
use super::connections::Connection;
use super::writer::Work;
use super::{App, bodies};
use crate::ingest::refusal::{Busy, Refusal};
use crate::ingest::request::{Head, MAX_BODY, Request};
use crate::ingest::response;
use crate::ingest::writer::Job;

/// The numbers in quarantine, as `3,7-9`: those of the only emitter that has some. Where several have, the body tells.
const QUARANTINE: HeaderName = HeaderName::from_static(quarantine::HEADER);

/// The revision of the budgets in force.
const REVISION: HeaderName = HeaderName::from_static(wire::lease::REVISION_HEADER);

pub async fn events(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
    mut body: Body,
) -> Result<Response, Refusal> {
    let result = take(&app, &connection, &headers, &mut body).await;
    bodies::ended(result, body, connection.is_known()).await
}

async fn take(app: &App, connection: &Connection, headers: &HeaderMap, body: &mut Body) -> Result<Response, Refusal> {
    let admitted = app.admit(connection, headers, &[Scope::Ingest, Scope::Journal]).await?;
    let disk_is_full = app.condition.disk().is_err();
    let request = Request::begin(&head(headers), admitted, disk_is_full, &app.room, Instant::now())?;
    if request.statement_refused {
        app.metrics.statement_refused();
    }
    let body = bodies::read(MAX_BODY, headers, body, request.place()).await?;
    // Decoding takes long enough to hold up the other connections of this thread. It goes on, and keeps its room, when the
    // sender is gone.
    let decoding = tokio::task::spawn_blocking(move || request.finish(&body, Instant::now()));
    let batch = decoding.await.map_err(|_| Refusal::Internal("decoding failed".to_owned()))??;
    let (waiter, outcome) = oneshot::channel();
    app.hand_over(Work::Store(Job { batch, waiter }))?;
    let taken = outcome.await.map_err(|_| Refusal::Busy(Busy::Stopping))??;
    let mut response = response::Response::of(&taken)?.into_response();
    // By this a worker sees that budgets have changed, or that there are any.
    response.headers_mut().insert(REVISION, HeaderValue::from(taken.budgets));
    Ok(response)
}

impl App {
    /// Gives work to the writer, if there is room in its queue.
    pub fn hand_over(&self, work: Work) -> Result<(), Refusal> {
        self.jobs.try_send(work).map_err(|error| match error {
            TrySendError::Full(_) => Refusal::Busy(Busy::Queue),
            TrySendError::Closed(_) => Refusal::Busy(Busy::Stopping),
        })
    }
}

/// The headers that decide about a request of an emitter.
pub(super) fn head(headers: &HeaderMap) -> Head<'_> {
    let value = |name: HeaderName| headers.get(name).map(HeaderValue::as_bytes);
    Head {
        content_type: value(CONTENT_TYPE),
        content_encoding: value(CONTENT_ENCODING),
        emitter_key: value(HeaderName::from_static(emitter::KEY_HEADER)),
        statement: value(HeaderName::from_static(statement::HEADER)),
    }
}

impl IntoResponse for response::Response {
    fn into_response(self) -> Response {
        let mut response = ([(CONTENT_TYPE, "application/json")], self.body).into_response();
        if let Some(value) = self.quarantine.and_then(|numbers| HeaderValue::try_from(numbers).ok()) {
            response.headers_mut().insert(QUARANTINE, value);
        }
        response
    }
}

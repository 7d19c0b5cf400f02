//! `POST /v1/leases` over HTTP: reads what [`crate::ingest::leases`] decides about, and responds after the commit.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use tokio::sync::oneshot;
use wire::lease;

use super::auth::Scope;
use super::connections::Connection;
use super::ingest::head;
use super::writer::Work;
use super::{App, bodies};
use crate::ingest::leases::{self, MAX_BODY, Request};
use crate::ingest::refusal::{Busy, Refusal};
use crate::ingest::writer::LeaseJob;

pub async fn handle(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
    mut body: Body,
) -> Result<Response, Refusal> {
    let result = lend(&app, &connection, &headers, &mut body).await;
    bodies::ended(result, body, connection.is_known()).await
}

async fn lend(app: &App, connection: &Connection, headers: &HeaderMap, body: &mut Body) -> Result<Response, Refusal> {
    let admitted = app.admit(connection, headers, &[Scope::Ingest]).await?;
    let disk_is_full = app.condition.disk().is_err();
    let request = Request::begin(&head(headers), admitted, disk_is_full, &app.room, Instant::now())?;
    let body = bodies::read(MAX_BODY, headers, body, request.place()).await?;
    let asked = request.finish(&body, Instant::now())?;
    let (waiter, outcome) = oneshot::channel();
    app.hand_over(Work::Lend(LeaseJob { asked, waiter }))?;
    let response = outcome.await.map_err(|_| Refusal::Busy(Busy::Stopping))??;
    Ok(([(CONTENT_TYPE, leases::CONTENT_TYPE)], lease::encode_response(&response)).into_response())
}

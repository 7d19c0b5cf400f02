//! `POST /v1/missing` over HTTP.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::auth::Scope;
use super::connections::Connection;
use super::{App, bodies};
use crate::ingest::missing::{MAX_BODY, question, response};
use crate::ingest::refusal::Refusal;

pub async fn handle(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
    mut body: Body,
) -> Result<Response, Refusal> {
    let result = asked(&app, &connection, &headers, &mut body).await;
    bodies::ended(result, body, connection.is_known()).await
}

async fn asked(app: &App, connection: &Connection, headers: &HeaderMap, body: &mut Body) -> Result<Response, Refusal> {
    let admitted = app.admit(connection, headers, &[Scope::Journal]).await?;
    let place = app.room.place(&admitted.sender.credential, None, Instant::now());
    let body = bodies::read(MAX_BODY, headers, body, &place).await?;
    let reader = app.reader.clone();
    let response = app.reading(move || {
        let response = question(&body).map(|wanted| response(&*reader, wanted));
        // What the response is made from holds no more than the body, whose room is held until then.
        drop(place);
        Ok(response)
    });
    let response = response.await?.map_err(Refusal::BadRequest)?.map_err(Refusal::Internal)?;
    Ok(([(CONTENT_TYPE, "application/json")], response).into_response())
}

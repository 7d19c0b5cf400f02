//! `POST /v1/events`: reads a batch, decodes its events, and answers after the commit.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use meter::event::statement::{HEADER, Statement};
use meter::event::{BATCH_CONTENT_TYPE, EmitterKey, key};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::App;
use super::auth::Scope;
use super::refusal::Refusal;
use super::split;
use super::writer::Job;
use crate::ledger::{Arrival, Delivery};

/// The largest body, bytes: many times what a filter sends, and decoded in a fraction of a second.
const MAX_BODY: usize = 8 << 20;
/// The most that is read and thrown away of a larger body, bytes: who is cut off in the middle of sending may never
/// see the 413, and would send it again.
const MAX_DISCARDED: usize = 64 << 20;
/// The memory of all bodies together, KiB.
pub const BODIES_KIB: usize = 128 << 10;
/// Events of all bodies together, each of which takes about 1 KiB however short it is.
pub const EVENTS: usize = 128 << 10;
/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
const EVENT_CONTENT_TYPE: &str = "application/cloudevents+json";

pub async fn events(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<Response, Refusal> {
    let mut sender = app.tokens.authorize(&headers, &[Scope::Ingest, Scope::Journal])?;
    sender.emitter = proven_emitter(&headers);
    let form = Form::of(&headers).ok_or(Refusal::UnsupportedType)?;
    let statement = app.statement(&headers);
    let room = room(&app, &headers)?;
    let body = body_within(MAX_BODY, body).await?;
    let events = app.events.clone();
    // Decoding takes long enough to hold up the other connections of this thread. It goes on, and keeps its room, when the
    // sender is gone.
    let decoding = tokio::task::spawn_blocking(move || {
        let elements = form.elements(&body)?;
        let count = u32::try_from(elements.len()).unwrap_or(u32::MAX);
        let decoded =
            events.try_acquire_many_owned(count).map_err(|_| Refusal::Busy("too many events are on their way"))?;
        Ok((arrivals(&elements), [room, decoded]))
    });
    let (arrivals, room) = decoding.await.map_err(|_| Refusal::Internal("decoding failed".to_owned()))??;
    let (done, outcome) = oneshot::channel();
    let delivery = Delivery { sender, statement, arrivals };
    app.jobs.try_send(Job { delivery, done, room }).map_err(|error| match error {
        TrySendError::Full(_) => Refusal::Busy("too many batches are waiting"),
        TrySendError::Closed(_) => Refusal::Busy("shutting down"),
    })?;
    match outcome.await {
        Ok(Some(taken)) => {
            let body = serde_json::to_string(&taken).map_err(|error| Refusal::Internal(error.to_string()))?;
            Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
        }
        Ok(None) => Err(Refusal::Busy("the batch could not be stored")),
        Err(_) => Err(Refusal::Busy("shutting down")),
    }
}

/// The emitter whose key the request shows. One that cannot be read proves nothing.
fn proven_emitter(headers: &HeaderMap) -> Option<String> {
    let key = headers.get(key::HEADER)?;
    EmitterKey::parse(key.as_bytes()).ok().map(|key| key.emitter())
}

impl App {
    /// What the emitter says of itself. One that cannot be read must not hold up its events: it is counted, and left.
    fn statement(&self, headers: &HeaderMap) -> Option<Statement> {
        let value = headers.get(HEADER)?;
        let read = value.to_str().map_err(|_| ()).and_then(|text| text.parse().map_err(|_| ()));
        if read.is_err() {
            self.metrics.statement_refused();
        }
        read.ok()
    }
}

/// Room for a body of the announced length, else of the largest.
fn room(app: &App, headers: &HeaderMap) -> Result<OwnedSemaphorePermit, Refusal> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let kib = announced.unwrap_or(MAX_BODY).min(MAX_BODY).div_ceil(1024);
    let kib = u32::try_from(kib).map_err(|_| Refusal::TooLarge(MAX_BODY))?;
    app.bodies.clone().try_acquire_many_owned(kib).map_err(|_| Refusal::Busy("too many batches are on their way"))
}

/// A body of at most so many bytes that comes in time.
pub async fn body_within(max: usize, body: Body) -> Result<Vec<u8>, Refusal> {
    tokio::time::timeout(BODY_TIMEOUT, read(max, body)).await.map_err(|_| Refusal::TooSlow)?
}

async fn read(max: usize, mut body: Body) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let mut length = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::BadRequest("the body broke off".to_owned()))?;
        let Some(chunk) = frame.data_ref() else { continue };
        length = length.saturating_add(chunk.len());
        if length <= max {
            bytes.extend_from_slice(chunk);
        } else if length <= MAX_DISCARDED {
            bytes = Vec::new();
        } else {
            break;
        }
    }
    if length <= max { Ok(bytes) } else { Err(Refusal::TooLarge(max)) }
}

/// How events come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Batch,
    Single,
}

impl Form {
    pub(crate) fn of(headers: &HeaderMap) -> Option<Form> {
        let encoding = headers.get(CONTENT_ENCODING).map(|value| value.as_bytes());
        if !matches!(encoding, None | Some(b"identity")) {
            return None;
        }
        let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let essence = value.split(';').next()?.trim();
        if essence.eq_ignore_ascii_case(BATCH_CONTENT_TYPE) {
            Some(Form::Batch)
        } else if essence.eq_ignore_ascii_case(EVENT_CONTENT_TYPE) {
            Some(Form::Single)
        } else {
            None
        }
    }

    /// The bytes of each event of a body.
    pub(crate) fn elements(self, body: &[u8]) -> Result<Vec<&[u8]>, Refusal> {
        match self {
            Form::Batch => split::elements(body).map_err(|problem| Refusal::BadRequest(format!("the body: {problem}"))),
            Form::Single => Ok(vec![body.trim_ascii()]),
        }
    }
}

/// Events, each with its bytes as sent, decoded or with the reason why not.
pub(crate) fn arrivals(elements: &[&[u8]]) -> Vec<Arrival> {
    elements.iter().map(|event| Arrival::new(event.to_vec())).collect()
}

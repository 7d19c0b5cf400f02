//! `POST /v1/events`: reads a batch, decodes its events, and responds after the commit.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::response::Response;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use wire::emitter::{self, EmitterKey};
use wire::event::BATCH_CONTENT_TYPE;
use wire::statement::{HEADER, Statement};

use super::auth::Scope;
use super::connections::Connection;
use super::refusal::{Busy, Refusal};
use super::writer::{Job, Work};
use super::{App, bodies, split, taken};
use crate::ledger::{Arrival, Delivery};

/// The largest body, bytes: many times what a filter sends, and decoded in a fraction of a second.
const MAX_BODY: usize = 8 << 20;
/// Bytes of a body that count as an event where the events are fewer.
const BYTES_PER_EVENT: usize = 4096;
const EVENT_CONTENT_TYPE: &str = "application/cloudevents+json";

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
    let mut admitted = app.admit(connection, headers, &[Scope::Ingest, Scope::Journal]).await?;
    admitted.sender.emitter = proven_emitter(headers);
    let form = Form::of(headers).ok_or(Refusal::UnsupportedType)?;
    // Asked now, so that a body that cannot be taken need not come.
    app.condition.disk()?;
    admitted.take(0)?;
    let statement = app.statement(headers);
    let place = app.room.place(&admitted.sender.credential);
    let body = bodies::read(MAX_BODY, headers, body, &place).await?;
    // Decoding takes long enough to hold up the other connections of this thread. It goes on, and keeps its room, when the
    // sender is gone.
    let decoding = tokio::task::spawn_blocking(move || {
        let elements = match form.elements(&body) {
            Ok(elements) => elements,
            Err(refusal) => {
                admitted.take(cost(0, body.len()))?;
                return Err(refusal);
            }
        };
        place.events(elements.len())?;
        admitted.take(cost(elements.len(), body.len()))?;
        Ok((arrivals(&elements), place, admitted.sender))
    });
    let (arrivals, place, sender) = decoding.await.map_err(|_| Refusal::Internal("decoding failed".to_owned()))??;
    place.queue()?;
    let (done, outcome) = oneshot::channel();
    let delivery = Delivery { sender, statement, arrivals };
    app.jobs.try_send(Work::Store(Job { delivery, done, place })).map_err(|error| match error {
        TrySendError::Full(_) => Refusal::Busy(Busy::Queue),
        TrySendError::Closed(_) => Refusal::Busy(Busy::Stopping),
    })?;
    match outcome.await {
        Ok(Some(taken)) => taken::response(&taken),
        Ok(None) => Err(Refusal::Busy(Busy::NotStored)),
        Err(_) => Err(Refusal::Busy(Busy::Stopping)),
    }
}

/// For how many events of its credential's rate a body counts. A batch without events costs a transaction as well.
fn cost(events: usize, bytes: usize) -> usize {
    events.max(bytes.div_ceil(BYTES_PER_EVENT)).max(1)
}

/// The emitter whose key the request shows. One that cannot be read proves nothing.
fn proven_emitter(headers: &HeaderMap) -> Option<String> {
    let key = headers.get(emitter::KEY_HEADER)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_a_body_counts_by_its_events_or_its_bytes_whichever_are_more() {
        for (events, bytes, expected) in [
            (0, 0, 1),
            (0, 2, 1),
            (1, 4096, 1),
            (1, 4097, 2),
            (100, 200_000, 100),
            (1, MAX_BODY, 2048),
            (0, MAX_BODY, 2048),
        ] {
            assert_eq!(cost(events, bytes), expected, "{events} events, {bytes} bytes");
        }
    }
}

//! The response when a request is not done: a status, a JSON body that says why, and when to come again.

use std::time::Duration;

use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::terminal;

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not readable: sending it again would not help.
    BadRequest(String),
    /// Neither a token nor a certificate that is known: `no_token` or `wrong_token`.
    Unauthorized(&'static str),
    /// A token of the other scope.
    Forbidden,
    /// The body did not come in time.
    TooSlow,
    /// The body is over the limit.
    TooLarge(usize),
    /// The body is of another type.
    UnsupportedType,
    /// The credential has used up its rate; it may come again after so long.
    TooMany(Duration),
    /// It cannot be done now, and nothing of it was kept.
    Busy(Busy),
    /// It cannot be done: something on this side is wrong.
    Internal(String),
}

/// Why something cannot be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// Bodies have taken all memory that there is for them.
    Bodies,
    /// Their events have.
    Events,
    /// The writer does not keep up.
    Queue,
    /// The transaction failed.
    NotStored,
    /// The disk is nearly full.
    Disk,
    /// The database does not respond to readers.
    Database,
    /// The database cannot be written.
    NotWritable,
    /// The writer has ended.
    Writer,
    /// All connections are in use.
    Connections,
    /// The service ends.
    Stopping,
}

impl Busy {
    /// Its word in the metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Busy::Bodies => "bodies",
            Busy::Events => "events",
            Busy::Queue => "queue",
            Busy::NotStored => "not_stored",
            Busy::Disk => "disk",
            Busy::Database => "database",
            Busy::NotWritable => "not_writable",
            Busy::Writer => "writer",
            Busy::Connections => "connections",
            Busy::Stopping => "stopping",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Busy::Bodies => "too many batches are on their way",
            Busy::Events => "too many events are on their way",
            Busy::Queue => "too many batches are waiting",
            Busy::NotStored => "the batch could not be stored",
            Busy::Disk => "the disk is nearly full",
            Busy::Database => "the database does not respond",
            Busy::NotWritable => "the database cannot be written",
            Busy::Writer => "the writer has ended",
            Busy::Connections => "too many connections are in use",
            Busy::Stopping => "shutting down",
        }
    }

    /// A full disk does not become empty within a second.
    fn retry_after(self) -> u64 {
        if self == Busy::Disk { 10 } else { 1 }
    }
}

/// Why a response is a refusal, for the metrics.
#[derive(Clone, Copy, Debug)]
pub struct Reason(pub &'static str);

impl Refusal {
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::BadRequest(_) => StatusCode::BAD_REQUEST,
            Refusal::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Refusal::Forbidden => StatusCode::FORBIDDEN,
            Refusal::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Refusal::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::UnsupportedType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Refusal::BadRequest(_) => "bad_request",
            Refusal::Unauthorized(reason) => reason,
            Refusal::Forbidden => "scope",
            Refusal::TooSlow => "slow_body",
            Refusal::TooLarge(_) => "large_body",
            Refusal::UnsupportedType => "content_type",
            Refusal::TooMany(_) => "rate",
            Refusal::Busy(busy) => busy.reason(),
            Refusal::Internal(_) => "internal",
        }
    }

    fn text(&self) -> String {
        match self {
            Refusal::BadRequest(problem) | Refusal::Internal(problem) => problem.clone(),
            Refusal::Unauthorized(_) => "a known bearer token is required".to_owned(),
            Refusal::Forbidden => "this token is not for this".to_owned(),
            Refusal::TooSlow => "the body did not come in time".to_owned(),
            Refusal::TooLarge(max) => format!("the body must have at most {max} bytes"),
            Refusal::UnsupportedType => {
                "content-type must be application/cloudevents-batch+json or application/cloudevents+json, not encoded"
                    .to_owned()
            }
            Refusal::TooMany(_) => "more events than this token's rate allows".to_owned(),
            Refusal::Busy(busy) => busy.text().to_owned(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = response(self.status(), &self.text(), self.reason());
        let mut header = |name: HeaderName, value: HeaderValue| drop(response.headers_mut().insert(name, value));
        match &self {
            Refusal::Unauthorized(_) => {
                header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                // Who guesses needs a connection for each guess.
                header(CONNECTION, HeaderValue::from_static("close"));
            }
            // Rounded up: who comes then finds room.
            Refusal::TooMany(wait) => {
                let whole = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
                header(RETRY_AFTER, HeaderValue::from(whole.max(1)));
            }
            Refusal::Busy(busy) => header(RETRY_AFTER, HeaderValue::from(busy.retry_after())),
            Refusal::TooSlow => header(CONNECTION, HeaderValue::from_static("close")),
            _ => {}
        }
        response
    }
}

pub async fn not_found() -> Response {
    let paths = "there are /v1/events, /v1/missing, /v1/report, /metrics, /livez and /readyz";
    response(StatusCode::NOT_FOUND, paths, "path")
}

pub async fn method_not_allowed() -> Response {
    // axum adds the Allow header of the route.
    response(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method", "method")
}

fn response(status: StatusCode, text: &str, reason: &'static str) -> Response {
    let body = terminal::json(&serde_json::json!({ "error": text }).to_string());
    let mut response = (status, [(CONTENT_TYPE, "application/json")], body).into_response();
    response.extensions_mut().insert(Reason(reason));
    response
}

//! What is answered when a request is not done: a status, a JSON body that says why, and when to come again.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::terminal;

/// Seconds after which to come again.
const RETRY_SECONDS: &str = "1";

/// Why a request is not done.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not readable: sending it again would not help.
    BadRequest(String),
    /// No token, or one that is not known.
    Unauthorized,
    /// A token of the other scope.
    Forbidden,
    /// The body did not come in time.
    TooSlow,
    /// The body is over the limit.
    TooLarge(usize),
    /// The body is of another type.
    UnsupportedType,
    /// It cannot be done now, and nothing of it was kept.
    Busy(&'static str),
    /// It cannot be done: something on this side is wrong.
    Internal(String),
}

impl Refusal {
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::BadRequest(_) => StatusCode::BAD_REQUEST,
            Refusal::Unauthorized => StatusCode::UNAUTHORIZED,
            Refusal::Forbidden => StatusCode::FORBIDDEN,
            Refusal::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Refusal::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::UnsupportedType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn reason(&self) -> String {
        match self {
            Refusal::BadRequest(problem) | Refusal::Internal(problem) => problem.clone(),
            Refusal::Unauthorized => "a known bearer token is required".to_owned(),
            Refusal::Forbidden => "this token is not for this".to_owned(),
            Refusal::TooSlow => "the body did not come in time".to_owned(),
            Refusal::TooLarge(max) => format!("the body must have at most {max} bytes"),
            Refusal::UnsupportedType => {
                "content-type must be application/cloudevents-batch+json or application/cloudevents+json, not encoded"
                    .to_owned()
            }
            Refusal::Busy(problem) => (*problem).to_owned(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let header: Option<(HeaderName, &str)> = match self {
            Refusal::Unauthorized => Some((WWW_AUTHENTICATE, "Bearer")),
            Refusal::Busy(_) => Some((RETRY_AFTER, RETRY_SECONDS)),
            _ => None,
        };
        answer(self.status(), &self.reason(), header)
    }
}

pub async fn not_found() -> Response {
    answer(StatusCode::NOT_FOUND, "there are /v1/events, /v1/lacking, /v1/report, /metrics and /healthz", None)
}

pub async fn method_not_allowed() -> Response {
    // axum adds the Allow header of the route.
    answer(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method", None)
}

fn answer(status: StatusCode, reason: &str, header: Option<(HeaderName, &str)>) -> Response {
    let body = terminal::json(&serde_json::json!({ "error": reason }).to_string());
    let mut response = (status, [(CONTENT_TYPE, "application/json")], body).into_response();
    if let Some((name, value)) = header
        && let Ok(value) = value.parse()
    {
        response.headers_mut().insert(name, value);
    }
    response
}

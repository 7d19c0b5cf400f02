//! A refusal as an HTTP response: a status, a JSON body that says why, and when to come again.

use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::routes::ROUTES;
use crate::ingest::refusal::Refusal;
use crate::terminal;

/// Why a response is a refusal, for the metrics.
#[derive(Clone, Copy, Debug)]
pub struct Reason(pub &'static str);

/// Whose share was taken.
#[derive(Clone, Debug)]
pub struct OverShare(pub String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = response(status, &self.text(), self.reason());
        if let Refusal::Share { credential, .. } = &self {
            response.extensions_mut().insert(OverShare(credential.clone()));
        }
        let mut header = |name: HeaderName, value: HeaderValue| drop(response.headers_mut().insert(name, value));
        match &self {
            Refusal::Unauthorized(_) => {
                header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                // Who guesses needs a connection for each guess.
                header(CONNECTION, HeaderValue::from_static("close"));
            }
            Refusal::TooSlow => header(CONNECTION, HeaderValue::from_static("close")),
            _ => {}
        }
        if let Some(seconds) = self.retry_after() {
            header(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

pub async fn not_found() -> Response {
    let paths: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
    response(StatusCode::NOT_FOUND, &format!("there are {}", paths.join(", ")), "path")
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

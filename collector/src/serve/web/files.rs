//! The files of the page, as they are in the binary.

use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::serve::compress::Same;
use crate::serve::refusal;

include!(concat!(env!("OUT_DIR"), "/web.rs"));

const PAGE: &str = "index.html";
const NOT_BUILT: &str =
    "this binary was built without its web page: `./just web` builds it (with Node), then build the collector again\n";
/// Nothing of another host, nothing that stands in the page itself, and no text that a script takes for markup.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";
/// A file's name changes with what is in it.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// `GET /`.
pub async fn page() -> Response {
    match file(PAGE) {
        Some(bytes) => shown(bytes, "text/html; charset=utf-8", "no-cache"),
        None => (StatusCode::NOT_FOUND, [(CONTENT_TYPE, "text/plain; charset=utf-8")], NOT_BUILT).into_response(),
    }
}

/// `GET /assets/NAME`.
pub async fn asset(Path(name): Path<String>) -> Response {
    let kind = match name.rsplit_once('.') {
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => return refusal::not_found().await,
    };
    match file(&name) {
        Some(bytes) => shown(bytes, kind, FOR_EVER),
        None => refusal::not_found().await,
    }
}

fn file(name: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

fn shown(bytes: &'static [u8], kind: &'static str, kept: &'static str) -> Response {
    let mut response = bytes.into_response();
    response.extensions_mut().insert(Same(bytes));
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, kept),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

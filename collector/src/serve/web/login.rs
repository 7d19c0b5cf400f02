//! Logging in: a read token becomes the cookie of a session, which admits to what that token may read and to nothing else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Extension, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::sessions::LASTS;
use crate::ingest::rate::Admitted;
use crate::ingest::refusal::Refusal;
use crate::serve::App;
use crate::serve::auth::Scope;
use crate::serve::connections::Connection;

/// The longest body, bytes: a token has 2048 at most.
const MAX_BODY: usize = 4096;
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);
const JSON: &str = "application/json";
/// The cookie. Where it needs TLS, browsers take it from this host only.
const NAME: &str = "meshmeter";
const SECURE_NAME: &str = "__Host-meshmeter";

#[derive(Deserialize)]
struct Asked {
    token: String,
}

/// `POST /login`. Only JSON: a form of another site can send none, and so log nobody in.
pub async fn login(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let of_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if of_type.is_none_or(|of| !of.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(JSON)) {
        return Err(Refusal::UnsupportedType(JSON));
    }
    let body = timeout(PATIENCE, to_bytes(body, MAX_BODY)).await.map_err(|_| Refusal::TooSlow)?;
    let body = body.map_err(|_| Refusal::TooLarge(MAX_BODY))?;
    let Ok(Asked { token }) = serde_json::from_slice(&body) else {
        return Err(Refusal::BadRequest("must be {\"token\": \"…\"}".to_owned()));
    };
    let token = token.trim();
    let mut shown = HeaderMap::new();
    // What no header can have is no token either.
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap_or(HeaderValue::from_static("Bearer "));
    shown.insert(AUTHORIZATION, bearer);
    app.admit(&connection, &shown, &[Scope::Read]).await?;
    if app.tokens.is_open() {
        return Err(Refusal::BadRequest("nobody logs in here: the collector is open (--insecure-no-auth)".to_owned()));
    }
    let begun = app.sessions.begin(token.as_bytes(), Instant::now()).map_err(Refusal::Internal)?;
    // Whoever logs in again has one session.
    cookies(&app, &headers).for_each(|name| app.sessions.end(name));
    Ok(with_cookie(&app, &begun, LASTS))
}

/// `POST /logout`.
pub async fn logout(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    cookies(&app, &headers).for_each(|name| app.sessions.end(name));
    with_cookie(&app, "", Duration::ZERO)
}

/// Who is logged in.
#[derive(Serialize)]
struct Session {
    /// Whether one has to be.
    login: bool,
    /// By which credential; absent if nobody is.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The tenants that the credential may know of, if these are not all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tenants: Vec<String>,
}

/// `GET /session`, which the page asks first. Only the cookie counts here, which nobody guesses: a token may be tried where it
/// is counted.
pub async fn session(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Refusal> {
    let secret = cookies(&app, &headers).find_map(|name| app.sessions.secret(name, Instant::now()));
    let admitted = secret.and_then(|secret| app.tokens.authorize_secret(&secret, &[Scope::Read]).ok());
    let mut session = Session { login: !app.tokens.is_open(), name: None, tenants: Vec::new() };
    if let Some(Admitted { sender, .. }) = admitted {
        session.tenants = sender.limits.tenants.iter().map(|tenant| tenant.to_string()).collect();
        session.name = Some(sender.credential);
    }
    let text = serde_json::to_string(&session).map_err(|error| Refusal::Internal(error.to_string()))?;
    Ok(([(CONTENT_TYPE, JSON), (CACHE_CONTROL, "no-store")], text).into_response())
}

/// The names of sessions that a request shows.
fn cookies<'h>(app: &App, headers: &'h HeaderMap) -> impl Iterator<Item = &'h str> {
    let wanted = cookie(app.is_secure);
    let all = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(name, _)| *name == wanted).map(|(_, value)| value)
}

/// The token of a session that a request shows, if it shows no credential of its own.
pub fn secret(app: &App, headers: &HeaderMap) -> Option<Arc<[u8]>> {
    if headers.contains_key(AUTHORIZATION) {
        return None;
    }
    cookies(app, headers).find_map(|name| app.sessions.secret(name, Instant::now()))
}

fn cookie(is_secure: bool) -> &'static str {
    if is_secure { SECURE_NAME } else { NAME }
}

fn attributes(is_secure: bool) -> &'static str {
    if is_secure { "Path=/; HttpOnly; SameSite=Strict; Secure" } else { "Path=/; HttpOnly; SameSite=Strict" }
}

fn with_cookie(app: &App, value: &str, lasts: Duration) -> Response {
    let text = format!("{}={value}; Max-Age={}; {}", cookie(app.is_secure), lasts.as_secs(), attributes(app.is_secure));
    let mut response = ([(CONTENT_TYPE, JSON), (CACHE_CONTROL, "no-store")], "{}").into_response();
    if let Ok(text) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(SET_COOKIE, text);
    }
    response
}

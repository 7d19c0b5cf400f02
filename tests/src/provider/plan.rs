//! What the provider returns for a call: a fixture as it is, a fault, or a refusal.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, channel::Channel};
use hyper::{
    HeaderMap, Response,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST},
};
use serde_json::Value;
use tokio::time::sleep;

use super::{Body, SERIAL, Served, Shared, TAG, Wire};
use crate::{
    Error, Result,
    fault::Fault,
    fixture::{Api, Fixture, events},
};

/// Part of the fault: a provider that stops, and some time later its connection breaks. What was sent before is on its way to the
/// client then; a test that needs to know that uses a [`Script`](crate::script::Script).
const BEFORE_RESET: Duration = Duration::from_millis(50);

/// What a provider says to a request that is not as it must be.
pub(super) fn refusal(api: Api, request: &Result<Value>) -> Option<String> {
    let refuse = |text: &str, param| Some(api.invalid(text, param));
    match request {
        Err(_) => refuse("We could not parse the JSON body of your request.", Value::Null),
        Ok(request) if !request.is_object() => refuse("The body must be an object.", Value::Null),
        Ok(request) if api == Api::OpenaiChat => {
            let options = &request["stream_options"];
            let misfit = !options.is_null() && request["stream"] != true;
            let text = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
            if misfit { refuse(text, "stream_options".into()) } else { None }
        }
        Ok(_) => None,
    }
}

/// What is asked of a provider beside calls: nothing in it is usage, even if it looks so.
pub(super) fn other(path: &str) -> Option<&'static str> {
    if path.ends_with("/count_tokens") {
        return Some(r#"{"input_tokens":2095}"#);
    }
    path.ends_with("/v1/models").then_some(r#"{"object":"list","data":[{"id":"gpt-4.1","object":"model"}]}"#)
}

/// Fills the ledger's entry and makes the response that it describes.
pub(super) fn plan(
    shared: &Shared,
    wire: Arc<Wire>,
    fixture: &Fixture,
    asked: bool,
    served: &mut Served,
) -> Response<Body> {
    let serial = served.headers.get(SERIAL).and_then(|serial| serial.to_str().ok()?.parse().ok());
    let serial = serial.unwrap_or_else(|| shared.serial.fetch_add(1, Ordering::Relaxed));
    let (id, text) = fixture.response(serial, asked);
    let has_usage = asked || !fixture.is_chat_stream();
    let api = fixture.expected.api;
    served.response_id = Some(id);
    served.model = Some(fixture.expected.response_model.clone());
    if let Some(Fault::ResetAfter(count) | Fault::StallAfter(count)) = served.fault {
        if count > 0 {
            served.usage = fixture.expected.usage_at_start.clone();
        }
        served.body = text.into();
        let body = stream(served.body.clone(), Some(count), shared.pace.gap, served.fault, wire);
        return respond(200, fixture.content_type(), None, body);
    }
    let Some(altered) = served.fault.map(|fault| fault.body(api, &text)) else {
        if has_usage {
            served.usage = fixture.expected.usage.clone();
        }
        served.body = text.into();
        let mut response = if fixture.expected.stream {
            let body = stream(served.body.clone(), None, shared.pace.gap, None, wire);
            respond(200, fixture.content_type(), None, body)
        } else {
            respond(200, fixture.content_type(), None, whole(served.body.clone()))
        };
        identify(api, &served.headers, response.headers_mut());
        return response;
    };
    if has_usage && served.fault.is_some_and(Fault::leaves_usage) {
        served.usage = fixture.expected.usage.clone();
    }
    (served.status, served.body) = (altered.status, altered.body.clone());
    let content_type = altered.content_type.unwrap_or(fixture.content_type());
    respond(altered.status, content_type, altered.encoding, whole(altered.body))
}

pub(super) fn respond(
    status: u16,
    content_type: &'static str,
    encoding: Option<&'static str>,
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status.try_into().unwrap_or_default();
    let headers = response.headers_mut();
    if status == 204 {
        return response;
    }
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
    if let Some(encoding) = encoding {
        headers.insert(CONTENT_ENCODING, hyper::header::HeaderValue::from_static(encoding));
    }
    response
}

/// The provider's own id of the request.
fn identify(api: Api, request: &HeaderMap, response: &mut HeaderMap) {
    let name = if api == Api::AnthropicMessages { "request-id" } else { "x-request-id" };
    let tag = request.get(TAG).and_then(|tag| tag.to_str().ok()).unwrap_or("none");
    if let Ok(value) = format!("req_{tag}").parse() {
        response.insert(name, value);
    }
    // A client that asked for a host may want to know the provider.
    if let Some(host) = request.get(HOST) {
        response.insert("x-served-as", host.clone());
    }
    response.remove(CONTENT_LENGTH);
}

pub(super) fn whole(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

/// Sends event by event; what is no stream counts as one event in two halves.
fn stream(text: Bytes, cut: Option<usize>, gap: Duration, fault: Option<Fault>, wire: Arc<Wire>) -> Body {
    let (mut sender, body) = Channel::<Bytes, Error>::new(1);
    tokio::spawn(async move {
        for (sent, event) in pieces(&text).into_iter().enumerate() {
            if cut.is_some_and(|cut| sent >= cut) {
                sleep(BEFORE_RESET).await;
                if matches!(fault, Some(Fault::StallAfter(_))) {
                    // Until the client leaves: then the body is dropped, and an empty chunk cannot be sent.
                    while sender.send_data(Bytes::new()).await.is_ok() {
                        sleep(BEFORE_RESET).await;
                    }
                }
                wire.reset_on_close();
                return sender.abort("the connection was reset on demand".into());
            }
            if sender.send_data(event).await.is_err() {
                return;
            }
            if !gap.is_zero() {
                sleep(gap).await;
            }
        }
    });
    body.boxed_unsync()
}

fn pieces(text: &Bytes) -> Vec<Bytes> {
    let is_stream = text.starts_with(b"data:") || text.starts_with(b"event:");
    let utf8 = std::str::from_utf8(text).unwrap_or_default();
    if is_stream {
        return events(utf8).into_iter().map(|event| text.slice_ref(event.as_bytes())).collect();
    }
    // The first half does not tell the usage yet.
    let half = utf8.rfind("\"usage\"").unwrap_or(text.len()).min(text.len() / 2);
    vec![text.slice(..half), text.slice(half..)]
}

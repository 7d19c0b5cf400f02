//! The provider: a real HTTP server that replays fixtures at the pace of the real thing, misbehaves on demand, and
//! keeps a ledger of what it served, against which a bill can be checked to the token.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, channel::Channel, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Method, Request, Response,
    body::Incoming,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

use crate::{
    Error, Result,
    fault::{self, Fault},
    fixture::{Api, Catalogue, Classes, Fixture, events},
    include_usage, reading,
};

/// The request header by which a call is found in the ledger again.
pub const TAG: &str = "x-e2e-tag";
/// The request header that names the fixture of the response, whatever the request says.
pub const FIXTURE: &str = "x-fixture";
/// The request header that gives the response's serial number, for responses that must be the same twice.
pub const SERIAL: &str = "x-serial";
/// Long enough for bytes on loopback to reach the other side before a reset overtakes them.
const BEFORE_RESET: Duration = Duration::from_millis(50);

type Body = UnsyncBoxBody<Bytes, Error>;

/// How fast it responds.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Until the first byte.
    pub first: Duration,
    /// Between two events of a stream.
    pub gap: Duration,
}

impl Pace {
    /// A hosted model of medium size, slowed down by `factor` (below 1: sped up).
    pub fn real(factor: f64) -> Self {
        Self { first: Duration::from_millis(420).mul_f64(factor), gap: Duration::from_millis(28).mul_f64(factor) }
    }

    /// As fast as possible: events are merged and split as the sockets like.
    pub fn none() -> Self {
        Self { first: Duration::ZERO, gap: Duration::ZERO }
    }
}

/// One request that got a response.
#[derive(Clone, Debug)]
pub struct Served {
    /// The call's tag.
    pub tag: Option<String>,
    /// The request, as it arrived here.
    pub method: Method,
    /// The path it asked for.
    pub path: String,
    /// The headers that arrived.
    pub headers: HeaderMap,
    /// The body that arrived.
    pub request: Bytes,
    /// The fixture behind the response.
    pub fixture: Option<String>,
    /// The fault that was asked for.
    pub fault: Option<Fault>,
    /// The status sent.
    pub status: u16,
    /// The id of this response.
    pub response_id: Option<String>,
    /// The model in the response.
    pub model: Option<String>,
    /// The usage that was served: all of it, or what the events sent before the cut told.
    pub usage: Classes,
    /// The body as planned; less was sent if the call was cut short.
    pub body: Bytes,
}

struct Shared {
    catalogue: Catalogue,
    pace: Pace,
    brief: bool,
    serial: AtomicU64,
    served: Mutex<Vec<Served>>,
    broken: Mutex<Vec<String>>,
}

impl Shared {
    fn keep(&self, mut served: Served) {
        if self.brief {
            (served.headers, served.request, served.body) = (HeaderMap::new(), Bytes::new(), Bytes::new());
        }
        lock(&self.served).push(served);
    }
}

/// The running server.
pub struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Provider {
    /// Starts it on a free port of the loopback interface.
    pub async fn start(pace: Pace) -> Result<Self> {
        Self::with(pace, false).await
    }

    /// The same for very many calls: its ledger keeps no bytes of them, neither headers nor bodies.
    pub async fn brief(pace: Pace) -> Result<Self> {
        Self::with(pace, true).await
    }

    async fn with(pace: Pace, brief: bool) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            catalogue: Catalogue::load()?,
            pace,
            brief,
            serial: AtomicU64::new(1),
            served: Mutex::new(Vec::new()),
            broken: Mutex::new(Vec::new()),
        });
        let task = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { address, shared, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it can respond.
    pub fn catalogue(&self) -> &Catalogue {
        &self.shared.catalogue
    }

    /// Everything it served so far.
    pub fn served(&self) -> Vec<Served> {
        lock(&self.shared.served).clone()
    }

    /// Requests that were no HTTP: shorter or longer than they had announced.
    pub fn broken(&self) -> Vec<String> {
        lock(&self.shared.broken).clone()
    }

    /// What it served to the call of a tag; exactly one, or it is an error.
    pub fn served_to(&self, tag: &str) -> Result<Served> {
        let mut of_tag = self.served().into_iter().filter(|served| served.tag.as_deref() == Some(tag));
        match (of_tag.next(), of_tag.next()) {
            (Some(served), None) => Ok(served),
            (None, _) => Err(format!("the provider saw no call {tag}").into()),
            _ => Err(format!("the provider saw the call {tag} more than once").into()),
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A second handle on the connection, to turn its close into a reset.
pub(crate) struct Wire(pub(crate) std::net::TcpStream);

impl Wire {
    pub(crate) fn reset_on_close(&self) {
        // A failure here leaves an ordinary close in the middle of a body, which is an upstream reset as well.
        let _ = socket2::SockRef::from(&self.0).set_linger(Some(Duration::ZERO));
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let Ok(stream) = stream.into_std() else { continue };
        let Ok(wire) = stream.try_clone().map(Wire) else { continue };
        let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { continue };
        let (shared, wire) = (shared.clone(), Arc::new(wire));
        tokio::spawn(async move {
            let broken = shared.clone();
            let service = service_fn(move |request| response(shared.clone(), wire.clone(), request));
            let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client that leaves, and our own resets, end here, too: nobody needs to know.
            if let Err(error) = served.await
                && error.is_parse()
            {
                lock(&broken.broken).push(error.to_string());
            }
        });
    }
}

async fn response(
    shared: Arc<Shared>,
    wire: Arc<Wire>,
    request: Request<Incoming>,
) -> std::result::Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let request = body.collect().await.map(http_body_util::Collected::to_bytes);
    if let Err(error) = &request {
        lock(&shared.broken).push(format!("{}: {error}", head.uri));
    }
    let request = request.unwrap_or_default();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let json = reading::json(&head.headers, &request);
    let path = reading::path(head.uri.path());
    // A stored response read again: GET /v1/responses/ID responds with the same body, usage and all.
    let retrieved = path.split_once("/v1/responses/").map(|_| Api::OpenaiResponses);
    let api = Api::of(&path).or(retrieved).unwrap_or(Api::OpenaiChat);
    let refusal = if header(FIXTURE).is_none() && Api::of(&path).is_some() && head.method == Method::POST {
        refusal(api, &json)
    } else {
        None
    };
    let json = json.unwrap_or(Value::Null);
    let fixture = match header(FIXTURE) {
        Some(name) => shared.catalogue.get(name).ok(),
        None => shared.catalogue.choose(api, &json),
    };
    let fixture = fixture.filter(|_| other(&path).is_none());
    let fault = header(fault::HEADER).and_then(|name| name.parse::<Fault>().ok());
    let mut served = Served {
        tag: header(TAG).map(str::to_owned),
        method: head.method.clone(),
        path,
        request,
        fixture: fixture.map(|fixture| fixture.name.clone()),
        fault,
        status: 200,
        response_id: None,
        model: None,
        usage: Classes::new(),
        body: Bytes::new(),
        headers: head.headers,
    };
    if let Some(body) = refusal {
        (served.status, served.body) = (400, body.into());
        let response = respond(400, "application/json", None, whole(served.body.clone()));
        shared.keep(served);
        return Ok(response);
    }
    let Some(fixture) = fixture else {
        let (status, body) = other(&served.path).map_or((404, api.error(404).into()), |body| (200, body.into()));
        (served.status, served.body) = (status, body);
        let response = respond(status, "application/json", None, whole(served.body.clone()));
        shared.keep(served);
        return Ok(response);
    };
    sleep(shared.pace.first).await;
    let response = plan(&shared, wire, fixture, include_usage::is_asked(&json), &mut served);
    shared.keep(served);
    Ok(response)
}

/// What a provider says to a request that is not as it must be.
fn refusal(api: Api, request: &Result<Value>) -> Option<String> {
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
fn other(path: &str) -> Option<&'static str> {
    if path.ends_with("/count_tokens") {
        return Some(r#"{"input_tokens":2095}"#);
    }
    path.ends_with("/v1/models").then_some(r#"{"object":"list","data":[{"id":"gpt-4.1","object":"model"}]}"#)
}

/// Fills the ledger's entry and makes the response that it describes.
fn plan(shared: &Shared, wire: Arc<Wire>, fixture: &Fixture, asked: bool, served: &mut Served) -> Response<Body> {
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

fn respond(status: u16, content_type: &'static str, encoding: Option<&'static str>, body: Body) -> Response<Body> {
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

fn whole(body: Bytes) -> Body {
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

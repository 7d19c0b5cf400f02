//! The provider: a real HTTP server that replays fixtures at the pace of the real thing, misbehaves on demand, and
//! keeps a ledger of what it served, against which a bill can be checked to the token.

mod plan;

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::{HeaderMap, Method, Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

use crate::{
    Error, Result,
    fault::{self, Fault},
    fixture::{Api, Catalogue, Classes},
    include_usage, reading,
};
use plan::{other, plan, refusal, respond, whole};

/// The request header by which a call is found in the ledger again.
pub const TAG: &str = "x-e2e-tag";
/// The request header that names the fixture of the response, whatever the request says.
pub const FIXTURE: &str = "x-fixture";
/// The request header that gives the response's serial number, for responses that must be the same twice.
pub const SERIAL: &str = "x-serial";

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

//! A server that responds with given bytes at a given pace, for what no catalogue of responses has: any head, any pieces,
//! a piece only when the test says so, and a reset in the middle.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, channel::Channel, combinators::UnsyncBoxBody};
use hyper::{HeaderMap, Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};

use crate::{Error, Result, provider::Wire};

/// The request header that names the response.
pub const HEADER: &str = "x-script";
/// The parameter of the query that does so before the header, for what is sent on to another place.
pub const QUERY: &str = "script=";

/// One response.
#[derive(Clone, Debug)]
pub struct Script {
    status: u16,
    headers: Vec<(&'static str, String)>,
    pieces: Vec<Bytes>,
    may_send: Option<Arc<Semaphore>>,
    withheld: bool,
    resets: Option<Arc<Semaphore>>,
}

impl Script {
    /// A response in one piece.
    pub fn new(content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status: 200, headers, pieces: vec![body.into()], may_send: None, withheld: false, resets: None }
    }

    /// A stream of server-sent events in one piece.
    pub fn sse(body: impl Into<Bytes>) -> Self {
        Self::new("text/event-stream; charset=utf-8", body)
    }

    /// With another status.
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// With one more header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// With its length announced.
    pub fn sized(self) -> Self {
        let length = self.body().len().to_string();
        self.header("content-length", &length)
    }

    /// In pieces of so many bytes, each written by itself.
    pub fn split(mut self, size: usize) -> Self {
        let body = self.body();
        self.pieces = body.chunks(size.min(body.len()).max(1)).map(Bytes::copy_from_slice).collect();
        self
    }

    /// In these pieces.
    pub fn pieces(mut self, pieces: &[Bytes]) -> Self {
        self.pieces = pieces.to_vec();
        self
    }

    /// With one more piece.
    pub fn and(mut self, piece: &'static str) -> Self {
        self.pieces.push(piece.into());
        self
    }

    /// In one piece per event.
    pub fn by_event(mut self) -> Self {
        let body = self.body();
        let text = String::from_utf8_lossy(&body).into_owned();
        self.pieces = crate::fixture::events(&text).into_iter().map(|event| event.to_owned().into()).collect();
        self
    }

    /// Each piece waits for a permit.
    pub fn when(mut self, may_send: &Arc<Semaphore>) -> Self {
        self.may_send = Some(may_send.clone());
        self
    }

    /// It never begins.
    pub fn withheld(mut self) -> Self {
        self.withheld = true;
        self
    }

    /// The connection is reset behind the last piece, once [`Script::let_reset`] says so: a reset overtakes bytes that are
    /// still on their way.
    pub fn reset(mut self) -> Self {
        self.resets = Some(Arc::new(Semaphore::new(0)));
        self
    }

    /// Whether it does.
    pub fn resets(&self) -> bool {
        self.resets.is_some()
    }

    /// Lets one call be reset that waits for it.
    pub fn let_reset(&self) {
        if let Some(may_reset) = &self.resets {
            may_reset.add_permits(1);
        }
    }

    /// All that is sent.
    pub fn body(&self) -> Bytes {
        self.pieces.concat().into()
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Path and query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as far as it came when its end was seen.
    pub body: Bytes,
    /// How many bytes of it have come so far.
    pub received: usize,
    /// Why it is not whole.
    pub problem: Option<String>,
}

impl Arrived {
    /// A header, empty if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

#[derive(Default)]
struct State {
    scripts: Vec<Script>,
    arrived: Vec<Arrived>,
    broken: Vec<String>,
}

/// The running server.
pub struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts it on a free port of the loopback interface.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let task = tokio::spawn(accept(listener, state.clone()));
        Ok(Self { address, state, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds a response and returns its name for [`HEADER`].
    pub fn add(&self, script: Script) -> String {
        let scripts = &mut lock(&self.state).scripts;
        scripts.push(script);
        (scripts.len() - 1).to_string()
    }

    /// The last request that arrived.
    pub fn last(&self) -> Result<Arrived> {
        lock(&self.state).arrived.last().cloned().ok_or_else(|| "no request arrived".into())
    }

    /// All requests that arrived, in order.
    pub fn arrived(&self) -> Vec<Arrived> {
        lock(&self.state).arrived.clone()
    }

    /// Requests that were no HTTP: longer than they had announced.
    pub fn broken(&self) -> Vec<String> {
        lock(&self.state).broken.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let Ok(stream) = stream.into_std() else { continue };
        let Ok(wire) = stream.try_clone().map(Wire) else { continue };
        let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { continue };
        let (state, wire) = (state.clone(), Arc::new(wire));
        tokio::spawn(async move {
            let requests = state.clone();
            let service = service_fn(move |request| response(requests.clone(), wire.clone(), request));
            let end = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            if let Err(error) = end
                && error.is_parse()
            {
                lock(&state).broken.push(error.to_string());
            }
        });
    }
}

async fn response(
    state: Arc<Mutex<State>>,
    wire: Arc<Wire>,
    request: Request<Incoming>,
) -> std::result::Result<Response<UnsyncBoxBody<Bytes, Error>>, Infallible> {
    let (head, mut incoming) = request.into_parts();
    let path = head.uri.to_string();
    let number = {
        let arrived = &mut lock(&state).arrived;
        let problem = Some("it is not over".to_owned());
        arrived.push(Arrived { path, headers: head.headers.clone(), body: Bytes::new(), received: 0, problem });
        arrived.len() - 1
    };
    let (mut body, mut problem) = (Vec::new(), None);
    while let Some(frame) = incoming.frame().await {
        match frame {
            Ok(frame) => {
                body.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                if let Some(arrived) = lock(&state).arrived.get_mut(number) {
                    arrived.received = body.len();
                }
            }
            Err(error) => problem = Some(error.to_string()),
        }
    }
    if let Some(arrived) = lock(&state).arrived.get_mut(number) {
        (arrived.body, arrived.problem) = (body.into(), problem);
    }
    let by_query = head.uri.query().and_then(|query| query.strip_prefix(QUERY));
    let by_header = || head.headers.get(HEADER).and_then(|name| name.to_str().ok());
    let name = by_query.or_else(by_header).and_then(|name| name.parse::<usize>().ok());
    let script = name.and_then(|name| lock(&state).scripts.get(name).cloned());
    let Some(script) = script else {
        let mut response = Response::new(Full::default().map_err(|never: Infallible| match never {}).boxed_unsync());
        *response.status_mut() = hyper::StatusCode::NOT_FOUND;
        return Ok(response);
    };
    if script.withheld {
        std::future::pending::<()>().await;
    }
    let mut response = Response::new(play(script.clone(), wire));
    *response.status_mut() = script.status.try_into().unwrap_or_default();
    for (name, value) in script.headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}

fn play(script: Script, wire: Arc<Wire>) -> UnsyncBoxBody<Bytes, Error> {
    let (mut sender, body) = Channel::<Bytes, Error>::new(1);
    tokio::spawn(async move {
        for piece in script.pieces {
            if let Some(may_send) = &script.may_send {
                match may_send.acquire().await {
                    Ok(permit) => permit.forget(),
                    Err(_) => return,
                }
            }
            if sender.send_data(piece).await.is_err() {
                return;
            }
        }
        if let Some(may_reset) = script.resets {
            match may_reset.acquire().await {
                Ok(permit) => permit.forget(),
                Err(_) => return,
            }
            wire.reset_on_close();
            sender.abort("the connection was reset on demand".into());
        }
    });
    body.boxed_unsync()
}

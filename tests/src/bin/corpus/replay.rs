//! A provider that responds to every call as it was recorded.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use corpus::Served;
use e2e::{Error, Result, provider::TAG};
use http_body_util::{BodyExt, Collected, channel::Channel, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinHandle};

/// The longest piece of a body that is sent at once, bytes: below what a read of Envoy takes, so that bodies are split.
const PIECE: usize = 4000;

/// The response to the body of a request.
pub type Responder = Box<dyn Fn(&[u8]) -> Served + Send>;

type Shared = Arc<Mutex<State>>;

#[derive(Default)]
struct State {
    responses: HashMap<String, Responder>,
    requests: HashMap<String, Bytes>,
}

/// The running server. A call names its recording in the header [`TAG`].
pub struct Replay {
    address: SocketAddr,
    state: Shared,
    task: JoinHandle<()>,
}

impl Replay {
    /// Starts it on a free port of the loopback interface.
    pub async fn start() -> Result<Replay> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, state) = (listener.local_addr()?, Shared::default());
        let task = tokio::spawn(accept(listener, state.clone()));
        Ok(Replay { address, state, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the call of that tag gets this response.
    pub fn response(&self, tag: &str, response: Responder) {
        lock(&self.state).responses.insert(tag.to_owned(), response);
    }

    /// The body of the request that arrived for a tag; its response is forgotten.
    pub fn arrived(&self, tag: &str) -> Option<Bytes> {
        let mut state = lock(&self.state);
        state.responses.remove(tag);
        state.requests.remove(tag)
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Shared) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Shared) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let state = state.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| response(state.clone(), request));
            // A client that leaves ends here; the measurement notices on its side.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Body = UnsyncBoxBody<Bytes, Error>;

async fn response(state: Shared, request: Request<Incoming>) -> std::result::Result<Response<Body>, Infallible> {
    let tag = request.headers().get(TAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default().to_owned();
    let arrived = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let served = {
        let mut state = lock(&state);
        let served = state.responses.get(&tag).map(|response| response(&arrived));
        state.requests.insert(tag.clone(), arrived);
        served
    };
    let Some(served) = served else {
        let mut unknown = Response::new(in_pieces(Bytes::new()));
        *unknown.status_mut() = StatusCode::NOT_FOUND;
        return Ok(unknown);
    };
    let mut response = Response::new(in_pieces(served.body.into()));
    *response.status_mut() = served.status.try_into().unwrap_or_default();
    let named = [(CONTENT_TYPE, served.content_type), (CONTENT_ENCODING, served.encoding)];
    let named = named.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?)));
    for (name, value) in served.headers.into_iter().chain(named) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}

fn in_pieces(body: Bytes) -> Body {
    let (mut sender, pieces) = Channel::<Bytes, Error>::new(1);
    tokio::spawn(async move {
        let mut rest = body;
        while !rest.is_empty() {
            let piece = rest.split_to(PIECE.min(rest.len()));
            if sender.send_data(piece).await.is_err() {
                return;
            }
        }
    });
    pieces.boxed_unsync()
}

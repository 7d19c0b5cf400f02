//! An ingest that behaves like OpenMeter's: exact content types, 204 for a batch that was taken, problem+json for errors;
//! a batch is taken event by event up to the first error, and what came before the error stays; an event is known by its
//! source and id.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{Result, event::Event};

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// 500 when so many events are taken.
    FailsAfter(usize),
    /// 503 at once.
    Busy,
    /// The connection is reset before anything is taken.
    ResetBefore,
    /// The connection is reset when everything is taken, and the response is lost.
    ResetAfter,
}

/// What it has seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Each event once, by source and id.
    pub taken: BTreeMap<(String, String), String>,
    /// Events that came again after they were taken.
    pub again: usize,
    /// What no client of OpenMeter does: events of one id with other content, empty batches, wrong heads.
    pub wrong: Vec<String>,
    /// The statuses of the responses, in order; 0 for a reset.
    pub responses: Vec<u16>,
}

struct State {
    seen: Seen,
    /// Comes over and over.
    troubles: Vec<Trouble>,
    calls: usize,
    /// An event that contains this is invalid.
    poison: &'static str,
}

/// The running ingest.
pub struct OpenMeter {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl OpenMeter {
    /// Its only path.
    pub const PATH: &str = "/api/v1/events";

    /// Starts it on a free port of the loopback interface.
    pub async fn start(troubles: &[Trouble], poison: &'static str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = State { seen: Seen::default(), troubles: troubles.to_vec(), calls: 0, poison };
        let state = Arc::new(Mutex::new(state));
        let task = tokio::spawn(accept(listener, state.clone()));
        Ok(Self { address, state, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        lock(&self.state).seen.clone()
    }
}

impl Drop for OpenMeter {
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
        let state = state.clone();
        tokio::spawn(async move {
            let Ok(stream) = stream.into_std() else { return };
            let (Ok(wire), Ok(stream)) = (stream.try_clone(), TcpStream::from_std(stream)) else { return };
            let service = service_fn(|request| ingest(&state, request));
            let end = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if end.await.is_err() {
                let _ = SockRef::from(&wire).set_linger(Some(Duration::ZERO));
            }
        });
    }
}

async fn ingest(state: &Mutex<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut state = lock(state);
    let trouble = state.troubles.get(state.calls % state.troubles.len().max(1)).copied().unwrap_or(Trouble::None);
    state.calls += 1;
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if (head.method.as_str(), head.uri.path()) != ("POST", OpenMeter::PATH)
        || !header("authorization").starts_with("Bearer ")
    {
        state.seen.wrong.push(format!("{} {}", head.method, head.uri));
    }
    let outcome = match (header("content-type"), trouble) {
        (_, Trouble::Busy) => Err((503, "try again later".to_owned())),
        (_, Trouble::ResetBefore) => {
            state.seen.responses.push(0);
            return Err("reset on demand".into());
        }
        ("application/cloudevents-batch+json", _) => take(&mut state, &body, trouble),
        (other, _) => Err((400, format!("invalid content type: {other}"))),
    };
    if trouble == Trouble::ResetAfter {
        state.seen.responses.push(0);
        return Err("reset on demand".into());
    }
    let (status, problem) = outcome.map_or_else(|(status, detail)| (status, Some(detail)), |()| (204, None));
    state.seen.responses.push(status);
    let response = Response::builder().status(status);
    Ok(match problem {
        None => response.body(Full::default())?,
        Some(detail) => {
            let problem = json!({"type": "about:blank", "title": "error", "status": status, "detail": detail});
            response.header("content-type", "application/problem+json").body(Full::new(problem.to_string().into()))?
        }
    })
}

/// Takes events in order, up to the first error.
fn take(state: &mut State, body: &[u8], trouble: Trouble) -> std::result::Result<(), (u16, String)> {
    let events = Event::batch(body).map_err(|error| (400, format!("invalid event: {error}")))?;
    if events.is_empty() {
        state.seen.wrong.push("a batch without events".to_owned());
    }
    for (position, event) in events.iter().enumerate() {
        if trouble == Trouble::FailsAfter(position) {
            return Err((500, "forwarding event to collector".to_owned()));
        }
        if event.raw.contains(state.poison) {
            return Err((400, format!("invalid event: {}", event.id())));
        }
        let key = (event.attribute("source").unwrap_or_default().to_owned(), event.id().to_owned());
        match state.seen.taken.get(&key) {
            None => drop(state.seen.taken.insert(key, event.raw.clone())),
            Some(first) if *first == event.raw => state.seen.again += 1,
            Some(_) => state.seen.wrong.push(format!("{key:?} came with other content")),
        }
    }
    Ok(())
}

//! The gate between Envoy and the collector: passes calls on, remembers the events in them, and can be absent, slow,
//! failing or cut at the worst moment.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use socket2::{Domain, SockRef, Socket, Type};
use tokio::{net::TcpListener, net::TcpStream, task::JoinHandle};

use crate::{Error, Result, event::Event};

/// What the gate does with a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Hands it to the collector.
    #[default]
    Pass,
    /// Answers itself with this status.
    Answer(u16),
    /// Answers 400 to a batch that contains this text, and hands every other one to the collector.
    Refuse(&'static str),
    /// Takes the call and says nothing.
    Hang,
    /// Resets the connection; the collector never sees the call.
    ResetBefore,
    /// Resets the connection after the collector has taken the call: the answer is lost, the events are not.
    ResetAfter,
}

/// One call that reached the gate.
#[derive(Clone, Debug)]
pub struct Passage {
    /// What was done with it.
    pub mode: Mode,
    /// The status of the answer that Envoy got.
    pub status: Option<u16>,
    /// The content type of the call.
    pub content_type: String,
    /// Whether it carried a bearer token.
    pub authorised: bool,
    /// The body.
    pub body: Bytes,
}

#[derive(Default)]
struct State {
    mode: Mode,
    passages: Vec<Passage>,
}

struct Shared {
    upstream: SocketAddr,
    state: Mutex<State>,
}

/// The running gate.
pub struct Gate {
    address: SocketAddr,
    closed: Option<Socket>,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

impl Gate {
    /// A gate that holds its port without listening: connections are refused until [`Gate::open`].
    pub fn closed(upstream: SocketAddr) -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let address = socket.local_addr()?.as_socket().ok_or("the gate has no address")?;
        let shared = Arc::new(Shared { upstream, state: Mutex::default() });
        Ok(Self { address, closed: Some(socket), shared, task: None })
    }

    /// Starts to listen.
    pub fn open(&mut self) -> Result<()> {
        if let Some(socket) = self.closed.take() {
            socket.listen(128)?;
            socket.set_nonblocking(true)?;
            let listener = TcpListener::from_std(socket.into())?;
            self.task = Some(tokio::spawn(accept(listener, self.shared.clone())));
        }
        Ok(())
    }

    /// Where it listens, or will.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From the next call on.
    pub fn set(&self, mode: Mode) {
        lock(&self.shared).mode = mode;
    }

    /// Every call so far.
    pub fn passages(&self) -> Vec<Passage> {
        lock(&self.shared).passages.clone()
    }

    /// The events that the collector acknowledged to Envoy, in order; with duplicates, if there were any.
    pub fn acknowledged(&self) -> Result<Vec<Event>> {
        let passages = self.passages();
        let taken = passages.iter().filter(|passage| passage.status.is_some_and(|status| status / 100 == 2));
        let batches: Vec<Vec<Event>> = taken.map(|passage| Event::batch(&passage.body)).collect::<Result<_>>()?;
        Ok(batches.concat())
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let shared = shared.clone();
        tokio::spawn(async move {
            let Ok(stream) = stream.into_std() else { return };
            let Ok(wire) = stream.try_clone() else { return };
            let Ok(stream) = TcpStream::from_std(stream) else { return };
            let service = service_fn(|request| pass(&shared, request));
            let mut server = hyper::server::conn::http1::Builder::new();
            // A sender that closes behind its last call still gets it handed over.
            let end = server.half_close(true).serve_connection(TokioIo::new(stream), service);
            let mut end = std::pin::pin!(end);
            if end.as_mut().await.is_err() {
                // The service refused to answer: let the close be a reset.
                let _ = SockRef::from(&wire).set_linger(Some(Duration::ZERO));
            }
        });
    }
}

async fn pass(shared: &Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(Collected::to_bytes)?;
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mode = match lock(shared).mode {
        Mode::Refuse(text) if body.windows(text.len()).any(|window| window == text.as_bytes()) => Mode::Answer(400),
        Mode::Refuse(_) => Mode::Pass,
        mode => mode,
    };
    let mut passage = Passage {
        mode,
        status: None,
        content_type: header("content-type").to_owned(),
        authorised: header("authorization").starts_with("Bearer "),
        body: body.clone(),
    };
    let answer = match mode {
        Mode::Pass | Mode::ResetAfter => {
            Some(forward(shared.upstream, Request::from_parts(head, Full::new(body))).await)
        }
        Mode::Answer(status) => Some(Response::builder().status(status).body(Full::default()).map_err(Error::from)),
        Mode::Refuse(_) | Mode::Hang | Mode::ResetBefore => None,
    };
    if mode != Mode::ResetAfter {
        passage.status = answer.as_ref().and_then(|answer| answer.as_ref().ok()).map(|answer| answer.status().as_u16());
    }
    lock(shared).passages.push(passage);
    match (mode, answer) {
        (Mode::Pass | Mode::Answer(_), Some(answer)) => answer,
        (Mode::Hang, _) => std::future::pending().await,
        _ => Err("reset on demand".into()),
    }
}

async fn forward(upstream: SocketAddr, request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>> {
    let stream = TcpStream::connect(upstream).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let (mut head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    head.headers.remove("transfer-encoding");
    Ok(Response::from_parts(head, Full::new(body)))
}

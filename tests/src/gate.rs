//! The gate between Envoy and the collector: passes calls on, remembers the events in them, and can be absent, slow,
//! failing or cut at the worst moment.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full, channel::Channel, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::Incoming,
    header::{CONTENT_LENGTH, HeaderValue},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use socket2::{Domain, SockRef, Socket, Type};
use tokio::{net::TcpListener, net::TcpStream, task::JoinHandle};

use crate::{
    Error, Result,
    event::Event,
    statement::{self, Statement},
};

/// What the gate does with a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Hands it to the collector.
    #[default]
    Pass,
    /// Responds itself with this status.
    Respond(u16),
    /// Responds with 400 to a batch that contains this text, and hands every other one to the collector.
    Refuse(&'static str),
    /// Hands it to the collector, and responds so much later.
    Slow(Duration),
    /// Takes the call and says nothing.
    Hang,
    /// Resets the connection; the collector never sees the call.
    ResetBefore,
    /// Resets the connection after the collector has taken the call: the response is lost, the events are not.
    ResetAfter,
    /// Resets the connection in the middle of the response to a call that the collector has taken.
    ResetWithin,
}

impl Mode {
    /// Whether the collector gets the call.
    fn forwards(self) -> bool {
        matches!(self, Mode::Pass | Mode::Slow(_) | Mode::ResetAfter | Mode::ResetWithin)
    }
}

/// One call that reached the gate.
#[derive(Clone, Debug)]
pub struct Passage {
    /// What was done with it.
    pub mode: Mode,
    /// The status of the response that Envoy got.
    pub status: Option<u16>,
    /// The content type of the call.
    pub content_type: String,
    /// Whether it carried a bearer token.
    pub authorised: bool,
    /// What the sender said of itself in the header.
    pub statement: String,
    /// The body.
    pub body: Bytes,
    /// What the collector responded, whether Envoy got it or not; empty if it did not.
    pub response: Bytes,
}

impl Passage {
    /// What the sender said of itself.
    pub fn said(&self) -> Result<Statement> {
        Statement::parse(&self.statement)
    }

    /// Whether it carried nothing but a statement.
    pub fn is_heartbeat(&self) -> bool {
        self.body.as_ref() == b"[]"
    }
}

struct State {
    upstream: SocketAddr,
    mode: Mode,
    reads_statements: Option<bool>,
    passages: Vec<Passage>,
}

struct Shared(Mutex<State>);

type Body = UnsyncBoxBody<Bytes, Error>;

/// Long enough for bytes on loopback to reach the other side before a reset overtakes them.
const BEFORE_RESET: Duration = Duration::from_millis(50);

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
        let shared = Arc::new(Shared(Mutex::new(State {
            upstream,
            mode: Mode::Pass,
            reads_statements: None,
            passages: Vec::new(),
        })));
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

    /// Leads to another collector from the next call on: one that was started again listens elsewhere.
    pub fn lead_to(&self, upstream: SocketAddr) {
        lock(&self.shared).upstream = upstream;
    }

    /// How many calls there were so far.
    pub fn passed(&self) -> usize {
        lock(&self.shared).passages.len()
    }

    /// The calls since there were so many.
    pub fn since(&self, passed: usize) -> Vec<Passage> {
        lock(&self.shared).passages.get(passed..).unwrap_or_default().to_vec()
    }

    /// From the next call on.
    pub fn set(&self, mode: Mode) {
        lock(&self.shared).mode = mode;
    }

    /// Lets every response show that statements are read, or none, whatever the collector's own responses show.
    pub fn show(&self, reads_statements: bool) {
        lock(&self.shared).reads_statements = Some(reads_statements);
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
    shared.0.lock().unwrap_or_else(PoisonError::into_inner)
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
                // The service refused to respond: let the close be a reset.
                let _ = SockRef::from(&wire).set_linger(Some(Duration::ZERO));
            }
        });
    }
}

async fn pass(shared: &Shared, request: Request<Incoming>) -> Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(Collected::to_bytes)?;
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (upstream, mode, reads_statements) = {
        let state = lock(shared);
        (state.upstream, state.mode, state.reads_statements)
    };
    let mode = match mode {
        Mode::Refuse(text) if body.windows(text.len()).any(|window| window == text.as_bytes()) => Mode::Respond(400),
        Mode::Refuse(_) => Mode::Pass,
        mode => mode,
    };
    let mut passage = Passage {
        mode,
        status: None,
        content_type: header("content-type").to_owned(),
        authorised: header("authorization").starts_with("Bearer "),
        statement: header(statement::HEADER).to_owned(),
        body: body.clone(),
        response: Bytes::new(),
    };
    let mut response = match mode {
        Mode::Respond(status) => Some(Response::builder().status(status).body(Bytes::new()).map_err(Error::from)),
        mode if mode.forwards() => Some(forward(upstream, Request::from_parts(head, Full::new(body))).await),
        _ => None,
    };
    if let Some(Ok(response)) = &response {
        passage.response = response.body().clone();
        let arrives = !matches!(mode, Mode::ResetAfter | Mode::ResetWithin);
        passage.status = arrives.then(|| response.status().as_u16());
    }
    lock(shared).passages.push(passage);
    match mode {
        Mode::Slow(time) => tokio::time::sleep(time).await,
        Mode::Hang => std::future::pending().await,
        Mode::ResetAfter => response = None,
        _ => {}
    }
    let response = response.unwrap_or_else(|| Err("reset on demand".into()))?;
    let (mut head, body) = response.into_parts();
    match reads_statements {
        Some(true) => drop(head.headers.insert(statement::COLLECTOR_HEADER, HeaderValue::from_static("e2e"))),
        Some(false) => drop(head.headers.remove(statement::COLLECTOR_HEADER)),
        None => {}
    }
    let body =
        if mode == Mode::ResetWithin { broken(body) } else { Full::new(body).map_err(Error::from).boxed_unsync() };
    Ok(Response::from_parts(head, body))
}

/// Half of a body that was announced whole.
fn broken(body: Bytes) -> Body {
    let (mut sender, half) = Channel::<Bytes, Error>::new(1);
    tokio::spawn(async move {
        if sender.send_data(body.slice(..body.len() / 2)).await.is_ok() {
            tokio::time::sleep(BEFORE_RESET).await;
        }
        sender.abort("reset on demand".into());
    });
    half.boxed_unsync()
}

async fn forward(upstream: SocketAddr, request: Request<Full<Bytes>>) -> Result<Response<Bytes>> {
    let stream = TcpStream::connect(upstream).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let (mut head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    head.headers.remove("transfer-encoding");
    head.headers.insert(CONTENT_LENGTH, body.len().into());
    Ok(Response::from_parts(head, body))
}

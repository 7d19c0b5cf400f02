//! A small HTTP/1.1 server that costs next to nothing: the provider, whose responses are made before and named by a
//! request header, and the collector, which takes every batch at once.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use e2e::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    head::{Head, after_head},
    lender,
    pacer::Pacer,
};

/// The request header that names the response.
pub const RESPONSE: &str = "x-bench-response";
/// The request header that numbers a stream whose events are timed.
pub const STREAM: &str = "x-bench-stream";
/// What every event of a batch has once.
const EVENT: &str = r#""type":"meshmeter.call.v1""#;

/// A response, ready to be written.
pub struct Response {
    /// Head and body in the pieces that are written one by one.
    pub pieces: Vec<Vec<u8>>,
    /// Between two pieces.
    pub gap: Option<Duration>,
    /// Whether the pieces behind the first come again and again.
    pub endless: bool,
}

/// What connections share.
pub struct Shared {
    responses: Mutex<HashMap<String, Arc<Response>>>,
    pacer: Pacer,
    /// Events that came in batches.
    events: AtomicU64,
    /// Whether batches are left without a response.
    down: AtomicBool,
}

/// The running server.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts it on a free port of the loopback interface.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            responses: Mutex::default(),
            pacer: Pacer::start(),
            events: AtomicU64::new(0),
            down: AtomicBool::new(false),
        });
        let state = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = state.clone();
                // A connection that Envoy closes ends here, too.
                tokio::spawn(async move { drop(serve(stream, &state).await) });
            }
        });
        Ok(Self { address, shared, task })
    }

    /// Adds a response under a name.
    pub fn add(&self, name: &str, response: Response) {
        lock(&self.shared.responses).insert(name.to_owned(), Arc::new(response));
    }

    /// When the pieces of a numbered stream were written; forgotten here.
    pub fn written(&self, stream: usize) -> Vec<Instant> {
        self.shared.pacer.written(stream)
    }

    /// How many pieces of paced responses were written so far.
    pub fn pieces(&self) -> u64 {
        self.shared.pacer.pieces()
    }

    /// How many paced responses have not ended, nor been left by their client.
    pub fn open(&self) -> u64 {
        self.shared.pacer.open()
    }

    /// From here on a collector that is away: it closes the connection instead of a response.
    pub fn go_down(&self) {
        self.shared.down.store(true, Relaxed);
    }

    /// How many events came so far.
    pub fn events(&self) -> u64 {
        self.shared.events.load(Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::with_capacity(64 * 1024);
    loop {
        let body = loop {
            if let Some(body) = after_head(&bytes) {
                break body;
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        };
        let head = Head::of(&bytes[..body]);
        let length = head.number("content-length").unwrap_or(0);
        let response = head.get(RESPONSE).and_then(|name| lock(&shared.responses).get(name).cloned());
        let number = head.number(STREAM);
        while bytes.len() < body + length {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        }
        match response {
            Some(response) => stream = write(stream, shared, &response, number.unwrap_or(0)).await?,
            None => take(&mut stream, shared, &bytes[body..body + length]).await?,
        }
        bytes.drain(..body + length);
    }
}

async fn write(mut stream: TcpStream, shared: &Shared, response: &Arc<Response>, number: usize) -> Result<TcpStream> {
    if let Some(gap) = response.gap {
        let written = shared.pacer.write(number, stream.into_std()?, response.clone(), gap).await?;
        return Ok(TcpStream::from_std(written)?);
    }
    for piece in &response.pieces {
        stream.write_all(piece).await?;
    }
    Ok(stream)
}

/// A batch of events, or a heartbeat.
async fn take(stream: &mut TcpStream, shared: &Shared, body: &[u8]) -> Result<()> {
    if shared.down.load(Relaxed) {
        return Err("the collector is down".into());
    }
    if lender::asks(body) {
        return respond(stream, &lender::lend(body)?).await;
    }
    let events = String::from_utf8_lossy(body).matches(EVENT).count() as u64;
    shared.events.fetch_add(events, Relaxed);
    let body = format!(r#"{{"accepted":{events},"duplicates":0,"dead_letters":0,"alarms":0}}"#);
    respond(stream, &body).await
}

async fn respond(stream: &mut TcpStream, body: &str) -> Result<()> {
    let head = "HTTP/1.1 200 OK\r\nmeshmeter-collector: bench\r\ncontent-type: application/json\r\ncontent-length: ";
    Ok(stream.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes()).await?)
}

//! An HTTP/1.1 client that sends a call as an application would, over plain TCP or with a client certificate, and
//! that can hang up in the middle of a response.

use std::{net::SocketAddr, sync::Arc};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, Version, client::conn::http1::SendRequest, header::HOST};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::ClientConfig};

use crate::{Result, fault::Fault, wait::PATIENCE};

/// One request.
#[derive(Clone, Debug)]
pub struct Call {
    /// `POST`, ...
    pub method: Method,
    /// The `host` header: what Envoy routes by.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The body, as it is sent.
    pub body: Bytes,
}

impl Call {
    /// A JSON request.
    pub fn post(host: &str, path: &str, body: &Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let (host, path) = (host.to_owned(), path.to_owned());
        Self { method: Method::POST, host, path, headers, body: body.to_string().into() }
    }

    /// A request without a body.
    pub fn get(host: &str, path: &str) -> Self {
        let (host, path) = (host.to_owned(), path.to_owned());
        Self { method: Method::GET, host, path, headers: Vec::new(), body: Bytes::new() }
    }

    /// With another method.
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a tag by which the provider's ledger finds it again.
    pub fn tag(self, tag: &str) -> Self {
        self.header(crate::provider::TAG, tag)
    }

    /// Asks the provider to misbehave.
    pub fn fault(self, fault: Fault) -> Self {
        self.header(crate::fault::HEADER, &fault.to_string())
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The response headers.
    pub headers: HeaderMap,
    /// The body's bytes, as far as they came.
    pub body: Bytes,
    /// Whether the body ended as HTTP says it must; false for a reset and for our own abort.
    pub whole: bool,
}

impl Response {
    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        let text = || String::from_utf8_lossy(&self.body[..self.body.len().min(200)]).into_owned();
        serde_json::from_slice(&self.body).map_err(|error| format!("{error}: HTTP {} {}", self.status, text()).into())
    }
}

/// Bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection, encrypted or not.
pub type Connection = Box<dyn Stream>;

/// Where to send, and how.
#[derive(Clone, Debug)]
pub struct Route {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

impl Route {
    /// Plain HTTP.
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// TLS with what `config` shows and trusts.
    pub fn tls(address: SocketAddr, config: Arc<ClientConfig>) -> Self {
        Self { address, tls: Some(config) }
    }

    /// Sends and reads the response to its end.
    pub async fn send(&self, call: &Call) -> Result<Response> {
        self.read(call, usize::MAX).await
    }

    /// Sends, reads at least `bytes` of the body, and hangs up.
    pub async fn abort_after(&self, call: &Call, bytes: usize) -> Result<Response> {
        self.read(call, bytes).await
    }

    /// A connection that speaks this version of HTTP.
    pub async fn connect(&self, version: Version) -> Result<Connection> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Box::new(tcp),
            Some(config) => {
                let mut config = ClientConfig::clone(config);
                if version == Version::HTTP_2 {
                    config.alpn_protocols = vec![b"h2".to_vec()];
                }
                Box::new(TlsConnector::from(Arc::new(config)).connect("localhost".try_into()?, tcp).await?)
            }
        })
    }

    async fn read(&self, call: &Call, limit: usize) -> Result<Response> {
        exchange(self.connect(Version::HTTP_11).await?, call, limit).await
    }
}

/// A connection that stays open from call to call, as in an SDK's pool; it is opened again when it was closed.
pub struct Line {
    route: Route,
    open: Option<(SendRequest<Full<Bytes>>, AbortOnDropHandle<()>)>,
}

/// What a client saw of one call.
#[derive(Clone, Debug)]
pub enum Seen {
    /// It was not sent: nobody listens, or the connection closed before.
    Unsent,
    /// It was sent, and the connection broke before the response was whole.
    Cut,
    /// The client itself hung up in the middle of the response.
    Left,
    /// The response, to its end.
    Whole(Response),
}

impl Line {
    /// To be opened with the first call.
    pub fn new(route: Route) -> Self {
        Self { route, open: None }
    }

    /// Sends a call and reads its response, at most `limit` bytes: then it hangs up. A response of which nothing comes for
    /// [`crate::wait::PATIENCE`] is an error.
    pub async fn send(&mut self, call: &Call, limit: usize) -> Result<Seen> {
        let seen = timeout(PATIENCE, self.attempt(request(call)?, limit)).await.map_err(|_| "a call hangs")?;
        // Only after a whole response the next call can have the connection.
        if !matches!(seen, Seen::Whole(_)) {
            self.open = None;
        }
        Ok(seen)
    }

    async fn attempt(&mut self, request: Request<Full<Bytes>>, limit: usize) -> Seen {
        let Some(sender) = self.sender().await else { return Seen::Unsent };
        let mut response = match sender.send_request(request).await {
            Ok(response) => response,
            Err(error) if error.is_canceled() => return Seen::Unsent,
            Err(_) => return Seen::Cut,
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(frame) = response.body_mut().frame().await {
            let Ok(frame) = frame else { return Seen::Cut };
            body.extend_from_slice(frame.data_ref().map_or(&[][..], |chunk| chunk));
            if body.len() >= limit {
                return Seen::Left;
            }
        }
        Seen::Whole(Response { status, headers, body: body.freeze(), whole: true })
    }

    async fn sender(&mut self) -> Option<&mut SendRequest<Full<Bytes>>> {
        let usable = match &mut self.open {
            Some((sender, _)) => sender.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            let stream = self.route.connect(Version::HTTP_11).await.ok()?;
            let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
            self.open = Some((sender, AbortOnDropHandle(tokio::spawn(async { drop(connection.await) }))));
        }
        self.open.as_mut().map(|(sender, _)| sender)
    }
}

/// Ends a task with its owner.
struct AbortOnDropHandle<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDropHandle<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn request(call: &Call) -> Result<Request<Full<Bytes>>> {
    let mut request = Request::builder().method(call.method.clone()).uri(&call.path).header(HOST, &call.host);
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    Ok(request.body(Full::new(call.body.clone()))?)
}

async fn exchange(stream: Connection, call: &Call, limit: usize) -> Result<Response> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut response = sender.send_request(request(call)?).await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = BytesMut::new();
    let whole = loop {
        if body.len() >= limit {
            break false;
        }
        match response.body_mut().frame().await {
            None => break true,
            Some(Err(_)) => break false,
            Some(Ok(frame)) => {
                if let Some(chunk) = frame.data_ref() {
                    body.extend_from_slice(chunk);
                }
            }
        }
    };
    connection.abort();
    Ok(Response { status, headers, body: body.freeze(), whole })
}

//! A call that is watched while it runs: the request is written in pieces, the response read piece by piece.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, channel::Channel, combinators::UnsyncBoxBody};
use hyper::{HeaderMap, Request, Response, Version, body::Incoming, header::CONTENT_LENGTH, header::HOST};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

use crate::{
    Error, Result,
    client::{Call, Connection, Route},
};

/// Long enough on loopback for what does not wait for anything.
const PATIENCE: Duration = Duration::from_secs(40);

/// How a request's body is sent.
#[derive(Clone, Copy, Debug)]
pub struct Upload {
    /// Bytes of a piece.
    pub piece: usize,
    /// The length is announced; otherwise chunked.
    pub sized: bool,
    /// The client leaves after so many bytes.
    pub leaves_after: usize,
    /// Trailers behind the body.
    pub trailers: bool,
    /// A piece without content before each other one; HTTP/1.1 leaves them out.
    pub empties: bool,
}

impl Upload {
    /// In one piece.
    pub const WHOLE: Upload =
        Upload { piece: usize::MAX, sized: true, leaves_after: usize::MAX, trailers: false, empties: false };

    /// In pieces of so many bytes.
    pub const fn pieces(piece: usize) -> Upload {
        Upload { piece, ..Upload::WHOLE }
    }
}

/// A call whose response has begun.
pub struct Exchange {
    /// The status code.
    pub status: u16,
    /// The response headers.
    pub headers: HeaderMap,
    body: Incoming,
    connection: JoinHandle<()>,
}

impl Exchange {
    /// The next bytes of the response; none at its end, an error if it was cut or does not come.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let frame = timeout(PATIENCE, self.body.frame()).await.map_err(|_| "nothing comes any more")?;
            match frame {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame?.into_data()
                        && !data.is_empty()
                    {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Reads until so many bytes are there, or the end; true if the response ended whole.
    pub async fn read(&mut self, body: &mut Vec<u8>, until: usize) -> bool {
        while body.len() < until {
            match self.next().await {
                Ok(Some(data)) => body.extend_from_slice(&data),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
        false
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Sends a call and returns when the head of the response is there; none if the client left before.
pub async fn open(route: &Route, version: Version, call: &Call, upload: Upload) -> Result<Option<Exchange>> {
    open_until(route, version, call, upload, None).await
}

/// The same with a client that leaves after [`Upload::leaves_after`] bytes, and not before it is told.
pub async fn open_until(
    route: &Route,
    version: Version,
    call: &Call,
    upload: Upload,
    may_leave: Option<oneshot::Receiver<()>>,
) -> Result<Option<Exchange>> {
    let stream = TokioIo::new(route.connect(version).await?);
    let request = request(version, call, upload, may_leave)?;
    let (response, connection): (_, JoinHandle<()>) = match version {
        Version::HTTP_2 => {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake::<_, TokioIo<Connection>, _>(TokioExecutor::new(), stream)
                    .await?;
            let connection = tokio::spawn(async { drop(connection.await) });
            (wait(sender.send_request(request)).await, connection)
        }
        _ => {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
            let connection = tokio::spawn(async { drop(connection.await) });
            (wait(sender.send_request(request)).await, connection)
        }
    };
    match response {
        Ok(response) => {
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Ok(Some(Exchange { status, headers, body: response.into_body(), connection }))
        }
        Err(_) if upload.leaves_after < call.body.len() => {
            connection.abort();
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

async fn wait(response: impl Future<Output = hyper::Result<Response<Incoming>>>) -> Result<Response<Incoming>> {
    Ok(timeout(PATIENCE, response).await.map_err(|_| "no response comes")??)
}

fn request(
    version: Version,
    call: &Call,
    upload: Upload,
    may_leave: Option<oneshot::Receiver<()>>,
) -> Result<Request<UnsyncBoxBody<Bytes, Error>>> {
    let mut request = Request::builder().method(call.method.clone());
    request = match version {
        Version::HTTP_2 => request.version(version).uri(format!("https://{}{}", call.host, call.path)),
        _ => request.uri(&call.path).header(HOST, &call.host),
    };
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    if upload.sized {
        request = request.header(CONTENT_LENGTH, call.body.len());
    }
    let (mut sender, body) = Channel::<Bytes, Error>::new(1);
    let content = call.body.clone();
    tokio::spawn(async move {
        let mut sent = 0;
        while sent < content.len() {
            let end = sent.saturating_add(upload.piece).min(content.len()).min(upload.leaves_after);
            if sent >= end {
                if let Some(may_leave) = may_leave {
                    drop(may_leave.await);
                }
                return sender.abort("the client left".into());
            }
            if upload.empties && sender.send_data(Bytes::new()).await.is_err() {
                return;
            }
            if sender.send_data(content.slice(sent..end)).await.is_err() {
                return;
            }
            sent = end;
        }
        if upload.trailers {
            let trailers = HeaderMap::from_iter([(hyper::header::ETAG, hyper::header::HeaderValue::from_static("x"))]);
            let _ = sender.send_trailers(trailers).await;
        }
    });
    Ok(request.body(body.boxed_unsync())?)
}

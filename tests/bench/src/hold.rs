//! Streams that stay open: over HTTP/2, a hundred a connection, so that ten thousand need few files.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use e2e::{Result, client::Route};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Version, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinSet;

use crate::shape::Shape;

const EACH: usize = 100;

/// Open streams; dropped, their clients have hung up.
pub struct Held(JoinSet<Result<()>>);

impl Held {
    /// Opens so many; each has begun to respond.
    pub async fn open(address: SocketAddr, shape: &Shape, streams: usize) -> Result<Self> {
        let mut sender = None;
        let begun = Arc::new(AtomicUsize::new(0));
        let mut held = Self(JoinSet::new());
        for number in 0..streams {
            while number >= begun.load(Relaxed) + EACH {
                held.run(Duration::from_millis(1)).await?;
            }
            if number % EACH == 0 {
                let wire = Route::plain(address).connect(Version::HTTP_2).await?;
                let builder = http2::Builder::new(TokioExecutor::new());
                let (opened, connection) = builder.handshake(TokioIo::new(wire)).await?;
                sender = Some(opened);
                held.0.spawn(async move { Ok(connection.await?) });
            }
            let Some(mut sender) = sender.clone() else { continue };
            let (request, begun) = (request(shape, number)?, begun.clone());
            held.0.spawn(async move {
                sender.ready().await?;
                let mut response = sender.send_request(request).await?;
                if response.status() != hyper::StatusCode::OK {
                    let text = response.body_mut().collect().await?.to_bytes();
                    let text = String::from_utf8_lossy(&text);
                    return Err(format!("stream {number} of {streams} got HTTP {}: {text}", response.status()).into());
                }
                begun.fetch_add(1, Relaxed);
                while let Some(frame) = response.frame().await {
                    frame?;
                }
                Err("a stream ended".into())
            });
        }
        while begun.load(Relaxed) < streams {
            held.run(Duration::from_millis(10)).await?;
        }
        Ok(held)
    }

    /// Lets them run for a while; none of them may end.
    pub async fn run(&mut self, time: Duration) -> Result<()> {
        match tokio::time::timeout(time, self.0.join_next()).await {
            Err(_) => Ok(()),
            Ok(Some(ended)) => ended?.and(Err("a connection ended".into())),
            Ok(None) => Err("there is no stream".into()),
        }
    }
}

fn request(shape: &Shape, number: usize) -> Result<Request<Full<Bytes>>> {
    let call = shape.call().header(crate::server::STREAM, &number.to_string());
    let mut request = Request::post(format!("http://{}{}", call.host, call.path));
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    Ok(request.body(Full::new(call.body))?)
}

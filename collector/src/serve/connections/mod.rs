//! The connections: how many, how long, and how they end.
//!
//! hyper is used directly for what `axum::serve` does not expose. A sender that closes its side right behind a request
//! still gets it handled (`half_close`): that is how the last batch of a proxy that is going away arrives.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::metrics::Metrics;
use super::tls::Tls;
pub use connection::{Connection, End};
use io::Observed;
pub use nofile::connections as available;
pub use registry::{Bounds, Registry};

mod connection;
mod io;
mod nofile;
mod registry;

/// How long to wait when the system has no more connections to give.
const EXHAUSTED: Duration = Duration::from_millis(50);
/// The longest head, bytes, and what is read of a body at once.
const BUFFER: usize = 16 << 10;

/// A connection that leaves when its task ends, whatever ends it.
struct Guest {
    connection: Arc<Connection>,
    registry: Arc<Registry>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.registry.leave(&self.connection);
    }
}

/// What serves connections.
pub struct Server {
    pub router: Router,
    pub registry: Arc<Registry>,
    /// As many connections as there may be; each keeps its own until its socket is closed.
    pub places: Arc<Semaphore>,
    pub tls: Option<Arc<Tls>>,
    pub metrics: Metrics,
}

impl Server {
    /// Serves until `stop` is ready, then lets every connection finish the request it is in.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let server = Arc::new(self);
        let graceful = GracefulShutdown::new();
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut stop => break,
            };
            let Ok((stream, peer)) = accepted else {
                tokio::time::sleep(EXHAUSTED).await;
                continue;
            };
            // If there are too many, one has to go now; its place is free as soon as it has ended.
            let guest = Guest { connection: server.registry.enter(peer), registry: server.registry.clone() };
            let Ok(place) = server.places.clone().acquire_owned().await else { break };
            let (server, watcher) = (server.clone(), graceful.watcher());
            tokio::spawn(async move {
                if let Some(end) = server.attend(stream, &guest.connection, watcher).await {
                    server.metrics.connection_ended(end);
                }
                drop((guest, place));
            });
        }
        drop(listener);
        graceful.shutdown().await;
    }

    /// Everything that happens on a connection. If this side ended it, why.
    async fn attend(&self, stream: TcpStream, connection: &Arc<Connection>, watcher: Watcher) -> Option<End> {
        // A response is one small packet; without this it may wait for an ACK of the one before.
        let _ = stream.set_nodelay(true);
        let talk = async {
            match &self.tls {
                None => self.talk(stream, connection, watcher).await,
                Some(tls) => {
                    connection.handshake();
                    let Ok((stream, id)) = tls.accept(stream).await else { return Some(End::Handshake) };
                    connection.greeted(id);
                    self.talk(stream, connection, watcher).await;
                }
            }
            None
        };
        let mut talk = pin!(talk);
        let mut evicted = pin!(connection.evicted());
        let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
        poll_fn(|cx| {
            if let Poll::Ready(end) = talk.as_mut().poll(cx) {
                return Poll::Ready(end);
            }
            if evicted.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Some(End::Evicted));
            }
            // What the connection did just now may have moved its deadline.
            let Some((at, end)) = connection.deadline() else { return Poll::Pending };
            if timer.deadline() != at {
                timer.as_mut().reset(at);
            }
            timer.as_mut().poll(cx).map(|()| Some(end))
        })
        .await
    }

    async fn talk(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        connection: &Arc<Connection>,
        watcher: Watcher,
    ) {
        let router = TowerToHyperService::new(self.router.clone());
        let service = service_fn(|mut request: Request<Incoming>| {
            connection.asked();
            request.extensions_mut().insert(connection.clone());
            let response = router.call(request);
            async {
                let response = response.await;
                connection.responded();
                response
            }
        });
        let mut builder = http1::Builder::new();
        // No limit to how long a head may take: hyper's would also end connections that proxies keep warm between batches.
        builder.half_close(true).max_buf_size(BUFFER);
        let stream = Observed { stream, connection: connection.clone() };
        // A connection that breaks is its client's business.
        let _ = watcher.watch(builder.serve_connection(TokioIo::new(stream), service)).await;
    }
}

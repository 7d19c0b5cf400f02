//! The connections: how many, and how they end.
//!
//! hyper is used directly for what `axum::serve` does not expose. A sender that closes its side right behind a request
//! still gets it handled (`half_close`): that is how the last batch of a proxy that is going away arrives.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections at a time; more wait in the kernel's queue. A proxy keeps one per worker.
const CONNECTIONS: usize = 4096;
/// How long to wait when the system has no more connections to give.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// Serves until `stop` is ready, then lets every connection finish the request it is in.
pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut builder = http1::Builder::new();
    // No limit to how long a head may take: hyper's would also end connections that proxies keep warm between batches.
    builder.half_close(true);
    tokio::pin!(stop);
    loop {
        let next = async {
            let permit = room.clone().acquire_owned().await.ok();
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(EXHAUSTED).await;
            continue;
        };
        // An answer is one small packet; without this it may wait for an ACK of the one before.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // A connection that breaks is its client's business.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

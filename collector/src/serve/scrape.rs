//! A second address, for who measures and probes: `/metrics`, `/livez` and `/readyz`, without a credential and without TLS. Who
//! may reach it is for the network to say.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::routing::get;
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::connections::{Bounds, Registry, Server};
use super::metrics::Metrics;
use super::{App, count_refusals, health, log, refusal, responses};

/// How many connections there are here. They are taken from those of the collector, so that who comes here takes none from who
/// sends.
pub const CONNECTIONS: usize = 32;

/// What serves it, and where.
pub async fn bind(address: SocketAddr, app: Arc<App>) -> Result<(Server, TcpListener), String> {
    let cannot_listen = |error: std::io::Error| format!("--metrics-listen: cannot listen on {address}: {error}");
    let listener = TcpListener::bind(address).await.map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    log::info(&format!("metrics for whoever asks: http://{address}/metrics"));
    let router = Router::new()
        .route("/metrics", get(responses::open_metrics))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .fallback(refusal::not_found)
        .method_not_allowed_fallback(refusal::method_not_allowed)
        .layer(middleware::from_fn_with_state(app.clone(), count_refusals))
        .with_state(app);
    let server = Server {
        router,
        registry: Arc::new(Registry::new(Bounds::of(CONNECTIONS))),
        places: Arc::new(Semaphore::new(CONNECTIONS)),
        tls: None,
        // Nobody is known here, so these connections end as those of strangers do: no news of the collector's own.
        metrics: Metrics::new(),
    };
    Ok((server, listener))
}

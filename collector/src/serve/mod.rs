//! The HTTP service: what it serves, how it starts, and how it ends in order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use meter::event::statement::COLLECTOR_HEADER;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::ledger::Ledger;
use crate::store::{Location, Reader};
use crate::terminal;
use metrics::Metrics;
use pricing::Pricing;

mod answers;
mod auth;
mod connections;
mod ingest;
pub mod lacking;
mod metrics;
mod pricing;
mod refusal;
pub mod split;
mod wanting;
mod writer;

pub use auth::{Scope, Token, Tokens};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use ingest::{Form, arrivals};

/// How long connections may take to end after the signal.
const GRACE: Duration = Duration::from_secs(10);

/// What the service is started with.
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where the ledger is kept.
    pub database: Location,
    /// The price book by which calls are rated as they come.
    pub prices: Option<PathBuf>,
    /// Who may do what.
    pub tokens: Tokens,
    /// Batches that may wait for the disk.
    pub queue: usize,
}

/// What every request needs.
struct App {
    tokens: Tokens,
    jobs: mpsc::Sender<writer::Job>,
    /// Bounds the memory of bodies: from the first byte to the commit.
    bodies: Arc<Semaphore>,
    /// Bounds the memory of their events, until the commit.
    events: Arc<Semaphore>,
    metrics: Metrics,
    reader: Arc<dyn Reader>,
}

/// Serves until it is told to end; returns when everything taken is committed.
pub fn run(options: Options) -> Result<(), String> {
    let mut prices = Pricing::load(options.prices.clone())?;
    let mut ledger = Ledger::new(options.database.open().map_err(|error| error.to_string())?);
    ledger.set_prices(prices.changed());
    let metrics = Metrics::new();
    let (jobs, waiting) = mpsc::channel(options.queue);
    let (gone, writer_ends) = oneshot::channel::<()>();
    let writer = std::thread::Builder::new().name("writer".to_owned()).spawn({
        let metrics = metrics.clone();
        move || {
            // Dropped when the thread ends, whatever ends it.
            let _gone = gone;
            writer::run(ledger, prices, waiting, &metrics);
        }
    });
    let writer = writer.map_err(|error| format!("no writer thread: {error}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    let ended = runtime.block_on(serve(options, jobs, metrics, writer_ends));
    // Connections that did not end in time go now, and with them the last sender: the writer commits what waits.
    runtime.shutdown_timeout(Duration::from_secs(1));
    let joined = writer.join().map_err(|_| "the writer did not end in order".to_owned());
    ended.and(joined)
}

async fn serve(
    options: Options,
    jobs: mpsc::Sender<writer::Job>,
    metrics: Metrics,
    writer_ends: oneshot::Receiver<()>,
) -> Result<(), String> {
    let cannot_listen = |error: std::io::Error| format!("cannot listen on {}: {error}", options.listen);
    let listener = TcpListener::bind(options.listen).await.map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    if !options.tokens.allow(Scope::Read) {
        log("no read token is set: /v1/report and /metrics answer 401");
    }
    let app = Arc::new(App {
        tokens: options.tokens,
        jobs,
        bodies: Arc::new(Semaphore::new(ingest::BODIES_KIB)),
        events: Arc::new(Semaphore::new(ingest::EVENTS)),
        metrics,
        reader: options.database.reader(),
    });
    let mut stop = stop_signal()?;
    let mut stopping = stop.clone();
    let server = connections::serve(listener, router(app), async move { drop(stopping.wait_for(|stop| *stop).await) });
    announce(address)?;
    tokio::select! {
        () = server => Ok(()),
        () = async { drop(stop.wait_for(|stop| *stop).await); tokio::time::sleep(GRACE).await } => {
            log("some connections did not end in time");
            Ok(())
        }
        _ = writer_ends => Err("the writer ended; nothing can be stored".to_owned()),
    }
}

fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/events", post(ingest::events))
        .route("/v1/lacking", post(lacking::lacking))
        .route("/v1/report", get(answers::report))
        .route("/metrics", get(answers::metrics))
        .route("/healthz", get(answers::health))
        .fallback(refusal::not_found)
        .method_not_allowed_fallback(refusal::method_not_allowed)
        .layer(middleware::from_fn_with_state(app.clone(), count_refusals))
        .with_state(app)
}

async fn count_refusals(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    // By this an emitter knows that its statements are read.
    response.headers_mut().insert(COLLECTOR_HEADER, HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        app.metrics.refused(status);
    }
    response
}

/// Becomes true with SIGTERM or SIGINT. A second signal ends the process at once.
fn stop_signal() -> Result<watch::Receiver<bool>, String> {
    let failed = |error: std::io::Error| format!("cannot wait for signals: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let (told, stop) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        told.send_replace(true);
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        std::process::exit(1);
    });
    Ok(stop)
}

fn announce(address: SocketAddr) -> Result<(), String> {
    terminal::print(&format!("listening on http://{address}\n"))
}

/// A line for the operator.
fn log(line: &str) {
    terminal::complain(&format!("meshmeter: {line}"));
}

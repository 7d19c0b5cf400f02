//! The HTTP service: what it serves, how it starts, and how it ends in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, oneshot, watch as channel};
use warehouse::place::Patience;
use wire::statement::COLLECTOR_HEADER;

use crate::database::Location;
use crate::ingest::room::Room;
use crate::ingest::writer::Writer;
use crate::ledger::Ledger;
use crate::prices::Books;
use crate::sealed::{self, Whole};
use crate::store::Reader;
use crate::terminal;
use connections::{Bounds, Connection, Registry, Server};
use health::{Condition, Disk};
use metrics::{Metrics, Tenants};
use pricing::Pricing;
use refusal::{OverShare, Reason};
use scans::Scans;
use tls::Tls;
use watch::Watch;
use writer::{Work, WriterThread};

mod admit;
mod archive;
mod auth;
mod bodies;
mod budgets;
mod compress;
mod connections;
mod files;
mod health;
mod ingest;
mod leases;
pub mod log;
mod metrics;
mod missing;
mod openapi;
mod pricing;
mod query;
mod readers;
mod refusal;
mod reports;
mod responses;
mod routes;
mod scans;
mod scrape;
mod space;
mod spend;
mod tls;
mod turns;
mod wanting;
mod watch;
mod web;
mod writer;

pub use auth::{Policy, Problem, Scope, Source, Sources, Token, Tokens, is_option};
pub use tls::Files as TlsFiles;

/// How long connections may take to end after the signal.
const GRACE: Duration = Duration::from_secs(10);
/// Characters of a path that the log shows.
const MAX_SHOWN: usize = 100;
/// Questions to the ledger at a time.
const READERS: usize = 8;
/// What the writer may be asked for besides batches and leases: to look, and to try.
const ASKED: usize = 16;
/// Long texts of metrics at a time.
const SCRAPES: usize = 4;

/// What the service is started with.
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it has metrics for whoever asks.
    pub metrics_listen: Option<SocketAddr>,
    /// Whether those name tenants.
    pub metrics_tenants: bool,
    /// Where the ledger is kept.
    pub database: Location,
    /// How sealed months are read.
    pub archive: sealed::Settings,
    /// The price books by which calls are rated as they come.
    pub prices: Books,
    /// Where it stands who may do what.
    pub credentials: Sources,
    /// Nobody is asked for a token.
    pub open: bool,
    /// Certificate and key, if it speaks TLS.
    pub tls: Option<TlsFiles>,
    /// Batches that may wait for the disk.
    pub queue: usize,
    /// Bytes of the ledger's disk that stay free.
    pub min_free: u64,
}

/// What every request needs.
struct App {
    tokens: Arc<Tokens>,
    wrong: admit::Wrong,
    sessions: web::Sessions,
    /// Whether it speaks TLS itself. What a proxy says of that anybody could say.
    is_secure: bool,
    registry: Arc<Registry>,
    jobs: mpsc::Sender<Work>,
    room: Arc<Room>,
    readers: Semaphore,
    scans: Scans,
    scrapes: Arc<Semaphore>,
    open_tenants: Tenants,
    metrics: Metrics,
    reader: Arc<dyn Reader>,
    condition: Arc<Condition>,
    ready: health::Said,
}

/// Serves until it is told to end; returns when everything taken is committed.
pub fn run(options: Options) -> Result<(), String> {
    let available = connections::available()?;
    let mut prices = Pricing::load(options.prices.clone())?;
    let fresh = prices.changed();
    match &fresh {
        None => log::warn("no price book is named: every call will be unpriced (--prices FILE, or MESHMETER_PRICES)"),
        Some(book) if options.prices.files.is_empty() => {
            log::info(&format!(
                "no price book is named, so list prices hold (--prices FILE names one): {}",
                book.summary()
            ));
        }
        Some(_) => {}
    }
    let tls = options.tls.clone().map(|files| {
        let reread = tls::Reread::new(files.clone());
        Ok::<_, String>((reread, Arc::new(Tls::load(&files)?)))
    });
    let tls = tls.transpose()?;
    let reread = auth::Reread::new(options.credentials.clone());
    let known = options.credentials.load().map_err(|problem| problem.text().to_owned())?;
    let tokens = Arc::new(Tokens::new(known, options.open));
    let mut ledger = Ledger::new(options.database.open_telling(&mut log::info).map_err(|error| error.to_string())?);
    ledger.set_prices(fresh);
    let metrics = Metrics::new();
    let condition = Condition::new();
    // The room has as many places as the queue: what has one finds a place here.
    let (jobs, waiting) = mpsc::channel(options.queue.saturating_add(ASKED));
    let disk = match &options.database {
        Location::Sqlite(path) => Some(Disk::of(path, options.min_free, metrics.space.clone())),
        Location::Postgres(_) => None,
    };
    if let Some(disk) = &disk {
        disk.look(&condition);
    }
    let accepts = tls.as_ref().map(|(_, tls)| tls.clone());
    let (watches, weak) = (condition.clone(), jobs.downgrade());
    Watch { tokens: (reread, tokens.clone()), tls, disk, condition: watches, jobs: weak }.start()?;
    let prices = prices.start()?;
    let (gone, writer_ends) = oneshot::channel::<()>();
    let writer = std::thread::Builder::new().name("writer".to_owned()).spawn({
        let (metrics, condition) = (metrics.clone(), condition.clone());
        move || {
            // Dropped when the thread ends, whatever ends it.
            let _gone = gone;
            let writer = Writer::new(ledger);
            WriterThread { writer, prices, condition: &condition, metrics: &metrics }.run(waiting)
        }
    });
    let writer = writer.map_err(|error| format!("no writer thread: {error}"))?;
    // Whoever asks over HTTP waits for the response.
    let archive = sealed::Settings { patience: Patience::Short, ..options.archive };
    metrics.archive.watch(options.database.reader(), archive.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    let elsewhere = if options.metrics_listen.is_some() { scrape::CONNECTIONS } else { 0 };
    let bounds = Bounds::of(available.saturating_sub(elsewhere).max(1));
    let app = Arc::new(App {
        tokens,
        wrong: admit::Wrong::default(),
        sessions: web::Sessions::default(),
        is_secure: options.tls.is_some(),
        registry: Arc::new(Registry::new(bounds)),
        room: Room::with_queue(options.queue),
        readers: Semaphore::new(READERS),
        scans: Scans::default(),
        scrapes: Arc::new(Semaphore::new(SCRAPES)),
        open_tenants: if options.metrics_tenants { Tenants::Named } else { Tenants::Unnamed },
        jobs,
        metrics,
        reader: Arc::new(Whole::of(&options.database, archive)),
        condition,
        ready: health::Said::default(),
    });
    let listen = (options.listen, options.metrics_listen);
    let ended = runtime.block_on(serve(app.clone(), listen, bounds, accepts, writer_ends));
    // Connections that did not end in time go now.
    runtime.shutdown_timeout(Duration::from_secs(1));
    // The last one is dropped here, where a thread may wait: what is in it may close files and connections. With it goes the
    // last sender, and the writer commits what waits.
    drop(app);
    let joined = writer.join().unwrap_or_else(|_| Err("the writer did not end as it should".to_owned()));
    // Why the writer ended says more than that it did.
    joined.and(ended)
}

async fn serve(
    app: Arc<App>,
    (listen, metrics_listen): (SocketAddr, Option<SocketAddr>),
    bounds: Bounds,
    tls: Option<Arc<Tls>>,
    writer_ends: oneshot::Receiver<()>,
) -> Result<(), String> {
    let cannot_listen = |error: std::io::Error| format!("cannot listen on {listen}: {error}");
    let listener = TcpListener::bind(listen).await.map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    if !app.tokens.allow(Scope::Read) {
        log::warn("no read token is set: reports, budgets and metrics respond with 401");
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    let (registry, metrics) = (app.registry.clone(), app.metrics.clone());
    let places = Arc::new(Semaphore::new(bounds.all));
    let scrape = match metrics_listen {
        Some(address) => Some(scrape::bind(address, app.clone()).await?),
        None => None,
    };
    let server = Server { router: routes::router(app), registry, places, tls, metrics };
    let mut stop = stop_signal()?;
    let stopping = || {
        let mut stop = stop.clone();
        async move { drop(stop.wait_for(|stop| *stop).await) }
    };
    let (server, stopped) = (server.serve(listener, stopping()), stopping());
    let servers = async {
        let scrape = async {
            if let Some((server, listener)) = scrape {
                server.serve(listener, stopped).await;
            }
        };
        tokio::join!(server, scrape);
    };
    log::info(&format!("listening on {scheme}://{address}, for at most {} connections", bounds.all));
    announce(scheme, address)?;
    tokio::select! {
        () = servers => Ok(()),
        () = async { drop(stop.wait_for(|stop| *stop).await); tokio::time::sleep(GRACE).await } => {
            log::warn("some connections did not end in time");
            Ok(())
        }
        _ = writer_ends => Err("the writer ended; nothing can be stored".to_owned()),
    }
}

/// Counts what is refused, and says it now and then: whoever configured a wrong token or path finds the reason on both sides.
async fn count_refusals(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let connection = request.extensions().get::<Arc<Connection>>().cloned();
    let mut response = next.run(request).await;
    // By this an emitter knows that its statements are read.
    response.headers_mut().insert(COLLECTOR_HEADER, HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        let reason = response.extensions().get().copied().unwrap_or(Reason("other"));
        app.metrics.refused(status, reason);
        let over_share = response.extensions().get::<OverShare>();
        if let Some(OverShare(credential)) = over_share {
            app.metrics.turns.refused(credential);
        }
        log::often(reason.0, || {
            let path: String = uri.path().chars().take(MAX_SHOWN).collect();
            let peer = connection.map_or_else(|| "nobody".to_owned(), |connection| connection.peer.to_string());
            let of = over_share.map_or_else(String::new, |OverShare(credential)| format!(", credential {credential}"));
            format!("{method} {path} from {peer}{of} got {}", status.as_u16())
        });
    }
    response
}

/// Becomes true with SIGTERM or SIGINT. A second signal ends the process at once.
fn stop_signal() -> Result<channel::Receiver<bool>, String> {
    let failed = |error: std::io::Error| format!("cannot wait for signals: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let (told, stop) = channel::channel(false);
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        told.send_replace(true);
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        std::process::exit(1);
    });
    Ok(stop)
}

fn announce(scheme: &str, address: SocketAddr) -> Result<(), String> {
    terminal::print(&format!("listening on {scheme}://{address}\n"))
}

//! Everything at once: provider, collector, the gate in front of it, and Envoy with the shipped bootstrap.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path, path::PathBuf};

use hyper::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Result,
    bootstrap::Bootstrap,
    client::{Call, Response, Route},
    collector::{Collector, INGEST_TOKEN, Report},
    envoy::{self, Envoy},
    event::Event,
    gate::Gate,
    identity::Identity,
    live::Live,
    paths,
    provider::{Pace, Provider},
    wait,
};

/// The header with a token that the shipped configuration reads.
pub const TOKEN_HEADER: &str = "x-tenant-token";
/// The header that the shipped configuration trusts.
pub const TENANT_HEADER: &str = "x-tenant-id";

/// What a test changes.
pub struct Options {
    /// The provider's pace.
    pub pace: Pace,
    /// Whether the collector can be reached from the start.
    pub open: bool,
    /// Whether Envoy talks to the collector itself, with no gate between the two.
    pub direct: bool,
    /// Envoy's workers, each of which is a meter of its own.
    pub workers: u8,
    /// Where events go instead of through the gate to the collector.
    pub ingest: Option<SocketAddr>,
    /// Where calls end instead of at the provider.
    pub upstream: Option<SocketAddr>,
    /// Whether the self-hosted model speaks TLS.
    pub encrypted: bool,
    /// A cluster that nobody listens behind.
    pub unreachable: Option<&'static str>,
    /// Whether the forward proxy sends every host that it does not know to the self-hosted model.
    pub everywhere: bool,
    /// How long a route waits for a response, if not for ever.
    pub timeout: Option<&'static str>,
    /// Whether the plugin and the listeners can be changed while Envoy runs.
    pub live: bool,
    /// Whom Istio's waypoint, which this Envoy then is, has authenticated on the connection around the client's.
    pub waypoint: Option<&'static str>,
    /// The listener with certificates takes any that its authority has signed, whatever their names.
    pub any_name: bool,
    /// The token that the plugin shows to the collector.
    pub token: &'static str,
    /// The credential by which the collector knows it.
    pub credential: &'static str,
    /// Whether Envoy follows redirects itself.
    pub redirects: bool,
    /// Changes the plugin's configuration.
    pub plugin: fn(&mut Value),
    /// Changes Envoy's, last of all.
    pub change: fn(&mut Bootstrap) -> Result<()>,
    /// Another Envoy than the one that all tests run.
    pub program: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pace: Pace::none(),
            open: true,
            direct: false,
            workers: envoy::WORKERS,
            ingest: None,
            upstream: None,
            encrypted: false,
            unreachable: None,
            everywhere: false,
            timeout: None,
            live: false,
            waypoint: None,
            any_name: false,
            token: INGEST_TOKEN,
            credential: INGEST_TOKEN,
            redirects: false,
            plugin: |_| {},
            change: |_| Ok(()),
            program: None,
        }
    }
}

/// The running parts. Call [`Stack::finish`] at the end of a test that went well; otherwise the logs are printed.
pub struct Stack {
    /// Envoy, which goes first.
    pub envoy: Envoy,
    /// The collector.
    pub collector: Collector,
    /// What lies between the two.
    pub gate: Gate,
    /// Where the calls end.
    pub provider: Provider,
    /// Who may call.
    pub identity: Identity,
    /// What can be changed while it runs, if [`Options::live`].
    pub live: Option<Live>,
    /// Holds the port of the unreachable cluster.
    _nobody: Gate,
    gateway: SocketAddr,
    llm: SocketAddr,
    llm_mtls: SocketAddr,
    dir: TempDir,
}

impl Stack {
    /// Starts everything, with the shipped configuration.
    pub async fn start() -> Result<Self> {
        Self::with(Options::default()).await
    }

    /// Starts everything.
    pub async fn with(options: Options) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("meshmeter-").tempdir()?;
        let identity = Identity::create(dir.path())?;
        let provider = Provider::start(options.pace).await?;
        let collector = Collector::with_credential(dir.path(), options.credential).await?;
        let mut gate = Gate::closed(collector.address())?;
        if options.open {
            gate.open()?;
        }
        let to = if options.direct { collector.address() } else { gate.address() };
        let to = options.ingest.unwrap_or(to);
        let upstream = options.upstream.unwrap_or(provider.address());
        let mut bootstrap = bootstrap(dir.path(), &identity, upstream, to)?;
        let nobody = Gate::closed(collector.address())?;
        if let Some(cluster) = options.unreachable {
            bootstrap.point(cluster, nobody.address())?;
        }
        if options.encrypted {
            bootstrap.encrypt("self_hosted")?;
        }
        if options.everywhere {
            bootstrap.everywhere()?;
        }
        if let Some(timeout) = options.timeout {
            bootstrap.timeout(timeout);
        }
        let mut plugin = bootstrap.plugin()?;
        (options.plugin)(&mut plugin);
        bootstrap.set_plugin(&plugin.to_string());
        if let Some(principal) = options.waypoint {
            bootstrap.waypoint(principal);
        }
        if options.any_name {
            bootstrap.any_client_name();
        }
        if options.redirects {
            bootstrap.follow_redirects();
        }
        (options.change)(&mut bootstrap)?;
        let live = if options.live { Some(Live::of(&mut bootstrap, dir.path())?) } else { None };
        let program = options.program.map_or_else(paths::envoy, Ok)?;
        let mut envoy = Envoy::of(&program, dir.path(), &bootstrap, Some(options.token), options.workers)?;
        envoy.ready().await?;
        let gateway = envoy.listener("gateway").await?;
        let (llm, llm_mtls) = (envoy.listener("llm").await?, envoy.listener("llm_mtls").await?);
        Ok(Self { envoy, collector, gate, provider, identity, live, _nobody: nobody, gateway, llm, llm_mtls, dir })
    }

    /// The reverse proxy of local applications.
    pub fn gateway(&self) -> Route {
        Route::plain(self.gateway)
    }

    /// The forward proxy of local applications.
    pub fn llm(&self) -> Route {
        Route::plain(self.llm)
    }

    /// The listener that asks for a certificate, with one for `spiffe`.
    pub fn llm_mtls(&self, spiffe: &str) -> Result<Route> {
        Ok(Route::tls(self.llm_mtls, self.identity.client(spiffe)?))
    }

    /// The same, with a certificate of these names.
    pub fn llm_mtls_named(&self, names: &[&str]) -> Result<Route> {
        Ok(Route::tls(self.llm_mtls, self.identity.client_named(names)?))
    }

    /// Where the reverse proxy listens: what a base URL names.
    pub fn gateway_address(&self) -> SocketAddr {
        self.gateway
    }

    /// Where the listeners are: of local applications by host, and of those with a certificate.
    pub fn listeners(&self) -> (SocketAddr, SocketAddr) {
        (self.llm, self.llm_mtls)
    }

    /// The same, with no certificate.
    pub fn llm_mtls_anonymous(&self) -> Result<Route> {
        Ok(Route::tls(self.llm_mtls, self.identity.anonymous_client()?))
    }

    /// Past Envoy, straight to the provider.
    pub fn direct(&self) -> Route {
        Route::plain(self.provider.address())
    }

    /// A call with a JWT that names a tenant.
    pub fn as_tenant(&self, call: Call, tenant: &str) -> Result<Call> {
        Ok(call.header(TOKEN_HEADER, &self.identity.token(&json!({"tenant": tenant}))?))
    }

    /// The journal's events.
    pub fn journal(&self) -> Result<Vec<Event>> {
        fs::read_to_string(self.file("journal"))?.lines().map(Event::parse).collect()
    }

    /// The lines of the JSON access log.
    pub fn access_log(&self) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.file("access.log"))?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// A file of the temporary directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Waits until the journal has the event of a call, found by the id that the call bore through the mesh.
    pub async fn event_of(&self, request_id: &str) -> Result<Event> {
        wait::until(&format!("the journal's event of {request_id}"), || async {
            let events = self.journal()?;
            let mut of_call = events.into_iter().filter(|event| event.text("request_id") == request_id);
            let event = of_call.next().ok_or("it is not there")?;
            wait::ensure(of_call.next().is_none(), || "there are two".to_owned())?;
            Ok(event)
        })
        .await
    }

    /// Waits until everything in the journal is acknowledged, then checks the conservation law: the calls made, the
    /// journal, the acknowledged events and the ledger are the same, and the filter's counters say so.
    pub async fn settled(&self, calls: u64) -> Result<Report> {
        self.settled_but(calls, 0).await
    }

    /// The same where the ledger keeps so many of the calls apart, because they are beyond what a credential may charge.
    pub async fn settled_but(&self, calls: u64, quarantined: u64) -> Result<Report> {
        wait::until(&format!("{calls} events in the journal"), || async {
            let have = self.journal()?.len() as u64;
            wait::ensure(have >= calls, || format!("it has {have}"))
        })
        .await?;
        let charged = calls.saturating_sub(quarantined);
        let report = self.collector.holds(charged).await?;
        wait::until("the filter to have every response", || async {
            let have = self.envoy.metrics().await?.sum("meshmeter_events_acknowledged_total", &[]);
            wait::ensure(have >= calls, || format!("{have} of {calls} are acknowledged"))
        })
        .await?;
        let journal = self.journal()?.len() as u64;
        let metrics = self.envoy.metrics_of(calls).await?;
        let counter = |name: &str| metrics.sum(name, &[]);
        let found = [
            ("calls in the journal", journal),
            ("calls in the ledger and quarantined", report.calls() + quarantined),
            ("meshmeter_calls_total", counter("meshmeter_calls_total")),
            ("meshmeter_records_total", counter("meshmeter_records_total")),
            ("meshmeter_events_queued_total", counter("meshmeter_events_queued_total")),
            ("meshmeter_events_acknowledged_total", counter("meshmeter_events_acknowledged_total")),
        ];
        for (name, count) in found {
            wait::ensure(count == calls, || format!("{name}: {count}, expected {calls}; all: {found:?}"))?;
        }
        for name in ["meshmeter_events_dropped_total", "meshmeter_events_rejected_total"] {
            wait::ensure(counter(name) == 0, || format!("{name}: {}", counter(name)))?;
        }
        Ok(report)
    }

    /// Stops everything in order. An Envoy that crashed, a trap in the filter, a process that had to be killed: errors.
    pub fn finish(mut self) -> Result<()> {
        self.envoy.stop()?;
        self.finish_stopped()
    }

    /// The same for a test that has stopped Envoy itself.
    pub fn finish_stopped(self) -> Result<()> {
        let broken = self.provider.broken();
        self.ended()?;
        wait::ensure(broken.is_empty(), || format!("requests with a wrong length reached the provider: {broken:?}"))
    }

    /// Stops everything where calls were refused when the provider had a part of them.
    pub fn finish_refused(mut self) -> Result<()> {
        self.envoy.stop()?;
        self.ended()
    }

    fn ended(mut self) -> Result<()> {
        self.collector.stop()?;
        let log = self.envoy.log();
        let bad = ["wasm trap", "panicked", "Proxy-Wasm plugin in-VM backtrace", "[critical]", "Function: proxy_on"];
        if let Some(line) = log.lines().find(|line| bad.iter().any(|word| line.contains(word))) {
            return Err(format!("Envoy's log has: {line}").into());
        }
        self.envoy.quiet();
        self.collector.quiet();
        Ok(())
    }
}

/// The shipped bootstrap on loopback, with fresh keys and with files in `dir`.
pub fn bootstrap(dir: &Path, identity: &Identity, provider: SocketAddr, collector: SocketAddr) -> Result<Bootstrap> {
    let mut bootstrap = Bootstrap::shipped()?;
    bootstrap.any_port();
    bootstrap.replace(&files(dir, identity)?)?;
    for cluster in ["openai", "anthropic", "self_hosted"] {
        bootstrap.point(cluster, provider)?;
    }
    bootstrap.point("meshmeter_collector", collector)?;
    Ok(bootstrap)
}

/// The files that the shipped bootstrap names, and those of a test.
pub fn files(dir: &Path, identity: &Identity) -> Result<BTreeMap<&'static str, String>> {
    let path = |path: PathBuf| path.to_string_lossy().into_owned();
    Ok(BTreeMap::from([
        ("/etc/meshmeter/filter.wasm", path(paths::wasm()?)),
        ("/etc/meshmeter/jwks.json", path(identity.file("jwks.json"))),
        ("/etc/meshmeter/tls/server.crt", path(identity.file("server.crt"))),
        ("/etc/meshmeter/tls/server.key", path(identity.file("server.key"))),
        ("/etc/meshmeter/tls/clients-ca.crt", path(identity.file("ca.crt"))),
        ("/var/log/envoy/meshmeter.journal", path(dir.join("journal"))),
        ("/dev/stdout", path(dir.join("access.log"))),
    ]))
}

/// A call with an `x-request-id` of its own, by which its record is found.
pub fn with_request_id(call: Call, id: &str) -> Call {
    call.header("x-request-id", id).tag(id)
}

/// Sends a call through Envoy, and waits for its event.
pub async fn metered(stack: &Stack, route: &Route, call: Call, id: &str) -> Result<(Response, Event)> {
    let response = route.send(&with_request_id(call, id)).await?;
    Ok((response, stack.event_of(id).await?))
}

/// A call that a stored response is read again by.
pub fn retrieve(id: &str) -> Call {
    Call::get("api.openai.com", &format!("/v1/responses/{id}")).method(Method::GET)
}

//! A kind's own Envoy, pinned to one core, with the collector it sends to and the connections that load it.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use e2e::{Result, bootstrap::Bootstrap, client::Route, collector::INGEST_TOKEN, envoy::Envoy, wait};
use serde_json::Value;

use crate::{
    cores,
    hold::Held,
    kind::{self, Found, Kind, PROOF},
    load::{Line, Seen, Task, Tenants, run},
    server::Server,
    shape::Shape,
};

/// One connection per stream of the widest shape.
const LINES: usize = 64;

/// The running proxy.
pub struct Proxy {
    /// What it is.
    pub kind: Kind,
    /// Its process.
    pub envoy: Envoy,
    /// Where its events go.
    pub sink: Server,
    /// What Envoy itself uses of a core at rest, see [`crate::measure::rest`].
    pub at_rest: f64,
    lines: Vec<Line>,
    address: SocketAddr,
    log: PathBuf,
    calls: u64,
    _dir: tempfile::TempDir,
}

impl Proxy {
    /// Starts it; `shipped` is the bootstrap that users take, pointed at the provider.
    pub async fn start(kind: Kind, shipped: &Bootstrap) -> Result<Self> {
        Self::with(kind, shipped, 1, LINES).await
    }

    /// Starts it with so many workers, and opens so many connections.
    pub async fn with(kind: Kind, shipped: &Bootstrap, workers: u8, connections: usize) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("meshmeter-bench-").tempdir()?;
        let log = dir.path().join("access.log");
        let sink = Server::start().await?;
        let mut bootstrap = shipped.clone();
        bootstrap.only("llm", &kind.filters, &[kind::log(&log)]);
        bootstrap.point("meshmeter_collector", sink.address)?;
        // A child has the cores of the thread that starts it.
        cores::pin(cores::PROXY)?;
        let started = Envoy::with_workers(dir.path(), &bootstrap, Some(INGEST_TOKEN), workers);
        cores::pin(cores::LOAD)?;
        let mut envoy = started?;
        envoy.ready().await.map_err(|error| format!("{}: {error}", kind.name))?;
        envoy.quiet();
        let address = envoy.listener("llm").await?;
        let mut lines = Vec::with_capacity(connections);
        for _ in 0..connections {
            lines.push(Line::open(address).await?);
        }
        Ok(Self { kind, envoy, sink, at_rest: 0.0, lines, address, log, calls: 0, _dir: dir })
    }

    /// Sends one call, and fails unless the client got every byte and the counts are as they must be; returns whether
    /// it found them.
    pub async fn prove(&mut self, shape: &Shape) -> Result<bool> {
        let name = format!("{}, {}", self.kind.name, shape.name);
        let before = fs::read_to_string(&self.log).unwrap_or_default().lines().count();
        self.calls += 1;
        let response = Route::plain(self.address).send(&shape.call().header(PROOF, "1")).await?;
        if !response.whole || response.body != shape.body {
            return Err(format!("{name}: the client got {} bytes of {}", response.body.len(), shape.body.len()).into());
        }
        let line = wait::until(&format!("the log line of {name}"), || async {
            let log = fs::read_to_string(&self.log)?;
            Ok(log.lines().nth(before).ok_or("it is not there")?.to_owned())
        })
        .await?;
        let line: Value = serde_json::from_str(&line)?;
        let found = self.kind.usage(&line)?;
        let blind =
            matches!(self.kind.found, Found::Nothing | Found::Bytes) || self.kind.blind.contains(&shape.name.as_str());
        let expected = if blind { None } else { Some(shape.usage) };
        wait::ensure(found == expected, || format!("{name}: found {found:?}, expected {expected:?} in {line}"))?;
        Ok(found.is_some())
    }

    /// Calls over so many connections at once, `times` each, of so many tenants in turns; the next call of a connection
    /// follows the response.
    pub async fn load(
        &mut self,
        shape: &Shape,
        connections: usize,
        times: usize,
        tenants: usize,
    ) -> Result<Vec<Vec<Seen>>> {
        let timed = shape.is_paced();
        let task = |number: usize| Task {
            request: shape.request(timed.then_some(number)),
            times,
            // Streams do not begin together.
            delay: if timed { Duration::from_micros(number as u64 * 6_250) } else { Duration::ZERO },
            time_events: timed,
            tenants: Tenants { first: self.calls as usize + number, step: connections, count: tenants },
        };
        let tasks = (0..connections).map(task).collect();
        self.calls += (connections * times) as u64;
        let (lines, seen) = run(std::mem::take(&mut self.lines), tasks).await?;
        self.lines = lines;
        Ok(seen)
    }

    /// Opens so many endless streams.
    pub async fn hold(&mut self, shape: &Shape, streams: usize) -> Result<Held> {
        self.calls += streams as u64;
        Held::open(self.address, shape, streams).await
    }

    /// Waits until every event is at the collector: sending them belongs to the price.
    pub async fn settle(&self) -> Result<()> {
        if !self.kind.meters() {
            return Ok(());
        }
        wait::until(&format!("the events of {}", self.kind.name), || async {
            let have = self.sink.events();
            wait::ensure(have == self.calls, || format!("{have} of {}", self.calls))
        })
        .await
    }

    /// At the end: a kind that reads must have read, and nothing may have gone wrong.
    pub async fn finish(self) -> Result<()> {
        if self.kind.found == Found::Bytes {
            wait::until(&format!("{} to have read", self.kind.name), || async {
                let read = self.envoy.metrics().await?.sum("bench_bytes_read", &[]);
                wait::ensure(read > 0, || "it has read nothing".to_owned())
            })
            .await?;
        }
        self.settle().await?;
        self.stop()
    }

    /// Ends it, whatever has become of its events.
    pub fn stop(mut self) -> Result<()> {
        self.lines.clear();
        self.envoy.stop()
    }
}

//! Calls through more than one Envoy, and what only looks like one.

use std::net::SocketAddr;

use serde_json::Value;
use tempfile::TempDir;

use super::{FIXTURE, TENANTS, at_once};
use crate::{
    Result,
    client::Route,
    collector::{Collector, INGEST_TOKEN},
    envoy::Envoy,
    identity::Identity,
    provider::{Pace, Provider, SERIAL},
    stack::{self, Options, Stack, TENANT_HEADER, with_request_id},
    wait,
};

/// A client makes the same call through two replicas at once, with ids of its own.
pub async fn chosen_ids_at_replicas() -> Result<()> {
    const CALLS: u64 = 8;
    let dir = tempfile::tempdir()?;
    let mut collector = Collector::start(dir.path()).await?;
    // Slow enough that they overlap.
    let pace = Pace { first: std::time::Duration::from_millis(300), gap: std::time::Duration::ZERO };
    let ingest = Some(collector.address());
    let mut one = Stack::with(Options { ingest, pace, workers: 1, ..Options::default() }).await?;
    let mut other = Gateway::start(one.provider.address(), collector.address(), "meshmeter").await?;
    let fixture = one.provider.catalogue().get(FIXTURE)?.clone();
    for number in 0..CALLS / 2 {
        let call = with_request_id(fixture.call(), &format!("chosen-{number}")).header(SERIAL, "7");
        let call = call.header(TENANT_HEADER, TENANTS[0]);
        let (here, there) = (one.llm(), Route::plain(other.address));
        let (here, there) = tokio::join!(here.send(&call), there.send(&call));
        for response in [here?, there?] {
            wait::ensure(response.status == 200 && response.whole, || format!("HTTP {}", response.status))?;
        }
    }
    wait::until("the records of both", || async {
        let found = collector.report()?.calls();
        wait::ensure(found == CALLS, || format!("{found} calls are charged"))
    })
    .await?;
    let listed = collector.about("copies", &["--format", "json"])?;
    wait::ensure(listed.contains("node_cluster is the same"), || listed.clone())?;
    collector.about("verify", &[])?;
    one.envoy.stop()?;
    other.envoy.stop()?;
    collector.stop()?;
    one.finish_stopped()?;
    other.envoy.quiet();
    collector.quiet();
    Ok(())
}

/// An Envoy in front of the provider, and what it takes.
struct Gateway {
    envoy: Envoy,
    address: SocketAddr,
    dir: TempDir,
}

impl Gateway {
    /// Starts one, as a replica of this workload.
    async fn start(provider: SocketAddr, collector: SocketAddr, workload: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("meshmeter-gateway-").tempdir()?;
        let identity = Identity::create(dir.path())?;
        let mut bootstrap = stack::bootstrap(dir.path(), &identity, provider, collector)?;
        bootstrap.workload(workload);
        let mut envoy = Envoy::with_workers(dir.path(), &bootstrap, Some(INGEST_TOKEN), 2)?;
        envoy.ready().await?;
        Ok(Self { address: envoy.listener("llm").await?, envoy, dir })
    }

    fn records(&self) -> Result<usize> {
        Ok(std::fs::read_to_string(self.dir.path().join("journal"))?.lines().count())
    }
}

pub async fn sidecar_and_gateway() -> Result<()> {
    const CALLS: usize = 60;
    let dir = tempfile::tempdir()?;
    let mut collector = Collector::start(dir.path()).await?;
    let provider = Provider::start(Pace::none()).await?;
    let mut gateway = Gateway::start(provider.address(), collector.address(), "egress").await?;
    let (ingest, upstream) = (Some(collector.address()), Some(gateway.address));
    let mut sidecar = Stack::with(Options { ingest, upstream, workers: 2, ..Options::default() }).await?;
    at_once(&sidecar, CALLS, |number| format!("call-{number}")).await?;
    wait::until("both journals", || async {
        let found = (sidecar.journal()?.len(), gateway.records()?);
        wait::ensure(found == (CALLS, CALLS), || format!("they have {found:?}"))
    })
    .await?;
    let database = collector.database().to_owned();
    let count = |kind: &str| -> Result<i64> {
        let sql = "SELECT count(*) FROM ledger WHERE kind = ?1";
        Ok(rusqlite::Connection::open(&database)?.query_row(sql, [kind], |row| row.get(0))?)
    };
    wait::until("the records of both", || async {
        let found = count("call")? + count("copy")?;
        wait::ensure(found == 2 * CALLS as i64, || format!("it has {found}"))
    })
    .await?;
    // The gateway does not know the tenant: where its record came first, it is reversed for the sidecar's.
    let (report, reversed) = (collector.report()?, count("reversal")?);
    let found = (count("call")? - reversed, count("copy")? + reversed, report.calls());
    wait::ensure(found == (CALLS as i64, CALLS as i64, CALLS as u64), || format!("calls, copies, charged: {found:?}"))?;
    let unknown = report.lines.iter().filter(|line| line.tenant == "unknown").map(|line| line.calls).sum::<u64>();
    wait::ensure(unknown == 0, || format!("{unknown} calls are charged to nobody known"))?;
    // Calls of others were under way under the same response id, and nothing proves that they are others: few are told.
    let possible: Vec<Value> = serde_json::from_str(&collector.about("copies", &["--format", "json"])?)?;
    wait::ensure(possible.len() <= 16, || format!("{possible:?}"))?;
    collector.about("verify", &[])?;
    sidecar.envoy.stop()?;
    gateway.envoy.stop()?;
    collector.stop()?;
    sidecar.finish_stopped()?;
    gateway.envoy.quiet();
    collector.quiet();
    Ok(())
}

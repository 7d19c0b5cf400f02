//! What metering costs: CPU time of Envoy per call, with the filter and without it, in turns.

use std::time::Duration;

use e2e::{
    Result,
    bootstrap::Bootstrap,
    client::{Call, repeat},
    collector::{Collector, INGEST_TOKEN},
    envoy::Envoy,
    identity::Identity,
    provider::{Pace, Provider},
    stack,
};

const ROUNDS: usize = 3;
const CONNECTIONS: usize = 8;
const CALLS: usize = 8000;
const WARM_UP: usize = 800;

#[tokio::main]
async fn main() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let identity = Identity::create(dir.path())?;
    let provider = Provider::start(Pace::none()).await?;
    let mut collector = Collector::start(dir.path()).await?;
    let metered = stack::bootstrap(dir.path(), &identity, provider.address(), collector.address())?;
    let mut plain = metered.clone();
    plain.without_plugin();
    println!(
        "{CALLS} calls, {CONNECTIONS} connections, best of {ROUNDS}; CPU of Envoy per call, access log and journal on"
    );
    for name in ["chat_tools.json", "messages.json", "chat_stream.sse", "responses_stream.sse"] {
        let fixture = provider.catalogue().get(name)?;
        let (with, without) =
            (best(dir.path(), &metered, &fixture.call()).await?, best(dir.path(), &plain, &fixture.call()).await?);
        println!(
            "{name:<22} {:>6} bytes   without {without:>6.1} µs   with {with:>6.1} µs   metering {:>5.1} µs",
            fixture.text.len(),
            with - without
        );
    }
    collector.stop()?;
    collector.quiet();
    Ok(())
}

/// µs of CPU per call, the least disturbed of some rounds.
async fn best(dir: &std::path::Path, bootstrap: &Bootstrap, call: &Call) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let mut envoy = Envoy::start(dir, bootstrap, Some(INGEST_TOKEN))?;
        envoy.ready().await?;
        let address = envoy.listener("llm").await?;
        load(address, call, WARM_UP).await?;
        let before = envoy.cpu()?;
        load(address, call, CALLS).await?;
        // The last batch belongs to the price.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let used = envoy.cpu()?.saturating_sub(before);
        best = best.min(used.as_secs_f64() * 1e6 / CALLS as f64);
        envoy.stop()?;
        envoy.quiet();
    }
    Ok(best)
}

async fn load(address: std::net::SocketAddr, call: &Call, calls: usize) -> Result<()> {
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let call = call.clone();
        running.spawn(async move { repeat(address, &call, calls / CONNECTIONS).await });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

//! Connections that ask for nothing, or never come to the end of asking.

use std::{net::SocketAddr, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::{
    honest::Honest,
    served::{Served, connect, head},
};
use crate::{
    Result,
    collector::INGEST_TOKEN,
    wait::{self, ensure},
};

/// 1,200 connections from six addresses, held against a collector that may open 512 files.
pub async fn idle() -> Result<()> {
    may_open_many()?;
    let dir = std::sync::Arc::new(tempfile::TempDir::new()?);
    let served = Served::limited("ulimit -n 512;", dir, &[]).await?;
    let honest = Honest::start(served.address(), INGEST_TOKEN, 1);
    honest.goes_on().await?;
    let mut held = Vec::new();
    for number in 0..1200_u32 {
        held.push(connect_from(u8::try_from(number % 6)? + 1, served.address()).await?);
    }
    honest.goes_on().await?;
    for path in ["/livez", "/readyz"] {
        let status = served.health(path).await?;
        ensure(status == 200, || format!("{path} responds with {status}"))?;
    }
    let evicted = served.metric("meshmeter_collector_connections_ended_total", "evicted").await?;
    ensure(evicted > 600, || format!("only {evicted} connections had to go"))?;
    drop(held);
    honest.end(&served).await?;
    served.quiet();
    Ok(())
}

/// 200 heads, a byte every tenth of a second, with a valid token that never comes to its end.
pub async fn slow_heads() -> Result<()> {
    let served = Served::start(&[]).await?;
    let honest = Honest::start(served.address(), INGEST_TOKEN, 1);
    let mut slow = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let mut stream = connect(served.address()).await?;
        slow.spawn(async move {
            let head = head("POST", "/v1/events", Some(INGEST_TOKEN), 2)
                .replace("authorization", "x-more: 1\r\n".repeat(40).as_str());
            for byte in head.bytes() {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
    honest.goes_on().await?;
    wait::until("the slow ones to be ended", || async {
        let ended = served.metric("meshmeter_collector_connections_ended_total", "head").await?;
        ensure(ended >= 200, || format!("{ended} are"))
    })
    .await?;
    honest.goes_on().await?;
    slow.abort_all();
    honest.end(&served).await?;
    served.quiet();
    Ok(())
}

/// From one of the many addresses that loopback has.
async fn connect_from(host: u8, to: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, host], 0)))?;
    Ok(timeout(wait::PATIENCE, socket.connect(to)).await??)
}

/// The attacker's own bound of open files must not be what stops it.
fn may_open_many() -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(8192, |maximum| maximum.min(8192));
    if current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })?;
    }
    ensure(wanted >= 2000, || format!("this machine lets an attacker open only {wanted} files"))
}

//! The ledger's file is deleted, replaced, or finds no room.

use std::{fs, sync::Arc};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tempfile::TempDir;

use super::{
    honest::Honest,
    served::{Response, Served, ask, batch, connect},
};
use crate::{
    Result,
    collector::INGEST_TOKEN,
    wait::{self, ensure},
};

async fn send(served: &Served, number: u64) -> Result<Response> {
    let events = batch(&format!("{:032x}", 9), [number]);
    ask(&mut connect(served.address()).await?, "POST", "/v1/events", Some(INGEST_TOKEN), &events).await
}

/// A copy of the ledger takes its place, and goes again.
pub async fn replaced() -> Result<()> {
    let served = Served::start(&[]).await?;
    let honest = Honest::start(served.address(), INGEST_TOKEN, 1);
    honest.goes_on().await?;
    let (ledger, kept) = (served.ledger(), served.dir.path().join("kept"));
    fs::rename(&ledger, &kept)?;
    fs::copy(&kept, &ledger)?;
    served.becomes("/readyz", 503).await?;
    let stopped = send(&served, 1).await?;
    ensure(stopped.status == 503, || format!("an event was acknowledged into another file: {stopped:?}"))?;
    served.says("deleted or replaced while it was open").await?;
    fs::rename(&kept, &ledger)?;
    served.becomes("/readyz", 200).await?;
    let again = send(&served, 1).await?;
    ensure(again.status == 200, || format!("{again:?}"))?;
    honest.goes_on().await?;
    honest.end(&served).await?;
    ensure(served.entries(&format!("{:032x}", 9))? == 1, || "the event is not there once".to_owned())?;
    served.quiet();
    Ok(())
}

/// The ledger and what belongs to it are deleted; it is started anew on an empty one.
pub async fn deleted() -> Result<()> {
    let mut served = Served::start(&[]).await?;
    let first = send(&served, 1).await?;
    ensure(first.status == 200, || format!("{first:?}"))?;
    for end in ["", "-wal", "-shm"] {
        fs::remove_file(format!("{}{end}", served.ledger().display()))?;
    }
    for number in 2..12 {
        let response = send(&served, number).await?;
        ensure(response.status == 503, || format!("event {number} was acknowledged into nowhere: {response:?}"))?;
    }
    let status = served.process().ended().await?;
    ensure(status.code() == Some(1), || format!("the process ended with {status}"))?;
    ensure(served.log().contains("the ledger's file is not the one that was opened"), || served.log())?;
    let dir = served.dir.clone();
    served.quiet();
    let served = Served::limited("", dir, &[]).await?;
    for number in 2..12 {
        let response = send(&served, number).await?;
        ensure(response.status == 200, || format!("{response:?}"))?;
    }
    let entries = served.entries(&format!("{:032x}", 9))?;
    ensure(entries == 10, || format!("{entries} of 10 events are in the new ledger"))?;
    served.quiet();
    Ok(())
}

/// No file may grow beyond 1 MiB, as on a disk that is full; then it may.
pub async fn full() -> Result<()> {
    let mut served = Served::limited("trap '' XFSZ; ulimit -S -f 2048;", Arc::new(TempDir::new()?), &[]).await?;
    let honest = Honest::start(served.address(), INGEST_TOKEN, 1);
    served.becomes("/readyz", 503).await?;
    let stopped = send(&served, 1).await?;
    ensure(stopped.status == 503, || format!("acknowledged on a full disk: {stopped:?}"))?;
    ensure(served.health("/livez").await? == 200, || "it is to be started anew, which would not help".to_owned())?;
    served.says("cannot store").await?;
    let pid = i32::try_from(served.process().id()).ok().and_then(Pid::from_raw);
    prlimit(pid, Resource::Fsize, Rlimit { current: None, maximum: None })?;
    served.becomes("/readyz", 200).await?;
    wait::until("the event to be taken", || async {
        let response = send(&served, 1).await?;
        ensure(response.status == 200, || format!("{response:?}"))
    })
    .await?;
    honest.goes_on().await?;
    honest.end(&served).await?;
    served.quiet();
    Ok(())
}

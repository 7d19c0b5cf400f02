//! Bodies that never end.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::io::AsyncWriteExt;

use super::{
    honest::Honest,
    served::{Served, connect, head, read, write_secret},
};
use crate::{
    Result,
    collector::INGEST_TOKEN,
    wait::{PATIENCE, ensure},
};

const ANNOUNCED: usize = 8 << 20;
const STOLEN: &str = "stolen-0123456789abcdef";

/// 16 bodies that stop right before their end, 16 of which nothing comes, 16 that come byte by byte.
pub async fn endless() -> Result<()> {
    let dir = Arc::new(tempfile::TempDir::new()?);
    let tokens = dir.path().join("ingest");
    write_secret(&tokens, &format!("stolen {STOLEN}\nhonest {INGEST_TOKEN}\n"))?;
    let file = tokens.to_string_lossy().into_owned();
    let served = Served::limited("", dir, &["--ingest-token-file", &file]).await?;
    // One with a token of its own, one with the very token that was stolen.
    let honest = [Honest::start(served.address(), INGEST_TOKEN, 1), Honest::start(served.address(), STOLEN, 2)];
    let stop = Arc::new(AtomicBool::new(false));
    let mut bodies = tokio::task::JoinSet::new();
    for number in 0..48 {
        let (address, stop) = (served.address(), stop.clone());
        bodies.spawn(async move {
            // As soon as one is ended, the next one begins.
            while !stop.load(Ordering::Relaxed) {
                let response = body_without_end(address, number % 3).await?;
                let refused = response.is_empty()
                    || response.starts_with("HTTP/1.1 408 ")
                    || response.starts_with("HTTP/1.1 503 ");
                ensure(refused, || format!("a body without an end got {response}"))?;
            }
            Ok::<(), crate::Error>(())
        });
    }
    for one in &honest {
        one.goes_on().await?;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(body) = bodies.join_next().await {
        body??;
    }
    for one in honest {
        one.goes_on().await?;
        one.end(&served).await?;
    }
    served.quiet();
    Ok(())
}

/// Its response.
async fn body_without_end(address: SocketAddr, kind: u32) -> Result<String> {
    let mut stream = connect(address).await?;
    stream.write_all(head("POST", "/v1/events", Some(STOLEN), ANNOUNCED).as_bytes()).await?;
    match kind {
        0 => drop(stream.write_all(&vec![b' '; ANNOUNCED - 64]).await),
        1 => {}
        _ => {
            for _ in 0..100 {
                if stream.write_all(b" ").await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    let mut response = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, read(&mut stream, &mut response)).await;
    Ok(String::from_utf8_lossy(&response).into_owned())
}

//! A sender as a plugin is one: batch after batch, the same again until it is acknowledged.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;

use super::served::{Served, ask, batch, connect};
use crate::{
    Result,
    wait::{self, ensure},
};

const EVENTS: u64 = 10;
/// Batches that must come through while an attack lasts.
const ENOUGH: u64 = 20;

/// An honest sender that does not stop.
pub struct Honest {
    emitter: String,
    acknowledged: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<()>>,
}

impl Honest {
    /// Begins to send.
    pub fn start(address: SocketAddr, token: &str, number: u32) -> Self {
        let emitter = format!("{number:032x}");
        let (acknowledged, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let task = tokio::spawn({
            let (emitter, token) = (emitter.clone(), token.to_owned());
            let (acknowledged, stop) = (acknowledged.clone(), stop.clone());
            async move {
                while !stop.load(Ordering::Relaxed) {
                    let first = acknowledged.load(Ordering::Relaxed) + 1;
                    match send(address, &token, &batch(&emitter, first..first + EVENTS)).await {
                        Ok(()) => drop(acknowledged.fetch_add(EVENTS, Ordering::Relaxed)),
                        Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                    }
                }
                Ok(())
            }
        });
        Self { emitter, acknowledged, stop, task }
    }

    /// Events acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until further batches have come through.
    pub async fn goes_on(&self) -> Result<()> {
        let wanted = self.acknowledged() + ENOUGH * EVENTS;
        wait::until("the honest sender's batches", || async {
            let now = self.acknowledged();
            ensure(now >= wanted, || format!("{now} of {wanted} events are acknowledged"))
        })
        .await
    }

    /// Ends, and holds the ledger against what was acknowledged.
    pub async fn end(self, served: &Served) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await??;
        let (acknowledged, kept) = (self.acknowledged.load(Ordering::Relaxed), served.entries(&self.emitter)?);
        ensure(acknowledged > 0 && kept == acknowledged, || {
            format!("{acknowledged} events were acknowledged, {kept} are in the ledger")
        })
    }
}

async fn send(address: SocketAddr, token: &str, batch: &[u8]) -> Result<()> {
    let response = ask(&mut connect(address).await?, "POST", "/v1/events", Some(token), batch).await?;
    ensure(response.status == 200, || format!("{response:?}"))
}

//! Envoy in front of a server that plays scripts: for tests that care about every byte.

use serde_json::Value;

use crate::{
    Result,
    client::{Call, Response, Route},
    event::Event,
    exchange::{self, Exchange, Upload},
    script::{self, Arrived, Script, Server},
    stack::{Options, Stack, with_request_id},
    wait,
};
use hyper::Version;

/// The two.
pub struct Wire {
    /// Envoy, the collector and the rest.
    pub stack: Stack,
    /// Where every call ends.
    pub server: Server,
}

impl Wire {
    /// Starts both, with a change to the shipped configuration.
    pub async fn start(plugin: fn(&mut Value)) -> Result<Self> {
        Self::with(Options { plugin, ..Options::default() }).await
    }

    /// Starts both, with other changes.
    pub async fn with(options: Options) -> Result<Self> {
        let server = Server::start().await?;
        // Scripts give many responses the same id: reported by two meters, they would be one call that both have seen.
        let options = Options { workers: 1, upstream: Some(server.address()), everywhere: true, ..options };
        Ok(Self { stack: Stack::with(options).await?, server })
    }

    /// Sends a call that gets a response, reads both to their end, and waits for the record.
    pub async fn send(
        &self,
        id: &str,
        call: &Call,
        upload: Upload,
        script: Script,
    ) -> Result<(Response, Arrived, Event)> {
        let route = self.stack.llm();
        let response = self.exchange(&route, Version::HTTP_11, id, call, upload, script).await?;
        let arrived = self.server.last()?;
        wait::ensure(arrived.problem.is_none(), || format!("{id}: {:?}", arrived.problem))?;
        Ok((response, arrived, self.stack.event_of(id).await?))
    }

    /// Sends a call on any route and reads the response to its end.
    pub async fn exchange(
        &self,
        route: &Route,
        version: Version,
        id: &str,
        call: &Call,
        upload: Upload,
        script: Script,
    ) -> Result<Response> {
        let all = script.clone();
        let mut exchange = self.open(route, version, id, call, upload, script).await?;
        let mut body = Vec::new();
        if all.resets() {
            exchange.read(&mut body, all.body().len()).await;
            all.let_reset();
        }
        let whole = exchange.read(&mut body, usize::MAX).await;
        Ok(Response { status: exchange.status, headers: exchange.headers.clone(), body: body.into(), whole })
    }

    /// Sends a call and returns when the head of the response is there.
    pub async fn open(
        &self,
        route: &Route,
        version: Version,
        id: &str,
        call: &Call,
        upload: Upload,
        script: Script,
    ) -> Result<Exchange> {
        let call = with_request_id(call.clone(), id).header(script::HEADER, &self.server.add(script));
        let exchange = exchange::open(route, version, &call, upload).await.map_err(|error| format!("{id}: {error}"))?;
        exchange.ok_or_else(|| format!("{id}: the client left").into())
    }

    /// Checks that there was a record for each of so many calls, and stops both.
    pub async fn finish(self, calls: u64) -> Result<()> {
        self.finish_but(calls, 0).await
    }

    /// The same where the ledger keeps so many of the calls apart, because they are beyond what a credential may charge.
    pub async fn finish_but(self, calls: u64, quarantined: u64) -> Result<()> {
        self.stack.settled_but(calls, quarantined).await?;
        let broken = self.server.broken();
        wait::ensure(broken.is_empty(), || format!("requests with a wrong length arrived: {broken:?}"))?;
        self.stack.finish()
    }
}

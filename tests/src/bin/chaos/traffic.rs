//! The traffic: clients that call one after the other over connections they keep, and write down what they saw.
//!
//! Calls are let go in portions, so that no fault can come too late to meet any.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use e2e::{
    Result,
    client::{Call, Line, Route, Seen},
    fault::Fault,
    fixture::Fixture,
    provider::{FIXTURE, SERIAL},
    stack::{TENANT_HEADER, with_request_id},
    wait,
};
use tokio::{sync::watch, task::JoinSet, time::sleep};
use tokio_rustls::rustls::ClientConfig;

use crate::seed::Random;

/// Clients at work at once. One in eight shows a certificate.
const CLIENTS: usize = 48;
const TENANTS: u64 = 40;
/// What the provider returns: short, so that calls and not bytes are what costs.
pub const FIXTURES: [&str; 6] =
    ["chat_two.json", "messages.json", "messages_stream.sse", "responses.json", "vllm.json", "vllm_stream.sse"];
/// Calls in a hundred that get the same response id as all the others of them, whoever makes them.
const REPEATED: u64 = 20;
/// Of a client that is not let in, or whose connection just broke.
const BEFORE_ANOTHER: Duration = Duration::from_millis(10);

/// How an attempt ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It never left.
    Unsent,
    /// The connection broke before the response was whole.
    Cut,
    /// The client hung up itself.
    Left,
    /// A whole response with this status.
    Whole(u16),
}

/// A call, from its client's side.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its `x-request-id`.
    pub id: String,
    /// Who is to be charged.
    pub tenant: String,
    pub begun: Instant,
    pub ended: Instant,
    pub end: End,
}

/// Where Envoy listens: in plain text, and for those with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doors {
    pub plain: SocketAddr,
    pub mtls: SocketAddr,
}

struct Shared {
    calls: u64,
    seed: u64,
    fixtures: Vec<Fixture>,
    next: AtomicU64,
    done: AtomicU64,
    released: watch::Sender<u64>,
    doors: watch::Sender<Option<Doors>>,
}

/// The clients.
pub struct Traffic {
    shared: Arc<Shared>,
    clients: JoinSet<Result<Vec<Attempt>>>,
    /// Of clients that went home.
    attempts: Vec<Attempt>,
}

/// The namespace of a client's certificate.
pub fn team(client: usize) -> String {
    format!("team-{client}")
}

impl Traffic {
    /// Clients that will make so many calls, as they are released. `certificate` makes one for a SPIFFE id.
    pub fn start(
        calls: u64,
        seed: u64,
        fixtures: Vec<Fixture>,
        certificate: impl Fn(&str) -> Result<Arc<ClientConfig>>,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            calls,
            seed,
            fixtures,
            next: AtomicU64::new(0),
            done: AtomicU64::new(0),
            released: watch::Sender::new(0),
            doors: watch::Sender::new(None),
        });
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let shown = (client % 8 == 7)
                .then(|| certificate(&format!("spiffe://cluster.local/ns/{}/sa/chaos", team(client))))
                .transpose()?;
            clients.spawn(work(shared.clone(), client, shown));
        }
        Ok(Self { shared, clients, attempts: Vec::new() })
    }

    /// Where to call from now on; nobody calls while Envoy is nowhere.
    pub fn call_at(&self, doors: Option<Doors>) {
        self.shared.doors.send_replace(doors);
    }

    /// Lets so many more calls go, as far as there are any; returns how many went so far.
    pub fn release(&self, more: u64) -> u64 {
        self.shared.released.send_modify(|released| *released = released.saturating_add(more).min(self.shared.calls));
        *self.shared.released.borrow()
    }

    /// How many have ended.
    pub fn done(&self) -> u64 {
        self.shared.done.load(Relaxed)
    }

    /// How many there will be.
    pub fn calls(&self) -> u64 {
        self.shared.calls
    }

    /// Waits until so many have ended; an error if for long none does.
    pub async fn reaches(&mut self, calls: u64) -> Result<()> {
        let (mut last, mut moved) = (self.done(), Instant::now());
        while self.done() < calls.min(self.shared.calls) {
            while let Some(ended) = self.clients.try_join_next() {
                self.attempts.append(&mut ended??);
            }
            if self.done() > last {
                (last, moved) = (self.done(), Instant::now());
            }
            wait::ensure(moved.elapsed() < wait::PATIENCE, || format!("no call ends any more after {last}"))?;
            sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// What all clients saw, when they have made their calls.
    pub async fn finish(mut self) -> Result<Vec<Attempt>> {
        self.release(self.shared.calls);
        self.reaches(self.shared.calls).await?;
        while let Some(ended) = self.clients.join_next().await {
            self.attempts.append(&mut ended??);
        }
        Ok(self.attempts)
    }
}

async fn work(shared: Arc<Shared>, client: usize, shown: Option<Arc<ClientConfig>>) -> Result<Vec<Attempt>> {
    let mut attempts = Vec::new();
    let (mut released, mut doors) = (shared.released.subscribe(), shared.doors.subscribe());
    let mut line: Option<(Doors, Line)> = None;
    loop {
        let slot = shared.next.fetch_add(1, Relaxed);
        if slot >= shared.calls {
            return Ok(attempts);
        }
        released.wait_for(|released| *released > slot).await?;
        for attempt in 0.. {
            let Some(at) = *doors.wait_for(Option::is_some).await? else { continue };
            let line = match &mut line {
                Some((to, line)) if *to == at => line,
                line => {
                    let route = match &shown {
                        Some(config) => Route::tls(at.mtls, config.clone()),
                        None => Route::plain(at.plain),
                    };
                    &mut line.insert((at, Line::new(route))).1
                }
            };
            let id = format!("{slot:07}-{attempt}");
            let tenant = if shown.is_some() { team(client) } else { format!("tenant-{}", slot % TENANTS) };
            let (call, limit) = shared.call(slot, &id, &tenant)?;
            let begun = Instant::now();
            let seen = line.send(&call, limit).await.map_err(|error| format!("{id}: {error}"))?;
            let end = match &seen {
                Seen::Unsent => End::Unsent,
                Seen::Cut => End::Cut,
                Seen::Left => End::Left,
                Seen::Whole(response) => End::Whole(response.status),
            };
            attempts.push(Attempt { id, tenant, begun, ended: Instant::now(), end });
            // 503 is Envoy's own word, while it loads the plugin again: no provider here says it.
            match end {
                End::Unsent | End::Whole(503) => sleep(BEFORE_ANOTHER).await,
                _ => break,
            }
        }
        shared.done.fetch_add(1, Relaxed);
    }
}

impl Shared {
    /// The call of a slot, and how much of its response the client wants.
    fn call(&self, slot: u64, id: &str, tenant: &str) -> Result<(Call, usize)> {
        let mut random = Random::of(self.seed, slot);
        let fixture = random.pick(&self.fixtures).ok_or("no fixtures")?;
        let mut call = with_request_id(fixture.call(), id).header(FIXTURE, &fixture.name).header(TENANT_HEADER, tenant);
        if random.below(100) < REPEATED {
            call = call.header(SERIAL, "7");
        }
        Ok(match random.below(100) {
            0 => (call.fault(Fault::Status(429)), usize::MAX),
            1..=2 => (call.fault(Fault::Status(500)), usize::MAX),
            3 => (call.fault(Fault::ResetAfter(1)), usize::MAX),
            4 => (call.fault(Fault::StallAfter(1)), 1),
            _ => (call, usize::MAX),
        })
    }
}

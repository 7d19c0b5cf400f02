//! An ingest that takes every event and gives leases as a test says, over real HTTP: what it gives need not add up.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::Result;

/// What is given of a budget.
#[derive(Clone, Copy, Debug)]
pub struct Gives {
    /// Nothing of it is left.
    pub is_spent: bool,
    /// Only a call that needs it gets something.
    pub on_need: bool,
    /// Its limit.
    pub limit: u64,
    /// How long its windows are, seconds; they begin with the epoch.
    pub window_s: u64,
}

#[derive(Default)]
struct State {
    budgets: Vec<Value>,
    gives: BTreeMap<String, Gives>,
    revision: u64,
    /// Requests for leases by a worker that knows the budgets.
    requests: Vec<Value>,
}

/// The running server.
pub struct Lender {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Lender {
    /// Starts it on a free port of the loopback interface.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State { revision: 1, ..State::default() }));
        let task = tokio::spawn(accept(listener, state.clone()));
        Ok(Self { address, state, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// One more budget, of a tenant with all below it.
    pub fn set(&self, name: &str, tenant: &str, unit: &str, gives: Gives) {
        let mut state = lock(&self.state);
        state.budgets.push(json!({"name": name, "tenant": tenant, "per_tenant": false, "unit": unit, "mode": "hard"}));
        state.gives.insert(name.to_owned(), gives);
        state.revision += 1;
    }

    /// Requests for leases, of workers that knew the budgets; with the emitter's `key`.
    pub fn requests(&self) -> Vec<Value> {
        lock(&self.state).requests.clone()
    }
}

impl Drop for Lender {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let state = state.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| respond(&state, request));
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
        });
    }
}

async fn respond(state: &Mutex<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut state = lock(state);
    let response = Response::builder().header("meshmeter-collector", "1").header("meshmeter-budgets", state.revision);
    if head.uri.path() != "/v1/leases" {
        return Ok(response.body(Full::default())?);
    }
    let mut asked: Value = serde_json::from_slice(&body)?;
    let leases: Vec<Value> =
        asked["leases"].as_array().into_iter().flatten().map(|wanted| give(&state, wanted)).collect();
    let prices = asked["prices"].as_array().into_iter().flatten();
    // A millionth of a USD for each token.
    let prices: Vec<Value> = prices.map(|_| json!({"input": 1000, "output": 1000, "call": 0})).collect();
    let mut given = json!({"number": asked["number"], "revision": state.revision, "leases": leases, "prices": prices});
    if asked["revision"] == state.revision {
        let key = head.headers.get("meshmeter-emitter-key").and_then(|key| key.to_str().ok());
        asked["key"] = json!(key);
        state.requests.push(asked);
    } else {
        given["budgets"] = state.budgets.clone().into();
    }
    Ok(response.header("content-type", "application/json").body(Full::new(given.to_string().into()))?)
}

fn give(state: &State, wanted: &Value) -> Value {
    let Some(gives) = wanted["budget"].as_str().and_then(|name| state.gives.get(name)) else { return Value::Null };
    let number = |name: &str| wanted[name].as_u64().unwrap_or_default();
    let Gives { is_spent, on_need, limit, window_s: length_s } = *gives;
    let window_s = number("at_s") / length_s * length_s;
    let left = if is_spent { 0 } else { limit };
    let granted = match (is_spent, on_need && number("need") == 0) {
        (false, false) => number("up_to").min(limit),
        _ => 0,
    };
    json!({"window_s": window_s, "until_s": window_s + length_s, "granted": granted, "charged": 0, "limit": limit, "left": left, "available": left.saturating_sub(granted)})
}

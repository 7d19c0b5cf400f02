//! The collector over HTTP: asks and sends until it gets a response, for a while.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;
use ureq::tls::{RootCerts, TlsConfig};
use wire::event::BATCH_CONTENT_TYPE;
use wire::statement::{self, Statement};

use super::Collector;
use super::chunk::Ranges;
use super::summary::Watch;
use crate::fetch;
use crate::terminal::printable;

const TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The bounds of the delay between two tries; the first doubles up to the last.
const BACKOFF: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(10)];
/// The longest `Retry-After` that is obeyed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);
/// The largest response that is read, bytes.
const MAX_RESPONSE: u64 = 16 << 20;

/// Where the collector is, and who asks.
pub struct Address {
    /// `http://…` or `https://…`, perhaps with a path before `/v1`.
    pub url: String,
    /// Bearer token with the scope `journal`.
    pub token: Option<String>,
    /// Certificates in PEM of those who may vouch for the collector, instead of the public ones.
    pub authorities: Option<Vec<u8>>,
}

/// Why there is no response.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// The collector cannot read these bytes; sending them again would not help.
    Refused(String),
    /// It does not work.
    Failed(String),
    /// The operator wants an end.
    Interrupted,
}

/// What the collector did with a batch.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Response {
    /// Events that are new in the ledger.
    pub accepted: u64,
    /// Events that it had before.
    pub duplicates: u64,
    /// Events that it keeps aside as unreadable.
    pub dead_letters: u64,
    /// Events that contradict it.
    #[serde(default)]
    pub alarms: u64,
}

/// Asks the collector.
pub struct Client {
    agent: ureq::Agent,
    base: String,
    authorization: Option<String>,
    patience: Duration,
    interrupted: Arc<AtomicBool>,
}

impl Client {
    pub fn new(address: Address, patience: Duration, interrupted: Arc<AtomicBool>) -> Result<Client, String> {
        let base = fetch::base(&address.url).map_err(|problem| format!("--collector: {problem}"))?;
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(TIMEOUT))
            .user_agent(wire::event::EXTRACTOR);
        if let Some(pem) = address.authorities {
            let roots = RootCerts::new_with_certs(&fetch::certificates(&pem)?);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        let authorization = address.token.map(|token| format!("Bearer {token}"));
        Ok(Client { agent: config.build().new_agent(), base, authorization, patience, interrupted })
    }

    fn parsed<T: for<'a> Deserialize<'a>>(&self, path: &str, response: &[u8]) -> Result<T, Failure> {
        let problem =
            |error| Failure::Failed(format!("{}{path} does not respond like a collector: {error}", self.base));
        serde_json::from_slice(response).map_err(problem)
    }

    /// Asks until there is a response; what can pass is tried again.
    fn post(
        &self,
        path: &str,
        kind: &str,
        body: &[u8],
        statement: Option<&Statement>,
        watch: &mut dyn Watch,
    ) -> Result<Vec<u8>, Failure> {
        let begun = Instant::now();
        let mut bound = BACKOFF[0];
        let mut told = false;
        loop {
            let (problem, retry_after) = match self.once(path, kind, body, statement) {
                Ok(Outcome::Done(response)) => return Ok(response),
                Ok(Outcome::Refused(problem)) => return Err(Failure::Refused(problem)),
                Ok(Outcome::Final(problem)) => return Err(Failure::Failed(format!("{}{path}: {problem}", self.base))),
                Ok(Outcome::Later(problem, after)) => (problem, after),
                Err(error) if is_final(&error) => {
                    return Err(Failure::Failed(format!("{}{path}: {error}{}", self.base, self.hint(&error))));
                }
                Err(error) => (error.to_string(), None),
            };
            let delay = drawn(bound).max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER));
            if begun.elapsed().saturating_add(delay) > self.patience {
                let seconds = begun.elapsed().as_secs();
                return Err(Failure::Failed(format!("{}{path}: {problem}, for {seconds} s; gave up", self.base)));
            }
            if !std::mem::replace(&mut told, true) {
                let seconds = self.patience.as_secs();
                watch.waits(&format!("{}{path}: {problem}; trying again for {seconds} s", self.base));
            }
            self.wait(delay)?;
            bound = bound.saturating_mul(2).min(BACKOFF[1]);
        }
    }

    fn once(&self, path: &str, kind: &str, body: &[u8], statement: Option<&Statement>) -> Result<Outcome, ureq::Error> {
        let mut request = self.agent.post(format!("{}{path}", self.base)).content_type(kind);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        if let Some(statement) = statement {
            request = request.header(statement::HEADER, statement.to_string());
        }
        let mut response = request.send(body)?;
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let retry_after = retry_after.map(Duration::from_secs);
        let status = response.status().as_u16();
        let response = response.body_mut().with_config().limit(MAX_RESPONSE).read_to_vec()?;
        Ok(match status {
            200..=299 => Outcome::Done(response),
            400 | 413 | 422 => Outcome::Refused(reason(status, &response)),
            408 | 425 | 429 | 500..=599 => Outcome::Later(reason(status, &response), retry_after),
            _ => Outcome::Final(reason(status, &response)),
        })
    }

    /// What to try, if it is known.
    fn hint(&self, error: &ureq::Error) -> &'static str {
        match error {
            ureq::Error::Protocol(_) if self.base.starts_with("http:") => {
                " (does it speak TLS? Then name it https://…)"
            }
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                " (does it speak TLS? Otherwise name it http://…)"
            }
            _ => "",
        }
    }

    /// Waits, but not if the operator wants an end.
    fn wait(&self, delay: Duration) -> Result<(), Failure> {
        let until = Instant::now().checked_add(delay);
        while !self.interrupted.load(Ordering::Relaxed) {
            let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
        Err(Failure::Interrupted)
    }
}

impl Collector for Client {
    fn missing(&mut self, numbers: &Ranges, watch: &mut dyn Watch) -> Result<Ranges, Failure> {
        let body = serde_json::to_vec(numbers).map_err(|error| Failure::Failed(error.to_string()))?;
        let response = self.post("/v1/missing", "application/json", &body, None, watch)?;
        self.parsed("/v1/missing", &response)
    }

    fn send(&mut self, batch: &[u8], watch: &mut dyn Watch) -> Result<Response, Failure> {
        let response = self.post("/v1/events", BATCH_CONTENT_TYPE, batch, None, watch)?;
        self.parsed("/v1/events", &response)
    }

    fn state(&mut self, statement: &Statement, watch: &mut dyn Watch) -> Result<(), Failure> {
        self.post("/v1/events", BATCH_CONTENT_TYPE, b"[]", Some(statement), watch).map(|_| ())
    }
}

enum Outcome {
    Done(Vec<u8>),
    Refused(String),
    Later(String, Option<Duration>),
    Final(String),
}

/// Whether it would be the same again: no certificate of a known authority, no address, no HTTP.
fn is_final(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        ureq::Error::Protocol(_) => true,
        ureq::Error::Http(_) | ureq::Error::BadUri(_) | ureq::Error::InvalidProxyUrl | ureq::Error::Rustls(_) => true,
        _ => false,
    }
}

/// What a collector says of why, in one line.
fn reason(status: u16, response: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        error: String,
    }
    let hint = match status {
        401 => " (is the journal token right?)",
        403 => " (the token must be one of the journal's)",
        404 | 405 => " (is this a collector of this version?)",
        _ => "",
    };
    let said = serde_json::from_slice::<Said>(response).ok().map(|said| said.error);
    let said: String = printable(said.unwrap_or_default().chars().take(300).collect::<String>());
    let colon = if said.is_empty() { "" } else { ": " };
    format!("returned {status}{hint}{colon}{said}")
}

/// A delay from the whole range up to its bound, so that many do not come back at once.
fn drawn(bound: Duration) -> Duration {
    let random = RandomState::new().hash_one(0u8);
    let micros = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(random.checked_rem(micros.saturating_add(1)).unwrap_or(0))
}

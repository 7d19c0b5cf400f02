//! One connection: what it is doing, until when it may, and who it has proven to be.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a head may take: the first one from when the connection is there, a later one from its first byte.
const HEAD: Duration = Duration::from_secs(10);
/// How long somebody unknown may be idle between two requests.
const IDLE_STRANGER: Duration = Duration::from_secs(5);
/// The same of somebody known: proxies keep connections warm between batches.
const IDLE_KNOWN: Duration = Duration::from_secs(15 * 60);
/// How long writing may not get on.
const STALLED: Duration = Duration::from_secs(30);

/// Why a connection was ended from this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its handshake took too long or failed.
    Handshake,
    /// Its head took too long.
    Head,
    /// It had nothing to do for too long.
    Idle,
    /// What it was sent was not read.
    Stalled,
    /// Another needed its place.
    Evicted,
}

impl End {
    pub const ALL: [End; 5] = [End::Handshake, End::Head, End::Idle, End::Stalled, End::Evicted];

    /// Its word in the metrics.
    pub fn reason(self) -> &'static str {
        match self {
            End::Handshake => "handshake",
            End::Head => "head",
            End::Idle => "idle",
            End::Stalled => "stalled",
            End::Evicted => "evicted",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Handshake,
    Head,
    Request,
    Idle,
}

/// A connection; its task and its requests share it.
#[derive(Debug)]
pub struct Connection {
    /// Its number, and so its age.
    pub number: u64,
    /// Who is at the other end.
    pub peer: SocketAddr,
    state: Mutex<State>,
    /// The one SPIFFE id of the certificate that was verified.
    id: OnceLock<String>,
    evicted: Notify,
}

#[derive(Debug)]
struct State {
    doing: Doing,
    since: Instant,
    /// Since when writing has not got on.
    stalled: Option<Instant>,
    known: bool,
}

impl Connection {
    pub fn new(number: u64, peer: SocketAddr) -> Arc<Connection> {
        let state = State { doing: Doing::Head, since: Instant::now(), stalled: None, known: false };
        let state = Mutex::new(state);
        Arc::new(Connection { number, peer, state, id: OnceLock::new(), evicted: Notify::new() })
    }

    /// Where the other end is, as one who can have many addresses there is counted: IPv6 by the network.
    pub fn place(&self) -> IpAddr {
        match self.peer.ip().to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6((u128::from(address) & (u128::MAX << 64)).into()),
        }
    }

    /// A TLS handshake begins.
    pub fn handshake(&self) {
        self.state().begin(Doing::Handshake);
    }

    /// It has ended, and a certificate may have given an id.
    pub fn greeted(&self, id: Option<String>) {
        if let Some(id) = id {
            let _ = self.id.set(id);
        }
        self.state().begin(Doing::Head);
    }

    /// Bytes have come: of a new head, if none was expected.
    pub fn received(&self) {
        let mut state = self.state();
        if state.doing == Doing::Idle {
            state.begin(Doing::Head);
        }
    }

    /// Writing got on, or did not.
    pub fn writes(&self, got_on: bool) {
        let mut state = self.state();
        match (got_on, state.stalled) {
            (true, _) => state.stalled = None,
            (false, None) => state.stalled = Some(Instant::now()),
            (false, Some(_)) => {}
        }
    }

    /// A head is whole.
    pub fn asked(&self) {
        self.state().begin(Doing::Request);
    }

    /// Its response is there.
    pub fn responded(&self) {
        self.state().begin(Doing::Idle);
    }

    /// It has shown a valid credential.
    pub fn is_known(&self) -> bool {
        self.state().known
    }

    pub(super) fn known(&self) {
        self.state().known = true;
    }

    /// Nothing is under way on it.
    pub fn is_idle(&self) -> bool {
        self.state().doing == Doing::Idle
    }

    /// The id of its certificate.
    pub fn id(&self) -> Option<&str> {
        self.id.get().map(String::as_str)
    }

    pub(super) fn evict(&self) {
        self.evicted.notify_one();
    }

    /// Comes when it has been evicted.
    pub async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// When it ends if nothing happens, and why.
    pub fn deadline(&self) -> Option<(Instant, End)> {
        let state = self.state();
        let (allowed, end) = match state.doing {
            Doing::Handshake => (Some(HANDSHAKE), End::Handshake),
            Doing::Head => (Some(HEAD), End::Head),
            Doing::Idle if state.known => (Some(IDLE_KNOWN), End::Idle),
            Doing::Idle => (Some(IDLE_STRANGER), End::Idle),
            // Bodies and transactions have bounds of their own.
            Doing::Request => (None, End::Head),
        };
        let doing = allowed.and_then(|allowed| Some((state.since.checked_add(allowed)?, end)));
        let stalled = state.stalled.and_then(|since| Some((since.checked_add(STALLED)?, End::Stalled)));
        [doing, stalled].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin(&mut self, doing: Doing) {
        self.doing = doing;
        self.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds that are left, and what comes then.
    fn left(connection: &Connection) -> Option<(u64, End)> {
        let left = |at: Instant| at.saturating_duration_since(Instant::now()) + Duration::from_millis(500);
        connection.deadline().map(|(at, end)| (left(at).as_secs(), end))
    }

    /// As if three seconds had passed.
    fn wait(connection: &Connection) {
        let mut state = connection.state();
        state.since -= Duration::from_secs(3);
        state.stalled = state.stalled.map(|since| since - Duration::from_secs(3));
    }

    #[test]
    fn contract_everything_that_is_begun_has_a_deadline_and_who_is_known_may_be_idle() {
        let connection = Connection::new(1, "127.0.0.1:1".parse().unwrap());
        wait(&connection);
        assert_eq!(left(&connection), Some((7, End::Head)), "the first head is waited for");
        connection.received();
        assert_eq!(left(&connection), Some((7, End::Head)), "bytes do not prolong it");
        connection.asked();
        connection.received();
        assert_eq!(left(&connection), None);
        connection.responded();
        assert_eq!(left(&connection), Some((5, End::Idle)));
        connection.known();
        assert_eq!(left(&connection), Some((900, End::Idle)));
        wait(&connection);
        connection.received();
        wait(&connection);
        connection.received();
        assert_eq!(left(&connection), Some((7, End::Head)), "a later head counts from its first byte");
        connection.asked();
        connection.writes(false);
        wait(&connection);
        connection.writes(false);
        assert_eq!(left(&connection), Some((27, End::Stalled)));
        connection.writes(true);
        assert_eq!(left(&connection), None);
        connection.handshake();
        assert_eq!(left(&connection), Some((10, End::Handshake)));
    }

    #[test]
    fn contract_who_has_a_network_of_addresses_is_one_peer() {
        let place = |peer: &str| Connection::new(1, peer.parse().unwrap()).place().to_string();
        assert_eq!(place("10.0.0.1:80"), "10.0.0.1");
        assert_eq!(place("[::ffff:10.0.0.1]:80"), "10.0.0.1");
        assert_eq!(place("[2001:db8:1:2:3:4:5:6]:80"), "2001:db8:1:2::");
    }
}

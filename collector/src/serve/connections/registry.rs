//! Who is connected: how many in all, at one place, and with one credential; and who must go when it is full.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::connection::Connection;
use crate::ingest::refusal::{Busy, Refusal};

/// The most connections, whatever the system allows: a proxy keeps one or two a worker.
const MOST: usize = 16_384;
/// The most of them that have shown no valid credential: more than are ever in the middle of a first request.
const MOST_STRANGERS: usize = 1024;

/// How many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// In all.
    pub all: usize,
    /// That have shown no valid credential. The others are kept for those that have.
    pub strangers: usize,
    /// That have not, at one place.
    pub peer: usize,
    /// With one credential.
    pub credential: usize,
}

impl Bounds {
    /// The bounds, if the system has so many connections to give.
    pub fn of(available: usize) -> Bounds {
        let all = available.min(MOST);
        let strangers = (all / 4).clamp(1, MOST_STRANGERS);
        let credential = all.saturating_sub(strangers).saturating_sub(all / 8).max(1);
        Bounds { all, strangers, peer: (strangers / 2).max(1), credential }
    }
}

/// All connections.
#[derive(Debug)]
pub struct Registry {
    bounds: Bounds,
    all: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    next: u64,
    /// By number, and so by age.
    strangers: BTreeMap<u64, Arc<Connection>>,
    peers: HashMap<IpAddr, BTreeSet<u64>>,
    known: HashMap<String, BTreeMap<u64, Arc<Connection>>>,
    knowns: usize,
}

impl Registry {
    pub fn new(bounds: Bounds) -> Registry {
        Registry { bounds, all: Mutex::default() }
    }

    /// Takes a new connection in. If there are too many strangers, the oldest of the place, else of all goes.
    pub fn enter(&self, peer: SocketAddr) -> Arc<Connection> {
        let mut all = self.all();
        let connection = Connection::new(all.next, peer);
        all.next = all.next.saturating_add(1);
        let here = all.peers.get(&connection.place()).filter(|here| here.len() >= self.bounds.peer);
        let oldest = here.and_then(|here| here.first()).copied();
        let full = all.strangers.len() >= self.bounds.strangers;
        let oldest = oldest.or_else(|| full.then(|| all.strangers.keys().next().copied()).flatten());
        if let Some(gone) = oldest.and_then(|number| all.remove_stranger(number)) {
            gone.evict();
        }
        all.strangers.insert(connection.number, connection.clone());
        all.peers.entry(connection.place()).or_default().insert(connection.number);
        connection
    }

    /// It has shown a valid credential, and is kept. If there are too many, one that is idle goes, first one with the
    /// same credential.
    pub fn prove(&self, connection: &Connection, credential: &str) -> Result<(), Refusal> {
        if connection.is_known() {
            return Ok(());
        }
        let mut all = self.all();
        let own = all.known.get(credential).map_or(0, BTreeMap::len);
        let idle = if own >= self.bounds.credential {
            Some(all.idle_of(credential))
        } else if all.knowns >= self.bounds.all.saturating_sub(self.bounds.strangers) {
            Some(all.idle_of(credential).or_else(|| all.idle()))
        } else {
            None
        };
        match idle {
            None => {}
            Some(Some((credential, number))) => {
                if let Some(gone) = all.remove_known(&credential, number) {
                    gone.evict();
                }
            }
            Some(None) => return Err(Refusal::Busy(Busy::Connections)),
        }
        // One that has just been evicted is no stranger any more.
        let connection = all.remove_stranger(connection.number).ok_or(Refusal::Busy(Busy::Connections))?;
        connection.known();
        all.knowns = all.knowns.saturating_add(1);
        all.known.entry(credential.to_owned()).or_default().insert(connection.number, connection);
        Ok(())
    }

    /// It has ended.
    pub fn leave(&self, connection: &Connection) {
        let mut all = self.all();
        if all.remove_stranger(connection.number).is_none() {
            let of = all.known.iter().find(|(_, of)| of.contains_key(&connection.number));
            if let Some(credential) = of.map(|(credential, _)| credential.clone()) {
                all.remove_known(&credential, connection.number);
            }
        }
    }

    /// How many have shown no valid credential, and how many have.
    pub fn count(&self) -> (usize, usize) {
        let all = self.all();
        (all.strangers.len(), all.knowns)
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    fn remove_stranger(&mut self, number: u64) -> Option<Arc<Connection>> {
        let connection = self.strangers.remove(&number)?;
        let place = connection.place();
        if let Some(here) = self.peers.get_mut(&place) {
            here.remove(&number);
            if here.is_empty() {
                self.peers.remove(&place);
            }
        }
        Some(connection)
    }

    fn remove_known(&mut self, credential: &str, number: u64) -> Option<Arc<Connection>> {
        let of = self.known.get_mut(credential)?;
        let connection = of.remove(&number)?;
        if of.is_empty() {
            self.known.remove(credential);
        }
        self.knowns = self.knowns.saturating_sub(1);
        Some(connection)
    }

    /// The oldest idle one with a credential.
    fn idle_of(&self, credential: &str) -> Option<(String, u64)> {
        let idle = self.known.get(credential)?.values().find(|connection| connection.is_idle())?;
        Some((credential.to_owned(), idle.number))
    }

    /// The oldest idle one.
    fn idle(&self) -> Option<(String, u64)> {
        self.known.keys().filter_map(|credential| self.idle_of(credential)).min_by_key(|(_, number)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use proptest::prelude::*;

    const BOUNDS: Bounds = Bounds { all: 16, strangers: 4, peer: 2, credential: 8 };

    fn at(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 1))
    }

    fn is_evicted(connection: &Connection) -> bool {
        connection.evicted().now_or_never().is_some()
    }

    #[test]
    fn contract_bounds_leave_room_for_those_who_are_known_whatever_the_system_gives() {
        for available in [1, 2, 32, 928, 4000, 1 << 20] {
            let bounds = Bounds::of(available);
            assert!(bounds.all <= available && bounds.strangers >= 1 && bounds.peer >= 1 && bounds.credential >= 1);
            if available >= 32 {
                assert!(
                    bounds.peer < bounds.strangers && bounds.strangers + bounds.credential < bounds.all,
                    "{bounds:?}"
                );
            }
        }
    }

    #[test]
    fn contract_strangers_push_each_other_out_and_never_who_is_known() {
        let registry = Registry::new(BOUNDS);
        let honest = registry.enter(at(1));
        registry.prove(&honest, "honest").unwrap();
        let first = registry.enter(at(2));
        let others: Vec<_> = (0..100).map(|_| registry.enter(at(9))).collect();
        assert_eq!(others.iter().filter(|one| is_evicted(one)).count(), 98, "two stay of one place");
        assert!(!is_evicted(&first) && !is_evicted(&honest), "another place is not touched");
        let everywhere: Vec<_> = (10..100).map(|host| registry.enter(at(host))).collect();
        assert!(is_evicted(&first) && !is_evicted(&honest));
        assert_eq!(everywhere.iter().filter(|one| is_evicted(one)).count(), 86);
        assert_eq!(registry.count(), (4, 1));
        assert_eq!(registry.prove(&first, "late"), Err(Refusal::Busy(Busy::Connections)), "it has gone");
    }

    #[test]
    fn contract_one_credential_does_not_take_the_connections_of_others() {
        let registry = Registry::new(BOUNDS);
        let prove = |credential: &str| {
            let connection = registry.enter(at(1));
            connection.asked();
            registry.prove(&connection, credential).map(|()| connection)
        };
        let mine: Vec<_> = (0..8).map(|_| prove("stolen").unwrap()).collect();
        assert_eq!(prove("stolen").unwrap_err(), Refusal::Busy(Busy::Connections), "all of them are busy");
        mine[3].responded();
        let again = prove("stolen").unwrap();
        assert!(is_evicted(&mine[3]), "the idle one goes");
        let honest: Vec<_> = (0..4).map(|_| prove("honest").unwrap()).collect();
        again.responded();
        let late = prove("honest").unwrap();
        assert!(is_evicted(&again), "when all is full, one that is idle goes, whosever it is");
        for one in mine.iter().chain(&honest).chain([&late, &again]) {
            registry.leave(one);
        }
        assert_eq!(registry.count().1, 0);
    }

    proptest! {
        #[test]
        fn deterministic_the_bounds_hold_and_everybody_is_counted_once(
            steps in prop::collection::vec((0_u8..4, 0_usize..32, 0_u8..6), 0..300)
        ) {
            let registry = Registry::new(BOUNDS);
            let mut connections: Vec<Arc<Connection>> = Vec::new();
            for (step, which, host) in steps {
                let which = which % connections.len().max(1);
                match (step, connections.get(which)) {
                    (0, _) | (_, None) => connections.push(registry.enter(at(host))),
                    (1, Some(one)) => { let _ = registry.prove(one, ["a", "b", "c"][usize::from(host) % 3]); }
                    (2, Some(one)) => if host % 2 == 0 { one.asked() } else { one.responded() },
                    _ => registry.leave(&connections.swap_remove(which)),
                }
                let all = registry.all();
                prop_assert!(all.strangers.len() <= BOUNDS.strangers);
                prop_assert!(all.peers.values().all(|here| !here.is_empty() && here.len() <= BOUNDS.peer));
                prop_assert_eq!(all.peers.values().map(BTreeSet::len).sum::<usize>(), all.strangers.len());
                prop_assert!(all.known.values().all(|of| !of.is_empty() && of.len() <= BOUNDS.credential));
                prop_assert_eq!(all.known.values().map(BTreeMap::len).sum::<usize>(), all.knowns);
                prop_assert!(all.knowns + all.strangers.len() <= BOUNDS.all);
            }
        }
    }
}

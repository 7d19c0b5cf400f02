//! A plugin VM: the delivery that is shipped, and beside it what Envoy keeps for it and what it must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use delivery::Delivery;
use meter::config::{Collector, Config};
use wire::emitter::EmitterKey;

use crate::mirror::Mirror;
use crate::nature::Nature;
use crate::plan;
use crate::truth::{Life, Truth};

mod emit;

/// A VM.
#[derive(Debug)]
pub struct Vm {
    /// Its place in the world.
    pub index: usize,
    /// Where it runs.
    pub host: usize,
    /// How far its host's clock is off, ms.
    pub skew_ms: i64,
    /// What is shipped.
    pub delivery: Delivery,
    /// What proves who counts here.
    pub key: EmitterKey,
    /// What its own outbox must hold.
    pub own: Mirror,
    /// What it has taken over.
    pub predecessor: Option<Mirror>,
    /// The last configuration.
    pub config: Rc<Config>,
    /// The root contexts that Envoy has, and their configurations.
    pub roots: BTreeMap<u32, Rc<Config>>,
    /// Those of them that Envoy is done with and that stay for a response.
    pub leaving: BTreeSet<u32>,
    /// The dispatches whose responses Envoy brings, and to which root context.
    pub waiting: BTreeMap<u32, u32>,
    /// The dispatch whose response is of interest.
    pub in_flight: Option<u32>,
    /// The last root context that was made.
    pub last_root: u32,
    /// Envoy has destroyed it.
    pub gone: bool,
}

impl Vm {
    /// A VM that counts; it has no root context yet.
    pub fn new(nature: &mut Nature, truth: &mut Truth, index: usize, host: usize, config: Rc<Config>) -> Vm {
        let key = EmitterKey::new(nature.random.next(), nature.random.next());
        Vm {
            index,
            host,
            skew_ms: 0,
            delivery: Delivery::new(key.clone(), nature.random.next(), &config),
            own: Mirror::new(truth.emitter(key.emitter())),
            key,
            predecessor: None,
            config,
            roots: BTreeMap::new(),
            leaving: BTreeSet::new(),
            waiting: BTreeMap::new(),
            in_flight: None,
            last_root: 0,
            gone: false,
        }
    }

    /// Its host's clock, ms.
    pub fn now_ms(&self, nature: &Nature) -> u64 {
        (nature.now_ns() / 1_000_000).saturating_add_signed(self.skew_ms)
    }

    /// Who counts here, in truth.
    pub fn emitter(&self) -> usize {
        self.own.emitter
    }

    /// Whether Envoy is done with all root contexts but this one, so that it destroys the VM with it.
    pub fn is_last(&self, root: u32) -> bool {
        let stays = |root: &u32| self.roots.contains_key(root) && !self.leaving.contains(root);
        stays(&root) && self.roots.keys().all(|other| *other == root || !stays(other))
    }

    /// What it still has to do.
    pub fn waits(&self) -> Option<String> {
        let bytes = self.delivery.bytes();
        let waits = (!self.delivery.is_idle()).then(|| format!("vm {}: {bytes} bytes are queued", self.index));
        waits.or_else(|| (self.roots.len() > 1).then(|| format!("vm {}: old root contexts", self.index)))
    }

    /// Whom it means by its collector.
    pub fn address(&self) -> String {
        self.config.collector.as_ref().map(Collector::address).unwrap_or_default()
    }

    /// The copy of the outbox of an emitter.
    pub fn mirror(&mut self, truth: &Truth, emitter: &str) -> Option<&mut Mirror> {
        let emitter = truth.names.get(emitter);
        std::iter::once(&mut self.own).chain(&mut self.predecessor).find(|mirror| Some(&mirror.emitter) == emitter)
    }

    /// The process, or the VM, is gone.
    pub fn die(&mut self, truth: &mut Truth) {
        for mirror in std::iter::once(&self.own).chain(&self.predecessor) {
            let life = &mut truth.emitters[mirror.emitter].life;
            if *life != Life::Ended {
                *life = Life::Killed;
            }
        }
        self.destroy();
    }

    /// Envoy destroys it, with all that it waits for.
    pub fn destroy(&mut self) {
        self.gone = true;
        self.roots.clear();
        self.leaving.clear();
        self.waiting.clear();
    }

    /// What an update of the configuration must not do: begins with nothing, under the same name.
    pub fn forget(&mut self, nature: &mut Nature, truth: &Truth) {
        let spent = truth.emitters[self.own.emitter].spent;
        self.delivery = Delivery::new(self.key.clone(), nature.random.next(), &self.config);
        self.delivery.emit(0, &vec![(); spent as usize], false, |_, _, _| Vec::new(), |_| {});
        self.own = Mirror::new(self.own.emitter);
        self.in_flight = None;
        for (root, config) in &self.roots {
            self.delivery.configure(*root, config);
        }
    }
}

/// Draws a configuration for a world.
pub fn configuration(nature: &mut Nature) -> Rc<Config> {
    let tight = nature.random.chance(400);
    plan::configuration(&mut nature.random, tight)
}

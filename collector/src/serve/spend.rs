//! What calls used and cost, as counters: by tenant, provider and model, and, without tenants, by provider and model.
//!
//! They count what this collector has entered since it started, before corrections; the ledger has what is owed. So they begin
//! at zero when it starts anew, as Prometheus expects of counters, and those of several collectors on one ledger add up. Nobody
//! asks the database for them, and whoever writes never waits for a scrape: it takes a copy of the list, and then one set after
//! the other.
//!
//! Names are chosen by clients, so one tenant may make only a share of the sets, calls without a response of a model share one
//! of each provider, and a set that nobody uses makes room.
//!
//! A new set stands at zero for its first minute. Prometheus cannot know that a series which appears with a value has grown to it,
//! and `increase()` would miss the first call of each tenant.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use wire::identity::{OVERFLOW, UNKNOWN};
use wire::usage::Class;

use crate::ledger::spending::{NO_RESPONSE, Owner, Spending, Spent};
use crate::money::Charge;
use crate::terminal::printable;
use room::{Room, Share};

mod room;

/// How long a new set stands at zero: whoever scrapes once a minute sees that.
const HOLD: Duration = Duration::from_secs(60);
/// The labels of the plugin's metrics, so that both can be put side by side.
const TENANT: &str = "tenant";
const PROVIDER: &str = "gen_ai_provider_name";
const MODEL: &str = "gen_ai_response_model";
const TOKEN_TYPE: &str = "gen_ai_token_type";

/// How many sets there are at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Of a tenant, a provider and a model: some 300 bytes each.
    pub sets: usize,
    /// Of one tenant.
    pub of_tenant: usize,
    /// Of a provider and a model; a tenant may make an eighth of them.
    pub models: usize,
}

impl Bounds {
    fn owners(self) -> Share {
        Share { all: self.sets, of_owner: self.of_tenant, reserved: 0 }
    }

    fn models(self) -> Share {
        Share { all: self.models, of_owner: (self.models / 8).max(1), reserved: self.models / 2 }
    }
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { sets: 200_000, of_tenant: 200, models: 2000 }
    }
}

/// The counters. Clones share them.
#[derive(Clone, Debug)]
pub struct Spend {
    bounds: Bounds,
    owners: Arc<Mutex<Room<Owner, Set>>>,
    models: Arc<Mutex<Room<Name, Model>>>,
}

/// By tenant, provider and model.
#[derive(Debug)]
struct Set {
    owner: Owner,
    since: Instant,
    /// Charge and cost.
    amounts: Mutex<(Charge, Charge)>,
}

/// Provider and model.
type Name = (String, String);

/// By provider and model.
#[derive(Debug)]
struct Model {
    name: Name,
    since: Instant,
    counts: Mutex<Counts>,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    calls: u64,
    unpriced: u64,
    /// Each class with the time since when there is a count of it.
    usage: BTreeMap<Class, (Instant, u64)>,
}

/// A metric: its name, what it means, and its value of a set.
type Family<T, V> = (&'static str, &'static str, fn(&T) -> V);

/// The part with tenants.
#[derive(Debug)]
struct ByTenant(Spend);

/// The part without.
#[derive(Debug)]
struct ByModel(Spend);

impl Spend {
    /// Nothing is spent yet.
    pub fn new(bounds: Bounds) -> Spend {
        Spend { bounds, owners: Arc::default(), models: Arc::default() }
    }

    /// Makes them known: what names tenants apart from what does not.
    pub fn register(&self, by_tenant: &mut Registry, by_model: &mut Registry) {
        by_tenant.register_collector(Box::new(ByTenant(self.clone())));
        by_model.register_collector(Box::new(ByModel(self.clone())));
    }

    /// Adds what the calls of a delivery used and cost.
    pub fn add(&self, spending: &Spending, now: Instant) {
        for (owner, spent) in spending.iter() {
            let owner = shown(owner);
            let set = self.set(&owner, now);
            let mut amounts = held(&set.amounts);
            *amounts = (grown(amounts.0, spent.charge), grown(amounts.1, spent.cost));
            drop(amounts);
            let model = self.model(&owner, now);
            held(&model.counts).add(spent, now);
        }
    }

    /// The set of an owner. A tenant that has too many shares one for the others, and tenants that come when all are taken
    /// share one.
    fn set(&self, owner: &Owner, now: Instant) -> Arc<Set> {
        let mut sets = held(&self.owners);
        let of = |owner: &Owner| Set { owner: owner.clone(), since: now, amounts: Mutex::default() };
        if let Some(set) = sets.get(owner, &owner.tenant, self.bounds.owners(), now, || (owner.clone(), of(owner))) {
            return set;
        }
        // One more for each tenant that has any: at most twice the bound in all.
        let tenant = if sets.of(&owner.tenant) > 0 { &owner.tenant } else { OVERFLOW };
        let rest = Owner { tenant: tenant.to_owned(), provider: OVERFLOW.to_owned(), model: OVERFLOW.to_owned() };
        sets.rest(&rest, tenant, now, || (rest.clone(), of(&rest)))
    }

    /// The set of a provider and a model; one for all that find no room.
    fn model(&self, owner: &Owner, now: Instant) -> Arc<Model> {
        let mut models = held(&self.models);
        let of = |name: &Name| Model { name: name.clone(), since: now, counts: Mutex::default() };
        let name = (owner.provider.clone(), owner.model.clone());
        // All tenants share what has no model, so it takes no one's room.
        let whose = if owner.model == NO_RESPONSE { NO_RESPONSE } else { &owner.tenant };
        if let Some(model) = models.get(&name, whose, self.bounds.models(), now, || (name.clone(), of(&name))) {
            return model;
        }
        let rest = (OVERFLOW.to_owned(), OVERFLOW.to_owned());
        models.rest(&rest, OVERFLOW, now, || (rest.clone(), of(&rest)))
    }
}

impl Counts {
    fn add(&mut self, spent: &Spent, now: Instant) {
        self.calls = self.calls.saturating_add(spent.calls);
        self.unpriced = self.unpriced.saturating_add(spent.unpriced);
        for (class, count) in &spent.usage {
            let (_, sum) = self.usage.entry(*class).or_insert((now, 0));
            *sum = sum.saturating_add(*count);
        }
    }
}

impl Collector for ByTenant {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let ByTenant(spend) = self;
        let sets = held(&spend.owners).list.clone();
        let now = Instant::now();
        let families: [Family<Set, Charge>; 2] = [
            (
                "charge_usd",
                "What tenants pay for the calls that this collector accepted, before corrections; a floating-point number, \
                 the ledger is exact.",
                |set| held(&set.amounts).0,
            ),
            (
                "cost_usd",
                "What providers charge for the calls that this collector accepted, before corrections; a floating-point \
                 number, the ledger is exact.",
                |set| held(&set.amounts).1,
            ),
        ];
        for (name, help, amount) in families {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for set in &sets {
                let Owner { tenant, provider, model } = &set.owner;
                let labels = [(TENANT, tenant.as_str()), (PROVIDER, provider), (MODEL, model)];
                let usd = if is_new(set.since, now) { 0.0 } else { usd(amount(set)) };
                counter(&mut family, &labels, usd)?;
            }
        }
        Ok(())
    }
}

impl Collector for ByModel {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let ByModel(spend) = self;
        let mut models = held(&spend.models).list.clone();
        models.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let now = Instant::now();
        let families: [Family<Counts, u64>; 2] = [
            ("ledger_calls", "Calls that this collector entered into the ledger, before corrections.", |counts| {
                counts.calls
            }),
            (
                "unpriced_calls",
                "Records that this collector entered into the ledger and of which something has no price.",
                |counts| counts.unpriced,
            ),
        ];
        for (name, help, count) in families {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for model in &models {
                let labels = [(PROVIDER, model.name.0.as_str()), (MODEL, &model.name.1)];
                let count = if is_new(model.since, now) { 0 } else { count(&held(&model.counts)) };
                counter(&mut family, &labels, count)?;
            }
        }
        let help = "What this collector entered into the ledger, in disjoint classes, before corrections.";
        let mut family = encoder.encode_descriptor("ledger_usage", help, None, MetricType::Counter)?;
        for model in &models {
            let counts = held(&model.counts).clone();
            for (class, (since, count)) in &counts.usage {
                let (provider, model) = &model.name;
                let labels = [(PROVIDER, provider.as_str()), (MODEL, model), (TOKEN_TYPE, class.token_type())];
                counter(&mut family, &labels, if is_new(*since, now) { 0 } else { *count })?;
            }
        }
        Ok(())
    }
}

fn counter(
    family: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    value: impl EncodeCounterValue,
) -> Result<(), fmt::Error> {
    family.encode_family(labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)
}

fn is_new(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) < HOLD
}

/// The names as they are shown, for anybody may have chosen them; an empty label would be none.
fn shown(owner: &Owner) -> Cow<'_, Owner> {
    let Owner { tenant, provider, model } = owner;
    let is_plain = |name: &&String| !name.is_empty() && name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if [tenant, provider, model].iter().all(is_plain) {
        return Cow::Borrowed(owner);
    }
    let word = |name: &str| if name.is_empty() { UNKNOWN.to_owned() } else { printable(name) };
    Cow::Owned(Owner { tenant: word(tenant), provider: word(provider), model: word(model) })
}

/// A counter never goes down.
fn grown(sum: Charge, more: Charge) -> Charge {
    sum.checked_add(more.max(Charge::default())).unwrap_or(sum)
}

/// The one place where an amount becomes a floating-point number: Prometheus has no other.
fn usd(amount: Charge) -> f64 {
    amount.yocto_usd() as f64 / 1e24
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

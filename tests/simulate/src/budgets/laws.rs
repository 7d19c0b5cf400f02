//! What must hold.

use std::collections::BTreeMap;

use collector::budget::grant::Has;
use collector::store::{Reader, Selection, StoreError};
use wire::lease::Unit;
use wire::usage::Class;

use super::plan::{MODELS, Planned, TENANTS};
use super::truth::{Call, Window};
use super::world::World;
use crate::nature::Violation;

/// What a window has in the ledger, in whole units.
#[derive(Clone, Copy, Debug, Default)]
struct Stands {
    spent: u64,
    held: u64,
}

impl World {
    /// What is spent and what workers hold together is not more than the limit, but for what may be.
    pub(super) fn check_held(&self) -> Result<(), Violation> {
        for (window, Stands { spent, held }) in self.stands()? {
            let (limit, most) = self.most(&window);
            if spent + held > most {
                let fact = self.facts.get(&window).cloned().unwrap_or_default();
                let found = format!("{window:?}: {spent} spent and {held} held of {limit}: {fact:?}");
                return Err(Violation::new("nobody spends what others have", found));
            }
        }
        Ok(())
    }

    /// The balances are the sums of the calls in the ledger.
    pub(super) fn check_sums(&mut self) -> Result<(), Violation> {
        let mut expected: BTreeMap<Window, u64> = BTreeMap::new();
        let budgets = self.plan.budgets.clone();
        self.disk
            .borrow()
            .memory
            .standing(&Selection::default(), &mut |entry| {
                let event = entry.event.as_deref().map(|text| wire::event::decode(text.as_bytes()));
                let Some(Ok(event)) = event else {
                    return Err(StoreError::Unusable("an entry without its call".to_owned()));
                };
                let known = |list: &[&'static str], name: &str| list.iter().find(|known| **known == name).copied();
                let call = Call {
                    tenant: known(&TENANTS, &entry.tenant).unwrap_or_default(),
                    model: known(&MODELS, &entry.model).unwrap_or_default(),
                    input: event.record.usage.get(Class::InputText).unwrap_or(0),
                    max_output: None,
                    output: event.record.usage.get(Class::OutputText).unwrap_or(0),
                    duration_us: 0,
                };
                for window in call.windows(&budgets, event.record.started_ns / 1_000_000_000) {
                    let cost = call.cost(&budgets[window.0]);
                    *expected.entry(window).or_default() += cost;
                }
                Ok(())
            })
            .map_err(|error| Violation::new("the ledger can be read", error.to_string()))?;
        // By a clock that is behind, calls began before the budgets were set; those do not count.
        let first_s = |at: usize| {
            let window_s = budgets[at].window_s;
            self.plan.start_us / 1_000_000 / window_s * window_s
        };
        expected.retain(|(at, begins_s, _), spent| *spent > 0 && *begins_s >= first_s(*at));
        let stands = self.stands()?;
        let balances: BTreeMap<Window, u64> = stands
            .iter()
            .filter(|(_, stands)| stands.spent > 0)
            .map(|(window, stands)| (window.clone(), stands.spent))
            .collect();
        if balances != expected {
            let found = format!("{balances:?} instead of {expected:?}");
            return Err(Violation::new("a balance is the sum of its calls", found));
        }
        (self.counts.full, self.counts.over) = (0, 0);
        for (window, Stands { spent, .. }) in stands {
            let (limit, _) = self.most(&window);
            self.counts.full += u64::from(spent <= limit && spent * 100 >= limit * 99);
            self.counts.over += u64::from(spent > limit);
        }
        self.check_held()
    }

    /// The limit of a window, and what may be spent of it: of the calls of which nobody knows what they cost one for each worker,
    /// and what passed while the collector was away.
    fn most(&self, window: &Window) -> (u64, u64) {
        let (limit, _) = self.limit_of(window);
        let Some(fact) = self.facts.get(window) else { return (limit, limit) };
        (limit, limit + fact.unheld + fact.open.values().sum::<u64>())
    }

    /// The highest limit since leases of a window can be had, and whether it has changed since.
    pub(super) fn limit_of(&self, (at, begins_s, _): &Window) -> (u64, bool) {
        let limits = &self.limits[*at];
        let from = limits.partition_point(|(since_us, _)| *since_us < begins_s.saturating_sub(60) * 1_000_000);
        let limits = &limits[from.saturating_sub(1)..];
        (limits.iter().map(|(_, limit)| *limit).max().unwrap_or(0), limits.len() > 1)
    }

    /// Every window that the ledger knows.
    fn stands(&self) -> Result<BTreeMap<Window, Stands>, Violation> {
        let disk = self.disk.borrow();
        let unreadable = |error: StoreError| Violation::new("the ledger can be read", error.to_string());
        let mut all: BTreeMap<Window, Stands> = BTreeMap::new();
        for definition in disk.memory.budgets().map_err(unreadable)?.iter() {
            let at = self.plan.budgets.iter().position(|budget| budget.name == definition.name());
            let Some(at) = at else { continue };
            let unit = unit(&self.plan.budgets[at]);
            disk.memory
                .balances(definition.id, 0, &mut |(key, amount)| {
                    let window = (at, key.begins_s.unsigned_abs(), key.subject);
                    all.entry(window).or_default().spent = amount.whole(unit);
                    Ok(())
                })
                .map_err(unreadable)?;
            disk.memory
                .leases(definition.id, 0, &mut |(key, _, lease)| {
                    let window = (at, key.begins_s.unsigned_abs(), key.subject);
                    let held = Has::of(lease.granted, lease.charged, unit).held();
                    all.entry(window).or_default().held += held;
                    Ok(())
                })
                .map_err(unreadable)?;
        }
        Ok(all)
    }
}

fn unit(budget: &Planned) -> Unit {
    if budget.is_usd { Unit::Usd } else { Unit::Tokens }
}

//! Leases: what workers ask for, and what they get, decided within a transaction.
//!
//! An emitter that was silent for long holds nothing any more: when it comes back it begins anew. What it may have spent in
//! between was let pass by its own clock, which is shorter: `SILENT_NS`.

use std::collections::BTreeMap;

use wire::lease::{Budget, Lease, MAX_AMOUNT, Request, Response, Wanted};

use super::limits::Limits;
use super::{Ledger, Sender};
use crate::budget::balance::WindowKey;
use crate::budget::grant::{Has, Room, grant};
use crate::budget::period::second;
use crate::budget::{Budgets, Definition, Span};
use crate::store::budgets::{Granted, LeaseChanges, Lessee, Prune, WindowState};
use crate::store::{Changes, Keys, Known, Store, StoreError};
use crate::tenant::TenantPattern;

/// An emitter that has not asked for so long holds nothing. Workers use a lease no longer than 10 minutes without a response.
const SILENT_NS: i64 = 15 * 60 * 1_000_000_000;
/// How far behind the collector's clock a window may be asked for: calls that are still running began in it.
const BEHIND_S: i64 = 3600;
/// How far ahead: clocks of hosts differ, and the next window is asked for before it begins.
const AHEAD_S: i64 = 600;
/// Leases of windows that are over for longer than they can be asked for are taken out.
const KEPT_S: i64 = 2 * BEHIND_S;
/// A lessee that was silent for a day is forgotten, its last number with it.
const LESSEE_NS: i64 = 86_400 * 1_000_000_000;
/// How often what is too old is taken out, ns.
const PRUNE_NS: i64 = 60 * 1_000_000_000;
/// How often the budgets may change while leases are asked for, until the request is given up.
const ATTEMPTS: usize = 4;

/// Who asks for leases, and for which. [`Sender::emitter`] must be proven.
#[derive(Clone, Debug)]
pub struct LeaseRequest {
    /// Who asks.
    pub sender: Sender,
    /// What for.
    pub request: Request,
}

/// A lease that is asked for, as far as the budgets in force tell.
struct Meant<'b> {
    key: WindowKey,
    span: Span,
    definition: &'b Definition,
}

impl<S: Store> Ledger<S> {
    /// Grants leases, in one transaction for all requests: when it returns, all of them are kept, or none.
    pub fn lease(&mut self, requests: &[&LeaseRequest], now_ns: i64) -> Result<Vec<Response>, StoreError> {
        let is_due = now_ns.saturating_sub(self.pruned_ns).saturating_abs() >= PRUNE_NS;
        for _ in 0..ATTEMPTS {
            let budgets = self.budgets.clone();
            let mut keys = Keys { now_ns, ..Keys::default() };
            for LeaseRequest { sender, request } in requests {
                let Some(emitter) = &sender.emitter else { continue };
                keys.lessees.insert(emitter.clone());
                let meant = request.leases.iter().filter_map(|wanted| meant(&budgets, &sender.limits, wanted, now_ns));
                keys.windows.extend(meant.map(|meant| meant.key));
            }
            let mut responses = None;
            self.transact(keys, &mut |known| {
                let Known { head, written_ns, .. } = known;
                let unchanged = Changes { head, written_ns, ..Changes::default() };
                responses = None;
                // They have changed: other windows are meant.
                if known.budgets.revision() != budgets.revision() {
                    return unchanged;
                }
                let mut lending = Lending {
                    budgets: &budgets,
                    known,
                    held: BTreeMap::new(),
                    changes: LeaseChanges::default(),
                    now_ns,
                };
                if is_due {
                    let ended_before_s = second(now_ns).saturating_sub(KEPT_S);
                    let seen_before_ns = now_ns.saturating_sub(LESSEE_NS);
                    lending.changes.prune = Some(Prune { ended_before_s, seen_before_ns });
                }
                responses = Some(requests.iter().map(|request| lending.response(request)).collect::<Vec<_>>());
                Changes { leases: lending.changes, ..unchanged }
            })?;
            if let Some(mut responses) = responses {
                self.pruned_ns = if is_due { now_ns } else { self.pruned_ns };
                for (response, request) in responses.iter_mut().zip(requests) {
                    response.prices = self.ceilings(request, now_ns);
                }
                return Ok(responses);
            }
        }
        Err(StoreError::Database("the budgets change all the time".into()))
    }
}

/// The window that is meant, if there is such a budget, the sender may spend it, and the window is near.
fn meant<'b>(budgets: &'b Budgets, limits: &Limits, wanted: &Wanted, now_ns: i64) -> Option<Meant<'b>> {
    let definition = budgets.get(&wanted.budget)?;
    let is_subject = if definition.budget.per_tenant {
        covers_tenant(definition, &wanted.subject) && may_charge(limits, &wanted.subject)
    } else {
        wanted.subject.is_empty() && may_spend(limits, definition)
    };
    let at_s = i64::try_from(wanted.at_s).ok()?;
    let ahead_s = at_s.saturating_sub(second(now_ns));
    if !is_subject || !(BEHIND_S.saturating_neg()..=AHEAD_S).contains(&ahead_s) {
        return None;
    }
    let span = definition.zone.window(definition.period, at_s)?;
    let key = WindowKey { budget: definition.id, begins_s: span.begins_s, subject: wanted.subject.clone() };
    Some(Meant { key, span, definition })
}

fn covers_tenant(definition: &Definition, tenant: &str) -> bool {
    let is_name = matches!(tenant, wire::identity::UNKNOWN | wire::identity::INVALID)
        || wire::identity::tenant(tenant.as_bytes()).is_some();
    let scope = wire::lease::Scope { tenant: definition.budget.scope.tenant.clone(), ..Default::default() };
    is_name && scope.covers(tenant, "", None)
}

/// Whether a credential may charge a tenant.
pub(super) fn may_charge(limits: &Limits, tenant: &str) -> bool {
    limits.tenants.is_empty() || limits.tenants.iter().any(|pattern| pattern.matches(tenant))
}

/// Whether there can be a tenant that a budget covers and a credential may charge.
fn may_spend(limits: &Limits, definition: &Definition) -> bool {
    let Some(top) = &definition.budget.scope.tenant else { return true };
    let covered = [top.clone(), format!("{top}/*")];
    let covered: Vec<TenantPattern> = covered.iter().filter_map(|text| TenantPattern::parse(text).ok()).collect();
    limits.tenants.is_empty()
        || limits.tenants.iter().any(|allowed| covered.iter().any(|covered| covered.shares(allowed)))
}

/// A transaction that grants.
struct Lending<'b> {
    budgets: &'b Budgets,
    known: Known,
    /// What is held of windows, as far as it was asked for: where thousands hold something it is added up once.
    held: BTreeMap<WindowKey, u64>,
    changes: LeaseChanges,
    now_ns: i64,
}

impl Lending<'_> {
    fn response(&mut self, LeaseRequest { sender, request }: &LeaseRequest) -> Response {
        let emitter = sender.emitter.as_deref().unwrap_or_default();
        let is_newer = !emitter.is_empty() && self.asks(emitter, request.number);
        let meant = request.leases.iter().map(|wanted| meant(self.budgets, &sender.limits, wanted, self.now_ns));
        let meant: Vec<Option<Meant<'_>>> = meant.collect();
        if is_newer {
            let all = meant.iter().zip(&request.leases).filter_map(|(meant, wanted)| Some((meant.as_ref()?, wanted)));
            all.for_each(|(meant, wanted)| self.grant(emitter, meant, wanted));
        }
        let leases = meant.iter().map(|meant| meant.as_ref().map(|meant| self.stands(emitter, meant))).collect();
        let revision = self.budgets.revision().unsigned_abs();
        let budgets = (request.revision != revision).then(|| catalogue(self.budgets, &sender.limits));
        Response { number: request.number, revision, budgets, leases, prices: Vec::new() }
    }

    /// Whether a request is newer than the last one of its emitter. Who was silent for long holds nothing.
    fn asks(&mut self, emitter: &str, number: u64) -> bool {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let before = self.known.lessees.get(emitter).copied();
        if before.is_some_and(|before| number <= before.number) {
            return false;
        }
        if before.is_none_or(|before| is_silent(before.seen_ns, self.now_ns)) {
            self.changes.ended.insert(emitter.to_owned());
            for (key, state) in &mut self.known.windows {
                if state.leases.remove(emitter).is_some() {
                    self.held.remove(key);
                }
            }
        }
        let lessee = Lessee { number, seen_ns: self.now_ns };
        self.known.lessees.insert(emitter.to_owned(), lessee);
        self.changes.lessees.insert(emitter.to_owned(), lessee);
        true
    }

    /// Grants what is wanted, as much of it as is left, or takes back what is not wanted any more.
    fn grant(&mut self, emitter: &str, meant: &Meant<'_>, wanted: &Wanted) {
        let Meant { key, span, .. } = meant;
        let (has, room) = self.room(emitter, meant);
        let granted = grant(room, has, wanted.up_to, wanted.need);
        let state = self.known.windows.entry(key.clone()).or_default();
        // Who has got nothing leaves nothing behind.
        if granted > 0 || state.leases.contains_key(emitter) {
            let lease = state.leases.entry(emitter.to_owned()).or_default();
            let before = if is_silent(lease.seen_ns, self.now_ns) { 0 } else { has.held() };
            (lease.granted, lease.seen_ns) = (granted, self.now_ns);
            if let Some(held) = self.held.get_mut(key) {
                *held = held.saturating_sub(before).saturating_add(Has { granted, ..has }.held());
            }
            let granted = Granted { granted, ends_s: span.ends_s };
            self.changes.granted.insert((key.clone(), emitter.to_owned()), granted);
        }
    }

    /// The lease of an emitter as it stands.
    fn stands(&mut self, emitter: &str, meant: &Meant<'_>) -> Lease {
        let (has, room) = self.room(emitter, meant);
        Lease {
            window_s: meant.span.begins_s.unsigned_abs(),
            until_s: meant.span.ends_s.unsigned_abs(),
            granted: has.granted.min(MAX_AMOUNT),
            charged: has.charged.min(MAX_AMOUNT),
            limit: meant.definition.limit,
            left: room.left(),
            available: room.available(),
        }
    }

    /// What an emitter has of a window, and what there is of it.
    fn room(&mut self, emitter: &str, Meant { key, definition, .. }: &Meant<'_>) -> (Has, Room) {
        let unit = definition.unit();
        let limit = definition.limit;
        let Some(state) = self.known.windows.get(key) else {
            return (Has::default(), Room { limit, spent: 0, held: 0 });
        };
        let own = state.leases.get(emitter).map(|lease| Has::of(lease.granted, lease.charged, unit));
        let all = || held(state, definition, self.now_ns);
        let held = self.held.get(key).copied().unwrap_or_else(all);
        debug_assert_eq!(held, all());
        if !self.held.contains_key(key) {
            self.held.insert(key.clone(), held);
        }
        (own.unwrap_or_default(), Room { limit, spent: state.spent.whole(unit), held })
    }
}

/// What all emitters that are not silent hold of a window.
pub fn held(state: &WindowState, definition: &Definition, now_ns: i64) -> u64 {
    let alive = state.leases.values().filter(|lease| !is_silent(lease.seen_ns, now_ns));
    let held = alive.map(|lease| Has::of(lease.granted, lease.charged, definition.unit()).held());
    held.fold(0, u64::saturating_add)
}

/// Whether an emitter that was seen last at a time holds nothing any more.
pub fn is_silent(seen_ns: i64, now_ns: i64) -> bool {
    now_ns.saturating_sub(seen_ns) > SILENT_NS
}

/// The budgets that a credential may spend.
fn catalogue(budgets: &Budgets, limits: &Limits) -> Vec<Budget> {
    let allowed = budgets.iter().filter(|definition| may_spend(limits, definition));
    allowed.map(|definition| definition.budget.clone()).collect()
}

#[cfg(test)]
mod tests;

//! What waits for a commit, and in which order commits take it: each credential in turn, within a credential each tenant, within
//! a tenant each emitter, and of an emitter what came first.
//!
//! A commit takes the first thing of every credential that waits. Then, until it is full, it takes from whoever has had least
//! of it. So nobody waits for what another has sent, however much that is, longer than one commit takes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::ledger::Sender;
use shares::{Shares, Takes};

mod shares;

/// Whose turn something waits for.
#[derive(Clone, Debug)]
pub struct Whose {
    credential: Arc<str>,
    group: Group,
    emitter: Emitter,
}

/// The emitter whose key was shown. Whoever shows none is one with all who show none.
type Emitter = Option<Arc<str>>;

/// Who has a turn within a credential.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Group {
    /// The emitters of one tenant.
    Tenant(Arc<str>),
    /// An emitter of several.
    Emitter(Emitter),
}

impl Whose {
    /// That of a sender whose events or leases are all of one tenant, or of several.
    pub fn of(sender: &Sender, tenant: Option<&str>) -> Whose {
        let emitter: Emitter = sender.emitter.as_deref().map(Arc::from);
        let group = tenant.map_or_else(|| Group::Emitter(emitter.clone()), |tenant| Group::Tenant(tenant.into()));
        Whose { credential: sender.credential.as_str().into(), group, emitter }
    }
}

/// How much a commit takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// Things, whatever they cost.
    pub things: usize,
    /// What they take of it together, without the first of each credential. The last may go beyond it.
    pub cost: usize,
}

/// What a commit takes.
#[derive(Debug)]
pub struct Next<T> {
    /// What has waited.
    pub thing: T,
    /// For how many commits, this one included: 1 if it has not waited for another's turn.
    pub commits: u64,
}

/// What waits.
#[derive(Debug)]
pub struct Queue<T> {
    credentials: Shares<Arc<str>, OfCredential<T>>,
    length: usize,
    /// Commits so far.
    commits: u64,
}

#[derive(Debug)]
struct OfCredential<T> {
    groups: Shares<Group, Shares<Emitter, VecDeque<Waiting<T>>>>,
    /// The group of each emitter that waits, and how much of it does. It stays in its group as long, so that what it sends
    /// stays in order.
    emitters: HashMap<Emitter, (Group, usize)>,
}

#[derive(Debug)]
struct Waiting<T> {
    thing: T,
    cost: usize,
    emitter: Emitter,
    /// Commits that were before.
    since: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue { credentials: Shares::default(), length: 0, commits: 0 }
    }
}

impl<T> Default for OfCredential<T> {
    fn default() -> OfCredential<T> {
        OfCredential { groups: Shares::default(), emitters: HashMap::new() }
    }
}

impl<T> Queue<T> {
    /// Something waits from now on, which takes so much of its turn.
    pub fn push(&mut self, whose: Whose, cost: usize, thing: T) {
        let Whose { credential, group, emitter } = whose;
        let waiting = Waiting { thing, cost: cost.max(1), emitter: emitter.clone(), since: self.commits };
        let of = self.credentials.of(credential);
        let (group, count) = of.emitters.entry(emitter.clone()).or_insert((group, 0));
        *count = count.saturating_add(1);
        of.groups.of(group.clone()).of(emitter).push_back(waiting);
        self.length = self.length.saturating_add(1);
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// What the next commit takes, in this order; `cost` says how much of it each takes.
    pub fn take(&mut self, most: Most, mut cost: impl FnMut(&T) -> usize) -> Vec<Next<T>> {
        self.credentials.new_round();
        self.commits = self.commits.saturating_add(1);
        let (mut all, mut costs) = (Vec::new(), 0_usize);
        while all.len() < most.things {
            let is_first = self.credentials.has_untouched();
            if !is_first && costs >= most.cost {
                break;
            }
            let Some(Waiting { thing, since, .. }) = self.credentials.take() else { break };
            let more = cost(&thing);
            costs = costs.saturating_add(if is_first { 0 } else { more });
            all.push(Next { thing, commits: self.commits.saturating_sub(since) });
        }
        self.length = self.length.saturating_sub(all.len());
        all
    }
}

impl<T> Takes for OfCredential<T> {
    type Thing = Waiting<T>;

    fn take(&mut self) -> Option<Waiting<T>> {
        let waiting = self.groups.take()?;
        if let Some((_, count)) = self.emitters.get_mut(&waiting.emitter) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.emitters.remove(&waiting.emitter);
            }
        }
        Some(waiting)
    }

    fn is_empty(&self) -> bool {
        self.emitters.is_empty()
    }

    fn new_round(&mut self) {
        self.groups.new_round();
    }
}

impl<T> Takes for VecDeque<Waiting<T>> {
    type Thing = Waiting<T>;

    fn take(&mut self) -> Option<Waiting<T>> {
        self.pop_front()
    }

    fn is_empty(&self) -> bool {
        VecDeque::is_empty(self)
    }

    fn new_round(&mut self) {}
}

impl<T> shares::Costs for Waiting<T> {
    fn cost(&self) -> usize {
        self.cost
    }
}

#[cfg(test)]
mod tests;

//! Names of persons are replaced by pseudonyms, with the sums and balances under them: nothing else changes, and each entry's hash
//! stays what it is.

use sha2::{Digest, Sha256};
use wire::identity::{self, ALLOWED};

use super::correct::{event_of, share_of_written};
use super::decide::Decision;
use super::{Ledger, responses};
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::forgetting::{Ended, Forgotten, Pending, Replaced, Requarantined};
use crate::store::names::What;
use crate::store::sealing::Sealed;
use crate::store::sums::Group;
use crate::store::{Keys, Store, StoreError, WrittenEntry};
use crate::tenant::is_within;
use crate::terminal::printable;

/// The longest pseudonym, bytes.
const MAX_PSEUDONYM: usize = 64;

/// What a name is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// A tenant, with those below it.
    Tenant,
    /// A principal.
    Principal,
    /// A session.
    Session,
    /// An agent.
    Agent,
    /// The tag of this name.
    Tag(String),
}

/// A name that is to be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What it is of.
    of: Of,
    /// The name.
    name: String,
}

impl Target {
    /// The name, if it can be one.
    pub fn new(of: Of, name: &str) -> Result<Target, String> {
        let problem = match &of {
            _ if name.is_empty() => Some("must not be empty".to_owned()),
            Of::Tenant if identity::tenant(name.as_bytes()).is_none() => Some(ALLOWED.to_owned()),
            Of::Tag(tag) if tag.is_empty() => Some("must be the tag's name, = and its value".to_owned()),
            _ => None,
        };
        problem.map_or(Ok(Target { of, name: name.to_owned() }), Err)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a pseudonym stands in the place of: of a tenant's path the last segment.
    pub fn last(&self) -> &str {
        match self.of {
            Of::Tenant => self.name.rsplit_once('/').map_or(&self.name, |(_, last)| last),
            _ => &self.name,
        }
    }

    /// What it is of, and of which tag.
    pub fn words(&self) -> (&'static str, Option<&str>) {
        match &self.of {
            Of::Tenant => ("tenant", None),
            Of::Principal => ("principal", None),
            Of::Session => ("session", None),
            Of::Agent => ("agent", None),
            Of::Tag(tag) => ("tag", Some(tag)),
        }
    }

    /// What a field says then, if it has the name.
    pub fn replaced(&self, what: &What<'_>, says: &str, pseudonym: &str) -> Option<String> {
        let is_it = match (&self.of, what) {
            (Of::Tenant, What::Tenant) if is_within(says, &self.name) => {
                let below = says.get(self.name.len()..)?;
                let above = self.name.get(..self.name.len().saturating_sub(self.last().len()))?;
                return Some(format!("{above}{pseudonym}{below}"));
            }
            (Of::Principal, What::Principal) | (Of::Session, What::Session) | (Of::Agent, What::Agent) => true,
            (Of::Tag(tag), What::Tag(name)) => tag == name,
            _ => false,
        };
        (is_it && says == self.name).then(|| pseudonym.to_owned())
    }

    /// By which it is known again.
    pub fn pending(&self, salt: [u8; 32], pseudonym: &str, now_ns: i64) -> Pending {
        Pending { digest: self.digest(&salt), salt, pseudonym: pseudonym.to_owned(), begun_ns: now_ns }
    }

    /// Whether it is this one that is being replaced.
    pub fn is(&self, pending: &Pending) -> bool {
        self.digest(&pending.salt) == pending.digest
    }

    fn digest(&self, salt: &[u8; 32]) -> [u8; 32] {
        let (what, tag) = self.words();
        let mut sha = Sha256::new_with_prefix(salt);
        for text in [what, tag.unwrap_or_default(), &self.name] {
            sha.update((text.len() as u64).to_le_bytes());
            sha.update(text);
        }
        sha.finalize().into()
    }
}

/// Whether a text can be a pseudonym: one segment of a tenant's path.
pub fn pseudonym(text: &str) -> Result<String, String> {
    let fits = text.len() <= MAX_PSEUDONYM && !text.contains('/') && identity::tenant(text.as_bytes()).is_some();
    let allowed = "must be 1 to 64 ASCII letters, digits and ._-@:, and not unknown, invalid or overflow";
    if fits { Ok(text.to_owned()) } else { Err(allowed.to_owned()) }
}

/// An entry as it was written, and what changes of it.
#[derive(Clone, Debug)]
pub struct Change {
    /// As it is.
    pub written: WrittenEntry,
    /// As it is to be.
    pub replaced: Replaced,
}

impl Change {
    /// The entry as it is to be.
    pub fn entry(&self) -> Entry {
        let Replaced { tenant, event, names, .. } = self.replaced.clone();
        Entry { tenant, event, names, ..self.written.entry.clone() }
    }

    /// Where it counts, and where it is to count; nothing if that is the same.
    fn groups(&self) -> Option<(Group, Group)> {
        let entry = &self.written.entry;
        let counts = entry.kind.is_charged() || entry.kind == Kind::Reversal;
        if !counts || entry.tenant == self.replaced.tenant {
            return None;
        }
        let old = Group::of_entry(entry)?;
        Some((old.clone(), Group { tenant: self.replaced.tenant.clone(), ..old }))
    }
}

impl<S: Store> Ledger<S> {
    /// Notes that a name is being replaced. The error says why it cannot be, and nothing has changed then.
    pub fn begin_forgetting(
        &mut self,
        target: &Target,
        pending: &Pending,
        sealed: &[Sealed],
        now_ns: i64,
    ) -> Result<Result<(), String>, StoreError> {
        let mut outcome = Ok(());
        self.transact(Keys { now_ns, closes: true, ..Keys::default() }, &mut |known| {
            let mut decision = Decision::new(known, None, now_ns);
            outcome = match decision.budget_of(target) {
                Some(budget) => Err(format!(
                    "the budget {budget} is for {}: remove it, or set it for another tenant",
                    printable(&target.name)
                )),
                None if decision.known.seal.sealed != sealed => {
                    Err("months were sealed or unsealed meanwhile: run it again".to_owned())
                }
                None => Ok(()),
            };
            decision.forget.begun = outcome.is_ok().then(|| pending.clone());
            decision.changes()
        })?;
        Ok(outcome)
    }

    /// Replaces names in entries, with the sums and balances under them: all in one transaction, or nothing.
    pub fn replace_names(&mut self, changes: &[Change], now_ns: i64) -> Result<(), StoreError> {
        let mut keys = Keys { now_ns, closes: true, ..Keys::default() };
        for change in changes {
            keys.groups.extend(change.groups().map(<[Group; 2]>::from).into_iter().flatten());
            if change.written.entry.kind.is_record() {
                let event = event_of(&change.written.entry).map_err(StoreError::Unusable)?;
                keys.responses.extend(responses::keys(&event.record));
            }
        }
        let mut problem = None;
        self.transact(keys, &mut |known| {
            problem = None;
            let (head, written_ns) = (known.head, known.written_ns);
            let mut decision = Decision::new(known, None, now_ns);
            for change in changes {
                if let Err(why) = decision.replace(change) {
                    problem = Some(why);
                    return crate::store::Changes { head, written_ns, ..Default::default() };
                }
            }
            decision.changes()
        })?;
        problem.map_or(Ok(()), |problem| Err(StoreError::Unusable(problem)))
    }

    /// Replaces names in events that are quarantined.
    pub fn replace_in_quarantine(&mut self, events: Vec<Requarantined>, now_ns: i64) -> Result<(), StoreError> {
        self.transact(Keys { now_ns, closes: true, ..Keys::default() }, &mut |known| {
            let mut decision = Decision::new(known, None, now_ns);
            decision.forget.quarantined.clone_from(&events);
            decision.changes()
        })
    }

    /// Says in the ledger that a name was replaced everywhere, by whom and why.
    pub fn end_forgetting(
        &mut self,
        target: &Target,
        pending: &Pending,
        forgotten: &Forgotten,
        reason: &str,
        now_ns: i64,
    ) -> Result<EntryId, StoreError> {
        let mut id = EntryId::default();
        let tenant = (target.of == Of::Tenant).then(|| target.name.clone());
        self.transact(Keys { now_ns, closes: true, ..Keys::default() }, &mut |known| {
            let mut decision = Decision::new(known, None, now_ns);
            id = decision.next_id();
            let entry = Entry::about_no_call(Kind::Forgotten, "", 0, now_ns, reason);
            decision.enter(Entry { event: Some(forgotten.to_json()), ..entry });
            decision.forget.ended = Some(Ended { digest: pending.digest, tenant: tenant.clone() });
            decision.changes()
        })?;
        Ok(id)
    }

    /// Takes what was replaced out of the free space of the files, too, if that can be done from here.
    pub fn scrub(&mut self) -> Result<bool, StoreError> {
        self.store.scrub()
    }
}

impl Decision<'_> {
    /// A budget in force that names it: for its calls it would hold no more.
    fn budget_of(&self, target: &Target) -> Option<String> {
        let names_it = |tenant: &String| target.of == Of::Tenant && is_within(tenant, &target.name);
        let mut budgets = self.counting.budgets.iter();
        let budget = budgets.find(|budget| budget.budget.scope.tenant.as_ref().is_some_and(names_it));
        budget.map(|budget| budget.name().to_owned())
    }

    fn replace(&mut self, change: &Change) -> Result<(), String> {
        let Change { written, replaced } = change;
        let entry = &written.entry;
        if let Some((old, new)) = change.groups()
            && let Some(share) = share_of_written(written)?
        {
            self.add(&old, &share.clone().reversed())?;
            self.add(&new, &share)?;
            let call = Entry { event: written.call.clone().or_else(|| entry.event.clone()), ..entry.clone() };
            let record = &event_of(&call)?.record;
            // A reversal takes back what it is less.
            let back = entry.charge.checked_neg().unwrap_or_default();
            if entry.kind == Kind::Reversal {
                self.count(record, &entry.tenant, back, None);
                self.count_back(record, &replaced.tenant, back);
            } else {
                self.count_back(record, &entry.tenant, entry.charge);
                self.count(record, &replaced.tenant, entry.charge, None);
            }
        }
        if entry.kind.is_record() && entry.tenant != replaced.tenant {
            self.rename_holders(change)?;
        }
        self.forget.replaced.push(replaced.clone());
        Ok(())
    }

    /// Where other meters' records of the call are recognised, there is a digest of the tenant without a salt.
    fn rename_holders(&mut self, change: &Change) -> Result<(), String> {
        let event = event_of(&change.entry())?;
        for key in responses::keys(&event.record) {
            let place = self.responses.get(&key).or_else(|| self.known.responses.get(&key));
            let Some(mut place) = place.cloned() else { continue };
            if place.rename(change.written.entry.id, &event.record) {
                self.responses.insert(key, place);
            }
        }
        Ok(())
    }
}

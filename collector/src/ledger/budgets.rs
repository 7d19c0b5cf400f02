//! What transactions do with budgets: calls count in the windows in which they began, and a person changes what is in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use wire::record::Record;

use super::decide::Decision;
use super::{Ledger, Sender, reason};
use crate::budget::balance::{Counted, WindowKey};
use crate::budget::definition::Change;
use crate::budget::period::second;
use crate::budget::set::Windows;
use crate::budget::{Amount, Budgets, Definition, Draft, draft};
use crate::money::Charge;
use crate::store::budgets::{BudgetsChange, LeaseChanges};
use crate::store::emitters::Ended;
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::ranges::Range;
use crate::store::{Changes, Keys, Store, StoreError};

/// What a transaction has counted so far.
#[derive(Debug, Default)]
pub(super) struct Counting {
    pub budgets: Arc<Budgets>,
    windows: Windows,
    pub spent: BTreeMap<WindowKey, Amount>,
    pub leases: LeaseChanges,
    pub change: Option<BudgetsChange>,
}

impl Counting {
    pub fn of(budgets: Arc<Budgets>) -> Counting {
        Counting { budgets, ..Counting::default() }
    }

    /// A call counts; of an emitter's own its lease pays, if it has one.
    fn add(&mut self, call: &Counted<'_>, emitter: Option<&str>, is_back: bool) {
        for (key, amount) in call.windows(&self.budgets, &mut self.windows) {
            if amount.is_zero() {
                continue;
            }
            let amount = if is_back { amount.reversed() } else { amount };
            if let Some(emitter) = emitter {
                let charged = self.leases.charged.entry((key.clone(), emitter.to_owned())).or_default();
                *charged = charged.plus(amount);
            }
            let spent = self.spent.entry(key).or_default();
            *spent = spent.plus(amount);
        }
    }
}

impl Decision<'_> {
    /// A tenant is charged for a call: it counts in the budgets that cover it. `emitter`: whose lease pays.
    pub(super) fn count(&mut self, record: &Record, tenant: &str, charge: Charge, emitter: Option<&str>) {
        if let Some(call) = Counted::of(record, tenant, charge) {
            self.counting.add(&call, emitter, false);
        }
    }

    /// A charge is taken back: it counts no more. Its lease has paid all the same, so that nobody can spend it twice.
    pub(super) fn count_back(&mut self, record: &Record, tenant: &str, charge: Charge) {
        if let Some(call) = Counted::of(record, tenant, charge) {
            self.counting.add(&call, None, true);
        }
    }

    /// An emitter that had its final flush, and of which everything is there, spends nothing any more. Where a number is missing
    /// its event may still come: then the leases end as those of one that is silent.
    pub(super) fn ended(&mut self, name: &str, sender: &Sender) {
        let is_itself = !sender.journal && sender.emitter.as_deref() == Some(name);
        let Some(emitter) = self.known_emitter(name) else { return };
        let all = Range { first: 1, last: emitter.head.max(1) };
        let is_whole = emitter.head == 0 || emitter.ranges.missing(all).is_empty();
        if is_itself && is_whole && emitter.ended == Some(Ended::Emitter) && !self.counting.budgets.is_empty() {
            self.counting.leases.ended.insert(name.to_owned());
        }
    }

    /// An emitter that has never counted anything has ended: the ledger knows it by its leases only.
    pub(super) fn ended_without_calls(&mut self, name: &str, sender: &Sender) {
        if !sender.journal && sender.emitter.as_deref() == Some(name) && !self.counting.budgets.is_empty() {
            self.counting.leases.ended.insert(name.to_owned());
        }
    }

    fn change_budgets(&mut self, change: &Change, reason: &str) -> EntryId {
        let kind = match change {
            Change::Set(_) => Kind::BudgetSet,
            Change::Removed { .. } => Kind::BudgetRemoved,
        };
        let revision = self.counting.budgets.revision().saturating_add(1);
        let entry = Entry::about_no_call(kind, "", 0, self.now_ns(), reason);
        let id = self.next_id();
        self.enter(Entry { event: Some(change.to_json(revision)), ..entry });
        let before = self.counting.budgets.get(change.name());
        let forgotten = match change {
            Change::Set(definition) => before.filter(|before| before.id != definition.id),
            Change::Removed { .. } => before,
        };
        let change = BudgetsChange {
            revision,
            forgotten: forgotten.map(|before| before.id),
            set: if let Change::Set(definition) = change { Some(definition.clone()) } else { None },
            removed: if let Change::Removed { name, .. } = change { Some(name.clone()) } else { None },
        };
        self.counting.change = Some(change);
        id
    }
}

/// A budget that was set.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    /// The entry that says so.
    pub entry: EntryId,
    /// The budget.
    pub budget: Definition,
    /// What it was before.
    pub before: Option<Definition>,
}

/// What the ledger has already of the calls that a budget counts: where the chains end so. It is asked while nobody writes.
pub type CountSoFar<'c> = &'c mut dyn FnMut(&Definition, &[EntryId]) -> Result<BTreeMap<WindowKey, Amount>, StoreError>;

impl<S: Store> Ledger<S> {
    /// Sets a budget. The calls that began in its running window count from then on, whenever they were charged: `so_far` finds
    /// those that are in the ledger already. The error says why not, and nothing has changed then.
    pub fn set_budget(
        &mut self,
        draft: &Draft,
        why: &str,
        now_ns: i64,
        so_far: CountSoFar<'_>,
    ) -> Result<Result<Set, String>, StoreError> {
        let mut outcome = Err(String::new());
        let mut failure = None;
        self.transact(Keys { now_ns, closes: true, ..Keys::default() }, &mut |known| {
            failure = None;
            let unchanged = Changes { head: known.head, written_ns: known.written_ns, ..Changes::default() };
            let heads = known.heads.clone();
            let mut decision = Decision::new(known, None, now_ns);
            let complete = reason::why(why).and_then(|()| draft.complete(&decision.counting.budgets, second(now_ns)));
            let budget = match complete {
                Ok(budget) => budget,
                Err(problem) => {
                    outcome = Err(problem);
                    return unchanged;
                }
            };
            let before = decision.counting.budgets.get(&draft.name).cloned();
            if before.as_ref().is_some_and(|before| Definition { who: before.who.clone(), ..budget.clone() } == *before)
            {
                outcome = Err(format!("{} is so already: nothing was changed", draft.name));
                return unchanged;
            }
            if before.as_ref().is_none_or(|before| before.id != budget.id) {
                match so_far(&budget, &heads) {
                    Ok(spent) => decision.counting.spent = spent,
                    Err(error) => {
                        failure = Some(error);
                        return unchanged;
                    }
                }
            }
            let entry = decision.change_budgets(&Change::Set(budget.clone()), why);
            outcome = Ok(Set { entry, budget, before });
            decision.changes()
        })?;
        failure.map_or(Ok(outcome), Err)
    }

    /// Removes a budget. The error says why not, and nothing has changed then.
    pub fn remove_budget(
        &mut self,
        name: &str,
        who: &str,
        why: &str,
        now_ns: i64,
    ) -> Result<Result<EntryId, String>, StoreError> {
        let mut outcome = Err(String::new());
        self.transact(Keys { now_ns, closes: true, ..Keys::default() }, &mut |known| {
            let mut decision = Decision::new(known, None, now_ns);
            let is_there = || match decision.counting.budgets.get(name) {
                Some(_) => Ok(()),
                None => Err(format!("there is no budget {}", crate::terminal::printable(name))),
            };
            outcome = match reason::why(why).and_then(|()| draft::who(who)).and_then(|()| is_there()) {
                Ok(()) => {
                    let change = Change::Removed { name: name.to_owned(), who: who.to_owned() };
                    Ok(decision.change_budgets(&change, why))
                }
                Err(problem) => Err(problem),
            };
            decision.changes()
        })?;
        Ok(outcome)
    }
}

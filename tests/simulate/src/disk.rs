//! The store behind all collectors: what is committed survives every crash, what is not leaves nothing. Each collector has
//! a chain of its own, as at a database.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use collector::database::memory::Memory;
use collector::ledger::Ledger;
use collector::store::entry::EntryId;
use collector::store::names::Secret;
use collector::store::ranges::{Range, Ranges};
use collector::store::{Changes, Head, Keys, Known, Store, StoreError};
use wire::record::Evidence;

use crate::mutation::Mutation;

/// What goes wrong in a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It fails, and leaves nothing.
    Before,
    /// It is committed, and an error is told.
    After,
    /// The process dies in the middle. Only a store that is no store leaves anything.
    Midway,
}

/// What is on it.
#[derive(Debug)]
pub struct Disk {
    /// Everything that is committed.
    pub memory: Memory,
    /// Where each writer's chain ends.
    pub heads: BTreeMap<i64, Head>,
    /// What goes wrong in the next transaction.
    pub fault: Fault,
    /// The next transaction begins anew in its middle.
    pub begins_anew: bool,
    /// Whether the last transaction is kept.
    pub kept: bool,
    /// Which guard is missing.
    pub mutation: Option<Mutation>,
    /// Now and then what is spent of budgets is not written.
    pub loses_charges: bool,
    /// Counts up, for mutations.
    commits: u64,
}

impl Disk {
    /// An empty disk.
    pub fn new(mutation: Option<Mutation>) -> Disk {
        Disk {
            memory: Memory::new(),
            heads: BTreeMap::new(),
            fault: Fault::None,
            begins_anew: false,
            kept: false,
            mutation,
            loses_charges: false,
            commits: 0,
        }
    }

    /// A collector opens it.
    pub fn open(&mut self, writer: i64) {
        let new = Head { entry: EntryId { writer, number: 0 }, ..Head::default() };
        self.heads.entry(writer).or_insert(new);
        match self.mutation {
            Some(Mutation::ForgetTheRanges) => {
                self.memory.emitters.values_mut().for_each(|emitter| emitter.ranges = Ranges::default());
            }
            Some(Mutation::BreakTheChain) => {
                if let Some(head) = self.heads.get_mut(&writer) {
                    head.hash = Default::default();
                }
            }
            _ => {}
        }
    }

    /// What a database would load: of an emitter's ranges only those around the numbers in question.
    fn known(&mut self, keys: &Keys, writer: i64) -> Known {
        self.memory.head = self.heads[&writer];
        let mut known = self.memory.known(keys);
        for (name, emitter) in &mut known.emitters {
            let numbers = keys.emitters.get(name);
            let is_near = |range: &&Range| {
                let touching = range.first.saturating_sub(1)..=range.last.saturating_add(1);
                numbers.is_some_and(|numbers| numbers.range(touching).next().is_some())
            };
            emitter.ranges = Ranges::stored(emitter.ranges.as_slice().iter().filter(is_near).copied().collect());
        }
        if self.mutation == Some(Mutation::ForgetClosings) {
            known.closed = Default::default();
        }
        if self.mutation == Some(Mutation::CompareNoCharges) {
            known.held.retain(|_, entry| entry.evidence != Evidence::Reported);
        }
        if self.mutation == Some(Mutation::ForgetTheResponses) {
            known.responses.clear();
        }
        known
    }

    /// Keeps what was decided: each range takes the place of those inside of it.
    fn keep(&mut self, mut changes: Changes, writer: i64) {
        for (name, emitter) in &mut changes.emitters {
            let mut stored = self.memory.emitters.get(name).map(|emitter| emitter.ranges.as_slice().to_vec());
            let stored = stored.get_or_insert_default();
            for changed in emitter.ranges.changed() {
                stored.retain(|range| range.first < changed.first || changed.last < range.last);
                let place = stored.partition_point(|range| range.first < changed.first);
                stored.insert(place, *changed);
            }
            emitter.ranges = Ranges::stored(std::mem::take(stored));
        }
        if self.mutation == Some(Mutation::ForgetReleases) {
            changes.released.clear();
        }
        if self.mutation == Some(Mutation::LoseASum) && self.commits.is_multiple_of(16) {
            changes.sums.pop();
        }
        if self.loses_charges && self.commits.is_multiple_of(16) {
            changes.spent.clear();
        }
        self.memory.keep(changes);
        self.heads.insert(writer, self.memory.head);
    }

    fn keep_by_halves(&mut self, changes: Changes, writer: i64) {
        self.keep(Changes { emitters: BTreeMap::new(), notes: Vec::new(), ..changes }, writer);
    }
}

/// A collector's connection to the disk.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The disk.
    pub disk: Rc<RefCell<Disk>>,
    /// Who writes.
    pub writer: i64,
}

impl Connection {
    /// The ledger on it. Its salts are the same whenever a seed is run again.
    pub fn ledger(self) -> Ledger<Connection> {
        Ledger::with_secret(self, Secret::default())
    }
}

impl Store for Connection {
    fn transact(&mut self, keys: &Keys, decide: &mut dyn FnMut(Known) -> Changes) -> Result<(), StoreError> {
        let mut disk = self.disk.borrow_mut();
        disk.commits += 1;
        let fault = std::mem::take(&mut disk.fault);
        if std::mem::take(&mut disk.begins_anew) {
            // Another writer was faster: what was decided by what had been loaded is thrown away.
            let known = disk.known(keys, self.writer);
            drop(decide(known));
        }
        let known = disk.known(keys, self.writer);
        let changes = decide(known);
        disk.kept = matches!(fault, Fault::None | Fault::After);
        match fault {
            Fault::None | Fault::After => disk.keep(changes, self.writer),
            Fault::Midway if disk.mutation == Some(Mutation::CommitByHalves) => {
                disk.keep_by_halves(changes, self.writer);
            }
            Fault::Before | Fault::Midway => {}
        }
        match fault {
            Fault::None => Ok(()),
            _ => Err(StoreError::Unusable("the disk fails".to_owned())),
        }
    }
}

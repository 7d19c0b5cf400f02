//! A store in memory, for tests and simulations: what it keeps is what a database would.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::store::emitters::{Emitter, Note};
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::forgetting::Pending;
use crate::store::months::Closed;
use crate::store::ranges::Ranges;
use crate::store::responses::{Place, PossibleCopy, PossibleKey, ResponseKey, to_compare};
use crate::store::sums::{Counted, Group, GroupSums, Sum};
use crate::store::{Changes, Content, Head, Keys, Known, QuarantinedEvent, Store, StoreError};

mod budgets;
mod counted;
mod forget;
mod prune;
mod read;

/// Everything that is kept.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Where the chain ends.
    pub head: Head,
    /// The latest time at which something was written to it.
    pub written_ns: i64,
    /// The chain.
    pub entries: Vec<Entry>,
    /// Emitters with all their ranges.
    pub emitters: BTreeMap<String, Emitter>,
    /// What happened to their numbers.
    pub notes: BTreeSet<Note>,
    /// Who is charged for a response.
    pub responses: HashMap<ResponseKey, Place>,
    /// Records that were charged and may be copies.
    pub possible: BTreeMap<PossibleKey, PossibleCopy>,
    /// The sums.
    pub sums: BTreeMap<Group, GroupSums>,
    /// What is quarantined, in the order in which it came; every delivery.
    pub quarantined: Vec<QuarantinedEvent>,
    /// What of it was released, by digest, and its entry.
    pub released: BTreeMap<[u8; 32], EntryId>,
    /// What of that does not say any more what it was.
    pruned: BTreeSet<[u8; 32]>,
    /// Names that are being replaced.
    forgetting: Vec<Pending>,
    /// The budgets in force, their balances, and who holds leases.
    budgets: budgets::Kept,
    numbers: HashMap<(String, i64), usize>,
    closings: Vec<usize>,
}

impl Memory {
    /// Nothing yet; the entries will be those of writer 1.
    pub fn new() -> Memory {
        Memory { head: Head { entry: EntryId { writer: 1, number: 0 }, ..Head::default() }, ..Memory::default() }
    }

    /// What the rules ask for.
    pub fn known(&self, keys: &Keys) -> Known {
        let closed = self.closed_months();
        let mut known = Known { head: self.head, written_ns: self.written_ns, closed, ..Known::default() };
        if keys.closes {
            let mut heads: BTreeMap<i64, EntryId> = BTreeMap::new();
            heads.extend(self.entries.iter().map(|entry| (entry.id.writer, entry.id)));
            heads.insert(self.head.entry.writer, self.head.entry);
            known.heads = heads.into_values().collect();
        }
        for (name, numbers) in &keys.emitters {
            let Some(emitter) = self.emitters.get(name) else { continue };
            known.emitters.insert(name.clone(), emitter.clone());
            for number in numbers {
                let key = (name.clone(), *number);
                let entry = self.numbers.get(&key).and_then(|index| self.entries.get(*index));
                let content =
                    entry.and_then(|entry| Some(Content { event: entry.event.clone()?, names: entry.names.clone() }));
                known.contents.extend(content.map(|content| (key, content)));
            }
        }
        let held = keys.responses.iter().filter_map(|key| Some((*key, self.responses.get(key)?.clone())));
        known.responses = held.collect();
        let wanted = to_compare(known.responses.values());
        if !wanted.is_empty() {
            let references = self.references();
            known.held = wanted.iter().filter_map(|id| Some((*id, self.stands_for(*id, &references)?))).collect();
        }
        let groups = keys.all_groups(known.held.values(), &known.closed).into_iter();
        known.sums = groups.filter_map(|group| Some((group.clone(), self.sums.get(&group)?.clone()))).collect();
        let referred = |kind: Kind, wanted: &BTreeSet<EntryId>| -> BTreeSet<EntryId> {
            if wanted.is_empty() {
                return BTreeSet::new();
            }
            let of_kind = self.entries.iter().filter(|entry| entry.kind == kind);
            of_kind.filter_map(|entry| entry.refers).filter(|entry| wanted.contains(entry)).collect()
        };
        if !keys.reversals.is_empty() {
            let taken_back = self.entries.iter().filter(|entry| keys.reversals.contains(&entry.id));
            known.tenants = taken_back.map(|entry| (entry.id, entry.tenant.clone())).collect();
        }
        known.reversed = referred(Kind::Reversal, &keys.reversals);
        known.corrected = referred(Kind::Correction, &keys.corrected);
        if !keys.released.is_empty() {
            let waits = |digest: &[u8; 32]| keys.released.contains(digest) && !self.released.contains_key(digest);
            let kept = self.quarantined.iter().map(|event| (event.digest(), event.clone()));
            known.kept = kept.filter(|(digest, _)| waits(digest)).collect();
        }
        self.budgets.load(keys, &mut known);
        known
    }

    /// Which entry of a kind refers to which.
    fn references(&self) -> HashMap<(Kind, EntryId), &Entry> {
        let of_kinds = self.entries.iter().filter(|entry| matches!(entry.kind, Kind::Reversal | Kind::Correction));
        of_kinds.filter_map(|entry| Some(((entry.kind, entry.refers?), entry))).collect()
    }

    /// An entry, or what stands instead of it, with the event of its call.
    fn stands_for(&self, id: EntryId, references: &HashMap<(Kind, EntryId), &Entry>) -> Option<Entry> {
        let mut entry = self.entries.iter().find(|entry| entry.id == id)?;
        while let Some(reversal) = references.get(&(Kind::Reversal, entry.id)) {
            let corrects = |id: EntryId| references.get(&(Kind::Correction, id));
            entry = corrects(entry.id).or_else(|| corrects(reversal.id))?;
        }
        entry.kind.is_charged().then(|| self.with_event(entry))
    }

    fn with_event(&self, entry: &Entry) -> Entry {
        let call = self.numbers.get(&(entry.emitter.clone(), entry.sequence));
        let event = call.and_then(|index| self.entries.get(*index)?.event.clone());
        Entry { event, ..entry.clone() }
    }

    /// The rating of what a reversal takes back.
    fn taken_back(&self, entry: &Entry) -> Option<String> {
        let of = self.entries.iter().find(|other| entry.kind == Kind::Reversal && Some(other.id) == entry.refers);
        of.and_then(|of| of.rating.clone())
    }

    /// The months that are closed.
    pub fn closed_months(&self) -> Closed {
        let closings = self.closings.iter().filter_map(|index| self.entries.get(*index));
        Closed::from_begins(closings.map(|entry| entry.started_ns))
    }

    /// What counts, each with the event of its call.
    fn standing(&self) -> impl Iterator<Item = Entry> {
        let reversals = self.entries.iter().filter(|entry| entry.kind == Kind::Reversal);
        let reversed: BTreeSet<EntryId> = reversals.filter_map(|entry| entry.refers).collect();
        let counts = move |entry: &&Entry| entry.kind.is_charged() && !reversed.contains(&entry.id);
        self.entries.iter().filter(counts).map(|entry| self.with_event(entry))
    }

    /// Keeps what was decided.
    pub fn keep(&mut self, changes: Changes) {
        self.head = changes.head;
        self.written_ns = changes.written_ns;
        for entry in changes.entries {
            if entry.kind.is_record() {
                self.numbers.insert((entry.emitter.clone(), entry.sequence), self.entries.len());
            }
            if entry.kind == Kind::MonthClosed {
                self.closings.push(self.entries.len());
            }
            self.entries.push(entry);
        }
        for (name, mut emitter) in changes.emitters {
            emitter.ranges = Ranges::stored(emitter.ranges.as_slice().to_vec());
            self.emitters.insert(name, emitter);
        }
        for note in changes.notes {
            let is_known =
                |known: &Note| (&known.emitter, known.range, known.what) == (&note.emitter, note.range, note.what);
            if !self.notes.iter().any(is_known) {
                self.notes.insert(note);
            }
        }
        self.responses.extend(changes.responses);
        for (key, noted) in changes.possible {
            let before = self.possible.get(&key).map_or(0, |before| before.records);
            self.possible.insert(key, PossibleCopy { records: noted.records.saturating_add(before), ..noted });
        }
        self.released.extend(changes.released);
        for (group, counted, sum) in changes.sums {
            self.sums.entry(group).or_default().insert(counted, sum);
        }
        let fresh = changes.quarantined.into_iter().filter(|event| !self.pruned.contains(&event.digest()));
        self.quarantined.extend(fresh);
        self.budgets.keep(changes.budgets, changes.spent, changes.leases);
        self.forget(changes.forget);
        self.prune(changes.prune);
    }

    /// A sum over all groups.
    pub fn total(&self, counted: Counted) -> Sum {
        let sums = self.sums.values().filter_map(|sums| sums.get(&counted));
        sums.fold(Sum::default(), |total, sum| Sum {
            quantity: total.quantity.saturating_add(sum.quantity),
            charge: total.charge.checked_add(sum.charge).unwrap_or_default(),
            cost: total.cost.checked_add(sum.cost).unwrap_or_default(),
            unpriced: total.unpriced.saturating_add(sum.unpriced),
            fallback: total.fallback.saturating_add(sum.fallback),
        })
    }
}

impl Store for Memory {
    fn transact(&mut self, keys: &Keys, decide: &mut dyn FnMut(Known) -> Changes) -> Result<(), StoreError> {
        let changes = decide(self.known(keys));
        if changes.seal.sealed.is_some() {
            return Err(StoreError::Unusable("what is in memory cannot be sealed".to_owned()));
        }
        self.keep(changes);
        Ok(())
    }
}

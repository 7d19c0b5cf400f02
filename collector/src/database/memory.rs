//! A store in memory, for tests and simulations: what it keeps is what a database would.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::budget::balance::WindowKey;
use crate::budget::{Amount, Budgets};
use crate::store::budgets::Lease;
use crate::store::days::day_of;
use crate::store::emitters::{Emitter, Note, What};
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::forgetting::Pending;
use crate::store::months::{Closed, Month};
use crate::store::pruning::{Held, Page};
use crate::store::ranges::{Range, Ranges};
use crate::store::responses::{Place, PossibleCopy, PossibleKey, ResponseKey, without_counts};
use crate::store::sealing::{Piece, Sealed, counts_in};
use crate::store::sums::{Counted, Group, GroupSums, Sum};
use crate::store::{
    Booked, Changes, Content, CountedEntry, Dimension, Each, Head, Keys, Known, Quarantined, QuarantinedEvent, Reader,
    RollupRow, Selection, Span, Store, StoreError, Tally, Total, Whose, WrittenEntry,
};

mod budgets;
mod counted;
mod forget;
mod prune;

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
        let wanted = without_counts(known.responses.values());
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

impl Reader for Memory {
    fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn rollup(&self, selection: &Selection, each: Each<'_, RollupRow>) -> Result<(), StoreError> {
        let rows = self.sums.iter().flat_map(|(group, sums)| {
            let mut sums: Vec<_> = sums.iter().collect();
            sums.sort_by_key(|(counted, _)| counted.name());
            sums.into_iter().map(move |(counted, sum)| RollupRow {
                day: group.day.parse().unwrap_or_default(),
                adjusts: group.adjusts.clone(),
                tenant: group.tenant.clone(),
                provider: group.provider.clone(),
                model: group.model.clone(),
                evidence: group.evidence(),
                counted: counted.clone(),
                sum: *sum,
            })
        });
        rows.filter(|row| selection.includes(row.day, &row.tenant)).try_for_each(each)
    }

    fn totals(&self, selection: &Selection, by: &[Dimension], each: Each<'_, Total>) -> Result<(), StoreError> {
        let mut totals: BTreeMap<_, Total> = BTreeMap::new();
        self.rollup(selection, &mut |row| {
            let key: Vec<String> = by.iter().map(|dimension| dimension.of(&row)).collect();
            let words = (key.clone(), row.evidence.as_str(), row.counted.name());
            match totals.get_mut(&words) {
                Some(total) => total.add(&row.sum)?,
                None => {
                    totals.insert(words, Total::of(key, row.evidence, row.counted, &row.sum));
                }
            }
            Ok(())
        })?;
        totals.into_values().try_for_each(each)
    }

    fn heads(&self) -> Result<Vec<Head>, StoreError> {
        Ok(vec![self.head])
    }

    fn entries(&self, behind: EntryId, each: Each<'_, Entry>) -> Result<(), StoreError> {
        let is_behind = |entry: &&Entry| entry.id.writer == behind.writer && entry.id.number > behind.number;
        self.entries.iter().filter(is_behind).cloned().try_for_each(each)
    }

    fn written(&self, behind: EntryId, until: i64, each: Each<'_, WrittenEntry>) -> Result<(), StoreError> {
        let is_meant = |entry: &&Entry| {
            entry.id.writer == behind.writer && entry.id.number > behind.number && entry.id.number <= until
        };
        let written = |entry: &Entry| {
            let is_about = matches!(entry.kind, Kind::Reversal | Kind::Correction);
            WrittenEntry {
                entry: entry.clone(),
                call: is_about.then(|| self.with_event(entry).event).flatten(),
                taken_back: self.taken_back(entry),
            }
        };
        self.entries.iter().filter(is_meant).map(written).try_for_each(each)
    }

    fn standing(&self, selection: &Selection, each: Each<'_, Entry>) -> Result<(), StoreError> {
        let is_selected = |entry: &Entry| {
            let day = day_of(entry.started_ns).and_then(|day| day.parse().ok());
            day.is_some_and(|day| selection.includes(day, &entry.tenant))
                && selection
                    .call
                    .as_ref()
                    .is_none_or(|(emitter, number)| (emitter, *number) == (&entry.emitter, entry.sequence))
        };
        self.standing().filter(is_selected).try_for_each(each)
    }

    fn entry(&self, id: EntryId) -> Result<Option<Entry>, StoreError> {
        Ok(self.entries.iter().find(|entry| entry.id == id).cloned())
    }

    fn record(&self, number: &(String, i64)) -> Result<Option<Entry>, StoreError> {
        Ok(self.numbers.get(number).and_then(|index| self.entries.get(*index)).cloned())
    }

    fn reversal_of(&self, id: EntryId) -> Result<Option<EntryId>, StoreError> {
        let takes_back = |entry: &&Entry| entry.kind == Kind::Reversal && entry.refers == Some(id);
        Ok(self.entries.iter().find(takes_back).map(|entry| entry.id))
    }

    fn correction_of(&self, id: EntryId) -> Result<Option<EntryId>, StoreError> {
        let corrects = |entry: &&Entry| entry.kind == Kind::Correction && entry.refers == Some(id);
        Ok(self.entries.iter().find(corrects).map(|entry| entry.id))
    }

    fn adjusted(&self, each: Each<'_, (Entry, String)>) -> Result<(), StoreError> {
        counted::adjusted(self).map(|(entry, _, billed)| (entry, billed)).try_for_each(each)
    }

    fn counted(&self, span: &Span, each: Each<'_, CountedEntry>) -> Result<(), StoreError> {
        counted::counted(self, span).into_iter().try_for_each(each)
    }

    fn closings(&self) -> Result<Vec<Entry>, StoreError> {
        let mut closings: Vec<Entry> =
            self.closings.iter().filter_map(|index| self.entries.get(*index)).cloned().collect();
        closings.sort_by_key(|entry| entry.started_ns);
        Ok(closings)
    }

    fn forgotten(&self) -> Result<Vec<Entry>, StoreError> {
        Ok(self.entries.iter().filter(|entry| entry.kind == Kind::Forgotten).cloned().collect())
    }

    // Nothing of it is sealed: it is small.
    fn sealed(&self) -> Result<Vec<Sealed>, StoreError> {
        Ok(Vec::new())
    }

    fn present(&self, piece: Piece, each: Each<'_, i64>) -> Result<(), StoreError> {
        let numbers = self.entries.iter().filter(|entry| entry.id.writer == piece.writer).map(|entry| entry.id.number);
        numbers.filter(|number| *number > piece.behind && *number <= piece.until).try_for_each(each)
    }

    fn first_counting(&self, behind: EntryId, month: Month) -> Result<Option<EntryId>, StoreError> {
        let is_behind = |entry: &&Entry| entry.id.writer == behind.writer && entry.id.number > behind.number;
        let counts = |entry: &&Entry| counts_in(entry).is_some_and(|counts| counts >= month);
        Ok(self.entries.iter().filter(is_behind).find(counts).map(|entry| entry.id))
    }

    fn forgetting(&self) -> Result<Vec<Pending>, StoreError> {
        Ok(self.forgetting.clone())
    }

    fn booked(&self, which: &Booked, each: Each<'_, Entry>) -> Result<(), StoreError> {
        let with_rating = |entry: &Entry| {
            let rating = entry.rating.clone().or_else(|| self.taken_back(entry));
            Entry { rating, ..self.with_event(entry) }
        };
        self.entries.iter().filter(|entry| which.includes(entry)).map(with_rating).try_for_each(each)
    }

    fn holders(&self, day: i64, response: i64) -> Result<Vec<EntryId>, StoreError> {
        let here = self.responses.iter().filter(|(key, _)| (key.day, key.response) == (day, response));
        let mut places: Vec<(&ResponseKey, &Place)> = here.collect();
        places.sort_by_key(|(key, _)| key.proof);
        Ok(places.into_iter().flat_map(|(_, place)| place.entries()).collect())
    }

    fn held(&self, page: Page) -> Result<Vec<Held>, StoreError> {
        Ok(self.held(page))
    }

    fn budgets(&self) -> Result<Budgets, StoreError> {
        Ok((*self.budgets.in_force).clone())
    }

    fn budget_changes(&self) -> Result<Vec<Entry>, StoreError> {
        let changes = |entry: &&Entry| matches!(entry.kind, Kind::BudgetSet | Kind::BudgetRemoved);
        Ok(self.entries.iter().filter(changes).cloned().collect())
    }

    fn balances(&self, budget: i64, from_s: i64, each: Each<'_, (WindowKey, Amount)>) -> Result<(), StoreError> {
        self.budgets.balances(budget, from_s).try_for_each(each)
    }

    fn leases(&self, budget: i64, from_s: i64, each: Each<'_, (WindowKey, String, Lease)>) -> Result<(), StoreError> {
        self.budgets.leases(budget, from_s).try_for_each(each)
    }

    fn possible_copies(&self, each: Each<'_, (PossibleKey, PossibleCopy)>) -> Result<(), StoreError> {
        self.possible.iter().map(|(key, noted)| (*key, *noted)).try_for_each(each)
    }

    fn emitters(&self, each: Each<'_, (String, Emitter)>) -> Result<(), StoreError> {
        let closed = |name: &String| -> Ranges {
            let notes = self.notes.iter().filter(|note| note.emitter == *name && note.what == What::Closed);
            notes.map(|note| note.range).collect()
        };
        let with_closed =
            |(name, emitter): (&String, &Emitter)| (name.clone(), Emitter { closed: closed(name), ..emitter.clone() });
        self.emitters.iter().map(with_closed).try_for_each(each)
    }

    fn ranges(&self, emitter: &str, _within: Range) -> Result<Ranges, StoreError> {
        Ok(self.emitters.get(emitter).map(|emitter| emitter.ranges.clone()).unwrap_or_default())
    }

    fn notes(&self, emitter: &str) -> Result<Vec<Note>, StoreError> {
        let mut notes: Vec<Note> = self.notes.iter().filter(|note| note.emitter == emitter).cloned().collect();
        notes.sort_by_key(|note| (note.range, note.at_ns, note.what.as_str()));
        Ok(notes)
    }

    fn quarantined(&self, whose: Whose<'_>, each: Each<'_, Quarantined>) -> Result<(), StoreError> {
        let mut kept: BTreeMap<[u8; 32], Quarantined> = BTreeMap::new();
        let named =
            |event: &&QuarantinedEvent| whose.includes(event.number.as_ref().map(|(emitter, _)| emitter.as_str()));
        for event in self.quarantined.iter().filter(named) {
            let digest = event.digest();
            let kept = kept.entry(digest).or_insert_with(|| Quarantined {
                last: event.clone(),
                first_received_ns: event.received_ns,
                deliveries: 0,
                released: self.released.get(&digest).copied(),
            });
            kept.deliveries = kept.deliveries.saturating_add(1);
            kept.last = event.clone();
        }
        let mut kept: Vec<Quarantined> = kept.into_values().collect();
        kept.sort_by_key(|kept| kept.order());
        kept.into_iter().try_for_each(each)
    }

    fn tally(&self) -> Result<Tally, StoreError> {
        let apart = |alarm: bool| {
            let of_kind = self.quarantined.iter().filter(|event| event.alarm == alarm);
            let mut waiting: BTreeSet<[u8; 32]> = of_kind.map(QuarantinedEvent::digest).collect();
            waiting.retain(|digest| !self.released.contains_key(digest));
            i64::try_from(waiting.len()).unwrap_or(i64::MAX)
        };
        let of_month = |group: &Group| {
            let month =
                if group.adjusts.is_empty() { group.day.chars().take(7).collect() } else { group.adjusts.clone() };
            Group { day: month, adjusts: String::new(), ..group.clone() }
        };
        // What was priced after its month was closed is taken from the sums of a later day, which name that month.
        let mut open: HashMap<(Group, &Counted), i64> = HashMap::new();
        for (group, sums) in &self.sums {
            for (counted, sum) in sums {
                let unpriced = open.entry((of_month(group), counted)).or_default();
                *unpriced = unpriced.saturating_add(sum.unpriced);
            }
        }
        let months: BTreeSet<Group> =
            open.into_iter().filter(|(_, unpriced)| *unpriced > 0).map(|((group, _), _)| group).collect();
        let is_open = |(group, sums): &(&Group, &GroupSums)| {
            sums.values().any(|sum| sum.unpriced > 0) && months.contains(&of_month(group))
        };
        let unpriced = self.sums.iter().filter(is_open).filter_map(|(_, sums)| sums.get(&Counted::Calls));
        let unpriced_calls = unpriced.map(|sum| sum.quantity).sum();
        Ok(Tally { alarms: apart(true), dead_letters: apart(false), unpriced_calls })
    }
}

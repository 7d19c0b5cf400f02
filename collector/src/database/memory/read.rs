//! What is kept in memory, read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Memory, counted};
use crate::budget::balance::WindowKey;
use crate::budget::{Amount, Budgets};
use crate::store::budgets::Lease;
use crate::store::days::day_of;
use crate::store::emitters::{Emitter, Note, What};
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::forgetting::Pending;
use crate::store::months::Month;
use crate::store::pruning::{Held, Page};
use crate::store::ranges::{Range, Ranges};
use crate::store::responses::{Place, PossibleCopy, PossibleKey, ResponseKey};
use crate::store::sealing::{Piece, Sealed, counts_in};
use crate::store::sums::{Counted, Group, GroupSums};
use crate::store::{
    Booked, CountedEntry, Dimension, Each, Head, Quarantined, QuarantinedEvent, Reader, RollupRow, Selection, Span,
    StoreError, Tally, Total, Whose, WrittenEntry,
};

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

    fn contradiction(&self) -> Result<Option<String>, StoreError> {
        // Nothing is kept twice.
        Ok(None)
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

//! The port to what is kept, for those who read: questions, and what comes back.

use std::sync::Arc;

use jiff::civil::Date;

use super::booked::Booked;
use super::budgets::Lease;
use super::days::day_of;
use super::emitters::{Emitter, Note};
use super::entry::{Entry, EntryId};
use super::error::StoreError;
use super::forgetting::Pending;
use super::months::Month;
use super::pruning::{Held, Page};
use super::ranges::{Range, Ranges};
use super::responses::{PossibleCopy, PossibleKey};
use super::sealing::{Piece, Sealed};
use super::totals::{Dimension, RollupRow, Total};
use super::transaction::{Head, QuarantinedEvent};
use crate::budget::balance::WindowKey;
use crate::budget::{Amount, Budgets};
use crate::tenant::is_within;

/// Which calls.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The first day.
    pub since: Option<Date>,
    /// The last day.
    pub until: Option<Date>,
    /// Only this tenant, and what is below it: `acme` and `acme/ml`.
    pub tenant: Option<String>,
    /// Only this emitter's call of this number. The rollup knows no single calls.
    pub call: Option<(String, i64)>,
}

impl Selection {
    /// Whether calls of a day and a tenant are among them.
    pub fn includes(&self, day: Date, tenant: &str) -> bool {
        self.since.is_none_or(|since| since <= day)
            && self.until.is_none_or(|until| day <= until)
            && self.tenant.as_deref().is_none_or(|path| is_within(tenant, path))
    }
}

/// An event that is quarantined, as often as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its last delivery.
    pub last: QuarantinedEvent,
    /// When it first came.
    pub first_received_ns: i64,
    /// How often it came.
    pub deliveries: i64,
    /// The entry that it became when a person released it.
    pub released: Option<EntryId>,
}

impl Quarantined {
    /// By emitter and number, then by time, then by content: the same everywhere.
    pub fn order(&self) -> (Option<(String, i64)>, i64, Vec<u8>) {
        (self.last.number.clone(), self.first_received_ns, self.last.bytes.clone())
    }
}

/// Whose events that are quarantined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    /// Everybody's.
    All,
    /// An emitter's.
    Emitter(&'a str),
    /// Those that name nobody.
    Nobody,
}

impl Whose<'_> {
    /// Whether those of an emitter are among them.
    pub fn includes(self, emitter: Option<&str>) -> bool {
        match self {
            Whose::All => true,
            Whose::Emitter(name) => emitter == Some(name),
            Whose::Nobody => emitter.is_none(),
        }
    }
}

/// What a database has counted in its small tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events quarantined that contradict the ledger.
    pub alarms: i64,
    /// Events quarantined that could not be taken.
    pub dead_letters: i64,
    /// Calls in sums of which something has no price: a sum is of a day, tenant, provider, model and evidence.
    pub unpriced_calls: i64,
}

/// When entries count, and whose they are.
#[derive(Clone, Debug)]
pub struct Span {
    /// From then on.
    pub from_ns: i64,
    /// Until before then.
    pub until_ns: i64,
    /// Only this tenant, and what is below it.
    pub tenant: Option<String>,
}

impl Span {
    /// Its first and its last day, UTC.
    pub fn days(&self) -> [String; 2] {
        [self.from_ns, self.until_ns.saturating_sub(1)].map(|ns| day_of(ns).unwrap_or_default())
    }
}

/// An entry as it was written, with what else says what it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenEntry {
    /// The entry, as its hash is over it.
    pub entry: Entry,
    /// Of a reversal or a correction: the event of its call.
    pub call: Option<String>,
    /// Of a reversal: the rating of what it takes back.
    pub taken_back: Option<String>,
}

/// An entry that counts: now, or in a month that was closed before it was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedEntry {
    /// The entry, with the event of its call.
    pub entry: Entry,
    /// If it was taken back after its month was closed: when that was written, and the day on which it counts.
    pub taken_back: Option<(i64, String)>,
}

/// What takes one row after the other; its error ends the reading.
pub type Each<'a, T> = &'a mut dyn FnMut(T) -> Result<(), StoreError>;

/// Reads what is kept, as of one moment, without waiting for the one who writes.
pub trait Reader: Send + Sync {
    /// Whether the database responds.
    fn ping(&self) -> Result<(), StoreError>;
    /// The sums, in the order of their columns.
    fn rollup(&self, selection: &Selection, each: Each<'_, RollupRow>) -> Result<(), StoreError>;
    /// The sums, added up over everything that the question does not tell apart, in any order. One may come in parts.
    fn totals(&self, selection: &Selection, by: &[Dimension], each: Each<'_, Total>) -> Result<(), StoreError>;
    /// Where each writer's chain ends.
    fn heads(&self) -> Result<Vec<Head>, StoreError>;
    /// All entries of a writer behind one of its entries, in their order; behind number 0: all.
    fn entries(&self, behind: EntryId, each: Each<'_, Entry>) -> Result<(), StoreError>;
    /// The entries of a writer behind one of its entries, up to a number, in their order, each with what it counts.
    fn written(&self, behind: EntryId, until: i64, each: Each<'_, WrittenEntry>) -> Result<(), StoreError>;
    /// An entry, as it was written.
    fn entry(&self, id: EntryId) -> Result<Option<Entry>, StoreError>;
    /// The record of a number, whether it is charged or not.
    fn record(&self, number: &(String, i64)) -> Result<Option<Entry>, StoreError>;
    /// The entry that takes an entry back, if there is one.
    fn reversal_of(&self, id: EntryId) -> Result<Option<EntryId>, StoreError>;
    /// The correction that refers to an entry, if there is one.
    fn correction_of(&self, id: EntryId) -> Result<Option<EntryId>, StoreError>;
    /// Entries of closed months that were taken back later, each with the event of its call and the day on which that counts.
    fn adjusted(&self, each: Each<'_, (Entry, String)>) -> Result<(), StoreError>;
    /// The entries that close months.
    fn closings(&self) -> Result<Vec<Entry>, StoreError>;
    /// The entries that say that a name was replaced, in the order of the chains.
    fn forgotten(&self) -> Result<Vec<Entry>, StoreError>;
    /// How far each chain is sealed, by writer.
    fn sealed(&self) -> Result<Vec<Sealed>, StoreError>;
    /// The numbers of the entries that the database has itself, in their order.
    fn present(&self, piece: Piece, each: Each<'_, i64>) -> Result<(), StoreError>;
    /// The first entry of a chain behind one of them that counts in a month or later, see [`super::sealing::counts_in`].
    fn first_counting(&self, behind: EntryId, month: Month) -> Result<Option<EntryId>, StoreError>;
    /// The names that are being replaced.
    fn forgetting(&self) -> Result<Vec<Pending>, StoreError>;
    /// Charged entries and reversals that are booked so, in the order of their chain, each with the event of its call, and a
    /// reversal with the rating of what it takes back.
    fn booked(&self, which: &Booked, each: Each<'_, Entry>) -> Result<(), StoreError>;
    /// The records that are kept as charged for calls of a response id, which began on a day.
    fn holders(&self, day: i64, response: i64) -> Result<Vec<EntryId>, StoreError>;
    /// Where records of calls are recognised, in the order of their keys.
    fn held(&self, page: Page) -> Result<Vec<Held>, StoreError>;
    /// The budgets in force.
    fn budgets(&self) -> Result<Budgets, StoreError>;
    /// The entries that set budgets or remove them, in the order in which they were received.
    fn budget_changes(&self) -> Result<Vec<Entry>, StoreError>;
    /// The balances of a budget, of windows that begin at a time or later, by window and subject.
    fn balances(&self, budget: i64, from_s: i64, each: Each<'_, (WindowKey, Amount)>) -> Result<(), StoreError>;
    /// The leases of a budget, of such windows, by window, subject and emitter.
    fn leases(&self, budget: i64, from_s: i64, each: Each<'_, (WindowKey, String, Lease)>) -> Result<(), StoreError>;
    /// Records that were charged and may be copies, in the order of their keys.
    fn possible_copies(&self, each: Each<'_, (PossibleKey, PossibleCopy)>) -> Result<(), StoreError>;
    /// Entries that count now, that is charged ones that were not taken back, each with the event of its call.
    fn standing(&self, selection: &Selection, each: Each<'_, Entry>) -> Result<(), StoreError>;
    /// Entries that count in a span of time, in any order: those that stand, and those that were taken back after their month was
    /// closed, which count there still, and their opposite where that is booked. Some that count outside of it may be among them.
    fn counted(&self, span: &Span, each: Each<'_, CountedEntry>) -> Result<(), StoreError>;
    /// All emitters with all their ranges, by name.
    fn emitters(&self, each: Each<'_, (String, Emitter)>) -> Result<(), StoreError>;
    /// The ranges of an emitter; none if it is not known.
    fn ranges(&self, emitter: &str, within: Range) -> Result<Ranges, StoreError>;
    /// What happened to an emitter's numbers, by number.
    fn notes(&self, emitter: &str) -> Result<Vec<Note>, StoreError>;
    /// What is quarantined, in its order; without what does not say any more what it was (`meshmeter prune`).
    fn quarantined(&self, whose: Whose<'_>, each: Each<'_, Quarantined>) -> Result<(), StoreError>;
    /// How many events are quarantined, and how many calls may have no price.
    fn tally(&self) -> Result<Tally, StoreError>;
    /// The same, for whom all questions are of this moment; nothing if they are anyway. No question is asked while another is
    /// answered.
    fn moment(&self) -> Result<Option<Arc<dyn Reader>>, StoreError> {
        Ok(None)
    }
    /// Between two questions of many: waits, if whoever writes needs it, until nobody reads. Not long.
    fn make_way(&self) {}
    /// The first that is wrong, for a person, in what the database keeps for its own use and no other question tells: every number of
    /// every sum of sums must be what the rollup adds up to, and each row must be of something that is there.
    fn contradiction(&self) -> Result<Option<String>, StoreError>;
}

/// Entries of one question of many.
const AT_ONCE: i64 = if cfg!(test) { 3 } else { 100_000 };

impl dyn Reader + '_ {
    /// As [`Reader::written`], by many questions: while one is answered SQLite cannot empty its log, which grows with all that is
    /// written meanwhile. Entries never change, so it makes no difference that each is of another moment.
    pub fn written_in_parts(
        &self,
        behind: EntryId,
        until: i64,
        each: Each<'_, WrittenEntry>,
    ) -> Result<(), StoreError> {
        let mut behind = behind;
        while behind.number < until {
            let last = behind.number.saturating_add(AT_ONCE);
            if last >= until {
                return self.written(behind, until, each);
            }
            self.written(behind, last, &mut *each)?;
            self.make_way();
            behind.number = last;
        }
        Ok(())
    }
}

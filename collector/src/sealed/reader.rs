//! Reads a ledger of which months are sealed: what the database has, and what only the archive has, as one.

use std::sync::Arc;

use super::archive::Archived;
use super::archives::{Archives, Settings};
use super::merged::{Present, Wanted, Words, chain, end_of, merged};
use crate::budget::balance::WindowKey;
use crate::budget::{Amount, Budgets};
use crate::database::Location;
use crate::store::budgets::Lease;
use crate::store::days::day_of;
use crate::store::emitters::{Emitter, Note};
use crate::store::entry::{Entry, EntryId};
use crate::store::forgetting::Pending;
use crate::store::months::Month;
use crate::store::pruning::{Held, Page};
use crate::store::ranges::{Range, Ranges};
use crate::store::responses::{PossibleCopy, PossibleKey};
use crate::store::sealing::{Piece, Sealed};
use crate::store::{
    Booked, CountedEntry, Dimension, Each, Head, Quarantined, Reader, RollupRow, Selection, Span, StoreError, Tally,
    Total, Whose, WrittenEntry,
};
use crate::tenant::is_within;

/// Whether entries of a chain that is sealed so far are asked for.
type Asks<'a> = &'a dyn Fn(&Sealed) -> bool;

/// Why a question has no answer this time.
pub const SEALED_MEANWHILE: &str = "months were sealed while this was read: ask again";

type Moment = Box<dyn Fn() -> Result<Arc<dyn Reader>, StoreError> + Send + Sync>;

/// The whole ledger. As long as nothing is sealed it asks the database alone.
pub struct Whole {
    database: Arc<dyn Reader>,
    /// One who reads as of one moment.
    moment: Moment,
    archives: Arc<Archives>,
}

impl Whole {
    /// The ledger there.
    pub fn of(location: &Location, settings: Settings) -> Whole {
        let (database, location) = (location.reader(), location.clone());
        let archives = Arc::new(Archives::new(settings));
        Whole { database, moment: Box::new(move || location.reader_at_one_moment()), archives }
    }

    /// The same as of now, whatever is written meanwhile: one question after the other.
    pub fn at_one_moment(location: &Location, settings: Settings) -> Result<Whole, StoreError> {
        Ok(Whole::of_moment(location.reader_at_one_moment()?, Arc::new(Archives::new(settings))))
    }

    fn of_moment(database: Arc<dyn Reader>, archives: Arc<Archives>) -> Whole {
        let moment = database.clone();
        Whole { database, moment: Box::new(move || Ok(moment.clone())), archives }
    }

    /// What is sealed of which entries are asked for.
    fn sealed_of(reader: &dyn Reader, asks: Asks<'_>) -> Result<Vec<Sealed>, StoreError> {
        let mut sealed = reader.sealed()?;
        sealed.retain(|sealed| asks(sealed));
        Ok(sealed)
    }

    /// Both, if entries that are sealed are asked for: what is asked of the database is of the moment of which that is known.
    fn both(&self, asks: Asks<'_>) -> Result<Option<Both>, StoreError> {
        if Whole::sealed_of(&*self.database, asks)?.is_empty() {
            return Ok(None);
        }
        let moment = (self.moment)()?;
        let sealed = Whole::sealed_of(&*moment, asks)?;
        if sealed.is_empty() {
            return Ok(None);
        }
        let archived = self.archives.of(&sealed)?;
        Ok(Some(Both { moment, sealed, archived }))
    }

    /// What the database alone was asked was all if nothing of it is sealed still.
    fn was_alone(&self, asks: Asks<'_>) -> Result<(), StoreError> {
        match Whole::sealed_of(&*self.database, asks)?.is_empty() {
            true => Ok(()),
            false => Err(StoreError::Unusable(SEALED_MEANWHILE.to_owned())),
        }
    }

    /// An entry that the database does not have, if it is sealed.
    fn archived(
        &self,
        find: impl FnOnce(&Archived) -> Result<Option<Entry>, StoreError>,
    ) -> Result<Option<Entry>, StoreError> {
        let sealed = self.database.sealed()?;
        if sealed.is_empty() {
            return Ok(None);
        }
        let found = find(&*self.archives.of(&sealed)?)?;
        Ok(found.filter(|entry| entry.kind.is_record() && sealed.iter().any(|sealed| sealed.covers(entry.id))))
    }

    /// The record of a number, if that was ever taken: for one that was not no file is searched.
    fn archived_record(&self, number: &(String, i64)) -> Result<Option<Entry>, StoreError> {
        let (emitter, sequence) = number;
        let within = Range { first: *sequence, last: *sequence };
        match self.database.ranges(emitter, within)?.contains(*sequence) {
            true => self.archived(|archived| archived.record(number)),
            false => Ok(None),
        }
    }
}

/// A database of which something is sealed, and the archive.
struct Both {
    moment: Arc<dyn Reader>,
    sealed: Vec<Sealed>,
    archived: Arc<Archived>,
}

/// Whether entries behind one of them are sealed.
fn is_behind(behind: EntryId, sealed: &Sealed) -> bool {
    sealed.end.entry.writer == behind.writer && sealed.end.entry.number > behind.number
}

impl Reader for Whole {
    fn entries(&self, behind: EntryId, each: Each<'_, Entry>) -> Result<(), StoreError> {
        let asks = |sealed: &Sealed| is_behind(behind, sealed);
        let Some(Both { moment, sealed, archived }) = self.both(&asks)? else {
            self.database.entries(behind, each)?;
            return self.was_alone(&asks);
        };
        let ask = |each: Each<'_, Entry>| moment.entries(behind, each);
        let words: Words<Entry> = (|entry| entry.id, |entry| entry);
        chain((&ask, words), &archived, behind, end_of(&sealed, behind.writer), each)
    }

    fn written(&self, behind: EntryId, until: i64, each: Each<'_, WrittenEntry>) -> Result<(), StoreError> {
        let asks = |sealed: &Sealed| is_behind(behind, sealed);
        let Some(Both { moment, sealed, archived }) = self.both(&asks)? else {
            self.database.written(behind, until, each)?;
            return self.was_alone(&asks);
        };
        let ask = |each: Each<'_, WrittenEntry>| moment.written(behind, until, each);
        // Nobody has taken back what is in the archive alone, and it has its event.
        let words: Words<WrittenEntry> =
            (|written| written.entry.id, |entry| WrittenEntry { entry, call: None, taken_back: None });
        chain((&ask, words), &archived, behind, end_of(&sealed, behind.writer).min(until), each)
    }

    fn standing(&self, selection: &Selection, each: Each<'_, Entry>) -> Result<(), StoreError> {
        let is_meant = |entry: &Entry| {
            let day = day_of(entry.started_ns).and_then(|day| day.parse().ok());
            entry.kind.is_charged() && day.is_some_and(|day| selection.includes(day, &entry.tenant))
        };
        if let Some(call) = &selection.call
            && self.database.record(call)?.is_none()
        {
            let record = self.archived_record(call)?;
            return record.filter(is_meant).map_or(Ok(()), each);
        }
        // What counts later than on its own day counts in a later month.
        let since = selection.since.and_then(|day| Month::of_day(&day.to_string()));
        let months = (since, None);
        let asks = |sealed: &Sealed| selection.call.is_none() && sealed.counts_from(since);
        let Some(Both { moment, sealed, archived }) = self.both(&asks)? else {
            self.database.standing(selection, each)?;
            return self.was_alone(&asks);
        };
        let wanted = Wanted { months, tenant: selection.tenant.as_deref(), matches: &is_meant };
        let present = Present::of(&*moment, &sealed)?;
        let ask = |each: Each<'_, Entry>| moment.standing(selection, each);
        merged(&ask, &mut |each| wanted.each(&present, &archived, &sealed, each), each)
    }

    fn counted(&self, span: &Span, each: Each<'_, CountedEntry>) -> Result<(), StoreError> {
        let months = (Month::of(span.from_ns), Month::of(span.until_ns.saturating_sub(1)));
        let asks = |sealed: &Sealed| sealed.counts_from(months.0);
        let Some(Both { moment, sealed, archived }) = self.both(&asks)? else {
            self.database.counted(span, each)?;
            return self.was_alone(&asks);
        };
        let [first, last] = span.days();
        let tenant = span.tenant.as_deref();
        let is_meant = |entry: &Entry| {
            let is_then = match &entry.billed {
                None => entry.started_ns >= span.from_ns && entry.started_ns < span.until_ns,
                Some(day) => *day >= first && *day <= last,
            };
            entry.kind.is_charged() && is_then && tenant.is_none_or(|path| is_within(&entry.tenant, path))
        };
        let wanted = Wanted { months, tenant, matches: &is_meant };
        let present = Present::of(&*moment, &sealed)?;
        moment.counted(span, &mut *each)?;
        wanted.each(&present, &archived, &sealed, &mut |entry| each(CountedEntry { entry, taken_back: None }))
    }

    fn booked(&self, which: &Booked, each: Each<'_, Entry>) -> Result<(), StoreError> {
        let is_chain = |sealed: &Sealed| sealed.end.entry.writer == which.until.writer;
        let asks = |sealed: &Sealed| is_chain(sealed) && which.month < sealed.before;
        let Some(Both { moment, sealed, archived }) = self.both(&asks)? else {
            self.database.booked(which, each)?;
            return self.was_alone(&asks);
        };
        let is_meant = |entry: &Entry| which.includes(entry);
        let months = (Some(which.month), Some(which.month));
        let wanted = Wanted { months, tenant: Some(&which.tenant), matches: &is_meant };
        let present = Present::of(&*moment, &sealed)?;
        let ask = |each: Each<'_, Entry>| moment.booked(which, each);
        merged(&ask, &mut |each| wanted.each(&present, &archived, &sealed, each), each)
    }

    fn entry(&self, id: EntryId) -> Result<Option<Entry>, StoreError> {
        match self.database.entry(id)? {
            None => self.archived(|archived| archived.entry(id)),
            found => Ok(found),
        }
    }

    fn record(&self, number: &(String, i64)) -> Result<Option<Entry>, StoreError> {
        match self.database.record(number)? {
            None => self.archived_record(number),
            found => Ok(found),
        }
    }

    // The database has all that the rest is about.

    fn ping(&self) -> Result<(), StoreError> {
        self.database.ping()
    }

    fn rollup(&self, selection: &Selection, each: Each<'_, RollupRow>) -> Result<(), StoreError> {
        self.database.rollup(selection, each)
    }

    fn totals(&self, selection: &Selection, by: &[Dimension], each: Each<'_, Total>) -> Result<(), StoreError> {
        self.database.totals(selection, by, each)
    }

    fn heads(&self) -> Result<Vec<Head>, StoreError> {
        self.database.heads()
    }

    fn reversal_of(&self, id: EntryId) -> Result<Option<EntryId>, StoreError> {
        self.database.reversal_of(id)
    }

    fn correction_of(&self, id: EntryId) -> Result<Option<EntryId>, StoreError> {
        self.database.correction_of(id)
    }

    fn adjusted(&self, each: Each<'_, (Entry, String)>) -> Result<(), StoreError> {
        self.database.adjusted(each)
    }

    fn closings(&self) -> Result<Vec<Entry>, StoreError> {
        self.database.closings()
    }

    fn forgotten(&self) -> Result<Vec<Entry>, StoreError> {
        self.database.forgotten()
    }

    fn sealed(&self) -> Result<Vec<Sealed>, StoreError> {
        self.database.sealed()
    }

    fn present(&self, piece: Piece, each: Each<'_, i64>) -> Result<(), StoreError> {
        self.database.present(piece, each)
    }

    fn first_counting(&self, behind: EntryId, month: Month) -> Result<Option<EntryId>, StoreError> {
        self.database.first_counting(behind, month)
    }

    fn forgetting(&self) -> Result<Vec<Pending>, StoreError> {
        self.database.forgetting()
    }

    fn holders(&self, day: i64, response: i64) -> Result<Vec<EntryId>, StoreError> {
        self.database.holders(day, response)
    }

    fn held(&self, page: Page) -> Result<Vec<Held>, StoreError> {
        self.database.held(page)
    }

    fn budgets(&self) -> Result<Budgets, StoreError> {
        self.database.budgets()
    }

    fn budget_changes(&self) -> Result<Vec<Entry>, StoreError> {
        self.database.budget_changes()
    }

    fn balances(&self, budget: i64, from_s: i64, each: Each<'_, (WindowKey, Amount)>) -> Result<(), StoreError> {
        self.database.balances(budget, from_s, each)
    }

    fn leases(&self, budget: i64, from_s: i64, each: Each<'_, (WindowKey, String, Lease)>) -> Result<(), StoreError> {
        self.database.leases(budget, from_s, each)
    }

    fn possible_copies(&self, each: Each<'_, (PossibleKey, PossibleCopy)>) -> Result<(), StoreError> {
        self.database.possible_copies(each)
    }

    fn emitters(&self, each: Each<'_, (String, Emitter)>) -> Result<(), StoreError> {
        self.database.emitters(each)
    }

    fn ranges(&self, emitter: &str, within: Range) -> Result<Ranges, StoreError> {
        self.database.ranges(emitter, within)
    }

    fn notes(&self, emitter: &str) -> Result<Vec<Note>, StoreError> {
        self.database.notes(emitter)
    }

    fn quarantined(&self, whose: Whose<'_>, each: Each<'_, Quarantined>) -> Result<(), StoreError> {
        self.database.quarantined(whose, each)
    }

    fn tally(&self) -> Result<Tally, StoreError> {
        self.database.tally()
    }

    fn moment(&self) -> Result<Option<Arc<dyn Reader>>, StoreError> {
        Ok(Some(Arc::new(Whole::of_moment((self.moment)()?, self.archives.clone()))))
    }

    fn make_way(&self) {
        self.database.make_way();
    }

    fn contradiction(&self) -> Result<Option<String>, StoreError> {
        self.database.contradiction()
    }
}

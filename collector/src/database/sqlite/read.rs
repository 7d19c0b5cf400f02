//! What is in the tables, for whoever asks.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use wire::record::Evidence;

use super::open::at_one_moment;
use super::totals::{SELECTED, selected};
use super::{
    SqliteReader, WRITER, booked, budgets, checks, counted, forget, place, prune, quarantine, sealing, totals,
};
use crate::budget::balance::WindowKey;
use crate::budget::{Amount, Budgets};
use crate::money::Charge;
use crate::store::budgets::Lease;
use crate::store::days::day_begins_ns;
use crate::store::emitters::{Emitter, Ended, Note, What};
use crate::store::entry::{Entry, EntryId, Hash, Kind};
use crate::store::forgetting::Pending;
use crate::store::months::Month;
use crate::store::pruning::{Held, Page};
use crate::store::ranges::{Range, Ranges};
use crate::store::responses::{PossibleCopy, PossibleKey};
use crate::store::sealing::{Piece, Sealed};
use crate::store::sums::{Counted, Sum};
use crate::store::{
    Booked, CountedEntry, Dimension, Each, Head, Quarantined, Reader, RollupRow, Selection, Span, StoreError, Tally,
    Total, Whose, WrittenEntry,
};

/// Where the chain ends, and when it was last written to.
pub(super) fn head(connection: &Connection) -> Result<(Head, i64), StoreError> {
    let mut select = connection.prepare_cached("SELECT entry, hash, written_ns FROM chain WHERE entry < ?1")?;
    let head = select.query_row([place::OWN_END], |row| Ok((head_of(row)?, row.get(2)?)));
    let none = Head { entry: EntryId { writer: WRITER, number: 0 }, hash: Hash::default() };
    Ok(head.optional()?.unwrap_or((none, 0)))
}

/// Where each chain ends: the collector's own first.
pub(super) fn heads(connection: &Connection) -> Result<Vec<Head>, StoreError> {
    let mut select = connection.prepare_cached("SELECT entry, hash FROM chain WHERE entry >= ?1 ORDER BY entry")?;
    let others = select.query_map([place::OWN_END], head_of)?;
    std::iter::once(Ok(head(connection)?.0)).chain(others.map(|head| Ok(head?))).collect()
}

fn head_of(row: &Row<'_>) -> rusqlite::Result<Head> {
    Ok(Head { entry: place::id(row.get(0)?), hash: Hash(row.get(1)?) })
}

const EMITTER: &str = "emitter, credential, node, first_ns, heard_ns, last, head, dropped, ended";

pub(super) fn emitter(connection: &Connection, name: &str) -> Result<Option<Emitter>, StoreError> {
    let mut select = connection.prepare_cached(&format!("SELECT {EMITTER} FROM emitters WHERE emitter = ?1"))?;
    Ok(select.query_row([name], emitter_of).optional()?)
}

fn emitter_of(row: &Row<'_>) -> rusqlite::Result<Emitter> {
    Ok(Emitter {
        credential: row.get(1)?,
        node: row.get(2)?,
        first_ns: row.get(3)?,
        heard_ns: row.get(4)?,
        last: row.get(5)?,
        head: row.get(6)?,
        dropped: row.get(7)?,
        ended: row.get::<_, Option<String>>(8)?.map(|word| known_word(8, &word, Ended::from_word)).transpose()?,
        ranges: Ranges::default(),
        closed: Ranges::default(),
    })
}

fn closed_numbers(connection: &Connection, emitter: &str) -> Result<Ranges, StoreError> {
    let sql = "SELECT first, last FROM emitter_notes WHERE emitter = ?1 AND what = 'closed' ORDER BY first";
    let mut select = connection.prepare_cached(sql)?;
    let rows = select.query_map([emitter], |row| Ok(Range { first: row.get(0)?, last: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn ranges(connection: &Connection, emitter: &str, within: Range) -> Result<Vec<Range>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT first, last FROM emitter_ranges WHERE emitter = ?1 AND first <= ?3 AND first >= coalesce(
             (SELECT max(first) FROM emitter_ranges WHERE emitter = ?1 AND first <= ?2), ?2) ORDER BY first",
    )?;
    let rows = select.query_map(params![emitter, within.first, within.last], |row| {
        Ok(Range { first: row.get(0)?, last: row.get(1)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The columns `quantity, charge, cost, unpriced, fallback`, from one on.
pub fn sum(row: &Row<'_>, first: usize) -> rusqlite::Result<Sum> {
    let [quantity, charge, cost, unpriced, fallback] = [0, 1, 2, 3, 4].map(|more| first.saturating_add(more));
    let (charge, cost) = amounts(row, charge, cost)?;
    Ok(Sum { quantity: row.get(quantity)?, charge, cost, unpriced: row.get(unpriced)?, fallback: row.get(fallback)? })
}

/// The entry of a kind that refers to an entry. Which index there is depends on the word.
pub(super) fn referring(connection: &Connection, id: EntryId, kind: Kind) -> Result<Option<EntryId>, StoreError> {
    let sql = format!("SELECT entry FROM ledger WHERE refers = ?1 AND kind = '{}'", kind.as_str());
    let read = |row: &Row<'_>| Ok(place::id(row.get(0)?));
    Ok(connection.prepare_cached(&sql)?.query_row([place::key(id)], read).optional()?)
}

/// Charge and cost, from their columns.
fn amounts(row: &Row<'_>, charge: usize, cost: usize) -> rusqlite::Result<(Charge, Charge)> {
    let amount = |column: usize, text: &str| known_word(column, text, |text| text.parse().ok());
    let paid = amount(charge, row.get_ref(charge)?.as_str()?)?;
    let taken = row.get_ref(cost)?.as_str_or_null()?.map(|text| amount(cost, text)).transpose()?;
    Ok((paid, taken.unwrap_or(paid)))
}

/// The value of a word, or an error that names what this version does not know.
pub fn known_word<T>(column: usize, word: &str, read: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    read(word).ok_or_else(|| {
        let unknown = StoreError::unknown(&format!("column {column}"), word);
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(unknown))
    })
}

pub(super) const ENTRY: &str =
    "l.entry, l.kind, l.emitter, l.sequence, l.refers, l.started_ns, l.received_ns, l.tenant, l.provider,
    l.model, l.evidence, l.charge, l.rating, l.reason, l.hash, l.cost, l.billed, l.salt";

/// What counts, each with the event of its call.
pub(super) fn standing(which: &str) -> String {
    format!(
        "SELECT {ENTRY}, c.event FROM ledger l
         JOIN ledger c
         ON c.emitter = l.emitter AND c.sequence = l.sequence AND c.kind IN ('call', 'copy', 'release')
         WHERE l.kind IN ('call', 'correction', 'release') AND {which}
         AND NOT EXISTS (SELECT 1 FROM ledger r WHERE r.refers = l.entry AND r.kind = 'reversal')
         ORDER BY l.entry"
    )
}

pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let word = |column: usize| row.get::<_, String>(column);
    let (charge, cost) = amounts(row, 11, 15)?;
    Ok(Entry {
        id: place::id(row.get(0)?),
        kind: known_word(1, &word(1)?, Kind::from_word)?,
        emitter: row.get(2)?,
        sequence: row.get(3)?,
        refers: row.get::<_, Option<i64>>(4)?.map(place::id),
        started_ns: row.get(5)?,
        received_ns: row.get(6)?,
        tenant: row.get(7)?,
        provider: row.get(8)?,
        model: row.get(9)?,
        evidence: known_word(10, &word(10)?, Evidence::from_word)?,
        charge,
        cost,
        rating: row.get(12)?,
        reason: row.get(13)?,
        hash: Hash(row.get(14)?),
        billed: row.get(16)?,
        names: forget::names(row, 17)?,
        event: row.get(18)?,
    })
}

pub(super) fn each_row<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    each: Each<'_, T>,
) -> Result<(), StoreError> {
    let mut select = connection.prepare(sql)?;
    let mut rows = select.query(params)?;
    while let Some(row) = rows.next()? {
        each(read(row)?)?;
    }
    Ok(())
}

/// The entries of a kind of which there are few.
fn all(connection: &Connection, which: &str) -> Result<Vec<Entry>, StoreError> {
    let sql = format!("SELECT {ENTRY}, l.event FROM ledger l WHERE {which}");
    Ok(connection.prepare(&sql)?.query_map([], entry)?.collect::<Result<_, _>>()?)
}

impl Reader for SqliteReader {
    fn ping(&self) -> Result<(), StoreError> {
        self.ask(|connection| Ok(connection.query_row("SELECT EXISTS (SELECT 1 FROM rollup)", [], |_| Ok(()))?))
    }

    fn rollup(&self, selection: &Selection, each: Each<'_, RollupRow>) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT day, tenant, provider, model, evidence, class, adjusts, quantity, charge, cost, unpriced, fallback
             FROM rollup WHERE {SELECTED} ORDER BY day, adjusts, tenant, provider, model, evidence, class"
        );
        let read = |row: &Row<'_>| {
            Ok(RollupRow {
                day: known_word(0, &row.get::<_, String>(0)?, |day| day.parse().ok())?,
                tenant: row.get(1)?,
                provider: row.get(2)?,
                model: row.get(3)?,
                evidence: known_word(4, &row.get::<_, String>(4)?, Evidence::from_word)?,
                counted: known_word(5, &row.get::<_, String>(5)?, Counted::from_name)?,
                adjusts: row.get(6)?,
                sum: sum(row, 7)?,
            })
        };
        self.ask(|connection| each_row(connection, &sql, params_from_iter(selected(selection)), read, each))
    }

    fn totals(&self, selection: &Selection, by: &[Dimension], each: Each<'_, Total>) -> Result<(), StoreError> {
        self.ask(|connection| totals::totals(connection, selection, by, each))
    }

    fn heads(&self) -> Result<Vec<Head>, StoreError> {
        self.ask(heads)
    }

    fn entries(&self, behind: EntryId, each: Each<'_, Entry>) -> Result<(), StoreError> {
        let sql =
            format!("SELECT {ENTRY}, l.event FROM ledger l WHERE l.entry > ?1 AND l.entry <= ?2 ORDER BY l.entry");
        let ends = [place::key(behind), place::end(behind.writer)];
        self.ask(|connection| each_row(connection, &sql, ends, entry, each))
    }

    fn written(&self, behind: EntryId, until: i64, each: Each<'_, WrittenEntry>) -> Result<(), StoreError> {
        let last = place::key(EntryId { number: until, ..behind }).min(place::end(behind.writer));
        self.ask(|connection| booked::written(connection, place::key(behind), last, each))
    }

    fn standing(&self, selection: &Selection, each: Each<'_, Entry>) -> Result<(), StoreError> {
        let sql = standing(
            "l.started_ns >= ?1 AND l.started_ns < ?2
             AND (?3 IS NULL OR l.tenant = ?3 OR substr(l.tenant, 1, length(?3) + 1) = ?3 || '/')
             AND (?4 IS NULL OR l.emitter = ?4 AND l.sequence = ?5)",
        );
        let since = selection.since.map_or(i64::MIN, day_begins_ns);
        let until = selection.until.and_then(|day| day.tomorrow().ok()).map_or(i64::MAX, day_begins_ns);
        let (emitter, sequence) = selection.call.clone().unzip();
        let key = params![since, until, selection.tenant, emitter, sequence];
        self.ask(|connection| each_row(connection, &sql, key, entry, each))
    }

    fn counted(&self, span: &Span, each: Each<'_, CountedEntry>) -> Result<(), StoreError> {
        self.ask(|connection| counted::counted(connection, span, each))
    }

    fn entry(&self, id: EntryId) -> Result<Option<Entry>, StoreError> {
        let sql = format!("SELECT {ENTRY}, l.event FROM ledger l WHERE l.entry = ?1");
        self.ask(|connection| Ok(connection.query_row(&sql, [place::key(id)], entry).optional()?))
    }

    fn record(&self, (emitter, sequence): &(String, i64)) -> Result<Option<Entry>, StoreError> {
        let sql = format!(
            "SELECT {ENTRY}, l.event FROM ledger l
             WHERE l.emitter = ?1 AND l.sequence = ?2 AND l.kind IN ('call', 'copy', 'release')"
        );
        self.ask(|connection| Ok(connection.query_row(&sql, params![emitter, sequence], entry).optional()?))
    }

    fn reversal_of(&self, id: EntryId) -> Result<Option<EntryId>, StoreError> {
        self.ask(|connection| referring(connection, id, Kind::Reversal))
    }

    fn correction_of(&self, id: EntryId) -> Result<Option<EntryId>, StoreError> {
        self.ask(|connection| referring(connection, id, Kind::Correction))
    }

    fn adjusted(&self, each: Each<'_, (Entry, String)>) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT {ENTRY}, c.event, r.billed FROM ledger r
             JOIN ledger l ON l.entry = r.refers
             JOIN ledger c
             ON c.emitter = l.emitter AND c.sequence = l.sequence AND c.kind IN ('call', 'copy', 'release')
             WHERE r.kind = 'reversal' AND r.billed IS NOT NULL ORDER BY r.entry"
        );
        let read = |row: &Row<'_>| Ok((entry(row)?, row.get(19)?));
        self.ask(|connection| each_row(connection, &sql, [], read, each))
    }

    fn closings(&self) -> Result<Vec<Entry>, StoreError> {
        self.ask(|connection| all(connection, "l.kind = 'month_closed' ORDER BY l.started_ns"))
    }

    fn forgotten(&self) -> Result<Vec<Entry>, StoreError> {
        self.ask(|connection| all(connection, "l.kind = 'forgotten' ORDER BY l.entry"))
    }

    fn sealed(&self) -> Result<Vec<Sealed>, StoreError> {
        self.ask(sealing::sealed)
    }

    fn present(&self, piece: Piece, each: Each<'_, i64>) -> Result<(), StoreError> {
        self.ask(|connection| sealing::present(connection, piece, each))
    }

    fn first_counting(&self, behind: EntryId, month: Month) -> Result<Option<EntryId>, StoreError> {
        self.ask(|connection| sealing::first_counting(connection, behind, month))
    }

    fn forgetting(&self) -> Result<Vec<Pending>, StoreError> {
        self.ask(forget::pending)
    }

    fn booked(&self, which: &Booked, each: Each<'_, Entry>) -> Result<(), StoreError> {
        self.ask(|connection| booked::booked(connection, which, each))
    }

    fn holders(&self, day: i64, response: i64) -> Result<Vec<EntryId>, StoreError> {
        self.ask(|connection| booked::holders(connection, day, response))
    }

    fn held(&self, page: Page) -> Result<Vec<Held>, StoreError> {
        self.ask(|connection| prune::held(connection, page))
    }

    fn budgets(&self) -> Result<Budgets, StoreError> {
        // Revision and budgets are two questions.
        self.ask(|connection| at_one_moment(connection, budgets::in_force))
    }

    fn budget_changes(&self) -> Result<Vec<Entry>, StoreError> {
        let which = "l.kind IN ('budget_set', 'budget_removed') ORDER BY l.received_ns, l.entry";
        self.ask(|connection| all(connection, which))
    }

    fn balances(&self, budget: i64, from_s: i64, each: Each<'_, (WindowKey, Amount)>) -> Result<(), StoreError> {
        self.ask(|connection| {
            each_row(connection, budgets::BALANCES, params![budget, from_s], budgets::balance_of, each)
        })
    }

    fn leases(&self, budget: i64, from_s: i64, each: Each<'_, (WindowKey, String, Lease)>) -> Result<(), StoreError> {
        self.ask(|connection| each_row(connection, budgets::LEASES, params![budget, from_s], budgets::lease_of, each))
    }

    fn possible_copies(&self, each: Each<'_, (PossibleKey, PossibleCopy)>) -> Result<(), StoreError> {
        let sql = "SELECT day, response, slot, first, second, records, noted_ns FROM possible_copies
             ORDER BY day, response, slot";
        let read = |row: &Row<'_>| {
            let key = PossibleKey { day: row.get(0)?, response: row.get(1)?, slot: row.get(2)? };
            let (first, second) = (place::id(row.get(3)?), place::id(row.get(4)?));
            Ok((key, PossibleCopy { first, second, records: row.get(5)?, noted_ns: row.get(6)? }))
        };
        self.ask(|connection| each_row(connection, sql, [], read, each))
    }

    fn emitters(&self, each: Each<'_, (String, Emitter)>) -> Result<(), StoreError> {
        let sql = format!("SELECT {EMITTER} FROM emitters ORDER BY emitter");
        let all = Range { first: 0, last: i64::MAX };
        let emitters = |connection: &Connection| {
            let read = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, emitter_of(row)?));
            each_row(connection, &sql, [], read, &mut |(name, mut emitter): (String, Emitter)| {
                emitter.ranges = Ranges::stored(ranges(connection, &name, all)?);
                emitter.closed = closed_numbers(connection, &name)?;
                each((name, emitter))
            })
        };
        self.ask(|connection| at_one_moment(connection, emitters))
    }

    fn ranges(&self, emitter: &str, within: Range) -> Result<Ranges, StoreError> {
        self.ask(|connection| Ok(Ranges::stored(ranges(connection, emitter, within)?)))
    }

    fn notes(&self, emitter: &str) -> Result<Vec<Note>, StoreError> {
        let mut notes = Vec::new();
        let sql =
            "SELECT first, last, what, at_ns FROM emitter_notes WHERE emitter = ?1 ORDER BY first, last, at_ns, what";
        let read = |row: &Row<'_>| {
            Ok(Note {
                emitter: emitter.to_owned(),
                range: Range { first: row.get(0)?, last: row.get(1)? },
                what: known_word(2, &row.get::<_, String>(2)?, What::from_word)?,
                at_ns: row.get(3)?,
            })
        };
        let mut each = |note| {
            notes.push(note);
            Ok(())
        };
        self.ask(|connection| each_row(connection, sql, [emitter], read, &mut each))?;
        Ok(notes)
    }

    fn quarantined(&self, whose: Whose<'_>, each: Each<'_, Quarantined>) -> Result<(), StoreError> {
        self.ask(|connection| quarantine::all(connection, whose, each))
    }

    fn tally(&self) -> Result<Tally, StoreError> {
        let read =
            |row: &Row<'_>| Ok(Tally { alarms: row.get(0)?, dead_letters: row.get(1)?, unpriced_calls: row.get(2)? });
        self.ask(|connection| Ok(connection.query_row(totals::TALLY, [], read)?))
    }

    fn make_way(&self) {
        self.let_the_log_be_emptied();
    }

    fn contradiction(&self) -> Result<Option<String>, StoreError> {
        self.ask(|connection| at_one_moment(connection, checks::contradiction))
    }
}

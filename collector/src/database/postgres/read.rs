//! Whoever asks: every question is one statement, and so one moment; rows come one after the other.

use std::collections::HashMap;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use wire::record::Evidence;

use super::connection::{Connection, within};
use super::known::{ENTRY, emitter, entry, entry_id, hash, standing, sum, word};
use super::reader::PostgresReader;
use super::totals::{SELECTED, TALLY, selected};
use super::{booked, budgets, checks, counted, forget, prune, quarantine, sealing, totals};
use crate::budget::balance::WindowKey;
use crate::budget::{Amount, Budgets};
use crate::store::budgets::Lease;
use crate::store::days::day_begins_ns;
use crate::store::emitters::{Emitter, Note, What};
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::forgetting::Pending;
use crate::store::months::Month;
use crate::store::pruning::{Held, Page};
use crate::store::ranges::{Range, Ranges};
use crate::store::responses::{PossibleCopy, PossibleKey};
use crate::store::sealing::{Piece, Sealed};
use crate::store::sums::Counted;
use crate::store::{
    Booked, CountedEntry, Dimension, Each, Head, Quarantined, Reader, RollupRow, Selection, Span, StoreError, Tally,
    Total, Whose, WrittenEntry,
};

/// How long the server may take to say that it is there.
const PING: Duration = Duration::from_secs(2);

impl PostgresReader {
    /// The entry of a kind that refers to an entry.
    fn referring(&self, id: EntryId, kind: Kind) -> Result<Option<EntryId>, StoreError> {
        let kind = kind.as_str();
        let sql = format!(
            "SELECT writer, entry FROM ledger WHERE refers_writer = $1 AND refers_entry = $2 AND kind = '{kind}'"
        );
        Ok(self.all(&sql, &[&id.writer, &id.number], |row| entry_id(row, 0))?.pop().flatten())
    }

    /// The entries of a kind of which there are few.
    fn about(&self, which: &str) -> Result<Vec<Entry>, StoreError> {
        self.all(&format!("SELECT {ENTRY}, l.event FROM ledger l WHERE {which}"), &[], entry)
    }
}

fn range(row: &Row, first: usize) -> Result<Option<Range>, StoreError> {
    let range = row.try_get::<_, Option<i64>>(first)?.zip(row.try_get(first.saturating_add(1))?);
    Ok(range.map(|(first, last)| Range { first, last }))
}

impl Reader for PostgresReader {
    fn ping(&self) -> Result<(), StoreError> {
        let pooled = self.idle().pop();
        let responses = |connection: &Connection| {
            let asked = connection.client.execute("SELECT EXISTS (SELECT 1 FROM rollup)", &[]);
            connection.wait(within(PING, async { Ok::<_, StoreError>(asked.await?) }))
        };
        if let Some(connection) = pooled
            && responses(&connection).is_ok()
        {
            self.keep(connection);
            return Ok(());
        }
        let connection = self.connect()?;
        responses(&connection)?;
        self.keep(connection);
        Ok(())
    }

    fn rollup(&self, selection: &Selection, each: Each<'_, RollupRow>) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT to_char(day, 'YYYY-MM-DD'), tenant, provider, model, evidence, class, adjusts,
                sum(quantity)::bigint, sum(charge), sum(coalesce(cost, charge)), sum(unpriced)::bigint,
                sum(fallback)::bigint
            FROM rollup WHERE {SELECTED} GROUP BY day, adjusts, tenant, provider, model, evidence, class
            ORDER BY day, adjusts, tenant, provider, model, evidence, class"
        );
        let read = |row: &Row| {
            Ok(RollupRow {
                day: word(row, 0, "day", |day| day.parse().ok())?,
                tenant: row.try_get(1)?,
                provider: row.try_get(2)?,
                model: row.try_get(3)?,
                evidence: word(row, 4, "evidence", Evidence::from_word)?,
                counted: word(row, 5, "class", Counted::from_name)?,
                adjusts: row.try_get(6)?,
                sum: sum(row, 7)?,
            })
        };
        let [since, until, tenant] = selected(selection);
        self.each_row(&sql, &[&since, &until, &tenant], read, each)
    }

    fn totals(&self, selection: &Selection, by: &[Dimension], each: Each<'_, Total>) -> Result<(), StoreError> {
        totals::totals(self, selection, by, each)
    }

    fn heads(&self) -> Result<Vec<Head>, StoreError> {
        self.all("SELECT writer, entry, hash FROM chain ORDER BY writer", &[], |row| {
            Ok(Head { entry: EntryId { writer: row.try_get(0)?, number: row.try_get(1)? }, hash: hash(row, 2)? })
        })
    }

    fn entries(&self, behind: EntryId, each: Each<'_, Entry>) -> Result<(), StoreError> {
        let sql =
            format!("SELECT {ENTRY}, l.event FROM ledger l WHERE l.writer = $1 AND l.entry > $2 ORDER BY l.entry");
        self.each_row(&sql, &[&behind.writer, &behind.number], entry, each)
    }

    fn written(&self, behind: EntryId, until: i64, each: Each<'_, WrittenEntry>) -> Result<(), StoreError> {
        booked::written(self, behind, until, each)
    }

    fn standing(&self, selection: &Selection, each: Each<'_, Entry>) -> Result<(), StoreError> {
        let sql = standing(
            "l.started_ns >= $1 AND l.started_ns < $2
             AND ($3::text IS NULL OR l.tenant = $3 OR l.tenant >= $3 || '/' AND l.tenant < $3 || '0')
             AND ($4::text IS NULL OR l.emitter = $4 AND l.sequence = $5)",
        );
        let since = selection.since.map_or(i64::MIN, day_begins_ns);
        let until = selection.until.and_then(|day| day.tomorrow().ok()).map_or(i64::MAX, day_begins_ns);
        let (emitter, sequence) = selection.call.clone().unzip();
        self.each_row(&sql, &[&since, &until, &selection.tenant, &emitter, &sequence], entry, each)
    }

    fn counted(&self, span: &Span, each: Each<'_, CountedEntry>) -> Result<(), StoreError> {
        let [first, last] = span.days();
        let values: [&(dyn ToSql + Sync); 5] = [&span.from_ns, &span.until_ns, &span.tenant, &first, &last];
        self.each_row(&counted::sql(), &values, counted::counted, each)
    }

    fn entry(&self, id: EntryId) -> Result<Option<Entry>, StoreError> {
        let sql = format!("SELECT {ENTRY}, l.event FROM ledger l WHERE l.writer = $1 AND l.entry = $2");
        Ok(self.all(&sql, &[&id.writer, &id.number], entry)?.pop())
    }

    fn record(&self, (emitter, sequence): &(String, i64)) -> Result<Option<Entry>, StoreError> {
        let sql = format!(
            "SELECT {ENTRY}, l.event FROM ledger l
             WHERE l.emitter = $1 AND l.sequence = $2 AND l.kind IN ('call', 'copy', 'release')"
        );
        Ok(self.all(&sql, &[emitter, sequence], entry)?.pop())
    }

    fn reversal_of(&self, id: EntryId) -> Result<Option<EntryId>, StoreError> {
        self.referring(id, Kind::Reversal)
    }

    fn correction_of(&self, id: EntryId) -> Result<Option<EntryId>, StoreError> {
        self.referring(id, Kind::Correction)
    }

    fn adjusted(&self, each: Each<'_, (Entry, String)>) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT {ENTRY}, c.event, r.billed FROM ledger r
             JOIN ledger l ON l.writer = r.refers_writer AND l.entry = r.refers_entry
             JOIN ledger c
             ON c.emitter = l.emitter AND c.sequence = l.sequence AND c.kind IN ('call', 'copy', 'release')
             WHERE r.kind = 'reversal' AND r.billed IS NOT NULL ORDER BY r.writer, r.entry"
        );
        self.each_row(&sql, &[], |row| Ok((entry(row)?, row.try_get(21)?)), each)
    }

    fn closings(&self) -> Result<Vec<Entry>, StoreError> {
        self.about("l.kind = 'month_closed' ORDER BY l.started_ns")
    }

    fn forgotten(&self) -> Result<Vec<Entry>, StoreError> {
        self.about("l.kind = 'forgotten' ORDER BY l.writer, l.entry")
    }

    fn sealed(&self) -> Result<Vec<Sealed>, StoreError> {
        self.all(sealing::SEALED, &[], sealing::sealed)
    }

    fn present(&self, piece: Piece, each: Each<'_, i64>) -> Result<(), StoreError> {
        sealing::present(self, piece, each)
    }

    fn first_counting(&self, behind: EntryId, month: Month) -> Result<Option<EntryId>, StoreError> {
        sealing::first_counting(self, behind, month)
    }

    fn forgetting(&self) -> Result<Vec<Pending>, StoreError> {
        self.all(forget::PENDING, &[], forget::pending)
    }

    fn booked(&self, which: &Booked, each: Each<'_, Entry>) -> Result<(), StoreError> {
        booked::booked(self, which, each)
    }

    fn holders(&self, day: i64, response: i64) -> Result<Vec<EntryId>, StoreError> {
        booked::holders(self, day, response)
    }

    fn held(&self, page: Page) -> Result<Vec<Held>, StoreError> {
        prune::held(self, page)
    }

    fn budgets(&self) -> Result<Budgets, StoreError> {
        budgets::in_force(&self.all(budgets::IN_FORCE, &[], budgets::in_force_of)?)
    }

    fn budget_changes(&self) -> Result<Vec<Entry>, StoreError> {
        self.about("l.kind IN ('budget_set', 'budget_removed') ORDER BY l.received_ns, l.writer, l.entry")
    }

    fn balances(&self, budget: i64, from_s: i64, each: Each<'_, (WindowKey, Amount)>) -> Result<(), StoreError> {
        self.each_row(budgets::BALANCES, &[&budget, &from_s], budgets::balance_of, each)
    }

    fn leases(&self, budget: i64, from_s: i64, each: Each<'_, (WindowKey, String, Lease)>) -> Result<(), StoreError> {
        self.each_row(budgets::LEASES, &[&budget, &from_s], budgets::lease_of, each)
    }

    fn possible_copies(&self, each: Each<'_, (PossibleKey, PossibleCopy)>) -> Result<(), StoreError> {
        let sql =
            "SELECT day, response, slot, first_writer, first_entry, second_writer, second_entry, records, noted_ns
            FROM possible_copies ORDER BY day, response, slot";
        let read = |row: &Row| {
            let key = PossibleKey { day: row.try_get(0)?, response: row.try_get(1)?, slot: row.try_get(2)? };
            let (first, second) = (entry_id(row, 3)?.unwrap_or_default(), entry_id(row, 5)?.unwrap_or_default());
            Ok((key, PossibleCopy { first, second, records: row.try_get(7)?, noted_ns: row.try_get(8)? }))
        };
        self.each_row(sql, &[], read, each)
    }

    fn emitters(&self, each: Each<'_, (String, Emitter)>) -> Result<(), StoreError> {
        let sql = "SELECT e.emitter, e.credential, e.node, e.first_ns, e.heard_ns, e.last, e.head, e.dropped, e.ended,
                r.first, r.last
            FROM emitters e LEFT JOIN emitter_ranges r ON r.emitter = e.emitter ORDER BY e.emitter, r.first";
        let mut closed: HashMap<String, Ranges> = HashMap::new();
        let notes = "SELECT emitter, first, last FROM emitter_notes WHERE what = 'closed'";
        for (name, range) in self.all(notes, &[], |row| Ok((row.try_get::<_, String>(0)?, range(row, 1)?)))? {
            range.into_iter().for_each(|range| closed.entry(name.clone()).or_default().add(range));
        }
        let mut last: Option<(String, Emitter, Vec<Range>)> = None;
        let mut done = |(name, emitter, ranges): (String, Emitter, Vec<Range>)| {
            let closed = closed.remove(&name).unwrap_or_default();
            each((name, Emitter { ranges: Ranges::stored(ranges), closed, ..emitter }))
        };
        let read = |row: &Row| Ok((emitter(row)?, range(row, 9)?));
        self.each_row(sql, &[], read, &mut |((name, emitter), range): ((String, Emitter), _)| {
            match &mut last {
                Some((same, _, ranges)) if *same == name => ranges.extend(range),
                _ => {
                    if let Some(complete) = last.replace((name, emitter, range.into_iter().collect())) {
                        done(complete)?;
                    }
                }
            }
            Ok(())
        })?;
        last.map_or(Ok(()), done)
    }

    fn ranges(&self, emitter: &str, within: Range) -> Result<Ranges, StoreError> {
        let sql = "SELECT first, last FROM emitter_ranges WHERE emitter = $1 AND first <= $3 AND first >= coalesce(
                (SELECT max(first) FROM emitter_ranges WHERE emitter = $1 AND first <= $2), $2) ORDER BY first";
        let ranges = self.all(sql, &[&emitter, &within.first, &within.last], |row| range(row, 0))?;
        Ok(Ranges::stored(ranges.into_iter().flatten().collect()))
    }

    fn notes(&self, emitter: &str) -> Result<Vec<Note>, StoreError> {
        let sql =
            "SELECT first, last, what, at_ns FROM emitter_notes WHERE emitter = $1 ORDER BY first, last, at_ns, what";
        self.all(sql, &[&emitter], |row| {
            Ok(Note {
                emitter: emitter.to_owned(),
                range: Range { first: row.try_get(0)?, last: row.try_get(1)? },
                what: word(row, 2, "what", What::from_word)?,
                at_ns: row.try_get(3)?,
            })
        })
    }

    fn quarantined(&self, whose: Whose<'_>, each: Each<'_, Quarantined>) -> Result<(), StoreError> {
        quarantine::all(self, whose, each)
    }

    fn tally(&self) -> Result<Tally, StoreError> {
        let read = |row: &Row| {
            Ok(Tally { alarms: row.try_get(0)?, dead_letters: row.try_get(1)?, unpriced_calls: row.try_get(2)? })
        };
        Ok(self.all(TALLY, &[], read)?.into_iter().next().unwrap_or_default())
    }

    fn contradiction(&self) -> Result<Option<String>, StoreError> {
        checks::contradiction(self)
    }
}

//! What is in the tables: for the rules within a transaction, and for whoever asks.

use std::collections::{BTreeSet, HashMap};

use meter::record::Evidence;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, params_from_iter};

use super::super::{Dimension, Each, KeptApart, Reader, RollupRow, Selection, StoreError, Tally, Total, Whose};
use super::{SqliteReader, WRITER, totals};
use crate::ledger::correct::group_of;
use crate::ledger::emitters::{Emitter, Ended, Note, What};
use crate::ledger::entry::{Entry, EntryId, Hash, Kind};
use crate::ledger::ranges::{Range, Ranges};
use crate::ledger::responses::{Place, PossibleCopy, PossibleKey, without_counts};
use crate::ledger::sums::{Counted, Group, GroupSums, Sum, day_begins_ns};
use crate::ledger::{Head, Keys, Known, SetAside};

/// What the rules ask for.
pub fn known(tx: &Transaction<'_>, keys: &Keys) -> Result<Known, StoreError> {
    let (head, written_ns) = head(tx)?;
    let mut known = Known { head, written_ns, ..Known::default() };
    for (name, numbers) in &keys.emitters {
        let Some(mut emitter) = emitter(tx, name)? else { continue };
        let mut near = Vec::new();
        for around in Range::around(numbers) {
            near.extend(ranges(tx, name, around)?);
        }
        emitter.ranges = Ranges::stored(near);
        for number in numbers.iter().filter(|number| emitter.ranges.contains(**number)) {
            let mut select = tx.prepare_cached(
                "SELECT event FROM ledger WHERE emitter = ?1 AND sequence = ?2 AND kind IN ('call', 'copy', 'release')",
            )?;
            if let Some(event) = select.query_row(params![name, number], |row| row.get(0)).optional()? {
                known.contents.insert((name.clone(), *number), event);
            }
        }
        known.emitters.insert(name.clone(), emitter);
    }
    let mut unused = None;
    for key in &keys.responses {
        // The keys are in their order: only where one without a proof is used there are others.
        if key.proof != 0 && unused == Some((key.day, key.response)) {
            continue;
        }
        let mut select =
            tx.prepare_cached("SELECT place FROM responses WHERE day = ?1 AND response = ?2 AND proof = ?3")?;
        let place = |row: &Row<'_>| known_word(0, row.get_ref(0)?.as_str()?, Place::from_text);
        match select.query_row(params![key.day, key.response, key.proof], place).optional()? {
            Some(held) => drop(known.responses.insert(*key, held)),
            None if key.proof == 0 => unused = Some((key.day, key.response)),
            None => {}
        }
    }
    for id in without_counts(known.responses.values()) {
        let held = tx.prepare_cached(&standing(NOW))?.query_row([id.number], entry).optional()?;
        known.held.extend(held.map(|held| (id, held)));
    }
    let of_held: Vec<Group> = known.held.values().filter_map(group_of).collect();
    for group in keys.groups.iter().chain(&of_held) {
        known.sums.insert(group.clone(), sums(tx, group)?);
    }
    known.reversed = reversed(tx, &keys.reversals)?;
    for digest in &keys.released {
        let mut select = tx.prepare_cached(&format!("{KEPT} WHERE digest = ?1 AND released IS NULL"))?;
        let kept = select.query_row([digest], kept_apart).optional()?;
        known.kept.extend(kept.map(|kept| (*digest, kept.last)));
    }
    Ok(known)
}

/// Where the chain ends, and when it was last written to.
fn head(connection: &Connection) -> Result<(Head, i64), StoreError> {
    let mut select = connection.prepare_cached("SELECT entry, hash, written_ns FROM chain")?;
    let head = select.query_row([], |row| {
        let head = Head { entry: EntryId { writer: WRITER, number: row.get(0)? }, hash: Hash(row.get(1)?) };
        Ok((head, row.get(2)?))
    });
    let none = Head { entry: EntryId { writer: WRITER, number: 0 }, hash: Hash::default() };
    Ok(head.optional()?.unwrap_or((none, 0)))
}

const EMITTER: &str = "emitter, credential, node, first_ns, heard_ns, last, head, dropped, ended";

fn emitter(connection: &Connection, name: &str) -> Result<Option<Emitter>, StoreError> {
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
    })
}

fn ranges(connection: &Connection, emitter: &str, within: Range) -> Result<Vec<Range>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT first, last FROM emitter_ranges WHERE emitter = ?1 AND first <= ?3 AND first >= coalesce(
             (SELECT max(first) FROM emitter_ranges WHERE emitter = ?1 AND first <= ?2), ?2) ORDER BY first",
    )?;
    let rows = select.query_map(params![emitter, within.first, within.last], |row| {
        Ok(Range { first: row.get(0)?, last: row.get(1)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn sums(tx: &Transaction<'_>, group: &Group) -> Result<GroupSums, StoreError> {
    let mut select = tx.prepare_cached(
        "SELECT class, quantity, charge, unpriced, fallback FROM rollup
         WHERE day = ?1 AND tenant = ?2 AND provider = ?3 AND model = ?4 AND evidence = ?5",
    )?;
    let Group { day, tenant, provider, model, evidence } = group;
    let rows = select.query_map(params![day, tenant, provider, model, evidence], |row| {
        Ok((known_word(0, row.get_ref(0)?.as_str()?, Counted::from_name)?, sum(row, 1)?))
    })?;
    Ok(rows.collect::<Result<HashMap<_, _>, _>>()?)
}

/// The columns `quantity, charge, unpriced, fallback`, from one on.
pub fn sum(row: &Row<'_>, first: usize) -> rusqlite::Result<Sum> {
    let [quantity, charge, unpriced, fallback] = [0, 1, 2, 3].map(|more| first.saturating_add(more));
    Ok(Sum {
        quantity: row.get(quantity)?,
        charge: known_word(charge, row.get_ref(charge)?.as_str()?, |text| text.parse().ok())?,
        unpriced: row.get(unpriced)?,
        fallback: row.get(fallback)?,
    })
}

fn reversed(tx: &Transaction<'_>, wanted: &BTreeSet<EntryId>) -> Result<BTreeSet<EntryId>, StoreError> {
    let mut found = BTreeSet::new();
    for entry in wanted {
        let mut select = tx.prepare_cached("SELECT 1 FROM ledger WHERE refers = ?1 AND kind = 'reversal'")?;
        if select.exists([entry.number])? {
            found.insert(*entry);
        }
    }
    Ok(found)
}

/// The value of a word, or an error that names what this version does not know.
pub fn known_word<T>(column: usize, word: &str, read: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    read(word).ok_or_else(|| {
        let unknown = StoreError::unknown(&format!("column {column}"), word);
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(unknown))
    })
}

const ENTRY: &str =
    "l.entry, l.kind, l.emitter, l.sequence, l.refers, l.started_ns, l.received_ns, l.tenant, l.provider,
    l.model, l.evidence, l.charge, l.rating, l.reason, l.hash";

/// What counts, each with the event of its call.
fn standing(which: &str) -> String {
    format!(
        "SELECT {ENTRY}, c.event FROM ledger l
         JOIN ledger c
         ON c.emitter = l.emitter AND c.sequence = l.sequence AND c.kind IN ('call', 'copy', 'release')
         WHERE l.kind IN ('call', 'correction', 'release') AND {which}
         AND NOT EXISTS (SELECT 1 FROM ledger r WHERE r.refers = l.entry AND r.kind = 'reversal')
         ORDER BY l.entry"
    )
}

/// An entry, or what stands instead of it: a correction is right behind the reversal of what it corrects.
const NOW: &str = "l.entry IN (
    WITH RECURSIVE now (entry) AS (
        VALUES (?1)
        UNION ALL SELECT n.entry FROM now
        JOIN ledger r ON r.refers = now.entry AND r.kind = 'reversal'
        JOIN ledger n ON n.entry = r.entry + 1 AND n.kind = 'correction' AND n.refers = now.entry
    ) SELECT entry FROM now)";

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let word = |column: usize| row.get::<_, String>(column);
    let id = |number: i64| EntryId { writer: WRITER, number };
    Ok(Entry {
        id: id(row.get(0)?),
        kind: known_word(1, &word(1)?, Kind::from_word)?,
        emitter: row.get(2)?,
        sequence: row.get(3)?,
        refers: row.get::<_, Option<i64>>(4)?.map(id),
        started_ns: row.get(5)?,
        received_ns: row.get(6)?,
        tenant: row.get(7)?,
        provider: row.get(8)?,
        model: row.get(9)?,
        evidence: known_word(10, &word(10)?, Evidence::from_word)?,
        charge: known_word(11, &word(11)?, |text| text.parse().ok())?,
        rating: row.get(12)?,
        reason: row.get(13)?,
        hash: Hash(row.get(14)?),
        event: row.get(15)?,
    })
}

/// Rows of the rollup that are asked for: `selected` has the values.
pub const SELECTED: &str = "day >= coalesce(?1, '') AND day <= coalesce(?2, '9999-12-31')
    AND (?3 IS NULL OR tenant = ?3 OR substr(tenant, 1, length(?3) + 1) = ?3 || '/')";

pub fn selected(selection: &Selection) -> [Option<String>; 3] {
    let text = |date: Option<jiff::civil::Date>| date.map(|date| date.to_string());
    [text(selection.since), text(selection.until), selection.tenant.clone()]
}

fn each_row<T>(
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

impl Reader for SqliteReader {
    fn ping(&self) -> Result<(), StoreError> {
        self.ask(|connection| Ok(connection.query_row("SELECT EXISTS (SELECT 1 FROM rollup)", [], |_| Ok(()))?))
    }

    fn rollup(&self, selection: &Selection, each: Each<'_, RollupRow>) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT day, tenant, provider, model, evidence, class, quantity, charge, unpriced, fallback FROM rollup
             WHERE {SELECTED} ORDER BY day, tenant, provider, model, evidence, class"
        );
        let read = |row: &Row<'_>| {
            Ok(RollupRow {
                day: known_word(0, &row.get::<_, String>(0)?, |day| day.parse().ok())?,
                tenant: row.get(1)?,
                provider: row.get(2)?,
                model: row.get(3)?,
                evidence: known_word(4, &row.get::<_, String>(4)?, Evidence::from_word)?,
                counted: known_word(5, &row.get::<_, String>(5)?, Counted::from_name)?,
                sum: sum(row, 6)?,
            })
        };
        self.ask(|connection| each_row(connection, &sql, params_from_iter(selected(selection)), read, each))
    }

    fn totals(&self, selection: &Selection, by: &[Dimension], each: Each<'_, Total>) -> Result<(), StoreError> {
        self.ask(|connection| totals::totals(connection, selection, by, each))
    }

    fn heads(&self) -> Result<Vec<Head>, StoreError> {
        self.ask(|connection| Ok(vec![head(connection)?.0]))
    }

    fn entries(&self, writer: i64, each: Each<'_, Entry>) -> Result<(), StoreError> {
        if writer != WRITER {
            return Ok(());
        }
        let sql = format!("SELECT {ENTRY}, l.event FROM ledger l ORDER BY l.entry");
        self.ask(|connection| each_row(connection, &sql, [], entry, each))
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

    fn entry(&self, id: EntryId) -> Result<Option<Entry>, StoreError> {
        if id.writer != WRITER {
            return Ok(None);
        }
        let sql = format!("SELECT {ENTRY}, l.event FROM ledger l WHERE l.entry = ?1");
        self.ask(|connection| Ok(connection.query_row(&sql, [id.number], entry).optional()?))
    }

    fn reversal_of(&self, id: EntryId) -> Result<Option<EntryId>, StoreError> {
        let sql = "SELECT entry FROM ledger WHERE refers = ?1 AND kind = 'reversal'";
        let read = |row: &Row<'_>| Ok(EntryId { writer: WRITER, number: row.get(0)? });
        self.ask(|connection| Ok(connection.query_row(sql, [id.number], read).optional()?))
    }

    fn possible_copies(&self, each: Each<'_, (PossibleKey, PossibleCopy)>) -> Result<(), StoreError> {
        let sql = "SELECT day, response, slot, first, second, records, noted_ns FROM possible_copies
             ORDER BY day, response, slot";
        let read = |row: &Row<'_>| {
            let id = |number: i64| EntryId { writer: WRITER, number };
            let key = PossibleKey { day: row.get(0)?, response: row.get(1)?, slot: row.get(2)? };
            let (first, second) = (id(row.get(3)?), id(row.get(4)?));
            Ok((key, PossibleCopy { first, second, records: row.get(5)?, noted_ns: row.get(6)? }))
        };
        self.ask(|connection| each_row(connection, sql, [], read, each))
    }

    fn emitters(&self, each: Each<'_, (String, Emitter)>) -> Result<(), StoreError> {
        let sql = format!("SELECT {EMITTER} FROM emitters ORDER BY emitter");
        let all = Range { first: 0, last: i64::MAX };
        self.ask(|connection| {
            // All of it as of one moment, although it is several questions.
            let connection = connection.unchecked_transaction()?;
            let read = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, emitter_of(row)?));
            each_row(&connection, &sql, [], read, &mut |(name, mut emitter): (String, Emitter)| {
                emitter.ranges = Ranges::stored(ranges(&connection, &name, all)?);
                each((name, emitter))
            })
        })
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

    fn set_aside(&self, whose: Whose<'_>, each: Each<'_, KeptApart>) -> Result<(), StoreError> {
        let (which, emitter) = match whose {
            Whose::All => ("?1 IS NULL", None),
            Whose::Emitter(name) => ("emitter = ?1", Some(name)),
            Whose::Nobody => ("emitter IS ?1", None),
        };
        let sql = format!("{KEPT} WHERE {which} ORDER BY emitter, sequence, first_received_ns, event");
        self.ask(|connection| each_row(connection, &sql, [emitter], kept_apart, each))
    }

    fn tally(&self) -> Result<Tally, StoreError> {
        let sql = "SELECT (SELECT count(*) FROM set_aside WHERE kind = 'alarm' AND released IS NULL),
                (SELECT count(*) FROM set_aside WHERE kind = 'dead_letter' AND released IS NULL),
                (SELECT coalesce(sum(quantity), 0) FROM rollup WHERE class = 'calls'
                    AND (day, tenant, provider, model, evidence) IN
                        (SELECT day, tenant, provider, model, evidence FROM rollup WHERE unpriced > 0))";
        let read =
            |row: &Row<'_>| Ok(Tally { alarms: row.get(0)?, dead_letters: row.get(1)?, unpriced_calls: row.get(2)? });
        self.ask(|connection| Ok(connection.query_row(sql, [], read)?))
    }
}

const KEPT: &str = "SELECT kind, reason, emitter, sequence, credential, event, deliveries, first_received_ns,
    last_received_ns, released FROM set_aside";

fn kept_apart(row: &Row<'_>) -> rusqlite::Result<KeptApart> {
    Ok(KeptApart {
        last: SetAside {
            alarm: row.get::<_, String>(0)? == "alarm",
            reason: row.get(1)?,
            number: row.get::<_, Option<String>>(2)?.zip(row.get(3)?),
            credential: row.get(4)?,
            bytes: row.get(5)?,
            received_ns: row.get(8)?,
        },
        deliveries: row.get(6)?,
        first_received_ns: row.get(7)?,
        released: row.get::<_, Option<i64>>(9)?.map(|number| EntryId { writer: WRITER, number }),
    })
}

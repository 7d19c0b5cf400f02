//! What the rules ask for, within a transaction.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::read::{emitter, entry, head, heads, known_word, ranges, referring, standing, sum};
use super::{budgets, forget, place, sealing};
use crate::store::entry::{EntryId, Kind};
use crate::store::months::Closed;
use crate::store::ranges::{Range, Ranges};
use crate::store::responses::{Place, to_compare};
use crate::store::sums::{Counted, Group, GroupSums};
use crate::store::{Content, Keys, Known, Quarantined, QuarantinedEvent, StoreError};

/// The months that are closed.
fn closed(connection: &Connection) -> Result<Closed, StoreError> {
    let mut select = connection.prepare_cached("SELECT started_ns FROM ledger WHERE kind = 'month_closed'")?;
    let begins = select.query_map([], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    Ok(Closed::from_begins(begins))
}

/// What the rules ask for.
pub fn known(tx: &Transaction<'_>, keys: &Keys) -> Result<Known, StoreError> {
    let (head, written_ns) = head(tx)?;
    let mut known = Known { head, written_ns, closed: closed(tx)?, ..Known::default() };
    if keys.closes {
        known.heads.extend(heads(tx)?.into_iter().map(|head| head.entry));
        known.seal = sealing::state(tx)?;
    }
    for (name, numbers) in &keys.emitters {
        let Some(mut emitter) = emitter(tx, name)? else { continue };
        let mut near = Vec::new();
        for around in Range::around(numbers) {
            near.extend(ranges(tx, name, around)?);
        }
        emitter.ranges = Ranges::stored(near);
        for number in numbers.iter().filter(|number| emitter.ranges.contains(**number)) {
            let mut select = tx.prepare_cached(
                "SELECT event, salt FROM ledger WHERE emitter = ?1 AND sequence = ?2 AND kind IN ('call', 'copy', 'release')",
            )?;
            let content = |row: &Row<'_>| Ok(Content { event: row.get(0)?, names: forget::names(row, 1)? });
            let content = select.query_row(params![name, number], content).optional()?;
            known.contents.extend(content.map(|content| ((name.clone(), *number), content)));
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
    for id in to_compare(known.responses.values()) {
        let held = tx.prepare_cached(&standing(NOW))?.query_row([place::key(id)], entry).optional()?;
        known.held.extend(held.map(|held| (id, held)));
    }
    for group in keys.all_groups(known.held.values(), &known.closed) {
        let sums = sums(tx, &group)?;
        known.sums.insert(group, sums);
    }
    for id in &keys.reversals {
        let mut select = tx.prepare_cached("SELECT tenant FROM ledger WHERE entry = ?1")?;
        let tenant = select.query_row([place::key(*id)], |row| row.get(0)).optional()?;
        known.tenants.extend(tenant.map(|tenant| (*id, tenant)));
    }
    known.reversed = referred(tx, &keys.reversals, Kind::Reversal)?;
    known.corrected = referred(tx, &keys.corrected, Kind::Correction)?;
    for digest in &keys.released {
        let mut select = tx.prepare_cached(&format!("{KEPT} WHERE digest = ?1 AND released IS NULL"))?;
        let kept = select.query_row([digest], quarantined).optional()?;
        known.kept.extend(kept.map(|kept| (*digest, kept.last)));
    }
    budgets::load(tx, keys, &mut known)?;
    Ok(known)
}

fn sums(tx: &Transaction<'_>, group: &Group) -> Result<GroupSums, StoreError> {
    let mut select = tx.prepare_cached(
        "SELECT class, quantity, charge, cost, unpriced, fallback FROM rollup
         WHERE day = ?1 AND adjusts = ?2 AND tenant = ?3 AND provider = ?4 AND model = ?5 AND evidence = ?6",
    )?;
    let Group { day, adjusts, tenant, provider, model, evidence } = group;
    let rows = select.query_map(params![day, adjusts, tenant, provider, model, evidence], |row| {
        Ok((known_word(0, row.get_ref(0)?.as_str()?, Counted::from_name)?, sum(row, 1)?))
    })?;
    Ok(rows.collect::<Result<HashMap<_, _>, _>>()?)
}

/// Those to which an entry of a kind refers.
fn referred(tx: &Transaction<'_>, wanted: &BTreeSet<EntryId>, kind: Kind) -> Result<BTreeSet<EntryId>, StoreError> {
    let mut found = BTreeSet::new();
    for entry in wanted {
        if referring(tx, *entry, kind)?.is_some() {
            found.insert(*entry);
        }
    }
    Ok(found)
}

/// An entry, or what stands instead of it: a correction refers to what it corrects, or, if it was charged again, to what took it
/// back.
const NOW: &str = "l.entry IN (
    WITH RECURSIVE now (entry) AS (
        VALUES (?1)
        UNION ALL SELECT n.entry FROM now
        JOIN ledger r ON r.refers = now.entry AND r.kind = 'reversal'
        JOIN ledger n ON n.kind = 'correction' AND n.refers IN (now.entry, r.entry)
    ) SELECT entry FROM now)";

/// What is quarantined, by which `quarantined` reads.
pub(super) const KEPT: &str =
    "SELECT kind, reason, emitter, sequence, credential, event, deliveries, first_received_ns,
    last_received_ns, released FROM quarantined";

pub(super) fn quarantined(row: &Row<'_>) -> rusqlite::Result<Quarantined> {
    Ok(Quarantined {
        last: QuarantinedEvent {
            alarm: row.get::<_, String>(0)? == "alarm",
            reason: row.get(1)?,
            number: row.get::<_, Option<String>>(2)?.zip(row.get(3)?),
            credential: row.get(4)?,
            bytes: row.get(5)?,
            received_ns: row.get(8)?,
        },
        deliveries: row.get(6)?,
        first_received_ns: row.get(7)?,
        released: row.get::<_, Option<i64>>(9)?.map(place::id),
    })
}

//! What a transaction changed, into the tables.

use rusqlite::{Transaction, params};

use super::place;
use crate::store::emitters::{Emitter, Ended};
use crate::store::entry::{Entry, EntryId};
use crate::store::responses::{PossibleCopy, PossibleKey};
use crate::store::{Changes, QuarantinedEvent, StoreError};

pub fn changes(tx: &Transaction<'_>, changes: &Changes) -> Result<(), StoreError> {
    let Changes {
        head,
        written_ns,
        entries,
        emitters,
        notes,
        responses,
        possible,
        sums,
        quarantined,
        released,
        budgets,
        spent,
        leases,
        // After the sums.
        forget: _,
        seal: _,
        prune: _,
    } = changes;
    for entry in entries {
        append(tx, entry, "")?;
    }
    if !entries.is_empty() {
        tx.prepare_cached("DELETE FROM chain WHERE entry < ?1")?.execute([place::OWN_END])?;
        tx.prepare_cached("INSERT INTO chain (entry, hash, written_ns) VALUES (?1, ?2, ?3)")?.execute(params![
            place::key(head.entry),
            head.hash.0,
            written_ns
        ])?;
    }
    for (name, emitter) in emitters {
        put_emitter(tx, name, emitter)?;
    }
    let mut note = tx.prepare_cached(
        "INSERT INTO emitter_notes (emitter, first, last, what, at_ns) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
    )?;
    for row in notes {
        note.execute(params![row.emitter, row.range.first, row.range.last, row.what.as_str(), row.at_ns])?;
    }
    let mut hold =
        tx.prepare_cached("INSERT OR REPLACE INTO responses (day, response, proof, place) VALUES (?1, ?2, ?3, ?4)")?;
    for (key, place) in responses {
        hold.execute(params![key.day, key.response, key.proof, place.to_text()])?;
    }
    possible.iter().try_for_each(|(key, noted)| note_copy(tx, key, noted))?;
    let mut put_sum = tx.prepare_cached(
        "INSERT OR REPLACE INTO rollup (day, adjusts, tenant, provider, model, evidence, class, quantity, charge, cost, unpriced,
         fallback) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    for (group, counted, sum) in sums {
        put_sum.execute(params![
            group.day,
            group.adjusts,
            group.tenant,
            group.provider,
            group.model,
            group.evidence,
            counted.name(),
            sum.quantity,
            sum.charge.to_string(),
            sum.own_cost().map(|cost| cost.to_string()),
            sum.unpriced,
            sum.fallback
        ])?;
    }
    quarantined.iter().try_for_each(|event| keep_apart(tx, event))?;
    released.iter().try_for_each(|(digest, entry)| release(tx, digest, *entry))?;
    if let Some(change) = budgets {
        super::budgets::change(tx, change)?;
    }
    super::budgets::spend(tx, spent)?;
    super::budgets::lend(tx, leases)
}

fn note_copy(tx: &Transaction<'_>, key: &PossibleKey, noted: &PossibleCopy) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO possible_copies (day, response, slot, first, second, records, noted_ns)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET first = excluded.first,
         second = excluded.second, records = records + excluded.records, noted_ns = excluded.noted_ns",
    )?
    .execute(params![
        key.day,
        key.response,
        key.slot,
        place::key(noted.first),
        place::key(noted.second),
        noted.records,
        noted.noted_ns
    ])?;
    Ok(())
}

fn release(tx: &Transaction<'_>, digest: &[u8; 32], entry: EntryId) -> Result<(), StoreError> {
    let mut put = tx.prepare_cached("UPDATE quarantined SET released = ?2 WHERE digest = ?1 AND released IS NULL")?;
    match put.execute(params![digest, place::key(entry)])? {
        1 => Ok(()),
        _ => Err(StoreError::Unusable("it was released by somebody else".to_owned())),
    }
}

/// An entry; `on_conflict`: what of one that is there.
pub fn append(tx: &Transaction<'_>, entry: &Entry, on_conflict: &str) -> Result<(), StoreError> {
    tx.prepare_cached(&format!(
        "INSERT INTO ledger (entry, kind, emitter, sequence, refers, started_ns, received_ns, tenant, provider, model,
         evidence, charge, rating, reason, event, hash, cost, billed, salt)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19){on_conflict}",
    ))?
    .execute(params![
        place::key(entry.id),
        entry.kind.as_str(),
        entry.emitter,
        entry.sequence,
        entry.refers.map(place::key),
        entry.started_ns,
        entry.received_ns,
        entry.tenant,
        entry.provider,
        entry.model,
        entry.evidence.as_str(),
        entry.charge.to_string(),
        entry.rating,
        entry.reason,
        entry.event,
        entry.hash.0,
        entry.own_cost().map(|cost| cost.to_string()),
        entry.billed,
        entry.names.to_bytes(),
    ])?;
    Ok(())
}

fn put_emitter(tx: &Transaction<'_>, name: &str, emitter: &Emitter) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT OR REPLACE INTO emitters (emitter, credential, node, first_ns, heard_ns, last, head, dropped, ended)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        name,
        emitter.credential,
        emitter.node,
        emitter.first_ns,
        emitter.heard_ns,
        emitter.last,
        emitter.head,
        emitter.dropped,
        emitter.ended.map(Ended::as_str),
    ])?;
    let mut put =
        tx.prepare_cached("INSERT OR REPLACE INTO emitter_ranges (emitter, first, last) VALUES (?1, ?2, ?3)")?;
    let mut drop = tx.prepare_cached("DELETE FROM emitter_ranges WHERE emitter = ?1 AND first > ?2 AND first <= ?3")?;
    for range in emitter.ranges.changed() {
        // What was a range of its own inside of it is a part of it now.
        drop.execute(params![name, range.first, range.last])?;
        put.execute(params![name, range.first, range.last])?;
    }
    Ok(())
}

fn keep_apart(tx: &Transaction<'_>, event: &QuarantinedEvent) -> Result<(), StoreError> {
    let (emitter, sequence) = event.number.as_ref().map(|(emitter, sequence)| (emitter.as_str(), sequence)).unzip();
    tx.prepare_cached(
        "INSERT INTO quarantined (digest, kind, reason, emitter, sequence, credential, event, deliveries,
         first_received_ns, last_received_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?8)
         ON CONFLICT DO UPDATE SET deliveries = deliveries + 1, reason = excluded.reason,
         credential = excluded.credential, last_received_ns = excluded.last_received_ns",
    )?
    .execute(params![
        event.digest(),
        event.kind(),
        event.reason,
        emitter,
        sequence,
        event.credential,
        event.bytes,
        event.received_ns
    ])?;
    Ok(())
}

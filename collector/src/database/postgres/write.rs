//! What a transaction changed, into the tables: in one round trip, whatever it is.

use std::collections::{BTreeMap, HashMap, HashSet};

use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use super::failure::Failure;
use super::session::Session;
use super::{budgets, coarse, forget, sealing};
use crate::store::emitters::{Emitter, Ended, Note};
use crate::store::entry::{Entry, EntryId};
use crate::store::ranges::Range;
use crate::store::responses::{Place, PossibleCopy, PossibleKey, ResponseKey, days};
use crate::store::sums::{Counted, Group, GroupSums, Sum};
use crate::store::{Changes, Head, Known, QuarantinedEvent};

/// What there was before: the rest is new, and must not be new to another collector too.
pub struct Before {
    emitters: HashSet<String>,
    responses: HashSet<ResponseKey>,
    sums: HashMap<Group, GroupSums>,
}

impl Before {
    pub fn of(known: &Known) -> Before {
        Before {
            emitters: known.emitters.keys().cloned().collect(),
            responses: known.responses.keys().copied().collect(),
            sums: known.sums.clone(),
        }
    }
}

/// A column of rows.
pub fn column<'a, T, C>(rows: &'a [T], read: impl Fn(&'a T) -> C) -> Vec<C> {
    rows.iter().map(read).collect()
}

/// Writes all of it. The order is the same for everybody: who waits for another holds nothing that he waits for.
pub async fn changes(session: &Session, before: &Before, changes: &Changes) -> Result<(), Failure> {
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
        budgets: change,
        spent,
        leases,
        forget,
        seal,
        prune,
    } = changes;
    let (known, new): (Vec<_>, Vec<_>) = emitters.iter().partition(|(name, _)| before.emitters.contains(*name));
    let (held, free) = claims(before, responses);
    let rest = async {
        tokio::try_join!(
            biased;
            put_emitters(session, &new, true),
            put_emitters(session, &known, false),
            put_responses(session, &free, true),
            put_responses(session, &held, false),
            put_possible(session, possible),
            put_ranges(session, emitters),
            put_notes(session, notes),
            put_entries(session, &session.statements.entries, entries),
            put_chain(session, head, *written_ns, !entries.is_empty()),
            put_sums(session, sums),
            quarantine(session, quarantined),
            release(session, released),
            budgets::change(session, change.as_ref()),
            budgets::spend(session, spent),
            budgets::lend(session, leases),
        )
    };
    // What it asks for has come when the others have been sent. Where one of those fails, its own is only a consequence.
    let (levels, rest) = tokio::join!(biased; coarse::changed(session, &before.sums, sums), rest);
    rest?;
    levels?;
    forget::changes(session, forget).await?;
    sealing::changes(session, seal).await?;
    super::prune::changes(session, prune).await
}

/// As many rows as were to be made.
fn all_new(made: u64, wanted: usize, what: &str) -> Result<(), Failure> {
    if u64::try_from(wanted) == Ok(made) { Ok(()) } else { Err(Failure::Raced(format!("{what} by another collector"))) }
}

/// Runs a statement with its columns; returns how many rows it has changed.
pub async fn put(session: &Session, statement: &Statement, columns: &[&(dyn ToSql + Sync)]) -> Result<u64, Failure> {
    Ok(session.connection.client.execute(statement, columns).await?)
}

async fn put_emitters(session: &Session, rows: &[(&String, &Emitter)], are_new: bool) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let statements = &session.statements;
    let statement = if are_new { &statements.new_emitters } else { &statements.put_emitters };
    let made = put(
        session,
        statement,
        &[
            &column(rows, |(name, _)| name.as_str()),
            &column(rows, |(_, emitter)| emitter.credential.as_str()),
            &column(rows, |(_, emitter)| emitter.node.as_str()),
            &column(rows, |(_, emitter)| emitter.first_ns),
            &column(rows, |(_, emitter)| emitter.heard_ns),
            &column(rows, |(_, emitter)| emitter.last),
            &column(rows, |(_, emitter)| emitter.head),
            &column(rows, |(_, emitter)| emitter.dropped),
            &column(rows, |(_, emitter)| emitter.ended.map(Ended::as_str)),
        ],
    )
    .await?;
    all_new(made, rows.len(), "an emitter was first heard of")
}

type Claim<'a> = (ResponseKey, &'a Place);

/// Which places that were held have changed, and which are held from now on. A call that began near midnight is held on both
/// days: two meters that began on different ones, at two collectors at once, must not miss each other.
fn claims<'a>(before: &Before, changed: &'a BTreeMap<ResponseKey, Place>) -> (Vec<Claim<'a>>, Vec<Claim<'a>>) {
    let own = changed.iter().map(|(key, place)| (*key, place));
    let (held, free): (Vec<_>, Vec<_>) = own.partition(|(key, _)| before.responses.contains(key));
    let mut all: BTreeMap<ResponseKey, &Place> = free.iter().copied().collect();
    for (own, place) in free {
        for day in days(place.holder.started_ns) {
            let near = ResponseKey { day, ..own };
            if !before.responses.contains(&near) {
                all.entry(near).or_insert(place);
            }
        }
    }
    (held, all.into_iter().collect())
}

async fn put_responses(session: &Session, rows: &[Claim<'_>], are_new: bool) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let statements = &session.statements;
    let statement = if are_new { &statements.new_responses } else { &statements.put_responses };
    let made = put(
        session,
        statement,
        &[
            &column(rows, |(key, _)| key.day),
            &column(rows, |(key, _)| key.response),
            &column(rows, |(key, _)| key.proof),
            &column(rows, |(_, place)| place.to_text()),
        ],
    )
    .await?;
    all_new(made, rows.len(), "a call was taken")
}

async fn put_possible(session: &Session, noted: &BTreeMap<PossibleKey, PossibleCopy>) -> Result<(), Failure> {
    let rows: Vec<(&PossibleKey, &PossibleCopy)> = noted.iter().collect();
    if rows.is_empty() {
        return Ok(());
    }
    put(
        session,
        &session.statements.possible,
        &[
            &column(&rows, |(key, _)| key.day),
            &column(&rows, |(key, _)| key.response),
            &column(&rows, |(key, _)| key.slot),
            &column(&rows, |(_, noted)| noted.first.writer),
            &column(&rows, |(_, noted)| noted.first.number),
            &column(&rows, |(_, noted)| noted.second.writer),
            &column(&rows, |(_, noted)| noted.second.number),
            &column(&rows, |(_, noted)| noted.records),
            &column(&rows, |(_, noted)| noted.noted_ns),
        ],
    )
    .await?;
    Ok(())
}

async fn put_ranges(session: &Session, emitters: &BTreeMap<String, Emitter>) -> Result<(), Failure> {
    let of = |(name, emitter)| {
        let (name, emitter): (&'_ String, &'_ Emitter) = (name, emitter);
        emitter.ranges.changed().map(move |range| (name.as_str(), *range))
    };
    let rows: Vec<(&str, Range)> = emitters.iter().flat_map(of).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let names = column(&rows, |(name, _)| *name);
    let (first, last) = (column(&rows, |(_, range)| range.first), column(&rows, |(_, range)| range.last));
    let (client, statements) = (&session.connection.client, &session.statements);
    tokio::try_join!(
        biased;
        async { client.execute(&statements.drop_ranges, &[&names, &first, &last]).await },
        async { client.execute(&statements.put_ranges, &[&names, &first, &last]).await },
    )?;
    Ok(())
}

async fn put_notes(session: &Session, rows: &[Note]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    put(
        session,
        &session.statements.notes,
        &[
            &column(rows, |note| note.emitter.as_str()),
            &column(rows, |note| note.range.first),
            &column(rows, |note| note.range.last),
            &column(rows, |note| note.what.as_str()),
            &column(rows, |note| note.at_ns),
        ],
    )
    .await?;
    Ok(())
}

/// Entries, by one of the statements for them.
pub async fn put_entries(session: &Session, statement: &Statement, rows: &[Entry]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    put(
        session,
        statement,
        &[
            &column(rows, |entry| entry.id.writer),
            &column(rows, |entry| entry.id.number),
            &column(rows, |entry| entry.kind.as_str()),
            &column(rows, |entry| entry.emitter.as_str()),
            &column(rows, |entry| entry.sequence),
            &column(rows, |entry| entry.refers.map(|refers| refers.writer)),
            &column(rows, |entry| entry.refers.map(|refers| refers.number)),
            &column(rows, |entry| entry.started_ns),
            &column(rows, |entry| entry.received_ns),
            &column(rows, |entry| entry.tenant.as_str()),
            &column(rows, |entry| entry.provider.as_str()),
            &column(rows, |entry| entry.model.as_str()),
            &column(rows, |entry| entry.evidence.as_str()),
            &column(rows, |entry| entry.charge.to_string()),
            &column(rows, |entry| entry.rating.as_deref()),
            &column(rows, |entry| entry.reason.as_deref()),
            &column(rows, |entry| entry.event.as_deref()),
            &column(rows, |entry| entry.hash.0.as_slice()),
            &column(rows, |entry| entry.own_cost().map(|cost| cost.to_string())),
            &column(rows, |entry| entry.billed.as_deref()),
            &column(rows, |entry| entry.names.to_bytes()),
        ],
    )
    .await?;
    Ok(())
}

async fn put_chain(session: &Session, head: &Head, written_ns: i64, has_grown: bool) -> Result<(), Failure> {
    if has_grown {
        let hash = head.hash.0.as_slice();
        let row: [&(dyn ToSql + Sync); 4] = [&session.writer, &head.entry.number, &hash, &written_ns];
        put(session, &session.statements.put_chain, &row).await?;
    }
    Ok(())
}

async fn put_sums(session: &Session, rows: &[(Group, Counted, Sum)]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    put(
        session,
        &session.statements.put_sums,
        &[
            &session.writer,
            &column(rows, |(group, ..)| group.day.as_str()),
            &column(rows, |(group, ..)| group.adjusts.as_str()),
            &column(rows, |(group, ..)| group.tenant.as_str()),
            &column(rows, |(group, ..)| group.provider.as_str()),
            &column(rows, |(group, ..)| group.model.as_str()),
            &column(rows, |(group, ..)| group.evidence),
            &column(rows, |(_, counted, _)| counted.name()),
            &column(rows, |(.., sum)| sum.quantity),
            &column(rows, |(.., sum)| sum.charge.to_string()),
            &column(rows, |(.., sum)| sum.own_cost().map(|cost| cost.to_string())),
            &column(rows, |(.., sum)| sum.unpriced),
            &column(rows, |(.., sum)| sum.fallback),
        ],
    )
    .await?;
    Ok(())
}

/// One row a content: a statement cannot count the same row up twice.
struct Kept<'a> {
    last: &'a QuarantinedEvent,
    first_received_ns: i64,
    deliveries: i64,
}

async fn quarantine(session: &Session, events: &[QuarantinedEvent]) -> Result<(), Failure> {
    let mut kept: BTreeMap<[u8; 32], Kept<'_>> = BTreeMap::new();
    for event in events {
        let first = Kept { last: event, first_received_ns: event.received_ns, deliveries: 0 };
        let kept = kept.entry(event.digest()).or_insert(first);
        kept.last = event;
        kept.deliveries = kept.deliveries.saturating_add(1);
    }
    let rows: Vec<([u8; 32], Kept<'_>)> = kept.into_iter().collect();
    if rows.is_empty() {
        return Ok(());
    }
    put(
        session,
        &session.statements.quarantined,
        &[
            &column(&rows, |(digest, _)| digest.as_slice()),
            &column(&rows, |(_, kept)| kept.last.kind()),
            &column(&rows, |(_, kept)| kept.last.reason.as_str()),
            &column(&rows, |(_, kept)| kept.last.number.as_ref().map(|(emitter, _)| emitter.as_str())),
            &column(&rows, |(_, kept)| kept.last.number.as_ref().map(|(_, sequence)| *sequence)),
            &column(&rows, |(_, kept)| kept.last.credential.as_str()),
            &column(&rows, |(_, kept)| kept.last.bytes.as_slice()),
            &column(&rows, |(_, kept)| kept.deliveries),
            &column(&rows, |(_, kept)| kept.first_received_ns),
            &column(&rows, |(_, kept)| kept.last.received_ns),
        ],
    )
    .await?;
    Ok(())
}

async fn release(session: &Session, released: &BTreeMap<[u8; 32], EntryId>) -> Result<(), Failure> {
    let rows: Vec<(&[u8; 32], &EntryId)> = released.iter().collect();
    if rows.is_empty() {
        return Ok(());
    }
    let values: [&(dyn ToSql + Sync); 3] = [
        &column(&rows, |(digest, _)| digest.as_slice()),
        &column(&rows, |(_, entry)| entry.writer),
        &column(&rows, |(_, entry)| entry.number),
    ];
    let done = put(session, &session.statements.release, &values).await?;
    all_new(done, rows.len(), "an event was released")
}

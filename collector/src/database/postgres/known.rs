//! What the rules ask for, locked: in one round trip, and more only if an event has come again or may replace an entry.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio_postgres::{Row, Statement};
use wire::record::Evidence;

use super::amount::Amount;
use super::failure::Failure;
use super::session::Session;
use super::{budgets, forget, sealing};
use crate::money::Charge;
use crate::store::emitters::{Emitter, Ended};
use crate::store::entry::{Entry, EntryId, Hash, Kind};
use crate::store::months::Closed;
use crate::store::names::Secret;
use crate::store::ranges::{Range, Ranges};
use crate::store::responses::{Place, ResponseKey, to_compare};
use crate::store::sums::{Counted, Group, GroupSums, Sum};
use crate::store::{Content, Head, Keys, Known, Quarantined, QuarantinedEvent, StoreError};

/// Begins a transaction and loads what the keys name. `alone`: no other collector has one meanwhile.
pub async fn load(session: &Session, keys: &Keys, alone: bool) -> Result<Known, Failure> {
    // Sent all at once; the server does one after the other, each seeing what was committed before it began.
    let statements = &session.statements;
    let (_, _, (head, written_ns), closed, revision, emitters, responses, mut sums, reversed, corrected) = tokio::try_join!(
        biased;
        begin(session),
        turn(session, alone),
        head(session),
        closed(session),
        budgets::revision(session),
        emitters(session, keys),
        responses(session, keys),
        sums(session, &keys.groups),
        referred(session, &statements.reversed, &keys.reversals),
        referred(session, &statements.corrected, &keys.corrected),
    )?;
    let budgets = budgets::of_revision(session, keys, revision).await?;
    let windows = budgets::windows(session, &keys.windows).await?;
    let lessees = budgets::lessees(session, &keys.lessees).await?;
    let heads = if keys.closes { heads(session).await? } else { Vec::new() };
    let seal = if keys.closes { sealing::state(session).await? } else { Default::default() };
    let contents = contents(session, keys, &emitters).await?;
    let tenants = tenants(session, keys).await?;
    let held = held(session, &responses).await?;
    let kept = kept(session, keys).await?;
    let more: BTreeSet<Group> = keys.all_groups(held.values(), &closed).difference(&keys.groups).cloned().collect();
    sums.extend(self::sums(session, &more).await?);
    Ok(Known {
        head,
        written_ns,
        emitters,
        contents,
        responses,
        held,
        sums,
        reversed,
        tenants,
        corrected,
        closed,
        heads,
        seal,
        kept,
        budgets,
        windows,
        lessees,
        secret: Secret::default(),
    })
}

async fn closed(session: &Session) -> Result<Closed, Failure> {
    let rows = session.connection.client.query(&session.statements.closed, &[]).await?;
    let begins = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
    Ok(Closed::from_begins(begins))
}

async fn heads(session: &Session) -> Result<Vec<EntryId>, Failure> {
    let rows = session.connection.client.query(&session.statements.heads, &[]).await?;
    rows.iter().map(|row| Ok(EntryId { writer: row.try_get(0)?, number: row.try_get(1)? })).collect()
}

async fn begin(session: &Session) -> Result<(), Failure> {
    let begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
    Ok(session.connection.client.batch_execute(begin).await?)
}

async fn turn(session: &Session, alone: bool) -> Result<(), Failure> {
    let turn = if alone { &session.statements.alone } else { &session.statements.together };
    session.connection.client.execute(turn, &[]).await?;
    Ok(())
}

async fn head(session: &Session) -> Result<(Head, i64), Failure> {
    let row = session.connection.client.query_one(&session.statements.chain, &[&session.writer]).await?;
    let entry = EntryId { writer: session.writer, number: row.try_get(0)? };
    Ok((Head { entry, hash: hash(&row, 1)? }, row.try_get(2)?))
}

async fn kept(session: &Session, keys: &Keys) -> Result<BTreeMap<[u8; 32], QuarantinedEvent>, Failure> {
    if keys.released.is_empty() {
        return Ok(BTreeMap::new());
    }
    let digests: Vec<&[u8]> = keys.released.iter().map(<[u8; 32]>::as_slice).collect();
    let rows = session.connection.client.query(&session.statements.kept, &[&digests]).await?;
    rows.iter().map(|row| Ok(quarantined(row)?.last)).map(|kept| kept.map(|kept| (kept.digest(), kept))).collect()
}

async fn emitters(session: &Session, keys: &Keys) -> Result<HashMap<String, Emitter>, Failure> {
    let names: Vec<&str> = keys.emitters.keys().map(String::as_str).collect();
    let (mut counting, mut low, mut high) = (Vec::new(), Vec::new(), Vec::new());
    for (name, numbers) in &keys.emitters {
        for around in Range::around(numbers) {
            counting.push(name.as_str());
            low.push(around.first);
            high.push(around.last);
        }
    }
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let (client, statements) = (&session.connection.client, &session.statements);
    let (rows, ranges) = tokio::try_join!(
        biased;
        async { client.query(&statements.emitters, &[&names]).await },
        async { client.query(&statements.ranges, &[&counting, &low, &high]).await },
    )?;
    let mut found: HashMap<String, Vec<Range>> = HashMap::new();
    for row in &ranges {
        let range = Range { first: row.try_get(1)?, last: row.try_get(2)? };
        found.entry(row.try_get(0)?).or_default().push(range);
    }
    let mut emitters = HashMap::new();
    for row in &rows {
        let (name, mut emitter) = emitter(row)?;
        emitter.ranges = Ranges::stored(found.remove(&name).unwrap_or_default());
        emitters.insert(name, emitter);
    }
    Ok(emitters)
}

async fn contents(
    session: &Session,
    keys: &Keys,
    emitters: &HashMap<String, Emitter>,
) -> Result<HashMap<(String, i64), Content>, Failure> {
    let (mut names, mut numbers) = (Vec::new(), Vec::new());
    for (name, wanted) in &keys.emitters {
        let Some(emitter) = emitters.get(name) else { continue };
        for number in wanted.iter().filter(|number| emitter.ranges.contains(**number)) {
            names.push(name.as_str());
            numbers.push(*number);
        }
    }
    if numbers.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = session.connection.client.query(&session.statements.contents, &[&names, &numbers]).await?;
    let mut contents = HashMap::new();
    for row in &rows {
        if let Some(event) = row.try_get(2)? {
            contents.insert((row.try_get(0)?, row.try_get(1)?), Content { event, names: forget::sealed(row, 3)? });
        }
    }
    Ok(contents)
}

async fn responses(session: &Session, keys: &Keys) -> Result<HashMap<ResponseKey, Place>, Failure> {
    if keys.responses.is_empty() {
        return Ok(HashMap::new());
    }
    let column = |read: fn(&ResponseKey) -> i64| keys.responses.iter().map(read).collect::<Vec<i64>>();
    let (days, responses, proofs) = (column(|key| key.day), column(|key| key.response), column(|key| key.proof));
    let rows = session.connection.client.query(&session.statements.responses, &[&days, &responses, &proofs]).await?;
    let mut held = HashMap::new();
    for row in &rows {
        let key = ResponseKey { day: row.try_get(0)?, response: row.try_get(1)?, proof: row.try_get(2)? };
        held.insert(key, word(row, 3, "place", Place::from_text)?);
    }
    Ok(held)
}

async fn held(session: &Session, responses: &HashMap<ResponseKey, Place>) -> Result<BTreeMap<EntryId, Entry>, Failure> {
    let wanted = to_compare(responses.values());
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (writers, numbers): (Vec<i64>, Vec<i64>) = wanted.iter().map(|id| (id.writer, id.number)).unzip();
    let rows = session.connection.client.query(&session.statements.held, &[&writers, &numbers]).await?;
    let mut held = BTreeMap::new();
    for row in &rows {
        held.insert(EntryId { writer: row.try_get(21)?, number: row.try_get(22)? }, entry(row)?);
    }
    Ok(held)
}

async fn sums(session: &Session, groups: &BTreeSet<Group>) -> Result<HashMap<Group, GroupSums>, Failure> {
    if groups.is_empty() {
        return Ok(HashMap::new());
    }
    let groups: Vec<&Group> = groups.iter().collect();
    let column = |read: fn(&Group) -> &str| groups.iter().map(|group| read(group)).collect::<Vec<&str>>();
    let (days, adjusts) = (column(|group| &group.day), column(|group| &group.adjusts));
    let tenants = column(|group| &group.tenant);
    let (providers, models) = (column(|group| &group.provider), column(|group| &group.model));
    let evidence = column(|group| group.evidence);
    let rows = session
        .connection
        .client
        .query(&session.statements.sums, &[&session.writer, &days, &adjusts, &tenants, &providers, &models, &evidence])
        .await?;
    let mut sums: HashMap<Group, GroupSums> = HashMap::new();
    for row in &rows {
        let number: i64 = row.try_get(0)?;
        let group = usize::try_from(number).ok().and_then(|number| groups.get(number.checked_sub(1)?));
        let Some(group) = group else { continue };
        let counted = word(row, 1, "class", Counted::from_name)?;
        sums.entry((*group).clone()).or_default().insert(counted, sum(row, 2)?);
    }
    Ok(sums)
}

async fn tenants(session: &Session, keys: &Keys) -> Result<BTreeMap<EntryId, String>, Failure> {
    if keys.reversals.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (writers, entries): (Vec<i64>, Vec<i64>) = keys.reversals.iter().map(|id| (id.writer, id.number)).unzip();
    let rows = session.connection.client.query(&session.statements.tenants, &[&writers, &entries]).await?;
    let id = |row: &Row| Ok(EntryId { writer: row.try_get(0)?, number: row.try_get(1)? });
    rows.iter()
        .map(|row| Ok((id(row)?, row.try_get(2)?)))
        .collect::<Result<_, tokio_postgres::Error>>()
        .map_err(Into::into)
}

/// Those to which an entry of a kind refers.
async fn referred(
    session: &Session,
    statement: &Statement,
    wanted: &BTreeSet<EntryId>,
) -> Result<BTreeSet<EntryId>, Failure> {
    if wanted.is_empty() {
        return Ok(BTreeSet::new());
    }
    let (writers, entries): (Vec<i64>, Vec<i64>) = wanted.iter().map(|id| (id.writer, id.number)).unzip();
    let rows = session.connection.client.query(statement, &[&writers, &entries]).await?;
    rows.iter().map(|row| Ok(EntryId { writer: row.try_get(0)?, number: row.try_get(1)? })).collect()
}

/// The columns `emitter, credential, node, first_ns, heard_ns, last, head, dropped, ended`.
pub fn emitter(row: &Row) -> Result<(String, Emitter), StoreError> {
    let emitter = Emitter {
        credential: row.try_get(1)?,
        node: row.try_get(2)?,
        first_ns: row.try_get(3)?,
        heard_ns: row.try_get(4)?,
        last: row.try_get(5)?,
        head: row.try_get(6)?,
        dropped: row.try_get(7)?,
        ended: row.try_get::<_, Option<&str>>(8)?.map(|word| known("ended", word, Ended::from_word)).transpose()?,
        ranges: Ranges::default(),
        closed: Ranges::default(),
    };
    Ok((row.try_get(0)?, emitter))
}

/// The columns `quantity, charge, cost, unpriced, fallback`, from one on.
pub fn sum(row: &Row, first: usize) -> Result<Sum, StoreError> {
    let [quantity, charge, cost, unpriced, fallback] = [0, 1, 2, 3, 4].map(|more| first.saturating_add(more));
    let Amount(charge) = row.try_get(charge)?;
    let cost = row.try_get::<_, Option<Amount>>(cost)?.map_or(charge, |Amount(cost)| cost);
    Ok(Sum {
        quantity: row.try_get(quantity)?,
        charge,
        cost,
        unpriced: row.try_get(unpriced)?,
        fallback: row.try_get(fallback)?,
    })
}

/// Charge and cost, from their columns.
fn amounts(row: &Row, charge: usize, cost: usize) -> Result<(Charge, Charge), StoreError> {
    let paid = word(row, charge, "charge", |text| text.parse().ok())?;
    let taken: Option<&str> = row.try_get(cost)?;
    let taken = taken.map(|text| known("cost", text, |text| text.parse().ok())).transpose()?;
    Ok((paid, taken.unwrap_or(paid)))
}

/// The columns of an entry, by which `entry` reads.
pub const ENTRY: &str = "l.writer, l.entry, l.kind, l.emitter, l.sequence, l.refers_writer, l.refers_entry,
    l.started_ns, l.received_ns, l.tenant, l.provider, l.model, l.evidence, l.charge::text, l.rating, l.reason, l.hash,
    l.cost::text, l.billed, l.salt";

/// Of entries, what stands now, each with the event of its call, and behind these columns the entry that was asked for: a
/// correction refers to what it corrects, or, if it was charged again, to what took it back.
pub fn held_now() -> String {
    format!(
        "WITH RECURSIVE now (root_writer, root_entry, writer, entry) AS (
            SELECT k.writer, k.entry, k.writer, k.entry FROM unnest($1::bigint[], $2::bigint[]) AS k (writer, entry)
            UNION ALL SELECT now.root_writer, now.root_entry, n.writer, n.entry FROM now
            JOIN ledger r ON r.refers_writer = now.writer AND r.refers_entry = now.entry AND r.kind = 'reversal'
            CROSS JOIN LATERAL (VALUES (now.writer, now.entry), (r.writer, r.entry)) AS of (writer, entry)
            JOIN ledger n ON n.kind = 'correction' AND n.refers_writer = of.writer AND n.refers_entry = of.entry
        )
        SELECT {ENTRY}, c.event, now.root_writer, now.root_entry FROM now
        JOIN ledger l ON l.writer = now.writer AND l.entry = now.entry
        JOIN ledger c
        ON c.emitter = l.emitter AND c.sequence = l.sequence AND c.kind IN ('call', 'copy', 'release')
        WHERE l.kind IN ('call', 'correction', 'release')
        AND NOT EXISTS (SELECT 1 FROM ledger r WHERE r.refers_writer = l.writer AND r.refers_entry = l.entry
            AND r.kind = 'reversal')"
    )
}

/// What counts, each with the event of its call.
pub fn standing(which: &str) -> String {
    format!(
        "SELECT {ENTRY}, c.event FROM ledger l
         JOIN ledger c
         ON c.emitter = l.emitter AND c.sequence = l.sequence AND c.kind IN ('call', 'copy', 'release')
         WHERE l.kind IN ('call', 'correction', 'release') AND {which}
         AND NOT EXISTS (SELECT 1 FROM ledger r WHERE r.refers_writer = l.writer AND r.refers_entry = l.entry
                         AND r.kind = 'reversal')
         ORDER BY l.writer, l.entry"
    )
}

/// An entry, with the event behind its other columns.
pub fn entry(row: &Row) -> Result<Entry, StoreError> {
    let refers = row.try_get::<_, Option<i64>>(5)?.zip(row.try_get(6)?);
    let (charge, cost) = amounts(row, 13, 17)?;
    Ok(Entry {
        id: EntryId { writer: row.try_get(0)?, number: row.try_get(1)? },
        kind: word(row, 2, "kind", Kind::from_word)?,
        emitter: row.try_get(3)?,
        sequence: row.try_get(4)?,
        refers: refers.map(|(writer, number)| EntryId { writer, number }),
        started_ns: row.try_get(7)?,
        received_ns: row.try_get(8)?,
        tenant: row.try_get(9)?,
        provider: row.try_get(10)?,
        model: row.try_get(11)?,
        evidence: word(row, 12, "evidence", Evidence::from_word)?,
        charge,
        cost,
        rating: row.try_get(14)?,
        reason: row.try_get(15)?,
        hash: hash(row, 16)?,
        billed: row.try_get(18)?,
        names: forget::sealed(row, 19)?,
        event: row.try_get(20)?,
    })
}

pub fn hash(row: &Row, column: usize) -> Result<Hash, StoreError> {
    forget::bytes(row, column, "hash").map(Hash)
}

/// The value of a word in a column.
pub fn word<T>(row: &Row, column: usize, name: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, StoreError> {
    known(name, row.try_get(column)?, read)
}

fn known<T>(name: &str, word: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, StoreError> {
    read(word).ok_or_else(|| StoreError::unknown(name, word))
}

/// What is quarantined, by which `quarantined` reads.
pub const KEPT: &str = "SELECT kind, reason, emitter, sequence, credential, event, deliveries, first_received_ns,
    last_received_ns, released_writer, released_entry FROM quarantined";

/// An event that is quarantined.
pub fn quarantined(row: &Row) -> Result<Quarantined, StoreError> {
    Ok(Quarantined {
        last: QuarantinedEvent {
            alarm: row.try_get::<_, &str>(0)? == "alarm",
            reason: row.try_get(1)?,
            number: row.try_get::<_, Option<String>>(2)?.zip(row.try_get(3)?),
            credential: row.try_get(4)?,
            bytes: row.try_get(5)?,
            received_ns: row.try_get(8)?,
        },
        deliveries: row.try_get(6)?,
        first_received_ns: row.try_get(7)?,
        released: entry_id(row, 9)?,
    })
}

/// Writer and number of an entry, from one column on.
pub fn entry_id(row: &Row, first: usize) -> Result<Option<EntryId>, StoreError> {
    let id = row.try_get::<_, Option<i64>>(first)?.zip(row.try_get(first.saturating_add(1))?);
    Ok(id.map(|(writer, number)| EntryId { writer, number }))
}

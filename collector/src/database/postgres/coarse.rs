//! The sums of sums: each writer's own, as its rollup is, so that collectors do not wait for each other.

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::failure::Failure;
use super::known::sum;
use super::session::Session;
use crate::database::coarse::{Changed, Packed, add_to, amounts, merged, pack};
use crate::store::StoreError;
use crate::store::sums::{Counted, Group, GroupSums, Sum};

/// Rows that are read at once, and that are written at once.
const ROWS: usize = 5000;

/// What is known of sums of days. Its values are the writer and columns of keys.
pub const KNOWN_DAYS: &str = "SELECT k.number, r.counts
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY
        AS k (day, adjusts, provider, model, evidence, number)
    JOIN rollup_days r ON r.writer = $1 AND r.day = k.day::date AND r.adjusts = k.adjusts AND r.provider = k.provider
        AND r.model = k.model AND r.evidence = k.evidence";
/// What is known of sums of months.
pub const KNOWN_MONTHS: &str = "SELECT k.number, r.counts
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY
        AS k (month, tenant, adjusts, provider, model, evidence, number)
    JOIN rollup_months r ON r.writer = $1 AND r.month = k.month AND r.tenant = k.tenant AND r.adjusts = k.adjusts
        AND r.provider = k.provider AND r.model = k.model AND r.evidence = k.evidence";
/// Puts sums of days. Its values are the writer, columns of keys, and the counts.
pub const PUT_DAYS: &str = "INSERT INTO rollup_days (writer, day, adjusts, provider, model, evidence, counts)
    SELECT $1, day::date, adjusts, provider, model, evidence, counts
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[])
        AS k (day, adjusts, provider, model, evidence, counts)
    ON CONFLICT (day, adjusts, provider, model, evidence, writer) DO UPDATE SET counts = excluded.counts";
/// Puts sums of months.
pub const PUT_MONTHS: &str =
    "INSERT INTO rollup_months (writer, month, tenant, adjusts, provider, model, evidence, counts)
    SELECT $1, month, tenant, adjusts, provider, model, evidence, counts
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[])
        AS k (month, tenant, adjusts, provider, model, evidence, counts)
    ON CONFLICT (month, tenant, adjusts, provider, model, evidence, writer) DO UPDATE SET counts = excluded.counts";

/// Adds what a transaction changes. `before`: the sums of the same groups as they were.
pub async fn changed(
    session: &Session,
    before: &HashMap<Group, GroupSums>,
    after: &[(Group, Counted, Sum)],
) -> Result<(), Failure> {
    add(session, session.writer, &Changed::of(before, after)).await
}

/// Adds to the sums of a writer.
pub async fn add(session: &Session, writer: i64, changed: &Changed<'_>) -> Result<(), Failure> {
    let statements = &session.statements;
    tokio::try_join!(
        biased;
        add_to_level(session, &statements.known_days, &statements.put_days, writer, &changed.days),
        add_to_level(session, &statements.known_months, &statements.put_months, writer, &changed.months),
    )?;
    Ok(())
}

async fn add_to_level<const KEYS: usize>(
    session: &Session,
    known: &Statement,
    put: &Statement,
    writer: i64,
    changed: &BTreeMap<[&str; KEYS], Packed>,
) -> Result<(), Failure> {
    if changed.is_empty() {
        return Ok(());
    }
    let client = &session.connection.client;
    let columns = columns(changed.keys());
    let rows = client.query(known, &values(&writer, &columns, &[])).await?;
    let mut counts: HashMap<i64, &[u8]> = HashMap::new();
    for row in &rows {
        counts.insert(row.try_get(0)?, row.try_get(1)?);
    }
    let merge = |(number, more): (i64, &Packed)| merged(counts.get(&number).copied(), more);
    let merged: Vec<Vec<u8>> = (1..).zip(changed.values()).map(merge).collect::<Result<_, _>>()?;
    client.execute(put, &values(&writer, &columns, &[&merged])).await?;
    Ok(())
}

fn columns<'a, const KEYS: usize>(keys: impl Iterator<Item = &'a [&'a str; KEYS]> + Clone) -> Vec<Vec<&'a str>> {
    let column = |at: usize| keys.clone().filter_map(|key| key.get(at).copied()).collect();
    (0..KEYS).map(column).collect()
}

fn values<'v>(
    writer: &'v i64,
    columns: &'v [Vec<&'v str>],
    more: &[&'v (dyn ToSql + Sync)],
) -> Vec<&'v (dyn ToSql + Sync)> {
    let writer: &(dyn ToSql + Sync) = writer;
    let columns = columns.iter().map(|column| column as &(dyn ToSql + Sync));
    std::iter::once(writer).chain(columns).chain(more.iter().copied()).collect()
}

/// The months that have sums.
pub async fn months(client: &Client) -> Result<Vec<String>, StoreError> {
    let ends = "SELECT to_char(min(day), 'YYYY-MM'), to_char(max(day), 'YYYY-MM') FROM rollup";
    // Not each row is looked at for its month.
    let sql = format!(
        "SELECT to_char(month, 'YYYY-MM') FROM ({ends}) AS k (first, last),
         generate_series(to_date(first, 'YYYY-MM')::timestamp, to_date(last, 'YYYY-MM')::timestamp, '1 month') AS month
         WHERE EXISTS (SELECT 1 FROM rollup WHERE day >= month::date AND day < (month + interval '1 month')::date)
         ORDER BY month"
    );
    let rows = client.query(&sql, &[]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// Makes those of a month of its rollup, within a transaction. There must be none of it.
pub async fn fill(client: &Client, month: &str) -> Result<(), StoreError> {
    // The month is one that the server has told.
    let sql = format!(
        "DECLARE sums NO SCROLL CURSOR FOR
         SELECT writer, to_char(day, 'YYYY-MM-DD'), tenant, adjusts, provider, model, evidence, class, quantity, charge, cost,
             unpriced, fallback
         FROM rollup WHERE day >= to_date('{month}', 'YYYY-MM') AND day < to_date('{month}', 'YYYY-MM') + interval '1 month'
         ORDER BY tenant, adjusts, provider, model, evidence, writer"
    );
    client.batch_execute(&sql).await?;
    let fetch = client.prepare(&format!("FETCH {ROWS} FROM sums")).await?;
    let put_days = client.prepare(PUT_DAYS).await?;
    let put_months = client.prepare(PUT_MONTHS).await?;
    let (mut days, mut months) = (Made::<5>::new(), Made::<6>::new());
    let mut group: Option<(i64, [String; 6])> = None;
    let mut count = 0_usize;
    loop {
        let rows = client.query(&fetch, &[]).await?;
        for row in &rows {
            let writer: i64 = row.try_get(0)?;
            let text = |column: usize| row.try_get::<_, String>(column);
            let word: &str = row.try_get(7)?;
            let more = amounts(&sum(row, 8)?);
            let of = [month.to_owned(), text(2)?, text(3)?, text(4)?, text(5)?, text(6)?];
            let [_, _, adjusts, provider, model, evidence] = of.clone();
            let day = [text(1)?, adjusts, provider, model, evidence];
            add_to(days.entry(writer).or_default().entry(day).or_default(), word, &more);
            // The rows of a group come one after the other.
            if group.as_ref().is_none_or(|(same, key)| *same != writer || *key != of) {
                if count >= ROWS {
                    put(client, &put_months, std::mem::take(&mut months)).await?;
                    count = 0;
                }
                count = count.saturating_add(1);
                group = Some((writer, of.clone()));
            }
            add_to(months.entry(writer).or_default().entry(of).or_default(), word, &more);
        }
        if rows.is_empty() {
            break;
        }
    }
    put(client, &put_months, months).await?;
    put(client, &put_days, days).await?;
    Ok(client.batch_execute("CLOSE sums").await?)
}

/// Rows of each writer.
type Made<const KEYS: usize> = BTreeMap<i64, BTreeMap<[String; KEYS], Packed>>;

async fn put<const KEYS: usize>(client: &Client, statement: &Statement, made: Made<KEYS>) -> Result<(), StoreError> {
    for (writer, rows) in &made {
        let keys: Vec<[&str; KEYS]> = rows.keys().map(|key| key.each_ref().map(String::as_str)).collect();
        let columns = columns(keys.iter());
        let counts: Vec<Vec<u8>> = rows.values().map(pack).collect();
        client.execute(statement, &values(writer, &columns, &[&counts])).await?;
    }
    Ok(())
}

/// Makes all of them of a rollup that was put there whole.
pub async fn fill_all(client: &Client) -> Result<(), StoreError> {
    for month in months(client).await? {
        fill(client, &month).await?;
    }
    Ok(())
}

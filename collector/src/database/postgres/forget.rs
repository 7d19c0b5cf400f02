//! Names that are replaced: while nobody else has a transaction.

use std::collections::BTreeMap;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use wire::record::Evidence;

use super::coarse;
use super::failure::Failure;
use super::known::{sum, word};
use super::session::Session;
use super::write::{column, put};
use crate::database::coarse::{Amounts, Changed, amounts};
use crate::store::StoreError;
use crate::store::forgetting::{Ended, ForgetChanges, Pending, Replaced, Requarantined};
use crate::store::names::Names;
use crate::store::sums::Group;

/// The names that are being replaced.
pub const PENDING: &str = "SELECT digest, salt, pseudonym, begun_ns FROM forgetting ORDER BY begun_ns, digest";

/// A row of [`PENDING`].
pub fn pending(row: &Row) -> Result<Pending, StoreError> {
    Ok(Pending {
        digest: bytes(row, 0, "digest")?,
        salt: bytes(row, 1, "salt")?,
        pseudonym: row.try_get(2)?,
        begun_ns: row.try_get(3)?,
    })
}

/// The 32 bytes of a column.
pub fn bytes(row: &Row, column: usize, name: &str) -> Result<[u8; 32], StoreError> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|_| StoreError::Unusable(format!("{name}: must be 32 bytes")))
}

/// How personal fields are sealed, from a column.
pub fn sealed(row: &Row, column: usize) -> Result<Names, StoreError> {
    let bytes: Option<&[u8]> = row.try_get(column)?;
    Names::from_bytes(bytes).ok_or_else(|| StoreError::Unusable("salt: cannot be read".to_owned()))
}

/// The tables with names in them, or with digests of names without a salt: what is replaced or removed there stays in free space. And
/// the server's statistics, which have values of their columns.
pub const NAMED: [&str; 10] = [
    "meshmeter.ledger",
    "meshmeter.rollup",
    "meshmeter.rollup_months",
    "meshmeter.quarantined",
    "meshmeter.responses",
    "meshmeter.budgets",
    "meshmeter.budget_balances",
    "meshmeter.budget_leases",
    "meshmeter.forgetting",
    // Last, after the statistics of the others are made anew.
    "pg_statistic",
];

/// What writes them anew, without what was free in them.
pub fn rewriting() -> String {
    format!("VACUUM (FULL, ANALYZE) {}", NAMED.join(", "))
}

/// What a transaction does about names.
pub async fn changes(session: &Session, changes: &ForgetChanges) -> Result<(), Failure> {
    let ForgetChanges { begun, replaced, quarantined, ended } = changes;
    let client = &session.connection.client;
    if let Some(Pending { digest, salt, pseudonym, begun_ns }) = begun {
        let values: [&(dyn ToSql + Sync); 4] = [&digest.as_slice(), &salt.as_slice(), pseudonym, begun_ns];
        let sql = "INSERT INTO forgetting (digest, salt, pseudonym, begun_ns) VALUES ($1, $2, $3, $4)";
        client.execute(sql, &values).await?;
    }
    replace(session, replaced).await?;
    requarantine(session, quarantined).await?;
    match ended {
        Some(ended) => end(session, ended).await,
        None => Ok(()),
    }
}

async fn replace(session: &Session, rows: &[Replaced]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let values: [&(dyn ToSql + Sync); 6] = [
        &column(rows, |row| row.entry.writer),
        &column(rows, |row| row.entry.number),
        &column(rows, |row| row.before.to_bytes()),
        &column(rows, |row| row.tenant.as_str()),
        &column(rows, |row| row.event.as_deref()),
        &column(rows, |row| row.names.to_bytes()),
    ];
    let done = put(session, &session.statements.replace_names, &values).await?;
    if u64::try_from(rows.len()) == Ok(done) {
        return Ok(());
    }
    let problem = "somebody else replaces names in the same entries; run it again".to_owned();
    Err(Failure::Failed(StoreError::Unusable(problem)))
}

async fn requarantine(session: &Session, rows: &[Requarantined]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let values: [&(dyn ToSql + Sync); 3] = [
        &column(rows, |row| row.before.as_slice()),
        &column(rows, |row| row.after.as_slice()),
        &column(rows, |row| row.bytes.as_slice()),
    ];
    put(session, &session.statements.replace_in_quarantine, &values).await?;
    Ok(())
}

async fn end(session: &Session, ended: &Ended) -> Result<(), Failure> {
    let client = &session.connection.client;
    client.execute("DELETE FROM forgetting WHERE digest = $1", &[&ended.digest.as_slice()]).await?;
    let Some(tenant) = &ended.tenant else { return Ok(()) };
    let within = |column: &str| format!("({column} = $1 OR starts_with({column}, $1 || '/'))");
    delete_sums(session, tenant, &within).await?;
    let balances = format!(
        "DELETE FROM budget_balances WHERE {} AND (budget, begins_s, subject) NOT IN (
             SELECT budget, begins_s, subject FROM budget_balances WHERE {}
             GROUP BY budget, begins_s, subject HAVING sum(spent) <> 0)",
        within("subject"),
        within("subject")
    );
    let leases = format!("DELETE FROM budget_leases WHERE {}", within("subject"));
    for sql in [balances, leases] {
        client.execute(&sql, &[tenant]).await?;
    }
    Ok(())
}

/// What one writer has taken from the sums of another is nothing together. A group is left if anything of it is: what counts nothing
/// beside it was counted, too. What goes is taken from the sums of sums, in which it counted as rows of nothing.
async fn delete_sums(session: &Session, tenant: &String, within: &dyn Fn(&str) -> String) -> Result<(), Failure> {
    let client = &session.connection.client;
    let whose = within("tenant");
    let sql = format!(
        "DELETE FROM rollup WHERE {whose} AND (day, adjusts, tenant, provider, model, evidence) NOT IN (
             SELECT day, adjusts, tenant, provider, model, evidence FROM rollup WHERE {whose}
             GROUP BY day, adjusts, tenant, provider, model, evidence, class
             HAVING sum(quantity) <> 0 OR sum(charge) <> 0 OR sum(coalesce(cost, charge)) <> 0 OR sum(unpriced) <> 0
                 OR sum(fallback) <> 0)
         RETURNING writer, to_char(day, 'YYYY-MM-DD'), adjusts, tenant, provider, model, evidence, class, quantity, charge,
             cost, unpriced, fallback"
    );
    let mut gone: BTreeMap<i64, Vec<(Group, String, Amounts)>> = BTreeMap::new();
    for row in client.query(&sql, &[tenant]).await? {
        let group = Group {
            day: row.try_get(1)?,
            adjusts: row.try_get(2)?,
            tenant: row.try_get(3)?,
            provider: row.try_get(4)?,
            model: row.try_get(5)?,
            evidence: word(&row, 6, "evidence", Evidence::from_word)?.as_str(),
        };
        let less = amounts(&sum(&row, 8)?).map(i128::saturating_neg);
        gone.entry(row.try_get(0)?).or_default().push((group, row.try_get(7)?, less));
    }
    for (writer, gone) in &gone {
        let mut changed = Changed::default();
        gone.iter().for_each(|(group, word, less)| changed.add(group, word, less));
        coarse::add(session, *writer, &changed).await?;
    }
    client.execute(&format!("DELETE FROM rollup_months WHERE {whose} AND counts = ''"), &[tenant]).await?;
    client.execute("DELETE FROM rollup_days WHERE counts = ''", &[]).await?;
    Ok(())
}

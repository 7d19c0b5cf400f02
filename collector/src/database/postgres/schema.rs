//! The schema: made where there is none, brought up to date, never touched if it is another program's.

use std::time::Duration;

use tokio_postgres::Client;

use super::connection::within;
use super::{LOCKS, PATIENCE, coarse};
use crate::database::Tell;
use crate::store::StoreError;

/// What brings the schema from each version to the next.
const STEPS: [&str; 8] = [
    include_str!("schema.sql"),
    include_str!("version_2.sql"),
    include_str!("version_3.sql"),
    include_str!("version_4.sql"),
    include_str!("version_5.sql"),
    include_str!("version_6.sql"),
    include_str!("version_7.sql"),
    include_str!("version_8.sql"),
];
/// The version that has sums of sums, which are made of what is there: as many transactions as there are months.
const WITH_SUMS_OF_SUMS: usize = 8;
/// How long another collector is waited for until one looks again.
const TURN: Duration = Duration::from_millis(200);
/// Our names only, whatever the user's settings are; and for whom this version's tables are no secret.
pub const SEARCH: &str = "SET search_path = meshmeter, pg_temp; SET meshmeter.version = '8';";

/// What a database has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// No schema of this name.
    Nothing,
    /// A schema that is empty, as an administrator makes it for a user who may not.
    Empty,
    /// A schema of ours.
    Version(usize),
}

/// Brings the schema up to date; collectors that start at once take turns. What takes long says how far it is, and goes on where it
/// was if it is ended.
pub async fn migrate(client: &Client, name: &str, tell: Tell<'_>) -> Result<(), StoreError> {
    if found(client, name).await? == Found::Version(STEPS.len()) {
        return Ok(());
    }
    // Whoever is at it may have to add up all that is there.
    let turn = format!("SELECT pg_try_advisory_lock({LOCKS}, 0)");
    while !within(PATIENCE, async { Ok::<bool, StoreError>(client.query_one(&turn, &[]).await?.try_get(0)?) }).await? {
        tokio::time::sleep(TURN).await;
    }
    let done = in_turn(client, name, tell).await;
    // A session that fails ends, and its locks with it.
    done?;
    Ok(client.batch_execute(&format!("SELECT pg_advisory_unlock({LOCKS}, 0)")).await?)
}

async fn in_turn(client: &Client, name: &str, tell: Tell<'_>) -> Result<(), StoreError> {
    client.batch_execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; BEGIN").await?;
    let done = match found(client, name).await? {
        Found::Nothing => {
            client.batch_execute("CREATE SCHEMA meshmeter").await?;
            0
        }
        Found::Empty => 0,
        Found::Version(version) => version,
    };
    for (number, step) in (1_usize..).zip(STEPS).skip(done) {
        if number == WITH_SUMS_OF_SUMS {
            sums_of_sums(client, name, step, tell).await?;
        } else {
            client.batch_execute(step).await?;
        }
        client.batch_execute(&format!("INSERT INTO version (version) VALUES ({number})")).await?;
    }
    Ok(client.batch_execute("COMMIT").await?)
}

/// Makes the sums of sums, month by month. A collector of the version before cannot write meanwhile.
async fn sums_of_sums(client: &Client, name: &str, step: &str, tell: Tell<'_>) -> Result<(), StoreError> {
    let begun = "SELECT to_regclass('meshmeter.rollup_filled') IS NOT NULL";
    if !client.query_one(begun, &[]).await?.try_get::<_, bool>(0)? {
        client.batch_execute(step).await?;
    }
    let months = coarse::months(client).await?;
    let filled = client.query("SELECT month FROM rollup_filled", &[]).await?;
    let filled: Vec<String> = filled.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    for (number, month) in (1_usize..).zip(&months) {
        if filled.contains(month) {
            continue;
        }
        coarse::fill(client, month).await?;
        client.execute("INSERT INTO rollup_filled (month) VALUES ($1)", &[month]).await?;
        client.batch_execute("COMMIT; BEGIN").await?;
        tell(&format!("{name}: the sums of {month} are added up, {number} of {} months", months.len()));
    }
    Ok(client.batch_execute("DROP TABLE rollup_filled; ANALYZE rollup_days, rollup_months").await?)
}

/// Whether these are all the versions that this one's schema has had.
pub fn are_all(versions: &[i32]) -> bool {
    (1..).take(STEPS.len()).eq(versions.iter().copied())
}

/// Whether there is a ledger to read.
pub async fn check(client: &Client, name: &str) -> Result<(), StoreError> {
    match found(client, name).await? {
        Found::Version(version) if version == STEPS.len() => Ok(()),
        Found::Version(_) => {
            Err(unusable(name, "was written by an earlier version, `meshmeter serve` brings it up to date"))
        }
        _ => Err(unusable(name, "has no ledger yet, `meshmeter serve` makes one")),
    }
}

async fn found(client: &Client, name: &str) -> Result<Found, StoreError> {
    let row = client
        .query_one(
            "SELECT to_regclass('meshmeter.version') IS NOT NULL, count(n.oid), count(c.oid)
             FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid WHERE n.nspname = 'meshmeter'",
            &[],
        )
        .await?;
    let (has_version, schemas, tables): (bool, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    match (has_version, schemas, tables) {
        (true, ..) => {}
        (false, 0, _) => return Ok(Found::Nothing),
        (false, _, 0) => return Ok(Found::Empty),
        (false, ..) => return Err(unusable(name, "its schema meshmeter is another program's")),
    }
    let row = client.query_one("SELECT coalesce(max(version), 0) FROM version", &[]).await?;
    match usize::try_from(row.try_get::<_, i32>(0)?).unwrap_or(usize::MAX) {
        version if version > STEPS.len() => Err(unusable(name, "was written by a later version of meshmeter")),
        version => Ok(Found::Version(version)),
    }
}

fn unusable(name: &str, problem: &str) -> StoreError {
    StoreError::Unusable(format!("{name}: {problem}"))
}

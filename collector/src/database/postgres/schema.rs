//! The schema: made where there is none, brought up to date, never touched if it is another program's.

use tokio_postgres::Client;

use super::LOCKS;
use crate::store::StoreError;

/// What brings the schema from each version to the next.
const STEPS: [&str; 7] = [
    include_str!("schema.sql"),
    include_str!("version_2.sql"),
    include_str!("version_3.sql"),
    include_str!("version_4.sql"),
    include_str!("version_5.sql"),
    include_str!("version_6.sql"),
    include_str!("version_7.sql"),
];
/// Our names only, whatever the user's settings are.
pub const SEARCH: &str = "SET search_path = meshmeter, pg_temp;";

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

/// Brings the schema up to date; collectors that start at once take turns.
pub async fn migrate(client: &Client, name: &str) -> Result<(), StoreError> {
    if found(client, name).await? == Found::Version(STEPS.len()) {
        return Ok(());
    }
    client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCKS}, 0);")).await?;
    let done = match found(client, name).await? {
        Found::Nothing => {
            client.batch_execute("CREATE SCHEMA meshmeter").await?;
            0
        }
        Found::Empty => 0,
        Found::Version(version) => version,
    };
    for (number, step) in (1_usize..).zip(STEPS).skip(done) {
        client.batch_execute(step).await?;
        client.batch_execute(&format!("INSERT INTO version (version) VALUES ({number})")).await?;
    }
    Ok(client.batch_execute("COMMIT").await?)
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

//! The session of the one who writes: its settings, its place among the writers, its statements.

use std::time::Duration;

use super::address::Target;
use super::connection::{Connection, within};
use super::statements::Statements;
use super::{LOCKS, schema};
use crate::database::Tell;
use crate::store::StoreError;

/// How long the first questions may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most collectors of one database.
const WRITERS: i32 = 4096;

/// What holds for every transaction. Waiting for another's lock is shorter than the senders' patience, so that they hear
/// of it; one that hangs is ended by the server, so that it does not hold up the others. What was acknowledged must
/// survive, whatever the server's default is. Every question goes by key: no plan that reads a whole table is right,
/// even if the table was empty when it was made.
const SETTINGS: &str = "SET lock_timeout = '2s'; SET statement_timeout = '30s';
    SET idle_in_transaction_session_timeout = '10s';
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
    SET jit = off;";

/// A session that writes.
pub struct Session {
    pub connection: Connection,
    pub statements: Statements,
    /// Whose chain it adds to.
    pub writer: i64,
}

impl Session {
    /// Connects, brings the schema up to date, and takes the lowest place that is free.
    pub fn open(target: &Target, tell: Tell<'_>) -> Result<Session, StoreError> {
        let connection = Connection::open(target, schema::SEARCH)?;
        let client = &connection.client;
        connection.wait(schema::migrate(client, &target.name, tell))?;
        let (writer, statements) = connection.wait(within(PATIENCE, async {
            client.batch_execute(SETTINGS).await?;
            // Held as long as the session lasts. That two never have one place is a matter of speed: each locks its
            // chain anew in every transaction.
            let free = format!(
                "SELECT n::bigint FROM generate_series(1, {WRITERS}) AS n WHERE pg_try_advisory_lock({LOCKS}, n) LIMIT 1"
            );
            let writer: i64 = match client.query_opt(&free, &[]).await? {
                Some(row) => row.try_get(0)?,
                None => return Err(StoreError::Unusable(format!("{}: has {WRITERS} writers already", target.name))),
            };
            let begin = "INSERT INTO chain (writer, entry, hash) VALUES ($1, 0, $2) ON CONFLICT DO NOTHING";
            client.execute(begin, &[&writer, &[0_u8; 32].as_slice()]).await?;
            Ok((writer, Statements::prepare(client).await?))
        }))?;
        Ok(Session { connection, statements, writer })
    }
}

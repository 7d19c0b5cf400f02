//! The ledger in PostgreSQL: any number of collectors write to it at once.
//!
//! What several of them may change is locked row by row, in one order: the emitters whose events came, then the responses
//! that they saw. What a transaction found to be new is inserted, and must not be there by then; otherwise another
//! collector was faster, and the whole transaction is decided anew on what that one left.

use std::time::Duration;

use super::Tell;
use crate::store::{Changes, Keys, Known, Store, StoreError};
use address::Target;
use connection::within;
use failure::Failure;
use session::Session;

mod address;
mod amount;
mod backup;
mod booked;
mod budgets;
mod checks;
mod coarse;
mod connection;
mod counted;
mod failure;
mod forget;
mod known;
mod prune;
mod quarantine;
mod read;
mod reader;
mod schema;
mod sealing;
mod session;
mod statements;
mod tls;
mod totals;
mod write;

#[cfg(test)]
#[path = "../../../tests/server/mod.rs"]
mod server;
#[cfg(test)]
mod tests;

pub use address::Address;
pub(super) use backup::{read as read_all, restore};
pub use forget::rewriting;
pub use reader::PostgresReader;

/// "mesh" in ASCII: the class of our advisory locks. 0 is the schema, -1 who may have a transaction, from 1 on writers.
const LOCKS: i32 = 0x6d65_7368;
/// How often a transaction is decided anew. From the third time on no other collector has one meanwhile.
const ATTEMPTS: u32 = 6;
const ALONE_FROM: u32 = 2;
/// How long a transaction may take in all. The server's own limits are shorter; this one is for a network that is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long taking it back may take, until the connection is given up instead.
const ROLLBACK: Duration = Duration::from_secs(2);

/// The one who writes.
pub struct Postgres {
    target: Target,
    session: Option<Session>,
}

impl Postgres {
    /// Connects, and brings the schema up to date.
    pub fn open(address: &Address) -> Result<Postgres, StoreError> {
        Postgres::open_telling(address, &mut |_| {})
    }

    /// The same; what takes long says how far it is.
    pub fn open_telling(address: &Address, tell: Tell<'_>) -> Result<Postgres, StoreError> {
        let target = address.target()?;
        let session = Some(Session::open(&target, tell)?);
        Ok(Postgres { target, session })
    }
}

impl Store for Postgres {
    fn transact(&mut self, keys: &Keys, decide: &mut dyn FnMut(Known) -> Changes) -> Result<(), StoreError> {
        let mut attempt = 0;
        loop {
            let session = match self.session.take() {
                Some(session) => session,
                None => Session::open(&self.target, &mut |_| {})?,
            };
            let alone = keys.closes || attempt >= ALONE_FROM;
            let outcome = session.connection.wait(async {
                let done = within(PATIENCE, transaction(&session, keys, &mut *decide, alone)).await;
                let is_over = match &done {
                    Ok(()) => true,
                    Err(_) => within(ROLLBACK, roll_back(&session)).await.is_ok(),
                };
                Ok((done, is_over))
            });
            let (done, is_over) = outcome?;
            // One that could not even be rolled back is left to the server, which does.
            self.session = is_over.then_some(session);
            attempt = attempt.saturating_add(1);
            match done {
                Ok(()) => return Ok(()),
                Err(Failure::Raced(_) | Failure::Lost(_)) if attempt < ATTEMPTS => {}
                Err(failure) => return Err(failure.into_error()),
            }
        }
    }
}

async fn roll_back(session: &Session) -> Result<(), StoreError> {
    Ok(session.connection.client.batch_execute("ROLLBACK").await?)
}

async fn transaction(
    session: &Session,
    keys: &Keys,
    decide: &mut dyn FnMut(Known) -> Changes,
    alone: bool,
) -> Result<(), Failure> {
    let known = known::load(session, keys, alone).await?;
    let before = write::Before::of(&known);
    let changes = decide(known);
    write::changes(session, &before, &changes).await?;
    // Nobody knows what became of a commit without a response: who sent the events asks again, and is told.
    let committed = session.connection.client.batch_execute("COMMIT").await;
    committed.map_err(|error| Failure::Failed(error.into()))
}

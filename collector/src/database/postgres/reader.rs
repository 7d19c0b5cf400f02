//! Connections that read, and how they are asked.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, RowStream};

use super::address::Address;
use super::connection::Connection;
use super::{failure, schema};
use crate::store::{Each, StoreError};

/// Connections kept for the next question.
const IDLE: usize = 4;
/// Rows that are taken at once, if they are there: waiting costs more than most of them.
const ROWS: usize = 128;

/// Connections that read: they never wait for those who write.
pub struct PostgresReader {
    address: Address,
    idle: Mutex<Vec<Connection>>,
    /// All questions are of one moment, and so of one connection.
    is_held: bool,
}

pub type Values<'a> = [&'a (dyn ToSql + Sync)];

impl PostgresReader {
    /// A reader of the database there.
    pub fn new(address: Address) -> PostgresReader {
        PostgresReader { address, idle: Mutex::new(Vec::new()), is_held: false }
    }

    /// The same, for whom all questions are of this moment. One question ends before the next begins.
    pub fn at_one_moment(&self) -> Result<PostgresReader, StoreError> {
        let connection = self.connect()?;
        // The moment is that of the first question within the transaction.
        let begin = "SET idle_in_transaction_session_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
             SELECT 1";
        connection.wait(async { Ok(connection.client.batch_execute(begin).await?) })?;
        Ok(PostgresReader { address: self.address.clone(), idle: Mutex::new(vec![connection]), is_held: true })
    }

    pub(super) fn connect(&self) -> Result<Connection, StoreError> {
        if self.is_held {
            return Err(StoreError::Unusable(
                "the connection that reads as of one moment is lost; ask again".to_owned(),
            ));
        }
        let target = self.address.target()?;
        let settings = format!("{} SET default_transaction_read_only = on;", schema::SEARCH);
        let connection = Connection::open(&target, &settings)?;
        connection.wait(schema::check(&connection.client, &target.name))?;
        Ok(connection)
    }

    pub(super) fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < IDLE {
            idle.push(connection);
        }
    }

    /// Keeps the connection of a question that was answered. That of one moment goes on when whoever asked has heard enough: the
    /// rows that are left are passed over before the next question's.
    fn kept<T>(&self, connection: Connection, told: Result<T, StoreError>) -> Result<T, StoreError> {
        if told.is_ok() || self.is_held {
            self.keep(connection);
        }
        told
    }

    /// Asks on a connection that is there, else on a new one.
    fn ask(&self, sql: &str, values: &Values<'_>) -> Result<(Connection, RowStream), StoreError> {
        let ask = |connection: &Connection| {
            let rows = connection.client.query_raw(sql, values.iter().copied());
            connection.wait(async { Ok(rows.await) })
        };
        loop {
            let Some(connection) = self.idle().pop() else { break };
            match ask(&connection)? {
                Ok(rows) => return Ok((connection, rows)),
                // The server has been restarted since.
                Err(error) if failure::is_lost(&error) || connection.client.is_closed() => {}
                Err(error) => return Err(error.into()),
            }
        }
        let connection = self.connect()?;
        let rows = ask(&connection)??;
        Ok((connection, rows))
    }

    pub(super) fn each_row<T>(
        &self,
        sql: &str,
        values: &Values<'_>,
        read: impl Fn(&Row) -> Result<T, StoreError>,
        each: Each<'_, T>,
    ) -> Result<(), StoreError> {
        let (connection, rows) = self.ask(sql, values)?;
        let told = each_of(&connection, rows, &mut |row| each(read(row)?));
        self.kept(connection, told)
    }

    /// Hears of every row before it is read.
    pub(super) fn each_as_it_is(
        &self,
        sql: &str,
        each: &mut dyn FnMut(&Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let (connection, rows) = self.ask(sql, &[])?;
        let told = each_of(&connection, rows, each);
        self.kept(connection, told)
    }

    /// Asks several questions, as of one moment.
    pub(super) fn together<T>(
        &self,
        questions: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.is_held {
            let held = self.idle().pop();
            let connection = held.map_or_else(|| self.connect(), Ok)?;
            let told = questions(&connection);
            return self.kept(connection, told);
        }
        let (connection, begun) = self.ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", &[])?;
        each_of(&connection, begun, &mut |_| Ok(()))?;
        let told = questions(&connection)?;
        connection.wait(async { Ok(connection.client.batch_execute("COMMIT").await?) })?;
        self.keep(connection);
        Ok(told)
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        values: &Values<'_>,
        read: impl Fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut rows = Vec::new();
        self.each_row(sql, values, read, &mut |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }
}

/// Hears of every row of an answer, as they come.
pub fn each_of(
    connection: &Connection,
    rows: RowStream,
    each: &mut dyn FnMut(&Row) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut rows = pin!(rows.ready_chunks(ROWS));
    while let Some(chunk) = connection.wait(async { Ok(rows.next().await) })? {
        chunk.into_iter().try_for_each(|row| each(&row?))?;
    }
    Ok(())
}

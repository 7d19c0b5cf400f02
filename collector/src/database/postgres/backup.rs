//! All of a ledger out of a database, as of one moment, and into one that has nothing yet.

use std::pin::pin;

use futures_util::TryStreamExt;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::address::Address;
use super::connection::Connection;
use super::{LOCKS, coarse, schema};
use crate::store::StoreError;
use crate::store::tables::{Column, EachItem, Item, Kind, NextItem, TABLES, Table, Value};

/// Rows of one statement, and the bytes of their texts, about.
const ROWS: usize = 500;
const BYTES: usize = 1 << 20;
/// It takes as long as it takes, and waits for others no longer than they would.
const SETTINGS: &str =
    "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '10s';";

/// Gives all of it, from one snapshot.
pub fn read(address: &Address, each: EachItem<'_>) -> Result<(), StoreError> {
    let target = address.target()?;
    let connection = Connection::open(&target, &format!("{} {SETTINGS}", schema::SEARCH))?;
    connection.wait(schema::check(&connection.client, &target.name))?;
    execute(&connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    for table in TABLES {
        each(Item::Table(table))?;
        let sql = select(table);
        let rows = connection.wait(async { Ok(connection.client.query_raw(sql.as_str(), no_values()).await?) })?;
        let mut rows = pin!(rows);
        while let Some(row) = connection.wait(async { Ok(rows.try_next().await?) })? {
            let values = table.columns.iter().enumerate().map(|(at, column)| value(&row, at, column));
            each(Item::Row(values.collect::<Result<_, _>>()?))?;
        }
    }
    execute(&connection, "COMMIT")
}

fn no_values() -> impl ExactSizeIterator<Item = &'static (dyn ToSql + Sync)> {
    std::iter::empty()
}

fn execute(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.wait(async { Ok(connection.client.batch_execute(sql).await?) })
}

fn select(table: &Table) -> String {
    let columns = table.columns.iter().enumerate().map(|(at, column)| {
        let name = column.name;
        match column.kind {
            // The cost is absent where it is the charge.
            Kind::Amount if table.by_writer && column.optional => {
                format!("nullif(sum(coalesce({name}, charge)), sum(charge))::text")
            }
            Kind::Amount if table.by_writer => format!("sum({name})::text"),
            Kind::Number if table.by_writer && at >= table.keys => format!("sum({name})::bigint"),
            Kind::Amount => format!("{name}::text"),
            Kind::Day => format!("to_char({name}, 'YYYY-MM-DD')"),
            _ => name.to_owned(),
        }
    });
    let columns: Vec<String> = columns.collect();
    let keys: Vec<&str> = table.columns.iter().take(table.keys).map(|column| column.name).collect();
    let keys = keys.join(", ");
    let group = if table.by_writer { format!("GROUP BY {keys}") } else { String::new() };
    format!("SELECT {} FROM {} {group} ORDER BY {keys}", columns.join(", "), table.name)
}

fn value(row: &Row, at: usize, column: &Column) -> Result<Value, StoreError> {
    Ok(match column.kind {
        Kind::Number | Kind::Writer | Kind::Entry => {
            row.try_get::<_, Option<i64>>(at)?.map_or(Value::Absent, Value::Number)
        }
        Kind::Text | Kind::Amount | Kind::Day => {
            row.try_get::<_, Option<String>>(at)?.map_or(Value::Absent, Value::Text)
        }
        Kind::Bytes => row.try_get::<_, Option<Vec<u8>>>(at)?.map_or(Value::Absent, Value::Bytes),
    })
}

/// Fills a database that has no ledger yet, or an empty one: in one transaction, while nobody else has one.
pub fn restore(address: &Address, next: NextItem<'_>) -> Result<(), StoreError> {
    let target = address.target()?;
    let connection = Connection::open(&target, schema::SEARCH)?;
    connection.wait(schema::migrate(&connection.client, &target.name, &mut |_| {}))?;
    execute(&connection, &format!("{SETTINGS} BEGIN; SELECT pg_advisory_xact_lock({LOCKS}, -1);"))?;
    for table in TABLES.iter().filter(|table| !table.may_be_in_an_empty_one()) {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", table.name);
        let is_used: bool = connection.wait(async { Ok(connection.client.query_one(&sql, &[]).await?.try_get(0)?) })?;
        if is_used {
            let problem = "has a ledger in it: only an empty one can be restored to";
            return Err(StoreError::Unusable(format!("{}: {problem}", target.name)));
        }
    }
    let mut rows = Rows { connection: &connection, table: None, columns: Vec::new(), count: 0, bytes: 0 };
    while let Some(item) = next()? {
        match item {
            Item::Table(table) => rows.begin(table)?,
            Item::Row(row) => rows.add(row)?,
        }
    }
    rows.write()?;
    connection.wait(coarse::fill_all(&connection.client))?;
    execute(&connection, "COMMIT")?;
    // Whoever asks next must not have to guess how much there is.
    execute(&connection, "ANALYZE ledger, rollup, rollup_days, rollup_months")
}

/// Rows that wait to be written, by column.
struct Rows<'c> {
    connection: &'c Connection,
    table: Option<&'static Table>,
    columns: Vec<Vec<Option<String>>>,
    count: usize,
    bytes: usize,
}

impl Rows<'_> {
    fn begin(&mut self, table: &'static Table) -> Result<(), StoreError> {
        self.write()?;
        self.table = Some(table);
        self.columns = vec![Vec::new(); table.columns.len()];
        Ok(())
    }

    fn add(&mut self, row: Vec<Value>) -> Result<(), StoreError> {
        for (column, value) in self.columns.iter_mut().zip(row) {
            let text = match value {
                Value::Absent => None,
                Value::Number(number) => Some(number.to_string()),
                Value::Text(text) => Some(text),
                Value::Bytes(bytes) => Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
            };
            self.bytes = self.bytes.saturating_add(text.as_ref().map_or(0, String::len));
            column.push(text);
        }
        self.count = self.count.saturating_add(1);
        if self.count >= ROWS || self.bytes >= BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let Some(table) = self.table.filter(|_| self.count > 0) else { return Ok(()) };
        let client = &self.connection.client;
        self.connection.wait(async {
            if table.name == "budget_revision" {
                client.execute("DELETE FROM budget_revision", &[]).await?;
            }
            let values: Vec<&(dyn ToSql + Sync)> =
                self.columns.iter().map(|column| column as &(dyn ToSql + Sync)).collect();
            client.execute(&insert(table), &values).await?;
            Ok(())
        })?;
        self.columns.iter_mut().for_each(Vec::clear);
        (self.count, self.bytes) = (0, 0);
        Ok(())
    }
}

/// All of it comes as text. What is added up over the writers is the first writer's from now on.
fn insert(table: &Table) -> String {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let names = names.join(", ");
    let (to, of) = if table.by_writer { (", writer", ", 1") } else { ("", "") };
    let values = table.columns.iter().map(|Column { name, kind, .. }| match kind {
        Kind::Number | Kind::Writer | Kind::Entry => format!("k.{name}::bigint"),
        Kind::Amount => format!("k.{name}::numeric"),
        Kind::Day => format!("k.{name}::date"),
        Kind::Bytes => format!("decode(k.{name}, 'hex')"),
        Kind::Text => format!("k.{name}"),
    });
    let values = values.collect::<Vec<_>>().join(", ");
    let texts = (1..=table.columns.len()).map(|number| format!("${number}::text[]")).collect::<Vec<_>>().join(", ");
    let table_name = table.name;
    // A collector that runs has begun a chain of its own, which is empty.
    let again = match table.name {
        "chain" => {
            "ON CONFLICT (writer) DO UPDATE SET entry = excluded.entry, hash = excluded.hash, written_ns = excluded.written_ns"
        }
        _ => "",
    };
    format!("INSERT INTO {table_name} ({names}{to}) SELECT {values}{of} FROM unnest({texts}) AS k ({names}) {again}")
}

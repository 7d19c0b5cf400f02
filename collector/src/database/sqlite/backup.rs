//! All of a ledger out of a file, as of one moment, and into one that is new or has nothing yet.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{Connection, Row, TransactionBehavior, params_from_iter};

use super::{Sqlite, SqliteReader, coarse, place, unusable};
use crate::backup::rename;
use crate::store::StoreError;
use crate::store::entry::EntryId;
use crate::store::tables::{Column, EachItem, Item, Kind, NextItem, TABLES, Table, Value};

/// Gives all of it, in one transaction that reads.
pub fn read(reader: &SqliteReader, each: EachItem<'_>) -> Result<(), StoreError> {
    reader.ask(|connection| {
        let connection = connection.unchecked_transaction()?;
        TABLES.into_iter().try_for_each(|table| read_table(&connection, table, each))
    })
}

fn read_table(connection: &Connection, table: &'static Table, each: EachItem<'_>) -> Result<(), StoreError> {
    let columns: Vec<&str> = table.columns.iter().filter(|column| column.kind != Kind::Writer).map(stored).collect();
    let order: Vec<&str> =
        table.columns.iter().take(table.keys).filter(|column| column.kind != Kind::Writer).map(stored).collect();
    let order = if order.is_empty() { "entry".to_owned() } else { order.join(", ") };
    let sql = format!("SELECT {} FROM {} ORDER BY {order}", columns.join(", "), table.name);
    each(Item::Table(table))?;
    let mut select = connection.prepare(&sql)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        each(Item::Row(row_of(table, row)?))?;
    }
    Ok(())
}

/// The column of a number, or of both numbers of an entry.
fn stored(column: &'static Column) -> &'static str {
    match column.kind {
        Kind::Entry => column.name.strip_suffix("_entry").unwrap_or(column.name),
        _ => column.name,
    }
}

fn row_of(table: &Table, row: &Row<'_>) -> Result<Vec<Value>, StoreError> {
    let mut values = Vec::with_capacity(table.columns.len());
    let mut at = 0..;
    for column in table.columns {
        if column.kind == Kind::Writer {
            continue;
        }
        let value = value(row.get_ref(at.next().unwrap_or_default())?)?;
        if column.kind == Kind::Entry {
            let (writer, number) = match value {
                Value::Number(key) => {
                    let EntryId { writer, number } = place::id(key);
                    (Value::Number(writer), Value::Number(number))
                }
                absent => (absent.clone(), absent),
            };
            values.extend([writer, number]);
        } else {
            values.push(value);
        }
    }
    Ok(values)
}

fn value(stored: ValueRef<'_>) -> Result<Value, StoreError> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| unlike("a text that is not UTF-8"));
    Ok(match stored {
        ValueRef::Null => Value::Absent,
        ValueRef::Integer(number) => Value::Number(number),
        ValueRef::Text(bytes) => Value::Text(text(bytes)?),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
        ValueRef::Real(_) => return Err(unlike("a floating-point number")),
    })
}

fn unlike(what: &str) -> StoreError {
    StoreError::Unusable(format!("the ledger has {what} in it, which no version of meshmeter writes"))
}

/// The columns of a table, with its name, as this database has them.
#[cfg(test)]
pub fn names(table: &'static Table) -> Vec<String> {
    let columns = table.columns.iter().filter(|column| column.kind != Kind::Writer);
    columns.map(|column| format!("{}.{}", table.name, stored(column))).collect()
}

/// Makes a ledger of what is given: a new file, which has its name when all of it is there, or within a ledger that has nothing yet.
pub fn restore(path: &Path, next: NextItem<'_>) -> Result<(), StoreError> {
    let failed = |error: io::Error| unusable(path, error);
    if path.try_exists().map_err(failed)? {
        let mut store = Sqlite::open(path)?;
        let tx = store.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        fill(&tx, path, next)?;
        tx.commit()?;
        return store.files.look();
    }
    let partial = Partial::new(path);
    let mut store = Sqlite::open(&partial.0)?;
    // The file is thrown away unless all of it was written.
    store.connection.pragma_update(None, "journal_mode", "OFF")?;
    store.connection.pragma_update(None, "synchronous", "OFF")?;
    let tx = store.connection.transaction()?;
    fill(&tx, path, next)?;
    tx.commit()?;
    store.connection.pragma_update(None, "journal_mode", "WAL")?;
    // Closed before it is opened to be synchronised: no descriptor of it may be closed while SQLite has it.
    store.connection.close().map_err(|(_, error)| error)?;
    partial.keep(path).map_err(failed)
}

/// The file until it is complete.
struct Partial(PathBuf);

impl Partial {
    fn new(path: &Path) -> Partial {
        let mut name = path.as_os_str().to_owned();
        name.push(".restoring");
        let partial = Partial(name.into());
        partial.remove();
        partial
    }

    fn remove(&self) {
        for end in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.0.as_os_str().to_owned();
            name.push(end);
            let _ = fs::remove_file(name);
        }
    }

    fn keep(&self, path: &Path) -> io::Result<()> {
        fs::File::open(&self.0)?.sync_all()?;
        rename(&self.0, path)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(directory)?.sync_all()
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.remove();
    }
}

fn fill(connection: &Connection, path: &Path, next: NextItem<'_>) -> Result<(), StoreError> {
    for table in TABLES.iter().filter(|table| !table.may_be_in_an_empty_one()) {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", table.name);
        if connection.query_row(&sql, [], |row| row.get(0))? {
            return Err(unusable(path, "has a ledger in it: only an empty one can be restored to"));
        }
    }
    let mut table = None;
    while let Some(item) = next()? {
        match item {
            Item::Table(begun) => {
                if begun.may_be_in_an_empty_one() {
                    connection.execute(&format!("DELETE FROM {}", begun.name), [])?;
                }
                table = Some((begun, insert(begun)));
            }
            Item::Row(row) => {
                let Some((table, sql)) = &table else { continue };
                connection.prepare_cached(sql)?.execute(params_from_iter(stored_row(table, row)))?;
            }
        }
    }
    coarse::refill(connection)
}

fn insert(table: &'static Table) -> String {
    let columns: Vec<&str> = table.columns.iter().filter(|column| column.kind != Kind::Writer).map(stored).collect();
    let places = vec!["?"; columns.len()].join(", ");
    format!("INSERT INTO {} ({}) VALUES ({places})", table.name, columns.join(", "))
}

fn stored_row(table: &Table, row: Vec<Value>) -> Vec<Stored> {
    let mut stored = Vec::with_capacity(row.len());
    let mut writer = None;
    for (column, value) in table.columns.iter().zip(row) {
        match (column.kind, value) {
            (Kind::Writer, Value::Number(number)) => writer = Some(number),
            (Kind::Writer, _) => writer = None,
            (Kind::Entry, Value::Number(number)) => {
                let key = writer.map(|writer| place::key(EntryId { writer, number }));
                stored.push(key.map_or(Stored::Null, Stored::Integer));
            }
            (_, Value::Absent) => stored.push(Stored::Null),
            (_, Value::Number(number)) => stored.push(Stored::Integer(number)),
            (_, Value::Text(text)) => stored.push(Stored::Text(text)),
            (_, Value::Bytes(bytes)) => stored.push(Stored::Blob(bytes)),
        }
    }
    stored
}

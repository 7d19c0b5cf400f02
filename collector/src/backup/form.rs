//! The lines of a backup.

use std::fmt;
use std::fmt::Write as _;

use serde::de::{self, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::store::tables::{Column, Kind, TABLES, Value};

/// What the first line says that it is.
pub const FORMAT: &str = "meshmeter backup";
/// The version of the form.
pub const VERSION: u32 = 3;
/// The first one that is read: it had no salts. The second had no sealed months.
pub const OLDEST: u32 = 1;
/// The longest line: several times what a row of the longest event takes.
pub const MAX_LINE: usize = 4 << 20;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub struct First {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// The version of meshmeter that wrote it.
    pub written_by: String,
    /// When it was begun.
    pub begun: String,
}

/// The line before the rows of a table.
#[derive(Debug, Serialize, Deserialize)]
pub struct Begin<'a> {
    /// Its name.
    pub table: &'a str,
    /// The names of its columns.
    #[serde(borrow)]
    pub columns: Vec<&'a str>,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
pub struct End {
    /// What there was.
    pub end: Sum,
}

/// What there was before the last line.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sum {
    /// Rows of all tables.
    pub rows: u64,
    /// The SHA-256 of all lines before, with their ends, hex.
    pub sha256: String,
}

/// A row as it is written: an array.
pub struct Cells<'a>(pub &'a [Value]);

impl Serialize for Cells<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_seq(Some(self.0.len()))?;
        for value in self.0 {
            match value {
                Value::Absent => row.serialize_element(&None::<()>)?,
                Value::Number(number) => row.serialize_element(number)?,
                Value::Text(text) => row.serialize_element(text)?,
                Value::Bytes(bytes) => row.serialize_element(&hex(bytes))?,
            }
        }
        row.end()
    }
}

/// Bytes as hex digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

/// A value as it was read, whatever the column.
#[derive(Debug)]
pub struct Cell(Value);

impl Cell {
    /// The value of a column, if it is one.
    pub fn of(self, column: &Column) -> Option<Value> {
        let value = match (self.0, column.kind) {
            (Value::Text(text), Kind::Bytes) => Value::Bytes(unhex(&text)?),
            (value, _) => value,
        };
        value.fits(column).then_some(value)
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cell, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Cell;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, a text or null")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Cell, E> {
                Ok(Cell(Value::Absent))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Cell, E> {
                Ok(Cell(Value::Number(number)))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Cell, E> {
                i64::try_from(number).map(|number| Cell(Value::Number(number))).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Cell, E> {
                Ok(Cell(Value::Text(text.to_owned())))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// The tables, as a table of the documentation.
pub fn table() -> String {
    let mut text = String::from("| table | what it has | columns |\n|---|---|---|\n");
    for table in TABLES {
        let columns = table.columns.iter().map(|column| {
            let kind = match column.kind {
                Kind::Number | Kind::Writer | Kind::Entry => "",
                Kind::Text => " text",
                Kind::Bytes => " hex",
                Kind::Amount => " decimal",
                Kind::Day => " day",
            };
            let absent = if column.optional { " or null" } else { "" };
            format!("`{}`{kind}{absent}", column.name)
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "| `{}` | {} | {columns} |", table.name, table.help);
    }
    text
}

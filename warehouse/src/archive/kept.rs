//! The columns that an entry is read from.

use jiff::civil::{Date, date};

use super::Kept;
use super::pages::{Leaf, Physical, Unfit};
use crate::row::Position;

/// How many columns are read.
pub const COUNT: usize = 22;
/// Their names and types. Where one of them stands here, it is called by the number.
pub const COLUMNS: [(&str, Physical); COUNT] = [
    ("writer", Physical::Int64),
    ("entry", Physical::Int64),
    ("tenant", Physical::Text),
    ("emitter", Physical::Text),
    ("sequence", Physical::Int64),
    ("kind", Physical::Text),
    ("hash", Physical::Text),
    ("refers_writer", Physical::Int64),
    ("refers_entry", Physical::Int64),
    ("day", Physical::Int32),
    ("adjusts", Physical::Text),
    ("started_ns", Physical::Int64),
    ("received_ns", Physical::Int64),
    ("provider", Physical::Text),
    ("model", Physical::Text),
    ("evidence", Physical::Text),
    ("charge_usd", Physical::Usd),
    ("cost_usd", Physical::Usd),
    ("rating", Physical::Text),
    ("reason", Physical::Text),
    ("event", Physical::Text),
    ("salt", Physical::Text),
];
pub const WRITER: usize = 0;
pub const ENTRY: usize = 1;
pub const TENANT: usize = 2;
pub const EMITTER: usize = 3;
pub const SEQUENCE: usize = 4;
pub const KIND: usize = 5;
/// The column that an export of an earlier version does not have.
pub const SALT: usize = 21;

/// The columns of a row group, which are read row by row.
pub struct Leaves(pub Vec<Leaf>);

impl Leaves {
    /// What a column has in a row. Rows are read in their order; a column that is not asked is not read.
    pub fn value(&mut self, column: usize, row: u64) -> Result<Option<&[u8]>, Unfit> {
        let (name, _) = COLUMNS.get(column).ok_or("has no such column")?;
        let leaf = self.0.get_mut(column).ok_or("has no such column")?;
        leaf.at(row).map_err(|why| format!("column {name}: {why}"))
    }

    fn required(&mut self, column: usize, row: u64) -> Result<&[u8], Unfit> {
        let name = COLUMNS.get(column).map_or("", |(name, _)| name);
        self.value(column, row)?.ok_or_else(|| format!("column {name}: has a row without a value"))
    }

    fn int(&mut self, column: usize, row: u64) -> Result<i64, Unfit> {
        self.required(column, row).and_then(int)
    }

    fn text(&mut self, column: usize, row: u64) -> Result<String, Unfit> {
        self.required(column, row).and_then(text)
    }

    fn optional_text(&mut self, column: usize, row: u64) -> Result<Option<String>, Unfit> {
        self.value(column, row)?.map(text).transpose()
    }

    fn usd(&mut self, column: usize, row: u64) -> Result<i128, Unfit> {
        let bytes = self.required(column, row)?;
        bytes.try_into().map(i128::from_be_bytes).map_err(|_| "has an amount of another length".to_owned())
    }

    /// Where the entry of a row stands.
    pub fn position(&mut self, row: u64) -> Result<Position, Unfit> {
        Ok(Position { writer: self.int(WRITER, row)?, entry: self.int(ENTRY, row)? })
    }

    /// Whether a column has this text.
    pub fn is(&mut self, column: usize, row: u64, text: &str) -> Result<bool, Unfit> {
        self.required(column, row).map(|bytes| bytes == text.as_bytes())
    }

    /// Whether a column has this number.
    pub fn has(&mut self, column: usize, row: u64, number: i64) -> Result<bool, Unfit> {
        self.int(column, row).map(|found| found == number)
    }

    /// The entry of a row.
    pub fn kept(&mut self, row: u64) -> Result<Kept, Unfit> {
        let refers_writer = self.value(7, row)?.map(int).transpose()?;
        let refers_entry = self.value(8, row)?.map(int).transpose()?;
        if refers_writer.is_some() != refers_entry.is_some() {
            return Err("has half of an entry that a row refers to".to_owned());
        }
        let mut hash = [0; 32];
        unhex(self.required(6, row)?, &mut hash)?;
        let salt = match self.value(SALT, row)? {
            Some(digits) => {
                let mut salt = vec![0; digits.len() >> 1];
                unhex(digits, &mut salt)?;
                Some(salt)
            }
            None => None,
        };
        Ok(Kept {
            position: self.position(row)?,
            hash,
            kind: self.text(KIND, row)?,
            refers: refers_writer.zip(refers_entry).map(|(writer, entry)| Position { writer, entry }),
            emitter: self.text(EMITTER, row)?,
            sequence: self.int(SEQUENCE, row)?,
            day: day(self.required(9, row)?)?,
            adjusts: self.optional_text(10, row)?,
            started_ns: self.int(11, row)?,
            received_ns: self.int(12, row)?,
            tenant: self.text(TENANT, row)?,
            provider: self.text(13, row)?,
            model: self.text(14, row)?,
            evidence: self.text(15, row)?,
            charge: self.usd(16, row)?,
            cost: self.usd(17, row)?,
            rating: self.optional_text(18, row)?,
            reason: self.optional_text(19, row)?,
            event: self.optional_text(20, row)?,
            salt,
        })
    }
}

fn int(bytes: &[u8]) -> Result<i64, Unfit> {
    bytes.try_into().map(i64::from_le_bytes).map_err(|_| "has a number of another length".to_owned())
}

/// A text, as UTF-8.
pub fn text(bytes: &[u8]) -> Result<String, Unfit> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| "has a text that is not UTF-8".to_owned())
}

fn day(bytes: &[u8]) -> Result<Date, Unfit> {
    let days = bytes.try_into().map(i32::from_le_bytes).ok();
    let date = days.and_then(|days| {
        let span = jiff::Span::new().try_days(days).ok()?;
        date(1970, 1, 1).checked_add(span).ok()
    });
    date.ok_or_else(|| "has a day that is none".to_owned())
}

fn unhex(digits: &[u8], bytes: &mut [u8]) -> Result<(), Unfit> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    if digits.len() >> 1 != bytes.len() || digits.len() & 1 == 1 {
        return Err("has hex digits of another length".to_owned());
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = match pair {
            [high, low] => value(*high).zip(value(*low)),
            _ => None,
        };
        let (high, low) = pair.ok_or("has something else than hex digits")?;
        *byte = high << 4 | low;
    }
    Ok(())
}

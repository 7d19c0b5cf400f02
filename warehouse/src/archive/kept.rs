//! The columns that an entry is read from.

use jiff::civil::{Date, date};

use super::Kept;
use super::groups::{Unfit, Value};
use crate::row::Position;

/// Their names. Where one of them stands here, it is called by the number.
pub const COLUMNS: [&str; 22] = [
    "writer",
    "entry",
    "tenant",
    "emitter",
    "sequence",
    "kind",
    "hash",
    "refers_writer",
    "refers_entry",
    "day",
    "adjusts",
    "started_ns",
    "received_ns",
    "provider",
    "model",
    "evidence",
    "charge_usd",
    "cost_usd",
    "rating",
    "reason",
    "event",
    "salt",
];
pub const WRITER: usize = 0;
pub const ENTRY: usize = 1;
pub const TENANT: usize = 2;
pub const EMITTER: usize = 3;
pub const SEQUENCE: usize = 4;
pub const KIND: usize = 5;
/// The column that an export of an earlier version does not have.
pub const SALT: usize = 21;

/// What some rows have, column by column.
#[derive(Default)]
pub struct Batch {
    values: Vec<Vec<Value>>,
    rows: usize,
    /// The row that is taken next.
    next: usize,
}

impl Batch {
    /// So many rows.
    pub fn new(rows: usize, values: Vec<Vec<Value>>) -> Batch {
        Batch { values, rows, next: 0 }
    }

    /// The entry of the next row.
    pub fn next(&mut self) -> Result<Option<Kept>, Unfit> {
        if self.next == self.rows {
            return Ok(None);
        }
        let kept = Row { values: &self.values, row: self.next }.kept()?;
        self.next = self.next.saturating_add(1);
        Ok(Some(kept))
    }
}

/// A row of them.
struct Row<'b> {
    values: &'b [Vec<Value>],
    row: usize,
}

impl<'b> Row<'b> {
    fn number(&self, column: usize) -> Result<Option<i64>, Unfit> {
        match self.values.get(column).and_then(|values| values.get(self.row)) {
            Some(Value::Number(number)) => Ok(Some(*number)),
            Some(Value::Absent) => Ok(None),
            _ => Err(unfit(column, "is of another type")),
        }
    }

    fn bytes(&self, column: usize) -> Result<Option<&'b [u8]>, Unfit> {
        match self.values.get(column).and_then(|values| values.get(self.row)) {
            Some(Value::Bytes(bytes)) => Ok(Some(bytes.data())),
            Some(Value::Absent) => Ok(None),
            _ => Err(unfit(column, "is of another type")),
        }
    }

    fn int(&self, column: usize) -> Result<i64, Unfit> {
        self.number(column)?.ok_or_else(|| unfit(column, NO_VALUE))
    }

    fn text(&self, column: usize) -> Result<String, Unfit> {
        self.optional_text(column)?.ok_or_else(|| unfit(column, NO_VALUE))
    }

    fn optional_text(&self, column: usize) -> Result<Option<String>, Unfit> {
        let text = self.bytes(column)?.map(std::str::from_utf8).transpose();
        text.map(|text| text.map(str::to_owned)).map_err(|_| unfit(column, "has a text that is not UTF-8"))
    }

    fn usd(&self, column: usize) -> Result<i128, Unfit> {
        let amount = self.bytes(column)?.and_then(|bytes| bytes.try_into().ok());
        amount.map(i128::from_be_bytes).ok_or_else(|| unfit(column, "has an amount of another length"))
    }

    fn hash(&self) -> Result<[u8; 32], Unfit> {
        let mut hash = [0; 32];
        unhex(self.bytes(6)?.unwrap_or_default(), &mut hash)?;
        Ok(hash)
    }

    fn salt(&self) -> Result<Option<Vec<u8>>, Unfit> {
        let Some(digits) = self.bytes(SALT)? else { return Ok(None) };
        let mut salt = vec![0; digits.len() >> 1];
        unhex(digits, &mut salt)?;
        Ok(Some(salt))
    }

    fn kept(&self) -> Result<Kept, Unfit> {
        let (refers_writer, refers_entry) = (self.number(7)?, self.number(8)?);
        if refers_writer.is_some() != refers_entry.is_some() {
            return Err("has half of an entry that a row refers to".to_owned());
        }
        Ok(Kept {
            position: Position { writer: self.int(WRITER)?, entry: self.int(ENTRY)? },
            hash: self.hash()?,
            kind: self.text(KIND)?,
            refers: refers_writer.zip(refers_entry).map(|(writer, entry)| Position { writer, entry }),
            emitter: self.text(EMITTER)?,
            sequence: self.int(SEQUENCE)?,
            day: day(self.int(9)?)?,
            adjusts: self.optional_text(10)?,
            started_ns: self.int(11)?,
            received_ns: self.int(12)?,
            tenant: self.text(TENANT)?,
            provider: self.text(13)?,
            model: self.text(14)?,
            evidence: self.text(15)?,
            charge: self.usd(16)?,
            cost: self.usd(17)?,
            rating: self.optional_text(18)?,
            reason: self.optional_text(19)?,
            event: self.optional_text(20)?,
            salt: self.salt()?,
        })
    }
}

const NO_VALUE: &str = "has a row without a value";

fn unfit(column: usize, why: &str) -> Unfit {
    format!("column {}: {why}", COLUMNS.get(column).copied().unwrap_or_default())
}

fn day(days: i64) -> Result<Date, Unfit> {
    let span = jiff::Span::new().try_days(days);
    let date = span.and_then(|span| date(1970, 1, 1).checked_add(span));
    date.map_err(|_| "has a day that is none".to_owned())
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

//! A backup on its way into a ledger.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;
use sha2::{Digest, Sha256};

use super::check::Chains;
use super::form::{Begin, Cell, End, FORMAT, First, MAX_LINE, OLDEST, VERSION, hex};
use crate::store::tables::{Column, Item, TABLES, Table, Value};
use crate::store::{Head, StoreError};

/// A backup that is read.
pub struct Reading<R: BufRead> {
    from: BufReader<GzDecoder<R>>,
    sha: Sha256,
    line: Vec<u8>,
    /// Its number, from 1.
    number: u64,
    /// The version of its form.
    version: u32,
    /// The table whose rows come, and how many have begun.
    table: Option<&'static Table>,
    begun: usize,
    rows: u64,
    chains: Chains,
    has_ended: bool,
}

impl<R: BufRead> Reading<R> {
    /// Begins with its first line.
    pub fn new(from: R) -> Result<Reading<R>, StoreError> {
        let (sha, line, number, version, table, begun, rows, chains, has_ended) = Default::default();
        let from = BufReader::with_capacity(1 << 16, GzDecoder::new(from));
        let mut reading = Reading { from, sha, line, number, version, table, begun, rows, chains, has_ended };
        let foreign = || StoreError::Unusable("is not a backup of meshmeter".to_owned());
        match reading.next_line() {
            Ok(true) => {}
            // What is none need not be compressed.
            Ok(false) => return Err(foreign()),
            Err(problem) if reading.line.is_empty() && problem != CUT => return Err(foreign()),
            Err(problem) => return Err(reading.wrong(&problem)),
        }
        // A later version may say more.
        let first: First = serde_json::from_slice(&reading.line).map_err(|_| foreign())?;
        match (first.format.as_str(), first.version) {
            (FORMAT, version @ OLDEST..=VERSION) => Ok(Reading { version, ..reading }),
            (FORMAT, version) => Err(StoreError::Unusable(format!(
                "was written by another version of meshmeter: its form is {version}, and this one reads {OLDEST} to {VERSION}"
            ))),
            _ => Err(foreign()),
        }
    }

    /// Entries that there are in all, as far as is known; and rows that were read.
    pub fn progress(&self) -> (u64, u64) {
        (self.chains.entries(), self.rows)
    }

    /// Where the chains end, when all of it was read.
    pub fn heads(&self) -> Result<Vec<Head>, StoreError> {
        self.chains.heads().map_err(|problem| self.wrong(&problem))
    }

    /// The next table or row; nothing when it was right to the end.
    pub fn item(&mut self) -> Result<Option<Item>, StoreError> {
        if self.has_ended {
            return Ok(None);
        }
        let item = self.next_line().and_then(|is_there| match is_there {
            true => self.read_line(),
            false => Err(CUT.to_owned()),
        });
        item.map_err(|problem| self.wrong(&problem))
    }

    fn read_line(&mut self) -> Result<Option<Item>, String> {
        if self.line.first() == Some(&b'[') {
            let table = self.table.ok_or("a row is there before its table")?;
            let row = self.row(table)?;
            self.chains.row(table, &row)?;
            self.rows = self.rows.saturating_add(1);
            return Ok(Some(Item::Row(row)));
        }
        if let Ok(End { end }) = serde_json::from_slice(&self.line) {
            let sha256 = std::mem::take(&mut self.sha);
            let missing = self.next_table().map(|(_, table, _)| format!("the table {} is missing", table.name));
            return match missing {
                Some(missing) => Err(missing),
                None if end.sha256 != hex(&sha256.finalize()) => Err("the checksum is another".to_owned()),
                None if end.rows != self.rows => Err("rows are missing".to_owned()),
                None => self.end(),
            };
        }
        let begin: Begin<'_> = serde_json::from_slice(&self.line).map_err(|_| "the line cannot be read")?;
        let (number, expected, columns) = self.next_table().ok_or("there is one table too many")?;
        let columns = columns.iter().map(|column| column.name);
        if begin.table != expected.name || !begin.columns.iter().copied().eq(columns) {
            return Err(format!("the table {} is not there, or not in its form", expected.name));
        }
        self.begun = number;
        self.table = Some(expected);
        self.digest();
        Ok(Some(Item::Table(expected)))
    }

    /// The table that comes next, with its number, from 1, and the columns that it has in this form.
    fn next_table(&self) -> Option<(usize, &'static Table, &'static [Column])> {
        let mut rest = (1..).zip(TABLES).skip(self.begun);
        rest.find_map(|(number, table)| Some((number, table, table.columns_in(self.version)?)))
    }

    fn row(&mut self, table: &Table) -> Result<Vec<Value>, String> {
        let cells: Vec<Cell> = serde_json::from_slice(&self.line).map_err(|_| "the row cannot be read")?;
        let columns = table.columns_in(self.version).unwrap_or_default();
        if cells.len() != columns.len() {
            return Err(format!("the row is not one of {}", table.name));
        }
        let values = cells.into_iter().zip(columns).map(|(cell, column)| {
            cell.of(column).ok_or_else(|| format!("the {} of a row of {} cannot be read", column.name, table.name))
        });
        let mut values = values.collect::<Result<Vec<_>, _>>()?;
        // What the form did not have yet.
        values.resize(table.columns.len(), Value::Absent);
        self.digest();
        Ok(values)
    }

    /// Nothing may stand behind the end.
    fn end(&mut self) -> Result<Option<Item>, String> {
        self.chains.heads()?;
        self.has_ended = true;
        let mut behind = [0];
        // This reads the end of gzip, too, which has a checksum of its own.
        let more = self.from.read(&mut behind).map_err(|error| problem(&error))?;
        let rest = self.from.get_mut().get_mut().fill_buf().map_err(|error| error.to_string())?;
        if more > 0 || !rest.is_empty() { Err("something stands behind its end".to_owned()) } else { Ok(None) }
    }

    /// The line before is of those that the checksum is of.
    fn digest(&mut self) {
        self.sha.update(&self.line);
    }

    /// Reads the next line; false if there is none.
    fn next_line(&mut self) -> Result<bool, String> {
        self.line.clear();
        self.number = self.number.saturating_add(1);
        let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        let read = (&mut self.from).take(limit).read_until(b'\n', &mut self.line).map_err(|error| problem(&error))?;
        match self.line.last() {
            _ if read == 0 => Ok(false),
            Some(b'\n') => {
                if self.number == 1 {
                    self.digest();
                }
                Ok(true)
            }
            _ if read >= MAX_LINE => Err("the line is too long".to_owned()),
            _ => Err(CUT.to_owned()),
        }
    }

    fn wrong(&self, problem: &str) -> StoreError {
        StoreError::Unusable(format!("line {}: {problem}: the backup cannot be used", self.number))
    }
}

const CUT: &str = "it ends too early";

fn problem(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => CUT.to_owned(),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => "it was altered or damaged".to_owned(),
        _ => error.to_string(),
    }
}

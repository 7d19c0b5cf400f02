//! Whether what is kept for the database's own use is what it is made of.

use rusqlite::{Connection, OptionalExtension, Row};

use super::read::sum;
use crate::database::checks::{BUDGETS, STRAY, budget, stray};
use crate::database::coarse::adding::{Counts, SumRow};
use crate::database::coarse::amounts;
use crate::database::coarse::comparing::{Comparing, question};
use crate::store::StoreError;

/// Columns that tell sums of days apart.
const DAYS: [&str; 5] = ["day", "adjusts", "provider", "model", "evidence"];
/// Those of sums of months.
const MONTHS: [&str; 6] = ["month", "tenant", "adjusts", "provider", "model", "evidence"];

/// The first that is wrong.
pub fn contradiction(connection: &Connection) -> Result<Option<String>, StoreError> {
    for (sql, what) in STRAY {
        let row: Option<String> = connection.query_row(sql, [], |row| row.get(0)).optional()?;
        if let Some(row) = row {
            return Ok(Some(stray(what, &row)));
        }
    }
    let mut select = connection.prepare(BUDGETS)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (name, number, definition): (String, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let problem = budget(&name, number, &definition);
        if problem.is_some() {
            return Ok(problem);
        }
    }
    match compared(connection, "rollup_days", &DAYS)? {
        None => compared(connection, "rollup_months", &MONTHS),
        problem => Ok(problem),
    }
}

/// Compares a table of sums of sums with the rollup. SQLite sorts, in a temporary file: here only one key is in memory.
fn compared(connection: &Connection, table: &str, columns: &[&str]) -> Result<Option<String>, StoreError> {
    let sql = question(table, columns, "substr(day, 1, 7)", "NULL");
    let mut comparing = Comparing::new(columns.len());
    let mut select = connection.prepare(&sql)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        comparing.row(&Read { row, counts: columns.len() })?;
    }
    Ok(comparing.problem())
}

/// A row, and the column of the counts of all classes; those of one follow.
struct Read<'r, 's> {
    row: &'r Row<'s>,
    counts: usize,
}

impl SumRow for Read<'_, '_> {
    fn text(&self, column: usize) -> Result<&str, StoreError> {
        Ok(self.row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?)
    }

    fn counts(&self, _: usize) -> Result<Counts<'_>, StoreError> {
        if let Some(all) = self.row.get_ref(self.counts)?.as_blob_or_null().map_err(rusqlite::Error::from)? {
            return Ok(Counts::All(all));
        }
        let word = self.counts.saturating_add(1);
        Ok(Counts::One(self.text(word)?, amounts(&sum(self.row, word.saturating_add(1))?)))
    }
}

//! Whether what is kept for the database's own use is what it is made of.

use tokio_postgres::Row;

use super::known::sum;
use super::reader::PostgresReader;
use super::schema;
use crate::database::checks::{BUDGETS, STRAY, budget, stray};
use crate::database::coarse::adding::{Counts, SumRow};
use crate::database::coarse::amounts;
use crate::database::coarse::comparing::{Comparing, question};
use crate::store::StoreError;

/// Columns that tell sums of days apart; each writer has its own.
const DAYS: [&str; 6] = [DAY, "adjusts", "provider", "model", "evidence", WRITER];
/// Those of sums of months.
const MONTHS: [&str; 7] = ["month", "tenant", "adjusts", "provider", "model", "evidence", WRITER];

/// As texts.
const DAY: &str = "to_char(day, 'YYYY-MM-DD') COLLATE \"C\"";
const WRITER: &str = "writer::text COLLATE \"C\"";
/// The column `month`, of the rollup.
const MONTH: &str = "to_char(day, 'YYYY-MM') COLLATE \"C\"";

/// The first that is wrong.
pub fn contradiction(reader: &PostgresReader) -> Result<Option<String>, StoreError> {
    let versions = reader.all("SELECT version FROM version ORDER BY version", &[], |row| Ok(row.try_get(0)?))?;
    if !schema::are_all(&versions) {
        return Ok(Some("the versions that the schema has had are not all there".to_owned()));
    }
    for (sql, what) in STRAY {
        let row = reader.all(sql, &[], |row| Ok(row.try_get::<_, String>(0)?))?.pop();
        if let Some(row) = row {
            return Ok(Some(stray(what, &row)));
        }
    }
    let read = |row: &Row| Ok(budget(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    if let Some(problem) = reader.all(BUDGETS, &[], read)?.into_iter().flatten().next() {
        return Ok(Some(problem));
    }
    match compared(reader, "rollup_days", &DAYS)? {
        None => compared(reader, "rollup_months", &MONTHS),
        problem => Ok(problem),
    }
}

/// Compares a table of sums of sums with the rollup. The server sorts: here only one key is in memory.
fn compared(reader: &PostgresReader, table: &str, columns: &[&str]) -> Result<Option<String>, StoreError> {
    let sql = question(table, columns, MONTH, "NULL::bytea");
    let mut comparing = Comparing::new(columns.len());
    reader.each_as_it_is(&sql, &mut |row| comparing.row(&Read { row, counts: columns.len() }))?;
    Ok(comparing.problem())
}

/// A row, and the column of the counts of all classes; those of one follow.
struct Read<'r> {
    row: &'r Row,
    counts: usize,
}

impl SumRow for Read<'_> {
    fn text(&self, column: usize) -> Result<&str, StoreError> {
        Ok(self.row.try_get(column)?)
    }

    fn counts(&self, _: usize) -> Result<Counts<'_>, StoreError> {
        if let Some(all) = self.row.try_get(self.counts)? {
            return Ok(Counts::All(all));
        }
        let word = self.counts.saturating_add(1);
        Ok(Counts::One(self.text(word)?, amounts(&sum(self.row, word.saturating_add(1))?)))
    }
}

//! Adds up sums for a report: SQLite has no exact decimal numbers, and grouping in it would sort every row.
//!
//! Rows of one tenant, and of what is below it, are looked for day by day and month by month.

use jiff::civil::Date;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::open::at_one_moment;
use super::read::sum;
use crate::database::coarse::adding::{self, Adding, Counts, SumRow};
use crate::database::coarse::amounts;
use crate::database::coarse::plan::{Part, Table};
use crate::store::{Dimension, Each, Selection, StoreError, Total};

/// The columns that the rows of a table are in the order of, before the tenant: what tells its parts apart.
fn parts(table: Table) -> &'static [&'static str] {
    match table {
        Table::Rollup => &["day", "adjusts"],
        Table::Days => &["day"],
        Table::Months => &["month"],
    }
}

fn column(table: Table, dimension: Dimension) -> &'static str {
    match (dimension, table) {
        (Dimension::Month, Table::Rollup | Table::Days) => "substr(day, 1, 7)",
        _ => dimension.name(),
    }
}

/// The first and the last day or month of a part, or what is before every one and behind it.
fn bounds(part: &Part) -> [String; 2] {
    let text = |date: Date| match part.table {
        Table::Rollup | Table::Days => date.to_string(),
        Table::Months => date.strftime("%Y-%m").to_string(),
    };
    [part.first.map_or_else(String::new, text), part.last.map_or_else(|| "9999-12-31".to_owned(), text)]
}

/// The totals.
pub fn totals(
    connection: &Connection,
    selection: &Selection,
    by: &[Dimension],
    each: Each<'_, Total>,
) -> Result<(), StoreError> {
    at_one_moment(connection, |connection| from_tables(connection, selection, by, each))
}

fn from_tables(
    connection: &Connection,
    selection: &Selection,
    by: &[Dimension],
    each: Each<'_, Total>,
) -> Result<(), StoreError> {
    let mut count =
        connection.prepare_cached("SELECT count(DISTINCT day) FROM rollup_days WHERE day >= ?1 AND day <= ?2")?;
    let mut days =
        |first: Date, last: Date| Ok(count.query_row([first.to_string(), last.to_string()], |row| row.get(0))?);
    adding::totals(selection, by, &mut days, each, |of, adding, each| part(connection, selection, by, of, adding, each))
}

/// The first part of a table that has rows, from a day or month on, or behind a part.
fn next_part(
    connection: &Connection,
    table: Table,
    operator: &str,
    than: &[String],
) -> Result<Option<Vec<String>>, StoreError> {
    let all = parts(table);
    let compared = all.get(..than.len()).unwrap_or_default().join(", ");
    let values: Vec<String> = (1..=than.len()).map(|at| format!("?{at}")).collect();
    let sql = format!(
        "SELECT {parts} FROM {} WHERE ({compared}) {operator} ({}) ORDER BY {parts} LIMIT 1",
        table.name(),
        values.join(", "),
        parts = all.join(", ")
    );
    let read = |row: &Row<'_>| (0..all.len()).map(|column| row.get(column)).collect::<Result<Vec<String>, _>>();
    Ok(connection.prepare_cached(&sql)?.query_row(params_from_iter(than), read).optional()?)
}

/// Adds a part of a table.
fn part(
    connection: &Connection,
    selection: &Selection,
    by: &[Dimension],
    part: &Part,
    adding: &mut Adding,
    each: Each<'_, Total>,
) -> Result<(), StoreError> {
    let Part { table, is_less, .. } = *part;
    let [first, last] = bounds(part);
    let apart: String = by.iter().map(|dimension| format!("{}, ", column(table, *dimension))).collect();
    let select = format!("SELECT {apart}evidence, {} FROM {}", table.counts(), table.name());
    let mut read = |sql: &str, values: Vec<Value>| -> Result<(), StoreError> {
        let mut select = connection.prepare_cached(sql)?;
        let mut rows = select.query(params_from_iter(values))?;
        while let Some(row) = rows.next()?.filter(|_| !adding.is_too_much) {
            adding.row(&Read { row, table }, is_less, &mut *each)?;
        }
        Ok(())
    };
    let columns = parts(table);
    let Some(tenant) = &selection.tenant else {
        let column = columns.first().copied().unwrap_or_default();
        return read(&format!("{select} WHERE {column} >= ?1 AND {column} <= ?2"), vec![first.into(), last.into()]);
    };
    let mut found = next_part(connection, table, ">=", std::slice::from_ref(&first))?;
    while let Some(parts) = found.filter(|parts| parts.first().is_some_and(|part| *part <= last)) {
        let apart = (1..).zip(columns).map(|(at, part)| format!("{part} = ?{at} AND "));
        let (apart, at) = (apart.collect::<String>(), parts.len().saturating_add(1));
        let values = parts.iter().chain([tenant]).cloned().map(Value::from);
        // What is below, too: a `0` is the next character behind a `/`.
        let below = format!("tenant >= ?{at} || '/' AND tenant < ?{at} || '0'");
        for whose in [format!("tenant = ?{at}"), below] {
            read(&format!("{select} WHERE {apart}{whose}"), values.clone().collect())?;
        }
        found = next_part(connection, table, ">", &parts)?;
    }
    Ok(())
}

/// A row, and the table that it is of.
struct Read<'r, 's> {
    row: &'r Row<'s>,
    table: Table,
}

impl SumRow for Read<'_, '_> {
    fn text(&self, column: usize) -> Result<&str, StoreError> {
        Ok(self.row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?)
    }

    fn counts(&self, column: usize) -> Result<Counts<'_>, StoreError> {
        Ok(match self.table {
            Table::Rollup => Counts::One(self.text(column)?, amounts(&sum(self.row, column.saturating_add(1))?)),
            Table::Days | Table::Months => {
                Counts::All(self.row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from)?)
            }
        })
    }
}

/// Rows of the rollup that are asked for: `selected` has the values.
pub const SELECTED: &str = "day >= coalesce(?1, '') AND day <= coalesce(?2, '9999-12-31')
    AND (?3 IS NULL OR tenant = ?3 OR substr(tenant, 1, length(?3) + 1) = ?3 || '/')";

pub fn selected(selection: &Selection) -> [Option<String>; 3] {
    let text = |date: Option<jiff::civil::Date>| date.map(|date| date.to_string());
    [text(selection.since), text(selection.until), selection.tenant.clone()]
}

/// How many events are quarantined, and how many calls may have no price.
///
/// What was priced after its month was closed is taken from the sums of a later day, which name that month: there it is
/// told whether anything of the month is left.
pub const TALLY: &str = "WITH open AS (SELECT *, iif(adjusts = '', substr(day, 1, 7), adjusts) AS month
                FROM rollup WHERE unpriced <> 0)
            SELECT (SELECT count(*) FROM quarantined WHERE kind = 'alarm' AND released IS NULL),
                (SELECT count(*) FROM quarantined WHERE kind = 'dead_letter' AND released IS NULL),
                (SELECT coalesce(sum(quantity), 0) FROM rollup WHERE class = 'calls'
                    AND (day, adjusts, tenant, provider, model, evidence) IN
                        (SELECT day, adjusts, tenant, provider, model, evidence FROM open WHERE unpriced > 0)
                    AND (iif(adjusts = '', substr(day, 1, 7), adjusts), tenant, provider, model, evidence) IN
                        (SELECT month, tenant, provider, model, evidence FROM open
                         GROUP BY month, tenant, provider, model, evidence, class HAVING sum(unpriced) > 0))";

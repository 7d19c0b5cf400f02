//! Adds up sums for a report: from the coarsest that have what is asked for, as of one moment.
//!
//! Rows are added up here, as they come: the server's own grouping takes several times as long, for every amount is a number of any
//! size there.

use jiff::civil::Date;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::connection::Connection;
use super::known::sum;
use super::reader::{PostgresReader, each_of};
use crate::database::coarse::adding::{self, Adding, Counts, SumRow};
use crate::database::coarse::amounts;
use crate::database::coarse::plan::{Part, Table};
use crate::store::{Dimension, Each, Selection, StoreError, Total};

/// Rows of the rollup that are asked for: `selected` has the values.
pub const SELECTED: &str = "($1::text IS NULL OR day >= $1::text::date) AND ($2::text IS NULL OR day <= $2::text::date)
    AND ($3::text IS NULL OR tenant = $3 OR starts_with(tenant, $3 || '/'))";

pub fn selected(selection: &Selection) -> [Option<String>; 3] {
    let text = |date: Option<jiff::civil::Date>| date.map(|date| date.to_string());
    [text(selection.since), text(selection.until), selection.tenant.clone()]
}

/// The column by which the rows of a table are told apart first.
fn when(table: Table) -> &'static str {
    match table {
        Table::Rollup | Table::Days => "day",
        Table::Months => "month",
    }
}

/// A dimension as a text.
fn column(table: Table, dimension: Dimension) -> &'static str {
    match (dimension, table) {
        (Dimension::Day, _) => "to_char(r.day, 'YYYY-MM-DD')",
        (Dimension::Month, Table::Rollup | Table::Days) => "to_char(r.day, 'YYYY-MM')",
        (Dimension::Month, Table::Months) => "r.month",
        (Dimension::Adjusts, _) => "r.adjusts",
        (Dimension::Tenant, _) => "r.tenant",
        (Dimension::Provider, _) => "r.provider",
        (Dimension::Model, _) => "r.model",
    }
}

/// The first and the last day or month of a part.
fn bounds(part: &Part) -> [Option<String>; 2] {
    let text = |date: Date| match part.table {
        Table::Rollup | Table::Days => date.to_string(),
        Table::Months => date.strftime("%Y-%m").to_string(),
    };
    [part.first.map(text), part.last.map(text)]
}

/// Asks for the rows of a part: its first, its last, and the tenant if there is one.
fn sql(table: Table, by: &[Dimension], [has_first, has_last]: [bool; 2], has_tenant: bool) -> String {
    let apart: String = by.iter().map(|dimension| format!("{}, ", column(table, *dimension))).collect();
    let (name, counts, when) = (table.name(), table.counts(), when(table));
    let cast = if table == Table::Months { "" } else { "::date" };
    // Both are named, so that a question always has as many values.
    let bound = |has: bool, column: &str, operator: &str, value: &str| match has {
        true => format!("{column} {operator} {value}::text{cast}"),
        false => format!("{value}::text IS NULL"),
    };
    let within =
        |column: &str| format!("{} AND {}", bound(has_first, column, ">=", "$1"), bound(has_last, column, "<=", "$2"));
    let select = format!("SELECT {apart}r.evidence, {counts} FROM");
    if !has_tenant {
        return format!("{select} {name} r WHERE {}", within(&format!("r.{when}")));
    }
    // What has rows there is told by the sums without tenants, which are few; then each is one range of the index, and what is below
    // the tenant another: a `0` is the next character behind a `/`.
    let (parts, same) = match table {
        Table::Months => ("DISTINCT to_char(day, 'YYYY-MM') AS month", "r.month = p.month"),
        Table::Rollup | Table::Days => ("DISTINCT day, adjusts", "r.day = p.day AND r.adjusts = p.adjusts"),
    };
    let of = |whose: &str| format!("SELECT * FROM {name} r WHERE {same} AND {whose}");
    format!(
        "{select} (SELECT {parts} FROM rollup_days) p CROSS JOIN LATERAL ({} UNION ALL {}) r WHERE {}",
        of("r.tenant = $3"),
        of("r.tenant >= $3 || '/' AND r.tenant < $3 || '0'"),
        within(&format!("p.{when}")),
    )
}

/// The totals.
pub fn totals(
    reader: &PostgresReader,
    selection: &Selection,
    by: &[Dimension],
    each: Each<'_, Total>,
) -> Result<(), StoreError> {
    reader.together(|connection| {
        let mut days = |first: Date, last: Date| {
            let sql = "SELECT count(DISTINCT day) FROM rollup_days WHERE day BETWEEN $1::text::date AND $2::text::date";
            let [first, last] = [first, last].map(|day| day.to_string());
            connection.wait(async { Ok(connection.client.query_one(sql, &[&first, &last]).await?.try_get(0)?) })
        };
        adding::totals(selection, by, &mut days, each, |of, adding, each| {
            part(connection, selection, by, of, adding, each)
        })
    })
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
    let sql = sql(table, by, [first.is_some(), last.is_some()], selection.tenant.is_some());
    let tenant = selection.tenant.as_ref();
    let values: [&(dyn ToSql + Sync); 3] = [&first, &last, &tenant];
    let values = values.into_iter().take(if tenant.is_some() { 3 } else { 2 });
    let rows = connection.wait(async { Ok(connection.client.query_raw(&sql, values).await?) })?;
    each_of(connection, rows, &mut |row| match adding.is_too_much {
        true => Ok(()),
        false => adding.row(&Read { row, table }, is_less, &mut *each),
    })
}

/// A row, and the table that it is of.
struct Read<'r> {
    row: &'r Row,
    table: Table,
}

impl SumRow for Read<'_> {
    fn text(&self, column: usize) -> Result<&str, StoreError> {
        Ok(self.row.try_get(column)?)
    }

    fn counts(&self, column: usize) -> Result<Counts<'_>, StoreError> {
        Ok(match self.table {
            Table::Rollup => Counts::One(self.text(column)?, amounts(&sum(self.row, column.saturating_add(1))?)),
            Table::Days | Table::Months => Counts::All(self.row.try_get(column)?),
        })
    }
}

/// How many events are quarantined, and how many calls may have no price.
///
/// A charge that one collector entered may have been taken back by another. What was priced after its month was closed
/// is taken from the sums of a later day, which name that month: there it is told whether anything of the month is left.
pub const TALLY: &str =
    "WITH open AS (SELECT *, CASE adjusts WHEN '' THEN to_char(day, 'YYYY-MM') ELSE adjusts END AS month
                FROM rollup WHERE unpriced <> 0)
            SELECT (SELECT count(*) FROM quarantined WHERE kind = 'alarm' AND released_entry IS NULL),
                (SELECT count(*) FROM quarantined WHERE kind = 'dead_letter' AND released_entry IS NULL),
                (SELECT coalesce(sum(quantity), 0)::bigint FROM rollup WHERE class = 'calls'
                    AND (day, adjusts, tenant, provider, model, evidence) IN
                        (SELECT day, adjusts, tenant, provider, model, evidence FROM open
                         GROUP BY day, adjusts, tenant, provider, model, evidence, class HAVING sum(unpriced) > 0)
                    AND (CASE adjusts WHEN '' THEN to_char(day, 'YYYY-MM') ELSE adjusts END,
                         tenant, provider, model, evidence) IN
                        (SELECT month, tenant, provider, model, evidence FROM open
                         GROUP BY month, tenant, provider, model, evidence, class HAVING sum(unpriced) > 0))";

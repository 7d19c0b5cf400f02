//! Adds up sums for a report: SQLite has no exact decimal numbers, and grouping in it would sort every row.
//!
//! What asks for no tenant is read from the sums of days without tenants; whole months of tenants from the sums of months; the rest
//! from the rollup itself. Rows of one tenant, and of what is below it, are looked for day by day and month by month.

use std::collections::HashMap;

use jiff::civil::Date;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use wire::record::Evidence;

use super::coarse::{self, Packed};
use super::open::at_one_moment;
use super::read::{known_word, sum};
use crate::money::Charge;
use crate::store::sums::Counted;
use crate::store::{Dimension, Each, Selection, StoreError, Total};

/// Ends each text of a key: no UTF-8 has it.
const END: u8 = 0xff;

/// Totals in memory at once. A report of more lines gets some of them in parts; in tests nearly every one does.
const TOTALS: usize = if cfg!(test) { 2 } else { 1 << 15 };

/// A table of sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    /// By day and tenant, a row for each class.
    Rollup,
    /// By day, without tenants.
    Days,
    /// By month and tenant.
    Months,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Table::Rollup => "rollup",
            Table::Days => "rollup_days",
            Table::Months => "rollup_months",
        }
    }

    /// The columns that its rows are in the order of, before the tenant: what tells its parts apart.
    fn parts(self) -> &'static [&'static str] {
        match self {
            Table::Rollup => &["day", "adjusts"],
            Table::Days => &["day"],
            Table::Months => &["month"],
        }
    }

    fn counts(self) -> &'static str {
        match self {
            Table::Rollup => "class, quantity, charge, cost, unpriced, fallback",
            Table::Days | Table::Months => "counts",
        }
    }

    fn column(self, dimension: Dimension) -> &'static str {
        match (dimension, self) {
            (Dimension::Month, Table::Rollup | Table::Days) => "substr(day, 1, 7)",
            _ => dimension.name(),
        }
    }
}

/// From a first day or month to a last, as texts.
type Range = (String, String);

/// The tables to be read, and what of them.
fn plan(selection: &Selection, by: &[Dimension]) -> Vec<(Table, Range)> {
    let text = |date: Option<Date>, open: &str| date.map_or_else(|| open.to_owned(), |date| date.to_string());
    let days = |since: Option<Date>, until: Option<Date>| (text(since, ""), text(until, "9999-12-31"));
    let Selection { since, until, tenant, .. } = selection;
    if tenant.is_none() && !by.contains(&Dimension::Tenant) {
        return vec![(Table::Days, days(*since, *until))];
    }
    if by.contains(&Dimension::Day) {
        return vec![(Table::Rollup, days(*since, *until))];
    }
    // The whole months, and the days before and behind them.
    let first = since.map(|since| if since == since.first_of_month() { Ok(since) } else { next_month(since) });
    let last = until.map(|until| if until == until.last_of_month() { Ok(until) } else { before_month(until) });
    let (Ok(first), Ok(last)) = (first.transpose(), last.transpose()) else {
        return vec![(Table::Rollup, days(*since, *until))];
    };
    if first.zip(last).is_some_and(|(first, last)| first > last) {
        return vec![(Table::Rollup, days(*since, *until))];
    }
    let month = |date: Option<Date>, open: &str| {
        date.map_or_else(|| open.to_owned(), |date| date.strftime("%Y-%m").to_string())
    };
    let mut plan = vec![(Table::Months, (month(first, ""), month(last, "9999-12")))];
    if let (true, Some(Ok(before))) = (first != *since, first.map(Date::yesterday)) {
        plan.push((Table::Rollup, days(*since, Some(before))));
    }
    if let (true, Some(Ok(behind))) = (last != *until, last.map(Date::tomorrow)) {
        plan.push((Table::Rollup, days(Some(behind), *until)));
    }
    plan
}

fn next_month(day: Date) -> Result<Date, jiff::Error> {
    day.last_of_month().tomorrow()
}

fn before_month(day: Date) -> Result<Date, jiff::Error> {
    day.first_of_month().yesterday()
}

/// The totals. Rows come by the million: only one that begins a total takes memory.
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
    let mut adding = Adding { width: by.len(), ..Adding::default() };
    for (table, (first, last)) in plan(selection, by) {
        let apart: String = by.iter().map(|dimension| format!("{}, ", table.column(*dimension))).collect();
        let select = format!("SELECT {apart}evidence, {} FROM {}", table.counts(), table.name());
        let part = table.parts().first().copied().unwrap_or_default();
        match &selection.tenant {
            None => {
                let sql = format!("{select} WHERE {part} >= ?1 AND {part} <= ?2");
                adding.read(connection, table, &sql, vec![first.into(), last.into()], &mut *each)?;
            }
            Some(tenant) => {
                let mut found = next_part(connection, table, ">=", &[first])?;
                while let Some(parts) = found.filter(|parts| parts.first().is_some_and(|part| *part <= last)) {
                    let apart = (1..).zip(table.parts()).map(|(at, part)| format!("{part} = ?{at} AND "));
                    let (apart, at) = (apart.collect::<String>(), parts.len().saturating_add(1));
                    let values = parts.iter().chain([tenant]).cloned().map(Value::from);
                    // What is below, too: a `0` is the next character behind a `/`.
                    let below = format!("tenant >= ?{at} || '/' AND tenant < ?{at} || '0'");
                    for whose in [format!("tenant = ?{at}"), below] {
                        let sql = format!("{select} WHERE {apart}{whose}");
                        adding.read(connection, table, &sql, values.clone().collect(), &mut *each)?;
                    }
                    found = next_part(connection, table, ">", &parts)?;
                }
            }
        }
    }
    adding.end(each)
}

/// The first part of a table that has rows, from a day or month on, or behind a part.
fn next_part(
    connection: &Connection,
    table: Table,
    operator: &str,
    than: &[String],
) -> Result<Option<Vec<String>>, StoreError> {
    let all = table.parts();
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

/// What is added up.
#[derive(Default)]
struct Adding {
    /// Columns that tell totals apart.
    width: usize,
    all: Vec<(Vec<String>, Evidence, Packed)>,
    places: HashMap<Vec<u8>, usize>,
    /// The key of the row that is read.
    texts: Vec<u8>,
}

impl Adding {
    fn read(
        &mut self,
        connection: &Connection,
        table: Table,
        sql: &str,
        values: Vec<Value>,
        each: Each<'_, Total>,
    ) -> Result<(), StoreError> {
        let mut select = connection.prepare_cached(sql)?;
        let mut rows = select.query(params_from_iter(values))?;
        let evidence = self.width;
        let counts = evidence.saturating_add(1);
        while let Some(row) = rows.next()? {
            self.texts.clear();
            for column in 0..=evidence {
                self.texts.extend_from_slice(text(row, column)?.as_bytes());
                self.texts.push(END);
            }
            let place = match self.places.get(self.texts.as_slice()) {
                Some(place) => *place,
                None => self.begin(row, each)?,
            };
            let Some((.., all)) = self.all.get_mut(place) else { continue };
            if table == Table::Rollup {
                coarse::add_to(all, text(row, counts)?, &coarse::amounts(&sum(row, counts.saturating_add(1))?));
            } else {
                let packed = row.get_ref(counts)?.as_blob().map_err(rusqlite::Error::from)?;
                coarse::unpack(packed, |word, amounts| {
                    coarse::add_to(all, word, &amounts);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, row: &Row<'_>, each: Each<'_, Total>) -> Result<usize, StoreError> {
        let key = (0..self.width).map(|column| Ok(text(row, column)?.to_owned())).collect::<Result<_, StoreError>>()?;
        let evidence = known_word(self.width, text(row, self.width)?, Evidence::from_word)?;
        if self.all.len() >= TOTALS {
            self.end(each)?;
        }
        let place = self.all.len();
        self.places.insert(self.texts.clone(), place);
        self.all.push((key, evidence, Packed::new()));
        Ok(place)
    }

    fn end(&mut self, each: Each<'_, Total>) -> Result<(), StoreError> {
        self.places.clear();
        for (key, evidence, counts) in self.all.drain(..) {
            for (word, amounts) in counts {
                each(total(key.clone(), evidence, &word, amounts)?)?;
            }
        }
        Ok(())
    }
}

/// A total; an amount at the end of 128 bits may have been more than they hold.
fn total(key: Vec<String>, evidence: Evidence, word: &str, amounts: coarse::Amounts) -> Result<Total, StoreError> {
    if amounts.iter().any(|amount| [i128::MIN, i128::MAX].contains(amount)) {
        return Err(StoreError::too_large());
    }
    let counted = Counted::from_name(word).ok_or_else(|| StoreError::unknown("class", word))?;
    let [quantity, charge, more, unpriced, fallback] = amounts;
    let cost = charge.checked_add(more).ok_or_else(StoreError::too_large)?;
    let [charge, cost] = [charge, cost].map(Charge::from_yocto_usd);
    Ok(Total { key, evidence, counted, quantity, charge, cost, unpriced, fallback })
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, StoreError> {
    Ok(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?)
}

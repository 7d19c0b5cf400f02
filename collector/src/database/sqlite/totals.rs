//! Adds up sums for a report: SQLite has no exact decimal numbers, and grouping in it would sort every row.
//!
//! What asks for no tenant is read from the sums of days without tenants; whole months of tenants from the sums of months; the rest
//! from the rollup itself. Rows of one tenant, and of what is below it, are looked for day by day and month by month.

use std::collections::HashMap;

use jiff::civil::Date;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use wire::record::Evidence;

use super::coarse::{self, Amounts, Packed};
use super::open::at_one_moment;
use super::read::{known_word, sum};
use crate::money::Charge;
use crate::store::sums::Counted;
use crate::store::{Dimension, Each, Selection, StoreError, Total};

/// Ends each text of a key: no UTF-8 has it.
const END: u8 = 0xff;

/// Totals in memory at once. A report of more lines gets some of them in parts; in tests nearly every one does.
const TOTALS: usize = if cfg!(test) { 2 } else { 1 << 15 };
/// The same where days are subtracted from months: all of them at once, or none.
const STAYING: usize = if cfg!(test) { 8 } else { 1 << 17 };

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

/// Rows of a table, from a first day or month to a last.
struct Part {
    table: Table,
    first: String,
    last: String,
    /// Whether they are to be subtracted.
    is_less: bool,
}

impl Part {
    fn of(table: Table, first: impl ToString, last: impl ToString) -> Part {
        Part { table, first: first.to_string(), last: last.to_string(), is_less: false }
    }
}

/// Before every day and month, and behind them.
const OPEN: [&str; 2] = ["", "9999-12-31"];

/// The tables to be read, and what of them.
fn plan(connection: &Connection, selection: &Selection, by: &[Dimension]) -> Result<Vec<Part>, StoreError> {
    let Selection { since, until, tenant, .. } = selection;
    let [first, last] = OPEN;
    let first = since.map_or_else(|| first.to_owned(), |since| since.to_string());
    let last = until.map_or_else(|| last.to_owned(), |until| until.to_string());
    let has_tenant = tenant.is_some() || by.contains(&Dimension::Tenant);
    match (has_tenant, by.contains(&Dimension::Day)) {
        (false, _) => Ok(vec![Part::of(Table::Days, first, last)]),
        (true, true) => Ok(vec![Part::of(Table::Rollup, first, last)]),
        (true, false) => by_months(connection, *since, *until),
    }
}

/// Months, of which the first and the last may be in part.
fn by_months(connection: &Connection, since: Option<Date>, until: Option<Date>) -> Result<Vec<Part>, StoreError> {
    let month = |day: Date| day.strftime("%Y-%m").to_string();
    let mut parts = Vec::new();
    if let (Some(since), Some(until)) = (since, until)
        && month(since) == month(until)
    {
        month_from_to(connection, since, until, &mut parts)?;
        return Ok(parts);
    }
    let [mut first, mut last] = OPEN.map(str::to_owned);
    if let Some(since) = since {
        month_from_to(connection, since, since.last_of_month(), &mut parts)?;
        // No day: behind all months that begin so.
        first = format!("{}~", month(since));
    }
    if let Some(until) = until {
        month_from_to(connection, until.first_of_month(), until, &mut parts)?;
        // Before the month itself.
        last = until.first_of_month().yesterday().map_or_else(|_| String::new(), month);
    }
    parts.push(Part::of(Table::Months, first, last));
    Ok(parts)
}

/// A month from a day to a day: all of it less the other days, if these are fewer, else its days.
fn month_from_to(connection: &Connection, from: Date, to: Date, parts: &mut Vec<Part>) -> Result<(), StoreError> {
    let mut count =
        connection.prepare_cached("SELECT count(DISTINCT day) FROM rollup_days WHERE day >= ?1 AND day < ?2")?;
    let [first, last] = [from.first_of_month(), to.last_of_month()].map(|day| day.to_string());
    // What is between two days as texts: no day has a character behind its last one.
    let [from, behind] = [from.to_string(), format!("{to}~")];
    let mut days = |from: &str, until: &str| count.query_row([from, until], |row| row.get::<_, i64>(0));
    let [before, within, after] = [days(&first, &from)?, days(&from, &behind)?, days(&behind, &format!("{last}~"))?];
    if before.saturating_add(after) > within {
        parts.push(Part::of(Table::Rollup, from, to));
        return Ok(());
    }
    let month = first.get(..7).unwrap_or_default();
    parts.push(Part::of(Table::Months, month, month));
    let less = |first: String, last: String| Part { is_less: true, ..Part::of(Table::Rollup, first, last) };
    // The days themselves are no part of what is left out.
    if before > 0
        && let Ok(yesterday) = from.parse::<Date>().and_then(Date::yesterday)
    {
        parts.push(less(first, yesterday.to_string()));
    }
    if after > 0 {
        parts.push(less(behind, last));
    }
    Ok(())
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
    let parts = plan(connection, selection, by)?;
    let has_less = parts.iter().any(|part| part.is_less);
    let mut adding = Adding { width: by.len(), stays: has_less, ..Adding::default() };
    for part in &parts {
        adding.part(connection, selection, by, part, &mut *each)?;
        if adding.is_too_much {
            // What is subtracted must find what it is subtracted from: then the days themselves are read.
            adding = Adding { width: by.len(), ..Adding::default() };
            let [first, last] = OPEN;
            let first = selection.since.map_or_else(|| first.to_owned(), |since| since.to_string());
            let last = selection.until.map_or_else(|| last.to_owned(), |until| until.to_string());
            adding.part(connection, selection, by, &Part::of(Table::Rollup, first, last), &mut *each)?;
            break;
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
    /// Whether it is subtracted.
    is_less: bool,
    /// Whether all totals must be there at the end.
    stays: bool,
    /// Whether they are more than can be.
    is_too_much: bool,
}

impl Adding {
    /// Adds a part of a table.
    fn part(
        &mut self,
        connection: &Connection,
        selection: &Selection,
        by: &[Dimension],
        part: &Part,
        each: Each<'_, Total>,
    ) -> Result<(), StoreError> {
        let Part { table, first, last, is_less } = part;
        self.is_less = *is_less;
        let apart: String = by.iter().map(|dimension| format!("{}, ", table.column(*dimension))).collect();
        let select = format!("SELECT {apart}evidence, {} FROM {}", table.counts(), table.name());
        let Some(tenant) = &selection.tenant else {
            let column = table.parts().first().copied().unwrap_or_default();
            let sql = format!("{select} WHERE {column} >= ?1 AND {column} <= ?2");
            return self.read(connection, *table, &sql, vec![first.clone().into(), last.clone().into()], each);
        };
        let mut found = next_part(connection, *table, ">=", std::slice::from_ref(first))?;
        while let Some(parts) = found.filter(|parts| parts.first().is_some_and(|part| part <= last)) {
            let apart = (1..).zip(table.parts()).map(|(at, part)| format!("{part} = ?{at} AND "));
            let (apart, at) = (apart.collect::<String>(), parts.len().saturating_add(1));
            let values = parts.iter().chain([tenant]).cloned().map(Value::from);
            // What is below, too: a `0` is the next character behind a `/`.
            let below = format!("tenant >= ?{at} || '/' AND tenant < ?{at} || '0'");
            for whose in [format!("tenant = ?{at}"), below] {
                let sql = format!("{select} WHERE {apart}{whose}");
                self.read(connection, *table, &sql, values.clone().collect(), &mut *each)?;
            }
            found = next_part(connection, *table, ">", &parts)?;
        }
        Ok(())
    }

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
        while let Some(row) = rows.next()?.filter(|_| !self.is_too_much) {
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
            let signed = |amounts: Amounts| if self.is_less { amounts.map(i128::saturating_neg) } else { amounts };
            if table == Table::Rollup {
                let amounts = coarse::amounts(&sum(row, counts.saturating_add(1))?);
                coarse::add_to(all, text(row, counts)?, &signed(amounts));
            } else {
                let packed = row.get_ref(counts)?.as_blob().map_err(rusqlite::Error::from)?;
                coarse::unpack(packed, |word, amounts| {
                    coarse::add_to(all, word, &signed(amounts));
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, row: &Row<'_>, each: Each<'_, Total>) -> Result<usize, StoreError> {
        let key = (0..self.width).map(|column| Ok(text(row, column)?.to_owned())).collect::<Result<_, StoreError>>()?;
        let evidence = known_word(self.width, text(row, self.width)?, Evidence::from_word)?;
        if self.stays && self.all.len() >= STAYING {
            self.is_too_much = true;
        } else if !self.stays && self.all.len() >= TOTALS {
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
                // Of what was subtracted whole nothing is left, not zero.
                if amounts.last() != Some(&0) {
                    each(total(key.clone(), evidence, &word, amounts)?)?;
                }
            }
        }
        Ok(())
    }
}

/// A total; an amount at the end of 128 bits may have been more than they hold.
fn total(key: Vec<String>, evidence: Evidence, word: &str, amounts: Amounts) -> Result<Total, StoreError> {
    if amounts.iter().any(|amount| [i128::MIN, i128::MAX].contains(amount)) {
        return Err(StoreError::too_large());
    }
    let counted = Counted::from_name(word).ok_or_else(|| StoreError::unknown("class", word))?;
    let [quantity, charge, more, unpriced, fallback, _] = amounts;
    let cost = charge.checked_add(more).ok_or_else(StoreError::too_large)?;
    let [charge, cost] = [charge, cost].map(Charge::from_yocto_usd);
    Ok(Total { key, evidence, counted, quantity, charge, cost, unpriced, fallback })
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, StoreError> {
    Ok(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?)
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

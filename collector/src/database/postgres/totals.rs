//! What reports ask: sums of the rollup, and the entries that count in a span of time.

use tokio_postgres::Row;
use wire::record::Evidence;

use super::known::{ENTRY, entry, parsed, word};
use crate::store::sums::Counted;
use crate::store::{CountedEntry, Dimension, Selection, StoreError, Total};

/// Rows of the rollup that are asked for: `selected` has the values.
pub const SELECTED: &str = "($1::text IS NULL OR day >= $1::text::date) AND ($2::text IS NULL OR day <= $2::text::date)
    AND ($3::text IS NULL OR tenant = $3 OR starts_with(tenant, $3 || '/'))";

pub fn selected(selection: &Selection) -> [Option<String>; 3] {
    let text = |date: Option<jiff::civil::Date>| date.map(|date| date.to_string());
    [text(selection.since), text(selection.until), selection.tenant.clone()]
}

/// A dimension as a text.
fn column(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Day => "to_char(day, 'YYYY-MM-DD')",
        Dimension::Month => "to_char(day, 'YYYY-MM')",
        Dimension::Adjusts | Dimension::Tenant | Dimension::Provider | Dimension::Model => dimension.name(),
    }
}

/// The totals, told apart by these.
pub fn sql(by: &[Dimension]) -> String {
    let apart: String = by.iter().map(|dimension| format!("{}, ", column(*dimension))).collect();
    // Over many days even a count can be more than 64 bits hold.
    format!(
        "SELECT {apart}evidence, class, sum(quantity)::text, sum(charge)::text, sum(coalesce(cost, charge))::text,
            sum(unpriced)::text, sum(fallback)::text FROM rollup WHERE {SELECTED} GROUP BY {apart}evidence, class"
    )
}

/// A total that so many values tell apart.
pub fn total(row: &Row, values: usize) -> Result<Total, StoreError> {
    let mut columns = 0..;
    let mut next = || columns.next().unwrap_or_default();
    let key = (0..values).map(|_| Ok(row.try_get(next())?)).collect::<Result<_, StoreError>>()?;
    let evidence = word(row, next(), "evidence", Evidence::from_word)?;
    let counted = word(row, next(), "class", Counted::from_name)?;
    let quantity = parsed(row, next())?;
    let charge = parsed(row, next())?;
    let cost = parsed(row, next())?;
    let unpriced = parsed(row, next())?;
    let fallback = parsed(row, next())?;
    Ok(Total { key, evidence, counted, quantity, charge, cost, unpriced, fallback })
}

/// What counts in a span of time: its values are the ends, the tenant, the first and the last day.
pub fn counted_sql() -> String {
    // The days are texts of one form, whatever the collation.
    let days = "BETWEEN $4::text AND $5::text";
    let began = format!("(l.billed IS NULL AND l.started_ns >= $1 AND l.started_ns < $2 OR l.billed {days})");
    let whose = "($3::text IS NULL OR l.tenant = $3 OR starts_with(l.tenant, $3 || '/'))";
    let event = "JOIN ledger c
         ON c.emitter = l.emitter AND c.sequence = l.sequence AND c.kind IN ('call', 'copy', 'release')";
    format!(
        "SELECT {ENTRY}, c.event, NULL::bigint, NULL::text FROM ledger l {event}
         WHERE l.kind IN ('call', 'correction', 'release') AND {began} AND {whose}
         AND NOT EXISTS (SELECT 1 FROM ledger r WHERE r.refers_writer = l.writer AND r.refers_entry = l.entry
                         AND r.kind = 'reversal')
         UNION ALL
         SELECT {ENTRY}, c.event, r.received_ns, r.billed FROM ledger r
         JOIN ledger l ON l.writer = r.refers_writer AND l.entry = r.refers_entry {event}
         WHERE r.kind = 'reversal' AND r.billed IS NOT NULL AND (r.billed {days} OR {began}) AND {whose}"
    )
}

/// An entry that counts, with what takes it back.
pub fn counted(row: &Row) -> Result<CountedEntry, StoreError> {
    let taken_back = row.try_get::<_, Option<i64>>(21)?.zip(row.try_get(22)?);
    Ok(CountedEntry { entry: entry(row)?, taken_back })
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

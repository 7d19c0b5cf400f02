//! Adds up the rollup for a report: SQLite has no exact decimal numbers, and grouping in it would sort every row.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params_from_iter};
use wire::record::Evidence;

use super::read::{SELECTED, known_word, selected, sum};
use crate::store::sums::Counted;
use crate::store::{Dimension, Each, Selection, StoreError, Total};

/// Ends each text of a key: no UTF-8 has it.
const END: u8 = 0xff;

/// Totals in memory at once. A report of more lines gets some of them in parts; in tests nearly every one does.
const TOTALS: usize = if cfg!(test) { 2 } else { 1 << 15 };

/// The totals. Rows come by the million: only one that begins a total takes memory.
pub fn totals(
    connection: &Connection,
    selection: &Selection,
    by: &[Dimension],
    each: Each<'_, Total>,
) -> Result<(), StoreError> {
    let apart: String = by.iter().map(|dimension| format!("{}, ", column(*dimension))).collect();
    let sql = format!(
        "SELECT {apart}evidence, class, quantity, charge, cost, unpriced, fallback FROM rollup WHERE {SELECTED}"
    );
    let mut select = connection.prepare(&sql)?;
    let mut rows = select.query(params_from_iter(selected(selection)))?;
    let mut all: Vec<Total> = Vec::new();
    let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut texts = Vec::new();
    let [evidence, class] = [0, 1].map(|more| by.len().saturating_add(more));
    while let Some(row) = rows.next()? {
        texts.clear();
        for column in 0..=class {
            texts.extend_from_slice(text(row, column)?.as_bytes());
            texts.push(END);
        }
        let sum = sum(row, class.saturating_add(1))?;
        if let Some(total) = places.get(texts.as_slice()).and_then(|place| all.get_mut(*place)) {
            total.add(&sum)?;
            continue;
        }
        let key = (0..by.len()).map(|column| Ok(text(row, column)?.to_owned())).collect::<Result<_, StoreError>>()?;
        let evidence = known_word(evidence, text(row, evidence)?, Evidence::from_word)?;
        let counted = known_word(class, text(row, class)?, Counted::from_name)?;
        if all.len() >= TOTALS {
            places.clear();
            all.drain(..).try_for_each(&mut *each)?;
        }
        places.insert(texts.clone(), all.len());
        all.push(Total::of(key, evidence, counted, &sum));
    }
    all.into_iter().try_for_each(each)
}

fn column(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Month => "substr(day, 1, 7)",
        Dimension::Day | Dimension::Adjusts | Dimension::Tenant | Dimension::Provider | Dimension::Model => {
            dimension.name()
        }
    }
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, StoreError> {
    Ok(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?)
}

//! Adds rows of sums up to totals. Rows come by the million: only one that begins a total takes memory.

use std::collections::HashMap;

use wire::record::Evidence;

use super::plan::{Days, Part, plan};
use super::{Amounts, Packed, add_to, unpack};
use crate::money::Charge;
use crate::store::sums::Counted;
use crate::store::{Dimension, Each, Selection, StoreError, Total};

/// Ends each text of a key: no UTF-8 has it.
const END: u8 = 0xff;

/// Totals in memory at once. A report of more lines gets some of them in parts; in tests nearly every one does.
const TOTALS: usize = if cfg!(test) { 2 } else { 1 << 15 };
/// The same where days are subtracted from months: all of them at once, or none.
const STAYING: usize = if cfg!(test) { 8 } else { 1 << 17 };

/// A row of sums: texts that tell totals apart, then the word of its evidence, then what it counts.
pub trait SumRow {
    /// The text of a column.
    fn text(&self, column: usize) -> Result<&str, StoreError>;
    /// What it counts, from a column on.
    fn counts(&self, column: usize) -> Result<Counts<'_>, StoreError>;
}

/// What a row counts.
pub enum Counts<'a> {
    /// One class.
    One(&'a str, Amounts),
    /// All classes.
    All(&'a [u8]),
}

/// The totals of a selection, from the tables that answer with the fewest rows. `read` adds a part of a table; `days` counts the
/// days that have sums.
pub fn totals(
    selection: &Selection,
    by: &[Dimension],
    days: Days<'_>,
    each: Each<'_, Total>,
    mut read: impl FnMut(&Part, &mut Adding, Each<'_, Total>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let parts = plan(selection, by, days)?;
    let mut adding = Adding::new(by.len(), parts.iter().any(|part| part.is_less));
    for part in &parts {
        read(part, &mut adding, &mut *each)?;
        if adding.is_too_much {
            // What is subtracted must find what it is subtracted from: then the days themselves are read.
            adding = Adding::new(by.len(), false);
            read(&Part::of_rollup(selection), &mut adding, &mut *each)?;
            break;
        }
    }
    adding.end(each)
}

/// What is added up.
#[derive(Default)]
pub struct Adding {
    /// Columns that tell totals apart.
    width: usize,
    all: Vec<(Vec<String>, Evidence, Packed)>,
    places: HashMap<Vec<u8>, usize>,
    /// The key of the row that is read.
    texts: Vec<u8>,
    /// Whether all totals must be there at the end.
    stays: bool,
    /// Whether they are more than can be.
    pub is_too_much: bool,
}

impl Adding {
    /// `stays`: something will be subtracted, which must find what it is subtracted from.
    pub fn new(width: usize, stays: bool) -> Adding {
        Adding { width, stays, ..Adding::default() }
    }

    /// Adds a row, or subtracts it.
    pub fn row(&mut self, row: &impl SumRow, is_less: bool, each: Each<'_, Total>) -> Result<(), StoreError> {
        self.texts.clear();
        for column in 0..=self.width {
            self.texts.extend_from_slice(row.text(column)?.as_bytes());
            self.texts.push(END);
        }
        let place = match self.places.get(self.texts.as_slice()) {
            Some(place) => *place,
            None => self.begin(row, each)?,
        };
        let Some((.., all)) = self.all.get_mut(place) else { return Ok(()) };
        let signed = |amounts: Amounts| if is_less { amounts.map(i128::saturating_neg) } else { amounts };
        match row.counts(self.width.saturating_add(1))? {
            Counts::One(word, amounts) => add_to(all, word, &signed(amounts)),
            Counts::All(packed) => unpack(packed, |word, amounts| {
                add_to(all, word, &signed(amounts));
                Ok(())
            })?,
        }
        Ok(())
    }

    fn begin(&mut self, row: &impl SumRow, each: Each<'_, Total>) -> Result<usize, StoreError> {
        let texts = |column| Ok::<_, StoreError>(row.text(column)?.to_owned());
        let key = (0..self.width).map(texts).collect::<Result<_, _>>()?;
        let word = row.text(self.width)?;
        let evidence = Evidence::from_word(word).ok_or_else(|| StoreError::unknown("evidence", word))?;
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

    /// Gives what was added up.
    pub fn end(&mut self, each: Each<'_, Total>) -> Result<(), StoreError> {
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

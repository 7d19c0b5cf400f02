//! Whether the sums of sums are what the rollup adds up to: every number of every row, and no row more or less.

use super::adding::{Counts, SumRow};
use super::{Packed, add_to, unpack};
use crate::store::StoreError;
use crate::terminal::printable;

/// What asks for the rows of both, those of a key one after the other: its columns, the counts of all classes, and those of one.
/// `month`: what the column of that name is in the rollup; `none`: what stands for no counts there. The database sorts.
pub fn question(table: &str, columns: &[&str], month: &str, none: &str) -> String {
    let kept = columns.join(", ");
    let added = kept.replace("month", month);
    let order: Vec<String> = (1..=columns.len()).map(|column| column.to_string()).collect();
    format!(
        "SELECT {added}, {none}, class, quantity, charge, cost, unpriced, fallback FROM rollup
         UNION ALL SELECT {kept}, counts, NULL, NULL, NULL, NULL, NULL, NULL FROM {table} ORDER BY {}",
        order.join(", ")
    )
}

/// Compares them key by key: only one key's sums are in memory.
pub struct Comparing {
    /// Columns that tell keys apart.
    width: usize,
    key: Vec<String>,
    /// What the key's rows of the rollup add up to.
    added: Packed,
    /// What is kept of it, as it is there.
    kept: Option<Packed>,
    problem: Option<String>,
}

impl Comparing {
    /// Nothing yet, of keys of so many columns.
    pub fn new(width: usize) -> Comparing {
        Comparing { width, key: Vec::new(), added: Packed::new(), kept: None, problem: None }
    }

    /// A row of either: the columns of its key, then what it counts. Those of a key come one after the other.
    pub fn row(&mut self, row: &impl SumRow) -> Result<(), StoreError> {
        let mut is_same = self.key.len() == self.width;
        for (column, text) in self.key.iter().enumerate() {
            is_same &= row.text(column)? == text;
        }
        if !is_same {
            self.compare();
            let texts = (0..self.width).map(|column| Ok::<_, StoreError>(row.text(column)?.to_owned()));
            self.key = texts.collect::<Result<_, _>>()?;
        }
        match row.counts(self.width)? {
            Counts::One(word, amounts) => add_to(&mut self.added, word, &amounts),
            Counts::All(packed) => {
                let kept = self.kept.get_or_insert_default();
                unpack(packed, |word, amounts| {
                    kept.push((word.to_owned(), amounts));
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// The first that is not what it must be.
    pub fn problem(mut self) -> Option<String> {
        self.compare();
        self.problem
    }

    fn compare(&mut self) {
        let (mut added, kept) = (std::mem::take(&mut self.added), self.kept.take());
        let is_kept = kept.is_some();
        let mut kept = kept.unwrap_or_default();
        added.sort_unstable();
        kept.sort_unstable();
        if self.problem.is_some() || added == kept && is_kept != added.is_empty() {
            return;
        }
        let whose = printable(self.key.join(", "));
        let differs = |all: &Packed, others: &Packed| all.iter().find(|sum| !others.contains(sum)).map(first);
        let word = differs(&kept, &added).or_else(|| differs(&added, &kept)).or_else(|| kept.first().map(first));
        self.problem = Some(match word {
            Some(word) => format!("the sum of {} of {whose} is not that of its days and tenants", printable(word)),
            None => format!("a sum of {whose} is kept, and there is nothing that it is of"),
        });
    }
}

fn first<A: Clone, B>((word, _): &(A, B)) -> A {
    word.clone()
}

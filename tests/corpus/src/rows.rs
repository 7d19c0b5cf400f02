//! Sums by provider, and the table of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// So many sums of each provider.
#[derive(Debug)]
pub(crate) struct Rows<const N: usize> {
    columns: [&'static str; N],
    rows: BTreeMap<String, [u64; N]>,
}

impl<const N: usize> Rows<N> {
    pub fn new(columns: [&'static str; N]) -> Self {
        Rows { columns, rows: BTreeMap::new() }
    }

    /// Adds one to each sum that is marked.
    pub fn add(&mut self, provider: &str, marks: [bool; N]) {
        let row = self.rows.entry(provider.to_owned()).or_insert([0; N]);
        for (sum, mark) in row.iter_mut().zip(marks) {
            *sum += u64::from(mark);
        }
    }

    /// The sums of all, by column.
    pub fn sums(&self) -> [u64; N] {
        let mut sums = [0; N];
        for row in self.rows.values() {
            for (sum, count) in sums.iter_mut().zip(row) {
                *sum += count;
            }
        }
        sums
    }

    /// The table: a line for each provider that is shown, then all.
    pub fn table(&self, is_shown: impl Fn(&[u64; N]) -> bool) -> String {
        let sums = self.sums();
        let rows = self.rows.iter().map(|(name, row)| (name.as_str(), row)).filter(|(_, row)| is_shown(row));
        let rows: Vec<_> = rows.chain([("all", &sums)]).collect();
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max("provider".len());
        let mut table = format!("{:width$}", "provider");
        for column in self.columns {
            let _ = write!(table, "  {column:>10}");
        }
        table.push('\n');
        for (name, row) in rows {
            let _ = write!(table, "{name:width$}");
            for sum in row {
                let _ = write!(table, "  {sum:>10}");
            }
            table.push('\n');
        }
        table
    }
}

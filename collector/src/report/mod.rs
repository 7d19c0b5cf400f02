//! Reports: usage and cost, read from the rollup alone, as it was rated when the calls came in or were re-rated.

pub(crate) use csv::name as csv_field;
pub(crate) use round::distributed;

pub use crate::store::Dimension;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::civil::Date;
use wire::record::Evidence;

use crate::store::{Reader, Selection, StoreError};
use notes::{Models, Notes};
use sum::Sum;

pub mod audit;
pub mod budgets;
mod csv;
mod json;
mod notes;
mod round;
mod sum;
mod table;

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns for the eye.
    Table,
    /// JSON; amounts are decimal texts.
    Json,
    /// CSV with one column per usage class.
    Csv,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Question {
    /// The rows that are summed up.
    pub selection: Selection,
    /// The columns that tell lines apart, in their order.
    pub by: Vec<Dimension>,
    /// Round to so many decimals, as on an invoice: what a tenant owes for a month is rounded once, whatever the lines are.
    pub round: Option<u8>,
}

/// Reads the columns of a report: `tenant,model`.
pub fn dimensions(text: &str) -> Result<Vec<Dimension>, String> {
    let mut by = BTreeSet::new();
    for name in text.split(',') {
        match Dimension::ALL.iter().find(|dimension| dimension.name() == name.trim()) {
            // A model's name says nothing without who serves it.
            Some(Dimension::Model) => by.extend([Dimension::Provider, Dimension::Model]),
            Some(dimension) => drop(by.insert(*dimension)),
            None => {
                let allowed: Vec<&str> = Dimension::ALL.iter().map(|dimension| dimension.name()).collect();
                return Err(format!("must be a list of {}, separated by commas", allowed.join(", ")));
            }
        }
    }
    Ok(by.into_iter().collect())
}

/// The columns of a report nobody chose columns for.
pub const DEFAULT_BY: &str = "tenant,model";

/// Reads a day of a question.
pub fn day(text: &str) -> Result<Date, String> {
    crate::prices::day(text).ok_or_else(|| "must be a date such as 2026-01-31".to_owned())
}

/// A report.
#[derive(Debug)]
pub struct Report {
    question: Question,
    lines: BTreeMap<(Key, Grade), Sum>,
    notes: Notes,
}

/// What tells a line apart: the values of its columns, and the closed month that it adjusts, else an empty text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    columns: Vec<String>,
    adjusts: String,
}

/// Evidence in the order of reports: best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grade(Evidence);

impl Grade {
    fn rank(self) -> usize {
        Evidence::ALL.iter().position(|evidence| *evidence == self.0).unwrap_or(usize::MAX)
    }
}

impl Ord for Grade {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Grade {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Why there is no report.
#[derive(Debug)]
pub enum ReportError {
    /// The store could not be read.
    Store(StoreError),
    /// A sum or an amount is more than 128 bits hold.
    TooLarge(&'static str),
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReportError::Store(error) => error.fmt(f),
            ReportError::TooLarge(problem) => f.write_str(problem),
        }
    }
}

impl std::error::Error for ReportError {}

impl From<StoreError> for ReportError {
    fn from(error: StoreError) -> Self {
        ReportError::Store(error)
    }
}

const TOO_LARGE: ReportError = ReportError::TooLarge("a sum does not fit in 128 bits");

impl Report {
    /// Makes the report that a question asks for, from the rollup in one pass: it has millions of rows.
    pub fn of(reader: &dyn Reader, question: Question) -> Result<Report, ReportError> {
        let mut lines: BTreeMap<(Key, Grade), Sum> = BTreeMap::new();
        let mut invoices = round::Invoices::default();
        let mut models = Models::default();
        let mut by = question.by.clone();
        let [adjusts, provider, model] =
            [Dimension::Adjusts, Dimension::Provider, Dimension::Model].map(|dimension| place(&mut by, dimension));
        let invoice = question.round.map(|_| round::INVOICE.map(|dimension| place(&mut by, dimension)));
        let width = question.by.len();
        let mut failed = Ok(());
        reader.totals(&question.selection, &by, &mut |total| {
            let value = |place: usize| total.key.get(place).cloned().unwrap_or_default();
            let key = Key { adjusts: value(adjusts), columns: total.key.iter().take(width).cloned().collect() };
            let line = (key, Grade(total.evidence));
            if let (Ok(()), Some(invoice)) = (&failed, &invoice) {
                failed = invoices.add(invoice.map(value).into(), &line, &total);
            }
            if failed.is_ok() {
                failed = models.add(&value(provider), &value(model), &total);
            }
            if failed.is_ok() {
                failed = lines.entry(line).or_default().add(&total);
            }
            Ok(())
        })?;
        failed?;
        lines.values_mut().for_each(Sum::settle);
        if let Some(decimals) = question.round {
            for (line, amounts) in invoices.rounded(decimals)? {
                if let Some(sum) = lines.get_mut(&line).filter(|sum| !sum.amounts.is_empty()) {
                    sum.rounded = Some(amounts);
                }
            }
        }
        let notes = Notes::of(lines.values(), models)?;
        Ok(Report { question, lines, notes })
    }

    /// Whether a line adjusts a month that was closed before.
    fn has_adjustments(&self) -> bool {
        self.lines.keys().any(|(key, _)| !key.adjusts.is_empty())
    }

    /// Writes the report.
    pub fn render(&self, format: Format) -> Result<String, ReportError> {
        match format {
            Format::Table => table::render(self),
            Format::Json => json::render(self),
            Format::Csv => csv::render(self),
        }
    }

    /// The sums by evidence, best first: what is estimated is never mixed up with what was reported.
    fn totals(&self) -> Result<BTreeMap<Grade, Sum>, ReportError> {
        let mut totals: BTreeMap<Grade, Sum> = BTreeMap::new();
        for ((_, grade), sum) in &self.lines {
            totals.entry(*grade).or_default().merge(sum)?;
        }
        Ok(totals)
    }
}

/// Where a dimension stands among those that are told apart; it is added if it does not.
fn place(by: &mut Vec<Dimension>, dimension: Dimension) -> usize {
    by.iter().position(|known| *known == dimension).unwrap_or_else(|| {
        by.push(dimension);
        by.len().saturating_sub(1)
    })
}

#[cfg(test)]
mod tests;

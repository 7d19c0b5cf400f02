//! Reports: usage and cost, answered from the rollup alone, as it was rated when the calls came in or were rated anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::civil::Date;
use meter::record::Evidence;
use meter::usage::{Class, Kind};

use crate::ledger::sums::Counted;
use crate::money::Charge;
pub use crate::store::Dimension;
use crate::store::{Reader, Selection, StoreError, Total};

mod csv;
mod json;
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
    /// Round the cost of each line to so many decimals, once, as on an invoice: totals are sums of what the lines show.
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
    lines: BTreeMap<(Vec<String>, Grade), Sum>,
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

/// Calls, counts and charges summed up.
#[derive(Clone, Debug, Default)]
struct Sum {
    calls: i128,
    usage: BTreeMap<Class, i128>,
    charges: BTreeMap<Class, Charge>,
    /// Classes of which some was charged by another class's price.
    fallback: BTreeSet<Class>,
    /// What has no price, and how many of it.
    unpriced: BTreeMap<Class, i128>,
    /// The cost as the lines show it, if they are rounded.
    rounded: Option<Charge>,
}

/// Why there is no report.
#[derive(Debug)]
pub enum ReportError {
    /// The store could not answer.
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

impl Sum {
    fn add(&mut self, total: &Total) -> Result<(), ReportError> {
        let Counted::Usage(class) = total.counted else {
            return add(&mut self.calls, total.quantity);
        };
        add(self.usage.entry(class).or_default(), total.quantity)?;
        if total.unpriced != 0 {
            add(self.unpriced.entry(class).or_default(), total.unpriced)?;
        }
        if total.fallback != 0 {
            self.fallback.insert(class);
        }
        // What is information only is never charged, and nothing of something costs nothing.
        let is_priced = total.unpriced != total.quantity && class.kind() != Kind::Information;
        if is_priced { self.charge(class, total.charge) } else { Ok(()) }
    }

    fn charge(&mut self, class: Class, charge: Charge) -> Result<(), ReportError> {
        let sum = self.charges.entry(class).or_default();
        *sum = sum.checked_add(charge).ok_or(TOO_LARGE)?;
        Ok(())
    }

    fn merge(&mut self, other: &Sum) -> Result<(), ReportError> {
        add(&mut self.calls, other.calls)?;
        for (class, quantity) in &other.usage {
            add(self.usage.entry(*class).or_default(), *quantity)?;
        }
        for (class, charge) in &other.charges {
            self.charge(*class, *charge)?;
        }
        for (class, quantity) in &other.unpriced {
            add(self.unpriced.entry(*class).or_default(), *quantity)?;
        }
        self.fallback.extend(&other.fallback);
        if let Some(more) = other.rounded {
            self.rounded = Some(self.rounded.unwrap_or_default().checked_add(more).ok_or(TOO_LARGE)?);
        }
        Ok(())
    }

    /// The cost of all that has a price; `None` if nothing has.
    fn cost(&self) -> Result<Option<Charge>, ReportError> {
        if self.rounded.is_some() {
            return Ok(self.rounded);
        }
        if self.charges.is_empty() {
            return Ok(None);
        }
        let sum = self.charges.values().try_fold(Charge::default(), |sum, charge| sum.checked_add(*charge));
        sum.map(Some).ok_or(TOO_LARGE)
    }
}

fn add(sum: &mut i128, quantity: i128) -> Result<(), ReportError> {
    *sum = sum.checked_add(quantity).ok_or(TOO_LARGE)?;
    Ok(())
}

impl Report {
    /// Answers a question from the rollup.
    pub fn answer(reader: &dyn Reader, question: Question) -> Result<Report, ReportError> {
        let mut lines: BTreeMap<(Vec<String>, Grade), Sum> = BTreeMap::new();
        let mut too_large = Ok(());
        reader.totals(&question.selection, &question.by, &mut |total| {
            let sum = lines.entry((total.key.clone(), Grade(total.evidence))).or_default();
            if too_large.is_ok() {
                too_large = sum.add(&total);
            }
            Ok(())
        })?;
        too_large?;
        if let Some(decimals) = question.round {
            for sum in lines.values_mut() {
                sum.rounded = match sum.cost()? {
                    Some(cost) => Some(cost.rounded(decimals).ok_or(TOO_LARGE)?),
                    None => None,
                };
            }
        }
        Ok(Report { question, lines })
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

#[cfg(test)]
mod tests;

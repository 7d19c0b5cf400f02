//! Reports in the form of FOCUS, the FinOps Open Cost and Usage Specification: CSV that tools for cloud costs read. Every row is
//! what one tenant used of one class of one model in one charge period at one price.
//!
//! It is made from the calls, for sums have no prices: what is more than some ten thousand rows is added up in a temporary file.

use std::io::Write;

use super::dimension::Dimension;
use super::gather::counting;
use super::lines::LineKey;
use super::spill::{LOST, Spill};
use super::{BadParameter, Bounds, Question, ReportError};
use crate::store::Reader;
use columns::{COLUMNS, Context, Field};
use row::{Row, Sums};

mod columns;
mod lacking;
mod row;

/// The name of the form.
pub const NAME: &str = "focus";
/// The versions of the specification whose columns are there.
pub const VERSIONS: [&str; 5] = ["1.0", "1.1", "1.2", "1.3", "1.4"];
/// Who issues invoices to tenants, if nobody says who.
pub const ISSUER: &str = "meshmeter";

wire::words! {
    /// Which amount is the billed one.
    #[derive(Default)]
    Billed {
        /// What tenants pay.
        #[default]
        Charge "charge",
        /// What providers charge.
        Cost "cost",
    }
}

/// What is said of amounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Which amount is the billed one.
    pub billed: Billed,
    /// Who issues the invoices.
    pub issuer: Option<String>,
}

/// Options as parameters, by their names, and what they do.
pub const PARAMETERS: [(&str, &str, &str); 2] = [
    (
        "billed",
        "`charge` or `cost`",
        "which amount BilledCost, EffectiveCost and ContractedCost are; without it the charge",
    ),
    ("issuer", "name", "who issues the invoices (InvoiceIssuerName); without it meshmeter, and of costs the provider"),
];

/// The parameters of a report that are none here, and why.
pub(super) const NOT_HERE: [(&str, &str); 4] = [
    ("top", "FOCUS has every row"),
    ("sort", "FOCUS has every row"),
    ("compare", "FOCUS has one period"),
    ("round", "FOCUS has exact amounts"),
];

/// The longest name of an issuer, bytes.
const MAX_ISSUER: usize = 256;

impl Options {
    /// Sets an option by its parameter.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), BadParameter> {
        let bad = |problem: String| BadParameter { name: name.to_owned(), problem };
        match name {
            "billed" => {
                let word = Billed::from_word(value);
                self.billed = word.ok_or_else(|| bad(format!("must be one of {}", Billed::WORDS.join(", "))))?;
            }
            _ if value.is_empty() || value.len() > MAX_ISSUER => {
                return Err(bad(format!("must have 1 to {MAX_ISSUER} bytes")));
            }
            _ => self.issuer = Some(value.to_owned()),
        }
        Ok(())
    }
}

/// Writes the rows of a question, at most so many; returns how many they are.
pub fn write(
    reader: &dyn Reader,
    question: &Question,
    options: &Options,
    bounds: &mut Bounds<'_>,
    most: Option<u64>,
    out: &mut dyn Write,
) -> Result<u64, ReportError> {
    let mut rows: Spill<Sums> = Spill::default();
    let mut key = LineKey::default();
    let apart = row::Apart::of(question);
    let mut lacking = lacking::Lacking::default();
    counting(reader, question, &question.period, bounds, &mut |counting| {
        row::each(&apart, options.billed, &counting, &mut |row, sums| {
            row.to_key(&mut key);
            lacking.add(row, &counting.called.entry.tenant, sums)?;
            rows.of(&key)?.add(sums)
        })
    })?;
    let context = Context { options, apart: &apart };
    line(out, context.header())?;
    let mut count = 0_u64;
    rows.each(&mut |key, sums| {
        if sums.is_nothing() {
            return Ok(());
        }
        count = count.saturating_add(1);
        if let Some(most) = most.filter(|most| count > *most) {
            let problem = format!(
                "there are more than {most} rows; fewer columns in by, longer charge periods, or a shorter period"
            );
            return Err(ReportError::TooMuch(problem));
        }
        let mut row = Row::of_key(key).ok_or_else(|| ReportError::Stopped(LOST.to_owned()))?;
        lacking.mark(&mut row, &sums);
        line(out, context.fields(&row, &sums)?)
    })?;
    Ok(count)
}

fn line(out: &mut dyn Write, fields: Vec<Field>) -> Result<(), ReportError> {
    let mut text = String::new();
    for (at, field) in fields.into_iter().enumerate() {
        text.push_str(if at == 0 { "" } else { "," });
        text.push_str(&field.to_csv());
    }
    text.push_str("\r\n");
    Ok(out.write_all(text.as_bytes())?)
}

/// The columns, as rows of a table: name, the version of the specification that has it, meaning.
pub fn described() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    COLUMNS.iter().map(|column| (column.name, column.version, column.help))
}

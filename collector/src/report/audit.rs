//! What providers say that calls cost, beside what the price book says: the first audit of a bill.

use std::collections::BTreeMap;

use comfy_table::{Table, presets};
use serde::Serialize;

use super::{ReportError, TOO_LARGE};
use crate::ledger::correct::{event_of, rating_of};
use crate::money::Charge;
use crate::store::entry::Entry;
use crate::store::{Reader, Selection};
use crate::terminal::printable;

/// The calls of a model whose response says what they cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sum {
    calls: u64,
    /// Calls that the book has no price for: their sum is in neither amount.
    unpriced: u64,
    /// By the provider.
    own: Charge,
    /// By the book.
    book: Charge,
}

/// An audit: by provider and model.
#[derive(Debug, Default)]
pub struct Audit(BTreeMap<(String, String), Sum>);

/// A line of it.
#[derive(Serialize)]
struct Row<'a> {
    provider: &'a str,
    model: &'a str,
    calls: u64,
    unpriced_calls: u64,
    provider_usd: String,
    book_usd: String,
    difference_usd: String,
}

fn line<'a>((key, sum): (&'a (String, String), &Sum)) -> Result<Row<'a>, ReportError> {
    let difference = sum.own.checked_sub(sum.book).ok_or(TOO_LARGE)?;
    Ok(Row {
        provider: &key.0,
        model: &key.1,
        calls: sum.calls,
        unpriced_calls: sum.unpriced,
        provider_usd: sum.own.to_string(),
        book_usd: sum.book.to_string(),
        difference_usd: difference.to_string(),
    })
}

fn cells(row: &Row<'_>) -> [String; 7] {
    let unpriced = match row.unpriced_calls {
        0 => String::new(),
        calls => format!("without {calls} that the book has no price for"),
    };
    [
        printable(row.provider),
        printable(row.model),
        row.calls.to_string(),
        row.provider_usd.clone(),
        row.book_usd.clone(),
        row.difference_usd.clone(),
        unpriced,
    ]
}

impl Audit {
    /// Reads every call that is charged now: sums do not have what single responses say.
    pub fn of(reader: &dyn Reader, selection: &Selection, mut each: impl FnMut()) -> Result<Audit, ReportError> {
        let mut audit = Audit::default();
        let mut failed = Ok(());
        reader.standing(selection, &mut |entry| {
            each();
            // What another version wrote and this one cannot read says nothing of a cost.
            let own = event_of(&entry).ok().and_then(|event| event.record.provider_cost_nano_usd);
            if let (Some(own), Ok(())) = (own, &failed) {
                let sum = audit.0.entry((entry.provider.clone(), entry.model.clone())).or_default();
                failed = sum.add(own, &entry);
            }
            Ok(())
        })?;
        failed.map(|()| audit)
    }

    /// A list of JSON, one object for each model.
    pub fn json(&self) -> Result<String, ReportError> {
        let lines = self.0.iter().map(line).collect::<Result<Vec<_>, _>>()?;
        let text = serde_json::to_string_pretty(&lines)
            .map_err(|_| ReportError::TooLarge("the audit cannot be written as JSON"))?;
        Ok(crate::terminal::json(&text) + "\n")
    }

    /// For the eye: a line for each model, and the sum.
    pub fn table(&self) -> Result<String, ReportError> {
        if self.0.is_empty() {
            return Ok("no response says what its call costs\n".to_owned());
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["provider", "model", "calls", "provider (USD)", "book (USD)", "difference", ""]);
        let mut all = Sum::default();
        for (key, sum) in &self.0 {
            table.add_row(cells(&line((key, sum))?));
            all.merge(sum)?;
        }
        let total = ("total".to_owned(), String::new());
        table.add_row(cells(&line((&total, &all))?));
        Ok(format!("{}\n", table.trim_fmt()))
    }
}

impl Sum {
    fn add(&mut self, own_nano_usd: u64, entry: &Entry) -> Result<(), ReportError> {
        self.calls = self.calls.saturating_add(1);
        let Some(book) = rating_of(entry).ok().and_then(|rating| rating.by_the_book()) else {
            self.unpriced = self.unpriced.saturating_add(1);
            return Ok(());
        };
        self.own = self.own.checked_add(Charge::from_nano_usd(own_nano_usd)).ok_or(TOO_LARGE)?;
        self.book = self.book.checked_add(book).ok_or(TOO_LARGE)?;
        Ok(())
    }

    fn merge(&mut self, other: &Sum) -> Result<(), ReportError> {
        self.calls = self.calls.saturating_add(other.calls);
        self.unpriced = self.unpriced.saturating_add(other.unpriced);
        self.own = self.own.checked_add(other.own).ok_or(TOO_LARGE)?;
        self.book = self.book.checked_add(other.book).ok_or(TOO_LARGE)?;
        Ok(())
    }
}

//! Price books from public price lists: what they say is taken over exactly, and what cannot be is named.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::civil::Date;
use meter::usage::Class;

use super::Problems;
use crate::money::{Per, Price};
use crate::terminal::printable;
use decimal::{Decimal, NoPrice, Unit};

mod decimal;
mod draft;
mod genai;
mod litellm;
mod names;
mod regex;

use draft::Draft;

/// A price list that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum List {
    /// Pydantic's genai-prices: prices/new_data/v2/data.json.
    GenaiPrices,
    /// LiteLLM's model_prices_and_context_window.json.
    Litellm,
}

/// How a price list is read.
#[derive(Clone, Debug)]
pub struct Options {
    /// The first day of prices for which the list has no date.
    pub valid_from: Date,
    /// Only these providers, by the meter's names; all if there are none.
    pub providers: Vec<String>,
    /// Whether prices with too many decimals are rounded.
    pub round: bool,
}

/// A price list as a price book.
#[derive(Debug)]
pub struct Imported {
    /// The price book, TOML.
    pub toml: String,
    /// Models of the list, and how many of them have prices in the book.
    pub models: (usize, usize),
    /// Entries of the book.
    pub entries: usize,
    /// What was not taken over as it is.
    pub notes: Notes,
}

/// What was not taken over as it is: why, and for which models.
#[derive(Debug, Default)]
pub struct Notes(BTreeMap<String, BTreeSet<String>>);

impl Notes {
    fn add(&mut self, why: impl Into<String>, model: &str) {
        self.0.entry(why.into()).or_default().insert(model.to_owned());
    }
}

/// One line a reason.
impl fmt::Display for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(why, models)| {
            let names = models.iter().map(printable).collect::<Vec<_>>().join(", ");
            writeln!(f, "{} ({}): {names}", printable(why), models.len())
        })
    }
}

/// A list on its way to a price book.
struct Import<'a> {
    options: &'a Options,
    notes: Notes,
    drafts: Vec<Draft>,
    /// Models of the list that were looked at.
    models: BTreeSet<String>,
}

/// Reads a price list.
pub fn import(list: List, text: &str, options: &Options) -> Result<Imported, String> {
    let mut import = Import { options, notes: Notes::default(), drafts: Vec::new(), models: BTreeSet::new() };
    let source = match list {
        List::GenaiPrices => {
            genai::read(text, &mut import)?;
            "genai-prices (https://github.com/pydantic/genai-prices)"
        }
        List::Litellm => {
            litellm::read(text, &mut import)?;
            "LiteLLM (https://github.com/BerriAI/litellm)"
        }
    };
    let Import { mut notes, drafts, models, .. } = import;
    let drafts = draft::settle(drafts, &mut notes);
    let taken: BTreeSet<&str> = drafts.iter().flat_map(|draft| draft.sources.iter().map(String::as_str)).collect();
    let toml = draft::toml(source, &drafts);
    // What is written is what is read: a book that the check would refuse never leaves the import.
    super::PriceBook::parse(&toml).map_err(|Problems(problems)| {
        format!("the book made of it would be refused: {}", problems.first().map_or("", String::as_str))
    })?;
    Ok(Imported { toml, models: (models.len(), taken.len()), entries: drafts.len(), notes })
}

impl Import<'_> {
    /// Whether a provider is asked for, by the meter's name.
    fn wants(&self, provider: &str) -> bool {
        self.options.providers.is_empty() || self.options.providers.iter().any(|wanted| wanted == provider)
    }

    /// A number of the list as a price. What is too fine is rounded if that is asked for; either way it is named.
    fn price(&mut self, number: &str, unit: Unit, class: Class, what: &str, model: &str) -> Option<Price> {
        let decimal = match Decimal::from_json(number) {
            Ok(decimal) => decimal,
            Err(problem) => {
                self.notes.add(format!("left out, {what}: {problem}"), model);
                return None;
            }
        };
        match decimal.price(unit, crate::prices::entry::per(class)) {
            Ok(price) => Some(price),
            Err(NoPrice::TooFine(nearest)) if self.options.round => {
                self.notes.add("rounded to 12 decimals", &format!("{model} {what} {number} to {nearest}"));
                Some(nearest)
            }
            Err(NoPrice::TooFine(nearest)) => {
                let per = match crate::prices::entry::per(class) {
                    Per::MillionTokens => "a million",
                    Per::ThousandUnits => "a thousand",
                };
                self.notes.add(
                    "left out, a price has more than 12 decimals (--round takes the nearest)",
                    &format!("{model} {what} {number} (nearest: {nearest} {per})"),
                );
                None
            }
            Err(NoPrice::TooLarge) => {
                self.notes.add(format!("left out, {what}: must be at most 1000000 USD"), model);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! Price books from public price lists: what they say is taken over exactly, and what cannot be is named.

pub use history::Changes;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::civil::Date;
use wire::usage::Class;

use super::Problems;
use crate::money::{Per, Price};
use crate::terminal::printable;
use decimal::{Decimal, NoPrice, Unit};
use draft::Draft;

mod combine;
mod decimal;
mod draft;
mod fees;
mod genai;
mod history;
mod litellm;
mod names;
mod regex;
mod ties;
mod write;

/// A price list that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum List {
    /// Pydantic's genai-prices: prices/new_data/v2/data.json.
    GenaiPrices,
    /// LiteLLM's model_prices_and_context_window.json.
    Litellm,
    /// Kept by hand, TOML: what tools cost, models that no list has, and surcharges, as `[[fee]]`, `[[price]]` and `[[surcharge]]` tables
    /// with provider, model, source, date and prices.
    Fees,
}

impl List {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            List::GenaiPrices => "genai-prices",
            List::Litellm => "litellm",
            List::Fees => "fees",
        }
    }

    fn made_by(self) -> &'static str {
        match self {
            List::GenaiPrices => "genai-prices (https://github.com/pydantic/genai-prices)",
            List::Litellm => "LiteLLM (https://github.com/BerriAI/litellm)",
            List::Fees => "a list kept by hand",
        }
    }
}

/// How price lists are read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The first day of prices for which the list has no date.
    pub valid_from: Date,
    /// Only these providers, by the meter's names; all if there are none.
    pub providers: Vec<String>,
    /// Whether prices with too many decimals are rounded.
    pub round: bool,
    /// An earlier book that was made so: prices that have changed since are ended there, and hold anew from `today`.
    pub update: Option<String>,
    /// The day from which what has changed holds.
    pub today: Date,
    /// Lines for the beginning of the book.
    pub comments: Vec<String>,
}

/// Price lists as a price book.
#[derive(Debug)]
pub struct Imported {
    /// The price book, TOML.
    pub toml: String,
    /// Models of each list, and how many of them have prices in the book.
    pub models: Vec<(List, usize, usize)>,
    /// Entries of the book.
    pub entries: usize,
    /// What was not taken over as it is.
    pub notes: Notes,
    /// What differs from the earlier book, if there is one.
    pub changes: Option<Changes>,
}

/// What was not taken over as it is: why, and for which models.
#[derive(Debug, Default)]
pub struct Notes(BTreeMap<String, BTreeSet<String>>);

impl Notes {
    fn add(&mut self, why: impl Into<String>, model: &str) {
        self.0.entry(why.into()).or_default().insert(model.to_owned());
    }

    fn append(&mut self, other: Notes) {
        for (why, mut models) in other.0 {
            self.0.entry(why).or_default().append(&mut models);
        }
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

/// Another name of a model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Alias {
    provider: String,
    model: String,
    is: String,
}

/// What a provider takes for its tools, beside what a model costs.
#[derive(Clone, Debug)]
struct Fee {
    provider: String,
    /// Patterns; none for all models.
    models: Vec<String>,
    /// When it is taken; none: always.
    conditions: draft::Conditions,
    prices: draft::Prices,
}

/// What is added to the prices of other entries.
#[derive(Clone, Debug)]
struct Surcharge {
    provider: String,
    models: Vec<String>,
    from: Date,
    prices: draft::Prices,
}

/// A list on its way to a price book.
struct Import<'a> {
    options: &'a Options,
    notes: Notes,
    drafts: Vec<Draft>,
    aliases: Vec<(Alias, String)>,
    fees: Vec<Fee>,
    surcharges: Vec<Surcharge>,
    /// Models of the list that were looked at.
    models: BTreeSet<String>,
    /// Those of them that are in the book by something else than a draft or an alias.
    taken: BTreeSet<String>,
}

/// Reads a price list.
pub fn import(list: List, text: &str, options: &Options) -> Result<Imported, String> {
    import_all(&[(list, text)], options)
}

/// Reads price lists. Of a model that several name under one provider the first list's prices are taken.
pub fn import_all(lists: &[(List, &str)], options: &Options) -> Result<Imported, String> {
    let mut read = Vec::new();
    for (list, text) in lists {
        let mut import = Import::new(options);
        match list {
            List::GenaiPrices => genai::read(text, &mut import),
            List::Litellm => litellm::read(text, &mut import),
            List::Fees => fees::read(text, &mut import),
        }
        .map_err(|problem| if lists.len() > 1 { format!("{}: {problem}", list.name()) } else { problem })?;
        read.push((*list, import));
    }
    let combine::Combined { mut drafts, aliases, surcharges, models, notes } = combine::all(read);
    let changes = match &options.update {
        Some(earlier) => Some(history::update(earlier, &mut drafts, options.today)?),
        None => None,
    };
    let aliases: Vec<Alias> = aliases.into_iter().collect();
    let toml = write::toml(&header(lists, options), &drafts, &aliases, &surcharges);
    // What is written is what is read: a book that the check would refuse never leaves the import.
    super::PriceBook::parse(&toml).map_err(|Problems(problems)| {
        format!("the book made of it would be refused: {}", problems.first().map_or("", String::as_str))
    })?;
    Ok(Imported { toml, models, entries: drafts.len(), notes, changes })
}

fn header(lists: &[(List, &str)], options: &Options) -> String {
    let mut sources: Vec<&str> = lists.iter().map(|(list, _)| list.made_by()).collect();
    sources.dedup();
    let mut text = format!("# Made by `meshmeter prices import` from {}.\n", sources.join(" and "));
    for line in options.comments.iter().flat_map(|comment| comment.lines()) {
        text.push_str(&format!("# {}\n", printable(line)));
    }
    text.push_str(
        "# List prices: check them against your provider's price list, and against your own contract, before you bill.\n",
    );
    text
}

impl<'a> Import<'a> {
    fn new(options: &'a Options) -> Import<'a> {
        Import {
            options,
            notes: Notes::default(),
            drafts: Vec::new(),
            aliases: Vec::new(),
            fees: Vec::new(),
            surcharges: Vec::new(),
            models: BTreeSet::new(),
            taken: BTreeSet::new(),
        }
    }

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
        match decimal.price(unit, super::entry::per(class)) {
            Ok(price) => Some(price),
            Err(NoPrice::TooFine(nearest)) if self.options.round => {
                self.notes.add("rounded to 12 decimals", &format!("{model} {what} {number} to {nearest}"));
                Some(nearest)
            }
            Err(NoPrice::TooFine(nearest)) => {
                let per = match super::entry::per(class) {
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

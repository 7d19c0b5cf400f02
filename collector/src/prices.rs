//! The price book: dated prices per provider, model and all that prices depend on, read from TOML; several books are layers, of
//! which the first that has an entry for a call decides.

use std::collections::BTreeSet;
use std::fmt;

use jiff::civil::Date;

mod adjust;
mod alias;
mod basis;
mod ceiling;
mod conditions;
mod entry;
mod explain;
mod find;
pub mod import;
mod index;
mod input;
pub mod keys;
mod layers;
mod names;
mod nearest;
mod pattern;
mod policy;
mod rate;
mod rating;
mod read;
mod surcharge;
mod warnings;

pub(crate) use nearest::nearest;

pub use basis::{Basis, Free, WAS_UNPRICED};
pub use explain::Explained;
pub use input::RatingInput;
pub use layers::Books;
pub use policy::Policy;
pub use rating::{By, Line, Rated, Rating, amounts, price_is_per};

use adjust::Adjust;
use alias::{Alias, Aliases};
use entry::Entry;
use find::Remembered;
use index::Index;
use policy::Policies;
use read::Read;
use surcharge::Surcharge;

/// What calls cost: one book, or several as layers.
///
/// ```
/// use collector::prices::{PriceBook, RatingInput};
/// use wire::usage::{Class, Usage};
///
/// let book = PriceBook::parse(
///     r#"
///     [[price]]
///     provider = "openai"
///     model = "gpt-5*"
///     valid_from = 2026-01-01
///     input_text = "1.25"      # USD per million tokens
///     cache_read = "0.125"
///     output_text = "10.00"
///     "#,
/// )?;
///
/// let mut usage = Usage::default();
/// usage.set(Class::InputText, Some(1_000));
/// usage.set(Class::CacheRead, Some(9_000));
/// usage.set(Class::OutputText, Some(100));
/// let began = jiff::civil::date(2026, 1, 31).at(12, 0, 0, 0);
///
/// let rating = book.rate(&RatingInput::new("openai", "gpt-5-mini", began, &usage));
/// assert_eq!(rating.charge().to_string(), "0.003375");
///
/// // What has no price is unpriced, not free.
/// let rating = book.rate(&RatingInput::new("openai", "o3", began, &usage));
/// assert!(rating.is_unpriced());
/// # Ok::<(), collector::prices::Problems>(())
/// ```
#[derive(Debug, Default)]
pub struct PriceBook {
    /// The first that has an entry decides.
    layers: Vec<Layer>,
    aliases: Aliases,
    policies: Policies,
    adjusts: Vec<Adjust>,
    remembered: Remembered,
}

/// The entries of one book.
#[derive(Debug, Default)]
struct Layer {
    /// Its file, or nothing for a text.
    name: String,
    /// The day of the lists that the built-in book is made from.
    built_in: Option<String>,
    entries: Vec<Entry>,
    index: Index,
    /// What is added to prices, of this book and of those behind it.
    surcharges: Vec<Surcharge>,
}

/// What is wrong with a price book, one line a problem.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Problems {}

impl PriceBook {
    /// Reads a price book; every problem names the entry and the field.
    pub fn parse(text: &str) -> Result<PriceBook, Problems> {
        let read = read::parse(text).map_err(Problems)?;
        PriceBook::of(vec![(Layer::default(), read)]).map_err(Problems)
    }

    fn of(books: Vec<(Layer, Read)>) -> Result<PriceBook, Vec<String>> {
        let mut book = PriceBook::default();
        let mut aliases = Vec::new();
        for (layer, read) in books {
            book.policies.extend(read.policies);
            let name = &layer.name;
            aliases.extend(read.aliases.into_iter().map(|alias| Alias { book: name.clone(), ..alias }));
            book.adjusts.extend(read.adjusts.into_iter().map(|adjust| Adjust { book: name.clone(), ..adjust }));
            let (index, entries, surcharges) = (Index::new(&read.entries), read.entries, read.surcharges);
            book.layers.push(Layer { index, entries, surcharges, ..layer });
        }
        adjust::check(&book.adjusts)?;
        Ok(PriceBook { aliases: Aliases::new(aliases)?, ..book })
    }

    /// The books by their names, in the order in which they decide.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.layers.iter().map(|layer| layer.name.as_str())
    }

    /// Whether there is no price in it at all.
    pub fn is_empty(&self) -> bool {
        self.layers.iter().all(|layer| layer.entries.is_empty())
    }

    /// What is in the book, for a person to read.
    pub fn summary(&self) -> String {
        let count = |number: usize, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
        let entries = || self.layers.iter().flat_map(|layer| &layer.entries);
        let providers: BTreeSet<&str> = entries().map(|entry| entry.provider.as_str()).collect();
        let models: BTreeSet<(&str, &str)> = entries()
            .flat_map(|entry| entry.models.iter().map(|model| (entry.provider.as_str(), model.text())))
            .collect();
        let mut parts = vec![
            count(entries().count(), "entry", "entries"),
            count(providers.len(), "provider", "providers"),
            count(models.len(), "model or pattern", "models and patterns"),
        ];
        if self.aliases.len() > 0 {
            parts.push(count(self.aliases.len(), "alias", "aliases"));
        }
        if !self.adjusts.is_empty() {
            parts.push(count(self.adjusts.len(), "discount or mark-up", "discounts and mark-ups"));
        }
        let surcharges = self.layers.iter().map(|layer| layer.surcharges.len()).fold(0, usize::saturating_add);
        if surcharges > 0 {
            parts.push(count(surcharges, "surcharge", "surcharges"));
        }
        if let Some(date) = self.layers.iter().find_map(|layer| layer.built_in.as_deref()) {
            parts.push(format!("those of the built-in book of {date} among them"));
        }
        parts.join(", ")
    }
}

/// Reads a day, `2026-01-31`.
pub fn day(text: &str) -> Option<Date> {
    // The parser takes whole timestamps, too.
    if text.len() == 10 { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;

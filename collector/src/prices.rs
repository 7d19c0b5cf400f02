//! The price book: dated prices per provider, model and usage class, read from TOML.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use jiff::civil::Date;
use meter::usage::{Class, Kind};

use crate::money::{Charge, Per, Price};

mod read;

/// What calls cost, by provider, model and day.
#[derive(Debug, Default)]
pub struct PriceBook {
    entries: Vec<Entry>,
}

/// Prices of some models of a provider, while they are valid.
#[derive(Debug)]
struct Entry {
    provider: String,
    models: Vec<Pattern>,
    valid_from: Date,
    /// The last day.
    valid_to: Option<Date>,
    prices: HashMap<Class, Price>,
}

/// A model's name, or how it begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Pattern {
    Exact(String),
    Prefix(String),
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

/// What a count of a class costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rated {
    /// By the class's own price.
    Priced(Charge),
    /// By the price of a class that stands in for it.
    Fallback(Charge),
    /// There is no price: the cost is unknown, not nothing.
    Unpriced,
}

impl PriceBook {
    /// Reads a price book; every problem names the entry and the field.
    pub fn parse(text: &str) -> Result<PriceBook, Problems> {
        read::parse(text).map_err(Problems)
    }

    /// Reads the price book of a file.
    pub fn load(path: &Path) -> Result<PriceBook, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        PriceBook::parse(&text).map_err(|problems| {
            let lines: Vec<String> =
                problems.0.iter().map(|problem| format!("{}: {problem}", path.display())).collect();
            lines.join("\n")
        })
    }

    /// What a count costs; an error only if the amount does not fit.
    pub fn rate(
        &self,
        provider: &str,
        model: &str,
        day: Date,
        class: Class,
        quantity: i128,
    ) -> Result<Rated, &'static str> {
        let Some(entry) = self.entry(provider, model, day) else { return Ok(Rated::Unpriced) };
        let per = per(class);
        let charge = |price: Price| price.charge(quantity, per).ok_or("the charge does not fit in 128 bits");
        if let Some(price) = entry.prices.get(&class) {
            return charge(*price).map(Rated::Priced);
        }
        let mut stand_in = stand_in(class);
        while let Some(class) = stand_in {
            if let Some(price) = entry.prices.get(&class) {
                return charge(*price).map(Rated::Fallback);
            }
            stand_in = self::stand_in(class);
        }
        Ok(Rated::Unpriced)
    }

    /// The entry of a call: of those valid on the day the one that names the model, else the longest beginning of it.
    fn entry(&self, provider: &str, model: &str, day: Date) -> Option<&Entry> {
        self.entries
            .iter()
            .filter(|entry| entry.provider == provider && entry.is_valid_on(day))
            .filter_map(|entry| {
                Some((entry.models.iter().filter_map(|pattern| pattern.closeness(model)).max()?, entry))
            })
            .max_by_key(|(closeness, _)| *closeness)
            .map(|(_, entry)| entry)
    }
}

impl Entry {
    fn is_valid_on(&self, day: Date) -> bool {
        self.valid_from <= day && self.valid_to.is_none_or(|last| day <= last)
    }

    fn overlaps(&self, other: &Entry) -> bool {
        let begins_before_end_of = |a: &Entry, b: &Entry| b.valid_to.is_none_or(|last| a.valid_from <= last);
        begins_before_end_of(self, other) && begins_before_end_of(other, self)
    }
}

impl Pattern {
    fn new(text: &str) -> Pattern {
        match text.strip_suffix('*') {
            Some(prefix) => Pattern::Prefix(prefix.to_owned()),
            None => Pattern::Exact(text.to_owned()),
        }
    }

    /// How close the pattern is to a model that it matches.
    fn closeness(&self, model: &str) -> Option<usize> {
        match self {
            Pattern::Exact(name) => (name == model).then_some(usize::MAX),
            Pattern::Prefix(prefix) => model.starts_with(prefix.as_str()).then_some(prefix.len()),
        }
    }
}

/// Reads a day, `2026-01-31`.
pub fn day(text: &str) -> Option<Date> {
    // The parser takes whole timestamps, too.
    if text.len() == 10 { text.parse().ok() } else { None }
}

fn per(class: Class) -> Per {
    match class.kind() {
        Kind::Input | Kind::Output => Per::MillionTokens,
        Kind::Unit | Kind::Information => Per::ThousandUnits,
    }
}

/// The class whose price stands in for a missing one. A new class must be decided on here.
fn stand_in(class: Class) -> Option<Class> {
    match class {
        Class::CacheWrite1h | Class::CacheWriteOther => Some(Class::CacheWrite5m),
        Class::CacheReadAudio | Class::CacheReadImage | Class::CacheReadVideo => Some(Class::CacheRead),
        Class::CacheWrite5m | Class::CacheRead => Some(Class::InputText),
        Class::InputAudio | Class::InputImage | Class::InputVideo | Class::InputTool => Some(Class::InputText),
        Class::OutputReasoning | Class::OutputAudio | Class::OutputImage | Class::OutputVideo => {
            Some(Class::OutputText)
        }
        Class::OutputCitation => Some(Class::OutputText),
        Class::InputText | Class::OutputText => None,
        Class::WebSearches | Class::SearchUnits | Class::AudioSeconds => None,
        Class::CacheReadUnbilled => None,
    }
}

#[cfg(test)]
mod tests;

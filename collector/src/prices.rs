//! The price book: dated prices per provider, model and all that prices depend on, read from TOML; several books are layers, of
//! which the first that has an entry for a call decides.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use jiff::civil::Date;

use crate::terminal::{self, printable};

mod adjust;
mod alias;
mod call;
mod conditions;
mod entry;
mod find;
pub mod import;
mod index;
pub mod keys;
mod names;
mod pattern;
mod policy;
mod rate;
mod rating;
mod read;

pub use call::Call;
pub use policy::Policy;
pub use rating::{By, Line, Rated, Rating};

use adjust::Adjust;
use alias::Aliases;
use entry::Entry;
use index::Index;
use policy::Policies;
use read::Read;

/// What calls cost: one book, or several as layers.
#[derive(Debug, Default)]
pub struct PriceBook {
    /// The first that has an entry decides.
    layers: Vec<Layer>,
    aliases: Aliases,
    policies: Policies,
    adjusts: Vec<Adjust>,
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

/// The book that holds where no other has an entry, made from public lists; it may be empty.
const BUILT_IN: &str = include_str!(concat!(env!("OUT_DIR"), "/builtin.toml"));

impl PriceBook {
    /// Reads a price book; every problem names the entry and the field.
    pub fn parse(text: &str) -> Result<PriceBook, Problems> {
        let read = read::parse(text).map_err(Problems)?;
        PriceBook::of(vec![(Layer::default(), read)]).map_err(Problems)
    }

    /// Reads the price books of files, the first one decides first; then the built-in one, if it is wanted.
    pub fn layers<P: AsRef<Path>>(files: &[P], with_built_in: bool) -> Result<PriceBook, String> {
        let mut books = Vec::new();
        let mut problems = Vec::new();
        for file in files {
            match read_file(file.as_ref()) {
                Ok(read) => {
                    books.push((Layer { name: terminal::file(file.as_ref()).to_string(), ..Layer::default() }, read))
                }
                Err(found) => problems.push(found),
            }
        }
        if with_built_in {
            let (layer, read) = built_in()?;
            books.extend((!read.entries.is_empty()).then_some((layer, read)));
        }
        if !problems.is_empty() {
            return Err(problems.join("\n"));
        }
        PriceBook::of(books).map_err(|found| {
            let names: Vec<String> = files.iter().map(|file| terminal::file(file.as_ref()).to_string()).collect();
            found
                .iter()
                .map(|problem| format!("{}: {}", names.join(", "), printable(problem)))
                .collect::<Vec<_>>()
                .join("\n")
        })
    }

    /// Reads the price book of a file.
    pub fn load(path: &Path) -> Result<PriceBook, String> {
        PriceBook::layers(&[path], false)
    }

    /// The built-in book alone.
    pub fn built_in() -> Result<PriceBook, String> {
        PriceBook::layers::<&Path>(&[], true)
    }

    fn of(books: Vec<(Layer, Read)>) -> Result<PriceBook, Vec<String>> {
        let mut book = PriceBook::default();
        let mut aliases = Vec::new();
        for (layer, read) in books {
            aliases.extend(read.aliases);
            book.policies.extend(read.policies);
            book.adjusts.extend(read.adjusts);
            book.layers.push(Layer { index: Index::new(&read.entries), entries: read.entries, ..layer });
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
        if let Some(date) = self.layers.iter().find_map(|layer| layer.built_in.as_deref()) {
            parts.push(format!("those of the built-in book of {date} among them"));
        }
        parts.join(", ")
    }
}

/// Reads the price book of a file. One without a table, or whose last line has no end, is what is left of a book: nothing would
/// have a price, or another one.
fn read_file(path: &Path) -> Result<Read, String> {
    let name = terminal::file(path);
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let line = |problem: &str| format!("{name}: {}", printable(problem));
    let read = read::parse(&text)
        .map_err(|problems| problems.iter().map(|problem| line(problem)).collect::<Vec<_>>().join("\n"))?;
    if read.is_empty() {
        return Err(line("has no [[price]] in it; by an empty book nothing would have a price"));
    }
    if !text.ends_with('\n') {
        return Err(line("its last line has no end, so the file may be cut off; end it with a line feed"));
    }
    Ok(read)
}

fn built_in() -> Result<(Layer, Read), String> {
    let problems = |problems: Vec<String>| format!("the built-in price book: {}", problems.join("; "));
    let read = read::parse(BUILT_IN).map_err(problems)?;
    let words = BUILT_IN.lines().take_while(|line| line.starts_with('#')).flat_map(str::split_whitespace);
    let date = words.map(|word| word.trim_matches(|c: char| !c.is_ascii_digit())).find_map(day);
    let date = date.map(|date| date.to_string()).unwrap_or_default();
    Ok((Layer { name: "the built-in price book".to_owned(), built_in: Some(date), ..Layer::default() }, read))
}

/// Reads a day, `2026-01-31`.
pub fn day(text: &str) -> Option<Date> {
    // The parser takes whole timestamps, too.
    if text.len() == 10 { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;

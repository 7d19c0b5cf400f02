//! The price book: dated prices per provider, model, service tier, context and usage class, read from TOML.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::Path;

use jiff::civil::Date;
use meter::usage::{Class, Kind, Usage};

use crate::money::{Per, Price};
use crate::terminal::{self, printable};

pub mod import;
mod index;
mod pattern;
mod rating;
mod read;

pub use rating::{Call, Line, Rated, Rating};

use index::Index;
use pattern::Pattern;

/// What calls cost, by provider, model, day, service tier and context.
#[derive(Debug, Default)]
pub struct PriceBook {
    entries: Vec<Entry>,
    index: Index,
}

/// Prices of some models of a provider, while they are valid.
#[derive(Debug)]
struct Entry {
    provider: String,
    models: Vec<Pattern>,
    /// Models that it is not for, although its patterns match.
    except: Vec<Pattern>,
    valid_from: Date,
    /// The last day.
    valid_to: Option<Date>,
    /// The service tiers that it is for; none for the standard one.
    tiers: Vec<String>,
    prices: HashMap<Class, Price>,
    /// The prices of larger inputs, the largest first.
    contexts: Vec<Context>,
}

/// Prices of calls whose whole input is larger than a bound.
#[derive(Debug)]
struct Context {
    /// Tokens.
    above: u64,
    prices: HashMap<Class, Price>,
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

/// The names that providers have for the service tier of a call that asked for none.
const STANDARD_TIERS: [&str; 3] = ["default", "on_demand", "standard"];

/// An entry as it applies to a call.
#[derive(Clone, Copy)]
struct Found<'a> {
    entry: &'a Entry,
    pattern: Option<&'a Pattern>,
    /// Whether the entry is not for the service tier that was used, but the standard one's.
    stands_in: bool,
    /// What a class costs that the entry names no price for, if the entry is for another service tier.
    standard: Option<&'a Entry>,
}

impl PriceBook {
    /// Reads a price book; every problem names the entry and the field.
    pub fn parse(text: &str) -> Result<PriceBook, Problems> {
        read::parse(text).map(PriceBook::new).map_err(Problems)
    }

    fn new(entries: Vec<Entry>) -> PriceBook {
        PriceBook { index: Index::new(&entries), entries }
    }

    /// Reads the price book of a file. One without an entry, or whose last line has no end, is what is left of a book: nothing
    /// would have a price, or another one.
    pub fn load(path: &Path) -> Result<PriceBook, String> {
        let name = terminal::file(path);
        let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
        let line = |problem: &str| format!("{name}: {}", printable(problem));
        let book = PriceBook::parse(&text).map_err(|Problems(problems)| {
            problems.iter().map(|problem| line(problem)).collect::<Vec<_>>().join("\n")
        })?;
        if book.entries.is_empty() {
            return Err(line("has no [[price]] in it; by an empty book nothing would have a price"));
        }
        if !text.ends_with('\n') {
            return Err(line("its last line has no end, so the file may be cut off; end it with a line feed"));
        }
        Ok(book)
    }

    /// What is in the book, for a person to read.
    pub fn summary(&self) -> String {
        let count = |number: usize, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
        let providers: BTreeSet<&str> = self.entries.iter().map(|entry| entry.provider.as_str()).collect();
        let models: BTreeSet<(&str, &str)> = self
            .entries
            .iter()
            .flat_map(|entry| entry.models.iter().map(|model| (entry.provider.as_str(), model.text())))
            .collect();
        [
            count(self.entries.len(), "entry", "entries"),
            count(providers.len(), "provider", "providers"),
            count(models.len(), "model or pattern", "models and patterns"),
        ]
        .join(", ")
    }

    /// Rates a call. Counts without a price are unpriced, not free.
    pub fn rate(&self, call: &Call<'_>) -> Rating {
        let found = self.find(call.provider, call.model, call.day, call.service_tier);
        let context = found.and_then(|found| found.entry.context(call.usage));
        // Without a count of the input nobody knows which context's prices hold.
        let unsure = call.usage.input_total().is_none();
        let rate = |class: Class, quantity: u64| {
            let Some(found) = found else { return Rated::Unpriced };
            let Some((price, exact)) = found.price(class, context, call.usage) else { return Rated::Unpriced };
            let charge = price.of(quantity, per(class));
            if exact && !found.stands_in && !(unsure && found.entry.is_by_context(class)) {
                Rated::Priced { price, charge }
            } else {
                Rated::Fallback { price, charge }
            }
        };
        let counted = call.usage.iter().filter(|(class, count)| class.kind() != Kind::Information && *count > 0);
        Rating {
            entry: found.map(|found| found.name(context)),
            lines: counted.map(|(class, quantity)| Line { class, quantity, rated: rate(class, quantity) }).collect(),
        }
    }

    /// The entry of a call: of those valid on the day the one that names the model, else the one that spells out most of
    /// its name; of these the one of its service tier, else the standard one.
    fn find(&self, provider: &str, model: &str, day: Date, tier: Option<&str>) -> Option<Found<'_>> {
        let tier = tier.filter(|tier| !STANDARD_TIERS.iter().any(|standard| standard.eq_ignore_ascii_case(tier)));
        let model = match model.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
            true => Cow::Borrowed(model),
            false => Cow::Owned(model.to_lowercase()),
        };
        self.index.find(provider, &model, |slots| {
            let valid = |entry: &Entry| entry.is_valid_on(day) && !entry.except.iter().any(|not| not.matches(&model));
            let one = |is_wanted: &dyn Fn(&Entry) -> bool| {
                slots.iter().find_map(|slot| {
                    let entry = self.entries.get(slot.entry).filter(|entry| is_wanted(entry) && valid(entry))?;
                    Some((entry, entry.models.get(slot.pattern)))
                })
            };
            let standard = one(&|entry| entry.tiers.is_empty());
            let named = tier.and_then(|tier| one(&|entry| entry.is_for(tier)));
            match (named, standard) {
                (Some((entry, pattern)), standard) => {
                    Some(Found { entry, pattern, stands_in: false, standard: standard.map(|(entry, _)| entry) })
                }
                (None, Some((entry, pattern))) => {
                    Some(Found { entry, pattern, stands_in: tier.is_some(), standard: None })
                }
                (None, None) => None,
            }
        })
    }
}

impl Found<'_> {
    /// What a class costs, and whether that is its own price. What another service tier's entry does not name costs
    /// what it costs in the standard one, before another class stands in.
    fn price(self, class: Class, context: Option<&Context>, usage: &Usage) -> Option<(Price, bool)> {
        let own = self.entry.price(class, context);
        match (own, self.standard.and_then(|standard| standard.price(class, standard.context(usage)))) {
            (Some((price, true)), _) => Some((price, true)),
            (_, Some((price, true))) => Some((price, false)),
            (Some((price, false)), _) | (None, Some((price, false))) => Some((price, false)),
            (None, None) => None,
        }
    }

    fn name(self, context: Option<&Context>) -> String {
        let Entry { provider, valid_from, tiers, .. } = self.entry;
        let mut name = format!("{provider} {} {valid_from}", self.pattern.map_or("", Pattern::text));
        if !tiers.is_empty() {
            name.push_str(" tier=");
            name.push_str(&tiers.join(","));
        }
        if let Some(context) = context {
            name.push_str(&format!(" above={}", context.above));
        }
        name
    }
}

impl Entry {
    fn is_for(&self, tier: &str) -> bool {
        self.tiers.iter().any(|known| known.eq_ignore_ascii_case(tier))
    }

    /// The prices of a call with so much input; `None` for those of the entry itself.
    fn context(&self, usage: &Usage) -> Option<&Context> {
        let input = usage.input_total()?;
        self.contexts.iter().find(|context| input > context.above)
    }

    /// Whether the price of a class depends on the context.
    fn is_by_context(&self, class: Class) -> bool {
        let always = self.price(class, None);
        self.contexts.iter().any(|context| self.price(class, Some(context)) != always)
    }

    /// What a class costs, and whether that is its own price. What a context does not name costs what it always does.
    fn price(&self, class: Class, context: Option<&Context>) -> Option<(Price, bool)> {
        let own = |class: Class| {
            context.and_then(|context| context.prices.get(&class)).or_else(|| self.prices.get(&class)).copied()
        };
        let mut candidates = std::iter::successors(Some(class), |class| stand_in(*class));
        candidates.find_map(|candidate| Some((own(candidate)?, candidate == class)))
    }

    fn is_valid_on(&self, day: Date) -> bool {
        self.valid_from <= day && self.valid_to.is_none_or(|last| day <= last)
    }

    fn overlaps(&self, other: &Entry) -> bool {
        let begins_before_end_of = |a: &Entry, b: &Entry| b.valid_to.is_none_or(|last| a.valid_from <= last);
        begins_before_end_of(self, other) && begins_before_end_of(other, self)
    }
}

/// Reads a day, `2026-01-31`.
pub fn day(text: &str) -> Option<Date> {
    // The parser takes whole timestamps, too.
    if text.len() == 10 { text.parse().ok() } else { None }
}

fn per(class: Class) -> Per {
    match class.kind() {
        // As price lists have it.
        _ if matches!(class, Class::Characters | Class::CacheStorageTokenHours) => Per::MillionTokens,
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
        Class::WebSearches | Class::XSearches | Class::MapsSearches | Class::FileSearches => None,
        Class::CodeExecutions | Class::ContainerSessions | Class::ImagesIn | Class::ImagesOut => None,
        Class::Pages | Class::AnnotatedPages | Class::Characters | Class::AudioSeconds | Class::VideoSeconds => None,
        Class::CacheStorageTokenHours | Class::SearchUnits => None,
        Class::CacheReadUnbilled => None,
    }
}

#[cfg(test)]
mod tests;

//! TOML to price book, by hand: every problem is found, and names the entry, the field and what is allowed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use toml::{Table, Value};
use wire::usage::{Class, Kind};

use super::adjust::Adjust;
use super::alias::Alias;
use super::entry::{Currency, Entry};
use super::keys;
use super::pattern::Pattern;
use super::policy::Policies;
use super::surcharge::Surcharge;

mod conditions;
mod entry;
mod fields;
mod others;

use fields::Fields;

/// What a model's name begins with that an entry is not for.
pub(super) const NOT: char = '!';
/// What a name is called in a problem that has none.
const TABLES: [&str; 6] =
    [keys::PRICE, keys::SURCHARGE, keys::CURRENCIES, keys::ALIAS, keys::PROVIDER_COST, keys::ADJUST];

/// What stands in a file.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub entries: Vec<Entry>,
    pub aliases: Vec<Alias>,
    pub policies: Policies,
    pub adjusts: Vec<Adjust>,
    pub surcharges: Vec<Surcharge>,
}

impl Read {
    /// Whether nothing is said in it.
    pub fn is_empty(&self) -> bool {
        let Read { entries, aliases, policies, adjusts, surcharges } = self;
        let is_priced = !entries.is_empty() || !surcharges.is_empty();
        !is_priced && aliases.is_empty() && adjusts.is_empty() && *policies == Policies::default()
    }
}

type Currencies = BTreeMap<String, Arc<Currency>>;

pub fn parse(text: &str) -> Result<Read, Vec<String>> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| vec![not_toml(text, &error)])?;
    let mut problems = Vec::new();
    for key in table.keys().filter(|key| !TABLES.contains(&key.as_str())) {
        problems.push(format!("{key}: is not known; a price book has {} tables", headings().join(", ")));
    }
    let currencies = others::currencies(tables(&table, keys::CURRENCIES, &mut problems), &mut problems);
    let entries = entries(tables(&table, keys::PRICE, &mut problems), &currencies, &mut problems);
    let aliases = others::aliases(tables(&table, keys::ALIAS, &mut problems), &mut problems);
    let adjusts = others::adjusts(tables(&table, keys::ADJUST, &mut problems), &mut problems);
    let surcharges = others::surcharges(tables(&table, keys::SURCHARGE, &mut problems), &mut problems);
    let policies = others::policies(table.get(keys::PROVIDER_COST), &mut problems);
    if problems.is_empty() { Ok(Read { entries, aliases, policies, adjusts, surcharges }) } else { Err(problems) }
}

fn headings() -> Vec<&'static str> {
    keys::SECTIONS.iter().map(|section| section.heading).filter(|heading| !heading.contains('.')).collect()
}

/// The tables of a list, `[[key]]`.
fn tables<'a>(table: &'a Table, key: &str, problems: &mut Vec<String>) -> &'a [Value] {
    match table.get(key) {
        None => &[],
        Some(Value::Array(values)) => values,
        Some(_) => {
            problems.push(format!("{key}: must be a list of tables, [[{key}]]"));
            &[]
        }
    }
}

fn entries(values: &[Value], currencies: &Currencies, problems: &mut Vec<String>) -> Vec<Entry> {
    let mut entries: Vec<(usize, Entry)> = Vec::with_capacity(values.len());
    let mut found: Vec<(usize, String)> = Vec::new();
    for (number, value) in values.iter().enumerate() {
        let mut fields = Fields::new(keys::PRICE, number, value);
        entries.extend(fields.entry(currencies).map(|entry| (number, entry)));
        found.extend(fields.problems.drain(..).map(|problem| (number, problem)));
    }
    found.extend(overlaps(values, &entries));
    // What is wrong with an entry stands together, and that it overlaps stands last.
    found.sort_by_key(|(number, _)| *number);
    problems.extend(found.into_iter().map(|(_, problem)| problem));
    entries.into_iter().map(|(_, entry)| entry).collect()
}

/// The problems of entries, by their numbers, that can hold for the same call as an earlier one.
fn overlaps(values: &[Value], entries: &[(usize, Entry)]) -> Vec<(usize, String)> {
    let (mut problems, mut known) = (Vec::new(), Known::default());
    for (at, (number, entry)) in entries.iter().enumerate() {
        for (other, model) in known.add(at, entry) {
            let Some((earlier_number, earlier)) = entries.get(other).filter(|(_, earlier)| entry.overlaps(earlier))
            else {
                continue;
            };
            let fields = |number: usize| values.get(number).map(|value| Fields::new(keys::PRICE, number, value));
            let (Some(mut fields), Some(earlier_fields)) = (fields(*number), fields(*earlier_number)) else { continue };
            let way = if entry.conditions.are_none() && earlier.conditions.are_none() {
                "at most one entry may be valid on a day, end the earlier one with valid_to"
            } else {
                "both can hold for a call, end the earlier one with valid_to or give one of them another condition"
            };
            let name = earlier_fields.name();
            fields.problem(keys::VALID_FROM, &format!("overlaps {name} for {model}; {way}"));
            problems.extend(fields.problems.into_iter().map(|problem| (*number, problem)));
        }
    }
    problems
}

fn not_toml(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
    let line = before.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1);
    format!("line {line}: is not readable as TOML: {}", error.message())
}

/// The entries so far by what two of them must not share on a day: provider and model.
#[derive(Default)]
struct Known<'a>(HashMap<(&'a str, &'a Pattern), Vec<usize>>);

impl<'a> Known<'a> {
    /// Adds an entry; gives the others that share something with it, each once and with a model that they share.
    fn add(&mut self, at: usize, entry: &'a Entry) -> BTreeMap<usize, &'a str> {
        let mut others = BTreeMap::new();
        for model in &entry.models {
            let same = self.0.entry((entry.provider.as_str(), model)).or_default();
            for other in same.iter() {
                others.entry(*other).or_insert_with(|| model.text());
            }
            same.push(at);
        }
        others
    }
}

fn one_or_many(value: Option<&Value>) -> &[Value] {
    match value {
        Some(Value::Array(values)) => values.as_slice(),
        Some(value) => std::slice::from_ref(value),
        None => &[],
    }
}

/// The classes that can have a price.
pub(super) fn charged() -> impl Iterator<Item = Class> {
    Class::ALL.iter().copied().filter(|class| class.kind() != Kind::Information)
}

/// The class of a price's name.
fn class(key: &str) -> Option<Class> {
    static CLASSES: LazyLock<HashMap<&str, Class>> =
        LazyLock::new(|| charged().map(|class| (class.token_type(), class)).collect());
    CLASSES.get(key).copied()
}

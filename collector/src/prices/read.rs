//! TOML to price book, by hand: every problem is found, and names the entry, the field and what is allowed.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use meter::usage::{Class, Kind, MAX_COUNT};
use toml::{Table, Value};

use super::pattern::Pattern;
use super::{Context, Entry, STANDARD_TIERS};
use crate::money::Price;

pub(super) const PROVIDER: &str = "provider";
pub(super) const MODEL: &str = "model";
pub(super) const VALID_FROM: &str = "valid_from";
pub(super) const VALID_TO: &str = "valid_to";
pub(super) const SERVICE_TIER: &str = "service_tier";
pub(super) const CONTEXT: &str = "context";
pub(super) const ABOVE: &str = "above";
/// What a model's name begins with that an entry is not for.
pub(super) const NOT: char = '!';

pub fn parse(text: &str) -> Result<Vec<Entry>, Vec<String>> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| vec![not_toml(text, &error)])?;
    let mut problems = Vec::new();
    let mut tables: &[Value] = &[];
    for (key, value) in &table {
        match value {
            Value::Array(values) if key == "price" => tables = values,
            _ if key == "price" => problems.push("price: must be a list of tables, [[price]]".to_owned()),
            _ => problems.push(format!("{key}: is not known; a price book has [[price]] tables only")),
        }
    }
    let mut entries: Vec<(String, Entry)> = Vec::new();
    let mut known = Known::default();
    for (number, value) in tables.iter().enumerate() {
        let mut fields = Fields::new(number, value);
        if let Some(entry) = fields.entry() {
            for (other, model) in known.add(entries.len(), &entry) {
                let Some((name, _)) = entries.get(other).filter(|(_, earlier)| entry.overlaps(earlier)) else {
                    continue;
                };
                fields.problem(VALID_FROM, &format!(
                    "overlaps {name} for {model}; at most one entry may be valid on a day, end the earlier one with {VALID_TO}"
                ));
            }
            entries.push((fields.name.clone(), entry));
        }
        problems.append(&mut fields.problems);
    }
    if problems.is_empty() { Ok(entries.into_iter().map(|(_, entry)| entry).collect()) } else { Err(problems) }
}

fn not_toml(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
    let line = before.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1);
    format!("line {line}: is not readable as TOML: {}", error.message())
}

/// The entries so far by what two of them must not share on a day: provider, model and service tier.
#[derive(Default)]
struct Known(HashMap<(String, Pattern, String), Vec<usize>>);

impl Known {
    /// Adds an entry; gives the others that share something with it, each once and with a model that they share.
    fn add(&mut self, number: usize, entry: &Entry) -> BTreeMap<usize, String> {
        let mut others = BTreeMap::new();
        let standard = [String::new()];
        let tiers = if entry.tiers.is_empty() { &standard } else { entry.tiers.as_slice() };
        for tier in tiers {
            for model in &entry.models {
                let same = self.0.entry((entry.provider.clone(), model.clone(), tier.clone())).or_default();
                for other in same.iter().filter(|other| **other != number) {
                    others.entry(*other).or_insert_with(|| model.text().to_owned());
                }
                same.push(number);
            }
        }
        others
    }
}

/// The fields of one `[[price]]` or one of its contexts, and what is wrong with them.
struct Fields<'a> {
    /// `price[2]`, with provider and model where they are readable: nobody likes to count.
    name: String,
    table: Option<&'a Table>,
    problems: Vec<String>,
}

impl<'a> Fields<'a> {
    fn new(number: usize, value: &'a Value) -> Fields<'a> {
        let table = value.as_table();
        let value = |key: &str| table?.get(key);
        let model = value(MODEL).and_then(|model| model.as_array().and_then(|models| models.first()).or(Some(model)));
        let name = match (value(PROVIDER).and_then(Value::as_str), model.and_then(Value::as_str)) {
            (Some(provider), Some(model)) => format!("price[{number}] ({provider} {model})"),
            (Some(provider), None) => format!("price[{number}] ({provider})"),
            _ => format!("price[{number}]"),
        };
        Fields { name, table, problems: Vec::new() }
    }

    fn problem(&mut self, key: &str, problem: &str) {
        self.problems.push(format!("{}.{key}: {problem}", self.name));
    }

    fn entry(&mut self) -> Option<Entry> {
        let Some(table) = self.table else {
            self.problems.push(format!("{}: must be a table, [[price]]", self.name));
            return None;
        };
        self.refuse_unknown_keys(table, &[PROVIDER, MODEL, VALID_FROM, VALID_TO, SERVICE_TIER, CONTEXT]);
        let provider = self.provider(table);
        let models = self.models(table);
        let valid_from = self.date(table, VALID_FROM);
        if !table.contains_key(VALID_FROM) {
            self.problem(VALID_FROM, "is missing; the first day of these prices, YYYY-MM-DD");
        }
        let valid_to = self.date(table, VALID_TO);
        if let (Some(from), Some(to)) = (valid_from, valid_to)
            && to < from
        {
            self.problem(VALID_TO, "must not be before valid_from; it is the last day of these prices");
        }
        let tiers = self.tiers(table);
        let prices = self.prices(table);
        let contexts = self.contexts(table);
        let (models, except) = models?;
        // The entry is of use for finding overlaps even if other fields of it are wrong.
        let valid_from = valid_from?;
        Some(Entry { provider: provider?, models, except, valid_from, valid_to, tiers, prices, contexts })
    }

    fn refuse_unknown_keys(&mut self, table: &Table, known: &[&str]) {
        let classes = || charged().map(Class::token_type);
        for key in table.keys().filter(|key| !known.contains(&key.as_str())) {
            if classes().all(|class| class != key) {
                let classes: Vec<&str> = classes().collect();
                let allowed = format!("{} and the prices {}", known.join(", "), classes.join(", "));
                self.problem(key, &format!("is not known; allowed are {allowed}"));
            }
        }
    }

    fn provider(&mut self, table: &Table) -> Option<String> {
        match table.get(PROVIDER) {
            Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
            None => {
                self.problem(PROVIDER, "is missing; the provider as it stands in the report, such as \"openai\"");
                None
            }
            Some(_) => {
                self.problem(PROVIDER, "must be a text that is not empty");
                None
            }
        }
    }

    /// The models that the entry is for, and those that it is not for although they look like it.
    fn models(&mut self, table: &Table) -> Option<(Vec<Pattern>, Vec<Pattern>)> {
        let (mut models, mut except) = (Vec::new(), Vec::new());
        let mut is_wrong = false;
        for value in one_or_many(table.get(MODEL)) {
            let text = value.as_str().unwrap_or_default();
            let (patterns, name) = match text.strip_prefix(NOT) {
                Some(name) => (&mut except, name),
                None => (&mut models, text),
            };
            match Pattern::new(name) {
                Some(pattern) if patterns.contains(&pattern) => {}
                Some(pattern) => patterns.push(pattern),
                None => is_wrong = true,
            }
        }
        if is_wrong || models.is_empty() {
            self.problem(
                MODEL,
                "must be the name of a model or a list of names; in a name * stands for any text and # for a digit, \
                 and a name after ! is one that is not meant",
            );
            return None;
        }
        Some((models, except))
    }

    fn tiers(&mut self, table: &Table) -> Vec<String> {
        let mut tiers = Vec::new();
        for value in one_or_many(table.get(SERVICE_TIER)) {
            let tier = value.as_str().unwrap_or_default().to_ascii_lowercase();
            if tier.is_empty() {
                self.problem(SERVICE_TIER, "must be the name of a service tier such as \"flex\" or a list of names");
            } else if STANDARD_TIERS.contains(&tier.as_str()) {
                self.problem(
                    SERVICE_TIER,
                    "must be left out for the standard tier, which every entry without one is for",
                );
            } else if !tiers.contains(&tier) {
                tiers.push(tier);
            }
        }
        tiers
    }

    fn date(&mut self, table: &Table, key: &str) -> Option<Date> {
        let text = match table.get(key)? {
            Value::String(text) => text.clone(),
            Value::Datetime(date) => date.to_string(),
            _ => String::new(),
        };
        let date = super::day(&text);
        if date.is_none() {
            self.problem(key, "must be a date such as 2026-01-31");
        }
        date
    }

    fn prices(&mut self, table: &Table) -> HashMap<Class, Price> {
        let mut prices = HashMap::new();
        let mut named = false;
        for class in charged() {
            let key = class.token_type();
            let price = match table.get(key) {
                None => continue,
                Some(Value::String(text)) => Price::parse(text),
                Some(_) => Err("must be a decimal number in quotes such as \"2.50\", so that it stays exact"),
            };
            named = true;
            match price {
                Ok(price) => drop(prices.insert(class, price)),
                Err(problem) => self.problem(key, problem),
            }
        }
        if !named {
            let classes: Vec<&str> = charged().map(Class::token_type).collect();
            self.problems.push(format!("{}: names no price; allowed are {}", self.name, classes.join(", ")));
        }
        prices
    }

    /// The contexts, the largest bound first.
    fn contexts(&mut self, table: &Table) -> Vec<Context> {
        let tables = match table.get(CONTEXT) {
            None => return Vec::new(),
            Some(Value::Array(tables)) => tables,
            Some(_) => {
                self.problem(CONTEXT, "must be a list of tables, [[price.context]]");
                return Vec::new();
            }
        };
        let mut contexts: Vec<Context> = Vec::new();
        for (number, value) in tables.iter().enumerate() {
            let name = format!("{}.{CONTEXT}[{number}]", self.name);
            let Some(table) = value.as_table() else {
                self.problems.push(format!("{name}: must be a table, [[price.context]]"));
                continue;
            };
            let mut fields = Fields { name, table: None, problems: Vec::new() };
            fields.refuse_unknown_keys(table, &[ABOVE]);
            let above = table.get(ABOVE).and_then(Value::as_integer).and_then(|above| u64::try_from(above).ok());
            match above.filter(|above| (1..=MAX_COUNT).contains(above)) {
                Some(above) if contexts.iter().any(|context| context.above == above) => {
                    fields.problem(ABOVE, "must differ from the bounds of the other contexts");
                }
                Some(above) => contexts.push(Context { above, prices: fields.prices(table) }),
                None => fields.problem(
                    ABOVE,
                    "must be a whole number of tokens: calls with more input than that, cached or not, have these prices",
                ),
            }
            self.problems.append(&mut fields.problems);
        }
        contexts.sort_by_key(|context| std::cmp::Reverse(context.above));
        contexts
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

//! TOML to price book, by hand: every problem is found, and names the entry, the field and what is allowed.

use std::collections::HashMap;

use jiff::civil::Date;
use meter::usage::{Class, Kind};
use toml::{Table, Value};

use super::Entry;
use super::pattern::Pattern;
use crate::money::Price;

const PROVIDER: &str = "provider";
const MODEL: &str = "model";
const VALID_FROM: &str = "valid_from";
const VALID_TO: &str = "valid_to";

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
    for (number, value) in tables.iter().enumerate() {
        let mut fields = Fields::new(number, value);
        if let Some(entry) = fields.entry() {
            for (name, earlier) in &entries {
                if let Some(model) = shared_model(&entry, earlier).filter(|_| entry.overlaps(earlier)) {
                    fields.problem(VALID_FROM, &format!(
                        "overlaps {name} for {model}; at most one entry may be valid on a day, end the earlier one with {VALID_TO}"
                    ));
                }
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

fn shared_model<'a>(one: &'a Entry, other: &Entry) -> Option<&'a str> {
    if one.provider != other.provider {
        return None;
    }
    let shared = one.models.iter().find(|pattern| other.models.contains(pattern))?;
    Some(shared.text())
}

/// The fields of one `[[price]]`, and what is wrong with them.
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
        self.refuse_unknown_keys(table);
        let provider = self.text(table, PROVIDER);
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
        let prices = self.prices(table);
        // The entry is of use for finding overlaps even if other fields of it are wrong.
        Some(Entry {
            provider: provider?,
            models: models?,
            valid_from: valid_from?,
            valid_to,
            tiers: Vec::new(),
            prices,
            contexts: Vec::new(),
        })
    }

    fn refuse_unknown_keys(&mut self, table: &Table) {
        let classes = || charged().map(Class::token_type);
        for key in table.keys() {
            let known =
                [PROVIDER, MODEL, VALID_FROM, VALID_TO].contains(&key.as_str()) || classes().any(|class| class == key);
            if !known {
                let classes: Vec<&str> = classes().collect();
                self.problem(
                    key,
                    &format!(
                        "is not known; allowed are {PROVIDER}, {MODEL}, {VALID_FROM}, {VALID_TO} and the prices {}",
                        classes.join(", ")
                    ),
                );
            }
        }
    }

    fn text(&mut self, table: &Table, key: &str) -> Option<String> {
        match table.get(key) {
            Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
            None => {
                self.problem(key, "is missing; the provider as it stands in the report, such as \"openai\"");
                None
            }
            Some(_) => {
                self.problem(key, "must be a text that is not empty");
                None
            }
        }
    }

    fn models(&mut self, table: &Table) -> Option<Vec<Pattern>> {
        let values = match table.get(MODEL) {
            Some(Value::Array(values)) => values.as_slice(),
            Some(value) => std::slice::from_ref(value),
            None => &[],
        };
        let patterns: Option<Vec<Pattern>> = values.iter().map(|value| Pattern::new(value.as_str()?)).collect();
        let patterns = patterns.filter(|patterns| !patterns.is_empty());
        if patterns.is_none() {
            self.problem(
                MODEL,
                "must be the name of a model or a list of names; in a name * stands for any text and # for a digit",
            );
        }
        patterns
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
}

/// The classes that can have a price.
fn charged() -> impl Iterator<Item = Class> {
    Class::ALL.iter().copied().filter(|class| class.kind() != Kind::Information)
}

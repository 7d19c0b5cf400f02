//! The fields of one table, and what is wrong with them.

use jiff::civil::Date;
use toml::{Table, Value};
use wire::usage::Class;

use super::super::conditions::Names;
use super::super::day;
use super::super::keys;
use super::super::nearest::nearest;
use super::super::pattern::Pattern;
use super::{NOT, charged, class, one_or_many};
use crate::money::Factor;

/// The longest name in a condition, bytes: that of a fact of the event.
const MAX_NAME: usize = 256;

/// The fields of one table, and what is wrong with them.
pub(super) struct Fields<'a> {
    /// The table that it stands in: its name, or nothing.
    within: String,
    kind: &'a str,
    number: usize,
    pub table: Option<&'a Table>,
    pub problems: Vec<String>,
}

impl<'a> Fields<'a> {
    pub fn new(kind: &'a str, number: usize, value: &'a Value) -> Fields<'a> {
        Fields { within: String::new(), kind, number, table: value.as_table(), problems: Vec::new() }
    }

    /// Those of a table below this one.
    pub fn below<'t>(&self, kind: &'t str, number: usize, value: &'t Value) -> Fields<'t> {
        Fields { within: self.name(), ..Fields::new(kind, number, value) }
    }

    /// `price[2]`, with provider and model where they are readable: nobody likes to count. It is made when there is a problem, because
    /// a book has thousands of tables and hardly any problem.
    pub fn name(&self) -> String {
        let Fields { within, kind, number, table, .. } = self;
        if !within.is_empty() {
            return format!("{within}.{kind}[{number}]");
        }
        let value = |key: &str| table.as_ref()?.get(key);
        let model = value(keys::MODEL);
        let model = model.and_then(|model| model.as_array().and_then(|models| models.first()).or(Some(model)));
        match (value(keys::PROVIDER).and_then(Value::as_str), model.and_then(Value::as_str)) {
            (Some(provider), Some(model)) => format!("{kind}[{number}] ({provider} {model})"),
            (Some(provider), None) => format!("{kind}[{number}] ({provider})"),
            _ => format!("{kind}[{number}]"),
        }
    }

    pub fn problem(&mut self, key: &str, problem: &str) {
        self.problems.push(format!("{}.{key}: {problem}", self.name()));
    }

    /// The table, whose keys must be those of its section.
    pub fn table(&mut self, heading: &str, has_prices: bool) -> Option<&'a Table> {
        match self.table {
            Some(table) => {
                self.refuse_unknown_keys(table, heading, has_prices);
                Some(table)
            }
            None => {
                self.problems.push(format!("{}: must be a table, {heading}", self.name()));
                None
            }
        }
    }

    fn refuse_unknown_keys(&mut self, table: &Table, heading: &str, has_prices: bool) {
        let known = keys::of(heading);
        for key in table.keys() {
            if known.clone().any(|known| known == key) || (has_prices && class(key).is_some()) {
                continue;
            }
            let prices: Vec<&str> = charged().map(Class::token_type).filter(|_| has_prices).collect();
            let meant = nearest(key, known.clone().chain(prices.iter().copied()));
            let meant = meant.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            let mut allowed = known.clone().collect::<Vec<_>>().join(", ");
            if has_prices {
                allowed.push_str(&format!(" and the prices {}", prices.join(", ")));
            }
            self.problem(
                key,
                &format!("is not known{meant}{} allowed are {allowed}", if meant.is_empty() { ";" } else { "" }),
            );
        }
    }

    pub fn provider(&mut self, table: &Table) -> Option<String> {
        match table.get(keys::PROVIDER) {
            Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
            None => {
                self.problem(keys::PROVIDER, "is missing; the provider as it stands in the report, such as \"openai\"");
                None
            }
            Some(_) => {
                self.problem(keys::PROVIDER, "must be a text that is not empty");
                None
            }
        }
    }

    /// Names and those that are not meant; `None` and no problem if there is no such key.
    pub fn names(&mut self, table: &Table, key: &str, problem: &str) -> Option<Names> {
        let value = table.get(key)?;
        let mut names = Names::default();
        let mut is_wrong = false;
        for value in one_or_many(Some(value)) {
            let text = value.as_str().unwrap_or_default();
            let (patterns, name) = match text.strip_prefix(NOT) {
                Some(name) => (&mut names.except, name),
                None => (&mut names.any, text),
            };
            match Pattern::new(name) {
                Some(pattern) if patterns.contains(&pattern) => {}
                Some(pattern) if pattern.text().len() <= MAX_NAME => patterns.push(pattern),
                _ => is_wrong = true,
            }
        }
        if is_wrong || (names.any.is_empty() && names.except.is_empty()) {
            self.problem(key, problem);
            return None;
        }
        Some(names)
    }

    pub fn date(&mut self, table: &Table, key: &str) -> Option<Date> {
        let date = match table.get(key)? {
            Value::String(text) => day(text),
            Value::Datetime(date) => day(&date.to_string()),
            _ => None,
        };
        if date.is_none() {
            self.problem(key, "must be a date such as 2026-01-31");
        }
        date
    }

    /// The days from the first to the last.
    pub fn days(&mut self, table: &Table) -> (Option<Date>, Option<Date>) {
        let (from, to) = (self.date(table, keys::VALID_FROM), self.date(table, keys::VALID_TO));
        if let (Some(from), Some(to)) = (from, to)
            && to < from
        {
            self.problem(keys::VALID_TO, "must not be before valid_from; it is the last day of these prices");
        }
        (from, to)
    }

    pub fn factor(&mut self, table: &Table) -> Option<Factor> {
        let factor = match table.get(keys::FACTOR) {
            Some(Value::String(text)) => Factor::parse(text),
            Some(_) => Err("must be a decimal number in quotes such as \"1.1\", so that it stays exact"),
            None => Err("is missing; a decimal number in quotes such as \"1.1\""),
        };
        factor.map_err(|problem| self.problem(keys::FACTOR, problem)).ok()
    }

    /// A text that must be there.
    pub fn text(&mut self, table: &Table, key: &str, problem: &str) -> Option<String> {
        let text = table.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        if text.is_none() {
            self.problem(key, problem);
        }
        text.map(str::to_owned)
    }
}

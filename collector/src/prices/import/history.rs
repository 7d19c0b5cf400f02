//! What has changed since an earlier book: prices that changed end there and hold anew, what is gone stays as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::civil::Date;
use toml::{Table, Value};
use wire::usage::Class;

use super::draft::{self, Conditions, Draft, Factor, Prices, Rates};
use crate::money::Price;
use crate::prices::keys::{self, ABOVE, CONTEXT, FACTOR, MODEL, PROVIDER, VALID_FROM, VALID_TO};
use crate::prices::read::NOT;
use crate::terminal::printable;

/// What differs between two books, a line each.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Models that the earlier book does not have.
    pub added: Vec<String>,
    /// Models whose prices are others now, with the old and the new.
    pub changed: Vec<String>,
    /// Models that no list has any more. They keep their prices.
    pub gone: Vec<String>,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [("added", &self.added), ("changed", &self.changed), ("gone from the lists, kept", &self.gone)];
        for (what, models) in lines {
            models.iter().try_for_each(|model| writeln!(f, "{what}: {}", printable(model)))?;
        }
        let [added, changed, gone] = [self.added.len(), self.changed.len(), self.gone.len()];
        writeln!(f, "since the earlier book: {added} added, {changed} changed, {gone} gone from the lists and kept")
    }
}

/// What a price book's key is the price of.
pub(super) fn paid(key: &str) -> Option<Class> {
    crate::prices::read::charged().find(|class| class.token_type() == key)
}

type Key = (String, String, Conditions);

/// Brings what lists say now into an earlier book.
pub(super) fn update(earlier: &str, drafts: &mut Vec<Draft>, today: Date) -> Result<Changes, String> {
    let mut old = by_name(read(earlier)?);
    let new = by_name(std::mem::take(drafts));
    let mut changes = Changes::default();
    let had: BTreeSet<(String, String)> =
        old.keys().map(|(provider, model, _)| (provider.clone(), model.clone())).collect();
    let mut added = BTreeSet::new();
    let mut result = Vec::new();
    for (key, now) in new {
        let Some(mut before) = old.remove(&key) else {
            let (provider, model, _) = &key;
            if !had.contains(&(provider.clone(), model.clone())) {
                added.insert(format!("{provider} {model}"));
            }
            result.extend(now);
            continue;
        };
        let (Some(was), Some(is)) = (before.pop(), now.last()) else { continue };
        if was.to.is_some() || (was.rates == is.rates && was.except == is.except) {
            before.push(if was.to.is_some() { is.clone() } else { was });
            if before.len() > 1 && overlap(&before) {
                before.pop();
            }
            result.append(&mut before);
            continue;
        }
        changes.changed.push(difference(&key, &was.rates, &is.rates));
        let from = if is.from > was.from { is.from } else { today };
        if was.from < from {
            before.push(Draft { to: from.yesterday().ok(), ..was });
        }
        before.push(Draft { from, ..is.clone() });
        result.append(&mut before);
    }
    changes.added = added.into_iter().collect();
    let mut gone = BTreeSet::new();
    for ((provider, model, _), before) in old {
        if before.iter().any(|draft| draft.to.is_none()) {
            gone.insert(format!("{provider} {model}"));
        }
        result.extend(before);
    }
    changes.gone = gone.into_iter().collect();
    *drafts = draft::merge(result);
    Ok(changes)
}

fn overlap(drafts: &[Draft]) -> bool {
    drafts.iter().enumerate().any(|(at, one)| drafts.iter().skip(at.saturating_add(1)).any(|other| one.overlaps(other)))
}

/// Entries by what they are for, the earliest first.
fn by_name(drafts: Vec<Draft>) -> BTreeMap<Key, Vec<Draft>> {
    let mut all: BTreeMap<Key, Vec<Draft>> = BTreeMap::new();
    for draft in drafts {
        for model in &draft.models {
            let key = (draft.provider.clone(), model.clone(), draft.conditions.clone());
            let one = Draft { models: BTreeSet::from([model.clone()]), ..draft.clone() };
            all.entry(key).or_default().push(one);
        }
    }
    all.values_mut().for_each(|drafts| drafts.sort_by_key(|draft| draft.from));
    all
}

fn difference((provider, model, conditions): &Key, was: &Rates, is: &Rates) -> String {
    let mut text = format!("{provider} {model}");
    for (key, values) in conditions {
        text.push_str(&format!(" {key}={}", values.iter().cloned().collect::<Vec<_>>().join(",")));
    }
    let keys: BTreeSet<Class> = was.prices.keys().chain(is.prices.keys()).copied().collect();
    let said = |price: Option<&Price>| price.map_or("none".to_owned(), Price::to_string);
    for paid in keys {
        let (before, now) = (was.prices.get(&paid), is.prices.get(&paid));
        if before != now {
            text.push_str(&format!(", {} {} to {}", paid.token_type(), said(before), said(now)));
        }
    }
    if was.contexts != is.contexts || was.factors != is.factors {
        text.push_str(", prices of larger inputs or factors");
    }
    text
}

/// Reads a book that the import has made.
fn read(text: &str) -> Result<Vec<Draft>, String> {
    let problem = |what: String| format!("the earlier book: {what}");
    let table: Table = text.parse().map_err(|error: toml::de::Error| problem(error.message().to_owned()))?;
    let mut drafts = Vec::new();
    for (key, value) in &table {
        match (key.as_str(), value) {
            ("price", Value::Array(entries)) => {
                for (number, entry) in entries.iter().enumerate() {
                    let wrong = |what: String| problem(format!("price[{number}]{what}"));
                    let table = entry.as_table().ok_or_else(|| wrong(": must be a table".to_owned()))?;
                    drafts.push(entry_of(table).map_err(wrong)?);
                }
            }
            // They come from the lists anew.
            ("alias" | "surcharge", _) => {}
            _ => {
                return Err(problem(format!(
                    "{key}: is not of an import; keep what you add in a book of your own, which stands before this one"
                )));
            }
        }
    }
    Ok(drafts)
}

fn entry_of(table: &Table) -> Result<Draft, String> {
    let text = |key: &str| table.get(key).and_then(Value::as_str).map(str::to_owned);
    let date = |key: &str| match table.get(key) {
        None => Ok(None),
        Some(value) => {
            let text = match value {
                Value::Datetime(date) => date.to_string(),
                _ => value.as_str().unwrap_or_default().to_owned(),
            };
            crate::prices::day(&text).map(Some).ok_or_else(|| format!(".{key}: must be a date"))
        }
    };
    let (except, models) = texts(table.get(MODEL)).into_iter().partition(|model| model.starts_with(NOT));
    let except: BTreeSet<String> = except;
    let known = [PROVIDER, MODEL, VALID_FROM, VALID_TO, CONTEXT, FACTOR];
    let mut rates = Rates { prices: prices(table, &known)?, ..Rates::default() };
    for context in tables(table.get(CONTEXT)) {
        let above = context.get(ABOVE).and_then(Value::as_integer).and_then(|above| u64::try_from(above).ok());
        rates.contexts.insert(above.ok_or(".context.above: must be a number")?, prices(context, &[ABOVE])?);
    }
    for factor in tables(table.get(FACTOR)) {
        let number = factor.get(FACTOR).and_then(Value::as_str).ok_or(".factor.factor: must be a text")?;
        let (conditions, classes) = (conditions(factor), texts(factor.get("classes")));
        rates.factors.insert(Factor { factor: number.to_owned(), conditions, classes });
    }
    Ok(Draft {
        provider: text(PROVIDER).ok_or(".provider: must be a text")?,
        models,
        except: except.iter().filter_map(|name| name.strip_prefix(NOT)).map(str::to_owned).collect(),
        aliases: BTreeSet::new(),
        from: date(VALID_FROM)?.ok_or(".valid_from: must be a date")?,
        to: date(VALID_TO)?,
        conditions: conditions(table),
        rates,
        sources: BTreeSet::new(),
        rank: 0,
    })
}

fn prices(table: &Table, known: &[&str]) -> Result<Prices, String> {
    let mut prices = Prices::new();
    for (key, value) in table.iter().filter(|(key, _)| !known.contains(&key.as_str()) && !is_condition(key)) {
        let paid = paid(key).ok_or_else(|| format!(".{key}: is not of an import"))?;
        let price = value.as_str().ok_or("must be a decimal number in quotes").and_then(Price::parse);
        prices.insert(paid, price.map_err(|why| format!(".{key}: {why}"))?);
    }
    Ok(prices)
}

fn conditions(table: &Table) -> Conditions {
    let named = keys::CONDITIONS.iter().filter_map(|key| Some((key.name, table.get(key.name)?)));
    named.map(|(key, value)| (key, texts(Some(value)).into_iter().collect())).collect()
}

fn is_condition(key: &str) -> bool {
    keys::CONDITIONS.iter().any(|condition| condition.name == key)
}

fn tables(value: Option<&Value>) -> impl Iterator<Item = &Table> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    };
    match value {
        Some(Value::Array(values)) => values.iter().filter_map(text).collect(),
        Some(value) => text(value).into_iter().collect(),
        None => Vec::new(),
    }
}

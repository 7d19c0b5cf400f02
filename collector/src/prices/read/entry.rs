//! One `[[price]]` with its contexts and factors.

use std::sync::Arc;

use jiff::civil::Date;
use toml::{Table, Value};
use wire::usage::{Class, MAX_COUNT};

use super::super::conditions::Names;
use super::super::entry::{Classes, Context, Currency, Entry, PriceFactor, Prices};
use super::super::keys::{ABOVE, CLASSES, CONTEXT, CURRENCY, FACTOR, MODEL, VALID_FROM};
use super::fields::Fields;
use super::{Currencies, charged, class, one_or_many};
use crate::money::Price;

const USD: &str = "USD";

impl Fields<'_> {
    pub fn entry(&mut self, currencies: &Currencies) -> Option<Entry> {
        let table = self.table("[[price]]", true)?;
        let provider = self.provider(table);
        let models = self.models(table);
        let (valid_from, valid_to) = self.first_day(table);
        let conditions = self.conditions(table);
        let prices = self.prices(table);
        let contexts = self.contexts(table);
        let factors = self.factors(table);
        let currency = self.currency(table, currencies);
        // The entry is of use for finding overlaps even if other fields of it are wrong.
        let (models, valid_from) = (models?, valid_from?);
        if let Some(currency) = &currency {
            self.check_rates(currency, valid_from, &prices, &contexts);
        }
        let (models, except) = (models.any, models.except);
        let provider = provider?;
        Some(Entry { provider, models, except, valid_from, valid_to, conditions, currency, prices, contexts, factors })
    }

    /// The models that a table must name.
    pub fn models(&mut self, table: &Table) -> Option<Names> {
        const PROBLEM: &str = "must be the name of a model or a list of names; in a name * stands for any text and # for a \
                               digit, and a name after ! is one that is not meant";
        let models = self.names(table, MODEL, PROBLEM).filter(|names| !names.any.is_empty());
        if models.is_none() && !self.problems.iter().any(|problem| problem.contains(".model: ")) {
            self.problem(MODEL, PROBLEM);
        }
        models
    }

    /// The days from the first, which must be there, to the last.
    pub fn first_day(&mut self, table: &Table) -> (Option<Date>, Option<Date>) {
        let days = self.days(table);
        if !table.contains_key(VALID_FROM) {
            self.problem(VALID_FROM, "is missing; the first day of these prices, YYYY-MM-DD");
        }
        days
    }

    fn currency(&mut self, table: &Table, currencies: &Currencies) -> Option<Arc<Currency>> {
        let code = table.get(CURRENCY)?.as_str().unwrap_or_default();
        if code == USD {
            return None;
        }
        let currency = currencies.get(code).cloned();
        if currency.is_none() {
            let mut known: Vec<&str> = vec![USD];
            known.extend(currencies.keys().map(String::as_str));
            let problem = format!("must be one that the book has a [[currency]] for: {}", known.join(", "));
            self.problem(CURRENCY, &problem);
        }
        currency
    }

    /// There must be a rate on every day, and every price must be one in USD, too.
    fn check_rates(&mut self, currency: &Currency, from: Date, prices: &Prices, contexts: &[Context]) {
        if currency.rate(from).is_none() {
            let first = currency.rates.first().map(|(day, _)| day.to_string()).unwrap_or_default();
            let code = &currency.code;
            self.problem(CURRENCY, &format!("the book has no rate of {code} on {from}; its first one is of {first}"));
        }
        let highest = prices.0.iter().chain(contexts.iter().flat_map(|context| &context.prices.0));
        let highest = highest.map(|(_, price)| *price).max().unwrap_or_default();
        if currency.rates.iter().any(|(_, rate)| highest.converted(*rate).is_none()) {
            self.problem(CURRENCY, "a price must be at most 1000000 USD");
        }
    }

    pub fn prices(&mut self, table: &Table) -> Prices {
        let mut prices = Vec::new();
        let mut named = false;
        for (key, value) in table {
            let Some(class) = class(key) else { continue };
            named = true;
            let price = match value {
                Value::String(text) => Price::parse(text),
                _ => Err("must be a decimal number in quotes such as \"2.50\", so that it stays exact"),
            };
            match price {
                Ok(price) => prices.push((class, price)),
                Err(problem) => self.problem(key, problem),
            }
        }
        if !named {
            let classes: Vec<&str> = charged().map(Class::token_type).collect();
            self.problems.push(format!("{}: names no price; allowed are {}", self.name(), classes.join(", ")));
        }
        Prices(prices)
    }

    /// The tables below an entry, `[[price.key]]`, each with its fields.
    fn all_below<'t>(&mut self, table: &'t Table, key: &'t str) -> Vec<Fields<'t>> {
        match table.get(key) {
            None => Vec::new(),
            Some(Value::Array(values)) => {
                values.iter().enumerate().map(|(number, value)| self.below(key, number, value)).collect()
            }
            Some(_) => {
                self.problem(key, &format!("must be a list of tables, [[price.{key}]]"));
                Vec::new()
            }
        }
    }

    /// The contexts, the largest bound first.
    fn contexts(&mut self, table: &Table) -> Vec<Context> {
        let mut contexts: Vec<Context> = Vec::new();
        for mut fields in self.all_below(table, CONTEXT) {
            let Some(table) = fields.table("[[price.context]]", true) else {
                self.problems.append(&mut fields.problems);
                continue;
            };
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

    fn factors(&mut self, table: &Table) -> Vec<PriceFactor> {
        let mut factors: Vec<PriceFactor> = Vec::new();
        for mut fields in self.all_below(table, FACTOR) {
            if let Some(table) = fields.table("[[price.factor]]", false) {
                let factor = fields.factor(table);
                let conditions = fields.conditions(table);
                let classes = fields.classes(table);
                let factor = factor.map(|factor| PriceFactor { factor, conditions, classes });
                let is_there = |factor: &PriceFactor| factors.iter().any(|known| known.is_same(factor));
                if factor.as_ref().is_some_and(is_there) {
                    fields
                        .problem(FACTOR, "is there already, with the same conditions and classes; both would multiply");
                }
                factors.extend(factor);
            }
            self.problems.append(&mut fields.problems);
        }
        factors
    }

    fn classes(&mut self, table: &Table) -> Classes {
        let values = one_or_many(table.get(CLASSES));
        if values.iter().any(|value| value.as_str() == Some("*")) && values.len() == 1 {
            return Classes::All;
        }
        let classes: Vec<Class> = values.iter().filter_map(|value| class(value.as_str()?)).collect();
        if classes.len() != values.len() || (classes.is_empty() && table.contains_key(CLASSES)) {
            let known: Vec<&str> = charged().map(Class::token_type).collect();
            self.problem(CLASSES, &format!("must be \"*\" or a list of prices' names: {}", known.join(", ")));
        }
        if classes.is_empty() { Classes::Tokens } else { Classes::These(classes) }
    }
}

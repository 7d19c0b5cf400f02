//! The other tables of a book: currencies, aliases, the providers' own prices, discounts and mark-ups.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use toml::{Table, Value};

use super::super::adjust::{Adjust, On, Tenants};
use super::super::alias::Alias;
use super::super::entry::Currency;
use super::super::keys::{self, CODE, IS, MODEL, ON, PROVIDER, TENANT, USD, VALID_FROM};
use super::super::pattern::Pattern;
use super::super::policy::{Policies, Policy};
use super::super::surcharge::Surcharge;
use super::fields::Fields;
use super::{Currencies, NOT, one_or_many};
use crate::money::Price;
use crate::tenant::TenantPattern;

pub(super) fn currencies(values: &[Value], problems: &mut Vec<String>) -> Currencies {
    let mut found: BTreeMap<String, Currency> = BTreeMap::new();
    each(keys::CURRENCIES, values, problems, |fields| {
        let Some((code, day, rate)) = fields.rate() else { return };
        let currency = found.entry(code.clone()).or_insert(Currency { code, rates: Vec::new() });
        match currency.rates.iter().any(|(known, _)| *known == day) {
            true => fields.problem(VALID_FROM, &format!("the book has another rate of {} on this day", currency.code)),
            false => currency.rates.push((day, rate)),
        }
    });
    let sorted = |mut currency: Currency| {
        currency.rates.sort_unstable();
        Arc::new(currency)
    };
    found.into_iter().map(|(code, currency)| (code, sorted(currency))).collect()
}

pub(super) fn aliases(values: &[Value], problems: &mut Vec<String>) -> Vec<Alias> {
    let (mut aliases, mut known) = (Vec::new(), HashSet::new());
    each(keys::ALIAS, values, problems, |fields| fields.aliases(&mut aliases, &mut known));
    aliases
}

pub(super) fn adjusts(values: &[Value], problems: &mut Vec<String>) -> Vec<Adjust> {
    let mut adjusts = Vec::new();
    each(keys::ADJUST, values, problems, |fields| {
        let Some(adjust) = fields.adjust() else { return };
        // Of the same tenants, providers and models in any order. Where it stands is another place each time.
        if adjusts.iter().any(|known: &Adjust| known.is_same(&adjust)) {
            fields.problem(keys::FACTOR, "is there already, for the same calls; both would multiply");
        }
        adjusts.push(adjust);
    });
    adjusts
}

pub(super) fn surcharges(values: &[Value], problems: &mut Vec<String>) -> Vec<Surcharge> {
    let mut surcharges = Vec::new();
    each(keys::SURCHARGE, values, problems, |fields| {
        let Some(surcharge) = fields.surcharge() else { return };
        if surcharges.iter().any(|known: &Surcharge| known.is_same(&surcharge)) {
            fields.problem(MODEL, "has the same surcharge already; both would be added");
        }
        surcharges.push(surcharge);
    });
    surcharges
}

/// Reads the tables of a name one by one, and adds what is wrong with them.
fn each(name: &'static str, values: &[Value], problems: &mut Vec<String>, mut read: impl FnMut(&mut Fields<'_>)) {
    for (number, value) in values.iter().enumerate() {
        let mut fields = Fields::new(name, number, value);
        read(&mut fields);
        problems.append(&mut fields.problems);
    }
}

pub(super) fn policies(value: Option<&Value>, problems: &mut Vec<String>) -> Policies {
    let mut policies = Policies::default();
    let Some(value) = value else { return policies };
    let name = keys::PROVIDER_COST;
    let Some(table) = value.as_table() else {
        problems.push(format!("{name}: must be a table, [{name}]"));
        return policies;
    };
    for (provider, value) in table {
        match value.as_str().and_then(Policy::from_word) {
            Some(policy) if provider == keys::DEFAULT => policies.default = Some(policy),
            Some(policy) => policies.by_provider.push((provider.clone(), policy)),
            None if value.is_table() => problems.push(format!(
                "{name}.{provider}: must be prefer, fallback or ignore; a provider with a point in its name stands in quotes"
            )),
            None => problems.push(format!("{name}.{provider}: must be prefer, fallback or ignore")),
        }
    }
    policies
}

impl Fields<'_> {
    fn rate(&mut self) -> Option<(String, jiff::civil::Date, Price)> {
        let table = self.table("[[currency]]", false)?;
        let is_code = |code: &&str| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        let code = table.get(CODE).and_then(Value::as_str).filter(is_code).filter(|code| *code != "USD");
        if code.is_none() {
            self.problem(CODE, "must be a currency other than USD by its three capital letters, such as \"CNY\"");
        }
        let day = self.date(table, VALID_FROM);
        if !table.contains_key(VALID_FROM) {
            self.problem(VALID_FROM, "is missing; the first day of this rate, YYYY-MM-DD");
        }
        let rate = match table.get(USD) {
            Some(Value::String(text)) => Price::parse(text).and_then(|rate| match rate {
                Price::ZERO => Err("must be more than nothing"),
                rate => Ok(rate),
            }),
            _ => Err("must be a decimal number in quotes such as \"0.1389\": USD for one"),
        };
        let rate = rate.map_err(|problem| self.problem(USD, problem)).ok();
        Some((code?.to_owned(), day?, rate?))
    }

    fn aliases(&mut self, aliases: &mut Vec<Alias>, known: &mut HashSet<(String, String)>) {
        let Some(table) = self.table("[[alias]]", false) else { return };
        let provider = self.provider(table);
        let is = self.text(table, IS, "must be the name that has the price");
        let models = one_or_many(table.get(MODEL));
        let names: Vec<String> = models.iter().filter_map(|value| Some(value.as_str()?.to_lowercase())).collect();
        if names.is_empty() || names.len() != models.len() || names.iter().any(String::is_empty) {
            self.problem(MODEL, "must be the name that calls have or a list of names");
            return;
        }
        let (Some(provider), Some(is)) = (provider, is) else { return };
        for (key, name) in names.iter().map(|name| (MODEL, name)).chain([(IS, &is)]) {
            let is_wild = |sign: &char| name.contains(*sign) && (*sign != NOT || name.starts_with(NOT));
            if let Some(sign) = ['*', '#', NOT].iter().find(|sign| is_wild(sign)) {
                self.problem(
                    key,
                    &format!("must be a full name: {name} has a {sign}, which stands for no other text here"),
                );
            }
        }
        for model in names {
            if !known.insert((provider.clone(), model.clone())) {
                self.problem(MODEL, &format!("{model} is another alias's already"));
                continue;
            }
            let (place, book) = (self.name(), String::new());
            aliases.push(Alias { provider: provider.clone(), model, is: is.to_lowercase(), place, book });
        }
    }

    fn surcharge(&mut self) -> Option<Surcharge> {
        let table = self.table("[[surcharge]]", true)?;
        let (provider, models) = (self.provider(table), self.models(table));
        let (from, to) = self.first_day(table);
        let prices = self.prices(table);
        Some(Surcharge { provider: provider?, models: models?, from: from?, to, prices })
    }

    fn adjust(&mut self) -> Option<Adjust> {
        let table = self.table("[[adjust]]", false)?;
        let on = match table.get(ON).and_then(Value::as_str) {
            Some("cost") => Some(On::Cost),
            Some("charge") => Some(On::Charge),
            _ => {
                self.problem(ON, "must be \"cost\", what the provider takes, or \"charge\", what the tenant pays");
                None
            }
        };
        let factor = self.factor(table);
        let names =
            "must be a name or a list of names; * stands for any text, and a name after ! is one that is not meant";
        let mut of = |key: &str| {
            let mut names = self.names(table, key, names)?;
            // All but those.
            if names.any.is_empty() {
                names.any.extend(Pattern::new("*"));
            }
            Some(names)
        };
        let (providers, models) = (of(PROVIDER), of(MODEL));
        let tenants = self.tenants(table);
        let (from, to) = self.days(table);
        let is_wrong = !self.problems.is_empty();
        let (place, book) = (self.name(), String::new());
        let adjust = Adjust { on: on?, factor: factor?, tenants, providers, models, from, to, place, book };
        (!is_wrong).then_some(adjust)
    }

    fn tenants(&mut self, table: &Table) -> Tenants {
        let mut tenants = Tenants::default();
        for value in one_or_many(table.get(TENANT)) {
            let text = value.as_str().unwrap_or_default();
            let (tenants, name) = match text.strip_prefix(NOT) {
                Some(name) => (&mut tenants.except, name),
                None => (&mut tenants.any, text),
            };
            match TenantPattern::parse(name) {
                Ok(tenant) => tenants.push(tenant),
                Err(problem) => self.problem(TENANT, &format!("{problem}; one after {NOT} is not meant")),
            }
        }
        if tenants == Tenants::default() && table.contains_key(TENANT) && self.problems.is_empty() {
            self.problem(TENANT, "must be a tenant or a list of tenants");
        }
        tenants
    }
}

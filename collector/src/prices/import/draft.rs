//! Entries on their way into a price book: what contradicts itself is taken out, what is alike is put together.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use meter::usage::{Class, MAX_COUNT};

use super::Notes;
use crate::money::Price;
use crate::prices::keys::{ABOVE, CONTEXT, MODEL, PROVIDER, SERVICE_TIER, VALID_FROM, VALID_TO};
use crate::prices::pattern::Pattern;
use crate::prices::read::NOT;
use crate::terminal::is_plain;

pub(super) type Prices = BTreeMap<Class, Price>;

/// An entry of the price book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    pub provider: String,
    pub models: BTreeSet<String>,
    /// Names that are not meant.
    pub except: BTreeSet<String>,
    /// Names that are meant unless another entry has them.
    pub aliases: BTreeSet<String>,
    pub from: Date,
    /// The last day.
    pub to: Option<Date>,
    /// The service tiers; none for the standard one.
    pub tiers: Vec<String>,
    pub rates: Rates,
    /// The list's names of the models.
    pub sources: BTreeSet<String>,
}

/// What an entry charges.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rates {
    pub prices: Prices,
    /// By their bound.
    pub contexts: BTreeMap<u64, Prices>,
}

impl Rates {
    /// Lists price reasoning as output unless they name a price of its own; the price book wants it said.
    pub fn complete(&mut self) {
        let text = self.prices.get(&Class::OutputText).copied();
        let reasoning = self.prices.get(&Class::OutputReasoning).copied();
        if reasoning.is_some() && reasoning != text {
            return;
        }
        for prices in std::iter::once(&mut self.prices).chain(self.contexts.values_mut()) {
            if let Some(price) = prices.get(&Class::OutputText).copied() {
                prices.entry(Class::OutputReasoning).or_insert(price);
            }
        }
    }

    pub fn is_free(&self) -> bool {
        self.all().all(|price| price.pico_usd() == 0)
    }

    pub fn all(&self) -> impl Iterator<Item = Price> {
        self.prices.values().chain(self.contexts.values().flat_map(BTreeMap::values)).copied()
    }
}

impl Draft {
    fn overlaps(&self, other: &Draft) -> bool {
        let begins_before_end_of = |a: &Draft, b: &Draft| b.to.is_none_or(|last| a.from <= last);
        begins_before_end_of(self, other) && begins_before_end_of(other, self)
    }
}

/// Whose price it is: provider, model and service tier.
type Name = (String, String, String);

/// Takes out what has two prices at a time, gives aliases to those who alone want them, and puts alike entries together.
pub(super) fn settle(mut drafts: Vec<Draft>, notes: &mut Notes) -> Vec<Draft> {
    let sources = |draft: &Draft| draft.sources.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    drafts.retain(|draft| {
        // Two prices for every call: nobody knows which one is meant.
        let is_clear = !draft.rates.contexts.contains_key(&0);
        if !is_clear {
            notes.add("left out, a tier of its prices begins at nothing", &sources(draft));
        }
        is_clear
    });
    for draft in &mut drafts {
        // No call has more input than that, and one model must not cost the book of all the others.
        let contexts = draft.rates.contexts.len();
        draft.rates.contexts.retain(|above, _| *above <= MAX_COUNT);
        if draft.rates.contexts.len() < contexts {
            notes.add("without the prices above a bound that no call reaches", &sources(draft));
        }
        draft.models = draft.models.iter().filter_map(|model| Some(Pattern::new(model)?.text().to_owned())).collect();
        draft.aliases = draft.aliases.iter().map(|alias| alias.to_lowercase()).collect();
    }
    drop_contradictions(&mut drafts, notes, |draft| &mut draft.models, true);
    let named: BTreeSet<(String, String)> = drafts
        .iter()
        .flat_map(|draft| draft.models.iter().map(|model| (draft.provider.clone(), model.clone())))
        .collect();
    for draft in &mut drafts {
        draft.aliases.retain(|alias| !named.contains(&(draft.provider.clone(), alias.clone())));
    }
    drop_contradictions(&mut drafts, notes, |draft| &mut draft.aliases, false);
    merge(drafts)
}

/// Of several entries for the same name at a time, the first stays if all say the same, else none.
fn drop_contradictions(
    drafts: &mut [Draft],
    notes: &mut Notes,
    names: impl Fn(&mut Draft) -> &mut BTreeSet<String>,
    is_named: bool,
) {
    let mut known: BTreeMap<Name, Vec<usize>> = BTreeMap::new();
    for (number, draft) in drafts.iter_mut().enumerate() {
        let tiers = if draft.tiers.is_empty() { vec![String::new()] } else { draft.tiers.clone() };
        let provider = draft.provider.clone();
        for model in names(draft).iter() {
            for tier in &tiers {
                known.entry((provider.clone(), model.clone(), tier.clone())).or_default().push(number);
            }
        }
    }
    let mut gone: BTreeSet<(usize, String)> = BTreeSet::new();
    let mut alike: BTreeSet<(usize, usize)> = BTreeSet::new();
    for ((provider, model, _), numbers) in known {
        for (at, &one) in numbers.iter().enumerate() {
            for &other in numbers.iter().skip(at.saturating_add(1)) {
                let (Some(first), Some(second)) = (drafts.get(one), drafts.get(other)) else { continue };
                if !first.overlaps(second) {
                    continue;
                }
                gone.insert((other, model.clone()));
                if first.rates == second.rates && first.except == second.except {
                    alike.insert((one, other));
                    continue;
                }
                gone.insert((one, model.clone()));
                if is_named {
                    let sources: Vec<&str> = first.sources.iter().chain(&second.sources).map(String::as_str).collect();
                    let names = format!("{provider} {model} (as {})", sources.join(" and as "));
                    notes.add("left out, the list has more than one price for the same name", &names);
                }
            }
        }
    }
    for (one, other) in alike {
        let sources = drafts.get(other).map(|draft| draft.sources.clone()).unwrap_or_default();
        if let Some(draft) = drafts.get_mut(one) {
            draft.sources.extend(sources);
        }
    }
    for (number, model) in gone {
        if let Some(draft) = drafts.get_mut(number) {
            names(draft).remove(&model);
        }
    }
}

/// Entries that differ in their models only become one.
fn merge(drafts: Vec<Draft>) -> Vec<Draft> {
    type Likeness = (String, Vec<String>, Date, Option<Date>, BTreeSet<String>, Rates);
    let mut merged: BTreeMap<Likeness, Draft> = BTreeMap::new();
    for mut draft in drafts {
        let aliases = std::mem::take(&mut draft.aliases);
        draft.models.extend(aliases);
        if draft.models.is_empty() {
            continue;
        }
        let Draft { provider, tiers, from, to, except, rates, .. } = draft.clone();
        match merged.entry((provider, tiers, from, to, except, rates)) {
            std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(draft)),
            std::collections::btree_map::Entry::Occupied(mut place) => {
                place.get_mut().models.append(&mut draft.models);
                place.get_mut().sources.append(&mut draft.sources);
            }
        }
    }
    let mut drafts: Vec<Draft> = merged.into_values().collect();
    drafts.sort_by(|one, other| {
        let key =
            |draft: &Draft| (draft.provider.clone(), draft.models.first().cloned(), draft.from, draft.tiers.clone());
        key(one).cmp(&key(other))
    });
    drafts
}

/// Writes a price book.
pub(super) fn toml(source: &str, drafts: &[Draft]) -> String {
    let mut text = format!(
        "# Made by `meshmeter prices import` from {source}.\n\
         # List prices: check them against your provider's price list, and against your own contract, before you bill.\n"
    );
    for draft in drafts {
        text.push_str(&format!("\n[[price]]\n{PROVIDER} = {}\n", quoted(&draft.provider)));
        let not = draft.except.iter().map(|except| format!("{NOT}{except}"));
        let models: Vec<String> = draft.models.iter().cloned().chain(not).map(|model| quoted(&model)).collect();
        match models.as_slice() {
            [model] => text.push_str(&format!("{MODEL} = {model}\n")),
            _ => text.push_str(&format!("{MODEL} = [\n  {},\n]\n", models.join(",\n  "))),
        }
        text.push_str(&format!("{VALID_FROM} = {}\n", draft.from));
        if let Some(to) = draft.to {
            text.push_str(&format!("{VALID_TO} = {to}\n"));
        }
        if !draft.tiers.is_empty() {
            let tiers: Vec<String> = draft.tiers.iter().map(|tier| quoted(tier)).collect();
            text.push_str(&format!("{SERVICE_TIER} = [{}]\n", tiers.join(", ")));
        }
        push_prices(&mut text, &draft.rates.prices);
        for (above, prices) in &draft.rates.contexts {
            text.push_str(&format!("[[price.{CONTEXT}]]\n{ABOVE} = {above}\n"));
            push_prices(&mut text, prices);
        }
    }
    text
}

fn push_prices(text: &mut String, prices: &Prices) {
    for (class, price) in prices {
        text.push_str(&format!("{} = \"{price}\"\n", class.token_type()));
    }
}

/// A TOML text. What JSON escapes, TOML escapes alike, but beyond 16 bits: it knows no pairs.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let safe = |c: char| if is_plain(c) { c.to_string() } else { format!("\\U{:08x}", u32::from(c)) };
    json.chars().map(safe).collect()
}

//! Entries on their way into a price book: what contradicts itself is taken out, what is alike is put together.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use wire::usage::{Class, Kind, MAX_COUNT};

use super::Notes;
use crate::money::Price;
use crate::prices::pattern::Pattern;

pub(super) type Prices = BTreeMap<Class, Price>;

/// What must hold of a call, by the price book's keys; one of the values each.
pub(super) type Conditions = BTreeMap<&'static str, BTreeSet<String>>;

/// One condition.
pub(super) fn only(key: &'static str, values: impl IntoIterator<Item = String>) -> Conditions {
    Conditions::from([(key, values.into_iter().collect())])
}

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
    pub conditions: Conditions,
    pub rates: Rates,
    /// The list's names of the models.
    pub sources: BTreeSet<String>,
    /// How close the list's name is: of two prices for one model the one with the lower rank is meant.
    pub rank: u8,
}

/// What an entry charges.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rates {
    pub prices: Prices,
    /// By their bound.
    pub contexts: BTreeMap<u64, Prices>,
    pub factors: BTreeSet<Factor>,
}

/// What the prices of tokens are multiplied by, under conditions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Factor {
    /// A decimal number.
    pub factor: String,
    pub conditions: Conditions,
    /// The price book's keys; none for all tokens.
    pub classes: Vec<String>,
}

const OUTPUT: Class = Class::OutputText;
const REASONING: Class = Class::OutputReasoning;

impl Rates {
    /// Lists price reasoning as output unless they name a price of its own; the price book wants it said.
    pub fn complete(&mut self) {
        let text = self.prices.get(&OUTPUT).copied();
        let reasoning = self.prices.get(&REASONING).copied();
        if reasoning.is_some() && reasoning != text {
            return;
        }
        for prices in std::iter::once(&mut self.prices).chain(self.contexts.values_mut()) {
            if let Some(price) = prices.get(&OUTPUT).copied() {
                prices.entry(REASONING).or_insert(price);
            }
        }
    }

    /// The factor that makes these prices of tokens of the standard ones, if there is one with four decimals.
    pub fn times(&self, standard: &Rates) -> Option<String> {
        const ONE: u128 = 10_000;
        let is_token = |class: &Class| matches!(class.kind(), Kind::Input | Kind::Output);
        let mut pairs = Vec::new();
        let bounds: BTreeSet<&u64> = self.contexts.keys().chain(standard.contexts.keys()).collect();
        let contexts = bounds.into_iter().map(|bound| Some((self.contexts.get(bound)?, standard.contexts.get(bound)?)));
        for (own, standard) in
            std::iter::once(Some((&self.prices, &standard.prices))).chain(contexts).collect::<Option<Vec<_>>>()?
        {
            let classes: BTreeSet<&Class> = own.keys().chain(standard.keys()).collect();
            for class in classes {
                let (own, standard) = (own.get(class)?, standard.get(class)?);
                match is_token(class) {
                    true => pairs.push((u128::from(own.pico_usd()), u128::from(standard.pico_usd()))),
                    false if own == standard => {}
                    false => return None,
                }
            }
        }
        let (own, standard) = pairs.iter().find(|(_, standard)| *standard > 0)?;
        let factor = own.checked_mul(ONE)?.checked_div(*standard)?;
        let is_exact = |(own, standard): &(u128, u128)| own.checked_mul(ONE) == standard.checked_mul(factor);
        if !pairs.iter().all(is_exact) {
            return None;
        }
        super::decimal::Decimal::from_json(&format!("{factor}e-4")).ok()?.factor()
    }

    pub fn is_free(&self) -> bool {
        self.all().all(|price| price == Price::default())
    }

    pub fn all(&self) -> impl Iterator<Item = Price> {
        self.prices.values().chain(self.contexts.values().flat_map(BTreeMap::values)).copied()
    }
}

impl Draft {
    pub fn overlaps(&self, other: &Draft) -> bool {
        let begins_before_end_of = |a: &Draft, b: &Draft| b.to.is_none_or(|last| a.from <= last);
        begins_before_end_of(self, other) && begins_before_end_of(other, self)
    }

    /// Its conditions as one text for each service tier.
    fn occasions(&self) -> Vec<String> {
        let rest: Conditions = self.conditions.iter().filter(|(key, _)| **key != SERVICE_TIER).map(clone).collect();
        match self.conditions.get(SERVICE_TIER) {
            None => vec![format!("{rest:?}")],
            Some(tiers) => tiers.iter().map(|tier| format!("{tier} {rest:?}")).collect(),
        }
    }
}

fn clone((key, values): (&&'static str, &BTreeSet<String>)) -> (&'static str, BTreeSet<String>) {
    (*key, values.clone())
}

pub(super) use crate::prices::keys::SERVICE_TIER;

/// Whose price it is: provider, model and conditions.
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
    for draft in &mut drafts {
        let aliases = std::mem::take(&mut draft.aliases);
        draft.models.extend(aliases);
    }
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
        let (occasions, provider) = (draft.occasions(), draft.provider.clone());
        for model in names(draft).iter() {
            for occasion in &occasions {
                known.entry((provider.clone(), model.clone(), occasion.clone())).or_default().push(number);
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
                if first.rates == second.rates && first.except == second.except {
                    gone.insert((other, model.clone()));
                    alike.insert((one, other));
                    continue;
                }
                if first.rank != second.rank {
                    gone.insert((if first.rank < second.rank { other } else { one }, model.clone()));
                    continue;
                }
                gone.extend([(one, model.clone()), (other, model.clone())]);
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
pub(super) fn merge(drafts: Vec<Draft>) -> Vec<Draft> {
    type Likeness = (String, Conditions, Date, Option<Date>, BTreeSet<String>, Rates);
    let mut merged: BTreeMap<Likeness, Draft> = BTreeMap::new();
    for mut draft in drafts {
        if draft.models.is_empty() {
            continue;
        }
        let Draft { provider, conditions, from, to, except, rates, .. } = draft.clone();
        match merged.entry((provider, conditions, from, to, except, rates)) {
            std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(draft)),
            std::collections::btree_map::Entry::Occupied(mut place) => {
                place.get_mut().models.append(&mut draft.models);
                place.get_mut().sources.append(&mut draft.sources);
            }
        }
    }
    let mut drafts: Vec<Draft> = merged.into_values().collect();
    drafts.sort_by(|one, other| {
        let key = |draft: &Draft| {
            (draft.provider.clone(), draft.models.first().cloned(), draft.from, draft.conditions.clone())
        };
        key(one).cmp(&key(other))
    });
    drafts
}

//! Several lists as one book: whose price holds where two name a model, and what tools cost besides.

use std::collections::{BTreeMap, BTreeSet};

use wire::usage::Class;

use super::draft::{self, Conditions, Draft, Prices, Rates};
use super::{Alias, Fee, Import, List, Notes, Surcharge, ties};
use crate::prices::pattern::Pattern;

/// What all lists say together.
pub(super) struct Combined {
    pub drafts: Vec<Draft>,
    pub aliases: BTreeSet<Alias>,
    pub surcharges: Vec<Surcharge>,
    /// Models of each list, and how many of them are in the book.
    pub models: Vec<(List, usize, usize)>,
    pub notes: Notes,
}

type Name = (String, String);

/// Puts the lists together: of a name that several have, the first one's prices.
pub(super) fn all(lists: Vec<(List, Import<'_>)>) -> Combined {
    let (mut drafts, mut notes, mut fees): (Vec<Draft>, Notes, Vec<Fee>) = Default::default();
    let (mut aliases, mut surcharges, mut listed) = (Vec::new(), Vec::new(), Vec::new());
    for (list, import) in lists {
        let mut own = import.notes;
        let mut more = draft::settle(import.drafts, &mut own);
        give_way(&mut more, &drafts, &mut own);
        ties::cut(&mut more, &mut own);
        notes.append(own);
        let mut sources: BTreeSet<String> = import.taken;
        sources.extend(more.iter().flat_map(|draft| draft.sources.iter().cloned()));
        drafts.append(&mut more);
        drafts.retain(|draft| !draft.models.is_empty());
        fees.extend(import.fees);
        surcharges.extend(import.surcharges);
        listed.push((list, import.models, sources));
        let number = listed.len().saturating_sub(1);
        aliases.extend(import.aliases.into_iter().map(|(alias, source)| (alias, source, number)));
    }
    add_fees(&mut drafts, &fees);
    let named: BTreeSet<Name> = names(&drafts).collect();
    let known: BTreeSet<Name> = named
        .iter()
        .cloned()
        .chain(aliases.iter().map(|(alias, _, _)| (alias.provider.clone(), alias.model.clone())))
        .collect();
    let mut kept: BTreeMap<Name, Alias> = BTreeMap::new();
    for (alias, source, number) in aliases {
        let name = (alias.provider.clone(), alias.model.clone());
        if !known.contains(&(alias.provider.clone(), alias.is.clone())) {
            notes.add("left out, it is another name of a model that has no price", &source);
            continue;
        }
        if let Some((_, _, sources)) = listed.get_mut(number) {
            sources.insert(source);
        }
        if !named.contains(&name) {
            kept.entry(name).or_insert(alias);
        }
    }
    let models = listed.into_iter().map(|(list, all, taken)| {
        // Aliases are no models of the list's own; what is taken is counted among what was looked at.
        (list, all.len(), taken.intersection(&all).count())
    });
    let models = models.collect();
    Combined { drafts: draft::merge(drafts), aliases: kept.into_values().collect(), surcharges, models, notes }
}

fn names(drafts: &[Draft]) -> impl Iterator<Item = Name> + '_ {
    drafts.iter().flat_map(|draft| draft.models.iter().map(|model| (draft.provider.clone(), model.clone())))
}

/// Takes out what an earlier list has by the same name, whole: prices of two lists for one model would be nobody's.
fn give_way(drafts: &mut [Draft], earlier: &[Draft], notes: &mut Notes) {
    let taken: BTreeSet<Name> = names(earlier).collect();
    let mut current: BTreeMap<Name, &Prices> = BTreeMap::new();
    for draft in earlier.iter().filter(|draft| is_current(draft)) {
        for model in &draft.models {
            current.insert((draft.provider.clone(), model.clone()), &draft.rates.prices);
        }
    }
    for draft in drafts {
        let provider = draft.provider.clone();
        if is_current(draft) {
            for model in &draft.models {
                let Some(first) = current.get(&(provider.clone(), model.clone())) else { continue };
                for (paid, price) in &draft.rates.prices {
                    if let Some(taken) = first.get(paid).filter(|taken| *taken != price) {
                        let text = format!("{provider} {model} {}: {taken}, not {price}", paid.token_type());
                        notes.add("the lists differ, the first one's price is taken", &text);
                    }
                }
            }
        }
        draft.models.retain(|model| !taken.contains(&(provider.clone(), model.clone())));
    }
}

fn is_current(draft: &Draft) -> bool {
    draft.conditions.is_empty() && draft.to.is_none()
}

/// Adds what tools cost to every model that writes, where the lists say nothing else. The more a pattern spells out, the sooner
/// it is taken.
fn add_fees(drafts: &mut Vec<Draft>, fees: &[Fee]) {
    const OUTPUT: Class = Class::OutputText;
    if fees.is_empty() {
        return;
    }
    let mut split = Vec::new();
    for draft in std::mem::take(drafts) {
        let is_for = |fee: &&Fee| fee.provider == draft.provider;
        let writes = draft.rates.prices.contains_key(&OUTPUT);
        if !fees.iter().any(|fee| is_for(&fee) && (writes || !fee.models.is_empty())) {
            split.push(draft);
            continue;
        }
        for model in &draft.models {
            let mut one = Draft { models: BTreeSet::from([model.clone()]), ..draft.clone() };
            let name = model.replace(['*', '#'], "0");
            let mut holding: Vec<(usize, &Fee)> = fees
                .iter()
                .filter(is_for)
                .filter_map(|fee| {
                    if fee.models.is_empty() {
                        return writes.then_some((0, fee));
                    }
                    let matching = fee.models.iter().filter_map(|pattern| Pattern::new(pattern));
                    let longest = matching.filter(|pattern| pattern.matches(&name)).map(|p| p.text().len()).max();
                    longest.map(|length| (length, fee))
                })
                .collect();
            holding.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
            let mut under: BTreeMap<Conditions, Prices> = BTreeMap::new();
            for (_, fee) in holding {
                let prices = if fee.conditions.is_empty() {
                    &mut one.rates.prices
                } else {
                    under.entry(fee.conditions.clone()).or_default()
                };
                for (paid, price) in &fee.prices {
                    prices.entry(*paid).or_insert(*price);
                }
            }
            // What depends on more has an entry of its own, which names nothing else.
            for (conditions, prices) in under {
                let conditions = one.conditions.clone().into_iter().chain(conditions).collect();
                split.push(Draft { conditions, rates: Rates { prices, ..Rates::default() }, ..one.clone() });
            }
            split.push(one);
        }
    }
    *drafts = split;
}

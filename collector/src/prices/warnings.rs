//! What is no mistake of a book for sure, but most often is: providers that nobody has, aliases that lead nowhere, and entries that
//! leave out what the entries behind them have.

use std::collections::BTreeSet;

use meter::provider::{self, Api};
use wire::usage::Class;

use super::entry::Entry;
use super::find::Candidate;
use super::nearest::nearest;
use super::pattern::Pattern;
use super::{Layer, PriceBook};
use crate::terminal::printable;

/// What stands in for these is far from what they cost: a tenth of the input, or a quarter more.
const CACHE: [Class; 2] = [Class::CacheRead, Class::CacheWrite5m];

impl PriceBook {
    /// What a person should look at, one line each, all of the books but the built-in one.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let known = self.known_providers();
        for (number, layer) in self.layers.iter().enumerate().filter(|(_, layer)| layer.built_in.is_none()) {
            for provider in self.providers_of(layer).iter().filter(|provider| !known.contains(*provider)) {
                warnings.push(said(&layer.name, &unknown(provider, &known)));
            }
            warnings.extend(self.left_out(number, layer).map(|warning| said(&layer.name, &warning)));
        }
        for (provider, _) in self.policies.by_provider.iter().filter(|(name, _)| !known.contains(name.as_str())) {
            warnings.push(format!("provider_cost: {}", unknown(provider, &known)));
        }
        let aliases = self.aliases.all().into_iter().filter(|alias| known.contains(alias.provider.as_str()));
        for alias in aliases.filter(|alias| !self.is_priced(&alias.provider, &alias.is)) {
            let warning = format!("{}.is: no book has an entry of {} for {}", alias.place, alias.provider, alias.is);
            warnings.push(said(&alias.book, &warning));
        }
        warnings
    }

    /// The providers that the meter can name by itself, and those that the lists have.
    fn known_providers(&self) -> BTreeSet<&str> {
        let built_in = self.layers.iter().filter(|layer| layer.built_in.is_some()).flat_map(|layer| &layer.entries);
        let lists = built_in.map(|entry| entry.provider.as_str());
        let compatible = Api::ALL.iter().map(|api| api.compatible());
        provider::known().map(|(name, _)| name).chain(compatible).chain(lists).collect()
    }

    fn providers_of<'a>(&'a self, layer: &'a Layer) -> BTreeSet<&'a str> {
        let entries = layer.entries.iter().map(|entry| entry.provider.as_str());
        let surcharges = layer.surcharges.iter().map(|surcharge| surcharge.provider.as_str());
        let aliases = self.aliases.all().into_iter().filter(|alias| alias.book == layer.name);
        let adjusts = self.adjusts.iter().filter(|adjust| adjust.book == layer.name);
        let adjusted = adjusts.filter_map(|adjust| adjust.providers.as_ref()).flat_map(|names| &names.any);
        let adjusted = adjusted.filter(|name| name.is_exact()).map(Pattern::text);
        entries.chain(surcharges).chain(aliases.map(|alias| alias.provider.as_str())).chain(adjusted).collect()
    }

    /// Whether an entry of any book names a model.
    fn is_priced(&self, provider: &str, name: &str) -> bool {
        let aliases = self.aliases.of(provider, name);
        let candidate = [Candidate::new(name.to_owned(), aliases)];
        self.layers.iter().any(|layer| layer.first_hit(provider, &candidate, |_| true).is_some())
    }

    /// The entries of a book that have no price of a cache where those that they hide have one.
    fn left_out<'a>(&'a self, number: usize, layer: &'a Layer) -> impl Iterator<Item = String> + 'a {
        layer.entries.iter().filter_map(move |entry| {
            let lacks = |class: &Class| {
                let behind = self.layers.iter().skip(number.saturating_add(1));
                let hidden = || behind.clone().find_map(|behind| Some((behind, behind.hidden_by(entry)?)));
                !layer.names(entry, *class)
                    && hidden().is_some_and(|(behind, hidden)| hidden.iter().any(|hidden| behind.names(hidden, *class)))
            };
            let lacks: Vec<Class> = CACHE.into_iter().filter(lacks).collect();
            let first = lacks.first()?;
            let names: Vec<&str> = lacks.iter().map(|class| class.token_type()).collect();
            let cost = match entry.price(*first, None) {
                Some((_, stand_in)) => format!("is charged at {}, as a fallback", stand_in.token_type()),
                None => "is unpriced".to_owned(),
            };
            let Entry { provider, valid_from, .. } = entry;
            let model = entry.models.first().map(Pattern::text).unwrap_or_default();
            Some(format!(
                "{provider} {model} {valid_from}: has no {}, which the entry in a later book has that it stands in front of; what the \
                 cache served or took {cost}",
                names.join(" and no ")
            ))
        })
    }
}

impl Layer {
    /// Whether an entry names the price of a class, or one that stands behind it does, of the same name.
    fn names(&self, entry: &Entry, class: Class) -> bool {
        let is_behind = |other: &&Entry| {
            other.provider == entry.provider
                && other.conditions.rank() <= entry.conditions.rank()
                && other.conditions.share(&entry.conditions)
                && other.shares_days(entry)
                && other.models.iter().any(|model| entry.models.contains(model))
        };
        entry.own(class, None).is_some()
            || self.entries.iter().filter(is_behind).any(|other| other.own(class, None).is_some())
    }

    /// The entries of the name that would decide if the entry, which is another book's, were not there.
    fn hidden_by(&self, entry: &Entry) -> Option<Vec<&Entry>> {
        if !self.index.has(&entry.provider) {
            return None;
        }
        let meant = |other: &Entry| other.shares_days(entry);
        let by_name = |model: &Pattern| {
            // What a pattern spells out is the shortest of the names that it is for.
            let name: String =
                model.text().chars().filter(|c| *c != '*').map(|c| if c == '#' { '0' } else { c }).collect();
            let candidate = [Candidate::new(name, Vec::new())];
            self.first_hit(&entry.provider, &candidate, meant)
        };
        entry.models.iter().find_map(by_name).or_else(|| {
            let is_for = |other: &&Entry| {
                let mut names = other.models.iter().filter(|name| name.spelled() > 0);
                other.provider == entry.provider
                    && meant(other)
                    && names.any(|name| entry.models.iter().any(|model| model.spelled() > 0 && model.intersects(name)))
            };
            self.entries.iter().find(is_for).map(|other| vec![other])
        })
    }
}

fn unknown(name: &str, known: &BTreeSet<&str>) -> String {
    let meant = nearest(name, provider::known().map(|(name, _)| name).chain(known.iter().copied()));
    let meant = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
    format!("provider {name} is none that the meter or a price list knows{meant}")
}

fn said(book: &str, warning: &str) -> String {
    let warning = printable(warning);
    if book.is_empty() { warning } else { format!("{book}: {warning}") }
}

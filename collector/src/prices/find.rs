//! Which entry is a call's: the first book that has one; in it the first of the call's names that an entry names.

use std::cell::OnceCell;

use jiff::civil::Date;
use meter::usage::Usage;

use super::conditions::{Fact, Facts};
use super::entry::{Context, Entry};
use super::index::Slot;
use super::names;
use super::pattern::Pattern;
use super::{Call, Layer, PriceBook};
use crate::terminal::printable;

/// The entries of a call.
#[derive(Clone, Debug)]
pub(super) struct Found<'a> {
    pub layer: &'a Layer,
    /// Those that hold, the closest first; never none.
    pub entries: Vec<&'a Entry>,
    pub pattern: &'a Pattern,
    /// The name that held, if it is not what the call itself says first.
    pub by_name: Option<String>,
}

/// A name of a call in lower case, with what it is otherwise known by.
pub(super) struct Candidate<'a> {
    pub name: String,
    pub aliases: Vec<&'a str>,
    forms: OnceCell<Vec<String>>,
}

impl Candidate<'_> {
    /// What its aliases and itself are without what stands around them.
    pub fn forms(&self) -> &[String] {
        self.forms.get_or_init(|| {
            let names = std::iter::once(self.name.as_str()).chain(self.aliases.iter().copied());
            let mut forms: Vec<String> = Vec::new();
            for form in names.flat_map(|name| names::forms(name).into_iter().skip(1)) {
                if !forms.contains(&form) {
                    forms.push(form);
                }
            }
            forms
        })
    }
}

impl PriceBook {
    /// The names of a call, each once.
    pub(super) fn candidates(&self, call: &Call<'_>) -> Vec<Candidate<'_>> {
        let mut candidates: Vec<Candidate<'_>> = Vec::with_capacity(3);
        for name in call.names() {
            let name = name.to_lowercase();
            if candidates.iter().all(|candidate| candidate.name != name) {
                let aliases = self.aliases.of(call.provider, &name);
                candidates.push(Candidate { name, aliases, forms: OnceCell::new() });
            }
        }
        if candidates.is_empty() {
            // A call that names no model can still have the price of all models.
            candidates.push(Candidate { name: String::new(), aliases: Vec::new(), forms: OnceCell::new() });
        }
        candidates
    }

    pub(super) fn find(&self, call: &Call<'_>, facts: &Facts, candidates: &[Candidate<'_>]) -> Option<Found<'_>> {
        self.layers.iter().find_map(|layer| layer.find(call, facts, candidates))
    }
}

/// What is asked of the entries of a book.
#[derive(Clone, Copy)]
struct Question<'q> {
    provider: &'q str,
    day: Date,
    facts: &'q Facts,
}

impl Layer {
    pub(super) fn find(&self, call: &Call<'_>, facts: &Facts, candidates: &[Candidate<'_>]) -> Option<Found<'_>> {
        if !self.index.has(call.provider) {
            return None;
        }
        let asked = Question { provider: call.provider, day: call.began.date(), facts };
        let first = candidates.first().map(|candidate| candidate.name.as_str()).unwrap_or_default();
        let named = candidates.iter().find_map(|candidate| self.by_name(asked, candidate));
        // What is for any model comes after all that names one.
        let any = || candidates.iter().find_map(|candidate| self.closest(asked, &candidate.name));
        let mut found = named.or_else(any)?;
        found.by_name = found.by_name.filter(|name| name != first);
        Some(found)
    }

    /// The entry that names a candidate: its very name, or what its alias is; else the one that spells out most of it or of
    /// one of its forms.
    fn by_name(&self, asked: Question<'_>, candidate: &Candidate<'_>) -> Option<Found<'_>> {
        let has_name = |found: &Found<'_>| found.pattern.spelled() > 0;
        let alias = || candidate.aliases.iter().find_map(|name| self.closest(asked, name).filter(has_name));
        if let Some(found) = self.exact(asked, &candidate.name).or_else(alias) {
            return Some(found);
        }
        let mut best = self.closest(asked, &candidate.name).filter(has_name);
        for form in candidate.forms() {
            let most = best.as_ref().map_or(0, |found| found.pattern.spelled());
            let found = match form.len() > most {
                true => self.exact(asked, form).or_else(|| self.closest(asked, form)),
                false => None,
            };
            best = found.filter(|found| found.pattern.spelled() > most).or(best);
        }
        best
    }

    fn exact(&self, asked: Question<'_>, name: &str) -> Option<Found<'_>> {
        self.index.exact(asked.provider, name, |slots| self.hold(asked, name, slots))
    }

    fn closest(&self, asked: Question<'_>, name: &str) -> Option<Found<'_>> {
        self.index.find(asked.provider, name, |slots| self.hold(asked, name, slots))
    }

    /// The entries of one pattern that hold on the day for what the call is.
    fn hold(&self, asked: Question<'_>, name: &str, slots: &[Slot]) -> Option<Found<'_>> {
        let mut pattern = None;
        let mut entries: Vec<&Entry> = Vec::new();
        for slot in slots {
            let Some(entry) = self.entries.get(slot.entry) else { continue };
            if entry.is_valid_on(asked.day) && entry.conditions.hold(asked.facts) && entry.means(name) {
                pattern = pattern.or_else(|| entry.models.get(slot.pattern));
                entries.push(entry);
            }
        }
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.conditions.rank()));
        Some(Found { layer: self, entries, pattern: pattern?, by_name: Some(name.to_owned()) })
    }
}

impl<'a> Found<'a> {
    /// The entry that describes the call most closely.
    pub fn entry(&self) -> Option<&'a Entry> {
        self.entries.first().copied()
    }

    /// Whether the entry or one of its factors that hold says what something costs that is not standard.
    pub fn names(entry: &Entry, fact: Fact, facts: &Facts) -> bool {
        let factors = entry.factors.iter().filter(|factor| factor.conditions.hold(facts));
        entry.conditions.name(fact) || factors.into_iter().any(|factor| factor.conditions.name(fact))
    }

    /// The entry in the words of a rating: book, provider, model, first day, and all that made it hold.
    pub fn text(&self, facts: &Facts, usage: &Usage, day: Date) -> String {
        let Some(entry) = self.entry() else { return String::new() };
        let built_in = self.layer.built_in.as_ref().map(|date| format!("builtin {date}: ")).unwrap_or_default();
        let Entry { provider, valid_from, .. } = entry;
        let mut text = format!("{built_in}{provider} {} {valid_from}{}", self.pattern.text(), entry.conditions.text());
        if let Some(Context { above, .. }) = entry.context(usage) {
            text.push_str(&format!(" above={above}"));
        }
        if let Some(currency) = &entry.currency
            && let Some(rate) = currency.rate(day)
        {
            text.push_str(&format!(" {}={rate}", currency.code));
        }
        for factor in entry.factors.iter().filter(|factor| factor.conditions.hold(facts)) {
            text.push_str(&format!(" x{}", factor.factor));
        }
        if let Some(name) = &self.by_name {
            text.push_str(&format!(" name={}", printable(name)));
        }
        text
    }
}

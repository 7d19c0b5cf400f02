//! Which entry is a call's: that of the first of its names that a book has an entry for, in the first book that has one. So what the
//! provider says of the model stands in every book above what the client asked for.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jiff::civil::Date;
use wire::usage::Usage;

use super::conditions::{Fact, Facts};
use super::entry::{Context, Entry};
use super::index::Slot;
use super::input::Service;
use super::names;
use super::pattern::Pattern;
use super::{Layer, PriceBook, RatingInput};
use crate::terminal::printable;

/// Names that are looked for once only; when there are more, all of them are looked for anew.
const REMEMBERED: usize = 2048;

/// What the names of calls have led to: the same few models are called all the time.
#[derive(Debug, Default)]
pub(super) struct Remembered(Mutex<HashMap<String, Arc<Resolved>>>);

#[cfg(test)]
impl Remembered {
    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// What the names of a call lead to, in every book.
#[derive(Debug)]
pub(super) struct Resolved {
    /// The names in lower case, and which of the call's own each is or is made of: 0 for the first.
    pub names: Vec<(String, usize)>,
    /// The entries that a name of the call has, with the number of their book, in the order in which they are asked whether they hold:
    /// by the call's names, of each by the books.
    hits: Vec<(usize, Hit)>,
}

/// Entries of one pattern, and the name that it matches.
#[derive(Debug)]
struct Hit {
    name: String,
    /// Which of the call's names it is; the last is what is for any model.
    rank: usize,
    spelled: usize,
    slots: Vec<Slot>,
}

/// The entries of a call.
#[derive(Clone, Debug)]
pub(super) struct Found<'a> {
    pub layer: &'a Layer,
    /// Those that hold, the closest first; never none.
    pub entries: Vec<&'a Entry>,
    pub pattern: &'a Pattern,
    /// The name that held, if it is not what the call itself says first.
    pub by_name: Option<String>,
    rank: usize,
}

/// A name of a call in lower case, with what it is otherwise known by.
pub(super) struct Candidate<'a> {
    pub name: String,
    pub aliases: Vec<&'a str>,
    /// Which of the call's own names it is or is made of.
    rank: usize,
    forms: OnceCell<Vec<String>>,
}

impl<'a> Candidate<'a> {
    pub fn new(name: String, aliases: Vec<&'a str>) -> Candidate<'a> {
        Candidate { name, aliases, rank: 0, forms: OnceCell::new() }
    }

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
    pub(super) fn candidates(&self, call: &RatingInput<'_>) -> Vec<Candidate<'_>> {
        let mut candidates: Vec<Candidate<'_>> = Vec::with_capacity(3);
        let of_service = |service: &Service| {
            let models =
                [call.response_model, call.request_model].into_iter().flatten().filter(|model| !model.is_empty());
            models.map(|model| service.of(model)).collect::<Vec<_>>()
        };
        let service = call.service();
        // A service's names are all of one rank: the service sells the model, whatever name it is found by.
        let own =
            call.names().enumerate().map(|(rank, name)| (if service.is_some() { 0 } else { rank }, name.to_owned()));
        let bare = call.names().filter_map(|name| service?.model_of(name)).map(|name| (0, name.to_owned()));
        let of_service = service.map(of_service).unwrap_or_default().into_iter().map(|name| (0, name));
        for (rank, name) in of_service.chain(own).chain(bare) {
            let name = name.to_lowercase();
            if candidates.iter().all(|candidate| candidate.name != name) {
                let aliases = self.aliases.of(call.provider, &name);
                candidates.push(Candidate { rank, ..Candidate::new(name, aliases) });
            }
        }
        if candidates.is_empty() {
            // A call that names no model can still have the price of all models.
            candidates.push(Candidate::new(String::new(), Vec::new()));
        }
        candidates
    }

    /// What the names of a call lead to.
    pub(super) fn resolve(&self, call: &RatingInput<'_>) -> Arc<Resolved> {
        let [first, second, third] =
            [call.response_model, call.request_model, call.path_model].map(Option::unwrap_or_default);
        let key = [call.provider, first, second, third].join("\0");
        // Nobody panics while it is locked, and what is in it is whole at any time.
        let known = || self.remembered.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(resolved) = known().get(&key) {
            return Arc::clone(resolved);
        }
        let candidates = self.candidates(call);
        let books = self.layers.iter().enumerate();
        let mut hits: Vec<(usize, Hit)> = books
            .flat_map(|(number, layer)| layer.hits_of(call, &candidates).into_iter().map(move |hit| (number, hit)))
            .collect();
        // What is of one name and one book stays as it is.
        hits.sort_by_key(|(_, hit)| hit.rank);
        let names = candidates.into_iter().map(|candidate| (candidate.name, candidate.rank)).collect();
        let resolved = Arc::new(Resolved { names, hits });
        let mut known = known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, Arc::clone(&resolved));
        resolved
    }

    pub(super) fn find(&self, call: &RatingInput<'_>, facts: &Facts, resolved: &Resolved) -> Option<Found<'_>> {
        self.first(call, facts, resolved, |_| true)
    }

    /// Every entry that may hold for a call, whatever its conditions say, each alone. What comes behind one that always holds is
    /// never asked.
    pub(super) fn may_hold(&self, call: &RatingInput<'_>, resolved: &Resolved) -> Vec<Found<'_>> {
        let day = call.began.date();
        let mut all = Vec::new();
        for (number, hit) in &resolved.hits {
            let Some(layer) = self.layers.get(*number) else { continue };
            let mut is_sure = false;
            for slot in &hit.slots {
                let Some(entry) = layer.entries.get(slot.entry) else { continue };
                let Some(pattern) = entry.models.get(slot.pattern) else { continue };
                if entry.is_valid_on(day) && entry.means(&hit.name) {
                    is_sure |= entry.conditions.are_none();
                    let by_name = Some(hit.name.clone());
                    all.push(Found { layer, entries: vec![entry], pattern, by_name, rank: hit.rank });
                }
            }
            if is_sure {
                break;
            }
        }
        all
    }

    /// What a book has for a call.
    pub(super) fn find_in(
        &self,
        layer: usize,
        call: &RatingInput<'_>,
        facts: &Facts,
        resolved: &Resolved,
    ) -> Option<Found<'_>> {
        self.first(call, facts, resolved, |number| number == layer)
    }

    /// The first entries that hold, of the books with such numbers.
    fn first(
        &self,
        call: &RatingInput<'_>,
        facts: &Facts,
        resolved: &Resolved,
        is_asked: impl Fn(usize) -> bool,
    ) -> Option<Found<'_>> {
        let day = call.began.date();
        let mut hits = resolved.hits.iter().filter(|(number, _)| is_asked(*number)).map(|(number, hit)| (*number, hit));
        let (hit, mut found) =
            hits.find_map(|(number, hit)| Some((hit, self.layers.get(number)?.hold(hit, day, facts)?)))?;
        let is_first = resolved.names.first().is_some_and(|(name, _)| *name == hit.name);
        found.by_name = Some(&hit.name).filter(|_| !is_first).cloned();
        Some(found)
    }
}

impl Layer {
    /// What names of a call the entries have. A router's list may lack what its service sells: then the service's own list price holds,
    /// by the built-in book only. What a book of one's own says of the service is for one's own calls of it.
    fn hits_of(&self, call: &RatingInput<'_>, candidates: &[Candidate<'_>]) -> Vec<Hit> {
        let Some(service) = call.service().filter(|_| self.built_in.is_some()) else {
            return self.hits(call.provider, candidates);
        };
        let (named, models): (Vec<&Candidate<'_>>, Vec<&Candidate<'_>>) =
            candidates.iter().partition(|candidate| service.model_of(&candidate.name).is_some());
        let mut hits = self.hits(call.provider, named);
        hits.append(&mut self.hits(service.provider, models.iter().copied()));
        hits.append(&mut self.hits(call.provider, models));
        hits
    }

    /// What names of a call the entries of a provider have. Each name comes with its very own entry, with those of its aliases, then with those
    /// that spell out most of it or of one of its forms; what is for any model comes after all that names one.
    fn hits<'c>(&self, provider: &str, candidates: impl IntoIterator<Item = &'c Candidate<'c>>) -> Vec<Hit> {
        let mut hits = Vec::new();
        if !self.index.has(provider) {
            return hits;
        }
        let (mut named, mut any) = (Vec::new(), Vec::new());
        for candidate in candidates {
            let rank = candidate.rank;
            let (all, own) =
                self.matching(provider, &candidate.name, rank).into_iter().partition(|hit| hit.spelled == 0);
            any.extend::<Vec<Hit>>(all);
            let mut own: Vec<Hit> = own;
            let is_exact = |hit: &Hit| self.pattern(hit).is_some_and(Pattern::is_exact);
            let rest = own.split_off(own.iter().take_while(|hit| is_exact(hit)).count());
            named.append(&mut own);
            let matching = |name: &str| {
                self.matching(provider, name, rank).into_iter().filter(|hit| hit.spelled > 0).collect::<Vec<Hit>>()
            };
            named.extend(candidate.aliases.iter().flat_map(|alias| matching(alias)));
            let mut closest: Vec<Hit> = rest;
            closest.extend(candidate.forms().iter().flat_map(|form| matching(form)));
            // Of two that spell out the same, what is nearer to the name itself stays in front.
            closest.sort_by_key(|hit| std::cmp::Reverse(hit.spelled));
            named.append(&mut closest);
        }
        any.iter_mut().for_each(|hit| hit.rank = usize::MAX);
        hits.append(&mut named);
        hits.append(&mut any);
        hits
    }

    /// The entries for which `means` says so of the first pattern that a name has and that has such entries; what is for any model
    /// names none.
    pub(super) fn first_hit(
        &self,
        provider: &str,
        names: &[Candidate<'_>],
        means: impl Fn(&Entry) -> bool,
    ) -> Option<Vec<&Entry>> {
        let hits = self.hits(provider, names);
        hits.iter().filter(|hit| hit.spelled > 0).find_map(|hit| {
            let entries = hit.slots.iter().filter_map(|slot| self.entries.get(slot.entry));
            let entries: Vec<&Entry> = entries.filter(|entry| entry.means(&hit.name) && means(entry)).collect();
            (!entries.is_empty()).then_some(entries)
        })
    }

    /// All patterns that match a name, the closest first.
    fn matching(&self, provider: &str, name: &str, rank: usize) -> Vec<Hit> {
        let mut hits = Vec::new();
        self.index.find(provider, name, |slots| {
            let mut hit = Hit { name: name.to_owned(), rank, spelled: 0, slots: slots.to_vec() };
            hit.spelled = self.pattern(&hit).map_or(0, Pattern::spelled);
            hits.push(hit);
            None::<()>
        });
        hits
    }

    fn pattern(&self, hit: &Hit) -> Option<&Pattern> {
        let slot = hit.slots.first()?;
        self.entries.get(slot.entry)?.models.get(slot.pattern)
    }

    /// The entries of one pattern that hold on the day for what the call is.
    fn hold(&self, hit: &Hit, day: Date, facts: &Facts) -> Option<Found<'_>> {
        let mut pattern = None;
        let mut entries: Vec<&Entry> = Vec::new();
        for slot in &hit.slots {
            let Some(entry) = self.entries.get(slot.entry) else { continue };
            if entry.is_valid_on(day) && entry.conditions.hold(facts) && entry.means(&hit.name) {
                pattern = pattern.or_else(|| entry.models.get(slot.pattern));
                entries.push(entry);
            }
        }
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.conditions.rank()));
        Some(Found { layer: self, entries, pattern: pattern?, by_name: None, rank: hit.rank })
    }
}

impl<'a> Found<'a> {
    /// The entry that describes the call most closely.
    pub fn entry(&self) -> Option<&'a Entry> {
        self.entries.first().copied()
    }

    /// The names for discounts: those of the call's own name that decided, or its first; and the one that held. What else the client
    /// asked for brings no discount.
    pub fn discounted<'n>(found: Option<&'n Found<'_>>, resolved: &'n Resolved) -> Vec<&'n str> {
        let decided = found.map(|found| found.rank).filter(|rank| *rank != usize::MAX).unwrap_or(0);
        let own = resolved.names.iter().filter(|(_, rank)| *rank == decided).map(|(name, _)| name.as_str());
        own.chain(found.and_then(|found| found.by_name.as_deref())).collect()
    }

    /// Whether the entry or one of its factors that hold says what something costs that is not standard.
    pub fn names(entry: &Entry, fact: Fact, facts: &Facts) -> bool {
        let factors = entry.factors.iter().filter(|factor| factor.conditions.hold(facts));
        entry.conditions.name(fact) || factors.into_iter().any(|factor| factor.conditions.name(fact))
    }

    /// The entry in the words of a rating: book, provider, model, first day, and all that made it hold.
    pub fn text(&self, facts: &Facts, usage: &Usage, day: Date) -> String {
        let Some(entry) = self.entry() else { return String::new() };
        let Entry { provider, valid_from, .. } = entry;
        // It is made for every call: once, in room enough for the longest usual one.
        let mut text = String::with_capacity(256);
        if let Some(date) = &self.layer.built_in {
            text.extend(["builtin ", date, ": "]);
        }
        text.extend([provider, " ", self.pattern.text(), " "]);
        text.push_str(&valid_from.to_string());
        text.push_str(&entry.conditions.text());
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
            text.extend([" name=", &printable(name)]);
        }
        text
    }
}

//! Other names of models: what a deployment or a profile is.

use std::collections::{HashMap, HashSet};

/// Another name of a model of a provider, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alias {
    pub provider: String,
    pub model: String,
    /// The name that has the price, or the next alias.
    pub is: String,
    /// Where it stands.
    pub place: String,
    /// The book in which it stands, or nothing for a text.
    pub book: String,
}

/// The aliases of all books; the first book that has a name decides.
#[derive(Debug, Default)]
pub(super) struct Aliases(HashMap<String, HashMap<String, Alias>>);

impl Aliases {
    /// Puts them together; an alias that comes back to itself is a problem.
    pub fn new(aliases: Vec<Alias>) -> Result<Aliases, Vec<String>> {
        let mut known = Aliases::default();
        for alias in aliases {
            let names = known.0.entry(alias.provider.clone()).or_default();
            names.entry(alias.model.clone()).or_insert(alias);
        }
        let mut problems = known.circles();
        problems.sort();
        if problems.is_empty() { Ok(known) } else { Err(problems) }
    }

    pub fn len(&self) -> usize {
        self.0.values().map(HashMap::len).fold(0, usize::saturating_add)
    }

    /// All of them, by provider and name.
    pub fn all(&self) -> Vec<&Alias> {
        let mut all: Vec<&Alias> = self.0.values().flat_map(HashMap::values).collect();
        all.sort_by(|one, other| (&one.provider, &one.model).cmp(&(&other.provider, &other.model)));
        all
    }

    /// What a name is, what that is in turn, and so on.
    pub fn of(&self, provider: &str, name: &str) -> Vec<&str> {
        let Some(names) = self.0.get(provider) else { return Vec::new() };
        std::iter::successors(names.get(name), |alias| names.get(&alias.is)).map(|alias| alias.is.as_str()).collect()
    }

    /// Every circle once. A name is walked from once at most, so the work is what there are names.
    fn circles(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for names in self.0.values() {
            let mut done: HashSet<&str> = HashSet::new();
            for first in names.values() {
                let mut path: Vec<&Alias> = Vec::new();
                let mut on_path: HashMap<&str, usize> = HashMap::new();
                let mut next = Some(first);
                while let Some(alias) = next.filter(|alias| !done.contains(alias.model.as_str())) {
                    if let Some(begin) = on_path.get(alias.model.as_str()) {
                        let circle = path.get(*begin..).unwrap_or_default();
                        problems.extend(circle_of(circle));
                        break;
                    }
                    on_path.insert(&alias.model, path.len());
                    path.push(alias);
                    next = names.get(&alias.is);
                }
                done.extend(path.iter().map(|alias| alias.model.as_str()));
            }
        }
        problems
    }
}

/// The problem of a circle, at the alias that stands last in the book.
fn circle_of(circle: &[&Alias]) -> Option<String> {
    let (at, last) = circle.iter().enumerate().max_by_key(|(_, alias)| (alias.place.len(), &alias.place))?;
    let names: Vec<&str> =
        circle.iter().cycle().skip(at).take(circle.len()).map(|alias| alias.model.as_str()).collect();
    Some(format!("{}.is: comes back to itself: {} is {}", last.place, names.join(" is "), last.model))
}

//! Which calls a report is about: what is asked for, and what whoever asks may see.

use super::dimension::{Dimension, Facts};
use super::period::Zone;
use crate::tenant::{TenantPattern, is_within};
use crate::terminal::printable;

/// The most values that one filter may have, and the longest of them, bytes.
pub const MAX_VALUES: usize = 100;
const MAX_VALUE: usize = 512;
/// Values of one filter that are said below a report.
const NAMED: usize = 20;

/// A value, or with a `*` behind it the beginning of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    is_prefix: bool,
}

impl Pattern {
    /// Reads `gpt-4.1`, `gpt-*`.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        if text.len() > MAX_VALUE {
            return Err(format!("must have at most {MAX_VALUE} bytes"));
        }
        let prefix = text.strip_suffix('*');
        // In the middle it is a part of the name: clients choose names, and the page asks for those that there are.
        if text.len() > 1 && text.starts_with('*') {
            return Err("may have a * at its end only, for what begins so".to_owned());
        }
        // No value has one, as values are kept.
        if text.contains('\0') {
            return Err("must be without NUL".to_owned());
        }
        Ok(Pattern { text: prefix.unwrap_or(text).to_owned(), is_prefix: prefix.is_some() })
    }

    fn matches(&self, value: &str) -> bool {
        if self.is_prefix { value.starts_with(&self.text) } else { value == self.text }
    }

    /// The same of a tenant: what is below it is meant, too.
    fn matches_tenant(&self, tenant: &str) -> bool {
        if self.is_prefix { tenant.starts_with(&self.text) } else { is_within(tenant, &self.text) }
    }

    fn shown(&self) -> String {
        format!("{}{}", self.text, if self.is_prefix { "*" } else { "" })
    }
}

/// What a call must be: of each dimension that is named, one of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(Vec<(Dimension, Vec<Pattern>)>);

impl Filters {
    /// Also asks for a value. Of one dimension any of the values will do.
    pub fn add(&mut self, dimension: Dimension, value: &str) -> Result<(), String> {
        if dimension.is_time() || matches!(dimension, Dimension::Tenant(Some(_))) {
            return Err("cannot be filtered by; use since, until and tenant".to_owned());
        }
        let pattern = Pattern::parse(value)?;
        let words = match dimension {
            Dimension::Evidence => wire::record::Evidence::WORDS,
            Dimension::Outcome => wire::record::Outcome::WORDS,
            _ => &[],
        };
        if !words.is_empty() && !words.iter().any(|word| pattern.matches(word)) {
            return Err(format!("must be one of {}", words.join(", ")));
        }
        match self.0.iter_mut().find(|(known, _)| *known == dimension) {
            Some((_, patterns)) if patterns.len() >= MAX_VALUES => Err(format!("must be at most {MAX_VALUES} values")),
            Some((_, patterns)) => {
                patterns.push(pattern);
                Ok(())
            }
            None => {
                self.0.push((dimension, vec![pattern]));
                Ok(())
            }
        }
    }

    /// Only a tenant and what is below it.
    pub fn tenant(path: &str) -> Filters {
        let pattern = Pattern { text: path.to_owned(), is_prefix: false };
        Filters(vec![(Dimension::Tenant(None), vec![pattern])])
    }

    /// What is filtered by.
    pub fn dimensions(&self) -> impl Iterator<Item = &Dimension> {
        self.0.iter().map(|(dimension, _)| dimension)
    }

    /// Every dimension with its values, as they were given.
    pub fn shown(&self) -> Vec<(String, Vec<String>)> {
        let values = |patterns: &[Pattern]| patterns.iter().map(Pattern::shown).collect();
        self.0.iter().map(|(dimension, patterns)| (dimension.name().into_owned(), values(patterns))).collect()
    }

    /// All of them in a line, if there are any: `tenant=acme or beta, model=gpt-4*`. Nothing in it steers a terminal.
    pub fn said(&self) -> Option<String> {
        let one = |(name, values): (String, Vec<String>)| {
            let more = values.len().saturating_sub(NAMED);
            let more = (more > 0).then(|| format!("{more} more"));
            let named: Vec<String> = values.iter().take(NAMED).map(printable).chain(more).collect();
            format!("{}={}", printable(name), named.join(" or "))
        };
        let all: Vec<String> = self.shown().into_iter().map(one).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    /// The tenant that alone is asked for, with what is below it.
    pub fn only_tenant(&self) -> Option<&str> {
        match self.tenants() {
            Some([one]) if !one.is_prefix => Some(&one.text),
            _ => None,
        }
    }

    fn tenants(&self) -> Option<&[Pattern]> {
        self.0
            .iter()
            .find(|(dimension, _)| *dimension == Dimension::Tenant(None))
            .map(|(_, patterns)| patterns.as_slice())
    }

    /// Whether calls are among them, as far as `which` dimensions say.
    fn pass(&self, facts: &Facts<'_>, zone: &Zone, which: impl Fn(&Dimension) -> bool) -> bool {
        self.0.iter().filter(|(dimension, _)| which(dimension)).all(|(dimension, patterns)| {
            let value = facts.value(dimension, zone);
            match dimension {
                Dimension::Tenant(_) => patterns.iter().any(|pattern| pattern.matches_tenant(&value)),
                _ => patterns.iter().any(|pattern| pattern.matches(&value)),
            }
        })
    }
}

/// The tenants that whoever asks may know of. Everything that is read for a report passes [`Restriction::allows`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restriction(Option<Vec<TenantPattern>>);

impl Restriction {
    /// All tenants.
    pub const NONE: Restriction = Restriction(None);

    /// Only these: `acme/*` is all below `acme`, without `acme` itself, as everywhere in credentials. Of none nobody is known.
    pub fn to(tenants: Vec<TenantPattern>) -> Restriction {
        Restriction(Some(tenants))
    }

    /// Whether a tenant is among them.
    pub fn allows(&self, tenant: &str) -> bool {
        self.0.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(tenant)))
    }

    /// Whether a tenant and all that can be below it are among them.
    pub fn allows_all_within(&self, path: &str) -> bool {
        let below = |pattern: &TenantPattern| pattern.matches_all_below(path);
        self.allows(path) && self.0.as_ref().is_none_or(|patterns| patterns.iter().any(below))
    }

    /// Whether it leaves anything out.
    pub fn is_restricted(&self) -> bool {
        self.0.is_some()
    }

    /// The tenants, as they are written in the credential.
    pub fn shown(&self) -> Option<Vec<String>> {
        self.0.as_ref().map(|patterns| patterns.iter().map(TenantPattern::to_string).collect())
    }

    /// Paths that each of them is within, if all are.
    fn paths(&self) -> Option<Vec<&str>> {
        self.0.as_ref()?.iter().map(TenantPattern::path).collect()
    }

    /// A path that all of them are within, if there is one.
    fn path(&self) -> Option<&str> {
        let paths = self.paths()?;
        let shortest = paths.iter().copied().min_by_key(|path| path.len())?;
        paths.iter().all(|path| is_within(path, shortest)).then_some(shortest)
    }
}

/// What is asked for and may be known.
pub struct Chosen<'q> {
    pub filters: &'q Filters,
    pub restriction: &'q Restriction,
    pub zone: &'q Zone,
}

impl Chosen<'_> {
    /// A path that all tenants are within, for the database: it reads less then. What is read is judged all the same.
    pub fn path(&self) -> Option<String> {
        let (asked, allowed) = (self.filters.only_tenant(), self.restriction.path());
        let path = match (asked, allowed) {
            (Some(asked), Some(allowed)) if is_within(allowed, asked) => allowed,
            (asked, allowed) => asked.or(allowed)?,
        };
        Some(path.to_owned())
    }

    /// Where the database is to look, with one question each: paths that all tenants are within, none of them within another; or
    /// everywhere.
    pub fn places(&self) -> Vec<Option<String>> {
        if let Some(path) = self.path() {
            return vec![Some(path)];
        }
        let asked = self.filters.tenants().filter(|asked| !asked.iter().any(|pattern| pattern.is_prefix));
        let asked = asked.map(|asked| asked.iter().map(|pattern| pattern.text.as_str()).collect());
        let Some(mut paths): Option<Vec<&str>> = asked.or_else(|| self.restriction.paths()) else { return vec![None] };
        paths.sort_unstable();
        paths.dedup();
        let is_within_other = |path: &str| paths.iter().any(|other| *other != path && is_within(path, other));
        paths.iter().filter(|path| !is_within_other(path)).map(|path| Some((*path).to_owned())).collect()
    }

    /// Whether the sums of calls are among them.
    pub fn pass(&self, facts: &Facts<'_>) -> bool {
        self.is_allowed(facts) && self.filters.pass(facts, self.zone, |_| true)
    }

    fn is_allowed(&self, facts: &Facts<'_>) -> bool {
        !self.restriction.is_restricted() || self.restriction.allows(&facts.value(&Dimension::Tenant(None), self.zone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restriction(patterns: &[&str]) -> Restriction {
        Restriction::to(patterns.iter().map(|pattern| TenantPattern::parse(pattern).unwrap()).collect())
    }

    #[test]
    fn contract_a_restriction_means_what_a_credential_means_and_the_database_reads_no_more_than_it_must() {
        let cases = [
            (&["acme"][..], None, Some("acme")),
            (&["acme/*"], None, Some("acme")),
            (&["acme/*", "acme"], None, Some("acme")),
            (&["acme/ml", "acme/hr/*"], None, None),
            (&["acme*"], None, None),
            (&["acme/m*", "acme/ml"], None, Some("acme")),
            (&["*"], Some("acme"), Some("acme")),
            (&["acme/*", "beta"], None, None),
            (&["acme/*"], Some("acme/ml"), Some("acme/ml")),
            (&["acme/ml"], Some("acme"), Some("acme/ml")),
            (&["acme"], Some("beta"), Some("beta")),
            (&[], None, None),
        ];
        for (allowed, asked, expected) in cases {
            let filters = asked.map(Filters::tenant).unwrap_or_default();
            let chosen = Chosen { filters: &filters, restriction: &restriction(allowed), zone: &Zone::default() };
            assert_eq!(chosen.path().as_deref(), expected, "{allowed:?} {asked:?}");
        }
        let places = |allowed: &[&str], asked: &[&str]| {
            let mut filters = Filters::default();
            asked.iter().for_each(|tenant| filters.add(Dimension::Tenant(None), tenant).unwrap());
            let chosen = Chosen { filters: &filters, restriction: &restriction(allowed), zone: &Zone::default() };
            chosen.places().into_iter().map(|place| place.unwrap_or("everywhere".to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(places(&["acme/ml/*", "beta", "acme/ml", "acme/ml/x"], &[]), ["acme/ml", "beta"]);
        assert_eq!(places(&["acme*", "beta"], &[]), ["everywhere"]);
        assert_eq!(places(&["*"], &["b/c", "acme", "b", "acme"]), ["acme", "b"]);
        assert_eq!(places(&["*"], &["b/*", "acme"]), ["everywhere"]);
        assert_eq!(places(&["acme", "beta"], &["b/*"]), ["acme", "beta"]);
        assert!(places(&[], &[]).is_empty());
        let acme = restriction(&["acme/*"]);
        let allowed = ["acme", "acme/ml", "acme2/ml", "rival", ""].map(|tenant| acme.allows(tenant));
        assert_eq!(allowed, [false, true, false, false, false]);
        let whole = |patterns: &[&str], path: &str| restriction(patterns).allows_all_within(path);
        assert!(whole(&["acme", "acme/*"], "acme") && whole(&["acme*"], "acme") && whole(&["acme/*"], "acme/ml"));
        assert!(!whole(&["acme/*"], "acme") && !whole(&["acme"], "acme") && !whole(&["acme/ml"], "acme/ml"));
        assert!(!whole(&["acme", "acme/m*"], "acme") && Restriction::NONE.allows_all_within("acme"));
        assert!(!restriction(&[]).allows("acme") && restriction(&[]).is_restricted());
        assert!(Restriction::NONE.allows("acme") && !Restriction::NONE.is_restricted());
    }
}

//! Which calls a report is about: what is asked for, and what whoever asks may see.

use super::dimension::{Dimension, Facts};
use super::period::Zone;
use crate::tenant::is_within;

/// The most values that one filter may have, and the longest of them, bytes.
const MAX_VALUES: usize = 100;
const MAX_VALUE: usize = 512;

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
        // As values are kept: no database has a NUL.
        let text = crate::store::sums::storable(prefix.unwrap_or(text));
        Ok(Pattern { text, is_prefix: prefix.is_some() })
    }

    fn matches(&self, value: &str) -> bool {
        if self.is_prefix { value.starts_with(&self.text) } else { value == self.text }
    }

    /// The same of a tenant: what is below it is meant, too.
    fn matches_tenant(&self, tenant: &str) -> bool {
        if self.is_prefix { tenant.starts_with(&self.text) } else { is_within(tenant, &self.text) }
    }

    /// Whether every tenant that the other one means is meant.
    fn covers_tenants(&self, other: &Pattern) -> bool {
        (self.is_prefix || !other.is_prefix) && self.matches_tenant(&other.text)
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
            return Err("cannot be filtered by: since, until and tenant can".to_owned());
        }
        let pattern = Pattern::parse(value)?;
        let words = wire::record::Evidence::WORDS;
        if dimension == Dimension::Evidence && !words.iter().any(|word| pattern.matches(word)) {
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
pub struct Restriction(Option<Vec<Pattern>>);

impl Restriction {
    /// All tenants.
    pub const NONE: Restriction = Restriction(None);

    /// Only these and what is below them, or with a `*` those that begin so. Of no path nobody may be known.
    pub fn to<'p>(paths: impl IntoIterator<Item = &'p str>) -> Result<Restriction, String> {
        Ok(Restriction(Some(paths.into_iter().map(Pattern::parse).collect::<Result<_, _>>()?)))
    }

    /// Whether a tenant is among them.
    pub fn allows(&self, tenant: &str) -> bool {
        self.0.as_ref().is_none_or(|paths| paths.iter().any(|path| path.matches_tenant(tenant)))
    }

    /// Whether it leaves anything out.
    pub fn is_restricted(&self) -> bool {
        self.0.is_some()
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
        let one = |patterns: Option<&[Pattern]>| match patterns {
            Some([one]) if !one.is_prefix => Some(one.clone()),
            _ => None,
        };
        let (asked, allowed) = (one(self.filters.tenants()), one(self.restriction.0.as_deref()));
        let path = match (asked, allowed) {
            (Some(asked), Some(allowed)) => {
                if asked.covers_tenants(&allowed) {
                    allowed
                } else {
                    asked
                }
            }
            (asked, allowed) => asked.or(allowed)?,
        };
        Some(path.text)
    }

    /// Whether the sums of calls are among them.
    pub fn pass(&self, facts: &Facts<'_>) -> bool {
        self.is_allowed(facts) && self.filters.pass(facts, self.zone, |_| true)
    }

    fn is_allowed(&self, facts: &Facts<'_>) -> bool {
        !self.restriction.is_restricted() || self.restriction.allows(&facts.value(&Dimension::Tenant(None), self.zone))
    }
}

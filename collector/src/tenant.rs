//! Which tenants are meant: by those who may charge them, and by what is added to their prices.

use std::fmt;

use wire::identity::{INVALID, UNKNOWN};

/// A tenant's name, or the beginning of names with a `*` behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantPattern {
    text: String,
    is_prefix: bool,
}

impl TenantPattern {
    /// Reads `acme`, `acme/*`, `*`.
    pub fn parse(pattern: &str) -> Result<TenantPattern, &'static str> {
        let prefix = pattern.strip_suffix('*');
        let text = prefix.unwrap_or(pattern);
        // Calls of nobody known have names as well, which no source can give.
        let is_name =
            |name: &str| matches!(name, UNKNOWN | INVALID) || wire::identity::tenant(name.as_bytes()).is_some();
        // What stands before the star must be able to begin a name.
        let fits = match prefix {
            Some(begin) => begin.is_empty() || is_name(&format!("{begin}x")),
            None => is_name(text),
        };
        if !fits {
            return Err("must be a tenant, or the beginning of one with a * behind it, such as acme/*");
        }
        Ok(TenantPattern { text: text.to_owned(), is_prefix: prefix.is_some() })
    }

    /// Whether there can be a tenant that both mean.
    pub fn shares(&self, other: &TenantPattern) -> bool {
        match (self.is_prefix, other.is_prefix) {
            (true, true) => self.text.starts_with(&other.text) || other.text.starts_with(&self.text),
            (true, false) => self.matches(&other.text),
            (false, _) => other.matches(&self.text),
        }
    }

    /// Whether all that the other one means is meant.
    pub fn covers(&self, other: &TenantPattern) -> bool {
        (self.is_prefix || !other.is_prefix) && self.matches(&other.text)
    }

    /// Whether a tenant is meant.
    pub fn matches(&self, tenant: &str) -> bool {
        if self.is_prefix { tenant.starts_with(&self.text) } else { tenant == self.text }
    }

    /// Whether all tenants are meant that can be below a path.
    pub fn matches_all_below(&self, path: &str) -> bool {
        self.is_prefix
            && self.text.strip_prefix(path).map_or(path.starts_with(&self.text), |rest| matches!(rest, "" | "/"))
    }

    /// The path that all tenants that are meant are, or are below of: `acme` of `acme/*` and `acme/m*`. None if there is no such
    /// path.
    pub fn path(&self) -> Option<&str> {
        if self.is_prefix { self.text.rsplit_once('/').map(|(above, _)| above) } else { Some(&self.text) }
    }
}

/// As it was written.
impl fmt::Display for TenantPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if self.is_prefix { f.write_str("*") } else { Ok(()) }
    }
}

/// Whether a tenant is a path, or below it: `acme/ml` is below `acme`.
pub fn is_within(tenant: &str, path: &str) -> bool {
    tenant.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The first segments of a tenant's path.
pub fn cut(tenant: &str, segments: usize) -> &str {
    let end = tenant.match_indices('/').nth(segments.saturating_sub(1)).map(|(end, _)| end);
    end.and_then(|end| tenant.get(..end)).unwrap_or(tenant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_patterns_mean_whole_names_or_beginnings() {
        let cases = [
            ("acme", "acme", true),
            ("acme", "acme/ml", false),
            ("acme", "acme2", false),
            ("acme/*", "acme/ml", true),
            ("acme/*", "acme", false),
            ("acme/*", "acme2/ml", false),
            ("*", "any", true),
            ("unknown", "unknown", true),
            ("invalid", "unknown", false),
        ];
        for (pattern, tenant, expected) in cases {
            assert_eq!(TenantPattern::parse(pattern).unwrap().matches(tenant), expected, "{pattern} {tenant}");
        }
        for (pattern, path) in [("acme", Some("acme")), ("acme/*", Some("acme")), ("acme*", None), ("*", None)] {
            let read = TenantPattern::parse(pattern).unwrap();
            assert_eq!((read.path(), read.to_string()), (path, pattern.to_owned()));
        }
        for bad in ["", "overflow", "a*b", "**", "a b", "acme//*", "*/acme"] {
            assert!(TenantPattern::parse(bad).is_err(), "{bad}");
        }
    }
}

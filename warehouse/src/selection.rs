//! Which entries an export has.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::row::{Row, hex};

/// Which entries: all, or those of a month, or of a tenant, or of both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// The month in which they count: `2026-11`.
    pub month: Option<String>,
    /// Who is charged: this tenant, and those below it.
    pub tenant: Option<String>,
}

impl Selection {
    /// Whether an entry is one of them.
    pub fn includes(&self, row: &Row) -> bool {
        self.month.as_ref().is_none_or(|month| row.month() == *month)
            && self.tenant.as_ref().is_none_or(|path| is_within(&row.tenant, path))
    }

    /// Whether an entry can be in both.
    pub fn overlaps(&self, other: &Selection) -> bool {
        let months = self.month.as_ref().zip(other.month.as_ref());
        let tenants = self.tenant.as_ref().zip(other.tenant.as_ref());
        months.is_none_or(|(one, other)| one == other)
            && tenants.is_none_or(|(one, other)| is_within(one, other) || is_within(other, one))
    }

    /// A short name, the same for the same selection: part of file names.
    pub fn id(&self) -> String {
        let Selection { month, tenant } = self;
        if month.is_none() && tenant.is_none() {
            return "all".to_owned();
        }
        let text = [month, tenant].map(|part| part.as_ref().map_or("-".to_owned(), |part| format!("={part}")));
        hex(&Sha256::digest(text.join("\n"))).chars().take(12).collect()
    }
}

/// Whether a tenant is this one, or below it.
pub fn is_within(tenant: &str, path: &str) -> bool {
    tenant.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.month, &self.tenant) {
            (None, None) => f.write_str("all entries"),
            (Some(month), None) => write!(f, "the entries of {month}"),
            (None, Some(tenant)) => write!(f, "the entries of tenant {tenant:?}"),
            (Some(month), Some(tenant)) => write!(f, "the entries of {month} and tenant {tenant:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(month: Option<&str>, tenant: Option<&str>) -> Selection {
        Selection { month: month.map(str::to_owned), tenant: tenant.map(str::to_owned) }
    }

    #[test]
    fn contract_selections_overlap_if_one_entry_could_be_in_both() {
        let october = of(Some("2026-10"), None);
        let acme = of(None, Some("acme"));
        assert!(Selection::default().overlaps(&october) && october.overlaps(&Selection::default()));
        assert!(october.overlaps(&acme) && acme.overlaps(&of(None, Some("acme/ml"))));
        assert!(of(None, Some("acme/ml")).overlaps(&acme) && october.overlaps(&october));
        assert!(!october.overlaps(&of(Some("2026-11"), None)));
        assert!(!acme.overlaps(&of(None, Some("acmeX"))) && !acme.overlaps(&of(None, Some("beta"))));
        assert!(!of(Some("2026-10"), Some("acme")).overlaps(&of(Some("2026-11"), Some("acme"))));
    }

    #[test]
    fn contract_each_selection_has_a_name_of_its_own() {
        let all = [
            of(None, None),
            of(Some("2026-10"), None),
            of(None, Some("2026-10")),
            of(None, Some("-")),
            of(None, Some("all")),
            of(Some("2026-10"), Some("acme")),
        ];
        let ids: std::collections::BTreeSet<String> = all.iter().map(Selection::id).collect();
        assert_eq!(ids.len(), all.len());
        assert!(ids.iter().all(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric())));
    }
}

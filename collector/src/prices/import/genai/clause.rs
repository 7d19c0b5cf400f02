//! How genai-prices says which names a model has.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::prices::import::regex;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Clause {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Regex(String),
    Or(Vec<Clause>),
    And(Vec<Clause>),
}

impl Clause {
    /// Its patterns, by what they except; `None` if patterns cannot say it.
    pub fn patterns(&self) -> Option<BTreeMap<BTreeSet<String>, BTreeSet<String>>> {
        let plain = |text: &str, before: &str, after: &str| {
            let is_plain = !text.is_empty() && !text.contains(['*', '#']) && !text.starts_with('!');
            let name = format!("{before}{}{after}", text.to_lowercase());
            is_plain.then(|| BTreeMap::from([(BTreeSet::new(), BTreeSet::from([name]))]))
        };
        match self {
            Clause::Equals(text) => plain(text, "", ""),
            Clause::StartsWith(text) => plain(text, "", "*"),
            Clause::EndsWith(text) => plain(text, "*", ""),
            Clause::Contains(text) => plain(text, "*", "*"),
            Clause::Regex(text) => {
                let regex::Globs { models, except } = regex::globs(text)?;
                Some(BTreeMap::from([(except.into_iter().collect(), models.into_iter().collect())]))
            }
            Clause::Or(clauses) => {
                let mut all: BTreeMap<BTreeSet<String>, BTreeSet<String>> = BTreeMap::new();
                for clause in clauses {
                    for (except, models) in clause.patterns()? {
                        all.entry(except).or_default().extend(models);
                    }
                }
                Some(all)
            }
            // What only takes names out can be said; what two patterns have in common cannot.
            Clause::And(clauses) => {
                let any = BTreeSet::from(["*".to_owned()]);
                let (mut models, mut except) = (any.clone(), BTreeSet::new());
                for clause in clauses {
                    let mut groups = clause.patterns()?.into_iter();
                    let (Some((more, names)), None) = (groups.next(), groups.next()) else { return None };
                    except.extend(more);
                    match (models == any, names == any) {
                        (true, _) => models = names,
                        (false, true) => {}
                        (false, false) => return None,
                    }
                }
                Some(BTreeMap::from([(except, models)]))
            }
        }
    }
}

//! The budgets that are in force, and which of them a call counts in.

use std::collections::HashMap;

use super::Definition;
use super::definition::Change;
use super::period::{Period, Span, Zone};

/// The budgets that are in force, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Budgets {
    revision: i64,
    all: Vec<Definition>,
    /// Those of a tenant and all below it, by the first segment of its path.
    of_tenants: HashMap<String, Vec<usize>>,
    /// Those of every tenant.
    of_all: Vec<usize>,
}

impl Budgets {
    /// These, as of a revision: how often budgets were changed.
    pub fn new(revision: i64, mut all: Vec<Definition>) -> Budgets {
        all.sort_by(|one, other| one.name().cmp(other.name()));
        let mut budgets = Budgets { revision, ..Budgets::default() };
        for (index, definition) in all.iter().enumerate() {
            match &definition.budget.scope.tenant {
                Some(tenant) => budgets.of_tenants.entry(first(tenant).to_owned()).or_default().push(index),
                None => budgets.of_all.push(index),
            }
        }
        Budgets { all, ..budgets }
    }

    /// How often budgets were changed. 0: there never was one.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Definition> {
        self.all.iter()
    }

    /// The one of a name.
    pub fn get(&self, name: &str) -> Option<&Definition> {
        let at = self.all.binary_search_by(|definition| definition.name().cmp(name)).ok()?;
        self.all.get(at)
    }

    /// Those that cover a call.
    pub fn covering<'b>(
        &'b self,
        tenant: &str,
        provider: &str,
        model: Option<&str>,
    ) -> impl Iterator<Item = &'b Definition> {
        let of_tenant = self.of_tenants.get(first(tenant)).map(Vec::as_slice).unwrap_or_default();
        let all = of_tenant.iter().chain(&self.of_all).filter_map(|index| self.all.get(*index));
        all.filter(move |definition| definition.budget.scope.covers(tenant, provider, model))
    }

    /// The budgets after one more change.
    pub fn changed(&self, change: &Change) -> Budgets {
        let others = self.all.iter().filter(|definition| definition.name() != change.name());
        let mut all: Vec<Definition> = others.cloned().collect();
        if let Change::Set(definition) = change {
            all.push(definition.clone());
        }
        Budgets::new(self.revision.saturating_add(1), all)
    }
}

fn first(tenant: &str) -> &str {
    tenant.split('/').next().unwrap_or(tenant)
}

/// The window in which calls of a budget are now: the next call is nearly always in the same as the last.
#[derive(Debug, Default)]
pub struct Windows(HashMap<i64, Span>);

impl Windows {
    /// The window of a budget that a time is in.
    pub fn of(&mut self, definition: &Definition, at_s: i64) -> Option<Span> {
        let Definition { id, period, zone, .. } = definition;
        self.look_up(*id, *period, zone, at_s)
    }

    fn look_up(&mut self, id: i64, period: Period, zone: &Zone, at_s: i64) -> Option<Span> {
        if let Some(span) = self.0.get(&id).filter(|span| span.contains(at_s)) {
            return Some(*span);
        }
        let span = zone.window(period, at_s)?;
        self.0.insert(id, span);
        Some(span)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wire::lease::{Budget, Mode, Scope, Unit};

    use super::*;

    fn definition(number: usize, tenant: Option<&str>, provider: Option<&str>, model: Option<&str>) -> Definition {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let scope = Scope { tenant: own(tenant), provider: own(provider), model: own(model) };
        let name = format!("b{number}");
        Definition {
            id: number as i64 + 1,
            budget: Budget { name, scope, per_tenant: false, unit: Unit::Tokens, mode: Mode::Hard },
            limit: 1,
            period: Period::Day,
            zone: Zone::default(),
            since_s: 0,
            who: "ann".to_owned(),
        }
    }

    const TENANTS: [&str; 6] = ["a", "a/b", "a/b/c", "ab", "b", "unknown"];

    proptest! {
        #[test]
        fn deterministic_the_index_finds_what_looking_at_all_of_them_would(
            scopes in prop::collection::vec(
                (prop::option::of(prop::sample::select(&TENANTS[..])), prop::option::of("[pq]"), prop::option::of("[mn]")), 0..20
            ),
            tenant in prop::sample::select(&TENANTS[..]), provider in "[pq]", model in prop::option::of("[mn]")
        ) {
            let all: Vec<Definition> = scopes
                .iter()
                .enumerate()
                .map(|(number, (tenant, provider, model))| definition(number, *tenant, provider.as_deref(), model.as_deref()))
                .collect();
            let budgets = Budgets::new(1, all.clone());
            let mut found: Vec<&str> = budgets.covering(tenant, &provider, model.as_deref()).map(Definition::name).collect();
            let covers = |definition: &&Definition| definition.budget.scope.covers(tenant, &provider, model.as_deref());
            let mut expected: Vec<&str> = all.iter().filter(covers).map(Definition::name).collect();
            found.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn contract_a_change_replaces_removes_or_adds_and_counts() {
        let first = definition(1, Some("a"), None, None);
        let budgets = Budgets::default().changed(&Change::Set(first.clone()));
        assert_eq!((budgets.revision(), budgets.len(), budgets.get("b1")), (1, 1, Some(&first)));
        let raised = Definition { limit: 2, ..first };
        let budgets = budgets.changed(&Change::Set(raised.clone()));
        assert_eq!((budgets.revision(), budgets.len(), budgets.get("b1")), (2, 1, Some(&raised)));
        let budgets = budgets.changed(&Change::Removed { name: "b1".to_owned(), who: String::new() });
        assert_eq!((budgets.revision(), budgets.is_empty()), (3, true));
        assert_eq!(budgets.covering("a", "p", None).count(), 0);
    }
}

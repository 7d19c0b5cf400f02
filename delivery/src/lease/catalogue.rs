//! The budgets in force, found by the calls that they cover.

use std::sync::Arc;

use wire::lease::{Budget, Mode, Unit};

use super::Spending;
use super::index::{Index, hash};

/// The budgets that a worker has to hold, under their revision. A call finds those that cover it without looking at the
/// others: they are indexed by tenant and model.
#[derive(Debug, Default)]
pub struct Catalogue {
    budgets: Vec<Arc<Budget>>,
    index: Index,
    seed: u64,
    /// The most segments of a tenant that a budget names.
    depth: usize,
    /// It matters for one of them who responds.
    asks_for_provider: bool,
}

impl Catalogue {
    pub fn new(seed: u64, budgets: Vec<Budget>) -> Catalogue {
        // A soft one is the collector's affair.
        let held = budgets.into_iter().filter(|budget| budget.mode != Mode::Soft).map(Arc::new);
        let mut catalogue = Catalogue { budgets: held.collect(), seed, ..Catalogue::default() };
        for (place, budget) in (0u32..).zip(&catalogue.budgets) {
            let scope = &budget.scope;
            let tenant = scope.tenant.as_deref();
            catalogue.index.insert(hash(seed, &[tenant, scope.model.as_deref()]), place);
            let depth = tenant.map_or(0, |tenant| tenant.split('/').count());
            catalogue.depth = catalogue.depth.max(depth);
            catalogue.asks_for_provider |= scope.provider.is_some() || budget.unit == Unit::Usd;
        }
        catalogue
    }

    /// The budgets that cover a call.
    pub fn covering(&self, call: &Spending<'_>) -> Vec<Arc<Budget>> {
        if self.budgets.is_empty() {
            return Vec::new();
        }
        let slashes = call.tenant.match_indices('/').map(|(at, _)| at);
        let ends = slashes.chain([call.tenant.len()]).take(self.depth);
        let tenants = std::iter::once(None).chain(ends.map(|end| call.tenant.get(..end)));
        let mut covering = Vec::new();
        for tenant in tenants {
            for model in [None, call.model].into_iter().take(if call.model.is_some() { 2 } else { 1 }) {
                let found = self.index.find(hash(self.seed, &[tenant, model]));
                let found = found.filter_map(|place| self.budgets.get(usize::try_from(place).ok()?));
                let covers = |budget: &&Arc<Budget>| {
                    let scope = &budget.scope;
                    // Whatever the hashes say.
                    (scope.tenant.as_deref(), scope.model.as_deref()) == (tenant, model)
                        && scope.covers(call.tenant, call.provider, call.model)
                };
                covering.extend(found.filter(covers).cloned());
            }
        }
        covering
    }

    /// A budget by its name.
    pub fn named(&self, name: &str) -> Option<&Arc<Budget>> {
        self.budgets.iter().find(|budget| budget.name == name)
    }

    /// Those that all tenants share.
    pub fn shared(&self) -> impl Iterator<Item = &Arc<Budget>> {
        self.budgets.iter().filter(|budget| !budget.per_tenant)
    }

    /// Whether it matters for one of them who responds.
    pub fn asks_for_provider(&self) -> bool {
        self.asks_for_provider
    }
}

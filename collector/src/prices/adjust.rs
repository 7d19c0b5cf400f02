//! Discounts and mark-ups: exact factors of what the provider takes and of what the tenant pays.

use jiff::civil::Date;

use super::conditions::{Names, same};
use crate::money::{Charge, Factor};
use crate::tenant::TenantPattern;

/// What a factor is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    /// What the provider charges.
    Cost,
    /// What the tenant pays.
    Charge,
}

impl On {
    pub const fn as_str(self) -> &'static str {
        match self {
            On::Cost => "cost",
            On::Charge => "charge",
        }
    }
}

/// A discount or a mark-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Adjust {
    pub on: On,
    pub factor: Factor,
    pub tenants: Tenants,
    pub providers: Option<Names>,
    pub models: Option<Names>,
    pub from: Option<Date>,
    pub to: Option<Date>,
    /// Where it stands.
    pub place: String,
    /// The book in which it stands, or nothing for a text.
    pub book: String,
}

/// Whose calls are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tenants {
    /// None: all.
    pub any: Vec<TenantPattern>,
    /// Those that are not meant although a pattern matches them.
    pub except: Vec<TenantPattern>,
}

impl Tenants {
    fn matches(&self, tenant: &str) -> bool {
        (self.any.is_empty() || self.any.iter().any(|any| any.matches(tenant)))
            && !self.except.iter().any(|not| not.matches(tenant))
    }

    /// Whether there can be a tenant that both mean.
    fn shares(&self, other: &Tenants) -> bool {
        let is_left_out =
            |tenant: &TenantPattern| self.except.iter().chain(&other.except).any(|not| not.covers(tenant));
        let mut left: Vec<Vec<&TenantPattern>> = Vec::new();
        for tenants in [self, other] {
            let any: Vec<&TenantPattern> = tenants.any.iter().filter(|tenant| !is_left_out(tenant)).collect();
            if any.is_empty() && !tenants.any.is_empty() {
                return false;
            }
            left.push(any);
        }
        match left.as_slice() {
            [one, two] if !one.is_empty() && !two.is_empty() => {
                one.iter().any(|one| two.iter().any(|two| one.shares(two)))
            }
            // One of them means all but a few.
            _ => true,
        }
    }
}

/// A tenant's list price per token has 18 decimals, an amount 24: what is left for the factors of a call.
const DECIMALS: u32 = 6;
/// More are hard to keep exact, and to keep in mind.
const MOST: usize = 2000;

/// Whose call it is, and of what.
pub(super) struct Whose<'a> {
    pub tenant: &'a str,
    pub provider: &'a str,
    /// The names that it goes by, in lower case.
    pub models: &'a [&'a str],
    pub day: Date,
}

impl Adjust {
    /// Whether another one multiplies the same calls by the same, in whatever order its names stand.
    pub fn is_same(&self, other: &Adjust) -> bool {
        let names = |one: &Option<Names>, two: &Option<Names>| match (one, two) {
            (Some(one), Some(two)) => one.is_same(two),
            (one, two) => one == two,
        };
        (self.on, &self.factor, self.from, self.to) == (other.on, &other.factor, other.from, other.to)
            && same(&self.tenants.any, &other.tenants.any)
            && same(&self.tenants.except, &other.tenants.except)
            && names(&self.providers, &other.providers)
            && names(&self.models, &other.models)
    }

    pub fn matches(&self, call: &Whose<'_>) -> bool {
        let names = |names: &Option<Names>, is: &dyn Fn(&Names) -> bool| names.as_ref().is_none_or(is);
        self.from.is_none_or(|from| from <= call.day)
            && self.to.is_none_or(|to| call.day <= to)
            && self.tenants.matches(call.tenant)
            && names(&self.providers, &|names| names.matches(&call.provider.to_lowercase()))
            && names(&self.models, &|names| call.models.iter().any(|model| names.matches(model)))
    }

    /// Whether it is sure that no call matches both.
    fn excludes(&self, other: &Adjust) -> bool {
        let names = |one: &Option<Names>, two: &Option<Names>| match (one, two) {
            (Some(one), Some(two)) => !one.shares(two),
            _ => false,
        };
        let ends_before = |a: &Adjust, b: &Adjust| a.to.zip(b.from).is_some_and(|(to, from)| to < from);
        // A call goes by several model names, so names of models that differ exclude nothing.
        !self.tenants.shares(&other.tenants)
            || names(&self.providers, &other.providers)
            || ends_before(self, other)
            || ends_before(other, self)
    }
}

/// Refuses factors of which one call could have more than an amount has decimals for. Those that exclude each other are put into
/// one group; a call has at most one of each.
pub(super) fn check(adjusts: &[Adjust]) -> Result<(), Vec<String>> {
    if adjusts.len() > MOST {
        return Err(vec![format!("adjust: must be at most {MOST} tables in all books")]);
    }
    let mut groups: Vec<Vec<&Adjust>> = Vec::new();
    for adjust in adjusts {
        match groups.iter_mut().find(|group| group.iter().all(|other| adjust.excludes(other))) {
            Some(group) => group.push(adjust),
            None => groups.push(vec![adjust]),
        }
        let most = |group: &Vec<&Adjust>| group.iter().map(|adjust| adjust.factor.decimals()).max().unwrap_or(0);
        if groups.iter().map(most).fold(0_u32, u32::saturating_add) > DECIMALS {
            return Err(vec![format!(
                "{}.factor: could hold for the same call as other factors that have {DECIMALS} decimals together with it or \
                 more, and an amount would have more than 24; use fewer decimals, or say of which tenants, providers or days \
                 each is",
                adjust.place
            )]);
        }
    }
    Ok(())
}

/// A list price with all factors: what the provider takes, and what the tenant pays; `None` if an amount does not hold it.
pub(super) fn apply(list: Charge, cost: &[Factor], charge: &[Factor]) -> Option<(Charge, Charge)> {
    let cost = cost.iter().try_fold(list, |amount, factor| amount.times(*factor))?;
    let charge = charge.iter().try_fold(cost, |amount, factor| amount.times(*factor))?;
    Some((cost, charge))
}

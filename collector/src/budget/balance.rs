//! What counts in which window. Of every window since its budget's counting began, the balance is the sum of the entries that
//! stand: what is charged adds, what is taken back subtracts, whenever that happens.

use wire::lease::Unit;
use wire::record::Record;

use super::period::second;
use super::set::Windows;
use super::{Amount, Budgets, Definition};
use crate::money::Charge;

/// A window of a budget: of one tenant, or of all together.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowKey {
    /// [`Definition::id`].
    pub budget: i64,
    /// When it begins, seconds since 1970.
    pub begins_s: i64,
    /// The tenant, if each has the limit for itself; else empty.
    pub subject: String,
}

/// What budgets see of a call.
#[derive(Clone, Debug)]
pub struct Counted<'c> {
    tenant: &'c str,
    provider: &'c str,
    model: Option<&'c str>,
    started_ns: i64,
    tokens: Amount,
    charge: Amount,
}

impl<'c> Counted<'c> {
    /// A call that a tenant is charged for; `None` if it began after the year 2262.
    pub fn of(record: &'c Record, tenant: &'c str, charge: Charge) -> Option<Counted<'c>> {
        let usage = &record.usage;
        let totals = [usage.input_total(), usage.output_total()].into_iter().flatten();
        Some(Counted {
            tenant,
            provider: &record.provider,
            // What the worker knows when it lets the call pass.
            model: record.request_model.as_deref().or(record.response_model.as_deref()),
            started_ns: i64::try_from(record.started_ns).ok()?,
            tokens: Amount::of_tokens(totals.fold(0, u64::saturating_add)),
            charge: Amount::of_charge(charge),
        })
    }

    fn amount(&self, unit: Unit) -> Amount {
        match unit {
            Unit::Tokens => self.tokens,
            Unit::Usd => self.charge,
        }
    }

    /// The window of a budget in which it counts, if it does, and how much.
    pub fn in_budget(&self, definition: &Definition, windows: &mut Windows) -> Option<(WindowKey, Amount)> {
        let at_s = second(self.started_ns);
        if at_s < definition.since_s {
            return None;
        }
        let begins_s = windows.of(definition, at_s)?.begins_s;
        let subject = definition.budget.subject(self.tenant).to_owned();
        Some((WindowKey { budget: definition.id, begins_s, subject }, self.amount(definition.unit())))
    }

    /// Every window in which it counts, and how much.
    pub fn windows(&self, budgets: &Budgets, windows: &mut Windows) -> Vec<(WindowKey, Amount)> {
        let covering = budgets.covering(self.tenant, self.provider, self.model);
        covering.filter_map(|definition| self.in_budget(definition, windows)).collect()
    }

    /// Whether a budget covers it at all.
    pub fn is_covered_by(&self, definition: &Definition) -> bool {
        definition.budget.scope.covers(self.tenant, self.provider, self.model)
    }
}

#[cfg(test)]
mod tests {
    use wire::usage::Class;

    use super::super::Draft;
    use super::*;

    const NOW_S: i64 = 1_795_942_800;

    fn budget(budgets: &Budgets, name: &str, change: impl Fn(&mut Draft)) -> Budgets {
        let some = |text: &str| Some(text.to_owned());
        let mut draft = Draft {
            name: name.to_owned(),
            limit: some("10"),
            unit: some("tokens"),
            window: some("day"),
            who: "ann".to_owned(),
            ..Draft::default()
        };
        change(&mut draft);
        let definition = draft.complete(budgets, NOW_S).unwrap();
        budgets.changed(&super::super::definition::Change::Set(definition))
    }

    #[test]
    fn contract_a_call_counts_in_every_budget_that_covers_it_by_the_model_that_was_asked_for() {
        let some = |text: &str| Some(text.to_owned());
        let budgets = budget(&Budgets::default(), "all", |_| {});
        let budgets = budget(&budgets, "acme.usd", |draft| {
            (draft.tenant, draft.unit, draft.window) = (some("acme"), some("usd"), some("month"));
        });
        let budgets = budget(&budgets, "each", |draft| draft.per_tenant = Some(true));
        let budgets = budget(&budgets, "asked", |draft| draft.model = some("asked"));
        let budgets = budget(&budgets, "responded", |draft| draft.model = some("responded"));
        let mut record = Record { provider: "openai".to_owned(), ..Record::default() };
        record.started_ns = u64::try_from(NOW_S).unwrap() * 1_000_000_000 + 999_999_999;
        (record.request_model, record.response_model) = (some("asked"), some("responded"));
        record.usage.set(Class::InputText, Some(3));
        record.usage.set(Class::OutputReasoning, Some(4));
        record.usage.set(Class::WebSearches, Some(5));
        let count = |record: &Record, tenant: &str| {
            let charge = "0.25".parse().unwrap();
            let call = Counted::of(record, tenant, charge).unwrap();
            let mut found: Vec<(String, String, String)> = call
                .windows(&budgets, &mut Windows::default())
                .into_iter()
                .map(|(key, amount)| {
                    let definition = budgets.iter().find(|definition| definition.id == key.budget).unwrap();
                    (definition.name().to_owned(), key.subject, amount.text(definition.unit()))
                })
                .collect();
            found.sort();
            found.into_iter().map(|(name, subject, amount)| format!("{name}/{subject}={amount}")).collect::<Vec<_>>()
        };
        assert_eq!(count(&record, "acme/ml"), ["acme.usd/=0.25", "all/=7", "asked/=7", "each/acme/ml=7"]);
        assert_eq!(count(&record, "acme2"), ["all/=7", "asked/=7", "each/acme2=7"]);
        record.request_model = None;
        assert_eq!(count(&record, "x"), ["all/=7", "each/x=7", "responded/=7"]);
        record.started_ns -= 86_400_000_000_000;
        assert_eq!(count(&record, "acme"), ["acme.usd/=0.25"], "what began before the counting did does not count");
    }
}

//! Budgets as gauges and as JSON: read when somebody asks for them, and not again for a while.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Extension, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use wire::identity::OVERFLOW;
use wire::lease::MAX_BUDGETS;

use super::responses::blocking;
use super::writer::now_ns;
use super::{App, log, readers};
use crate::budget::Amount;
use crate::ingest::refusal::{Busy, Refusal};
use crate::report::budgets::{Standing, json, standing};
use crate::store::Reader;

/// How often they are read at most.
const INTERVAL: Duration = Duration::from_secs(5);
/// They are read so rarely that it takes one part in so many of the time, however many tenants have balances.
const SHARE: u32 = 50;

/// The budgets in the windows of now, as they were read last. Clones share them.
#[derive(Clone, Debug)]
pub struct Budgets {
    all: Shared,
    /// When they may be read again.
    next: Arc<tokio::sync::Mutex<Option<Instant>>>,
    /// The gauges of all of them, and of those that name no tenant.
    registries: Arc<[Registry; 2]>,
    /// Calls that were refused.
    refused: Family<OfBudget, Counter>,
    /// The names that have been counted: at most as many as there can be budgets.
    names: Arc<Mutex<BTreeSet<String>>>,
}

/// None: they could not be read.
type Shared = Arc<Mutex<Option<Vec<Standing>>>>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfBudget {
    budget: String,
}

impl Budgets {
    pub fn new() -> Budgets {
        let (all, refused) = (Shared::default(), Family::<OfBudget, Counter>::default());
        let registries = [true, false].map(|with_tenants| {
            let mut registry = Registry::with_prefix("meshmeter");
            registry.register_collector(Box::new(Gauges { all: all.clone(), with_tenants }));
            // Whose budget it is, only the name would tell.
            if with_tenants {
                registry.register(
                    "ledger_refused_calls",
                    "Calls that a `budget` refused, by the events that this collector entered into the ledger",
                    refused.clone(),
                );
            }
            registry
        });
        Budgets { all, next: Arc::default(), registries: Arc::new(registries), refused, names: Arc::default() }
    }

    /// Adds the gauges to a text, or only those of budgets that name no tenant.
    pub fn encode(&self, text: &mut String, with_tenants: bool) -> Result<(), fmt::Error> {
        let [all, without_tenants] = &*self.registries;
        text::encode_registry(text, if with_tenants { all } else { without_tenants })
    }

    /// Reads them again, if it is time to. Who asks meanwhile waits for the same response.
    pub async fn refresh(&self, reader: Arc<dyn Reader>) {
        let mut next = self.next.lock().await;
        let begun = Instant::now();
        if next.is_some_and(|next| begun < next) {
            return;
        }
        // Should whoever asks go away meanwhile, nobody else begins at once.
        *next = begun.checked_add(INTERVAL);
        match blocking(move || standing(&*reader, now_ns()).map_err(|error| error.to_string())).await {
            Ok(all) => self.set(Some(all)),
            Err(problem) => {
                log::warn(&format!("the budgets cannot be read: {problem}"));
                self.set(None);
            }
        }
        let now = Instant::now();
        let pause = now.saturating_duration_since(begun).saturating_mul(SHARE).max(INTERVAL);
        *next = now.checked_add(pause);
    }

    pub fn set(&self, all: Option<Vec<Standing>>) {
        *held(&self.all) = all;
    }

    /// Counts calls that budgets have refused.
    pub fn refused<'a>(&self, by_budget: impl IntoIterator<Item = (&'a String, u64)>) {
        for (budget, calls) in by_budget {
            let mut names = held(&self.names);
            let is_known = names.contains(budget) || (names.len() < MAX_BUDGETS && names.insert(budget.clone()));
            let budget = if is_known { budget.clone() } else { OVERFLOW.to_owned() };
            self.refused.get_or_create(&OfBudget { budget }).inc_by(calls);
        }
    }
}

/// `GET /v1/budgets`: what `meshmeter budgets --format json` prints, no more than some seconds old. A reader of some tenants gets
/// the budgets that are of these alone: what is spent of others tells of others.
pub async fn handle(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<readers::Reader>,
) -> Result<Response, Refusal> {
    let budgets = &app.metrics.budgets;
    budgets.refresh(app.reader.clone()).await;
    let restriction = reader.restriction();
    let text = held(&budgets.all).as_ref().map(|all| {
        let is_own = |tenant: &String| restriction.allows_all_within(tenant);
        let known = |standing: &&Standing| {
            !restriction.is_restricted() || standing.budget.budget.scope.tenant.as_ref().is_some_and(is_own)
        };
        json(&all.iter().filter(known).collect::<Vec<_>>())
    });
    let text = text.ok_or(Refusal::Busy(Busy::Database))?.map_err(Refusal::Internal)?;
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A gauge of every budget. Its value is a floating-point number, the ledger's are exact.
type Gauge = (&'static str, &'static str, fn(&Standing) -> Option<f64>);

const GAUGES: [Gauge; 4] = [
    ("budget_limit", "The limit of a `budget`, in its `unit` (tokens or usd).", |standing| {
        Some(standing.budget.limit_amount().metric(standing.budget.unit()))
    }),
    (
        "budget_spent",
        "What was spent of a `budget` in its `window` of now; where each tenant has the limit for itself, by the one that spent \
         most.",
        |standing| Some(standing.spent.metric(standing.budget.unit())),
    ),
    ("budget_leased", "What workers hold of a `budget` in its `window` of now, and have not spent.", |standing| {
        let unit = standing.budget.unit();
        Some(Amount::of_whole(standing.leased, unit).metric(unit))
    }),
    (
        "budget_exhausted_tenants",
        "Tenants that have nothing left of a `budget` in its `window` of now, where each has the limit for itself.",
        |standing| standing.budget.budget.per_tenant.then_some(standing.exhausted as f64),
    ),
];

/// What a registry asks for its text.
#[derive(Debug)]
struct Gauges {
    all: Shared,
    with_tenants: bool,
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let mut all = held(&self.all).clone().unwrap_or_default();
        all.retain(|standing| self.with_tenants || standing.budget.budget.scope.tenant.is_none());
        for (name, help, value) in GAUGES {
            if !all.iter().any(|standing| value(standing).is_some()) {
                continue;
            }
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for standing in &all {
                let Some(value) = value(standing) else { continue };
                let budget = &standing.budget;
                let labels = [
                    ("budget", budget.name()),
                    ("unit", budget.unit().as_str()),
                    ("window", budget.period.as_str()),
                    ("mode", budget.budget.mode.as_str()),
                ];
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// One that has every gauge, for the reference.
#[cfg(test)]
pub fn example() -> Standing {
    use crate::budget::{Budgets, Draft, Span};
    let [limit, unit, window] = ["7", "tokens", "day"].map(|text| Some(text.to_owned()));
    let (name, who) = ("b".to_owned(), "ann".to_owned());
    let draft = Draft { name, limit, unit, window, per_tenant: Some(true), who, ..Draft::default() };
    Standing {
        budget: draft.complete(&Budgets::default(), 0).unwrap(),
        span: Span { begins_s: 0, ends_s: 86_400 },
        spent: Amount::of_tokens(6),
        subject: None,
        leased: 1,
        tenants: 9,
        exhausted: 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Budgets as InForce, Draft};

    fn lines(budgets: &Budgets, with_tenants: bool) -> Vec<String> {
        let mut text = String::new();
        budgets.encode(&mut text, with_tenants).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn contract_every_budget_has_its_limit_what_was_spent_and_what_is_held_and_tenants_are_named_to_who_may_know() {
        let budgets = Budgets::new();
        assert_eq!(lines(&budgets, true), [""; 0]);
        let [limit, unit, window, tenant] = ["2.5", "usd", "month", "acme"].map(|text| Some(text.to_owned()));
        let (name, who) = ("a".to_owned(), "ann".to_owned());
        let of_tenant = Draft { name, limit, unit, window, tenant, who, ..Draft::default() };
        let of_tenant = Standing {
            budget: of_tenant.complete(&InForce::default(), 0).unwrap(),
            spent: Amount::of_charge("1.25".parse().unwrap()),
            leased: 250_000_000,
            ..example()
        };
        budgets.set(Some(vec![of_tenant, example()]));
        let a = "{budget=\"a\",unit=\"usd\",window=\"month\",mode=\"hard\"}";
        let b = "{budget=\"b\",unit=\"tokens\",window=\"day\",mode=\"hard\"}";
        let of_a = [
            format!("meshmeter_budget_limit{a} 2.5"),
            format!("meshmeter_budget_spent{a} 1.25"),
            format!("meshmeter_budget_leased{a} 0.25"),
        ];
        let of_b = [
            format!("meshmeter_budget_limit{b} 7.0"),
            format!("meshmeter_budget_spent{b} 6.0"),
            format!("meshmeter_budget_leased{b} 1.0"),
            format!("meshmeter_budget_exhausted_tenants{b} 4.0"),
        ];
        assert_eq!(lines(&budgets, false), of_b);
        let mut all = lines(&budgets, true);
        let mut both: Vec<String> = of_a.into_iter().chain(of_b).collect();
        all.sort();
        both.sort();
        assert_eq!(all, both);
    }

    #[test]
    fn contract_refusals_are_counted_by_budget_for_who_may_know_and_names_have_a_bound() {
        let budgets = Budgets::new();
        let names: Vec<String> = (0..=MAX_BUDGETS).map(|number| format!("b{number}")).collect();
        budgets.refused(names.iter().map(|name| (name, 1)));
        budgets.refused([(&names[0], 4)]);
        let all = lines(&budgets, true);
        assert_eq!(all.len(), MAX_BUDGETS + 1);
        for line in ["{budget=\"b0\"} 5", "{budget=\"b999\"} 1", "{budget=\"overflow\"} 1"] {
            assert!(all.contains(&format!("meshmeter_ledger_refused_calls_total{line}")), "{line}");
        }
        assert_eq!(lines(&budgets, false), [""; 0]);
    }
}

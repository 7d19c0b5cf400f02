//! Budgets as gauges: read when somebody asks for the metrics, and not again for a while.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::log;
use super::responses::blocking;
use super::writer::now_ns;
use crate::budget::Amount;
use crate::report::budgets::{Standing, standing};
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
}

type Shared = Arc<Mutex<Vec<Standing>>>;

impl Budgets {
    pub fn new() -> Budgets {
        let all = Shared::default();
        let registries = [true, false].map(|with_tenants| {
            let mut registry = Registry::with_prefix("meshmeter");
            registry.register_collector(Box::new(Gauges { all: all.clone(), with_tenants }));
            registry
        });
        Budgets { all, next: Arc::default(), registries: Arc::new(registries) }
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
            Ok(all) => self.set(all),
            Err(problem) => {
                log::warn(&format!("the budgets cannot be read: {problem}"));
                self.set(Vec::new());
            }
        }
        let now = Instant::now();
        let pause = now.saturating_duration_since(begun).saturating_mul(SHARE).max(INTERVAL);
        *next = now.checked_add(pause);
    }

    pub fn set(&self, all: Vec<Standing>) {
        *self.all.lock().unwrap_or_else(PoisonError::into_inner) = all;
    }
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
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner).clone();
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
        budgets.set(vec![of_tenant, example()]);
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
}

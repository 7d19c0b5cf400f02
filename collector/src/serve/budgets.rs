//! Budgets as gauges: read when somebody asks for the metrics, and not again for a while.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
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
#[derive(Clone, Debug, Default)]
pub struct Budgets {
    all: Arc<Mutex<Vec<Standing>>>,
    /// When they may be read again.
    next: Arc<tokio::sync::Mutex<Option<Instant>>>,
    /// Whether those of one tenant are left out.
    without_tenants: bool,
}

impl Budgets {
    /// The gauges of all budgets.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }

    /// The gauges of those that name no tenant.
    pub fn register_without_tenants(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(Budgets { without_tenants: true, ..self.clone() }));
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

impl Collector for Budgets {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.retain(|standing| !self.without_tenants || standing.budget.budget.scope.tenant.is_none());
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

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;

    use super::*;
    use crate::budget::{Budgets as InForce, Draft, Span};

    #[test]
    fn contract_every_budget_has_its_limit_what_was_spent_and_what_is_held() {
        let draft = |name: &str, limit: &str, unit: &str, per_tenant| Draft {
            name: name.to_owned(),
            limit: Some(limit.to_owned()),
            unit: Some(unit.to_owned()),
            window: Some("day".to_owned()),
            per_tenant: Some(per_tenant),
            who: "ann".to_owned(),
            ..Draft::default()
        };
        let stands = |draft: Draft, spent: Amount, leased| Standing {
            budget: draft.complete(&InForce::default(), 0).unwrap(),
            span: Span { begins_s: 0, ends_s: 86_400 },
            spent,
            subject: None,
            leased,
            tenants: 9,
            exhausted: 4,
        };
        let (mut registry, mut without) = (Registry::with_prefix("meshmeter"), Registry::default());
        let budgets = Budgets::default();
        budgets.register(&mut registry);
        budgets.register_without_tenants(&mut without);
        let mut none = String::new();
        text::encode(&mut none, &registry).unwrap();
        assert_eq!(none, "# EOF\n");
        budgets.set(vec![
            stands(draft("a", "2.5", "usd", false), Amount::of_charge("1.25".parse().unwrap()), 250_000_000),
            stands(draft("b", "7", "tokens", true), Amount::of_tokens(6), 1),
        ]);
        let mut text = String::new();
        text::encode(&mut text, &registry).unwrap();
        let found: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let (a, b) = (
            "{budget=\"a\",unit=\"usd\",window=\"day\",mode=\"hard\"}",
            "{budget=\"b\",unit=\"tokens\",window=\"day\",mode=\"hard\"}",
        );
        let expected = [
            format!("meshmeter_budget_limit{a} 2.5"),
            format!("meshmeter_budget_limit{b} 7.0"),
            format!("meshmeter_budget_spent{a} 1.25"),
            format!("meshmeter_budget_spent{b} 6.0"),
            format!("meshmeter_budget_leased{a} 0.25"),
            format!("meshmeter_budget_leased{b} 1.0"),
            format!("meshmeter_budget_exhausted_tenants{b} 4.0"),
        ];
        assert_eq!(found, expected);
        let of_tenant = Draft { tenant: Some("acme".to_owned()), ..draft("acme", "7", "tokens", false) };
        budgets.set(vec![stands(of_tenant, Amount::default(), 0)]);
        let mut text = String::new();
        text::encode(&mut text, &without).unwrap();
        assert_eq!(text, "# EOF\n", "what is said without a token names no tenant");
    }
}

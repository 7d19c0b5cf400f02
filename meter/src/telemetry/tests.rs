use std::collections::{BTreeMap, BTreeSet, HashMap};

use wire::record::{Evidence, Missing, Outcome, Record};
use wire::usage::Class;

use super::*;
use crate::failures::CollectorFailure;

/// A registry that remembers.
#[derive(Default)]
struct Book {
    /// By metric and values of labels, see [`name`].
    ids: HashMap<String, u32>,
    counts: BTreeMap<u32, i64>,
    histograms: BTreeMap<u32, Vec<u64>>,
    definitions: usize,
}

/// A metric with the values of its labels.
fn name(metric: Metric, values: &[&str]) -> String {
    let mut name = metric.spec().name.to_owned();
    values.iter().for_each(|value| name.extend(["|", value]));
    name
}

impl Registry for Book {
    fn define(&mut self, metric: Metric, values: &[&str]) -> Option<u32> {
        assert_eq!(values.len(), metric.spec().labels.len(), "{metric:?}");
        self.definitions += 1;
        let next = self.ids.len() as u32;
        Some(*self.ids.entry(name(metric, values)).or_insert(next))
    }
    fn add(&mut self, id: u32, amount: i64) {
        *self.counts.entry(id).or_default() += amount;
    }
    fn record(&mut self, id: u32, value: u64) {
        self.histograms.entry(id).or_default().push(value);
    }
}

impl Book {
    fn count(&self, name: &str) -> i64 {
        self.ids.get(name).and_then(|id| self.counts.get(id)).copied().unwrap_or(0)
    }

    /// Tenant and model of each label set that calls are counted under.
    fn sets(&self) -> BTreeSet<(String, String)> {
        let calls = self.ids.keys().filter_map(|name| name.strip_prefix(&format!("{}|", Metric::Calls.spec().name)));
        let set = |values: &str| {
            let mut values = values.split('|').map(str::to_owned);
            let (tenant, _, model) = (values.next()?, values.next()?, values.next()?);
            Some((tenant, model))
        };
        calls.filter_map(set).collect()
    }

    fn tenants(&self) -> BTreeSet<String> {
        self.sets().into_iter().map(|(tenant, _)| tenant).collect()
    }

    fn models(&self, tenant: &str) -> BTreeSet<String> {
        self.sets().into_iter().filter(|(of, _)| of == tenant).map(|(_, model)| model).collect()
    }
}

fn record(tenant: &str, model: &str) -> Record {
    let mut record = Record {
        provider: "openai".into(),
        operation: "chat".into(),
        response_model: Some(model.into()),
        duration_us: 1_500_000,
        outcome: Outcome::Completed,
        evidence: Evidence::Reported,
        status: Some(200),
        ..Record::default()
    };
    record.identity.tenant = tenant.into();
    record.usage.set(Class::InputText, Some(7));
    record.usage.set(Class::OutputText, Some(3));
    record
}

cases! {
    fn contract_budgets_are_counted_by_name_and_reason_and_past_a_bound_together() {
        let (mut book, mut telemetry) = (Book::default(), Telemetry::new(10));
        for _ in 0..2 {
            for number in 0..600 {
                for reason in ["exhausted", "no_lease"] {
                    telemetry.count_budget(&mut book, &format!("b{number}"), reason);
                }
            }
        }
        let count = |budget: &str, reason: &str| book.count(&name(Metric::BudgetRefused, &[budget, reason]));
        assert_eq!((count("b0", "exhausted"), count("b499", "no_lease"), count("b500", "exhausted")), (2, 2, 0));
        assert_eq!((count("overflow", "exhausted"), count("overflow", "no_lease")), (200, 200));
    }

    /// Those of identities stand in docs/troubleshooting.md, which another test compares.
    fn contract_reasons_stand_in_the_help_of_their_metric() {
        for failure in CollectorFailure::ALL {
            let word = failure.as_str();
            assert!(Metric::CollectorFailures.spec().help.contains(&format!("`{word}`")), "{word}");
        }
    }

    fn deterministic_records_are_counted_under_their_labels() {
        let mut book = Book::default();
        let mut telemetry = Telemetry::new(10);
        for _ in 0..3 {
            telemetry.record(&mut book, &record("acme", "gpt"));
        }
        let tokens = |kind: &str| name(Metric::Tokens, &["acme", "openai", "gpt", kind]);
        assert_eq!((book.count(&tokens("input_text")), book.count(&tokens("output_text"))), (21, 9));
        assert_eq!(book.count(&name(Metric::Calls, &["acme", "openai", "gpt", "chat", "completed", "reported", "2xx"])), 3);
        let duration = book.ids[&name(Metric::Duration, &["openai", "gpt", "chat"])];
        assert_eq!(book.histograms[&duration], [1500, 1500, 1500]);
        let of = |metric| &book.histograms[&book.ids[&name(metric, &["openai", "gpt", "chat"])]];
        assert_eq!((of(Metric::InputTokens), of(Metric::OutputTokens)), (&vec![7; 3], &vec![3; 3]));
        assert_eq!(book.definitions, book.ids.len(), "each is defined once");
        assert!(!book.ids.keys().any(|name| name.contains("cache_read")), "what nobody reported does not exist");
        let missing = Record { missing_reason: Some(Missing::NoBody), evidence: Evidence::Missing, usage: Default::default(), ..record("acme", "gpt") };
        telemetry.record(&mut book, &missing);
        assert_eq!(book.count(&name(Metric::UsageMissing, &["no_body"])), 1);
        let refused = Record { outcome: Outcome::Refused, missing_reason: Some(Missing::NoResponse), status: Some(429), ..missing };
        telemetry.record(&mut book, &refused);
        assert_eq!(book.count(&name(Metric::UsageMissing, &["no_response"])), 0, "nothing is missing of what a budget refused");
        assert!(book.ids.keys().any(|name| name.contains("refused")), "it is counted as a call");
        let mut unknown = record("acme", "gpt");
        unknown.flags.insert(wire::record::Flag::UnknownUsage);
        (0..2).for_each(|_| telemetry.record(&mut book, &unknown));
        assert_eq!(book.count(&name(Metric::UnknownUsage, &["openai"])), 2);
        (0..3).for_each(|_| telemetry.of_provider(&mut book, Metric::UnknownPath, "openai"));
        telemetry.of_provider(&mut book, Metric::UnknownPath, "groq");
        let paths = |provider: &str| book.count(&name(Metric::UnknownPath, &[provider]));
        assert_eq!((paths("openai"), paths("groq"), book.count(&name(Metric::UnknownUsage, &["openai"]))), (3, 1, 2));
    }

    fn contract_failures_are_told_apart_by_their_status() {
        let mut book = Book::default();
        let mut telemetry = Telemetry::new(10);
        let statuses = [
            (None, "none"), (Some(101), "none"), (Some(200), "2xx"), (Some(302), "3xx"), (Some(400), "4xx"), (Some(401), "4xx"),
            (Some(429), "429"), (Some(499), "4xx"), (Some(500), "5xx"), (Some(529), "5xx"), (Some(999), "none"), (Some(u64::MAX), "none"),
        ];
        for (status, class) in statuses {
            let calls = name(Metric::Calls, &["acme", "openai", "gpt", "chat", "completed", "reported", class]);
            let before = book.count(&calls);
            telemetry.record(&mut book, &Record { status, ..record("acme", "gpt") });
            assert_eq!(book.count(&calls), before + 1, "{status:?}");
        }
        assert_eq!(book.sets().len(), 1);
    }

    fn contract_gauges_are_set_not_added_to() {
        let mut book = Book::default();
        let mut telemetry = Telemetry::new(10);
        for seconds in [7, 3] {
            telemetry.set(&mut book, Metric::OutboxAge, seconds);
            telemetry.inform(&mut book, Metric::BuildInfo, "1.2.3");
        }
        let set = |name: &str| &book.histograms[&book.ids[name]];
        assert_eq!(set("meshmeter_outbox_oldest_age_seconds"), &[7, 3]);
        assert_eq!(set(&name(Metric::BuildInfo, &["1.2.3"])), &[1, 1]);
        assert_eq!(book.definitions, 2);
        assert!(book.counts.is_empty());
    }

    fn contract_a_part_has_tokens_but_is_no_call() {
        let mut book = Book::default();
        let mut telemetry = Telemetry::new(10);
        telemetry.record(&mut book, &record("acme", "gpt"));
        telemetry.record(&mut book, &Record { part: Some("advisor_message".into()), ..record("acme", "other") });
        let calls = |model: &str| book.count(&name(Metric::Calls, &["acme", "openai", model, "chat", "completed", "reported", "2xx"]));
        let tokens = |model: &str| book.count(&name(Metric::Tokens, &["acme", "openai", model, "input_text"]));
        assert_eq!((calls("gpt"), calls("other"), tokens("gpt"), tokens("other")), (1, 0, 7, 7));
        assert!(!book.ids.contains_key(&name(Metric::Duration, &["openai", "other", "chat"])));
    }

    fn contract_calls_without_a_response_share_one_series() {
        let mut book = Book::default();
        let mut telemetry = Telemetry::new(100);
        let refused = |model: &str| Record {
            request_model: Some(model.into()),
            response_model: None,
            outcome: Outcome::ErrorStatus,
            evidence: Evidence::Missing,
            status: Some(404),
            usage: Default::default(),
            ..record("acme", "")
        };
        for number in 0..4200 {
            telemetry.record(&mut book, &refused(&format!("invented-{number}")));
        }
        let calls = |model: &str, outcome: &str, evidence: &str| {
            book.count(&name(Metric::Calls, &["acme", "openai", model, "chat", outcome, evidence, "4xx"]))
        };
        assert_eq!(calls("no_response", "error_status", "missing"), 4200);
        assert!(!book.ids.keys().any(|name| name.contains("invented") || name.contains("overflow")));
        // What worked counts under the name in the request, where the response has none.
        let worked = Record { request_model: Some("titan".into()), response_model: None, ..record("acme", "") };
        telemetry.record(&mut book, &worked);
        telemetry.record(&mut book, &Record { outcome: Outcome::ClientAborted, evidence: Evidence::Partial, ..worked });
        let calls = |outcome: &str, evidence: &str| {
            book.count(&name(Metric::Calls, &["acme", "openai", "titan", "chat", outcome, evidence, "2xx"]))
        };
        assert_eq!((calls("completed", "reported"), calls("client_aborted", "partial")), (1, 1));
    }

    fn contract_a_tenants_invented_models_stay_its_own_trouble() {
        let mut book = Book::default();
        let mut telemetry = Telemetry::new(80);
        for number in 0..4200 {
            telemetry.record(&mut book, &record("noisy", &format!("m{number}")));
        }
        // An eighth beyond its first; the rest under its own name.
        assert_eq!(book.models("noisy").len(), 80 / 8 + 2);
        let rest = name(Metric::Calls, &["noisy", "overflow", "overflow", "chat", "completed", "reported", "2xx"]);
        assert_eq!(book.count(&rest), 4200 - 11);
        for tenant in 0..5 {
            for model in ["a", "b"] {
                telemetry.record(&mut book, &record(&format!("t{tenant}"), model));
            }
            assert_eq!(book.models(&format!("t{tenant}")).len(), 2);
        }
        let histograms = book.ids.keys().filter(|name| name.starts_with("gen_ai_client_inference_duration")).count();
        assert!(histograms <= 20 + 1, "{histograms}");
    }

    fn contract_idle_series_make_room_but_not_for_ever() {
        const HOUR_NS: u64 = 3_600_000_000_000;
        let mut book = Book::default();
        let mut telemetry = Telemetry::new(8);
        let at = |hours: u64, tenant: &str| Record { started_ns: hours * HOUR_NS, ..record(tenant, "gpt") };
        for tenant in 0..8 {
            telemetry.record(&mut book, &at(1, &format!("t{tenant}")));
        }
        telemetry.record(&mut book, &at(1, "late"));
        assert!(book.models("late").is_empty(), "there is no room");
        telemetry.record(&mut book, &at(3, "late"));
        assert_eq!(book.models("late").len(), 1);
        // What comes back goes on where it was.
        telemetry.record(&mut book, &at(3, "t0"));
        assert_eq!(book.count(&name(Metric::Calls, &["t0", "openai", "gpt", "chat", "completed", "reported", "2xx"])), 2);
        for hours in 2..100 {
            for tenant in 0..8 {
                telemetry.record(&mut book, &at(2 * hours, &format!("h{hours}-{tenant}")));
            }
        }
        assert_eq!(book.tenants().len(), 4 * 8 + 1, "four times the room, and the overflow");
        let definitions = book.definitions;
        telemetry.record(&mut book, &at(500, "t0"));
        assert_eq!(book.count(&name(Metric::Calls, &["t0", "openai", "gpt", "chat", "completed", "reported", "2xx"])), 3);
        assert_eq!(book.definitions, definitions, "what was made once is not made again");
    }

    fn contract_series_are_capped_and_totals_stay_right() {
        let mut book = Book::default();
        let mut telemetry = Telemetry::new(5);
        for round in 0..2 {
            for tenant in 0..1000 {
                telemetry.record(&mut book, &record(&format!("t{tenant}"), "gpt"));
            }
            let total: i64 = book.ids.iter().filter(|(name, _)| name.contains("usage_tokens_total")).map(|(_, id)| book.counts[id]).sum();
            assert_eq!(total, (round + 1) * 10_000);
        }
        assert_eq!(book.count(&name(Metric::Calls, &["overflow", "openai", "overflow", "chat", "completed", "reported", "2xx"])), 2 * 995);
        assert_eq!(book.count("meshmeter_series_overflow_total"), 2 * 995);
        assert!(book.ids.len() < 60, "{}", book.ids.len());
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use proptest::prelude::*;

    use super::*;

    /// A call of one of many tenants with one of many models, or of none that responded, some time after the one before.
    fn calls() -> impl Strategy<Value = Vec<(u8, u8, bool, u64)>> {
        prop::collection::vec((0..40u8, 0..40u8, any::<bool>(), 0..90u64), 1..300)
    }

    proptest! {
        #![proptest_config(cases::properties())]

        #[test]
        fn contract_any_calls_are_counted_once_within_bounds_and_no_tenant_starves(
            calls in calls(),
            max_series in 1..500usize,
            modest in 0..40u8,
        ) {
            let mut book = Book::default();
            let mut telemetry = Telemetry::new(max_series);
            let mut minutes = 0;
            for &(tenant, model, responded, later) in &calls {
                minutes += later;
                // One tenant always asks for the same model.
                let model = if tenant == modest { 0 } else { model };
                let mut call = record(&format!("t{tenant}"), &format!("m{model}"));
                call.started_ns = minutes * 60_000_000_000;
                if !responded {
                    (call.response_model, call.request_model) = (None, call.response_model);
                    (call.outcome, call.evidence, call.usage) = (Outcome::ErrorStatus, Evidence::Missing, Default::default());
                }
                telemetry.record(&mut book, &call);
            }
            let total = |metric: Metric| -> i64 {
                let of = |name: &&String| name.starts_with(metric.spec().name);
                book.ids.iter().filter(|(name, _)| of(name)).filter_map(|(_, id)| book.counts.get(id)).sum()
            };
            let responded = calls.iter().filter(|(_, _, responded, _)| *responded).count() as i64;
            prop_assert_eq!(total(Metric::Calls), calls.len() as i64);
            prop_assert_eq!(total(Metric::Tokens), responded * 10);
            let own: Vec<_> = book.sets().into_iter().filter(|(tenant, _)| tenant != "overflow").collect();
            prop_assert!(own.len() <= 4 * max_series, "{} sets of {max_series}", own.len());
            let most = 4 * ((max_series / 8).max(1) + 3);
            for tenant in book.tenants() {
                prop_assert!(book.models(&tenant).len() <= most, "{} has {:?}", tenant, book.models(&tenant));
            }
            // Each tenant has room for a model, for calls without one, and for its overflow.
            let all_fit = 3 * 40 <= max_series / 2;
            let has_own = calls.iter().any(|&(tenant, _, responded, _)| tenant == modest && responded);
            if all_fit && has_own {
                let models = book.models(&format!("t{modest}"));
                prop_assert!(models.contains("m0") && !models.contains("overflow"), "{:?}", models);
                prop_assert!(!book.tenants().contains("overflow"));
            }
        }
    }
}

use std::collections::{BTreeMap, HashMap};

use super::*;
use crate::record::{Evidence, Missing, Outcome, Record};
use crate::usage::Class;

/// A registry that remembers.
#[derive(Default)]
struct Book {
    ids: HashMap<String, u32>,
    counts: BTreeMap<u32, i64>,
    histograms: BTreeMap<u32, Vec<u64>>,
    definitions: usize,
}

impl Registry for Book {
    fn define(&mut self, _: Kind, name: &str) -> Option<u32> {
        self.definitions += 1;
        let next = self.ids.len() as u32;
        Some(*self.ids.entry(name.to_owned()).or_insert(next))
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
}

fn record(tenant: &str, model: &str) -> Record {
    let mut record = Record {
        provider: "openai".into(),
        operation: "chat".into(),
        response_model: Some(model.into()),
        duration_us: 1_500_000,
        outcome: Outcome::Completed,
        evidence: Evidence::Reported,
        ..Record::default()
    };
    record.identity.tenant = tenant.into();
    record.usage.set(Class::InputText, Some(7));
    record.usage.set(Class::OutputText, Some(3));
    record
}

cases! {
    fn contract_stat_names_are_in_istios_form() {
        assert_eq!(stat_name(Metric::Records, &[]), "meshmeter_records_total");
        assert_eq!(
            stat_name(Metric::Tokens, &["acme/ml", "openai", "gpt-4.1", "input_text"]),
            "gen_ai_client_inference_usage_tokens_total.tenant=.=acme/ml;.;gen_ai_provider_name=.=openai;.;gen_ai_response_model=.=gpt-4.1;.;gen_ai_token_type=.=input_text;.;",
        );
    }

    fn contract_no_label_is_the_end_of_another() {
        for one in LABELS {
            for other in LABELS {
                assert!(one == other || !one.ends_with(other), "{one} {other}");
            }
        }
        let used: Vec<_> = Metric::ALL.iter().flat_map(|metric| metric.spec().labels).collect();
        assert!(used.iter().all(|label| LABELS.contains(label)) && LABELS.iter().all(|label| used.contains(&label)));
    }

    fn contract_hostile_values_stay_inside_their_label() {
        let name = stat_name(Metric::IdentityRefused, &["a;.;tenant=.=x cache.y component.z vtag.w \n\u{1F600}"]);
        assert_eq!(name, "meshmeter_identity_refused_total.meshmeter_reason=.=a_._tenant_._x_cache_y_component_z_vtag_w___;.;");
        assert!(stat_name(Metric::IdentityRefused, &[&"x".repeat(9999)]).len() < 200);
        assert!(stat_name(Metric::IdentityRefused, &[""]).contains("=.=unknown;.;"));
    }

    fn deterministic_records_are_counted_under_their_labels() {
        let mut book = Book::default();
        let mut telemetry = Telemetry::new(10);
        for _ in 0..3 {
            telemetry.record(&mut book, &record("acme", "gpt"));
        }
        let tokens = |kind: &str| stat_name(Metric::Tokens, &["acme", "openai", "gpt", kind]);
        assert_eq!((book.count(&tokens("input_text")), book.count(&tokens("output_text"))), (21, 9));
        assert_eq!(book.count(&stat_name(Metric::Calls, &["acme", "openai", "gpt", "chat", "completed", "reported"])), 3);
        let duration = book.ids[&stat_name(Metric::Duration, &["openai", "gpt", "chat"])];
        assert_eq!(book.histograms[&duration], [1500, 1500, 1500]);
        assert_eq!(book.definitions, book.ids.len(), "each is defined once");
        assert!(!book.ids.keys().any(|name| name.contains("cache_read")), "what nobody reported does not exist");
        let missing = Record { missing_reason: Some(Missing::NoBody), evidence: Evidence::Missing, usage: Default::default(), ..record("acme", "gpt") };
        telemetry.record(&mut book, &missing);
        assert_eq!(book.count(&stat_name(Metric::UsageMissing, &["no_body"])), 1);
    }

    fn contract_a_part_has_tokens_but_is_no_call() {
        let mut book = Book::default();
        let mut telemetry = Telemetry::new(10);
        telemetry.record(&mut book, &record("acme", "gpt"));
        telemetry.record(&mut book, &Record { part: Some("advisor_message".into()), ..record("acme", "other") });
        let calls = |model: &str| book.count(&stat_name(Metric::Calls, &["acme", "openai", model, "chat", "completed", "reported"]));
        let tokens = |model: &str| book.count(&stat_name(Metric::Tokens, &["acme", "openai", model, "input_text"]));
        assert_eq!((calls("gpt"), calls("other"), tokens("gpt"), tokens("other")), (1, 0, 7, 7));
        assert!(!book.ids.contains_key(&stat_name(Metric::Duration, &["openai", "other", "chat"])));
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
        assert_eq!(book.count(&stat_name(Metric::Calls, &["overflow", "openai", "overflow", "chat", "completed", "reported"])), 2 * 995);
        assert_eq!(book.count("meshmeter_series_overflow_total"), 2 * 995);
        assert!(book.ids.len() < 60, "{}", book.ids.len());
    }
}

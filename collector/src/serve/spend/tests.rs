use prometheus_client::encoding::text;
use wire::identity::{Identity, Source};
use wire::record::{Evidence, Outcome, Record};
use wire::usage::Usage;

use super::*;
use crate::database::memory::Memory;
use crate::ledger::{Arrival, Delivery, Ledger, Sender, Taken};
use crate::prices::PriceBook;

const BOOK: &str = r#"
[[price]]
provider = "openai"
model = "gpt"
valid_from = 2020-01-01
input_text = "2.50"
output_text = "10"
"#;

fn record(tenant: &str, model: &str) -> Record {
    let mut record = Record {
        started_ns: 1_769_860_800_000_000_000,
        provider: "openai".into(),
        api: "openai_chat".into(),
        operation: "chat".into(),
        response_model: Some(model.into()),
        outcome: Outcome::Completed,
        evidence: Evidence::Reported,
        ..Record::default()
    };
    record.identity = Identity { tenant: tenant.into(), source: Source::Header, principal: None };
    record.usage.set(Class::InputText, Some(7));
    record.usage.set(Class::OutputText, Some(3));
    record
}

/// What the ledger says of calls of one emitter.
fn taken(records: &[Record]) -> Taken {
    let emitter = wire::emitter::EmitterKey::new(1, 2).emitter();
    let mut ledger = Ledger::new(Memory::new());
    ledger.set_prices(Some(Arc::new(PriceBook::parse(BOOK).unwrap())));
    let event = |(at, record): (usize, &Record)| Arrival::new(wire::event::encode(record, &emitter, at as u64 + 1));
    let arrivals: Vec<Arrival> = records.iter().enumerate().map(event).collect();
    let delivery = Delivery { sender: Sender::new("egress", true), statement: None, arrivals };
    let [first, again] = &ledger.append(&[&delivery, &delivery], 1_769_860_801_000_000_000).unwrap()[..] else {
        panic!()
    };
    assert_eq!(again.spending, Spending::default(), "what came before is not spent again");
    first.clone()
}

/// What a scrape says, with and without tenants.
fn lines(spend: &Spend) -> (String, String) {
    let (mut by_tenant, mut by_model) = (Registry::default(), Registry::default());
    spend.register(&mut by_tenant, &mut by_model);
    let text = |registry: &Registry| {
        let mut text = String::new();
        text::encode(&mut text, registry).unwrap();
        text
    };
    (text(&by_tenant), text(&by_model))
}

fn long_ago() -> Instant {
    Instant::now().checked_sub(HOLD).unwrap()
}

fn small(sets: usize, of_tenant: usize, models: usize) -> Spend {
    Spend::new(Bounds { sets, of_tenant, models })
}

#[test]
fn contract_what_is_charged_is_counted_once_by_who_is_charged_and_for_what() {
    let spend = Spend::new(Bounds::default());
    let taken = taken(&[record("acme", "gpt"), record("acme", "gpt"), record("beta", "gpt"), record("beta", "new")]);
    assert_eq!((taken.accepted, taken.duplicates), (4, 0));
    spend.add(&taken.spending, long_ago());
    let (by_tenant, by_model) = lines(&spend);
    for line in [
        r#"charge_usd_total{tenant="acme",gen_ai_provider_name="openai",gen_ai_response_model="gpt"} 0.000095"#,
        r#"charge_usd_total{tenant="beta",gen_ai_provider_name="openai",gen_ai_response_model="gpt"} 0.0000475"#,
        r#"cost_usd_total{tenant="beta",gen_ai_provider_name="openai",gen_ai_response_model="gpt"} 0.0000475"#,
        r#"charge_usd_total{tenant="beta",gen_ai_provider_name="openai",gen_ai_response_model="new"} 0.0"#,
    ] {
        assert!(by_tenant.lines().any(|have| same(have, line)), "{line}\n{by_tenant}");
    }
    for line in [
        r#"ledger_calls_total{gen_ai_provider_name="openai",gen_ai_response_model="gpt"} 3"#,
        r#"unpriced_calls_total{gen_ai_provider_name="openai",gen_ai_response_model="gpt"} 0"#,
        r#"unpriced_calls_total{gen_ai_provider_name="openai",gen_ai_response_model="new"} 1"#,
        r#"ledger_usage_total{gen_ai_provider_name="openai",gen_ai_response_model="gpt",gen_ai_token_type="input_text"} 21"#,
        r#"ledger_usage_total{gen_ai_provider_name="openai",gen_ai_response_model="gpt",gen_ai_token_type="output_text"} 9"#,
    ] {
        assert!(by_model.lines().any(|have| have == line), "{line}\n{by_model}");
    }
    assert!(!by_model.contains("acme") && !by_model.contains("beta"), "{by_model}");
}

/// Whether two samples are of one series and, but for the last bits, of one value.
fn same(have: &str, want: &str) -> bool {
    let (Some((have, left)), Some((want, right))) = (have.rsplit_once(' '), want.rsplit_once(' ')) else {
        return false;
    };
    let (Ok(left), Ok(right)) = (left.parse::<f64>(), right.parse::<f64>()) else { return false };
    have == want && (left - right).abs() <= right.abs() * 1e-12
}

#[test]
fn contract_a_new_series_stands_at_zero_before_it_has_its_value() {
    let spend = Spend::new(Bounds::default());
    let taken = taken(&[record("acme", "gpt")]);
    spend.add(&taken.spending, Instant::now());
    let (by_tenant, by_model) = lines(&spend);
    let samples = by_tenant.lines().chain(by_model.lines()).filter(|line| !line.starts_with('#'));
    let values: Vec<f64> = samples.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
    assert_eq!(values, [0.0; 6], "{by_tenant}{by_model}");
    // What comes later does not make it new again.
    let spend = Spend::new(Bounds::default());
    spend.add(&taken.spending, long_ago());
    spend.add(&taken.spending, Instant::now());
    assert!(
        lines(&spend)
            .1
            .contains("ledger_calls_total{gen_ai_provider_name=\"openai\",gen_ai_response_model=\"gpt\"} 2\n")
    );
}

#[test]
fn contract_names_that_anybody_chose_stay_in_their_label() {
    let spend = Spend::new(Bounds::default());
    let model = "a\"} 1\n# EOF\nb\\";
    spend.add(&taken(&[record("acme", model), record("acme", "")]).spending, long_ago());
    let (by_tenant, _) = lines(&spend);
    assert!(by_tenant.contains(r#"gen_ai_response_model="a\"} 1\\n# EOF\\nb\\"} 0.0"#), "{by_tenant}");
    assert!(by_tenant.contains(r#"gen_ai_response_model="unknown"} "#), "{by_tenant}");
    assert_eq!(by_tenant.lines().filter(|line| line.starts_with("# EOF")).count(), 1);
}

#[test]
fn contract_sets_are_bounded_and_no_tenant_crowds_out_another() {
    let spend = small(100, 10, 80);
    let noisy: Vec<Record> = (0..500).map(|number| record("noisy", &format!("m{number}"))).collect();
    spend.add(&taken(&noisy).spending, long_ago());
    for tenant in 0..200 {
        spend.add(&taken(&[record(&format!("t{tenant}"), "gpt")]).spending, long_ago());
    }
    let (by_tenant, by_model) = lines(&spend);
    let of = |tenant: &str| {
        let start = format!("charge_usd_total{{tenant=\"{tenant}\",");
        by_tenant.lines().filter(|line| line.starts_with(&start)).count()
    };
    assert_eq!((of("noisy"), of("t0"), of("t88"), of("t89"), of("overflow")), (11, 1, 1, 0, 1));
    let sum = |text: &str, name: &str| -> f64 {
        let values = text.lines().filter(|line| line.starts_with(name)).map(|line| line.rsplit_once(' ').unwrap().1);
        values.map(|value| value.parse::<f64>().unwrap()).sum()
    };
    assert!(
        (sum(&by_tenant, "charge_usd_total") - 200.0 * 0.0000475).abs() < 1e-12,
        "nothing is left out of the totals"
    );
    assert_eq!(sum(&by_model, "ledger_calls_total"), 700.0);
    assert_eq!(sum(&by_model, "ledger_usage_total"), 7000.0);
    // Ten of the noisy one, one for its others, and "gpt", which all use.
    assert_eq!(by_model.lines().filter(|line| line.starts_with("ledger_calls_total")).count(), 12);
}

#[test]
fn contract_names_of_refused_calls_fill_no_room() {
    let spend = small(1000, 100, 16);
    let refused = |number: usize| {
        let mut refused = record("attacker", "");
        (refused.response_model, refused.request_model) = (None, Some(format!("invented-{number}")));
        (refused.outcome, refused.evidence, refused.usage) =
            (Outcome::ErrorStatus, Evidence::Missing, Usage::default());
        refused
    };
    let mut all: Vec<Record> = (0..2100).map(refused).collect();
    // A server of its own repeats what names it likes.
    all.extend((0..100).map(|number| record("attacker", &format!("echoed-{number}"))));
    spend.add(&taken(&all).spending, long_ago());
    for tenant in 0..9 {
        spend.add(&taken(&[record(&format!("t{tenant}"), &format!("m{tenant}"))]).spending, long_ago());
    }
    let (_, by_model) = lines(&spend);
    let calls = |model: &str| {
        let end = format!("gen_ai_response_model=\"{model}\"}} ");
        let line = by_model.lines().find(|line| line.starts_with("ledger_calls_total") && line.contains(&end))?;
        line.rsplit_once(' ')?.1.parse::<u64>().ok()
    };
    // An eighth of the room is the attacker's.
    assert_eq!((calls("no_response"), calls("overflow")), (Some(2100), Some(98)), "{by_model}");
    assert!((0..9).all(|tenant| calls(&format!("m{tenant}")) == Some(1)), "{by_model}");
}

#[test]
fn contract_a_set_that_nobody_uses_makes_room() {
    let spend = small(4, 4, 32);
    let begin = Instant::now();
    let add = |model: &str, seconds| {
        let now = begin + std::time::Duration::from_secs(seconds);
        spend.add(&taken(&[record("acme", model)]).spending, now);
        let list = held(&spend.models).list.iter().map(|model| model.name.1.clone()).collect::<Vec<_>>();
        let (sets, named) = (held(&spend.owners).list.len(), list.contains(&model.to_owned()));
        (sets, named)
    };
    for (at, model) in ["a", "b", "c", "d"].iter().enumerate() {
        assert_eq!(add(model, at as u64), (at + 1, true));
    }
    assert_eq!(add("a", 3000), (4, true));
    // Of models acme has an eighth of the room, which is full; of sets, too.
    assert_eq!(add("e", 3500), (5, false));
    // "b", "c" and "d" were not used for an hour; "a" and the one for the rest were.
    assert_eq!(add("f", 3700), (3, true));
    assert_eq!(add("a", 3701), (3, true));
}

#[test]
fn race_who_writes_does_not_wait_for_a_scrape() {
    let spend = Spend::new(Bounds::default());
    let taken = taken(&[record("acme", "gpt")]);
    spend.add(&taken.spending, long_ago());
    // A scrape that has taken its copy and goes no further.
    let copy = held(&spend.owners).list.clone();
    let first = held(&copy[0].amounts);
    let another = self::taken(&[record("beta", "gpt")]);
    spend.add(&another.spending, long_ago());
    drop(first);
    assert_eq!(lines(&spend).0.lines().filter(|line| line.starts_with("charge_usd_total")).count(), 2);
}

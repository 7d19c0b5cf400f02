//! One record, many readers: metrics, access log, journal and collector say the same.

use std::collections::BTreeMap;

use e2e::{
    Result,
    event::{CLASSES, Event},
    fault::Fault,
    stack::{Stack, TENANT_HEADER, with_request_id},
    wait,
};

const TOKENS: &str = "gen_ai_client_inference_usage_tokens_total";
const CALLS: &str = "gen_ai_client_inference_calls_total";

/// Calls of three tenants, some of which fail.
async fn traffic(stack: &Stack) -> Result<u64> {
    let mut calls = 0;
    for (turn, fixture) in stack.provider.catalogue().0.clone().iter().enumerate() {
        for tenant in ["acme/search", "globex", "initech.eu:ml@prod-1"].iter().take(1 + turn % 3) {
            let mut call = fixture.call().header(TENANT_HEADER, tenant);
            if turn % 5 == 4 {
                call = call.fault(Fault::Status(500));
            }
            stack.llm().send(&with_request_id(call, &format!("call-{calls}"))).await?;
            calls += 1;
        }
    }
    Ok(calls)
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_metrics_have_real_labels_and_equal_the_sum_of_the_records() -> Result<()> {
    let stack = Stack::start().await?;
    let calls = traffic(&stack).await?;
    stack.settled(calls).await?;
    let mut tokens: BTreeMap<[String; 4], u64> = BTreeMap::new();
    let mut ended: BTreeMap<[String; 7], u64> = BTreeMap::new();
    for event in stack.journal()? {
        let text = |name: &str| event.text(name).to_owned();
        // A name that only a client has said is no label.
        let model = Some(text("response_model")).filter(|model| !model.is_empty());
        let model = model.unwrap_or_else(|| "no_response".to_owned());
        let (tenant, provider) = (text("tenant"), text("provider"));
        for (class, count) in event.classes() {
            // What is no token is paid for all the same.
            let kind = class.strip_suffix("_tokens").unwrap_or(&class).to_owned();
            if count > 0 {
                *tokens.entry([tenant.clone(), provider.clone(), model.clone(), kind]).or_default() += count;
            }
        }
        let status = match event.count("status") {
            None => "none".to_owned(),
            Some(429) => "429".to_owned(),
            Some(status) => format!("{}xx", status / 100),
        };
        let key = [tenant, provider, model, text("operation"), text("outcome"), text("evidence"), status];
        *ended.entry(key).or_default() += 1;
    }
    let metrics = stack.envoy.metrics().await?;
    let labels = ["tenant", "gen_ai_provider_name", "gen_ai_response_model", "gen_ai_token_type"];
    assert_eq!(series(&metrics, TOKENS, labels)?, tokens);
    let labels = [
        "tenant",
        "gen_ai_provider_name",
        "gen_ai_response_model",
        "gen_ai_operation_name",
        "meshmeter_outcome",
        "meshmeter_evidence",
        "meshmeter_status",
    ];
    assert_eq!(series(&metrics, CALLS, labels)?, ended);
    let unread: Vec<_> = metrics.named("_.;").chain(metrics.named("=.=")).map(|sample| &sample.name).collect();
    assert!(unread.is_empty(), "labels stayed in names: {unread:?}");
    stack.finish()
}

/// Every series of a counter that counts anything, by its labels.
fn series<const N: usize>(
    metrics: &e2e::prometheus::Scrape,
    name: &str,
    labels: [&str; N],
) -> Result<BTreeMap<[String; N], u64>> {
    let mut series = BTreeMap::new();
    for sample in metrics.0.iter().filter(|sample| sample.name == name && sample.value > 0.0) {
        let value = |label: &str| sample.labels.get(label).cloned().ok_or(format!("{sample:?} has no {label}"));
        let values: Vec<String> = labels.iter().map(|label| value(label)).collect::<std::result::Result<_, _>>()?;
        let unknown = sample.labels.keys().find(|label| !labels.contains(&label.as_str()));
        wait::ensure(unknown.is_none(), || format!("{sample:?} has the label {unknown:?}"))?;
        let key: [String; N] = values.try_into().map_err(|_| "as many values as labels")?;
        series.insert(key, sample.value as u64);
    }
    Ok(series)
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_access_log_journal_and_collector_have_the_same_bytes() -> Result<()> {
    let stack = Stack::start().await?;
    let calls = traffic(&stack).await?;
    stack.settled(calls).await?;
    let by_id = |events: Vec<Event>| -> BTreeMap<String, String> {
        events.into_iter().map(|event| (event.id().to_owned(), event.raw)).collect()
    };
    let journal = by_id(stack.journal()?);
    let acknowledged = by_id(stack.gate.acknowledged()?);
    let mut logged = BTreeMap::new();
    for line in stack.access_log()? {
        let record = line["meshmeter_record"].as_str().ok_or("a line without a record")?;
        let event = Event::parse(record)?;
        assert_eq!(line["meshmeter_tenant"], event.text("tenant"));
        assert_eq!(line["request_id"], event.text("request_id"));
        for name in ["input_tokens", "output_tokens"] {
            let single = line[format!("meshmeter_{name}")].as_str().and_then(|text| text.parse::<u64>().ok());
            assert_eq!(single.unwrap_or(0), event.count(name).unwrap_or(0), "{name}: {line}");
        }
        logged.insert(event.id().to_owned(), record.to_owned());
    }
    assert_eq!(journal.len() as u64, calls);
    assert_eq!(logged, journal, "access log and journal differ");
    assert_eq!(acknowledged, journal, "what was sent and the journal differ");
    for passage in stack.gate.passages() {
        assert_eq!(passage.content_type, "application/cloudevents-batch+json");
        assert!(passage.authorised, "a batch without a token");
    }
    let known: Vec<&str> = CLASSES.to_vec();
    for raw in journal.values() {
        let data: serde_json::Value = serde_json::from_str(raw)?;
        let fields = data["data"].as_object().ok_or("no data")?;
        let unknown = fields.keys().find(|name| name.ends_with("_tokens") && !is_count(name, &known));
        assert!(unknown.is_none(), "a class that the contract does not know: {unknown:?}");
    }
    stack.finish()
}

fn is_count(name: &str, classes: &[&str]) -> bool {
    classes.contains(&name) || ["input_tokens", "output_tokens", "provider_total_tokens"].contains(&name)
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_sequences_are_whole_and_tenants_never_reach_secrets() -> Result<()> {
    let stack = Stack::start().await?;
    let calls = traffic(&stack).await?;
    stack.settled(calls).await?;
    let mut numbers: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in stack.journal()? {
        let sequence = event.count("sequence").ok_or("no sequence")?;
        numbers.entry(event.text("emitter").to_owned()).or_default().push(sequence);
    }
    for (emitter, mut sequence) in numbers {
        sequence.sort_unstable();
        let whole: Vec<u64> = (1..=sequence.len() as u64).collect();
        assert_eq!(sequence, whole, "emitter {emitter} has a gap or a duplicate");
    }
    let everything = [
        std::fs::read_to_string(stack.file("journal"))?,
        std::fs::read_to_string(stack.file("access.log"))?,
        stack.envoy.log(),
        stack.envoy.get("/stats/prometheus").await?,
    ];
    // The key of the provider, the token of the collector, and what the user and the model said.
    for secret in
        ["sk-e2e", "sk-ant-e2e", e2e::collector::INGEST_TOKEN, "Zürich", "Säntis", "toolu_01", "usage: you are"]
    {
        assert!(everything.iter().all(|text| !text.contains(secret)), "{secret} was written down");
    }
    stack.finish()
}

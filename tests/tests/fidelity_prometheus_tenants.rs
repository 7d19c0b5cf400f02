//! Many tenants: Prometheus scrapes what the collector charges each of them, and PromQL gives the ledger's totals to the token,
//! while events come in. `just tenants` does it with a hundred thousand and says what it took.

use std::{
    env,
    time::{Duration, Instant},
};

use e2e::{
    Result,
    client::{Call, Line, Route, Seen},
    collector::{Collector, INGEST_TOKEN, READ_TOKEN},
    promql::Prometheus,
    wait::ensure,
};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Tenants of the short form.
const TENANTS: usize = 3000;
const BATCH: usize = 500;
/// A new series stands at zero for a minute; a hundred thousand tenants are scraped every 15 s.
const PATIENCE: Duration = Duration::from_secs(300);
const EMITTER: &str = "0f8fad5bd9cb469fa16570867728950e";

fn tenant(number: usize) -> String {
    format!("org-{}/team-{number}", number % 997)
}

/// Input and output of a tenant's call: of each another.
fn counts(number: usize) -> (u64, u64) {
    (1000 + number as u64 % 7919, 1 + number as u64 % 503)
}

fn event(sequence: usize, tenant: &str, (input, output): (u64, u64)) -> Value {
    json!({
        "specversion": "1.0", "type": "meshmeter.call.v1", "source": "meshmeter", "id": format!("{EMITTER}-{sequence}"),
        "time": "2025-11-01T12:00:00Z", "subject": tenant,
        "data": {
            "emitter": EMITTER, "sequence": sequence, "tenant": tenant, "tenant_source": "spiffe", "provider": "openai",
            "api": "openai_chat", "operation": "chat", "response_model": "gpt-4.1", "outcome": "completed",
            "evidence": "reported", "input_tokens": input, "input_text_tokens": input, "output_tokens": output,
            "output_text_tokens": output,
        },
    })
}

/// Sends a batch; how long the collector took to acknowledge it.
async fn send(line: &mut Line, events: &[Value]) -> Result<Duration> {
    let call = Call::post("collector", "/v1/events", &Value::from(events))
        .header("authorization", &format!("Bearer {INGEST_TOKEN}"));
    let call = Call { headers: content_type(call.headers), ..call };
    let begun = Instant::now();
    match line.send(&call, usize::MAX).await? {
        Seen::Whole(response) if response.status == 200 => {
            let taken = response.json()?;
            ensure(taken["accepted"] == events.len(), || format!("{taken}"))?;
            Ok(begun.elapsed())
        }
        seen => Err(format!("{seen:?}").into()),
    }
}

fn content_type(mut headers: Vec<(String, String)>) -> Vec<(String, String)> {
    for (name, value) in &mut headers {
        if name == "content-type" {
            *value = "application/cloudevents-batch+json".to_owned();
        }
    }
    headers
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_promql_gives_the_ledgers_totals_of_many_tenants() -> Result<()> {
    let tenants = env::var("MESHMETER_TENANTS").map_or(Ok(TENANTS), |text| text.parse())?;
    let interval = if tenants > TENANTS { "15s" } else { "2s" };
    let dir = tempfile::tempdir()?;
    let mut collector = Collector::start(dir.path()).await?;
    let address = collector.address();
    let config = format!(
        "global: {{ scrape_interval: {interval}, scrape_timeout: {interval} }}\n\
         scrape_configs:\n\
         - {{ job_name: collector, authorization: {{ credentials: {READ_TOKEN} }}, static_configs: [{{ targets: [\"{address}\"] }}] }}\n"
    );
    let prometheus = Prometheus::start(dir.path(), &config).await?;
    let mut line = Line::new(Route::plain(address));
    let mut sequence = 0;
    let begun = Instant::now();
    for batch in (0..tenants).collect::<Vec<_>>().chunks(BATCH) {
        let events: Vec<Value> = batch
            .iter()
            .map(|&number| {
                sequence += 1;
                event(sequence, &tenant(number), counts(number))
            })
            .collect();
        send(&mut line, &events).await?;
    }
    let entered = begun.elapsed();
    // Events that come while a scrape is made do not wait for it.
    let scrapes = tokio::spawn(async move {
        let mut scrapes = Vec::new();
        for _ in 0..5 {
            let begun = Instant::now();
            let call = Call::get("collector", "/metrics").header("authorization", &format!("Bearer {READ_TOKEN}"));
            let response = Route::plain(address).send(&call).await?;
            ensure(response.status == 200 && response.whole, || format!("HTTP {}", response.status))?;
            scrapes.push((begun.elapsed(), response.body.len()));
        }
        Result::Ok(scrapes)
    });
    let mut longest = Duration::ZERO;
    let mut more = 0;
    while !scrapes.is_finished() || more == 0 {
        sequence += 1;
        longest = longest.max(send(&mut line, &[event(sequence, &tenant(0), counts(0))]).await?);
        more += 1;
    }
    let scrapes = scrapes.await??;

    let calls = tenants as u64 + more;
    let (input, output) = (0..tenants).map(counts).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let (input, output) = (input + more * counts(0).0, output + more * counts(0).1);
    let report = collector.holds(calls).await?;
    assert_eq!((report.count("input_text_tokens"), report.count("output_text_tokens")), (input, output));
    let deadline = Instant::now() + PATIENCE;
    let expected = [
        ("sum(meshmeter_ledger_usage_total{gen_ai_token_type=\"input_text\"})", input as f64),
        ("sum(meshmeter_ledger_usage_total{gen_ai_token_type=\"output_text\"})", output as f64),
        ("sum(meshmeter_ledger_calls_total)", calls as f64),
        ("count(count by (tenant) (meshmeter_charge_usd_total > 0))", tenants as f64),
        // USD 2 and 8 for a million tokens.
        ("round(sum(meshmeter_charge_usd_total) * 1e6)", (input * 2 + output * 8) as f64),
    ];
    for (expression, value) in expected {
        loop {
            let found = prometheus.number(expression).await;
            match found {
                Ok(found) if found == value => break,
                found if Instant::now() >= deadline => {
                    return Err(format!("{expression}: {found:?}, expected {value}").into());
                }
                _ => sleep(Duration::from_millis(500)).await,
            }
        }
    }
    // And those of single tenants.
    for number in [1, tenants / 2, tenants - 1] {
        let ((input, output), tenant) = (counts(number), tenant(number));
        let found = prometheus.number(&format!("meshmeter_charge_usd_total{{tenant=\"{tenant}\"}}")).await?;
        let usd = (input * 2 + output * 8) as f64 / 1e6;
        assert!((found - usd).abs() <= 1e-12 * usd, "{tenant}: {found}, expected {usd}");
    }
    let took = prometheus.number("max_over_time(scrape_duration_seconds[10m])").await?;
    let samples = prometheus.number("scrape_samples_scraped").await?;
    let slowest = scrapes.iter().map(|(time, _)| *time).max().unwrap_or_default();
    println!(
        "{tenants} tenants: entered in {entered:.1?}; {samples} samples, {} bytes; a scrape takes at most {slowest:.2?}, \
         {took:.2} s to Prometheus; the longest of {more} batches of one event meanwhile took {longest:.2?}",
        scrapes.last().map_or(0, |(_, bytes)| *bytes),
    );
    prometheus.stop()?;
    collector.stop()?;
    collector.quiet();
    Ok(())
}

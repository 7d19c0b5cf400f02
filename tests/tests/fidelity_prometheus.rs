//! A real Prometheus scrapes Envoy and the collector, with the shipped configuration: PromQL gives the ledger's totals to the
//! token, and every panel of every dashboard has data.

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::Duration};

use e2e::{
    Result,
    collector::Report,
    fault::Fault,
    paths,
    promql::{self, Prometheus},
    stack::{Stack, TENANT_HEADER, with_request_id},
    wait::ensure,
};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// A new series of the collector's stands at zero for a minute.
const PATIENCE: Duration = Duration::from_secs(180);

/// Calls of several tenants, some of which fail; how many.
async fn traffic(stack: &Stack, rounds: usize) -> Result<u64> {
    let mut calls = 0;
    for round in 0..rounds {
        for fixture in stack.provider.catalogue().0.clone() {
            let id = format!("round-{round}-{}", fixture.name);
            let tenant = ["acme", "acme/ml", "beta"][calls as usize % 3];
            let call = with_request_id(fixture.call().header(TENANT_HEADER, tenant), &id);
            let response = stack.llm().send(&call).await?;
            ensure(response.status == 200, || format!("{id}: HTTP {}", response.status))?;
            calls += 1;
        }
        for status in [429, 500, 400] {
            let fixture = stack.provider.catalogue().get("messages.json")?.clone();
            let call = fixture.call().header(TENANT_HEADER, "acme").fault(Fault::Status(status));
            let response = stack.llm().send(&with_request_id(call, &format!("fails-{round}-{status}"))).await?;
            ensure(response.status == status, || format!("HTTP {}, expected {status}", response.status))?;
            calls += 1;
        }
    }
    Ok(calls)
}

/// Asks again until it is so.
async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match probe().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => return Err(format!("waited for {what}: {error}").into()),
            Err(_) => sleep(Duration::from_millis(500)).await,
        }
    }
}

/// The sums of an expression by these labels.
async fn sums(prometheus: &Prometheus, metric: &str, labels: &[&str]) -> Result<BTreeMap<Vec<String>, f64>> {
    let samples = prometheus.query(&format!("sum by ({}) ({metric})", labels.join(", "))).await?;
    let key = |labels_of: &BTreeMap<String, String>| {
        labels.iter().map(|label| labels_of.get(*label).cloned().unwrap_or_default()).collect()
    };
    Ok(samples.into_iter().map(|sample| (key(&sample.labels), sample.value)).collect())
}

/// The ledger's counts by tenant, if they are to be told apart by it, provider, model and class.
fn ledgers(report: &Report, by_tenant: bool) -> BTreeMap<Vec<String>, f64> {
    let mut sums = BTreeMap::new();
    for line in &report.lines {
        for (class, count) in &line.usage {
            let class = class.strip_suffix("_tokens").unwrap_or(class).to_owned();
            let mut key = vec![line.provider.clone(), line.model.clone(), class];
            if by_tenant {
                key.insert(0, line.tenant.clone());
            }
            *sums.entry(key).or_insert(0.0) += *count as f64;
        }
    }
    sums.retain(|_, sum| *sum != 0.0);
    sums
}

fn without_zeros(mut sums: BTreeMap<Vec<String>, f64>) -> BTreeMap<Vec<String>, f64> {
    sums.retain(|_, sum| *sum != 0.0);
    sums
}

const PROVIDER: &str = "gen_ai_provider_name";
const MODEL: &str = "gen_ai_response_model";
const CLASS: &str = "gen_ai_token_type";

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_promql_gives_the_ledgers_totals_to_the_token() -> Result<()> {
    let stack = Stack::start().await?;
    let dir = tempfile::tempdir()?;
    let config = promql::shipped(dir.path(), stack.envoy.admin()?, stack.collector.address())?;
    let prometheus = Prometheus::start(dir.path(), &config).await?;
    let calls = traffic(&stack, 3).await?;
    let report = stack.settled(calls).await?;
    let by_tenant = ledgers(&report, true);
    assert!(by_tenant.len() > 10, "{by_tenant:?}");

    until("the plugin's counters", async || {
        let labels = ["tenant", PROVIDER, MODEL, CLASS];
        let found = without_zeros(sums(&prometheus, "gen_ai_client_inference_usage_tokens_total", &labels).await?);
        ensure(found == by_tenant, || format!("{found:?}, the ledger has {by_tenant:?}"))?;
        let found = prometheus.number("sum(gen_ai_client_inference_calls_total)").await?;
        ensure(found == calls as f64, || format!("{found} calls of {calls}"))
    })
    .await?;
    for (status, count) in [("429", 3.0), ("5xx", 3.0), ("4xx", 3.0), ("2xx", calls as f64 - 9.0)] {
        let expression = format!("sum(gen_ai_client_inference_calls_total{{meshmeter_status=\"{status}\"}})");
        assert_eq!(prometheus.number(&expression).await?, count, "{status}");
    }

    let by_model = ledgers(&report, false);
    until("the collector's counters", async || {
        let found = without_zeros(sums(&prometheus, "meshmeter_ledger_usage_total", &[PROVIDER, MODEL, CLASS]).await?);
        ensure(found == by_model, || format!("{found:?}, the ledger has {by_model:?}"))?;
        let found = prometheus.number("sum(meshmeter_ledger_calls_total)").await?;
        ensure(found == calls as f64, || format!("{found} calls of {calls}"))?;
        let mut owed = BTreeMap::new();
        for line in &report.lines {
            // The models of calls that failed share a series.
            let model = if line.evidence == "missing" { "no_response" } else { &line.model };
            let key = vec![line.tenant.clone(), line.provider.clone(), model.to_owned()];
            let cost: f64 = line.cost.as_deref().unwrap_or("0").parse()?;
            *owed.entry(key).or_insert(0.0) += cost;
        }
        let found = sums(&prometheus, "meshmeter_charge_usd_total", &["tenant", PROVIDER, MODEL]).await?;
        ensure(found.keys().eq(owed.keys()), || format!("{found:?}, the ledger has {owed:?}"))?;
        for (owner, usd) in &owed {
            // A floating-point number, of an exact one.
            let is_it = (found[owner] - usd).abs() <= 1e-12 * usd.abs();
            ensure(is_it, || format!("{owner:?}: {} USD, the ledger has {usd}", found[owner]))?;
        }
        Ok(())
    })
    .await?;

    // A series begins at zero: what a tenant's first call cost is part of an increase.
    let firsts = prometheus.query("min_over_time(meshmeter_charge_usd_total[1h]) != 0").await?;
    assert!(firsts.is_empty(), "{firsts:?}");
    // OpenTelemetry's counters, and the version on both sides.
    let input: f64 = by_tenant.iter().filter(|(key, _)| is_input(&key[3])).map(|(_, sum)| sum).sum();
    let recorded = "sum(gen_ai_client_inference_usage_input_tokens_total)";
    until("the recorded sum", async || {
        let found = prometheus.number(recorded).await?;
        ensure(found == input, || format!("{found} input tokens of {input}"))
    })
    .await?;
    let version = env!("CARGO_PKG_VERSION");
    for expression in [
        format!("meshmeter_build_info{{version=\"{version}\"}} == 1"),
        format!("meshmeter_plugin_build_info{{meshmeter_version=\"{version}\"}} == 1"),
        "meshmeter_outbox_oldest_age_seconds == 0".to_owned(),
    ] {
        let found = prometheus.query(&expression).await?;
        assert_eq!(found.len(), 1, "{expression}");
    }
    // Between 1 and 30 s a bucket is at most a quarter wider than the one before.
    let bounds = prometheus.query("count by (le) (gen_ai_client_inference_duration_milliseconds_bucket)").await?;
    let mut bounds: Vec<f64> = bounds.iter().map(|sample| Ok(sample.labels["le"].parse()?)).collect::<Result<_>>()?;
    bounds.sort_by(f64::total_cmp);
    let fine: Vec<f64> = bounds.into_iter().filter(|bound| (1000.0..=32_000.0).contains(bound)).collect();
    assert!(fine.len() > 10 && fine.windows(2).all(|pair| pair[1] / pair[0] <= 1.29), "{fine:?}");
    assert_eq!((fine.first(), fine.last()), (Some(&1000.0), Some(&32_000.0)));

    rules_are_healthy(&prometheus).await?;
    prometheus.stop()?;
    stack.finish()
}

fn is_input(class: &str) -> bool {
    ["input_text", "input_audio", "input_image", "input_video", "input_tool"].contains(&class)
        || class.starts_with("cache_read") && class != "cache_read_unbilled"
        || class.starts_with("cache_write")
}

/// Prometheus evaluates every rule, and none fails.
async fn rules_are_healthy(prometheus: &Prometheus) -> Result<()> {
    until("every rule to be evaluated", async || {
        let data = prometheus.get("/api/v1/rules").await?;
        let groups = data["groups"].as_array().into_iter().flatten();
        let rules: Vec<&Value> = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten()).collect();
        ensure(rules.len() > 30, || format!("there are {} rules", rules.len()))?;
        let sick: Vec<&&Value> = rules.iter().filter(|rule| rule["health"] != "ok").collect();
        ensure(sick.is_empty(), || format!("{sick:?}"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_every_panel_of_every_dashboard_has_data() -> Result<()> {
    let stack = Stack::start().await?;
    let dir = tempfile::tempdir()?;
    for (name, unit, limit) in [("acme", "usd", "250.00"), ("acme-tokens", "tokens", "1000000000")] {
        set_a_budget(stack.collector.database(), &["budgets", "set", name, "--unit", unit, "--limit", limit])?;
    }
    let config = promql::shipped(dir.path(), stack.envoy.admin()?, stack.collector.address())?;
    let prometheus = Prometheus::start(dir.path(), &config).await?;
    let mut expressions = Vec::new();
    for name in ["fleet", "tenant", "money", "health"] {
        let panels = panels(&paths::workspace().join(format!("envoy/grafana/{name}.json")))?;
        expressions.extend(panels.into_iter().map(|(title, expression)| (format!("{name}: {title}"), expression)));
    }
    assert!(expressions.len() > 60, "{}", expressions.len());
    let deadline = Instant::now() + PATIENCE;
    let mut round = 0;
    // Rates need calls all the while.
    let mut left = expressions;
    while !left.is_empty() && Instant::now() < deadline {
        traffic_of(&stack, round).await?;
        round += 1;
        let mut without = Vec::new();
        for (panel, expression) in left {
            let samples = prometheus.query(&expression).await.map_err(|error| format!("{panel}: {error}"))?;
            if samples.iter().all(|sample| sample.value.is_nan()) {
                without.push((panel, expression));
            }
        }
        left = without;
        sleep(Duration::from_secs(1)).await;
    }
    assert!(left.is_empty(), "without data: {left:#?}");
    prometheus.stop()?;
    stack.finish()
}

/// While the collector runs, as people do.
fn set_a_budget(database: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(paths::collector()?);
    command.args(arguments).args([
        "--tenant",
        "acme",
        "--window",
        "month",
        "--zone",
        "Europe/Berlin",
        "--who",
        "test",
        "--why",
        "to be shown",
    ]);
    let output = command.arg("--database").arg(database).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure(output.status.success(), || format!("meshmeter budgets set: {said}"))
}

/// One more round of calls, each with an id of its own.
async fn traffic_of(stack: &Stack, round: usize) -> Result<()> {
    for fixture in stack.provider.catalogue().0.clone() {
        let call = fixture.call().header(TENANT_HEADER, "acme");
        stack.llm().send(&with_request_id(call, &format!("{round}-{}", fixture.name))).await?;
    }
    Ok(())
}

/// The expressions of a dashboard with the titles of their panels, for all tenants, providers and models.
fn panels(file: &Path) -> Result<Vec<(String, String)>> {
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(file)?)?;
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().into_iter().flatten() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let mut expression = target["expr"].as_str().unwrap_or_default().to_owned();
            for (variable, value) in [
                ("$__rate_interval", "1m"),
                ("$__range", "1h"),
                ("$tenant", ".*"),
                ("$provider", ".*"),
                ("$model", ".*"),
            ] {
                expression = expression.replace(variable, value);
            }
            let title = panel["title"].as_str().unwrap_or_default().to_owned();
            ensure(!expression.is_empty() && !expression.contains('$'), || format!("{title}: {expression:?}"))?;
            found.push((title, expression));
        }
    }
    Ok(found)
}

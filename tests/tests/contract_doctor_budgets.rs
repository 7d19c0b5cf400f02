//! `meshmeter doctor` on budgets: whether calls are held to them, and what they refused.

use std::{process::Command, time::Duration};

use e2e::{
    Result,
    client::Call,
    doctor::{Report, doctor, url},
    paths,
    script::{self, Script, Server},
    stack::{Options, Stack, TENANT_HEADER, with_request_id},
    wait::{self, ensure},
};
use serde_json::{Value, json};
use tokio::time::sleep;

/// A model with a price, and one without.
const PRICED: &str = "gpt-4.1";
const UNPRICED: &str = "of-our-own";

/// A stack whose calls end at a server that plays one script.
struct Held {
    stack: Stack,
    _server: Server,
    script: String,
    model: &'static str,
}

impl Held {
    /// The model is what responds, whatever is asked for.
    async fn with(model: &'static str, options: Options) -> Result<Held> {
        let server = Server::start().await?;
        let options =
            Options { upstream: Some(server.address()), everywhere: true, workers: 1, direct: true, ..options };
        let usage = json!({"prompt_tokens": 40, "completion_tokens": 60, "total_tokens": 100});
        let response = json!({"object": "chat.completion", "model": model, "choices": [], "usage": usage});
        let script = server.add(Script::new("application/json", response.to_string()));
        Ok(Held { stack: Stack::with(options).await?, _server: server, script, model })
    }

    async fn call(&self, tenant: &str, id: &str) -> Result<u16> {
        let body = json!({"model": self.model, "max_tokens": 60, "messages": [{"role": "user", "content": "How high is it?"}]});
        let call = Call::post("api.openai.com", "/v1/chat/completions", &body).header(TENANT_HEADER, tenant);
        let call = call.header(script::HEADER, &self.script);
        Ok(self.stack.llm().send(&with_request_id(call, id)).await?.status)
    }

    fn set(&self, name: &str, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(paths::collector()?);
        command.args(["budgets", "set", name, "--database"]).arg(self.stack.collector.database()).args(arguments);
        let output = command.args(["--window", "month", "--who", "e2e", "--why", "a test"]).output()?;
        ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())
    }

    async fn counted(&self, metric: &str) -> Result<u64> {
        Ok(self.stack.envoy.metrics().await?.sum(metric, &[]))
    }

    async fn examined(&self) -> Result<Report> {
        let (envoy, collector) = (url(self.stack.envoy.admin()?), url(self.stack.collector.address()));
        doctor(&["--envoy", &envoy, "--collector", &collector]).await
    }
}

fn held(plugin: &mut Value) {
    plugin["budgets"] = json!({});
    plugin["batch"] = json!({"max_age_ms": 100});
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_doctor_notes_what_budgets_refused_and_finds_nothing_wrong_with_that() -> Result<()> {
    let held = Held::with(PRICED, Options { plugin: held, ..Options::default() }).await?;
    held.set("org", &["--tenant", "org", "--unit", "tokens", "--limit", "0"])?;
    wait::until("a call that is refused", || async {
        let status = held.call("org/a", "refused").await?;
        ensure(status == 429, || format!("HTTP {status}"))?;
        let counted = held.counted("meshmeter_budget_refused_total").await?;
        ensure(counted > 0, || "it is not counted yet".to_owned())
    })
    .await?;
    let report = held.examined().await?;
    let refused = report.what("budget_refused")?;
    assert!(refused.starts_with("calls by budget and reason since Envoy started: org "), "{refused}");
    let spent = report.what("budget_spent")?;
    // Some may have passed before the budget was known.
    assert!(spent.starts_with("nothing is left of org (hard, ") && spent.ends_with(" of 0 tokens)"), "{spent}");
    assert!(report.codes().is_empty() && report.code == 0, "{report:?}");
    held.stack.finish_refused()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_doctor_finds_budgets_that_the_plugin_does_not_hold_and_that_no_price_can() -> Result<()> {
    let held = Held::with(UNPRICED, Options::default()).await?;
    held.set("org", &["--tenant", "org", "--unit", "usd", "--limit", "1"])?;
    assert_eq!(held.call("org/a", "unpriced").await?, 200);
    held.stack.settled(1).await?;
    let report = held.examined().await?;
    let off = report.what("budgets_off")?;
    assert!(off.contains("gateway, llm, llm_mtls") && off.ends_with("the collector has org (hard)"), "{off}");
    assert!(report.what("budget_unpriced")?.starts_with("budgets in USD: org; "), "{report:?}");
    assert_eq!(report.code, 3, "{report:?}");
    held.stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_doctor_finds_leases_that_fail_and_leases_that_are_not_granted() -> Result<()> {
    // A path at which this collector has none, as one that is too old would.
    let wrong_path = |plugin: &mut Value| {
        held(plugin);
        plugin["budgets"]["path"] = json!("/v1/lease");
    };
    let elsewhere = Held::with(PRICED, Options { plugin: wrong_path, ..Options::default() }).await?;
    assert_eq!(elsewhere.call("org/a", "unheld").await?, 200);
    elsewhere.stack.settled(1).await?;
    let report = elsewhere.examined().await?;
    assert!(report.what("leases_fail")?.contains("not_found"), "{report:?}");
    assert_eq!(report.what("budget_unheld")?, "calls since Envoy started: 1");
    assert!(report.what("collector_misplaced").is_err(), "events arrive: {report:?}");
    elsewhere.stack.finish()?;

    // A credential that may charge another tenant only.
    let credential = "egress ingest-e2e-3f9c-8d21 tenants=org/a";
    let held = Held::with(PRICED, Options { plugin: held, credential, ..Options::default() }).await?;
    held.set("each", &["--tenant", "org", "--per-tenant", "--unit", "tokens", "--limit", "1000000"])?;
    let report = wait::until("a lease that is not granted while it looks", || async {
        let calls = async {
            for number in 0..30 {
                held.call("org/b", &format!("not-granted-{number}")).await?;
                sleep(Duration::from_millis(200)).await;
            }
            Ok(())
        };
        let (report, called): (_, Result<()>) = tokio::join!(held.examined(), calls);
        called?;
        let report = report?;
        report.what("leases_not_granted")?;
        Ok(report)
    })
    .await?;
    assert!(report.what("leases_not_granted")?.contains("without some lease"), "{report:?}");
    assert!(report.what("leases_fail").is_err(), "{report:?}");
    held.stack.finish_refused()
}

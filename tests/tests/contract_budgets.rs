//! Budgets on real processes: what is set in the collector holds in Envoy.

use std::{process::Command, time::Duration};

use e2e::{
    Result,
    client::{Call, Response, Route},
    gate::Mode,
    paths,
    script::{self, Script, Server},
    stack::{Options, Stack, TENANT_HEADER, with_request_id},
    wait::{self, ensure},
};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

/// What each call costs, and what it can cost at most.
const COST: u64 = 100;
const RESPONSE: &str = r#"{"object":"chat.completion","model":"gpt-4.1","choices":[],"usage":{"prompt_tokens":40,"completion_tokens":60,"total_tokens":100}}"#;

fn call(tenant: &str) -> Call {
    let body =
        json!({"model": "gpt-4.1", "max_tokens": 60, "messages": [{"role": "user", "content": "How high is it?"}]});
    Call::post("api.openai.com", "/v1/chat/completions", &body).header(TENANT_HEADER, tenant)
}

/// `meshmeter budgets ACTION NAME`.
fn budgets(stack: &Stack, action: &str, name: &str, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(paths::collector()?);
    command.args(["budgets", action, name, "--database"]).arg(stack.collector.database()).args(arguments);
    let output = command.args(["--who", "e2e", "--why", "a test"]).output()?;
    ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())
}

fn held(plugin: &mut Value) {
    // What nobody has used yet takes little of a limit.
    plugin["budgets"] = json!({"assume_output_tokens": 100});
    plugin["batch"] = json!({"max_age_ms": 100});
}

fn closed(plugin: &mut Value) {
    held(plugin);
    plugin["budgets"]["without_collector"] = json!("closed");
}

/// A stack whose calls end at a server that plays scripts.
struct Held {
    stack: Stack,
    server: Server,
    script: String,
}

impl Held {
    async fn with(options: Options) -> Result<Held> {
        let server = Server::start().await?;
        let options = Options { upstream: Some(server.address()), everywhere: true, ..options };
        let script = server.add(Script::new("application/json", RESPONSE));
        Ok(Held { stack: Stack::with(options).await?, server, script })
    }

    async fn send(&self, tenant: &str, id: &str) -> Result<Response> {
        send(self.stack.llm(), call(tenant).header(script::HEADER, &self.script), id.to_owned()).await
    }

    /// Sends until the status is this one.
    async fn sends_until(&self, tenant: &str, id: &str, status: u16) -> Result<Response> {
        let number = std::cell::Cell::new(0);
        wait::until(&format!("{id}: a response with {status}"), || async {
            number.set(number.get() + 1);
            let response = self.send(tenant, &format!("{id}-{}", number.get())).await?;
            ensure(response.status == status, || format!("{} {:?}", response.status, response.json()))?;
            Ok(response)
        })
        .await
    }

    /// Tokens that the ledger has of everybody.
    fn spent(&self) -> Result<u64> {
        let report = self.stack.collector.report()?;
        let tokens = |line: &e2e::collector::Line| {
            line.usage.iter().filter(|(class, _)| class.ends_with("_tokens")).map(|(_, count)| *count).sum::<u64>()
        };
        Ok(report.lines.iter().map(tokens).sum())
    }

    /// How many calls the provider has responded to.
    fn arrived(&self) -> u64 {
        let is_call =
            |arrived: &&script::Arrived| arrived.problem.is_none() && arrived.header(script::HEADER) == self.script;
        self.server.arrived().iter().filter(is_call).count() as u64
    }
}

async fn send(route: Route, call: Call, id: String) -> Result<Response> {
    route.send(&with_request_id(call, &id)).await
}

fn retry_after(response: &Response) -> Result<u64> {
    ensure(!response.headers.contains_key("connection"), || {
        "the client would come again to another worker".to_owned()
    })?;
    let value = response.headers.get("retry-after").ok_or("no retry-after")?;
    Ok(value.to_str()?.parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn race_bursts_of_64_on_two_envoys_with_two_workers_each_stay_within_the_limit() -> Result<()> {
    const LIMIT: u64 = 40_000;
    let first = Held::with(Options { workers: 2, direct: true, plugin: held, ..Options::default() }).await?;
    let ingest = Some(first.stack.collector.address());
    let second = Held::with(Options { workers: 2, ingest, plugin: held, ..Options::default() }).await?;
    let limit = LIMIT.to_string();
    budgets(
        &first.stack,
        "set",
        "org",
        &["--tenant", "org", "--unit", "tokens", "--window", "month", "--limit", &limit],
    )?;
    for held in [&first, &second] {
        wait::until("the budget to have come there", || async {
            // Such a call would need more than the limit.
            let body = json!({"model": "gpt-4.1", "max_tokens": LIMIT, "messages": []});
            let probe = Call::post("api.openai.com", "/v1/chat/completions", &body).header(TENANT_HEADER, "org/probe");
            let mut refused = 0;
            for number in 0..8 {
                let probe = probe.clone().header("x-script", "none");
                refused += u32::from(send(held.stack.llm(), probe, format!("probe-{number}")).await?.status == 429);
            }
            ensure(refused == 8, || format!("{refused} of 8 were refused"))
        })
        .await?;
    }
    // Until nobody has passed for a while: what little is left is less than a call can cost, or in pieces on several workers.
    let (mut passed, mut number, mut in_vain) = (0, 0, 0);
    while in_vain < 8 && number < 64 * 100 {
        let mut burst = JoinSet::new();
        for (held, lane) in [&first, &second].into_iter().cycle().zip(0..64) {
            number += 1;
            let call = call(&format!("org/{}", lane % 5)).header(script::HEADER, &held.script);
            burst.spawn(send(held.stack.llm(), call, format!("burst-{number}")));
        }
        in_vain += 1;
        for response in burst.join_all().await {
            let response = response?;
            match response.status {
                200 => (passed, in_vain) = (passed + 1, 0),
                429 => assert!(retry_after(&response)? >= 1),
                status => return Err(format!("HTTP {status}").into()),
            }
        }
        sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(in_vain, 8, "the budget is not spent by {number} calls, {passed} of which have passed");
    let arrived = first.arrived() + second.arrived();
    let spent = wait::until("the ledger to have every call", || async {
        let spent = first.spent()?;
        ensure(spent == arrived * COST, || format!("{spent} of {arrived} calls"))?;
        Ok(spent)
    })
    .await?;
    assert!(passed > 0 && spent <= LIMIT, "{spent} of {LIMIT} are spent");
    assert!(spent > LIMIT * 3 / 4, "{spent} of {LIMIT} are spent: the rest is held by somebody who does not need it");
    second.stack.finish()?;
    first.stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_limit_that_is_raised_lets_calls_pass_again_and_one_that_is_removed_holds_nobody() -> Result<()> {
    let held = Held::with(Options { workers: 2, direct: true, plugin: held, ..Options::default() }).await?;
    let month = ["--tenant", "org", "--unit", "tokens", "--window", "month", "--limit"];
    budgets(&held.stack, "set", "org", &[&month[..], &["1"]].concat())?;
    let refused = held.sends_until("org/a", "small", 429).await?;
    assert_eq!(refused.json()?["error"]["code"], "rate_limit_exceeded");
    assert_eq!(held.send("other", "other").await?.status, 200, "it covers nobody else");
    budgets(&held.stack, "set", "org", &["--limit", "1000000"])?;
    held.sends_until("org/a", "raised", 200).await?;
    budgets(&held.stack, "set", "org", &["--limit", "1", "--mode", "shadow"])?;
    held.sends_until("org/a", "shadow", 200).await?;
    budgets(&held.stack, "set", "org", &["--mode", "hard"])?;
    held.sends_until("org/a", "hard", 429).await?;
    budgets(&held.stack, "remove", "org", &[])?;
    held.sends_until("org/a", "removed", 200).await?;
    held.stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_who_waits_as_long_as_retry_after_says_passes_in_the_next_window() -> Result<()> {
    let held = Held::with(Options { workers: 1, direct: true, plugin: held, ..Options::default() }).await?;
    budgets(
        &held.stack,
        "set",
        "org",
        &["--tenant", "org", "--unit", "tokens", "--window", "minute", "--limit", "3000"],
    )?;
    let wait_s = wait::until("the minute to be spent", || async {
        let response = held.send("org/a", "spends").await?;
        ensure(response.status == 429, || "it passed".to_owned())?;
        ensure(!response.headers.contains_key("retry-after-ms"), || "a lease is on its way".to_owned())?;
        retry_after(&response)
    })
    .await?;
    assert!(wait_s <= 60);
    sleep(Duration::from_secs(wait_s)).await;
    let next = held.send("org/a", "next").await?;
    assert_eq!(next.status, 200, "{:?} {}", next.headers, String::from_utf8_lossy(&next.body));
    held.stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_an_envoy_that_ends_returns_what_it_holds_whether_it_had_calls_or_not() -> Result<()> {
    let mut held = Held::with(Options { workers: 2, plugin: held, ..Options::default() }).await?;
    budgets(&held.stack, "set", "all", &["--unit", "tokens", "--window", "month", "--limit", "1000000"])?;
    let database = held.stack.collector.database().to_owned();
    let leased = || -> Result<u64> {
        let mut command = Command::new(paths::collector()?);
        let output = command.args(["budgets", "--format", "json", "--database"]).arg(&database).output()?;
        let budgets: Value = serde_json::from_slice(&output.stdout)?;
        let leased = budgets[0]["leased"].as_str().and_then(|leased| leased.parse().ok());
        Ok(leased.ok_or_else(|| format!("no amount: {budgets}"))?)
    };
    wait::until("leases of workers without calls", || async {
        ensure(leased()? > 0, || "nothing is leased".to_owned())
    })
    .await?;
    // What is granted while a worker ends, it never learns of: such a lease ends by its time. So each knows of its own before.
    wait::until("each worker to be told", || async {
        let told = |text: &str| text.contains("\"granted\":") && !text.contains("\"granted\":0,");
        let passages = held.stack.gate.passages();
        let count = passages.iter().filter(|passage| told(&String::from_utf8_lossy(&passage.response))).count();
        ensure(count >= 2, || format!("{count} were told"))
    })
    .await?;
    sleep(Duration::from_millis(500)).await;
    held.stack.envoy.stop()?;
    wait::until("the leases to be returned", || async {
        let leased = leased()?;
        ensure(leased == 0, || format!("{leased} are leased"))
    })
    .await?;
    held.stack.finish_stopped()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_without_the_collector_calls_pass_or_are_refused_as_configured() -> Result<()> {
    for (plugin, status) in [(held as fn(&mut Value), 200), (closed, 429)] {
        let held = Held::with(Options { workers: 1, plugin, ..Options::default() }).await?;
        let arguments = ["--tenant", "org", "--unit", "tokens", "--window", "month", "--limit", "100000000"];
        budgets(&held.stack, "set", "org", &arguments)?;
        // A lease is there: one call is not refused, and the budget is known.
        held.sends_until("org/a", "held", 200).await?;
        wait::until("the budget to be known", || async {
            let told = held.stack.gate.passages().iter().any(|passage| {
                let text = String::from_utf8_lossy(&passage.response);
                text.contains("\"granted\":") && !text.contains("\"granted\":0,")
            });
            ensure(told, || "nothing was granted".to_owned())
        })
        .await?;
        held.stack.gate.set(Mode::Respond(503));
        // The lease's rest first: more than it can hold is asked for.
        let body = json!({"model": "gpt-4.1", "max_tokens": 10_000_000, "messages": []});
        let large = Call::post("api.openai.com", "/v1/chat/completions", &body).header(TENANT_HEADER, "org/a");
        let large = large.header(script::HEADER, &held.script);
        let number = std::cell::Cell::new(0);
        wait::until("the collector to be away", || async {
            number.set(number.get() + 1);
            let response = send(held.stack.llm(), large.clone(), format!("away-{}", number.get())).await?;
            let metrics = held.stack.envoy.metrics().await?;
            let away = match status {
                200 => metrics.sum("meshmeter_budget_unheld_total", &[]),
                _ => {
                    let labels = [("meshmeter_budget", "org"), ("meshmeter_reason", "collector_away")];
                    metrics.sum("meshmeter_budget_refused_total", &labels)
                }
            };
            ensure(response.status == status && away > 0, || format!("HTTP {}, {away} away", response.status))
        })
        .await?;
        // It is back: such a call has what it needs.
        held.stack.gate.set(Mode::Pass);
        let number = std::cell::Cell::new(0);
        wait::until("the collector to be back", || async {
            number.set(number.get() + 1);
            let response = send(held.stack.llm(), large.clone(), format!("back-{}", number.get())).await?;
            let unheld = held.stack.envoy.metrics().await?.sum("meshmeter_budget_unheld_total", &[]);
            let again = send(held.stack.llm(), large.clone(), format!("again-{}", number.get())).await?;
            sleep(Duration::from_millis(300)).await;
            let after = held.stack.envoy.metrics().await?.sum("meshmeter_budget_unheld_total", &[]);
            let is_held = response.status == 200 && again.status == 200 && unheld == after;
            ensure(is_held, || format!("HTTP {}, {}", response.status, again.status))
        })
        .await?;
        held.stack.finish()?;
    }
    Ok(())
}

//! Callers that claim to be somebody else, and names that crowd out others.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Attack;
use crate::{
    Result,
    client::{Call, Line, Route, Seen},
    script::{self, Script, Server},
    stack::{Options, Stack, TENANT_HEADER, metered, with_request_id},
    wait::{self, ensure},
};

/// The attacks.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "certificates-beside-a-header",
        keeps: "a certificate that names no tenant lets no header name one",
        short: true,
        run: || Box::pin(certificates()),
    },
    Attack {
        name: "certificates-of-strangers",
        keeps: "without a word in the configuration no foreign trust domain names a tenant",
        short: true,
        run: || Box::pin(strangers()),
    },
    Attack {
        name: "tokens-beside-a-header",
        keeps: "a verified token that names no tenant lets no header name one",
        short: true,
        run: || Box::pin(tokens()),
    },
    Attack {
        name: "headers-that-name-nobody",
        keeps: "a header that comes twice, or has a reserved or impossible name, names no tenant",
        short: true,
        run: || Box::pin(headers()),
    },
    Attack {
        name: "tags-that-clients-claim",
        keeps: "no client names a tag, and what is in sessions and claims stays short, harmless and out of the metrics",
        short: true,
        run: || Box::pin(tags()),
    },
    Attack {
        name: "invented-models-refused",
        keeps: "4,200 refused calls with invented models leave every tenant its metrics",
        short: false,
        run: || Box::pin(refused()),
    },
    Attack {
        name: "invented-models-served",
        keeps: "a server that invents a model name per response leaves every tenant its metrics",
        short: false,
        run: || Box::pin(responded()),
    },
    Attack {
        name: "wrong-ingest-token",
        keeps: "a wrong token is said in Envoy's log once, with the reason and without the token, and counted",
        short: true,
        run: || Box::pin(wrong_token()),
    },
];

const ALICE: &str = "spiffe://cluster.local/ns/team-a/sa/alice";
/// Whom every impostor wants to be charged.
const VICTIM: &str = "acme";

fn call(stack: &Stack) -> Result<Call> {
    Ok(stack.provider.catalogue().get("vllm.json")?.call())
}

/// Whom a call was charged to must be this, from this source.
async fn charged(stack: &Stack, route: &Route, call: Call, id: &str, expected: (&str, &str)) -> Result<()> {
    let (response, event) = metered(stack, route, call, id).await?;
    ensure(response.status == 200, || format!("{id}: HTTP {}", response.status))?;
    let found = (event.text("tenant"), event.text("tenant_source"));
    ensure(found == expected, || format!("{id}: charged to {found:?}, expected {expected:?}"))
}

/// Every refusal was counted once, by its reason, and nothing reached the victim's bill.
async fn counted(stack: Stack, calls: u64, reasons: &[(&str, u64)]) -> Result<()> {
    let report = stack.settled(calls).await?;
    let metrics = stack.envoy.metrics().await?;
    for (reason, count) in reasons {
        let found = metrics.sum("meshmeter_identity_refused_total", &[("meshmeter_reason", reason)]);
        ensure(found == *count, || format!("{found} refusals because of {reason}, expected {count}"))?;
    }
    let all: u64 = reasons.iter().map(|(_, count)| count).sum();
    let found = metrics.sum("meshmeter_identity_refused_total", &[]);
    ensure(found == all, || format!("{found} refusals, expected {all}"))?;
    ensure(report.lines.iter().all(|line| line.tenant != VICTIM), || format!("the victim pays: {report:?}"))?;
    stack.finish()
}

async fn certificates() -> Result<()> {
    let stack = Stack::with(Options { any_name: true, ..Options::default() }).await?;
    let long = format!("spiffe://cluster.local/ns/team-a/sa/{}", "a".repeat(300));
    let cases: [(&str, &[&str]); 9] = [
        ("no-namespace", &["spiffe://cluster.local/workload/alice"]),
        ("too-long", &[&long]),
        ("foreign", &["spiffe://elsewhere.example/ns/acme/sa/eve"]),
        ("foreign-first", &["spiffe://elsewhere.example/ns/acme/sa/eve", ALICE]),
        ("own-first", &[ALICE, "spiffe://cluster.local/ns/acme/sa/eve"]),
        ("host-name", &["team-a.example.com"]),
        ("other-uri", &["https://cluster.local/ns/acme"]),
        ("reserved", &["spiffe://cluster.local/ns/unknown/sa/alice"]),
        ("dots", &["spiffe://cluster.local/ns/../sa/alice"]),
    ];
    for (id, names) in cases {
        let route = stack.llm_mtls_named(names)?;
        charged(&stack, &route, call(&stack)?.header(TENANT_HEADER, VICTIM), id, ("invalid", "invalid")).await?;
    }
    let route = stack.llm_mtls_named(&["team-a.example.com", ALICE])?;
    charged(&stack, &route, call(&stack)?.header(TENANT_HEADER, VICTIM), "alice", ("team-a", "spiffe")).await?;
    let reasons = [
        ("no_such_part", 1),
        ("bad_spiffe_id", 2),
        ("foreign_trust_domain", 1),
        ("several_uris", 2),
        ("no_spiffe_id", 2),
        ("reserved_name", 1),
    ];
    counted(stack, 10, &reasons).await
}

async fn strangers() -> Result<()> {
    let plugin = |plugin: &mut Value| {
        let header = json!({"from": "header", "name": TENANT_HEADER, "trusted": true});
        plugin["tenant"] = json!([{"from": "spiffe"}, header]);
    };
    // This Envoy's own certificate is that of a host, so nobody is of its trust domain.
    let stack = Stack::with(Options { plugin, ..Options::default() }).await?;
    let route = stack.llm_mtls(ALICE)?;
    charged(&stack, &route, call(&stack)?.header(TENANT_HEADER, VICTIM), "stranger", ("invalid", "invalid")).await?;
    counted(stack, 1, &[("foreign_trust_domain", 1)]).await
}

async fn tokens() -> Result<()> {
    let stack = Stack::start().await?;
    let cases = [
        ("no-claim", json!({}), "no_claim"),
        ("empty", json!({"tenant": ""}), "no_claim"),
        ("null", json!({"tenant": null}), "invalid_value"),
        ("true", json!({"tenant": true}), "invalid_value"),
        ("number", json!({"tenant": 7}), "invalid_value"),
        ("list", json!({"tenant": [VICTIM]}), "invalid_value"),
        ("object", json!({"tenant": {"name": VICTIM}}), "invalid_value"),
        ("dots", json!({"tenant": ".."}), "invalid_value"),
        ("unknown", json!({"tenant": "unknown"}), "reserved_name"),
        ("overflow", json!({"tenant": "overflow"}), "reserved_name"),
    ];
    for (id, claims, _) in &cases {
        let call = call(&stack)?.header("x-tenant-token", &stack.identity.token(claims)?);
        charged(&stack, &stack.llm(), call.header(TENANT_HEADER, VICTIM), id, ("invalid", "invalid")).await?;
    }
    charged(&stack, &stack.llm(), call(&stack)?.header(TENANT_HEADER, "globex"), "none", ("globex", "header")).await?;
    let count = |reason: &str| cases.iter().filter(|(_, _, of)| *of == reason).count() as u64;
    let reasons = ["no_claim", "invalid_value", "reserved_name"].map(|reason| (reason, count(reason)));
    counted(stack, cases.len() as u64 + 1, &reasons).await
}

async fn headers() -> Result<()> {
    let stack = Stack::start().await?;
    let bad =
        ["", "acme,globex", "unknown", "invalid", "overflow", "..", ".", "../acme", "acme/..", "acme//x", "/acme"];
    for (number, value) in bad.iter().enumerate() {
        let call = call(&stack)?.header(TENANT_HEADER, value);
        charged(&stack, &stack.llm(), call, &format!("header-{number}"), ("invalid", "invalid")).await?;
    }
    let twice = call(&stack)?.header(TENANT_HEADER, "globex").header(TENANT_HEADER, VICTIM);
    charged(&stack, &stack.llm(), twice, "twice", ("invalid", "invalid")).await?;
    let reasons = [("reserved_name", 3), ("invalid_value", bad.len() as u64 - 3), ("repeated_header", 1)];
    counted(stack, bad.len() as u64 + 1, &reasons).await
}

async fn tags() -> Result<()> {
    let plugin = |plugin: &mut Value| {
        plugin["tags"] = json!([
            {"name": "team", "from": "jwt"},
            {"name": "app", "from": "header", "header": "x-app"},
            {"name": "stage", "from": "header", "header": "x-stage", "trusted": true},
        ]);
    };
    let stack = Stack::with(Options { plugin, ..Options::default() }).await?;
    let token = |claims: Value| stack.identity.token(&claims);
    // The mark must come back nowhere but where it may.
    let (mark, long) = ("forged-by-a-client", "l".repeat(9000));
    let hostile = "h\u{1b}[2J\u{7}\r\n\u{202e}forged-by-a-client".to_owned();
    let cases = [
        ("untrusted", call(&stack)?.header("x-app", mark), Value::Null),
        ("by-the-tags-name", call(&stack)?.header("team", mark).header("app", mark).header("stage", mark), Value::Null),
        ("twice", call(&stack)?.header("x-stage", "prod").header("x-stage", mark), Value::Null),
        ("no-token", call(&stack)?.header("x-jwt-payload", mark), Value::Null),
        (
            "list",
            call(&stack)?.header("x-tenant-token", &token(json!({"tenant": "globex", "team": [mark]}))?),
            Value::Null,
        ),
        (
            "null",
            call(&stack)?.header("x-tenant-token", &token(json!({"tenant": "globex", "team": null}))?),
            Value::Null,
        ),
        (
            "hostile",
            call(&stack)?.header("x-tenant-token", &token(json!({"tenant": "globex", "team": hostile}))?),
            json!([["team", "h\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}\u{202e}forged-by-a-client", "jwt"]]),
        ),
        (
            "long",
            call(&stack)?.header("x-stage", &long).header("x-claude-code-session-id", &long),
            json!([["stage", "l".repeat(256), "header"]]),
        ),
    ];
    for (id, call, tags) in &cases {
        let (response, event) = metered(&stack, &stack.llm(), call.clone(), id).await?;
        ensure(response.status == 200, || format!("{id}: HTTP {}", response.status))?;
        ensure(event.get("tags") == tags, || format!("{id}: {}", event.raw))?;
        ensure(event.text("session_id").len() <= 256, || format!("{id}: the session is long"))?;
    }
    stack.settled(cases.len() as u64).await?;
    let metrics = stack.envoy.metrics().await?;
    let labels = || metrics.0.iter().flat_map(|sample| sample.labels.values().chain([&sample.name]));
    let shown = labels().any(|text| text.contains(mark) || text.contains(&"l".repeat(64)));
    ensure(!shown, || "a tag or a session is in the metrics".to_owned())?;
    stack.finish()
}

/// Sends calls, each with its own script or request, some at a time.
async fn send_all(route: &Route, calls: Vec<Call>, status: u16) -> Result<()> {
    let mut lanes: JoinSet<Result<()>> = JoinSet::new();
    for lane in calls.chunks(calls.len().div_ceil(8)) {
        let (mut line, lane) = (Line::new(route.clone()), lane.to_vec());
        lanes.spawn(async move {
            for call in lane {
                match line.send(&call, usize::MAX).await? {
                    Seen::Whole(response) if response.status == status => {}
                    seen => return Err(format!("a call ended as {seen:?}").into()),
                }
            }
            Ok(())
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    Ok(())
}

/// A call of a chat model at a server of one's own, which returns this script.
fn ask(model: &str, script: &str, tenant: Option<&str>) -> Call {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
    let call = Call::post("llm.internal", "/v1/chat/completions", &body).header(script::HEADER, script);
    match tenant {
        Some(tenant) => call.header(TENANT_HEADER, tenant),
        None => call,
    }
}

/// A good response of this model.
fn response_of(model: &str) -> Script {
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10});
    let message = json!({"role": "assistant", "content": "hello"});
    let choices = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
    let body = json!({"id": "c", "object": "chat.completion", "model": model, "choices": choices, "usage": usage});
    Script::new("application/json", body.to_string()).sized()
}

/// A tenant that calls for the first time has metrics of its own: its call, and its tokens.
async fn has_its_own(stack: &Stack, server: &Server, tenant: &str) -> Result<()> {
    let script = server.add(response_of("honest-model"));
    let call = with_request_id(ask("honest-model", &script, Some(tenant)), tenant);
    let response = stack.llm().send(&call).await?;
    ensure(response.status == 200, || format!("{tenant}: HTTP {}", response.status))?;
    let labels = [("tenant", tenant), ("gen_ai_response_model", "honest-model")];
    let metrics = wait::until(&format!("the metrics of {tenant}"), || async {
        let metrics = stack.envoy.metrics().await?;
        for (name, count) in
            [("gen_ai_client_inference_calls_total", 1), ("gen_ai_client_inference_usage_tokens_total", 10)]
        {
            let found = metrics.sum(name, &labels);
            ensure(found == count, || format!("{tenant} has {found} of {name}, expected {count}"))?;
        }
        Ok(metrics)
    })
    .await?;
    let series = metrics.named("gen_ai_client_inference_calls_total").count();
    ensure(series < 200, || format!("{series} series of calls"))?;
    let histograms = metrics.named("gen_ai_client_inference_duration_milliseconds_count").count();
    ensure(histograms < 50, || format!("{histograms} histograms of durations"))
}

async fn refused() -> Result<()> {
    const CALLS: usize = 4200;
    let server = Server::start().await?;
    let stack = Stack::with(Options { upstream: Some(server.address()), workers: 1, ..Options::default() }).await?;
    let error = json!({"error": {"message": "no", "type": "invalid_request_error", "code": "invalid_api_key"}});
    let script = server.add(Script::new("application/json", error.to_string()).status(401).sized());
    let tenant = |number: usize| if number.is_multiple_of(2) { None } else { Some("noisy") };
    let calls = (0..CALLS).map(|number| ask(&format!("invented-{number}"), &script, tenant(number)));
    send_all(&stack.llm(), calls.collect(), 401).await?;
    for tenant in ["globex", "initech"] {
        has_its_own(&stack, &server, tenant).await?;
    }
    stack.settled(CALLS as u64 + 2).await?;
    let metrics = stack.envoy.metrics().await?;
    let without_response = |tenant: &str| {
        let labels = [("tenant", tenant), ("gen_ai_response_model", "no_response")];
        metrics.sum("gen_ai_client_inference_calls_total", &labels)
    };
    let found = (without_response("unknown"), without_response("noisy"));
    ensure(found == (CALLS as u64 / 2, CALLS as u64 / 2), || format!("calls that no model responded: {found:?}"))?;
    stack.finish()
}

async fn responded() -> Result<()> {
    const CALLS: usize = 600;
    let server = Server::start().await?;
    let plugin = |plugin: &mut Value| plugin["metrics"] = json!({"max_series": 160});
    let stack =
        Stack::with(Options { upstream: Some(server.address()), workers: 1, plugin, ..Options::default() }).await?;
    let scripts = (0..CALLS).map(|number| server.add(response_of(&format!("invented-{number}"))));
    let calls: Vec<Call> = scripts.map(|script| ask("a-model", &script, Some("noisy"))).collect();
    send_all(&stack.llm(), calls, 200).await?;
    for tenant in ["globex", "initech"] {
        has_its_own(&stack, &server, tenant).await?;
    }
    stack.settled(CALLS as u64 + 2).await?;
    let metrics = stack.envoy.metrics().await?;
    let of = |labels: &[(&str, &str)]| metrics.sum("gen_ai_client_inference_calls_total", labels);
    let found = (of(&[("tenant", "noisy")]), of(&[("tenant", "overflow")]));
    ensure(found == (CALLS as u64, 0), || format!("calls of the server's tenant, and of overflow: {found:?}"))?;
    stack.finish()
}

async fn wrong_token() -> Result<()> {
    const TOKEN: &str = "not-the-token-0451";
    let plugin = |plugin: &mut Value| plugin["batch"] = json!({"max_age_ms": 100});
    let stack = Stack::with(Options { token: TOKEN, plugin, ..Options::default() }).await?;
    // Both workers have something to send.
    for number in 0..8 {
        stack.llm().send(&with_request_id(call(&stack)?, &format!("call-{number}"))).await?;
    }
    wait::until("some tries", || async {
        let metrics = stack.envoy.metrics().await?;
        let of = |labels: &[(&str, &str)]| metrics.sum("meshmeter_collector_failures_total", labels);
        let (all, unauthorized) = (of(&[]), of(&[("meshmeter_reason", "unauthorized")]));
        ensure(all == unauthorized && all >= 3, || format!("{all} failures, {unauthorized} because of the token"))
    })
    .await?;
    let log = stack.envoy.log();
    let said: Vec<&str> = log.lines().filter(|line| line.contains("the collector takes no events")).collect();
    ensure(said.len() == 1, || format!("said {} times: {said:?}", said.len()))?;
    let line = said[0];
    ensure(line.contains("[warning]") && line.contains("unauthorized, HTTP 401"), || line.to_owned())?;
    ensure(!log.contains(TOKEN), || "the token is in the log".to_owned())?;
    ensure(stack.collector.report()?.calls() == 0, || "the collector took events".to_owned())?;
    stack.finish()
}

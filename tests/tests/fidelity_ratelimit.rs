//! Tokens per minute by Envoy's own rate limit service, by `envoy/ratelimit/`.

use std::fs;

use e2e::{
    Result,
    bootstrap::Bootstrap,
    client::{Call, Response},
    otel::socket,
    paths,
    ratelimit::RateLimit,
    stack::{Options, Stack, TENANT_HEADER, with_request_id},
    wait,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Tokens that a tenant has, and that the test's limits give in place of the shipped ones.
const TOKENS: u64 = 3000;

/// The shipped limits with fewer tokens, and with a window that does not end in the middle of a test.
fn limits() -> Result<Value> {
    let text = fs::read_to_string(paths::workspace().join("envoy/ratelimit/limits.yaml"))?;
    let mut limits: Value = serde_saphyr::from_str(&text)?;
    for descriptor in limits["descriptors"].as_array_mut().into_iter().flatten() {
        assert_eq!(descriptor["rate_limit"]["unit"], "minute", "tokens per minute");
        let tokens = if descriptor["value"] == "acme/search" { 1_000_000 } else { TOKENS };
        descriptor["rate_limit"] = json!({"unit": "day", "requests_per_unit": tokens});
    }
    Ok(limits)
}

async fn limited(name: &str, change: fn(&mut Bootstrap) -> Result<()>) -> Result<(Stack, RateLimit, TempDir)> {
    let dir = tempfile::Builder::new().prefix("meshmeter-ratelimit-").tempdir()?;
    let mut service = RateLimit::start(dir.path(), &socket(name), &limits()?)?;
    service.ready().await?;
    Ok((Stack::with(Options { change, ..Options::default() }).await?, service, dir))
}

async fn send(stack: &Stack, call: &Call, tenant: &str, id: &str) -> Result<Response> {
    stack.llm().send(&with_request_id(call.clone().header(TENANT_HEADER, tenant), id)).await
}

/// What the service says is left of a tenant's tokens.
fn left(response: &Response) -> Option<u64> {
    response.headers.get("x-ratelimit-remaining")?.to_str().ok()?.parse().ok()
}

/// All that the service was asked so far is answered: what calls have used is told after they are over.
async fn told(stack: &Stack, requests: u64) -> Result<()> {
    wait::until(&format!("{requests} requests to the rate limit service"), || async {
        let stats = stack.envoy.get("/stats?filter=^cluster.ratelimit.upstream_rq_completed$").await?;
        let have = stats.trim().rsplit(' ').next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        wait::ensure(have == requests, || format!("{have} are answered"))
    })
    .await
}

/// The tokens of a call, as its record has them.
async fn tokens(stack: &Stack, id: &str) -> Result<u64> {
    let event = stack.event_of(id).await?;
    Ok(event.get("input_tokens").as_u64().unwrap_or(0) + event.get("output_tokens").as_u64().unwrap_or(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_a_tenant_without_tokens_gets_429_and_no_other_does() -> Result<()> {
    const NAME: &str = "tokens";
    let change = |bootstrap: &mut Bootstrap| {
        bootstrap.add_parts("ratelimit/envoy.yaml")?;
        bootstrap.point_at_socket("ratelimit", &socket(NAME));
        Ok(())
    };
    let (stack, service, _dir) = limited(NAME, change).await?;
    let stream = stack.provider.catalogue().get("chat_stream.sse")?.call();
    let json = stack.provider.catalogue().get("chat_two.json")?.call();
    let (mut used, mut calls) = (0, 0);
    // Each call is asked for twice: whether it may, and what it has used.
    while used <= TOKENS {
        let id = format!("call-{calls}");
        let call = if calls % 2 == 0 { &stream } else { &json };
        let response = send(&stack, call, "small", &id).await?;
        assert_eq!((response.status, left(&response)), (200, Some(TOKENS - used)), "{calls} calls: {response:?}");
        let more = tokens(&stack, &id).await?;
        assert!(more > 0, "{id} counts");
        used += more;
        calls += 1;
        told(&stack, 2 * calls).await?;
    }
    assert!(calls >= 2, "one call alone has used {used} tokens");
    let refused = send(&stack, &json, "small", "refused").await?;
    assert_eq!((refused.status, left(&refused)), (429, Some(0)), "{refused:?}");
    assert_eq!(tokens(&stack, "refused").await?, 0, "it did not reach the provider");
    told(&stack, 2 * calls + 2).await?;
    for tenant in ["other", "acme/search"] {
        assert_eq!(send(&stack, &json, tenant, tenant).await?.status, 200, "{tenant}");
    }
    let own = left(&send(&stack, &json, "acme/search", "again").await?);
    assert!(own.is_some_and(|left| left > TOKENS), "a tenant with a limit of its own: {own:?}");
    let report = stack.settled(calls + 4).await?;
    let billed: u64 =
        report.lines.iter().filter(|line| line.tenant == "small").flat_map(|line| line.usage.values()).sum();
    assert_eq!(billed, used, "the ledger and the service count the same");
    stack.finish()?;
    service.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_a_stream_that_is_left_uses_what_was_estimated() -> Result<()> {
    const NAME: &str = "left";
    let change = |bootstrap: &mut Bootstrap| {
        bootstrap.add_parts("ratelimit/envoy.yaml")?;
        bootstrap.point_at_socket("ratelimit", &socket(NAME));
        Ok(())
    };
    let (stack, service, _dir) = limited(NAME, change).await?;
    let stream = stack.provider.catalogue().get("chat_stream.sse")?.call();
    let call = with_request_id(stream.clone().header(TENANT_HEADER, "small"), "left");
    stack.llm().abort_after(&call, 100).await?;
    let used = tokens(&stack, "left").await?;
    told(&stack, 2).await?;
    let next = send(&stack, &stream, "small", "next").await?;
    assert_eq!(left(&next), Some(TOKENS.saturating_sub(used)), "{used} tokens: {next:?}");
    stack.finish()?;
    service.stop()
}

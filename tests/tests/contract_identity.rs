//! Who is charged: the certificate, the verified token, the trusted header; never what anybody can claim.

use e2e::{
    Result,
    client::Call,
    stack::{Options, Stack, TENANT_HEADER, metered},
};
use serde_json::json;

const ALICE: &str = "spiffe://cluster.local/ns/team-a/sa/alice";

fn call(stack: &Stack) -> Result<Call> {
    Ok(stack.provider.catalogue().get("vllm.json")?.call())
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_certificate_token_and_trusted_header_name_the_tenant() -> Result<()> {
    let stack = Stack::start().await?;
    let (plain, mtls) = (stack.llm(), stack.llm_mtls(ALICE)?);
    let by_header = call(&stack)?.header(TENANT_HEADER, "acme/search");
    let by_token = stack.as_tenant(call(&stack)?, "globex")?;
    let cases = [
        ("no-identity", &plain, call(&stack)?, "unknown", "unknown", None),
        ("header", &plain, by_header.clone(), "acme/search", "header", None),
        ("token", &plain, by_token.clone(), "globex", "jwt", None),
        ("token-over-header", &plain, by_token.header(TENANT_HEADER, "eve"), "globex", "jwt", None),
        ("certificate", &mtls, call(&stack)?, "team-a", "spiffe", Some(ALICE)),
        ("certificate-over-header", &mtls, by_header, "team-a", "spiffe", Some(ALICE)),
        ("bad-header", &plain, call(&stack)?.header(TENANT_HEADER, "a;.;tenant=.=b"), "invalid", "invalid", None),
    ];
    for (id, route, call, tenant, source, principal) in cases.clone() {
        let (response, event) = metered(&stack, route, call, id).await?;
        assert_eq!(response.status, 200, "{id}");
        assert_eq!((event.text("tenant"), event.text("tenant_source")), (tenant, source), "{id}: {}", event.raw);
        assert_eq!(event.get("principal").as_str(), principal, "{id}");
        assert_eq!(event.attribute("subject"), Some(tenant), "{id}");
    }
    for served in stack.provider.served() {
        let leaked = served.headers.keys().find(|name| name.as_str() == "x-tenant-token");
        assert!(leaked.is_none(), "the provider got the tenant's token");
    }
    stack.settled(cases.len() as u64).await?;
    let metrics = stack.envoy.metrics().await?;
    let invalid = [("meshmeter_reason", "invalid_value")];
    assert_eq!(metrics.sum("meshmeter_identity_refused_total", &invalid), 1);
    assert_eq!(metrics.sum("meshmeter_identity_refused_total", &[]), 1);
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_tokens_that_do_not_verify_are_refused_before_the_meter() -> Result<()> {
    let stack = Stack::start().await?;
    let forged = {
        let token = stack.identity.token(&json!({"tenant": "globex"}))?;
        let (signed, signature) = token.rsplit_once('.').ok_or("not a token")?;
        format!("{signed}.{}", signature.chars().rev().collect::<String>())
    };
    let expired = stack.identity.token(&json!({"tenant": "globex", "exp": 1_000_000_000}))?;
    let other_audience = stack.identity.token(&json!({"tenant": "globex", "aud": "somebody-else"}))?;
    for token in [forged, expired, other_audience] {
        let response = stack.llm().send(&call(&stack)?.header("x-tenant-token", &token)).await?;
        assert!(matches!(response.status, 401 | 403), "HTTP {}", response.status);
    }
    assert!(stack.provider.served().is_empty(), "a refused call reached the provider");
    let (_, event) = metered(&stack, &stack.llm(), call(&stack)?, "after").await?;
    assert_eq!(event.text("tenant"), "unknown");
    let refused = stack.journal()?.iter().filter(|event| event.text("tenant") == "globex").count();
    assert_eq!(refused, 0, "a token that does not verify named a tenant");
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_no_certificate_no_connection() -> Result<()> {
    let stack = Stack::start().await?;
    assert!(
        stack.llm_mtls_anonymous()?.send(&call(&stack)?).await.is_err(),
        "a client without a certificate got through"
    );
    let foreign = stack.llm_mtls("spiffe://elsewhere.example/ns/team-a/sa/eve")?;
    assert!(foreign.send(&call(&stack)?).await.is_err(), "another trust domain got through");
    let (response, event) = metered(&stack, &stack.llm_mtls(ALICE)?, call(&stack)?, "alice").await?;
    assert_eq!((response.status, event.text("principal")), (200, ALICE));
    stack.settled(1).await?;
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_waypoint_charges_whom_the_outer_connection_names() -> Result<()> {
    let stack = Stack::with(Options { waypoint: Some(ALICE), ..Options::default() }).await?;
    let (_, event) = metered(&stack, &stack.llm(), call(&stack)?, "ambient").await?;
    let found = (event.text("tenant"), event.text("tenant_source"), event.text("principal"));
    assert_eq!(found, ("team-a", "spiffe", ALICE), "{}", event.raw);
    stack.settled(1).await?;
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_untrusted_header_changes_nothing_and_is_counted() -> Result<()> {
    let plugin = |plugin: &mut serde_json::Value| {
        plugin["tenant"] = json!([
            {"from": "header", "name": TENANT_HEADER, "trusted": false},
            {"from": "jwt", "claim": ["org", "id"]},
            {"from": "spiffe", "take": "path", "trust_domains": ["cluster.local"]},
        ]);
    };
    let stack = Stack::with(Options { plugin, ..Options::default() }).await?;
    let claimed = call(&stack)?.header(TENANT_HEADER, "acme");
    let token = stack.identity.token(&json!({"org": {"id": "globex/eu"}}))?;
    let with_token = claimed.clone().header("x-tenant-token", &token);
    let cases = [
        ("claimed", stack.llm(), claimed.clone(), "unknown", "unknown"),
        ("claimed-beside-token", stack.llm(), with_token, "globex/eu", "jwt"),
        ("claimed-beside-certificate", stack.llm_mtls(ALICE)?, claimed, "ns/team-a/sa/alice", "spiffe"),
    ];
    for (id, route, call, tenant, source) in cases {
        let (_, event) = metered(&stack, &route, call, id).await?;
        assert_eq!((event.text("tenant"), event.text("tenant_source")), (tenant, source), "{id}: {}", event.raw);
    }
    stack.settled(3).await?;
    let metrics = stack.envoy.metrics().await?;
    let refused = metrics.sum("meshmeter_identity_refused_total", &[("meshmeter_reason", "untrusted_header")]);
    assert_eq!(refused, 3);
    stack.finish()
}

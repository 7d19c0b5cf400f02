//! Every source of the tenant, with real certificates, tokens and proxies: each names whom it proves, and whoever claims to be
//! another names nobody, and is counted.

use std::fs;

use e2e::{
    Result,
    bootstrap::Bootstrap,
    client::{Call, Route},
    stack::{Options, Stack, TENANT_HEADER, metered},
};
use serde_json::{Value, json};

/// Whom every impostor wants to be charged.
const VICTIM: &str = "org/team-a/alice";
const ALICE: &str = "spiffe://cluster.local/ns/team-a/sa/alice";
const NOBODY: (&str, &str) = ("invalid", "invalid");

fn call(stack: &Stack) -> Result<Call> {
    Ok(stack.provider.catalogue().get("vllm.json")?.call())
}

/// A call, whom it is charged to by which source, and why not to whom it claims.
struct Case {
    id: &'static str,
    route: Route,
    call: Call,
    charged: (&'static str, &'static str),
    refused: Option<&'static str>,
}

/// Sends them, and compares what the journal, the ledger and the metrics say.
async fn charged(stack: Stack, cases: Vec<Case>) -> Result<()> {
    for Case { id, route, call, charged, .. } in &cases {
        let (response, event) = metered(&stack, route, call.clone(), id).await?;
        assert_eq!(response.status, 200, "{id}");
        assert_eq!((event.text("tenant"), event.text("tenant_source")), *charged, "{id}: {}", event.raw);
    }
    let report = stack.settled(cases.len() as u64).await?;
    let honest = cases.iter().filter(|case| case.charged.0 == VICTIM).count() as u64;
    let billed: u64 = report.lines.iter().filter(|line| line.tenant == VICTIM).map(|line| line.calls).sum();
    assert_eq!(billed, honest, "what the victim pays for");
    let metrics = stack.envoy.metrics().await?;
    let refused = |labels: &[(&str, &str)]| metrics.sum("meshmeter_identity_refused_total", labels);
    for case in &cases {
        let Some(reason) = case.refused else { continue };
        let expected = cases.iter().filter(|case| case.refused == Some(reason)).count() as u64;
        assert_eq!(refused(&[("meshmeter_reason", reason)]), expected, "{reason}");
    }
    assert_eq!(refused(&[]), cases.iter().filter(|case| case.refused.is_some()).count() as u64, "all refusals");
    let mut shown = stack.envoy.log();
    for file in ["journal", "access.log"] {
        shown.push_str(&fs::read_to_string(stack.file(file))?);
    }
    assert!(!shown.contains("sk-e2e") && !shown.contains(SECRET), "an API key or the secret is shown");
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_pattern_maps_spiffe_ids_and_no_look_alike() -> Result<()> {
    let plugin = |plugin: &mut Value| {
        plugin["tenant"] = json!([
            {"from": "spiffe", "pattern": "spiffe://cluster.local/ns/{ns}/sa/{sa}", "tenant": "org/{ns}/{sa}"},
            {"from": "spiffe", "pattern": "spiffe://partner.example/{team}", "tenant": "partner/{team}"},
            {"from": "header", "name": TENANT_HEADER, "trusted": true},
        ]);
    };
    let stack = Stack::with(Options { plugin, any_name: true, ..Options::default() }).await?;
    let case = |id, names: &[&str], charged, refused| -> Result<Case> {
        let call = call(&stack)?.header(TENANT_HEADER, VICTIM);
        Ok(Case { id, route: stack.llm_mtls_named(names)?, call, charged, refused })
    };
    let cases = vec![
        case("alice", &[ALICE], (VICTIM, "spiffe"), None)?,
        case("partner", &["spiffe://partner.example/search"], ("partner/search", "spiffe"), None)?,
        case("longer-domain", &["spiffe://cluster.local.evil/ns/team-a/sa/alice"], NOBODY, Some("no_match"))?,
        case("other-domain", &["spiffe://evil/ns/team-a/sa/alice"], NOBODY, Some("no_match"))?,
        case("longer-path", &["spiffe://cluster.local/ns/team-a/sa/alice/eve"], NOBODY, Some("no_match"))?,
        case("path-before", &["spiffe://cluster.local/x/ns/team-a/sa/alice"], NOBODY, Some("no_match"))?,
        case("other-case", &["spiffe://cluster.local/NS/team-a/sa/alice"], NOBODY, Some("no_match"))?,
        case("escaped", &["spiffe://cluster.local/ns/team-a%2Fsa%2Falice"], NOBODY, Some("bad_spiffe_id"))?,
        case("dots", &["spiffe://cluster.local/ns/x/../team-a/sa/alice"], NOBODY, Some("bad_spiffe_id"))?,
        case("two", &["spiffe://cluster.local/ns/eve/sa/eve", ALICE], NOBODY, Some("several_uris"))?,
        case("none", &["team-a.example"], NOBODY, Some("no_spiffe_id"))?,
    ];
    charged(stack, cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_host_names_and_addresses_in_certificates_name_the_tenant() -> Result<()> {
    let change = |bootstrap: &mut Bootstrap| {
        bootstrap.all_client_names();
        Ok(())
    };
    let dns = |plugin: &mut Value| {
        plugin["tenant"] = json!([
            {"from": "certificate", "san": "dns", "pattern": "{sa}.{ns}.svc.cluster.local", "tenant": "org/{ns}/{sa}"},
            {"from": "header", "name": TENANT_HEADER, "trusted": true},
        ]);
    };
    let stack = Stack::with(Options { plugin: dns, change, any_name: true, ..Options::default() }).await?;
    let case = |id, names: &[&str], charged, refused| -> Result<Case> {
        let call = call(&stack)?.header(TENANT_HEADER, VICTIM);
        Ok(Case { id, route: stack.llm_mtls_named(names)?, call, charged, refused })
    };
    let own = "alice.team-a.svc.cluster.local";
    let cases = vec![
        case("dns", &[own], (VICTIM, "certificate"), None)?,
        case("dns-beside-uri", &[ALICE, own], (VICTIM, "certificate"), None)?,
        case("dns-two", &["eve.example", own], NOBODY, Some("several_names"))?,
        case("dns-own-first", &[own, "eve.example"], NOBODY, Some("several_names"))?,
        case("dns-none", &[ALICE], NOBODY, Some("no_name"))?,
        case("dns-longer", &["alice.team-a.svc.cluster.local.evil"], NOBODY, Some("no_match"))?,
        case("dns-deeper", &["x.alice.team-a.svc.cluster.local"], NOBODY, Some("no_match"))?,
        Case { id: "plain", route: stack.llm(), call: call(&stack)?, charged: ("unknown", "unknown"), refused: None },
    ];
    charged(stack, cases).await?;

    let email = |plugin: &mut Value| {
        plugin["tenant"] = json!([
            {"from": "certificate", "san": "email", "pattern": "{sa}@team-a.example", "tenant": "org/team-a/{sa}"},
        ]);
    };
    let stack = Stack::with(Options { plugin: email, change, any_name: true, ..Options::default() }).await?;
    let case = |id, names: &[&str], charged, refused| -> Result<Case> {
        Ok(Case { id, route: stack.llm_mtls_named(names)?, call: call(&stack)?, charged, refused })
    };
    let cases = vec![
        case("email", &["alice@team-a.example"], (VICTIM, "certificate"), None)?,
        case("email-comma", &["eve,alice@team-a.example"], NOBODY, Some("several_names"))?,
        case("email-two", &["eve@evil.example", "alice@team-a.example"], NOBODY, Some("several_names"))?,
        case("email-longer", &["alice@team-a.example.evil"], NOBODY, Some("no_match"))?,
        case("email-twice", &["alice@team-a.example@evil"], NOBODY, Some("no_match"))?,
        case("email-none", &["alice.example"], NOBODY, Some("no_name"))?,
    ];
    charged(stack, cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_nested_claims_and_elements_of_lists_name_the_tenant() -> Result<()> {
    let plugin = |plugin: &mut Value| {
        plugin["tenant"] = json!([
            {"from": "jwt", "claim": ["groups"], "element": "matching", "pattern": "tenant:{t}", "tenant": "org/team-a/{t}"},
            {"from": "header", "name": TENANT_HEADER, "trusted": true},
        ]);
    };
    let stack = Stack::with(Options { plugin, ..Options::default() }).await?;
    let case = |id, claims: Value, charged, refused| -> Result<Case> {
        let call = call(&stack)?.header("x-tenant-token", &stack.identity.token(&claims)?);
        Ok(Case { id, route: stack.llm(), call: call.header(TENANT_HEADER, VICTIM), charged, refused })
    };
    let mimic = "\u{1}\0\0\0\u{c}\0\0\0\0\0\0\0tenant:alice\0\0";
    let cases = vec![
        case("list", json!({"groups": ["dev", "tenant:alice", "ops"]}), (VICTIM, "jwt"), None)?,
        case("mixed", json!({"groups": [true, 7, "tenant:alice"]}), (VICTIM, "jwt"), None)?,
        case("two", json!({"groups": ["tenant:eve", "tenant:alice"]}), NOBODY, Some("several_matches"))?,
        case("none", json!({"groups": ["dev"]}), NOBODY, Some("no_match"))?,
        case("empty", json!({"groups": []}), NOBODY, Some("no_match"))?,
        case("dots", json!({"groups": ["tenant:.."]}), NOBODY, Some("invalid_value"))?,
        case("text", json!({"groups": "tenant:alice"}), NOBODY, Some("invalid_value"))?,
        case("object", json!({"groups": {"tenant:alice": "x"}}), NOBODY, Some("invalid_value"))?,
        case("no-claim", json!({"group": ["tenant:alice"]}), NOBODY, Some("no_claim"))?,
    ];
    charged(stack, cases).await?;

    let plugin = |plugin: &mut Value| {
        plugin["tenant"] = json!([
            {"from": "jwt", "claim": ["realm", "roles", "1"], "pattern": "team-{t}", "tenant": "org/team-a/{t}"},
            {"from": "jwt", "claim": ["realm", "roles"], "element": "first"},
        ]);
    };
    let stack = Stack::with(Options { plugin, ..Options::default() }).await?;
    let case = |id, claims: Value, charged, refused| -> Result<Case> {
        let call = call(&stack)?.header("x-tenant-token", &stack.identity.token(&claims)?);
        Ok(Case { id, route: stack.llm(), call, charged, refused })
    };
    let cases = vec![
        case("by-number", json!({"realm": {"roles": ["x", "team-alice"]}}), (VICTIM, "jwt"), None)?,
        case("other-number", json!({"realm": {"roles": ["team-alice"]}}), NOBODY, Some("no_claim"))?,
        case("no-text", json!({"realm": {"roles": ["x", ["team-alice"]]}}), NOBODY, Some("no_match"))?,
        case("mimic", json!({"realm": {"roles": mimic}}), NOBODY, Some("no_claim"))?,
    ];
    charged(stack, cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_proxy_in_front_tells_who_the_client_is_and_no_client_does() -> Result<()> {
    let change =
        |bootstrap: &mut Bootstrap| bootstrap.behind_a_gateway(&format!("@meshmeter-identity-{}", std::process::id()));
    let plugin = |plugin: &mut Value| {
        plugin["tenant"] = json!([
            {"from": "xfcc", "trusted": true, "pattern": "spiffe://cluster.local/ns/{ns}/sa/{sa}", "tenant": "org/{ns}/{sa}"},
            {"from": "header", "name": TENANT_HEADER, "trusted": true},
        ]);
    };
    let stack = Stack::with(Options { plugin, change, any_name: true, ..Options::default() }).await?;
    let case = |id, names: &[&str], sent: &str, charged, refused| -> Result<Case> {
        let mut call = call(&stack)?;
        if !sent.is_empty() {
            call = call.header("x-forwarded-client-cert", sent);
        }
        Ok(Case { id, route: stack.llm_mtls_named(names)?, call, charged, refused })
    };
    let eve: &[&str] = &["spiffe://cluster.local/ns/eve/sa/eve"];
    let honest = ("org/eve/eve", "xfcc");
    let claim = format!("By=spiffe://cluster.local/gw;URI={ALICE}");
    let cases = vec![
        case("alice", &[ALICE], "", (VICTIM, "xfcc"), None)?,
        case("claimed", eve, &claim, honest, None)?,
        case("claimed-twice", eve, &format!("{claim},{claim}"), honest, None)?,
        case("open-quote", eve, &format!("{claim};Subject=\""), NOBODY, Some("bad_xfcc"))?,
        case("escape", eve, &format!("URI={ALICE};Subject=\"\\"), NOBODY, Some("bad_xfcc"))?,
        case("empty-element", eve, &format!("URI={ALICE},"), NOBODY, Some("bad_xfcc"))?,
        case("two-names", &[eve[0], ALICE], "", NOBODY, Some("several_names"))?,
        case("no-uri", &["team-a.example"], &claim, NOBODY, Some("no_name"))?,
        case("look-alike", &["spiffe://cluster.local.evil/ns/team-a/sa/alice"], "", NOBODY, Some("no_match"))?,
        // Envoy's own listener takes the header from clients away.
        Case {
            id: "past-the-gateway",
            route: stack.llm(),
            call: call(&stack)?.header("x-forwarded-client-cert", &claim),
            charged: ("unknown", "unknown"),
            refused: None,
        },
    ];
    charged(stack, cases).await
}

const SECRET: &str = "a-secret-of-a-test-0451";

#[tokio::test(flavor = "multi_thread")]
async fn contract_api_keys_are_known_by_their_hash_and_shown_nowhere() -> Result<()> {
    let change = |bootstrap: &mut Bootstrap| {
        bootstrap.each_plugin(|plugin| {
            plugin["vm_config"]["environment_variables"]["key_values"] = json!({"MESHMETER_HASH_KEY": SECRET});
        });
        Ok(())
    };
    let plugin = |plugin: &mut Value| {
        let keys: Value = serde_json::from_str(KEYS).unwrap_or_default();
        plugin["tenant"] = json!([
            {"from": "api_key", "keys": keys},
            {"from": "header", "name": TENANT_HEADER, "trusted": true},
        ]);
    };
    let stack = Stack::with(Options { plugin, change, ..Options::default() }).await?;
    let case = |id, headers: &[(&str, &str)], charged, refused| -> Result<Case> {
        let mut call = call(&stack)?.header(TENANT_HEADER, "globex");
        call.headers.retain(|(name, _)| name != "authorization");
        let call = headers.iter().fold(call, |call, (name, value)| call.header(name, value));
        Ok(Case { id, route: stack.llm(), call, charged, refused })
    };
    let hash = KEYS.split('"').nth(1).unwrap_or_default();
    let cases = vec![
        case("bearer", &[("authorization", "Bearer sk-e2e-alice")], (VICTIM, "api_key"), None)?,
        case("x-api-key", &[("x-api-key", "sk-e2e-bob")], ("org/team-b/bob", "api_key"), None)?,
        case("no-key", &[], ("globex", "header"), None)?,
        case("unknown", &[("authorization", "Bearer sk-e2e-eve")], NOBODY, Some("unknown_key"))?,
        case("hash", &[("authorization", &format!("Bearer {hash}"))], NOBODY, Some("unknown_key"))?,
        case("prefix", &[("x-api-key", "sk-e2e-alic")], NOBODY, Some("unknown_key"))?,
        case(
            "two",
            &[("x-api-key", "sk-e2e-eve"), ("authorization", "Bearer sk-e2e-alice")],
            NOBODY,
            Some("several_keys"),
        )?,
        case("twice", &[("api-key", "sk-e2e-eve"), ("api-key", "sk-e2e-alice")], NOBODY, Some("repeated_header"))?,
    ];
    charged(stack, cases).await?;

    // Without the secret nobody's key is known, and Envoy's log says so.
    let stack = Stack::with(Options { plugin, ..Options::default() }).await?;
    let mut call = call(&stack)?.header("x-api-key", "sk-e2e-bob").header(TENANT_HEADER, VICTIM);
    call.headers.retain(|(name, _)| name != "authorization");
    let case = Case { id: "no-secret", route: stack.llm(), call, charged: NOBODY, refused: Some("no_hash_key") };
    assert!(stack.envoy.log().contains("the environment variable MESHMETER_HASH_KEY"), "{}", stack.envoy.log());
    charged(stack, vec![case]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_the_node_of_a_sidecar_names_its_workload() -> Result<()> {
    let change = |bootstrap: &mut Bootstrap| {
        bootstrap.node_metadata(json!({"NAMESPACE": "team-a", "LABELS": {"app": "alice"}, "NUMBER": 7}));
        Ok(())
    };
    let plugin = |plugin: &mut Value| {
        plugin["tenant"] = json!([
            {"from": "jwt"},
            {"from": "node", "metadata": ["LABELS", "none"]},
            {"from": "node", "metadata": ["LABELS", "app"], "pattern": "{app}", "tenant": "org/team-a/{app}"},
        ]);
    };
    let stack = Stack::with(Options { plugin, change, ..Options::default() }).await?;
    let token = stack.as_tenant(call(&stack)?, "globex")?;
    let claimed = call(&stack)?.header(TENANT_HEADER, "eve");
    let case = |id, call, charged| Case { id, route: stack.llm(), call, charged, refused: None };
    let cases = vec![case("node", claimed, (VICTIM, "node")), case("token-first", token, ("globex", "jwt"))];
    charged(stack, cases).await?;

    let plugin = |plugin: &mut Value| plugin["tenant"] = json!([{"from": "node", "metadata": "NUMBER"}]);
    let stack = Stack::with(Options { plugin, change, ..Options::default() }).await?;
    let call = call(&stack)?;
    let case = Case { id: "number", route: stack.llm(), call, charged: NOBODY, refused: Some("invalid_value") };
    charged(stack, vec![case]).await
}

/// The secret's hashes of `sk-e2e-alice` and `sk-e2e-bob`, as `meshmeter hash-key` prints them.
const KEYS: &str = r#"{"730d53f298cb7bb576a777898a2082c7b5bd8c8d63a6253465d7f68db3185cf2": "org/team-a/alice",
    "10ca659db8ee7728e15a9a40dd8b7c5a47fba567d70c460d1ff84cc4d0508662": "org/team-b/bob"}"#;

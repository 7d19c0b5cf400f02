//! Clients that choose which provider is said to have responded.

use serde_json::{Value, json};

use super::Attack;
use crate::{
    Result,
    bootstrap::Bootstrap,
    client::{Call, Route},
    event::Event,
    expect, include_usage,
    provider::{FIXTURE, Pace, Provider},
    stack::{Options, Stack, TENANT_HEADER, TOKEN_HEADER, metered},
    tls::Tls,
    wait::ensure,
};

/// The attacks.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "spoofed-host",
        keeps: "a call has the price of where it went, not of the Host that the client wrote",
        short: true,
        run: || Box::pin(spoofed_host()),
    },
    Attack {
        name: "spoofed-host-over-tls",
        keeps: "a server's certificate speaks for the host that it is for, and for no other",
        short: true,
        run: || Box::pin(spoofed_host_over_tls()),
    },
    Attack {
        name: "spoofed-host-at-the-gateway",
        keeps: "the path decides where the reverse proxy sends a call, and which provider is said to have responded",
        short: true,
        run: || Box::pin(spoofed_host_at_the_gateway()),
    },
    Attack {
        name: "spoofed-rewritten-host",
        keeps: "the host that Envoy asks for decides, also if the client asks for the same; why a stream was not asked is said",
        short: true,
        run: || Box::pin(spoofed_rewritten_host()),
    },
    Attack {
        name: "spoofed-host-against-rules",
        keeps: "rules by cluster come first, then by route, then by prefix, then by host",
        short: false,
        run: || Box::pin(spoofed_host_against_rules()),
    },
    Attack {
        name: "provider-reads-tenants",
        keeps: "the provider is not told who the tenant is, by no listener",
        short: true,
        run: || Box::pin(provider_reads_tenants()),
    },
];

/// Sends a fixture's call to a host and path, and waits for its event.
async fn send(stack: &Stack, route: &Route, fixture: &str, to: (&str, &str), id: &str) -> Result<Event> {
    let call = Call {
        host: to.0.to_owned(),
        path: to.1.to_owned(),
        ..stack.provider.catalogue().get(fixture)?.call().header(FIXTURE, fixture)
    };
    // What only Envoy may say, of a host that it has rewritten.
    let call = call.header("x-envoy-original-host", "gateway.internal");
    let (response, event) = metered(stack, route, call, id).await?;
    ensure(response.status == 200, || format!("{id}: HTTP {}", response.status))?;
    Ok(event)
}

/// Fails unless an event says the provider and how that is known.
fn who(event: &Event, provider: &str, source: &str, flags: &Value) -> Result<()> {
    let found = (event.text("provider"), event.text("provider_source"), event.get("flags"));
    ensure(found == (provider, source, flags), || {
        format!("{}: {found:?}, expected {:?}", event.id(), (provider, source, flags))
    })
}

/// The sum of what the ledger charges for a provider's calls; none if nothing is priced.
fn costs(report: &crate::collector::Report, provider: &str) -> Vec<String> {
    let lines = report.lines.iter().filter(|line| line.provider == provider);
    lines
        .filter_map(|line| line.cost.clone())
        .filter(|cost| cost.bytes().any(|byte| matches!(byte, b'1'..=b'9')))
        .collect()
}

/// A route for everything leads to a server of one's own; clients name the host of another.
async fn spoofed_host() -> Result<()> {
    const CHAT: &str = "/v1/chat/completions";
    let stack = Stack::with(Options { everywhere: true, ..Options::default() }).await?;
    let llm = stack.llm();
    // Groq's host, and one of OpenAI's for which there is no route: the price book has the model.
    let hosts = ["api.groq.com", "API.GROQ.COM:443", "eu.api.openai.com", "x.openai.azure.com"];
    for (number, host) in hosts.iter().enumerate() {
        let event = send(&stack, &llm, "chat_tools.json", (host, CHAT), &format!("spoofed-{number}")).await?;
        who(&event, "openai_compatible", "shape", &json!(["host_unproven"]))?;
        ensure(event.text("cluster") == "self_hosted", || format!("it went to {}", event.text("cluster")))?;
    }
    let report = stack.settled(hosts.len() as u64).await?;
    ensure(costs(&report, "openai_compatible").is_empty(), || format!("a spoofed call is priced: {:?}", report.lines))?;
    // The same call to where its host leads is OpenAI's, and priced.
    let event = send(&stack, &llm, "chat_tools.json", ("api.openai.com", CHAT), "honest").await?;
    who(&event, "openai", "cluster", &Value::Null)?;
    let report = stack.settled(hosts.len() as u64 + 1).await?;
    ensure(costs(&report, "openai").len() == 1, || format!("the honest call is not priced: {:?}", report.lines))?;
    let log = stack.envoy.log();
    let said = log.matches("a client named the host of a known provider").count();
    ensure((1..=usize::from(crate::envoy::WORKERS)).contains(&said), || format!("Envoy's log says it {said} times"))?;
    ensure(!log.contains("eu.api.openai.com"), || "a client's words are in Envoy's log".to_owned())?;
    stack.finish()
}

/// The server of a route for everything has the certificate of one of the hosts.
async fn spoofed_host_over_tls() -> Result<()> {
    let provider = Provider::start(Pace::none()).await?;
    let server = Tls::start("api.groq.com", provider.address()).await?;
    let upstream = Some(server.address());
    let stack = Stack::with(Options { upstream, encrypted: true, everywhere: true, ..Options::default() }).await?;
    let unproven = json!(["host_unproven"]);
    let cases = [
        ("api.groq.com", "groq", "certificate", &Value::Null),
        ("eu.api.openai.com", "openai_compatible", "shape", &unproven),
        ("gateway.internal", "openai_compatible", "shape", &Value::Null),
    ];
    for (host, provider, source, flags) in cases {
        let event = send(&stack, &stack.llm(), "chat_tools.json", (host, "/v1/chat/completions"), host).await?;
        who(&event, provider, source, flags).map_err(|error| format!("{host}: {error}"))?;
    }
    stack.settled(cases.len() as u64).await?;
    stack.finish()
}

/// Behind the gateway any Host can be written.
async fn spoofed_host_at_the_gateway() -> Result<()> {
    let stack = Stack::start().await?;
    let gateway = stack.gateway();
    let cases = [
        // Host, path, fixture, the provider, by what
        ("127.0.0.1:10000", "/openai/v1/chat/completions", "chat_stream_unasked.sse", "openai", "rewritten"),
        ("api.groq.com", "/openai/v1/chat/completions", "chat_tools.json", "openai", "rewritten"),
        ("api.openai.com", "/openai/v1/chat/completions", "chat_tools.json", "openai", "cluster"),
        ("api.openai.com", "/anthropic/v1/messages", "messages.json", "anthropic", "rewritten"),
        ("localhost", "/anthropic/v1/messages", "messages_stream.sse", "anthropic", "rewritten"),
        ("api.openai.com", "/self-hosted/v1/chat/completions", "chat_tools.json", "openai_compatible", "shape"),
    ];
    for (number, (host, path, fixture, provider, source)) in cases.into_iter().enumerate() {
        let id = format!("gateway-{number}");
        let event = send(&stack, &gateway, fixture, (host, path), &id).await?;
        let served = stack.provider.served_to(&id)?;
        who(&event, provider, source, &Value::Null)?;
        // The provider sees its own host and path, and a stream that did not ask is asked in the client's place.
        let seen = served.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
        let own = match provider {
            "openai" => "api.openai.com",
            "anthropic" => "api.anthropic.com",
            _ => "llm.internal",
        };
        ensure(seen == own && path.ends_with(&served.path) && served.path.starts_with("/v1/"), || {
            format!("{id}: {seen}{} arrived", served.path)
        })?;
        if source == "rewritten" {
            ensure(event.text("upstream_host") == own, || format!("{id}: upstream_host in {}", event.raw))?;
        }
        let mut expected = stack.provider.catalogue().get(fixture)?.expected.clone();
        expected.provider = provider.to_owned();
        expect::reported(&event, &served, &expected).map_err(|error| format!("{id}: {error}"))?;
        let asked = serde_json::from_slice(&served.request).is_ok_and(|request| include_usage::is_asked(&request));
        ensure(asked == fixture.starts_with("chat_stream"), || format!("{id}: asked for usage: {asked}"))?;
    }
    let report = stack.settled(cases.len() as u64).await?;
    ensure(costs(&report, "openai_compatible").is_empty(), || format!("priced as OpenAI's: {:?}", report.lines))?;
    ensure(!costs(&report, "openai").is_empty() && !costs(&report, "anthropic").is_empty(), || {
        format!("calls through the gateway have no price: {:?}", report.lines)
    })?;
    // A path that leads nowhere is no provider's call, whatever the Host.
    let nowhere = Call::post("api.openai.com", "/v1/chat/completions", &json!({"model": "gpt-4.1"}));
    let (response, event) = metered(&stack, &gateway, nowhere, "nowhere").await?;
    ensure(response.status == 404 && event.text("outcome") == "not_sent", || {
        format!("{}: {}", response.status, event.raw)
    })?;
    who(&event, "openai_compatible", "shape", &json!(["host_unproven"]))?;
    stack.settled(cases.len() as u64 + 1).await?;
    stack.finish()
}

/// The cluster's name says nothing, as those of Envoy Gateway.
async fn spoofed_rewritten_host() -> Result<()> {
    let change = |bootstrap: &mut Bootstrap| bootstrap.rename_with_routes("openai", "httproute/llm/openai/rule/0");
    let stack = Stack::with(Options { change, ..Options::default() }).await?;
    let hosts = ["localhost", "api.openai.com", "API.OPENAI.COM:443", "api.groq.com"];
    for host in hosts {
        let to = (host, "/openai/v1/chat/completions");
        let event = send(&stack, &stack.gateway(), "chat_tools.json", to, host).await?;
        who(&event, "openai", "rewritten", &Value::Null)?;
        let event = send(&stack, &stack.gateway(), "chat_stream_unasked.sse", to, &format!("stream-{host}")).await?;
        who(&event, "openai", "rewritten", event.get("flags"))?;
        // Whoever names OpenAI's host, or Groq's, is asked as they are; nobody else can be, and that is said.
        let why = if host == "localhost" { "known_late" } else { "" };
        ensure(event.text("usage_not_asked") == why, || format!("{host}: {}", event.raw))?;
    }
    let report = stack.settled(2 * hosts.len() as u64).await?;
    ensure(!costs(&report, "openai").is_empty(), || format!("{:?}", report.lines))?;
    stack.finish()
}

/// The operator's rules, and clients that meet the conditions of those below.
async fn spoofed_host_against_rules() -> Result<()> {
    let plugin = |plugin: &mut Value| {
        plugin["providers"] = json!([
            {"host": "*.corp", "provider": "by_host"},
            {"prefix": "/team/", "provider": "by_prefix"},
            {"route": "anthropic", "provider": "by_route"},
            {"cluster": "open*", "host": "api.openai.com", "provider": "by_cluster"},
        ]);
    };
    let stack = Stack::with(Options { everywhere: true, plugin, ..Options::default() }).await?;
    let (llm, gateway) = (stack.llm(), stack.gateway());
    let cases = [
        (&llm, ("llm.corp", "/v1/chat/completions"), "by_host", "rule_host"),
        (&llm, ("llm.corp", "/team/v1/chat/completions"), "by_prefix", "rule_prefix"),
        (&llm, ("api.anthropic.com", "/team/v1/chat/completions"), "by_route", "rule_route"),
        (&llm, ("api.openai.com", "/team/v1/chat/completions"), "by_cluster", "rule_cluster"),
        // By the host after rewriting: the client's is that of another rule.
        (&gateway, ("llm.corp", "/openai/v1/chat/completions"), "by_cluster", "rule_cluster"),
        (&gateway, ("llm.corp", "/anthropic/v1/chat/completions"), "by_route", "rule_route"),
        (&llm, ("api.groq.com", "/team2/v1/chat/completions"), "openai_compatible", "shape"),
    ];
    for (number, (route, to, provider, source)) in cases.iter().enumerate() {
        let event = send(&stack, route, "chat_tools.json", *to, &format!("rule-{number}")).await?;
        let flags = if *source == "shape" { json!(["host_unproven"]) } else { Value::Null };
        who(&event, provider, source, &flags).map_err(|error| format!("{to:?}: {error}"))?;
    }
    stack.settled(cases.len() as u64).await?;
    stack.finish()
}

/// What names the tenant is for the meter alone.
async fn provider_reads_tenants() -> Result<()> {
    let stack = Stack::start().await?;
    let token = stack.identity.token(&json!({"tenant": "globex"}))?;
    let mtls = stack.llm_mtls("spiffe://cluster.local/ns/team-a/sa/alice")?;
    let cases = [
        ("gateway", stack.gateway(), ("localhost", "/openai/v1/chat/completions"), "globex"),
        ("llm", stack.llm(), ("api.openai.com", "/v1/chat/completions"), "globex"),
        // Here nobody reads the token, and the certificate comes before the header.
        ("llm_mtls", mtls.clone(), ("api.openai.com", "/v1/chat/completions"), "team-a"),
        ("llm_mtls-by-path", mtls, ("localhost", "/openai/v1/chat/completions"), "team-a"),
    ];
    for (id, route, to, tenant) in &cases {
        let mut call = stack.provider.catalogue().get("chat_tools.json")?.call();
        (call.host, call.path) = (to.0.to_owned(), to.1.to_owned());
        let call = call.header(TENANT_HEADER, "acme").header(TOKEN_HEADER, &token);
        let (_, event) = metered(&stack, route, call, id).await?;
        ensure(event.text("tenant") == *tenant, || format!("{id}: charged to {}", event.text("tenant")))?;
        let headers = stack.provider.served_to(id)?.headers;
        let leaked = headers.iter().find(|(name, value)| {
            let words = ["acme", "globex", token.as_str()];
            name.as_str().contains("tenant") || words.iter().any(|word| value.to_str().is_ok_and(|v| v.contains(word)))
        });
        ensure(leaked.is_none(), || format!("{id}: the provider got {leaked:?}"))?;
    }
    stack.settled(cases.len() as u64).await?;
    stack.finish()
}

//! The vendors' own clients: through Envoy with the meter they see what they see without it.

use std::{collections::BTreeMap, net::SocketAddr, process::Stdio};

use e2e::{
    Result, expect, paths,
    stack::{Options, Stack},
    wait::{PATIENCE, ensure},
};
use serde::Deserialize;
use tokio::{process::Command, time::timeout};

/// What a client saw of one call.
#[derive(Debug, Deserialize)]
struct Seen {
    call: String,
    /// Every event, as the SDK dumps it.
    events: Vec<String>,
    /// The same with only those fields that the response mentioned.
    set_events: Vec<String>,
}

/// Runs a script against a server; the prefix keeps the calls of several runs apart.
async fn run(script: &str, server: SocketAddr, prefix: &str, mount: Option<&str>) -> Result<BTreeMap<String, Seen>> {
    let mut command = Command::new(paths::sdk_python()?);
    command.arg("-B").arg(paths::sdk(script)).arg(server.port().to_string()).arg(prefix).args(mount);
    // Proxies of this machine have no part in this.
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    let output = timeout(PATIENCE, command.stdin(Stdio::null()).kill_on_drop(true).output()).await??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure(output.status.success(), || format!("{script} {prefix}: {}\n{said}", output.status))?;
    let lines = String::from_utf8(output.stdout)?;
    let seen = lines.lines().map(serde_json::from_str).collect::<std::result::Result<Vec<Seen>, _>>()?;
    Ok(seen.into_iter().map(|seen| (seen.call.clone(), seen)).collect())
}

/// What a call through Envoy must have left in the ledger.
async fn recorded(stack: &Stack, id: &str) -> Result<()> {
    let (served, event) = (stack.provider.served_to(id)?, stack.event_of(id).await?);
    if served.status != 200 {
        return expect::missing(&event, "error_status", "error_status");
    }
    if served.fault.is_some() {
        return expect::estimated(&event, "completed", "absent");
    }
    let fixture = stack.provider.catalogue().get(served.fixture.as_deref().unwrap_or_default())?;
    ensure(!served.usage.is_empty(), || "the provider was not asked for usage".to_owned())?;
    expect::reported(&event, &served, &fixture.expected)
}

/// Compares what clients see with and without the meter, by host and by a base URL, and returns how many calls there were.
async fn compare(stack: &Stack, script: &str, mount: &str) -> Result<u64> {
    let (direct, by_host, by_url) = tokio::try_join!(
        run(script, stack.provider.address(), "direct-", None),
        run(script, stack.listeners().0, "host-", None),
        run(script, stack.gateway_address(), "url-", Some(mount)),
    )?;
    for (metered, prefix) in [(&by_host, "host-"), (&by_url, "url-")] {
        assert!(direct.keys().eq(metered.keys()) && direct.len() >= 7);
        for (call, without) in &direct {
            let (with, id) = (&metered[call], format!("{prefix}{call}"));
            assert!(!without.events.is_empty(), "{id}: nothing was seen");
            assert_eq!(with.events, without.events, "{id}: the client sees something else");
            assert_eq!(with.set_events, without.set_events, "{id}: the client is told something else");
            recorded(stack, &id).await.map_err(|error| format!("{id}: {error}"))?;
        }
    }
    Ok((by_host.len() + by_url.len()) as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_openais_client_sees_no_difference() -> Result<()> {
    let stack = Stack::with(Options { workers: 1, ..Options::default() }).await?;
    let calls = compare(&stack, "openai_calls.py", "/openai").await?;
    stack.settled(calls).await?;
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_anthropics_client_sees_no_difference() -> Result<()> {
    let stack = Stack::with(Options { workers: 1, ..Options::default() }).await?;
    let calls = compare(&stack, "anthropic_calls.py", "/anthropic").await?;
    stack.settled(calls).await?;
    stack.finish()
}

//! What goes wrong between the plugin and its collector is said in Envoy's log, once and with its reason, and counted; and
//! no event is lost by it.

use std::net::{Ipv4Addr, SocketAddr};

use e2e::{
    Result,
    gate::Mode,
    stack::{Options, Stack, with_request_id},
    wait::{self, ensure},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

const CALLS: u64 = 8;

/// Sends a batch as soon as there is an event.
fn hasty(plugin: &mut Value) {
    plugin["batch"] = json!({"max_age_ms": 100});
}

/// The same, and waits for no response for long. Only where there will be none: what is slow must not fail as a timeout.
fn impatient(plugin: &mut Value) {
    hasty(plugin);
    plugin["collector"]["timeout_ms"] = json!(300);
}

/// Calls, so that both workers have something to send.
async fn call(stack: &Stack) -> Result<()> {
    for number in 0..CALLS {
        let call = stack.provider.catalogue().get("vllm.json")?.call();
        stack.llm().send(&with_request_id(call, &format!("call-{number}"))).await?;
    }
    Ok(())
}

/// Waits until calls to the collector have failed for this reason, again and again; it must have been said once.
async fn failed(stack: &Stack, reason: &str) -> Result<String> {
    wait::until(&format!("failures because of {reason}"), || async {
        let metrics = stack.envoy.metrics().await?;
        let found = metrics.sum("meshmeter_collector_failures_total", &[("meshmeter_reason", reason)]);
        ensure(found >= 3, || format!("there are {found}"))
    })
    .await?;
    let said = lines(stack, "the collector takes no events");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("[warning]") && said[0].contains(&format!("no events: {reason}")), "{said:?}");
    let metrics = stack.envoy.metrics().await?;
    assert_eq!(metrics.sum("meshmeter_events_acknowledged_total", &[]), 0);
    assert_eq!(metrics.sum("meshmeter_events_rejected_total", &[]), 0);
    Ok(said[0].clone())
}

fn lines(stack: &Stack, words: &str) -> Vec<String> {
    stack.envoy.log().lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_wrong_path_is_said_without_what_it_may_carry() -> Result<()> {
    let plugin = |plugin: &mut Value| {
        hasty(plugin);
        plugin["collector"]["path"] = json!("/v2/nothing?key=s3cret-value");
    };
    let stack = Stack::with(Options { plugin, ..Options::default() }).await?;
    call(&stack).await?;
    let line = failed(&stack, "not_found").await?;
    assert!(line.contains("HTTP 404") && line.contains("path /v2/nothing;"), "{line}");
    assert!(!stack.envoy.log().contains("s3cret-value"), "{line}");
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_wrong_cluster_is_said() -> Result<()> {
    let plugin = |plugin: &mut Value| {
        hasty(plugin);
        plugin["collector"]["cluster"] = json!("nobody_s_cluster");
    };
    let stack = Stack::with(Options { plugin, ..Options::default() }).await?;
    call(&stack).await?;
    let line = failed(&stack, "no_cluster").await?;
    assert!(line.contains("cluster nobody_s_cluster"), "{line}");
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_silence_is_said() -> Result<()> {
    let stack = Stack::with(Options { plugin: impatient, ..Options::default() }).await?;
    stack.gate.set(Mode::Hang);
    call(&stack).await?;
    failed(&stack, "timeout").await?;
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn race_an_absent_collector_is_said_and_so_is_its_return() -> Result<()> {
    let mut stack = Stack::with(Options { plugin: hasty, open: false, ..Options::default() }).await?;
    call(&stack).await?;
    failed(&stack, "unavailable").await?;
    assert!(lines(&stack, "takes events again").is_empty());
    stack.gate.open()?;
    stack.settled(CALLS).await?;
    let said = lines(&stack, "takes events again");
    assert_eq!(said.len(), 1, "{said:?}");
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_page_for_people_acknowledges_nothing() -> Result<()> {
    let (address, page) = page().await?;
    let stack = Stack::with(Options { plugin: hasty, ingest: Some(address), ..Options::default() }).await?;
    call(&stack).await?;
    let line = failed(&stack, "not_a_collector").await?;
    assert!(line.contains("HTTP 200"), "{line}");
    page.abort();
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_another_ingest_is_said_once() -> Result<()> {
    let stack = Stack::with(Options { plugin: hasty, ..Options::default() }).await?;
    stack.gate.show(false);
    call(&stack).await?;
    stack.settled(CALLS).await?;
    let said = lines(&stack, "is not meshmeter's collector");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(lines(&stack, "the collector takes no events").is_empty());
    stack.finish()
}

/// A server that has a page for whatever is asked.
async fn page() -> Result<(SocketAddr, JoinHandle<()>)> {
    const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: 15\r\nconnection: close\r\n\r\n<p>Welcome!</p>";
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let serve = async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = Vec::new();
                // All of it is there when the array of events is closed.
                while !request.ends_with(b"]") && stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {}
                let _ = stream.write_all(PAGE).await;
            });
        }
    };
    Ok((address, tokio::spawn(serve)))
}

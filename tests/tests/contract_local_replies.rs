//! Responses that Envoy gives itself are not the provider's: what was sent is estimated, what was not costs nothing.

use std::net::{Ipv4Addr, SocketAddr};

use e2e::{
    Result,
    client::Call,
    event::Event,
    exchange::Upload,
    script::Script,
    stack::{Options, Stack, metered},
    wire::Wire,
};
use hyper::Version;
use serde_json::json;
use tokio::{io::AsyncReadExt, net::TcpListener};

fn prompt(host: &str) -> Call {
    let body =
        json!({"model": "m", "messages": [{"role": "user", "content": "What is new in the world today? ".repeat(20)}]});
    Call::post(host, "/v1/chat/completions", &body)
}

/// Fails unless the record of a call that Envoy responded says what became of it.
fn told(event: &Event, status: u64, outcome: &str, is_estimated: bool) {
    assert_eq!((event.text("outcome"), event.count("status")), (outcome, Some(status)), "{}", event.raw);
    let evidence = if is_estimated { "estimated" } else { "missing" };
    assert_eq!(event.text("evidence"), evidence, "{}", event.raw);
    assert_eq!(event.count("input_tokens").is_some_and(|tokens| tokens > 50), is_estimated, "{}", event.raw);
    assert_eq!(event.count("output_tokens"), None, "{}", event.raw);
    let reason = if outcome == "error_status" { "error_status" } else { "no_response" };
    assert_eq!(event.text("missing_reason"), reason, "{}", event.raw);
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_call_that_envoy_responses_itself_says_what_became_of_it() -> Result<()> {
    let options = Options { unreachable: Some("openai"), timeout: Some("0.5s"), ..Options::default() };
    let wire = Wire::with(options).await?;
    let response = || Script::new("application/json", "{}");
    let host = "llm.internal";
    let cases = [
        ("timeout", prompt(host), response().withheld(), 504, "timeout", true),
        ("unreachable", prompt("api.openai.com"), response(), 503, "not_sent", false),
        // An error of the provider's own stays what it is.
        ("error", prompt(host), response().status(504), 504, "error_status", false),
        ("overloaded", prompt(host), response().status(503), 503, "error_status", false),
    ];
    for (id, call, script, status, outcome, is_estimated) in &cases {
        let route = wire.stack.llm();
        let response = wire.exchange(&route, Version::HTTP_11, id, call, Upload::WHOLE, script.clone()).await?;
        assert_eq!(response.status, *status, "{id}");
        told(&wire.stack.event_of(id).await?, (*status).into(), outcome, *is_estimated);
    }
    wire.finish(cases.len() as u64).await
}

/// A server that reads a request and hangs up.
async fn hangs_up() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 64 * 1024];
                let _ = stream.read(&mut request).await;
            });
        }
    });
    Ok(address)
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_connection_that_breaks_before_the_response_is_estimated() -> Result<()> {
    let options = Options { upstream: Some(hangs_up().await?), everywhere: true, ..Options::default() };
    let stack = Stack::with(options).await?;
    let (response, event) = metered(&stack, &stack.llm(), prompt("llm.internal"), "hung-up").await?;
    assert_eq!(response.status, 503);
    told(&event, 503, "upstream_reset", true);
    stack.settled(1).await?;
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_calls_that_nobody_is_charged_for_are_said_once_by_cluster() -> Result<()> {
    let wire = Wire::start(|_| {}).await?;
    let response = r#"{"object":"chat.completion","usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
    for number in 0..3 {
        let script = Script::new("application/json", response);
        let (_, _, event) =
            wire.send(&format!("call-{number}"), &prompt("llm.internal"), Upload::WHOLE, script).await?;
        assert_eq!(event.text("provider"), "openai_compatible");
    }
    let log = wire.stack.envoy.log();
    let said: Vec<&str> = log.lines().filter(|line| line.contains("are not attributed to a provider")).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("cluster self_hosted") && said[0].contains("\"providers\""), "{said:?}");
    wire.finish(3).await
}
